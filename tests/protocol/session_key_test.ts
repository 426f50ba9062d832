import assert from "node:assert/strict";
import { concat, decodeHex, encodeHex, label } from "../../lib/base/bytes.ts";
import { decodeId } from "../../lib/protocol/identity.ts";
import {
  makeSessionKey,
  type Membership,
  type SessionProof,
  verifySession,
} from "../../lib/protocol/session_key.ts";
import { recordedRandom } from "../support/doubles.ts";
import { kat, type KatHandshake, katKey } from "../support/kat.ts";

/** Where the known handshake puts one of its sides. */
function membershipOf({ prologue_parts }: KatHandshake, sid: "sid_i" | "sid_r") {
  if (!prologue_parts) return undefined;
  const { fp_s, room } = prologue_parts;
  return { relay: decodeHex(fp_s), room: decodeHex(room), sid: decodeHex(prologue_parts[sid]) };
}

/** The session keys of the known handshakes. */
const known = [...kat.transport.cases, ...kat.peer.cases].flatMap((handshake) => {
  const { responder, skR, pkR, CERTR, certR_message, EDR, edR_label, edR_message } = handshake;
  const membership = membershipOf(handshake, "sid_r");
  const keys = [{
    owner: responder,
    membership,
    seed: skR,
    publicKey: pkR,
    certificate: CERTR,
    certificateMessage: certR_message,
    context: edR_label,
    message: edR_message,
    signature: EDR,
  }];
  if (handshake.mode === "transport") return keys;
  const { initiator, skI, pkI, CERTI, certI_message, EDI, edI_label, edI_message } = handshake;
  return [...keys, {
    owner: initiator,
    membership: membershipOf(handshake, "sid_i"),
    seed: skI!,
    publicKey: pkI!,
    certificate: CERTI!,
    certificateMessage: certI_message!,
    context: edI_label!,
    message: edI_message!,
    signature: EDI!,
  }];
});

function withMembership(membership: Membership | undefined): { membership?: Membership } {
  return membership ? { membership } : {};
}

Deno.test("makeSessionKey() makes the known keys and signatures, and signs the known bytes with RSA", async () => {
  let count = 0;
  for (const { owner, membership, seed, publicKey, certificateMessage, ...signed } of known) {
    const identity = await katKey(owner);
    const certified: string[] = [];
    const key = await makeSessionKey({
      ...identity,
      publicKey: identity.publicKey,
      sign(context, message) {
        certified.push(encodeHex(concat(label(context), message)));
        return identity.sign(context, message);
      },
    }, { ...withMembership(membership), random: recordedRandom(seed) });
    assert.equal(encodeHex(key.publicKey), publicKey);
    assert.deepEqual(certified, [certificateMessage]);
    const message = decodeHex(signed.message).subarray(label(signed.context).length);
    assert.equal(encodeHex(await key.sign(signed.context, message)), signed.signature);
    count++;
  }
  assert.equal(count, 7);
});

Deno.test("verifySession() accepts the known CERTs and EDs, and nothing changed about them", async () => {
  let count = 0;
  for (const each of known) {
    const identity = decodeId(decodeHex(kat.keys[each.owner].id));
    const membership = withMembership(each.membership);
    const proof: SessionProof = {
      publicKey: decodeHex(each.publicKey),
      certificate: decodeHex(each.certificate),
      context: each.context,
      message: decodeHex(each.message).subarray(label(each.context).length),
      signature: decodeHex(each.signature),
    };
    assert.ok(await verifySession(identity, proof, membership));
    const changes: Partial<SessionProof>[] = (
      ["publicKey", "certificate", "message", "signature"] as const
    ).flatMap((name) => {
      const changed = proof[name].slice();
      changed[5]! ^= 4;
      return [{ [name]: changed }, { [name]: proof[name].subarray(1) }];
    });
    for (const change of [...changes, { context: "hearth/2 initiator" }]) {
      assert.ok(!await verifySession(identity, { ...proof, ...change }, membership));
    }
    const elsewhere: (Membership | undefined)[] = [
      each.membership ? undefined : membershipOf(kat.peer.cases[0]!, "sid_i"),
    ];
    if (each.membership) {
      for (const name of ["relay", "room", "sid"] as const) {
        const other = each.membership[name].slice();
        other[0]! ^= 1;
        elsewhere.push({ ...each.membership, [name]: other });
      }
    }
    for (const place of elsewhere) {
      assert.ok(!await verifySession(identity, proof, withMembership(place)));
    }
    const stranger = decodeId(decodeHex(kat.keys[each.owner === "bob" ? "alice" : "bob"].id));
    assert.ok(!await verifySession(stranger, proof, membership));
    count++;
  }
  assert.equal(count, 7);
});
