/**
 * Draws docs/chat.svg from docs/chat.ansi, the screen of a chat as tmux has captured it, and puts the same screen as
 * text into README.md. The same capture always gives the same bytes.
 *
 * `deno run -A scripts/screenshot.ts --record` first makes a new capture: the real client in tmux, with people who
 * really talk to it (port 40623 must be free).
 *
 * @module
 */

import { columns, graphemes } from "../lib/base/text.ts";
import { Chats, enter, logOf } from "../tests/support/chats.ts";

/** How characters look. */
interface Look {
  bold: boolean;
  dim: boolean;
  /** The colour of the text. */
  color: string;
}

/** Characters of one look, and where they begin. */
interface Run {
  text: string;
  column: number;
  width: number;
  look: Look;
}

const CELL_WIDTH = 8.4;
const CELL_HEIGHT = 18;
const FONT_SIZE = 14;
const MARGIN = 14;
const BACKGROUND = "#16181d";
const FOREGROUND = "#d6d9e0";
const CURSOR = "‸";
const PLAIN: Look = { bold: false, dim: false, color: FOREGROUND };
/** The first 16 colours, as many terminals have them. */
const COLORS_16 = [
  ...["#000000", "#cd3131", "#0dbc79", "#e5e510", "#2472c8", "#bc3fbc", "#11a8cd", "#e5e5e5"],
  ...["#666666", "#f14c4c", "#23d18b", "#f5f543", "#3b8eea", "#d670d6", "#29b8db", "#ffffff"],
];
const LEVELS = [0, 95, 135, 175, 215, 255];

const ROOT = new URL("../", import.meta.url);
const CAPTURE = new URL("docs/chat.ansi", ROOT);
const PICTURE = new URL("docs/chat.svg", ROOT);
const README = new URL("README.md", ROOT);
/** The block of README.md that the screen goes into. */
const README_BLOCK =
  /(<!-- scripts\/screenshot\.ts writes this block -->\n\n```text\n)[^]*?(```\n)/;

/**
 * Draws a screen as SVG.
 *
 * @param capture Rows with SGR sequences, and `‸` where the cursor is.
 * @param width Columns.
 */
export function drawScreen(capture: string, width: number): string {
  const rows = splitScreen(capture);
  const size = {
    width: Math.ceil(width * CELL_WIDTH + 2 * MARGIN),
    height: rows.length * CELL_HEIGHT + 2 * MARGIN,
  };
  const font =
    `font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace" font-size="${FONT_SIZE}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${size.height}" ` +
    `viewBox="0 0 ${size.width} ${size.height}" ${font}>`,
    `<title>A chat on a terminal</title>`,
    `<rect width="100%" height="100%" rx="8" fill="${BACKGROUND}"/>`,
    ...rows.flatMap((row, i) => drawRow(row, MARGIN + i * CELL_HEIGHT)),
    "</svg>",
    "",
  ].join("\n");
}

/** The screen as plain text. */
export function plainScreen(capture: string): string {
  return splitScreen(capture)
    .map((runs) => runs.map(({ text }) => text).join("").replace(CURSOR, "").trimEnd())
    .join("\n") + "\n";
}

function drawRow(runs: readonly Run[], top: number): string[] {
  const drawn: string[] = [];
  for (const run of runs) {
    const text = run.text.trim();
    const x = number(MARGIN + (run.column + run.text.search(/\S|$/)) * CELL_WIDTH);
    if (text === CURSOR) {
      const size = `width="${CELL_WIDTH}" height="${CELL_HEIGHT}"`;
      drawn.push(`<rect x="${x}" y="${number(top)}" ${size} fill="${FOREGROUND}"/>`);
    } else if (text !== "") {
      const width = run.width - (run.text.length - text.length);
      const { look } = run;
      const attributes = [
        `x="${x}" y="${number(top + FONT_SIZE)}"`,
        // Whatever font there is, every piece has its columns.
        `textLength="${number(width * CELL_WIDTH)}" lengthAdjust="spacingAndGlyphs"`,
        `fill="${look.color}"`,
        ...(look.bold ? ['font-weight="bold"'] : []),
        ...(look.dim ? ['opacity="0.6"'] : []),
        'xml:space="preserve"',
      ];
      drawn.push(`<text ${attributes.join(" ")}>${escapeXml(text)}</text>`);
    }
  }
  return drawn;
}

