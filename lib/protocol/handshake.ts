/**
 * The three messages that prove identities and agree on keys (PROTOCOL.md §3): bytes in, bytes or keys out.
 *
 * Knows neither sockets nor rooms; policy (key sizes, allow lists) is the caller's. Every failure is a ProtocolError
 * or a DecryptError, after which the object is dead; the caller tells the other side nothing.
 *
 * @module
 */

import {
  type Bytes,
  concat,
  encodeUtf8,
  equalBytes,
  label,
  readU16,
  withLength,
} from "../base/bytes.ts";
import { KEY_BYTES, openAead, sealAead, TAG_BYTES } from "./records.ts";
import { type RandomBytes, systemRandom } from "../base/clock.ts";
import { DecryptError, ProtocolError } from "../base/errors.ts";
import { hkdfExpand, hkdfExtract, sha256 } from "./crypto/hash.ts";
import {
  type DecodeId,
  decodeId,
  type PrivateKey,
  type PublicKey,
  SECRET_BYTES,
} from "./identity.ts";
import { type KeyPair, makeKeyPair, POINT_BYTES, sharedSecret } from "./crypto/x25519.ts";

/** The first 8 bytes of every connection. */
export const MAGIC: Bytes = encodeUtf8("HEARTH/1");
/** What a relay answers to any other first 8 bytes. */
export const OTHER_VERSION: Bytes = encodeUtf8("HEARTH/?");
/** Bytes in M1. */
export const M1_BYTES = 40;
/** Largest ct2, and largest ct3 of the transport. */
export const MAX_TRANSPORT_CT_BYTES = 1067;
/** Largest ct3 of a peer handshake. */
export const MAX_PEER_CT_BYTES = 1581;
/** Bytes in M2 and M3 before their length field: M2 begins with eR. */
export const M2_HEADER_BYTES = POINT_BYTES;

const LABEL_KEY_RESPONDER = encodeUtf8("hearth/1 hs responder");
const LABEL_KEY_INITIATOR = encodeUtf8("hearth/1 hs initiator");
const LABEL_CHAIN_INITIATOR = encodeUtf8("hearth/1 ap initiator");
const LABEL_CHAIN_RESPONDER = encodeUtf8("hearth/1 ap responder");
const CONTEXT_RESPONDER = "hearth/1 responder";
const CONTEXT_INITIATOR = "hearth/1 initiator";
const NO_PSK = new Uint8Array(KEY_BYTES);
const EMPTY = new Uint8Array(0);

/** Which of the two layers a handshake serves. */
export type Mode = "transport" | "peer";

/** What both roles need. */
export interface HandshakeOptions {
  /** Own identity. */
  readonly key: PrivateKey;
  readonly mode: Mode;
  /** §3: nothing for the transport, 144 bytes between peers. */
  readonly prologue?: Uint8Array;
  /** 32 bytes; zeros when there is no password, and always for the transport. */
  readonly psk?: Uint8Array;
  /** The fingerprint that the other side has to prove, 32 bytes; without it any is taken. */
  readonly expected?: Uint8Array;
  /** Where the ephemeral key and the secret come from. */
  readonly random?: RandomBytes;
  /** Turns an ID into a key. */
  readonly decodeId?: DecodeId;
}

/** What a finished handshake leaves behind. */
export interface HandshakeResult {
  /** The other side's proven identity. */
  readonly peer: PublicKey;
  /** Chain key of the records one sends, 32 bytes. */
  readonly sendKey: Bytes;
  /** Chain key of the records one receives, 32 bytes. */
  readonly receiveKey: Bytes;
  /** The transcript's digest, 32 bytes: binds a password proof to this connection. */
  readonly th3: Bytes;
}

/** The values both sides compute alike from M1 and eR on. */
interface Agreement {
  readonly th1: Bytes;
  readonly prk: Bytes;
  readonly responderKey: Bytes;
  readonly initiatorKey: Bytes;
}

function startTranscript(options: HandshakeOptions, m1: Uint8Array): Bytes {
  return sha256(label(`hearth/1 ${options.mode}`), options.prologue ?? EMPTY, m1);
}

function agree(
  options: HandshakeOptions,
  th0: Bytes,
  points: { own: KeyPair; other: Uint8Array; responder: Uint8Array },
): Agreement {
  const th1 = sha256(th0, points.responder);
  const ee = sharedSecret(points.own.privateKey, points.other);
  const prk = hkdfExtract(th1, concat(ee, options.psk ?? NO_PSK));
  return {
    th1,
    prk,
    responderKey: hkdfExpand(prk, LABEL_KEY_RESPONDER, KEY_BYTES),
    initiatorKey: hkdfExpand(prk, LABEL_KEY_INITIATOR, KEY_BYTES),
  };
}

