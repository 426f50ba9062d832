import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { concat, withLength } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import { InputBuffer } from "../../lib/transport/input_buffer.ts";
import { MAX_RECORD_BYTES } from "../../lib/protocol/limits.ts";

function fill(input: InputBuffer, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length;) {
    const space = input.space();
    assert.ok(space.length > 0);
    const part = bytes.subarray(offset, offset + space.length);
    space.set(part);
    input.add(part.length);
    offset += part.length;
  }
}

function throwsCode(code: string, action: () => unknown): void {
  assert.throws(action, (error) => error instanceof ProtocolError && error.code === code);
}

Deno.test("InputBuffer.takeRecord() returns the same records however the stream is split", () => {
  const sizes = fc.oneof(
    fc.integer({ min: 17, max: 300 }),
    fc.constantFrom(17, 2046, 2048, MAX_RECORD_BYTES),
  );
  fc.assert(
    fc.property(
      fc.array(sizes, { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 20 }),
      (lengths, splits) => {
        const records = lengths.map((length, i) => new Uint8Array(length).fill(i + 1));
        const stream = concat(...records.map(withLength));
        const input = new InputBuffer();
        const taken: Uint8Array[] = [];
        let offset = 0;
        for (let i = 0; offset < stream.length; i++) {
          const space = input.space();
          const length = Math.min(
            splits[i % splits.length]!,
            space.length,
            stream.length - offset,
          );
          space.set(stream.subarray(offset, offset + length));
          input.add(length);
          offset += length;
          for (let record; (record = input.takeRecord());) taken.push(record.slice());
        }
        assert.deepEqual(taken, records);
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("InputBuffer.takeRecord() works with one byte at a time", () => {
  const input = new InputBuffer();
  const records = [17, 5000, MAX_RECORD_BYTES, 18].map((length) =>
    new Uint8Array(length).fill(length)
  );
  const taken: Uint8Array[] = [];
  for (const byte of concat(...records.map(withLength))) {
    fill(input, Uint8Array.of(byte));
    const record = input.takeRecord();
    if (record) taken.push(record.slice());
  }
  assert.deepEqual(taken, records);
});

Deno.test("InputBuffer.takeRecord() accepts lengths from 17 to 16400 only", () => {
  for (const [length, ok] of [[0, false], [16, false], [17, true], [16400, true], [16401, false]]) {
    const input = new InputBuffer();
    fill(input, withLength(new Uint8Array(length as number)));
    if (ok) assert.equal(input.takeRecord()?.length, length);
    else throwsCode("bad-length", () => input.takeRecord());
  }
});

Deno.test("InputBuffer.takeRecord() rejects a bad length before the record has arrived", () => {
  const input = new InputBuffer();
  fill(input, Uint8Array.of(0xff));
  assert.equal(input.takeRecord(), undefined);
  fill(input, Uint8Array.of(0xff));
  throwsCode("bad-length", () => input.takeRecord());
});

Deno.test("InputBuffer grows for a busy stream and shrinks when it is quiet", () => {
  const input = new InputBuffer();
  const small = input.space().length;
  fill(input, withLength(new Uint8Array(MAX_RECORD_BYTES)));
  const large = input.space().length;
  assert.ok(large > 2 * small);
  assert.ok(input.takeRecord());
  for (let i = 0; i < 100; i++) {
    fill(input, withLength(new Uint8Array(100)));
    assert.ok(input.takeRecord());
  }
  assert.equal(input.space().length, small);
});

Deno.test("InputBuffer.settle() has the next read shrink it, unless a long record waits", () => {
  const input = new InputBuffer();
  const small = input.space().length;
  fill(input, new Uint8Array(1700));
  assert.ok(input.take(1700));
  assert.equal(input.settle().space().length, small);

  const long = withLength(new Uint8Array(1000));
  fill(input, new Uint8Array(1700));
  assert.ok(input.take(1700));
  fill(input, long.subarray(0, 100));
  assert.equal(input.settle().takeRecord(), undefined);
  assert.ok(input.space().length >= long.length - 100);
  fill(input, long.subarray(100));
  assert.equal(input.takeRecord()?.length, 1000);
});
