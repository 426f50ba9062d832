/**
 * The keys of a handshake: what both sides derive alike from what they agree on (PROTOCOL.md §3).
 *
 * @module
 */

import { type Bytes, concat, encodeUtf8 } from "../base/bytes.ts";
import { KEY_BYTES } from "./crypto/aead.ts";
import type { Suite } from "./crypto/suite.ts";

const LABEL_KEY_RESPONDER = encodeUtf8("hearth/2 hs responder");
const LABEL_KEY_INITIATOR = encodeUtf8("hearth/2 hs initiator");
const LABEL_CHAIN_INITIATOR = encodeUtf8("hearth/2 ap initiator");
const LABEL_CHAIN_RESPONDER = encodeUtf8("hearth/2 ap responder");

/** The values both sides compute alike from M1 and the head of M2 on. */
export interface Agreement {
  /** The transcript hash that they are bound to, 32 bytes. */
  readonly th1: Bytes;
  /** 32 bytes. */
  readonly prk: Bytes;
  /** Seals ct2, 32 bytes. */
  readonly responderKey: Bytes;
  /** Seals ct3, 32 bytes. */
  readonly initiatorKey: Bytes;
}

/** What the two sides agree on, 32 bytes each but for psk. */
export interface Secrets {
  /** Of X25519. */
  readonly ee: Uint8Array;
  /** Of ML-KEM. */
  readonly kss: Uint8Array;
  /** Of CPace, or zeros. */
  readonly psk: Uint8Array;
}

/** Derives the keys of ct2 and ct3. @param th1 32 bytes. */
export async function agree(
  th1: Bytes,
  { ee, kss, psk }: Secrets,
  { hkdfExpand, hkdfExtract }: Suite,
): Promise<Agreement> {
  const prk = await hkdfExtract(th1, concat(ee, kss, psk));
  return {
    th1,
    prk,
    responderKey: await hkdfExpand(prk, LABEL_KEY_RESPONDER, KEY_BYTES),
    initiatorKey: await hkdfExpand(prk, LABEL_KEY_INITIATOR, KEY_BYTES),
  };
}

/**
 * Derives the chain keys of the records of either side, 32 bytes each.
 *
 * @param th3 The final transcript hash, 32 bytes.
 * @param prk Of {@linkcode agree}.
 * @param secret The initiator's, for the responder's RSA key; empty on the transport.
 */
export async function deriveChains(
  th3: Bytes,
  { prk, secret }: { readonly prk: Bytes; readonly secret: Uint8Array },
  { hkdfExpand, hkdfExtract }: Suite,
): Promise<{ ckI: Bytes; ckR: Bytes }> {
  const prk2 = await hkdfExtract(th3, concat(prk, secret));
  return {
    ckI: await hkdfExpand(prk2, LABEL_CHAIN_INITIATOR, KEY_BYTES),
    ckR: await hkdfExpand(prk2, LABEL_CHAIN_RESPONDER, KEY_BYTES),
  };
}
