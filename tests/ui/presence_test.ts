import assert from "node:assert/strict";
import type { JoinedEvent, LeftEvent, SessionEvent, Trust } from "../../lib/session/events.ts";
import { type Look, Presence } from "../../lib/ui/presence.ts";
import { FakeClock } from "../support/fake_clock.ts";

const ME = "SHA256:me";

/** A room, and what was told of it. */
class Room {
  readonly clock = new FakeClock();
  readonly people: Look[] = [];
  readonly presence: Presence;
  /** Notices about who comes and goes are not shown. */
  quiet = false;
  #told: string[] = [];

  constructor() {
    const nickOf = (fingerprint: string) => this.presence.nickOf(fingerprint);
    this.presence = new Presence({
      clock: this.clock,
      fingerprint: ME,
      names: { nickOf, ownText: () => undefined },
      people: () => this.people,
      print: ({ level, text }) => {
        if (this.quiet && level === "presence") return false;
        this.#told.push(text);
        return true;
      },
    });
  }

  take(...events: SessionEvent[]): boolean[] {
    return events.map((event) => this.presence.take(event));
  }

  /** What was told since the last time. */
  told(): string[] {
    return this.#told.splice(0);
  }
}

const joined = (nick: string, trust: Trust = "known", weak = false): JoinedEvent => (
  { event: "joined", nick, fingerprint: `SHA256:${nick}`, trust, weak }
);
const left = (nick: string, why: LeftEvent["why"]): LeftEvent => (
  { event: "left", nick, fingerprint: `SHA256:${nick}`, why }
);
const welcome = (members: number): SessionEvent => ({ event: "welcome", room: "lobby", members });
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

Deno.test("Presence tells of another nick whoever is back with it", () => {
  const room = new Room();
  const back = (nick: string): JoinedEvent => ({ ...joined(nick), fingerprint: "SHA256:ann" });
  room.take(welcome(1), joined("ann"));
  room.told();
  room.take(lost, welcome(1), back("eve"));
  assert.deepEqual(room.told(), ["ann is now eve"]);
  room.take({ ...left("eve", "lost"), fingerprint: "SHA256:ann" }, back("bob"));
  assert.deepEqual(room.told(), ["eve is now bob"]);
  // Two people with one nick are told apart only as long as both are here.
  room.take(lost, welcome(2), back("bob#1234"), lost, welcome(1), back("bob"));
  assert.deepEqual(room.told(), []);
});

Deno.test("Presence tells who was here already in few lines, as soon as all are known", () => {
  const room = new Room();
  room.take(welcome(7), joined("ann"), joined("eve", "conflict"), joined("bob", "verified", true));
  for (const nick of ["s1", "s2", "s3"]) room.take(joined(nick, "new"));
  assert.deepEqual(room.told(), []);
  room.take(joined("zoe"));
  assert.deepEqual(room.told(), [
    "here are ann, bob (a weak key) and zoe",
    "here is s1, with a new key: SHA256:s1",
    "here is s2, with a new key: SHA256:s2",
    "here is s3, with a new key: SHA256:s3",
    "eve has joined with ANOTHER KEY than before: SHA256:eve",
  ]);
  room.take(joined("late"));
  assert.deepEqual(room.told(), ["late has joined"]);
  assert.equal(room.clock.timers, 0);
});

Deno.test("Presence tells more than three new keys in one line", () => {
  const room = new Room();
  room.take(welcome(4), ...["a", "b", "c", "d"].map((nick) => joined(nick, "new")));
  assert.deepEqual(room.told(), ["here, with keys that are new to you, are a, b, c and d"]);
});

Deno.test("Presence waits 2 s for those who were here, and not beyond their first word", async () => {
  const room = new Room();
  room.take(welcome(2), joined("ann"));
  await room.clock.advance(1999);
  assert.deepEqual(room.told(), []);
  await room.clock.advance(1);
  assert.deepEqual(room.told(), ["here is ann"]);
  const other = new Room();
  other.take(welcome(2), joined("ann"), chat("ann"));
  assert.deepEqual(other.told(), ["here is ann"]);
  const third = new Room();
  third.take(welcome(2), joined("ann"), left("ann", "left"));
  assert.deepEqual(third.told(), ["here is ann", "ann has left"]);
});

Deno.test("Presence holds back who loses the connection and is back within 5 s", async () => {
  for (const why of ["lost", "replaced"] as const) {
    const room = new Room();
    room.take(welcome(0), joined("ann", "new"), away("ann", "lunch"));
    room.told();
    room.take(left("ann", why));
    await room.clock.advance(4999);
    room.take(joined("ann"), away("ann", "lunch"));
    await room.clock.advance(60_000);
    assert.deepEqual(room.told(), []);
    room.take(left("ann", why));
    await room.clock.advance(5000);
    assert.equal(room.told().length, 1);
    room.take(joined("ann"), away("ann", "lunch"));
    assert.deepEqual(room.told(), ["ann has joined", "ann is away: lunch"]);
  }
});

Deno.test("Presence tells at once who leaves or is removed", () => {
  const room = new Room();
  room.take(welcome(0), joined("ann"), joined("bob"));
  room.told();
  room.take(left("ann", "left"), left("bob", "removed"));
  assert.deepEqual(room.told(), ["ann has left", "bob was removed by the server's operator"]);
  assert.equal(room.clock.timers, 0);
});

