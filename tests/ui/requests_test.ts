import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { STATUS } from "../../lib/protocol/frames.ts";
import type { ChatEvent, Person, Session, SessionEvent } from "../../lib/session/mod.ts";
import { type Screen, UncertainReply } from "../../lib/ui/command_row.ts";
import type { FaceContext } from "../../lib/ui/face.ts";
import { MessageLog } from "../../lib/ui/message_log.ts";
import { Requests, type SentMessage } from "../../lib/ui/requests.ts";
import { withDefaults } from "../../lib/ui/settings.ts";
import { FakeClock } from "../support/fake_clock.ts";

const BOB = { nick: "bob", usedNick: "bob", fingerprint: "SHA256:bob" } as Person;
const WELCOME: SessionEvent = { event: "welcome", room: "lobby", members: 1, authenticated: "key" };

const chat = (isPrivate: boolean): SessionEvent => ({
  event: "chat",
  id: "0".repeat(16),
  nick: "bob",
  fingerprint: "SHA256:bob",
  sent: "2026-01-01T00:00:00.000Z",
  private: isPrivate,
  action: false,
  late: false,
  view: "same",
  text: "hi",
});

/** Requests to a room where bob is, and what came of them. */
class Room {
  readonly calls: unknown[][] = [];
  readonly accepted: [id: string, message: SentMessage][] = [];
  readonly requests: Requests;
  readonly events: SessionEvent[] = [];
  readonly log = new MessageLog("SHA256:anna");
  readonly clock = new FakeClock();
  people = [BOB];
  blocked = false;

  constructor(screen?: Screen, readonly strict = false) {
    const { calls } = this;
    const isBlocked = () => this.blocked;
    const session = {
      nick: "anna",
      get blocked() {
        return isBlocked();
      },
      people: () => this.people,
      lost: () => [],
      find: (name: string) => {
        const person = this.people.find(({ nick, fingerprint }) =>
          [nick, fingerprint].includes(name)
        );
        if (!person) throw new UsageError(`nobody here is called ${name}`);
        return person;
      },
      say: (...args: unknown[]) => `id ${calls.push(["say", ...args])}`,
      sendPrivate: (...args: unknown[]) => `id ${calls.push(["sendPrivate", ...args])}`,
      setNick(nick: string) {
        session.nick = nick;
      },
      away: "",
      setAway(text: string) {
        session.away = text;
        calls.push(["setAway", text]);
      },
      reportTrust: () => calls.push(["reportTrust"]),
      joined: true,
      admin: () => Promise.resolve({ status: STATUS.NOT_ALLOWED, data: new Uint8Array() }),
      until: () => Promise.resolve(true),
      wake: () => {},
      topic: "",
      recap: false,
      turnRecap(isOn: boolean) {
        session.recap = isOn;
      },
    };
    const knownPeers = {
      owners: () => [],
      isVerified: () => true,
      verify: (...args: unknown[]) => calls.push(["verify", ...args]),
      accept: (...args: unknown[]) => calls.push(["accept", ...args]),
    };
    const context = {
      session: session as unknown as Session,
      knownPeers: knownPeers as unknown as FaceContext["knownPeers"],
      invitation: () => "./client --host x",
      sharedLines: (): readonly string[] => [],
      isOnlyHere: () => false,
      address: "x:1",
      room: "lobby",
      serving: false,
      strict: this.strict,
      fingerprint: "SHA256:anna",
      key: { id: new Uint8Array(64), fingerprint: new Uint8Array(32) },
      serverFingerprint: () => undefined,
      keepNick: (nick: string) => void calls.push(["keepNick", nick]),
    } as FaceContext;
    this.requests = new Requests({
      context,
      place: { log: this.log },
      clock: this.clock,
      ...(screen ? { screen } : {}),
      accepted: (...args) => void this.accepted.push(args),
      emit: (event) => void this.events.push(event),
      quit: () => void calls.push(["quit"]),
    });
  }
}

function online(screen?: Screen): Room {
  const room = new Room(screen);
  room.requests.observe(WELCOME);
  return room;
}

