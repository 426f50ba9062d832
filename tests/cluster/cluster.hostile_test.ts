/** Whoever carries a cluster is hostile: it forges nothing, lets nobody in, and reads nothing. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { decodeHex, encodeHex, encodeUtf8 } from "../../lib/base/bytes.ts";
import { type AdminRequest, encodeAdmin } from "../../lib/protocol/admin.ts";
import { encodeFrame, REASON } from "../../lib/protocol/frames.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import { ORDERS_KEY } from "../../lib/cluster/orders.ts";
import { Random } from "../simulation/random.ts";
import { cheapKey } from "../support/cheap_key.ts";
import { ClusterRig } from "../support/cluster_rig.ts";
import { HostileCarrier } from "../support/hostile_bus.ts";
import { LOBBY, type RigClient } from "../support/relay_rig.ts";

const OPERATOR = 3;
const BANNED = 4;
/** Not on the list of who may join. */
const STRANGER = 5;
const PEOPLE = [OPERATOR, 11, 12, 13, 14, 15, 16];
const SECRET_ROOM = "the attic";
const ROOMS = [LOBBY, roomTag(SECRET_ROOM)];
const MARK = "nobody else reads this";

const fingerprintOf = (seed: number) => cheapKey(seed).publicKey.fingerprint;
const nameOf = (seed: number) => encodeFingerprint(fingerprintOf(seed));

/** One connection of somebody, and what became of it. */
interface Visit {
  readonly client: RigClient;
  readonly seed: number;
  readonly room: number;
  /** What was sent from here, in order, by the sid it was for. */
  readonly sent: Map<string, string[]>;
}

/** Two relays or more and a hostile carrier between them. */
class Town {
  readonly random: Random;
  readonly carrier: HostileCarrier;
  readonly rig: ClusterRig;
  readonly visits: Visit[] = [];
  #count = 0;

  constructor(seed: number) {
    this.random = new Random(seed, "town");
    this.carrier = new HostileCarrier(new Random(seed, "carrier"));
    this.rig = new ClusterRig((bus) => this.carrier.between(bus));
  }

  async open(relays: number): Promise<void> {
    this.carrier.isHostile = false;
    const operators = new Set([nameOf(OPERATOR)]);
    const allow = new Set([...PEOPLE, BANNED].map(nameOf));
    for (let i = 0; i < relays; i++) await this.rig.start({ operators, allow, motd: MARK });
  }

  /** Somebody begins to join; the answer may take its time. */
  async visit(seed: number, room: number, relay = this.random.below(this.rig.relays.length)) {
    const instance = new Uint8Array(16).fill(seed);
    const starting = this.rig.relays[relay]!.rig.start({ seed, room: ROOMS[room]!, instance });
    const client = await this.rig.passes(starting);
    const visit: Visit = { client, seed, room, sent: new Map() };
    this.visits.push(visit);
    return visit;
  }

  async joined(seed: number, room: number, relay?: number): Promise<Visit> {
    const visit = await this.visit(seed, room, relay);
    await this.rig.until(() => isMember(visit));
    return visit;
  }

  /** A member says something to everybody whom they see. */
  talk({ client, sent }: Visit): void {
    for (const sid of seenBy(client).keys()) {
      const text = `${MARK}: ${++this.#count}`;
      const list = sent.get(sid) ?? [];
      sent.set(sid, list);
      list.push(text);
      client.send(sid, text);
    }
  }

  async ask({ client }: Visit, request: AdminRequest): Promise<void> {
    const id = (++this.#count).toString(16).padStart(8, "0");
    client.connection.send(encodeFrame({ type: "admin", request: id, ...encodeAdmin(request) }));
    await this.rig.until(() =>
      client.frames.some((frame) => frame.type === "result" && frame.request === id)
    );
  }

  get members(): Visit[] {
    return this.visits.filter(isMember);
  }

  /** What everybody saw has happened, in their room, once. */
  judge(): void {
    const truth = new Map<string, Visit>();
    for (const visit of this.visits) {
      const welcome = visit.client.find("welcome");
      if (welcome) truth.set(welcome.sid, visit);
    }
    for (const visit of this.visits) this.#judge(visit, truth);
  }

  #judge({ client, room }: Visit, truth: ReadonlyMap<string, Visit>): void {
    const seen = new Map<string, Uint8Array>();
    const gone = new Set<string>();
    const taken = new Map<string, number>();
    const meet = (sid: string, fingerprint: Uint8Array) => {
      // Somebody may be in the roster whose own relay was not told so.
      const who = truth.get(sid) ??
        this.visits.find((it) =>
          isUnanswered(it, room) && nameOf(it.seed) === encodeFingerprint(fingerprint)
        );
      ok(who, "a member that nobody is");
      equal(who.room, room, "a member of another room");
      deepEqual(fingerprint, fingerprintOf(who.seed), "a member under another's name");
      ok(!seen.has(sid) && !gone.has(sid), "somebody twice");
      seen.set(sid, fingerprint);
    };
    for (const frame of client.frames) {
      if (frame.type === "welcome") {
        for (const { sid, fingerprint } of frame.members) meet(sid, fingerprint);
      } else if (frame.type === "joined") meet(frame.sid, frame.fingerprint);
      else if (frame.type === "left") {
        ok(seen.delete(frame.sid), "LEFT of nobody");
        gone.add(frame.sid);
      } else if (frame.type === "recv") {
        ok(seen.has(frame.sid), "a word of nobody who is there");
        const said = truth.get(frame.sid)!.sent.get(client.sid) ?? [];
        const at = said.indexOf(new TextDecoder().decode(frame.payload));
        ok(at >= (taken.get(frame.sid) ?? 0), "a word that was not said, or once more");
        taken.set(frame.sid, at + 1);
      }
    }
  }

