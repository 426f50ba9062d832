import assert from "node:assert/strict";
import { concat, encodeUtf8 } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import {
  decodeFileFrame,
  encodeFileFrame,
  FILE_FRAME,
  type FileFrame,
  MAX_DATA_BYTES,
  MAX_PATH_BYTES,
  STOP_CODES,
} from "../../lib/protocol/file_frames.ts";

function entry(fields: Partial<Extract<FileFrame, { type: "entry" }>> = {}): FileFrame {
  const path = encodeUtf8("a/b.txt");
  return { type: "entry", kind: "file", executable: false, size: 7, mtime: 1, path, ...fields };
}

const VALID: readonly FileFrame[] = [
  { type: "go", from: 0 },
  { type: "go", from: 2 ** 53 - 1 },
  { type: "data", data: Uint8Array.of(1) },
  { type: "data", data: new Uint8Array(MAX_DATA_BYTES) },
  entry(),
  entry({ executable: true, size: 2 ** 53 - 1, mtime: 2 ** 53 - 1 }),
  entry({ kind: "folder", size: 0, path: new Uint8Array(MAX_PATH_BYTES) }),
  { type: "skip", why: 255 },
  { type: "done", total: 9 },
  { type: "got", total: 2 ** 53 - 1 },
  { type: "kept" },
  { type: "alive" },
  ...STOP_CODES.filter((code) => code !== undefined).map((code) =>
    ({ type: "stop", code }) as const
  ),
];

const decode = (bytes: Uint8Array) => decodeFileFrame(bytes[0]!, bytes.subarray(1));

Deno.test("file frames survive encoding and decoding, each field at its limits", () => {
  for (const frame of VALID) assert.deepEqual(decode(encodeFileFrame(frame)), frame);
});

Deno.test("file frames cut at any byte, or with a byte left over, are refused", () => {
  for (const frame of VALID) {
    const bytes = encodeFileFrame(frame);
    const fixed = frame.type === "data" ? 2 : frame.type === "entry" ? 20 : bytes.length;
    for (let length = 1; length < fixed; length++) refuses(bytes.subarray(0, length));
    if (frame.type !== "entry" && frame.type !== "data") refuses(concat(bytes, Uint8Array.of(0)));
  }
});

Deno.test("file frames with a field past its limit are refused", () => {
  const changed = (frame: FileFrame, at: number, ...values: number[]) => {
    const bytes = encodeFileFrame(frame);
    bytes.set(values, at);
    return bytes;
  };
  for (const type of ["done", "got"] as const) {
    refuses(changed({ type, total: 0 }, 1, 0, 0x20)); // 2^53
  }
  refuses(changed({ type: "go", from: 0 }, 1, 0, 0x20));
  refuses(encodeFileFrame({ type: "data", data: new Uint8Array(MAX_DATA_BYTES + 1) }));
  refuses(changed(entry(), 1, 2)); // kind
  refuses(changed(entry(), 2, 1)); // flags
  refuses(changed(entry(), 3, 0, 0x20)); // size
  refuses(changed(entry(), 11, 0, 0x20)); // mtime
  refuses(encodeFileFrame(entry({ kind: "folder", size: 1 })));
  refuses(encodeFileFrame(entry({ path: new Uint8Array(MAX_PATH_BYTES + 1) })));
  refuses(Uint8Array.of(FILE_FRAME.STOP, 0));
  refuses(Uint8Array.of(FILE_FRAME.STOP, STOP_CODES.length));
  for (const type of [0x00, 0x0f, 0x18, 0x1e, 0x20, 0xff]) refuses(Uint8Array.of(type, 0));
});

function refuses(bytes: Uint8Array): void {
  assert.throws(() => decode(bytes), ProtocolError);
}
