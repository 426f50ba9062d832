/**
 * CPace (draft-irtf-cfrg-cpace) with ristretto255 (RFC 9496) and SHA-512, between an initiator and a responder: two
 * sides with the same password agree on a key, and one exchange lets the other side test one guess.
 *
 * @module
 */

import { type Bytes, concat, encodeUtf8, isZero } from "../../base/bytes.ts";
import { type RandomBytes, systemRandom } from "../../base/clock.ts";
import { ProtocolError } from "../../base/errors.ts";
import { sha512 } from "./hash.ts";

/** Bytes in a share (Y). */
export const SHARE_BYTES = 32;
/** Bytes in the key agreed on (ISK). */
export const ISK_BYTES = 64;

const SCALAR_BYTES = 32;
const HASH_INPUT_BYTES = 128;
const GROUP = encodeUtf8("CPaceRistretto255");
const GROUP_ISK = encodeUtf8("CPaceRistretto255_ISK");
const NOTHING = new Uint8Array(0);

/** What one side brings into an exchange. */
export interface CpaceInput {
  readonly role: "initiator" | "responder";
  /** PRS: what stands for the password. */
  readonly secret: Uint8Array;
  /** CI: who talks to whom; the same on both sides. */
  readonly context: Uint8Array;
  /** sid: what is new in each exchange; the same on both sides. */
  readonly session: Uint8Array;
  /** ADa and ADb; nothing by default. */
  readonly data?: Readonly<Record<"initiator" | "responder", Uint8Array>>;
}

/** One side of an exchange that has chosen its scalar. */
export interface CpaceSide {
  /** Y to send, 32 bytes. */
  readonly share: Bytes;
  /**
   * Computes the key.
   *
   * @param other The other side's Y as it came from the wire.
   * @returns ISK, 64 bytes; the same on both sides if PRS, CI and sid were.
   * @throws {ProtocolError} `bad-point` for what {@linkcode isShare} refuses: the other side's fault.
   */
  finish(other: Uint8Array): Bytes;
}

/** Imports @noble/curves when it is first needed: with a password only. */
async function loadCurve() {
  const { ristretto255, ristretto255_hasher } = await import("@noble/curves/ed25519.js");
  return { Point: ristretto255.Point, derive: ristretto255_hasher.deriveToCurve! };
}

type Curve = Awaited<ReturnType<typeof loadCurve>>;

let loading: Promise<Curve> | undefined;

function curve(): Promise<Curve> {
  return loading ??= loadCurve();
}

/** Byte strings joined, each behind its length as LEB128: lv_cat of the draft. */
function joinWithLengths(...parts: readonly Uint8Array[]): Bytes {
  return concat(...parts.flatMap((part) => [encodeLength(part.length), part]));
}

function encodeLength(length: number): Bytes {
  const digits = [length & 0x7f];
  for (let rest = length >>> 7; rest > 0; rest >>>= 7) {
    digits[digits.length - 1]! |= 0x80;
    digits.push(rest & 0x7f);
  }
  return Uint8Array.from(digits);
}

function generatorString({ secret, context, session }: CpaceInput): Bytes {
  const used = joinWithLengths(GROUP, secret).length + 1;
  const padding = new Uint8Array(Math.max(0, HASH_INPUT_BYTES - used));
  return joinWithLengths(GROUP, secret, padding, context, session);
}

/** A scalar, uniform from 1 to the order less 1, by rejection; its bytes are little-endian. */
function makeScalar(order: bigint, random: RandomBytes): bigint {
  for (;;) {
    const bytes = random(SCALAR_BYTES);
    bytes[SCALAR_BYTES - 1]! &= 0x1f; // to the 253 bits of the order
    const scalar = BigInt(`0x${bytes.toReversed().toHex()}`);
    if (scalar > 0n && scalar < order) return scalar;
  }
}

function decodeShare({ Point }: Curve, share: Uint8Array): InstanceType<Curve["Point"]> {
  if (share.length !== SHARE_BYTES || isZero(share)) throw new ProtocolError("bad-point");
  try {
    return Point.fromBytes(share);
  } catch {
    throw new ProtocolError("bad-point");
  }
}

/** Tells whether a Y from the wire has an ISK: it decodes (RFC 9496 §4.3.1) and is not the identity, 32 zeros. */
export async function isShare(share: Uint8Array): Promise<boolean> {
  try {
    decodeShare(await curve(), share);
    return true;
  } catch (error) {
    if (error instanceof ProtocolError) return false;
    throw error;
  }
}

/** Begins an exchange with a fresh scalar. */
export async function startCpace(
  input: CpaceInput,
  random: RandomBytes = systemRandom,
): Promise<CpaceSide> {
  const loaded = await curve();
  const { Point, derive } = loaded;
  const generator = derive(sha512(generatorString(input)));
  const scalar = makeScalar(Point.Fn.ORDER, random);
  const share = new Uint8Array(generator.multiply(scalar).toBytes());
  const { role, session, data = { initiator: NOTHING, responder: NOTHING } } = input;
  return {
    share,
    finish(other) {
      const k = decodeShare(loaded, other).multiply(scalar).toBytes();
      const [yI, yR] = role === "initiator" ? [share, other] : [other, share];
      const transcript = joinWithLengths(yI, data.initiator, yR, data.responder);
      return sha512(joinWithLengths(GROUP_ISK, session, k), transcript);
    },
  };
}