function deriveChains(th3: Bytes, prk: Bytes, secret: Uint8Array): { ckI: Bytes; ckR: Bytes } {
  const prk2 = hkdfExtract(th3, concat(prk, secret));
  return {
    ckI: hkdfExpand(prk2, LABEL_CHAIN_INITIATOR, KEY_BYTES),
    ckR: hkdfExpand(prk2, LABEL_CHAIN_RESPONDER, KEY_BYTES),
  };
}

/** Takes `count` fields `L(x)` that fill `bytes` exactly. */
function splitFields(bytes: Uint8Array, count: number): Uint8Array[] {
  const fields: Uint8Array[] = [];
  let offset = 0;
  for (let i = 0; i < count; i++) {
    if (offset + 2 > bytes.length) throw new ProtocolError("bad-length");
    const end = offset + 2 + readU16(bytes, offset);
    if (end > bytes.length) throw new ProtocolError("bad-length");
    fields.push(bytes.subarray(offset + 2, end));
    offset = end;
  }
  if (offset !== bytes.length) throw new ProtocolError("bad-length");
  return fields;
}

/** Reads `L(ct)` that fills `bytes` exactly, within its bounds. */
function readCiphertext(bytes: Uint8Array, max: number): Uint8Array {
  const length = bytes.length - 2;
  if (length < TAG_BYTES || length > max || readU16(bytes, 0) !== length) {
    throw new ProtocolError("bad-length");
  }
  return bytes.subarray(2);
}

/** Checks an identity and its signature in the order of §3. */
async function verifyIdentity(
  options: HandshakeOptions,
  proof: { id: Uint8Array; signature: Uint8Array; context: string; signed: readonly Uint8Array[] },
): Promise<PublicKey> {
  const peer = (options.decodeId ?? decodeId)(proof.id);
  if (proof.signature.length !== peer.bits / 8) throw new ProtocolError("bad-length");
  if (!await peer.verify(proof.context, concat(...proof.signed), proof.signature)) {
    throw new ProtocolError("bad-signature");
  }
  if (options.expected && !equalBytes(options.expected, peer.fingerprint)) {
    throw new ProtocolError("wrong-identity");
  }
  return peer;
}

/** The side that speaks first. */
export class Initiator {
  /** The first message, 40 bytes. */
  readonly m1: Bytes;
  #options: HandshakeOptions;
  #ephemeral: KeyPair;
  #th0: Bytes;
  #used = false;

  /** Makes an ephemeral key and M1. */
  constructor(options: HandshakeOptions) {
    this.#options = options;
    this.#ephemeral = makeKeyPair(options.random);
    this.m1 = concat(MAGIC, this.#ephemeral.publicKey);
    this.#th0 = startTranscript(options, this.m1);
  }

  /**
   * Takes M2 and makes M3; once only.
   *
   * @param m2 `eR || L(ct2)`, whole and with nothing after it.
   * @returns M3 and the keys. The first record goes out together with M3.
   * @throws {ProtocolError | DecryptError} The responder's fault: forget the handshake and send nothing.
   */
  async consumeM2(m2: Uint8Array): Promise<HandshakeResult & { m3: Bytes }> {
    if (this.#used) throw new ProtocolError("unexpected");
    this.#used = true;
    if (m2.length < M2_HEADER_BYTES + 2) throw new ProtocolError("bad-length");
    const eR = m2.subarray(0, POINT_BYTES);
    const ct2 = readCiphertext(m2.subarray(POINT_BYTES), MAX_TRANSPORT_CT_BYTES);
    const agreed = agree(this.#options, this.#th0, {
      own: this.#ephemeral,
      other: eR,
      responder: eR,
    });
    const plaintext = openAead(agreed.responderKey, 0, agreed.th1, ct2);
    const [id, signature] = splitFields(plaintext, 2) as [Uint8Array, Uint8Array];
    const peer = await verifyIdentity(this.#options, {
      id,
      signature,
      context: CONTEXT_RESPONDER,
      signed: [agreed.th1, id],
    });
    const th2 = sha256(agreed.th1, withLength(ct2));
    return { peer, ...await this.#makeM3(agreed, th2, peer) };
  }

  async #makeM3(agreed: Agreement, th2: Bytes, peer: PublicKey): Promise<
    Omit<HandshakeResult, "peer"> & { m3: Bytes }
  > {
    const { key, mode, random = systemRandom } = this.#options;
    const id = key.publicKey.id;
    const secret = mode === "peer" ? random(SECRET_BYTES) : EMPTY;
    const sealed = mode === "peer" ? [await peer.encrypt(secret)] : [];
    const signature = await key.sign(CONTEXT_INITIATOR, concat(th2, id, ...sealed));
    const fields = [id, ...sealed, signature].map(withLength);
    const m3 = withLength(sealAead(agreed.initiatorKey, 0, th2, concat(...fields)));
    const th3 = sha256(th2, m3);
    const { ckI, ckR } = deriveChains(th3, agreed.prk, secret);
    return { m3, sendKey: ckI, receiveKey: ckR, th3 };
  }
}

/** The side that answers. */
export class Responder {
  #options: HandshakeOptions;
  #state: "m1" | "m3" | "dead" = "m1";
  #agreed: Agreement | undefined;
  #th2: Bytes = EMPTY;

