import assert from "node:assert/strict";
import type { JoinedEvent, LeftEvent, SessionEvent, Trust } from "../../lib/session/events.ts";
import { type Look, Presence } from "../../lib/ui/presence.ts";
import { FakeClock } from "../support/fake_clock.ts";

const ME = "SHA256:me";

/** A room, and the notices about it. */
class Room {
  readonly clock = new FakeClock();
  readonly people: Look[] = [];
  readonly presence: Presence;
  host: string | undefined;
  /** Whether notices about presence are hidden. */
  quiet = false;
  /** What is known of the keys of people who were not here, by nick. */
  readonly judgments = new Map<string, Trust>();
  #shown: string[] = [];

  constructor() {
    const nickOf = (fingerprint: string) => this.presence.nickOf(fingerprint);
    this.presence = new Presence({
      clock: this.clock,
      fingerprint: ME,
      names: { nickOf, ownText: () => undefined },
      host: () => this.host,
      people: () => this.people,
      judge: (_, nick) => this.judgments.get(nick) ?? "new",
      own: () => "me",
      print: ({ level, text }) => {
        if (this.quiet && level === "presence") return false;
        this.#shown.push(text);
        return true;
      },
    });
  }

  take(...events: SessionEvent[]): boolean[] {
    return events.map((event) => this.presence.take(event));
  }

  /** The notices since the last call. */
  shown(): string[] {
    return this.#shown.splice(0);
  }
}

const joined = (nick: string, trust: Trust = "known", weak = false): JoinedEvent => (
  { event: "joined", nick, fingerprint: `SHA256:${nick}`, trust, weak }
);
const left = (nick: string, why: LeftEvent["why"]): LeftEvent => (
  { event: "left", nick, fingerprint: `SHA256:${nick}`, why }
);
const welcome = (members: number): SessionEvent => ({
  event: "welcome",
  room: "lobby",
  members,
  authenticated: "key",
});
const lost: SessionEvent = { event: "disconnected", reason: "cut" };
const away = (nick: string, text: string): SessionEvent => (
  { event: "away", nick, fingerprint: `SHA256:${nick}`, text }
);
const chat = (nick: string): SessionEvent => ({
  event: "chat",
  id: "0".repeat(16),
  nick,
  fingerprint: `SHA256:${nick}`,
  sent: "2026-01-01T00:00:00.000Z",
  private: false,
  action: false,
  late: false,
  view: "same",
  text: "hello",
});

Deno.test("Presence announces the new nick of someone who reconnects with it", () => {
  const room = new Room();
  const back = (nick: string): JoinedEvent => ({ ...joined(nick), fingerprint: "SHA256:ann" });
  room.take(welcome(1), joined("ann"));
  room.shown();
  room.take(lost, welcome(1), back("eve"));
  assert.deepEqual(room.shown(), ["ann is now eve"]);
  room.take({ ...left("eve", "lost"), fingerprint: "SHA256:ann" }, back("bob"));
  assert.deepEqual(room.shown(), ["eve is now bob"]);
  // The suffix that tells two people with the same nick apart goes with one of them.
  room.take(lost, welcome(2), back("bob#1234"), lost, welcome(1), back("bob"));
  assert.deepEqual(room.shown(), []);
});

Deno.test("Presence shows who was here already in few lines, once all are known", () => {
  const room = new Room();
  room.take(welcome(7), joined("ann"), joined("eve", "conflict"), joined("bob", "verified", true));
  for (const nick of ["s1", "s2", "s3"]) room.take(joined(nick, "new"));
  assert.deepEqual(room.shown(), []);
  room.take(joined("zoe"));
  assert.deepEqual(room.shown(), [
    "here are ann, bob (verified) (a weak key) and zoe",
    "here is s1, with a new key: SHA256:s1",
    "here is s2, with a new key: SHA256:s2",
    "here is s3, with a new key: SHA256:s3",
    "eve has joined with a DIFFERENT KEY than before: SHA256:eve",
  ]);
  room.take(joined("late"));
  assert.deepEqual(room.shown(), ["late has joined"]);
  assert.equal(room.clock.timers, 0);
});