  /** Nothing that has passed tells anybody anything. */
  judgeReading(): void {
    const secrets = [encodeUtf8(MARK), encodeUtf8(SECRET_ROOM), ...ROOMS];
    for (const { client, seed } of this.visits) {
      secrets.push(fingerprintOf(seed), encodeUtf8(nameOf(seed)));
      const sid = client.find("welcome")?.sid;
      if (sid !== undefined) secrets.push(decodeHex(sid));
    }
    const searched = [...this.carrier.read, ...[...this.carrier.names].map(encodeUtf8)]
      .map((bytes) => latin1(bytes));
    ok(searched.length > 50);
    for (const secret of secrets) {
      for (const form of [latin1(secret), encodeHex(secret)]) {
        ok(!searched.some((text) => text.includes(form)), `${form} was readable`);
      }
    }
  }
}

function latin1(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}

function isMember({ client }: Visit): boolean {
  return client.find("welcome") !== undefined && client.ends.length === 0;
}

function isUnanswered({ client, room }: Visit, at: number): boolean {
  return room === at && client.find("welcome") === undefined;
}

/** Who a client believes is there: fingerprints by sid. */
function seenBy(client: RigClient): Map<string, Uint8Array> {
  const seen = new Map<string, Uint8Array>();
  for (const frame of client.frames) {
    if (frame.type === "welcome") {
      for (const { sid, fingerprint } of frame.members) seen.set(sid, fingerprint);
    } else if (frame.type === "joined") seen.set(frame.sid, frame.fingerprint);
    else if (frame.type === "left") seen.delete(frame.sid);
  }
  return seen;
}

async function attack(seed: number): Promise<Town> {
  const town = new Town(seed);
  const { random, rig, carrier } = town;
  await town.open(2 + seed % 2);
  const operator = await town.joined(OPERATOR, 0);
  const banned = await town.joined(BANNED, 0);
  for (const seed of PEOPLE.slice(1)) await town.joined(seed, seed % 2);
  await town.ask(operator, { verb: "ban", fingerprint: fingerprintOf(BANNED), seconds: 3600 });
  await rig.until(() => banned.client.ends.length > 0);
  await rig.clock.advance(1_000); // every relay knows it
  const isWanted = new Set(town.visits.slice());
  carrier.isHostile = true;
  for (let turn = 0; turn < 120; turn++) {
    await rig.clock.advance(random.between(10, 200));
    carrier.replay();
    if (random.chance(0.2)) carrier.putBack(rig.server);
    if (random.chance(0.1)) carrier.putBackFirst(rig.server, ORDERS_KEY);
    const { members } = town;
    if (members.length > 0) town.talk(random.pick(members));
    if (random.chance(0.2)) {
      isWanted.add(await town.visit(random.pick(PEOPLE), random.below(ROOMS.length)));
    }
    if (random.chance(0.1)) await town.visit(random.pick([BANNED, STRANGER]), random.below(2));
    if (random.chance(0.05) && members.length > 0) {
      void random.pick(members).client.connection.close(0);
    }
  }
  town.judge();
  for (const visit of town.visits) {
    if (isWanted.has(visit)) continue;
    equal(visit.client.find("welcome"), undefined, "somebody was let in");
    ok([REASON.NOT_ALLOWED, undefined].includes(visit.client.reason as never));
  }
  return town;
}

/** It lets everything pass from now on: the relays connect again, and are one server as before. */
async function recover(town: Town): Promise<void> {
  const { rig, carrier } = town;
  carrier.isHostile = false;
  for (const { bus } of rig.relays) {
    bus.cut();
    bus.reconnect(10);
  }
  await rig.clock.advance(30_000);
  const late: Visit[] = [];
  for (let i = 0; i < rig.relays.length; i++) late.push(await town.joined(PEOPLE[i + 1]!, 1, i));
  await rig.until(() =>
    late.every(({ client: { sid } }) =>
      late.every(({ client }) => client.sid === sid || seenBy(client).has(sid))
    )
  );
  for (const visit of late) town.talk(visit);
  await rig.until(() => late.every(({ client }) => client.texts.length >= late.length - 1));
  town.judge();
}

Deno.test("a hostile carrier forges nothing, lets nobody in and reads nothing", async () => {
  const done = new Set<string>();
  for (let seed = 1; seed <= 8; seed++) {
    const town = await attack(seed);
    await recover(town);
    town.judgeReading();
    for (const what of town.carrier.done.keys()) done.add(what);
    const heard = town.visits.reduce((sum, { client }) => sum + client.texts.length, 0);
    ok(heard > 20, `${heard} texts of seed ${seed}`);
  }
  equal(done.size, 16, [...done].join(", "));
});
