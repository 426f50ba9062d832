/**
 * The handshake: three messages that prove identities and agree on keys (PROTOCOL.md §3).
 *
 * Policy (key sizes, allow lists, guesses) is the caller's. Every failure is a ProtocolError or a DecryptError, after
 * which the object is dead; the caller tells the other side nothing.
 *
 * @module
 */

import {
  type Bytes,
  concat,
  encodeUtf8,
  equalBytes,
  expectLength,
  isZero,
  label,
  readU16,
  withLength,
} from "../base/bytes.ts";
import { type RandomBytes, systemRandom } from "../base/clock.ts";
import { DecryptError, ProtocolError } from "../base/errors.ts";
import { TAG_BYTES } from "./crypto/aead.ts";
import { type CpaceSide, ISK_BYTES } from "./crypto/cpace.ts";
import { ED25519_KEY_BYTES, ED25519_SIGNATURE_BYTES } from "./crypto/ed25519.ts";
import { sha256 } from "./crypto/hash.ts";
import {
  checkKemKey,
  KEM_CIPHERTEXT_BYTES,
  KEM_KEY_BYTES,
  type KemKeyPair,
} from "./crypto/ml_kem.ts";
import { type KeyPair, POINT_BYTES } from "./crypto/x25519.ts";
import { agree, type Agreement, deriveChains } from "./handshake_keys.ts";
import { type PrivateKey, type PublicKey, SECRET_BYTES } from "./identity.ts";
import { NO_SHARE } from "./password.ts";
import { type Primitives, realPrimitives } from "./primitives.ts";
import { type Membership, type SessionKey, verifySession } from "./session_key.ts";

/** The layer of a handshake. */
export type Mode = "transport" | "peer";

/** The first 8 bytes of every connection. */
export const MAGIC: Bytes = encodeUtf8("HEARTH/2");
/** What a relay answers to any other first 8 bytes. */
export const OTHER_VERSION: Bytes = encodeUtf8("HEARTH/?");
/** Bytes in M1. */
export const M1_BYTES: Readonly<Record<Mode, number>> = { transport: 1224, peer: 1256 };
/** Bytes in M2 before the length field of ct2. */
export const M2_HEADER_BYTES: Readonly<Record<Mode, number>> = { transport: 1120, peer: 1152 };
/** Largest ct2. */
export const MAX_CT2_BYTES = 1163;
/** Largest ct3. */
export const MAX_CT3_BYTES: Readonly<Record<Mode, number>> = { transport: 1067, peer: 1677 };

const LABEL_CPACE = label("hearth/2 cpace peer");
const CONTEXT_RESPONDER: Readonly<Record<Mode, string>> = {
  transport: "hearth/2 responder",
  peer: "hearth/2 peer responder",
};
const CONTEXT_INITIATOR: Readonly<Record<Mode, string>> = {
  transport: "hearth/2 initiator",
  peer: "hearth/2 peer initiator",
};
/** The psk of those who have no password. */
const NO_PSK = new Uint8Array(ISK_BYTES);
const EMPTY = new Uint8Array(0);

const EK_OFFSET = MAGIC.length + POINT_BYTES;
const M1_SHARE_OFFSET = EK_OFFSET + KEM_KEY_BYTES;
const M2_SHARE_OFFSET = POINT_BYTES + KEM_CIPHERTEXT_BYTES;

/** What of a prologue differs between the two sides. */
interface PeerPlace {
  /** 32 bytes. */
  readonly fingerprint: Uint8Array;
  /** 8 bytes. */
  readonly sid: Uint8Array;
}

const PROLOGUE_BYTES = 144;
const SID_BYTES = 8;
const SID_OFFSET = { initiator: 128, responder: 136 } as const;

/** The prologue of a peer handshake, §3: what the relay claims about both sides; 144 bytes. */
export function peerPrologue(place: {
  /** The relay's fingerprint, 32 bytes. */
  readonly relay: Uint8Array;
  /** The room's tag, 32 bytes. */
  readonly room: Uint8Array;
  readonly initiator: PeerPlace;
  readonly responder: PeerPlace;
}): Bytes {
  const { relay, room, initiator, responder } = place;
  return concat(
    relay,
    room,
    initiator.fingerprint,
    responder.fingerprint,
    initiator.sid,
    responder.sid,
  );
}

