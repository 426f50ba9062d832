import assert from "node:assert/strict";
import { concat, encodeUtf8, withLength } from "../../lib/base/bytes.ts";
import { cipherReady, Opener, Sealer } from "../../lib/protocol/records.ts";
import {
  acceptTransport,
  Connection,
  type End,
  type Handlers,
  openTransport,
} from "../../lib/transport/establish.ts";
import { DecryptError, ProtocolError } from "../../lib/base/errors.ts";
import { InputBuffer } from "../../lib/transport/input_buffer.ts";
import { Group } from "../../lib/transport/scheduler.ts";
import { M1_BYTES, Responder } from "../../lib/protocol/handshake.ts";
import {
  LINGER_BYTES,
  LINGER_MS,
  M2_TIMEOUT_MS,
  MAX_QUEUE_AGE_MS,
  MAX_UNDELIVERED_BYTES,
  PING_DELAY_MS,
  SILENCE_MS,
  STALL_MS,
} from "../../lib/protocol/limits.ts";
import { writeAll } from "../../lib/transport/byte_stream.ts";
import { encodeFrame, FRAME, REASON } from "../../lib/protocol/frames.ts";
import { cheapKey, decodeCheapId } from "../support/cheap_key.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { memoryPair, type MemoryStream, type PairOptions } from "../support/memory_stream.ts";
import { RawClient, readExactly } from "../support/raw_client.ts";

