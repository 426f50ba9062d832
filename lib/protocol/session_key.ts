/**
 * Session keys: Ed25519 keys that sign handshakes, made in memory and certified by an RSA identity (PROTOCOL.md §3).
 *
 * @module
 */

import { type Bytes, concat, label } from "../base/bytes.ts";
import { type RandomBytes, systemRandom } from "../base/clock.ts";
import type { PrivateKey, PublicKey } from "./identity.ts";
import { type Primitives, realPrimitives } from "./primitives.ts";

const CONTEXT_RELAY = "hearth/2 relay session";
const CONTEXT_MEMBER = "hearth/2 member session";

/** A certified key pair. */
export interface SessionKey {
  /** pk of §3, 32 bytes. */
  readonly publicKey: Bytes;
  /** CERT of §3: as many bytes as the modulus of its owner has. */
  readonly certificate: Bytes;
  /**
   * Makes ED(context, message) of §1.
   *
   * @param context ASCII label without the zero byte that follows it.
   * @returns 64 bytes.
   */
  sign(context: string, message: Uint8Array): Promise<Bytes>;
}

/** The one place where a member's session key is good. */
export interface Membership {
  /** The relay's fingerprint, 32 bytes. */
  readonly relay: Uint8Array;
  /** The room's tag, 32 bytes. */
  readonly room: Uint8Array;
  /** The member's sid, 8 bytes. */
  readonly sid: Uint8Array;
}

/** Options of {@linkcode makeSessionKey}. */
interface SessionKeyOptions {
  /** Where the key is good; without it the key is a relay's. */
  readonly membership?: Membership;
  readonly random?: RandomBytes;
  readonly primitives?: Primitives;
}

/** What a CERT signs besides its context. */
function certified(publicKey: Uint8Array, membership: Membership | undefined): Bytes {
  if (!membership) return new Uint8Array(publicKey);
  return concat(membership.relay, membership.room, membership.sid, publicKey);
}

function certificateContext(membership: Membership | undefined): string {
  return membership ? CONTEXT_MEMBER : CONTEXT_RELAY;
}

/**
 * Makes a session key and certifies it with an identity: one RSA signature.
 *
 * A relay makes one at each start, a member at least one for each connection.
 */
export async function makeSessionKey(
  identity: PrivateKey,
  options: SessionKeyOptions = {},
): Promise<SessionKey> {
  const { membership, random = systemRandom, primitives = realPrimitives } = options;
  const key = await primitives.makeSigningKey(random);
  const message = certified(key.publicKey, membership);
  return {
    publicKey: key.publicKey,
    certificate: await identity.sign(certificateContext(membership), message),
    sign: (context, message) => key.sign(concat(label(context), message)),
  };
}

/** What a handshake carries to prove that an identity takes part in it. */
export interface SessionProof {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly certificate: Uint8Array;
  /** Under which ED was made. */
  readonly context: string;
  /** What ED was made over. */
  readonly message: Uint8Array;
  /** ED, 64 bytes. */
  readonly signature: Uint8Array;
}

/**
 * Tells whether `identity` certified the session key of `proof`, and that key signed the message: CERT, then ED.
 *
 * @param membership Where the verifier itself sees the other side, not where that says it is; without it a relay's.
 */
export async function verifySession(
  identity: PublicKey,
  proof: SessionProof,
  options: Pick<SessionKeyOptions, "membership" | "primitives"> = {},
): Promise<boolean> {
  const { membership, primitives = realPrimitives } = options;
  const { publicKey, certificate, context, message, signature } = proof;
  const isCertified = await identity.verify(
    certificateContext(membership),
    certified(publicKey, membership),
    certificate,
  );
  if (!isCertified) return false;
  return await primitives.verifyEd25519(publicKey, concat(label(context), message), signature);
}
