/**
 * Pipe mode: lines of text in, `nick: text` out, and an exit code that says whether everything arrived.
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

function texts(program: Program): unknown[] {
  return program.all("chat").map(({ text }) => text);
}

/** In the room already, or, on a busy computer, shown only after those who were. */
const ANN_IS_HERE = /here is ann|ann has joined/;

/** Starts a server and a listener called ann. */
async function withListener(world: World): Promise<Program> {
  await world.server();
  const ann = await world.client("ann");
  await ann.waitFor("welcome");
  return ann;
}

async function sendInput(world: World): Promise<void> {
  const ann = await withListener(world);
  const pipe = async (input: string, args: readonly string[] = []) => {
    const bob = await world.pipe("bob", { args });
    await bob.write(input);
    assert.equal(await bob.leave(), 0, bob.stderr);
    assert.equal(bob.stdout, "");
  };
  await pipe("one line\n");
  await pipe("no line break");
  await pipe("first\n\tsecond\n\nfourth\n");
  await pipe("\n  \n\n  indented\nlast\n \n\n");
  await pipe("/quit\n");
  await pipe("with returns\r\nof Windows\r\n");
  await pipe("\n \n\t\n");
  await pipe("");
  await pipe("--quiet says nothing\n", ["--quiet"]);
  await ann.waitFor("left", {}, { count: 7 }); // one with no input leaves too soon to be seen
  assert.deepEqual(texts(ann), [
    "one line",
    "no line break",
    "first\n\tsecond\n\nfourth",
    "  indented\nlast",
    "/quit",
    "with returns\nof Windows",
    "--quiet says nothing",
  ]);
}

async function splitLongInput(world: World): Promise<void> {
  const ann = await withListener(world);
  const bob = await world.pipe("bob");
  const lines = Array.from({ length: 2000 }, (_, i) => `line ${i} ${"ä".repeat(i % 50)}`);
  await bob.write(lines.join("\n") + "\n");
  assert.equal(await bob.leave(), 0, bob.stderr);
  const messages = texts(ann) as string[];
  assert.deepEqual(messages.flatMap((text) => text.split("\n")), lines);
  const sizes = messages.map((text) => new TextEncoder().encode(text).length);
  assert.ok(sizes.every((size) => size <= 8192), String(sizes));
  assert.ok(sizes.slice(0, -1).every((size) => size > 8192 - 110), String(sizes)); // almost full
}

async function groupLines(world: World): Promise<void> {
  const ann = await withListener(world);
  const bob = await world.pipe("bob");
  await ann.waitFor("joined");
  await bob.write("together ");
  await bob.write("with\nthis\n");
  await ann.waitFor("chat", { text: "together with\nthis" });
  await bob.write("apart\n");
  await ann.waitFor("chat", { text: "apart" });
  assert.equal(await bob.leave(), 0);
}

async function printMessages(world: World): Promise<void> {
  const ann = await withListener(world);
  const bob = await world.pipe("bob");
  const quiet = await world.pipe("eve", { args: ["--quiet"] });
  await ann.waitFor("joined", {}, { count: 2 });
  await ann.chat("plain", "two\n\n\tlines\n", "\u202eevil\u001b[31m\r", "👩‍💻 a\u0301");
  await ann.command("/me waves");
  await ann.say({ type: "private", to: "bob", text: "alone" });
  await ann.chat("last");
  for (const reader of [bob, quiet]) await reader.waitForText("stdout", /last/);
  const printed = [
    "ann: plain",
    "ann: two",
    "\t",
    "\t\tlines",
    "\t",
    "ann: ⟨202E⟩evil⟨001B⟩[31m⟨000D⟩",
    "ann: 👩‍💻 a\u0301",
  ];
  assert.deepEqual(quiet.stdout.split("\n").slice(0, printed.length), printed);
  assert.deepEqual(bob.stdout.split("\n").slice(0, printed.length), printed);
  assert.match(bob.stdout, /^ann \(private\): alone$/m);
  assert.doesNotMatch(quiet.stdout, /alone/);
  assert.equal(quiet.stderr, "");
  // Everything but messages goes to standard error.
  assert.match(bob.stderr, new RegExp(`${(await fingerprintOf("ann")).replaceAll("+", "\\+")}`));
  for (const line of bob.stderr.trimEnd().split("\n")) assert.match(line, /^client: /);
  assert.deepEqual(await Promise.all([bob.leave(), quiet.leave()]), [0, 0]);
}

