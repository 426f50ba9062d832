/**
 * Rooms in which people come, go, agree and change their minds, and some lie about what was said, all at random from a
 * seed. Judged is everything that anybody is told: what honest helpers hand on is what they may, all of it and nothing
 * else, and nothing that anybody makes up is ever shown as first-hand. Faults that are planted into the code are found.
 *
 * @module
 */

import assert from "node:assert/strict";
import { WHY } from "../../lib/protocol/frames.ts";
import { ENTRY, type HistoryEntry } from "../../lib/protocol/history_entry.ts";
import { MESSAGE, NOTE } from "../../lib/protocol/messages.ts";
import { decodeOwnMessage, encodeOwnMessage } from "../../lib/protocol/own_messages.ts";
import { messageReference } from "../../lib/protocol/references.ts";
import type { ChatEvent } from "../../lib/session/events.ts";
import { HeardMessages } from "../../lib/session/heard.ts";
import { MemberEvents } from "../../lib/session/member_events.ts";
import { Recap } from "../../lib/session/recap.ts";
import { Random } from "../simulation/random.ts";
import { type TestClient, TestRoom } from "../support/test_room.ts";

const SEEDS = 12;
/** Within so many a planted fault is found. */
const FAULT_SEEDS = 40;
const STEPS = 24;
const [SECOND_MS, MINUTE_MS, HOUR_MS] = [1000, 60_000, 3_600_000];
/** So long everything takes that follows from one step. */
const STEP_MS = 3 * SECOND_MS;
/** So long after somebody has come they have been told. */
const TOLD_MS = 40 * SECOND_MS;

/** A message as it is in truth. */
interface Said {
  readonly id: string;
  readonly author: string;
  /** The first is the message, the others are its edits. */
  readonly texts: string[];
  readonly isPrivate: boolean;
}

/** A message as somebody who stays has heard it, if it may be handed on. */
interface Heard {
  readonly said: Said;
  readonly at: number;
  readonly present: ReadonlySet<string>;
  text: string;
  isGone: boolean;
}

/** Somebody, in one run or several. */
class Actor {
  readonly seed: number;
  readonly isLiar: boolean;
  client: TestClient | undefined;
  isConnected = false;
  /** When the connection was lost; undefined after a goodbye. */
  lostAt: number | undefined;
  /** What they have heard in this run. */
  heard: Heard[] = [];
  /** Whose keys they knew before. */
  readonly known = new Set<number>();
  /** When they answered somebody, by fingerprint. */
  readonly answeredAt = new Map<string, number>();
  /** Events that were judged. */
  judged = 0;

  constructor(seed: number, isLiar: boolean) {
    this.seed = seed;
    this.isLiar = isLiar;
  }

  get isOn(): boolean {
    return this.client!.membership.recap.isOn;
  }
}

class Story {
  readonly room: TestRoom;
  readonly random: Random;
  readonly hasPassword: boolean;
  /** They stay from the beginning to the end. */
  readonly stayers: Actor[];
  readonly visitors: Actor[];
  readonly said = new Map<string, Said>();
  /** What somebody is to be told by a helper: fingerprints and ids, each with its text. */
  readonly due: { asker: TestClient; by: string; told: Map<string, string> }[] = [];
  readonly counts = { told: 0, lies: 0 };
  #words = 0;

  constructor(room: TestRoom, seed: number) {
    this.room = room;
    this.random = new Random(seed, "recap");
    this.hasPassword = this.random.chance(0.5);
    this.stayers = [1, 2, 3].map((seed) => new Actor(seed, this.random.chance(0.3)));
    this.visitors = [4, 5, 6].map((seed) => new Actor(seed, false));
  }

  get all(): Actor[] {
    return [...this.stayers, ...this.visitors];
  }

  async run(): Promise<void> {
    for (const actor of this.all) {
      for (const other of this.all) if (this.random.chance(0.6)) actor.known.add(other.seed);
    }
    for (const actor of this.stayers) await this.#start(actor);
    for (let i = 0; i < STEPS; i++) {
      await this.#step();
      await this.room.advance(STEP_MS);
      this.#judge();
    }
    await this.room.advance(TOLD_MS);
    this.#judge();
    this.#judgeDue();
  }

