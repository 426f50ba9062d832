/**
 * A program that attacks a relay in every way a stranger or a member on the network can, all at once.
 *
 * Arguments: the port of a relay on this computer, its join key in hex. Prints a line per attack, then exits.
 */

import { type Bytes, concat, decodeHex } from "../../lib/base/bytes.ts";
import { type Connection, openConnection } from "../../lib/transport/mod.ts";
import { M1_BYTES, MAGIC } from "../../lib/protocol/handshake.ts";
import { type JoinExchange, startJoin } from "../../lib/protocol/password.ts";
import { DEFAULT_ROOM } from "../../lib/cli/programs.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import { generateKey } from "../../lib/protocol/identity.ts";
import { systemRandom } from "../../lib/base/clock.ts";
import { decodeFrame, encodeFrame, KIND, MAX_PAYLOAD_BYTES } from "../../lib/protocol/frames.ts";

/** Longer than the relay tolerates a receiver that does not read (§10). */
const FLOOD_MS = 17_000;
const FLOOD_BYTES = 64 * 1024 * 1024;
const BURST = 1000;

const port = Number(Deno.args[0]);
const joinKey = decodeHex(Deno.args[1]!);
const key = await generateKey(2048);

const sleep = (delay: number) => new Promise<void>((resolve) => setTimeout(resolve, delay));

/** A connection that starts with `bytes`; undefined when refused. */
async function dial(bytes?: Uint8Array): Promise<Deno.TcpConn | undefined> {
  try {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    if (bytes) await connection.write(bytes);
    return connection;
  } catch {
    return undefined; // refused
  }
}

function close(connection: Deno.TcpConn | undefined): void {
  try {
    connection?.close();
  } catch {
    // The relay closed it first.
  }
}

function m1(): Bytes {
  // An ek of any values below 3329 is a valid one.
  return concat(MAGIC, systemRandom(32), new Uint8Array(M1_BYTES.transport - MAGIC.length - 32));
}

/** A member, or a client that tries to join with a wrong password. */
interface Intruder {
  readonly connection: Connection;
  readonly sid: Promise<string>;
  readonly others: { readonly sid: string }[];
  readonly ended: Promise<unknown>;
  drained: () => void;
}

async function join(guessedKey: Bytes, { reads = true } = {}): Promise<Intruder> {
  const socket = await Deno.connect({ hostname: "127.0.0.1", port });
  const welcomed = Promise.withResolvers<string>();
  const ended = Promise.withResolvers<unknown>();
  const others: { sid: string }[] = [];
  let isDeaf = false;
  const intruder: { drained: () => void } = { drained: () => {} };
  let exchange: JoinExchange;
  const opened = Promise.withResolvers<Connection>();
  const { connection } = await openConnection({
    read: (into) => isDeaf ? new Promise(() => {}) : socket.read(into),
    write: (bytes) => socket.write(bytes),
    closeWrite: () => socket.closeWrite(),
    close: () => socket.close(),
  }, {
    key,
    async join({ relay, th3 }) {
      exchange = await startJoin("client", {
        joinKey: guessedKey,
        client: key.publicKey.fingerprint,
        relay: relay.fingerprint,
        th3,
      });
      const { share } = exchange;
      const [room, instance] = [roomTag(DEFAULT_ROOM), systemRandom(16)];
      return encodeFrame({ type: "join", share, room, instance });
    },
    handlers: {
      onFrame(type, body) {
        const frame = decodeFrame(type, body);
        if (frame.type === "share") {
          const { proof } = exchange.finish(frame.share);
          const bytes = encodeFrame({ type: "proof", proof });
          void opened.promise.then((connection) => connection.send(bytes));
        }
        if (frame.type !== "welcome") return;
        others.push(...frame.members);
        isDeaf = !reads;
        welcomed.resolve(frame.sid);
      },
      onDrain: () => intruder.drained(),
      onEnd: (end) => ended.resolve(end),
    },
  });
  opened.resolve(connection);
  return Object.assign(intruder, {
    connection,
    sid: welcomed.promise,
    others,
    ended: ended.promise,
  });
}

