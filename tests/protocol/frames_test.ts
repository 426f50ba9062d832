import assert from "node:assert/strict";
import { type Bytes, concat, decodeHex, encodeHex, encodeUtf8 } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import { forEachFrame } from "../../lib/transport/input_buffer.ts";
import {
  decodeMessage,
  encodeMessage,
  MAX_AWAY_BYTES,
  MAX_TEXT_BYTES,
  type Message,
} from "../../lib/protocol/messages.ts";
import {
  checkRoute,
  decodeFrame,
  encodeFrame,
  type Frame,
  MAX_CAPACITY,
  MAX_PAYLOAD_BYTES,
} from "../../lib/protocol/frames.ts";
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
  const { type: _, ...fields } = frame;
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      if (value instanceof Uint8Array) {
        return [name === "fingerprint" ? "fp" : name, encodeHex(value)];
      }
      if (!Array.isArray(value)) return [name, value];
      return [name, value.map(({ sid, fingerprint }) => [sid, encodeHex(fingerprint)])];
    }),
  );
}

Deno.test("decodeFrame() and encodeFrame() know every type of frame", () => {
  let count = 0;
  for (const { type, frame, body, fields } of kat.frames.valid) {
    assert.equal(frame.slice(6), body);
    const [decoded] = framesOf(decodeHex(frame)) as [Frame];
    assert.equal(decoded.type, type.toLowerCase());
    assert.deepEqual(fieldsOf(decoded), fields);
    assert.equal(encodeHex(encodeFrame(decoded)), frame);
    count++;
  }
  assert.equal(count, 10);
});

Deno.test("decodeFrame() accepts what is at the edge, and encodeFrame() gives it back", () => {
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
  assert.equal(count, 12);
});

Deno.test("decodeFrame() refuses what is wrong by its form; the rest is for relay and session to refuse", () => {
  const passed = kat.frames.rejected.filter((known) => !isRefused(() => framesOf(katBytes(known))));
  assert.deepEqual(passed.map(({ receiver, reason }) => `${receiver}: ${reason}`), [
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
  ]);
  assert.equal(kat.frames.rejected.length, 51);
});

Deno.test("decodeFrame() takes every body only at its length", () => {
  for (const { frame } of kat.frames.valid) {
    const type = decodeHex(frame)[0]!;
    const body = decodeHex(frame).subarray(3);
    if (type === 0x14 || type === 0x15) continue; // the payload's length is free
    for (let length = 0; length <= body.length + 1; length++) {
      const cut = concat(body, Uint8Array.of(0)).subarray(0, length);
      assert.equal(isRefused(() => decodeFrame(type, cut)), length !== body.length, frame);
    }
  }
});

Deno.test("decodeFrame() knows the types of section 5 and no other", () => {
  const known = [0x00, 0x01, 0x02, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15];
  for (let type = 0; type < 256; type++) {
    const decode = () => decodeFrame(type, new Uint8Array(0));
    const code = known.includes(type) ? "bad-length" : "unknown-type";
    assert.throws(decode, new ProtocolError(code));
  }
});

/** A WELCOME with so many members besides the receiver. */
function welcome(capacity: number, count: number): Bytes {
  const sid = (n: number) => n.toString(16).padStart(16, "0");
  const members = Array.from({ length: count }, (_, i) => ({
    sid: sid(i + 2),
    fingerprint: new Uint8Array(32),
  }));
  return encodeFrame({ type: "welcome", sid: sid(1), capacity, members });
}

Deno.test("decodeFrame() takes a WELCOME of up to 256 members, the receiver among them", () => {
  for (const capacity of [1, 2, 64, 255, MAX_CAPACITY]) {
    const [full] = framesOf(welcome(capacity, capacity - 1)) as [Frame];
    assert.ok(full.type === "welcome" && full.members.length === capacity - 1);
    assert.throws(() => framesOf(welcome(capacity, capacity)), new ProtocolError("bad-field"));
  }
  assert.throws(() => framesOf(welcome(MAX_CAPACITY + 1, 0)), new ProtocolError("bad-field"));
  assert.throws(() => framesOf(welcome(0xffff, 0)), new ProtocolError("bad-field"));
});

