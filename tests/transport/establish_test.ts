import assert from "node:assert/strict";
import { concat, encodeUtf8, withLength } from "../../lib/base/bytes.ts";
import { cipherReady, TAG_BYTES } from "../../lib/protocol/records.ts";
import { Connection, type End, type Handlers } from "../../lib/transport/connection.ts";
import { acceptConnection, openConnection } from "../../lib/transport/establish.ts";
import { DecryptError, ProtocolError } from "../../lib/base/errors.ts";
import { InputBuffer } from "../../lib/transport/input_buffer.ts";
import { SendCredit } from "../../lib/transport/send_credit.ts";
import { Scheduler } from "../../lib/transport/scheduler.ts";
import {
  HandshakeResponder,
  M1_BYTES,
  M2_HEADER_BYTES,
  MAX_CT2_BYTES,
  MAX_CT3_BYTES,
} from "../../lib/protocol/handshake.ts";
import { makeSessionKey } from "../../lib/protocol/session_key.ts";
import {
  LINGER_BYTES,
  LINGER_MS,
  M2_TIMEOUT_MS,
  MAX_QUEUE_AGE_MS,
  MAX_QUEUED_FRAMES,
  MAX_UNDELIVERED_BYTES,
  PING_DELAY_MS,
  SILENCE_MS,
  STALL_MS,
  WATCH_PING_MS,
} from "../../lib/protocol/limits.ts";
import { writeAll } from "../../lib/transport/byte_stream.ts";
import { encodeFrame, forEachFrame, FRAME, REASON } from "../../lib/protocol/frames.ts";
import { LateOpener, LateSealer } from "../support/late_records.ts";
import { cheapKey, cheapPrimitives } from "../support/cheap_key.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { memoryPair, type MemoryStream, type PairOptions } from "../support/memory_stream.ts";
import { RawClient, readExactly } from "../support/raw_client.ts";

const RELAY_KEY = cheapKey(1);
const CLIENT_KEY = cheapKey(2);
const SESSION = await makeSessionKey(RELAY_KEY, { primitives: cheapPrimitives });
/** What the relay's side of a connection needs. */
const RELAY = { key: RELAY_KEY, session: SESSION, primitives: cheapPrimitives };
const JOIN = encodeFrame({
  type: "join",
  share: new Uint8Array(32),
  room: new Uint8Array(32),
  instance: new Uint8Array(16),
});
const LEFT = encodeFrame({ type: "left", sid: "0102030405060708", why: 0 });
const LARGE = encodeFrame({
  type: "recv",
  sid: "0102030405060708",
  kind: 4,
  tag: "00000000",
  payload: new Uint8Array(16_000),
});
const SEND = encodeFrame({
  type: "send",
  sid: "0102030405060708",
  kind: 4,
  tag: "00000000",
  payload: new Uint8Array(1000),
}).subarray(3);
const PING = encodeFrame({ type: "ping", data: encodeUtf8("12345678") });

interface Log extends Handlers {
  frames: number[];
  ends: End[];
  verified: number;
}

function makeLog(onFrame: Handlers["onFrame"] = () => {}): Log {
  const value: Log = {
    frames: [],
    ends: [],
    verified: 0,
    onFrame(type, body) {
      value.frames.push(type);
      onFrame(type, body);
    },
    onVerified: () => void value.verified++,
    onEnd: (end) => value.ends.push(end),
  };
  return value;
}

/** Both sides of one connection; the relay's side is `relay`. */
interface Rig {
  clock: FakeClock;
  near: MemoryStream;
  far: MemoryStream;
  client: Connection;
  relay: Connection;
  clientLog: Log;
  relayLog: Log;
}

async function connect(options: PairOptions = {}): Promise<Rig> {
  const clock = new FakeClock();
  const [near, far] = memoryPair(options);
  const clientLog = makeLog();
  const relayLog = makeLog();
  const common = { clock, primitives: cheapPrimitives };
  const scheduler = new Scheduler({ clock });
  const accepting = acceptConnection(far, { ...RELAY, clock, scheduler });
  const opened = await openConnection(near, {
    ...common,
    key: CLIENT_KEY,
    join: () => Promise.resolve(JOIN),
    handlers: clientLog,
  });
  assert.deepEqual(opened.relay.fingerprint, RELAY_KEY.publicKey.fingerprint);
  const { connection, peer } = await accepting;
  assert.deepEqual(peer.fingerprint, CLIENT_KEY.publicKey.fingerprint);
  connection.start(relayLog);
  await settle();
  return { clock, near, far, client: opened.connection, relay: connection, clientLog, relayLog };
}

