/**
 * A room of 64 whole clients: how soon everybody has everybody, what a message costs in it, and what joining it takes.
 *
 * @module
 */

import { importPrivateKey, type PrivateKey } from "../../lib/protocol/identity.ts";
import type { Values } from "./forward.ts";
import { CpuMeter } from "./meter.ts";
import type { PeopleActions } from "./people.ts";
import type { ProductOptions } from "./product.ts";
import { Remote } from "./remote.ts";
import { memberScript, type RunningServer } from "./servers.ts";

const ROOM = 64;
/** Who join it when it is full. */
const NEWCOMERS = 3;
/** Everybody is somebody else: terminals of one person would have more to tell each other. */
export const ROOM_KEYS: number = ROOM + NEWCOMERS;
const PROCESSES = 2;
const KIB = 1024;
const SAID = 40;
/** Messages a second, as people write and as they do in a hurry. */
const RATES = [2, 10];
const SETTLING_S = 3;
/** As long as the slowest of {@linkcode RATES} takes for all that is said. */
const IDLE_MS = 20_000;

type People = Remote<PeopleActions>;

/** The one who speaks, and all others. */
interface Room {
  readonly server: RunningServer;
  readonly one: People;
  readonly crowd: readonly People[];
  readonly values: Values;
}

export async function measureRoomOf64(
  { server, values, folder, keys }: ProductOptions,
): Promise<void> {
  const start = () => new Remote<PeopleActions>(memberScript(server.kind, "people.ts"));
  const room: Room = {
    server,
    values,
    one: start(),
    crowd: Array.from({ length: PROCESSES }, start),
  };
  const newcomers = Array.from({ length: NEWCOMERS }, start);
  const { one, crowd } = room;
  const all = [one, ...crowd, ...newcomers];
  try {
    const place = { port: server.port, folder };
    await Promise.all(all.map((remote) => remote.tell("complete", { others: 0 })));
    const from = performance.now();
    let used = 1;
    await Promise.all([
      one.tell("enter", { ...place, count: 1, keys: keys.slice(0, 1), name: "one" }),
      ...crowd.map((remote, i) => {
        const count = Math.floor((ROOM - 1 + i) / PROCESSES);
        const own = keys.slice(used, used += count);
        return remote.tell("enter", { ...place, count, keys: own, name: `p${i}n` });
      }),
    ]);
    await Promise.all([one, ...crowd].map((it) => it.tell("complete", { others: ROOM - 1 })));
    values["room64.ms"] = performance.now() - from;
    values["room64.cpu_ms"] = [one, ...crowd].reduce((sum, { cpu }) => sum + cpu.read(), 0) / 1000;
    values["room64.rsa_ms"] = await timeRsa(await importPrivateKey(keys[0]!));
    await measureMessages(room);
    await measureIdle(room);
    for (const rate of RATES) await measurePace(room, rate);
    await measureJoins(room, newcomers, keys.slice(ROOM), folder);
  } finally {
    await Promise.all(all.map((remote) => remote.stop()));
  }
}

/** The sender's CPU, and the bytes on the wire, of messages that come by themselves or in a row. */
async function measureMessages({ one, crowd, values }: Room): Promise<void> {
  const rows = [["", 128, 1], ["20", 128, 20], ["1k", KIB, 1], ["8k", 8 * KIB, 1]] as const;
  for (const [name, bytes, atOnce] of rows) {
    const count = SAID * atOnce;
    await one.tell("say", { count: count / 10, bytes, atOnce });
    const before = { cpu: one.cpu.read(), traffic: await countBytes(one, crowd) };
    await one.tell("say", { count, bytes, atOnce });
    values[`room64.send${name}_cpu_ms`] = (one.cpu.read() - before.cpu) / count / 1000;
    if (atOnce > 1) continue;
    const after = await countBytes(one, crowd);
    const others = ROOM - 1;
    values[`room64.up${name}_bytes`] = (after.up - before.traffic.up) / count;
    values[`room64.down${name}_bytes`] = (after.down - before.traffic.down) / count / others;
    values[`room64.ack${name}_bytes`] = (after.ack - before.traffic.ack) / count / others;
  }
}

