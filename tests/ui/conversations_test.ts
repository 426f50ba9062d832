import assert from "node:assert/strict";
import type { Change, Conversation, FileEntry, MessageEntry } from "../../lib/ui/conversation.ts";
import {
  Conversations,
  MAX_CONVERSATIONS,
  MAX_ENTRIES,
  MAX_TEXT_UNITS,
} from "../../lib/ui/conversations.ts";
import { fileEntry, messageEntry } from "../support/entries.ts";

const BOB = "SHA256:bob";

const NOTICE = { level: "info", text: "hm", hint: "" } as const;

/** A client in a lobby, which is shown, and in another room. */
function makeRooms() {
  const conversations = new Conversations();
  const lobby = conversations.open("room:lobby", "lobby");
  const build = conversations.open("room:build", "build");
  conversations.show(lobby);
  const say = (conversation: Conversation, text: string, some?: Partial<MessageEntry>) =>
    conversations.add<MessageEntry>(conversation, messageEntry({ text, ...some }));
  const counts = () => conversations.list.map(({ unread, urgent }) => [unread, urgent]);
  return { conversations, lobby, build, say, counts };
}

Deno.test("Conversations keeps the numbers of open conversations, and gives free ones again", () => {
  const { conversations, lobby } = makeRooms();
  conversations.open(`person:${BOB}`, "bob");
  const shown = () => conversations.list.map(({ number, title }) => `${number} ${title}`);
  assert.deepEqual(shown(), ["1 lobby", "2 build", "3 bob"]);
  conversations.close(lobby);
  assert.equal(conversations.shown.title, "build");
  assert.deepEqual(shown(), ["2 build", "3 bob"]);
  conversations.open("room:attic", "attic");
  assert.deepEqual(shown(), ["1 attic", "2 build", "3 bob"]);
  conversations.show(conversations.list[2]!);
  conversations.close(conversations.shown);
  assert.equal(conversations.shown.title, "build", "the one before it is shown");
  for (const conversation of [...conversations.list]) conversations.close(conversation);
  assert.deepEqual(shown(), ["2 build"], "the last one stays");
});

Deno.test("What was said before there was a room stands at the beginning of the first one", () => {
  const conversations = new Conversations();
  conversations.addNotice(conversations.shown, { ...NOTICE, text: "early" }, 0);
  assert.equal(conversations.shown.title, "Hearth");
  const lobby = conversations.open("room:lobby", "lobby");
  conversations.addNotice(lobby, { ...NOTICE, text: "late" }, 0);
  conversations.show(lobby);
  assert.deepEqual(conversations.list, [lobby]);
  assert.deepEqual(lobby.entries.map(({ text }) => text), ["early", "late"]);
  assert.deepEqual([lobby.unread, conversations.firstNew(lobby)], [0, undefined]);
});

Deno.test("Conversations counts what others write while they are not before the user", () => {
  const { conversations, lobby, build, say, counts } = makeRooms();
  const bob = conversations.open(`person:${BOB}`, "bob");
  say(lobby, "seen");
  say(build, "one");
  say(build, "anna?", { mention: true });
  say(build, "mine", { own: true });
  conversations.addNotice(build, NOTICE, 0);
  say(bob, "private");
  assert.deepEqual(counts(), [[0, 0], [2, 1], [1, 1]]);
  conversations.look(false);
  say(lobby, "while away");
  assert.deepEqual(counts(), [[1, 0], [2, 1], [1, 1]]);
  conversations.look(true);
  conversations.show(build);
  assert.deepEqual(counts(), [[0, 0], [0, 0], [1, 1]]);
});

Deno.test("Conversations counts an offer as urgent, until it was answered as nothing new", () => {
  const { conversations, build, counts } = makeRooms();
  const add = (entry: FileEntry) => conversations.add<FileEntry>(build, entry);
  const offer = add(fileEntry());
  add(fileEntry({ own: true }));
  add(fileEntry({}, { state: "moving" }));
  assert.deepEqual(counts()[1], [1, 1]);
  assert.equal(conversations.firstNew(build), offer.seq);
  offer.transfers[0]!.state = "done";
  conversations.changed(build, offer);
  assert.equal(conversations.firstNew(build), undefined);
});

Deno.test("Conversations counts an own message that was not received where the user does not see it", () => {
  const { conversations, lobby, build, say, counts } = makeRooms();
  for (const conversation of [lobby, build]) {
    const entry = say(conversation, "mine", { own: true, delivery: { state: "waiting" } });
    entry.delivery = { state: "failed", missing: ["bob"] };
    conversations.failed(conversation, entry);
  }
  assert.deepEqual(counts(), [[0, 0], [1, 1]]);
});

Deno.test("The new line stands above what one has not seen until one turns away", () => {
  const { conversations, lobby, build, say } = makeRooms();
  say(lobby, "seen");
  assert.equal(conversations.firstNew(lobby), undefined);
  conversations.addNotice(build, NOTICE, 0);
  say(build, "mine", { own: true });
  const { seq } = say(build, "new");
  say(build, "newer");
  conversations.show(build);
  say(build, "while one looks");
  say(build, "mine", { own: true });
  assert.equal(conversations.firstNew(build), seq, "neither looking nor sending moves it");
  conversations.show(lobby);
  assert.equal(conversations.firstNew(build), undefined);
  conversations.look(false);
  const away = say(lobby, "while away").seq;
  conversations.look(true);
  say(lobby, "back");
  assert.equal(conversations.firstNew(lobby), away);
  conversations.look(false);
  assert.equal(conversations.firstNew(lobby), undefined);
});

