import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { type Bytes, concat, decodeHex, encodeHex } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import {
  checkCast,
  checkRoute,
  decodeFrame,
  encodeFrame,
  forEachFrame,
  type Frame,
  MAX_PAYLOAD_BYTES,
} from "../../lib/protocol/frames.ts";
import { MAX_CAPACITY } from "../../lib/protocol/limits.ts";
import { kat, katBytes } from "../support/kat.ts";

/** All frames of a plaintext. */
function framesOf(plaintext: Uint8Array): Frame[] {
  const frames: Frame[] = [];
  forEachFrame(plaintext, (type, body) => frames.push(decodeFrame(type, body)));
  return frames;
}

function isRefused(decode: () => unknown): boolean {
  try {
    decode();
    return false;
  } catch (error) {
    if (error instanceof ProtocolError) return true;
    throw error;
  }
}

/** A frame as kat.json writes its fields. */
function fieldsOf(frame: Frame): Record<string, unknown> {
  const { type, ...fields } = frame;
  const names: Record<string, string> = {
    fingerprint: "fp",
    share: type === "join" ? "ya" : "data",
    proof: "data",
  };
  const plain = (value: unknown): unknown => {
    if (value instanceof Uint8Array) return encodeHex(value);
    if (Array.isArray(value)) return value.map((entry) => Object.values(entry).map(plain));
    return value;
  };
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [names[name] ?? name, plain(value)]),
  );
}

Deno.test("decodeFrame() and encodeFrame() handle every type of frame", () => {
  let count = 0;
  for (const { type, frame, body, fields } of kat.frames.valid) {
    assert.equal(frame.slice(6), body);
    const [decoded] = framesOf(decodeHex(frame)) as [Frame];
    assert.equal(decoded.type, type.toLowerCase());
    assert.deepEqual(fieldsOf(decoded), fields);
    assert.equal(encodeHex(encodeFrame(decoded)), frame);
    count++;
  }
  assert.equal(count, 17);
});

Deno.test("decodeFrame() accepts values at their limits, and encodeFrame() restores them", () => {
  let count = 0;
  for (const known of kat.frames.edge) {
    const plaintext = katBytes(known);
    const frames = framesOf(plaintext);
    assert.equal(frames.length, 1, known.reason);
    const encoded = encodeFrame(frames[0]!);
    // What follows a CLOSE is ignored.
    assert.deepEqual(encoded, plaintext.slice(0, encoded.length), known.reason);
    if (frames[0]!.type !== "close") assert.equal(encoded.length, plaintext.length);
    count++;
  }
  assert.equal(count, 22);
});

Deno.test("decodeFrame() rejects malformed frames; relay and session reject unexpected ones", () => {
  const passed = kat.frames.rejected.filter((known) => !isRefused(() => framesOf(katBytes(known))));
  assert.deepEqual(passed.map(({ receiver, reason }) => `${receiver}: ${reason}`), [
    "relay: CAST as the first frame",
    "relay: PART from a client",
    "client: CAST from the relay",
    "client: PART of an unknown sid",
    "client: PART of the own sid",
    "client: PART before WELCOME",
    "relay: first frame is no JOIN",
    "relay: a second JOIN",
    "relay: WELCOME from a client",
    "relay: JOINED from a client",
    "relay: LEFT from a client",
    "relay: RECV from a client",
    "client: JOIN from the relay",
    "client: SEND from the relay",
    "client: JOINED before WELCOME",
    "client: RECV before WELCOME",
    "client: a second WELCOME",
    "client: JOINED of a known sid",
    "client: JOINED of the own sid",
    "client: LEFT of an unknown sid",
    "client: RECV of an unknown sid",
    "relay: PROOF nobody asked for",
    "relay: SHARE from a client",
    "relay: RESULT from a client",
    "relay: NOTICE from a client",
    "client: PROOF to who sent zeros",
    "client: PROOF after WELCOME",
    "client: ADMIN from the relay",
    "client: SHARE after WELCOME",
    "client: SHARE to who sent zeros",
    "client: NOTICE before WELCOME",
    "client: RESULT before WELCOME",
  ]);
  assert.equal(kat.frames.rejected.length, 87);
});

Deno.test("decodeFrame() accepts every body at its exact length only", () => {
  for (const { frame } of kat.frames.valid) {
    const type = decodeHex(frame)[0]!;
    const body = decodeHex(frame).subarray(3);
    // The length of a payload, an argument, a text or a common is free.
    if (type === 0x14 || type === 0x15 || type >= 0x18) continue;
    for (let length = 0; length <= body.length + 1; length++) {
      const cut = concat(body, Uint8Array.of(0)).subarray(0, length);
      assert.equal(isRefused(() => decodeFrame(type, cut)), length !== body.length, frame);
    }
  }
});

Deno.test("decodeFrame() knows the types of section 5 and no other", () => {
  const known = [0x00, 0x01, 0x02, ...Array.from({ length: 14 }, (_, i) => 0x10 + i)];
  for (let type = 0; type < 256; type++) {
    if (type === 0x1e) continue; // PLACE, whatever its body
    const decode = () => decodeFrame(type, new Uint8Array(0));
    const code = known.includes(type) ? "bad-length" : "unknown-type";
    assert.throws(decode, new ProtocolError(code));
  }
});

/** A WELCOME with `count` members besides the receiver. */
function welcome(capacity: number, count: number): Bytes {
  const sid = (n: number) => n.toString(16).padStart(16, "0");
  const members = Array.from({ length: count }, (_, i) => ({
    sid: sid(i + 2),
    fingerprint: new Uint8Array(32),
  }));
  return encodeFrame({ type: "welcome", sid: sid(1), capacity, members });
}

