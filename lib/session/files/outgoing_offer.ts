/**
 * An offer of ours, and how far it is at each of those it is for.
 *
 * @module
 */

import { type Bytes, decodeHex, encodeUtf8 } from "../../base/bytes.ts";
import type { Offer } from "../../protocol/file_messages.ts";
import type { PieceFeed } from "./piece_feed.ts";
import type { Have } from "./sink.ts";
import { NO_LISTING, type Offered } from "./source.ts";
import type { Transfer } from "./transfer.ts";

/** An offer of ours that stands. */
export interface OutgoingOffer {
  readonly id: string;
  readonly number: number;
  readonly offered: Offered;
  readonly toRoom: boolean;
  /** By the person it is for. */
  readonly transfers: Map<string, OutTransfer>;
}

/** It goes to one person. */
export interface OutTransfer {
  readonly transfer: Transfer;
  readonly offer: OutgoingOffer;
  /** The receiver has said yes, now or in an earlier run. */
  isAccepted: boolean;
  /** Its disk is full, and the user knows. */
  isFull: boolean;
  /** What it has, from its answer until that transfer begins. */
  next: Have | undefined;
  /** It has a place among those that go out. */
  isRunning: boolean;
  /** When it began, or its receiver had more of it, last; undefined before that. */
  movedAt: number | undefined;
  /** What it has is being compared, which takes as long as reading it: of several answers meanwhile the last counts. */
  isStarting: boolean;
  isRelayed: boolean;
  /** Frames have been asked for and have not come yet. */
  isPulling: boolean;
  /** Frames that came, and wait for their turn at the relay, each with how many bytes have been read after it. */
  ready: { readonly frame: Bytes; readonly position: number }[];
  /** Brings what the receiver says through the relay to the job. */
  readonly feed: PieceFeed;
}

/** Makes the message that says it. */
export function makeOffer({ id, offered, toRoom }: OutgoingOffer): Offer {
  return {
    type: "offer",
    id,
    kind: offered.kind,
    toRoom,
    executable: offered.executable,
    size: offered.size ?? undefined,
    entries: offered.entries,
    mtime: offered.mtime,
    listing: decodeHex(offered.listing),
    name: encodeUtf8(offered.name),
  };
}

/** Makes the message that takes it back. */
export function makeWithdrawal(offer: OutgoingOffer): Offer {
  return { ...makeOffer(offer), entries: 0, listing: decodeHex(NO_LISTING), kind: "file" };
}
