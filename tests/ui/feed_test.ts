import assert from "node:assert/strict";
import type {
  ChatEvent,
  KnownPeers,
  NoteEvent,
  Session,
  SessionEvent,
} from "../../lib/session/mod.ts";
import {
  type Change,
  type Conversation,
  type MessageEntry,
  type NoticeEntry,
  personId,
} from "../../lib/ui/conversation.ts";
import { ConversationLog } from "../../lib/ui/conversation_log.ts";
import { Conversations } from "../../lib/ui/conversations.ts";
import { Feed } from "../../lib/ui/feed.ts";
import { ServerWords } from "../../lib/ui/server_words.ts";
import { FakeClock } from "../support/fake_clock.ts";

const WELCOME: SessionEvent = { event: "welcome", room: "lobby", members: 0, authenticated: "key" };
const ANNA = "SHA256:anna";
const BOB = { nick: "bob", fingerprint: "SHA256:bob" };
const JOINED: SessionEvent = { event: "joined", ...BOB, trust: "known", weak: false };
const MESSAGE: ChatEvent = {
  event: "chat",
  id: "0".repeat(16),
  ...BOB,
  sent: "2026-01-01T00:00:00.000Z",
  private: false,
  action: false,
  late: false,
  view: "same",
  text: "hi",
};
const NOTE: NoteEvent = {
  event: "note",
  ref: MESSAGE.id,
  ...BOB,
  private: false,
  what: "reaction",
  text: "👍",
};

/** The feed of a room where bob receives nothing, and the conversations that it fills. */
function makeFeed({ ignored = [] as string[] } = {}) {
  const clock = new FakeClock();
  const conversations = new Conversations();
  const room = conversations.open("room:lobby", "lobby");
  conversations.show(room);
  const missing = ["SHA256:bob"];
  const people = [{ ...BOB, trust: "known", away: "" }];
  const hidden = new Set<string>();
  const feed = new Feed({
    clock,
    conversations,
    room,
    context: {
      knownPeers: { judge: () => "new" } as unknown as KnownPeers,
      session: {
        nick: "anna",
        away: "",
        people: () => people,
        missing: () => missing,
        isWaiting: (id: string) => id === "waiting",
      } as unknown as Session,
      fingerprint: ANNA,
      serving: true,
      strict: false,
      fileFolder: "~/Downloads",
      showPath: (path) => path.replace("/me", "~"),
    },
    words: new ServerWords(clock),
    isFirst: true,
    openPerson: ({ fingerprint, nick }) => conversations.open(personId(fingerprint), nick),
    hides: (level) => hidden.has(level),
    ignores: (fingerprint) => ignored.includes(fingerprint),
  });
  const texts = (conversation: Conversation = room) => conversation.entries.map(({ text }) => text);
  const message = (id: string, conversation: Conversation = room) =>
    conversations.findMessage(conversation, { id })!;
  const remarks: string[] = [];
  const changes: Change[] = [];
  conversations.listen((change) => {
    changes.push(change);
    if (change.type === "remark") remarks.push(change.notice.text);
  });
  const take = (...events: SessionEvent[]) => events.forEach((event) => feed.take(event));
  return {
    clock,
    conversations,
    room,
    feed,
    texts,
    message,
    remarks,
    changes,
    take,
    missing,
    people,
    hidden,
  };
}

const SENT = { text: "hello", action: false, to: undefined };
const sent = (id: string, to: string[]): SessionEvent => (
  { event: "sent", id, text: "hello", private: false, action: false, to }
);