Deno.test("Requests sends texts and reports each with the id that the session gave it", () => {
  const { requests, calls, accepted } = online();
  for (const line of ["hello", "//me", " ", "/me waves", "/msg bob psst"]) {
    assert.equal(requests.take(line).lines, undefined);
  }
  assert.deepEqual(calls, [
    ["say", "hello", { action: false, ref: undefined }],
    ["say", "/me", { action: false, ref: undefined }],
    ["say", "waves", { action: true, ref: undefined }],
    ["sendPrivate", "SHA256:bob", "psst", { ref: undefined }],
  ]);
  assert.deepEqual(accepted, [
    ["id 1", { text: "hello", action: false, to: undefined }],
    ["id 2", { text: "/me", action: false, to: undefined }],
    ["id 3", { text: "waves", action: true, to: undefined }],
    ["id 4", { text: "psst", action: false, to: BOB }],
  ]);
});

Deno.test("Requests passes the ref of a command on to the message that it sends", () => {
  const { requests, calls } = online();
  requests.run({ type: "command", name: "me", args: "waves" }, { ref: "r" });
  requests.send("hi", { to: BOB, ref: "s" });
  assert.deepEqual(calls, [
    ["say", "waves", { action: true, ref: "r" }],
    ["sendPrivate", "SHA256:bob", "hi", { ref: "s" }],
  ]);
});

Deno.test("Requests passes on what is written without a connection, and nothing while the session is blocked", () => {
  const room = new Room();
  room.requests.take("hello");
  room.requests.observe(WELCOME);
  room.requests.observe({ event: "disconnected", reason: "cut" });
  room.requests.take("kept by the session until it is back");
  room.blocked = true;
  assert.throws(() => room.requests.take("/me waits"), UsageError);
  assert.equal(room.calls.length, 2);
});

Deno.test("Requests replies to the key that sent the last private message", () => {
  const room = online();
  const { requests, calls } = room;
  assert.throws(() => requests.take("/reply hi"), /nobody has sent you a private message yet/);
  requests.observe(chat(false));
  assert.throws(() => requests.take("/reply hi"), /nobody has sent you a private message yet/);
  requests.observe(chat(true));
  room.people = [{ ...BOB, nick: "rob" }];
  requests.observe({ event: "nick", from: "bob", nick: "rob", fingerprint: "SHA256:bob" });
  requests.take("/reply hi");
  assert.deepEqual(calls, [["sendPrivate", "SHA256:bob", "hi", { ref: undefined }]]);
  room.people = [];
  assert.throws(() => requests.take("/reply hi"), /rob is no longer here/);
});

Deno.test("Requests hides the messages of ignored people, also of those who have left", () => {
  const room = online();
  const { requests } = room;
  assert.equal(requests.observe(chat(true)), true);
  const hidden = requests.take("/ignore bob");
  assert.equal(hidden.lines, "messages from bob are hidden until you leave");
  assert.equal(requests.ignores("SHA256:bob"), true);
  // What only they tell of others, too.
  const told = (hearsay: string[]) => {
    const carl = { ...chat(false), fingerprint: "SHA256:carl" } as ChatEvent;
    return requests.observe({ ...carl, hearsay });
  };
  assert.deepEqual([told(["SHA256:bob"]), told(["SHA256:bob", "SHA256:dora"])], [false, true]);
  assert.equal(requests.observe(chat(true)), false);
  room.people = [];
  assert.equal(requests.take("/unignore bob").lines, "messages from bob are shown again");
  const about = { fingerprint: "SHA256:bob", nick: "bob" };
  assert.deepEqual(room.events, [
    { event: "ignored", ...about, ignored: true },
    { event: "ignored", ...about, ignored: false },
  ]);
  assert.equal(requests.observe(chat(true)), true);
  room.people = [BOB];
  assert.throws(() => requests.take("/unignore bob"), /bob is not ignored/);
});

Deno.test("Requests changes nick, absence and trust", () => {
  const { requests, calls } = online();
  const lines = (line: string) => requests.take(line).lines;
  assert.equal(lines("/nick zoe"), "you are now zoe");
  assert.equal(lines("/away"), "you are not away");
  assert.equal(lines("/back"), "you are not away");
  assert.equal(lines("/away lunch"), "you are away: lunch");
  assert.equal(lines("/away"), "you are away: lunch; /back when you return");
  assert.equal(lines("/back"), "you are back");
  assert.equal(lines("/verify bob yes"), "bob is now verified");
  assert.equal(lines("/trust bob"), "bob now has the key SHA256:bob");
  assert.deepEqual(calls, [
    ["keepNick", "zoe"],
    ["setAway", "lunch"],
    ["setAway", ""],
    ["verify", "SHA256:bob"],
    ["accept", "SHA256:bob", "bob"],
    ["reportTrust"],
    ["accept", "SHA256:bob", "bob"],
    ["reportTrust"],
  ]);
});

