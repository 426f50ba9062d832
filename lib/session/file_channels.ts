/**
 * What members say about files, passed to and from transfers, which are loaded when the first of them comes
 * (PROTOCOL.md §15).
 *
 * @module
 */

import { release } from "../base/bytes.ts";
import { unlessMalformed } from "../base/errors.ts";
import {
  decodeFileMessage,
  encodeFileMessage,
  type FileMessage,
  FILES_FEATURE,
} from "../protocol/file_messages.ts";
import type { FileMember } from "./files/port.ts";
import type { Transfers } from "./files/transfers.ts";
import type { Roster, RosterMember } from "./roster.ts";
import type { Sender } from "./sender.ts";

/** Messages that are kept while transfers are being loaded; more are dropped, and told again in the next channel. */
const MAX_EARLY_MESSAGES = 256;

export interface FileOptions {
  /** Called once: by the first message about a file, or by the user. */
  load(channels: FileChannels): Promise<Transfers>;
  /** Whether an earlier run may have left something unfinished. */
  isUnfinished(): boolean;
}

export class FileChannels {
  readonly features = FILES_FEATURE;
  readonly #options: FileOptions;
  readonly #roster: Roster;
  readonly #sender: Sender;
  #transfers: Transfers | undefined;
  #loading: Promise<Transfers> | undefined;
  #early: (() => void)[] = [];
  /** Those whose channels are about to end. */
  readonly #gone = new WeakSet<RosterMember>();

  constructor(options: FileOptions, { roster, sender }: { roster: Roster; sender: Sender }) {
    this.#options = options;
    this.#roster = roster;
    this.#sender = sender;
  }

  /** The transfers of this room; loads them. */
  transfers(): Promise<Transfers> {
    return this.#loading ??= this.#options.load(this).then((transfers) => {
      this.#transfers = transfers;
      for (const member of this.members()) transfers.ready(member);
      for (const act of this.#early.splice(0)) act();
      return transfers;
    });
  }

  /** Programs of others in live channels that understand files. */
  members(): FileMember[] {
    return Array.from(this.#roster.members.values())
      .filter((member) => understands(member) && !this.#gone.has(member)).map(toFileMember);
  }

  /** Fingerprints of everybody who is shown and understands files, some of whose channels may not be live yet. */
  people(): string[] {
    const shown = Array.from(this.#roster.members.values())
      .filter(({ shown, features }) => shown && (features & FILES_FEATURE) !== 0);
    return Array.from(new Set(shown.map(({ name }) => name)));
  }

  send(sid: string, message: FileMessage): void {
    const bytes = encodeFileMessage(message);
    this.#roster.members.get(sid)?.peer?.send({ type: "file", bytes });
    release(bytes);
    if (message.type === "piece") release(message.frame);
  }

  /** Nothing that matters more waits. */
  get isIdle(): boolean {
    return this.#sender.isIdle;
  }

  ready(member: RosterMember): void {
    this.#gone.delete(member);
    if (!understands(member)) return;
    this.#transfers?.ready(toFileMember(member));
    if (this.#loading === undefined && this.#options.isUnfinished()) void this.transfers();
  }

  /** @param isForGood It has said good-bye, or an operator has removed it. */
  left(member: RosterMember, isForGood: boolean): void {
    this.#gone.add(member);
    this.#transfers?.left(toFileMember(member), { isForGood });
  }

  drained(): void {
    this.#transfers?.drained();
  }

  take(member: RosterMember, bytes: Uint8Array): void {
    const message = unlessMalformed(() => decodeFileMessage(bytes));
    if (message === undefined) return; // it may not end a channel
    const act = () => this.#transfers?.take(toFileMember(member), message);
    if (this.#transfers !== undefined) return act();
    if (this.#early.length < MAX_EARLY_MESSAGES) this.#early.push(act);
    void this.transfers();
  }
}

function understands({ peer }: RosterMember): boolean {
  const channel = peer?.channel;
  return channel?.live === true && (channel.features & FILES_FEATURE) !== 0;
}

function toFileMember({ sid, name }: RosterMember): FileMember {
  return { sid, person: name };
}
