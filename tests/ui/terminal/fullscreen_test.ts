import { deepEqual, equal, ok } from "node:assert/strict";
import { Fullscreen, type FullscreenOptions } from "../../../lib/ui/terminal/fullscreen.ts";
import type { TerminalInput } from "../../../lib/ui/terminal/keys.ts";
import { Typesetter, type Widths } from "../../../lib/ui/terminal/rows.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";

const text = new Typesetter({ utf8: true });
const encoder = new TextEncoder();

/** A device on a terminal that takes what it is given only while `isTaking`. */
function rig(rest: Partial<FullscreenOptions> = {}) {
  const clock = new FakeClock();
  const size = { columns: 40, rows: 5 };
  const state = {
    shown: "one",
    frames: 0,
    isTaking: true,
    canStop: true,
    /** A SIGCONT comes while it is stopped, as a shell's fg sends it. */
    stops: 0,
    hangups: 0,
    raw: [] as boolean[],
    inputs: [] as TerminalInput[],
    widths: [] as Widths[],
    background: "",
    name: "",
  };
  let output = "";
  let waiting: (() => void)[] = [];
  let give: ((bytes: Uint8Array | null) => void) | undefined;
  let onResize = () => {};
  let onContinue = () => {};
  const screen = new Fullscreen({
    utf8: true,
    simple: false,
    clock,
    frame: () => {
      state.frames++;
      return { rows: [text.segments(state.shown), [], [], [], []], cursor: { row: 4, column: 0 } };
    },
    onInput: (input) => void state.inputs.push(input),
    onWidths: (widths) => void state.widths.push(widths),
    onBackground: (background) => state.background = background,
    onName: (name) => state.name = name,
    onHangup: () => void state.hangups++,
    tty: {
      read: () => new Promise((resolve) => give = resolve),
      write(text) {
        output += text;
        if (state.isTaking) return Promise.resolve();
        return new Promise<void>((resolve) => waiting.push(resolve));
      },
      setRaw: (raw) => void state.raw.push(raw),
      size: () => size,
      listen: (resized, continued) => [onResize, onContinue] = [resized, continued],
      unlisten: () => {},
      canStop: () => Promise.resolve(state.canStop),
      stop: () => {
        state.stops++;
        return Promise.resolve();
      },
    },
    ...rest,
  });
  return {
    clock,
    screen,
    state,
    size,
    resize: () => onResize(),
    wake: () => onContinue(),
    /** What was written since the last call. */
    written() {
      const text = output;
      output = "";
      return text;
    },
    takeAll() {
      const all = waiting;
      waiting = [];
      all.forEach((resolve) => resolve());
      return settle();
    },
    type(text: string) {
      give!(encoder.encode(text));
      return settle();
    },
    hangUp() {
      give!(null);
      return settle();
    },
    /** @param isAnswering Whether the terminal has answered all that it was asked. */
    async open(isAnswering = true) {
      screen.open();
      await clock.advance(20);
      if (!isAnswering) return;
      give!(encoder.encode("\x1b[?62;22c"));
      await settle();
    },
  };
}

Deno.test("it takes over the terminal, asks it, and paints a frame", async () => {
  const { open, written, state } = rig();
  await open();
  const output = written();
  ok(output.startsWith("\x1b[?1049h"));
  ok(output.indexOf("→\x1b[6n") < output.indexOf("one"));
  deepEqual([state.raw, state.frames], [[true], 1]);
});

Deno.test("closing undoes everything in the reverse order, and reads no more", async () => {
  const { open, written, state, screen, type } = rig();
  await open();
  written();
  await screen.close();
  equal(
    written(),
    "\x1b[m\x1b[?25h\x1b[<u\x1b[?1004l\x1b[?2004l\x1b[?1036;1039r\x1b[?1007r\x1b[?7h\x1b[23;0t\x1b[?1049l",
  );
  deepEqual(state.raw, [true, false]);
  await type("a");
  deepEqual(state.inputs, []);
  await screen.close();
  equal(written(), "");
});