/** A relay's side, and a client whose records the test makes. */
async function connectRaw(
  { onFrame, ...pair }: PairOptions & { onFrame?: Handlers["onFrame"] } = {},
) {
  const clock = new FakeClock();
  const [near, far] = memoryPair(pair);
  const log = makeLog(onFrame);
  const accepting = acceptConnection(far, { ...RELAY, clock });
  const raw = await RawClient.open(near, CLIENT_KEY);
  const start = async () => (await accepting).connection.start(log);
  return { clock, near, far, raw, log, start, relay: accepting };
}

// --- Handshake ---

Deno.test("openConnection() and acceptConnection() carry the first frame with M3", async () => {
  const { near, relayLog, clientLog } = await connect();
  assert.deepEqual(relayLog.frames, [FRAME.JOIN]);
  assert.equal(relayLog.verified, 1);
  assert.equal(clientLog.verified, 0);
  assert.equal(near.writes, 2, "M1, then M3 with the first record");
});

Deno.test("openConnection() calls onVerified on the relay's first record", async () => {
  const { relay, clientLog } = await connect();
  relay.send(LEFT);
  relay.send(LEFT);
  await settle();
  assert.equal(clientLog.verified, 1);
  assert.deepEqual(clientLog.frames, [FRAME.LEFT, FRAME.LEFT]);
});

interface Refusal {
  name: string;
  answer: (m1: Uint8Array) => Promise<Uint8Array> | Uint8Array;
  code: string;
}

async function makeM2(m1: Uint8Array): Promise<Uint8Array> {
  return await new HandshakeResponder({ ...RELAY, mode: "transport" }).consumeM1(m1);
}

const HEADER_BYTES = M2_HEADER_BYTES.transport;
const M2_HEADER = new Uint8Array(HEADER_BYTES).fill(9);

function lengthOf(length: number): Uint8Array {
  return Uint8Array.of(length >> 8, length);
}

const REFUSALS: Refusal[] = [
  { name: "another version", answer: () => encodeUtf8("HEARTH/?"), code: "version" },
  { name: "nothing", answer: () => new Uint8Array(0), code: "cut" },
  { name: "7 bytes", answer: () => encodeUtf8("HEARTH/"), code: "cut" },
  {
    name: "a ct2 that is too long",
    answer: () => concat(M2_HEADER, lengthOf(MAX_CT2_BYTES + 1)),
    code: "bad-length",
  },
  {
    name: "a ct2 that is too short",
    answer: () => concat(M2_HEADER, lengthOf(TAG_BYTES - 1)),
    code: "bad-length",
  },
  {
    name: "the shortest ct2",
    answer: () => concat(M2_HEADER, withLength(new Uint8Array(TAG_BYTES))),
    code: "DecryptError",
  },
  {
    name: "the longest ct2",
    answer: () => concat(M2_HEADER, withLength(new Uint8Array(MAX_CT2_BYTES))),
    code: "DecryptError",
  },
  {
    name: "eR of zeros",
    answer: () => concat(new Uint8Array(HEADER_BYTES), withLength(new Uint8Array(500))),
    code: "bad-point",
  },
  {
    name: "an M2 that is cut off",
    answer: async (m1) => (await makeM2(m1)).subarray(0, -1),
    code: "cut",
  },
  {
    name: "the M2 of HEARTH/1",
    answer: () => concat(new Uint8Array(32).fill(9), withLength(new Uint8Array(500))),
    code: "cut",
  },
  {
    name: "M2 with a byte after it",
    answer: async (m1) => concat(await makeM2(m1), Uint8Array.of(0)),
    code: "unexpected",
  },
];

Deno.test("openConnection() rejects every answer that is not an M2", async () => {
  for (const { name, answer, code } of REFUSALS) {
    const [near, far] = memoryPair();
    const opening = openConnection(near, {
      key: CLIENT_KEY,
      clock: new FakeClock(),
      primitives: cheapPrimitives,
      join: () => Promise.reject(new Error("must not be asked")),
      handlers: makeLog(),
    });
    const m1 = await readExactly(far, M1_BYTES.transport);
    const bytes = await answer(m1);
    if (bytes.length > 0) await far.write(bytes);
    await far.closeWrite();
    await assert.rejects(opening, (error) => {
      const found = error instanceof ProtocolError ? error.code : (error as Error).name;
      assert.equal(found, code, name);
      return true;
    });
  }
});

