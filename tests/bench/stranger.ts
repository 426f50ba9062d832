/**
 * One process of strangers to a relay: some storm it and never join, others only want to join.
 *
 * @module
 */

import { connect as connectFrom, type Socket } from "node:net";
import { Backoff } from "../../lib/base/backoff.ts";
import { type Bytes, concat } from "../../lib/base/bytes.ts";
import { systemRandom } from "../../lib/base/clock.ts";
import { M1_BYTES, MAGIC } from "../../lib/protocol/handshake.ts";
import { importPrivateKey } from "../../lib/protocol/identity.ts";
import { joinRoom } from "./member.ts";
import { serve } from "./remote.ts";

/** What a connection of a storm sends, and then waits for its end. */
const FIRST = {
  m1: (): Bytes => {
    // An ek of any values below 3329 is a valid one.
    return concat(MAGIC, systemRandom(32), new Uint8Array(M1_BYTES.transport - MAGIC.length - 32));
  },
  half: (): Bytes => FIRST.m1().subarray(0, M1_BYTES.transport / 2),
  nothing: (): undefined => undefined,
};
const TICK_MS = 5;

interface Target {
  readonly host: string;
  readonly port: number;
}

/**
 * Opens so many connections a second, from each of the addresses in turn.
 *
 * @returns How many a second there were.
 */
async function storm(
  { host, port, sends, addresses, perSecond, seconds }: Target & {
    sends: keyof typeof FIRST;
    addresses: readonly string[];
    perSecond: number;
    seconds: number;
  },
): Promise<{ perSecond: number }> {
  const open = new Set<Socket>();
  const start = performance.now();
  let begun = 0;
  for (let now = start; now < start + seconds * 1000; now = performance.now()) {
    for (const due = (now - start) / 1000 * perSecond; begun < due; begun++) {
      const localAddress = addresses[begun % addresses.length]!;
      const socket = connectFrom({ host, port, localAddress });
      open.add(socket);
      socket.on("error", () => {}); // cut
      socket.on("close", () => open.delete(socket));
      const first = FIRST[sends]();
      if (first) socket.on("connect", () => socket.write(first));
      socket.resume();
    }
    await sleep(TICK_MS);
  }
  const ended = performance.now();
  for (const socket of open) socket.destroy();
  return { perSecond: begun / (ended - start) * 1000 };
}

/** Joins and leaves so many times, with the pauses of a client when it fails; how long each took, in milliseconds. */
async function join(
  { host, port, keyPem, times }: Target & { keyPem: string; times: number },
): Promise<number[]> {
  const key = await importPrivateKey(keyPem);
  const options = {
    host,
    port,
    key,
    speech: "hearth",
    tls: false,
    textBytes: 1,
    room: "x",
  } as const;
  const took: number[] = [];
  while (took.length < times) {
    const start = performance.now();
    const backoff = new Backoff();
    let member;
    while (!member) {
      try {
        member = await joinRoom(options, "x");
      } catch {
        await sleep(backoff.next() * (0.5 + Math.random() / 2));
      }
    }
    took.push(performance.now() - start);
    member.close();
  }
  return took;
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

const actions = { storm, join };

/** What this process can be told. */
export type StrangerActions = typeof actions;

if (import.meta.main) await serve(actions);
