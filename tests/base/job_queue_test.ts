import assert from "node:assert/strict";
import { JobQueue } from "../../lib/base/job_queue.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

/** A queue, and jobs that record their start and end on command. */
function makeQueue(limits: { atOnce: number; perSecond: number; inOrder?: number }) {
  const clock = new FakeClock();
  const queue = new JobQueue(clock, limits);
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const add = (n: number) =>
    queue.add(() => {
      begun.push(n);
      return new Promise((resolve) => ends[n] = resolve);
    });
  return { clock, queue, begun, ends, add };
}

Deno.test("JobQueue runs jobs up to its concurrency limit, and the rest in order as others end", async () => {
  const { queue, begun, ends, add } = makeQueue({ atOnce: 4, perSecond: 100 });
  for (let n = 0; n < 7; n++) add(n);
  assert.deepEqual(begun, [0, 1, 2, 3]);
  assert.equal(queue.waiting, 3);
  ends[2]!();
  await settle();
  assert.deepEqual(begun, [0, 1, 2, 3, 4]);
  ends[0]!();
  ends[4]!();
  await settle();
  assert.deepEqual(begun, [0, 1, 2, 3, 4, 5, 6]);
  assert.equal(queue.waiting, 0);
});

Deno.test("JobQueue limits how many jobs start within any second", async () => {
  const { clock, queue, begun, ends, add } = makeQueue({ atOnce: 100, perSecond: 20 });
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
  assert.equal(queue.waiting, 0);
  for (const end of ends) end();
  await settle();
  assert.equal(clock.timers, 0);
});

Deno.test("JobQueue starts the newest job while more wait than are served in order", async () => {
  const { begun, ends, add } = makeQueue({ atOnce: 1, perSecond: 100, inOrder: 3 });
  for (let n = 0; n < 6; n++) add(n);
  const endOf = async (n: number) => {
    ends[n]!();
    await settle();
  };
  for (const n of [0, 5, 4]) await endOf(n);
  assert.deepEqual(begun, [0, 5, 4, 1], "three are left, which are in order");
  for (const n of [6, 7]) add(n);
  for (const n of [1, 7, 2]) await endOf(n);
  assert.deepEqual(begun, [0, 5, 4, 1, 7, 2, 3]);
});

Deno.test("JobQueue starts the next job even after one that rejected by our mistake", async () => {
  const { begun, add, queue } = makeQueue({ atOnce: 1, perSecond: 10 });
  let failure: unknown;
  const listener = (event: PromiseRejectionEvent) => {
    failure = event.reason;
    event.preventDefault();
  };
  globalThis.addEventListener("unhandledrejection", listener);
  queue.add(() => Promise.reject(new TypeError("ours")));
  add(1);
  await settle();
  globalThis.removeEventListener("unhandledrejection", listener);
  assert.deepEqual(begun, [1]);
  assert.ok(failure instanceof TypeError);
});
