/**
 * One process of the load generator: members of one server that say and count.
 *
 * @module
 */

import { importPrivateKey } from "../../lib/protocol/identity.ts";
import { joinRoom, type Member, type MemberOptions } from "./member.ts";
import { serve } from "./remote.ts";

/** What a process is told once. */
export interface LoadOptions extends Omit<MemberOptions, "room" | "key"> {
  /** Begins the nick of each member. */
  readonly name: string;
  /** The identity of all its members. */
  readonly keyPem: string;
}

/** Percentiles of the time from send to receipt, in milliseconds. */
export interface Latency {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** After so long without anything new, what is missing counts as lost. */
const LOST_AFTER_MS = 3_000;
const MEMBERS_OF_A_ROOM = 60;

const members: Member[] = [];
let options: Omit<MemberOptions, "room">;
let prefix = "";

const sum = () => members.reduce((total, { received }) => total + received, 0);

async function configure({ keyPem, name, ...rest }: LoadOptions): Promise<void> {
  options = { ...rest, key: await importPrivateKey(keyPem) };
  prefix = name;
}

/** Connects members, `atOnce` at a time; how long each took. */
async function connect(
  { count, atOnce, rooms }: { count: number; atOnce: number; rooms: boolean },
): Promise<number[]> {
  const times: number[] = [];
  let begun = 0;
  const work = async () => {
    while (begun < count) {
      const number = members.length + (begun++ - times.length);
      const room = rooms ? `bench${Math.floor(number / MEMBERS_OF_A_ROOM)}` : "bench";
      const start = performance.now();
      const member = await joinRoom({ ...options, room }, `${prefix}${number}`);
      times.push(performance.now() - start);
      members.push(member);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return times;
}

/** Says so many messages, by the last `senders` members in turn, with at most `window` that not all here have got. */
async function flood(
  { messages, senders, window }: { messages: number; senders: number; window: number },
): Promise<{ ms: number }> {
  const speaking = members.slice(-senders);
  const goals = members.map((member) => ({ member, done: -member.received }));
  const start = performance.now();
  let said = 0;
  await new Promise<void>((resolve) => {
    let timer = setTimeout(resolve, LOST_AFTER_MS);
    const advance = () => {
      while (said < messages) {
        const slowest = Math.min(...goals.map(({ member, done }) => member.received + done));
        if (said - slowest >= window) return;
        const speaker = speaking[said++ % speaking.length]!;
        speaker.say();
        goals.find(({ member }) => member === speaker)!.done++; // one's own one has already
      }
    };
    const received = () => {
      clearTimeout(timer);
      timer = setTimeout(resolve, LOST_AFTER_MS);
      advance();
      if (said === messages && goals.every(({ member, done }) => member.received + done >= said)) {
        clearTimeout(timer);
        resolve();
      }
    };
    for (const member of members) member.onReceived = received;
    advance();
  });
  for (const member of members) member.onReceived = () => {};
  return { ms: performance.now() - start };
}

/** Waits until all members together have received so many; counts from the last call on. */
async function expect({ total }: { total: number }): Promise<{ received: number; ms: number }> {
  const start = performance.now();
  let last = { received: sum(), at: start };
  let end = start;
  while (last.received < total && performance.now() - last.at < LOST_AFTER_MS) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    end = performance.now();
    const received = sum();
    if (received !== last.received) last = { received, at: end };
  }
  for (const member of members) member.received = 0;
  return { received: last.received, ms: end - start };
}

/** The last member says something so many times a second; the others here tell how long it takes. */
async function pace({ rate, seconds }: { rate: number; seconds: number }): Promise<Latency> {
  const speaker = members.at(-1)!;
  const said: number[] = [];
  const samples: number[] = [];
  for (const member of members.slice(0, -1)) {
    let next = 0;
    member.onReceived = (count) => {
      const now = performance.now();
      for (let i = 0; i < count; i++) samples.push(now - said[next++]!);
    };
  }
  const start = performance.now();
  for (let i = 0; i < rate * seconds; i++) {
    const wait = start + i * 1000 / rate - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    said.push(performance.now());
    speaker.say();
  }
  const all = said.length * (members.length - 1);
  const deadline = performance.now() + LOST_AFTER_MS;
  while (samples.length < all && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  for (const member of members) member.onReceived = () => {};
  samples.sort((a, b) => a - b);
  const at = (share: number) => samples[Math.floor(share * (samples.length - 1))] ?? NaN;
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}

/** The first member reads slowly from now on. */
function slow({ bytesPerSecond }: { bytesPerSecond: number }): void {
  members[0]!.limit(bytesPerSecond);
}

function leave(_: null): void {
  for (const member of members.splice(0)) member.close();
}

const actions = { configure, connect, flood, expect, pace, slow, leave };

/** What this process can be told. */
export type LoadActions = typeof actions;

if (import.meta.main) await serve(actions);