Deno.test("openConnection() rejects a key other than the expected one, without calling join", async () => {
  const [near, far] = memoryPair();
  const accepting = acceptConnection(far, RELAY);
  const opening = openConnection(near, {
    key: CLIENT_KEY,
    expected: new Uint8Array(32),
    primitives: cheapPrimitives,
    join: () => Promise.reject(new Error("must not be asked")),
    handlers: makeLog(),
  });
  await assert.rejects(opening, { name: "ProtocolError", code: "wrong-identity" });
  await assert.rejects(accepting, { name: "ProtocolError", code: "cut" });
});

Deno.test("openConnection() throws what join throws, and closes the stream", async () => {
  const [near, far] = memoryPair();
  const accepting = acceptConnection(far, RELAY);
  const refused = new Error("not this one");
  const opening = openConnection(near, {
    key: CLIENT_KEY,
    primitives: cheapPrimitives,
    join: () => Promise.reject(refused),
    handlers: makeLog(),
  });
  await assert.rejects(opening, (error) => error === refused);
  await assert.rejects(accepting, { code: "cut" });
});

Deno.test("openConnection() waits 10 s for M2, and without limit for join", async () => {
  const clock = new FakeClock();
  const [near] = memoryPair();
  const options = { key: CLIENT_KEY, clock, primitives: cheapPrimitives, handlers: makeLog() };
  const opening = openConnection(near, { ...options, join: () => Promise.resolve(JOIN) });
  const failure = assert.rejects(opening, { name: "ProtocolError", code: "cut" });
  await clock.advance(M2_TIMEOUT_MS - 1);
  assert.equal(near.closed, false);
  await clock.advance(1);
  assert.equal(near.closed, true);
  await failure;

  const [near2, far2] = memoryPair();
  const accepting = acceptConnection(far2, { ...RELAY, clock });
  const patient = openConnection(near2, {
    ...options,
    join: () => new Promise((resolve) => clock.after(60_000, () => resolve(JOIN))),
  });
  await clock.advance(60_000);
  await patient;
  const { connection } = await accepting;
  connection.start(makeLog());
  connection.abort();
});

Deno.test("openConnection() throws the signal's reason at any stage", async () => {
  for (const stage of ["before", "M2", "join"]) {
    const stop = new AbortController();
    const [near, far] = memoryPair();
    if (stage === "before") stop.abort(new Error("stop"));
    if (stage === "join") {
      acceptConnection(far, RELAY).catch(() => {});
    }
    const opening = openConnection(near, {
      key: CLIENT_KEY,
      primitives: cheapPrimitives,
      signal: stop.signal,
      join: () => new Promise(() => stop.abort(new Error("stop"))),
      handlers: makeLog(),
    });
    const failure = assert.rejects(opening, { message: "stop" });
    await settle();
    stop.abort(new Error("stop"));
    await failure;
    await settle();
    assert.equal(near.closed, true, stage);
  }
});

Deno.test("acceptConnection() answers other first bytes with HEARTH/? alone", async () => {
  // The M1 of HEARTH/1 had 40 bytes.
  for (const first of ["GET / HTTP/1.1\r\n", "HEARTH/3", "HEARTH/?", "HEARTH/1" + "x".repeat(32)]) {
    const [near, far] = memoryPair();
    const accepting = acceptConnection(far, { ...RELAY, clock: new FakeClock() });
    const refused = assert.rejects(accepting, { code: "bad-magic" });
    await near.write(encodeUtf8(first));
    assert.deepEqual(await readExactly(near, 100), encodeUtf8("HEARTH/?"), first);
    assert.equal(far.closed, false, "lingers");
    await near.closeWrite();
    await refused;
    assert.equal(far.closed, true);
  }
});