Deno.test("a simple terminal is asked nothing, and cleared at the end", async () => {
  const { open, written, screen } = rig({ simple: true });
  await open();
  const output = written();
  ok(output.startsWith("\x1b[?7l"));
  // deno-lint-ignore no-control-regex
  ok(!/\x1b\]|\x1b\[[>?](?!7l|25[hl])/.test(output), JSON.stringify(output));
  await screen.close();
  equal(written(), "\x1b[m\x1b[?25h\x1b[?7h\x1b[H\x1b[J");
});

Deno.test("what is typed is painted at once, other changes after 16 ms together", async () => {
  const { open, state, type, screen, clock } = rig();
  await open();
  await type("ab\x1b[A");
  deepEqual(state.inputs, [{ type: "text", text: "ab" }, { type: "key", name: "up" }]);
  equal(state.frames, 2);
  for (let i = 0; i < 5; i++) screen.schedule();
  equal(state.frames, 2);
  await clock.advance(16);
  equal(state.frames, 3);
});

Deno.test("while the terminal takes nothing no frame is made, then one", async () => {
  const { open, state, screen, clock, takeAll, type, written } = rig();
  await open();
  state.isTaking = false;
  state.shown = "two";
  screen.schedule();
  await clock.advance(20);
  equal(state.frames, 2);
  for (let i = 0; i < 50; i++) {
    state.shown = `many ${i}`;
    screen.schedule();
    await type("x");
    await clock.advance(20);
  }
  equal(state.frames, 2);
  written();
  state.isTaking = true;
  await takeAll();
  await clock.advance(20);
  equal(state.frames, 3);
  ok(written().includes("many 49"));
});

Deno.test("a frame that was due while the terminal took nothing comes when it does again", async () => {
  const made: string[] = [];
  const { open, screen, state, clock, takeAll } = rig({
    frame: () => {
      made.push(state.shown);
      if (made.length === 2) screen.schedule(); // there will be more to show
      return { rows: [text.segments(state.shown)], cursor: undefined };
    },
  });
  await open();
  state.isTaking = false;
  state.shown = "two";
  screen.schedule();
  await clock.advance(20);
  state.shown = "three";
  await clock.advance(20);
  deepEqual(made, ["one", "two"]);
  state.isTaking = true;
  await takeAll();
  await clock.advance(20);
  deepEqual(made, ["one", "two", "three"]);
});

Deno.test("an equal frame is not written", async () => {
  const { open, written, screen, clock } = rig();
  await open();
  written();
  screen.schedule();
  await clock.advance(20);
  equal(written(), "");
  screen.redraw();
  await clock.advance(20);
  ok(written().includes("one"));
});

Deno.test("a bell goes with the next frame, also if that is equal", async () => {
  const { open, written, screen, clock } = rig();
  await open();
  written();
  screen.send("\x07");
  await clock.advance(20);
  equal(written(), "\x07");
});

Deno.test("after the last of several resizes everything is painted once", async () => {
  const { open, written, resize, clock, state, type } = rig();
  await open();
  written();
  for (let i = 0; i < 9; i++) {
    resize();
    await clock.advance(20);
  }
  await type("a");
  equal(written(), "");
  await clock.advance(40);
  ok(written().includes("\x1b[2J"));
  equal(state.frames, 2);
});

Deno.test("a terminal that takes nothing is left after 0.5 s, in raw mode for the system to end", async () => {
  const { open, state, screen, clock } = rig();
  await open();
  state.isTaking = false;
  let isClosed = false;
  void screen.close().then(() => isClosed = true);
  await clock.advance(499);
  equal(isClosed, false);
  await clock.advance(1);
  equal(isClosed, true);
  deepEqual(state.raw, [true]);
});

Deno.test("answers that are still to come are awaited at the end: the shell would get them", async () => {
  const { open, state, screen, clock, type } = rig();
  await open(false);
  let isClosed = false;
  void screen.close().then(() => isClosed = true);
  await clock.advance(100);
  await type("\x1b[2;2R\x1b]11;rgb:1e/1e/2e\x07");
  deepEqual([isClosed, state.raw], [false, [true]]);
  await type("\x1bP>|XTerm(379)\x1b\\\x1b[?62;22c");
  deepEqual([isClosed, state.raw], [true, [true, false]]);
});