/** Sends as fast as it can, to all of `targets` in turn. */
async function flood(from: Intruder, targets: readonly string[]): Promise<number> {
  let over = false;
  void from.ended.then(() => over = true);
  const timer = setTimeout(() => over = true, FLOOD_MS);
  let sent = 0;
  for (let i = 0; !over && sent < FLOOD_BYTES; i++) {
    from.connection.send(encodeFrame({
      type: "send",
      sid: targets[i % targets.length]!,
      kind: KIND.RECORD,
      tag: "00000000",
      payload: new Uint8Array(MAX_PAYLOAD_BYTES).fill(i),
    }));
    sent += MAX_PAYLOAD_BYTES;
    if (from.connection.queuedBytes < 256 * 1024) continue;
    await Promise.race([new Promise<void>((resolve) => from.drained = resolve), sleep(500)]);
  }
  clearTimeout(timer);
  return sent;
}

async function burst(): Promise<number> {
  const connections = await Promise.all(Array.from({ length: BURST }, () => dial()));
  await sleep(1000);
  connections.forEach(close);
  return connections.filter(Boolean).length;
}

/** A handshake sent byte by byte, never completed. */
async function drip(): Promise<number> {
  const connections = await Promise.all(Array.from({ length: 60 }, () => dial()));
  const bytes = m1();
  for (const byte of bytes.subarray(0, 30)) {
    await Promise.all(connections.map((it) => it?.write(Uint8Array.of(byte)).catch(() => {})));
    await sleep(100);
  }
  connections.forEach(close);
  return connections.length;
}

/** An M1 and nothing after it; the connection is closed or reset with M2 unread. */
async function halve(count: number, { reset = false } = {}): Promise<number> {
  const connections = await Promise.all(Array.from({ length: count }, () => dial(m1())));
  for (const connection of connections) {
    if (reset) await sleep(10);
    close(connection);
  }
  return count;
}

/** Handshakes cut off at a hundred places. */
async function cutOff(): Promise<number> {
  const bytes = concat(m1(), systemRandom(200));
  const step = 14;
  for (let length = 0; length < bytes.length; length += step) {
    close(await dial(bytes.subarray(0, length)));
  }
  return Math.ceil(bytes.length / step);
}

async function speakOthers(): Promise<number> {
  const encoder = new TextEncoder();
  const greetings = [
    encoder.encode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    encoder.encode("SSH-2.0-OpenSSH_9.6\r\n"),
    Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, ...systemRandom(500)),
    systemRandom(65536),
  ];
  let answered = 0;
  for (let i = 0; i < 60; i++) {
    const connection = await dial(greetings[i % greetings.length]);
    const answer = new Uint8Array(8);
    const length = await connection?.read(answer).catch(() => null);
    if (length === 8 && new TextDecoder().decode(answer) === "HEARTH/?") answered++;
    close(connection);
  }
  return answered;
}

async function guess(): Promise<number> {
  const guesses = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => join(new Uint8Array(32).fill(i))),
  );
  await sleep(3000);
  const open = guesses.flatMap((it) => it.status === "fulfilled" ? [it.value] : []);
  for (const { connection } of open) connection.abort();
  return guesses.length;
}

const deaf = await Promise.all(Array.from({ length: 4 }, () => join(joinKey, { reads: false })));
const loud = await Promise.all(Array.from({ length: 4 }, () => join(joinKey)));
const deafSids = await Promise.all(deaf.map(({ sid }) => sid));
await Promise.all(loud.map(({ sid }) => sid));
const strangers = loud[3]!.others.map(({ sid }) => sid).filter((sid) => !deafSids.includes(sid));
const floods = loud.map((it, i) => flood(it, i === 3 ? strangers : deafSids));
const report = (name: string, count: number) => console.log(`${name}: ${count}`);
report("connections in a burst", await burst());
report("dripping", await drip());
report("other protocols answered", await speakOthers());
report("half-open", await halve(200));
report("reset with unread bytes", await halve(200, { reset: true }));
report("cut off", await cutOff());
report("burst again", await burst());
for (const [i, sent] of (await Promise.all(floods)).entries()) {
  report(`flood ${i}, MiB`, Math.round(sent / 2 ** 20));
}
report("guesses", await guess());
for (const { connection } of [...deaf, ...loud]) connection.abort();
Deno.exit();
