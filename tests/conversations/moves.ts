/** How rooms of real programs go on when their host goes, held by the scripts and by the compiled programs. */

import assert from "node:assert/strict";
import {
  dropInput,
  dropOutput,
  type Mover,
  type MovingRoom,
  type MovingRoomOptions,
  PATIENCE_MS,
  pause,
  type Report,
  sleep,
} from "../support/moving_room.ts";
import { fingerprintOf, poll } from "../support/programs.ts";

/** One of them. */
export interface Move {
  readonly name: string;
  readonly options: MovingRoomOptions;
  /** It takes long. */
  readonly isLong: boolean;
  run(room: MovingRoom): Promise<void>;
}

function move(
  name: string,
  { long = false, ...options }: MovingRoomOptions & { readonly long?: boolean },
  run: Move["run"],
): Move {
  return { name, options, isLong: long, run };
}

/** Nothing is lost and nothing comes twice. */
export function expectWhole({ count, lost, doubled, longest }: Report): void {
  assert.deepEqual({ lost, doubled }, { lost: [], doubled: [] });
  assert.ok(count > 0);
  console.log(`    ${count} messages shown, after ${longest.toFixed(2)} s at most`);
}

/** Everybody talks while something happens, and until those who stay are in one room again. */
export async function moves(
  room: MovingRoom,
  rest: readonly Mover[],
  happen: () => Promise<void>,
): Promise<void> {
  room.talk();
  await sleep(500);
  await happen();
  await sleep(1000);
  await room.assemble(rest);
  await sleep(1000);
  room.hush();
  expectWhole(await room.report(rest));
}

/** Nobody of them was told as gone. */
function expectAllThere(people: readonly Mover[]): void {
  const names = new Set<unknown>(people.map(({ name }) => name));
  for (const { program } of people) {
    assert.deepEqual(program.all("left").filter(({ nick }) => names.has(nick)), []);
  }
}

/** Everybody knows that the room is at the computer of one of them: the first, unless that was busy. */
export async function expectOneHost(rest: readonly Mover[]): Promise<void> {
  const last = rest.map(({ program }) => program.all("moved").at(-1)!);
  const [host, ...others] = rest.filter((_, i) => last[i]!.own);
  assert.ok(host && others.length === 0);
  const fingerprint = await fingerprintOf(host.name);
  for (const moved of last) assert.equal(moved.host, fingerprint);
}

