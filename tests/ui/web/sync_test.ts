/** Whatever changes, and wherever its socket is cut, a page has what the model has. */
import { deepEqual, equal, ok } from "node:assert/strict";
import type { Conversation, MessageEntry, Person } from "../../../lib/ui/conversation.ts";
import { Conversations, type Draft, MAX_ENTRIES } from "../../../lib/ui/conversations.ts";
import {
  entryOf,
  FIRST_ENTRIES,
  type Follower,
  MAX_BEHIND,
  Sync,
  type Told,
} from "../../../lib/ui/web/sync.ts";

const SELF = { fingerprint: "SHA256:anna", nick: "anna", away: "" };

function makeMessage(text: string): Draft<MessageEntry> {
  return {
    ...{ type: "message", id: "1", at: 0, from: "SHA256:bob", nick: "bob", trust: "new" },
    ...{ own: false, via: "lobby", action: false, text, mention: false, view: "same" },
    ...{ reactions: new Map(), edited: false, retracted: false },
  } as Draft<MessageEntry>;
}

function makePerson(nick: string): Person {
  return { fingerprint: "SHA256:bob", nick, trust: "new", away: "", here: true, ignored: false };
}

/** What JSON leaves of a value. */
function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value));
}

// deno-lint-ignore no-explicit-any -- as it comes over the socket
type Json = any;

/** The least that a page does with what it is told. */
class Page {
  have = 0;
  open: string[] = [];
  readonly heads = new Map<string, Json>();
  readonly people = new Map<string, Json>();
  readonly entries = new Map<string, Json[]>();
  /** Where begins what it holds of a conversation. */
  readonly from = new Map<string, number>();
  #isLive = false;

  ready({ fresh }: Follower): void {
    this.#isLive = !fresh;
    if (!fresh) return;
    this.have = 0;
    this.open = [];
    for (const map of [this.heads, this.people, this.entries, this.from]) map.clear();
  }

  take(told: Told): void {
    const message: Json = plain(told);
    const { type, rev } = message;
    if (type === "live") this.#isLive = true;
    else if (type === "list") this.#takeList(message.open);
    else if (type === "conversation") this.#takeHead(message);
    else if (type === "people") this.people.set(message.conversation, message.people);
    else if (type === "entry") this.#takeEntry(message);
    if (this.#isLive) this.have = rev;
  }

  #takeList(open: string[]): void {
    this.open = open;
    for (const map of [this.heads, this.people, this.entries, this.from]) {
      for (const id of map.keys()) if (!open.includes(id)) map.delete(id);
    }
  }

  #takeHead({ type: _type, rev: _rev, from, ...head }: Json): void {
    const { id, first } = head;
    this.heads.set(id, head);
    this.from.set(id, from ?? this.from.get(id) ?? 0);
    this.entries.set(id, (this.entries.get(id) ?? []).filter(({ seq }) => seq >= first));
  }

  #takeEntry({ conversation, entry }: Json): void {
    const entries = this.entries.get(conversation) ?? [];
    this.entries.set(conversation, entries);
    const at = entries.findLastIndex(({ seq }) => seq <= entry.seq);
    if (entries[at]?.seq === entry.seq) entries[at] = entry;
    else if (entry.seq >= (this.from.get(conversation) ?? 0)) entries.splice(at + 1, 0, entry);
  }
}

/** @throws If a page does not have what the model has. */
function checkSame(page: Page, { list }: Conversations): void {
  deepEqual(page.open, list.map(({ id }) => id));
  for (const conversation of list) {
    const { id, entries, people, ...head } = conversation;
    const { first, ...told } = page.heads.get(id);
    deepEqual(told, plain({ id, ...head }));
    if (entries.length > 0) equal(first, entries[0]!.seq);
    deepEqual(page.people.get(id), plain(people));
    const held = page.entries.get(id) ?? [];
    const from = held[0]?.seq ?? Infinity;
    deepEqual(held, plain(entries.filter(({ seq }) => seq >= from).map(entryOf)));
    ok(held.length >= Math.min(FIRST_ENTRIES, entries.length), `only ${held.length} are held`);
  }
}

function drain(page: Page, place: Follower, most = Infinity): number {
  let count = 0;
  for (let told; count < most && (told = place.next()) !== undefined; count++) page.take(told);
  return count;
}

function makeSync() {
  const model = new Conversations();
  let self = SELF;
  const sync = new Sync(model, () => self, () => {});
  return { model, sync, rename: (nick: string) => self = { ...self, nick } };
}

function connect(sync: Sync, page: Page): Follower {
  const place = sync.follow(page.have);
  page.ready(place);
  return place;
}

/** The same numbers in each run. */
function makeRandom(seed: number): (below: number) => number {
  return (below) => (seed = (seed * 48_271) % 2_147_483_647) % below;
}

const ROUNDS = 30;

