/**
 * What people do, as events: they come and go, have names and keys, and say things (PROTOCOL.md §6, §8, §9).
 *
 * Knows nothing of channels, streams or what oneself sends.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import type { ChatEvent, LeftEvent, SessionEvent } from "./events.ts";
import type { ChatMessage } from "../protocol/messages.ts";
import { REASON } from "../protocol/frames.ts";
import type { Member, Roster } from "./roster.ts";
import type { PublicKey } from "../protocol/identity.ts";
import type { PeerBook } from "./known_peers.ts";
import { ViewGate } from "../view.ts";

/** The last moment that ISO 8601 texts can name here. */
const MAX_DATE_MS = 8.64e15;
/** RSA keys below this are badged as weak. */
const WEAK_BELOW_BITS = 2048;

/** A message ready to be shown but for its view. */
type Pending = Omit<ChatEvent, "view">;

/** What {@linkcode People} needs. */
export interface PeopleOptions {
  readonly roster: Roster;
  readonly book: PeerBook;
  readonly clock: Clock;
  emit(event: SessionEvent): void;
}

/** Turns what people do into events. */
export class People {
  #options: PeopleOptions;
  #gate: ViewGate<Pending>;

  constructor(options: PeopleOptions) {
    this.#options = options;
    this.#gate = new ViewGate(options.clock, ({ text, ...rest }, view) => {
      options.emit({ ...rest, view, text });
    });
  }

  /** One's own view has changed. */
  changeView(view: Bytes): void {
    this.#gate.change(view);
  }

  /** Shows the messages whose views are not decided yet. */
  flush(): void {
    this.#gate.flush();
  }

  /** HELLO: somebody is there, or has another channel. */
  greet(member: Member, key: PublicKey, nick: string): void {
    member.id = key.id;
    member.weak = key.bits < WEAK_BELOW_BITS;
    if (member.announced) return this.rename(member, nick);
    const { roster, book, emit } = this.#options;
    member.nick = nick;
    member.announced = true;
    member.shown = true;
    const trust = roster.trust(member);
    member.isNew = trust === "new";
    book.remember(member.name, nick);
    emit({
      event: "joined",
      nick: roster.shownNick(member),
      fingerprint: member.name,
      trust,
      weak: member.weak,
    });
  }

  /** Somebody has another nick. */
  rename(member: Member, nick: string): void {
    if (nick === member.nick) return;
    const { roster, book, emit } = this.#options;
    const from = roster.shownNick(member);
    member.nick = nick;
    const trust = roster.trust(member);
    book.remember(member.name, nick);
    const shown = roster.shownNick(member);
    emit({ event: "nick", from, nick: shown, fingerprint: member.name });
    if (trust === "conflict") this.notice(`${shown} is a known nick, but with another key`);
  }

  /** Somebody says something; shown as soon as its view is decided. */
  chat(member: Member, message: ChatMessage, pairView: () => Bytes): void {
    const event: Pending = {
      event: "chat",
      id: message.id,
      nick: this.#options.roster.shownNick(member),
      fingerprint: member.name,
      sent: new Date(Math.min(message.time, MAX_DATE_MS)).toISOString(),
      private: message.private,
      action: message.action,
      late: message.late,
      text: message.text,
    };
    this.#gate.add(member.name, event, {
      view: message.view,
      ...(message.private ? { own: pairView() } : {}),
    });
  }

  /** Somebody is away, or back. */
  setAway(member: Member, text: string): void {
    if (text === member.away) return;
    member.away = text;
    const nick = this.#options.roster.shownNick(member);
    this.#options.emit({ event: "away", nick, fingerprint: member.name, text });
  }

  /** Somebody gave up messages before they could arrive here. */
  tellLost(member: Member, count: number): void {
    const nick = this.#options.roster.shownNick(member);
    this.#options.emit({ event: "lost", nick, fingerprint: member.name, count });
  }

  /** Somebody has gone; nobody is told of who was not shown. */
  tellLeft(member: Member, why: LeftEvent["why"]): void {
    if (!member.shown) return;
    const nick = this.#options.roster.shownNick(member);
    member.shown = false;
    this.#options.emit({ event: "left", nick, fingerprint: member.name, why });
  }

  /** A channel was refused for good. */
  tellRefused(member: Member, reason: number, byUs: boolean): void {
    this.tellLeft(member, reason === REASON.NORMAL ? "left" : "removed");
    if (reason === REASON.WEAK_KEY) {
      this.notice(
        `${member.name} ${byUs ? "has a key" : "refuses this key as one"} that is too weak`,
      );
    } else if (reason === REASON.NOT_ALLOWED) this.notice(`${member.name} does not allow this key`);
  }

  /** Something worth a line. */
  notice(text: string): void {
    this.#options.emit({ event: "notice", text });
  }
}
