/**
 * Hands on what was said to those who were not there, and asks others for it: only what its author and whoever hands it
 * on let be handed on, and always as hearsay (PROTOCOL.md §17, "What others hand on").
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import type { Bytes } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { unlessMalformed } from "../base/errors.ts";
import { ENTRY, type HistoryEntry } from "../protocol/history_entry.ts";
import { MAX_CAPACITY } from "../protocol/limits.ts";
import {
  decodeOwnMessage,
  MAX_REFERENCES,
  type OwnMessage,
  RECAP_FEATURE,
  SCOPE,
} from "../protocol/own_messages.ts";
import type { SessionEvent } from "./events.ts";
import { GIVEN_AT_ONCE_BYTES, type Giving, MAX_GIVEN_BYTES, sendOwn } from "./giving.ts";
import { ABSENT_LIMIT, HeardMessages, isToRoom } from "./heard.ts";
import { type Handed, type Hearsay, mergeHearsay, nameOf } from "./hearsay.ts";
import { WANT_MS } from "./own_terminals.ts";
import type { PeerChannel } from "./peer_channel.ts";
import type { Happening } from "./recorder.ts";
import type { RosterMember } from "./roster.ts";

/** People who are asked. */
export const MAX_HELPERS = 2;
/** So long after WELCOME they are asked: by then what is kept for the user has come first-hand … */
export const ASK_AFTER_MS = 5000;
/** … and if there are fewer by then, so long after it. */
export const ASK_BY_MS = 15_000;
/** An absence that is asked about: what was written in a shorter one is kept for everybody, §6. */
export const ABSENCE_MS = 600_000;
/** So much before the absence is asked for, too. */
const OVERLAP_MS = 600_000;
/** How long their answers are waited for. */
export const ANSWER_MS = 20_000;
/** What has aged by so much more on its way is not too old. */
const AGE_MARGIN_MS = 60_000;
/** Messages remembered that others have told: as many as they can tell twice. */
const MAX_TOLD = 2 * MAX_HELPERS * ABSENT_LIMIT.messages;
/** More time than this between two ticks: this computer slept. */
const MAX_TICK_MS = 5000;
/** A connection that has lasted this long after that was not lost by it. */
const SURVIVED_MS = 60_000;

/** Who is there while a message comes whose author lets it be handed on: their fingerprints, `SHA256:…`. */
export type Witnesses = ReadonlySet<string>;

interface RecapOptions {
  readonly clock: Clock;
  readonly own: { readonly fingerprint: Bytes; readonly name: string };
  /** What the user writes may be handed on, and what others write is. */
  readonly isOn: boolean;
  /** Others are asked what was missed. */
  readonly asks: boolean;
  readonly giving: Giving;
  /** In the order in which they joined. */
  members(): Iterable<RosterMember>;
  isJoined(): boolean;
  /** The room has a password. */
  isLocked(): boolean;
  /** Who is shown or lost. */
  present(): Witnesses;
  /** Whether the user knows a person's key, §6. */
  isKnown(member: RosterMember): boolean;
  /** Whether the user tells a person anything. */
  tells(member: RosterMember): boolean;
  /** The references of what was had first-hand since a time, in ms since 1970. */
  had(time: number): Promise<readonly string[]>;
  /** Whether a message has not been shown first-hand. */
  isNew(message: HistoryEntry): boolean;
  show(told: Hearsay): void;
  emit(event: SessionEvent): unknown;
}

/** What a helper was asked for, and has said. */
interface Asked extends Handed {
  readonly member: RosterMember;
  readonly channel: PeerChannel;
  readonly entries: HistoryEntry[];
  bytes: number;
  isDone: boolean;
}

/** The helpers who were asked at one time. */
interface Round {
  readonly at: number;
  readonly seconds: number;
  readonly helpers: readonly Asked[];
}

/** What is handed on in one room. */
export class Recap {
  readonly #options: RecapOptions;
  readonly #heard = new HeardMessages();
  #isOn: boolean;
  /** It was switched on or off since the start: HELLO may not have said so. */
  #wasTurned = false;
  /** When somebody was given something, by fingerprint. */
  readonly #givenAt = new BoundedMap<string, number>(MAX_CAPACITY);
  /** Since when something may be missing, in ms since 1970: `-Infinity` before the start, undefined if nothing is. */
  #awaySince: number | undefined = -Infinity;
  #tickedAt: number;
  /** When this computer has slept last, by the clock. */
  #sleptAt = -Infinity;
  /** The WELCOME after which others are to be asked, by the clock. */
  #dueSince: number | undefined;
  #round: Round | undefined;
  /** What others have told, which is not shown again. */
  readonly #told = new BoundedMap<string, true>(MAX_TOLD);

