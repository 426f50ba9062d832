/**
 * Chatting: messages, private messages, nicks, rooms, one person twice, and their events in `--json`.
 *
 * @module
 */

import assert from "node:assert/strict";
import {
  type Conversation,
  fingerprintOf,
  poll,
  type Program,
  type World,
} from "../support/programs.ts";
import { readProject } from "../support/project.ts";

const LONGEST = "x".repeat(8192);

/** The texts of the messages a client received, from one nick or from all. */
function texts(program: Program, nick?: string): unknown[] {
  return program.all("chat", nick === undefined ? {} : { nick }).map(({ text }) => text);
}

async function talk(world: World): Promise<void> {
  const server = await world.server();
  const [ann, bob, eve] = await world.gather("ann", "bob", "eve") as [Program, Program, Program];
  const [annKey, bobKey, eveKey] = await Promise.all(
    ["ann", "bob", "eve"].map((name) => fingerprintOf(name)),
  );

  assert.equal(
    ann.events.findIndex(({ event }) => event === "connected") + 1,
    ann.events.findIndex(({ event }) => event === "welcome"),
  );
  const connected = {
    address: `127.0.0.1:${server.port}`,
    fingerprint: await fingerprintOf("server"),
    server: "new",
  };
  assert.deepEqual(ann.first("connected"), { event: "connected", ...connected });
  assert.equal(ann.first("welcome").room, "lobby");
  assert.deepEqual(ann.all("joined", { nick: "bob" }), [{
    event: "joined",
    nick: "bob",
    fingerprint: bobKey,
    trust: "new",
    weak: false,
  }]);

  await ann.say({ type: "chat", text: "hello", ref: "first" }, { type: "chat", text: LONGEST });
  const { id } = await ann.waitFor("sent", { ref: "first" });
  const delivered = await ann.waitFor("delivered", { id });
  const samples = (await readProject("docs/scripts.md")).matchAll(/^< (.*)$/gm);
  assert.deepEqual(
    [...samples].map(([, sample]) => Object.keys(JSON.parse(sample!))),
    [ann.first("sent", { ref: "first" }), delivered].map((event) => Object.keys(event)),
  );
  assert.deepEqual([...delivered.to as string[]].sort(), [bobKey, eveKey].sort());
  const { sent, ...hello } = await bob.waitFor("chat", { text: "hello" });
  assert.deepEqual(hello, {
    event: "chat",
    id,
    nick: "ann",
    fingerprint: annKey,
    private: false,
    action: false,
    late: false,
    view: "same",
    text: "hello",
  });
  assert.ok(Math.abs(Date.parse(String(sent)) - Date.now()) < 60_000);
  await eve.waitFor("chat", { text: LONGEST });

  await eve.command("/me waves");
  await ann.waitFor("chat", { nick: "eve", action: true, text: "waves" });
  await bob.say({ type: "private", to: "eve", text: "psst", ref: "whisper" });
  const whisper = await eve.waitFor("chat", { text: "psst", private: true, view: "same" });
  assert.equal((await bob.waitFor("sent", { ref: "whisper" })).id, whisper.id);
  await bob.waitFor("delivered", { id: whisper.id, to: [eveKey] });
  await bob.say({ type: "private", to: annKey, text: "by key" });
  await ann.waitFor("chat", { text: "by key", private: true });
  await ann.say({ type: "command", text: "/reply and back", ref: "reply" });
  const reply = await ann.waitFor("sent", { ref: "reply" });
  assert.deepEqual(reply, {
    event: "sent",
    id: reply.id,
    ref: "reply",
    text: "and back",
    private: true,
    action: false,
    to: [bobKey],
  });
  const done = { ref: "reply", command: "reply", ok: true, id: reply.id, to: [bobKey] };
  assert.deepEqual(await ann.waitFor("result", { ref: "reply" }), { event: "result", ...done });
  await bob.waitFor("chat", { text: "and back", private: true, nick: "ann" });
  await ann.command("/msg eve too");
  await eve.waitFor("chat", { text: "too", private: true, nick: "ann" });

  await bob.command("/nick Robert");
  await bob.waitFor("self", { nick: "Robert", away: "" });
  for (const other of [ann, eve]) {
    await other.waitFor("nick", { from: "bob", nick: "Robert", fingerprint: bobKey });
  }
  await bob.chat("renamed");
  await ann.waitFor("chat", { nick: "Robert", text: "renamed" });
  assert.deepEqual(texts(ann), ["waves", "by key", "renamed"]);
  assert.deepEqual(texts(bob), ["hello", LONGEST, "waves", "and back"]);

  assert.equal(await bob.leave(), 0);
  await ann.waitFor("left", { nick: "Robert", fingerprint: bobKey, why: "left" });
  await eve.kill();
  await ann.waitFor("left", { nick: "eve", why: "lost" });
  await ann.command("/quit");
  assert.equal(await ann.ended(), 0);
  for (const other of [ann, bob]) assert.deepEqual(other.events.at(-1), { event: "bye" });
  assert.deepEqual(server.all("left").map(({ fingerprint, why }) => [fingerprint, why]), [
    [bobKey, "left"],
    [eveKey, "lost"],
    [annKey, "left"],
  ]);
}