Deno.test("Requests answers without a screen in lines and values, and refuses what only a screen can do", () => {
  const room = online();
  const { requests, calls } = room;
  const since = "2026-01-01T00:00:00.000Z";
  room.people = [
    { ...BOB, nick: "bob#1", trust: "known", away: "", since },
    { ...BOB, nick: "bob#2", trust: "known", away: "", since },
    { ...BOB, nick: "Anna", fingerprint: "SHA256:other", trust: "new", away: "tea", since },
  ];
  const { lines, values } = requests.take("/names");
  assert.deepEqual(lines, ["Anna SHA256:other", "bob#1 SHA256:bob", "bob#2 SHA256:bob"]);
  assert.deepEqual(values?.people, [
    { nick: "Anna", fingerprint: "SHA256:other", trust: "new", away: "tea", since, places: 1 },
    { nick: "bob#1", fingerprint: "SHA256:bob", trust: "known", away: "", since, places: 2 },
  ]);
  room.people = [{ ...BOB, trust: "known", away: "", since, recap: true }];
  assert.deepEqual(requests.take("/names").values?.people, [
    {
      nick: "bob",
      fingerprint: "SHA256:bob",
      trust: "known",
      away: "",
      since,
      places: 1,
      recap: true,
    },
  ]);
  assert.deepEqual(requests.take("/info").values, {
    address: "x:1",
    serving: false,
    connected: true,
    room: "lobby",
    topic: "",
    nick: "anna",
    fingerprint: "SHA256:anna",
    line: "./client --host x",
  });
  assert.deepEqual(requests.take("/invite").lines, ["./client --host x"]);
  for (
    const line of [
      "/bell off",
      "/bell",
      "/quiet",
      "/timestamp off",
      "/timestamp",
      "/clear",
      "/show",
    ]
  ) {
    assert.throws(() => requests.take(line), /for the chat on a terminal/);
  }
  requests.take("/quit");
  assert.deepEqual(calls, [["quit"]]);
});

/** A screen that shows nothing. */
const SCREEN: Screen = {
  settings: withDefaults({}),
  utf8: true,
  isFull: false,

  set: () => {},
  clear: () => {},
  show: () => {},
  showKeys: () => ["Enter"],
  turnQuiet: () => false,
  showInvitation: () => {},
};
const DORA = { ...BOB, nick: "dora", fingerprint: "SHA256:dora" };
const privately = (from: Person): SessionEvent => ({ ...chat(true), ...from } as SessionEvent);

Deno.test("Requests fixes whom a reply goes to when it is begun", async () => {
  const room = online(SCREEN);
  const { requests, calls } = room;
  room.people = [BOB, DORA];
  assert.equal(requests.beginReply("/reply it"), undefined);
  requests.observe(privately(BOB));
  for (const line of ["/reply", "reply ", " /reply x", "//reply x", "/replying x"]) {
    assert.equal(requests.beginReply(line), undefined, line);
  }
  assert.equal(requests.beginReply("/Reply it is 1234"), "/msg bob it is 1234");
  requests.observe(privately(DORA));
  await room.clock.advance(500);
  requests.take("/msg bob it is 1234");
  assert.deepEqual(calls, [["sendPrivate", "SHA256:bob", "it is 1234", { ref: undefined }]]);
  assert.equal(requests.beginReply("/reply "), "/msg dora ");
});

Deno.test("Requests lets one see first whom a reply goes to", async () => {
  const { requests, calls, clock } = online(SCREEN);
  requests.observe(privately(BOB));
  requests.beginReply("/reply ");
  await clock.advance(499);
  assert.throws(() => requests.take("/msg bob hi"), UncertainReply);
  requests.take("/msg bob hi");
  requests.beginReply("/reply ");
  requests.take("another line");
  assert.deepEqual(calls.map(([what]) => what), ["sendPrivate", "say"]);
});