Deno.test("a page equals the model after any changes, cuts and reloads", () => {
  let fresh = 0;
  let resumed = 0;
  for (let round = 1; round <= ROUNDS; round++) {
    const random = makeRandom(round);
    const { model, sync } = makeSync();
    model.show(model.open("room:0", "x")); // as when there is a session
    const pages = [0, 1, 2].map(() => ({
      page: new Page(),
      place: undefined as Follower | undefined,
    }));
    const change = () => {
      const conversation = model.list[random(model.list.length)]!;
      const { entries } = conversation;
      const entry = entries[random(entries.length || 1)] as MessageEntry | undefined;
      switch (random(12)) {
        case 0:
          return void model.open(
            random(2) === 0 ? `room:${random(6)}` : `person:${random(6)}`,
            "x",
          );
        case 1:
          return model.close(conversation);
        case 2:
          return model.show(conversation);
        case 3:
          return model.look(random(2) === 0);
        case 4:
          return model.setPeople(conversation, [makePerson(String(random(9)))]);
        case 5:
          return random(9) === 0 ? model.clear(conversation) : undefined;
        case 6:
          conversation.draft = { text: String(random(9)), cursor: 0 };
          return model.changedList();
        case 7: {
          const by = { fingerprint: "SHA256:carl", nick: "carl" };
          const what = random(2) === 0 ? "edit" : "reaction";
          return entry &&
            model.annotate(conversation, entry, { what, by, text: String(random(99)) });
        }
        default: {
          const count = random(40) === 0 ? MAX_BEHIND : 1;
          for (let i = 0; i < count; i++) model.add(conversation, makeMessage(String(random(99))));
        }
      }
    };
    for (let step = 0; step < 120; step++) {
      change();
      const each = pages[random(3)]!;
      if (random(6) === 0) each.place = undefined; // cut, anywhere
      if (random(40) === 0) Object.assign(each, { page: new Page(), place: undefined });
      if (each.place === undefined) {
        each.place = connect(sync, each.page);
        if (each.place.fresh) fresh++;
        else resumed++;
      }
      drain(each.page, each.place, random(30));
    }
    for (const { page, place } of pages) {
      drain(page, place ?? connect(sync, page));
      checkSame(page, model);
    }
  }
  ok(fresh > ROUNDS && resumed > ROUNDS, `${fresh} began anew, ${resumed} went on`);
});

Deno.test("what was said before there was a conversation is told where it stands then", () => {
  const { model, sync } = makeSync();
  const early = new Page();
  const place = connect(sync, early);
  model.addNotice(model.shown, { level: "info", text: "hello", hint: "" }, 0);
  drain(early, place);
  const room = model.open("room:lobby", "lobby");
  model.show(room);
  drain(early, place);
  checkSame(early, model);
  equal(early.entries.get("room:lobby")![0].text, "hello");
});

Deno.test("a page that does not read is told once what has changed ten times", () => {
  const { model, sync } = makeSync();
  const room = model.open("room:lobby", "lobby");
  const page = new Page();
  const place = connect(sync, page);
  const entry = model.add<MessageEntry>(room, makeMessage("0"));
  drain(page, place);
  for (let i = 1; i <= 10; i++) {
    entry.text = String(i);
    model.changed(room, entry);
  }
  equal(drain(page, place), 1);
  equal(page.entries.get(room.id)![0].text, "10");
});

Deno.test("a page begins anew when it is more than MAX_BEHIND changes behind, and not before", () => {
  const { model, sync } = makeSync();
  const room = model.open("room:lobby", "lobby");
  for (let i = 0; i < MAX_BEHIND; i++) model.add(room, makeMessage("x"));
  const page = new Page();
  drain(page, connect(sync, page));
  for (const entry of room.entries) model.changed(room, entry);
  equal(sync.rev, page.have + MAX_BEHIND);
  equal(sync.follow(page.have).fresh, false);
  equal(sync.follow(page.have - 1).fresh, true);
});

Deno.test("a page that names a rev that is none begins anew", () => {
  const { sync } = makeSync();
  for (const have of [0, -1, sync.rev + 1]) equal(sync.follow(have).fresh, true, `${have}`);
  equal(sync.follow(sync.rev).fresh, false);
});

Deno.test("what is remembered stays within what the model keeps", () => {
  const { model, sync } = makeSync();
  const room = model.open("room:lobby", "lobby");
  for (let i = 0; i < MAX_ENTRIES + 1000; i++) model.add(room, makeMessage("x"));
  const page = new Page();
  drain(page, connect(sync, page));
  checkSame(page, model);
  // All of it, as one who was there at the beginning of what is kept would get it.
  const first = room.entries[0]!.seq;
  equal(page.heads.get(room.id).first, first);
});

Deno.test("people and the user are told only when they change", () => {
  const { model, sync, rename } = makeSync();
  const room = model.open("room:lobby", "lobby");
  model.setPeople(room, [makePerson("bob")]);
  const before = sync.rev;
  model.setPeople(room, [makePerson("bob")]);
  sync.compareSelf();
  equal(sync.rev, before);
  rename("anne");
  sync.compareSelf();
  equal(sync.rev, before + 1);
});

Deno.test("no path of the disk is told", () => {
  const model = new Conversations();
  const room: Conversation = model.open("room:lobby", "lobby");
  const entry = model.add(room, {
    ...{ type: "file", at: 0, number: 1, from: "SHA256:bob", nick: "bob", trust: "new" },
    ...{ own: false, kind: "file", name: "a.png", size: 3, text: "offers a.png", files: 1 },
    ...{ executable: false, transfers: [], folder: "/secret", kept: "/secret/a.png" },
  } as unknown as Draft<MessageEntry>);
  ok(!JSON.stringify(entryOf(entry)).includes("/secret"));
});