Deno.test("showUnread goes through what is unread, urgent first, and then back", () => {
  const { conversations, lobby, build, say } = makeRooms();
  const bob = conversations.open(`person:${BOB}`, "bob");
  say(build, "one");
  say(bob, "private");
  const steps = [bob, build, lobby, lobby];
  for (const expected of steps) {
    conversations.showUnread();
    assert.equal(conversations.shown, expected);
  }
  say(bob, "private");
  conversations.showUnread();
  conversations.show(build);
  conversations.showUnread();
  assert.equal(conversations.shown, build, "who turns elsewhere is not taken back");
});

Deno.test("Conversations tells its listeners what has changed", () => {
  const { conversations, lobby, build, say } = makeRooms();
  const changes: Change[] = [];
  conversations.listen((change) => changes.push(change));
  const entry = say(lobby, "hi");
  const note = { what: "edit", by: { fingerprint: BOB, nick: "bob" }, text: "ho", before: "hi" };
  entry.text = "ho";
  conversations.changed(lobby, entry, { ...note, what: "edit" });
  conversations.remark(lobby, NOTICE);
  conversations.setPeople(lobby, []);
  conversations.show(build);
  conversations.show(build);
  conversations.look(true);
  assert.deepEqual(changes, [
    { type: "entry", conversation: lobby, entry, isNew: true },
    { type: "entry", conversation: lobby, entry, isNew: false, note },
    { type: "remark", conversation: lobby, notice: NOTICE },
    { type: "people", conversation: lobby },
    { type: "list" },
  ]);
  assert.equal(entry.version, 1);
});

Deno.test("Conversations finds a message by its sender and id, the newest without a sender", () => {
  const { conversations, lobby, say } = makeRooms();
  const id = "1".repeat(16);
  const first = say(lobby, "first", { id });
  const copy = say(lobby, "copied id", { id, from: "SHA256:mallory" });
  assert.equal(conversations.findMessage(lobby, { id, of: BOB }), first);
  assert.equal(conversations.findMessage(lobby, { id }), copy);
  assert.equal(conversations.findMessage(lobby, { id, of: "SHA256:carl" }), undefined);
});

Deno.test("Conversations keeps a bounded number of entries, the newest", () => {
  const { conversations, lobby, say } = makeRooms();
  for (let i = 0; i <= MAX_ENTRIES; i++) say(lobby, String(i));
  assert.ok(lobby.entries.length <= MAX_ENTRIES);
  assert.equal(lobby.entries.at(-1)!.text, String(MAX_ENTRIES));
  conversations.clear(lobby);
  assert.equal(lobby.entries.length, 0);
});

Deno.test("Conversations keeps a bounded amount of text, edits included", () => {
  const { conversations, lobby, say } = makeRooms();
  const units = () => lobby.entries.reduce((sum, { text }) => sum + text.length, 0);
  const text = "x".repeat(8192);
  for (let i = 0; i < 300; i++) say(lobby, text);
  assert.ok(units() <= MAX_TEXT_UNITS);
  assert.ok(units() > MAX_TEXT_UNITS - 2 * text.length);
  conversations.clear(lobby);
  const small = Array.from({ length: 300 }, () => say(lobby, "x"));
  const by = { fingerprint: BOB, nick: "bob" };
  for (const entry of small) {
    entry.text = text;
    conversations.changed(lobby, entry, { what: "edit", by, text, before: "x" });
  }
  assert.ok(units() <= MAX_TEXT_UNITS);
});

Deno.test("With too many conversations, the person's that matters least is closed", () => {
  const { conversations, lobby, say } = makeRooms();
  const persons = Array.from(
    { length: MAX_CONVERSATIONS - 2 },
    (_, i) => conversations.open(`person:SHA256:${i}`, `p${i}`),
  );
  const [quiet, unread, draft] = [persons[2]!, persons[0]!, persons[1]!];
  for (const person of persons) {
    if (person !== quiet) say(person, "mine", { own: true });
  }
  say(unread, "theirs");
  draft.draft = { text: "not sent yet", cursor: 0 };
  conversations.open("room:attic", "attic");
  assert.equal(conversations.list.includes(quiet), false);
  conversations.open("room:cellar", "cellar");
  assert.ok([unread, draft, lobby].every((other) => conversations.list.includes(other)));
  assert.equal(conversations.list.length, MAX_CONVERSATIONS);
});

Deno.test("Over random sequences, what is counted is what the user has not had before them", () => {
  let state = 7;
  const random = (below: number) => (state = (state * 48271) % 2147483647) % below;
  const { conversations, lobby, build, say } = makeRooms();
  const all = [lobby, build, conversations.open(`person:${BOB}`, "bob")];
  const expected = new Map(all.map((each) => [each, { unread: 0, urgent: 0 }]));
  const read = () => {
    if (conversations.isLooking && conversations.shown.kind !== "client") {
      expected.set(conversations.shown, { unread: 0, urgent: 0 });
    }
  };
  for (let step = 0; step < 2000; step++) {
    const conversation = all[random(3)]!;
    switch (random(4)) {
      case 0:
        conversations.show(conversation);
        read();
        break;
      case 1:
        conversations.look(random(2) === 0);
        read();
        break;
      default: {
        const mention = random(3) === 0;
        const own = random(3) === 0;
        say(conversation, "x", { mention, own });
        if (own || conversations.isWatched(conversation)) break;
        const { unread, urgent } = expected.get(conversation)!;
        const isUrgent = mention || conversation.kind === "person";
        expected.set(conversation, { unread: unread + 1, urgent: urgent + Number(isUrgent) });
      }
    }
    for (const [{ unread, urgent }, wanted] of expected) {
      assert.deepEqual({ unread, urgent }, wanted);
    }
    for (const each of all) {
      const first = conversations.firstNew(each);
      if (each.unread > 0) assert.ok(first !== undefined && first > each.readUpTo);
    }
  }
});
