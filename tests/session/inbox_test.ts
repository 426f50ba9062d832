import assert from "node:assert/strict";
import { ProtocolError } from "../../lib/base/errors.ts";
import { STREAMS_REMEMBERED } from "../../lib/protocol/limits.ts";
import {
  type Inbox,
  Inboxes,
  MAX_WAITING_BYTES,
  MAX_WAITING_MESSAGES,
} from "../../lib/session/inbox.ts";
import { VIEW_WINDOW_MS, ViewLog } from "../../lib/session/view_log.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** A view made of one number. */
function view(n: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(32).fill(n);
}

/** The inboxes of several instances, and what they gave. */
class Desk {
  readonly clock = new FakeClock();
  readonly live = new Set<Inbox>();
  readonly inboxes = new Inboxes(this.clock, new ViewLog(this.clock), (it) => this.live.has(it));
  readonly given: string[] = [];

  constructor() {
    this.inboxes.changeView(view(1));
  }

  /** Takes the next message of an instance. */
  take(
    from: string,
    text: string,
    how: { view?: Uint8Array<ArrayBuffer> | "same" | "differs"; bytes?: number } = {},
  ): void {
    const inbox = this.inboxes.of("SHA256:x", from);
    const seq = inbox.taken + 1;
    assert.ok(inbox.take(seq));
    inbox.add({ seq, ...how, give: (verdict) => void this.given.push(`${text} ${verdict}`) });
  }

  /** The seq that an ACK to an instance carries. */
  ack(from: string): number {
    return this.inboxes.of("SHA256:x", from).given;
  }
}

Deno.test("Inbox gives a message at once when its view is ours", () => {
  const desk = new Desk();
  desk.take("anna", "a", { view: view(1) });
  assert.deepEqual(desk.given, ["a same"]);
  assert.equal(desk.ack("anna"), 1);
});

Deno.test("Inbox accepts a view that was ours up to 5 s before", async () => {
  for (const age of [0, 1, VIEW_WINDOW_MS - 1, VIEW_WINDOW_MS]) {
    const desk = new Desk();
    await desk.clock.advance(60_000); // from when it ceased to be ours, not from when it started
    desk.inboxes.changeView(view(2));
    await desk.clock.advance(age);
    desk.take("anna", "a", { view: view(1) });
    assert.deepEqual(desk.given, ["a same"], `${age} ms`);
  }
  const desk = new Desk();
  desk.inboxes.changeView(view(2));
  await desk.clock.advance(VIEW_WINDOW_MS + 1);
  desk.take("anna", "a", { view: view(1) });
  assert.deepEqual(desk.given, []);
  await desk.clock.advance(VIEW_WINDOW_MS);
  assert.deepEqual(desk.given, ["a differs"]);
});

Deno.test("Inbox waits 5 s for a view to become ours, and acknowledges nothing meanwhile", async () => {
  for (const delay of [1, 2500, VIEW_WINDOW_MS - 1]) {
    const desk = new Desk();
    desk.take("anna", "a", { view: view(2) });
    await desk.clock.advance(delay);
    assert.deepEqual(desk.given, []);
    assert.equal(desk.ack("anna"), 0);
    desk.inboxes.changeView(view(2));
    assert.deepEqual(desk.given, ["a same"], `${delay} ms`);
    assert.equal(desk.ack("anna"), 1);
  }
  const desk = new Desk();
  desk.take("anna", "a", { view: view(2) });
  await desk.clock.advance(VIEW_WINDOW_MS - 1);
  assert.deepEqual(desk.given, []);
  await desk.clock.advance(1);
  assert.deepEqual(desk.given, ["a differs"]);
  desk.inboxes.changeView(view(2));
  assert.deepEqual(desk.given, ["a differs"]);
});

Deno.test("Inbox accepts a view that was ours only briefly while the message waited", async () => {
  const desk = new Desk();
  desk.take("anna", "a", { view: view(3) });
  await desk.clock.advance(1000);
  for (const n of [2, 3, 4]) desk.inboxes.changeView(view(n));
  assert.deepEqual(desk.given, ["a same"]);
});

Deno.test("Inbox keeps everything of one instance in order, and holds its ACK back; no other instance waits", async () => {
  const desk = new Desk();
  desk.take("anna", "a1", { view: view(9) });
  desk.take("anna", "a2", { view: view(1) });
  desk.take("anna", "nick"); // a NICK, a NOTE, a GAP: nothing to decide
  desk.take("anna", "private", { view: "differs" });
  desk.take("anna", "a5", { view: view(8) });
  desk.take("bert", "b1", { view: view(1) });
  assert.deepEqual(desk.given, ["b1 same"]);
  assert.deepEqual([desk.ack("anna"), desk.ack("bert")], [0, 1]);
  await desk.clock.advance(3000);
  desk.take("anna", "a6", { view: view(7) });
  await desk.clock.advance(2000);
  const first = ["b1 same", "a1 differs", "a2 same", "nick same", "private differs", "a5 differs"];
  assert.deepEqual(desk.given, first);
  assert.equal(desk.ack("anna"), 5);
  await desk.clock.advance(2999);
  assert.equal(desk.given.length, 6);
  await desk.clock.advance(1); // 5 s after its own receipt
  assert.deepEqual(desk.given, [...first, "a6 differs"]);
});

