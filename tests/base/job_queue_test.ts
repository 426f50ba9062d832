import assert from "node:assert/strict";
import { Line } from "../../lib/base/job_queue.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

/** A line, and jobs that say when they begin and end when they are told to. */
function makeLine(limits: { atOnce: number; perSecond: number }) {
  const clock = new FakeClock();
  const line = new Line(clock, limits);
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const add = (n: number) =>
    line.add(() => {
      begun.push(n);
      return new Promise((resolve) => ends[n] = resolve);
    });
  return { clock, line, begun, ends, add };
}

Deno.test("Line runs so many jobs at once, the others in order as places become free", async () => {
  const { line, begun, ends, add } = makeLine({ atOnce: 4, perSecond: 100 });
  for (let n = 0; n < 7; n++) add(n);
  assert.deepEqual(begun, [0, 1, 2, 3]);
  assert.equal(line.waiting, 3);
  ends[2]!();
  await settle();
  assert.deepEqual(begun, [0, 1, 2, 3, 4]);
  ends[0]!();
  ends[4]!();
  await settle();
  assert.deepEqual(begun, [0, 1, 2, 3, 4, 5, 6]);
  assert.equal(line.waiting, 0);
});

Deno.test("Line begins so many jobs within any second", async () => {
  const { clock, line, begun, ends, add } = makeLine({ atOnce: 100, perSecond: 20 });
  for (let n = 0; n < 10; n++) add(n);
  await clock.advance(500);
  for (let n = 10; n < 45; n++) add(n);
  assert.equal(begun.length, 20);
  await clock.advance(499);
  assert.equal(begun.length, 20);
  await clock.advance(1); // a second after the first ten
  assert.equal(begun.length, 30);
  await clock.advance(500);
  assert.equal(begun.length, 40);
  await clock.advance(500);
  assert.deepEqual(begun, Array.from({ length: 45 }, (_, n) => n));
  assert.equal(line.waiting, 0);
  for (const end of ends) end();
  await settle();
  assert.equal(clock.timers, 0);
});

Deno.test("Line gives a free place to the next job even after one that failed by our mistake", async () => {
  const { begun, add, line } = makeLine({ atOnce: 1, perSecond: 10 });
  let failure: unknown;
  const listener = (event: PromiseRejectionEvent) => {
    failure = event.reason;
    event.preventDefault();
  };
  globalThis.addEventListener("unhandledrejection", listener);
  line.add(() => Promise.reject(new TypeError("ours")));
  add(1);
  await settle();
  globalThis.removeEventListener("unhandledrejection", listener);
  assert.deepEqual(begun, [1]);
  assert.ok(failure instanceof TypeError);
});
