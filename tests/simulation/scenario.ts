/**
 * What happens in a run: drawn from its seed. Each run has only some of the troubles, so that each of them is met
 * alone and together with any others.
 *
 * @module
 */

import { UsageError } from "../../lib/base/errors.ts";
import { MAX_TEXT_BYTES } from "../../lib/protocol/messages.ts";
import { MAX_ROOM_MEMBERS } from "../../lib/protocol/limits.ts";
import type { AdminRequest } from "../../lib/protocol/admin.ts";
import { NOTE } from "../../lib/protocol/messages.ts";
import { messageReference } from "../../lib/protocol/references.ts";
import type { NoteKind } from "../../lib/session/events.ts";
import { FORGED } from "./attacks.ts";
import { checkBounds } from "./invariants.ts";
import type { Identity, Place } from "./place.ts";
import type { Quality } from "./network.ts";
import { shortFingerprint } from "../../lib/protocol/identity.ts";
import type { Random } from "./random.ts";
import type { Crash, World } from "./world.ts";

const MINUTE_MS = 60_000;
const CRASHES: readonly Crash[] = ["reset", "finish", "lose"];

/** What can happen. */
type Action =
  | "say"
  | "whisper"
  | "burst"
  | "nick"
  | "away"
  | "cut"
  | "stall"
  | "sleep"
  | "kill"
  | "stop"
  | "second"
  | "rekey"
  | "relayKill"
  | "relayStop"
  | "relaySleep"
  | "remove"
  | "calendar"
  | "absence"
  | "flood"
  | "note"
  | "topic"
  | "operate"
  | "repeat"
  | "misuse"
  | "pad"
  | "forge"
  | "hour"
  | RogueAction;
type RogueAction = "torrent" | "lie" | "probe" | "renames";

/** How often each happens where it happens at all, and in how many of the runs that is. */
const ACTIONS: Readonly<Record<Exclude<Action, RogueAction>, { weight: number; share: number }>> = {
  say: { weight: 12, share: 1 },
  whisper: { weight: 4, share: 0.7 },
  burst: { weight: 2, share: 0.4 },
  nick: { weight: 2, share: 0.4 },
  away: { weight: 1, share: 0.2 },
  cut: { weight: 4, share: 0.7 },
  stall: { weight: 3, share: 0.4 },
  sleep: { weight: 1, share: 0.15 },
  kill: { weight: 2, share: 0.5 },
  stop: { weight: 2, share: 0.4 },
  second: { weight: 2, share: 0.4 },
  rekey: { weight: 3, share: 0.3 },
  relayKill: { weight: 1.5, share: 0.35 },
  relayStop: { weight: 1, share: 0.25 },
  relaySleep: { weight: 0.7, share: 0.1 },
  remove: { weight: 0.7, share: 0.1 },
  calendar: { weight: 0.5, share: 0.1 },
  absence: { weight: 0.7, share: 0.12 },
  flood: { weight: 0.5, share: 0.04 },
  note: { weight: 4, share: 0.4 },
  topic: { weight: 2, share: 0.25 },
  operate: { weight: 1, share: 0 },
  repeat: { weight: 1, share: 0.15 },
  misuse: { weight: 1, share: 0.15 },
  pad: { weight: 0.5, share: 0.1 },
  forge: { weight: 1, share: 0.15 },
  hour: { weight: 1, share: 0.02 },
};

/** The same for what a member does that means harm, in those runs in which there is one. */
const ROGUE_ACTIONS: Readonly<Record<RogueAction, { weight: number; share: number }>> = {
  torrent: { weight: 1, share: 0.15 },
  lie: { weight: 3, share: 0.6 },
  probe: { weight: 3, share: 0.8 },
  renames: { weight: 1, share: 0.3 },
};
const ROGUE_SHARE = 0.35;