async function tellFailure(world: World): Promise<void> {
  await world.server();
  const alone = await world.pipe("bob");
  await alone.write("is anybody there?\n");
  assert.equal(await alone.leave(), 1);
  assert.match(alone.stderr, /^client: nobody is here to receive “is anybody there\?”$/m);
  const silent = await world.pipe("bob");
  assert.equal(await silent.leave(), 0); // nothing to send, nothing failed

  // A member does not acknowledge: --wait expires, and the exit code is 1.
  const ann = await world.client("ann");
  await ann.waitFor("welcome");
  const bob = await world.pipe("bob", { args: ["--wait", "0.5"] });
  await ann.waitFor("joined");
  await bob.waitForText("stderr", ANN_IS_HERE);
  ann.signal("SIGSTOP");
  await bob.write("are you there?\n");
  const before = Date.now();
  assert.equal(await bob.leave(), 1);
  assert.ok(Date.now() - before >= 400); // it did wait
  assert.match(bob.stderr, /^client: not delivered to ann: “are you there\?”$/m);
  ann.signal("SIGCONT");
}

async function sendToOne(world: World): Promise<void> {
  const server = await world.server();
  const ann = await world.client("ann");
  const eve = await world.client("eve");
  await ann.waitFor("joined");
  const bob = await world.pipe("bob", { args: ["--to", "ann"] });
  await bob.write("for ann\nalone\n");
  assert.equal(await bob.leave(), 0, bob.stderr);
  const { private: isPrivate } = await ann.waitFor("chat", { text: "for ann\nalone" });
  assert.equal(isPrivate, true);

  // It waits for whom it is for, and keeps what was written meanwhile.
  const early = await world.pipe("bob", { args: ["--to", "dan"] });
  await early.write("for dan\n");
  await early.closeInput();
  await ann.waitFor("joined", { nick: "bob" }, { count: 2 });
  const dan = await world.client("dan");
  await dan.waitFor("chat", { text: "for dan", private: true });
  assert.equal(await early.ended(), 0, early.stderr);

  const never = await world.pipe("bob", { args: ["--to", "nobody", "--wait", "0.3"] });
  await never.write("for nobody\n");
  assert.equal(await never.leave(), 1);
  assert.match(never.stderr, /^client: error: nobody here is called nobody$/m);
  const fingerprint = await fingerprintOf("bob");
  await server.waitFor("left", { fingerprint, why: "left" }, { count: 3 });
  assert.deepEqual([texts(ann), texts(eve)], [["for ann\nalone"], []]);
}

/** Who dies before getting it is missed, whoever else is there; who leaves is not. */
async function missTheLost(world: World): Promise<void> {
  const ann = await withListener(world);
  const start = async (args: readonly string[], input: string) => {
    const bob = await world.client("bob");
    await bob.waitFor("joined", { nick: "ann" });
    const pipe = await world.pipe("eve", { args: ["--wait", "1", ...args] });
    await bob.waitFor("joined", { nick: "eve" });
    await pipe.waitForText("stderr", /bob/);
    await pipe.waitForText("stderr", /ann/);
    bob.signal("SIGSTOP");
    await pipe.write(input);
    return { bob, pipe };
  };
  for (const args of [["--to", "bob"], []]) {
    const { bob, pipe } = await start(args, "important\n");
    if (args.length === 0) await ann.waitFor("chat", { text: "important" });
    await bob.kill();
    await pipe.waitForText("stderr", /bob has lost the connection/);
    assert.equal(await pipe.leave(), 1, pipe.stderr);
    assert.match(pipe.stderr, /^client: not delivered to bob: /m);
  }
  const { bob, pipe } = await start([], "you are leaving\n");
  await ann.waitFor("chat", { text: "you are leaving" });
  bob.signal("SIGTERM");
  bob.signal("SIGCONT");
  assert.equal(await pipe.leave(), 0, pipe.stderr);
}

/** What names somebody right after the start waits until people are shown. */
async function nameThemAtOnce(world: World): Promise<void> {
  const ann = await withListener(world);
  const json = await world.client("bob");
  await json.say(
    { type: "private", to: "ann", text: "alone", ref: "a" },
    { type: "command", text: "/names", ref: "b" },
    { type: "private", to: "nobody", text: "x", ref: "c" },
  );
  await json.closeInput();
  assert.equal(await json.ended(), 0, json.describe());
  await ann.waitFor("chat", { text: "alone", private: true });
  assert.ok(json.first("sent", { ref: "a" }));
  assert.match(String(json.first("error", { ref: "c" }).message), /nobody here is called nobody/);
  assert.ok(json.stdout.includes(await fingerprintOf("ann")));
  const pipe = await world.pipe("eve", { args: ["--to", "ann"] });
  await pipe.write("at once\n");
  await pipe.closeInput();
  await ann.waitFor("chat", { text: "at once", private: true });
  assert.equal(await pipe.ended(), 0, pipe.stderr);
}