Deno.test("checkRoute() and decodeFrame() take payloads of 1 to 16000 bytes and kinds 1 to 4", () => {
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

Deno.test("decodeFrame() copies everything but payloads", () => {
  const body = new Uint8Array(80).fill(7);
  const join = decodeFrame(0x10, body);
  body.fill(0);
  assert.ok(join.type === "join" && join.proof.every((byte) => byte === 7));
  const route = new Uint8Array(14);
  route[8] = 1;
  const send = decodeFrame(0x14, route);
  route[13] = 9;
  assert.ok(send.type === "send" && send.payload[0] === 9);
});

/** A message as kat.json writes its fields. */
function messageFields(message: Message): Record<string, unknown> {
  switch (message.type) {
    case "chat": {
      const { seq, id, time, action, private: isPrivate, late, view, text } = message;
      const flags = (action ? 1 : 0) + (isPrivate ? 2 : 0) + (late ? 4 : 0);
      return { seq, id, time, flags, view: encodeHex(view), text };
    }
    case "ack":
      return { n: message.received };
    case "gap":
      return { n: message.next };
    default: {
      const { type: _, ...fields } = message;
      return fields;
    }
  }
}

Deno.test("decodeMessage() and encodeMessage() know every type of message", () => {
  let count = 0;
  for (const { type, hex, fields } of kat.messages.valid) {
    const message = decodeMessage(decodeHex(hex));
    assert.equal(message.type, type.toLowerCase());
    assert.deepEqual(messageFields(message), fields);
    if (message.type !== "extension") assert.equal(encodeHex(encodeMessage(message)), hex);
    count++;
  }
  assert.equal(count, 7);
});

Deno.test("decodeMessage() accepts what is at the edge, and encodeMessage() gives it back", () => {
  let count = 0;
  for (const known of kat.messages.edge) {
    const plaintext = katBytes(known);
    const message = decodeMessage(plaintext);
    if (message.type !== "extension") {
      assert.deepEqual(encodeMessage(message), plaintext, known.reason);
    }
    count++;
  }
  assert.equal(count, 23);
});

Deno.test("decodeMessage() refuses what is wrong by its form", () => {
  let count = 0;
  for (const known of kat.messages.rejected) {
    // Those with a state are for the channel to refuse.
    const refused = isRefused(() => decodeMessage(katBytes(known)));
    assert.equal(refused, known.state === undefined, known.reason);
    count++;
  }
  assert.equal(count, 52);
});

Deno.test("decodeMessage() knows the types of section 6 and no other", () => {
  const known = [0x00, 0x20, 0x21, 0x22, 0x23, 0x24];
  for (let type = 0; type < 256; type++) {
    const decode = () => decodeMessage(Uint8Array.of(type));
    if (type === 0x41) assert.deepEqual(decode(), { type: "away", text: "" });
    else if (type >= 0x40 && type <= 0x7f) assert.deepEqual(decode(), { type: "extension" });
    else {
      const code = known.includes(type) ? "bad-length" : "unknown-type";
      assert.throws(decode, new ProtocolError(code));
    }
  }
});

Deno.test("decodeMessage() refuses every message that is cut short, but for texts cut between characters", () => {
  const free = ["CHAT", "NICK", "extension"];
  for (const { type, hex } of kat.messages.valid) {
    const whole = decodeHex(hex);
    const fixed = { CHAT: 58, NICK: 9 }[type] ?? 0;
    for (let length = 1; length < whole.length; length++) {
      const refused = isRefused(() => decodeMessage(whole.subarray(0, length)));
      if (!free.includes(type) || length <= fixed) assert.ok(refused, `${type} ${length}`);
    }
  }
});

Deno.test("decodeMessage() takes flags 0 to 7 and no other", () => {
  const chat = decodeHex(kat.messages.valid.find(({ type }) => type === "CHAT")!.hex);
  for (let flags = 0; flags < 256; flags++) {
    chat[25] = flags;
    const decode = () => decodeMessage(chat);
    if (flags > 7) assert.throws(decode, new ProtocolError("bad-field"));
    else assert.equal(messageFields(decode()).flags, flags);
  }
});

Deno.test("decodeMessage() takes texts of 1 to 8192 bytes, counted in UTF-8", () => {
  const chat = decodeMessage(decodeHex(kat.messages.valid[2]!.hex));
  assert.ok(chat.type === "chat");
  for (
    const text of ["a", "é", "a".repeat(MAX_TEXT_BYTES), "é".repeat(MAX_TEXT_BYTES / 2), "\n\t"]
  ) {
    assert.deepEqual(decodeMessage(encodeMessage({ ...chat, text })), { ...chat, text });
  }
  for (
    const text of ["", "a".repeat(MAX_TEXT_BYTES + 1), "é".repeat(MAX_TEXT_BYTES / 2) + "a"]
  ) {
    const decode = () => decodeMessage(encodeMessage({ ...chat, text }));
    assert.throws(decode, new ProtocolError("bad-length"));
  }
});

Deno.test("decodeMessage() takes AWAY of up to 200 bytes and ignores a malformed one", () => {
  for (const text of ["", "x", "zu Tisch ☕", "a".repeat(MAX_AWAY_BYTES)]) {
    assert.deepEqual(decodeMessage(encodeMessage({ type: "away", text })), { type: "away", text });
  }
  for (
    const body of [
      encodeUtf8("a".repeat(MAX_AWAY_BYTES + 1)),
      Uint8Array.of(0xff),
      Uint8Array.of(0x61, 0xc3),
    ]
  ) {
    const message = decodeMessage(concat(Uint8Array.of(0x41), body));
    assert.deepEqual(message, { type: "extension" });
  }
});