Deno.test("Presence shows more than three people with new keys in one line", () => {
  const room = new Room();
  room.take(welcome(4), ...["a", "b", "c", "d"].map((nick) => joined(nick, "new")));
  assert.deepEqual(room.shown(), ["here, with keys that are new to you, are a, b, c and d"]);
});

Deno.test("Presence waits 2 s for the people who were here, or until one of them speaks", async () => {
  const room = new Room();
  room.take(welcome(2), joined("ann"));
  await room.clock.advance(1999);
  assert.deepEqual(room.shown(), []);
  await room.clock.advance(1);
  assert.deepEqual(room.shown(), ["here is ann"]);
  const other = new Room();
  other.take(welcome(2), joined("ann"), chat("ann"));
  assert.deepEqual(other.shown(), ["here is ann"]);
  const third = new Room();
  third.take(welcome(2), joined("ann"), left("ann", "left"));
  assert.deepEqual(third.shown(), ["here is ann", "ann has left"]);
});

const moved = (by: string): SessionEvent => ({
  event: "moved",
  address: "10.0.0.2:1",
  fingerprint: "SHA256:relay",
  host: "SHA256:bob",
  by,
  own: false,
});
const searching = (host: string): SessionEvent => ({ event: "searching", host, active: true });
const ended = (reason: string): SessionEvent => ({ event: "disconnected", reason });

Deno.test("Presence leaves it to the line about the move that the host has left", async () => {
  for (const told of [moved("SHA256:ann"), searching("SHA256:ann")]) {
    const room = new Room();
    room.take(welcome(2), joined("ann"), joined("bob"));
    room.host = "SHA256:ann";
    room.shown();
    room.take(left("ann", "left"), ended("shutting down"));
    room.host = "SHA256:bob";
    room.take(told, welcome(1), joined("bob"));
    await room.clock.advance(60_000);
    assert.deepEqual(room.shown(), []);
    room.take(joined("ann"));
    assert.deepEqual(room.shown(), ["ann has joined"]);
  }
});

Deno.test("Presence announces after 5 s that the host has left where the room stays", async () => {
  const room = new Room();
  room.take(welcome(2), joined("ann"), joined("bob"));
  room.host = "SHA256:ann";
  room.shown();
  room.take(left("ann", "left"));
  await room.clock.advance(4999);
  assert.deepEqual(room.shown(), []);
  await room.clock.advance(1);
  assert.deepEqual(room.shown(), ["ann has left"]);
  room.take(moved("SHA256:ann"), welcome(1));
  assert.deepEqual(room.shown(), []);
});

Deno.test("Presence does not announce the host whom a move has told as gone, but who gave way", async () => {
  for (const [reason, shown] of [["timeout", 0], ["shutting down", 1]] as const) {
    const room = new Room();
    room.take(welcome(2), joined("ann"), joined("bob"));
    room.shown();
    room.take(ended(reason), moved("SHA256:ann"), welcome(1), joined("bob"), left("ann", "lost"));
    await room.clock.advance(60_000);
    assert.equal(room.shown().length, shown);
    room.take(joined("ann"));
    assert.deepEqual(room.shown(), ["ann has joined"]);
    room.take(left("ann", "lost"));
    await room.clock.advance(60_000);
    assert.deepEqual(room.shown(), ["ann has lost the connection"]);
  }
});

Deno.test("Presence does not announce a reconnect within 5 s", async () => {
  for (const why of ["lost", "replaced"] as const) {
    const room = new Room();
    room.take(welcome(0), joined("ann", "new"), away("ann", "lunch"));
    room.shown();
    room.take(left("ann", why));
    await room.clock.advance(4999);
    room.take(joined("ann"), away("ann", "lunch"));
    await room.clock.advance(60_000);
    assert.deepEqual(room.shown(), []);
    room.take(left("ann", why));
    await room.clock.advance(5000);
    assert.equal(room.shown().length, 1);
    room.take(joined("ann"), away("ann", "lunch"));
    assert.deepEqual(room.shown(), ["ann has joined", "ann is away: lunch"]);
  }
});

