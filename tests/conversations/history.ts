/**
 * One's own history: what is kept, shown again, found, printed and forgotten.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Conversation, Event, World } from "../support/programs.ts";

interface Entry {
  readonly event: string;
  readonly text: string;
}

/** The texts of the messages in a `history` event, or in the answer to a command. */
function texts(event: Event): string[] {
  return (event.entries as Entry[]).filter(({ event }) => event === "chat").map(({ text }) => text);
}

async function keepFindAndForget(world: World): Promise<void> {
  await world.server();
  const [bob, anna] = await Promise.all([
    world.client("bob"),
    world.client("anna", { args: ["--history"] }),
  ]);
  await Promise.all([bob.waitFor("joined"), anna.waitFor("joined")]);
  await bob.chat("hello");
  await anna.waitFor("chat", { text: "hello" });
  await bob.say({ type: "private", to: "anna", text: "psst" });
  await anna.waitFor("chat", { text: "psst" });
  await anna.chat("the build is RED", "and late");
  await bob.waitFor("chat", { text: "and late" });
  assert.equal(await anna.leave(), 0);

  const again = await world.client("anna");
  assert.deepEqual(texts(await again.waitFor("history")), [
    "hello",
    "the build is RED",
    "and late",
  ]);
  await again.command("/search red");
  assert.deepEqual(texts(await again.waitFor("result", { command: "search" })), [
    "the build is RED",
  ]);
  await again.command("/history 1");
  assert.deepEqual(texts(await again.waitFor("result", { command: "history" })), ["and late"]);
  await again.say({ type: "history", limit: 2, ref: "1" }, { type: "history", limit: 0, ref: "2" });
  const newest = await again.waitFor("history", { ref: "1" });
  assert.deepEqual(texts(newest), ["the build is RED", "and late"]);
  await again.waitFor("error", { ref: "2" });
  const [{ id: before }] = newest.entries as [{ id: string }];
  await again.say({ type: "history", before, search: "from:bob", ref: "3" });
  assert.deepEqual(texts(await again.waitFor("history", { ref: "3" })), ["hello"]);
  await again.command("/history on private");
  await again.waitFor("result", { command: "history", history: "private" });
  await bob.waitFor("joined", { nick: "anna" }, { count: 2 });
  await bob.say({ type: "private", to: "anna", text: "once more" });
  await again.waitFor("chat", { text: "once more" });
  assert.equal(await again.leave(), 0);

  const home = await world.home("anna");
  const printed = await world.run("client", { args: ["history", "--search", "RED"], home });
  assert.equal(printed.code, 0, printed.stderr);
  assert.match(printed.stdout, /^— \d{4}-\d\d-\d\d —\n\d\d:\d\d anna: the build is RED\n$/);
  const exported = await world.run("client", { args: ["export"], home });
  const events = exported.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(events.map(({ text }) => text), [
    "hello",
    "the build is RED",
    "and late",
    "once more",
  ]);
  const stranger = await world.run("client", { args: ["history"], home: await world.home("bob") });
  assert.deepEqual([stranger.code, stranger.stdout], [1, ""]);

  const forgotten = await world.run("client", { args: ["history", "--forget"], home });
  assert.equal(forgotten.code, 0);
  const nothing = await world.run("client", { args: ["history"], home });
  assert.match(nothing.stderr, /no history of lobby is kept/);
  const names = await Array.fromAsync(Deno.readDir(home), ({ name }) => name);
  assert.ok(!names.some((name) => /^history-.*\.key$/.test(name)));
}

async function forgetWhileKeeping(world: World): Promise<void> {
  await world.server();
  const [bob, anna] = await Promise.all([
    world.client("bob"),
    world.client("anna", { args: ["--history"] }),
  ]);
  await Promise.all([bob.waitFor("joined"), anna.waitFor("joined")]);
  await anna.command("/history");
  await anna.waitFor("result", { command: "history" }); // the key is there
  const home = await world.home("anna");
  assert.equal((await world.run("client", { args: ["history", "--forget"], home })).code, 0);
  await bob.chat("hello");
  await anna.waitFor("notice", {
    text: "the history of this room was forgotten: nothing is kept any more",
  });
  await anna.command("/history");
  await anna.waitFor("result", { command: "history", ok: false });
  assert.equal(await anna.leave(), 0);
}

export const HISTORY: readonly Conversation[] = [
  ["a history is kept, shown at the next start, found, printed and forgotten", keepFindAndForget],
  ["a history that is forgotten is not kept by a program that runs", forgetWhileKeeping],
];
