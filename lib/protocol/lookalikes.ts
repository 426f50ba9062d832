/**
 * Nicks that look the same although their letters are others (PROTOCOL.md §9).
 *
 * @module
 */

/**
 * Letters that look like Latin ones, each before the one it looks like: Cyrillic, Greek, Armenian, Cherokee and Latin. Most
 * of what whole words are made of; Unicode's list of confusable characters (UTS #39) is a hundred times as long.
 */
const LETTERS =
  "аa еe іi јj кk оo рp сc уy хx ѕs һh ԁd ԛq ԝw ӏl ԍG АA ВB ЕE ІI ЈJ КK МM НH ОO РP СC " +
  "ТT УY ХX ЅS ӀI ԌG αa γy ηn ιi κk νv οo ρp σo τt υu χx ωw ϲc ϳj ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO " +
  "ΡP ΤT ΥY ΧX ϹC ͿJ օo ոn սu հh յj զq ցg ՕO ՍU ՏS ԼL ᎪA ᏴB ᏟC ᎠD ᎬE ᎻH ᎥI ᎫJ ᏦK ᏞL ᎷM ᏢP ᎡR ᏚS ᎢT " +
  "ᏙV ᎳW ᏃZ ɑa ɡg ıi";
/** What looks the same in many fonts. */
const STROKES: Readonly<Record<string, string>> = { I: "l", "1": "l", "0": "O", o: "O" };

const LATIN = new Map(LETTERS.split(" ").map((pair) => [pair[0]!, pair[1]!]));

/** The form in which the looks of nicks are compared; never shown. */
export function lookOf(nick: string): string {
  return [...nick].map((letter) => {
    const latin = LATIN.get(letter) ?? letter;
    return STROKES[latin] ?? latin;
  }).join("");
}
