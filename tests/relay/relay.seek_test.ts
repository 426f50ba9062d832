import assert from "node:assert/strict";
import { type Bytes, concat, encodeHex } from "../../lib/base/bytes.ts";
import { encodeFrame, REASON, WHY } from "../../lib/protocol/frames.ts";
import {
  HEARD_MS,
  JOIN_TIMEOUT_MS,
  MAX_PENDING_PER_ADDRESS,
  MAX_SEEKERS,
  MAX_SEEKERS_PER_FINGERPRINT,
  WATCH_PING_MS,
} from "../../lib/protocol/limits.ts";
import {
  decodeWhereabouts,
  encodeWhereabouts,
  type Place,
  STATE,
  type Whereabouts,
} from "../../lib/protocol/succession.ts";
import type { HostOptions } from "../../lib/relay/relay_options.ts";
import { cheapKey } from "../support/cheap_key.ts";
import { settle } from "../support/fake_clock.ts";
import {
  type ClientOptions,
  comings,
  JOIN_KEY,
  joinFrame,
  LOBBY,
  OTHER_ROOM,
  RelayRig,
  type RigClient,
} from "../support/relay_rig.ts";

const HOST = 5;
const PERSON = cheapKey(HOST).publicKey.fingerprint;
const ROOM = encodeHex(LOBBY);
const ELSEWHERE: Place = {
  relay: new Uint8Array(32).fill(9),
  port: 40623,
  addresses: ["192.0.2.9"],
};

const seek = (room: Bytes = LOBBY) => encodeFrame({ type: "seek", room });
const placeFrame = (where: Whereabouts) =>
  encodeFrame({ type: "place", body: encodeWhereabouts(where) });

/** A relay with a client of its own, which stands by. */
function makeHost(options: Partial<HostOptions> & { joinKey?: Bytes } = {}): RelayRig {
  const { joinKey, ...host } = options;
  return new RelayRig({
    joinKey,
    host: { person: PERSON, onPlace: () => {}, ...host },
  });
}

/** Sends SEEK, or what is given, and waits for the answer. */
async function ask(rig: RelayRig, options: ClientOptions = {}): Promise<RigClient> {
  const client = await rig.start({ first: seek(), ...options });
  await settle();
  return client;
}

/** All answers to a SEEK so far. */
function answers(client: RigClient): Whereabouts[] {
  return client.frames.flatMap((frame) =>
    frame.type === "place" ? [decodeWhereabouts(frame.body)] : []
  );
}

Deno.test("Relay that is dedicated has every room, and counts its members", async () => {
  const rig = new RelayRig();
  await rig.room(3);
  assert.deepEqual(answers(await ask(rig)), [{ state: STATE.HERE, others: 3 }]);
  const other = await ask(rig, { first: seek(OTHER_ROOM) });
  assert.deepEqual(answers(other), [{ state: STATE.HERE, others: 0 }]);
});

Deno.test("Relay takes a JOIN on the connection of a SEEK", async () => {
  const rig = new RelayRig({ joinKey: undefined });
  const client = await ask(rig);
  assert.equal(rig.relay.pending, 0, "who has asked counts apart");
  client.connection.send(joinFrame());
  await settle();
  assert.ok(client.find("welcome"));
  assert.deepEqual([rig.relay.members, rig.relay.pending], [1, 0]);
  rig.relay.tell(ROOM, { state: STATE.LOST });
  rig.relay.shut(ROOM);
  await settle();
  assert.equal(answers(client).length, 1, "a member is told nothing more");
});

Deno.test("Relay takes SEEK and JOIN in one record", async () => {
  const rig = new RelayRig();
  const client = await ask(rig, { first: concat(seek(), joinFrame()) });
  assert.deepEqual(client.frames.map(({ type }) => type), ["place", "welcome"]);
});

Deno.test("Relay ends a connection that breaks the order of SEEK, PLACE and JOIN", async () => {
  const here = placeFrame({ state: STATE.AT_PLACE, place: ELSEWHERE });
  const cases = [
    concat(seek(), seek()),
    concat(joinFrame(), seek()),
    concat(joinFrame(), here),
    concat(seek(), joinFrame(), here),
    concat(seek(), encodeFrame({ type: "proof", proof: new Uint8Array(32) })),
    encodeFrame({ type: "seek", room: new Uint8Array(31) }),
    here,
  ];
  for (const [i, first] of cases.entries()) {
    const rig = new RelayRig();
    const client = await ask(rig, { first });
    assert.ok(client.ends.length === 1, `${i}`);
    assert.deepEqual([rig.relay.members, rig.relay.pending], [0, 0], `${i}`);
  }
});

