/**
 * The password of a relay: the two keys made of it, and the exchange in which client and relay show each other that
 * they know it (PROTOCOL.md §7).
 *
 * Knows nothing of where a password is asked for, of frames and of connections.
 *
 * @module
 */

import { nodeCrypto } from "../base/builtin.ts";
import { commandOf } from "../base/command.ts";
import { type Bytes, encodeUtf8, label, readU16 } from "../base/bytes.ts";
import type { RandomBytes } from "../base/clock.ts";
import { UsageError } from "../base/errors.ts";
import { equalSecrets } from "./crypto/compare.ts";
import { SHARE_BYTES } from "./crypto/cpace.ts";
import { hkdfExpand, hkdfExtract, sha256 } from "./crypto/hash.ts";
import { type Primitives, realPrimitives } from "./primitives.ts";
import { decodeBase64, encodeBase64 } from "../base/std.ts";

/** What a side without a password sends instead of its share, §1. */
export const NO_SHARE: Bytes = new Uint8Array(SHARE_BYTES);

const PROOF_BYTES = 32;

/** The scrypt parameters of §7; it uses 128 MiB, and `maxmem` must exceed that. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 };
const LABEL_SALT = label("hearth/2 pw");
const LABEL_CPACE = label("hearth/2 cpace transport");
const LABEL_PROOF = encodeUtf8("hearth/2 join client");
const LABEL_ANSWER = encodeUtf8("hearth/2 join relay");
const JOIN_KEY_PREFIX = "hearth2-join:";

// Groups can be spoken like words. No o and no l: on paper they look like 0 and 1.
const CONSONANTS = "bdfghjkmnprstvwz";
const VOWELS = "aeiu";
const PASSWORD_GROUPS = 5;

/** The keys derived from a password. */
export interface PasswordKeys {
  /** 32 bytes: all that the relay knows about the password. */
  readonly joinKey: Bytes;
  /** 32 bytes: the password of every peer handshake; never given to the relay. */
  readonly roomKey: Bytes;
}

/**
 * Derives the keys of a password for one relay, off the event loop; takes a second or two and 128 MiB.
 *
 * @param password Any text but the empty one, which means no password.
 * @param relayFingerprint 32 bytes.
 * @throws {RangeError} The password is empty, or the fingerprint has another length: a bug.
 */
export async function derivePassword(
  password: string,
  relayFingerprint: Uint8Array,
): Promise<PasswordKeys> {
  if (password === "") throw new RangeError(`"password" must not be empty`);
  if (relayFingerprint.length !== 32) {
    throw new RangeError(`"relayFingerprint" must have 32 bytes: ${relayFingerprint.length}`);
  }
  const salt = sha256(LABEL_SALT, relayFingerprint);
  const keys = await new Promise<Uint8Array>((resolve, reject) => {
    nodeCrypto().scrypt(encodeUtf8(password.normalize("NFC")), salt, 64, SCRYPT, (error, key) => {
      if (error) reject(error);
      else resolve(key);
    });
  });
  return { joinKey: new Uint8Array(keys.slice(0, 32)), roomKey: new Uint8Array(keys.slice(32)) };
}

/** What a join is bound to. */
export interface JoinOptions {
  /** Kjoin, 32 bytes. */
  readonly joinKey: Uint8Array;
  /** FP_I, 32 bytes. */
  readonly client: Uint8Array;
  /** FP_S, 32 bytes. */
  readonly relay: Uint8Array;
  /** The transport's last transcript hash, 32 bytes. */
  readonly th3: Uint8Array;
  readonly random?: RandomBytes;
  readonly primitives?: Primitives;
}

/** One side of the exchange in which client and relay show each other that they know the password, §7. */
export interface JoinExchange {
  /** Ya for JOIN, or Yb for SHARE; 32 bytes. */
  readonly share: Bytes;
  /**
   * Gives what each side has to show, 32 bytes each; {@linkcode checkProof} compares the other's.
   *
   * @param share The other side's, as it came from the wire.
   * @throws {ProtocolError} `bad-point` when it does not decode or is zeros: the other side's fault.
   */
  finish(share: Uint8Array): { readonly proof: Bytes; readonly answer: Bytes };
}

/** Begins the exchange of a join, which is worth nothing on another connection, §7. */
export async function startJoin(
  side: "client" | "relay",
  options: JoinOptions,
): Promise<JoinExchange> {
  const { joinKey, client, relay, th3, random, primitives = realPrimitives } = options;
  const exchange = await primitives.startCpace({
    role: side === "client" ? "initiator" : "responder",
    secret: joinKey,
    context: sha256(LABEL_CPACE, client, relay),
    session: th3,
  }, random);
  return {
    share: exchange.share,
    finish(share) {
      const kp = hkdfExtract(th3, exchange.finish(share));
      return {
        proof: hkdfExpand(kp, LABEL_PROOF, PROOF_BYTES),
        answer: hkdfExpand(kp, LABEL_ANSWER, PROOF_BYTES),
      };
    },
  };
}

/** Tells in constant time whether a proof or answer from the wire is the expected one. */
export function checkProof(proof: Uint8Array, expected: Uint8Array): boolean {
  return equalSecrets(proof, expected);
}

/** Writes a join key (32 bytes) as text for the relay, §7. */
export function encodeJoinKey(joinKey: Uint8Array): string {
  return JOIN_KEY_PREFIX + encodeBase64(joinKey).replace(/=+$/, "");
}

/**
 * Reads the one form that {@linkcode encodeJoinKey} writes.
 *
 * @returns 32 bytes.
 * @throws {UsageError} For anything else; the message does not repeat it.
 */
export function decodeJoinKey(text: string): Bytes {
  if (/^hearth2-join:[A-Za-z0-9+/]{43}$/.test(text)) {
    const joinKey = decodeBase64(text.slice(JOIN_KEY_PREFIX.length) + "=");
    // The last character has two unused bits: accept only one text per key.
    if (encodeJoinKey(joinKey) === text) return joinKey;
  }
  throw new UsageError(`not a join key: it must be "hearth2-join:" and 43 characters`, [
    `"${commandOf("client")} join-key FINGERPRINT" prints one`,
  ]);
}

/**
 * Generates a password of 80 random bits: five groups such as `tugad`, of 16 bits each, which can be read aloud and
 * contain no characters that look alike.
 *
 * @returns 29 characters.
 */
export function makePassword(random: RandomBytes): string {
  const bytes = random(2 * PASSWORD_GROUPS);
  const groups: string[] = [];
  for (let i = 0; i < bytes.length; i += 2) {
    const bits = readU16(bytes, i);
    groups.push(
      CONSONANTS[bits >>> 12]! + VOWELS[bits >>> 10 & 3]! + CONSONANTS[bits >>> 6 & 15]! +
        VOWELS[bits >>> 4 & 3]! + CONSONANTS[bits & 15]!,
    );
  }
  return groups.join("-");
}
