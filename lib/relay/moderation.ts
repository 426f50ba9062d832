/**
 * Who may be in a relay's rooms, and what operators do about it: allow list, bans, kicks, announcements (PROTOCOL.md §5).
 *
 * @module
 */

import { equalBytes } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { encodeFrame, REASON, WHY } from "../protocol/frames.ts";
import { encodeFingerprint } from "../protocol/identity.ts";
import type { KeptBan } from "./ban_file.ts";
import type { Admin } from "./client_connection.ts";
import { encodeAnnouncement, Operators } from "./operators.ts";
import type { PendingClients } from "./pending.ts";
import type { Registry } from "./registry.ts";
import type { RelayEvent } from "./relay_event.ts";
import type { RelayOptions } from "./relay_options.ts";
import { RelayOrders } from "./relay_orders.ts";
import type { Member } from "./room.ts";
import type { Rooms } from "./rooms.ts";

/** The relay that is moderated. */
interface Moderated {
  readonly clock: Clock;
  readonly rooms: Rooms;
  readonly pending: PendingClients;
  report(event: RelayEvent): void;
}

/** Of one relay. */
export class Moderation {
  readonly #relay: Moderated;
  readonly #registry: Registry | undefined;
  readonly #operators: Operators;
  #allow: ReadonlySet<string> | undefined;

  constructor(options: RelayOptions, relay: Moderated) {
    const { key, operators = new Set(), motd = "", bans = [], allow, registry, keepBan } = options;
    const { clock } = relay;
    this.#relay = relay;
    this.#registry = registry;
    this.#allow = allow;
    this.#operators = new Operators({
      ...{ clock, operators, motd, bans },
      actions: {
        kick: (fingerprint) => this.#kick(fingerprint),
        announce: (text) => {
          this.#announce(text);
          registry?.announce(text);
        },
        report: (event) => relay.report(event),
        keepBan: (fingerprint, ban) => {
          keepBan?.(fingerprint, ban);
          registry?.ban(fingerprint, ban?.until);
        },
        keepMotd: (text) => registry?.setMotd(text),
      },
    });
    registry?.serve(
      new RelayOrders(this.#operators, {
        ...{ clock, motd },
        by: encodeFingerprint(key.publicKey.fingerprint),
        keepBan: (fingerprint, ban) => keepBan?.(fingerprint, ban),
        adopted: () => this.#removeUnwanted(),
        remove: (fingerprint) => void this.#removeHere(fingerprint),
        announce: (text) => this.#announce(text),
      }),
    );
  }

  /** The NOTICE that follows each WELCOME, if there is one. */
  get motd(): Uint8Array | undefined {
    return this.#operators.motd;
  }

  mayJoin(fingerprint: Uint8Array): boolean {
    const name = encodeFingerprint(fingerprint);
    return (this.#allow?.has(name) ?? true) && !this.#operators.isBanned(name);
  }

  /** Answers a member's ADMIN. */
  administer(member: Member, admin: Admin): void {
    const { status, data = new Uint8Array(0) } = this.#operators.answer(member, admin);
    const { request } = admin;
    member.connection.sendResult(encodeFrame({ type: "result", request, status, data }));
  }

  /** Tells all members here. */
  #announce(text: string): void {
    const frame = encodeAnnouncement(text);
    for (const member of this.#relay.rooms.members()) member.connection.send(frame);
  }

  #kick(fingerprint: Uint8Array): boolean {
    const wasHere = this.#removeHere(fingerprint);
    return this.#registry?.kick(fingerprint) || wasHere;
  }

  /** Removes all members with a fingerprint, and those whose JOIN is being answered; returns whether there were any. */
  #removeHere(fingerprint: Uint8Array): boolean {
    const members = this.#relay.rooms.withFingerprint(fingerprint);
    for (const member of members) dismiss(member, WHY.REMOVED, REASON.REMOVED);
    const joining = [...this.#relay.pending].filter((client) =>
      client.isJoining && equalBytes(client.accepted!.peer.fingerprint, fingerprint)
    );
    for (const client of joining) client.isKicked = true;
    return members.length + joining.length > 0;
  }

  /** Replaces the list of operators, fingerprints as `SHA256:…`. */
  setOperators(operators: ReadonlySet<string>): void {
    this.#operators.set(operators);
  }

  /** Replaces the message of the day, on all relays that are one server. */
  setMotd(text: string): void {
    this.#operators.setMotd(text);
    this.#registry?.setMotd(text);
  }

  /** Replaces the allow list; members no longer on it are removed. */
  setAllow(allow: ReadonlySet<string>): void {
    this.#allow = allow;
    this.#removeUnwanted();
  }

  /** Replaces the bans, and removes whom they name; a registry has newer ones. */
  setBans(bans: readonly KeptBan[]): void {
    if (this.#registry) return;
    this.#operators.setBans(bans);
    this.#removeUnwanted();
  }

  #removeUnwanted(): void {
    for (const member of this.#relay.rooms.members()) {
      if (!this.mayJoin(member.fingerprint)) dismiss(member, WHY.REMOVED, REASON.REMOVED);
    }
  }
}

/** Ends a member's connection. @param why Of its LEFT. */
export function dismiss(member: Member, why: number, reason: number): void {
  member.why = why;
  void member.connection.close(reason);
}
