import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { ProtocolError } from "../../lib/base/errors.ts";
import { concat } from "../../lib/base/bytes.ts";
import {
  decodeEntries,
  encodeEntry,
  ENTRY,
  type HistoryEntry,
} from "../../lib/protocol/history_entry.ts";

const MESSAGE: HistoryEntry = {
  type: ENTRY.MESSAGE,
  at: 1_700_000_000_000,
  sent: 1_699_999_999_000,
  id: "0123456789abcdef",
  reply: undefined,
  fingerprint: new Uint8Array(32).fill(1),
  to: undefined,
  flags: 0,
  nick: "anna",
  what: undefined,
  text: "hello",
};

Deno.test("encodeEntry() lays an entry out as PROTOCOL.md §16 says", () => {
  const bytes = encodeEntry({ ...MESSAGE, flags: 9, to: new Uint8Array(32).fill(2) });
  const hex = bytes.toHex();
  assert.equal(
    hex,
    "006c" + "00" + "0000018bcfe56800" + "0000018bcfe56418" + "0123456789abcdef" +
      "0000000000000000" + "01".repeat(32) + "02".repeat(32) + "09" + "04" + "616e6e61" +
      "68656c6c6f",
  );
});

Deno.test("decodeEntries() gives back what encodeEntry() was given, one after another", () => {
  const note = { ...MESSAGE, type: ENTRY.NOTE, id: undefined, reply: "1".repeat(16), what: 3 };
  const topic = { ...MESSAGE, type: ENTRY.TOPIC, id: undefined, nick: "", text: "" };
  const later = { ...MESSAGE, type: 200, text: "of a later program" };
  const all: HistoryEntry[] = [MESSAGE, note, topic, later];
  assert.deepEqual(decodeEntries(concat(...all.map(encodeEntry))), all);
  assert.deepEqual(decodeEntries(new Uint8Array()), []);
});

Deno.test("decodeEntries() refuses what is incomplete or malformed", () => {
  const good = encodeEntry(MESSAGE);
  for (let length = 1; length < good.length; length++) {
    assert.throws(() => decodeEntries(good.subarray(0, length)), ProtocolError, `${length}`);
  }
  const note = encodeEntry({ ...MESSAGE, type: ENTRY.NOTE, id: undefined, what: 1, text: "" });
  const bad = [
    encodeEntry({ ...MESSAGE, id: "0".repeat(16) }), // a message has an id
    encodeEntry({ ...MESSAGE, type: ENTRY.CAME }), // and nothing else has
    concat(good.subarray(0, 100), Uint8Array.of(255), good.subarray(101)), // a nick beyond the end
    concat(Uint8Array.of(0, 100), note.subarray(2, 102)), // a note without what it did
    concat(good.subarray(0, -1), Uint8Array.of(0xff)), // no UTF-8
    concat(good.subarray(0, 3), Uint8Array.of(0xff), good.subarray(4)), // a time beyond 2^53
  ];
  for (const [i, bytes] of bad.entries()) {
    assert.throws(() => decodeEntries(bytes), ProtocolError, `${i}`);
  }
});

Deno.test("decodeEntries() throws nothing but ProtocolError, whatever the bytes", () => {
  const good = encodeEntry(MESSAGE);
  fc.assert(fc.property(
    fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 4 }),
    fc.uint8Array({ maxLength: 20 }),
    (changes, tail) => {
      const bytes = concat(good, tail);
      for (const [at, value] of changes) bytes[at] = value;
      try {
        decodeEntries(bytes);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
    },
  ));
});
