/** Files in both faces of the chat, between real programs. */
import assert from "node:assert/strict";
import { Chats, enter, see } from "../../support/chats.ts";
import { tmuxMissing } from "../../support/tmux.ts";

const missing = Deno.build.os === "windows" ? "no tmux on Windows" : await tmuxMissing();
if (missing !== undefined) console.log(`full.files_test.ts: skipped, ${missing}`);

/** Long under way through the server; it has holes only, and is not sent to its end. */
const BIG = 2_000_000_000;

Deno.test("files are offered, followed and kept", { ignore: missing !== undefined }, async () => {
  await using chats = await Chats.open();
  const { world } = chats;
  await world.server();
  for (const name of ["anna", "carl"]) await Deno.mkdir(world.path(`${name}-in`));
  const options = (name: string) => ({
    // Wide enough for a path of the test, and too narrow for the side column.
    columns: 99,
    args: ["--download", world.path(`${name}-in`)],
    shell: "CLIENT; echo ended $?; sleep 600",
  });
  const anna = await chats.start("anna", { isFull: true, ...options("anna") });
  await see(anna, /you are in lobby/);
  const bob = await world.client("bob", { args: ["--no-direct"] });
  await bob.waitFor("joined");

  // From bob to the room, and from anna to the room.
  await bob.say({ type: "send", path: await world.file("notes.txt", new Uint8Array(812)) });
  await see(anna, /^ +bob◦ offers notes\.txt {2}812 B$/);
  await see(anna, /^ +╰ \/accept 1 keeps it /);
  await enter(anna, "/accept");
  await see(anna, /^ +╰ kept as .*anna-in\/notes\.txt/);
  await enter(anna, `/send ${await world.file("film.bin", new Uint8Array(40_000))}`);
  await see(anna, /^ +anna {2}offers film\.bin {2}40\.0 kB$/);
  await see(anna, /^ +╰ waits for an answer · \/cancel 2$/);
  const { id } = await bob.waitFor("offer", { name: "film.bin" });
  await bob.say({ type: "accept", id });
  await see(anna, /^ +╰ bob has it: 40\.0 kB in /);

  // A long one, to both faces; whoever leaves meanwhile goes on with it later.
  const carl = await chats.start("carl", options("carl"));
  await see(carl, /^carl> ‸$/);
  await bob.waitFor("joined", { nick: "carl" });
  const big = await world.file("big.bin", new Uint8Array());
  await Deno.truncate(big, BIG);
  await bob.say({ type: "send", path: big, ref: "big" });
  const offered = await bob.waitFor("offered", { ref: "big" });
  await see(carl, /^-- bob offers the room \(1\): “big\.bin”, 2\.0 GB$/);
  await enter(carl, "/accept 1");
  await see(carl, /^1 big\.bin from bob {2}[━─]{16} {2}\d+ % {2}[\d.]+ [kM]B\/s/);
  await enter(anna, "/accept");
  await see(anna, /^ +╰ [━─]+ +\d+ % .*[\d.]+ [kM]?B\/s/);
  await enter(anna, "/quit");
  await see(anna, /^client: big\.bin from bob is not complete \(\d+ %\);/);
  await see(anna, /^ended 0$/);

  const again = await chats.start("anna", { isFull: true, ...options("anna") });
  await bob.waitFor("joined", { nick: "anna" }, { count: 2 });
  await see(again, /big\.bin from bob \(1\) goes on$/);
  await again.press("M-2");
  await see(again, /^ +╰ [━─]+ +\d+ % /);
  await bob.say({ type: "cancel", id: offered.id });
  await see(again, /^ +╰ cancelled$/);
  await see(carl, /^-- big\.bin \(1\) was cancelled$/);
  const log = await carl.scrollback();
  assert.deepEqual(log.filter((row) => row.includes("━") || row.includes("─")), []);
});
