/**
 * An offer of somebody else's, and how far it is.
 *
 * @module
 */

import { encodeHex } from "../../base/bytes.ts";
import type { AnswerCode, Offer } from "../../protocol/file_messages.ts";
import type { PartHead } from "./part.ts";
import type { PieceFeed } from "./piece_feed.ts";
import type { Transfer } from "./transfer.ts";

/** Somebody's offer. */
export interface IncomingOffer {
  readonly person: string;
  readonly number: number;
  readonly offer: Offer;
  /** The name under which it is kept, but for a number. */
  name: string;
  readonly transfer: Transfer;
  /** Asked: it waits for the user. */
  state: "asked" | "accepted" | "ended";
  /** Where it is kept, once it was accepted. */
  folder: string;
  executable: boolean;
  /** Its part is being looked for. */
  isSought: boolean;
  /** The present look at what is there of it, while it lasts. */
  look: object | undefined;
  /** It has a place among those that come in. */
  isRunning: boolean;
  /** When it was answered, or bytes of it were written, last; undefined before that. */
  movedAt: number | undefined;
  /** Brings what comes through the relay to the disk. */
  feed: PieceFeed;
  retryMs: number;
  /** How it ended. */
  end: AnswerCode | undefined;
}

/** What is noted of it at its part. */
export function headOf({ offer, person, name, executable }: IncomingOffer): PartHead {
  return {
    id: offer.id,
    from: person,
    name,
    kind: offer.kind,
    size: offer.size ?? null,
    mtime: offer.mtime,
    listing: encodeHex(offer.listing),
    executable,
  };
}
