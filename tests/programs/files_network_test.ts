/**
 * Files between real programs on computers of their own: over a bad network, without a direct way, with a cable that is
 * cut, and while programs are killed. What arrives is equal, and the chat beside it loses nothing.
 *
 * @module
 */

import assert from "node:assert/strict";
import {
  losePackets,
  type Mover,
  MovingRoom,
  type MovingRoomOptions,
  refuseConnections,
  sleep,
  slowDown,
} from "../support/moving_room.ts";
import { areInstalled, type Computer, NO_NETWORKS, run } from "../support/netns.ts";
import { poll } from "../support/programs.ts";

/** Runs of minutes, for `HEARTH_LONG_TESTS=1`. */
const isLong = Deno.env.get("HEARTH_LONG_TESTS") !== undefined;
const MB = 1_000_000;
/** What is sent while programs are killed; several GB are welcome. */
const KILLED_BYTES = Number(Deno.env.get("HEARTH_FILE_BYTES") ?? (isLong ? 1000 * MB : 8 * MB));
/** What two computers send to each other in that time if it is a small file, in Mbit/s. */
const SLOW = 20;
/** How long a transfer may stand still; only a failing test waits this long. */
const PATIENCE_MS = 300_000;

const noTools = NO_NETWORKS ??
  (await areInstalled("nft", "tc") ? undefined : "nft or tc is not installed");

/** A file on its way from bob to carl. */
class Sending {
  readonly #folder: string;
  id: unknown;

  private constructor(folder: string, readonly room: MovingRoom) {
    this.#folder = folder;
  }

  /** Makes a room, and has bob send carl a file. Disposing the room ends all. */
  static async run(
    bytes: number,
    options: MovingRoomOptions,
    during: (sending: Sending) => Promise<void>,
  ): Promise<void> {
    const folder = await Deno.makeTempDir({ prefix: "hearth_files_" });
    try {
      await Deno.mkdir(`${folder}/in`);
      await writeRandom(`${folder}/film.bin`, bytes);
      const carl = [...options.args?.carl ?? [], "--download", `${folder}/in`];
      const args = { ...options.args, carl };
      const guests = ["bob", "carl", "dora", "emil", "fred"].slice(0, options.people - 1);
      await using room = await MovingRoom.make({ ...options, args, guests });
      const sending = new Sending(folder, room);
      await during(sending);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }

  get bob(): Mover {
    return this.room.people[1]!;
  }

  get carl(): Mover {
    return this.room.people[2]!;
  }

  async start(): Promise<void> {
    const { bob, carl } = this;
    await bob.program.say({ type: "send", to: "carl", path: `${this.#folder}/film.bin` });
    this.id = (await carl.program.waitFor("offer", { name: "film.bin" })).id;
    await carl.program.say({ type: "accept", id: this.id });
  }

  /** What carl has; undefined once all of it is kept under its name. */
  async arrived(): Promise<number | undefined> {
    const sizeOf = (name: string) =>
      Deno.stat(`${this.#folder}/in/${name}`).then(({ size }) => size, () => undefined);
    if (await sizeOf("film.bin") !== undefined) return undefined;
    return await sizeOf("film.bin.hearth-part") ?? 0;
  }

  /** Waits until carl has so many bytes, or all. */
  async reaches(bytes: number): Promise<void> {
    await poll(
      async () => (await this.arrived() ?? Infinity) >= bytes,
      () => `${bytes} bytes at ${this.carl.program.describe()}\n${this.bob.program.describe()}`,
      PATIENCE_MS,
    );
  }

  /** Waits until bob knows that carl has it, and compares. */
  async ends(): Promise<void> {
    const { bob, carl } = this;
    await this.reaches(Infinity);
    await bob.program.waitFor("sentfile", {}, { timeoutMs: PATIENCE_MS });
    await run("cmp", `${this.#folder}/film.bin`, `${this.#folder}/in/film.bin`);
    const left = Array.from(Deno.readDirSync(`${this.#folder}/in`), ({ name }) => name);
    assert.deepEqual(left, ["film.bin"]);
    const failed = [bob, carl].flatMap(({ program }) => program.all("transferfailed"));
    assert.deepEqual(failed, []);
  }
}

async function writeRandom(path: string, bytes: number): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true });
  const writer = file.writable.getWriter();
  const block = new Uint8Array(65_536);
  for (let left = bytes; left > 0; left -= block.length) {
    crypto.getRandomValues(block);
    await writer.write(block.slice(0, left));
  }
}

function test(name: string, { long = false }, fn: () => Promise<void>): void {
  const why = noTools ?? (long && !isLong ? "only with HEARTH_LONG_TESTS=1" : undefined);
  Deno.test({
    name: why === undefined ? name : `${name} (skipped: ${why})`,
    ignore: why !== undefined,
    fn,
  });
}

