/**
 * Notices about people who come and go, kept few: those already in the room together, no one again after a reconnect
 * of the user's own, and nothing about people who reconnect within seconds.
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { isLookalike } from "../protocol/names.ts";
import type {
  AwayEvent,
  ChatEvent,
  JoinedEvent,
  LeftEvent,
  SessionEvent,
  Trust,
} from "../session/mod.ts";
import {
  chosenNick,
  companyNotices,
  lookalikeNotice,
  type Names,
  newKeyNotice,
  type Notice,
  noticeOf,
  ownClientNotice,
} from "./notices.ts";

/** How long to wait for the people of the first roster, to show them together. */
const COMPANY_MS = 2000;
/** A reconnect within this time is not announced. */
const MIN_HOLD_MS = 5000;
/** After an outage, others take about as long as it lasted to reconnect, but at most this long (§5). */
const MAX_HOLD_MS = 32_000;

/** People who are remembered; more only while all of them are present. */
const MAX_KNOWN = 4096;

/** Someone who is or was here. */
interface Known {
  nick: string;
  /** Undefined for whoever was not here. */
  trust: Trust | undefined;
  /** What was known of their key when they first wrote. */
  judged: Trust | undefined;
  /** Whether their key was first seen in this run. */
  isNew: boolean;
  away: string;
  /** How many of their clients are here. */
  clients: number;
  /** How many of their clients were here when the connection was lost, and are not back yet. */
  missing: number;
  /** Departures that are not announced yet. */
  held: Timer[];
  /** The number of their last message, counting everyone's; 0 for none. */
  spoke: number;
  /** Whether their new key has not been shown yet. */
  unannounced: boolean;
}

/** What may change about a person without an event. */
export interface Look {
  readonly nick: string;
  /** `SHA256:…`. */
  readonly fingerprint: string;
  readonly trust: Trust;
}

interface PresenceOptions {
  readonly clock: Clock;
  /** The user's own, `SHA256:…`. */
  readonly fingerprint: string;
  readonly names: Names;
  /** The person who hosts the room, `SHA256:…`; undefined if that is not known. */
  host(): string | undefined;
  people(): readonly Look[];
  /** What is known of a key that uses a nick. */
  judge(fingerprint: string, nick: string): Trust;
  /** The user's own nick. */
  own(): string;
  /** Shows a notice; false if the user does not want to see such notices. */
  print(notice: Notice): boolean;
}

