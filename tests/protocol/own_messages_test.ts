import assert from "node:assert/strict";
import { concat, encodeUtf8 } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import { encodeEntry, ENTRY, type HistoryEntry } from "../../lib/protocol/history_entry.ts";
import { decodeMessage, encodeMessage, MAX_TEXT_BYTES, NOTE } from "../../lib/protocol/messages.ts";
import {
  decodeOwnMessage,
  encodeOwnMessage,
  MAX_GIVE_BYTES,
  MAX_REFERENCES,
  MAX_WANT_SECONDS,
  type OwnMessage,
  SCOPE,
} from "../../lib/protocol/own_messages.ts";

const FP = new Uint8Array(32).fill(7);
const ID = "0102030405060708";
const REF = "a1a2a3a4a5a6a7a8";

const COPY: OwnMessage & { type: "copy" } = {
  type: "copy",
  id: ID,
  time: 5,
  action: false,
  reply: undefined,
  to: FP,
  what: undefined,
  text: "hello",
};
const NOTED = { ...COPY, id: undefined, reply: REF, what: NOTE.EDIT, text: "hallo" };
const ENTRY_OF_MESSAGE: HistoryEntry = {
  type: ENTRY.MESSAGE,
  at: 1000,
  sent: 5,
  id: ID,
  reply: undefined,
  fingerprint: FP,
  to: undefined,
  flags: 0,
  nick: "bert",
  what: undefined,
  text: "hello",
};
const ENTRY_OF_NOTE = {
  ...ENTRY_OF_MESSAGE,
  type: ENTRY.NOTE,
  id: undefined,
  reply: REF,
  what: NOTE.REACT,
  text: "👍",
};

function refuses(bytes: Uint8Array): void {
  assert.throws(() => decodeOwnMessage(bytes), ProtocolError);
}

Deno.test("decodeOwnMessage() gives what encodeOwnMessage() took, at every limit", () => {
  const references = Array.from({ length: MAX_REFERENCES }, () => REF);
  const messages: OwnMessage[] = [
    COPY,
    { ...COPY, action: true, reply: REF, text: "é".repeat(MAX_TEXT_BYTES / 2) },
    NOTED,
    { ...NOTED, what: NOTE.UNREACT, text: "" },
    { ...NOTED, text: "a".repeat(MAX_TEXT_BYTES) },
    { type: "read", other: undefined, reference: REF },
    { type: "read", other: FP, reference: REF },
    { type: "want", scope: SCOPE.OWN, seconds: 1, references: [] },
    { type: "want", scope: SCOPE.RECAP, seconds: MAX_WANT_SECONDS, references },
    { type: "give", last: true, entries: [] },
    { type: "give", last: false, entries: [ENTRY_OF_MESSAGE, ENTRY_OF_NOTE] },
    { type: "recap", isOn: true },
    { type: "recap", isOn: false },
  ];
  for (const message of messages) {
    const bytes = encodeOwnMessage(message);
    assert.deepEqual(decodeOwnMessage(bytes), message);
    const taken = decodeMessage(encodeMessage({ type: "own", bytes }));
    assert.deepEqual(taken, { type: "own", bytes });
    for (let length = 0; length < Math.min(bytes.length, 59); length++) {
      // A GIVE may be cut between entries, and a text anywhere.
      if (message.type === "give" && length === 2) continue;
      if (message.type === "copy" && length >= 59) continue;
      refuses(bytes.subarray(0, length));
    }
  }
});

Deno.test("decodeOwnMessage() refuses a COPY whose fields do not fit each other", () => {
  refuses(encodeOwnMessage({ ...COPY, text: "" }));
  refuses(encodeOwnMessage({ ...COPY, text: "a".repeat(MAX_TEXT_BYTES + 1) }));
  refuses(encodeOwnMessage({ ...COPY, to: new Uint8Array(32) }));
  refuses(encodeOwnMessage({ ...NOTED, reply: undefined }));
  refuses(encodeOwnMessage({ ...NOTED, action: true }));
  refuses(encodeOwnMessage({ ...NOTED, what: 5 }));
  refuses(encodeOwnMessage({ ...NOTED, what: NOTE.RETRACT }));
  const bytes = encodeOwnMessage(COPY);
  for (const flags of [0, 1, 4, 6, 7, 10, 255]) {
    refuses(bytes.map((byte, i) => i === 17 ? flags : byte));
  }
  refuses(concat(bytes, Uint8Array.of(0xff)));
});

Deno.test("decodeOwnMessage() refuses a READ that names nothing, or a person for the room", () => {
  const room = encodeOwnMessage({ type: "read", other: undefined, reference: REF });
  refuses(room.map((byte, i) => i === 1 ? 1 : byte));
  refuses(room.map((byte, i) => i === 1 ? 2 : byte));
  refuses(room.map((byte, i) => i >= 34 ? 0 : byte));
  const person = encodeOwnMessage({ type: "read", other: FP, reference: REF });
  refuses(person.map((byte, i) => i === 1 ? 0 : byte));
});

Deno.test("decodeOwnMessage() refuses a WANT beyond its limits", () => {
  const want = { type: "want", scope: SCOPE.OWN, seconds: 60, references: [REF] } as const;
  refuses(encodeOwnMessage({ ...want, scope: 2 }));
  refuses(encodeOwnMessage({ ...want, seconds: 0 }));
  refuses(encodeOwnMessage({ ...want, seconds: MAX_WANT_SECONDS + 1 }));
  const references = Array.from({ length: MAX_REFERENCES + 1 }, () => REF);
  refuses(encodeOwnMessage({ ...want, references }));
  refuses(concat(encodeOwnMessage(want), Uint8Array.of(0)));
});

Deno.test("decodeOwnMessage() refuses a whole GIVE for one bad entry", () => {
  const bad: Partial<HistoryEntry>[] = [
    { text: "" },
    { nick: "" },
    { nick: "a b" },
    { flags: 32 },
    { type: ENTRY.CAME, id: undefined },
    { type: ENTRY.NOTE, id: undefined, what: NOTE.EDIT },
    { type: ENTRY.NOTE, id: undefined, reply: REF, what: 9 },
    { type: 99, id: undefined },
  ];
  for (const fields of bad) {
    const entries = [ENTRY_OF_MESSAGE, { ...ENTRY_OF_MESSAGE, ...fields }];
    refuses(encodeOwnMessage({ type: "give", last: true, entries }));
  }
  const give = encodeOwnMessage({ type: "give", last: true, entries: [ENTRY_OF_MESSAGE] });
  refuses(give.map((byte, i) => i === 1 ? 2 : byte));
  refuses(concat(give, encodeUtf8("x")));
  const { length } = encodeEntry(ENTRY_OF_MESSAGE);
  const tooMany = Array.from({ length: Math.floor(MAX_GIVE_BYTES / length) + 1 }, () => {
    return ENTRY_OF_MESSAGE;
  });
  refuses(encodeOwnMessage({ type: "give", last: true, entries: tooMany }));
});

Deno.test("decodeOwnMessage() refuses a RECAP of more or less than one byte, or another one", () => {
  for (const bytes of [[0x64], [0x64, 2], [0x64, 255], [0x64, 1, 0]]) {
    refuses(Uint8Array.from(bytes));
  }
});
