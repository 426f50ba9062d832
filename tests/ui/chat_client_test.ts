import assert from "node:assert/strict";
import type { SessionEvent } from "../../lib/session/mod.ts";
import { ChatClient } from "../../lib/ui/chat_client.ts";
import { type Settings, withDefaults } from "../../lib/ui/settings.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { FakeServer, message, person, welcome } from "../support/fake_rooms.ts";

/** Anna's client in these rooms; the first one is shown. */
function makeClient(names: readonly string[] = ["lobby"], settings: Settings = {}) {
  const clock = new FakeClock();
  const server = new FakeServer();
  const client = new ChatClient({
    clock,
    screen: {
      settings: withDefaults(settings),
      utf8: true,
      isFull: false,
      showKeys: () => ["Enter"],
      turnQuiet: () => false,
      set: () => {},
      clear: () => {},
      show: () => {},
      showInvitation: () => {},
    },
    quiet: false,
    isBusy: () => false,
    quit: () => {},
  });
  const { conversations } = client;
  for (const name of names) client.attach(server.open(name));
  const find = (name: string) =>
    conversations.find(`room:${name}`) ?? conversations.find(`person:SHA256:${name}`)!;
  conversations.show(find(names[0]!));
  const emit = (room: string, ...events: SessionEvent[]) => {
    for (const event of events) client.emit(event, room);
    client.flush();
  };
  const join = (room: string, ...nicks: string[]) =>
    emit(room, ...server.rooms.get(room)!.joins(...nicks.map((nick) => person(nick))));
  const submit = (line: string) => client.submit(conversations.shown, line);
  const texts = (name: string) => find(name).entries.map(({ text }) => text);
  /** What was sent, by room. */
  const sent = () =>
    [...server.rooms].flatMap(([name, { calls }]) =>
      calls.splice(0).map(([method, ...args]) => [name, method, args[0], args[1]])
    );
  return { clock, client, server, conversations, find, emit, join, submit, texts, sent };
}

const BOB = person("bob");
const CARL = person("carl");
const privately = (text: string, from = BOB) => message(from, text, { private: true });

Deno.test("ChatClient sends what is typed to the conversation in which it is typed", () => {
  const { client, conversations, find, emit, join, submit, sent } = makeClient(["lobby", "build"]);
  join("lobby", "bob");
  submit("to the lobby");
  emit("build", message(BOB, "anna!"));
  emit("lobby", privately("psst"));
  submit("still to the lobby");
  conversations.show(find("build"));
  submit("to build");
  submit("/me waves");
  conversations.show(find("bob"));
  submit("to bob");
  submit("/me nods to bob");
  client.submit(find("lobby"), "from elsewhere");
  assert.deepEqual(sent().map(([room, method, to]) => `${room} ${method} ${to}`), [
    "lobby say to the lobby",
    "lobby say still to the lobby",
    "lobby sendPrivate SHA256:bob",
    "lobby sendPrivate SHA256:bob",
    "lobby say from elsewhere",
    "build say to build",
    "build say waves",
  ]);
});

Deno.test("ChatClient writes to people over the room they wrote from, else where they are", () => {
  const { server, conversations, find, emit, join, submit, sent } = makeClient(["lobby", "build"]);
  const [lobby, build] = ["lobby", "build"].map((name) => server.rooms.get(name)!);
  join("lobby", "bob");
  join("build", "bob", "carl");
  const route = () => {
    assert.equal(submit("hi"), true);
    return sent()[0]![0];
  };
  submit("/msg carl hi");
  assert.equal(sent()[0]![0], "build", "carl is only there");
  emit("build", privately("psst"));
  conversations.show(find("bob"));
  assert.equal(route(), "build");
  build!.people = [];
  build!.lost = ["SHA256:bob"];
  assert.equal(route(), "build", "lost there a moment ago");
  build!.lost = [];
  emit("build", { event: "left", nick: "bob", fingerprint: "SHA256:bob", why: "left" });
  assert.equal(route(), "lobby");
  lobby!.people = [];
  emit("lobby", { event: "left", nick: "bob", fingerprint: "SHA256:bob", why: "left" });
  const place = () => find("bob").people.map(({ here, lost }) => ({ here, lost }));
  assert.deepEqual(place(), [{ here: false, lost: false }]);
  assert.equal(submit("hi"), false, "the text stays in the line");
  assert.equal(find("bob").entries.at(-1)!.text, "bob is not here");
  lobby!.lost = ["SHA256:bob"];
  emit("lobby", { event: "left", nick: "bob", fingerprint: "SHA256:bob", why: "lost" });
  assert.deepEqual(place(), [{ here: false, lost: true }]);
  assert.equal(submit("hi"), true);
});