Deno.test("a terminal that does not answer is waited for 0.3 s, and later not at all", async () => {
  const { open, state, screen, clock } = rig();
  await open(false);
  let isClosed = false;
  void screen.close().then(() => isClosed = true);
  await clock.advance(279);
  equal(isClosed, false);
  await clock.advance(1);
  deepEqual([isClosed, state.raw], [true, [true, false]]);
  const late = rig();
  await late.open(false);
  await late.clock.advance(300);
  await late.screen.close();
  deepEqual(late.state.raw, [true, false]);
});

Deno.test("answers tell widths, background and name; the cursor in row 1 tells nothing", async () => {
  const { open, state, type, clock } = rig();
  await open();
  await type("\x1b[1;9R\x1b[2;3R");
  deepEqual(state.widths, []);
  await type("\x1b[2;5R\x1b]11;rgb:ffff/ffff/eeee\x1b\\\x1bP>|XTerm(379)\x1b\\\x1b[2;9R");
  deepEqual(state.widths, [{ ambiguous: 2, joined: false }]);
  deepEqual([state.background, state.name], ["light", "XTerm(379)"]);
  await clock.advance(20);
  await type("\x1b]11;rgb:1e/1e/2e\x07");
  equal(state.background, "dark");
  deepEqual(state.inputs.filter(({ type }) => type !== "key"), []);
});

Deno.test("Ctrl-Z gives the terminal back before it stops, and takes it again behind", async () => {
  const { open, written, state, screen, clock } = rig();
  await open();
  written();
  ok(await screen.stop());
  await clock.advance(20);
  equal(state.stops, 1);
  deepEqual(state.raw, [true, false, true]);
  const output = written();
  ok(output.indexOf("\x1b[?1049l") < output.indexOf("\x1b[?1049h"));
  ok(output.includes("one"));
});

Deno.test("without a shell Ctrl-Z does nothing", async () => {
  const { open, written, state, screen } = rig();
  await open();
  written();
  state.canStop = false;
  equal(await screen.stop(), false);
  deepEqual([written(), state.stops, state.raw], ["", 0, [true]]);
});

Deno.test("after a stop from elsewhere the screen is taken over again, and nothing is saved twice", async () => {
  const { open, written, wake, clock, state } = rig();
  await open();
  written();
  wake();
  await clock.advance(20);
  const output = written();
  ok(output.indexOf("\x1b[?1049l") < output.indexOf("\x1b[?1049h"));
  ok(output.includes("one"));
  deepEqual(state.raw, [true, true]);
});

Deno.test("while the terminal takes nothing it is not taken over: raw mode would wait for ever", async () => {
  const { open, written, wake, clock, state, screen, takeAll } = rig();
  await open();
  state.isTaking = false;
  state.shown = "two";
  screen.schedule();
  await clock.advance(20);
  written();
  wake();
  wake();
  await clock.advance(1000);
  equal(written(), "");
  deepEqual(state.raw, [true]);
  state.isTaking = true;
  await takeAll();
  await clock.advance(20);
  equal(written().split("\x1b[?1049h").length, 2);
  deepEqual(state.raw, [true, true]);
});

Deno.test("lines on the terminal's own screen stay until a key, which types nothing", async () => {
  const { open, written, screen, type, clock, state } = rig();
  await open();
  written();
  const shown = screen.page(["first", "second"]);
  await clock.advance(20);
  ok(written().endsWith("\x1b[?1049lfirst\r\nsecond\r\n"));
  screen.schedule();
  await clock.advance(50);
  equal(written(), "");
  await type("\r");
  await shown;
  await clock.advance(20);
  ok(written().includes("one"));
  deepEqual(state.inputs, []);
});

Deno.test("closing while lines are shown leaves them alone", async () => {
  const { open, written, screen, clock, state } = rig();
  await open();
  const shown = screen.page(["first"]);
  await clock.advance(20);
  written();
  await screen.close();
  await shown;
  equal(written(), "");
  deepEqual(state.raw, [true, false]);
});

Deno.test("the end of the input is a hang-up, told once", async () => {
  const { open, hangUp, state, screen } = rig();
  await open();
  await hangUp();
  equal(state.hangups, 1);
  await screen.close();
  equal(state.hangups, 1);
});
