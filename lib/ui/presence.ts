/**
 * Who comes and goes, as a person wants to be told: those who were here before oneself in few lines, nobody anew
 * after one's own reconnect, and nothing of who loses the connection and is back within some seconds.
 *
 * Gives notices; knows nothing of terminals.
 *
 * @module
 */

import type { Clock, Timer } from "../base/clock.ts";
import type {
  AwayEvent,
  ChatEvent,
  JoinedEvent,
  LeftEvent,
  SessionEvent,
  Trust,
} from "../session/events.ts";
import {
  companyNotices,
  type Names,
  newKeyNotice,
  type Notice,
  noticeOf,
  ownPlaceNotice,
} from "./notices.ts";

/** How long the people of the first roster are waited for, to be told together. */
const COMPANY_MS = 2000;
/** Who is back within this time has not been away. */
const MIN_HOLD_MS = 5000;
/** After an outage the waits of others are about as long as it has lasted, but no longer than this, §5. */
const MAX_HOLD_MS = 32_000;

/** People who are remembered, as long as not all of them are here. */
const MAX_KNOWN = 4096;

/** Somebody who is or was here; one for each fingerprint. */
interface Known {
  nick: string;
  trust: Trust;
  /** Met in this run for the first time. */
  isNew: boolean;
  away: string;
  /** How often they are here. */
  places: number;
  /** How often they were here when the connection was lost, and are not back yet. */
  missing: number;
  /** Departures that are not told yet. */
  held: Timer[];
  /** When they spoke last, as a count of messages; 0 for never. */
  spoke: number;
  /** Their new key was not told. */
  unannounced: boolean;
}

/** What of a person may change without an event. */
export interface Look {
  readonly nick: string;
  /** `SHA256:…`. */
  readonly fingerprint: string;
  readonly trust: Trust;
}

/** What {@linkcode Presence} needs. */
export interface PresenceOptions {
  readonly clock: Clock;
  /** One's own, `SHA256:…`. */
  readonly fingerprint: string;
  readonly names: Names;
  /** Who is here now. */
  people(): readonly Look[];
  /** Tells something; false when it is not shown. */
  print(notice: Notice): boolean;
}

/** The people of a room as the user knows of them. */
export class Presence {
  readonly #options: PresenceOptions;
  readonly #known = new Map<string, Known>();
  /** Those who were here before, until all of them are known. */
  #company: { events: JoinedEvent[]; timer: Timer; count: number } | undefined;
  #spoken = 0;
  #isWelcome = false;
  /** When the connection was lost. */
  #lostAt: number | undefined;

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  /** The nick of somebody who is or was here; the fingerprint of anybody else. */
  nickOf(fingerprint: string): string {
    return this.#known.get(fingerprint)?.nick ?? fingerprint;
  }

  /** How well the key of somebody who is or was here is known. */
  trustOf(fingerprint: string): Trust {
    if (fingerprint === this.#options.fingerprint) return "verified";
    return this.#known.get(fingerprint)?.trust ?? "new";
  }

  /** Sorts people, the most recent speaker first. */
  bySpeech<T extends Look>(people: readonly T[]): T[] {
    const spoke = (person: T) => this.#known.get(person.fingerprint)?.spoke ?? 0;
    return people.toSorted((a, b) => spoke(b) - spoke(a));
  }

  /** Looks again at nicks and trust, which commands and other people change. */
  refresh(): void {
    for (const { nick, fingerprint, trust } of this.#options.people()) {
      const known = this.#find(fingerprint);
      known.nick = nick;
      this.#setTrust(known, trust);
    }
  }

  /**
   * Takes what happens.
   *
   * @returns Whether it was an event about who is here, all of which is told from here.
   */
  take(event: SessionEvent): boolean {
    switch (event.event) {
      case "welcome":
        this.#welcome(event.members);
        return false;
      case "disconnected":
        this.#disconnect();
        return false;
      case "chat":
        this.#speak(event);
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
      case "nick":
        this.refresh();
        this.#find(event.fingerprint).nick = event.nick;
        return false;
      default:
        return false;
    }
  }

  #find(fingerprint: string): Known {
    let known = this.#known.get(fingerprint);
    if (known === undefined) {
      known = {
        nick: fingerprint,
        trust: "new",
        isNew: false,
        away: "",
        places: 0,
        missing: 0,
        held: [],
        spoke: 0,
        unannounced: false,
      };
      this.#forget();
      this.#known.set(fingerprint, known);
    }
    return known;
  }