/** Every kind of character a text can have, and how its line of JSON must look. */
const HARD_TEXTS: readonly (readonly [text: string, line: string])[] = [
  ["two\n\tlines", String.raw`two\n\tlines`],
  ["\u0000\u001b[31m\u007f\u0085", String.raw`\u0000\u001b[31m\u007f\u0085`],
  ["\u202e\u2066\u200b\ufeff\u00ad", String.raw`\u202e\u2066\u200b\ufeff\u00ad`],
  ["x\u2028\u2029x", String.raw`x\u2028\u2029x`],
  ["\u{e0041}\u{1d173}", String.raw`\udb40\udc41\ud834\udd73`],
  [
    "👩‍💻 ❤️ é e\u0301 Ω\u0301\u0301\u0301\u0301\u0301\u0301",
    "👩‍💻 ❤️ é e\u0301 Ω\u0301\u0301\u0301\u0301\u0301\u0301",
  ],
  ['"\\\\u0041', String.raw`\"\\\\u0041`],
  ["/quit", "/quit"],
  ["  spaces  \n", String.raw`  spaces  \n`],
  ["漢字 العربية עברית ไทย", "漢字 العربية עברית ไทย"],
];

async function keepTextsExact(world: World): Promise<void> {
  await world.server();
  const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
  await ann.chat(...HARD_TEXTS.map(([text]) => text));
  await bob.waitFor("chat", {}, { count: HARD_TEXTS.length });
  assert.deepEqual(texts(bob), HARD_TEXTS.map(([text]) => text));
  const lines = bob.stdout.split("\n").filter((line) => line.startsWith('{"event":"chat"'));
  for (const [i, [, line]] of HARD_TEXTS.entries()) {
    assert.ok(lines[i]!.endsWith(`,"text":"${line}"}`), lines[i]);
  }
}

async function keepRoomsApart(world: World): Promise<void> {
  await world.server();
  const join = (nick: string, room?: string) =>
    world.client(nick, { args: room === undefined ? [] : ["--room", room] });
  const [ann, bob, eve, dan] = await Promise.all([
    join("ann", "Café"),
    join("bob", "cafe\u0301"),
    join("eve"),
    join("dan", "LOBBY"),
  ]);
  await Promise.all([ann, bob, eve, dan].map((client) => client.waitFor("joined")));
  assert.equal(ann.first("welcome").room, "café");
  await ann.chat("in the café");
  await eve.chat("in the lobby");
  await bob.waitFor("chat", { text: "in the café" });
  await dan.waitFor("chat", { text: "in the lobby" });
  const { to } = await ann.waitFor("delivered");
  assert.deepEqual(to, [await fingerprintOf("bob")]);
  assert.deepEqual([texts(ann), texts(eve)], [[], []]);
  await ann.say({ type: "private", to: "eve", text: "hello?" });
  await ann.waitFor("error", { message: "nobody here is called eve" });
}

