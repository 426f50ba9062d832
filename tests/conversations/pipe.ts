/**
 * Pipe mode: lines of text in, `nick: text` out, and an exit code that tells whether all of it arrived.
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
  await ann.waitFor("left", {}, { count: 7 }); // who had nothing to say was gone too soon to be seen
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
  assert.ok(sizes.slice(0, -1).every((size) => size > 8192 - 110), String(sizes)); // filled well
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
  assert.match(bob.stdout, /alone/);
  assert.doesNotMatch(quiet.stdout, /alone/);
  assert.equal(quiet.stderr, "");
  // What is no message goes to standard error.
  assert.match(bob.stderr, new RegExp(`${(await fingerprintOf("ann")).replaceAll("+", "\\+")}`));
  for (const line of bob.stderr.trimEnd().split("\n")) assert.match(line, /^client: /);
  assert.deepEqual(await Promise.all([bob.leave(), quiet.leave()]), [0, 0]);
}

async function tellFailure(world: World): Promise<void> {
  await world.server();
  const alone = await world.pipe("bob");
  await alone.write("is anybody there?\n");
  assert.equal(await alone.leave(), 1);
  assert.match(alone.stderr, /^client: nobody is here to receive/m);
  const silent = await world.pipe("bob");
  assert.equal(await silent.leave(), 0); // nothing to send, nothing failed

  // Somebody who does not acknowledge: --wait is over, and the code says so.
  const ann = await world.client("ann");
  await ann.waitFor("welcome");
  const bob = await world.pipe("bob", { args: ["--wait", "0.5"] });
  await ann.waitFor("joined");
  await bob.waitForText("stderr", /ann has joined/);
  ann.signal("SIGSTOP");
  await bob.write("are you there?\n");
  const before = Date.now();
  assert.equal(await bob.leave(), 1);
  assert.ok(Date.now() - before >= 400); // it did wait
  assert.match(bob.stderr, /^client: not delivered to ann:/m);
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

async function keepWhatIsGood(world: World): Promise<void> {
  const ann = await withListener(world);
  const bob = await world.pipe("bob");
  await ann.waitFor("joined");
  await bob.write("before\n");
  await ann.waitFor("chat", { text: "before" });
  await bob.write(new Uint8Array([0x62, 0x61, 0x64, 0xff, 0x0a]));
  await bob.waitForText("stderr", /^client: error: line 2 of standard input is not UTF-8$/m);
  await bob.write("x".repeat(8193) + "\n");
  await bob.waitForText("stderr", /^client: error: .*8192 bytes.*8193/m);
  await bob.write("after\n");
  assert.equal(await bob.leave(), 1); // not all of it arrived
  await ann.waitFor("left");
  assert.deepEqual(texts(ann), ["before", "after"]);
  assert.equal(bob.stderr.match(/error:/g)?.length, 2);
}

async function sendMuch(world: World): Promise<void> {
  const ann = await withListener(world);
  const bob = await world.pipe("bob");
  await ann.waitFor("joined");
  // More than may be unacknowledged at once; some of it while the reader is stopped.
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
  // When exactly the pipe is closed is the system's affair: what is written before goes through.
  await poll(async () => {
    await ann.chat("is anybody reading?");
    return ann.all("left", { why: "left" }).length === 2;
  }, () => `the end of ${bob.describe()} and ${eve.describe()}`);
  assert.deepEqual(await Promise.all([bob.ended(), eve.ended()]), [1, 1]);
  assert.doesNotMatch(bob.stderr + eve.stderr, /error|connection lost/);
}

async function endWhileTheServerIsAway(world: World): Promise<void> {
  const server = await world.server();
  const ann = await world.client("ann");
  await ann.waitFor("welcome");
  const bob = await world.pipe("bob", { args: ["--wait", "30"] });
  await ann.waitFor("joined");
  await bob.waitForText("stderr", /ann has joined/);
  await server.kill();
  await bob.waitForText("stderr", /connection lost/);
  await bob.write("the last words\n");
  await bob.closeInput();
  await world.server([], { port: server.port });
  await ann.waitFor("chat", { text: "the last words" });
  assert.equal(await bob.ended(), 0, bob.stderr);
}

/** What scripts see of the client. */
/** Something that takes connections and is no server: trying again is right, but not for a program that has no more to say. */
async function endWithoutAWayIn(world: World): Promise<void> {
  using stranger = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const closing = (async () => {
    for await (const connection of stranger) connection.close();
  })().catch(() => {}); // closed: the test is over
  const start = (...args: string[]) =>
    world.pipe("bob", { port: stranger.addr.port, args: ["--wait", "0.2", ...args] });
  const late = await start();
  await late.waitForText("stderr", /connection lost/);
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
  ["pipe mode sends each input as one message without blank ends, never as a command", sendInput],
  ["pipe mode splits a long input into messages at line breaks", splitLongInput],
  ["pipe mode sends lines that come together as one message, later ones as another", groupLines],
  ["pipe mode prints messages as nick: text, cleaned, all else on standard error", printMessages],
  ["pipe mode exits 1 when nobody is there or somebody does not acknowledge", tellFailure],
  ["--to sends everything to one person, and waits for them", sendToOne],
  ["pipe mode waits with its input while more is unacknowledged than may be", sendMuch],
  ["pipe mode and --json end in order when nobody reads their output", stopReading],
  ["the input may end while the server is away", endWhileTheServerIsAway],
  ["a program whose input has ended does not try to get in for ever", endWithoutAWayIn],
  ["pipe mode refuses a bad line, sends the others, and exits 1", keepWhatIsGood],
];
