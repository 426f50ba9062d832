import assert from "node:assert/strict";
import { type Bytes, encodeUtf8 } from "../../lib/base/bytes.ts";
import {
  type AdminRequest,
  type Ban,
  decodeBans,
  encodeAdmin,
  MAX_BAN_SECONDS,
  MAX_BANS,
} from "../../lib/protocol/admin.ts";
import {
  encodeFrame,
  type Frame,
  MAX_NOTICE_BYTES,
  REASON,
  STATUS,
  VERB,
  WHY,
} from "../../lib/protocol/frames.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { ADMIN_PER_MINUTE, MAX_UNDELIVERED_BYTES } from "../../lib/protocol/limits.ts";
import type { RelayOptions } from "../../lib/relay/relay_options.ts";
import { cheapKey } from "../support/cheap_key.ts";
import { settle } from "../support/fake_clock.ts";
import {
  comings,
  JOIN_KEY,
  OTHER_ROOM,
  RelayRig,
  type RigClient,
  WRONG_KEY,
} from "../support/relay_rig.ts";

const OPERATOR = 20;
const SECOND_OPERATOR = 21;

function fingerprintOf(seed: number): Bytes {
  return cheapKey(seed).publicKey.fingerprint;
}

function nameOf(seed: number): string {
  return encodeFingerprint(fingerprintOf(seed));
}

/** A relay with two operators. */
function startRig(options: Partial<RelayOptions> = {}): RelayRig {
  return new RelayRig({
    operators: new Set([nameOf(OPERATOR), nameOf(SECOND_OPERATOR)]),
    ...options,
  });
}

function send(client: RigClient, request: string, verb: number, argument: Bytes): void {
  client.connection.send(encodeFrame({ type: "admin", request, verb, argument }));
}

function results(client: RigClient): Extract<Frame, { type: "result" }>[] {
  return client.frames.flatMap((frame) => frame.type === "result" ? [frame] : []);
}

/** Sends an ADMIN, and waits for its RESULT. */
async function askRaw(client: RigClient, verb: number, argument: Bytes) {
  const count = results(client).length;
  send(client, "0a0b0c0d", verb, argument);
  await settle();
  assert.equal(results(client).length, count + 1);
  const result = results(client).at(-1)!;
  assert.equal(result.request, "0a0b0c0d");
  return result;
}

async function ask(client: RigClient, request: AdminRequest): Promise<number> {
  const { verb, argument } = encodeAdmin(request);
  return (await askRaw(client, verb, argument)).status;
}

async function listBans(client: RigClient): Promise<Ban[]> {
  const { status, data } = await askRaw(client, VERB.BANS, new Uint8Array(0));
  assert.equal(status, STATUS.DONE);
  return decodeBans(data);
}

/** The NOTICEs a client received: kind and text. */
function notices(client: RigClient): [number, string][] {
  return client.frames.flatMap((frame): [number, string][] =>
    frame.type === "notice" ? [[frame.what, frame.text]] : []
  );
}

const EVERYTHING: AdminRequest[] = [
  { verb: "kick", fingerprint: fingerprintOf(30) },
  { verb: "ban", fingerprint: fingerprintOf(30), seconds: 60 },
  { verb: "unban", fingerprint: fingerprintOf(30) },
  { verb: "bans" },
  { verb: "announce", text: "hello" },
  { verb: "motd", text: "hello" },
];

Deno.test("Relay refuses everything to those who are no operators", async () => {
  for (const rig of [startRig(), new RelayRig()]) {
    const [anna, bert] = await rig.room(2);
    const victim = await rig.join({ seed: 30 });
    rig.events.length = 0;
    for (const request of EVERYTHING) {
      assert.equal(await ask(anna, request), STATUS.NOT_ALLOWED, request.verb);
    }
    for (const verb of [0, 7, 255]) {
      assert.equal((await askRaw(anna, verb, new Uint8Array(3))).status, STATUS.NOT_ALLOWED);
    }
    assert.equal((await askRaw(anna, VERB.KICK, new Uint8Array(3))).status, STATUS.NOT_ALLOWED);
    assert.deepEqual([anna, bert, victim].map(({ ends }) => ends), [[], [], []]);
    assert.deepEqual(notices(bert), []);
    assert.deepEqual(rig.events, []);
    assert.deepEqual(notices(await rig.join()), []);
  }
});

