import assert from "node:assert/strict";
import { concat, decodeHex, encodeHex, encodeUtf8 } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import {
  ANSWERS,
  decodeFileMessage,
  encodeFileMessage,
  type FileMessage,
  isFileMessage,
  MAX_FILE_ADDRESSES,
  MAX_FILE_NAME_BYTES,
  MAX_FOLDER_ENTRIES,
  MAX_PIECE_BYTES,
} from "../../lib/protocol/file_messages.ts";
import { kat } from "../support/kat.ts";

const ID = "00112233445566778899aabbccddeeff";
const NONE = new Uint8Array(32);
const HASH = new Uint8Array(32).fill(0xab);

type Fields<T extends FileMessage["type"]> = Partial<Extract<FileMessage, { type: T }>>;

function offer(fields: Fields<"offer"> = {}): FileMessage {
  return {
    type: "offer",
    id: ID,
    kind: "file",
    toRoom: false,
    executable: false,
    size: 5,
    entries: 1,
    mtime: 1000,
    listing: NONE,
    name: encodeUtf8("a.txt"),
    ...fields,
  };
}

function answer(fields: Fields<"answer"> = {}): FileMessage {
  return { type: "answer", id: ID, answer: "accepted", have: 0, hash: NONE, ...fields };
}

function where(fields: Fields<"where"> = {}): FileMessage {
  return { type: "where", id: ID, secret: HASH, port: 40000, addresses: [], ...fields };
}

function piece(bytes: number): FileMessage {
  return { type: "piece", id: ID, frame: new Uint8Array(bytes).fill(0x11) };
}

const V4 = Uint8Array.of(192, 168, 1, 20);
const V6 = new Uint8Array(16).fill(0xfd);

const VALID: readonly FileMessage[] = [
  offer(),
  offer({ size: 0, toRoom: true }),
  offer({ size: undefined, executable: true, mtime: 0 }),
  offer({ size: 2 ** 53 - 1, mtime: 2 ** 53 - 1, name: new Uint8Array(MAX_FILE_NAME_BYTES) }),
  offer({ kind: "folder", entries: MAX_FOLDER_ENTRIES, listing: HASH }),
  offer({ entries: 0 }),
  ...ANSWERS.map((code) => answer({ answer: code })),
  answer({ have: 2 ** 53 - 1, hash: HASH }),
  where({ port: 0 }),
  where({ port: 65535, addresses: [V4, V6] }),
  where({ addresses: Array<typeof V6>(MAX_FILE_ADDRESSES).fill(V6) }),
  piece(1),
  piece(1 + MAX_PIECE_BYTES),
];

Deno.test("file messages survive encoding and decoding, each field at its limits", () => {
  for (const message of VALID) {
    const bytes = encodeFileMessage(message);
    assert.ok(isFileMessage(bytes[0]!));
    assert.deepEqual(decodeFileMessage(bytes), message);
  }
  assert.equal(isFileMessage(0x4f) || isFileMessage(0x54), false);
});

Deno.test("an OFFER is laid out as in §15", () => {
  const bytes = encodeFileMessage(offer({ toRoom: true, executable: true }));
  const layout = ["50", ID, "00", "03", "0000000000000005", "00000001", "00000000000003e8"].join(
    "",
  );
  assert.deepEqual(bytes, concat(decodeHex(layout), NONE, encodeUtf8("a.txt")));
});

Deno.test("file messages cut at any byte, or with a byte left over, are refused", () => {
  for (const message of VALID) {
    const bytes = encodeFileMessage(message);
    const fixed = message.type === "piece" ? 18 : message.type === "offer" ? 72 : bytes.length;
    for (let length = 1; length < fixed; length++) refuses(bytes.subarray(0, length));
    if (message.type === "answer" || message.type === "where") {
      refuses(concat(bytes, Uint8Array.of(0)));
    }
  }
});

Deno.test("file messages with a field past its limit are refused", () => {
  const changed = (message: FileMessage, at: number, ...values: number[]) => {
    const bytes = encodeFileMessage(message);
    bytes.set(values, at);
    return bytes;
  };
  refuses(changed(offer(), 17, 2)); // kind
  refuses(changed(offer(), 18, 8)); // flags
  refuses(changed(offer(), 18, 4)); // a size that is unknown and not 0
  refuses(changed(offer(), 19, 0, 0x20)); // 2^53
  refuses(changed(offer(), 31, 0, 0x20)); // mtime
  refuses(encodeFileMessage(offer({ entries: 2 })));
  refuses(encodeFileMessage(offer({ listing: HASH })));
  refuses(encodeFileMessage(offer({ kind: "folder", entries: MAX_FOLDER_ENTRIES + 1 })));
  refuses(encodeFileMessage(offer({ kind: "folder", size: undefined })));
  refuses(encodeFileMessage(offer({ name: new Uint8Array(MAX_FILE_NAME_BYTES + 1) })));
  refuses(encodeFileMessage(offer({ name: new Uint8Array(0) })));
  refuses(changed(answer(), 17, ANSWERS.length));
  refuses(encodeFileMessage(answer({ hash: HASH })));
  refuses(changed(answer({ have: 1 }), 18, 0, 0x20));
  refuses(encodeFileMessage(where({ port: 0, addresses: [V4] })));
  refuses(encodeFileMessage(where({ addresses: Array<typeof V4>(9).fill(V4) })));
  refuses(encodeFileMessage(where({ addresses: [new Uint8Array(5)] })));
  refuses(encodeFileMessage(piece(2 + MAX_PIECE_BYTES)));
  refuses(encodeFileMessage(piece(0)));
  refuses(Uint8Array.of(0x54, ...new Uint8Array(16)));
});

Deno.test("the known messages are taken and encode to the same; the others are refused", () => {
  for (const { what, hex } of kat.files.messages) {
    assert.equal(encodeHex(encodeFileMessage(decodeFileMessage(decodeHex(hex)))), hex, what);
  }
  for (const { hex } of kat.files.rejected) refuses(decodeHex(hex));
});

function refuses(bytes: Uint8Array): void {
  assert.throws(() => decodeFileMessage(bytes), ProtocolError);
}