Deno.test("Requests sends a reply to nobody else than it was begun for", async () => {
  const room = online(SCREEN);
  const { requests, calls } = room;
  const begin = async () => {
    room.people = [BOB, DORA];
    requests.observe(privately(BOB));
    assert.equal(requests.beginReply("/reply "), "/msg bob ");
    await room.clock.advance(500);
  };
  await begin();
  room.people = [{ ...BOB, nick: "rob" }];
  requests.take("/msg bob under another nick");
  await begin();
  room.people = [{ ...BOB, nick: "bob#1" }, { ...DORA, nick: "bob#2" }];
  requests.take("/msg bob with a namesake");
  assert.deepEqual(calls.map(([, to]) => to), ["SHA256:bob", "SHA256:bob"]);

  await begin();
  room.people = [DORA];
  assert.throws(() => requests.take("/msg bob gone"), /bob is no longer here/);
  await begin();
  room.people = [{ ...BOB, nick: "rob" }, { ...DORA, nick: "Bob" }];
  assert.throws(() => requests.take("/msg bob somebody else"), /bob is somebody else now/);
  assert.equal(calls.length, 2);
});

Deno.test("Requests verifies only the key whose digits it showed under that name", () => {
  const room = online();
  const { requests, calls } = room;
  const id = new Uint8Array(64);
  const fingerprintBytes = new Uint8Array(32);
  room.people = [{ ...BOB, id, fingerprintBytes }];
  requests.take("/verify bob");
  room.people = [{ ...DORA, nick: "bob", id, fingerprintBytes }];
  for (const line of ["/verify bob yes", "/verify bob yes"]) {
    assert.throws(() => requests.take(line), /somebody else now than when you compared digits/);
  }
  assert.deepEqual(calls, []);
  requests.take("/verify bob");
  requests.take("/verify bob yes");
  assert.deepEqual(calls[0], ["verify", "SHA256:dora"]);
});

Deno.test("Requests asks about a reply that somebody is to get who wrote after it was begun", async () => {
  const { requests, calls, clock } = online(SCREEN);
  requests.observe(privately(BOB)); // after "/reply yes" was typed
  assert.throws(() => requests.take("/reply yes"), UncertainReply);
  assert.equal(requests.beginReply("/reply yes"), "/msg bob yes");
  await clock.advance(500);
  requests.take("/msg bob yes");
  assert.equal(calls.length, 1);
});

Deno.test("Requests lets commands change the screen", async () => {
  const shown: unknown[] = [];
  const settings = withDefaults({});
  const { requests } = online({
    settings,
    utf8: true,
    isFull: false,
    turnQuiet: () => false,
    set: (patch) => shown.push(patch),
    clear: () => shown.push("clear"),
    show: () => {},
    showKeys: () => ["Enter"],
    showCommands: (rows) => shown.push(rows[0]),
    showInvitation: (line) => shown.push(line),
  });
  const lines = (line: string) => requests.take(line).lines;
  assert.equal(lines("/bell off"), "the bell rings for: off");
  assert.equal(lines("/quiet"), "people who join and leave are now hidden");
  assert.equal(lines("/timestamp date"), "timestamps: date");
  assert.equal(lines("/bell"), "the bell rings for: mention");
  assert.equal(lines("/timestamp"), "timestamps: time");
  assert.equal(lines("/clear"), undefined);
  assert.equal(lines("/invite"), undefined);
  assert.equal((await requests.take("/help").later!).lines, undefined);
  assert.deepEqual(shown, [
    { bell: "off" },
    { quiet: true },
    { timestamp: "date" },
    "clear",
    "./client --host x",
    ["/help [command|keys]", "list commands or keys, explain a command"],
  ]);
});

Deno.test("Requests turns on and off what may be handed on, but not with --strict", () => {
  const { requests } = online();
  assert.match(String(requests.take("/recap").lines), /is not handed on/);
  assert.deepEqual(requests.take("/recap on"), {
    lines: "what you write here may be handed on to people who come later",
    values: { recap: true },
  });
  assert.deepEqual(requests.take("/recap").values, { recap: true });
  assert.deepEqual(requests.take("/recap off").values, { recap: false });
  const strict = new Room(undefined, true);
  strict.requests.observe(WELCOME);
  assert.throws(() => strict.requests.take("/recap on"), /with --strict nothing/);
  assert.deepEqual(strict.requests.take("/recap off").values, { recap: false });
});