/** What both roles need. */
export interface HandshakeOptions {
  /** This side's identity. */
  readonly key: PrivateKey;
  readonly mode: Mode;
  /** Signs for the identity; all need one but the transport's initiator. M1 does not wait for it. */
  readonly session?: SessionKey | Promise<SessionKey>;
  /** Of {@linkcode peerPrologue}; the transport has none. */
  readonly prologue?: Uint8Array;
  /** Kroom of §7, 32 bytes, of who has a password; the transport never has one. */
  readonly roomKey?: Uint8Array | undefined;
  /** The fingerprint that the other side has to prove, 32 bytes; without it any is taken. */
  readonly expected?: Uint8Array;
  /** Where ephemeral keys and the secret come from. */
  readonly random?: RandomBytes;
  readonly primitives?: Primitives;
}

/** The result of a handshake. */
export interface HandshakeResult {
  /** The other side's proven identity. */
  readonly peer: PublicKey;
  /** Chain key of the records that this side sends, 32 bytes. */
  readonly sendKey: Bytes;
  /** Chain key of the records that this side receives, 32 bytes. */
  readonly receiveKey: Bytes;
  /** The final transcript hash, 32 bytes: binds a password proof to this connection. */
  readonly th3: Bytes;
}

/** th1: from M1 and the head of M2. */
async function startTranscript(
  { mode, prologue = EMPTY, primitives = realPrimitives }: HandshakeOptions,
  m1: Uint8Array,
  header: Uint8Array,
): Promise<Bytes> {
  const th0 = await primitives.sha256(label(`hearth/2 ${mode}`), prologue, m1);
  return await primitives.sha256(th0, header);
}

/** Begins CPace for a side that has a password; eI names the exchange. */
async function startExchange(
  options: HandshakeOptions,
  role: "initiator" | "responder",
  eI: Uint8Array,
): Promise<CpaceSide | undefined> {
  const { roomKey, prologue = EMPTY, random, primitives = realPrimitives } = options;
  if (!roomKey) return undefined;
  const context = sha256(LABEL_CPACE, prologue);
  return await primitives.startCpace({ role, secret: roomKey, context, session: eI }, random);
}

/** The psk of an exchange; without a password the other side must have none either, §7. */
function finishExchange(exchange: CpaceSide | undefined, share: Uint8Array): Bytes {
  if (exchange) return exchange.finish(share);
  if (!isZero(share)) throw new ProtocolError("bad-point");
  return NO_PSK;
}

function checkOptions({ mode, prologue = EMPTY, roomKey }: HandshakeOptions): void {
  const length = mode === "peer" ? PROLOGUE_BYTES : 0;
  if (prologue.length !== length) throw new RangeError(`"prologue" must have ${length} bytes`);
  if (mode === "transport" && roomKey) throw new TypeError(`"roomKey" is for peers only`);
}

async function sessionOf({ session }: HandshakeOptions): Promise<SessionKey> {
  if (!session) throw new TypeError(`"session" is missing`);
  return await session;
}

/** Where the other side's session key must be good: what this side's own prologue says. */
function membershipOf(
  { mode, prologue = EMPTY }: HandshakeOptions,
  role: "initiator" | "responder",
): Membership | undefined {
  if (mode === "transport") return undefined;
  const start = SID_OFFSET[role];
  return {
    relay: prologue.subarray(0, 32),
    room: prologue.subarray(32, 64),
    sid: prologue.subarray(start, start + SID_BYTES),
  };
}