/** How a run goes. */
export interface Plan {
  readonly people: number;
  readonly quality: Quality;
  readonly actions: number;
  /** Mean time between actions, in milliseconds. */
  readonly pace: number;
  readonly weights: Partial<Record<Action, number>>;
  /** What is kept for the gone is waited for until it is given up. */
  readonly patient: boolean;
  readonly weakKeys: boolean;
  readonly strict: boolean;
  readonly capacity: number;
  readonly rooms: number;
  readonly password: "none" | "shared" | "ghost";
  readonly operators: boolean;
  readonly lurker: boolean;
  readonly thief: boolean;
  /** The terminals of all but the first person are killed again and again. */
  readonly mortal: boolean;
}

/**
 * Draws how a run goes.
 *
 * @param rogues Draws what rogues do, so that the runs without any stay the same.
 */
export function makePlan(random: Random, rogues: Random): Plan {
  const sizes = { "2": 30, "3": 32, "4": 16, "5": 8, "6": 5, "8": 4, "10": 3, "12": 2 };
  const weights: Partial<Record<Action, number>> = {};
  for (const [name, { weight, share }] of Object.entries(ACTIONS)) {
    if (random.chance(share)) weights[name as Action] = weight;
  }
  if (rogues.chance(ROGUE_SHARE)) {
    for (const [name, { weight, share }] of Object.entries(ROGUE_ACTIONS)) {
      if (rogues.chance(share)) weights[name as Action] = weight;
    }
  }
  const isMortal = rogues.chance(0.04);
  if (isMortal) Object.assign(weights, { kill: 25, second: 15 });
  const isTight = random.chance(0.1);
  const strict = random.chance(0.08);
  // In a tight room there is one process of each; where one is strict, no nick is in conflict.
  if (isTight) delete weights.second;
  if (isTight) delete weights.remove;
  if (strict) { for (const name of ["nick", "renames", "lie"] as const) delete weights[name]; }
  const people = Number(random.weighted(sizes));
  const password = random.weighted({ none: 80, shared: 10, ghost: 10 });
  const thief = !isTight && password === "none" && random.chance(0.1);
  const operators = random.chance(0.1) && !isTight && !thief;
  if (operators) weights.operate = ACTIONS.operate.weight;
  const isFlooded = weights.flood !== undefined || weights.torrent !== undefined;
  const slow = random.chance(0.15) && !isFlooded;
  return {
    people,
    quality: {
      latency: slow ? random.pick([100, 400, 900]) : weights.torrent
        ? 20 // or nothing would ever wait
        : random.pick([0, 0, 1, 5, 20]),
      jitter: random.pick([0, 0, 1, 10, slow ? 500 : 30]),
      capacity: isFlooded ? 65_536 : random.pick([65_536, 65_536, 16_384, 2_048]),
      slowDial: random.chance(0.3),
      piece: isFlooded ? Infinity : random.pick([Infinity, Infinity, 1_000, 100]),
    },
    actions: random.between(10, 50),
    pace: random.pick([50, 300, 1_000, 3_000]),
    weights,
    patient: random.chance(0.1),
    weakKeys: random.chance(0.1),
    strict,
    capacity: isTight ? people : MAX_ROOM_MEMBERS,
    rooms: random.chance(0.06) ? 2 : 1,
    password,
    operators,
    mortal: isMortal,
    lurker: random.chance(0.12),
    thief,
  };
}

/** Does what a plan says. */
export class Scenario {
  #world: World;
  #random: Random;
  #plan: Plan;
  #number = 0;
  #left: number;
  /** What is still to come of what was done. */
  #pending = 0;
  /** Where one is absent for minutes, the others go on more slowly. */
  #slowUntil = 0;

  constructor(world: World, random: Random, plan: Plan) {
    this.#world = world;
    this.#random = random;
    this.#plan = plan;
    this.#left = plan.actions;
  }

  /** Everything has happened. */
  get done(): boolean {
    return this.#left === 0 && this.#pending === 0;
  }

