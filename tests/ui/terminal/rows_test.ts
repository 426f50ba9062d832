import { deepEqual, equal, ok } from "node:assert/strict";
import { graphemes } from "../../../lib/base/text.ts";
import {
  isRightToLeft,
  merge,
  pad,
  type Piece,
  type Row,
  Typesetter,
  widthOf,
} from "../../../lib/ui/terminal/rows.ts";

const text = new Typesetter({ utf8: true });
const ascii = new Typesetter({ utf8: false });
const FAMILY = "👩\u200d👩\u200d👧\u200d👦";

/** Random numbers below `n`, the same in every run. */
function randomFrom(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * n);
  };
}

function written(row: Row): string {
  return row.map((segment) => segment.text).join("");
}

function wrapText(typed: string, room: number, maxRows = Infinity): string[] {
  return text.wrap([{ text: typed, style: "" }], { room, maxRows }).rows.map(written);
}

const WRAPS: [string, string, number, string[]][] = [
  ["at words", "one two three", 8, ["one two", "three"]],
  ["a word that just fits", "one four", 8, ["one four"]],
  ["line breaks", "a\n\nb", 8, ["a", "", "b"]],
  ["indentation", "a\n  b", 8, ["a", "  b"]],
  ["an indented word that does not fit", "    abcdef", 8, ["abcdef"]],
  ["a long word from the next row on", "one abcdefghijkl", 10, ["one", "abcdefghij", "kl"]],
  ["a long word from the row it begins on", "a bcdefghijklmnop", 12, ["a bcdefghijk", "lmnop"]],
  ["wide characters anywhere", "日本語 日本", 7, ["日本語", "日本"]],
  ["wide characters behind a word", "abc日本", 6, ["abc日", "本"]],
  ["blanks at the end of a row", "abc    def", 5, ["abc", "def"]],
  ["more blanks than a row has", `a${" ".repeat(99)}b`, 5, ["a", "b"]],
];

for (const [what, typed, room, rows] of WRAPS) {
  Deno.test(`wraps ${what}`, () => deepEqual(wrapText(typed, room), rows));
}

Deno.test("a word in two styles is not broken between them", () => {
  const pieces = [{ text: "hello ", style: "" }, { text: "anna", style: "1" }, {
    text: ", you",
    style: "",
  }];
  deepEqual(text.wrap(pieces, { room: 10 }).rows.map(written), ["hello", "anna, you"]);
});

Deno.test("the first row has more columns where it hangs", () => {
  const { rows } = text.wrap([{ text: "one two three", style: "" }], { room: 5, hang: 4 });
  deepEqual(rows.map(written), ["one two", "three"]);
});

Deno.test("a whole piece that is longer than a row is one of its own", () => {
  const link = { text: "https://example.com/long", style: "4", whole: true };
  const pieces = [{ text: "see ", style: "" }, link, { text: " now", style: "" }];
  deepEqual(text.wrap(pieces, { room: 10 }).rows.map(written), ["see", link.text, "now"]);
  deepEqual(text.wrap(pieces, { room: 40 }).rows.map(written), [`see ${link.text} now`]);
  const cut = text.wrap(pieces, { room: 10, maxRows: 3 });
  deepEqual(cut, { rows: [text.segments("see")], rest: link.text.length + 4 });
});

Deno.test("a link that is broken keeps its address on every row", () => {
  const address = "https://example.com/long";
  const { rows } = text.wrap([{ text: address, style: "4", link: address }], { room: 10 });
  equal(rows.map(written).join(""), address);
  for (const row of rows) equal(row[0]!.link, address);
});

const CLUSTERS = [
  "a",
  "b",
  " ",
  "\n",
  "é",
  "e\u0301",
  "日",
  "👍",
  "👩\u200d👧",
  "❤\ufe0f",
  "🇩🇪",
  "ш",
];

Deno.test("no row is wider than its room, and the rows have the whole text", () => {
  const random = randomFrom(7);
  for (let i = 0; i < 500; i++) {
    const pieces: Piece[] = Array.from({ length: 1 + random(4) }, () => ({
      text: Array.from({ length: random(40) }, () => CLUSTERS[random(CLUSTERS.length)]).join(""),
      style: String(random(2)),
    }));
    const room = 4 + random(30);
    const { rows, rest } = text.wrap(pieces, { room });
    for (const row of rows) ok(widthOf(row) <= room);
    const whole = pieces.map((piece) => piece.text).join("");
    equal(rows.map(written).join("").replaceAll(" ", ""), whole.replaceAll(/[ \n]/g, ""));
    equal(rest, 0);
    // With fewer rows, those are the same, and the rest is known.
    const maxRows = 1 + random(rows.length);
    const cut = text.wrap(pieces, { room, maxRows });
    deepEqual(cut.rows, rows.slice(0, maxRows));
    if (maxRows < rows.length) {
      const kept = cut.rows.map(written).join("").replaceAll(" ", "");
      const left = whole.slice(whole.length - cut.rest);
      equal(kept + left.replaceAll(/[ \n]/g, ""), whole.replaceAll(/[ \n]/g, ""));
    }
  }
});