Deno.test("Presence tells of an outage only who has not come back", async () => {
  const room = new Room();
  room.take(welcome(0), joined("ann"), joined("bob"), joined("eve"));
  room.told();
  room.take(lost);
  await room.clock.advance(1000);
  // ann is back before oneself, bob after that, eve never.
  room.take(left("bob", "lost"), left("eve", "lost"), welcome(1), joined("ann"), joined("bob"));
  await room.clock.advance(4999);
  assert.deepEqual(room.told(), []);
  await room.clock.advance(1);
  assert.deepEqual(room.told(), ["eve has lost the connection"]);
});

Deno.test("Presence waits for others as long as an outage has lasted, 32 s at most", async () => {
  for (const [outage, hold] of [[4_000, 5_000], [20_000, 20_000], [600_000, 32_000]] as const) {
    const room = new Room();
    room.take(welcome(0), joined("ann"));
    room.told();
    room.take(lost);
    await room.clock.advance(outage);
    room.take(left("ann", "lost"), welcome(0));
    await room.clock.advance(hold - 1);
    assert.deepEqual(room.told(), []);
    await room.clock.advance(1);
    assert.deepEqual(room.told(), ["ann has lost the connection"]);
  }
});

Deno.test("Presence tells a conflict also of who comes back", async () => {
  const room = new Room();
  room.take(welcome(0), joined("ann"));
  room.told();
  room.take(lost, welcome(1), joined("ann", "conflict"));
  assert.deepEqual(room.told(), ["ann has joined with ANOTHER KEY than before: SHA256:ann"]);
  room.take(lost, welcome(1), joined("ann", "conflict"));
  await room.clock.advance(60_000);
  assert.deepEqual(room.told(), []);
});

Deno.test("Presence counts the places of one person", () => {
  const room = new Room();
  const here = { ...joined("ann"), nick: "ann#1" };
  const there = { ...joined("ann"), nick: "ann#2" };
  room.take(welcome(0), here, there);
  assert.deepEqual(room.told(), ["ann#1 has joined", "ann#2 has joined"]);
  room.take(lost, welcome(2), here, there);
  assert.deepEqual(room.told(), []);
  room.take({ ...there, nick: "ann#3" });
  assert.deepEqual(room.told(), ["ann#3 has joined"]);
});

Deno.test("Presence calls one's own identity at another place by that", () => {
  const room = new Room();
  room.take(welcome(2), { ...joined("me", "new"), fingerprint: ME }, joined("ann"));
  assert.deepEqual(room.told(), ["me has joined: yourself, at another place", "here is ann"]);
  assert.equal(room.presence.trustOf(ME), "verified");
});

Deno.test("Presence tells a new key before its first message, where joins are not shown", () => {
  const room = new Room();
  room.quiet = true;
  room.take(welcome(1), joined("ann", "new"), joined("bob", "new"), joined("eve"));
  room.take(chat("ann"), chat("bob"), chat("eve"), chat("ann"));
  assert.deepEqual(room.told(), ["ann has a new key: SHA256:ann", "bob has a new key: SHA256:bob"]);
});

Deno.test("Presence keeps who is new for this run, until they are verified", () => {
  const room = new Room();
  room.take(welcome(0), joined("ann", "new"), lost, welcome(1), joined("ann", "known"));
  assert.equal(room.presence.trustOf("SHA256:ann"), "new");
  room.people.push({ nick: "ann", fingerprint: "SHA256:ann", trust: "verified" });
  room.presence.refresh();
  assert.equal(room.presence.trustOf("SHA256:ann"), "verified");
  assert.equal(room.presence.trustOf("SHA256:nobody"), "new");
  assert.equal(room.presence.nickOf("SHA256:nobody"), "SHA256:nobody");
});

Deno.test("Presence sorts by who spoke last", () => {
  const room = new Room();
  const people = ["ann", "bob", "eve", "zoe"].map((nick) => (
    { nick, fingerprint: `SHA256:${nick}`, trust: "known" } as const
  ));
  room.take(chat("eve"), chat("ann"), chat("eve"));
  const sorted = room.presence.bySpeech(people).map(({ nick }) => nick);
  assert.deepEqual(sorted, ["eve", "ann", "bob", "zoe"]);
});

Deno.test("Presence knows the new nick of who changes it, and leaves the event to others", () => {
  const room = new Room();
  const event = { event: "nick", from: "ann", nick: "anna", fingerprint: "SHA256:ann" } as const;
  assert.deepEqual(room.take(joined("ann"), event, lost, chat("ann")), [true, false, false, false]);
  assert.equal(room.presence.nickOf("SHA256:ann"), "anna");
});

Deno.test("Presence forgets who was met first and is gone, and nobody who is here", () => {
  const room = new Room();
  room.take(welcome(0), joined("first"), joined("second"), left("second", "left"));
  for (let i = 0; i < 4094; i++) room.take(joined(`n${i}`), left(`n${i}`, "left"));
  assert.equal(room.presence.nickOf("SHA256:second"), "second");
  room.take(joined("one more"));
  assert.equal(room.presence.nickOf("SHA256:first"), "first");
  assert.equal(room.presence.nickOf("SHA256:second"), "SHA256:second");
});