/** Splits rows into pieces of one look, which goes on from row to row. */
function splitScreen(capture: string): Run[][] {
  let look = PLAIN;
  return capture.trimEnd().split("\n").map((row) => {
    const runs: Run[] = [];
    // deno-lint-ignore no-control-regex
    for (const [, codes, text] of row.matchAll(/\x1b\[([\d;]*)m|([^\x1b]+)/g)) {
      if (text === undefined) look = applyCodes(look, codes!);
      else splitText(text, look, runs);
    }
    return runs;
  });
}

/** Adds pieces to those before; the cursor is one, and so is everything wide. */
function splitText(text: string, look: Look, runs: Run[]): void {
  const before = runs.at(-1);
  let column = before === undefined ? 0 : before.column + before.width;
  let run: Run | undefined;
  for (const cluster of graphemes(text)) {
    const width = cluster === CURSOR ? 0 : columns(cluster);
    if (run === undefined || width !== 1 || run.text === CURSOR || run.width > run.text.length) {
      run = { text: "", column, width: 0, look };
      runs.push(run);
    }
    run.text += cluster;
    run.width += width;
    column += width;
  }
}

function applyCodes(look: Look, codes: string): Look {
  const next = { ...look };
  const numbers = codes.split(";").map(Number);
  for (let i = 0; i < numbers.length; i++) {
    const code = numbers[i]!;
    if (code === 0) Object.assign(next, PLAIN);
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 22) next.bold = next.dim = false;
    else if (code >= 30 && code <= 37) next.color = COLORS_16[code - 30]!;
    else if (code >= 90 && code <= 97) next.color = COLORS_16[code - 82]!;
    else if (code === 39) next.color = FOREGROUND;
    else if (code === 38 && numbers[i + 1] === 5) {
      next.color = colorOf(numbers[i + 2]!);
      i += 2;
    } else if (code !== 49) throw new TypeError(`Cannot draw the look ${codes}`);
  }
  return next;
}

/** One of 256 colours, as xterm numbers them. */
function colorOf(index: number): string {
  if (index < 16) return COLORS_16[index]!;
  const parts = index >= 232
    ? new Array<number>(3).fill(8 + (index - 232) * 10)
    : [36, 6, 1].map((unit) => LEVELS[Math.floor((index - 16) / unit) % 6]!);
  return `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

function number(value: number): string {
  return String(Math.round(value * 100) / 100);
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

const COLUMNS = 80;
const ROWS = 27;
const PORT = 40623;

/** Plays a chat in tmux and captures the screen of the one who serves it. */
async function record(): Promise<string> {
  await using chats = await Chats.open();
  const { world } = chats;
  await world.home("anna", { file: "server.pem" });
  const anna = await chats.start("anna", {
    columns: COLUMNS,
    rows: ROWS,
    settings: {},
    serving: PORT,
    env: { NO_COLOR: "" },
  });
  await anna.waitFor((rows) => rows.at(-1) === "anna> ‸", "anna in the room");
  const said = (text: string) =>
    anna.waitFor((rows) => logOf(rows).some((row) => row.includes(text)), text);

  const bob = await world.client("bob", { port: PORT });
  await bob.waitFor("joined");
  await bob.chat("hello anna 👋");
  await said("hello anna");
  await enter(anna, "hi bob! who is who? let us compare");
  await said("let us compare");
  await enter(anna, "/verify bob");
  await said("if not: ");
  await enter(anna, "/verify bob yes");
  await said("is verified");
  const carl = await world.client("carl", { port: PORT });
  await carl.waitFor("joined", { nick: "anna" });
  await carl.chat(
    "Anna, the build is green again. It was the clock of the second machine, which went 40 " +
      "seconds wrong every night",
  );
  await said("every night");
  await bob.say({ type: "private", to: "anna", text: "lunch at one? 🍜" });
  await said("lunch");
  await enter(anna, "/reply gladly");
  await said("gladly");
  await bob.command("/away at lunch");
  await said("is away");
  carl.signal("SIGSTOP");
  await enter(anna, "/me is off too");
  await said("not yet received");
  await anna.type("see you");
  await anna.waitFor((rows) => rows.at(-1) === "anna> see you‸", "the line");
  carl.signal("SIGCONT");
  const rows = await anna.coloredScreen();
  rows.push(rows.pop() + CURSOR);
  return rows.join("\n") + "\n";
}

if (import.meta.main) {
  if (Deno.args.includes("--record")) await Deno.writeTextFile(CAPTURE, await record());
  const capture = await Deno.readTextFile(CAPTURE);
  await Deno.writeTextFile(PICTURE, drawScreen(capture, COLUMNS));
  const readme = await Deno.readTextFile(README);
  if (!README_BLOCK.test(readme)) throw new Error("README.md has no place for the screen");
  const text = (_: string, start: string, end: string) => start + plainScreen(capture) + end;
  await Deno.writeTextFile(README, readme.replace(README_BLOCK, text));
  Deno.exit();
}
