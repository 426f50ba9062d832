/**
 * Commands of operators: kick, ban, announce, message of the day (PROTOCOL.md §5).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { ProtocolError } from "../base/errors.ts";
import { SlidingWindow } from "../base/sliding_window.ts";
import {
  type AdminRequest,
  type Ban,
  decodeAdmin,
  encodeBans,
  MAX_BANS,
} from "../protocol/admin.ts";
import { encodeFrame, NOTICE, STATUS } from "../protocol/frames.ts";
import { decodeFingerprint, encodeFingerprint } from "../protocol/identity.ts";
import { ADMIN_PER_MINUTE } from "../protocol/limits.ts";
import type { KeptBan } from "./ban_file.ts";
import type { Admin } from "./client_connection.ts";
import type { Member } from "./room.ts";

const MINUTE_MS = 60_000;

/** An operator's command that was carried out; fingerprints as `SHA256:…`. */
export type OperatorEvent =
  | { event: "kicked" | "unbanned"; fingerprint: string; operator: string }
  | { event: "banned"; fingerprint: string; seconds: number; operator: string }
  | { event: "announced" | "motd"; operator: string };

/** The effects of commands outside this file. */
interface OperatorActions {
  /** Removes all connections of an identity; returns whether there were any. */
  kick(fingerprint: Uint8Array): boolean;
  /** Tells every member of every room, elsewhere too. */
  announce(text: string): void;
  report(event: OperatorEvent): void;
  /** Keeps a ban for later runs, or no longer. @param fingerprint `SHA256:…`. */
  keepBan(fingerprint: string, ban: KeptBan | undefined): void;
  /** A message of the day was set by a command. */
  keepMotd(text: string): void;
}

/** Options of {@linkcode Operators}. */
interface OperatorOptions {
  readonly clock: Clock;
  /** Fingerprints as `SHA256:…`. */
  readonly operators: ReadonlySet<string>;
  /** The message of the day; empty for none. */
  readonly motd: string;
  readonly bans: readonly KeptBan[];
  readonly actions: OperatorActions;
}

interface Result {
  readonly status: number;
  readonly data?: Bytes;
}

/** The operators of a relay, its bans and its message of the day. */
export class Operators {
  readonly #clock: Clock;
  readonly #actions: OperatorActions;
  #operators: ReadonlySet<string>;
  #motd: Bytes | undefined;
  /** By fingerprint as `SHA256:…`; expired ones are dropped when bans are next counted or listed. */
  readonly #bans = new Map<string, KeptBan>();
  readonly #windows = new WeakMap<Member, SlidingWindow>();

  constructor({ clock, operators, motd, bans, actions }: OperatorOptions) {
    this.#clock = clock;
    this.#actions = actions;
    this.#operators = operators;
    this.setMotd(motd);
    this.setBans(bans);
  }

  /** The NOTICE that follows each WELCOME, if there is one. */
  get motd(): Bytes | undefined {
    return this.#motd;
  }

  /** Replaces the list of operators. */
  set(operators: ReadonlySet<string>): void {
    this.#operators = operators;
  }

  /** Replaces the message of the day; an empty text is none. */
  setMotd(text: string): void {
    this.#motd = text === "" ? undefined : encodeNotice(NOTICE.MESSAGE_OF_THE_DAY, text);
  }

  /** The bans, of which some may have ended. */
  get bans(): ReadonlyMap<string, KeptBan> {
    return this.#bans;
  }

  /** Replaces the bans. */
  setBans(bans: readonly KeptBan[]): void {
    this.#bans.clear();
    for (const ban of bans) this.#bans.set(ban.fingerprint, ban);
  }

  /** Whether JOINs of an identity are refused for now. */
  isBanned(name: string): boolean {
    const ban = this.#bans.get(name);
    return ban !== undefined && this.#clock.wallTime() < ban.until;
  }