Deno.test("decodeFrame() accepts a WELCOME of up to 256 members including the receiver", () => {
  for (const capacity of [1, 2, 64, 255, MAX_CAPACITY]) {
    const [full] = framesOf(welcome(capacity, capacity - 1)) as [Frame];
    assert.ok(full.type === "welcome" && full.members.length === capacity - 1);
    assert.throws(() => framesOf(welcome(capacity, capacity)), new ProtocolError("bad-field"));
  }
  assert.throws(() => framesOf(welcome(MAX_CAPACITY + 1, 0)), new ProtocolError("bad-field"));
  assert.throws(() => framesOf(welcome(0xffff, 0)), new ProtocolError("bad-field"));
});

Deno.test("checkRoute() and decodeFrame() accept payloads of 1 to 16000 bytes and kinds 1 to 4", () => {
  const body = (kind: number, length: number) => {
    const bytes = new Uint8Array(13 + length);
    bytes[8] = kind;
    return bytes;
  };
  for (const length of [0, 1, 2, 15999, MAX_PAYLOAD_BYTES, 16001, 65000]) {
    const refused = length < 1 || length > MAX_PAYLOAD_BYTES;
    assert.equal(isRefused(() => checkRoute(body(4, length))), refused);
    assert.equal(isRefused(() => decodeFrame(0x14, body(4, length))), refused);
    assert.equal(isRefused(() => decodeFrame(0x15, body(4, length))), refused);
  }
  for (let kind = 0; kind < 256; kind++) {
    assert.equal(isRefused(() => checkRoute(body(kind, 1))), kind < 1 || kind > 4);
  }
  for (let length = 0; length <= 13; length++) {
    assert.throws(() => checkRoute(new Uint8Array(length)), new ProtocolError("bad-length"));
  }
});

Deno.test("checkCast() takes 1 to 236 entries and a common of 28 to 8720 bytes, and says where that begins", () => {
  const cast = (count: number, common: number, entries = count) => {
    const body = new Uint8Array(1 + entries * 69 + common);
    body[0] = count;
    return body;
  };
  for (const count of [1, 2, 235, 236]) {
    for (const common of [28, 29, 8720]) {
      assert.equal(checkCast(cast(count, common)), 1 + count * 69);
    }
    for (const common of [0, 27, 8721]) {
      assert.throws(() => checkCast(cast(count, common)), new ProtocolError("bad-length"));
    }
  }
  assert.throws(() => checkCast(new Uint8Array(0)), new ProtocolError("bad-length"));
  assert.throws(() => checkCast(cast(0, 28)), new ProtocolError("bad-field"));
  assert.throws(() => checkCast(cast(237, 28)), new ProtocolError("bad-field"));
  assert.throws(() => checkCast(cast(255, 28, 1)), new ProtocolError("bad-field"));
});

Deno.test("decodeFrame() copies everything but payloads", () => {
  const body = new Uint8Array(80).fill(7);
  const join = decodeFrame(0x10, body);
  body.fill(0);
  assert.ok(join.type === "join" && join.share.every((byte) => byte === 7));
  const route = new Uint8Array(14);
  route[8] = 1;
  const send = decodeFrame(0x14, route);
  route[13] = 9;
  assert.ok(send.type === "send" && send.payload[0] === 9);
});

function frames(plaintext: Uint8Array): [number, number[]][] {
  const found: [number, number[]][] = [];
  forEachFrame(plaintext, (type, body) => found.push([type, [...body]]));
  return found;
}

Deno.test("forEachFrame() visits every frame with its body", () => {
  assert.deepEqual(frames(Uint8Array.of(0x20, 0, 0)), [[0x20, []]]);
  assert.deepEqual(frames(Uint8Array.of(1, 0, 1, 9, 2, 0, 2, 8, 7)), [[1, [9]], [2, [8, 7]]]);
});

Deno.test("forEachFrame() rejects a record that its frames do not fill exactly", () => {
  const bad = [[], [1], [1, 0], [1, 0, 1], [1, 0, 0, 5], [1, 0, 1, 9, 1, 0], [1, 1, 0, 9]];
  for (const plaintext of bad) {
    assert.throws(() => frames(Uint8Array.from(plaintext)), new ProtocolError("bad-length"));
  }
});

Deno.test("forEachFrame() ignores everything after a CLOSE", () => {
  assert.deepEqual(frames(Uint8Array.of(0, 0, 1, 3, 0x77, 0xff)), [[0, [3]]]);
  assert.deepEqual(frames(Uint8Array.of(1, 0, 0, 0, 0, 1, 3, 9)), [[1, []], [0, [3]]]);
});

Deno.test("forEachFrame() throws nothing but ProtocolError, whatever the bytes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (plaintext) => {
    try {
      frames(plaintext);
    } catch (error) {
      assert.ok(error instanceof ProtocolError);
    }
  }));
});

Deno.test("SEEK has a room, and PLACE a body that succession.ts reads", () => {
  const seek: Frame = { type: "seek", room: new Uint8Array(32).fill(3) };
  assert.deepEqual(framesOf(encodeFrame(seek)), [seek]);
  for (const length of [0, 31, 33]) {
    const decode = () => decodeFrame(0x1d, new Uint8Array(length));
    assert.throws(decode, new ProtocolError("bad-length"));
  }
  for (const length of [0, 3, 200]) {
    const place: Frame = { type: "place", body: new Uint8Array(length).fill(9) };
    assert.deepEqual(framesOf(encodeFrame(place)), [place]);
  }
});