Deno.test("Relay that stands by admits nobody, and says where the room is", async () => {
  const rig = makeHost();
  const client = await ask(rig);
  const other = await ask(rig, { first: seek(OTHER_ROOM) });
  assert.equal((await rig.join()).reason, REASON.ELSEWHERE);
  for (const state of [STATE.LOST, STATE.LOST]) rig.relay.tell(ROOM, { state });
  rig.relay.tell(ROOM, { state: STATE.AT_PLACE, place: ELSEWHERE });
  const late = await ask(rig);
  rig.relay.open(ROOM, undefined);
  rig.relay.tell(ROOM, { state: STATE.LOST });
  await settle();
  const last = [{ state: STATE.AT_PLACE, place: ELSEWHERE }, { state: STATE.HERE, others: 0 }];
  assert.deepEqual(answers(client), [{ state: STATE.UNKNOWN }, { state: STATE.LOST }, ...last]);
  assert.deepEqual(answers(late), last);
  assert.deepEqual(answers(other), [{ state: STATE.UNKNOWN }], "another room is not its business");
  assert.ok((await rig.join()).find("welcome"));
  assert.ok((await rig.join({ room: OTHER_ROOM })).find("welcome"), "a host has the other rooms");
});

Deno.test("Relay that gives a room away closes it, without LEFTs, and keeps the others", async () => {
  const rig = makeHost();
  rig.relay.open(ROOM, undefined);
  const [one, two] = await rig.room(2);
  const other = await rig.join({ room: OTHER_ROOM });
  rig.relay.shut(ROOM);
  await settle();
  assert.deepEqual([one.reason, two.reason], [REASON.SHUTTING_DOWN, REASON.SHUTTING_DOWN]);
  assert.ok(![one, two].flatMap(comings).some((it) => it.startsWith("-")));
  assert.deepEqual([other.ends, rig.relay.members], [[], 1]);
  assert.equal((await rig.join()).reason, REASON.ELSEWHERE);
  assert.ok((await rig.join({ room: OTHER_ROOM })).find("welcome"));
  rig.relay.open(ROOM, undefined);
  const back = await rig.join();
  assert.equal(back.find("welcome")?.members.length, 0);
  back.connection.close(REASON.NORMAL);
  await settle();
  assert.equal(rig.relay.members, 2);
});

Deno.test("Relay refuses in the order key size, elsewhere, allow list, password", async () => {
  const rig = new RelayRig({
    host: { person: PERSON, onPlace: () => {} },
    allow: new Set(),
    joinKey: JOIN_KEY,
  });
  assert.equal((await rig.join({ bits: 1024 })).reason, REASON.WEAK_KEY);
  assert.equal((await rig.join()).reason, REASON.ELSEWHERE);
  rig.relay.open(ROOM, JOIN_KEY);
  assert.equal((await rig.join()).reason, REASON.NOT_ALLOWED);
});

Deno.test("Relay asks for the password of the room", async () => {
  const rig = makeHost({ joinKey: JOIN_KEY });
  rig.relay.open(ROOM, undefined);
  assert.ok((await rig.join()).find("welcome"));
  assert.equal((await rig.join({ room: OTHER_ROOM })).reason, REASON.PASSWORD);
  const own = new Uint8Array(32).fill(8);
  rig.relay.open(encodeHex(OTHER_ROOM), own);
  assert.equal((await rig.join({ room: OTHER_ROOM })).reason, REASON.PASSWORD);
  assert.ok((await rig.join({ room: OTHER_ROOM, joinKey: own })).find("welcome"));
});

Deno.test("Relay sends who waits for its password elsewhere once the room has gone", async () => {
  const rig = makeHost();
  rig.relay.open(ROOM, JOIN_KEY);
  const client = await rig.start({ joinKey: JOIN_KEY });
  rig.relay.shut(ROOM);
  await settle();
  assert.equal(client.reason, REASON.ELSEWHERE);
});

Deno.test("Relay counts as others who was heard in the last 6 s, the host's person aside", async () => {
  const rig = makeHost();
  rig.relay.open(ROOM, undefined);
  await rig.join({ seed: HOST });
  const silent = await rig.join({ seed: 6, address: "::ffff:192.0.2.6" });
  await rig.join({ seed: 7 });
  assert.equal(rig.relay.others(ROOM), 2);
  assert.equal(rig.relay.sourceOf(silent.sid), "192.0.2.6");
  silent.stream.stalled = true; // its PONGs do not come through
  await rig.clock.advance(HEARD_MS - 1);
  assert.ok(rig.relay.isHeard(silent.sid));
  await rig.clock.advance(WATCH_PING_MS);
  assert.equal(rig.relay.others(ROOM), 1);
  assert.equal(rig.relay.isHeard(silent.sid), false);
  assert.equal(rig.relay.isHeard("0000000000000001"), false);
  assert.equal(rig.relay.sourceOf("0000000000000001"), undefined);
});

Deno.test("Relay forgets, after a sleep of the computer, who was heard before it", async () => {
  const rig = makeHost();
  rig.relay.open(ROOM, undefined);
  const client = await rig.join();
  client.stream.stalled = true;
  await rig.clock.sleep(3_600_000);
  assert.equal(rig.relay.others(ROOM), 0);
  client.stream.stalled = false;
  await rig.clock.advance(WATCH_PING_MS);
  assert.equal(rig.relay.others(ROOM), 1);
});

