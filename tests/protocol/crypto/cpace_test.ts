import assert from "node:assert/strict";
import { decodeHex, encodeHex } from "../../../lib/base/bytes.ts";
import { ProtocolError } from "../../../lib/base/errors.ts";
import {
  type CpaceInput,
  ISK_BYTES,
  isShare,
  SHARE_BYTES,
  startCpace,
} from "../../../lib/protocol/crypto/cpace.ts";
import { recordedRandom } from "../../support/doubles.ts";
import kat from "../../vectors/kat.json" with { type: "json" };

const bytes = (fill: number) => new Uint8Array(32).fill(fill);
const INPUT = { secret: bytes(1), context: bytes(2), session: bytes(3) };
// The order of the group, little-endian.
const ORDER = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

/** The keys of both sides after an exchange. */
async function exchange(
  initiator: Partial<CpaceInput>,
  responder: Partial<CpaceInput> = initiator,
): Promise<[string, string]> {
  const i = await startCpace({ ...INPUT, ...initiator, role: "initiator" });
  const r = await startCpace({ ...INPUT, ...responder, role: "responder" });
  return [encodeHex(i.finish(r.share)), encodeHex(r.finish(i.share))];
}

Deno.test("startCpace() gives the known shares and keys, those of the draft among them", async () => {
  let count = 0;
  for (const known of kat.cpace.cases) {
    const input = {
      secret: decodeHex(known.prs),
      context: decodeHex(known.ci),
      session: decodeHex(known.sid),
      data: { initiator: decodeHex(known.ada), responder: decodeHex(known.adb) },
    };
    const i = await startCpace({ ...input, role: "initiator" }, recordedRandom(known.ya));
    const r = await startCpace({ ...input, role: "responder" }, recordedRandom(known.yb));
    assert.deepEqual([encodeHex(i.share), encodeHex(r.share)], [known.Ya, known.Yb]);
    assert.equal(encodeHex(i.finish(r.share)), known.isk);
    assert.equal(encodeHex(r.finish(i.share)), known.isk);
    count++;
  }
  assert.equal(count, 2);
});

Deno.test("a share that does not decode or is the identity has no key", async () => {
  const side = await startCpace({ ...INPUT, role: "initiator" });
  let count = 0;
  for (const { hex, note } of kat.cpace.rejected) {
    const share = decodeHex(hex);
    assert.ok(!await isShare(share), note);
    assert.throws(() => side.finish(share), new ProtocolError("bad-point"), note);
    count++;
  }
  assert.equal(count, 10);
  for (const length of [0, SHARE_BYTES - 1, SHARE_BYTES + 1]) {
    assert.ok(!await isShare(new Uint8Array(length)));
  }
  assert.ok(await isShare(side.share));
  assert.ok(await isShare(decodeHex(kat.cpace.multiply.X)));
});

Deno.test("both sides have the same key if password, context and session are the same, and only then", async () => {
  const [i, r] = await exchange({});
  assert.equal(i, r);
  assert.equal(i.length, 2 * ISK_BYTES);
  for (const name of ["secret", "context", "session"] as const) {
    const [one, other] = await exchange({}, { [name]: bytes(9) });
    assert.notEqual(one, other, name);
  }
  const [first] = await exchange({});
  assert.notEqual(first, i);
});

Deno.test("a share sent back opens nothing: the roles order the shares", async () => {
  const i = await startCpace({ ...INPUT, role: "initiator" });
  const r = await startCpace({ ...INPUT, role: "responder" });
  assert.notDeepEqual(i.finish(i.share), r.finish(i.share));
  assert.notDeepEqual(i.finish(i.share), i.finish(r.share));
});

Deno.test("startCpace() takes scalars from 1 to the order less 1, and draws again for others", async () => {
  const one = "01".padEnd(64, "0");
  const last = "ec" + ORDER.slice(2);
  const zero = "00".repeat(32);
  const share = async (...scalars: string[]) =>
    encodeHex(
      (await startCpace({ ...INPUT, role: "initiator" }, recordedRandom(...scalars))).share,
    );
  const generator = await share(one);
  assert.notEqual(await share(last), generator);
  assert.equal(await share(zero, one), generator);
  assert.equal(await share(ORDER, one), generator);
  assert.equal(await share("00".repeat(31) + "e0", one), generator); // zero but for its unused bits
  assert.equal(await share("ff".repeat(32), one), generator);
  await assert.rejects(share(ORDER), RangeError);
});

Deno.test("startCpace() writes lengths from 128 on in two bytes", async () => {
  const long = new Uint8Array(200).fill(7);
  const [i, r] = await exchange({ secret: long, context: long, session: long });
  assert.equal(i, r);
  const [other] = await exchange({ secret: long.subarray(1), context: long, session: long });
  assert.notEqual(other, i);
});
