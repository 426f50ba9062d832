/**
 * Who decides who is in which room where several relays are one server. A relay alone has none.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Connection, Source } from "../transport/mod.ts";

/** A member of a room, on whatever relay. */
export interface Attendee {
  /** 16 hex digits. */
  readonly sid: string;
  /** 32 bytes. */
  readonly fingerprint: Bytes;
}

/** One whose connection is here. */
export interface Resident extends Attendee {
  /** 16 bytes. */
  readonly instance: Bytes;
  readonly connection: Connection;
  /** The sid, 8 bytes, and the flow control of what it sends. */
  readonly source: Source;
  /** Overrides the `why` of its LEFT that follows from how the connection ended. */
  why: number | undefined;
  readonly room: {
    /** The room tag in hex. */
    readonly tag: string;
    /** All its members here are being dismissed, and need not know in which order. */
    readonly isClosing: boolean;
  };
}

/** What becomes of an applicant; nothing is called after {@linkcode Registry.leave}. */
export interface Application {
  /** It is a member from now on, and gets WELCOME. @param others In the order in which they joined. */
  admit(others: readonly Attendee[]): void;
  /** It gets CLOSE. */
  refuse(reason: number): void;
}

/** What operators have set. */
export interface Orders {
  /** Fingerprints as `SHA256:…`, and until when, in ms since 1970. */
  readonly bans: ReadonlyMap<string, number>;
  /** The message of the day; empty for none. */
  readonly motd: string;
}

/** What a relay does for its registry. */
export interface RelaySide {
  /** What is set here at the start. */
  readonly orders: Orders;
  /** Takes over what operators have set, here or elsewhere. */
  adopt(orders: Orders): void;
  /** Ends the connections of an identity here, members and applicants. */
  remove(fingerprint: Uint8Array): void;
  /** Tells all members here what an operator elsewhere has announced. */
  announce(text: string): void;
}

/**
 * Keeps the rooms of all relays, and reaches their members. It tells the members of this relay who JOINED and who LEFT, and
 * ends the connections of those who have to go; the relay tells them nothing else of each other.
 */
export interface Registry {
  /** A JOIN was found good by everything but its room. Answered once, perhaps during the call. */
  join(member: Resident, application: Application): void;
  /** A connection has ended, before or after the answer. @param why As in LEFT, §5. */
  leave(member: Resident, why: number): void;
  /** A SEND for nobody who is here. @param body Copied. */
  send(from: Resident, body: Uint8Array): void;
  /** The entries of a CAST that are for nobody who is here. @param entries Of 69 bytes; copied, as is `common`. */
  cast(from: Resident, entries: readonly Uint8Array[], common: Uint8Array): void;
  /** The relay is there. Called once, before all others. */
  serve(relay: RelaySide): void;
  /** Removes an identity everywhere else, applicants as well. @returns Whether it is a member anywhere. */
  kick(fingerprint: Uint8Array): boolean;
  /** An operator here has banned somebody, until a time in ms since 1970, or no longer. @param name `SHA256:…`. */
  ban(name: string, until: number | undefined): void;
  /** An operator here has set the message of the day. */
  setMotd(text: string): void;
  /** An operator here has announced something. */
  announce(text: string): void;
}
