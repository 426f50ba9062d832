import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { concat, decodeHex, encodeHex } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import {
  encodeCredit,
  encodeForwardedHead,
  encodeLeft,
  encodeOrder,
  encodePosition,
  ENTRY,
  forEachEntry,
  forEachPosition,
} from "../../lib/cluster/entries.ts";

const SID = "1122334455667788";
const BODY = decodeHex(`99aabbccddeeff00${"04"}00c0ffee${"5a".repeat(3)}`);

/** What is visited, in words. */
function visited(entries: Uint8Array): string[] {
  const seen: string[] = [];
  forEachEntry(entries, {
    forwarded: (type, source, body) => {
      seen.push(`${type} ${encodeHex(source)} ${encodeHex(body)}`);
    },
    left: (sid, why) => seen.push(`left ${encodeHex(sid)} ${why}`),
    credit: (source, bytes) => seen.push(`credit ${encodeHex(source)} ${bytes}`),
    order: (verb, argument) => seen.push(`order ${verb} ${encodeHex(argument)}`),
    ask: () => seen.push("ask"),
  });
  return seen;
}

Deno.test("entries have known bytes, and are visited in order", () => {
  const send = concat(encodeForwardedHead(ENTRY.SEND, decodeHex(SID), BODY.length), BODY);
  equal(encodeHex(send), `010018${SID}${encodeHex(BODY)}`);
  const left = encodeLeft(SID, 2);
  equal(encodeHex(left), `02${SID}02`);
  const credit = encodeCredit(SID, 0x01020304);
  equal(encodeHex(credit), `03${SID}01020304`);
  const lost = encodePosition(ENTRY.LOST, { epoch: 2, seq: 258 });
  equal(encodeHex(lost), "060000000000000002000000000102");
  const cast = concat(Uint8Array.of(1), decodeHex(SID), new Uint8Array(4 + 57 + 28));
  const head = encodeForwardedHead(ENTRY.CAST, decodeHex(SID), cast.length);
  const order = encodeOrder(5, decodeHex("6869"));
  equal(encodeHex(order), "080003056869");
  const all = concat(
    Uint8Array.of(5),
    lost,
    send,
    left,
    credit,
    head,
    cast,
    order,
    Uint8Array.of(9),
  );
  deepEqual(visited(all), [
    `1 ${SID} ${encodeHex(BODY)}`,
    `left ${SID} 2`,
    `credit ${SID} 16909060`,
    `7 ${SID} ${encodeHex(cast)}`,
    "order 5 6869",
    "ask",
  ]);
});

Deno.test("positions are visited apart, and tell whether there is more", () => {
  const got = encodePosition(ENTRY.GOT, { epoch: 1, seq: 7 });
  const positions: unknown[] = [];
  const visit = (type: number, position: unknown) => positions.push(type, position);
  equal(forEachPosition(concat(Uint8Array.of(5), got), visit), false);
  equal(forEachPosition(concat(got, encodeLeft(SID, 0)), visit), true);
  deepEqual(positions, [4, { epoch: 1, seq: 7 }, 4, { epoch: 1, seq: 7 }]);
});

Deno.test("entries that are cut, unknown or malformed are refused", () => {
  const send = concat(encodeForwardedHead(ENTRY.SEND, decodeHex(SID), BODY.length), BODY);
  const all = concat(send, encodeLeft(SID, 0), encodeCredit(SID, 1));
  let refused = 0;
  for (let length = 1; length < all.length; length++) {
    try {
      visited(all.subarray(0, length));
    } catch (error) {
      ok(error instanceof ProtocolError);
      refused++;
    }
  }
  equal(refused, all.length - 3); // all but after the first and the second entry
  throws(() => visited(Uint8Array.of(99)), ProtocolError);
  throws(() => visited(decodeHex("010002aabb")), ProtocolError);
  throws(() => visited(decodeHex("080000")), ProtocolError);
  throws(() => forEachPosition(Uint8Array.of(99), () => {}), ProtocolError);
});
