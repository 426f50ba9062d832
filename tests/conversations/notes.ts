/**
 * What can be done to messages: reactions, edits, retractions and answers; and the topic of a room.
 *
 * @module
 */

import assert from "node:assert/strict";
import { type Conversation, fingerprintOf, type Program, type World } from "../support/programs.ts";

async function react(world: World): Promise<void> {
  await world.server();
  const [ann, bob, eve] = await world.gather("ann", "bob", "eve") as [Program, Program, Program];
  const [annKey, bobKey] = await Promise.all(["ann", "bob"].map((name) => fingerprintOf(name)));
  await ann.chat("hello");
  const { id: ref } = await bob.waitFor("chat", { text: "hello" });
  await eve.waitFor("chat", { text: "hello" });
  const ofBob = { ref, nick: "bob", fingerprint: bobKey };
  await bob.say(
    { type: "note", ref, what: "reaction", text: "👩‍💻" },
    { type: "note", ref, of: annKey, what: "unreaction" },
  );
  for (const other of [ann, eve]) {
    assert.deepEqual(await other.waitFor("note"), {
      event: "note",
      ...ofBob,
      private: false,
      what: "reaction",
      text: "👩‍💻",
    });
    await other.waitFor("note", { ...ofBob, what: "unreaction", text: "" });
  }
  await ann.say(
    { type: "note", ref, what: "edit", text: "hello,\nall" },
    { type: "note", ref, what: "retraction" },
  );
  const ofAnn = { ref, nick: "ann", fingerprint: annKey };
  for (const other of [bob, eve]) {
    await other.waitFor("note", { ...ofAnn, what: "edit", text: "hello,\nall" });
    await other.waitFor("note", { ...ofAnn, what: "retraction", text: "" });
  }

  // Notes have no answer of their own, only an error with the id that they gave.
  const unknown = "0123456789abcdef";
  const bad: [request: Record<string, unknown>, message: RegExp][] = [
    [{ ref: unknown, what: "reaction", text: "👍" }, /there is no message with this id/],
    [{ ref, what: "edit", text: "mine now" }, /only your own messages can be changed/],
    [{ ref, what: "retraction" }, /only your own messages can be changed/],
    [{ ref, what: "reaction", text: "two" }, /a reaction is one character or emoji/],
    [{ ref, what: "reaction" }, /a reaction is one character or emoji/],
    [{ ref, what: "applause", text: "👍" }, /"what" must be "reaction"/],
    [{ ref, what: "edit", text: 7 }, /"text" must be a string/],
    [{ what: "retraction" }, /"ref" must be a string/],
  ];
  for (const [i, [request, message]] of bad.entries()) {
    await bob.say({ type: "note", ...request });
    await bob.waitFor("error", {}, { count: i + 1 });
    const error = bob.all("error").at(-1)!;
    assert.match(String(error.message), message);
    assert.equal(error.ref, request.ref);
  }
  await bob.chat("the end");
  await ann.waitFor("chat", { text: "the end" });
  assert.equal(ann.all("note").length, 2);
  assert.deepEqual([...bob.all("sent"), ...ann.all("sent")].length, 2);
}

async function answer(world: World): Promise<void> {
  await world.server();
  const [ann, bob, eve] = await world.gather("ann", "bob", "eve") as [Program, Program, Program];
  await ann.chat("nine or ten?");
  const { id } = await bob.waitFor("chat", { text: "nine or ten?" });
  await bob.say({ type: "chat", text: "ten", reply: id, ref: "r" });
  for (const other of [ann, eve]) await other.waitFor("chat", { text: "ten", reply: id });
  assert.equal((await bob.waitFor("sent", { ref: "r" })).reply, id);

  await bob.say({ type: "private", to: "ann", text: "or nine", reply: id });
  const whisper = await ann.waitFor("chat", { text: "or nine", private: true, reply: id });
  await ann.say({ type: "note", ref: whisper.id, what: "reaction", text: "🤔" });
  await bob.waitFor("note", { ref: whisper.id, text: "🤔" });
  await ann.command("/quote which?");
  await bob.waitFor("chat", { text: "which?", private: true, reply: whisper.id });

  const reply = "0123456789abcdef";
  await bob.say({ type: "chat", text: "to nothing", reply, ref: "unknown" });
  assert.match(
    String((await bob.waitFor("error", { ref: "unknown" })).message),
    /there is no message with this id/,
  );
  await bob.chat("the end");
  await eve.waitFor("chat", { text: "the end" });
  assert.deepEqual(eve.all("chat").map(({ text }) => text), ["nine or ten?", "ten", "the end"]);
  assert.deepEqual(eve.all("note"), []);
}