Deno.test("Relay tells unknown verbs and bad arguments of operators apart", async () => {
  const rig = startRig();
  const anna = await rig.join({ seed: OPERATOR });
  const ban = (seconds: number) =>
    encodeAdmin({ verb: "ban", fingerprint: fingerprintOf(30), seconds }).argument;
  const long = encodeUtf8("x".repeat(MAX_NOTICE_BYTES + 1));
  const cases: [verb: number, argument: Bytes, status: number][] = [
    [0, new Uint8Array(0), STATUS.UNKNOWN_VERB],
    [7, new Uint8Array(32), STATUS.UNKNOWN_VERB],
    [255, new Uint8Array(0), STATUS.UNKNOWN_VERB],
    [VERB.KICK, new Uint8Array(31), STATUS.BAD_ARGUMENT],
    [VERB.KICK, new Uint8Array(33), STATUS.BAD_ARGUMENT],
    [VERB.BAN, new Uint8Array(32), STATUS.BAD_ARGUMENT],
    [VERB.BAN, new Uint8Array(37), STATUS.BAD_ARGUMENT],
    [VERB.BAN, ban(0), STATUS.BAD_ARGUMENT],
    [VERB.BAN, ban(MAX_BAN_SECONDS + 1), STATUS.BAD_ARGUMENT],
    [VERB.UNBAN, new Uint8Array(0), STATUS.BAD_ARGUMENT],
    [VERB.BANS, new Uint8Array(1), STATUS.BAD_ARGUMENT],
    [VERB.ANNOUNCE, new Uint8Array(0), STATUS.BAD_ARGUMENT],
    [VERB.ANNOUNCE, long, STATUS.BAD_ARGUMENT],
    [VERB.ANNOUNCE, Uint8Array.of(0xff), STATUS.BAD_ARGUMENT],
    [VERB.MOTD, long, STATUS.BAD_ARGUMENT],
    [VERB.MOTD, Uint8Array.of(0xff), STATUS.BAD_ARGUMENT],
  ];
  for (const [verb, argument, status] of cases) {
    assert.equal((await askRaw(anna, verb, argument)).status, status, `${verb}`);
  }
  assert.deepEqual(anna.ends, []);
});

Deno.test("Relay answers every ADMIN in order with its request, and CLOSE(3) to a short one", async () => {
  const rig = startRig();
  const anna = await rig.join({ seed: OPERATOR });
  for (let i = 0; i < 10; i++) send(anna, `0000000${i}`, i % 2 ? VERB.BANS : 99, new Uint8Array(0));
  await settle();
  assert.deepEqual(
    results(anna).map(({ request, status }) => [request, status]),
    Array.from({ length: 10 }, (_, i) => [`0000000${i}`, i % 2 ? 0 : STATUS.UNKNOWN_VERB]),
  );
  anna.connection.send(Uint8Array.of(0x18, 0, 4, 1, 2, 3, 4));
  await settle();
  assert.equal(anna.reason, REASON.PROTOCOL);
});

Deno.test("Relay kicks every connection of an identity: CLOSE(8) and LEFT(3)", async () => {
  const rig = startRig();
  const anna = await rig.join({ seed: OPERATOR });
  const watcher = await rig.join({ seed: 40, room: OTHER_ROOM });
  const victims = [
    await rig.join({ seed: 30 }),
    await rig.join({ seed: 30, instance: new Uint8Array(16).fill(1) }),
    await rig.join({ seed: 30, room: OTHER_ROOM }),
  ];
  assert.equal(await ask(anna, { verb: "kick", fingerprint: fingerprintOf(30) }), STATUS.DONE);
  await settle();
  for (const victim of victims) assert.equal(victim.reason, REASON.REMOVED);
  const lefts = victims.map(({ sid }) => `-${sid}:${WHY.REMOVED}`);
  assert.deepEqual(comings(anna).slice(2), lefts.slice(0, 2));
  assert.deepEqual(comings(watcher).slice(1), lefts.slice(2));
  assert.ok((await rig.join({ seed: 30 })).find("welcome"), "may come again");
  assert.deepEqual(rig.events.filter(({ event }) => event === "kicked"), [
    { event: "kicked", fingerprint: nameOf(30), operator: nameOf(OPERATOR) },
  ]);
});

Deno.test("Relay reports that there is nobody to kick and nothing to unban", async () => {
  const rig = startRig();
  const anna = await rig.join({ seed: OPERATOR });
  const fingerprint = fingerprintOf(30);
  assert.equal(await ask(anna, { verb: "kick", fingerprint }), STATUS.NOT_FOUND);
  assert.equal(await ask(anna, { verb: "unban", fingerprint }), STATUS.NOT_FOUND);
  assert.equal(await ask(anna, { verb: "ban", fingerprint, seconds: 1 }), STATUS.DONE);
  await rig.clock.advance(1000);
  assert.equal(await ask(anna, { verb: "unban", fingerprint }), STATUS.NOT_FOUND);
});

