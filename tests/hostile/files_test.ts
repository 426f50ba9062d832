/**
 * What members say about files, with any bytes in it, and people who say anything at any time.
 *
 * @module
 */

import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { type Bytes, encodeUtf8 } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import {
  decodeFileFrame,
  encodeFileFrame,
  FILE_FRAME,
  type FileFrame,
  STOP_CODES,
} from "../../lib/protocol/file_frames.ts";
import {
  ANSWERS,
  decodeFileMessage,
  encodeFileMessage,
  type FileMessage,
} from "../../lib/protocol/file_messages.ts";
import { cipherReady } from "../../lib/protocol/records.ts";
import { FileRoom } from "../support/file_people.ts";
import { fuzzLimits } from "../support/timed.ts";
import { VirtualDisk } from "../support/virtual_disk.ts";

await cipherReady();

const TARGETS = 2;
const limits = fuzzLimits(100, TARGETS);
const BYTES = new Uint8Array(50_000).map((_, i) => i * 7);

function bytes(length: number): fc.Arbitrary<Bytes> {
  return fc.uint8Array({ minLength: length, maxLength: length })
    .map((array) => new Uint8Array(array));
}

const any = fc.uint8Array({ maxLength: 150 }).map((array) => new Uint8Array(array));

Deno.test("decoders of file messages and frames give what encodes to the same, or ProtocolError", () => {
  const types = [0x50, 0x51, 0x52, 0x53, ...Object.values(FILE_FRAME)];
  fc.assert(
    fc.property(fc.constantFrom(...types), any, (type, body) => {
      const whole = new Uint8Array([type, ...body]);
      try {
        const encoded = type >= 0x50
          ? encodeFileMessage(decodeFileMessage(whole))
          : encodeFileFrame(decodeFileFrame(type, body));
        assert.deepEqual(encoded, whole);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
    }),
    limits,
  );
});

const place = fc.constantFrom(0, 1, 5, 6, 1000, 2 ** 40);
const name = fc.constantFrom("x", "a.bin", "../x", "CON", ".x", "x.hearth-part.json", "d", "d/e")
  .map(encodeUtf8);
const size = fc.constantFrom(0, 5, 1000, 2 ** 40);
const kind = fc.constantFrom("file" as const, "folder" as const);

const frame: fc.Arbitrary<FileFrame> = fc.oneof(
  place.map((from): FileFrame => ({ type: "go", from })),
  fc.integer({ min: 1, max: 6 }).map((length): FileFrame => ({
    type: "data",
    data: new Uint8Array(length),
  })),
  fc.record({
    type: fc.constant("entry" as const),
    kind: fc.constant("file" as const),
    executable: fc.boolean(),
    size,
    mtime: fc.constant(1),
    path: name,
  }),
  fc.constant<FileFrame>({ type: "skip", why: 0 }),
  place.map((total): FileFrame => ({ type: "done", total })),
  place.map((total): FileFrame => ({ type: "got", total })),
  fc.constantFrom<FileFrame>({ type: "kept" }, { type: "alive" }),
  fc.constantFrom(...STOP_CODES.slice(1)).map((code): FileFrame => ({ type: "stop", code: code! })),
);

/** Of an offer of eve's, or of the one that everybody was made. */
const which = fc.constantFrom("00".repeat(16), "11".repeat(16), "anna's");

const message: fc.Arbitrary<FileMessage> = fc.oneof(
  fc.record({
    type: fc.constant("offer" as const),
    id: which,
    kind,
    toRoom: fc.boolean(),
    executable: fc.boolean(),
    size,
    entries: fc.constantFrom(0, 1),
    mtime: fc.constantFrom(0, 1),
    listing: fc.constant(new Uint8Array(32)),
    name,
  }),
  fc.record({
    type: fc.constant("answer" as const),
    id: which,
    answer: fc.constantFrom(...ANSWERS),
    have: fc.constantFrom(0, 5, 2 ** 40),
    hash: fc.constant(new Uint8Array(32)),
  }),
  fc.record({
    type: fc.constant("where" as const),
    id: which,
    secret: bytes(32),
    port: fc.constantFrom(1, 1000, 65535),
    addresses: fc.array(fc.oneof(bytes(4), bytes(16)), { maxLength: 8 }),
  }),
  fc.record({
    type: fc.constant("piece" as const),
    id: which,
    frame: fc.oneof({ weight: 9, arbitrary: frame.map(encodeFileFrame) }, {
      weight: 1,
      arbitrary: bytes(3),
    }),
  }),
);

Deno.test("people who say anything about files keep nobody from the files of others", async () => {
  const step = fc.tuple(fc.constantFrom("anna", "bob"), message, fc.boolean());
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.boolean(), async (steps, isDirect) => {
      const room = new FileRoom();
      const disk = new VirtualDisk({ "/out/a.bin": BYTES });
      const anna = room.join("anna", { disk, isDirect });
      const bob = room.join("bob", { isDirect });
      room.join("eve");
      await anna.transfers.offer("/out/a.bin", { to: undefined });
      await room.settle(5);
      const { id } = anna.last("offered")!;
      const { number } = bob.last("offer")!;
      for (const [to, said, accepts] of steps) {
        room.send("eve", to, said.id === "anna's" ? { ...said, id } : said);
        await room.settle(2);
        for (const row of accepts ? bob.transfers.rows() : []) {
          if (row.person !== "eve" || row.state !== "asked") continue;
          bob.transfers.accept(row.number, { executable: true });
        }
      }
      bob.transfers.accept(number, { executable: false });
      const received = () =>
        bob.events.find((it) => it.event === "received" && it.number === number);
      await room.until(() => received() !== undefined);
      const event = received()!;
      assert.ok(event.event === "received");
      assert.deepEqual(bob.disk.nodes.get(event.path)!.bytes, BYTES);
      for (const found of bob.disk.nodes.keys()) {
        assert.ok(["/", "/in"].includes(found) || found.startsWith("/in/"), found);
      }
    }),
    limits,
  );
});
