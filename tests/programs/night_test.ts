/**
 * Nobody misses anything, really: somebody's program is stopped for longer than a connection lasts, and one person has
 * two terminals, while the room moves to another host.
 */

import assert from "node:assert/strict";
import { expectWhole } from "../conversations/moves.ts";
import { type Mover, MovingRoom, type MovingRoomOptions, pause } from "../support/moving_room.ts";
import { NO_NETWORKS } from "../support/netns.ts";
import { poll, type Program } from "../support/programs.ts";

function test(
  name: string,
  options: MovingRoomOptions,
  run: (room: MovingRoom) => Promise<void>,
): void {
  Deno.test({
    name: NO_NETWORKS === undefined ? name : `${name} (skipped: ${NO_NETWORKS})`,
    ignore: NO_NETWORKS !== undefined,
    fn: async () => {
      await using room = await MovingRoom.make(options);
      await run(room);
    },
  });
}

/** Longer than anybody waits for a silent connection. */
const NAP_MS = 75_000;

test("who sleeps for 75 s gets everything once and in order, though the host quits meanwhile", {
  people: 4,
  guests: ["dora"],
}, async (room) => {
  const [anna, bob, carl, dora] = room.people as [Mover, Mover, Mover, Mover];
  const rest = [bob, carl, dora];
  const asleep = pause(dora, NAP_MS);
  room.talk([bob, carl], 1);
  await bob.program.waitFor("chat", {}, { count: 5 });
  await anna.quit();
  await room.leaves([bob, carl], anna);
  await asleep;
  await room.assemble(rest);
  room.hush();
  expectWhole(await room.report(rest));
  for (const { name } of [bob, carl]) {
    const numbers = dora.program.all("chat").map(({ text }) => `${text}`.split(" "))
      .filter(([from]) => from === name).map(([, number]) => Number(number));
    assert.ok(numbers.length > 0);
    assert.deepEqual(numbers, numbers.toSorted((a, b) => a - b));
  }
});

test("two terminals of one person show the same before and after the room has moved", {
  people: 3,
  guests: ["carl"],
}, async (room) => {
  const [anna, bob, { world, program: desk }] = room.people as [Mover, Mover, Mover];
  const home = await world.emptyHome("laptop");
  await Deno.copyFile(`${await world.home("carl")}/identity.pem`, `${home}/identity.pem`);
  const laptop = world.start("client", {
    args: ["--json", "--nick", "carl", "--host", "10.77.0.1"],
    home,
  }, "laptop");
  let count = 0;
  const show = async (who: Program, text: string, to?: string) => {
    count++;
    await who.say(to === undefined ? { type: "chat", text } : { type: "private", to, text });
    await poll(
      () =>
        [desk, laptop].every((program) =>
          shownBy(program).some((line) => line.startsWith(`${text} `))
        ),
      () => [desk, laptop].map((program) => program.describe()).join("\n"),
    );
  };
  const round = async (when: string, others: readonly Mover[]) => {
    for (const { program } of others) await show(program, `${when}: to all from ${program.name}`);
    for (const terminal of [desk, laptop]) {
      await show(terminal, `${when}: from ${terminal.name}`);
      await show(terminal, `${when}: for bob from ${terminal.name}`, "bob");
    }
    const secret = `${when}: for carl`;
    await show(bob.program, secret, "carl");
    const { id } = desk.first("chat", { text: secret });
    await laptop.say({ type: "note", ref: `${id}`, what: "reaction", text: "👍" }, {
      type: "read",
      id,
    });
    await Promise.all([desk.waitFor("note", { ref: id }), desk.waitFor("read", { id })]);
  };
  await Promise.all(
    [anna, bob].map(({ program }) => laptop.waitFor("joined", { nick: program.name })),
  );
  await bob.program.waitFor("joined", { nick: "carl" });
  await round("before", [anna, bob]);
  await anna.quit();
  await Promise.all([desk, laptop].map((terminal) => terminal.waitFor("moved")));
  await Promise.all(
    [desk, laptop].map((terminal) => terminal.waitFor("welcome", {}, { count: 2 })),
  );
  await round("after", [bob]);
  assert.deepEqual(shownBy(laptop), shownBy(desk));
  assert.equal(shownBy(desk).length, count);
});

/** The messages that a terminal has shown, with their ids, and whether they are private. */
function shownBy(terminal: Program): string[] {
  return terminal.events.filter(({ event }) => event === "chat" || event === "sent")
    .map(({ text, id, private: isPrivate }) => `${text} ${id} ${isPrivate}`).toSorted();
}
