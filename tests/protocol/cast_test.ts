import assert from "node:assert/strict";
import { concat, decodeHex, encodeHex } from "../../lib/base/bytes.ts";
import { DecryptError, ProtocolError } from "../../lib/base/errors.ts";
import { castCapacity, openPart, sealBox, sealEnvelope } from "../../lib/protocol/cast.ts";
import { sha256 } from "../../lib/protocol/crypto/hash.ts";
import {
  type CastEntry,
  decodeFrame,
  encodeFrame,
  type Frame,
  MAX_COMMON_BYTES,
  MIN_COMMON_BYTES,
} from "../../lib/protocol/frames.ts";
import { MAX_RECORD_BYTES } from "../../lib/protocol/limits.ts";
import {
  type ChatMessage,
  encodeMessage,
  NOTE,
  type NoteMessage,
  toContent,
} from "../../lib/protocol/messages.ts";
import { cipherReady, Opener, Sealer, TAG_BYTES } from "../../lib/protocol/records.ts";
import { recordedRandom } from "../support/doubles.ts";
import { kat } from "../support/kat.ts";

await cipherReady();

const NOTHING = new Uint8Array(0);

/** A channel of which `n` records have gone. */
function advanced<T extends Sealer | Opener>(side: T, n: number): T {
  const other = new Sealer(new Uint8Array(32));
  for (let i = 0; i < n; i++) {
    if (side instanceof Sealer) side.seal(NOTHING);
    else other.seal(NOTHING);
  }
  return side;
}

/** An Opener that has opened `n` records. */
function advancedOpener(chainKey: string, n: number): Opener {
  const [sealer, opener] = [new Sealer(decodeHex(chainKey)), new Opener(decodeHex(chainKey))];
  for (let i = 0; i < n; i++) opener.open(sealer.seal(NOTHING));
  return opener;
}

/** A message as kat.json writes its fields. */
function fieldsOf(message: ChatMessage | NoteMessage): Record<string, unknown> {
  if (message.type === "note") {
    const { seq, ref, what, text } = message;
    return { seq, ref, what, text };
  }
  const { seq, id, time, action, view, reply = "0".repeat(16), text } = message;
  return { seq, id, time, flags: Number(action), view: encodeHex(view), reply, text };
}

Deno.test("sealEnvelope() and sealBox() make the known CASTs", () => {
  let count = 0;
  for (const known of kat.cast.cases) {
    const envelope = sealEnvelope(decodeHex(known.content), recordedRandom(known.k));
    assert.equal(encodeHex(envelope.common), known.common);
    assert.equal(encodeHex(envelope.digest), known.ad);
    const entries: CastEntry[] = known.entries.map(({ ckI, n, sid, tag, seq, box }) => {
      const made = sealBox(advanced(new Sealer(decodeHex(ckI)), n), envelope, seq);
      assert.equal(encodeHex(made), box, known.name);
      count++;
      return { sid, tag, box: made };
    });
    const frame = encodeFrame({ type: "cast", entries, common: envelope.common });
    assert.deepEqual([encodeHex(frame)], known.frames);
  }
  assert.equal(count, 6);
});

Deno.test("openPart() reads the known PARTs", () => {
  let count = 0;
  for (const known of kat.cast.cases) {
    for (const [i, part] of known.parts.entries()) {
      const { ckI, n, tag, box } = known.entries[i]!;
      const bytes = decodeHex(part);
      const frame = decodeFrame(bytes[0]!, bytes.subarray(3));
      assert.ok(frame.type === "part");
      assert.deepEqual([frame.sid, frame.tag, encodeHex(frame.box)], [kat.cast.source, tag, box]);
      assert.deepEqual(encodeFrame(frame), bytes);
      const message = openPart(advancedOpener(ckI, n), frame);
      assert.deepEqual(fieldsOf(message), known.fields[i], known.name);
      count++;
    }
  }
  assert.equal(count, 6);
});

Deno.test("openPart() refuses the known bad boxes and commons", () => {
  const { ckI } = kat.cast.cases[0]!.entries[0]!;
  let count = 0;
  for (const { reason, box, common } of kat.cast.rejected) {
    const part = { box: decodeHex(box), common: decodeHex(common) };
    assert.throws(
      () => openPart(new Opener(decodeHex(ckI)), part),
      (error) => error instanceof ProtocolError || error instanceof DecryptError,
      reason,
    );
    count++;
  }
  assert.equal(count, 44);
});

