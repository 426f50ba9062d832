import assert from "node:assert/strict";
import { Allowance } from "../lib/transport/send_credit.ts";
import { concat, readU16 } from "../lib/base/bytes.ts";
import { MAX_RECORD_BYTES, MAX_UNDELIVERED_BYTES } from "../lib/protocol/limits.ts";
import { decodeFrame, encodeFrame, FRAME } from "../lib/protocol/frames.ts";
import { type Batch, OutputQueue } from "../lib/transport/output_queue.ts";

const SID = new Uint8Array(8).fill(7);
const LEFT = encodeFrame({ type: "left", sid: "0102030405060708", why: 0 });
const TAG = new Uint8Array(16).fill(0xaa);

/** A record whose seal is visible. */
function sealed(batch: Batch): Uint8Array {
  return batch.seal({ sealInPlace: (buffer) => buffer.set(TAG, buffer.length - TAG.length) });
}

function sendBody(length: number): Uint8Array {
  const payload = new Uint8Array(length).fill(9);
  return encodeFrame({ type: "send", sid: "00000000000000ff", kind: 4, tag: "a13f49b2", payload })
    .subarray(3);
}

Deno.test("OutputQueue puts frames into one record in order, and its length before it", () => {
  const queue = new OutputQueue({ now: () => 5 });
  queue.push(LEFT);
  queue.push(LEFT);
  assert.equal(queue.bytes, 24);
  assert.equal(queue.since, 5);
  const record = sealed(queue.take()!);
  assert.equal(readU16(record, 0), record.length - 2);
  assert.deepEqual(record.subarray(2), concat(LEFT, LEFT, TAG));
  assert.ok(queue.empty);
  assert.equal(queue.take(), undefined);
});

Deno.test("OutputQueue.pushReceived() makes RECV of SEND, for payloads of 1 to 16000 bytes", () => {
  for (const length of [1, 400, 480, 500, 8000, 16_000]) {
    const queue = new OutputQueue({ now: () => 0 });
    queue.pushReceived(sendBody(length), { sid: SID, allowance: new Allowance() });
    const frame = sealed(queue.take()!).subarray(2, -16);
    assert.equal(frame[0], FRAME.RECV);
    assert.deepEqual(decodeFrame(FRAME.RECV, frame.subarray(3)), {
      type: "recv",
      sid: "0707070707070707",
      kind: 4,
      tag: "a13f49b2",
      payload: new Uint8Array(length).fill(9),
    });
  }
});

Deno.test("OutputQueue never makes a record longer than 16400 bytes, with a PONG neither", () => {
  const queue = new OutputQueue({ now: () => 0 });
  const allowance = new Allowance();
  const pushed = Math.ceil(MAX_RECORD_BYTES / LEFT.length);
  for (let i = 0; i < pushed; i++) queue.push(LEFT);
  queue.pushPong(new Uint8Array(8), allowance);
  const record = sealed(queue.take()!);
  assert.equal((record.length - 2 - 11 - 16) % LEFT.length, 0);
  assert.ok(record.length - 2 <= MAX_RECORD_BYTES && record.length > MAX_RECORD_BYTES - 12);
  const rest = queue.take()!.length;
  assert.equal(record.length - 2 - 11 - 16 + rest, pushed * LEFT.length);
});

Deno.test("OutputQueue counts payload and 14 bytes for the sender, until they are written", () => {
  const queue = new OutputQueue({ now: () => 0 });
  const [one, two] = [new Allowance(), new Allowance()];
  const ofOne = { sid: SID, allowance: one };
  const count = MAX_UNDELIVERED_BYTES / 8192;
  for (let i = 0; i < count; i++) {
    queue.pushReceived(sendBody(8192 - 14), ofOne);
    queue.pushReceived(sendBody(1), { sid: SID, allowance: two });
  }
  assert.deepEqual([one.spent, two.spent], [false, false]);
  queue.pushReceived(sendBody(1), ofOne);
  assert.deepEqual([one.spent, two.spent], [true, false]);
  let batches = 0;
  while (one.spent) {
    queue.release(queue.take()!);
    batches++;
  }
  assert.equal(batches, count / 2 + 1, "half of it is gone");
  queue.clear();
  for (let i = 0; i < count; i++) queue.pushReceived(sendBody(8192 - 14), ofOne);
  assert.equal(one.spent, false, "clear() has given everything back");
});

Deno.test("OutputQueue keeps one PONG, the newest, counted once for who sent the PING", () => {
  const queue = new OutputQueue({ now: () => 0 });
  const allowance = new Allowance();
  allowance.charge(MAX_UNDELIVERED_BYTES - 22);
  for (let i = 0; i < 5; i++) queue.pushPong(new Uint8Array(8).fill(i), allowance);
  assert.equal(allowance.spent, false);
  assert.equal(queue.bytes, 11);
  allowance.charge(1);
  assert.equal(allowance.spent, true);
  const batch = queue.take()!;
  assert.deepEqual(
    sealed(batch).subarray(2, -16),
    encodeFrame({ type: "pong", data: new Uint8Array(8).fill(4) }),
  );
});

Deno.test("OutputQueue.pushLast() leaves a PONG out", () => {
  const queue = new OutputQueue({ now: () => 0 });
  queue.pushPong(new Uint8Array(8), new Allowance());
  queue.push(LEFT);
  queue.pushLast(LEFT);
  assert.deepEqual(sealed(queue.take()!).subarray(2, -16), concat(LEFT, LEFT));
});

Deno.test("OutputQueue uses the buffer of a released batch again, of an abandoned one never", () => {
  for (const length of [1, 16_000]) {
    const queue = new OutputQueue({ now: () => 0 });
    const source = { sid: SID, allowance: new Allowance() };
    queue.pushReceived(sendBody(length), source);
    const first = queue.take()!;
    const record = sealed(first);
    const kept = record.slice();
    queue.abandon(first);
    // Somebody may still be writing it: what belongs to others must never appear there.
    for (let i = 0; i < 100; i++) queue.pushReceived(sendBody(15_000), source);
    for (let batch; (batch = queue.take());) {
      sealed(batch);
      queue.release(batch);
    }
    assert.deepEqual(record, kept);
  }
});
