/**
 * What people do in a chat on a terminal, whichever face it has.
 *
 * @module
 */

import assert from "node:assert/strict";
import { fingerprintOf } from "../support/programs.ts";
import type { Seat } from "../support/seat.ts";

async function talk(anna: Seat): Promise<void> {
  const { world } = anna;
  const bob = await world.client("bob");
  await bob.waitFor("joined", { nick: "anna" });
  await anna.reads("bob");
  await anna.enter("hello");
  await bob.waitFor("chat", { text: "hello" });
  await anna.readsMessage("anna", "hello");
  await bob.chat("good morning, anna");
  await anna.readsMessage("bob◦", "good morning, anna");
  await anna.enter("/me waves");
  await bob.waitFor("chat", { text: "waves", action: true });
  await bob.command("/me nods");
  await anna.reads("* bob◦ nods");
  await anna.enter("//names is a command");
  await bob.waitFor("chat", { text: "/names is a command" });

  // What arrives changes nothing of where the line goes.
  await bob.say({ type: "private", to: "anna", text: "psst" });
  await anna.isTold("bob◦", "psst");
  await anna.enter("for all");
  await bob.waitFor("chat", { text: "for all", private: false });
  await anna.enter("/query bob");
  await anna.writesTo("bob◦");
  await anna.readsMessage("bob◦", "psst");
  await anna.enter("what?");
  await bob.waitFor("chat", { text: "what?", private: true });
  await anna.enter("/close");
  await anna.writesTo("lobby");

  await bob.command("/away tea");
  await anna.reads("bob is away: tea");
  await bob.command("/nick rob");
  await anna.reads("bob is now rob");
  await bob.chat("renamed");
  await anna.readsMessage("rob◦", "renamed");
  await anna.enter("/away lunch");
  await bob.waitFor("away", { nick: "anna", text: "lunch" });
  assert.equal(await bob.leave(), 0);
  await anna.reads("rob has left");
}

async function ignore(anna: Seat): Promise<void> {
  const bob = await anna.world.client("bob");
  await bob.waitFor("joined", { nick: "anna" });
  await anna.reads("bob");
  await anna.enter("/ignore bob");
  await anna.reads("messages from bob are hidden until you leave");
  await bob.chat("unheard");
  await bob.waitFor("delivered");
  await anna.enter("/unignore bob");
  await anna.reads("messages from bob are shown again");
  await bob.chat("heard");
  await anna.readsMessage("bob◦", "heard");
  assert.ok(await anna.seesNothingOf("unheard"));
}

async function keepRoomsApart(anna: Seat): Promise<void> {
  const { world } = anna;
  const bob = await world.client("bob");
  const carl = await world.client("carl", { args: ["--room", "build"] });
  await carl.waitFor("welcome");
  await bob.waitFor("joined", { nick: "anna" });
  await anna.enter("/join build");
  await carl.waitFor("joined", { nick: "anna" });
  await anna.reads("you are in build, with one other");
  await carl.chat("green again");
  await anna.readsMessage("carl◦", "green again");
  await anna.enter("good");
  await carl.waitFor("chat", { text: "good" });
  await anna.enter("/join lobby");
  await anna.enter("back in the lobby");
  await bob.waitFor("chat", { text: "back in the lobby" });
  await anna.enter("/part build");
  await carl.waitFor("left", { nick: "anna", why: "left" });
  await anna.enter("/part");
  await anna.reads("this is the only room that you are in");
  assert.deepEqual([carl, bob].map((one) => one.all("chat").length), [1, 1]);
}