Deno.test("Relay pings the members of a room that has a host, and of no other", async () => {
  const rig = makeHost();
  rig.relay.open(ROOM, undefined);
  const here = await rig.join();
  const other = await rig.join({ room: OTHER_ROOM });
  const before = [here, other].map(({ stream }) => stream.writes);
  await rig.clock.advance(2 * WATCH_PING_MS);
  const pongs = [here, other].map(({ stream }, i) => stream.writes - before[i]!);
  assert.deepEqual(pongs, [2, 0]);
});

Deno.test("Relay hands on where a client says that it hosts, and ignores any other PLACE", async () => {
  const told: unknown[] = [];
  const rig = makeHost({ onPlace: (...args) => told.push(args) });
  const client = await ask(rig, { seed: 20 });
  client.connection.send(placeFrame({ state: STATE.LOST }));
  client.connection.send(encodeFrame({ type: "place", body: new Uint8Array(3).fill(2) }));
  client.connection.send(placeFrame({ state: STATE.AT_PLACE, place: ELSEWHERE }));
  await settle();
  assert.deepEqual(client.ends, []);
  assert.deepEqual(told, [[ROOM, cheapKey(20).publicKey.fingerprint, ELSEWHERE]]);
});

// --- Limits ---

Deno.test("Relay cuts who has not joined 10 s after its SEEK", async () => {
  const rig = new RelayRig();
  const client = rig.dial();
  const opening = rig.start({ first: seek() });
  await rig.clock.advance(JOIN_TIMEOUT_MS - 1);
  assert.equal(client.relayStream.closed, false);
  const seeker = await opening;
  await rig.clock.advance(1);
  assert.equal(client.relayStream.closed, true);
  assert.deepEqual(seeker.ends, [{ type: "cut" }]);
  const late = await ask(rig);
  await rig.clock.advance(JOIN_TIMEOUT_MS - 1);
  late.connection.send(joinFrame());
  await settle();
  assert.ok(late.find("welcome"));
  await rig.clock.advance(JOIN_TIMEOUT_MS);
  assert.deepEqual(late.ends, []);
});

Deno.test("Relay waits 10 s for the PROOF of who joins late after its SEEK", async () => {
  const rig = new RelayRig({ joinKey: JOIN_KEY });
  const client = await ask(rig, { joinKey: JOIN_KEY });
  await rig.clock.advance(JOIN_TIMEOUT_MS - 1);
  await rig.start({ joinKey: new Uint8Array(32).fill(9) }); // wrong: holds the address for a second
  await settle();
  client.connection.send(joinFrame(0, client.exchange!.share));
  await settle();
  assert.equal(client.find("share"), undefined);
  await rig.clock.advance(1000);
  assert.ok(client.find("welcome"));
});

Deno.test("Relay lets eight SEEKs of one identity wait, and 256 in all", async () => {
  const rig = new RelayRig();
  const first = await ask(rig, { seed: 9 });
  const same: RigClient[] = [];
  for (let i = 0; i <= MAX_SEEKERS_PER_FINGERPRINT; i++) same.push(await ask(rig, { seed: 8 }));
  assert.deepEqual(same.map(({ ends }) => ends.length), [
    1,
    ...Array(MAX_SEEKERS_PER_FINGERPRINT).fill(0),
  ]);
  const all = MAX_SEEKERS - MAX_SEEKERS_PER_FINGERPRINT - 1;
  for (let i = 0; i < all; i++) await rig.start({ first: seek(), seed: 100 + (i >>> 2) });
  await settle();
  assert.equal(first.ends.length, 0);
  await ask(rig);
  assert.equal(first.ends.length, 1, "the oldest makes room");
});

Deno.test("Relay counts who has asked apart from who is still in its handshake", async () => {
  const rig = new RelayRig();
  const address = "192.0.2.1";
  const seekers: RigClient[] = [];
  for (let i = 0; i <= MAX_PENDING_PER_ADDRESS; i++) seekers.push(await ask(rig, { address }));
  assert.ok(seekers.every(({ ends }) => ends.length === 0));
  assert.equal(rig.relay.pending, 0);
});

Deno.test("Relay that stops says so to who waits for an answer", async () => {
  const rig = makeHost();
  const client = await ask(rig);
  const stopping = rig.relay.stop();
  await rig.clock.advance(3000);
  await stopping;
  assert.equal(client.reason, REASON.SHUTTING_DOWN);
});

Deno.test("Relay still says LEFT of who goes by itself", async () => {
  const rig = makeHost();
  rig.relay.open(ROOM, undefined);
  const [one, two] = await rig.room(2);
  void two.connection.close(REASON.NORMAL);
  await settle();
  assert.deepEqual(comings(one), [`+${two.sid}`, `-${two.sid}:${WHY.LEFT}`]);
});
