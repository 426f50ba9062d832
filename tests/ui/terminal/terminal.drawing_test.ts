import assert from "node:assert/strict";
import { Terminal } from "../../../lib/ui/terminal/terminal.ts";
import type { Tty } from "../../../lib/ui/terminal/tty.ts";
import { FakeClock } from "../../support/fake_clock.ts";

/** A terminal whose device records each write. */
function openTerminal() {
  const clock = new FakeClock();
  const writes: string[] = [];
  const raw: boolean[] = [];
  let resize = () => {};
  let held: Promise<void> | undefined;
  let columns = 80;
  let ready = 0;
  const tty: Tty = {
    read: () => new Promise(() => {}),
    write(text) {
      writes.push(text);
      return held;
    },
    setRaw: (isRaw) => raw.push(isRaw),
    size: () => ({ columns, rows: 24 }),
    listen: (onResize) => resize = onResize,
    unlisten() {},
    canStop: () => Promise.resolve(false),
    stop: () => Promise.resolve(),
  };
  const terminal = new Terminal({
    tty,
    clock,
    prompt: "me> ",
    color: "none",
    utf8: true,
    simple: false,
    maxBytes: 100,
    complete: (_line, cursor) => ({ start: cursor, end: cursor, candidates: [] }),
    onLine() {},
    onInterrupt() {},
    onEnd() {},
    onHangup() {},
    onReady: () => ready++,
  });
  terminal.open();
  /** From here on no write is finished until the returned function is called. */
  const hold = () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    held = promise;
    return () => {
      held = undefined;
      resolve();
    };
  };
  return {
    clock,
    terminal,
    raw,
    hold,
    take: () => writes.splice(0),
    resize(width = columns) {
      columns = width;
      resize();
    },
    ready: () => ready,
  };
}

Deno.test("Terminal draws rows that come within 16 ms in one write", async () => {
  const { clock, terminal, take } = openTerminal();
  await clock.advance(16);
  take();
  terminal.print(["one"]);
  await clock.advance(0); // at once after a pause
  assert.match(take().join(), /one/);
  terminal.print(["two"]);
  await clock.advance(8);
  terminal.print(["three"]);
  await clock.advance(7);
  assert.deepEqual(take(), []);
  await clock.advance(1);
  const writes = take();
  assert.equal(writes.length, 1);
  assert.match(writes[0]!, /two[^]*three/);
  await terminal.close();
});

Deno.test("Terminal draws nothing until 300 ms after the last resize", async () => {
  const { clock, terminal, take, resize } = openTerminal();
  await clock.advance(16);
  take();
  resize();
  await clock.advance(250);
  resize();
  terminal.print(["row"]);
  await clock.advance(299);
  assert.deepEqual(take(), []);
  await clock.advance(1);
  assert.match(take().join(), /row/);
  await terminal.close();
  assert.equal(clock.timers, 0);
});

Deno.test("Terminal draws nothing while the device takes nothing, and leaves rows out", async () => {
  const { clock, terminal, take, hold } = openTerminal();
  await clock.advance(16);
  const release = hold();
  terminal.print(["first"]);
  await clock.advance(16);
  take();
  for (let i = 0; i < 1500; i++) terminal.print([`row ${i}`]);
  await clock.advance(1000);
  assert.deepEqual(take(), []);
  release();
  await clock.advance(16);
  const text = take().join();
  assert.match(text, /row 999[^]*… 500 lines left out/);
  assert.doesNotMatch(text, /row 1000/);
  await terminal.close();
});

Deno.test("Terminal is busy until the device has taken what was printed", async () => {
  const { clock, terminal, hold, ready } = openTerminal();
  await clock.advance(16);
  assert.ok(!terminal.isBusy);
  const release = hold();
  terminal.print(["first"]);
  assert.ok(!terminal.isBusy);
  await clock.advance(0);
  assert.ok(terminal.isBusy);
  const before = ready();
  release();
  await clock.advance(0);
  assert.ok(!terminal.isBusy);
  assert.equal(ready(), before + 1);
  await terminal.close();
});

Deno.test("Terminal is busy with many rows to draw, which are laid out when they are printed", async () => {
  const { clock, terminal, take, resize } = openTerminal();
  await clock.advance(16);
  take();
  const widths: number[] = [];
  terminal.print((columns) => {
    widths.push(columns);
    return Array.from({ length: 100 }, (_, i) => `row ${i}`);
  });
  assert.ok(terminal.isBusy);
  assert.deepEqual(widths, [80]);
  resize(60); // before they are drawn
  await clock.advance(300);
  assert.deepEqual(widths, [80, 60]);
  assert.match(take().join(), /row 99/);
  assert.ok(!terminal.isBusy);
  await terminal.close();
});

Deno.test("Terminal.close() leaves a device that takes nothing to the system", async () => {
  const { clock, terminal, hold, raw } = openTerminal();
  await clock.advance(16);
  hold();
  terminal.print(["never shown"]);
  const closing = terminal.close();
  await clock.advance(1000);
  await closing;
  assert.deepEqual(raw, [true]);
  assert.equal(clock.timers, 0);
});