/** Takes fields that fill a byte string exactly. */
class FieldReader {
  #rest: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#rest = bytes;
  }

  /** The next `length` bytes. */
  take(length: number): Uint8Array {
    if (length > this.#rest.length) throw new ProtocolError("bad-length");
    const field = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return field;
  }

  /** The next `L(x)`. */
  takeSized(): Uint8Array {
    return this.take(readU16(this.take(2), 0));
  }

  end(): void {
    expectLength(this.#rest, 0);
  }
}

/** Reads an `L(ct)` that fills `bytes` exactly, and checks its bounds. */
function readCiphertext(bytes: Uint8Array, max: number): Uint8Array {
  const length = bytes.length - 2;
  if (length < TAG_BYTES || length > max || readU16(bytes, 0) !== length) {
    throw new ProtocolError("bad-length");
  }
  return bytes.subarray(2);
}

/** What a session key's owner shows of it in M2 and M3: the fields from pk on. */
interface SessionFields {
  readonly publicKey: Uint8Array;
  readonly certificate: Uint8Array;
  readonly signature: Uint8Array;
}

/** Reads `pk || L(CERT) || ED` to the end. */
function readSession(fields: FieldReader): SessionFields {
  const publicKey = fields.take(ED25519_KEY_BYTES);
  const certificate = fields.takeSized();
  const signature = fields.take(ED25519_SIGNATURE_BYTES);
  fields.end();
  return { publicKey, certificate, signature };
}

/** Makes an identity of an ID; between peers it must be the claimed one at once. */
async function readIdentity(options: HandshakeOptions, id: Uint8Array): Promise<PublicKey> {
  const { decodeId, readId = decodeId } = options.primitives ?? realPrimitives;
  const peer = await readId(id);
  if (options.mode === "peer") checkExpected(options, peer);
  return peer;
}

function checkExpected({ expected }: HandshakeOptions, peer: PublicKey): void {
  if (expected && !equalBytes(expected, peer.fingerprint)) {
    throw new ProtocolError("wrong-identity");
  }
}

/** Checks CERT and ED; on the transport the pin's verdict counts only after them, §3. */
async function checkSession(
  options: HandshakeOptions,
  peer: PublicKey,
  proof: SessionFields & { role: "initiator" | "responder"; context: string; message: Uint8Array },
): Promise<void> {
  const { primitives = realPrimitives } = options;
  if (proof.certificate.length !== peer.bits / 8) throw new ProtocolError("bad-length");
  const membership = membershipOf(options, proof.role);
  if (!await verifySession(peer, proof, { primitives, ...(membership && { membership }) })) {
    throw new ProtocolError("bad-signature");
  }
  checkExpected(options, peer);
}

/**
 * Checks what an M1 shows by itself: length, magic, ek, and a share that fits whether there is a password (§7).
 *
 * @throws {ProtocolError} Drop it without any effect.
 */
export async function checkM1(
  m1: Uint8Array,
  options: Pick<HandshakeOptions, "mode" | "roomKey" | "primitives">,
): Promise<void> {
  const { mode, roomKey, primitives = realPrimitives } = options;
  expectLength(m1, M1_BYTES[mode]);
  if (!equalBytes(m1.subarray(0, MAGIC.length), MAGIC)) throw new ProtocolError("bad-magic");
  checkKemKey(m1.subarray(EK_OFFSET, M1_SHARE_OFFSET));
  const share = m1.subarray(M1_SHARE_OFFSET);
  if (roomKey ? !await primitives.isShare(share) : !isZero(share)) {
    throw new ProtocolError("bad-point");
  }
}

/** The side that sends the first message. */
export class HandshakeInitiator {
  /** The first message, 1224 bytes in transport, 1256 between peers. */
  readonly m1: Bytes;
  readonly #options: HandshakeOptions;
  readonly #ephemeral: KeyPair;
  readonly #kem: KemKeyPair;
  readonly #exchange: CpaceSide | undefined;
  #used = false;

  private constructor(
    options: HandshakeOptions,
    ephemerals: { ephemeral: KeyPair; kem: KemKeyPair; exchange: CpaceSide | undefined },
  ) {
    this.#options = options;
    this.#ephemeral = ephemerals.ephemeral;
    this.#kem = ephemerals.kem;
    this.#exchange = ephemerals.exchange;
    const share = options.mode === "peer" ? this.#exchange?.share ?? NO_SHARE : EMPTY;
    this.m1 = concat(MAGIC, this.#ephemeral.publicKey, this.#kem.publicKey, share);
  }

  /** Makes ephemeral keys and M1. */
  static async start(options: HandshakeOptions): Promise<HandshakeInitiator> {
    checkOptions(options);
    const { random = systemRandom, primitives = realPrimitives } = options;
    const ephemeral = await primitives.makeKeyPair(random);
    const kem = await primitives.makeKemKeyPair({ random });
    const exchange = await startExchange(options, "initiator", ephemeral.publicKey);
    return new HandshakeInitiator(options, { ephemeral, kem, exchange });
  }

  /**
   * Consumes M2 and makes M3; call it once.
   *
   * @param m2 `eR || kct [|| YR] || L(ct2)`, whole and with nothing after it.
   * @returns M3, the keys and the other side's session key, 32 bytes. The first record goes out together with M3.
   * @throws {ProtocolError | DecryptError} The responder's fault: forget the handshake and send nothing.
   */
  async consumeM2(m2: Uint8Array): Promise<HandshakeResult & { m3: Bytes; session: Bytes }> {
    if (this.#used) throw new ProtocolError("unexpected");
    this.#used = true;
    const options = this.#options;
    const { primitives = realPrimitives } = options;
    const headerBytes = M2_HEADER_BYTES[options.mode];
    if (m2.length < headerBytes + 2) throw new ProtocolError("bad-length");
    const header = m2.subarray(0, headerBytes);
    const ct2 = readCiphertext(m2.subarray(headerBytes), MAX_CT2_BYTES);
    const psk = finishExchange(this.#exchange, header.subarray(M2_SHARE_OFFSET));
    const eR = header.subarray(0, POINT_BYTES);
    const ee = await primitives.sharedSecret(this.#ephemeral.privateKey, eR);
    const kss = await this.#kem.decapsulate(header.subarray(POINT_BYTES, M2_SHARE_OFFSET));
    const th1 = await startTranscript(options, this.m1, header);
    const agreed = await agree(th1, { ee, kss, psk }, primitives);
    const fields = new FieldReader(await primitives.openAead(agreed.responderKey, 0, th1, ct2));
    const id = fields.takeSized();
    const session = readSession(fields);
    const peer = await readIdentity(options, id);
    await checkSession(options, peer, {
      ...session,
      role: "responder",
      context: CONTEXT_RESPONDER[options.mode],
      message: concat(th1, id, session.publicKey),
    });
    const th2 = await primitives.sha256(th1, withLength(ct2));
    const publicKey = new Uint8Array(session.publicKey);
    return { peer, session: publicKey, ...await this.#makeM3(agreed, th2, peer) };
  }

  async #makeM3(agreed: Agreement, th2: Bytes, peer: PublicKey): Promise<
    Omit<HandshakeResult, "peer"> & { m3: Bytes }
  > {
    const { mode, random = systemRandom, primitives = realPrimitives } = this.#options;
    const secret = mode === "peer" ? random(SECRET_BYTES) : EMPTY;
    const plaintext = mode === "peer"
      ? await this.#proveToPeer(th2, await peer.encrypt(secret))
      : await this.#proveToRelay(th2);
    const { initiatorKey, prk } = agreed;
    const m3 = withLength(await primitives.sealAead(initiatorKey, 0, th2, plaintext));
    const th3 = await primitives.sha256(th2, m3);
    const { ckI, ckR } = await deriveChains(th3, { prk, secret }, primitives);
    return { m3, sendKey: ckI, receiveKey: ckR, th3 };
  }

  async #proveToRelay(th2: Bytes): Promise<Bytes> {
    const { key } = this.#options;
    const { id } = key.publicKey;
    const signature = await key.sign(CONTEXT_INITIATOR.transport, concat(th2, id));
    return concat(withLength(id), withLength(signature));
  }

  async #proveToPeer(th2: Bytes, c: Bytes): Promise<Bytes> {
    const { id } = this.#options.key.publicKey;
    const session = await sessionOf(this.#options);
    const { publicKey, certificate } = session;
    const signature = await session.sign(CONTEXT_INITIATOR.peer, concat(th2, id, c, publicKey));
    return concat(withLength(id), withLength(c), publicKey, withLength(certificate), signature);
  }
}

/** The side that responds. */
export class HandshakeResponder {
  readonly #options: HandshakeOptions;
  #state: "m1" | "m3" | "dead" = "m1";
  #agreed: Agreement | undefined;
  #th2: Bytes = EMPTY;

  constructor(options: HandshakeOptions) {
    checkOptions(options);
    this.#options = options;
  }

  /**
   * Consumes M1 and makes M2.
   *
   * @param m1 1224 bytes in transport, 1256 between peers.
   * @returns M2, `eR || kct [|| YR] || L(ct2)`.
   * @throws {ProtocolError} The initiator's fault: send nothing.
   */
  async consumeM1(m1: Uint8Array): Promise<Bytes> {
    this.#enter("m1");
    const options = this.#options;
    await checkM1(m1, options);
    const { key, mode, random = systemRandom, primitives = realPrimitives } = options;
    const eI = m1.subarray(MAGIC.length, EK_OFFSET);
    const ephemeral = await primitives.makeKeyPair(random);
    const ee = await primitives.sharedSecret(ephemeral.privateKey, eI);
    const ek = m1.subarray(EK_OFFSET, M1_SHARE_OFFSET);
    const { ciphertext, secret: kss } = await primitives.encapsulate(ek, { random });
    const exchange = await startExchange(options, "responder", eI);
    const share = mode === "peer" ? exchange?.share ?? NO_SHARE : EMPTY;
    const psk = finishExchange(exchange, m1.subarray(M1_SHARE_OFFSET));
    const header = concat(ephemeral.publicKey, ciphertext, share);
    const th1 = await startTranscript(options, m1, header);
    const agreed = await agree(th1, { ee, kss, psk }, primitives);
    const { id } = key.publicKey;
    const session = await sessionOf(options);
    const { publicKey, certificate } = session;
    const signature = await session.sign(
      CONTEXT_RESPONDER[mode],
      concat(th1, id, publicKey),
    );
    const plaintext = concat(withLength(id), publicKey, withLength(certificate), signature);
    const ct2 = withLength(await primitives.sealAead(agreed.responderKey, 0, th1, plaintext));
    this.#agreed = agreed;
    this.#th2 = await primitives.sha256(th1, ct2);
    this.#state = "m3";
    return concat(header, ct2);
  }

  /**
   * Consumes M3.
   *
   * The other side is authenticated only once its first record has verified, too: if the secret cannot be decrypted,
   * this returns keys that match nothing (§3).
   *
   * @param m3 `L(ct3)`, complete and without anything after it.
   * @throws {ProtocolError | DecryptError} The initiator's fault: drop the handshake and send nothing.
   */
  async consumeM3(m3: Uint8Array): Promise<HandshakeResult> {
    this.#enter("m3");
    const { mode, primitives = realPrimitives } = this.#options;
    const { initiatorKey, prk } = this.#agreed!;
    this.#agreed = undefined;
    const ct3 = readCiphertext(m3, MAX_CT3_BYTES[mode]);
    const fields = new FieldReader(await primitives.openAead(initiatorKey, 0, this.#th2, ct3));
    const { peer, secret } = mode === "peer"
      ? await this.#takePeer(fields)
      : await this.#takeClient(fields);
    const th3 = await primitives.sha256(this.#th2, withLength(ct3));
    const { ckI, ckR } = await deriveChains(th3, { prk, secret }, primitives);
    return { peer, sendKey: ckR, receiveKey: ckI, th3 };
  }

  async #takeClient(fields: FieldReader): Promise<{ peer: PublicKey; secret: Bytes }> {
    const id = fields.takeSized();
    const signature = fields.takeSized();
    fields.end();
    const peer = await readIdentity(this.#options, id);
    if (signature.length !== peer.bits / 8) throw new ProtocolError("bad-length");
    if (!await peer.verify(CONTEXT_INITIATOR.transport, concat(this.#th2, id), signature)) {
      throw new ProtocolError("bad-signature");
    }
    checkExpected(this.#options, peer);
    return { peer, secret: EMPTY };
  }

  async #takePeer(fields: FieldReader): Promise<{ peer: PublicKey; secret: Bytes }> {
    const id = fields.takeSized();
    const c = fields.takeSized();
    expectLength(c, this.#options.key.publicKey.bits / 8);
    const session = readSession(fields);
    const peer = await readIdentity(this.#options, id);
    await checkSession(this.#options, peer, {
      ...session,
      role: "initiator",
      context: CONTEXT_INITIATOR.peer,
      message: concat(this.#th2, id, c, session.publicKey),
    });
    return { peer, secret: await this.#openSecret(c) };
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
