import assert from "node:assert/strict";
import { decodeHex, encodeHex, encodeUtf8, writeU32 } from "../../lib/base/bytes.ts";
import { DecryptError, ProtocolError } from "../../lib/base/errors.ts";
import {
  DIALER_BYTES,
  FileRecords,
  FileSecret,
  LISTENER_BYTES,
  MAX_FILE_RECORD_BYTES,
} from "../../lib/protocol/file_connection.ts";
import { cipherReady } from "../../lib/protocol/records.ts";
import { MAX_DATA_BYTES } from "../../lib/protocol/file_frames.ts";
import { kat } from "../support/kat.ts";

await cipherReady();

const ID = new Uint8Array(16).fill(9);
const secret = (byte: number, id = ID) => new FileSecret(id, new Uint8Array(32).fill(byte));

function connect(): [dialer: FileRecords, listener: FileRecords] {
  const { hello, finish } = secret(1).dial();
  const { answer, records } = secret(1).answer(hello)!;
  return [finish(answer), records];
}

Deno.test("both sides of a direct connection have the same keys", () => {
  const { hello, finish } = secret(1).dial();
  assert.equal(hello.length, DIALER_BYTES);
  const { answer, records } = secret(1).answer(hello)!;
  assert.equal(answer.length, LISTENER_BYTES);
  const dialer = finish(answer);
  for (const [from, to] of [[dialer, records], [records, dialer]] as const) {
    from.add({ type: "go", from: 7 });
    from.add({ type: "data", data: Uint8Array.of(1, 2, 3) });
    const record = from.seal();
    assert.equal(FileRecords.readLength(record), record.length - 4);
    const frames = to.open(record.slice(4));
    assert.deepEqual(frames, [{ type: "go", from: 7 }, {
      type: "data",
      data: Uint8Array.of(1, 2, 3),
    }]);
  }
});

Deno.test("the known connection: what both sides say, and their first records", () => {
  const known = kat.files.connection;
  const bytes = (name: keyof typeof known) => decodeHex(known[name]);
  const common = new FileSecret(bytes("id"), bytes("secret"));
  const { hello, finish } = common.dial(() => bytes("eD_private"));
  assert.equal(encodeHex(hello), known.hello);
  const { answer, records } = common.answer(hello, () => bytes("eL_private"))!;
  assert.equal(encodeHex(answer), known.eL);
  const dialer = finish(answer);
  dialer.add({ type: "alive" });
  assert.equal(encodeHex(dialer.seal()), known.recordD);
  records.add({ type: "go", from: 7 });
  records.add({ type: "data", data: encodeUtf8("hearth") });
  assert.equal(encodeHex(records.seal()), known.recordL);
  assert.deepEqual(records.open(bytes("recordD").subarray(4)), [{ type: "alive" }]);
});

Deno.test("who does not know the secret, the id, or what is said first gets no byte", () => {
  assert.equal(secret(1).answer(secret(2).dial().hello), undefined);
  assert.equal(secret(1).answer(secret(1, new Uint8Array(16)).dial().hello), undefined);
  const { hello } = secret(1).dial();
  for (let at = 0; at < 24; at++) {
    const changed = hello.slice();
    changed[at]! ^= 1;
    assert.equal(secret(1).answer(changed), undefined);
  }
  hello.fill(0, 24);
  assert.throws(() => secret(1).answer(hello), ProtocolError); // a point of small order
});

Deno.test("a changed key of either side makes other keys", () => {
  const { hello, finish } = secret(1).dial();
  const { answer, records } = secret(1).answer(hello)!;
  answer[5]! ^= 1;
  const dialer = finish(answer);
  records.add({ type: "alive" });
  assert.throws(() => dialer.open(records.seal().slice(4)), DecryptError);
});

Deno.test("a record takes as much as it may, and not a byte more", () => {
  const [dialer, listener] = connect();
  assert.equal(dialer.room, MAX_DATA_BYTES);
  const { space } = dialer;
  space.fill(7);
  dialer.add({ type: "data", data: space }); // in place
  assert.equal(dialer.room, MAX_FILE_RECORD_BYTES - 16 - 5 - MAX_DATA_BYTES - 5);
  const data = new Uint8Array(dialer.room).fill(8);
  assert.throws(
    () => dialer.add({ type: "data", data: new Uint8Array(data.length + 1) }),
    RangeError,
  );
  dialer.add({ type: "data", data });
  assert.equal(dialer.room, 0);
  const record = dialer.seal();
  assert.equal(FileRecords.readLength(record), MAX_FILE_RECORD_BYTES);
  const frames = listener.open(record.slice(4));
  assert.deepEqual(frames.map((frame) => frame.type === "data" && frame.data.length), [
    MAX_DATA_BYTES,
    data.length,
  ]);
});

Deno.test("the record before stays as it was while the next one is put together", () => {
  const [dialer, listener] = connect();
  dialer.add({ type: "got", total: 1 });
  const first = dialer.seal();
  dialer.add({ type: "got", total: 2 });
  assert.deepEqual(listener.open(first.subarray(4)), [{ type: "got", total: 1 }]);
  assert.deepEqual(listener.open(dialer.seal().slice(4)), [{ type: "got", total: 2 }]);
});

Deno.test("lengths out of bounds, changed bytes and frames that do not fill a record are refused", () => {
  for (const length of [0, 16, MAX_FILE_RECORD_BYTES + 1, 0xffffffff]) {
    const head = new Uint8Array(4);
    writeU32(head, 0, length);
    assert.throws(() => FileRecords.readLength(head), DecryptError);
  }
  const [dialer] = connect();
  dialer.add({ type: "alive" });
  const whole = dialer.seal().slice(4);
  for (let at = 0; at < whole.length; at++) {
    const { hello, finish } = secret(1).dial();
    const { answer, records } = secret(1).answer(hello)!;
    const from = finish(answer);
    from.add({ type: "alive" });
    const record = from.seal().slice(4);
    record[at]! ^= 1;
    assert.throws(() => records.open(record), DecryptError);
    assert.throws(() => records.open(record), DecryptError, "it stays closed");
  }
});