Deno.test("Feed shows the last of one's own history, which is not new, and not answered", () => {
  const { take, room, texts, conversations } = makeFeed();
  conversations.look(false);
  const past = { ...MESSAGE, history: true, at: "2026-11-28T22:10:00.000Z" } as const;
  const own = { own: true, fingerprint: ANNA, nick: "anna" } as const;
  const [first, second] = [past.id, "2".padStart(16, "0")];
  take({
    event: "history",
    entries: [
      { ...past, text: "anna: hello\nall" },
      { ...past, ...own, id: second, text: "secret", private: true, to: [BOB.fingerprint] },
      { ...past, id: "3".padStart(16, "0"), text: "both", reply: first, private: true },
      { ...past, id: "4".padStart(16, "0"), text: "gone", reply: second },
      { ...past, id: "5".padStart(16, "0"), at: "2026-11-29T07:00:00.000Z", reply: "f".repeat(16) },
      { ...NOTE, ref: first, what: "edit", text: "hello\nyou" },
      { ...NOTE, ref: first, text: "👍" },
      { ...NOTE, ref: first, fingerprint: ANNA, nick: "anna", text: "👍" },
      { ...NOTE, ref: second, of: BOB.fingerprint, what: "retraction", text: "" },
      { ...NOTE, ref: second, of: ANNA, fingerprint: ANNA, what: "retraction", text: "" },
      { ...NOTE, ref: "e".repeat(16), text: "👍" },
    ],
  });
  const messages = room.entries.filter((entry) => entry.type === "message");
  assert.deepEqual(texts(), [
    ...["hello\nyou", "", "both", "gone", "hi"],
    "until here it is your own history",
  ]);
  assert.deepEqual(messages.map(({ past }) => past), [
    ...["", "private to SHA256:bob", "private", "", ""],
  ]);
  assert.deepEqual(messages.map(({ quote }) => quote?.text), [
    ...[undefined, undefined, "hello\nyou", "", ""],
  ]);
  assert.deepEqual(messages[0]!.reactions.get("👍")!.map(({ nick }) => nick), ["bob", "anna"]);
  assert.deepEqual(messages.map(({ edited, retracted }) => [edited, retracted]).slice(0, 2), [
    [true, false],
    [false, true],
  ]);
  // Day lines stand where they belong.
  const [day, next] = [past.at, "2026-11-29T07:00:00.000Z"].map((at) => Date.parse(at));
  assert.deepEqual(room.entries.map(({ at }) => at), [day, day, day, day, next, next]);
  assert.deepEqual([room.unread, room.urgent, conversations.firstNew(room)], [0, 0, undefined]);
  const log = new ConversationLog(conversations, room, { fingerprint: ANNA, nick: "anna" });
  assert.equal(log.back(1), undefined);
  take({ ...MESSAGE, id: second, text: "new" });
  assert.equal(log.back(1)!.text, "new");
  assert.equal(log.back(2), undefined);
  assert.equal(log.newest({ isOwn: true }), undefined);
  assert.deepEqual([room.unread, conversations.firstNew(room)], [1, room.entries.at(-1)!.seq]);
  take({ event: "history", entries: [] });
  assert.equal(room.entries.length, 7);
});

Deno.test("Feed turns events into entries of the room", () => {
  const { take, texts, room, message, feed } = makeFeed();
  take(WELCOME, { ...JOINED, trust: "new" } as SessionEvent, MESSAGE);
  take({ event: "lost", ...BOB, count: 2 });
  take({ event: "nick", from: "bob", nick: "rob", fingerprint: BOB.fingerprint });
  take({ event: "topic", text: "the weather" });
  assert.deepEqual(texts(), [
    "you are in lobby, alone so far",
    "bob has joined with a new key: SHA256:bob",
    "hi",
    "2 messages from bob were lost",
    "bob is now rob",
    "the topic is: the weather",
  ]);
  assert.equal(room.topic, "the weather");
  const { from, nick, trust, own, mention, via, late } = message(MESSAGE.id);
  assert.deepEqual({ from, nick, trust, own, mention, via, late }, {
    from: BOB.fingerprint,
    nick: "bob",
    trust: "new",
    own: false,
    mention: false,
    via: "lobby",
    late: undefined,
  });
  assert.equal(feed.trustOf(BOB.fingerprint), "new", "a key first seen in this run stays new");
});

Deno.test("Feed marks mentions, and what is late", () => {
  const { take, message } = makeFeed();
  take({ ...MESSAGE, text: "Anna?" }, { ...MESSAGE, id: "2", late: true });
  assert.equal(message(MESSAGE.id).mention, true);
  assert.equal(message("2").late, MESSAGE.sent);
});

Deno.test("Feed says who is here: the user, then the most recent speaker first", () => {
  const { take, room, people } = makeFeed({ ignored: ["SHA256:carl"] });
  const carl = { nick: "carl", fingerprint: "SHA256:carl", trust: "known", away: "tea" };
  people.push(carl);
  take(WELCOME, JOINED, { ...JOINED, ...carl, trust: "verified" } as SessionEvent);
  const nicks = () => room.people.map(({ nick }) => nick);
  assert.deepEqual(nicks(), ["anna", "bob", "carl"]);
  take({ ...MESSAGE, ...carl });
  assert.deepEqual(nicks(), ["anna", "carl", "bob"]);
  assert.deepEqual(room.people.slice(0, 2), [
    { fingerprint: ANNA, nick: "anna", trust: "self", away: "", here: true, ignored: false },
    { ...carl, here: true, ignored: true },
  ]);
});

