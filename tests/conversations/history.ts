/**
 * One's own history: what is kept, shown again, found, printed and forgotten.
 *
 * @module
 */

import assert from "node:assert/strict";
import {
  type Conversation,
  type Event,
  poll,
  type Program,
  type World,
} from "../support/programs.ts";

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

/** One who comes later is told what was said, by two who have agreed, and not what others wrote. */
async function handOn(world: World): Promise<void> {
  const password = ["--password-file", await world.file("password", "between friends\n")];
  await world.server(password);
  const enter = (nick: string, ...args: string[]) =>
    world.client(nick, { args: [...password, ...args] });
  const anna = await enter("anna", "--recap");
  await anna.waitFor("welcome");
  const bob = await enter("bob", "--recap");
  await bob.waitFor("joined", { nick: "anna" });
  const carl = await enter("carl"); // the last one: the first two are asked
  for (const client of [anna, bob, carl]) await client.waitFor("joined", {}, { count: 2 });
  await anna.waitFor("notice", {
    text: "what you write here may be handed on to people who come later",
  });
  await anna.chat("the build is red");
  await carl.chat("only for those who are here");
  await carl.command("/recap on");
  await carl.waitFor("result", { command: "recap", recap: true });
  await carl.chat("it was the clock");
  await Promise.all(
    [anna, bob].map((client) => client.waitFor("chat", { text: "it was the clock" })),
  );
  await anna.command("/names");
  const { people: named } = await anna.waitFor("result", { command: "names" });
  assert.deepEqual((named as Event[]).map(({ recap }) => recap), [true, true]);
  await bob.chat("I know");
  await Promise.all([anna, carl].map((client) => client.waitFor("chat", { text: "I know" })));

  // They ask 15 s after they have come at the latest, whether both helpers are there by then or not.
  const isTold = async (client: Program) =>
    ((await client.waitFor("missed")).by as string[]).length === 2;
  let dora = await enter("dora", "--recap");
  for (const nick of ["erna", "fay"]) {
    if (await isTold(dora)) break;
    dora = await enter(nick, "--recap");
  }
  const silent = await enter("silent");
  await dora.waitFor("joined", { nick: "carl" });
  await dora.waitFor("chat", { text: "I know" });
  const told = dora.all("chat").map(({ text, hearsay, missed, fingerprint }) => ({
    text,
    by: (hearsay as string[]).length,
    missed,
    fingerprint,
  }));
  const keyOf = (nick: string) => dora.all("joined", { nick })[0]!.fingerprint;
  assert.deepEqual(told, [
    { text: "the build is red", by: 2, missed: true, fingerprint: keyOf("anna") },
    { text: "it was the clock", by: 2, missed: true, fingerprint: keyOf("carl") },
    { text: "I know", by: 2, missed: true, fingerprint: keyOf("bob") },
  ]);
  const [missed] = dora.all("missed");
  assert.deepEqual([missed!.from, missed!.count], ["hearsay", 3]);
  // It cannot be answered.
  const [{ id }] = dora.all("chat") as unknown as [{ id: string }];
  await dora.say({ type: "chat", text: "why?", reply: id, ref: "1" });
  await dora.waitFor("error", { ref: "1" });
  // What is written now comes first-hand; a program that knows no hearsay gets nothing else.
  await silent.waitFor("joined", { nick: "anna" });
  await anna.waitFor("joined", { nick: "silent" });
  await anna.chat("welcome");
  await Promise.all([dora, silent].map((client) => client.waitFor("chat", { text: "welcome" })));
  assert.equal(dora.all("chat", { text: "welcome" })[0]!.hearsay, undefined);
  assert.deepEqual(silent.all("chat").map(({ text }) => text), ["welcome"]);
}

/** The texts that `client history` prints. */
async function kept(world: World, name: string): Promise<string[]> {
  const { stdout } = await world.run("client", {
    args: ["history", "--json"],
    home: await world.home(name),
  });
  return stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line).text);
}

async function keepItTwice(world: World): Promise<void> {
  await world.server();
  const start = () => world.client("anna", { args: ["--history"] });
  const [one, two, bob] = await Promise.all([start(), start(), world.client("bob")]);
  await Promise.all([one, two].map((client) => client.waitFor("joined", { nick: "bob" })));
  await bob.waitFor("joined", {}, { count: 2 });
  const all: string[] = [];
  const hear = async (who: Program, text: string, ...by: Program[]) => {
    await who.chat(text);
    await Promise.all(by.map((client) => client.waitFor("chat", { text })));
    all.push(text);
  };
  for (let i = 0; i < 3; i++) {
    await hear(bob, `bob ${i}`, one, two);
    await hear(one, `one ${i}`, two, bob);
    await hear(two, `two ${i}`, one, bob);
  }
  await one.kill();
  await hear(bob, "after one was killed", two);
  await poll(
    async () => (await kept(world, "anna")).length === all.length,
    () => `${all.length} messages in the history`,
  );
  const again = await start();
  assert.deepEqual(texts(await again.waitFor("history")), all);
  await bob.waitFor("joined", {}, { count: 3 });
  await hear(bob, "to both", again, two);
  assert.deepEqual(await Promise.all([again.leave(), two.leave()]), [0, 0]);
  assert.deepEqual(await kept(world, "anna"), all);
}

/** What was said while only the terminal that stays was there comes from there. */
async function stayForTheOthers(world: World): Promise<void> {
  const { port } = await world.server();
  const stays = world.start("client", {
    args: ["--stay", "--host", "127.0.0.1", "--port", `${port}`, "--nick", "anna"],
    home: await world.home("anna"),
  }, "stays");
  const bob = await world.client("bob");
  await bob.waitFor("joined", { nick: "anna" });
  await bob.chat("to all");
  await bob.say({ type: "private", to: "anna", text: "psst" });
  assert.equal(await bob.leave(), 0); // who stays has received it
  const desk = await world.client("anna");
  await desk.waitFor("chat", { text: "psst" });
  assert.deepEqual(
    desk.all("chat").map(({ text, missed, private: isPrivate }) => ({ text, missed, isPrivate })),
    [
      { text: "to all", missed: true, isPrivate: false },
      { text: "psst", missed: true, isPrivate: true },
    ],
  );
  assert.equal(desk.first("missed").from, "own");
  await stays.kill("SIGTERM");
  assert.equal(stays.stdout, "");
  assert.doesNotMatch(stays.stderr, /to all|psst|bob/);
}

export const HISTORY: readonly Conversation[] = [
  ["a history is kept, shown at the next start, found, printed and forgotten", keepFindAndForget],
  ["two programs of one person keep one history, also when one is killed", keepItTwice],
  ["a terminal that stays has what the others have missed", stayForTheOthers],
  ["who comes later is told what was said, by two who agree", handOn],
  ["a history that is forgotten is not kept by a program that runs", forgetWhileKeeping],
];