async function useCommands(world: World): Promise<void> {
  await world.server();
  const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
  const annKey = await fingerprintOf("ann");
  const ask = async (client: Program, text: string) => {
    await client.say({ type: "command", text, ref: text });
    const { event: _, ref: __, ...result } = await client.waitFor("result", { ref: text });
    return result;
  };
  await ann.chat("one", "two");
  const { id: one } = await bob.waitFor("chat", { text: "one" });
  const { id: two } = await bob.waitFor("chat", { text: "two" });
  const reaction = { command: "react", ok: true, of: annKey, what: "reaction" };
  assert.deepEqual(await ask(bob, "/react 👍"), { ...reaction, id: two, text: "👍" });
  assert.deepEqual(await ask(bob, "/react 2 🎉"), { ...reaction, id: one, text: "🎉" });
  assert.equal((await ask(bob, `/react ${one} 🎉 `)).what, "unreaction");
  await ann.waitFor("note", { ref: two, what: "reaction", text: "👍" });
  await ann.waitFor("note", { ref: one, what: "unreaction" });
  const quote = await ask(bob, "/quote 2 and three");
  assert.deepEqual(quote, { command: "quote", ok: true, id: quote.id, reply: one, of: annKey });
  await ann.waitFor("chat", { text: "and three", reply: one });
  assert.deepEqual(await ask(ann, "/edit zwei"), {
    command: "edit",
    ok: true,
    id: two,
    text: "zwei",
  });
  assert.deepEqual(await ask(ann, "/retract"), { command: "retract", ok: true, id: two });
  await bob.waitFor("note", { ref: two, what: "edit", text: "zwei" });
  await bob.waitFor("note", { ref: two, what: "retraction" });
  await bob.waitFor("notice", { text: "you reacted 👍 to “two” of ann" });
  assert.equal((await ask(bob, "/react 9 👍")).message, "there is no such message");
}

async function setTheTopic(world: World): Promise<void> {
  await world.server();
  const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
  await ann.command("/topic the weather");
  for (const client of [ann, bob]) await client.waitFor("topic", { text: "the weather" });
  await ann.leave();
  await bob.waitFor("left");
  const eve = await world.client("eve"); // who comes later is told, too
  await eve.waitFor("topic", { text: "the weather" });
  await eve.command("/topic -");
  await bob.waitFor("topic", { text: "" });
  await bob.say({ type: "command", text: "/topic", ref: "show" });
  assert.equal((await bob.waitFor("result", { ref: "show" })).topic, "");
  await bob.say({ type: "command", text: `/topic ${"x".repeat(201)}`, ref: "long" });
  await bob.waitFor("error", { ref: "long" });
}

/** What notes and notices of the server look like in pipe mode. */
async function readInAPipe(world: World): Promise<void> {
  const motd = await world.file("motd", "be kind\nand brief\n");
  const password = await world.file("password", "between friends\n");
  await world.server(["--motd", motd, "--password-file", password]);
  const args = ["--password-file", password];
  const ann = await world.client("ann", { args });
  await ann.waitFor("welcome", { authenticated: "password" });
  const pipe = await world.pipe("bob", { args });
  await ann.waitFor("joined", { nick: "bob" });
  await pipe.waitForText("stderr", /for the first time, verified by the password; its key is/);
  await pipe.waitForText("stderr", /^client: the server says: be kind and brief$/m);
  await ann.chat("hello");
  const { id: ref } = await ann.waitFor("sent");
  await ann.say(
    { type: "note", ref, what: "edit", text: "hello,\nbob" },
    { type: "note", ref, what: "reaction", text: "👍" },
    { type: "note", ref, what: "retraction" },
  );
  await pipe.waitForText("stderr", /^client: ann took back “hello, bob”$/m);
  assert.match(pipe.stderr, /^client: ann reacted 👍 to “hello, bob” of ann$/m);
  assert.equal(pipe.stdout, "ann: hello\nann (edited): hello,\n\tbob\n");
}

export const NOTES: readonly Conversation[] = [
  ["messages get reactions, are edited and taken back, by nobody but their authors", react],
  ["answers name their message, and private ones stay private", answer],
  ["/react, /quote, /edit and /retract find the messages that they mean", useCommands],
  ["/topic sets the topic for all, also for those who come later", setTheTopic],
  ["pipe mode shows edits as messages, and the rest on standard error", readInAPipe],
];