Deno.test("Feed shows what is private in the conversation with that person", () => {
  const { take, texts, conversations, feed } = makeFeed();
  take(MESSAGE);
  assert.equal(conversations.find("person:SHA256:bob"), undefined, "others do not open one");
  take({ ...MESSAGE, id: "2", private: true, text: "psst" });
  const bob = conversations.find("person:SHA256:bob")!;
  feed.accept("3", { ...SENT, to: BOB });
  assert.deepEqual(texts(bob), ["psst", "hello"]);
  assert.deepEqual(texts(), ["hi"]);
  take({ ...NOTE, private: true, ref: "2", what: "edit", text: "pst" });
  assert.deepEqual(texts(bob), ["pst", "hello"]);
  take({ event: "nick", from: "bob", nick: "rob", fingerprint: BOB.fingerprint });
  const { text, about } = bob.entries.at(-1) as NoticeEntry;
  assert.deepEqual([text, about], ["bob is now rob", BOB.fingerprint], "the room has it, too");
});

Deno.test("Feed warns of a key in the conversation with whoever has that nick, too, once", () => {
  const { take, texts, conversations } = makeFeed();
  take({ ...MESSAGE, private: true });
  const bob = conversations.find("person:SHA256:bob")!;
  const mallory: SessionEvent = {
    event: "joined",
    nick: "Bob",
    fingerprint: "SHA256:mallory",
    trust: "conflict",
    weak: false,
  };
  take(mallory, mallory);
  assert.deepEqual(texts(bob), [
    "hi",
    "Bob has joined with a DIFFERENT KEY than before: SHA256:mallory",
  ]);
});

Deno.test("Feed follows an own message to its recipients", async () => {
  const { take, clock, feed, message, missing, remarks } = makeFeed();
  take(WELCOME, JOINED, sent("1", ["SHA256:bob", "SHA256:eve"]));
  feed.accept("1", SENT);
  assert.deepEqual(message("1").delivery, { state: "sent", have: 0, of: 2 });
  await clock.advance(3300);
  assert.deepEqual(message("1").delivery, { state: "sent", have: 1, of: 2 });
  missing.length = 0;
  take({ event: "delivered", id: "1", to: ["SHA256:bob", "SHA256:eve"] });
  assert.deepEqual(message("1").delivery, { state: "received", of: 2 });
  feed.flush();
  assert.deepEqual(remarks, [
    "not yet received by bob: “hello”",
    "now received by everyone: “hello”",
  ]);
  take(sent("2", ["SHA256:bob"]));
  feed.accept("2", SENT);
  take({ event: "delivered", id: "2", to: ["SHA256:bob"] });
  assert.equal(message("1").delivery, undefined, "only the newest says it");
  assert.deepEqual(message("2").delivery, { state: "received", of: 1 });
});

Deno.test("Feed says of a private message in its conversation that it was received late", async () => {
  const { take, clock, feed, conversations, changes } = makeFeed();
  take(WELCOME, JOINED, sent("1", ["SHA256:bob"]));
  feed.accept("1", { ...SENT, to: BOB });
  await clock.advance(3300);
  take({ event: "delivered", id: "1", to: ["SHA256:bob"] });
  await clock.advance(300);
  const bob = conversations.find("person:SHA256:bob");
  const remarks = changes.filter((change) => change.type === "remark");
  assert.deepEqual(remarks.map(({ notice, conversation }) => [notice.text, conversation]), [
    ["not yet received by bob: “hello”", bob],
    ["now received by bob: “hello”", bob],
  ]);
});

Deno.test("Feed shows who has not received an own message, and that nobody has", async () => {
  const { take, clock, feed, message, remarks } = makeFeed();
  take(WELCOME, JOINED, sent("1", ["SHA256:bob", "SHA256:eve"]));
  feed.accept("1", SENT);
  take({ event: "undelivered", id: "1", to: ["SHA256:bob"] });
  take({ event: "undelivered", id: "1", to: ["SHA256:eve"] });
  assert.deepEqual(message("1").delivery, { state: "failed", missing: ["bob", "SHA256:eve"] });
  take({ event: "delivered", id: "1", to: [] });
  assert.equal(message("1").delivery?.state, "failed");
  // With nobody there the session says so before it returns.
  take(sent("2", []), { event: "undelivered", id: "2", to: [] });
  feed.accept("2", SENT);
  assert.deepEqual(message("2").delivery, { state: "failed", missing: [] });
  await clock.advance(300);
  assert.deepEqual(remarks, [
    "not delivered to bob and SHA256:eve: “hello”",
    "nobody is here to receive “hello”",
  ]);
});

