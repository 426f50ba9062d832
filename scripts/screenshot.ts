/**
 * Draws docs/chat-dark.svg and docs/chat-light.svg from the .ansi files beside them, the screen of a chat as tmux has
 * captured it. The same capture always gives the same bytes.
 *
 * `deno run -A scripts/screenshot.ts --record` first makes new captures: the real client in tmux, with people who
 * really talk to it (port 40623 must be free).
 *
 * @module
 */

import { columns, graphemes } from "../lib/base/text.ts";
import { Chats, enter } from "../tests/support/chats.ts";

/** The style of characters. */
interface Look {
  bold: boolean;
  dim: boolean;
  underlined: boolean;
  /** The colours are swapped. */
  reversed: boolean;
  /** The colour of the text; undefined for the terminal's own. */
  color: string | undefined;
  /** The colour behind it; undefined for the terminal's own. */
  background: string | undefined;
}

/** The terminal's own colours. */
interface Palette {
  readonly foreground: string;
  readonly background: string;
}

/** Characters of one style, and where they begin. */
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
const PALETTES = {
  dark: { foreground: "#d6d9e0", background: "#16181d" },
  light: { foreground: "#24292f", background: "#fcfcfa" },
} as const;
export type Theme = keyof typeof PALETTES;
const CURSOR = "‸";
const PLAIN: Look = {
  bold: false,
  dim: false,
  underlined: false,
  reversed: false,
  color: undefined,
  background: undefined,
};
/** The first 16 colours of many terminals. */
const COLORS_16 = [
  ...["#000000", "#cd3131", "#0dbc79", "#e5e510", "#2472c8", "#bc3fbc", "#11a8cd", "#e5e5e5"],
  ...["#666666", "#f14c4c", "#23d18b", "#f5f543", "#3b8eea", "#d670d6", "#29b8db", "#ffffff"],
];
const LEVELS = [0, 95, 135, 175, 215, 255];

const ROOT = new URL("../", import.meta.url);

/**
 * Draws a screen as SVG.
 *
 * @param capture Rows with SGR sequences, and `‸` where the cursor is.
 * @param width Columns.
 */
export function drawScreen(capture: string, width: number, theme: Theme = "dark"): string {
  const palette = PALETTES[theme];
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
    `<rect width="100%" height="100%" rx="8" fill="${palette.background}"/>`,
    ...rows.flatMap((row, i) => drawRow(row, MARGIN + i * CELL_HEIGHT, palette)),
    "</svg>",
    "",
  ].join("\n");
}

function drawRow(runs: readonly Run[], top: number, palette: Palette): string[] {
  const drawn: string[] = [];
  for (const run of runs) {
    const { color, behind } = colorsOf(run.look, palette);
    if (behind !== undefined) {
      const x = number(MARGIN + run.column * CELL_WIDTH);
      const size = `width="${number(run.width * CELL_WIDTH)}" height="${CELL_HEIGHT}"`;
      drawn.push(`<rect x="${x}" y="${number(top)}" ${size} fill="${behind}"/>`);
    }
    const text = run.text.trim();
    const x = number(MARGIN + (run.column + run.text.search(/\S|$/)) * CELL_WIDTH);
    if (text === CURSOR) {
      const size = `width="${CELL_WIDTH}" height="${CELL_HEIGHT}"`;
      drawn.push(`<rect x="${x}" y="${number(top)}" ${size} fill="${palette.foreground}"/>`);
    } else if (text !== "") {
      const width = run.width - (run.text.length - text.length);
      const { look } = run;
      const attributes = [
        `x="${x}" y="${number(top + FONT_SIZE)}"`,
        // Every piece has the width of its columns in any font.
        `textLength="${number(width * CELL_WIDTH)}" lengthAdjust="spacingAndGlyphs"`,
        `fill="${color}"`,
        ...(look.bold ? ['font-weight="bold"'] : []),
        ...(look.dim ? ['opacity="0.6"'] : []),
        ...(look.underlined ? ['text-decoration="underline"'] : []),
        'xml:space="preserve"',
      ];
      drawn.push(`<text ${attributes.join(" ")}>${escapeXml(text)}</text>`);
    }
  }
  return drawn;
}