async function keepWhatIsGood(world: World): Promise<void> {
  const ann = await withListener(world);
  const bob = await world.pipe("bob");
  await ann.waitFor("joined");
  await bob.write("before\n");
  await ann.waitFor("chat", { text: "before" });
  await bob.write(new Uint8Array([0x62, 0x61, 0x64, 0xff, 0x0a]));
  await bob.waitForText("stderr", /^client: error: line 2 of standard input is not UTF-8$/m);
  await bob.write("after\n");
  assert.equal(await bob.leave(), 1); // not all of it arrived
  await ann.waitFor("left");
  assert.deepEqual(texts(ann), ["before", "after"]);
  assert.equal(bob.stderr.match(/error:/g)?.length, 1);
}

async function cutLongLines(world: World): Promise<void> {
  const ann = await withListener(world);
  const bob = await world.pipe("bob");
  const long = "é🦊".repeat(50_000); // longer than one read
  await bob.write(`before\n${long}\nafter\n`);
  assert.equal(await bob.leave(), 0, bob.stderr);
  const messages = texts(ann) as string[];
  assert.equal(messages.join("").replaceAll("\n", ""), `before${long}after`);
  for (const text of messages) assert.ok(new TextEncoder().encode(text).length <= 8192);
  // Where a pause between two reads ends a message, there is one more.
  const fewest = 2 + Math.floor(long.length / 3 * 6 / 8192);
  assert.ok(messages.length >= fewest && messages.length < fewest + 10, `${messages.length}`);
}

async function dropAMark(world: World): Promise<void> {
  const ann = await withListener(world);
  const bob = await world.pipe("bob");
  await bob.write("\ufeffone\n");
  await ann.waitFor("chat", { text: "one" });
  await bob.write("\ufefftwo\n");
  assert.equal(await bob.leave(), 0, bob.stderr);
  const dan = await world.client("dan");
  await dan.write(`\ufeff${JSON.stringify({ type: "chat", text: "three" })}\n`);
  assert.equal(await dan.leave(), 0, dan.stderr);
  assert.deepEqual(texts(ann), ["one", "\ufefftwo", "three"]);
  assert.deepEqual(dan.all("error"), []);
}

async function showAnImpostor(world: World): Promise<void> {
  const ann = await withListener(world);
  const bob = await world.pipe("bob");
  await ann.waitFor("joined");
  assert.equal(await ann.leave(), 0);
  const other = await world.client("ann", { home: "eve" });
  await other.waitFor("joined", { nick: "bob" });
  await other.chat("it is me");
  await bob.waitForText("stdout", /^ann✗: it is me$/m);
  await other.say({ type: "private", to: "bob", text: "only for you" });
  await bob.waitForText("stdout", /^ann✗ \(private\): only for you$/m);
  await bob.waitForText("stderr", /^client: ann has joined with a DIFFERENT KEY than before/m);
  assert.equal(await bob.leave(), 0);
}

async function sendMuch(world: World): Promise<void> {
  const ann = await withListener(world);
  const bob = await world.pipe("bob");
  await ann.waitFor("joined");
  // More than can be unacknowledged at once; some of it while the reader is stopped.
  const lines = Array.from({ length: 80_000 }, (_, i) => `${i} ${"x".repeat(i % 130)}`);
  const input = new TextEncoder().encode(lines.join("\n") + "\n");
  assert.ok(input.length > 5 * 1024 * 1024);
  ann.signal("SIGSTOP");
  const written = bob.write(input.subarray(0, 3 * 1024 * 1024));
  await written;
  ann.signal("SIGCONT");
  await bob.write(input.subarray(3 * 1024 * 1024));
  await bob.closeInput();
  assert.equal(await bob.ended(60_000), 0, bob.stderr);
  assert.deepEqual((texts(ann) as string[]).join("\n").split("\n"), lines);
}