async function beTwice(world: World): Promise<void> {
  await world.server();
  const one = await world.client("ann");
  await one.waitFor("welcome");
  const [two, bob] = await Promise.all([world.client("ann"), world.client("bob")]);
  for (const client of [one, two, bob]) await client.waitFor("joined", {}, { count: 2 });
  const key = await fingerprintOf("ann");
  assert.deepEqual(bob.all("joined").map(({ fingerprint }) => fingerprint), [key, key]);
  // §9: the same nick and key: distinguished by the sid.
  await bob.command("/names");
  await bob.waitFor("notice", {}, { count: 2 });
  const names = bob.all("notice").map(({ text }) => String(text).split(" "));
  assert.equal(new Set(names.map(([nick]) => nick)).size, 2);
  for (const [nick, fingerprint] of names) {
    assert.match(nick!, /^ann#[0-9a-f]{4}$/);
    assert.equal(fingerprint, key);
  }
  await bob.chat("to both");
  await bob.say({ type: "private", to: key, text: "to both, alone" });
  for (const client of [one, two]) {
    await client.waitFor("chat", { text: "to both", nick: "bob" });
    await client.waitFor("chat", { text: "to both, alone", private: true, view: "same" });
  }
  await bob.waitFor("delivered", { to: [key] }, { count: 2 });
  await one.chat("from one");
  await Promise.all([two, bob].map((client) => client.waitFor("chat", { text: "from one" })));
  await one.say({ type: "private", to: "bob", text: "from me" });
  await two.waitFor("chat", { text: "from me", private: true, own: true });
  const { id } = await two.waitFor("chat", { text: "to both, alone" });
  await two.say({ type: "read", id });
  await one.waitFor("read", { id, private: await fingerprintOf("bob") });
  await bob.waitFor("chat", { text: "from me" });
  await two.kill();
  await bob.waitFor("left", { why: "lost", fingerprint: key });
  await bob.chat("to one");
  await bob.waitFor("delivered", {}, { count: 3 });
  assert.deepEqual(texts(one), ["to both", "to both, alone", "to one"]);
}

async function borrowANick(world: World): Promise<void> {
  await world.server();
  const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
  await bob.leave();
  await ann.waitFor("left");
  const other = await world.client("Bob", { home: "eve" });
  const joined = await ann.waitFor("joined", { fingerprint: await fingerprintOf("eve") });
  assert.deepEqual([joined.nick, joined.trust], ["Bob", "conflict"]);
  await ann.chat("to the room");
  await other.waitFor("chat", { text: "to the room" });
  await ann.say({ type: "private", to: "Bob", text: "secret", ref: "r" });
  const { message, hint } = await ann.waitFor("error", { ref: "r" });
  assert.match(String(message), /^Bob is a known nick with another key/);
  assert.match(String(hint), /\/verify.*\/trust/);
  assert.equal(ann.all("sent", { ref: "r" }).length, 0);
  await ann.command("/trust Bob");
  await ann.waitFor("trust", { fingerprint: await fingerprintOf("eve"), trust: "known" });
  await ann.say({ type: "private", to: "Bob", text: "not so secret" });
  await other.waitFor("chat", { text: "not so secret", private: true });

  // Now the real bob is the stranger, and both are here: neither is shown as just "bob".
  const back = await world.client("bob");
  const again = await ann.waitFor("joined", { fingerprint: await fingerprintOf("bob") }, {
    count: 2,
  });
  assert.equal(again.trust, "conflict");
  assert.equal(again.nick, `bob#${(await fingerprintOf("bob")).slice(7, 11)}`);
  await ann.say({ type: "private", to: "bob", text: "which?", ref: "which" });
  const ambiguous = await ann.waitFor("error", { ref: "which" });
  assert.match(String(ambiguous.message), /more than one person is called bob/);
  await back.chat("here I am");
  await ann.waitFor("chat", { text: "here I am", nick: again.nick });
}

async function verify(world: World): Promise<void> {
  await world.server();
  const ann = await world.client("ann", { args: ["--strict"] });
  await ann.waitFor("welcome");
  const [bob, eve] = await Promise.all([world.client("bob"), world.client("eve")]);
  await Promise.all([ann, bob, eve].map((client) => client.waitFor("joined", {}, { count: 2 })));
  await ann.chat("to nobody");
  const { id } = await ann.waitFor("sent");
  await ann.waitFor("undelivered", { id, to: [] });
  await ann.say({ type: "private", to: "bob", text: "nor this", ref: "p" });
  assert.match(String((await ann.waitFor("error", { ref: "p" })).message), /not verified/);

  const digits = async (client: Program, of: string) => {
    const before = client.events.length;
    await client.command(`/verify ${of}`);
    return await poll(() => {
      const lines = client.events.slice(before).map(({ text }) => String(text).trim());
      const halves = lines.filter((line) => /^\d{5}( \d{5}){5}$/.test(line));
      return halves.length === 2 && halves;
    }, () => `two halves of ${client.describe()}`);
  };
  const halves = await digits(ann, "bob");
  assert.deepEqual(await digits(bob, "ann"), halves);
  await ann.command("/verify bob yes");
  const about = await fingerprintOf("bob");
  await ann.waitFor("notice", { text: "bob is now verified", about });
  await ann.waitFor("trust", { fingerprint: about, nick: "bob", trust: "verified" });
  await ann.waitFor("result", { command: "verify", ok: true, fingerprint: about });
  await ann.chat("to bob");
  await bob.waitFor("chat", { text: "to bob", view: "same" });
  await eve.chat("from eve"); // --strict limits sending only
  await ann.waitFor("chat", { text: "from eve" });
  await ann.waitFor("delivered", { to: [await fingerprintOf("bob")] });
  await ann.leave();
  assert.deepEqual([texts(bob, "ann"), texts(eve, "ann")], [["to bob"], []]);

  const again = await world.client("ann");
  assert.equal((await again.waitFor("joined", { nick: "bob" })).trust, "verified");
  assert.equal((await again.waitFor("joined", { nick: "eve" })).trust, "known");
  assert.equal(again.first("connected").server, "known");
}

async function ignore(world: World): Promise<void> {
  await world.server();
  const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
  await ann.command("/ignore bob");
  await ann.waitFor("notice", { text: "messages from bob are hidden until you leave" });
  await ann.waitFor("ignored", { nick: "bob", ignored: true });
  await bob.chat("unheard");
  await bob.waitFor("delivered");
  await ann.command("/unignore bob");
  await ann.waitFor("notice", { text: "messages from bob are shown again" });
  await bob.chat("heard");
  await ann.waitFor("chat", { text: "heard" });
  assert.deepEqual(texts(ann), ["heard"]);
}

async function beAway(world: World): Promise<void> {
  await world.server();
  const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
  await ann.command("/away at lunch");
  const fingerprint = await fingerprintOf("ann");
  await bob.waitFor("away", { nick: "ann", fingerprint, text: "at lunch" });
  const eve = await world.client("eve"); // late joiners get it, too
  await eve.waitFor("away", { nick: "ann", text: "at lunch" });
  await ann.command("/back");
  await Promise.all([bob, eve].map((client) => client.waitFor("away", { nick: "ann", text: "" })));
  await ann.say({ type: "command", text: `/away ${"x".repeat(201)}`, ref: "long" });
  await ann.waitFor("error", { ref: "long" });
}

/** Each command is answered by one `result`. */
async function askForResults(world: World): Promise<void> {
  await world.server();
  const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
  const fingerprint = await fingerprintOf("bob");
  await bob.command("/away tea");
  await ann.waitFor("away", { text: "tea" });
  const ask = async (text: string) => {
    await ann.say({ type: "command", text, ref: text });
    const { event: _, ref: __, ...result } = await ann.waitFor("result", { ref: text });
    return result;
  };
  const { people, ...names } = await ask("/names");
  assert.deepEqual(names, { command: "names", ok: true });
  const [{ since, ...person }] = people as [Record<string, unknown>];
  assert.deepEqual(person, { nick: "bob", fingerprint, trust: "new", away: "tea", places: 1 });
  assert.ok(Math.abs(Date.parse(String(since)) - Date.now()) < 60_000);
  const { halves } = await ask("/verify bob");
  for (const half of halves as string[]) assert.match(half, /^\d{5}( \d{5}){5}$/);
  assert.deepEqual(await ask("/away lunch"), { command: "away", ok: true, away: "lunch" });
  assert.deepEqual(await ask("/back"), { command: "back", ok: true, away: "" });
  assert.deepEqual(
    ann.all("self").map(({ nick, away }) => [nick, away]),
    [["ann", "lunch"], ["ann", ""]],
  );
  assert.match(String((await ask("/invite")).line), /--fingerprint SHA256:/);
  const { room, server, nick } = await ask("/info");
  assert.deepEqual([room, server, nick], ["lobby", await fingerprintOf("server"), "ann"]);
  for (const text of ["/msg nobody hi", "/trust", "/bell", "/xyzzy", "/NICK a b"]) {
    const { command, ok, message } = await ask(text);
    assert.deepEqual([command, ok], [text.slice(1).split(" ")[0]!.toLowerCase(), false]);
    assert.equal((await ann.waitFor("error", { ref: text })).message, message);
  }
  await ann.say({ type: "command", text: "no slash", ref: "text" });
  await ann.waitFor("error", { ref: "text" });
  assert.deepEqual(ann.all("result", { ref: "text" }), []);
  assert.equal(ann.all("result").length, 11);
}

export const CHAT: readonly Conversation[] = [
  ["three people talk: to all, alone, as actions, under other nicks, and leave", talk],
  ["--json keeps every text exact and writes what is unsafe as escapes", keepTextsExact],
  ["--room keeps rooms apart, and folds case and composition of their names", keepRoomsApart],
  ["the same person in two terminals gets everything at both", beTwice],
  [
    "a known nick with another key is a conflict, gets nothing private, and can be accepted",
    borrowANick,
  ],
  ["/verify shows both the same digits, --strict sends only to the verified", verify],
  ["--json answers every command with a result", askForResults],
  ["/ignore hides the messages of a person, /unignore shows them again", ignore],
  ["/away tells everybody, also those who come later", beAway],
];