export class Presence {
  readonly #options: PresenceOptions;
  /** Those who are present are never evicted. */
  readonly #known = new BoundedMap<string, Known>(
    MAX_KNOWN,
    ({ clients, missing, held }) => clients + missing + held.length === 0,
  );
  /** The people of the first roster, until all of them are known. */
  #company:
    | { events: JoinedEvent[]; away: Map<string, AwayEvent>; timer: Timer; count: number }
    | undefined;
  #spoken = 0;
  #isWelcome = false;
  /** The host who has just left, `SHA256:…`, until that is shown. */
  #leaving: string | undefined;
  /** The host of whom a move has told that they are gone: nothing more is shown about that. */
  #replaced: string | undefined;
  #isShutDown = false;
  /** When the connection was lost; undefined while there is one. */
  #lostAt: number | undefined;

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  /** The nick of someone who is or was here; for anyone else, the fingerprint. */
  nickOf(fingerprint: string): string {
    return this.#known.get(fingerprint)?.nick ?? fingerprint;
  }

  /**
   * The trust in someone who is or was here, where a key first seen in this run stays new; in whoever only wrote, as it
   * was then.
   */
  trustOf(fingerprint: string): Trust {
    if (fingerprint === this.#options.fingerprint) return "verified";
    const known = this.#known.get(fingerprint);
    return known?.trust ?? known?.judged ?? "new";
  }

  /** Whether it was shown that somebody has another key than before. */
  isInConflict(fingerprint: string): boolean {
    return this.#known.get(fingerprint)?.trust === "conflict";
  }

  /** Sorts people, the most recent speaker first. */
  bySpeech<T extends Look>(people: readonly T[]): T[] {
    const spoke = (person: T) => this.#known.get(person.fingerprint)?.spoke ?? 0;
    return people.toSorted((a, b) => spoke(b) - spoke(a));
  }

  /** Updates nicks and trust, which commands and other people's arrivals change. */
  refresh(): void {
    for (const { nick, fingerprint, trust } of this.#options.people()) {
      const known = this.#find(fingerprint);
      known.nick = nick;
      this.#setTrust(known, trust);
    }
  }

  /**
   * Takes an event of the session.
   *
   * @returns Whether it was about people coming and going: then nothing more needs to be shown about it.
   */
  take(event: SessionEvent): boolean {
    switch (event.event) {
      case "welcome":
        this.#welcome(event.members);
        return false;
      case "disconnected":
        this.#isShutDown = event.reason === "shutting down";
        this.#disconnect();
        return false;
      case "searching":
        if (event.active) this.#forgetLeaving(event.host);
        return false;
      case "moved":
        // A host that has shut its room without leaving comes along.
        if (!this.#forgetLeaving(event.by) && !this.#isShutDown) {
          this.#replaced = event.by ?? undefined;
        }
        return false;
      case "chat":
        if (!event.own) this.#speak(event);
        return false;
      case "joined":
        this.#join(event);
        return true;
      case "left":
        this.#leave(event);
        return true;
      case "away":
        this.#setAway(event);
        return true;
      case "trust":
        this.#setTrust(this.#find(event.fingerprint), event.trust);
        return true;
      case "nick":
        this.refresh();
        this.#find(event.fingerprint).nick = event.nick;
        this.#show(event);
        if (chosenNick(event.from) !== chosenNick(event.nick)) this.#warnOfLookalikes(event);
        return true;
      default:
        return false;
    }
  }

  #find(fingerprint: string): Known {
    let known = this.#known.get(fingerprint);
    if (known === undefined) {
      known = {
        nick: fingerprint,
        trust: undefined,
        judged: undefined,
        isNew: false,
        away: "",
        clients: 0,
        missing: 0,
        held: [],
        spoke: 0,
        unannounced: false,
      };
      this.#known.set(fingerprint, known);
    }
    return known;
  }

  /** A key first seen in this run stays new for this run. */
  #setTrust(known: Known, trust: Trust): void {
    known.trust = trust === "known" && known.isNew ? "new" : trust;
    known.isNew ||= trust === "new";
  }

  #welcome(members: number): void {
    this.#lostAt = undefined;
    if (this.#isWelcome) return;
    this.#isWelcome = true;
    if (members === 0) return;
    const timer = this.#options.clock.after(COMPANY_MS, () => this.#showCompany());
    this.#company = { events: [], away: new Map(), count: members, timer };
  }

  #showCompany(): void {
    if (this.#company === undefined) return;
    const { events, away, timer } = this.#company;
    this.#options.clock.cancel(timer);
    this.#company = undefined;
    const hidden = companyNotices(events).filter((notice) => !this.#options.print(notice));
    for (const { fingerprint, trust } of events) {
      this.#find(fingerprint).unannounced = hidden.length > 0 && trust === "new";
    }
    for (const event of away.values()) this.#show(event);
  }

  #disconnect(): void {
    this.#lostAt ??= this.#options.clock.now();
    this.#showCompany();
    for (const known of this.#known.values()) {
      known.missing += known.clients;
      known.clients = 0;
    }
  }

  #join(event: JoinedEvent): void {
    if (event.fingerprint === this.#replaced) this.#replaced = undefined;
    const known = this.#find(event.fingerprint);
    const isWarning = event.trust === "conflict" && known.trust !== "conflict";
    const isBack = this.#return(known) && !isWarning;
    const from = known.nick;
    this.refresh();
    known.clients++;
    known.nick = event.nick;
    this.#setTrust(known, event.trust);
    if (isBack) return this.#showRenamed(from, event);
    const isOwn = event.fingerprint === this.#options.fingerprint;
    if (isOwn) this.#options.print(ownClientNotice(event));
    if (this.#company !== undefined) {
      if (!isOwn) this.#company.events.push(event);
      if (--this.#company.count === 0) this.#showCompany();
    } else if (!isOwn) {
      known.unannounced = !this.#show(event) && event.trust === "new";
      this.#warnOfLookalikes(event);
    }
  }

  /** A reconnect is not announced, but a nick that changed meanwhile is. */
  #showRenamed(from: string, { nick, fingerprint }: JoinedEvent): void {
    this.#show({ event: "nick", from, nick, fingerprint });
  }

  /** Whether someone who joins is back after a short absence. */
  #return(known: Known): boolean {
    const timer = known.held.pop();
    this.#options.clock.cancel(timer);
    if (timer !== undefined) return true;
    if (known.missing === 0) return false;
    known.missing--;
    return true;
  }

  #leave(event: LeftEvent): void {
    this.#showCompany();
    const known = this.#find(event.fingerprint);
    if (known.clients > 0) known.clients--;
    else known.missing = Math.max(0, known.missing - 1);
    const { clock, host } = this.#options;
    if (event.why === "left" && event.fingerprint === host()) return this.#holdHost(event, known);
    if (event.why === "left" || event.why === "removed") return this.#showLeft(event, known);
    if (event.fingerprint === this.#replaced) {
      this.#replaced = undefined;
      known.away = "";
      return;
    }
    const outage = this.#lostAt === undefined ? 0 : clock.now() - this.#lostAt;
    this.#hold(known, Math.min(Math.max(outage, MIN_HOLD_MS), MAX_HOLD_MS), () => {
      this.#showLeft(event, known);
    });
  }

  /** Where the room moves, one line says that its host has left and where it goes on. */
  #holdHost(event: LeftEvent, known: Known): void {
    this.#leaving = event.fingerprint;
    this.#hold(known, MIN_HOLD_MS, () => {
      this.#leaving = undefined;
      this.#showLeft(event, known);
    });
  }

  #hold(known: Known, ms: number, show: () => void): void {
    const { clock } = this.#options;
    const timer = clock.after(ms, () => {
      known.held = known.held.filter((other) => other !== timer);
      show();
    });
    known.held.push(timer);
  }

  /** Something else has told that the host has left. @returns Whether they have. */
  #forgetLeaving(host: string | null): boolean {
    if (host === null || host !== this.#leaving) return false;
    this.#leaving = undefined;
    const known = this.#find(host);
    this.#options.clock.cancel(known.held.pop());
    if (known.clients + known.missing === 0) known.away = "";
    return true;
  }

  #showLeft(event: LeftEvent, known: Known): void {
    if (known.clients + known.missing === 0) known.away = "";
    this.#show(event);
  }

  #setAway(event: AwayEvent): void {
    const known = this.#find(event.fingerprint);
    if (known.away === event.text) return; // repeated after a reconnect
    known.away = event.text;
    // Not before the notice that they are here.
    if (this.#company === undefined) this.#show(event);
    else if (event.text === "") this.#company.away.delete(event.fingerprint);
    else this.#company.away.set(event.fingerprint, event);
  }

  /** A new key is shown before its owner's first message, even if arrivals are hidden. */
  #speak({ nick, fingerprint }: ChatEvent): void {
    this.#showCompany();
    const known = this.#find(fingerprint);
    known.spoke = ++this.#spoken;
    known.judged ??= this.#options.judge(fingerprint, nick);
    if (!known.unannounced) return;
    known.unannounced = false;
    this.#options.print(newKeyNotice({ nick, fingerprint }));
  }

  /** Somebody has a nick of other letters that looks like one that is here. */
  #warnOfLookalikes({ nick, fingerprint }: Omit<Look, "trust">): void {
    const { own, people, print } = this.#options;
    const others = people().filter((person) => person.fingerprint !== fingerprint);
    const alike = others.map((person) => person.nick).filter((other) => isLookalike(other, nick));
    if (isLookalike(own(), nick)) alike.push("you");
    if (alike.length > 0) print(lookalikeNotice(nick, alike));
  }

  #show(event: SessionEvent): boolean {
    const notice = noticeOf(event, this.#options.names);
    return notice !== undefined && this.#options.print(notice);
  }
}