async function stopReading(world: World): Promise<void> {
  const ann = await withListener(world);
  const bob = await world.pipe("bob");
  const eve = await world.client("eve");
  await ann.waitFor("joined", {}, { count: 2 });
  await bob.stopReading();
  await eve.stopReading();
  // The system decides when exactly the pipe closes: writes before that succeed.
  await poll(async () => {
    await ann.chat("is anybody reading?");
    return ann.all("left", { why: "left" }).length === 2;
  }, () => `the end of ${bob.describe()} and ${eve.describe()}`);
  assert.deepEqual(await Promise.all([bob.ended(), eve.ended()]), [1, 1]);
  assert.doesNotMatch(bob.stderr + eve.stderr, /error|connection lost/);
}

/** They acknowledge what they cannot show, and end soon all the same. */
async function printToNobody(world: World): Promise<void> {
  const ann = await withListener(world);
  const start = async (nick: string, args: readonly string[]) =>
    await world.startUnread("client", {
      args: ["--host", "127.0.0.1", "--port", String(world.port), "--nick", nick, ...args],
      home: await world.home(nick),
    }, nick);
  const readers = [await start("bob", []), await start("eve", ["--json"])];
  await ann.waitFor("joined", {}, { count: 2 });
  const count = 600; // more than the queue holds
  await ann.chat(...Array(count).fill("x".repeat(8000)));
  await ann.waitFor("delivered", {}, { count });
  assert.deepEqual(ann.all("undelivered"), []);
  assert.deepEqual(await Promise.all(readers.map((reader) => reader.leave())), [0, 0]);
}

async function endWhileTheServerIsAway(world: World): Promise<void> {
  const server = await world.server();
  const ann = await world.client("ann");
  await ann.waitFor("welcome");
  const bob = await world.pipe("bob", { args: ["--wait", "30"] });
  await ann.waitFor("joined");
  await bob.waitForText("stderr", ANN_IS_HERE);
  await server.kill();
  await bob.waitForText("stderr", /connection lost/);
  await bob.write("the last words\n");
  await bob.closeInput();
  await world.server([], { port: server.port });
  await ann.waitFor("chat", { text: "the last words" });
  assert.equal(await bob.ended(), 0, bob.stderr);
}

/** Something accepts connections but is not a server: retrying is right, but not for a program whose input has ended. */
async function endWithoutAWayIn(world: World): Promise<void> {
  using stranger = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const closing = (async () => {
    for await (const connection of stranger) connection.close();
  })().catch(() => {}); // closed: the test is over
  const start = (...args: string[]) =>
    world.pipe("bob", { port: stranger.addr.port, args: ["--wait", "0.2", ...args] });
  const late = await start();
  await late.waitForText("stderr", /not connected yet: interrupted; retrying/);
  await late.write("nobody gets this\n");
  assert.equal(await late.leave(), 1);
  assert.match(late.stderr, /^client: error: nothing was sent: .*\nclient: hint: /m);
  const json = await start("--json");
  await json.chat("nobody gets this");
  assert.equal(await json.leave(), 1);
  assert.match(String(json.first("error").message), /^nothing was sent: /);
  const silent = await start();
  await silent.write("  \n\n");
  assert.equal(await silent.leave(), 0, silent.stderr);
  stranger.close();
  await closing;
}

export const PIPE: readonly Conversation[] = [
  ["pipe mode sends each input as one trimmed message, never as a command", sendInput],
  ["pipe mode splits a long input into messages at line breaks", splitLongInput],
  ["pipe mode groups lines that arrive together into one message", groupLines],
  [
    "pipe mode prints messages as nick: text, cleaned, and everything else on standard error",
    printMessages,
  ],
  ["pipe mode exits 1 if nobody is there or somebody does not acknowledge", tellFailure],
  ["--to sends everything to one person, and waits for them", sendToOne],
  [
    "pipe mode exits 1 if somebody was lost before receiving, but not if they left",
    missTheLost,
  ],
  ["what names a person right after the start waits until people are shown", nameThemAtOnce],
  ["pipe mode stops reading while too much is unacknowledged", sendMuch],
  ["pipe mode and --json end cleanly when nobody reads their output", stopReading],
  ["pipe mode and --json go on when nobody reads their output", printToNobody],
  ["the input may end while the server is away", endWhileTheServerIsAway],
  ["a client whose input has ended does not retry forever", endWithoutAWayIn],
  ["pipe mode refuses a bad line, sends the others, and exits 1", keepWhatIsGood],
  ["pipe mode cuts a line that is longer than a message between characters", cutLongLines],
  ["a byte order mark at the beginning of standard input is dropped", dropAMark],
  ["pipe mode shows an impostor, and what is private", showAnImpostor],
];