  async #start(actor: Actor): Promise<void> {
    const asksOthers = this.visitors.includes(actor);
    actor.heard = [];
    actor.judged = 0;
    actor.client = await this.room.enter({
      seed: actor.seed,
      nick: `nick${actor.seed}`,
      ...(this.hasPassword && { roomKey: new Uint8Array(32).fill(9) }),
      knows: [...actor.known].map((seed) => ({ seed })),
      recap: this.random.chance(0.7),
      asksOthers,
    });
    actor.isConnected = true;
    actor.lostAt = undefined;
    this.#watch(actor);
  }

  /** Notes what a helper owes to whoever asks, or makes something up. */
  #watch(actor: Actor): void {
    const { recap } = actor.client!.membership;
    recap.take = (member, bytes) => {
      if (bytes[0] === MESSAGE.WANT) {
        const asker = this.all.find(({ client }) => client?.name === member.name)!;
        if (actor.isLiar) return this.#lie(actor, asker);
        if (this.stayers.includes(actor)) this.#owe(actor, asker, bytes);
      }
      Recap.prototype.take.call(recap, member, bytes);
    };
  }

  async #step(): Promise<void> {
    const { random, room } = this;
    const here = this.all.filter(({ isConnected }) => isConnected);
    const actor = random.pick(here);
    switch (random.below(12)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return this.#say(actor);
      case 4:
        return this.#change(actor);
      case 5:
        return actor.client!.membership.recap.turn(!actor.isOn) ?? this.#forget(actor);
      case 6:
        if (actor.isLiar) this.#lie(actor, random.pick(here));
        return;
      case 7:
      case 8:
      case 9:
      case 10:
        return await this.#comeOrGo(random.pick(this.visitors));
      default: {
        // While nobody asks, as what is told is judged when it comes.
        await room.advance(TOLD_MS);
        const minutes = random.pick([1, 4, 13, 31]);
        await room.advance(minutes * MINUTE_MS);
      }
    }
  }

  /** Who switches it off has nothing more to hand on. */
  #forget(actor: Actor): void {
    if (!actor.isOn) actor.heard = [];
  }

  #say(actor: Actor): void {
    const { client } = actor;
    const text = `word ${++this.#words}`;
    const other = this.random.pick(this.all);
    const isPrivate = this.random.chance(0.2) && other !== actor && other.isConnected;
    const id = isPrivate ? client!.sendPrivate(other.client!, text) : client!.say(text);
    const said = { id, author: client!.name, texts: [text], isPrivate };
    this.said.set(`${client!.name} ${id}`, said);
    if (isPrivate) return;
    for (const hearer of this.all) {
      if (!hearer.isConnected || hearer.isLiar || !hearer.isOn || !actor.isOn) continue;
      const present = this.#presentAt(hearer);
      const at = this.room.clock.now();
      hearer.heard.push({ said, at, present, text, isGone: false });
    }
  }

  #change(actor: Actor): void {
    const own = [...this.said.values()].filter(({ author, isPrivate }) =>
      author === actor.client!.name && !isPrivate
    );
    const isOfThisRun = ({ id }: Said) =>
      actor.client!.events.some((event) => event.event === "sent" && event.id === id);
    const mine = own.filter(isOfThisRun);
    if (mine.length === 0) return;
    const said = this.random.pick(mine);
    const isRetraction = this.random.chance(0.4);
    const text = isRetraction ? "" : `word ${++this.#words}`;
    actor.client!.sendNote(said, isRetraction ? "retraction" : "edit", text);
    if (!isRetraction) said.texts.push(text);
    for (const hearer of this.all.filter(({ isConnected }) => isConnected)) {
      for (const heard of hearer.heard.filter((each) => each.said === said)) {
        if (isRetraction || !actor.isOn) heard.isGone = true;
        else heard.text = text;
      }
    }
  }

  async #comeOrGo(actor: Actor): Promise<void> {
    const { random, room } = this;
    if (!actor.isConnected) {
      // A process that is only lost may come back.
      if (actor.lostAt === undefined || random.chance(0.3)) return await this.#start(actor);
      await room.join(actor.client!);
      actor.isConnected = true;
      actor.lostAt = undefined;
      return;
    }
    const isGoodbye = random.chance(0.5);
    await room.leave(actor.client!, isGoodbye ? WHY.LEFT : WHY.LOST);
    actor.isConnected = false;
    actor.lostAt = isGoodbye ? undefined : room.clock.now();
  }

  /** Who is shown or lost for somebody, §6. */
  #presentAt(hearer: Actor): Set<string> {
    const now = this.room.clock.now();
    const isThere = (actor: Actor) => {
      const kept = hearer.known.has(actor.seed) ? 12 * HOUR_MS : 10 * MINUTE_MS;
      return actor !== hearer &&
        (actor.isConnected || actor.lostAt !== undefined && now - actor.lostAt < kept);
    };
    return new Set(this.all.filter(isThere).map(({ client }) => client!.name));
  }

  /** What an honest helper has to tell, by PROTOCOL.md §17. */
  #owe(helper: Actor, asker: Actor, bytes: Uint8Array): void {
    const want = decodeOwnMessage(bytes);
    assert.equal(want.type, "want");
    if (want.type !== "want" || !helper.isOn) return;
    const { name } = asker.client!;
    const now = this.room.clock.now();
    if (now - (helper.answeredAt.get(name) ?? -Infinity) < MINUTE_MS) return;
    helper.answeredAt.set(name, now);
    const has = new Set(want.references);
    const missing = helper.heard.filter(({ said, isGone, at }) =>
      !isGone && now - at <= want.seconds * 1000 && !has.has(this.#referenceOf(said))
    );
    const wasThere = missing.filter(({ present }) =>
      helper.known.has(asker.seed) && present.has(name)
    );
    const recent = missing.filter(({ at }) => this.hasPassword && now - at <= HOUR_MS).slice(-20);
    const told = new Map([...wasThere, ...recent].map(({ said, text }) => [
      `${said.author} ${said.id}`,
      text,
    ]));
    this.due.push({ asker: asker.client!, by: helper.client!.name, told });
  }

  #referenceOf({ author, id }: Said): string {
    const { client } = this.all.find(({ client }) => client?.name === author)!;
    return messageReference(client!.key.publicKey.fingerprint, id);
  }

  #lie(liar: Actor, asker: Actor): void {
    const { random } = this;
    const known = [...this.said.values()];
    const entries: HistoryEntry[] = [0, 1, 2].map((i) => {
      const author = random.pick(this.all.filter(({ client }) => client !== undefined));
      const { fingerprint } = author.client!.key.publicKey;
      const own = known.filter((said) => said.author === author.client!.name);
      const id = own.length > 0 && random.chance(0.5)
        ? random.pick(own).id
        : `${"ab".repeat(7)}0${i}`;
      const isPrivate = random.chance(0.2);
      const to = isPrivate ? asker.client!.key.publicKey.fingerprint : undefined;
      const flags = isPrivate ? 2 : 0;
      const text = `lie ${++this.#words}`;
      return { type: ENTRY.MESSAGE, at: i, sent: 0, id, fingerprint, to, flags, nick: "x", text };
    });
    const bytes = encodeOwnMessage({ type: "give", last: true, entries });
    for (const { name, peer } of liar.client!.membership.roster.members.values()) {
      if (name === asker.client!.name) peer?.send({ type: "own", bytes });
    }
  }

  /** Judges what everybody was shown since the last time. */
  #judge(): void {
    for (const actor of this.all) {
      const { client } = actor;
      if (!client) continue;
      for (const event of client.events.slice(actor.judged)) {
        if (event.event === "chat") this.#judgeChat(client, event);
      }
      actor.judged = client.events.length;
      const own = client.events.filter((event) => event.event === "chat" && !event.hearsay)
        .map((event) => `${(event as ChatEvent).fingerprint} ${(event as ChatEvent).id}`);
      assert.equal(new Set(own).size, own.length, "a message is shown twice");
    }
  }

  #judgeChat(client: TestClient, event: ChatEvent): void {
    const { id, fingerprint, text, hearsay } = event;
    const said = this.said.get(`${fingerprint} ${id}`);
    if (!hearsay) {
      assert.equal(text, said?.texts[0], "what is first-hand is what was said");
      return;
    }
    assert.notEqual(fingerprint, client.name, "the user is told what they have written");
    assert.ok(!event.private, "what others tell is not private");
    this.counts.told++;
    for (const by of hearsay) {
      const helper = this.all.find((actor) => actor.client?.name === by);
      if (helper?.isLiar) {
        this.counts.lies++;
        continue;
      }
      assert.ok(said && said.texts.includes(text), `an honest helper tells of “${text}”`);
      assert.ok(!said.isPrivate, "what is private is handed on");
      if (!this.stayers.includes(helper!)) continue;
      const due = this.due.findLast((each) => each.asker === client && each.by === by);
      assert.equal(due?.told.get(`${fingerprint} ${id}`), text, "it may not be handed on so");
    }
  }

  /** What was to be told was told, by somebody, or came from its author. */
  #judgeDue(): void {
    for (const { asker, by, told } of this.due) {
      // Who has gone before the answer was there has not got it.
      const actor = this.all.find(({ client }) => client === asker);
      if (!actor?.isConnected) continue;
      for (const [name, text] of told) {
        if (name.startsWith(asker.name)) continue;
        const isShown = asker.events.some((event) =>
          event.event === "chat" && `${event.fingerprint} ${event.id}` === name &&
          (!event.hearsay || event.text === text)
        );
        assert.ok(isShown, `${text} of ${by} was not shown`);
      }
    }
  }
}

