/**
 * One process of members of a room on the relay: some pour out texts as fast as they can, one speaks now and then.
 *
 * @module
 */

import { systemRandom } from "../../lib/base/clock.ts";
import { decodeFrame, encodeFrame, FRAME, KIND, ROUTE_BYTES } from "../../lib/protocol/frames.ts";
import { importPrivateKey, type PrivateKey } from "../../lib/protocol/identity.ts";
import { NO_SHARE } from "../../lib/protocol/password.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import { type Connection, openConnection } from "../../lib/transport/mod.ts";
import { type Latency, readLatency } from "./load.ts";
import { serve } from "./remote.ts";

/** A text as a record. */
const PAYLOAD = systemRandom(256);
/** What a member that pours may have queued. */
const AHEAD_BYTES = 64 * 1024;
/** Tags tell what the speaker says from what the others pour out. */
const SPOKEN = "ffffffff";
const POURED = "00000000";
const LOST_AFTER_MS = 10_000;

class Member {
  received = 0;
  hasEnded = false;
  connection!: Connection;
  onSpoken: () => void = () => {};
  onDrain: () => void = () => {};
  readonly #others = new Set<string>();

  take(type: number, body: Uint8Array): void {
    if (type === FRAME.RECV) {
      this.received++;
      if (body[ROUTE_BYTES - 1] === 0xff) this.onSpoken();
      return;
    }
    const frame = decodeFrame(type, body);
    if (frame.type === "welcome") { for (const { sid } of frame.members) this.#others.add(sid); }
    if (frame.type === "joined") this.#others.add(frame.sid);
    if (frame.type === "left") this.#others.delete(frame.sid);
  }

  say(tag: string): void {
    for (const sid of this.#others) {
      const frame = { type: "send", sid, kind: KIND.RECORD, tag, payload: PAYLOAD } as const;
      this.connection.send(encodeFrame(frame));
    }
  }
}

const members: Member[] = [];

async function enter(
  { count, port, keyPem }: { count: number; port: number; keyPem: string },
): Promise<void> {
  const key = await importPrivateKey(keyPem);
  for (let i = 0; i < count; i++) members.push(await join(port, key));
}

async function join(port: number, key: PrivateKey): Promise<Member> {
  const member = new Member();
  const joined = Promise.withResolvers<void>();
  const stream = await Deno.connect({ hostname: "127.0.0.1", port });
  stream.setNoDelay();
  const [room, instance] = [roomTag("crowd"), systemRandom(16)];
  const opened = await openConnection(stream, {
    key,
    join: () => Promise.resolve(encodeFrame({ type: "join", share: NO_SHARE, room, instance })),
    handlers: {
      onFrame(type, body) {
        member.take(type, body);
        if (type === FRAME.WELCOME) joined.resolve();
      },
      onDrain: () => member.onDrain(),
      onEnd: () => {
        member.hasEnded = true;
        joined.resolve();
      },
    },
  });
  member.connection = opened.connection;
  await joined.promise;
  return member;
}

/** The first ones say something as fast as their connections take it. */
async function pour({ senders, seconds }: { senders: number; seconds: number }): Promise<void> {
  const end = performance.now() + seconds * 1000;
  await Promise.all(
    members.slice(0, senders).map(async (member) => {
      while (performance.now() < end && !member.hasEnded) {
        while (member.connection.queuedBytes < AHEAD_BYTES) member.say(POURED);
        await new Promise<void>((resolve) => member.onDrain = resolve);
      }
    }),
  );
}

/** The first one says something so many times a second; the last one tells how long it takes. */
async function speak({ rate, seconds }: { rate: number; seconds: number }): Promise<Latency> {
  const [speaker, listener] = [members[0]!, members.at(-1)!];
  const said: number[] = [];
  const took: number[] = [];
  listener.onSpoken = () => took.push(performance.now() - said[took.length]!);
  const start = performance.now();
  for (let i = 0; i < rate * seconds; i++) {
    const wait = start + i * 1000 / rate - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    said.push(performance.now());
    speaker.say(SPOKEN);
  }
  const deadline = performance.now() + LOST_AFTER_MS;
  while (took.length < said.length && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return readLatency(took);
}

/** What all of them have received so far, and how many were closed. */
function count(_: null): { received: number; ended: number } {
  const received = members.reduce((sum, member) => sum + member.received, 0);
  return { received, ended: members.filter((member) => member.hasEnded).length };
}

const actions = { enter, pour, speak, count };

/** What this process can be told. */
export type CrowdActions = typeof actions;

if (import.meta.main) await serve(actions);