  #later(delay: number, action: () => void): void {
    this.#pending++;
    this.#world.clock.after(delay, () => {
      this.#pending--;
      action();
    });
  }

  /** Starts everybody, and whatever is to happen then. */
  begin(): void {
    for (const identity of this.#world.identities) {
      this.#later(this.#random.below(3_000), () => this.#world.startPlace(identity));
    }
    this.#schedule(this.#random.below(4_000));
  }

  #schedule(delay: number): void {
    this.#world.clock.after(delay, () => {
      this.#left--;
      this.#act();
      const { now } = this.#world.clock;
      const left = this.#slowUntil - now;
      const pace = left > 20 * MINUTE_MS ? left / 2 : left > 0 ? 40_000 : this.#plan.pace;
      if (this.#left > 0) this.#schedule(this.#random.gap(pace));
      else this.#left = 0;
    });
  }

  #act(): void {
    const action = this.#random.weighted(this.#plan.weights);
    const { alive } = this.#world;
    if (alive.length === 0) return;
    const place = this.#random.pick(alive);
    if (place.clock.asleep && action !== "cut") return;
    this.#actions[action](place);
  }

  readonly #actions: Readonly<Record<Action, (place: Place) => void>> = {
    say: (place) => this.#say(place, this.#text()),
    whisper: (place) => this.#whisper(place),
    burst: (place) => this.#burst(place, this.#random.between(2, 40)),
    nick: (place) => this.#rename(place),
    away: (place) => place.session.setAway(this.#random.pick(["", "tea", "lunch"])),
    cut: (place) => this.#world.cut(place, this.#random.pick(CRASHES)),
    stall: (place) => this.#stall(place),
    sleep: (place) => this.#sleep(place),
    kill: (place) => this.#kill(place),
    stop: (place) => this.#stop(place),
    second: (place) => this.#second(place.identity),
    rekey: (place) => this.#rekey(place),
    relayKill: () => this.#endRelay(() => this.#world.killRelay(this.#random.pick(CRASHES))),
    relayStop: () => this.#endRelay(() => void this.#world.stopRelay()),
    relaySleep: () => this.#sleepRelay(),
    remove: (place) => this.#remove(place.identity),
    calendar: (place) =>
      void (place.clock.skew += this.#random.pick([-1, 1]) * 24 * 60 * MINUTE_MS),
    absence: (place) => this.#absent(place, this.#random.pick([9, 11]) * MINUTE_MS),
    flood: (place) => this.#flood(place),
    note: (place) => this.#note(place),
    topic: (place) => this.#setTopic(place),
    operate: (place) => this.#operate(place),
    repeat: (place) => this.#repeat(place),
    misuse: (place) => this.#misuse(place),
    pad: (place) => this.#pad(place),
    forge: () => this.#world.witness.forge(),
    hour: () => this.#slowUntil = this.#world.clock.now + 75 * MINUTE_MS,
    torrent: (place) => this.#torrent(place),
    lie: () => this.#lie(),
    probe: (place) => this.#probe(place),
    renames: (place) => this.#renames(place),
  };

  #text(): string {
    const filler = this.#random.chance(0.05)
      ? "x".repeat(this.#random.between(1, 8_000))
      : this.#random.chance(0.1)
      ? "\n\te 👪"
      : "";
    const start = `message ${++this.#number} `;
    return this.#random.chance(0.01) ? start.padEnd(MAX_TEXT_BYTES, "z") : start + filler;
  }

  #say(place: Place, text: string): void {
    const { ledger } = this.#world;
    const { session } = place;
    if (session.blocked) return; // §6: no more input is taken
    const action = this.#random.chance(0.1);
    const reply = this.#random.chance(0.1) ? this.#shownTo(place) : undefined;
    const draft = { text, action, to: undefined, number: this.#number, reply };
    this.#world.log(`${place.name} says #${this.#number}`);
    const options = { action, ...(reply !== undefined && { reply: { id: reply } }) };
    ledger.accept(place, draft, () => session.say(text, options));
  }

  /** The id of a message that somebody has seen. */
  #shownTo(place: Place): string | undefined {
    const { messages } = this.#world.ledger;
    const known = [...messages.keys()].filter((id) => place.knows(id, messages)).slice(-20);
    return known.length === 0 ? undefined : this.#random.pick(known);
  }

  #whisper(place: Place): void {
    const { ledger } = this.#world;
    const { session } = place;
    const people = session.people();
    if (people.length === 0 || session.blocked) return;
    const { fingerprint: to } = this.#random.pick(people);
    const text = this.#text();
    const names = place.present().filter(({ fingerprint }) => fingerprint === to);
    const number = this.#number;
    const draft = { text, action: false, to, number, reply: undefined };
    this.#world.log(`${place.name} whispers #${number} to ${names[0]?.name}`);
    ledger.accept(place, draft, () => {
      try {
        return session.sendPrivate(to, text, { ref: text });
      } catch (error) {
        if (!(error instanceof UsageError)) throw error; // a nick that belongs to another key
      }
    });
  }

  #burst(place: Place, count: number): void {
    for (let i = 0; i < count; i++) this.#say(place, this.#text());
  }

  #flood(place: Place): void {
    const large = this.#random.chance(0.3);
    const count = large ? 700 : this.#random.pick([1_030, 1_100, 1_500, 2_100]);
    this.#world.flooded = true;
    for (let i = 0; i < count; i++) {
      this.#say(place, `message ${++this.#number} ${large ? "y".repeat(8_000) : ""}`);
    }
    checkBounds(this.#world);
  }

  /** Up to three send as fast as they may for half a second. */
  #torrent(place: Place): void {
    const others = this.#world.alive.filter((other) => other !== place);
    this.#world.flooded = true;
    this.#world.log(`${place.name} and others send as fast as they can`);
    for (const sender of [place, ...others.slice(0, 2)]) {
      for (let delay = 0; delay < 500; delay += 50) {
        this.#later(delay, () => {
          if (!sender.alive || sender.clock.asleep) return;
          for (let i = 0; i < 20; i++) {
            this.#say(sender, `message ${++this.#number} ${"y".repeat(8_000)}`);
          }
        });
      }
    }
  }

  /** One of the people uses names of others, with a client that sends anything. */
  #lie(): void {
    const { identities, alive } = this.#world;
    const liar = identities.at(-1)!;
    const victim = this.#random.pick(identities);
    const places = alive.filter(({ identity, clock }) => identity === liar && !clock.asleep);
    if (victim === liar || places.length === 0) return;
    const place = this.#random.pick(places);
    const nick = this.#random.pick([
      victim.nick,
      victim.nick.toUpperCase(),
      victim.fingerprint,
      `${victim.nick}#${shortFingerprint(victim.fingerprint, 4)}`,
      `?${shortFingerprint(victim.fingerprint, 4)}`,
    ]);
    this.#world.renamed = true;
    this.#world.log(`${place.name} calls itself ${nick}`);
    place.session.membership.nick = nick;
    place.session.membership.sender.announceNick();
    this.#later(500, () => {
      const { alive } = this.#world;
      const other = this.#random.pick(alive.filter(({ identity }) => identity !== liar));
      if (other && !other.clock.asleep) this.#probe(other, victim.fingerprint);
    });
  }

  /** Writes to a key or a shown name, whoever is there. */
  #probe(place: Place, key?: string): void {
    const { ledger, identities } = this.#world;
    const { session } = place;
    if (session.blocked) return;
    const people = session.people();
    const byName = key === undefined && people.length > 0 && this.#random.chance(0.4);
    const person = byName ? this.#random.pick(people) : undefined;
    const fingerprint = person?.fingerprint ?? key ?? this.#random.pick(identities).fingerprint;
    if (fingerprint === place.fingerprint) return;
    const text = this.#text();
    const number = this.#number;
    this.#world.log(`${place.name} writes #${number} to ${person?.nick ?? "a key"}`);
    const draft = { text, action: false, to: fingerprint, number, reply: undefined };
    ledger.accept(place, draft, () => {
      try {
        return session.sendPrivate(person?.nick ?? fingerprint, text, { ref: text });
      } catch (error) {
        if (!(error instanceof UsageError)) throw error; // nobody, or a nick that belongs to another key
      }
    });
  }

  /** Changes its nick 100 times a second for a while. */
  #renames(place: Place): void {
    const count = this.#random.between(5, 40);
    for (let i = 0; i < count; i++) {
      this.#later(i * 10, () => {
        if (place.alive && !place.clock.asleep) this.#rename(place);
      });
    }
  }

  #rename(place: Place): void {
    const nick = this.#random.chance(0.2)
      ? this.#random.pick(this.#world.identities).nick
      : `n${this.#random.below(1_000)}`;
    this.#world.renamed = true;
    this.#world.log(`${place.name} is now ${nick}`);
    place.session.setNick(nick);
  }

  #note(place: Place): void {
    const id = this.#shownTo(place);
    if (id === undefined) return;
    const isOwn = this.#world.ledger.messages.get(id)!.from.fingerprint === place.fingerprint;
    const kinds = isOwn ? ["edit", "retraction", "reaction"] : ["reaction", "unreaction"];
    const what = this.#random.pick(kinds) as NoteKind;
    const number = ++this.#number;
    const text = what === "edit" ? `note ${number}` : what === "reaction" ? "👍" : "";
    this.#world.log(`${place.name}: ${what} of #${this.#world.ledger.messages.get(id)!.number}`);
    this.#world.notes.make(place, id, { what, text });
    try {
      place.session.sendNote({ id }, what, text);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error; // nobody on the other side, or a conflict
    }
  }

  #setTopic(place: Place): void {
    const text = `topic ${++this.#number}`;
    this.#world.log(`${place.name} sets the ${text}`);
    // §6: the greater of the clock and one above the time of the topic that is known.
    const time = Math.max(place.clock.wallTime(), (place.topic?.time ?? -1) + 1);
    place.topic = { type: "topic", time, text };
    place.session.setTopic(text);
    for (const { channels, place: other } of place.company.sights()) {
      for (const channel of channels) {
        if (place.topicsSent.get(channel)?.text === text) continue;
        this.#world.fail(`${place.name} does not send its topic to ${other.name}`);
      }
    }
  }

  /** §5: what operators may, and nobody else. */
  #operate(place: Place): void {
    if (!place.session.joined) return;
    const { identities } = this.#world;
    const isOperator = place.identity === identities[0];
    const { key } = this.#random.pick(identities.slice(1));
    const { fingerprint } = key.publicKey;
    const text = `announcement ${++this.#number}`;
    const seconds = this.#random.pick([5, 20, 60]);
    const request = this.#random.pick<AdminRequest>([
      { verb: "kick", fingerprint },
      { verb: "ban", fingerprint, seconds },
      { verb: "unban", fingerprint },
      { verb: "announce", text },
      { verb: "kick", fingerprint: identities[0]!.key.publicKey.fingerprint },
    ]);
    if (isOperator) this.#world.announced.add(text);
    const target = identities.find(({ key }) => key.publicKey.fingerprint === fingerprint)!;
    this.#world.log(`${place.name} asks for: ${request.verb} ${target.name}`);
    this.#world.operates();
    void place.session.admin(request).then((result) => {
      if (!result) return;
      this.#world.log(`${place.name} is answered ${result.status}`);
      const isAllowed = isOperator &&
        (request.verb !== "kick" || request.fingerprint === fingerprint);
      const answers = !isAllowed ? [1] : request.verb === "announce" ? [0] : [0, 4];
      if (!answers.includes(result.status)) this.#world.fail(`ADMIN is answered ${result.status}`);
      const isBad = isAllowed && result.status === 0 && request.verb !== "announce";
      if (isBad && request.verb !== "unban") this.#restart(target);
    });
  }

  /** Somebody sends what everybody has once more, under another number. */
  #repeat(place: Place): void {
    const { membership } = place.session;
    const old = [...this.#world.ledger.messages.values()].findLast((sent) =>
      sent.from === place && sent.delivered !== undefined && sent.outgoing && !sent.to
    );
    if (!old || membership.outbox.unsettled > 0) return;
    for (const stream of membership.people.streams()) {
      const to = stream.holder && this.#world.placeOf(stream.holder.sid);
      if (!to || !old.people.get(to.fingerprint)?.acked) continue;
      old.repeated.add(to);
      stream.add({ message: old.outgoing, moved: true, acceptedAt: membership.people.now() });
    }
    this.#world.log(`${place.name} repeats #${old.number}`);
    membership.sender.pump();
  }

  /** Somebody changes what is not theirs. */
  #misuse(place: Place): void {
    const other = [...this.#world.ledger.messages.values()].findLast((sent) =>
      sent.from.fingerprint !== place.fingerprint && place.taken.get(sent.id)?.shown
    );
    if (!other || !place.session.settled) return;
    const { fingerprint } = other.from.identity.key.publicKey;
    const text = FORGED;
    this.#world.log(`${place.name} changes #${other.number}, which is not its own`);
    place.session.membership.sender.accept({
      message: {
        type: "note",
        serial: 0,
        writtenAt: this.#world.clock.now,
        private: false,
        ref: messageReference(fingerprint, other.id),
        what: NOTE.EDIT,
        text,
        bytes: text.length,
      },
      to: undefined,
      person: undefined,
      ref: undefined,
      reply: undefined,
    });
  }

  #pad(place: Place): void {
    const shown = [...place.company.sights()].filter((sight) => sight.shown);
    if (shown.length > 0) this.#world.witness.pad(place, this.#random.pick(shown));
  }

  #stall(place: Place): void {
    const direction = this.#random.pick(["up", "down", "both"] as const);
    const duration = this.#random.between(100, this.#random.pick([6_000, 15_000, 55_000]));
    this.#world.stall(place, direction, duration);
  }

  #sleep(place: Place): void {
    this.#world.sleep(place);
    const duration = this.#random.pick([500, 5_000, 20_000, 70_000]);
    this.#later(duration, () => this.#world.wake(place));
  }

  #kill(place: Place): void {
    if (this.#plan.mortal && place.identity === this.#world.identities[0]) return;
    this.#world.kill(place, this.#random.pick(CRASHES));
    this.#restart(place.identity);
  }

  #stop(place: Place): void {
    this.#world.stop(place);
    this.#restart(place.identity);
  }

  #restart(identity: Identity): void {
    if (this.#random.chance(0.1) && this.#world.alive.length > 2) return;
    this.#world.totals.restarts++;
    const delay = this.#random.pick([0, 20, 1_000, 10_000, 40_000]);
    this.#later(delay, () => this.#world.startPlace(identity));
  }

  #second(identity: Identity): void {
    const { alive } = this.#world;
    if (alive.filter((place) => place.identity === identity).length >= 3 || alive.length >= 14) {
      return;
    }
    this.#world.startPlace(identity);
  }

  /** An initiator may begin a new handshake at any time, §6. */
  #rekey(place: Place): void {
    const peers = [...place.session.membership.roster.members.values()].flatMap(({ peer }) =>
      peer?.initiates && peer.channel?.live ? [peer] : []
    );
    if (peers.length === 0) return;
    this.#world.log(`${place.name} begins a new handshake`);
    this.#random.pick(peers).start();
  }

  #endRelay(end: () => void): void {
    if (!this.#world.relayRuns) return;
    this.#world.totals.restarts++;
    end();
    const delay = this.#random.pick([10, 500, 3_000, 20_000, 60_000]);
    this.#later(delay, () => this.#world.startRelay());
  }

  #sleepRelay(): void {
    if (!this.#world.relayRuns) return;
    this.#world.sleepRelay();
    const duration = this.#random.pick([300, 3_000, 20_000, 60_000]);
    this.#later(duration, () => this.#world.wakeRelay());
  }

  #remove(identity: Identity): void {
    this.#world.remove(identity);
    this.#restart(identity);
  }

  #absent(place: Place, duration: number): void {
    const { clock } = this.#world;
    this.#world.log(`${place.name} is absent for ${duration / MINUTE_MS} minutes`);
    place.offlineUntil = clock.now + duration;
    this.#slowUntil = place.offlineUntil + 30_000;
    this.#world.cut(place, this.#random.pick(CRASHES));
    this.#later(duration, () => this.#world.log(`${place.name} is no longer absent`));
  }
}
