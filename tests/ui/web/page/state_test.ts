import { deepEqual, equal, ok } from "node:assert/strict";
import type { Entry, MessageEntry, Person } from "../../../../lib/ui/conversation.ts";
import { Conversations, MAX_ENTRIES } from "../../../../lib/ui/conversations.ts";
import { type Change, State } from "../../../../lib/ui/web/page/state.js";
import {
  entryOf,
  FIRST_ENTRIES,
  type Follower,
  MAX_BEHIND,
  Sync,
} from "../../../../lib/ui/web/sync.ts";
import { messageEntry } from "../../../support/entries.ts";

const SELF = { fingerprint: "SHA256:anna", nick: "anna", away: "" };

function person(nick: string): Person {
  return {
    fingerprint: `SHA256:${nick}`,
    nick,
    trust: "new",
    away: "",
    here: true,
    ignored: false,
  };
}

function says(model: Conversations, conversation = model.list[0]!, text = "hello"): MessageEntry {
  const { seq: _seq, version: _version, ...draft } = messageEntry({ text });
  return model.add<MessageEntry>(conversation, draft);
}

/** A page that is told by the real program's side what changes, over a socket that may be cut anywhere. */
class Reader {
  state = new State();
  isWhole = false;
  readonly #model: Conversations;
  readonly #sync: Sync;
  #follower: Follower | undefined;

  constructor(model: Conversations, sync: Sync) {
    this.#model = model;
    this.#sync = sync;
  }

  cut(): void {
    this.#follower = undefined;
  }

  reload(): void {
    this.state = new State();
    this.cut();
  }