Deno.test("a text is cut between characters, and the cut is shown", () => {
  deepEqual(written(text.fit("hello", 5)), "hello");
  deepEqual(written(text.fit("hello!", 5)), "hell…");
  deepEqual(written(text.fit("日本語", 5)), "日本…");
  deepEqual(written(text.fit("日本語", 4)), "日…");
  deepEqual(written(ascii.fit("hello!", 5)), "he...");
  deepEqual(written(text.fit("hello", 0)), "");
  const random = randomFrom(3);
  for (let i = 0; i < 300; i++) {
    const typed = Array.from({ length: random(12) }, () => CLUSTERS[random(CLUSTERS.length)])
      .join("").replaceAll("\n", "");
    const room = random(14);
    ok(widthOf(text.fit(typed, room)) <= room);
  }
});

Deno.test("neighbours of one look become one segment", () => {
  const row = [...text.segments("a", "1"), ...text.segments("b", "1"), ...text.segments("c")];
  deepEqual(merge(row).map((segment) => segment.text), ["ab", "c"]);
  equal(written(pad(row, 5)), "abc  ");
});

Deno.test("ASCII, Latin and CJK are certain, ambiguous characters once the terminal has told", () => {
  for (const certain of ["a", "č", "日", "한", "、"]) ok(text.measure(certain).certain, certain);
  for (const not of ["👍", "e\u0301", FAMILY, "א", "é"]) ok(!text.measure(not).certain, not);
  for (
    const [widths, width, certain] of [[{}, 1, false], [{ ambiguous: 2 }, 2, true], [
      { ambiguous: 1 },
      1,
      true,
    ]] as const
  ) {
    const found = new Typesetter({ utf8: true, ...widths }).measure("ш");
    deepEqual([found.width, found.certain], [width, certain]);
  }
});

Deno.test("joined emoji take the most that any terminal gives them, until this one has told", () => {
  for (const [widths, width] of [[{}, 4], [{ joined: true }, 2], [{ joined: false }, 4]] as const) {
    equal(new Typesetter({ utf8: true, ...widths }).measure("👩\u200d👧").width, width);
  }
});

Deno.test("text is cleaned: what does not print, tabs, long joined emoji", () => {
  equal(text.clean("a\u202eb\tc\nd"), "a⟨202E⟩b    c\nd");
  equal(text.cleanLine("a\nb"), "a b");
  equal(text.clean("\u0001".repeat(8192)), "⟨8192 characters that do not print⟩");
  equal(text.clean("👩\u200d👧"), "👩\u200d👧");
  // tmux keeps 21 bytes of a cell.
  equal(text.clean(FAMILY), "👩👩👧👦");
  for (const cluster of graphemes(text.clean(FAMILY.repeat(9)))) {
    ok(new TextEncoder().encode(cluster).length <= 21);
  }
});

Deno.test("in ASCII nothing else remains", () => {
  equal(ascii.clean("für …"), "f<FC>r ...");
  equal(ascii.sign("✓", "+"), "+");
  equal(text.sign("✓", "+"), "✓");
});

Deno.test("letters from right to left are recognized", () => {
  ok(isRightToLeft("שלום") && isRightToLeft("abc مرحبا") && !isRightToLeft("abc 日本"));
});

const HOSTILE: Record<string, string> = {
  "one word": "x".repeat(8192),
  "does not print": "\u0001".repeat(8192),
  "every third does not print": "\u0001\u0002a".repeat(2730),
  "overrides": "\u202e".repeat(2730),
  "ideographs": "漢".repeat(2730),
  "marks": "a\u0301\u0301\u0301\u0301\u0301\u0301".repeat(630),
  "families": FAMILY.repeat(327),
  "line breaks": "\n".repeat(8191) + "x",
  "Cyrillic": "привет мир ".repeat(430),
  "one run of marks": "a" + "\u0301".repeat(4095),
  "tabs": "\t".repeat(8191) + "x",
  "blanks": "x" + " ".repeat(8190) + "x",
  "joiners": "\u200d".repeat(2730),
  "Hangul vowels": "\u1161".repeat(2730),
  "flags": "🇩".repeat(2048),
  "Devanagari": "क्".repeat(1365),
  "variation selectors": "a\ufe0f".repeat(2048),
};

for (const [what, typed] of Object.entries(HOSTILE)) {
  Deno.test(`8 KiB of a kind take the rows they are given: ${what}`, () => {
    for (const room of [8, 66, 280]) {
      const { rows } = text.wrap([{ text: text.clean(typed), style: "" }], { room, maxRows: 16 });
      ok(rows.length <= 16);
      for (const row of rows) ok(widthOf(row) <= room);
    }
  });
}