  /** Carries out a member's command, if it is an operator. */
  answer(member: Member, { verb, argument }: Admin): Result {
    const operator = encodeFingerprint(member.fingerprint);
    if (!this.#operators.has(operator)) return { status: STATUS.NOT_ALLOWED };
    if (!this.#count(member)) return { status: STATUS.TOO_MUCH };
    let request: AdminRequest | undefined;
    try {
      request = decodeAdmin(verb, argument);
    } catch (error) {
      if (error instanceof ProtocolError) return { status: STATUS.BAD_ARGUMENT };
      throw error;
    }
    return request ? this.#do(request, operator) : { status: STATUS.UNKNOWN_VERB };
  }

  #count(member: Member): boolean {
    const window = this.#windows.get(member) ??
      new SlidingWindow(this.#clock, { limit: ADMIN_PER_MINUTE, spanMs: MINUTE_MS });
    this.#windows.set(member, window);
    if (window.waitMs > 0) return false;
    window.count();
    return true;
  }

  #do(request: AdminRequest, operator: string): Result {
    switch (request.verb) {
      case "kick":
        return this.#kick(request.fingerprint, operator);
      case "ban":
        return this.#ban(request, operator);
      case "unban":
        return this.#unban(request.fingerprint, operator);
      case "bans":
        return { status: STATUS.DONE, data: encodeBans(this.#listBans()) };
      case "announce":
        this.#actions.announce(request.text);
        this.#actions.report({ event: "announced", operator });
        return { status: STATUS.DONE };
      case "motd":
        this.setMotd(request.text);
        this.#actions.keepMotd(request.text);
        this.#actions.report({ event: "motd", operator });
        return { status: STATUS.DONE };
    }
  }

  #kick(target: Bytes, operator: string): Result {
    const fingerprint = encodeFingerprint(target);
    if (this.#operators.has(fingerprint)) return { status: STATUS.NOT_ALLOWED };
    if (!this.#actions.kick(target)) return { status: STATUS.NOT_FOUND };
    this.#actions.report({ event: "kicked", fingerprint, operator });
    return { status: STATUS.DONE };
  }

  #ban({ fingerprint: target, seconds }: Ban, operator: string): Result {
    const fingerprint = encodeFingerprint(target);
    if (this.#operators.has(fingerprint)) return { status: STATUS.NOT_ALLOWED };
    this.#dropEnded();
    if (!this.#bans.has(fingerprint) && this.#bans.size >= MAX_BANS) {
      return { status: STATUS.TOO_MUCH };
    }
    const since = this.#clock.wallTime();
    const ban = { fingerprint, until: since + seconds * 1000, by: operator, since };
    this.#bans.set(fingerprint, ban);
    this.#actions.keepBan(fingerprint, ban);
    this.#actions.kick(target);
    this.#actions.report({ event: "banned", fingerprint, seconds, operator });
    return { status: STATUS.DONE };
  }

  #unban(target: Bytes, operator: string): Result {
    this.#dropEnded();
    const fingerprint = encodeFingerprint(target);
    if (!this.#bans.delete(fingerprint)) return { status: STATUS.NOT_FOUND };
    this.#actions.keepBan(fingerprint, undefined);
    this.#actions.report({ event: "unbanned", fingerprint, operator });
    return { status: STATUS.DONE };
  }

  #listBans(): Ban[] {
    this.#dropEnded();
    const now = this.#clock.wallTime();
    return [...this.#bans.values()].map(({ fingerprint, until }) => ({
      fingerprint: decodeFingerprint(fingerprint),
      // One that was written into the file by hand may be longer than its field.
      seconds: Math.min(Math.ceil((until - now) / 1000), 0xffff_ffff),
    }));
  }

  #dropEnded(): void {
    for (const name of this.#bans.keys()) {
      if (!this.isBanned(name)) this.#bans.delete(name);
    }
  }
}

/** Encodes an announcement, §5. */
export function encodeAnnouncement(text: string): Bytes {
  return encodeNotice(NOTICE.ANNOUNCEMENT, text);
}

function encodeNotice(what: number, text: string): Bytes {
  return encodeFrame({ type: "notice", what, text });
}
