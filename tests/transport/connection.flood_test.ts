import assert from "node:assert/strict";
import type { Clock } from "../../lib/base/clock.ts";
import { writeU16 } from "../../lib/base/bytes.ts";
import type { ByteStream } from "../../lib/transport/byte_stream.ts";
import { Connection } from "../../lib/transport/connection.ts";
import { InputBuffer } from "../../lib/transport/input_buffer.ts";
import { Scheduler } from "../../lib/transport/scheduler.ts";
import { FRAME, FRAME_HEADER_BYTES } from "../../lib/protocol/frames.ts";
import { TAG_BYTES } from "../../lib/protocol/records.ts";
import { settle } from "../support/fake_clock.ts";

const RECORD_BYTES = 8192;
const MAX_READS = 1000;

/** A record of one frame that is not encrypted. */
function makeRecord(): Uint8Array {
  const record = new Uint8Array(RECORD_BYTES);
  writeU16(record, 0, RECORD_BYTES - 2);
  record[2] = FRAME.RECV;
  writeU16(record, 3, RECORD_BYTES - 2 - FRAME_HEADER_BYTES - TAG_BYTES);
  return record;
}

Deno.test("A connection that always has more to read rests every 20 ms", async () => {
  let time = 0;
  let rest: (() => void) | undefined;
  const clock: Clock = {
    now: () => time,
    wallTime: () => 0,
    after(delay, action) {
      if (delay <= 1) rest = action;
      return 0;
    },
    cancel: () => {},
  };
  let reads = 0;
  let sent = 0;
  const record = makeRecord();
  const stream: ByteStream = {
    read(into) {
      if (++reads > MAX_READS) return Promise.resolve(null);
      time++; // each read takes a millisecond
      for (let i = 0; i < into.length; i++) into[i] = record[sent++ % RECORD_BYTES]!;
      return Promise.resolve(into.length);
    },
    write: ({ length }) => Promise.resolve(length),
    closeWrite: () => Promise.resolve(),
    close: () => {},
  };
  const connection = new Connection({
    stream,
    input: new InputBuffer(),
    sealer: { sealInPlace() {}, exhausted: false } as never,
    opener: { openInPlace: (ct: Uint8Array) => ct.subarray(0, -TAG_BYTES) } as never,
    role: "client",
    scheduler: new Scheduler({ clock }),
  });
  connection.start({ onFrame() {}, onEnd() {} });
  await settle();
  for (let i = 0; i < 5; i++) {
    const before = reads;
    assert.ok(rest, "it rests");
    rest();
    rest = undefined;
    await settle();
    assert.equal(reads - before, 20);
  }
  connection.abort();
});
