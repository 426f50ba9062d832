/** Clusters over a real server of NATS: what their compare-and-sets decide. */
import assert from "node:assert/strict";
import { decodeHex, encodeHex } from "../../lib/base/bytes.ts";
import { systemClock, systemRandom } from "../../lib/base/clock.ts";
import { Cluster } from "../../lib/cluster/cluster.ts";
import { ClusterKeys } from "../../lib/cluster/keys.ts";
import { connectNats } from "../../lib/cluster/nats.ts";
import { decodeFrame, FRAME_HEADER_BYTES, REASON } from "../../lib/protocol/frames.ts";
import type { Resident } from "../../lib/relay/registry.ts";
import { NatsServer, NO_NATS } from "../support/nats.ts";
import { poll } from "../support/programs.ts";

const SECRET = new Uint8Array(384).fill(9);
const ROOM = "ab".repeat(32);
const CAPACITY = 64;

/** A relay's part of a cluster. */
async function enter(nats: NatsServer) {
  const cluster = new Cluster({
    bus: await connectNats({
      servers: [nats.url],
      cluster: new ClusterKeys(SECRET).name,
      clock: systemClock,
      onWarning: (text) => assert.fail(text),
      onFatal: (error) => assert.fail(error),
    }),
    secret: SECRET,
    capacity: CAPACITY,
    joinKey: undefined,
    onFault: (error) => assert.fail(error),
  });
  await cluster.start();
  return cluster;
}

/** Somebody who joins, and what they were told. */
class Guest {
  /** Why they were refused; undefined if they were not. */
  refused: number | undefined;
  /** Who is there: what WELCOME said, and JOINED and LEFT have since. */
  present: string[] | undefined;
  /** The most that were there at a time, themselves included. */
  most = 0;
  readonly resident: Resident;

  constructor(readonly fingerprint = systemRandom(32), readonly instance = systemRandom(16)) {
    const sid = encodeHex(systemRandom(8));
    const connection = {
      send: (frame: Uint8Array) => this.#take(frame),
      close: (reason: number) => {
        this.refused = reason;
        return Promise.resolve();
      },
    };
    this.resident = {
      ...{ sid, fingerprint, instance, why: undefined },
      connection: connection as unknown as Resident["connection"],
      source: { sid: decodeHex(sid) } as unknown as Resident["source"],
      room: { tag: ROOM, isClosing: false },
    };
  }

  get sid(): string {
    return this.resident.sid;
  }

  get isAnswered(): boolean {
    return this.refused !== undefined || this.present !== undefined;
  }

  joins(cluster: Cluster): void {
    cluster.join(this.resident, {
      admit: (others) => {
        this.present = others.map(({ sid }) => sid);
        this.#count();
      },
      refuse: (reason) => this.refused = reason,
    });
  }

  #take(bytes: Uint8Array): void {
    const frame = decodeFrame(bytes[0]!, bytes.subarray(FRAME_HEADER_BYTES));
    if (frame.type === "joined") this.present!.push(frame.sid);
    if (frame.type === "left") this.present = this.present!.filter((it) => it !== frame.sid);
    this.#count();
  }

  #count(): void {
    this.most = Math.max(this.most, this.present!.length + 1);
  }
}

Deno.test(
  "of 160 who join a room of 64 at once, 64 are in it, and all see the same",
  { ignore: NO_NATS !== undefined },
  async () => {
    await using nats = await NatsServer.start();
    const clusters = await Promise.all([1, 2, 3, 4].map(() => enter(nats)));
    try {
      const guests = Array.from({ length: 160 }, () => new Guest());
      for (const [i, guest] of guests.entries()) guest.joins(clusters[i % 4]!);
      await poll(() => guests.every((it) => it.isAnswered), () => "the answers to all");
      const members = guests.filter(({ refused }) => refused === undefined);
      assert.equal(members.length, CAPACITY);
      for (const { refused } of guests) {
        if (refused !== undefined) assert.equal(refused, REASON.FULL);
      }
      const all = members.map(({ sid }) => sid).sort().join();
      const seen = (guest: Guest) => [...guest.present!, guest.sid].sort().join();
      await poll(() => members.every((it) => seen(it) === all), () => "what all see");
      assert.ok(members.every(({ most }) => most <= CAPACITY), "never more than its capacity");
    } finally {
      await Promise.all(clusters.map((cluster) => cluster.stop()));
    }
  },
);

Deno.test(
  "who comes back at another relay takes their place in a full room",
  { ignore: NO_NATS !== undefined },
  async () => {
    await using nats = await NatsServer.start();
    const clusters = await Promise.all([enter(nats), enter(nats)]);
    try {
      const guests = Array.from({ length: CAPACITY }, () => new Guest());
      for (const guest of guests) guest.joins(clusters[0]!);
      await poll(() => guests.every((it) => it.present), () => "a full room");
      const [old, witness] = guests as [Guest, Guest];
      const back = new Guest(old.fingerprint, old.instance);
      back.joins(clusters[1]!);
      await poll(() => back.present, () => "the place");
      assert.ok(!back.present!.includes(old.sid));
      await poll(() => old.refused === REASON.REPLACED, () => "the end of the old one");
      await poll(() => witness.present!.includes(back.sid), () => "the news");
      assert.ok(!witness.present!.includes(old.sid));
      assert.equal(witness.most, CAPACITY);
    } finally {
      await Promise.all(clusters.map((cluster) => cluster.stop()));
    }
  },
);
