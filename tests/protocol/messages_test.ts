import assert from "node:assert/strict";
import { concat, decodeHex, encodeHex, encodeUtf8 } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import {
  decodeContent,
  decodeKey,
  decodeMessage,
  encodeKey,
  encodeMessage,
  isReaction,
  MAX_AWAY_BYTES,
  MAX_TEXT_BYTES,
  MAX_TOPIC_BYTES,
  type Message,
  NOTE,
  type SentMessage,
  setSeq,
  toContent,
} from "../../lib/protocol/messages.ts";
import { kat, katBytes } from "../support/kat.ts";

function isRefused(decode: () => unknown): boolean {
  try {
    decode();
    return false;
  } catch (error) {
    if (error instanceof ProtocolError) return true;
    throw error;
  }
}

const NO_REPLY = "0".repeat(16);

/** A message as kat.json writes its fields. */
function messageFields(message: Message): Record<string, unknown> {
  switch (message.type) {
    case "chat": {
      const { seq, id, time, action, private: isPrivate, late, view, reply, text } = message;
      const flags = (action ? 1 : 0) + (isPrivate ? 2 : 0) + (late ? 4 : 0);
      return { seq, id, time, flags, view: encodeHex(view), reply: reply ?? NO_REPLY, text };
    }
    case "ack":
      return { n: message.received };
    case "gap":
      return { n: message.next };
    case "away":
      return { away: message.text };
    default: {
      const { type: _, ...fields } = message;
      return fields;
    }
  }
}

Deno.test("decodeMessage() and encodeMessage() handle every type of message", () => {
  let count = 0;
  for (const { type, hex, fields } of kat.messages.valid) {
    const message = decodeMessage(decodeHex(hex));
    assert.equal(message.type, type.toLowerCase());
    assert.deepEqual(messageFields(message), fields);
    if (message.type !== "extension") assert.equal(encodeHex(encodeMessage(message)), hex);
    count++;
  }
  assert.equal(count, 14);
});

Deno.test("decodeMessage() accepts values at their limits, and encodeMessage() restores them", () => {
  let count = 0;
  for (const known of kat.messages.edge) {
    const plaintext = katBytes(known);
    const message = decodeMessage(plaintext);
    const isUnknownNote = message.type === "note" && message.what > NOTE.RETRACT; // its text is not looked at
    if (message.type !== "extension" && !isUnknownNote) {
      assert.deepEqual(encodeMessage(message), plaintext, known.reason);
    }
    count++;
  }
  assert.equal(count, 33);
});

Deno.test("decodeMessage() rejects malformed messages", () => {
  let count = 0;
  for (const known of kat.messages.rejected) {
    // Those with a state are for the channel to refuse.
    const refused = isRefused(() => decodeMessage(katBytes(known)));
    assert.equal(refused, known.state === undefined, known.reason);
    count++;
  }
  assert.equal(count, 66);
});

Deno.test("decodeMessage() knows the types of section 6 and no other", () => {
  const known = [0x00, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25];
  for (let type = 0; type < 256; type++) {
    const decode = () => decodeMessage(Uint8Array.of(type));
    if (type === 0x41) assert.deepEqual(decode(), { type: "away", text: "" });
    else if (type === 0x43) assert.deepEqual(decode(), { type: "standby", offer: undefined });
    else if (type >= 0x50 && type <= 0x53) {
      assert.deepEqual(decode(), { type: "file", bytes: Uint8Array.of(type) });
    } else if (type >= 0x60 && type <= 0x64) {
      assert.deepEqual(decode(), { type: "own", bytes: Uint8Array.of(type) });
    } else if (type >= 0x40 && type <= 0x7f) assert.deepEqual(decode(), { type: "extension" });
    else {
      const code = known.includes(type) ? "bad-length" : "unknown-type";
      assert.throws(decode, new ProtocolError(code));
    }
  }
});

Deno.test("decodeMessage() refuses every message that is cut short, but for texts cut between characters", () => {
  const free = ["CHAT", "NICK", "NOTE", "AWAY", "TOPIC", "extension"];
  for (const { type, hex } of kat.messages.valid) {
    const whole = decodeHex(hex);
    const fixed = { CHAT: 66, NICK: 9, NOTE: 17 }[type] ?? 0;
    for (let length = 1; length < whole.length; length++) {
      const refused = isRefused(() => decodeMessage(whole.subarray(0, length)));
      if (!free.includes(type) || length <= fixed) assert.ok(refused, `${type} ${length}`);
    }
  }
});