async function runSeed(seed: number): Promise<Story["counts"]> {
  let counts: Story["counts"] | undefined;
  await TestRoom.use(async (room) => {
    const story = new Story(room, seed);
    await story.run();
    counts = story.counts;
  });
  return counts!;
}

Deno.test("Recap: whoever lies, nothing is told that may not be, and nothing is taken for first-hand", async () => {
  const sum = { told: 0, lies: 0 };
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { told, lies } = await runSeed(seed).catch((error) => {
      throw new Error(`seed ${seed}`, { cause: error });
    });
    sum.told += told;
    sum.lies += lies;
  }
  assert.ok(sum.told > 10 && sum.lies > 3, JSON.stringify(sum));
});

/** Replaces a method of a class while a function runs. */
async function planted<T extends object, Name extends keyof T & string>(
  owner: T,
  name: Name,
  make: (original: T[Name]) => T[Name],
  run: () => Promise<void>,
): Promise<void> {
  const original = owner[name];
  owner[name] = make(original);
  try {
    await run();
  } finally {
    owner[name] = original;
  }
}

const plant = <T extends object, Name extends keyof T & string>(
  owner: T,
  name: Name,
  make: (original: T[Name]) => T[Name],
) =>
(run: () => Promise<void>) => planted(owner, name, make, run);

