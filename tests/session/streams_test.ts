import assert from "node:assert/strict";
import { WHY } from "../../lib/protocol/frames.ts";
import { ACK_TIMEOUT_MS, MAX_KEPT_MESSAGES, Stream } from "../../lib/session/streams.ts";
import type { RosterMember } from "../../lib/session/roster.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { ANNA, BERT, meet, texts } from "../support/people.ts";
import { TestRoom } from "../support/test_room.ts";

const HOLDER = {} as RosterMember;

/** A shown stream with numbers and one written item. */
function written(clock: FakeClock): Stream {
  const stream = new Stream("anna", "00", clock);
  stream.show(HOLDER);
  stream.resume(0);
  add(stream);
  stream.write(stream.items[0]!);
  return stream;
}

function add(stream: Stream): void {
  stream.add({ message: undefined, moved: false, acceptedAt: 0 });
}

Deno.test("Stream is overdue when something was unacknowledged for 30 s of the time it was shown, in whatever channel", async () => {
  const clock = new FakeClock();
  const stream = written(clock);
  await clock.advance(10_000);
  stream.hide();
  await clock.advance(600_000); // does not count
  stream.show(HOLDER);
  await clock.advance(ACK_TIMEOUT_MS - 10_001);
  assert.ok(!stream.overdue);
  await clock.advance(1);
  assert.ok(stream.overdue);
  assert.ok(!stream.slow);
});

Deno.test("Stream: what was never written is not overdue, nor what is written anew after CLOSE(4)", async () => {
  const clock = new FakeClock();
  const stream = written(clock);
  add(stream);
  stream.acknowledge(1);
  await clock.advance(ACK_TIMEOUT_MS);
  assert.ok(!stream.overdue);
  stream.write(stream.items[0]!);
  await clock.advance(ACK_TIMEOUT_MS);
  assert.ok(stream.overdue);
  stream.markSlow();
  assert.ok(!stream.overdue);
  stream.write(stream.items[0]!);
  await clock.advance(ACK_TIMEOUT_MS - 1);
  assert.ok(!stream.overdue);
  await clock.advance(1);
  assert.ok(stream.overdue);
});

Deno.test("Stream is slow until an ACK has reached the last number given out before CLOSE(4)", () => {
  const stream = written(new FakeClock());
  add(stream);
  stream.markSlow();
  assert.ok(stream.slow && stream.waived);
  for (const item of stream.items) stream.write(item);
  add(stream); // given out later
  stream.acknowledge(1);
  assert.ok(stream.slow);
  stream.acknowledge(2);
  assert.ok(!stream.slow && !stream.waived);
});

Deno.test("Stream without numbers that is slow stays so until its first ACK", () => {
  const stream = new Stream("anna", "00", new FakeClock());
  stream.show(HOLDER);
  add(stream);
  stream.markSlow();
  stream.resume(17);
  stream.acknowledge(17);
  assert.ok(!stream.slow);
  assert.equal(stream.items[0]!.seq, 18);
});

Deno.test("Sender: an instance that is slow blocks nobody; the oldest beyond 1024 messages are given up", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    room.filter = ({ from, payload }) => from === bert ? undefined : payload;
    for (let i = 0; i < MAX_KEPT_MESSAGES; i++) anna.say(`m${i}`);
    assert.ok(anna.membership.sender.blocked);
    await room.advance(31_000); // CLOSE(4)
    assert.ok(!anna.membership.sender.blocked);
    // Its HELLO and the first ACK arrive, no later ACK does.
    const count = new Map<string, number>();
    room.filter = ({ from, kind, tag, payload }) => {
      if (from !== bert || kind !== 4) return payload;
      count.set(tag, (count.get(tag) ?? 0) + 1);
      return count.get(tag)! <= 2 ? payload : undefined;
    };
    await room.advance(20_000);
    assert.ok([...anna.membership.people.streams()][0]!.holder);
    // The first ACK of the new channel covers all that Bert was given meanwhile.
    assert.equal(texts(bert).length, MAX_KEPT_MESSAGES);
    assert.equal(anna.take("delivered").length, MAX_KEPT_MESSAGES);
    assert.ok(![...anna.membership.people.streams()][0]!.slow);
  });
});

Deno.test("Sender: beside an instance that is slow, messages go on to the others, and are reported as delivered", async () => {
  await TestRoom.use(async (room) => {
    const [anna, first, second] = await meet(room, ANNA, BERT, BERT);
    room.filter = ({ from, payload }) => from === first ? undefined : payload;
    anna.say("zero");
    await room.advance(31_000);
    const stream = [...anna.membership.people.streams()].find(({ slow }) => slow)!;
    for (let i = 0; i < MAX_KEPT_MESSAGES; i++) {
      anna.say(`m${i}`);
      if (i % 100 === 0) await room.advance(100);
    }
    await room.advance(1000);
    assert.ok(stream.slow);
    assert.equal(stream.items.length, MAX_KEPT_MESSAGES);
    assert.equal(texts(second).length, MAX_KEPT_MESSAGES + 1);
    assert.deepEqual(anna.take("undelivered"), []);
    assert.ok(!anna.membership.outbox.owed);
    await room.leave(first, WHY.LOST);
    assert.deepEqual(anna.take("undelivered"), []);
  });
});

Deno.test("Stream is not waited for once its other side has used up its numbers", () => {
  const stream = new Stream("anna", "00", new FakeClock());
  stream.show(HOLDER);
  stream.resume(2 ** 48 - 2);
  add(stream);
  assert.ok(!stream.waived); // 2^48 - 1 is a number
  add(stream);
  assert.ok(stream.waived);
});