Deno.test("decodeMessage() accepts flags 0 to 7 only", () => {
  const chat = decodeHex(kat.messages.valid.find(({ type }) => type === "CHAT")!.hex);
  for (let flags = 0; flags < 256; flags++) {
    chat[25] = flags;
    const decode = () => decodeMessage(chat);
    if (flags > 7) assert.throws(decode, new ProtocolError("bad-field"));
    else assert.equal(messageFields(decode()).flags, flags);
  }
});

Deno.test("decodeMessage() accepts texts of 1 to 8192 bytes of UTF-8", () => {
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

Deno.test("decodeMessage() accepts AWAY of up to 200 bytes and ignores a malformed one", () => {
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

Deno.test("decodeMessage() takes a TOPIC of up to 200 bytes and ignores a malformed one", () => {
  const topic = (text: string, time = 1) => encodeMessage({ type: "topic", time, text });
  for (const text of ["", "x", "a".repeat(MAX_TOPIC_BYTES)]) {
    assert.deepEqual(decodeMessage(topic(text)), { type: "topic", time: 1, text });
  }
  for (
    const bad of [
      topic("a".repeat(MAX_TOPIC_BYTES + 1)),
      topic("").subarray(0, 8),
      concat(topic(""), Uint8Array.of(0xff)),
      Uint8Array.from(topic("x"), (byte, i) => i === 2 ? 0xff : byte), // a time above 2^53
    ]
  ) {
    assert.deepEqual(decodeMessage(bad), { type: "extension" });
  }
});

Deno.test("decodeMessage() takes STANDBY and SUCCESSION, and ignores malformed ones", () => {
  const place = { relay: new Uint8Array(32), port: 1, addresses: ["10.0.0.1"] };
  const signature = new Uint8Array(64).fill(5);
  const list = { serial: 1, at: 0, entries: [{ person: new Uint8Array(32), ...place }] };
  const messages: SentMessage[] = [
    { type: "standby", offer: { signature, place } },
    { type: "standby", offer: undefined },
    { type: "succession", signature, list },
  ];
  for (const message of messages) {
    const bytes = encodeMessage(message);
    assert.deepEqual(decodeMessage(bytes), message);
    const longer = concat(bytes, Uint8Array.of(0));
    assert.deepEqual(decodeMessage(longer), { type: "extension" });
  }
});

Deno.test("toContent() and decodeContent() take the seq out of a CHAT or NOTE and put another in", () => {
  let count = 0;
  for (const { type, hex } of kat.messages.valid) {
    if (type !== "CHAT" && type !== "NOTE") continue;
    const message = decodeHex(hex);
    const decoded = decodeContent(toContent(message), 77);
    setSeq(message, 77);
    assert.deepEqual(decoded, decodeMessage(message));
    count++;
  }
  assert.equal(count, 6);
});

Deno.test("decodeContent() refuses other types, and what is private or late", () => {
  const chat = decodeMessage(decodeHex(kat.messages.valid[2]!.hex));
  assert.ok(chat.type === "chat");
  for (const flag of ["private", "late"] as const) {
    const content = toContent(encodeMessage({ ...chat, [flag]: true }));
    assert.throws(() => decodeContent(content, 1), new ProtocolError("bad-field"));
  }
  for (let type = 0; type < 256; type++) {
    if (type === 0x21 || type === 0x25) continue;
    const decode = () => decodeContent(Uint8Array.of(type), 1);
    assert.throws(decode, new ProtocolError("unknown-type"));
  }
  assert.throws(() => decodeContent(new Uint8Array(0), 1), new ProtocolError("unknown-type"));
});

Deno.test("encodeKey() and decodeKey() know the KEY of a box, and nothing else", () => {
  const key = new Uint8Array(32).fill(5);
  const plaintext = encodeKey(9, key);
  assert.equal(plaintext.length, 41);
  assert.deepEqual(decodeKey(plaintext), { seq: 9, key });
  assert.throws(() => decodeKey(encodeKey(0, key)), new ProtocolError("bad-field"));
  for (const length of [1, 40]) {
    assert.throws(() => decodeKey(plaintext.subarray(0, length)), new ProtocolError("bad-length"));
  }
  assert.throws(() => decodeMessage(plaintext), new ProtocolError("unknown-type"));
  plaintext[0] = 0x21;
  assert.throws(() => decodeKey(plaintext), new ProtocolError("unknown-type"));
  assert.throws(() => decodeKey(new Uint8Array(0)), new ProtocolError("unknown-type"));
});

Deno.test("isReaction() takes one grapheme cluster of at most 32 bytes", () => {
  for (const text of ["a", "👍", "👍🏽", "👨‍👩‍👧‍👦", "🇨🇭", "é", "e\u0301"]) {
    assert.ok(isReaction(text), text);
  }
  for (const text of ["", "ab", "👍👍", "a ", "e" + "\u0301".repeat(16)]) {
    assert.ok(!isReaction(text), text);
  }
});