const FAULTS: Readonly<Record<string, (run: () => Promise<void>) => Promise<void>>> = {
  "the author is not asked": plant(
    Recap.prototype,
    "witnesses",
    (witnesses) =>
      function (this: Recap, member) {
        return witnesses.call(this, { ...member, features: 4 });
      },
  ),
  "a room without a password is one with it": plant(
    HeardMessages.prototype,
    "for",
    (give) =>
      function (this: HeardMessages, asker, now) {
        return give.call(this, { ...asker, hasPassword: true }, now);
      },
  ),
  "strangers are known": plant(
    HeardMessages.prototype,
    "for",
    (give) =>
      function (this: HeardMessages, asker, now) {
        return give.call(this, { ...asker, isKnown: true }, now);
      },
  ),
  "everybody was there": plant(
    HeardMessages.prototype,
    "add",
    (add) =>
      function (this: HeardMessages, entry) {
        return add.call(this, entry, { has: () => true } as unknown as ReadonlySet<string>);
      },
  ),
  "nothing is handed on": plant(HeardMessages.prototype, "for", () => () => []),
  "what is taken back is kept": plant(
    HeardMessages.prototype,
    "note",
    (note) =>
      function (this: HeardMessages, entry, isOpen) {
        if (entry.what !== NOTE.RETRACT) note.call(this, entry, isOpen);
      },
  ),
  "an edit changes nothing": plant(
    HeardMessages.prototype,
    "note",
    (note) =>
      function (this: HeardMessages, entry, isOpen) {
        if (entry.what !== NOTE.EDIT) note.call(this, entry, isOpen);
      },
  ),
  "what is switched off is not forgotten": plant(HeardMessages.prototype, "clear", () => () => {}),
  "what is private is heard": plant(
    Recap.prototype,
    "heard",
    (heard) =>
      function (this: Recap, happening, witnesses) {
        heard.call(this, { ...happening, to: undefined, flags: 0 }, witnesses);
      },
  ),
  "hearsay counts as shown": plant(
    MemberEvents.prototype,
    "showHearsay",
    () =>
      function (this: MemberEvents, { entry }) {
        this.showTold(entry, { missed: true });
      },
  ),
};

for (const [name, withFault] of Object.entries(FAULTS)) {
  Deno.test(`Recap: a planted fault is found: ${name}`, async () => {
    let found = 0;
    await withFault(async () => {
      for (let seed = 1; seed <= FAULT_SEEDS && found === 0; seed++) {
        await runSeed(seed).catch(() => found = seed);
      }
    });
    assert.notEqual(found, 0);
  });
}