  /** Makes room by forgetting who was met first, and is not here. */
  #forget(): void {
    if (this.#known.size < MAX_KNOWN) return;
    for (const [fingerprint, { places, missing, held }] of this.#known) {
      if (places + missing + held.length > 0) continue;
      this.#known.delete(fingerprint);
      return;
    }
  }

  /** Somebody met today for the first time stays new for this run. */
  #setTrust(known: Known, trust: Trust): void {
    known.trust = trust === "known" && known.isNew ? "new" : trust;
    known.isNew ||= trust === "new";
  }

  #welcome(members: number): void {
    this.#lostAt = undefined;
    if (this.#isWelcome) return;
    this.#isWelcome = true;
    if (members === 0) return;
    const timer = this.#options.clock.after(COMPANY_MS, () => this.#tellCompany());
    this.#company = { events: [], count: members, timer };
  }

  #tellCompany(): void {
    if (this.#company === undefined) return;
    const { events, timer } = this.#company;
    this.#options.clock.cancel(timer);
    this.#company = undefined;
    const hidden = companyNotices(events).filter((notice) => !this.#options.print(notice));
    for (const { fingerprint, trust } of events) {
      this.#find(fingerprint).unannounced = hidden.length > 0 && trust === "new";
    }
  }

  #disconnect(): void {
    this.#lostAt ??= this.#options.clock.now();
    this.#tellCompany();
    for (const known of this.#known.values()) {
      known.missing += known.places;
      known.places = 0;
    }
  }

  #join(event: JoinedEvent): void {
    const known = this.#find(event.fingerprint);
    const isWarning = event.trust === "conflict" && known.trust !== "conflict";
    const isBack = this.#return(known) && !isWarning;
    const from = known.nick;
    this.refresh();
    known.places++;
    known.nick = event.nick;
    this.#setTrust(known, event.trust);
    if (isBack) return this.#tellRenamed(from, event);
    const isOwn = event.fingerprint === this.#options.fingerprint;
    if (isOwn) this.#options.print(ownPlaceNotice(event));
    if (this.#company !== undefined) {
      if (!isOwn) this.#company.events.push(event);
      if (--this.#company.count === 0) this.#tellCompany();
    } else if (!isOwn) {
      known.unannounced = !this.#tell(event) && event.trust === "new";
    }
  }

  /** Who is back is not told, but under another nick nobody would know them. */
  #tellRenamed(from: string, { nick, fingerprint }: JoinedEvent): void {
    // What tells two people with one nick apart stands behind `#`, and comes and goes with them.
    const chosen = (shown: string) => shown.split("#", 1)[0];
    if (chosen(nick) !== chosen(from)) this.#tell({ event: "nick", from, nick, fingerprint });
  }

  /** Whether somebody who joins was here just now. */
  #return(known: Known): boolean {
    const timer = known.held.pop();
    this.#options.clock.cancel(timer);
    if (timer !== undefined) return true;
    if (known.missing === 0) return false;
    known.missing--;
    return true;
  }

  #leave(event: LeftEvent): void {
    this.#tellCompany();
    const known = this.#find(event.fingerprint);
    if (known.places > 0) known.places--;
    else known.missing = Math.max(0, known.missing - 1);
    if (event.why === "left" || event.why === "removed") return this.#tellLeft(event, known);
    const { clock } = this.#options;
    const outage = this.#lostAt === undefined ? 0 : clock.now() - this.#lostAt;
    const hold = Math.min(Math.max(outage, MIN_HOLD_MS), MAX_HOLD_MS);
    const timer = clock.after(hold, () => {
      known.held = known.held.filter((other) => other !== timer);
      this.#tellLeft(event, known);
    });
    known.held.push(timer);
  }

  #tellLeft(event: LeftEvent, known: Known): void {
    if (known.places + known.missing === 0) known.away = "";
    this.#tell(event);
  }

  #setAway(event: AwayEvent): void {
    const known = this.#find(event.fingerprint);
    if (known.away === event.text) return; // told again after a reconnect
    known.away = event.text;
    this.#tell(event);
  }

  /** A new key is told before the first message of its owner, also where joins are not. */
  #speak({ nick, fingerprint }: ChatEvent): void {
    this.#tellCompany();
    const known = this.#find(fingerprint);
    known.spoke = ++this.#spoken;
    if (!known.unannounced) return;
    known.unannounced = false;
    this.#options.print(newKeyNotice({ nick, fingerprint }));
  }

  #tell(event: SessionEvent): boolean {
    const notice = noticeOf(event, this.#options.names);
    return notice !== undefined && this.#options.print(notice);
  }
}