/** What is behind a text is undefined where it is the picture itself. */
function colorsOf(
  { color, background, reversed }: Look,
  palette: Palette,
): { color: string; behind: string | undefined } {
  if (!reversed) return { color: color ?? palette.foreground, behind: background };
  return { color: background ?? palette.background, behind: color ?? palette.foreground };
}

/** Splits rows into pieces of one style, which continues from row to row. */
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

/** Adds the pieces of a text; the cursor and every wide character are pieces of their own. */
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
    else if (code === 4) next.underlined = true;
    else if (code === 7) next.reversed = true;
    else if (code === 22) next.bold = next.dim = false;
    else if (code === 24) next.underlined = false;
    else if (code === 27) next.reversed = false;
    else if (code >= 30 && code <= 37) next.color = COLORS_16[code - 30]!;
    else if (code >= 90 && code <= 97) next.color = COLORS_16[code - 82]!;
    else if (code === 39) next.color = undefined;
    else if (code === 49) next.background = undefined;
    else if ((code === 38 || code === 48) && numbers[i + 1] === 5) {
      next[code === 38 ? "color" : "background"] = colorOf(numbers[i + 2]!);
      i += 2;
    } else throw new TypeError(`Cannot draw the look ${codes}`);
  }
  return next;
}

/** One of xterm's 256 colours. */
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

export const COLUMNS = 110;
const ROWS = 27;
const PORT = 40623;

/** Plays a chat in tmux and captures the screen of the client that serves it. */
async function record(theme: Theme): Promise<string> {
  await using chats = await Chats.open();
  const { world } = chats;
  await world.home("anna", { file: "server.pem" });
  const anna = await chats.start("anna", {
    isFull: true,
    columns: COLUMNS,
    rows: ROWS,
    settings: { theme },
    serving: PORT,
    env: { NO_COLOR: "", COLORTERM: "truecolor" },
  });
  const said = (text: string) =>
    anna.waitFor((rows) => rows.slice(0, -1).some((row) => row.includes(text)), text);
  await said("you are in lobby");

  const bob = await world.client("bob", { port: PORT });
  await bob.waitFor("joined");
  await enter(anna, "/topic Stand-up at ten · the release goes out on Friday");
  await said("Stand-up");
  await enter(anna, "/verify bob");
  await said("if not, ");
  await enter(anna, "/verify bob yes");
  await said("is now verified");
  await enter(anna, "/clear");
  const carl = await world.client("carl", { port: PORT });
  await carl.waitFor("joined", { nick: "anna" });
  await said("carl has joined");
  await bob.chat("Morning! Did you see the build?");
  await said("Did you see");
  await carl.chat(
    "It is green again. It was the clock of the second machine, which went 40 seconds wrong every " +
      "night: https://build.example.lan/jobs/4711",
  );
  await said("4711");
  await bob.waitFor("chat");
  await bob.command("/react 👍");
  await said("👍");
  await carl.chat("anna, could you look at the release notes before ten?");
  await said("release notes");
  await anna.press("M-r", "Enter");
  await said("Esc drops");
  await enter(anna, "Already on it, two lines are missing.");
  await said("two lines are missing. ✓");
  const room = await world.client("dora", { port: PORT, args: ["--room", "build"] });
  await enter(anna, "/join build");
  await said("you are in build");
  await anna.press("M-1");
  await room.chat("tagged");
  await bob.say({ type: "private", to: "anna", text: "lunch at one? 🍜" });
  await said("!1");
  await bob.command("/away at lunch");
  await said("is away");
  carl.signal("SIGSTOP");
  await enter(anna, "Reading it now, thank you.");
  await said("1/2");
  await anna.type("see you ");
  await anna.waitFor((rows) => rows.at(-1)!.startsWith("lobby › see you"), "the line");
  carl.signal("SIGCONT");
  const rows = await anna.coloredScreen();
  rows.push(`${rows.pop()} ${CURSOR}`);
  return rows.join("\n") + "\n";
}

if (import.meta.main) {
  for (const theme of ["dark", "light"] as const) {
    const capture = new URL(`docs/chat-${theme}.ansi`, ROOT);
    if (Deno.args.includes("--record")) await Deno.writeTextFile(capture, await record(theme));
    const picture = drawScreen(await Deno.readTextFile(capture), COLUMNS, theme);
    await Deno.writeTextFile(new URL(`docs/chat-${theme}.svg`, ROOT), picture);
  }
  Deno.exit();
}
