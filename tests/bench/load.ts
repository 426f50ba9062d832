/**
 * One process of the load generator: members of one server that say and count.
 *
 * @module
 */

import { systemRandom } from "../../lib/base/clock.ts";
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

/** @param samples In milliseconds; sorted afterwards. */
export function readLatency(samples: number[]): Latency {
  samples.sort((a, b) => a - b);
  const at = (share: number) => samples[Math.floor(share * (samples.length - 1))] ?? NaN;
  return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}

/** After so long without anything new, what is missing counts as lost. */
const LOST_AFTER_MS = 3_000;
const MEMBERS_OF_A_ROOM = 60;
/** Who lost their server come back so many at once. */
const BACK_AT_ONCE = 8;
/** From a speaker to the next: a prime, and more than a room has. */
const STRIDE = 307;

const members: Member[] = [];
/** With what each of them joined. */
const joins = new Map<Member, MemberOptions>();
let options: Omit<MemberOptions, "room">;
let prefix = "";

const sum = () => members.reduce((total, { received }) => total + received, 0);

async function configure({ keyPem, name, ...rest }: LoadOptions): Promise<void> {
  options = { ...rest, key: await importPrivateKey(keyPem) };
  prefix = name;
}

async function tryToJoin(join: MemberOptions, number: number, tries: number): Promise<Member> {
  for (let left = tries - 1;; left--) {
    try {
      return await joinRoom(join, `${prefix}${number}`);
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

/** How members connect. */
interface Connecting {
  readonly count: number;
  readonly atOnce: number;
  /** One room for all processes; or rooms of this process of so many members, 60 by default. */
  readonly rooms: boolean | number;
  /** Of several servers: members of one room take them in turn, or else rooms do. */
  readonly ports?: readonly number[];
  /** How often each tries, as clients do, a second apart; once by default. */
  readonly tries?: number;
}

/** Connects members, `atOnce` at a time; how long each took. */
async function connect({ count, atOnce, rooms, ports, tries = 1 }: Connecting): Promise<number[]> {
  const times: number[] = [];
  const size = rooms === true ? MEMBERS_OF_A_ROOM : rooms;
  let begun = 0;
  const work = async () => {
    while (begun < count) {
      const number = members.length + (begun++ - times.length);
      const index = size ? Math.floor(number / size) : number;
      const join = {
        ...options,
        room: size ? `bench${prefix}${index}` : "bench",
        port: ports?.[index % ports.length] ?? options.port,
        instance: systemRandom(16),
      };
      const start = performance.now();
      const member = await tryToJoin(join, number, tries);
      times.push(performance.now() - start);
      members.push(member);
      joins.set(member, join);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return times;
}

/** All members of a server that has been killed join again, at others. @returns How many they are. */
async function comeBack(
  { from, ports, tries }: { from: number; ports: readonly number[]; tries: number },
): Promise<number> {
  const lost = [...members.entries()].filter(([, member]) => joins.get(member)!.port === from);
  const waiting = lost.values();
  const work = async () => {
    for (const [at, member] of waiting) {
      const join = { ...joins.get(member)!, port: ports[at % ports.length]! };
      members[at] = await tryToJoin(join, at, tries);
      joins.delete(member);
      joins.set(members[at]!, join);
    }
  };
  await Promise.all(Array.from({ length: BACK_AT_ONCE }, work));
  return lost.length;
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
  return readLatency(samples);
}

/** How many do not see exactly so many others, and how many have lost their server. */
function look({ others }: { others: number }): { incomplete: number; ended: number } {
  const ended = members.filter(({ hasEnded }) => hasEnded).length;
  return { incomplete: members.filter((member) => member.others !== others).length, ended };
}

/** Members of all rooms speak in turn, so many times a second together. */
async function chatter(
  { perSecond, seconds }: { perSecond: number; seconds: number },
): Promise<void> {
  const start = performance.now();
  for (let i = 0; i < perSecond * seconds; i++) {
    const wait = start + i * 1000 / perSecond - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    members[i * STRIDE % members.length]!.say();
  }
}

/** The first member reads slowly from now on. */
function slow({ bytesPerSecond }: { bytesPerSecond: number }): void {
  members[0]!.limit(bytesPerSecond);
}

function leave(_: null): void {
  for (const member of members.splice(0)) member.close();
  joins.clear();
}

const actions = {
  configure,
  connect,
  comeBack,
  flood,
  expect,
  pace,
  chatter,
  look,
  slow,
  leave,
};

/** What this process can be told. */
export type LoadActions = typeof actions;

if (import.meta.main) await serve(actions);