async function borrowANick(anna: Seat): Promise<void> {
  const { world } = anna;
  const bob = await world.client("bob");
  await bob.waitFor("joined", { nick: "anna" });
  await anna.reads("bob");
  await bob.leave();
  await anna.reads("bob has left");
  const other = await world.client("bob", { home: "eve" });
  await other.waitFor("joined", { nick: "anna" });
  await anna.reads("bob has joined with a DIFFERENT KEY than before");
  await other.chat("it is me");
  await anna.readsMessage("bob✗", "it is me");
  await anna.enter("/msg bob secret");
  await anna.reads("bob is a known nick with another key");
  await anna.enter("/trust bob");
  await anna.enter("/query bob");
  await anna.writesTo("bob∙");
  await anna.enter("not so secret");
  await other.waitFor("chat", { text: "not so secret", private: true });
  assert.deepEqual(other.all("chat").length, 1);
  await anna.enter("/info");
  await anna.reads((await fingerprintOf("anna")).slice(0, 20));
}

async function annotate(anna: Seat): Promise<void> {
  const bob = await anna.world.client("bob");
  await bob.waitFor("joined", { nick: "anna" });
  await anna.enter("at nine or at ten?");
  const { id } = await bob.waitFor("chat");
  await bob.say({ type: "note", ref: id, what: "reaction", text: "👍" });
  await anna.readsReaction("bob", "👍", "at nine or at ten?");
  await bob.say({ type: "chat", text: "ten", reply: id });
  await anna.reads("at nine or at ten?");
  await anna.enter("/react 🎉");
  await bob.waitFor("note", { what: "reaction", text: "🎉" });
  await anna.enter("/quote then at ten");
  await bob.waitFor("chat", { text: "then at ten" });
  await anna.enter("/edit then at half past ten");
  await bob.waitFor("note", { what: "edit", text: "then at half past ten" });
  const { id: ten } = bob.first("sent");
  await bob.say({ type: "note", ref: ten, what: "edit", text: "eleven" });
  await anna.readsEdit("bob◦", "ten", "eleven");
  await anna.enter("/retract");
  await bob.waitFor("note", { what: "retraction" });
  await anna.enter("/topic when we meet");
  await bob.waitFor("topic", { text: "when we meet" });
  await anna.reads("when we meet");
}

async function waitForTheServer(anna: Seat): Promise<void> {
  const { world } = anna;
  const bob = await world.client("bob");
  await bob.waitFor("joined", { nick: "anna" });
  await anna.reads("bob");
  const { port } = world;
  await world.stopServer();
  await anna.reads("connection lost: the server is shutting down; your messages will wait");
  await anna.enter("written meanwhile");
  await anna.readsWaiting("written meanwhile");
  await world.server([], { port });
  await bob.waitFor("chat", { text: "written meanwhile" });
  await anna.reads("connected again");
  await bob.chat("welcome back");
  await anna.readsMessage("bob◦", "welcome back");
}

async function exchangeFiles(anna: Seat): Promise<void> {
  const { world } = anna;
  const bob = await world.client("bob", { args: ["--no-direct"] });
  await bob.waitFor("joined", { nick: "anna" });
  await bob.say({ type: "send", path: await world.file("notes.txt", new Uint8Array(812)) });
  await anna.reads("notes.txt");
  await anna.enter("/accept 1");
  await anna.reads("anna-files/notes.txt");
  await anna.enter(`/send ${await world.file("film.bin", new Uint8Array(40_000))}`);
  const { id } = await bob.waitFor("offer", { name: "film.bin" });
  await bob.say({ type: "decline", id });
  await anna.reads("declined");
}

/** What is done at a terminal. */
export const FACES: readonly (readonly [name: string, run: (anna: Seat) => Promise<void>])[] = [
  ["people talk: to all, alone, as actions, under other nicks, and leave", talk],
  ["/ignore hides the messages of a person, /unignore shows them again", ignore],
  ["rooms are joined, written to and left", keepRoomsApart],
  ["a known nick with another key gets nothing private before it is accepted", borrowANick],
  ["messages are answered, changed, taken back and reacted to", annotate],
  ["what is written without a connection waits for it", waitForTheServer],
  ["files are offered, accepted and declined", exchangeFiles],
];