  /** Waits for M1. */
  constructor(options: HandshakeOptions) {
    this.#options = options;
  }

  /**
   * Takes M1 and makes M2.
   *
   * @param m1 40 bytes.
   * @returns M2, `eR || L(ct2)`.
   * @throws {ProtocolError} The initiator's fault: send nothing.
   */
  async consumeM1(m1: Uint8Array): Promise<Bytes> {
    this.#enter("m1");
    if (m1.length !== M1_BYTES) throw new ProtocolError("bad-length");
    if (!equalBytes(m1.subarray(0, MAGIC.length), MAGIC)) throw new ProtocolError("bad-magic");
    const { key, random } = this.#options;
    const ephemeral = makeKeyPair(random);
    const agreed = agree(this.#options, startTranscript(this.#options, m1), {
      own: ephemeral,
      other: m1.subarray(MAGIC.length),
      responder: ephemeral.publicKey,
    });
    const id = key.publicKey.id;
    const signature = await key.sign(CONTEXT_RESPONDER, concat(agreed.th1, id));
    const ct2 = withLength(
      sealAead(
        agreed.responderKey,
        0,
        agreed.th1,
        concat(withLength(id), withLength(signature)),
      ),
    );
    this.#agreed = agreed;
    this.#th2 = sha256(agreed.th1, ct2);
    this.#state = "m3";
    return concat(ephemeral.publicKey, ct2);
  }

  /**
   * Takes M3.
   *
   * The other side is not connected before its first record has verified, too: with a secret that could not be
   * decrypted this returns keys that fit nothing (§3).
   *
   * @param m3 `L(ct3)`, whole and with nothing after it.
   * @throws {ProtocolError | DecryptError} The initiator's fault: forget the handshake and send nothing.
   */
  async consumeM3(m3: Uint8Array): Promise<HandshakeResult> {
    this.#enter("m3");
    const { mode } = this.#options;
    const agreed = this.#agreed!;
    const ct3 = readCiphertext(
      m3,
      mode === "peer" ? MAX_PEER_CT_BYTES : MAX_TRANSPORT_CT_BYTES,
    );
    const plaintext = openAead(agreed.initiatorKey, 0, this.#th2, ct3);
    const fields = splitFields(plaintext, mode === "peer" ? 3 : 2);
    const id = fields[0]!;
    const signature = fields.at(-1)!;
    const sealed = fields.slice(1, -1);
    const ownBytes = this.#options.key.publicKey.bits / 8;
    if (sealed.some((c) => c.length !== ownBytes)) throw new ProtocolError("bad-length");
    const peer = await verifyIdentity(this.#options, {
      id,
      signature,
      context: CONTEXT_INITIATOR,
      signed: [this.#th2, id, ...sealed],
    });
    const secret = sealed[0] ? await this.#openSecret(sealed[0]) : EMPTY;
    const th3 = sha256(this.#th2, withLength(ct3));
    const { ckI, ckR } = deriveChains(th3, agreed.prk, secret);
    this.#agreed = undefined;
    return { peer, sendKey: ckR, receiveKey: ckI, th3 };
  }

  /** §3: a secret that does not decrypt is replaced by a random one. */
  async #openSecret(c: Uint8Array): Promise<Bytes> {
    const { key, random = systemRandom } = this.#options;
    const substitute = random(SECRET_BYTES);
    try {
      return await key.decrypt(c);
    } catch (error) {
      if (error instanceof DecryptError) return substitute;
      throw error;
    }
  }

  #enter(state: "m1" | "m3"): void {
    if (this.#state !== state) throw new ProtocolError("unexpected");
    this.#state = "dead";
  }
}