Deno.test("Relay lets operators neither kick nor ban operators", async () => {
  const rig = startRig();
  const anna = await rig.join({ seed: OPERATOR });
  const bert = await rig.join({ seed: SECOND_OPERATOR });
  for (const seed of [OPERATOR, SECOND_OPERATOR]) {
    const fingerprint = fingerprintOf(seed);
    assert.equal(await ask(anna, { verb: "kick", fingerprint }), STATUS.NOT_ALLOWED);
    assert.equal(await ask(anna, { verb: "ban", fingerprint, seconds: 9 }), STATUS.NOT_ALLOWED);
  }
  assert.deepEqual([anna.ends, bert.ends, await listBans(anna)], [[], [], []]);
  rig.relay.setOperators(new Set([nameOf(OPERATOR)]));
  const fingerprint = fingerprintOf(SECOND_OPERATOR);
  assert.equal(await ask(anna, { verb: "kick", fingerprint }), STATUS.DONE);
  assert.equal(bert.reason, REASON.REMOVED);
});

Deno.test("Relay refuses JOINs of a banned identity with CLOSE(2) until the ban ends", async () => {
  for (const seconds of [1, 60, MAX_BAN_SECONDS]) {
    const rig = startRig();
    const anna = await rig.join({ seed: OPERATOR });
    const victim = await rig.join({ seed: 30 });
    const fingerprint = fingerprintOf(30);
    assert.equal(await ask(anna, { verb: "ban", fingerprint, seconds }), STATUS.DONE);
    assert.equal(victim.reason, REASON.REMOVED);
    assert.deepEqual(comings(anna).at(-1), `-${victim.sid}:${WHY.REMOVED}`);
    assert.equal((await rig.join({ seed: 30 })).reason, REASON.NOT_ALLOWED);
    assert.equal((await rig.join({ seed: 30, room: OTHER_ROOM })).reason, REASON.NOT_ALLOWED);
    assert.ok((await rig.join({ seed: 31 })).find("welcome"));
    void anna.connection.close(REASON.NORMAL);
    if (seconds > 60) continue;
    await rig.clock.advance(seconds * 1000 - 1);
    assert.equal((await rig.join({ seed: 30 })).reason, REASON.NOT_ALLOWED);
    await rig.clock.advance(1);
    assert.ok((await rig.join({ seed: 30 })).find("welcome"));
    assert.deepEqual(rig.events.filter(({ event }) => event === "banned"), [
      { event: "banned", fingerprint: nameOf(30), seconds, operator: nameOf(OPERATOR) },
    ]);
  }
});

Deno.test("Relay replaces a ban by a further one, lists bans and lifts them", async () => {
  const rig = startRig();
  const anna = await rig.join({ seed: OPERATOR });
  const [first, second] = [fingerprintOf(30), fingerprintOf(31)];
  await ask(anna, { verb: "ban", fingerprint: first, seconds: 10 });
  await ask(anna, { verb: "ban", fingerprint: second, seconds: 100 });
  await rig.clock.advance(1500);
  assert.deepEqual(await listBans(anna), [
    { fingerprint: first, seconds: 9 },
    { fingerprint: second, seconds: 99 },
  ]);
  await ask(anna, { verb: "ban", fingerprint: first, seconds: 50 });
  await rig.clock.advance(20_000);
  assert.deepEqual((await listBans(anna)).map(({ seconds }) => seconds).toSorted(), [30, 79]);
  assert.equal((await rig.join({ seed: 30 })).reason, REASON.NOT_ALLOWED);
  assert.equal(await ask(anna, { verb: "unban", fingerprint: first }), STATUS.DONE);
  assert.ok((await rig.join({ seed: 30 })).find("welcome"));
  await rig.clock.advance(79_000);
  assert.deepEqual(await listBans(anna), []);
});

