import assert from "node:assert/strict";
import type { SessionEvent } from "../../lib/session/events.ts";
import {
  EventQueue,
  MAX_QUEUED_EVENTS,
  MAX_QUEUED_UNITS,
  MAX_WAIT_MS,
  SLICE_MS,
} from "../../lib/ui/event_queue.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** A queue whose events take a millisecond each to show. */
function openQueue() {
  const clock = new FakeClock();
  let took = 0;
  let isBusy = false;
  const now = clock.now.bind(clock);
  const shown: string[] = [];
  const queue = new EventQueue({
    clock: {
      now: () => now() + took,
      wallTime: () => clock.wallTime(),
      after: (delay, action) => clock.after(delay, action),
      cancel: (timer) => clock.cancel(timer),
    },
    isBusy: () => isBusy,
    show(event) {
      took++;
      shown.push(event.event === "chat" ? event.text : event.event);
    },
  });
  const hold = (busy: boolean) => {
    isBusy = busy;
    queue.resume();
  };
  return { clock, queue, shown, hold };
}

const say = (who: string, text: string): SessionEvent => ({
  event: "chat",
  id: "0",
  nick: who,
  fingerprint: who,
  sent: "",
  private: false,
  action: false,
  late: false,
  view: "same",
  text,
});

Deno.test("EventQueue shows events at once while there is time", () => {
  const { queue, shown } = openQueue();
  queue.push(say("a", "1"));
  queue.push(say("b", "2"));
  assert.deepEqual(shown, ["1", "2"]);
});

Deno.test("EventQueue shows a flood in slices, everybody in turn, each in order", async () => {
  const { clock, queue, shown } = openQueue();
  for (let i = 0; i < 100; i++) queue.push(say("a", `a${i}`));
  assert.equal(shown.length, SLICE_MS);
  queue.push(say("b", "b0"));
  queue.push({ event: "left", nick: "b", fingerprint: "b", why: "left" });
  await clock.advance(0);
  assert.deepEqual(shown.slice(SLICE_MS, SLICE_MS + 4), ["a8", "b0", "a9", "left"]);
  for (let i = 0; i < 20; i++) await clock.advance(0);
  assert.deepEqual(
    shown.filter((text) => text.startsWith("a")),
    Array.from({ length: 100 }, (_, i) => `a${i}`),
  );
  assert.equal(queue.length, 0);
});

Deno.test("EventQueue mixes nothing up across changes of the connection", () => {
  const { queue, shown } = openQueue();
  for (let i = 0; i < SLICE_MS + 2; i++) queue.push(say("a", `${i}`));
  queue.push({ event: "disconnected", reason: "cut" });
  queue.push(say("b", "after"));
  queue.flush();
  assert.deepEqual(shown.slice(-4), ["8", "9", "disconnected", "after"]);
});

Deno.test("EventQueue keeps a bounded number of events", () => {
  const { queue, shown } = openQueue();
  for (let i = 0; i < 3 * MAX_QUEUED_EVENTS; i++) queue.push(say("a", `${i}`));
  assert.equal(queue.length, MAX_QUEUED_EVENTS);
  assert.equal(shown.length, 2 * MAX_QUEUED_EVENTS);
});

Deno.test("EventQueue keeps a bounded amount of text", () => {
  const { queue, shown, hold } = openQueue();
  hold(true);
  const units = MAX_QUEUED_UNITS / 4;
  for (const who of ["a", "b", "c", "c", "c"]) queue.push(say(who, "x".repeat(units)));
  assert.equal(queue.length, 4);
  assert.equal(shown.length, 1);
});

Deno.test("EventQueue says when an event was shown", async () => {
  const { clock, queue, hold } = openQueue();
  assert.equal(queue.push(say("a", "1")), undefined);
  hold(true);
  let isShown = false;
  const waits = queue.push(say("a", "2"))!.then(() => isShown = true);
  await clock.advance(0);
  assert.equal(isShown, false);
  hold(false);
  await clock.advance(0);
  await waits;
  assert.equal(isShown, true);
});

Deno.test("EventQueue waits while the screen is busy, though not for ever", async () => {
  const { clock, queue, shown, hold } = openQueue();
  hold(true);
  queue.push(say("a", "1"));
  await clock.advance(MAX_WAIT_MS / 2);
  queue.push(say("b", "2"));
  await clock.advance(MAX_WAIT_MS / 2 - 1);
  assert.deepEqual(shown, []);
  await clock.advance(1);
  assert.deepEqual(shown, ["1"]);
  await clock.advance(MAX_WAIT_MS);
  assert.deepEqual(shown, ["1", "2"]);
  queue.push(say("a", "3"));
  hold(false);
  await clock.advance(0);
  assert.deepEqual(shown, ["1", "2", "3"]);
  await clock.advance(0);
  assert.equal(clock.timers, 0);
});

Deno.test("EventQueue shows everything at once after its end", async () => {
  const { clock, queue, shown, hold } = openQueue();
  hold(true);
  queue.push(say("a", "1"));
  queue.end();
  assert.equal(queue.push(say("a", "2")), undefined);
  assert.deepEqual(shown, ["1", "2"]);
  await clock.advance(0);
  assert.equal(clock.timers, 0);
});

Deno.test("EventQueue lets nobody wait for those who overfill it while the screen is busy", async () => {
  const { clock, queue, shown, hold } = openQueue();
  hold(true);
  queue.push(say("b", "b0"));
  for (let i = 0; i < 2 * MAX_QUEUED_EVENTS; i++) queue.push(say("a", `a${i}`));
  assert.equal(shown.length, MAX_QUEUED_EVENTS + 1);
  assert.ok(!shown.includes("b0"));
  hold(false);
  await clock.advance(0);
  assert.ok(shown.slice(MAX_QUEUED_EVENTS + 1).slice(0, 2).includes("b0"));
});