Deno.test("Presence announces at once who leaves or is removed", () => {
  const room = new Room();
  room.take(welcome(0), joined("ann"), joined("bob"));
  room.shown();
  room.take(left("ann", "left"), left("bob", "removed"));
  assert.deepEqual(room.shown(), ["ann has left", "bob was removed by the server's operator"]);
  assert.equal(room.clock.timers, 0);
});

Deno.test("Presence announces after an outage only who has not come back", async () => {
  const room = new Room();
  room.take(welcome(0), joined("ann"), joined("bob"), joined("eve"));
  room.shown();
  room.take(lost);
  await room.clock.advance(1000);
  // ann is back before the user, bob after that, eve never.
  room.take(left("bob", "lost"), left("eve", "lost"), welcome(1), joined("ann"), joined("bob"));
  await room.clock.advance(4999);
  assert.deepEqual(room.shown(), []);
  await room.clock.advance(1);
  assert.deepEqual(room.shown(), ["eve has lost the connection"]);
});

Deno.test("Presence waits for others as long as the outage lasted, at most 32 s", async () => {
  for (const [outage, hold] of [[4_000, 5_000], [20_000, 20_000], [600_000, 32_000]] as const) {
    const room = new Room();
    room.take(welcome(0), joined("ann"));
    room.shown();
    room.take(lost);
    await room.clock.advance(outage);
    room.take(left("ann", "lost"), welcome(0));
    await room.clock.advance(hold - 1);
    assert.deepEqual(room.shown(), []);
    await room.clock.advance(1);
    assert.deepEqual(room.shown(), ["ann has lost the connection"]);
  }
});

Deno.test("Presence announces a conflict even if someone reconnects", async () => {
  const room = new Room();
  room.take(welcome(0), joined("ann"));
  room.shown();
  room.take(lost, welcome(1), joined("ann", "conflict"));
  assert.deepEqual(room.shown(), ["ann has joined with a DIFFERENT KEY than before: SHA256:ann"]);
  room.take(lost, welcome(1), joined("ann", "conflict"));
  await room.clock.advance(60_000);
  assert.deepEqual(room.shown(), []);
});

Deno.test("Presence counts the clients of one person", () => {
  const room = new Room();
  const here = { ...joined("ann"), nick: "ann#1" };
  const there = { ...joined("ann"), nick: "ann#2" };
  room.take(welcome(0), here, there);
  assert.deepEqual(room.shown(), ["ann#1 has joined", "ann#2 has joined"]);
  room.take(lost, welcome(2), here, there);
  assert.deepEqual(room.shown(), []);
  room.take({ ...there, nick: "ann#3" });
  assert.deepEqual(room.shown(), ["ann#3 has joined"]);
});

Deno.test("Presence says when the user joins from another client", () => {
  const room = new Room();
  room.take(welcome(2), { ...joined("me", "new"), fingerprint: ME }, joined("ann"));
  assert.deepEqual(room.shown(), ["me has joined: you, from another client", "here is ann"]);
  assert.equal(room.presence.trustOf(ME), "verified");
});

Deno.test("Presence trusts whoever only wrote as is known of the key, and warns when they come", () => {
  const room = new Room();
  room.take(welcome(0));
  room.judgments.set("ann", "verified").set("eve", "conflict");
  room.take(chat("ann"), chat("eve"), chat("zoe"));
  const trust = (nick: string) => room.presence.trustOf(`SHA256:${nick}`);
  assert.deepEqual(["ann", "eve", "zoe"].map(trust), ["verified", "conflict", "new"]);
  assert.ok(!room.presence.isInConflict("SHA256:eve"));
  room.take(joined("eve", "conflict"), joined("ann", "known"));
  assert.deepEqual(room.shown(), [
    "eve has joined with a DIFFERENT KEY than before: SHA256:eve",
    "ann has joined",
  ]);
  assert.equal(trust("ann"), "known");
});

