import assert from "node:assert/strict";
import { acceptTransport, type End, type Handlers, openTransport } from "../lib/connection.ts";
import { encodeFrame, FRAME, REASON } from "../lib/message.ts";
import { Group } from "../lib/group.ts";
import { cheapKey, decodeCheapId } from "./support/cheap_key.ts";
import { FakeClock, settle } from "./support/fake_clock.ts";
import { memoryPair, type PairOptions } from "./support/memory_stream.ts";

const RELAY_KEY = cheapKey(1);
const CLIENT_KEY = cheapKey(2);
const JOIN = encodeFrame({
  type: "join",
  proof: new Uint8Array(32),
  room: new Uint8Array(32),
  instance: new Uint8Array(16),
});

interface Log extends Handlers {
  frames: [number, Uint8Array][];
  ends: End[];
  verified: number;
}

function log(onFrame: Handlers["onFrame"] = () => {}): Log {
  const value: Log = {
    frames: [],
    ends: [],
    verified: 0,
    onFrame(type, body) {
      value.frames.push([type, body.slice()]);
      onFrame(type, body);
    },
    onVerified: () => value.verified++,
    onEnd: (end) => value.ends.push(end),
  };
  return value;
}

async function connect(options: PairOptions = {}) {
  const clock = new FakeClock();
  const [near, far] = memoryPair(options);
  const clientLog = log();
  const relayLog = log();
  const common = { clock, decodeId: decodeCheapId };
  const accepting = acceptTransport(far, {
    ...common,
    key: RELAY_KEY,
    group: new Group({ clock }),
  });
  const opened = await openTransport(near, {
    ...common,
    key: CLIENT_KEY,
    join: () => Promise.resolve(JOIN),
    handlers: clientLog,
  });
  const accepted = await accepting;
  accepted.connection.start(relayLog);
  await settle();
  return {
    clock,
    near,
    far,
    client: opened.connection,
    relay: accepted.connection,
    clientLog,
    relayLog,
    opened,
    accepted,
  };
}

Deno.test("openTransport() and acceptTransport() prove both identities and carry the first frame", async () => {
  const { opened, accepted, relayLog, clientLog } = await connect();
  assert.deepEqual(opened.relay.fingerprint, RELAY_KEY.publicKey.fingerprint);
  assert.deepEqual(accepted.peer.fingerprint, CLIENT_KEY.publicKey.fingerprint);
  assert.deepEqual(relayLog.frames, [[FRAME.JOIN, JOIN.subarray(3)]]);
  assert.equal(relayLog.verified, 1);
  assert.equal(clientLog.verified, 0);
});

Deno.test("Connection works when the stream gives one byte at a time", async () => {
  const { client, relay, clientLog, relayLog } = await connect({ readSize: 1 });
  const left = encodeFrame({ type: "left", sid: "0102030405060708", why: 0 });
  relay.send(left);
  relay.send(left);
  client.send(JOIN);
  await settle(500);
  assert.equal(clientLog.frames.length, 2);
  assert.equal(relayLog.frames.length, 2);
});

Deno.test("Connection.close() flushes, tells the reason and closes both streams", async () => {
  const { client, relayLog, clientLog, near, far, clock } = await connect();
  client.send(JOIN);
  const closing = client.close(REASON.NORMAL);
  assert.deepEqual(clientLog.ends, [{ type: "ended", reason: 0 }]);
  await closing;
  await settle();
  assert.equal(relayLog.frames.length, 2);
  assert.deepEqual(relayLog.ends, [{ type: "closed", reason: 0 }]);
  assert.ok(near.closed && far.closed);
  assert.equal(clock.timers, 0);
});
