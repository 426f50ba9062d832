/**
 * Several rooms of one client.
 *
 * @module
 */

import assert from "node:assert/strict";
import type { Conversation, Program, World } from "../support/programs.ts";

async function joinAndPart(world: World): Promise<void> {
  await world.server();
  const bob = await world.client("bob");
  const carl = await world.client("carl", { args: ["--room", "build"] });
  const ann = await world.client("ann");
  await ann.waitFor("joined", { nick: "bob" });
  await ann.say({ type: "join", room: "#Build", ref: "j" });
  await ann.waitFor("result", { ref: "j", command: "join", ok: true, room: "build" });
  await ann.waitFor("welcome", { room: "build" });
  await ann.waitFor("joined", { nick: "carl", room: "build" });

  await ann.say(
    { type: "chat", room: "lobby", text: "to the lobby" },
    { type: "chat", room: "build", text: "to build" },
    { type: "private", room: "build", to: "carl", text: "to carl" },
    { type: "command", room: "build", text: "/msg bob over the lobby" },
    { type: "command", room: "lobby", text: "/away soon", ref: "a" },
  );
  await bob.waitFor("chat", { text: "to the lobby" });
  await carl.waitFor("chat", { text: "to build" });
  await carl.waitFor("chat", { text: "to carl", private: true });
  await bob.waitFor("chat", { text: "over the lobby", private: true });
  for (const other of [bob, carl]) await other.waitFor("away", { nick: "ann", text: "soon" });
  assert.equal(bob.all("chat").length + carl.all("chat").length, 4);
  await bob.chat("from the lobby");
  await carl.chat("from build");
  await ann.waitFor("chat", { room: "lobby", text: "from the lobby" });
  const { id: ref } = await ann.waitFor("chat", { room: "build", text: "from build" });
  await ann.say({ type: "note", room: "build", ref, what: "reaction", text: "👍" });
  await carl.waitFor("note", { ref, text: "👍" });

  await refuseWithoutRoom(ann);
  await ann.say({ type: "command", room: "lobby", text: "/list", ref: "l" });
  const { rooms } = await ann.waitFor("result", { ref: "l" });
  assert.deepEqual(rooms, [
    { room: "lobby", connection: "online", others: 1 },
    { room: "build", connection: "online", others: 1 },
  ]);
  await ann.say({ type: "part", room: "lobby", ref: "p" });
  await ann.waitFor("result", { ref: "p", command: "part", ok: true, room: "lobby" });
  await bob.waitFor("left", { nick: "ann", why: "left" });
  await ann.say({ type: "part", room: "build", ref: "q" });
  await ann.waitFor("result", {
    ref: "q",
    ok: false,
    message: "this is the only room that you are in",
  });
  await ann.say({ type: "chat", text: "the only room needs no name" });
  await carl.waitFor("chat", { text: "the only room needs no name" });
  assert.equal(await ann.leave(), 0);
}

/** With several rooms nothing goes to one that was not named. */
async function refuseWithoutRoom(ann: Program): Promise<void> {
  const bad: [request: Record<string, unknown>, message: RegExp][] = [
    [{ type: "chat", text: "where?" }, /"room" must be given while several rooms are open/],
    [{ type: "command", text: "/me where?" }, /"room" must be given/],
    [{ type: "chat", room: "attic", text: "there" }, /you are not in this room/],
    [{ type: "join" }, /"room" must be a string/],
    [{ type: "join", room: " " }, /this room name begins or ends with a space/],
    [{ type: "part", room: "attic" }, /you are not in attic/],
  ];
  for (const [i, [request, message]] of bad.entries()) {
    await ann.say({ ...request, ref: `bad ${i}` });
    const error = await ann.waitFor("error", { ref: `bad ${i}` });
    assert.match(String(error.message), message);
  }
}

async function sharePassword(world: World): Promise<void> {
  const password = ["--password-file", await world.file("password", "between friends\n")];
  await world.server(password);
  const bob = await world.client("bob", { args: [...password, "--room", "build"] });
  const ann = await world.client("ann", { args: password });
  await ann.waitFor("welcome");
  await ann.say({ type: "join", room: "build" });
  await ann.waitFor("welcome", { room: "build", authenticated: "password" });
  await bob.waitFor("joined", { nick: "ann" });
}

export const ROOMS: readonly Conversation[] = [
  ["A client joins rooms, talks in each of them, and leaves them", joinAndPart],
  ["A client enters all its rooms with one password", sharePassword],
];