Deno.test("acceptConnection() closes without an answer on fewer than 8 bytes, a bad M1 or a bad M3", async () => {
  const m1 = concat(encodeUtf8("HEARTH/2"), new Uint8Array(32 + 1184));
  assert.equal(m1.length, M1_BYTES.transport);
  for (const first of [new Uint8Array(0), encodeUtf8("HEARTH/"), m1.subarray(0, -1), m1]) {
    const [near, far] = memoryPair();
    const accepting = acceptConnection(far, { ...RELAY, clock: new FakeClock() });
    if (first.length > 0) await near.write(first);
    await near.closeWrite();
    await assert.rejects(accepting, ProtocolError);
    assert.equal((await readExactly(near, 100)).length, 0);
  }
  for (
    const bad of [
      withLength(new Uint8Array(15)),
      withLength(new Uint8Array(MAX_CT3_BYTES.transport + 1)),
    ]
  ) {
    const [near, far] = memoryPair();
    const options = { ...RELAY, clock: new FakeClock() };
    const accepting = acceptConnection(far, options);
    await RawClient.open(near, CLIENT_KEY);
    const refused = assert.rejects(accepting, { code: "bad-length" });
    await near.write(bad);
    assert.equal((await readExactly(near, 100)).length, 0);
    await near.closeWrite();
    await refused;
  }
});

// --- Records ---

Deno.test("Connection works on a stream that delivers one byte at a time", async () => {
  const { client, relay, clientLog, relayLog } = await connect({ readSize: 1 });
  relay.send(LEFT);
  relay.send(LEFT);
  client.send(JOIN);
  await settle(500);
  assert.equal(clientLog.frames.length, 2);
  assert.equal(relayLog.frames.length, 2);
});

Deno.test("Connection sends frames queued together in one record and one write", async () => {
  const { relay, far, clientLog } = await connect();
  const before = far.writes;
  for (let i = 0; i < 100; i++) relay.send(LEFT);
  await settle();
  assert.equal(far.writes, before + 1);
  assert.equal(clientLog.frames.length, 100);
});

Deno.test("Connection fills records up to their limit and coalesces frames during a write", async () => {
  const { relay, far, clientLog } = await connect({ capacity: 2 ** 20 });
  const before = far.writes;
  for (let i = 0; i < 10; i++) relay.send(LARGE);
  for (let i = 0; i < 1000; i++) relay.send(LEFT);
  await settle(20);
  assert.equal(clientLog.frames.length, 1010);
  // 10 of 16016 bytes, then 1000 of 12 bytes, of which some fit beside the last large one.
  assert.equal(far.writes - before, 11);
});

Deno.test("Connection answers PING, and queues at most one PONG: the newest", async () => {
  const { raw, start } = await connectRaw();
  await raw.begin(concat(JOIN, PING));
  await start();
  const pong = encodeFrame({ type: "pong", data: encodeUtf8("12345678") });
  assert.deepEqual(await raw.receive(), pong);
  const other = encodeFrame({ type: "ping", data: encodeUtf8("abcdefgh") });
  await raw.send(concat(PING, PING, other));
  assert.deepEqual(
    await raw.receive(),
    encodeFrame({ type: "pong", data: encodeUtf8("abcdefgh") }),
  );
});

// --- Ends ---

Deno.test("Connection.close() flushes, sends the reason and closes both streams", async () => {
  const { client, relayLog, clientLog, near, far, clock } = await connect();
  client.send(JOIN);
  const closing = client.close(REASON.NORMAL);
  assert.deepEqual(clientLog.ends, [{ type: "ended", reason: 0 }]);
  client.send(JOIN);
  await closing;
  await settle();
  assert.deepEqual(relayLog.frames, [FRAME.JOIN, FRAME.JOIN]);
  assert.deepEqual(relayLog.ends, [{ type: "closed", reason: 0 }]);
  assert.ok(near.closed && far.closed);
  assert.equal(clock.timers, 0);
  await client.close(REASON.NORMAL);
  client.abort();
  assert.equal(clientLog.ends.length, 1);
});

Deno.test("Connection distinguishes a cut from a CLOSE", async () => {
  for (const how of ["end", "reset", "abort"]) {
    const { near, far, client, clientLog, relayLog, clock } = await connect();
    if (how === "end") await near.closeWrite();
    else if (how === "reset") near.cut();
    else client.abort();
    await settle();
    assert.deepEqual(relayLog.ends, [{ type: "cut" }], how);
    assert.deepEqual(clientLog.ends, [{ type: "cut" }], how);
    assert.ok(near.closed && far.closed);
    assert.equal(clock.timers, 0);
  }
});