Deno.test("a record holds as many entries of a CAST as castCapacity() says, and no more", () => {
  let count = 0;
  for (const [commonBytes, entries] of kat.cast.max_entries) {
    assert.equal(castCapacity(commonBytes), entries);
    const make = (length: number): Frame => ({
      type: "cast",
      entries: Array(length).fill({
        sid: "01".repeat(8),
        tag: "02".repeat(4),
        box: new Uint8Array(57),
      }),
      common: new Uint8Array(commonBytes),
    });
    const { length } = encodeFrame(make(entries));
    assert.ok(length <= MAX_RECORD_BYTES - TAG_BYTES);
    if (entries < 236) assert.ok(length + 69 > MAX_RECORD_BYTES - TAG_BYTES);
    count++;
  }
  assert.equal(count, 7);
});

const CHAT: ChatMessage = {
  type: "chat",
  seq: 1,
  id: "01".repeat(8),
  time: 1,
  action: false,
  private: false,
  late: false,
  view: new Uint8Array(32),
  reply: undefined,
  text: "x",
};

Deno.test("texts of every length make commons of the known sizes, within their bounds", () => {
  const sizeOf = (message: ChatMessage | NoteMessage) =>
    sealEnvelope(toContent(encodeMessage(message)), (length) => new Uint8Array(length)).common
      .length;
  let count = 0;
  for (const [length, size] of kat.cast.sizes.CHAT) {
    assert.equal(sizeOf({ ...CHAT, text: "x".repeat(length) }), size);
    count++;
  }
  for (const [length, size] of kat.cast.sizes.NOTE) {
    const text = "x".repeat(length);
    assert.equal(sizeOf({ type: "note", seq: 1, ref: CHAT.id, what: NOTE.EDIT, text }), size);
    assert.ok(size >= MIN_COMMON_BYTES && size <= MAX_COMMON_BYTES);
    count++;
  }
  assert.equal(count, 18);
});

Deno.test("one envelope serves several CASTs with the very same common", () => {
  const { many } = kat.cast;
  const key = decodeHex(many.k);
  assert.equal(castCapacity(many.common_bytes), many.counts[0]);
  assert.deepEqual(many.counts, [111, 1]);
  const envelope = sealEnvelope(toContent(encodeMessage(CHAT)), () => key);
  const keys = [1, 2, 3].map((fill) => new Uint8Array(32).fill(fill));
  const boxes = keys.map((chainKey, i) => sealBox(new Sealer(chainKey), envelope, i + 1));
  for (const [i, chainKey] of keys.entries()) {
    const part = { box: boxes[i]!, common: envelope.common };
    assert.deepEqual(openPart(new Opener(chainKey), part), { ...CHAT, seq: i + 1 });
  }
});

Deno.test("a box opens only with its own common, and a common only with its own k", () => {
  const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
  const chainKey = new Uint8Array(32).fill(1);
  const [one, other] = ["one", "other"].map((text) =>
    sealEnvelope(toContent(encodeMessage({ ...CHAT, text })), random)
  ) as [ReturnType<typeof sealEnvelope>, ReturnType<typeof sealEnvelope>];
  const box = sealBox(new Sealer(chainKey), one, 1);
  const opener = new Opener(chainKey);
  assert.throws(() => openPart(opener, { box, common: other.common }), DecryptError);
  assert.throws(() => openPart(opener, { box, common: one.common }), DecryptError); // dead
  const mixed = sealBox(new Sealer(chainKey), { ...other, digest: one.digest }, 1);
  assert.throws(
    () => openPart(new Opener(chainKey), { box: mixed, common: one.common }),
    DecryptError,
  );
  const longer = concat(one.common, Uint8Array.of(0));
  const tied = sealBox(new Sealer(chainKey), { ...one, digest: sha256(longer) }, 1);
  assert.throws(
    () => openPart(new Opener(chainKey), { box: tied, common: longer }),
    DecryptError,
  );
});
