/**
 * In graphical terminals: after whatever happens, the screen is to the pixel what painting it from nothing gives.
 *
 * Only with `HEARTH_LONG_TESTS=1`, and where Xvfb, xdotool, xwd and a terminal are installed.
 */
import { fileURLToPath } from "node:url";
import {
  differences,
  TERMINAL_NAMES,
  XTerminal,
  xTerminalMissing,
} from "../../support/x_terminal.ts";

const DEMO = fileURLToPath(new URL("../../support/full_demo.ts", import.meta.url));
const COMMAND = [
  Deno.execPath(),
  "run",
  "--no-prompt",
  "--allow-env",
  "--allow-run=kill,ps",
  DEMO,
  "chat",
  "told",
];

/** What is done before each comparison. */
const STEPS: readonly (readonly [what: string, act: (terminal: XTerminal) => Promise<void>])[] = [
  ["hostile texts", async (terminal) => {
    await enter(terminal, "/hostile");
  }],
  ["scrolling", (terminal) => terminal.press("Prior", "Prior", "shift+Up", "shift+Up", "Next")],
  ["a flood while somebody types", async (terminal) => {
    await terminal.press("Escape");
    await enter(terminal, "/flood 400");
    await terminal.type("typed in the flood");
    await terminal.titled("[typed in the flood] still");
    await terminal.press("ctrl+u");
  }],
  ["scrolling behind it", (terminal) => terminal.press("Prior", "shift+Up", "Next", "Prior")],
];

for (const name of TERMINAL_NAMES) {
  const missing = Deno.env.get("HEARTH_LONG_TESTS") === "1"
    ? await xTerminalMissing(name)
    : "HEARTH_LONG_TESTS is not 1";
  if (missing !== undefined) console.log(`full_face.pixels_test.ts: ${name} skipped, ${missing}`);
  Deno.test({
    name: `${name}: the screen is what painting it from nothing gives`,
    ignore: missing !== undefined,
    fn: async () => {
      await using terminal = await XTerminal.open(name, COMMAND, "[] still");
      for (const [what, act] of STEPS) {
        await act(terminal);
        await expectRepaint(terminal, `${name}, ${what}`);
      }
    },
  });
}

/** What is typed next waits until the line was taken: read together, two lines would be a paste. */
async function enter(terminal: XTerminal, line: string): Promise<void> {
  await terminal.type(line);
  await terminal.press("Return");
  await terminal.titled("[] ");
}

/** A title tells when everything before it was painted: only the terminal's own drawing is still to be awaited. */
async function expectRepaint(terminal: XTerminal, what: string): Promise<void> {
  await terminal.type("x");
  await terminal.titled("[x] still");
  const before = await terminal.settled();
  await terminal.press("BackSpace");
  await terminal.titled("[] still");
  await terminal.press("ctrl+l");
  await terminal.type("x");
  await terminal.titled("[x] still");
  const after = await terminal.settled();
  const count = differences(before, after);
  if (count > 0) throw new Error(`${what}: ${count} pixels differ`);
  await terminal.press("BackSpace");
  await terminal.titled("[] still");
}