const RELAY_KEY = cheapKey(1);
const CLIENT_KEY = cheapKey(2);
const JOIN = encodeFrame({
  type: "join",
  proof: new Uint8Array(32),
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
    onVerified: () => value.verified++,
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
  const common = { clock, decodeId: decodeCheapId };
  const group = new Group({ clock });
  const accepting = acceptTransport(far, { ...common, key: RELAY_KEY, group });
  const opened = await openTransport(near, {
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

/** A relay's side, and a client whose records are the test's. */
async function connectRaw(
  { onFrame, ...pair }: PairOptions & { onFrame?: Handlers["onFrame"] } = {},
) {
  const clock = new FakeClock();
  const [near, far] = memoryPair(pair);
  const log = makeLog(onFrame);
  const accepting = acceptTransport(far, { key: RELAY_KEY, clock, decodeId: decodeCheapId });
  const raw = await RawClient.open(near, CLIENT_KEY);
  const start = async () => (await accepting).connection.start(log);
  return { clock, near, far, raw, log, start, relay: accepting };
}

// --- Handshake ---

Deno.test("openTransport() and acceptTransport() carry the first frame with M3", async () => {
  const { near, relayLog, clientLog } = await connect();
  assert.deepEqual(relayLog.frames, [FRAME.JOIN]);
  assert.equal(relayLog.verified, 1);
  assert.equal(clientLog.verified, 0);
  assert.equal(near.writes, 2, "M1, then M3 with the first record");
});

Deno.test("openTransport() tells onVerified when the relay's first record has come", async () => {
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
  return await new Responder({ key: RELAY_KEY, mode: "transport" }).consumeM1(m1);
}

const REFUSALS: Refusal[] = [
  { name: "another version", answer: () => encodeUtf8("HEARTH/?"), code: "version" },
  { name: "nothing", answer: () => new Uint8Array(0), code: "cut" },
  { name: "7 bytes", answer: () => encodeUtf8("HEARTH/"), code: "cut" },
  {
    name: "a ct2 that is too long",
    answer: () => concat(new Uint8Array(32), Uint8Array.of(0x04, 0x2c)),
    code: "bad-length",
  },
  {
    name: "a ct2 that is too short",
    answer: () => concat(new Uint8Array(32), Uint8Array.of(0, 15)),
    code: "bad-length",
  },
  {
    name: "eR of zeros",
    answer: () => concat(new Uint8Array(32), withLength(new Uint8Array(500))),
    code: "bad-point",
  },
  {
    name: "noise",
    answer: () => concat(new Uint8Array(32).fill(9), withLength(new Uint8Array(1067))),
    code: "DecryptError",
  },
  {
    name: "M2 with a byte after it",
    answer: async (m1) => concat(await makeM2(m1), Uint8Array.of(0)),
    code: "unexpected",
  },
];

Deno.test("openTransport() refuses every answer that is no M2", async () => {
  for (const { name, answer, code } of REFUSALS) {
    const [near, far] = memoryPair();
    const opening = openTransport(near, {
      key: CLIENT_KEY,
      clock: new FakeClock(),
      decodeId: decodeCheapId,
      join: () => Promise.reject(new Error("must not be asked")),
      handlers: makeLog(),
    });
    const m1 = await readExactly(far, M1_BYTES);
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

Deno.test("openTransport() refuses another key than the expected one, and asks no join", async () => {
  const [near, far] = memoryPair();
  const accepting = acceptTransport(far, { key: RELAY_KEY, decodeId: decodeCheapId });
  const opening = openTransport(near, {
    key: CLIENT_KEY,
    expected: new Uint8Array(32),
    decodeId: decodeCheapId,
    join: () => Promise.reject(new Error("must not be asked")),
    handlers: makeLog(),
  });
  await assert.rejects(opening, { name: "ProtocolError", code: "wrong-identity" });
  await assert.rejects(accepting, { name: "ProtocolError", code: "cut" });
});

Deno.test("openTransport() throws what join throws, and closes", async () => {
  const [near, far] = memoryPair();
  const accepting = acceptTransport(far, { key: RELAY_KEY, decodeId: decodeCheapId });
  const refused = new Error("not this one");
  const opening = openTransport(near, {
    key: CLIENT_KEY,
    decodeId: decodeCheapId,
    join: () => Promise.reject(refused),
    handlers: makeLog(),
  });
  await assert.rejects(opening, (error) => error === refused);
  await assert.rejects(accepting, { code: "cut" });
});

Deno.test("openTransport() waits 10 s for M2, and as long as it takes for join", async () => {
  const clock = new FakeClock();
  const [near] = memoryPair();
  const options = { key: CLIENT_KEY, clock, decodeId: decodeCheapId, handlers: makeLog() };
  const opening = openTransport(near, { ...options, join: () => Promise.resolve(JOIN) });
  const failure = assert.rejects(opening, { name: "ProtocolError", code: "cut" });
  await clock.advance(M2_TIMEOUT_MS - 1);
  assert.equal(near.closed, false);
  await clock.advance(1);
  assert.equal(near.closed, true);
  await failure;

  const [near2, far2] = memoryPair();
  const accepting = acceptTransport(far2, { ...options, key: RELAY_KEY });
  const patient = openTransport(near2, {
    ...options,
    join: () => new Promise((resolve) => clock.after(60_000, () => resolve(JOIN))),
  });
  await clock.advance(60_000);
  await patient;
  const { connection } = await accepting;
  connection.start(makeLog());
  connection.abort();
});

Deno.test("openTransport() ends with the signal's reason at any moment", async () => {
  for (const stage of ["before", "M2", "join"]) {
    const stop = new AbortController();
    const [near, far] = memoryPair();
    if (stage === "before") stop.abort(new Error("stop"));
    if (stage === "join") {
      acceptTransport(far, { key: RELAY_KEY, decodeId: decodeCheapId }).catch(() => {});
    }
    const opening = openTransport(near, {
      key: CLIENT_KEY,
      decodeId: decodeCheapId,
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

Deno.test("acceptTransport() answers other first bytes with HEARTH/? and nothing else", async () => {
  for (const first of ["GET / HTTP/1.1\r\n", "HEARTH/2", "HEARTH/2" + "x".repeat(100)]) {
    const [near, far] = memoryPair();
    const accepting = acceptTransport(far, { key: RELAY_KEY, clock: new FakeClock() });
    const refused = assert.rejects(accepting, { code: "bad-magic" });
    await near.write(encodeUtf8(first));
    assert.deepEqual(await readExactly(near, 100), encodeUtf8("HEARTH/?"), first);
    assert.equal(far.closed, false, "lingers");
    await near.closeWrite();
    await refused;
    assert.equal(far.closed, true);
  }
});

Deno.test("acceptTransport() just closes on fewer than 8 bytes, a bad M1 and a bad M3", async () => {
  const m1 = concat(encodeUtf8("HEARTH/1"), new Uint8Array(32));
  for (const first of [new Uint8Array(0), encodeUtf8("HEARTH/"), m1.subarray(0, 39), m1]) {
    const [near, far] = memoryPair();
    const accepting = acceptTransport(far, { key: RELAY_KEY, clock: new FakeClock() });
    if (first.length > 0) await near.write(first);
    await near.closeWrite();
    await assert.rejects(accepting, ProtocolError);
    assert.equal((await readExactly(near, 100)).length, 0);
  }
  for (const bad of [withLength(new Uint8Array(15)), withLength(new Uint8Array(1068))]) {
    const [near, far] = memoryPair();
    const options = { key: RELAY_KEY, decodeId: decodeCheapId, clock: new FakeClock() };
    const accepting = acceptTransport(far, options);
    await RawClient.open(near, CLIENT_KEY);
    const refused = assert.rejects(accepting, { code: "bad-length" });
    await near.write(bad);
    assert.equal((await readExactly(near, 100)).length, 0);
    await near.closeWrite();
    await refused;
  }
});

// --- Records ---

Deno.test("Connection works when the stream gives one byte at a time", async () => {
  const { client, relay, clientLog, relayLog } = await connect({ readSize: 1 });
  relay.send(LEFT);
  relay.send(LEFT);
  client.send(JOIN);
  await settle(500);
  assert.equal(clientLog.frames.length, 2);
  assert.equal(relayLog.frames.length, 2);
});

Deno.test("Connection sends all frames of one moment in one record and one write", async () => {
  const { relay, far, clientLog } = await connect();
  const before = far.writes;
  for (let i = 0; i < 100; i++) relay.send(LEFT);
  await settle();
  assert.equal(far.writes, before + 1);
  assert.equal(clientLog.frames.length, 100);
});

Deno.test("Connection fills records up to their limit and gathers while a write is under way", async () => {
  const { relay, far, clientLog } = await connect({ capacity: 2 ** 20 });
  const before = far.writes;
  for (let i = 0; i < 10; i++) relay.send(LARGE);
  for (let i = 0; i < 1000; i++) relay.send(LEFT);
  await settle(20);
  assert.equal(clientLog.frames.length, 1010);
  // 10 of 16016 bytes, then 1000 of 12 bytes, of which some fit beside the last large one.
  assert.equal(far.writes - before, 11);
});

Deno.test("Connection answers PING, and keeps at most one PONG: the newest", async () => {
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

Deno.test("Connection.close() flushes, tells the reason and closes both streams", async () => {
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

Deno.test("Connection tells a cut from a CLOSE", async () => {
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

Deno.test("Connection gives every frame before a CLOSE in its record, and none after it", async () => {
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

Deno.test("Connection says nothing when the very first record does not verify", async () => {
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

Deno.test("Connection.close() reads on for at most 1 s or 64 KiB before it closes", async () => {
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

Deno.test("Connection closes behind record 2^48 - 1, and refuses one more of the other side", async () => {
  await cipherReady();
  const chainKey = new Uint8Array(32);
  const last = 2 ** 48 - 1;
  const make = () => {
    const [near, far] = memoryPair();
    const [sealer, opener] = [new Sealer(chainKey), new Opener(chainKey)];
    for (const end of [sealer, opener]) end.testOnlySkipTo(last - 1);
    const group = new Group({ clock: new FakeClock() });
    const input = new InputBuffer();
    const log = makeLog();
    const connection = new Connection({
      stream: near,
      input,
      sealer,
      opener,
      role: "client",
      group,
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
  const sealer = new Sealer(chainKey);
  sealer.testOnlySkipTo(last - 1);
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

Deno.test("Connection lives on pings alone, for hours", async () => {
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

Deno.test("Connection does not count the time in which it does not read itself", async () => {
  const { raw, start, relay, clock, log } = await connectRaw();
  await raw.begin(JOIN);
  await start();
  await settle();
  const { allowance } = (await relay).connection;
  allowance.charge(MAX_UNDELIVERED_BYTES + 1);
  await raw.stream.write(Uint8Array.of(0)); // the last that is read: no record, so nothing was heard
  await settle();
  await clock.advance(600_000);
  assert.deepEqual(log.ends, []);
  allowance.credit(MAX_UNDELIVERED_BYTES + 1);
  await clock.advance(SILENCE_MS - 1);
  assert.deepEqual(log.ends, []);
  await clock.advance(1);
  assert.deepEqual(log.ends, [{ type: "failed", reason: REASON.TIMEOUT }]);
});

Deno.test("Connection does not count the time in which the program was stopped", async () => {
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

Deno.test("Connection ends a receiver whose oldest frame has waited 60 s, with CLOSE(10)", async () => {
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
