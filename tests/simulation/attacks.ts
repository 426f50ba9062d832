/**
 * What a hostile member or relay does in a run: each of it has to be refused, and by the right side.
 *
 * @module
 */

import { type Bytes, encodeHex } from "../../lib/base/bytes.ts";
import { DecryptError } from "../../lib/base/errors.ts";
import type { PrivateKey } from "../../lib/protocol/identity.ts";
import { pad, unpad } from "../../lib/protocol/padding.ts";
import { openAead, sealAead } from "../../lib/protocol/records.ts";
import type { CastPart } from "../../lib/transport/batch.ts";
import type { Place } from "./place.ts";

/** Bytes of sid and tag before the box of an entry. */
const BOX_OFFSET = 12;
/** Boxes that are remembered. */
const MAX_BOXES = 256;
const NOTHING = new Uint8Array(0);

/** A text that only an attack contains. */
export const FORGED = "forged";

/** A box on its way. */
export interface Box {
  /** H(common), which it was sealed with. */
  readonly ad: Uint8Array;
  /** k. */
  readonly key: Bytes;
  readonly from: Place;
  readonly to: Place;
}

/** Boxes by their bytes, hex digits: what everybody addressed could know of them. */
export class Boxes {
  readonly #boxes = new Map<string, Box>();

  add(box: Uint8Array, sealed: Box): void {
    this.#boxes.set(encodeHex(box), sealed);
    if (this.#boxes.size > MAX_BOXES) this.#boxes.delete(this.#boxes.keys().next().value!);
  }

  find(box: Uint8Array): Box | undefined {
    return this.#boxes.get(encodeHex(box));
  }

  /** The box of an entry of a CAST. */
  ofPart({ entry }: CastPart): Box | undefined {
    return this.find(entry.subarray(BOX_OFFSET));
  }
}

/** Another common under the same k, as one who was addressed could make it. */
export function forgeCommon({ key }: Box, common: Uint8Array): Bytes {
  const content = new Uint8Array(unpad(openAead(key, 0, NOTHING, common)));
  const text = new TextEncoder().encode(FORGED);
  content.set(text.subarray(0, 1), content.length - 1);
  return sealAead(key, 0, NOTHING, pad(content));
}

/** What an AWAY is to say that {@linkcode padTooMuch} changes. */
export const CUT: string = FORGED.padEnd(100);

/** The record of an AWAY that says {@linkcode CUT}, which says {@linkcode FORGED} with more zeros than there should be. */
export function padTooMuch(plaintext: Uint8Array): Uint8Array {
  const padded = new Uint8Array(plaintext.length);
  padded.set(pad(plaintext.subarray(0, 1 + FORGED.length)));
  return padded;
}

/** Somebody's public key for one who does not have the private one; a relay that lies takes it all the same. */
export function stealKey(key: PrivateKey): PrivateKey {
  return {
    publicKey: key.publicKey,
    sign: async (context, message) => {
      const signature = await key.sign(context, message);
      return context === "hearth/2 initiator" ? signature : signature.fill(0);
    },
    decrypt: () => Promise.reject(new DecryptError()),
  };
}