  constructor(options: RecapOptions) {
    this.#options = options;
    this.#isOn = options.isOn;
    this.#tickedAt = options.clock.wallTime();
  }

  /** Whether what the user writes may be handed on. */
  get isOn(): boolean {
    return this.#isOn;
  }

  /** What HELLO says of it. */
  get features(): number {
    return this.#isOn ? RECAP_FEATURE : 0;
  }

  /** Lets what the user writes from now on be handed on, or not; without it nothing of others is, either. */
  turn(isOn: boolean): void {
    if (isOn === this.#isOn) return;
    this.#isOn = isOn;
    this.#wasTurned = true;
    if (!isOn) this.#heard.clear();
    for (const member of this.#options.members()) sendOwn(member, { type: "recap", isOn });
  }

  // What is heard.

  /** Call when a message comes. @returns Who is there, if it may be handed on. */
  witnesses(member: RosterMember): Witnesses | undefined {
    return this.#isOn && letsHandOn(member) ? this.#options.present() : undefined;
  }

  /** A message or note was shown that came first-hand. @param witnesses As they were when it came. */
  heard(happening: Happening, witnesses: Witnesses | undefined): void {
    if (!this.#isOn || !isToRoom(happening)) return;
    const entry = { at: Math.max(0, this.#options.clock.wallTime()), ...happening };
    if (entry.type === ENTRY.NOTE) this.#heard.note(entry, witnesses !== undefined);
    else if (witnesses) this.#heard.add(entry, witnesses);
  }

  /** A message or note of the user's own was accepted. */
  accepted(happening: Happening): void {
    if (this.#isOn) this.heard(happening, this.#options.present());
  }

  // Channels.

  /** WELCOME. */
  welcomed(): void {
    const { clock, asks } = this.#options;
    const away = clock.wallTime() - (this.#awaySince ?? Infinity);
    if (asks && away >= ABSENCE_MS) this.#dueSince = clock.now();
    else this.#awaySince = undefined;
  }

  /** The connection is gone. */
  disconnected(): void {
    this.#awaySince ??= this.#tickedAt;
    this.#dueSince = undefined;
  }

  /** Messages flow: what HELLO may not have said is said. */
  ready(member: RosterMember): void {
    if (this.#wasTurned) sendOwn(member, { type: "recap", isOn: this.#isOn });
  }

  /** Takes a message of another person. */
  take(member: RosterMember, bytes: Uint8Array): void {
    const message = unlessMalformed(() => decodeOwnMessage(bytes));
    if (!message) return; // it may not end a channel
    if (message.type === "recap") {
      member.features = member.features & ~RECAP_FEATURE | (message.isOn ? RECAP_FEATURE : 0);
    } else if (member.name !== this.#options.own.name && member.peer?.channel?.live) {
      if (message.type === "want") this.#answer(member, message);
      else if (message.type === "give") this.#takeGiven(member, message, bytes.length);
    }
  }

  /** Applies the time limits; call it about once a second. */
  tick(): void {
    const { clock, isJoined } = this.#options;
    const now = clock.wallTime();
    if (now - this.#tickedAt > MAX_TICK_MS) {
      this.#awaySince ??= this.#tickedAt;
      this.#sleptAt = clock.now();
    }
    this.#tickedAt = now;
    if (!isJoined()) return;
    if (this.#dueSince !== undefined) this.#askIfDue(this.#dueSince);
    else if (!this.#round && clock.now() - this.#sleptAt >= SURVIVED_MS) {
      this.#awaySince = undefined;
    }
    if (this.#round) this.#finishIfOver(this.#round);
  }

  // What the user has missed.

  #askIfDue(welcomedAt: number): void {
    const { clock, own, members, tells } = this.#options;
    const waited = clock.now() - welcomedAt;
    if (waited < ASK_AFTER_MS) return;
    const helpers = new Map<string, RosterMember>();
    for (const member of members()) {
      const isHelper = letsHandOn(member) && member.peer?.channel?.live && tells(member);
      if (!isHelper || member.name === own.name || helpers.has(member.name)) continue;
      if (helpers.size < MAX_HELPERS) helpers.set(member.name, member);
    }
    if (helpers.size < MAX_HELPERS && waited < ASK_BY_MS) return;
    this.#dueSince = undefined;
    const since = this.#awaySince ?? -Infinity;
    this.#awaySince = undefined;
    if (helpers.size > 0) void this.#ask([...helpers.values()], since);
    else if (since !== -Infinity) this.#reportNobody(since);
  }

  /** Says that nobody has kept anything of an absence, if nobody is here who was there before. */
  #reportNobody(since: number): void {
    const { clock, own, members, emit } = this.#options;
    const awayMs = clock.wallTime() - since;
    const wasThere = ({ name, person }: RosterMember) =>
      name === own.name || (person.firstShownAt ?? Infinity) < clock.now() - awayMs;
    if ([...members()].some(wasThere)) return;
    const seconds = Math.round(awayMs / 1000);
    emit({ event: "missed", from: "hearsay", by: [], count: 0, seconds });
  }

  async #ask(members: readonly RosterMember[], since: number): Promise<void> {
    const { clock, had } = this.#options;
    const now = clock.wallTime();
    const ms = Math.min(now - since + OVERLAP_MS, ABSENT_LIMIT.ms);
    const seconds = Math.max(1, Math.ceil(ms / 1000));
    const asked = members.map((member) => ({ member, channel: member.peer!.channel! }));
    const references = (await had(now - seconds * 1000)).slice(-MAX_REFERENCES);
    const helpers = asked.filter(isLive).map((each) => ({
      ...each,
      by: each.member.name,
      entries: [],
      bytes: 0,
      isDone: false,
    }));
    this.#round = { at: clock.now(), seconds, helpers };
    for (const { member } of helpers) {
      sendOwn(member, { type: "want", scope: SCOPE.RECAP, seconds, references });
    }
  }

  #takeGiven(
    member: RosterMember,
    { last, entries }: OwnMessage & { type: "give" },
    bytes: number,
  ): void {
    const round = this.#round;
    const asked = round?.helpers.find((helper) => helper.member === member && isLive(helper));
    if (!round || !asked || asked.isDone) return; // nobody has asked for it
    asked.bytes += bytes;
    const isTooMuch = asked.bytes > MAX_GIVEN_BYTES + GIVEN_AT_ONCE_BYTES;
    const now = this.#options.clock.wallTime();
    for (const entry of isTooMuch ? [] : entries) {
      if (entry.at > round.seconds * 1000 + AGE_MARGIN_MS) continue; // older than what was asked for
      asked.entries.push({ ...entry, at: Math.max(0, now - entry.at) });
    }
    asked.isDone = last || isTooMuch;
    this.#finishIfOver(round);
  }

  #finishIfOver({ at, helpers }: Round): void {
    const { clock, own, isNew, show, emit } = this.#options;
    const isTimeOver = clock.now() - at >= ANSWER_MS;
    if (!isTimeOver && !helpers.every((helper) => helper.isDone || !isLive(helper))) return;
    this.#round = undefined;
    const told = mergeHearsay(helpers, own.fingerprint).filter(({ entry }) =>
      isNew(entry) && !this.#told.has(nameOf(entry))
    );
    const [first] = told;
    if (!first) return;
    const by = new Set(told.flatMap(({ by }) => by));
    emit({
      event: "missed",
      from: "hearsay",
      by: [...by],
      count: told.length,
      seconds: Math.max(0, Math.round((clock.wallTime() - first.entry.at) / 1000)),
    });
    for (const each of told) {
      this.#told.set(nameOf(each.entry), true);
      show(each);
    }
  }

  // What others have missed.

  #answer(member: RosterMember, want: OwnMessage & { type: "want" }): void {
    const { clock, giving, isKnown, isLocked, tells } = this.#options;
    const lastAt = this.#givenAt.get(member.name) ?? -Infinity;
    const isTooSoon = clock.now() - lastAt < WANT_MS;
    if (!this.#isOn || want.scope !== SCOPE.RECAP || !tells(member)) return;
    if (isTooSoon || giving.isFull) return;
    this.#givenAt.renew(member.name, clock.now());
    const now = clock.wallTime();
    const entries = this.#heard.for({
      fingerprint: member.name,
      isKnown: isKnown(member),
      hasPassword: isLocked(),
      since: now - want.seconds * 1000,
      known: new Set(want.references),
    }, now);
    giving.add({ member, channel: member.peer!.channel!, entries, done: () => {} });
  }
}

/** Whether what a member writes now may be handed on. */
function letsHandOn({ features }: RosterMember): boolean {
  return (features & RECAP_FEATURE) !== 0;
}

function isLive({ member, channel }: Pick<Asked, "member" | "channel">): boolean {
  return member.peer?.channel === channel && channel.live;
}
