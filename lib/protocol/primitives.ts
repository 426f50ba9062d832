/**
 * The public-key operations of handshakes and joins (PROTOCOL.md §1), together, so that a simulation of many members can
 * put cheap ones in their place, and a client those that it can have without loading anything.
 *
 * @module
 */

import { isShare, startCpace } from "./crypto/cpace.ts";
import { makeSigningKey, verifyEd25519 } from "./crypto/ed25519.ts";
import { encapsulate, makeKemKeyPair } from "./crypto/ml_kem.ts";
import { nodeSuite, type Suite } from "./crypto/suite.ts";
import { hasWebSuite, webSuite } from "./crypto/web.ts";
import { type DecodeId, decodeId, type PublicKey, readId } from "./identity.ts";
import { cipherReady } from "./records.ts";

/** All of them, and the {@linkcode Suite} for what they are used with. */
export interface Primitives extends Suite {
  readonly decodeId: DecodeId;
  /** As {@linkcode Primitives.decodeId}, where there is time to wait for the fingerprint. */
  readonly readId?: (id: Uint8Array) => Promise<PublicKey>;
  readonly makeKemKeyPair: typeof makeKemKeyPair;
  readonly encapsulate: typeof encapsulate;
  readonly makeSigningKey: typeof makeSigningKey;
  readonly verifyEd25519: typeof verifyEd25519;
  readonly startCpace: typeof startCpace;
  readonly isShare: typeof isShare;
}

/** The real ones. */
export const realPrimitives: Primitives = {
  ...nodeSuite,
  decodeId,
  makeKemKeyPair,
  encapsulate,
  makeSigningKey,
  verifyEd25519,
  startCpace,
  isShare,
};

/** The real ones, by WebCrypto as far as that has them: for a client, which has just started. */
const webPrimitives: Primitives = { ...realPrimitives, ...webSuite, readId };

/** Chooses the real ones with which a client connects soonest; the cipher can be used then. */
export async function clientPrimitives(): Promise<Primitives> {
  if (await hasWebSuite()) return webPrimitives;
  await cipherReady();
  return realPrimitives;
}
