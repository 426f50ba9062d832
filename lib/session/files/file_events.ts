/**
 * What happens to files, for the user and for `--json`.
 *
 * @module
 */

import type { StopCode } from "../../protocol/file_frames.ts";

/** How a transfer goes on; `checking`: what is there already is compared, or a way is looked for. */
export type TransferState = "waiting" | "checking" | "direct" | "relayed" | "paused";

/** A file or folder of ours is offered. */
export interface OfferedEvent {
  readonly event: "offered";
  /** For the user: what `/accept` and `/cancel` take. */
  readonly number: number;
  readonly id: string;
  /** As the request said. */
  readonly ref?: string | undefined;
  readonly name: string;
  /** In bytes; null for a pipe. */
  readonly size: number | null;
  /** Files and folders in it. */
  readonly files: number;
  /** Fingerprints of those it is offered to. */
  readonly to: readonly string[];
  /** To everybody who was there. */
  readonly room: boolean;
  /** Links and devices in it, which are not sent. */
  readonly leftOut: number;
}

/** Somebody offers a file or folder. */
export interface OfferEvent {
  readonly event: "offer";
  readonly number: number;
  readonly id: string;
  readonly nick: string;
  readonly fingerprint: string;
  readonly trust: string;
  /** To everybody who was there. */
  readonly room: boolean;
  /** To the user alone. */
  readonly private: boolean;
  readonly kind: "file" | "folder";
  /** As it will be kept. */
  readonly name: string;
  readonly size: number | null;
  readonly files: number;
  readonly executable: boolean;
}

/** A transfer goes on; at most once a second while its state stays. */
export interface TransferEvent {
  readonly event: "transfer";
  readonly number: number;
  readonly id: string;
  readonly direction: "in" | "out";
  readonly fingerprint: string;
  readonly name: string;
  readonly state: TransferState;
  readonly bytes: number;
  readonly size: number | null;
  /** Bytes a second, over the last seconds. */
  readonly rate: number;
}

/** A file has come, and is kept. */
export interface ReceivedEvent {
  readonly event: "received";
  readonly number: number;
  readonly id: string;
  readonly fingerprint: string;
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  /** How long its bytes took, in milliseconds. */
  readonly took: number;
  /** Entries that its sender could not read. */
  readonly skipped: number;
}

/** Somebody has a file of ours. */
export interface SentFileEvent {
  readonly event: "sentfile";
  readonly number: number;
  readonly id: string;
  readonly fingerprint: string;
  readonly name: string;
  readonly bytes: number;
  readonly took: number;
  readonly skipped: number;
}

/** A transfer has ended, or pauses until the user does something. */
export interface TransferFailedEvent {
  readonly event: "transferfailed";
  readonly number: number;
  readonly id: string;
  readonly fingerprint: string;
  readonly direction: "in" | "out";
  readonly name: string;
  readonly code: StopCode;
  /** Our own disk's or program's words; empty where the code says it. */
  readonly detail: string;
  /** Bytes that are missing on the disk, if that is why. */
  readonly missing?: number | undefined;
  readonly bytes: number;
}

export type FileEvent =
  | OfferedEvent
  | OfferEvent
  | TransferEvent
  | ReceivedEvent
  | SentFileEvent
  | TransferFailedEvent;
