/** On a real terminal: after whatever happens, the screen is what painting everything from nothing gives. */
import { deepEqual } from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Tmux, tmuxMissing } from "../../support/tmux.ts";

const missing = Deno.build.os === "windows" ? "no tmux on Windows" : await tmuxMissing();
if (missing !== undefined) console.log(`full_face.screen_test.ts: skipped, ${missing}`);

const DEMO = fileURLToPath(new URL("../../support/full_demo.ts", import.meta.url));
const COMMAND = [Deno.execPath(), "run", "--no-prompt", "--allow-env", "--allow-run=kill,ps", DEMO];

/** Paints from nothing onto a blank screen, and compares. */
async function expectRepaint(tmux: Tmux, what: string): Promise<void> {
  const before = await settled(tmux);
  await tmux.press("-R"); // tmux forgets what is on the screen
  await tmux.waitFor((rows) => rows.length <= 1, `a blank screen: ${what}`);
  await tmux.press("C-l");
  await tmux.waitFor((rows) => rows.length > 1 || before.length <= 1, `a screen: ${what}`);
  const after = await settled(tmux);
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

/** The screen with its looks, once it does not change any more. */
async function settled(tmux: Tmux): Promise<string[]> {
  let rows: string[] = [];
  for (let same = 0; same < 3;) {
    await new Promise((resolve) => setTimeout(resolve, 40));
    const next = looksOf(await tmux.coloredScreen());
    same = next.join("\n") === rows.join("\n") ? same + 1 : 0;
    rows = next;
  }
  return rows;
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
      const tmux = await Tmux.start([...COMMAND, "chat"], { columns, rows, env });
      try {
        await tmux.waitFor((rows) => rows.at(-1)!.startsWith("lobby "), "the chat");
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
        const prompt = env === UTF8 ? "lobby ›" : "lobby >";
        const line = (text: string) =>
          tmux.waitFor((rows) => rows.at(-1)!.startsWith(`${prompt}${text}`), `the line ${text}`);
        await tmux.type("half a line 日本語");
        await expectRepaint(tmux, "typing");
        await tmux.press("C-u");
        await line("");
        await tmux.type("/hostile");
        await line(" /hostile‸"); // the empty line before it would pass for the one after it
        await tmux.press("Enter");
        await line(" ‸");
        await expectRepaint(tmux, "hostile texts");
        await tmux.press("PPage", "PPage", "S-Up");
        await expectRepaint(tmux, "scrolling");
        await tmux.press("Escape");
        await tmux.waitFor((rows) => !rows.at(-2)!.includes("Esc"), "the newest");
        await tmux.type("/flood 300");
        await line(" /flood 300‸");
        await tmux.press("Enter");
        await line(" ‸");
        await tmux.type("typed in the flood");
        await tmux.waitFor((rows) => rows.join("\n").includes("the flood is over"), "the end");
        await expectRepaint(tmux, "a flood");
        await tmux.press("PPage", "S-Up", "NPage", "M-r");
        await expectRepaint(tmux, "a choice");
      },
    );
  }
}

inTerminal(
  "any size, and back: the screen is what it was",
  { columns: 80, rows: 24, env: UTF8 },
  async (tmux) => {
    const before = await settled(tmux);
    for (
      const [columns, rows] of [[300, 100], [20, 5], [1, 1], [10, 3], [56, 8], [3, 2]] as const
    ) {
      await tmux.resize(columns, rows);
      if (columns < 10) continue;
      const isPainted = (shown: string[]) =>
        shown.at(-1)!.startsWith("lobby ›") && shown.length > rows - 2;
      await tmux.waitFor(isPainted, `${columns}x${rows}`);
      await expectRepaint(tmux, `${columns}x${rows}`);
    }
    await tmux.resize(80, 24);
    await tmux.waitFor((rows) => rows.length > 20 && rows[0]!.includes("verified"), "80x24");
    deepEqual(await settled(tmux), before);
  },
);
