import assert from "node:assert/strict";
import { expectOneHost, type Move, MOVES, moves } from "../conversations/moves.ts";
import {
  type Mover,
  MovingRoom,
  type MovingRoomOptions,
  refuseConnections,
  sleep,
} from "../support/moving_room.ts";
import { NO_NETWORKS } from "../support/netns.ts";
import { poll } from "../support/programs.ts";
import { writeFakeClient } from "../support/shared_folder.ts";

/** Runs of minutes, for `HEARTH_LONG_TESTS=1`. */
const isLong = Deno.env.get("HEARTH_LONG_TESTS") !== undefined;

function testMove(
  name: string,
  options: MovingRoomOptions & { readonly long?: boolean },
  run: Move["run"],
): void {
  const why = NO_NETWORKS ??
    (options.long && !isLong ? "only with HEARTH_LONG_TESTS=1" : undefined);
  Deno.test({
    name: why === undefined ? name : `${name} (skipped: ${why})`,
    ignore: why !== undefined,
    async fn() {
      await using room = await MovingRoom.make(options);
      await run(room);
    },
  });
}

for (const { name, options, isLong: long, run } of MOVES) testMove(name, { ...options, long }, run);

testMove("who starts again finds the present host, which alone is announced", {
  people: 3,
  announce: true,
}, async (room) => {
  const [anna, bob, carl] = room.people as [Mover, Mover, Mover];
  const listed = async () => {
    const home = await carl.world.home("carl");
    return (await carl.world.run("client", { args: ["--list", "--json"], home })).stdout;
  };
  const announced = (stdout: string) =>
    stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line).addresses[0]);
  assert.deepEqual(announced(await listed()), ["10.77.0.1"]);
  await moves(room, [bob, carl], () => anna.quit());
  await poll(async () => announced(await listed()).includes("10.77.0.2"), () => "bob, announced");
  assert.deepEqual(announced(await listed()), ["10.77.0.2"]);
  await carl.quit();
  await Deno.remove(`${await carl.world.home("carl")}/last_lists`);
  await room.restart(carl, ["--serve"]);
  await room.assemble([bob, carl]);
});

testMove("a member who lies moves nobody whose host lives, and is not followed when it is killed", {
  people: 4,
  liars: { dora: "claim,noise" },
}, async (room) => {
  const [anna, bob, carl] = room.people as [Mover, Mover, Mover];
  await moves(room, [anna, bob, carl], () => sleep(8000));
  for (const { program } of [anna, bob, carl]) {
    assert.deepEqual([program.all("moved"), program.all("disconnected")], [[], []]);
  }
  await moves(room, [bob, carl], () => anna.kill());
  await expectOneHost([bob, carl]);
});

testMove("programs on one computer carry on one after the other", {
  people: 3,
  together: true,
  names: 1,
}, async (room) => {
  const [anna, bob, carl] = room.people as [Mover, Mover, Mover];
  await moves(room, [bob, carl], () => anna.kill());
  await room.named([carl], 2);
  await bob.kill();
  await carl.program.waitFor("moved", { own: true });
});

Deno.test({
  name: "the page of --share names the present host",
  ignore: NO_NETWORKS !== undefined,
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      await writeFakeClient(folder, "x86_64-unknown-linux-gnu", 5000);
      await using room = await MovingRoom.make({ people: 3, args: { bob: [`--share=${folder}`] } });
      const [anna, bob, carl] = room.people as [Mover, Mover, Mover];
      const hostOnPage = async () => {
        const script = `console.log(await (await fetch("http://127.0.0.1:40680")).text())`;
        const page = await bob.computer.run(Deno.execPath(), "eval", script);
        return /--host<\/span> ([\d.]+) /.exec(page)?.[1];
      };
      assert.equal(await hostOnPage(), "10.77.0.1");
      await moves(room, [bob, carl], () => anna.quit());
      assert.equal(await hostOnPage(), "10.77.0.2");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

// --- Runs of minutes ---

for (const { name, options, run } of MOVES) {
  testMove(`${name}, beside a liar`, { ...options, beside: "claim,noise", long: true }, run);
}

testMove("a program that does not know how rooms move waits for its server", {
  people: 3,
  long: true,
  foreign: true,
}, async (room) => {
  const [anna, bob, carl] = room.people as [Mover, Mover, Mover];
  const foreign = room.outsider!;
  await moves(room, [bob, carl], () => anna.kill());
  await foreign.program.waitFor("disconnected");
  await room.restart(anna, ["--serve"]);
  await room.assemble();
  await sleep(10_000);
  assert.equal(foreign.program.all("welcome").length, 1, "the old address is not the room's");
  await Promise.all([bob.kill(), carl.kill()]);
  await anna.program.waitFor("moved", { own: true });
  await room.assemble([anna, foreign]);
});

testMove("who is behind a firewall is not named, and comes along", {
  people: 4,
  long: true,
  names: 2,
  prepare: async (computer, name) => {
    if (name === "bob") await refuseConnections(computer);
  },
}, async (room) => {
  const [anna, bob, ...rest] = room.people as [Mover, Mover, Mover, Mover];
  await moves(room, [bob, ...rest], () => anna.kill());
  assert.equal(rest[0]!.program.first("moved").own, true);
});

testMove(
  "a newcomer at the old address is shown the way",
  { people: 3, long: true },
  async (room) => {
    const [anna, bob, carl] = room.people as [Mover, Mover, Mover];
    await room.unplug(anna);
    await room.leaves([bob, carl], anna);
    await room.plug(anna);
    await room.assemble();
    await carl.quit();
    await room.restart(carl, ["--host", "10.77.0.1"]);
    await room.assemble();
    assert.equal(carl.host, bob.host);
  },
);

for (const lie of ["claim", "lost"]) {
  testMove(`a first stand-by that lies ("${lie}") is passed over`, {
    people: 4,
    long: true,
    liars: { bob: lie },
  }, async (room) => {
    const [anna, , ...rest] = room.people as [Mover, Mover, Mover, Mover];
    await moves(room, rest, async () => {
      await sleep(1000);
      await anna.kill();
    });
    assert.equal(rest[0]!.program.first("moved").own, true);
  });
}

testMove("a lone host stays where it is, whatever a liar says", {
  people: 2,
  long: true,
  liars: { bob: "claim,noise" },
}, async (room) => {
  const [anna, bob] = room.people as [Mover, Mover];
  room.talk();
  await sleep(20_000);
  await room.unplug(bob);
  await sleep(10_000);
  await room.plug(bob);
  await sleep(20_000);
  assert.deepEqual([anna.program.all("moved"), anna.program.all("disconnected")], [[], []]);
});