interface Case {
  readonly bytes: number;
  readonly state: "direct" | "relayed";
  readonly long?: boolean;
  /** What the network is like at bob's and carl's. */
  prepare(computer: Computer): Promise<void>;
  /** What happens once a third of the file has come. */
  readonly happen?: (sending: Sending) => Promise<void>;
}

/** Carl's cable is cut for a while. */
const cut = (seconds: number) => async ({ room, carl }: Sending): Promise<void> => {
  await room.unplug(carl);
  await sleep(seconds * 1000);
  await room.plug(carl);
};

const noWayIn = async (computer: Computer): Promise<void> => {
  await refuseConnections(computer);
  await slowDown(computer, 50);
};

const CASES: Readonly<Record<string, Case>> = {
  "a file goes straight over a network that loses packets": {
    bytes: 5 * MB,
    state: "direct",
    prepare: (computer) => losePackets(computer, 3),
  },
  "a file goes through the server where no connection is let in": {
    bytes: 3 * MB,
    state: "relayed",
    prepare: noWayIn,
  },
  "a file goes on when a cable is plugged in again": {
    bytes: 4 * MB,
    state: "direct",
    prepare: (computer) => slowDown(computer, SLOW),
    happen: cut(3),
  },
  "a file goes on after a minute without a cable": {
    bytes: 20 * MB,
    state: "direct",
    long: true,
    prepare: (computer) => slowDown(computer, SLOW),
    happen: cut(60),
  },
  "a file goes on through the server after a minute without a cable": {
    bytes: 10 * MB,
    state: "relayed",
    long: true,
    prepare: noWayIn,
    happen: cut(60),
  },
};

for (const [name, { bytes, state, long = false, prepare, happen }] of Object.entries(CASES)) {
  test(name, { long }, async () => {
    const options: MovingRoomOptions = {
      people: 3,
      prepare: async (computer, person) => {
        if (person !== "anna") await prepare(computer);
      },
    };
    await Sending.run(bytes, options, async (sending) => {
      const { room, bob } = sending;
      room.talk();
      await sending.start();
      if (happen !== undefined) {
        await sending.reaches(bytes / 3);
        await happen(sending);
      }
      await sending.ends();
      const states = bob.program.all("transfer").map((event) => event.state);
      // A busy computer may not connect within 3 s; then the relay is the way.
      assert.ok(state === "direct" || !states.includes("direct"), String(states));
      await expectWhole(room, room.people, { mayReconnect: long });
    });
  });
}

/** What people have written to each other was shown to everybody once. */
async function expectWhole(
  room: MovingRoom,
  people: readonly Mover[],
  { mayReconnect }: { mayReconnect: boolean },
): Promise<void> {
  await room.assemble(people);
  room.hush();
  const { count, lost, doubled } = await room.report(people);
  assert.deepEqual({ lost, doubled }, { lost: [], doubled: [] });
  assert.ok(count > 0);
  for (const { program } of mayReconnect ? [] : people) {
    assert.deepEqual([...program.all("disconnected"), ...program.all("left")], []);
  }
}

const KILLED: readonly { way: string; long: boolean; args: readonly string[] }[] = [
  { way: "directly", long: false, args: [] },
  { way: "through the server", long: true, args: ["--no-direct"] },
];

for (const { way, long, args } of KILLED) {
  const name = `a file arrives ${way} while both sides and the server are killed`;
  test(name, { long }, () => killAll(args));
}

async function killAll(args: readonly string[]): Promise<void> {
  const isSmall = KILLED_BYTES <= 100 * MB;
  const [kills, relayKills] = isSmall ? [2, 1] : [10, 3];
  const options: MovingRoomOptions = {
    people: 6,
    args: { carl: args },
    prepare: async (computer, person) => {
      if (isSmall && person === "bob") await slowDown(computer, SLOW);
    },
  };
  await Sending.run(KILLED_BYTES, options, async (sending) => {
    const { room, bob, carl } = sending;
    const [anna, , , ...others] = room.people as [Mover, Mover, Mover, Mover];
    room.talk(others);
    await sending.start();
    const victims = [
      ...Array.from({ length: kills }, (_, i) => ({ mover: bob, at: (i + 0.5) / kills })),
      ...Array.from({ length: kills }, (_, i) => ({ mover: carl, at: (i + 0.9) / kills })),
      ...Array.from(
        { length: relayKills },
        (_, i) => ({ mover: anna, at: (i + 0.3) / relayKills }),
      ),
    ].sort((a, b) => a.at - b.at);
    for (const { mover, at } of victims) {
      await sending.reaches(at * KILLED_BYTES);
      if (await sending.arrived() === undefined) break; // this computer was busy
      await mover.kill();
      await room.restart(mover);
      console.log(`    ${mover.name} was killed at ${Math.round(at * 100)} %`);
    }
    await sending.ends();
    await expectWhole(room, others, { mayReconnect: true });
  });
}
