/**
 * A process with several whole clients in it, terminals apart: sessions with real cryptography.
 *
 * @module
 */

import type { SessionEvent } from "../../lib/session/events.ts";
import { importPrivateKey } from "../../lib/protocol/identity.ts";
import { KnownServers } from "../../lib/session/known_servers.ts";
import { Session } from "../../lib/session/session.ts";
import { KnownPeers } from "../../lib/session/known_peers.ts";
import { serve } from "./remote.ts";

const PATIENCE_MS = 240_000;

/** Bytes that all people of this process have sent and received. */
const traffic = { sent: 0, received: 0 };

/** Connects, and counts. */
async function dial(port: number): Promise<Deno.TcpConn> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  conn.setNoDelay();
  const [read, write] = [conn.read.bind(conn), conn.write.bind(conn)];
  conn.read = async (into) => {
    const length = await read(into);
    traffic.received += length ?? 0;
    return length;
  };
  conn.write = async (bytes) => {
    const length = await write(bytes);
    traffic.sent += length;
    return length;
  };
  return conn;
}

/** A session and what happened in it. */
class Person {
  readonly session: Session;
  /** Channels that are up. */
  joined = 0;
  received = 0;
  delivered = 0;
  #changed: (() => void) | undefined;

  constructor(options: Omit<ConstructorParameters<typeof Session>[0], "emit">) {
    this.session = new Session({ ...options, emit: (event) => this.#take(event) });
  }

  #take({ event }: SessionEvent): void {
    if (event === "joined") this.joined++;
    if (event === "chat") this.received++;
    if (event === "delivered") this.delivered++;
    this.#changed?.();
  }

  /** Waits for a condition, looking at each event. */
  async until(condition: () => boolean): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!condition()) {
      if (performance.now() > deadline) throw new Error("not in time");
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
        setTimeout(resolve, 1000);
      });
    }
  }
}

const people: Person[] = [];

/** Lets people join, each with the next of the keys. */
async function enter(
  { count, port, keys, name, folder, room = "lobby" }: {
    room?: string;
    count: number;
    port: number;
    keys: readonly string[];
    name: string;
    folder: string;
  },
): Promise<void> {
  const identities = await Promise.all(keys.map((pem) => importPrivateKey(pem)));
  for (let i = 0; i < count; i++) {
    const home = `${folder}/${name}${i}`;
    await Deno.mkdir(home);
    const person = new Person({
      key: identities[i % identities.length]!,
      nick: `${name}${i}`,
      room,
      minKeyBits: 2048,
      address: `127.0.0.1:${port}`,
      knownServers: await KnownServers.load(home),
      knownPeers: await KnownPeers.load(home, () => {}),
      dial: () => dial(port),
    });
    people.push(person);
    void person.session.run();
  }
}

/** Waits until each has so many others. */
async function complete({ others }: { others: number }): Promise<void> {
  for (const person of people) await person.until(() => person.joined >= others);
}

/** The first one says texts, `atOnce` in a row, when everybody has acknowledged those before. */
async function say(
  { count, bytes, atOnce }: { count: number; bytes: number; atOnce: number },
): Promise<void> {
  const [person] = people as [Person];
  const { session } = person;
  for (let said = 0; said < count; said += atOnce) {
    const next = person.delivered + atOnce;
    for (let i = 0; i < atOnce; i++) session.say("x".repeat(bytes), {});
    await person.until(() => person.delivered >= next);
  }
}

/** The first one says a text so many times a second; resolves when everybody has acknowledged all of them. */
async function pace(
  { rate, seconds, bytes }: { rate: number; seconds: number; bytes: number },
): Promise<void> {
  const [person] = people as [Person];
  const count = rate * seconds;
  const goal = person.delivered + count;
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    const wait = start + i * 1000 / rate - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    person.session.say("x".repeat(bytes), {});
  }
  await person.until(() => person.delivered >= goal);
}

/** Bytes sent and received so far. */
function count(_: null): { sent: number; received: number } {
  return { ...traffic };
}

/** What somebody who wants to freeze a terminal sends. */
const HOSTILE = [
  "\u0001".repeat(8192),
  "\u0001\u0002a".repeat(2730),
  "\u202e\u2066x".repeat(1170),
  "👩\u200d👩\u200d👧\u200d👦".repeat(327),
  "👩\u200d".repeat(1170),
  "\u1100".repeat(2730),
  "a\u0301\u0301\u0301\u0301".repeat(910),
  "🇩🇪".repeat(1024),
  "привет мир ".repeat(400),
  "x",
];
const FLOOD_MS = 1;

/** Everybody sends to one person, or to the room, as fast as the protocol lets them. @returns How many messages. */
async function flood({ to, seconds }: { to?: string; seconds: number }): Promise<number> {
  let sent = 0;
  for (const end = performance.now() + seconds * 1000; performance.now() < end;) {
    for (const { session } of people) {
      for (let i = 0; i < 16 && !session.blocked; i++) {
        const text = HOSTILE[sent++ % HOSTILE.length]!;
        if (to === undefined) session.say(text);
        else session.sendPrivate(to, text);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, FLOOD_MS));
  }
  return sent;
}

/** The first one says a text. */
function tell({ text }: { text: string }): void {
  people[0]!.session.say(text, {});
}

/** Waits until everybody sees somebody. */
async function meet({ nick }: { nick: string }): Promise<void> {
  const here = () =>
    people.every(({ session }) => session.people().some((one) => one.nick === nick));
  await people[0]!.until(here);
}

const actions = { enter, complete, say, pace, count, flood, tell, meet };

/** What this process can be told. */
export type PeopleActions = typeof actions;

if (import.meta.main) await serve(actions);
