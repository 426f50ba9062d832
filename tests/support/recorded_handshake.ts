/**
 * The two sides of the handshakes of kat.json, with recorded keys and random bytes.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type Bytes, concat, decodeHex, encodeHex, label } from "../../lib/base/bytes.ts";
import { makeSigningKey } from "../../lib/protocol/crypto/ed25519.ts";
import {
  HandshakeInitiator,
  type HandshakeOptions,
  HandshakeResponder,
} from "../../lib/protocol/handshake.ts";
import { decodeId } from "../../lib/protocol/identity.ts";
import { realPrimitives } from "../../lib/protocol/primitives.ts";
import type { SessionKey } from "../../lib/protocol/session_key.ts";
import {
  doubleKey,
  type KeyDouble,
  recordedDecodeId,
  recordedKey,
  recordedRandom,
} from "./doubles.ts";
import { type KatHandshake, katKey } from "./kat.ts";

const UNUSED = "00".repeat(32);

/** The fields of a plaintext: `L(x)` for "L", else as many bytes as the number says. */
export function fieldsOf(plaintext: Uint8Array, form: readonly ("L" | number)[]): Bytes[] {
  let offset = 0;
  return form.map((kind) => {
    let length = kind === "L" ? 0 : kind;
    if (kind === "L") {
      length = (plaintext[offset]! << 8) + plaintext[offset + 1]!;
      offset += 2;
    }
    offset += length;
    return plaintext.slice(offset - length, offset);
  });
}

/** What both sides of a recorded handshake have. */
export function common(
  known: KatHandshake,
): Pick<HandshakeOptions, "mode" | "prologue" | "roomKey"> {
  return {
    mode: known.mode,
    prologue: decodeHex(known.prologue),
    roomKey: known.Kroom ? decodeHex(known.Kroom) : undefined,
  };
}

/** A session key whose pair and certificate were recorded. */
export async function recordedSession(seed: string, certificate: string): Promise<SessionKey> {
  const key = await makeSigningKey(recordedRandom(seed));
  return {
    publicKey: key.publicKey,
    certificate: decodeHex(certificate),
    sign: (context, message) => key.sign(concat(label(context), message)),
  };
}

/** Those of the recorded texts that a handshake has. */
function present(...texts: readonly (string | undefined | null)[]): string[] {
  return texts.filter((text) => typeof text === "string");
}

/** The recorded initiator: real keys, recorded random bytes, CERT or signature, and c. */
export async function makeInitiator(
  known: KatHandshake,
  options: Partial<HandshakeOptions> = {},
): Promise<HandshakeInitiator> {
  const { s, c } = known;
  const key = await katKey(known.initiator);
  const own = known.mode === "transport"
    ? { key: recordedKey(key, fieldsOf(decodeHex(known.ct3_plaintext), ["L", "L"])[1]!) }
    : { key, session: await recordedSession(known.skI!, known.CERTI!) };
  const recorded = s && c
    ? recordedDecodeId(decodeId, { s: decodeHex(s), c: decodeHex(c) })
    : decodeId;
  return await HandshakeInitiator.start({
    ...common(known),
    ...own,
    random: recordedRandom(...present(known.eI_private, known.dk_seed, known.yI, s)),
    primitives: { ...realPrimitives, decodeId: recorded },
    ...options,
  });
}

/** The options of the recorded responder. */
export async function responderOptions(known: KatHandshake): Promise<HandshakeOptions> {
  return {
    ...common(known),
    key: await katKey(known.responder),
    session: await recordedSession(known.skR, known.CERTR),
    random: recordedRandom(...present(known.eR_private, known.m, known.yR), UNUSED),
  };
}

/** The recorded responder, which has taken M1. */
export async function makeResponder(
  known: KatHandshake,
  options: Partial<HandshakeOptions> & { double?: KeyDouble } = {},
): Promise<HandshakeResponder> {
  const { double = {}, ...rest } = options;
  const responder = new HandshakeResponder({
    ...await responderOptions(known),
    key: doubleKey(await katKey(known.responder), double),
    ...rest,
  });
  assert.equal(encodeHex(await responder.consumeM1(decodeHex(known.M1))), known.M2);
  return responder;
}