Deno.test("Presence shows a new key before its owner's first message if arrivals are hidden", () => {
  const room = new Room();
  room.quiet = true;
  room.take(welcome(1), joined("ann", "new"), joined("bob", "new"), joined("eve"));
  room.take(chat("ann"), chat("bob"), chat("eve"), chat("ann"));
  assert.deepEqual(room.shown(), [
    "ann has a new key: SHA256:ann",
    "bob has a new key: SHA256:bob",
  ]);
});

Deno.test("Presence keeps a key new for this run, until it is verified", () => {
  const room = new Room();
  room.take(welcome(0), joined("ann", "new"), lost, welcome(1), joined("ann", "known"));
  assert.equal(room.presence.trustOf("SHA256:ann"), "new");
  room.people.push({ nick: "ann", fingerprint: "SHA256:ann", trust: "verified" });
  room.presence.refresh();
  assert.equal(room.presence.trustOf("SHA256:ann"), "verified");
  assert.equal(room.presence.trustOf("SHA256:nobody"), "new");
  assert.equal(room.presence.nickOf("SHA256:nobody"), "SHA256:nobody");
});

Deno.test("Presence sorts people by when they last spoke", () => {
  const room = new Room();
  const people = ["ann", "bob", "eve", "zoe"].map((nick) => (
    { nick, fingerprint: `SHA256:${nick}`, trust: "known" } as const
  ));
  room.take(chat("eve"), chat("ann"), chat("eve"));
  const sorted = room.presence.bySpeech(people).map(({ nick }) => nick);
  assert.deepEqual(sorted, ["eve", "ann", "bob", "zoe"]);
});

Deno.test("Presence warns of nicks that look like the user's own, or somebody else's", () => {
  const room = new Room();
  room.take(welcome(0));
  room.people.push({ nick: "coco#1", fingerprint: "SHA256:coco", trust: "known" });
  room.take(joined("сосо#2"), joined("ME"), joined("ΜΕ"));
  const renamed = { event: "nick", fingerprint: "SHA256:ann" } as const;
  room.take({ ...renamed, from: "ann", nick: "ϲοϲο" }, {
    ...renamed,
    from: "ϲοϲο",
    nick: "ϲοϲο#3",
  });
  assert.deepEqual(room.shown(), [
    "сосо#2 has joined",
    "сосо#2 is somebody else than coco#1: only the nicks look the same",
    "ME has joined",
    "ΜΕ has joined",
    "ΜΕ is somebody else than you: only the nicks look the same",
    "ann is now ϲοϲο",
    "ϲοϲο is somebody else than coco#1: only the nicks look the same",
  ]);
});

Deno.test("Presence learns a new nick, and shows the change", () => {
  const room = new Room();
  const event = { event: "nick", from: "ann", nick: "anna", fingerprint: "SHA256:ann" } as const;
  assert.deepEqual(room.take(joined("ann"), event, lost, chat("ann")), [true, true, false, false]);
  assert.equal(room.presence.nickOf("SHA256:ann"), "anna");
  assert.deepEqual(room.shown(), ["ann has joined", "ann is now anna"]);
});

Deno.test("Presence forgets the oldest absent person, and no one who is here", () => {
  const room = new Room();
  room.take(welcome(0), joined("first"), joined("second"), left("second", "left"));
  for (let i = 0; i < 4094; i++) room.take(joined(`n${i}`), left(`n${i}`, "left"));
  assert.equal(room.presence.nickOf("SHA256:second"), "second");
  room.take(joined("one more"));
  assert.equal(room.presence.nickOf("SHA256:first"), "first");
  assert.equal(room.presence.nickOf("SHA256:second"), "SHA256:second");
});

Deno.test("Presence says that people are away after it has said that they are here", () => {
  const room = new Room();
  room.take(welcome(2), joined("ann"), away("ann", "lunch"), away("ann", "dinner"));
  assert.deepEqual(room.shown(), []);
  room.take(joined("bob"));
  assert.deepEqual(room.shown(), ["here are ann and bob", "ann is away: dinner"]);
  const other = new Room();
  other.take(welcome(2), joined("ann"), away("ann", "lunch"), away("ann", ""), joined("bob"));
  assert.deepEqual(other.shown(), ["here are ann and bob"]);
});