Deno.test("Inbox gives what it can when the first of those that wait is decided", async () => {
  const desk = new Desk();
  desk.take("anna", "a1", { view: view(2) });
  desk.take("anna", "a2", { view: view(3) });
  await desk.clock.advance(1000);
  desk.inboxes.changeView(view(3));
  assert.deepEqual(desk.given, []); // a2 is decided, but a1 is before it
  desk.inboxes.changeView(view(2));
  assert.deepEqual(desk.given, ["a1 same", "a2 same"]);
});

Deno.test("Inboxes.flush() gives everything in order, once", async () => {
  const desk = new Desk();
  desk.take("anna", "a1", { view: view(9) });
  desk.take("anna", "a2", { view: view(1) });
  desk.inboxes.flush();
  assert.deepEqual(desk.given, ["a1 differs", "a2 same"]);
  await desk.clock.advance(60_000);
  assert.equal(desk.given.length, 2);
});

Deno.test("Inbox holds 1024 messages and 4 MiB of one instance; beyond that the oldest is decided at once", () => {
  const desk = new Desk();
  for (let i = 0; i < MAX_WAITING_MESSAGES; i++) desk.take("mallory", `${i}`, { view: view(2) });
  assert.deepEqual(desk.given, []);
  assert.equal(desk.clock.timers, 1);
  desk.take("mallory", "one more", { view: view(2) });
  assert.deepEqual(desk.given, ["0 differs"]);
  desk.take("anna", "a", { view: view(1) });
  assert.deepEqual(desk.given.slice(1), ["a same"]);
  const large = new Desk();
  for (let i = 0; i < 4; i++) {
    large.take("mallory", `${i}`, { view: view(2), bytes: MAX_WAITING_BYTES / 4 });
  }
  assert.deepEqual(large.given, []);
  large.take("mallory", "x", { view: view(2), bytes: 1 });
  assert.deepEqual(large.given, ["0 differs"]);
  large.inboxes.changeView(view(2));
  assert.equal(large.given.length, 5);
  assert.equal(large.clock.timers, 0);
});

Deno.test("Inbox takes each seq once and none beyond the next, also while messages wait", () => {
  const desk = new Desk();
  desk.take("anna", "a1", { view: view(9) });
  const inbox = desk.inboxes.of("SHA256:x", "anna");
  assert.ok(!inbox.take(1)); // it is resent, for want of an ACK
  assert.throws(() => inbox.take(3), ProtocolError);
  assert.ok(inbox.take(2));
});

Deno.test("Inbox.skipTo() counts losses, but not before anything was taken, and not backwards", () => {
  const desk = new Desk();
  const inbox = desk.inboxes.of("SHA256:x", "anna");
  assert.equal(inbox.skipTo(10), 0);
  assert.equal(inbox.taken, 9);
  assert.ok(inbox.take(10));
  for (const next of [0, 1, 10, 11]) assert.equal(inbox.skipTo(next), 0);
  assert.equal(inbox.taken, 10);
  assert.equal(inbox.skipTo(12), 1);
  assert.equal(inbox.skipTo(20), 8);
  assert.equal(inbox.taken, 19);
});

Deno.test("Inboxes remember 1024 instances, those of live channels and with waiting messages beyond that", () => {
  const desk = new Desk();
  for (const who of ["busy", "live", "idle"]) {
    desk.take(who, who, { view: view(who === "busy" ? 9 : 1) });
  }
  desk.live.add(desk.inboxes.of("SHA256:x", "live"));
  for (let i = 3; i < STREAMS_REMEMBERED; i++) desk.take(`${i}`, "x");
  for (const who of ["live", "busy", "idle"]) {
    assert.equal(desk.inboxes.of("SHA256:x", who).taken, 1, who);
  }
  for (let i = 0; i < STREAMS_REMEMBERED; i++) desk.take(`again ${i}`, "x");
  assert.deepEqual(
    ["busy", "live", "idle"].map((who) => desk.inboxes.of("SHA256:x", who).taken),
    [1, 1, 0],
  );
});

Deno.test("Inbox acknowledges what is shown later when it is, and nothing behind it before", async () => {
  const desk = new Desk();
  const inbox = desk.inboxes.of("SHA256:x", "anna");
  const acks: number[] = [];
  inbox.onGiven = () => acks.push(inbox.given);
  const shows = [1, 2, 3, 4].map((seq) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    inbox.take(seq);
    inbox.add({ seq, give: () => seq === 3 ? undefined : promise });
    return resolve;
  });
  assert.deepEqual([inbox.given, inbox.busy], [0, true]);
  for (const show of [1, 0, 3]) {
    shows[show]!();
    await desk.clock.advance(0);
  }
  assert.deepEqual(acks, [1, 2, 3, 4]);
  assert.equal(inbox.busy, false);
});
