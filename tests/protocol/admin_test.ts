import assert from "node:assert/strict";
import { concat, decodeHex, encodeUtf8 } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import {
  type AdminRequest,
  decodeAdmin,
  decodeBans,
  encodeAdmin,
  encodeBans,
  MAX_BAN_SECONDS,
  MAX_BANS,
} from "../../lib/protocol/admin.ts";
import { decodeFrame, VERB } from "../../lib/protocol/frames.ts";
import { kat } from "../support/kat.ts";

const fingerprint = new Uint8Array(32).fill(7);

Deno.test("encodeAdmin() and decodeAdmin() know every verb", () => {
  const requests: [number, AdminRequest][] = [
    [1, { verb: "kick", fingerprint }],
    [2, { verb: "ban", fingerprint, seconds: 1 }],
    [2, { verb: "ban", fingerprint, seconds: MAX_BAN_SECONDS }],
    [3, { verb: "unban", fingerprint }],
    [4, { verb: "bans" }],
    [5, { verb: "announce", text: "Grüße" }],
    [5, { verb: "announce", text: "a".repeat(1024) }],
    [6, { verb: "motd", text: "a" }],
    [6, { verb: "motd", text: "" }],
  ];
  for (const [number, request] of requests) {
    const { verb, argument } = encodeAdmin(request);
    assert.equal(verb, number);
    assert.deepEqual(decodeAdmin(verb, argument), request);
  }
  for (const verb of [0, 7, 255]) assert.equal(decodeAdmin(verb, fingerprint), undefined);
});

Deno.test("decodeAdmin() refuses bad arguments", () => {
  const ban = (seconds: number) => encodeAdmin({ verb: "ban", fingerprint, seconds }).argument;
  for (
    const [verb, argument] of [
      [VERB.KICK, fingerprint.subarray(1)],
      [VERB.KICK, concat(fingerprint, fingerprint)],
      [VERB.UNBAN, new Uint8Array(0)],
      [VERB.BAN, fingerprint],
      [VERB.BAN, ban(0)],
      [VERB.BAN, ban(MAX_BAN_SECONDS + 1)],
      [VERB.BANS, Uint8Array.of(0)],
      [VERB.ANNOUNCE, new Uint8Array(0)],
      [VERB.ANNOUNCE, encodeUtf8("a".repeat(1025))],
      [VERB.ANNOUNCE, Uint8Array.of(0xff)],
      [VERB.MOTD, encodeUtf8("a".repeat(1025))],
      [VERB.MOTD, Uint8Array.of(0xff)],
    ] as const
  ) {
    assert.throws(() => decodeAdmin(verb, new Uint8Array(argument)), ProtocolError);
  }
});

Deno.test("the known ADMIN is a ban, and the known RESULT lists it", () => {
  const decode = (type: string) => {
    const bytes = decodeHex(kat.frames.valid.find((known) => known.type === type)!.frame);
    return decodeFrame(bytes[0]!, bytes.subarray(3));
  };
  const [admin, result] = [decode("ADMIN"), decode("RESULT")];
  assert.ok(admin.type === "admin" && result.type === "result");
  const request = decodeAdmin(admin.verb, admin.argument);
  assert.ok(request?.verb === "ban" && request.seconds === 3600);
  const bans = decodeBans(result.data);
  assert.deepEqual(bans, [{ fingerprint: request.fingerprint, seconds: 3599 }]);
});

Deno.test("encodeBans() and decodeBans() take up to 256 bans, which fit into one frame", () => {
  const bans = Array.from({ length: MAX_BANS }, (_, i) => ({ fingerprint, seconds: i }));
  const data = encodeBans(bans);
  assert.ok(data.length < 16000);
  assert.deepEqual(decodeBans(data), bans);
  assert.deepEqual(decodeBans(new Uint8Array(0)), []);
  assert.throws(() => decodeBans(data.subarray(1)), new ProtocolError("bad-length"));
});