Deno.test("Relay keeps 256 bans, and replaces them when it is full", async () => {
  const rig = startRig();
  const anna = await rig.join({ seed: OPERATOR });
  const ban = async (seed: number, seconds: number) => {
    await rig.clock.advance(2000); // 30 a minute
    return await ask(anna, { verb: "ban", fingerprint: fingerprintOf(seed), seconds });
  };
  for (let i = 0; i < MAX_BANS; i++) {
    assert.equal(await ban(1000 + i, i === 0 ? 3000 : MAX_BAN_SECONDS), STATUS.DONE);
  }
  const victim = await rig.join({ seed: 30 });
  assert.equal(await ban(30, 60), STATUS.TOO_MUCH);
  assert.deepEqual(victim.ends, [], "neither is it kicked");
  assert.equal(await ban(1001, 9000), STATUS.DONE, "replaces one");
  await rig.clock.advance(2000);
  assert.equal((await listBans(anna)).length, MAX_BANS);
  await rig.clock.advance(3_000_000);
  assert.equal(await ban(30, 60), STATUS.DONE, "one has ended");
  assert.equal(victim.reason, REASON.REMOVED);
});

Deno.test("Relay announces to every member of every room, the operator too", async () => {
  const rig = startRig({ joinKey: JOIN_KEY });
  const joinKey = JOIN_KEY;
  const anna = await rig.join({ seed: OPERATOR, joinKey });
  const bert = await rig.join({ joinKey });
  const carl = await rig.join({ joinKey, room: OTHER_ROOM });
  const waiting = await rig.start({ joinKey: WRONG_KEY });
  await settle();
  const longest = "é".repeat(MAX_NOTICE_BYTES / 2);
  assert.equal(await ask(anna, { verb: "announce", text: "going down" }), STATUS.DONE);
  assert.equal(await ask(anna, { verb: "announce", text: longest }), STATUS.DONE);
  for (const client of [anna, bert, carl]) {
    assert.deepEqual(notices(client), [[1, "going down"], [1, longest]]);
  }
  assert.deepEqual(notices(waiting), []);
  assert.deepEqual(notices(await rig.join({ joinKey, seed: OPERATOR })), [], "is not kept");
  assert.deepEqual(rig.events.filter(({ event }) => event === "announced"), [
    { event: "announced", operator: nameOf(OPERATOR) },
    { event: "announced", operator: nameOf(OPERATOR) },
  ]);
});

Deno.test("Relay sends the message of the day after each WELCOME, until it is taken away", async () => {
  const rig = startRig({ motd: "from a file" });
  const anna = await rig.join({ seed: OPERATOR });
  await settle();
  assert.deepEqual(anna.frames.map(({ type }) => type), ["welcome", "notice"]);
  assert.deepEqual(notices(anna), [[0, "from a file"]]);
  assert.equal(await ask(anna, { verb: "motd", text: "of an operator" }), STATUS.DONE);
  const bert = await rig.join();
  await settle();
  assert.deepEqual([anna, bert].map((client) => notices(client).at(-1)), [
    [0, "from a file"],
    [0, "of an operator"],
  ]);
  rig.relay.setMotd("read again");
  const carl = await rig.join();
  await settle();
  assert.deepEqual(notices(carl), [[0, "read again"]]);
  assert.equal(await ask(anna, { verb: "motd", text: "" }), STATUS.DONE);
  const dora = await rig.join();
  await settle();
  assert.deepEqual(notices(dora), []);
});

Deno.test("Relay takes 30 ADMINs of an operator a minute, and answers more with 5", async () => {
  const rig = startRig();
  const anna = await rig.join({ seed: OPERATOR });
  const bert = await rig.join({ seed: SECOND_OPERATOR });
  for (let i = 0; i < ADMIN_PER_MINUTE; i++) {
    assert.equal(await ask(anna, { verb: "bans" }), STATUS.DONE);
  }
  assert.equal(await ask(anna, { verb: "announce", text: "too much" }), STATUS.TOO_MUCH);
  assert.deepEqual(notices(bert), []);
  assert.equal(await ask(bert, { verb: "bans" }), STATUS.DONE, "each has its own");
  await rig.clock.advance(59_999);
  assert.equal(await ask(anna, { verb: "bans" }), STATUS.TOO_MUCH);
  await rig.clock.advance(1);
  assert.equal(await ask(anna, { verb: "bans" }), STATUS.DONE);
});

