import assert from "node:assert/strict";
import { MAX_WAITING_MESSAGES, VIEW_WINDOW_MS, ViewGate } from "../lib/view.ts";
import { FakeClock } from "./support/fake_clock.ts";

/** A view, by a number. */
function view(n: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(32).fill(n);
}

/** A gate, and what it gave out. */
function makeGate(): { clock: FakeClock; gate: ViewGate<string>; shown: string[] } {
  const clock = new FakeClock();
  const shown: string[] = [];
  const gate = new ViewGate<string>(clock, (message, how) => shown.push(`${message} ${how}`));
  gate.change(view(1));
  return { clock, gate, shown };
}

Deno.test("ViewGate gives a message out at once when its view is one's own", () => {
  const { gate, shown } = makeGate();
  gate.add("anna", "a", { view: view(1) });
  assert.deepEqual(shown, ["a same"]);
});

Deno.test("ViewGate accepts a view that was one's own up to 5 s before", async () => {
  for (const age of [0, 1, VIEW_WINDOW_MS - 1, VIEW_WINDOW_MS]) {
    const { clock, gate, shown } = makeGate();
    gate.change(view(2));
    await clock.advance(age);
    gate.add("anna", "a", { view: view(1) });
    assert.deepEqual(shown, ["a same"], `${age} ms`);
  }
  const { clock, gate, shown } = makeGate();
  gate.change(view(2));
  await clock.advance(VIEW_WINDOW_MS + 1);
  gate.add("anna", "a", { view: view(1) });
  assert.deepEqual(shown, []);
  await clock.advance(VIEW_WINDOW_MS);
  assert.deepEqual(shown, ["a differs"]);
});

Deno.test("ViewGate counts the 5 s from when a view ceased to be one's own, not from when it began", async () => {
  const { clock, gate, shown } = makeGate();
  await clock.advance(60_000);
  gate.change(view(2));
  await clock.advance(4000);
  gate.add("anna", "a", { view: view(1) });
  assert.deepEqual(shown, ["a same"]);
});

Deno.test("ViewGate waits 5 s for a view to become one's own", async () => {
  for (const delay of [1, 2500, VIEW_WINDOW_MS - 1]) {
    const { clock, gate, shown } = makeGate();
    gate.add("anna", "a", { view: view(2) });
    await clock.advance(delay);
    assert.deepEqual(shown, []);
    gate.change(view(2));
    assert.deepEqual(shown, ["a same"], `${delay} ms`);
  }
  const { clock, gate, shown } = makeGate();
  gate.add("anna", "a", { view: view(2) });
  await clock.advance(VIEW_WINDOW_MS - 1);
  assert.deepEqual(shown, []);
  await clock.advance(1);
  assert.deepEqual(shown, ["a differs"]);
  gate.change(view(2));
  assert.deepEqual(shown, ["a differs"]);
});

Deno.test("ViewGate accepts a view that was one's own for a moment only, while the message waited", async () => {
  const { clock, gate, shown } = makeGate();
  gate.add("anna", "a", { view: view(3) });
  await clock.advance(1000);
  gate.change(view(2));
  gate.change(view(3));
  gate.change(view(4));
  assert.deepEqual(shown, ["a same"]);
});

Deno.test("ViewGate keeps each sender's messages in order, and lets no other sender wait", async () => {
  const { clock, gate, shown } = makeGate();
  gate.add("anna", "a1", { view: view(9) });
  gate.add("anna", "a2", { view: view(1) });
  gate.add("anna", "a3", { view: view(9) });
  gate.add("bert", "b1", { view: view(1) });
  assert.deepEqual(shown, ["b1 same"]);
  await clock.advance(VIEW_WINDOW_MS);
  assert.deepEqual(shown, ["b1 same", "a1 differs", "a2 same", "a3 differs"]);
});

Deno.test("ViewGate decides each message 5 s after its own receipt", async () => {
  const { clock, gate, shown } = makeGate();
  gate.add("anna", "a1", { view: view(9) });
  await clock.advance(3000);
  gate.add("anna", "a2", { view: view(8) });
  await clock.advance(2000);
  assert.deepEqual(shown, ["a1 differs"]);
  await clock.advance(2999);
  assert.equal(shown.length, 1);
  await clock.advance(1);
  assert.deepEqual(shown, ["a1 differs", "a2 differs"]);
});

Deno.test("ViewGate gives out what it can when the first of a queue is decided", async () => {
  const { clock, gate, shown } = makeGate();
  gate.add("anna", "a1", { view: view(2) });
  gate.add("anna", "a2", { view: view(3) });
  gate.add("anna", "a3", { view: view(1) });
  await clock.advance(1000);
  gate.change(view(3));
  assert.deepEqual(shown, []); // a2 is decided, but a1 is before it
  gate.change(view(2));
  assert.deepEqual(shown, ["a1 same", "a2 same", "a3 same"]);
});

Deno.test("ViewGate compares a private message with the view of the two, at once", () => {
  const { gate, shown } = makeGate();
  gate.add("anna", "a", { view: view(7), own: view(7) });
  gate.add("anna", "b", { view: view(1), own: view(7) });
  gate.add("anna", "c", { view: view(8), own: view(7) });
  assert.deepEqual(shown, ["a same", "b differs", "c differs"]);
});

Deno.test("ViewGate compares a private message with the view of the two also behind one that waits", async () => {
  const { clock, gate, shown } = makeGate();
  gate.add("anna", "a", { view: view(9) });
  gate.add("anna", "b", { view: view(1), own: view(7) }); // the room's view is not that of the two
  gate.add("anna", "c", { view: view(7), own: view(7) });
  await clock.advance(VIEW_WINDOW_MS);
  assert.deepEqual(shown, ["a differs", "b differs", "c same"]);
});

Deno.test("ViewGate.flush() gives out everything, in order, and each message once", async () => {
  const { clock, gate, shown } = makeGate();
  gate.add("anna", "a1", { view: view(9) });
  gate.add("anna", "a2", { view: view(1) });
  gate.flush();
  assert.deepEqual(shown, ["a1 differs", "a2 same"]);
  await clock.advance(60_000);
  assert.equal(shown.length, 2);
});

Deno.test("ViewGate holds 256 messages of one sender, beyond that the oldest are given out as differing", async () => {
  const { clock, gate, shown } = makeGate();
  for (let i = 0; i < MAX_WAITING_MESSAGES; i++) {
    gate.add("mallory", `${i}`, { view: view(2) });
    await clock.advance(1);
  }
  assert.deepEqual(shown, []);
  assert.equal(clock.timers, 1);
  gate.add("mallory", "one more", { view: view(2) });
  assert.deepEqual(shown, ["0 differs"]);
  gate.add("anna", "a", { view: view(1) });
  gate.change(view(2));
  assert.deepEqual(shown.slice(1, 3), ["a same", "1 same"]);
  assert.equal(shown.length, MAX_WAITING_MESSAGES + 2);
  assert.equal(clock.timers, 0);
  // What came at the same moment as the oldest goes with it, and then nothing waits.
  for (let i = 0; i <= MAX_WAITING_MESSAGES; i++) gate.add("mallory", `${i}`, { view: view(3) });
  assert.equal(shown.length, 2 * MAX_WAITING_MESSAGES + 2);
  await clock.advance(VIEW_WINDOW_MS);
  assert.equal(shown.at(-1), `${MAX_WAITING_MESSAGES} differs`);
});
