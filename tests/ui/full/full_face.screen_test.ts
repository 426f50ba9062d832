/** On a real terminal: after whatever happens, the screen is what painting everything from nothing gives. */
import { deepEqual } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { poll } from "../../support/program.ts";
import { Tmux, tmuxMissing } from "../../support/tmux.ts";

const missing = Deno.build.os === "windows" ? "no tmux on Windows" : await tmuxMissing();
if (missing !== undefined) console.log(`full_face.screen_test.ts: skipped, ${missing}`);

const DEMO = fileURLToPath(new URL("../../support/full_demo.ts", import.meta.url));
const FLAGS = ["run", "--no-prompt", "--allow-env", "--allow-run=kill,ps"];
const COMMAND = [Deno.execPath(), ...FLAGS, DEMO, "chat", "told"];

/** Waits until the terminal has taken a frame: the title behind it tells what it shows. */
async function titled(tmux: Tmux, pattern: RegExp): Promise<void> {
  let title = "";
  await poll(async () => {
    title = await tmux.query("#{pane_title}");
    return pattern.test(title);
  }, () => `${pattern}, but ${title}`);
}

/** Paints from nothing onto a blank screen, and compares. */
async function expectRepaint(tmux: Tmux, what: string): Promise<void> {
  const before = looksOf(await tmux.coloredScreen());
  await tmux.press("-R"); // tmux forgets what is on the screen
  await tmux.waitFor((rows) => rows.length <= 1, `a blank screen: ${what}`);
  const repaints = Number(/\d+$/.exec(await tmux.query("#{pane_title}")));
  await tmux.press("C-l");
  await titled(tmux, new RegExp(` ${repaints + 1}$`));
  const after = looksOf(await tmux.coloredScreen());
  deepEqual([what, ...after], [what, ...before]);
}

/** The characters of a screen with their looks, without blanks at the ends of rows. */
function looksOf(rows: readonly string[]): string[] {
  let look = new Map<string, string>();
  return rows.map((row) => {
    let cells = "";
    // deno-lint-ignore no-control-regex
    for (const [all, codes] of row.matchAll(/\x1b\[([0-9;]*)m|\x1b\]8;[^\x1b]*\x1b\\|[^]/gu)) {
      if (codes === undefined) {
        if (all.length > 4) continue; // a link
        // Only these can be seen of a blank.
        const seen = [...look.values()].filter((code) =>
          all !== " " || /^(?:4|7|4[0-8].*)$/.test(code)
        );
        const shown = seen.toSorted().join(" ");
        cells += shown === "" ? all : `{${shown}}${all}`;
      } else look = change(look, codes);
    }
    return cells.trimEnd();
  });
}

/** What SGR codes make of a look: by kind, what they last said. */
function change(look: ReadonlyMap<string, string>, codes: string): Map<string, string> {
  const changed = new Map(look);
  for (const [code] of codes.matchAll(/[34]8;5;\d+|\d+/g)) {
    const number = parseInt(code);
    if (number === 0) changed.clear();
    else if (number === 39 || number === 49) changed.delete(String(number - 9));
    else changed.set(number >= 30 && number < 50 ? String(number - number % 10) : code, code);
  }
  return changed;
}

function inTerminal(
  name: string,
  { columns, rows, env }: { columns: number; rows: number; env: Record<string, string> },
  test: (tmux: Tmux) => Promise<void>,
): void {
  Deno.test({
    name,
    ignore: missing !== undefined,
    fn: async () => {
      const tmux = await Tmux.start(COMMAND, { columns, rows, env });
      try {
        await titled(tmux, /^\[\] still/);
        await test(tmux);
      } finally {
        await tmux.close();
      }
    },
  });
}

const UTF8 = { LC_ALL: "C.UTF-8", COLORTERM: "truecolor" };
const C = { LC_ALL: "C" };

for (const [columns, rows] of [[80, 24], [40, 15], [120, 40], [200, 50]] as const) {
  for (const env of [UTF8, C]) {
    inTerminal(
      `${columns}x${rows}, ${env.LC_ALL}: typing, hostile texts, a flood and scrolling leave nothing behind`,
      { columns, rows, env },
      async (tmux) => {
        const line = (text: string) => titled(tmux, new RegExp(`^\\[${text}\\] still`));
        await tmux.type("half a line 日本語");
        await line("half a line 日本語");
        await expectRepaint(tmux, "typing");
        await tmux.press("C-u");
        await tmux.type("/hostile");
        await line("/hostile");
        await tmux.press("Enter");
        await line("");
        await expectRepaint(tmux, "hostile texts");
        await tmux.press("PPage", "PPage", "S-Up");
        await tmux.type("x"); // painted behind them
        await line("x");
        await expectRepaint(tmux, "scrolling");
        await tmux.press("C-u", "Escape");
        // Right behind it another key would be one with Alt.
        await tmux.waitFor((rows) => !rows.at(-2)!.includes("Esc"), "the newest");
        await tmux.type("/flood 300");
        await line("/flood 300");
        await tmux.press("Enter");
        await tmux.type("typed in the flood");
        await line("typed in the flood");
        await expectRepaint(tmux, "a flood");
        await tmux.press("PPage", "S-Up", "NPage", "M-r");
        await tmux.waitFor((rows) => rows.at(-2)!.includes("Enter answers"), "a choice");
        await expectRepaint(tmux, "a choice");
      },
    );
  }
}

inTerminal(
  "any size, and back: the screen is what it was",
  { columns: 80, rows: 24, env: UTF8 },
  async (tmux) => {
    const before = looksOf(await tmux.coloredScreen());
    for (
      const [columns, rows] of [[300, 100], [20, 5], [1, 1], [10, 3], [56, 8], [3, 2]] as const
    ) {
      await tmux.resize(columns, rows);
      await titled(tmux, new RegExp(` ${columns}x${rows} `));
      if (columns >= 10) await expectRepaint(tmux, `${columns}x${rows}`);
    }
    await tmux.resize(80, 24);
    await titled(tmux, / 80x24 /);
    deepEqual(looksOf(await tmux.coloredScreen()), before);
  },
);