  /** Takes in as much as it is told, or `most` messages. */
  read(most = Infinity): (Change | undefined)[] {
    const changes: (Change | undefined)[] = [];
    const take = (message: unknown) => changes.push(this.state.take(structuredClone(message)));
    if (this.#follower === undefined) {
      const { fresh } = this.#follower = this.#sync.follow(this.state.have);
      take({ type: "ready", rev: this.#sync.rev, fresh, shown: this.#model.shown.id });
    }
    for (let n = 0; n < most; n++) {
      const message = this.#follower.next();
      if (message === undefined) break;
      take(message);
    }
    return changes;
  }
}

/** What JSON makes of a value. */
const asJson = (value: unknown) => JSON.parse(JSON.stringify(value));

/** Holds a page against the model. */
function compare({ state }: Reader, model: Conversations): void {
  deepEqual(state.open, model.list.map(({ id }) => id));
  for (const conversation of model.list) {
    const { entries, people, ...head } = conversation;
    const held = state.of(conversation.id);
    const { entries: heldEntries, people: heldPeople, first, from: _from, ...heldHead } = held;
    deepEqual(asJson(heldHead), asJson(head));
    if (entries.length > 0) equal(first, entries[0]!.seq);
    deepEqual(asJson(heldPeople), asJson(people));
    const oldest = heldEntries[0]?.seq ?? Infinity;
    deepEqual(
      asJson(heldEntries),
      asJson(entries.filter(({ seq }) => seq >= oldest).map(entryOf)),
    );
    ok(heldEntries.length >= Math.min(FIRST_ENTRIES, entries.length));
  }
}

/** The same numbers for the same seed. */
function makeRandom(seed: number): (below: number) => number {
  return (below) => (seed = (seed * 48271) % 2147483647) % below;
}

Deno.test("after any changes, cuts and reloads a page holds what the model holds", () => {
  const random = makeRandom(7);
  for (let round = 0; round < 15; round++) {
    const model = new Conversations();
    const sync = new Sync(model, () => SELF, () => {});
    const readers = [new Reader(model, sync), new Reader(model, sync)];
    for (let step = 0; step < 150; step++) {
      const conversation = model.list[random(model.list.length)]!;
      const entry = conversation.entries[random(conversation.entries.length || 1)];
      switch (random(11)) {
        case 0:
          if (model.list.length < 6) model.open(`room:${random(9)}`, "a room");
          break;
        case 1:
          model.close(conversation);
          break;
        case 2:
          model.show(conversation);
          break;
        case 3:
          model.look(random(2) === 0);
          break;
        case 4:
          model.setPeople(conversation, [person(String(random(5)))]);
          break;
        case 5:
          if (random(9) === 0) model.clear(conversation);
          conversation.retryAt = random(2) === 0 ? random(1e6) : undefined;
          model.changedList();
          break;
        case 6:
          if (entry?.type !== "message") break;
          model.annotate(conversation, entry, { what: "edit", by: SELF, text: String(step) });
          break;
        default:
          for (let n = random(60) === 0 ? MAX_BEHIND + 9 : 1; n > 0; n--) says(model, conversation);
      }
      const reader = readers[random(2)]!;
      if (random(8) === 0) reader.cut();
      if (random(40) === 0) reader.reload();
      reader.read(random(30));
    }
    for (const reader of readers) {
      // A page that was cut before it knew everything begins again.
      if (!reader.state.isLive) reader.cut();
      reader.read();
      compare(reader, model);
    }
  }
});

function start(): { model: Conversations; reader: Reader; lobby: Conversations["shown"] } {
  const model = new Conversations();
  const lobby = model.open("room:lobby", "lobby");
  model.show(lobby);
  const reader = new Reader(model, new Sync(model, () => SELF, () => {}));
  return { model, reader, lobby };
}

Deno.test("a page shows what the program shows, and is told when that is over", () => {
  const { model, reader } = start();
  const other = model.open("room:other", "other");
  equal(reader.read().at(-1)?.type, "live");
  equal(reader.state.place, "room:lobby");
  equal(reader.state.here.title, "lobby");
  reader.state.place = "room:other";
  model.close(other);
  deepEqual(reader.read().filter((change) => change?.type === "closed").length, 1);
});

Deno.test("a conversation that is not open is empty, and is not closed by what else is", () => {
  const { model, reader, lobby } = start();
  model.setPeople(lobby, [person("bob")]);
  const other = model.open("room:other", "other");
  reader.read();
  const { state } = reader;
  state.place = "person:SHA256:bob";
  deepEqual(
    [state.here.kind, state.here.title, state.here.people.length, state.here.entries.length],
    ["person", "bob", 1, 0],
  );
  model.close(other);
  ok(reader.read().every((change) => change?.type !== "closed"));
  equal(state.place, "person:SHA256:bob");
});

Deno.test("entries are told as new, as changed, or as coming between", () => {
  const { model, reader, lobby } = start();
  const first = says(model);
  reader.read();
  const hows = () =>
    reader.read().flatMap((change) => change?.type === "entry" ? [change.how] : []);
  says(model);
  deepEqual(hows(), ["new"]);
  model.changed(lobby, first);
  deepEqual(hows(), ["changed"]);
  reader.cut();
  const missed = says(model);
  says(model);
  model.changed(lobby, missed);
  deepEqual(hows(), ["new", "between"]);
  deepEqual(reader.state.of("room:lobby").entries.map(({ seq }) => seq), [1, 2, 3, 4]);
});

Deno.test("earlier entries are asked for, and stand before the others", () => {
  const { model, reader, lobby } = start();
  for (let n = 0; n < FIRST_ENTRIES + 50; n++) says(model);
  reader.read();
  const { state } = reader;
  ok(state.hasEarlier(state.here));
  equal(state.here.entries.length, FIRST_ENTRIES);
  // One that is not held is not taken out of turn.
  model.changed(lobby, lobby.entries[3]!);
  deepEqual(reader.read().filter((change) => change?.type === "entry"), []);
  const older = lobby.entries.slice(0, 60).toReversed().map(entryOf) as unknown as Entry[];
  state.takeEarlier("room:lobby", structuredClone(older) as never);
  ok(!state.hasEarlier(state.here));
  deepEqual(
    state.here.entries.map(({ seq }) => seq),
    lobby.entries.map(({ seq }) => seq),
  );
});

Deno.test("what the program drops is forgotten", () => {
  const { model, reader, lobby } = start();
  says(model);
  reader.read();
  for (let n = 0; n < MAX_ENTRIES; n++) says(model);
  reader.read();
  ok(reader.state.here.entries[0]!.seq! >= lobby.entries[0]!.seq);
  model.clear(lobby);
  deepEqual(reader.read().some((change) => change?.type === "log"), true);
  deepEqual(reader.state.here.entries, []);
});

Deno.test("somebody is found in any conversation, where they are here first", () => {
  const { model, reader, lobby } = start();
  const bob = person("bob");
  model.setPeople(model.open("person:SHA256:bob", "bob"), [{ ...bob, here: false }]);
  reader.read();
  equal(reader.state.person(bob.fingerprint)?.here, false);
  model.setPeople(lobby, [bob]);
  reader.read();
  equal(reader.state.person(bob.fingerprint)?.here, true);
  equal(reader.state.person("SHA256:nobody"), undefined);
});
