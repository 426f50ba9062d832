/**
 * The public-key operations of handshakes and joins (PROTOCOL.md §1), together, so that a simulation of many members can
 * put cheap ones in their place.
 *
 * @module
 */

import { isShare, startCpace } from "./crypto/cpace.ts";
import { makeSigningKey, verifyEd25519 } from "./crypto/ed25519.ts";
import { encapsulate, makeKemKeyPair } from "./crypto/ml_kem.ts";
import { type DecodeId, decodeId } from "./identity.ts";

export interface Primitives {
  readonly decodeId: DecodeId;
  readonly makeKemKeyPair: typeof makeKemKeyPair;
  readonly encapsulate: typeof encapsulate;
  readonly makeSigningKey: typeof makeSigningKey;
  readonly verifyEd25519: typeof verifyEd25519;
  readonly startCpace: typeof startCpace;
  readonly isShare: typeof isShare;
}

/** The real ones. */
export const realPrimitives: Primitives = {
  decodeId,
  makeKemKeyPair,
  encapsulate,
  makeSigningKey,
  verifyEd25519,
  startCpace,
  isShare,
};