Deno.test("Connection delivers every frame before a CLOSE in its record, and none after it", async () => {
  const { raw, start, log } = await connectRaw();
  await raw.begin(concat(JOIN, JOIN, encodeFrame({ type: "close", reason: 200 }), JOIN));
  await start();
  await settle();
  assert.deepEqual(log.frames, [FRAME.JOIN, FRAME.JOIN]);
  assert.deepEqual(log.ends, [{ type: "closed", reason: 200 }]);
  assert.deepEqual(await raw.receiveAll(), [], "a CLOSE is not answered");
});

Deno.test("Connection ends with CLOSE(3) on a protocol error once a record has verified", async () => {
  const bad = [
    encodeFrame({ type: "ping", data: new Uint8Array(7) }),
    new Uint8Array(0),
    Uint8Array.of(0, 0, 2, 0, 0),
    Uint8Array.of(2, 0, 0),
    concat(JOIN, Uint8Array.of(1)),
  ];
  for (const plaintext of bad) {
    const { raw, start, log, far } = await connectRaw();
    await raw.begin(JOIN);
    await start();
    await raw.send(plaintext);
    const answer = [encodeFrame({ type: "close", reason: REASON.PROTOCOL })];
    assert.deepEqual(await raw.receiveAll(), answer);
    assert.equal(log.ends[0]?.type, "failed");
    await raw.stream.closeWrite();
    await settle();
    assert.ok(far.closed);
  }
});

Deno.test("Connection ends with CLOSE(3) when a handler throws, and delivers nothing more", async () => {
  const { raw, start, log } = await connectRaw({
    onFrame: () => {
      throw new ProtocolError("unexpected");
    },
  });
  await raw.begin(concat(JOIN, JOIN));
  await start();
  assert.deepEqual(await raw.receiveAll(), [
    encodeFrame({ type: "close", reason: REASON.PROTOCOL }),
  ]);
  assert.deepEqual(log.frames, [FRAME.JOIN]);
});

Deno.test("Connection sends no CLOSE if the very first record does not verify", async () => {
  const { raw, start, log } = await connectRaw();
  raw.sealer.seal(JOIN); // the counter is now wrong
  await raw.begin(JOIN);
  await start();
  assert.deepEqual(await raw.receiveAll(), []);
  const [end] = log.ends;
  assert.ok(end?.type === "failed" && end.error instanceof DecryptError);
});

Deno.test("Connection ends with CLOSE(3) when a later record does not verify or is too long", async () => {
  for (const bad of [withLength(new Uint8Array(40)), Uint8Array.of(0, 16), Uint8Array.of(64, 17)]) {
    const { raw, start } = await connectRaw();
    await raw.begin(JOIN);
    await start();
    await raw.stream.write(bad);
    assert.deepEqual(await raw.receiveAll(), [
      encodeFrame({ type: "close", reason: REASON.PROTOCOL }),
    ]);
  }
});

Deno.test("Connection.close() discards input for at most 1 s or 64 KiB before it closes", async () => {
  const { raw, start, far, clock } = await connectRaw();
  await raw.begin(JOIN);
  await start();
  await settle();
  await raw.send(new Uint8Array(0)); // a fault: the relay says CLOSE(3) and lingers
  await settle();
  await clock.advance(LINGER_MS - 1);
  assert.equal(far.closed, false);
  await clock.advance(1);
  assert.equal(far.closed, true);

  const other = await connectRaw();
  await other.raw.begin(JOIN);
  await other.start();
  await other.raw.send(new Uint8Array(0));
  await settle();
  await other.raw.stream.write(new Uint8Array(LINGER_BYTES - 1000));
  await settle(50);
  assert.equal(other.far.closed, false);
  await other.raw.stream.write(new Uint8Array(5000));
  await settle(50);
  assert.equal(other.far.closed, true);
});