Deno.test("ChatClient follows the nick of a person, and never another key that takes it", () => {
  const { server, conversations, find, emit, join, submit, sent } = makeClient();
  join("lobby", "bob");
  emit("lobby", privately("psst"));
  conversations.show(find("bob"));
  const mallory = person("bob", "SHA256:mallory");
  server.rooms.get("lobby")!.people = [person("rob", "SHA256:bob"), mallory];
  emit("lobby", { event: "nick", from: "bob", nick: "rob", fingerprint: "SHA256:bob" });
  assert.equal(find("bob").title, "rob");
  emit("lobby", privately("I am bob", mallory));
  submit("to the one I know");
  assert.deepEqual(sent().map(([, , to]) => to), ["SHA256:bob"]);
  assert.equal(conversations.list.filter(({ kind }) => kind === "person").length, 2);
});

Deno.test("ChatClient means people by nick in the room where a command is typed, else in others", () => {
  const { server, join, submit, sent, texts } = makeClient(["lobby", "build", "attic"]);
  join("build", "bob");
  server.rooms.get("attic")!.people = [person("bob", "SHA256:other")];
  assert.equal(submit("/msg bob hi"), true);
  assert.equal(texts("lobby").at(-1), "more than one person in other rooms is called bob");
  server.rooms.get("lobby")!.people = [person("bob", "SHA256:here")];
  submit("/msg bob hi");
  assert.deepEqual(sent().map(([, , to]) => to), ["SHA256:here"]);
});

Deno.test("ChatClient answers and reacts over the room that a private message came by", () => {
  const { client, server, find, emit, join, sent, submit, texts } = makeClient(["lobby", "build"]);
  for (const room of ["lobby", "build"]) join(room, "bob");
  emit("build", privately("first", { ...BOB }));
  emit("lobby", { ...privately("second"), id: "2" } as SessionEvent);
  const [first] = find("bob").entries;
  assert.ok(first?.type === "message");
  client.reply(find("bob"), first, "to the first");
  client.note(find("bob"), first, "reaction", "👍");
  assert.deepEqual(sent().map(([room, method]) => `${room} ${method}`), [
    "build sendPrivate",
    "build sendNote",
  ]);
  assert.deepEqual([...first.reactions.keys()], ["👍"]);
  server.rooms.get("build")!.people = [];
  submit("/part build");
  assert.equal(client.note(find("bob"), first, "reaction", "🎉"), false);
  assert.match(texts("bob").at(-1)!, /came by the room build, which you have left/);
});

Deno.test("ChatClient opens no conversation for those who only come and speak in the room", () => {
  const { conversations, emit, join } = makeClient();
  join("lobby", "bob", "carl");
  emit("lobby", message(CARL, "hello"));
  assert.deepEqual(conversations.list.map(({ id }) => id), ["room:lobby"]);
});

Deno.test("ChatClient joins rooms, turns to them, and leaves them", () => {
  const { server, conversations, find, submit, texts, emit } = makeClient();
  emit("lobby", welcome("lobby"));
  submit("/away lunch");
  submit("/join #Build");
  assert.equal(conversations.shown, find("build"));
  assert.equal(server.rooms.get("build")!.away, "lunch");
  submit("/nick zoe");
  assert.deepEqual([...server.rooms.values()].map(({ nick }) => nick), ["zoe", "zoe"]);
  conversations.show(find("lobby"));
  submit("/join build");
  assert.equal(conversations.shown, find("build"), "it is open already");
  const build = server.rooms.get("build")!;
  submit("/part");
  assert.deepEqual([build.isLeft, find("build"), conversations.shown], [
    true,
    undefined,
    find("lobby"),
  ]);
  submit("/part");
  assert.equal(texts("lobby").at(-1), "this is the only room that you are in");
  submit("/part attic");
  assert.equal(texts("lobby").at(-1), "you are not in attic");
  server.limit = 1;
  submit("/join another");
  assert.equal(texts("lobby").at(-1), "too many rooms");
});

Deno.test("ChatClient keeps a room that has refused, and can join it again", () => {
  const { conversations, find, emit, submit, texts, server } = makeClient(["lobby", "build"]);
  emit("build", { event: "error", code: "ended", message: "not allowed", hint: "" });
  assert.equal(find("build").connection, "left");
  assert.equal(texts("build").at(-1), "not allowed");
  submit("/part lobby");
  assert.equal(texts("lobby").at(-1), "this is the only room that you are in");
  const before = server.rooms.get("build");
  submit("/join build");
  assert.notEqual(server.rooms.get("build"), before);
  assert.equal(conversations.shown.entries.at(0)!.text, "not allowed");
  emit("build", welcome("build"));
  assert.equal(find("build").connection, "online");
});