Deno.test("Feed marks a message that waits to be accepted, until it is accepted or refused", () => {
  const { take, feed, message, room, texts } = makeFeed();
  take(WELCOME, { event: "disconnected", reason: "cut" });
  assert.equal(room.connection, "offline");
  feed.accept("waiting", SENT);
  assert.deepEqual(message("waiting").delivery, { state: "waiting" });
  take(sent("waiting", ["SHA256:bob"]));
  assert.deepEqual(message("waiting").delivery, { state: "sent", have: 0, of: 1 });
  feed.accept("waiting", SENT);
  take({ event: "error", code: "refused", message: "bob is not here", hint: "", id: "waiting" });
  assert.deepEqual(message("waiting").delivery, { state: "failed", missing: [] });
  assert.equal(texts().at(-1), "bob is not here");
});

Deno.test("Feed says once that the connection is lost, and when it is tried again", () => {
  const { take, room, conversations, texts, clock } = makeFeed();
  take(WELCOME, { event: "disconnected", reason: "cut" });
  const build = conversations.open("room:build", "build");
  conversations.show(build);
  take({ event: "reconnecting", seconds: 4 });
  assert.equal(room.retryAt, clock.wallTime() + 4000);
  take({ event: "disconnected", reason: "cut" }, { event: "reconnecting", seconds: 8 });
  take({ ...WELCOME, members: 2 } as SessionEvent);
  assert.deepEqual([room.connection, room.retryAt], ["online", undefined]);
  assert.deepEqual(texts().slice(1), []);
  assert.deepEqual(texts(build), [
    "connection lost: interrupted; your messages will wait",
    "connected again, with 2 others",
  ], "where it is seen");
});

Deno.test("Feed hides notices, and then shows a new key before its owner's first message", () => {
  const { take, texts, hidden } = makeFeed();
  hidden.add("presence");
  take(WELCOME, { ...JOINED, trust: "new" } as SessionEvent, MESSAGE);
  assert.deepEqual(texts(), [
    "you are in lobby, alone so far",
    "bob has a new key: SHA256:bob",
    "hi",
  ]);
});

Deno.test("Feed shows what a message answers", () => {
  const { take, feed, message } = makeFeed();
  take({ ...MESSAGE, text: "x".repeat(199) + "🎉" });
  feed.accept("1", { ...SENT, reply: { id: MESSAGE.id } });
  assert.deepEqual(message("1").quote, {
    id: MESSAGE.id,
    of: BOB.fingerprint,
    own: false,
    nick: "bob",
    text: "x".repeat(199),
  });
  take({ ...MESSAGE, id: "2", reply: "1" }, { ...MESSAGE, id: "3", reply: "unknown" });
  const { own, text, of } = message("2").quote!;
  assert.deepEqual({ own, text, of }, { own: true, text: "hello", of: ANNA });
  assert.equal(message("3").quote!.of, undefined);
});

Deno.test("Feed does to messages what notes say", () => {
  const { take, feed, message, remarks, texts } = makeFeed();
  take(MESSAGE);
  feed.accept("1", SENT);
  const reactions = (id: string) =>
    [...message(id).reactions].map(([text, by]) => [text, ...by.map(({ nick }) => nick)]);
  take({ ...NOTE, ref: "1" }, { ...NOTE, ref: "1", nick: "eve", fingerprint: "SHA256:eve" });
  assert.deepEqual(reactions("1"), [["👍", "bob", "eve"]]);
  take({ ...NOTE, ref: "1", text: "🎉" });
  assert.deepEqual(reactions("1"), [["👍", "eve"], ["🎉", "bob"]]);
  take({ ...NOTE, ref: "1", what: "unreaction", text: "" });
  assert.deepEqual(reactions("1"), [["👍", "eve"]]);
  take({ ...NOTE, what: "edit", text: "better" });
  assert.deepEqual([message(MESSAGE.id).text, message(MESSAGE.id).edited], ["better", true]);
  take(NOTE, { ...NOTE, what: "retraction", text: "" });
  const { text, retracted, reactions: left } = message(MESSAGE.id);
  assert.deepEqual([text, retracted, left.size], ["", true, 0]);
  assert.deepEqual(remarks, []);
  take({ ...NOTE, ref: "gone" }, { ...NOTE, ref: "gone", what: "retraction", text: "" });
  assert.deepEqual(remarks, ["bob reacted 👍 to an older message", "bob took back a message"]);
  take({ ...NOTE, ref: "gone", what: "edit", text: "a line of its own" });
  assert.equal(texts().at(-1), "a line of its own");
  assert.equal(message("gone").edited, true);
});

