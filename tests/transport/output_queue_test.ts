import assert from "node:assert/strict";
import { concat, readU16, writeU16 } from "../../lib/base/bytes.ts";
import { MAX_RECORD_BYTES, MAX_UNDELIVERED_BYTES } from "../../lib/protocol/limits.ts";
import {
  BOX_BYTES,
  CAST_ENTRY_BYTES,
  decodeFrame,
  encodeFrame,
  forEachFrame,
  FRAME,
  MAX_COMMON_BYTES,
  MIN_COMMON_BYTES,
} from "../../lib/protocol/frames.ts";
import type { Batch } from "../../lib/transport/batch.ts";
import { OutputQueue } from "../../lib/transport/output_queue.ts";
import { SendCredit } from "../../lib/transport/send_credit.ts";

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

Deno.test("OutputQueue puts frames into one record in order, after its length", () => {
  const queue = new OutputQueue({ recent: 5 });
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
    const queue = new OutputQueue({ recent: 0 });
    queue.pushReceived(sendBody(length), { sid: SID, credit: new SendCredit() });
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

Deno.test("OutputQueue never makes a record longer than 16400 bytes, even with a PONG", () => {
  const queue = new OutputQueue({ recent: 0 });
  const credit = new SendCredit();
  const pushed = Math.ceil(MAX_RECORD_BYTES / LEFT.length);
  for (let i = 0; i < pushed; i++) queue.push(LEFT);
  queue.pushPong(new Uint8Array(8), credit);
  const record = sealed(queue.take()!);
  assert.equal((record.length - 2 - 11 - 16) % LEFT.length, 0);
  assert.ok(record.length - 2 <= MAX_RECORD_BYTES && record.length > MAX_RECORD_BYTES - 12);
  const rest = queue.take()!.length;
  assert.equal(record.length - 2 - 11 - 16 + rest, pushed * LEFT.length);
});

Deno.test("OutputQueue.push() takes a frame as long as a record, and a PONG follows in the next", () => {
  for (let room = 0; room <= 12; room++) {
    const queue = new OutputQueue({ recent: 0 });
    const credit = new SendCredit();
    const frame = new Uint8Array(MAX_RECORD_BYTES - 16 - room).fill(9);
    writeU16(frame, 1, frame.length - 3);
    queue.push(frame);
    queue.push(LEFT);
    queue.pushPong(new Uint8Array(8), credit);
    const found: number[] = [];
    while (!queue.empty) {
      const record = sealed(queue.take()!);
      assert.ok(record.length - 2 <= MAX_RECORD_BYTES);
      assert.deepEqual(record.subarray(-16), TAG);
      forEachFrame(record.subarray(2, -16), (type) => found.push(type));
    }
    assert.deepEqual(found.toSorted(), [FRAME.PONG, 9, FRAME.LEFT].toSorted());
  }
});

Deno.test("OutputQueue charges the sender for payload and 256 bytes until they are written", () => {
  const queue = new OutputQueue({ recent: 0 });
  const [one, two] = [new SendCredit(), new SendCredit()];
  const ofOne = { sid: SID, credit: one };
  const count = MAX_UNDELIVERED_BYTES / 8192;
  for (let i = 0; i < count; i++) {
    queue.pushReceived(sendBody(8192 - 256), ofOne);
    queue.pushReceived(sendBody(1), { sid: SID, credit: two });
  }
  assert.deepEqual([one.exhausted, two.exhausted], [false, false]);
  queue.pushReceived(sendBody(1), ofOne);
  assert.deepEqual([one.exhausted, two.exhausted], [true, false]);
  let batches = 0;
  while (one.exhausted) {
    queue.release(queue.take()!);
    batches++;
  }
  assert.equal(batches, count / 4 + 1, "half of it is gone; each record holds two of each");
  queue.clear();
  for (let i = 0; i < count; i++) queue.pushReceived(sendBody(8192 - 256), ofOne);
  assert.equal(one.exhausted, false, "clear() has given everything back");
});

Deno.test("OutputQueue.pushPart() makes PART of an entry of a CAST, for commons of 28 to 8720 bytes", () => {
  for (const length of [MIN_COMMON_BYTES, 400, 500, MAX_COMMON_BYTES]) {
    const queue = new OutputQueue({ recent: 0 });
    const credit = new SendCredit();
    const entry = new Uint8Array(CAST_ENTRY_BYTES).fill(3);
    const common = new Uint8Array(length).fill(9);
    credit.charge(MAX_UNDELIVERED_BYTES - (BOX_BYTES + length + 256));
    queue.pushPart({ entry, common }, { sid: SID, credit });
    assert.equal(credit.exhausted, false);
    credit.charge(1);
    assert.equal(credit.exhausted, true, "charged like a RECV with 57 bytes more");
    const frame = sealed(queue.take()!).subarray(2, -16);
    assert.equal(frame[0], FRAME.PART);
    assert.deepEqual(decodeFrame(FRAME.PART, frame.subarray(3)), {
      type: "part",
      sid: "0707070707070707",
      tag: "03030303",
      box: new Uint8Array(BOX_BYTES).fill(3),
      common,
    });
  }
});

Deno.test("OutputQueue puts commons at their places, beside any other frames", () => {
  for (const length of [MIN_COMMON_BYTES, 100, 1000, 5000]) {
    const queue = new OutputQueue({ recent: 0 });
    const source = { sid: SID, credit: new SendCredit() };
    const expected: Uint8Array[] = [];
    for (let i = 0; i < 10; i++) {
      const entry = new Uint8Array(CAST_ENTRY_BYTES).fill(i);
      const common = new Uint8Array(length + i).fill(0x40 + i);
      queue.pushPart({ entry, common }, source);
      const body = concat(SID, entry.subarray(8), common);
      expected.push(concat(Uint8Array.of(FRAME.PART, body.length >> 8, body.length), body));
      if (i % 3 === 0) {
        queue.push(LEFT);
        expected.push(LEFT);
      }
    }
    queue.pushPong(new Uint8Array(8), source.credit);
    assert.equal(queue.bytes, concat(...expected).length + 11);
    const pong = encodeFrame({ type: "pong", data: new Uint8Array(8) });
    const records: Uint8Array[] = [];
    for (let batch; (batch = queue.take());) {
      const { length } = batch;
      const record = sealed(batch);
      assert.equal(batch.length, length);
      assert.equal(readU16(record, 0), record.length - 2);
      assert.ok(record.length - 2 <= MAX_RECORD_BYTES);
      records.push(record.slice(2, -16));
      queue.release(batch);
    }
    const all = concat(...records);
    const first = records[0]!.length - pong.length; // the PONG ends the first record
    assert.deepEqual(all.subarray(first, first + pong.length), pong);
    const rest = concat(all.subarray(0, first), all.subarray(first + pong.length));
    assert.deepEqual(rest, concat(...expected));
  }
});

Deno.test("OutputQueue holds a common that waits for many receivers once", () => {
  const common = new Uint8Array(MAX_COMMON_BYTES);
  const entry = new Uint8Array(CAST_ENTRY_BYTES);
  const queues = Array.from({ length: 5 }, () => new OutputQueue({ recent: 0 }));
  for (const queue of queues) {
    queue.pushPart({ entry, common }, { sid: SID, credit: new SendCredit() });
  }
  common.fill(7); // a copy would not show it
  for (const queue of queues) {
    assert.equal(sealed(queue.take()!).at(-17), 7);
  }
});

Deno.test("OutputQueue.pushResult() charges who asked until it is written", () => {
  const queue = new OutputQueue({ recent: 0 });
  const credit = new SendCredit();
  const data = new Uint8Array(36);
  const frame = encodeFrame({ type: "result", request: "01020304", status: 0, data });
  credit.charge(MAX_UNDELIVERED_BYTES - (5 + 36 + 256));
  queue.pushResult(frame, credit);
  assert.equal(credit.exhausted, false);
  credit.charge(1);
  assert.equal(credit.exhausted, true);
  const batch = queue.take()!;
  assert.deepEqual(sealed(batch).subarray(2, -16), frame);
  credit.refund(MAX_UNDELIVERED_BYTES / 2 - (5 + 36 + 256) + 1);
  assert.equal(credit.exhausted, true);
  queue.release(batch);
  assert.equal(credit.exhausted, false);
});

Deno.test("OutputQueue keeps only the newest PONG, and charges the sender of the PING once", () => {
  const queue = new OutputQueue({ recent: 0 });
  const credit = new SendCredit();
  credit.charge(MAX_UNDELIVERED_BYTES - 264);
  for (let i = 0; i < 5; i++) queue.pushPong(new Uint8Array(8).fill(i), credit);
  assert.equal(credit.exhausted, false);
  assert.equal(queue.bytes, 11);
  credit.charge(1);
  assert.equal(credit.exhausted, true);
  const batch = queue.take()!;
  assert.deepEqual(
    sealed(batch).subarray(2, -16),
    encodeFrame({ type: "pong", data: new Uint8Array(8).fill(4) }),
  );
});

Deno.test("OutputQueue.pushLast() drops a waiting PONG", () => {
  const queue = new OutputQueue({ recent: 0 });
  queue.pushPong(new Uint8Array(8), new SendCredit());
  queue.push(LEFT);
  queue.pushLast(LEFT);
  assert.deepEqual(sealed(queue.take()!).subarray(2, -16), concat(LEFT, LEFT));
});

Deno.test("OutputQueue reuses the buffer of a released batch, never that of an abandoned one", () => {
  for (const length of [1, 16_000]) {
    const queue = new OutputQueue({ recent: 0 });
    const source = { sid: SID, credit: new SendCredit() };
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

// --- Frames of several senders ---

/** A sender whose frames say who sent them and which they are. */
class Sender {
  readonly credit = new SendCredit();
  readonly sid: Uint8Array;
  #count = 0;

  constructor(readonly name: number) {
    this.sid = new Uint8Array(8).fill(name);
  }

  send(queue: OutputQueue, length: number): string {
    const body = sendBody(length);
    writeU16(body, 13, ++this.#count);
    queue.pushReceived(body, this);
    return `${this.name}.${this.#count}`;
  }

  cast(queue: OutputQueue, length: number): string {
    const common = new Uint8Array(length);
    writeU16(common, 0, ++this.#count);
    queue.pushPart({ entry: new Uint8Array(CAST_ENTRY_BYTES), common }, this);
    return `${this.name}.${this.#count}`;
  }

  /** Whether nothing that it sent is undelivered. */
  get isClear(): boolean {
    this.credit.charge(MAX_UNDELIVERED_BYTES);
    const { exhausted } = this.credit;
    this.credit.refund(MAX_UNDELIVERED_BYTES);
    return !exhausted;
  }
}

/** The frames of a record, as {@linkcode Sender.send} names them; others as "own" and the number that is in them. */
function namesIn(batch: Batch): string[] {
  const record = sealed(batch);
  assert.equal(readU16(record, 0), record.length - 2);
  assert.ok(record.length - 2 <= MAX_RECORD_BYTES);
  const names: string[] = [];
  forEachFrame(record.subarray(2, -16), (type, body) => {
    if (type === FRAME.RECV) names.push(`${body[0]}.${readU16(body, 13)}`);
    else if (type === FRAME.PART) names.push(`${body[0]}.${readU16(body, CAST_ENTRY_BYTES)}`);
    else names.push(`own.${readU16(body, 6)}`);
  });
  return names;
}

function ownFrame(number: number): Uint8Array {
  const sid = number.toString(16).padStart(16, "0");
  return encodeFrame({ type: "left", sid, why: 0 });
}

function drain(queue: OutputQueue): string[] {
  const names: string[] = [];
  for (let batch; (batch = queue.take());) {
    names.push(...namesIn(batch));
    queue.release(batch);
  }
  return names;
}

Deno.test("OutputQueue writes the frames of several senders in turn, one of each", () => {
  for (const length of [2, 900, 15_000]) {
    const queue = new OutputQueue({ recent: 0 });
    const [one, two, three] = [new Sender(1), new Sender(2), new Sender(3)] as const;
    for (let i = 0; i < 50; i++) one.send(queue, length);
    for (let i = 0; i < 3; i++) two.cast(queue, 30);
    three.send(queue, length);
    const names = drain(queue);
    assert.deepEqual(names.slice(0, 7), ["1.1", "2.1", "3.1", "1.2", "2.2", "1.3", "2.3"]);
    assert.deepEqual(names.slice(7), Array.from({ length: 47 }, (_, i) => `1.${i + 4}`));
    assert.equal(queue.since, undefined);
    assert.ok(one.isClear && two.isClear && three.isClear);
  }
});

Deno.test("OutputQueue keeps the place of its own frames among those of senders", () => {
  const queue = new OutputQueue({ recent: 0 });
  const [one, two] = [new Sender(1), new Sender(2)] as const;
  for (let i = 0; i < 3; i++) one.send(queue, 2);
  queue.push(ownFrame(1));
  two.send(queue, 2);
  one.send(queue, 2);
  queue.push(ownFrame(2));
  queue.push(ownFrame(3));
  assert.equal(queue.ownFrames, 3);
  const expected = ["1.1", "1.2", "1.3", "own.1", "2.1", "1.4", "own.2", "own.3"];
  assert.deepEqual(namesIn(queue.take()!), expected, "in one record");
  assert.ok(queue.empty);
  assert.equal(queue.ownFrames, 0);
});

Deno.test("OutputQueue.since is never earlier than the oldest frame, and at most 5 s later", () => {
  let now = 0;
  const queue = new OutputQueue({
    get recent() {
      return now;
    },
  });
  const [one, two] = [new Sender(1), new Sender(2)] as const;
  const queued = new Map<string, number>();
  for (; now < 40_000; now += 250) {
    queued.set(one.send(queue, 2000), now);
    queued.set(two.send(queue, 500), now);
    if (now % 1000 > 0) continue;
    const batch = queue.take()!;
    const names = namesIn(batch);
    assert.equal(
      batch.since,
      Math.min(...names.map((name) => queued.get(name)!)),
      "exact at first",
    );
    for (const name of names) queued.delete(name);
    queue.release(batch);
    if (now > 8000) break;
  }
  for (let batch; (batch = queue.take());) {
    for (const name of namesIn(batch)) queued.delete(name);
    queue.release(batch);
    if (queued.size === 0) break;
    const late = queue.since! - Math.min(...queued.values());
    assert.ok(late >= 0 && late <= 5000, `${late}`);
  }
  assert.ok(queue.empty);
});

Deno.test("OutputQueue behaves like a naive model, whatever is sent and taken", () => {
  let state = 7;
  const pick = (count: number) => {
    state = (state * 48271) % 0x7fffffff; // Park and Miller's generator
    return state % count;
  };
  for (let round = 0; round < 60; round++) {
    let now = 0;
    const queue = new OutputQueue({
      get recent() {
        return now;
      },
    });
    const senders = Array.from({ length: 1 + pick(6) }, (_, i) => new Sender(i + 1));
    /** Sections of lanes of names. */
    const model: { isOwn: boolean; lanes: { name: number; frames: string[] }[]; next: number }[] =
      [];
    const add = (name: number, frame: string) => {
      const isOwn = name === 0;
      let section = model.at(-1);
      if (section?.isOwn !== isOwn) model.push(section = { isOwn, lanes: [], next: 0 });
      const lane = section.lanes.find((lane) => lane.name === name);
      if (lane) lane.frames.push(frame);
      else section.lanes.push({ name, frames: [frame] });
    };
    const takeOne = () => {
      const section = model[0]!;
      section.next %= section.lanes.length;
      const { frames } = section.lanes[section.next]!;
      const frame = frames.shift();
      if (frames.length > 0) section.next++;
      else section.lanes.splice(section.next, 1);
      if (section.lanes.length === 0) model.shift();
      return frame;
    };
    const take = () => {
      const batch = queue.take();
      if (!batch) return assert.equal(model.length, 0);
      const names = namesIn(batch);
      assert.deepEqual(names, names.map(takeOne));
      queue.release(batch);
    };
    let own = 0;
    for (let step = 0; step < 300; step++) {
      now += pick(40) === 0 ? 3000 : pick(20);
      const sender = senders[pick(senders.length)]!;
      const length = [2, 100, 1000, 8000][pick(4)]!;
      const action = pick(12);
      if (action === 0) {
        queue.push(ownFrame(++own));
        add(0, `own.${own}`);
      } else if (action < 3 + round % 6) take();
      else if (action % 2 === 0) add(sender.name, sender.send(queue, length));
      else add(sender.name, sender.cast(queue, Math.max(length, MIN_COMMON_BYTES)));
    }
    const waits = model.flatMap(({ isOwn, lanes }) =>
      isOwn ? lanes.flatMap((it) => it.frames) : []
    );
    assert.equal(queue.ownFrames, waits.length);
    if (round % 5 === 0) queue.clear();
    else while (!queue.empty) take();
    assert.equal(queue.bytes, 0);
    assert.equal(queue.since, undefined);
    assert.ok(senders.every((sender) => sender.isClear), "nothing stays charged");
  }
});
