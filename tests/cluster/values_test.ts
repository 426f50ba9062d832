import { deepEqual, equal, throws } from "node:assert/strict";
import { concat, decodeHex, encodeHex, encodeUtf8 } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import {
  decodeLease,
  decodeOrders,
  decodeRoster,
  digestFacts,
  encodeLease,
  encodeOrders,
  encodeRoster,
} from "../../lib/cluster/values.ts";

const FINGERPRINT = new Uint8Array(32).fill(0xf1);
const ENTRY = {
  sid: "1122334455667788",
  fingerprint: FINGERPRINT,
  instance: new Uint8Array(16).fill(0x1a),
  relay: "ab".repeat(16),
};
const ROSTER = {
  entries: [ENTRY, { ...ENTRY, sid: "99aabbccddeeff00" }],
  gone: [{ sid: "0102030405060708", why: 2, by: "cd".repeat(16) }],
};
const ROSTER_HEX = "010002" +
  `1122334455667788${"f1".repeat(32)}${"1a".repeat(16)}${"ab".repeat(16)}` +
  `99aabbccddeeff00${"f1".repeat(32)}${"1a".repeat(16)}${"ab".repeat(16)}` +
  `01010203040506070802${"cd".repeat(16)}`;

Deno.test("a roster has known bytes", () => {
  equal(encodeHex(encodeRoster(ROSTER)), ROSTER_HEX);
  deepEqual(decodeRoster(decodeHex(ROSTER_HEX)), ROSTER);
  deepEqual(decodeRoster(decodeHex("01000000")), { entries: [], gone: [] });
});

Deno.test("a roster that is cut, too long, of another version or names one twice is refused", () => {
  const bytes = decodeHex(ROSTER_HEX);
  for (let length = 0; length < bytes.length; length++) {
    throws(() => decodeRoster(bytes.subarray(0, length)), ProtocolError);
  }
  throws(() => decodeRoster(concat(bytes, Uint8Array.of(0))), ProtocolError);
  throws(() => decodeRoster(decodeHex(ROSTER_HEX.replace(/^01/, "02"))), ProtocolError);
  throws(() => decodeRoster(decodeHex("01ffff00")), ProtocolError);
  throws(() => decodeRoster(decodeHex("010101" + "00".repeat(300 * 72))), ProtocolError);
  throws(() => decodeRoster(encodeRoster({ entries: [ENTRY, ENTRY], gone: [] })), ProtocolError);
  const gone = Array.from({ length: 33 }, () => ROSTER.gone[0]!);
  throws(() => decodeRoster(encodeRoster({ entries: [], gone })), ProtocolError);
});

Deno.test("a lease has known bytes", () => {
  const lease = { time: 258, facts: new Uint8Array(32).fill(7), members: 3, address: "a:1" };
  const hex = `010000000000000102${"07".repeat(32)}000000030003613a31`;
  equal(encodeHex(encodeLease(lease)), hex);
  deepEqual(decodeLease(decodeHex(hex)), lease);
  for (let length = 0; length < hex.length / 2; length++) {
    throws(() => decodeLease(decodeHex(hex).subarray(0, length)), ProtocolError);
  }
});

Deno.test("the facts of a relay are a digest of capacity and join key", () => {
  equal(
    encodeHex(digestFacts(64, new Uint8Array(32).fill(5))),
    "5e659c4625481923b649e5e6967ed31a65b3759d20dfbc035251475797d85ad2",
  );
  equal(
    encodeHex(digestFacts(256, undefined)),
    "fb50dc0717ff266cf9baf82b1ce7a1c2ef6d9247859680b11a19fb7077f5f222",
  );
});

Deno.test("what operators have set has known bytes", () => {
  const orders = { bans: [{ fingerprint: FINGERPRINT, end: 0x01020304 }], motd: "hé" };
  const hex = `010001${"f1".repeat(32)}000000000102030468c3a9`;
  equal(encodeHex(encodeOrders(orders)), hex);
  deepEqual(decodeOrders(decodeHex(hex)), orders);
  deepEqual(decodeOrders(decodeHex("010000")), { bans: [], motd: "" });
  throws(() => decodeOrders(decodeHex("010101")), ProtocolError);
  throws(() => decodeOrders(decodeHex("010001")), ProtocolError);
  throws(
    () => decodeOrders(concat(decodeHex("010000"), encodeUtf8("x".repeat(1025)))),
    ProtocolError,
  );
});