Deno.test("Feed tells messages of two people with one id apart", () => {
  const { take, feed, conversations, room } = makeFeed();
  const mallory = { nick: "mallory", fingerprint: "SHA256:mallory" };
  feed.accept(MESSAGE.id, SENT);
  take(MESSAGE, { ...MESSAGE, ...mallory, text: "copied id" });
  const find = (of: string) => conversations.findMessage(room, { id: MESSAGE.id, of })!;
  take({ ...NOTE, of: ANNA });
  assert.equal(find(ANNA).reactions.size, 1);
  assert.equal(find(BOB.fingerprint).reactions.size + find(mallory.fingerprint).reactions.size, 0);
  take({ ...NOTE, what: "edit", text: "bob's" }, {
    ...NOTE,
    ...mallory,
    what: "edit",
    text: "m's",
  });
  take({ event: "delivered", id: MESSAGE.id, to: ["SHA256:bob"] });
  const entries = room.entries as MessageEntry[];
  assert.deepEqual(entries.map(({ text, delivery }) => [text, delivery?.state]), [
    ["hello", "received"],
    ["bob's", undefined],
    ["m's", undefined],
  ]);
  take({ ...MESSAGE, id: "2", reply: MESSAGE.id, of: mallory.fingerprint });
  assert.equal((room.entries.at(-1) as MessageEntry).quote!.nick, "mallory");
});

Deno.test("Feed shows the server's words where the user looks, and once", () => {
  const { take, texts, conversations } = makeFeed();
  const build = conversations.open("room:build", "build");
  conversations.show(build);
  const motd = { event: "server", what: "motd" } as const;
  for (const text of ["be kind", "be kind", "be brief"]) take({ ...motd, text });
  assert.deepEqual(texts(build), ["the server says: be kind", "the server says: be brief"]);
  assert.deepEqual(texts(), []);
});

Deno.test("Feed marks hearsay with who vouches, and rings for nothing in it", () => {
  const { feed, room, texts, changes, conversations } = makeFeed();
  feed.take(WELCOME);
  feed.take(JOINED);
  const hearsay = {
    missed: true,
    at: MESSAGE.sent,
    hearsay: [BOB.fingerprint, "SHA256:dora"],
  } as const;
  const carl = { nick: "carl", fingerprint: "SHA256:carl" };
  const told = { ...MESSAGE, ...carl, ...hearsay, hearsay: [...hearsay.hearsay], text: "anna: hi" };
  feed.take({ event: "missed", from: "hearsay", by: told.hearsay, count: 1, seconds: 3000 });
  feed.take(told);
  const [entry] = room.entries.filter((each) => each.type === "message");
  assert.deepEqual([entry!.hearsay, entry!.mention, entry!.late], [
    ["bob", "SHA256:dora"],
    false,
    MESSAGE.sent,
  ]);
  assert.deepEqual(texts().slice(-3), [
    "bob and SHA256:dora hand on 1 message of the last 50 min; nobody proves who wrote them",
    "anna: hi",
    "until here",
  ]);
  assert.equal(conversations.findMessage(room, { id: MESSAGE.id }), undefined);
  // Its author has sent it.
  feed.take({ ...MESSAGE, ...carl, text: "anna: hello" });
  assert.equal(entry!.replaced, true);
  assert.equal(conversations.findMessage(room, { id: MESSAGE.id })!.text, "anna: hello");
  assert.ok(
    changes.some((change) => change.type === "entry" && change.entry === entry && !change.isNew),
  );
  feed.take(told);
  assert.equal(texts().at(-1), "anna: hi");
  feed.take({ event: "missed", from: "hearsay", by: [], count: 0, seconds: 9 * 3600 });
  assert.equal(texts().at(-1), "9 h without anybody who kept something");
});
