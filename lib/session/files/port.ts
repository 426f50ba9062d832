/**
 * What transfers need of the rest of the client.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import type { Clock, RandomBytes } from "../../base/clock.ts";
import { unlessMalformed } from "../../base/errors.ts";
import { decodeFileFrame, type FileFrame } from "../../protocol/file_frames.ts";
import type { FileMessage } from "../../protocol/file_messages.ts";
import type { FileEvent } from "./file_events.ts";
import type { JobCalls } from "./job_host.ts";

/** One program of a person, in a live channel, that understands files. */
export interface FileMember {
  readonly sid: string;
  /** The person's fingerprint, `SHA256:…`. */
  readonly person: string;
}

/** The room, as transfers see it. */
export interface FilePort {
  members(): readonly FileMember[];
  /** Fingerprints of everybody whom the user sees and who understands files. */
  people(): readonly string[];
  /** Sends a message in the channel of a member, if there is one; the frame of a PIECE is not used any more then. */
  send(sid: string, message: FileMessage): void;
  /** Whether nothing waits that matters more, and little is queued: PIECEs may be sent. */
  isIdle(): boolean;
  nick(person: string): string;
  trust(person: string): "new" | "known" | "verified" | "conflict";
}

/** What both directions of transfers share. */
export interface FileContext {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly port: FilePort;
  readonly jobs: JobCalls;
  /** Addresses for WHERE; none to go through the relay. */
  addresses(): readonly Bytes[];
  /** The next number for the user, and the next one for a job. */
  nextNumber(): number;
  nextJob(): number;
  emit(event: FileEvent): void;
}

/** @returns The frame of a PIECE; undefined if it is malformed, which ends that transfer. */
export function decodePiece(frame: Uint8Array): FileFrame | undefined {
  return unlessMalformed(() => decodeFileFrame(frame[0]!, frame.subarray(1)));
}