Deno.test("ChatClient joins the rooms of the settings once it is welcome, without turning to them", () => {
  const { server, conversations, find, emit } = makeClient(["lobby"], {
    rooms: ["lobby", "build"],
  });
  assert.deepEqual([...server.rooms.keys()], ["lobby"]);
  emit("lobby", welcome("lobby"));
  assert.deepEqual([...server.rooms.keys()], ["lobby", "build"]);
  assert.equal(conversations.shown, find("lobby"));
});

Deno.test("ChatClient keeps the outage of one room apart from the others", () => {
  const { find, emit, join, texts } = makeClient(["lobby", "build"]);
  for (const room of ["lobby", "build"]) emit(room, welcome(room));
  join("build", "bob");
  emit("build", privately("psst"));
  emit("build", { event: "disconnected", reason: "cut" }, { event: "reconnecting", seconds: 1 });
  const states = () => ["lobby", "build", "bob"].map((name) => find(name).connection);
  assert.deepEqual(states(), ["online", "offline", "offline"]);
  assert.equal(texts("lobby").at(-1), "connection lost: interrupted; your messages will wait");
  emit("build", welcome("build", 1));
  assert.deepEqual(states(), ["online", "online", "online"]);
  assert.equal(texts("lobby").at(-1), "connected again, with one other");
});

Deno.test("ChatClient lists its rooms, and opens and closes conversations", () => {
  const { conversations, find, join, submit, texts } = makeClient(["lobby", "build"]);
  join("build", "bob");
  submit("/list");
  assert.match(texts("lobby").at(-1)!, /lobby[^]*build/);
  submit("/query bob");
  assert.equal(conversations.shown, find("bob"));
  submit("/close");
  assert.equal(find("bob"), undefined);
  submit("/close");
  assert.match(conversations.shown.entries.at(-1)!.text, /this is no private conversation/);
});

Deno.test("ChatClient expands /reply to whoever wrote last, over whichever room", async () => {
  const { client, clock, emit, join, submit, sent } = makeClient(["lobby", "build"]);
  join("build", "bob", "carl");
  emit("build", privately("psst"));
  assert.equal(client.beginReply("/reply yes"), "/msg bob yes");
  emit("build", privately("me too", CARL));
  await clock.advance(500);
  submit("/msg bob yes");
  assert.deepEqual(sent(), [["build", "sendPrivate", "SHA256:bob", "yes"]]);
});

Deno.test("Whatever arrives between two keys, a text goes where it was to go", () => {
  let state = 3;
  const random = (below: number) => (state = (state * 48271) % 2147483647) % below;
  const { conversations, find, emit, join, submit, sent } = makeClient(["lobby", "build"]);
  join("lobby", "bob", "carl");
  join("build", "bob");
  emit("lobby", privately("psst"));
  const rooms = ["lobby", "build"];
  const events = (): SessionEvent[] => [
    message(CARL, "anna!"),
    privately("to you", [BOB, CARL][random(2)]),
    { event: "disconnected", reason: "cut" },
    welcome(rooms[random(2)]!, 2),
    { event: "left", nick: "carl", fingerprint: "SHA256:carl", why: "lost" },
    { event: "error", code: "refused", message: "no", hint: "" },
  ];
  for (let i = 0; i < 300; i++) {
    const target = ["lobby", "build", "bob"][random(3)]!;
    conversations.show(find(target));
    for (let n = random(4); n > 0; n--) emit(rooms[random(2)]!, events()[random(6)]!);
    assert.equal(conversations.shown, find(target));
    submit(`${i}`);
    const [[room, method, to]] = sent() as [string[]];
    if (target === "bob") assert.deepEqual([method, to], ["sendPrivate", "SHA256:bob"]);
    else assert.deepEqual([room, method, to], [target, "say", `${i}`]);
  }
});

Deno.test("ChatClient says where what was missed ends, also if an ignored person wrote of it", () => {
  const { emit, join, submit, texts } = makeClient();
  join("lobby", "bob", "carl");
  submit("/ignore carl");
  const missed = { missed: true, at: "2026-01-01T00:00:00.000Z" } as const;
  const told = (count: number): SessionEvent => (
    { event: "missed", from: "own", by: ["SHA256:anna"], count, seconds: 60 }
  );
  const isEnd = (text: string) => text === "until here";
  emit("lobby", told(2), message(CARL, "one", missed), message(BOB, "two", missed));
  assert.deepEqual(texts("lobby").slice(-2), ["two", "until here"]);
  emit("lobby", told(3), message(BOB, "three", missed), message(BOB, "four", missed));
  assert.equal(texts("lobby").at(-1), "four");
  emit("lobby", message(CARL, "five", missed), message(CARL, "six", missed));
  assert.equal(texts("lobby").filter(isEnd).length, 2);
  assert.equal(texts("lobby").at(-1), "until here");
  emit("lobby", message(CARL, "seven"), message(BOB, "eight"));
  assert.equal(texts("lobby").filter(isEnd).length, 2);
});