Deno.test("Relay judges anew whom an operator removed while its JOIN was answered", async () => {
  const cases: [AdminRequest, reason: number | undefined][] = [
    [{ verb: "kick", fingerprint: fingerprintOf(30) }, REASON.REMOVED],
    [{ verb: "ban", fingerprint: fingerprintOf(30), seconds: 60 }, REASON.NOT_ALLOWED],
    [{ verb: "ban", fingerprint: fingerprintOf(30), seconds: 1 }, REASON.REMOVED],
    [{ verb: "kick", fingerprint: fingerprintOf(31) }, undefined],
  ];
  for (const [request, reason] of cases) {
    const rig = startRig({ joinKey: JOIN_KEY });
    const anna = await rig.join({ seed: OPERATOR, joinKey: JOIN_KEY, address: "192.0.2.1" });
    await rig.start({ joinKey: WRONG_KEY });
    await settle();
    const joining = await rig.start({ seed: 30, joinKey: JOIN_KEY });
    await settle();
    assert.equal(await ask(anna, request), reason === undefined ? STATUS.NOT_FOUND : STATUS.DONE);
    assert.deepEqual(joining.ends, []);
    await rig.clock.advance(1000);
    await settle();
    assert.equal(joining.reason, reason);
    assert.equal(joining.find("welcome") === undefined, reason !== undefined);
    assert.equal(rig.relay.pending, 0);
    assert.equal(rig.relay.members, reason === undefined ? 2 : 1);
  }
});

Deno.test("Relay stops reading from an operator that does not take its RESULTs", async () => {
  const rig = new RelayRig();
  const [anna, bert] = await rig.room(2);
  anna.relayStream.stalled = true;
  const each = 5 + 256;
  const whole = Math.floor(MAX_UNDELIVERED_BYTES / each);
  for (let i = 0; i < whole; i++) send(anna, "00000000", VERB.BANS, new Uint8Array(0));
  await settle(100);
  anna.send(bert.sid, "is read");
  await settle();
  assert.deepEqual(bert.texts, ["is read"]);
  send(anna, "00000000", VERB.BANS, new Uint8Array(0));
  await settle();
  anna.send(bert.sid, "waits");
  await settle();
  assert.deepEqual(bert.texts, ["is read"]);
  anna.relayStream.stalled = false;
  await settle(100);
  assert.deepEqual(bert.texts, ["is read", "waits"]);
  assert.equal(results(anna).length, whole + 1);
});

Deno.test("Relay hands out each change of its bans, and begins with those it is given", async () => {
  const kept: [fingerprint: string, until: number | undefined][] = [];
  const since = new RelayRig().clock.wallTime();
  const given = { by: nameOf(OPERATOR), since };
  const rig = startRig({
    bans: [
      { fingerprint: nameOf(30), until: since + 60_000, ...given },
      { fingerprint: nameOf(31), until: since - 1, ...given },
      { fingerprint: nameOf(32), until: since + 10 * MAX_BAN_SECONDS * 1000, ...given },
      { fingerprint: nameOf(33), until: 8.64e15, ...given },
    ],
    keepBan: (fingerprint, ban) => kept.push([fingerprint, ban && ban.until - ban.since]),
  });
  const anna = await rig.join({ seed: OPERATOR });
  assert.equal((await rig.join({ seed: 30 })).reason, REASON.NOT_ALLOWED);
  assert.ok((await rig.join({ seed: 31 })).find("welcome"));
  assert.deepEqual((await listBans(anna)).map(({ seconds }) => seconds), [
    60,
    10 * MAX_BAN_SECONDS,
    2 ** 32 - 1,
  ]);
  await ask(anna, { verb: "ban", fingerprint: fingerprintOf(31), seconds: 9 });
  await ask(anna, { verb: "unban", fingerprint: fingerprintOf(30) });
  await ask(anna, { verb: "unban", fingerprint: fingerprintOf(34) });
  await ask(anna, { verb: "kick", fingerprint: fingerprintOf(31) });
  assert.deepEqual(kept, [[nameOf(31), 9000], [nameOf(30), undefined]]);
});

Deno.test("Relay removes members who are banned when the bans are replaced", async () => {
  const rig = startRig();
  const anna = await rig.join({ seed: OPERATOR });
  const [bert, carl] = [await rig.join({ seed: 30 }), await rig.join({ seed: 31 })];
  await ask(anna, { verb: "ban", fingerprint: fingerprintOf(32), seconds: 9 });
  const since = rig.clock.wallTime();
  const ban = { by: nameOf(OPERATOR), since, fingerprint: nameOf(30), until: since + 1000 };
  rig.relay.setBans([ban, { ...ban, fingerprint: nameOf(31), until: since }]);
  await settle();
  assert.equal(bert.reason, REASON.REMOVED);
  assert.deepEqual(carl.ends, []);
  assert.equal(comings(anna).at(-1), `-${bert.sid}:${WHY.REMOVED}`);
  assert.ok((await rig.join({ seed: 32 })).find("welcome"), "is banned no longer");
});