Deno.test("Connection closes after record 2^48 - 1, and rejects a later one", async () => {
  await cipherReady();
  const chainKey = new Uint8Array(32);
  const last = 2 ** 48 - 1;
  const make = () => {
    const [near, far] = memoryPair();
    const sealer = new LateSealer(chainKey, last - 1);
    const opener = new LateOpener(chainKey, last - 1);
    const scheduler = new Scheduler({ clock: new FakeClock() });
    const input = new InputBuffer();
    const log = makeLog();
    const connection = new Connection({
      stream: near,
      input,
      sealer,
      opener,
      role: "client",
      scheduler,
    });
    connection.start(log);
    return { connection, far, log };
  };
  const sender = make();
  for (let n = last - 1; n <= last; n++) {
    assert.deepEqual(sender.log.ends, []);
    sender.connection.send(PING);
    await settle();
  }
  assert.deepEqual(sender.log.ends, [{ type: "cut" }]);
  const recordBytes = 2 + PING.length + 16;
  assert.equal((await readExactly(sender.far, 1000)).length, 2 * recordBytes);

  const receiver = make();
  const sealer = new LateSealer(chainKey, last - 1);
  const records = [sealer.seal(LEFT), sealer.seal(LEFT), new Uint8Array(40)].map(withLength);
  await writeAll(receiver.far, concat(...records));
  await settle();
  assert.deepEqual(receiver.log.frames, [FRAME.LEFT, FRAME.LEFT]);
  const [end] = receiver.log.ends;
  assert.ok(end?.type === "failed" && end.reason === REASON.PROTOCOL);
});

// --- Time ---

Deno.test("Connection sends PING after 15 s without sending, and not earlier", async () => {
  const { clock, near, far } = await connect();
  const writes = () => [near.writes, far.writes];
  const before = writes();
  await clock.advance(PING_DELAY_MS - 1);
  assert.deepEqual(writes(), before);
  await clock.advance(1);
  // Each side sends PING and answers the other's.
  assert.deepEqual(writes().map((count, i) => count - before[i]! >= 1), [true, true]);
});

Deno.test("Connection that watches sends PING after 2 s of silence, and not earlier", async () => {
  const { raw, start, clock, relay } = await connectRaw();
  await raw.begin(JOIN);
  await start();
  await settle();
  const { connection: far } = await relay;
  const pings = async () => {
    await raw.readSome();
    return raw.takeWhole().length;
  };
  far.watch();
  await clock.advance(WATCH_PING_MS - 1);
  await raw.send(PING); // heard, and answered
  await settle();
  assert.equal(await pings(), 1);
  assert.equal(far.silentMs, 0);
  assert.equal(far.heardWallTime, clock.wallTime());
  await clock.advance(WATCH_PING_MS - 1);
  assert.equal(far.silentMs, WATCH_PING_MS - 1);
  far.send(LEFT); // what is sent does not put it off
  await settle();
  assert.equal(await pings(), 1);
  await clock.advance(2 * WATCH_PING_MS);
  assert.equal(await pings(), 2, "again and again");
});

Deno.test("Connection stays open for hours on pings alone", async () => {
  const { clock, clientLog, relayLog, near } = await connect();
  await clock.advance(2 * 3_600_000);
  assert.deepEqual([...clientLog.ends, ...relayLog.ends], []);
  assert.ok(near.writes > 400);
});

Deno.test("Connection ends with CLOSE(4) after 45 s of silence, and not earlier", async () => {
  const { raw, start, clock, log } = await connectRaw();
  await raw.begin(JOIN);
  await start();
  await settle();
  await clock.advance(SILENCE_MS - 1);
  assert.deepEqual(log.ends, []);
  await clock.advance(1);
  assert.deepEqual(log.ends, [{ type: "failed", reason: REASON.TIMEOUT }]);
  const last = (await raw.receiveAll()).at(-1);
  assert.deepEqual(last, encodeFrame({ type: "close", reason: REASON.TIMEOUT }));
});

Deno.test("Connection does not count its own pauses in reading as silence", async () => {
  const { raw, start, relay, clock, log } = await connectRaw();
  await raw.begin(JOIN);
  await start();
  await settle();
  const { credit } = (await relay).connection;
  credit.charge(MAX_UNDELIVERED_BYTES + 1);
  await raw.stream.write(Uint8Array.of(0)); // the last that is read: no record, so nothing was heard
  await settle();
  await clock.advance(600_000);
  assert.deepEqual(log.ends, []);
  credit.refund(MAX_UNDELIVERED_BYTES + 1);
  await clock.advance(SILENCE_MS - 1);
  assert.deepEqual(log.ends, []);
  await clock.advance(1);
  assert.deepEqual(log.ends, [{ type: "failed", reason: REASON.TIMEOUT }]);
});