/** What the sender has sent, and what the others have received and sent. */
async function countBytes(one: People, crowd: readonly People[]) {
  const [{ sent: up }, ...others] = await Promise.all(
    [one, ...crowd].map((remote) => remote.tell("count", null)),
  ) as [{ sent: number }, ...{ sent: number; received: number }[]];
  return {
    up,
    down: others.reduce((sum, { received }) => sum + received, 0),
    ack: others.reduce((sum, { sent }) => sum + sent, 0),
  };
}

/** What the others need when nobody writes: clients look after their time limits, and V8 collects what was left over. */
async function measureIdle({ crowd, values }: Room): Promise<void> {
  const read = () => crowd.reduce((sum, { cpu }) => sum + cpu.read(), 0);
  const before = read();
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  values["room64.idle_others_cpu_ms"] = (read() - before) / IDLE_MS;
}

/**
 * One writes so many times a second, and everybody acknowledges: CPU of everybody a message. A rare garbage collection of
 * 31 sessions in one process is as dear as ten messages: it takes many messages to see what one costs.
 */
async function measurePace({ server, one, crowd, values }: Room, rate: number): Promise<void> {
  const seconds = SAID / rate;
  await one.tell("pace", { rate, seconds: SETTLING_S, bytes: 128 });
  const relay = new CpuMeter(server.pid);
  const read = () => [relay, one.cpu, ...crowd.map(({ cpu }) => cpu)].map((cpu) => cpu.read());
  const before = read();
  await one.tell("pace", { rate, seconds, bytes: 128 });
  const [ofRelay, ofOne, ...ofCrowd] = read().map((cpu, i) => (cpu - before[i]!) / SAID / 1000) as [
    number,
    number,
    ...number[],
  ];
  values[`room64.at${rate}_relay_cpu_ms`] = ofRelay;
  values[`room64.at${rate}_sender_cpu_ms`] = ofOne;
  values[`room64.at${rate}_others_cpu_ms`] = ofCrowd.reduce((a, b) => a + b, 0);
}

/** Some more come, one after another, each in a process that has just started: the middle one counts. */
async function measureJoins(
  { server, values }: Room,
  newcomers: readonly People[],
  keys: readonly string[],
  folder: string,
): Promise<void> {
  const relay = new CpuMeter(server.pid);
  const joins: { ms: number; cpu: number; relay: number }[] = [];
  for (const [i, newcomer] of newcomers.entries()) {
    const before = { at: performance.now(), cpu: newcomer.cpu.read(), relay: relay.read() };
    const place = { port: server.port, folder, name: `late${i}`, keys: [keys[i]!] };
    await newcomer.tell("enter", { ...place, count: 1 });
    await newcomer.tell("complete", { others: ROOM + i });
    joins.push({
      ms: performance.now() - before.at,
      cpu: newcomer.cpu.read() - before.cpu,
      relay: relay.read() - before.relay,
    });
  }
  const middle = joins.toSorted((a, b) => a.ms - b.ms)[joins.length >> 1]!;
  values["join64.ms"] = middle.ms;
  values["join64.cpu_ms"] = middle.cpu / 1000;
  values["join64.relay_cpu_ms"] = middle.relay / 1000;
}

/** How long the RSA operations of all handshakes in a room of 64 take when all cores do nothing else. */
async function timeRsa(key: PrivateKey): Promise<number> {
  const message = new Uint8Array(64);
  const sealed = await key.publicKey.encrypt(new Uint8Array(32));
  const signature = await key.sign("bench", message);
  const cores = navigator.hardwareConcurrency;
  const rounds = 20;
  const handshake = async () => {
    for (let i = 0; i < rounds; i++) {
      await key.sign("bench", message);
      await key.sign("bench", message);
      await key.publicKey.verify("bench", message, signature);
      await key.publicKey.verify("bench", message, signature);
      await key.publicKey.encrypt(new Uint8Array(32));
    }
  };
  let start = performance.now();
  await Promise.all(Array.from({ length: cores }, handshake));
  const parallel = (performance.now() - start) / rounds / cores;
  start = performance.now();
  for (let i = 0; i < rounds; i++) await key.decrypt(sealed);
  const decrypt = (performance.now() - start) / rounds / cores; // synchronous, in as many processes
  return (parallel + decrypt) * ROOM * (ROOM - 1) / 2;
}