/** All of them, the shortest first. */
export const MOVES: readonly Move[] = [
  move("a room goes on when its host quits", { people: 4, guests: ["dora"] }, async (room) => {
    const [anna, ...rest] = room.people as [Mover, Mover, Mover, Mover];
    await moves(room, rest, () => anna.quit());
    await expectOneHost(rest);
    expectAllThere(rest);
  }),
  move(
    "a room goes on when its host is killed, and takes it back",
    { people: 3 },
    async (room) => {
      const [anna, ...rest] = room.people as [Mover, Mover, Mover];
      await moves(room, rest, () => anna.kill());
      await room.restart(anna, ["--serve"]);
      await moves(room, room.people, () => sleep(5000));
      expectAllThere(rest);
    },
  ),
  move("a room goes on when its host and the first stand-by are killed at once", {
    people: 4,
  }, async (room) => {
    const [anna, bob, ...rest] = room.people as [Mover, Mover, Mover, Mover];
    await moves(room, rest, async () => {
      await Promise.all([anna.kill(), bob.kill()]);
    });
    await expectOneHost(rest);
  }),
  move("nobody moves when the host is stopped for 6 s", { people: 3, long: true }, async (room) => {
    let stoppedMs = 0;
    await moves(room, room.people, async () => {
      stoppedMs = await pause(room.people[0]!, 6000);
    });
    if (stoppedMs > 7000) return; // this computer was busy: that is long enough to move
    for (const { program } of room.people) {
      assert.deepEqual([program.all("moved"), program.all("disconnected")], [[], []]);
    }
  }),
  move("a room goes on when the cable of its host is cut, and becomes one again", {
    people: 3,
  }, async (room) => {
    const [anna, ...rest] = room.people as [Mover, Mover, Mover];
    room.talk();
    await sleep(500);
    await room.unplug(anna);
    await room.assemble(rest);
    await room.leaves(rest, anna);
    expectWhole(await room.report(rest));
    await room.plug(anna);
    await moves(room, room.people, () => sleep(3000));
  }),
  move("a room goes on when the next host is killed as it takes over", {
    people: 4,
    long: true,
  }, async (room) => {
    const [anna, bob, ...rest] = room.people as [Mover, Mover, Mover, Mover];
    await moves(room, rest, async () => {
      await anna.kill();
      await bob.program.waitFor("moved");
      await bob.kill();
    });
  }),
  move("a room goes on when the host and the first stand-by are cut off, and becomes one again", {
    people: 4,
    long: true,
  }, async (room) => {
    const [anna, bob, ...rest] = room.people as [Mover, Mover, Mover, Mover];
    room.talk(rest);
    await sleep(500);
    await Promise.all([room.unplug(anna), room.unplug(bob)]);
    await room.leaves(rest, anna);
    await room.assemble(rest);
    expectWhole(await room.report(rest));
    await Promise.all([room.plug(anna), room.plug(bob)]);
    await room.assemble();
    await moves(room, room.people, () => sleep(1000));
  }),
  move("who cannot reach the host alone stays apart, and comes back", {
    people: 4,
    long: true,
  }, async (room) => {
    const [anna, bob, ...rest] = room.people as [Mover, Mover, Mover, Mover];
    const others = [anna, ...rest];
    await moves(room, others, async () => {
      await Promise.all([anna, bob].map((mover) => room.isolate(mover, true)));
      await sleep(15_000);
    });
    for (const { program } of others) assert.deepEqual(program.all("moved"), []);
    await Promise.all([anna, bob].map((mover) => room.isolate(mover, false)));
    await room.assemble();
    await moves(room, room.people, () => sleep(1000));
  }),
  move("two halves of a room become one", { people: 4, long: true }, async (room) => {
    room.talk();
    const [one, other] = [room.people.slice(0, 2), room.people.slice(2)];
    for (const mover of other) await room.plug(mover, true);
    await room.assemble(one);
    await room.leaves(other, one[0]!);
    await room.assemble(other);
    expectWhole(await room.report(one));
    expectWhole(await room.report(other));
    for (const mover of other) await room.plug(mover);
    await room.assemble();
    await moves(room, room.people, () => sleep(1000));
  }),
  move("everybody alone for 30 s becomes one room", { people: 4, long: true }, async (room) => {
    room.talk();
    for (const mover of room.people) await room.unplug(mover);
    await sleep(30_000);
    for (const mover of room.people) await room.plug(mover);
    await room.assemble();
    await moves(room, room.people, () => sleep(1000));
  }),
  move("two hosts that are alone, each before the other, become one", {
    people: 2,
    long: true,
  }, async (room) => {
    const [anna, bob] = room.people as [Mover, Mover];
    await room.unplug(bob);
    await bob.program.waitFor("moved", { own: true });
    // Her last list has bob before her, since he was cut off; his has her.
    await poll(
      async () => (await anna.list())?.at === 1,
      () => `a list with bob first at ${anna.program.describe()}`,
      PATIENCE_MS,
    );
    await anna.kill();
    await room.restart(anna, ["--serve"]);
    await room.plug(bob);
    await room.assemble();
    await moves(room, room.people, () => sleep(5000));
  }),
  move("two hosts that are alone and know no order find each other", {
    people: 2,
    long: true,
    announce: true,
  }, async (room) => {
    const [anna, bob] = room.people as [Mover, Mover];
    await anna.kill();
    await bob.program.waitFor("moved", { own: true });
    await room.restart(anna, ["--serve"]);
    await room.assemble(); // each has been with the other, and knows the key
    await room.unplug(bob);
    for (const mover of room.people) {
      await mover.kill();
      await Deno.remove(`${await mover.world.home(mover.name)}/last_lists`);
      await room.restart(mover, ["--serve"]);
    }
    await room.plug(bob);
    await room.assemble();
    await moves(room, room.people, () => sleep(5000));
  }),
  ...([
    ["hears nobody, but is heard", dropInput],
    ["is heard by nobody, but hears", dropOutput],
  ] as const).map(([what, drop]) =>
    move(`a room goes on when the host ${what}`, { people: 3, long: true }, async (room) => {
      const [anna, ...rest] = room.people as [Mover, Mover, Mover];
      await moves(room, rest, async () => {
        anna.isTalking = false;
        await drop(anna.computer);
        await room.leaves(rest, anna);
      });
    })
  ),
  move("a room of link-local addresses goes on", {
    people: 3,
    long: true,
    ipv4: false,
  }, async (room) => {
    const [anna, ...rest] = room.people as [Mover, Mover, Mover];
    await moves(room, rest, () => room.unplug(anna));
    await room.leaves(rest, anna);
    await moves(room, rest, () => sleep(1000));
  }),
  move("a room with a password goes on, killed and cut", {
    people: 4,
    long: true,
    password: "gofu daki reze tunu pama",
  }, async (room) => {
    const [anna, bob, ...rest] = room.people as [Mover, Mover, Mover, Mover];
    await moves(room, [bob, ...rest], () => anna.kill());
    room.talk(rest);
    await room.unplug(bob);
    await room.leaves(rest, bob);
    await moves(room, rest, () => sleep(1000));
    for (const { program } of rest) {
      const ways = program.all("welcome").map(({ authenticated }) => authenticated);
      assert.deepEqual(new Set(ways), new Set(["password"]));
    }
  }),
  ...[15, 60].map((seconds) =>
    move(`a room moves when its host is stopped for ${seconds} s, and takes it back`, {
      people: 4,
      long: true,
    }, async (room) => {
      const [anna, ...rest] = room.people as [Mover, Mover, Mover, Mover];
      room.talk(rest);
      await pause(anna, seconds * 1000);
      await room.assemble(rest);
      await room.assemble();
      await moves(room, room.people, () => sleep(8000));
      expectAllThere(rest);
    })
  ),
];