Deno.test("Connection does not count the time in which the program was suspended", async () => {
  const { clock, clientLog, relayLog } = await connect();
  await clock.advance(10_000);
  await clock.sleep(3_600_000);
  await clock.advance(60_000);
  assert.deepEqual([...clientLog.ends, ...relayLog.ends], []);
});

Deno.test("Connection gives up a write that makes no progress for 15 s", async () => {
  const { clock, relay, far, relayLog } = await connect();
  far.stalled = true;
  relay.send(LEFT);
  await clock.advance(STALL_MS - 1);
  assert.deepEqual(relayLog.ends, []);
  await clock.advance(1);
  assert.deepEqual(relayLog.ends, [{ type: "failed", reason: REASON.TOO_SLOW }]);
  await clock.advance(5_000);
  assert.ok(far.closed);
  assert.equal(relay.queuedBytes, 0);
});

Deno.test("Connection ends with CLOSE(10) when its oldest frame has waited 60 s", async () => {
  const { raw, start, clock, log, relay } = await connectRaw({ capacity: 1000 });
  await raw.begin(JOIN);
  await start();
  await settle();
  for (let i = 0; i < 20; i++) (await relay).connection.send(LARGE);
  const plaintexts: Uint8Array[] = [];
  // Every second the receiver takes a little: each write makes progress, yet the queue grows old.
  for (let second = 0; second < MAX_QUEUE_AGE_MS / 1000; second++) {
    assert.deepEqual(log.ends, [], `after ${second} s`);
    await raw.readSome(1000);
    plaintexts.push(...raw.takeWhole());
    await raw.send(PING);
    await clock.advance(1000);
  }
  assert.deepEqual(log.ends, [{ type: "failed", reason: REASON.TOO_SLOW }]);
  plaintexts.push(...await raw.receiveAll());
  assert.deepEqual(
    plaintexts.at(-1),
    encodeFrame({ type: "close", reason: REASON.TOO_SLOW }),
    "what was queued behind is not sent any more",
  );
  assert.ok(plaintexts.length < 10);
});

Deno.test("Connection ends with CLOSE(10) when more than 4096 frames of its own wait", async () => {
  const { clock, relay, far, relayLog } = await connect();
  const source = { sid: new Uint8Array(8), credit: new SendCredit() };
  far.stalled = true;
  relay.send(LEFT); // this one is being written, so it does not wait
  await clock.advance(1);
  for (let i = 0; i < MAX_QUEUED_FRAMES; i++) {
    relay.send(LEFT);
    relay.forward(SEND, source);
  }
  await clock.advance(100);
  assert.deepEqual(relayLog.ends, []);
  relay.send(LEFT);
  assert.deepEqual(relayLog.ends, [], "not while it is sent to others as well");
  await clock.advance(100);
  assert.deepEqual(relayLog.ends, [{ type: "failed", reason: REASON.TOO_SLOW }]);
  assert.equal(source.credit.exhausted, false);
  far.stalled = false;
  await clock.advance(5_000);
  assert.equal(relay.queuedBytes, 0);
});

Deno.test("Connection does not end while a busy receiver gets every frame within 60 s", async () => {
  const { raw, start, clock, log, relay } = await connectRaw({ capacity: 1000 });
  await raw.begin(JOIN);
  await start();
  await settle();
  const { connection } = await relay;
  const senders = Array.from({ length: 8 }, (_, i) => ({
    sid: new Uint8Array(8).fill(i + 1),
    credit: new SendCredit(),
  }));
  let sent = 0;
  let received = 0;
  const send = () => connection.forward(SEND, senders[sent++ % senders.length]!);
  for (let i = 0; i < 80; i++) send();
  // It takes two frames a second, as many as come, and is always 40 s behind.
  for (let second = 0; second < 200; second++) {
    for (let bytes = 2 * (SEND.length + 3); bytes > 0; bytes -= 500) {
      await raw.readSome(Math.min(bytes, 500));
      await settle(2);
    }
    for (const plaintext of raw.takeWhole()) forEachFrame(plaintext, () => received++);
    send();
    send();
    if (second % 10 === 0) await raw.send(PING);
    await clock.advance(1000);
    assert.deepEqual(log.ends, [], `after ${second} s`);
  }
  assert.ok(sent - received > 60, `${sent - received} wait`);
});
