import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { MAX_TEXT_BYTES } from "../../lib/protocol/messages.ts";
import {
  AFTERWARDS,
  type ChatOptions,
  Chats,
  enter,
  expectLast,
  expectRestored,
  logOf,
} from "../support/chats.ts";
import { fingerprintOf, poll, type Program } from "../support/programs.ts";
import { type Tmux, tmuxMissing } from "../support/tmux.ts";

const missing = Deno.build.os === "windows" ? "no tmux on Windows" : await tmuxMissing();
if (missing !== undefined) console.log(`chat_test.ts: skipped, ${missing}`);

const STRANGER = fileURLToPath(new URL("../support/stranger.ts", import.meta.url));

/** Runs a test in its own world. */
function test(name: string, run: (chats: Chats) => Promise<void>): void {
  Deno.test({
    name,
    ignore: missing !== undefined,
    fn: async () => {
      await using chats = await Chats.open();
      await run(chats);
    },
  });
}

/** Runs a test with a server. */
function withServer(name: string, run: (chats: Chats, server: Program) => Promise<void>): void {
  test(name, async (chats) => await run(chats, await chats.world.server()));
}

/** Starts anna's chat and bob, who speaks JSON, and waits until they see each other. */
async function annaAndBob(chats: Chats, options: ChatOptions = {}): Promise<[Tmux, Program]> {
  const bob = await chats.world.client("bob");
  await bob.waitFor("welcome");
  const anna = await chats.chat("anna", options);
  await bob.waitFor("joined", { nick: "anna" });
  return [anna, bob];
}

/** Presses Enter once one can see whom a reply goes to, and has had time for that. */
async function enterReply(terminal: Tmux, row: string): Promise<void> {
  await terminal.waitFor((rows) => rows.at(-1) === row, "whom it is for");
  await delay(600);
  await terminal.press("Enter");
}

/** The window loses the focus, as a terminal tells it; that a character before it is shown tells that it was taken. */
async function lookAway(terminal: Tmux): Promise<void> {
  await terminal.typeBytes(new TextEncoder().encode("x\x1b[O"));
  await terminal.waitFor((rows) => rows.at(-1)!.endsWith("> x‸"), "what is typed");
}

async function lookBack(terminal: Tmux): Promise<void> {
  await terminal.typeBytes(new TextEncoder().encode("\x1b[I\x15"));
  await terminal.waitFor((rows) => rows.at(-1)!.endsWith("> ‸"), "an empty line");
}

/** Replaces the address in invitations, which differs from computer to computer. */
function withoutAddress(rows: readonly string[]): string[] {
  return rows.map((row) =>
    row.replace(
      /(?:\.\/|(?:npx --yes deno@\S+|deno) task )client --host \S+/,
      "client --host ADDRESS",
    )
  );
}

/** The fingerprints of these people. */
async function keysOf<Name extends string>(...names: Name[]): Promise<Record<Name, string>> {
  const entries = await Promise.all(names.map(async (name) => [name, await fingerprintOf(name)]));
  return Object.fromEntries(entries);
}

withServer(
  "Chat greets with identity, room, invitation and help",
  async (chats) => {
    const [anna, bob] = await annaAndBob(chats);
    const keys = await keysOf("anna", "bob", "server");
    const screen = await anna.waitFor((rows) => rows.join().includes("here is bob"), "bob");
    assert.deepEqual(withoutAddress(screen), [
      `-- you are anna, key ${keys.anna}`,
      "-- /help lists the commands, Tab completes, Ctrl-D leaves",
      "-- to join from another computer: client --host ADDRESS",
      `-- connected to 127.0.0.1:${chats.world.port} for the first time; its key is`,
      `   ${keys.server}`,
      "-- you are in lobby, with one other",
      "-- here is bob, with a new key:",
      `   ${keys.bob}`,
      "anna> ‸",
    ]);
    await bob.chat("hello anna");
    await expectLast(anna, "bob◦: hello anna");
    await enter(anna, "/quit");
    // The second time, no one is new.
    const again = await chats.chat("anna", { args: ["--room", "Lobby"] });
    await again.waitFor((rows) => rows.join().includes("here is"), "bob");
    assert.deepEqual(withoutAddress(logOf(await again.screen())).slice(2), [
      "-- to join from another computer: client --host ADDRESS",
      `-- connected to 127.0.0.1:${chats.world.port}: you are in lobby, with one other`,
      "-- here is bob",
    ]);
  },
);

test("Chat says that it is the server too", async (chats) => {
  await chats.world.home("anna", { file: "server.pem" });
  const anna = await chats.start("anna", { serving: 0, columns: 120 });
  // Servers that others announce on this computer meanwhile are offered first.
  const isAsked = (rows: readonly string[]) => /^Join .*\[Y\/n\] ‸$/.test(rows.at(-1)!);
  const isIn = (rows: readonly string[]) => rows.at(-1) === "anna> ‸";
  let screen = await anna.waitFor((rows) => isAsked(rows) || isIn(rows), "anna in the room");
  for (; !isIn(screen); screen = await anna.waitFor(isIn, "anna in the room")) {
    await enter(anna, "n");
  }
  const log = logOf(screen).filter((row) => !row.startsWith("Join "));
  assert.deepEqual(withoutAddress(log.slice(1)), [
    "-- this computer is the server; on others, type: client --host ADDRESS",
    "-- /help lists the commands, Tab completes, Ctrl-D leaves",
    "-- you are in lobby, alone so far",
  ]);
  await enter(anna, "hello");
  await expectLast(anna, "anna (waiting): hello", "!! nobody is here to receive “hello”");
});

test("Chat shows that a key is being made, and ends at Ctrl-C", async (chats) => {
  const anna = await chats.start("anna", {
    port: 1,
    shell: `rm "$HEARTH_HOME"/identity.pem; ${AFTERWARDS}`,
    args: ["--key-bits", "4096"],
  });
  const isSaid = (rows: string[]) => rows.some((row) => /^making your key of 4096 bits/.test(row));
  await anna.waitFor(isSaid, "what takes so long");
  await anna.press("C-c");
  await anna.expect("exit 0", "restored", "‸");
});

withServer("Chat answers commands in aligned blocks", async (chats) => {
  const [anna, bob] = await annaAndBob(chats, { rows: 50 });
  const keys = await keysOf("anna", "bob", "server");
  const short = (key: string) => key.slice(7, 15);
  await bob.command("/away at lunch");
  await expectLast(anna, "-- bob is away: at lunch");

  await enter(anna, "/names");
  const now = new RegExp(String.raw`since \d\d:\d\d  away: at lunch$`);
  await anna.waitFor((rows) => now.test(logOf(rows).at(-1) ?? ""), "the names");
  assert.deepEqual(
    logOf(await anna.screen()).slice(-2).map((row) => row.replace(/\d\d:\d\d/, "")),
    [
      `-- anna    you  ${short(keys.anna)}`,
      `-- bob   ◦ new  ${short(keys.bob)}  since   away: at lunch`,
    ],
  );

  await enter(anna, "/info");
  await anna.waitFor((rows) => logOf(rows).join().includes("-- invite  "), "all about the server");
  assert.deepEqual(withoutAddress(logOf(await anna.screen()).slice(-7, -1)), [
    `-- server    127.0.0.1:${chats.world.port}, connected, one person besides you`,
    `-- its key   ${keys.server}`,
    "-- room      lobby",
    "-- you       anna",
    `-- your key  ${keys.anna}`,
    "-- invite    client --host ADDRESS --fingerprint",
  ]);

  await enter(anna, "/verify bob");
  await expectLast(
    anna,
    "-- if not, someone may be intercepting your messages, or a key has changed",
  );
  const rows = logOf(await anna.screen()).slice(-7);
  assert.equal(
    rows[0],
    "-- compare these digits with bob face to face or on the phone, not here:",
  );
  const halves = [[`-- yours, ${keys.anna}:`, rows[2]!], [`-- theirs, ${keys.bob}:`, rows[4]!]];
  if (rows[1] !== halves[0]![0]) halves.reverse();
  assert.deepEqual([rows[1], rows[3]], [halves[0]![0], halves[1]![0]]);
  for (const digits of [rows[2]!, rows[4]!]) assert.match(digits, /^-- {5}(?:\d{5} ){5}\d{5}$/);
  assert.equal(rows[5], "-- if both screens show the same digits: /verify bob yes");
  await bob.command("/verify anna");
  await bob.waitFor("notice", { text: rows[2]!.slice(3) });
  await bob.waitFor("notice", { text: rows[4]!.slice(3) });

  await enter(anna, "/verify bob yes");
  await expectLast(anna, "-- bob is now verified");
  await bob.chat("thanks");
  await expectLast(anna, "bob✓: thanks");

  await enter(anna, "/help msg");
  await expectLast(
    anna,
    "-- /msg NICK text",
    "--   send a private message",
    "--   Only they can read it; the room does not see that it was sent.",
    "--   Two people with the same nick are shown as nick#abcd: type it like that.",
  );
  await enter(anna, "/help");
  await anna.waitFor((rows) => /^-- Tab completes/.test(logOf(rows).at(-1)!), "the end of it");
  const help = logOf(await anna.screen());
  const first = help.findIndex((row) => row.startsWith("-- /help [command|keys]   "));
  assert.ok(first >= 0, "the list of commands is longer than the screen");
  for (const row of help.slice(first, -1)) assert.match(row, /^-- \/\w+.{28,31} [a-z]/);

  await enter(anna, "/invite");
  await anna.waitFor(
    (rows) => logOf(rows).at(-1)!.endsWith(keys.server.slice(-9)),
    "the invitation",
  );
  const line = (await anna.joinedScreen()).at(-2)!;
  assert.match(line, new RegExp(`client --host \\S+ --fingerprint ${literal(keys.server)}$`));
  await enter(anna, "/clear");
  await anna.expect("anna> ‸");
});

withServer("Chat shows an invitation below its QR code, both complete", async (chats) => {
  const [anna] = await annaAndBob(chats);
  const keys = await keysOf("server");
  await enter(anna, "/invite");
  await anna.waitFor(
    (rows) => rows.join().includes("▀") && rows.at(-2)!.endsWith(keys.server.slice(-9)),
    "the invitation below its picture",
  );
  const rows = await anna.joinedScreen();
  assert.match(rows.at(-2)!, /^.*client --host \S+ --fingerprint SHA256:/);
  const picture = rows.slice(0, -2).filter((row) => /^ *[█▀▄][█▀▄ ]*$/.test(row));
  const width = Math.max(...picture.map((row) => row.length));
  assert.ok(picture.length >= Math.floor(width / 2), `${picture.length} rows of ${width} columns`);
});

withServer("Chat refuses an unknown command and suggests the closest one", async (chats) => {
  const [anna, bob] = await annaAndBob(chats);
  const lists = "/help lists the commands, // at the start sends a slash";
  await enter(anna, "/nmaes");
  await expectLast(anna, "!! there is no command /nmaes", ...wrap(`did you mean /names? ${lists}`));
  await enter(anna, "/msg");
  await expectLast(anna, "!! /msg needs an argument", "-- usage: /msg NICK text");
  await enter(anna, "/msg zoe hello");
  await expectLast(anna, "!! nobody here is called zoe", "-- see who is here: /names");
  await enter(anna, "/reply hello");
  await expectLast(anna, "!! nobody has sent you a private message yet");
  await enter(anna, "//names is a command");
  await expectLast(anna, "anna: /names is a command");
  await bob.waitFor("chat", { text: "/names is a command" });
  assert.equal(bob.all("chat").length, 1);
});

withServer(
  "Chat shows private messages, actions, mentions and nick changes",
  async (chats) => {
    const eve = await chats.world.client("eve");
    const [anna, bob] = await annaAndBob(chats, { env: { NO_COLOR: "" } });
    await eve.waitFor("joined", { nick: "anna" });
    await eve.waitFor("joined", { nick: "bob" });
    const raw = await anna.record(chats.world.path("anna.raw"));
    const bells = async () => (await raw()).split("\x07").length - 1;
    const title = (wanted: string) =>
      poll(async () => await anna.query("#{pane_title}") === wanted, () => `the title ${wanted}`);

    await title("Hearth");
    await lookAway(anna);
    await bob.say({ type: "private", to: "anna", text: "psst" });
    await expectLast(anna, "bob◦ (private): psst");
    await poll(async () => await bells() === 1, () => "a bell for a private message");
    await title("(1) Hearth");
    assert.ok((await raw()).includes("Hearth: a private message"));
    await lookBack(anna);
    await title("Hearth");
    await anna.type("/reply what?");
    await enterReply(anna, "anna> /msg bob what?‸");
    await expectLast(anna, "anna (private to bob): what?");
    await bob.waitFor("chat", { text: "what?", private: true });
    await enter(anna, "/me waves");
    await expectLast(anna, "* anna waves");
    await bob.waitFor("chat", { text: "waves", action: true });
    await bob.command("/me nods");
    await expectLast(anna, "* bob◦ nods");
    assert.equal(await bells(), 1);

    await bob.chat("anna, nothing rings now");
    await expectLast(anna, "bob◦: anna, nothing rings now");
    await lookAway(anna);
    await bob.chat("Anna: look, anna-2 and ANNA.");
    await expectLast(anna, "bob◦: Anna: look, anna-2 and ANNA.");
    await poll(async () => await bells() === 2, () => "a bell for a mention");
    const colored = (await anna.coloredScreen()).find((row) => row.includes("look"))!;
    const bold = colored.replaceAll("\x1b[39m\x1b[49m", "").replaceAll("\x1b[0m", "\x1b[m");
    assert.ok(bold.endsWith("◦: \x1b[1mAnna\x1b[m: look, anna-2 and \x1b[1mANNA\x1b[m."), bold);
    await lookBack(anna);
    await enter(anna, "/bell off");
    await expectLast(anna, "-- the bell rings for: off");
    await bob.chat("anna!");
    await expectLast(anna, "bob◦: anna!");
    await enter(anna, "/bell all");
    await expectLast(anna, "-- the bell rings for: all");
    await lookAway(anna);
    await bob.chat("nobody in particular");
    await expectLast(anna, "bob◦: nobody in particular");
    await poll(async () => await bells() === 3, () => "a bell for everything");
    await lookBack(anna);

    await bob.command("/nick rob");
    await expectLast(anna, "-- bob is now rob");
    await enter(anna, "/nick änna");
    await expectLast(anna, "-- you are now änna");
    await anna.waitFor((rows) => rows.at(-1) === "änna> ‸", "the new nick");
    await enter(anna, "/nick a b");
    await expectLast(anna, "!! /nick cannot be used like that", "-- usage: /nick NAME");
    await bob.waitFor("nick", { from: "anna", nick: "änna" });
    assert.equal(eve.all("chat", { private: true }).length, 0);
    await bob.leave();
    await anna.waitFor((rows) => rows.includes("-- rob has left"), "rob gone");
    await enter(anna, "/reply still there?");
    await expectLast(anna, "!! rob is no longer here", "-- see who is here: /names");
  },
);

withServer("Chat hides ignored people and, with /quiet, arrivals and departures", async (chats) => {
  const [anna, bob] = await annaAndBob(chats);
  await enter(anna, "/ignore bob");
  await expectLast(anna, "-- messages from bob are hidden until you leave");
  await bob.chat("unseen");
  await bob.waitFor("delivered");
  await enter(anna, "/names");
  await anna.waitFor((rows) => logOf(rows).at(-1)!.endsWith("ignored"), "who is ignored");
  await enter(anna, "/unignore bob");
  await expectLast(anna, "-- messages from bob are shown again");
  await bob.chat("seen");
  await expectLast(anna, "-- messages from bob are shown again", "bob◦: seen");
  await enter(anna, "/quiet");
  await expectLast(anna, "-- people who join and leave are now hidden");
  const eve = await chats.world.client("eve");
  await eve.waitFor("joined", { nick: "anna" });
  await eve.chat("hello");
  const key = await fingerprintOf("eve");
  await expectLast(
    anna,
    "-- people who join and leave are now hidden",
    `-- eve has a new key: ${key}`,
    "eve◦: hello",
  );
  assert.equal(await eve.leave(), 0);
  await enter(anna, "/away");
  await expectLast(anna, "eve◦: hello", "-- you are not away");
});

withServer("Chat says who is away, the user in the prompt", async (chats) => {
  const [anna, bob] = await annaAndBob(chats);
  await enter(anna, "/away soon back");
  await anna.waitFor((rows) => rows.at(-1) === "anna (away)> ‸", "that one is away");
  await bob.waitFor("away", { nick: "anna", text: "soon back" });
  await enter(anna, "/away");
  await expectLast(anna, "-- you are away: soon back; /back when you return");
  await enter(anna, "/back");
  await anna.waitFor((rows) => rows.at(-1) === "anna> ‸", "that one is back");
  await bob.waitFor("away", { nick: "anna", text: "" });
  await bob.command("/back");
  await bob.command("/away gone fishing");
  await expectLast(anna, "-- you are back", "-- bob is away: gone fishing");
  await bob.command("/back");
  await expectLast(anna, "-- bob is back");
});

withServer(
  "Chat turns /reply into /msg to whoever it answers, and keeps to that",
  async (chats) => {
    const [anna, bob] = await annaAndBob(chats);
    const dora = await chats.world.client("dora");
    await dora.waitFor("joined", { nick: "anna" });
    await bob.say({ type: "private", to: "anna", text: "the code?" });
    await expectLast(anna, "bob◦ (private): the code?");
    await anna.type("/reply it is");
    await anna.waitFor((rows) => rows.at(-1) === "anna> /msg bob it is‸", "whom it is for");
    await dora.say({ type: "private", to: "anna", text: "hello" });
    await expectLast(anna, "dora◦ (private): hello");
    await anna.type(" 1234");
    await enterReply(anna, "anna> /msg bob it is 1234‸");
    await expectLast(anna, "anna (private to bob): it is 1234");
    await bob.waitFor("chat", { text: "it is 1234", private: true });
    assert.deepEqual(dora.all("chat"), []);
  },
);

withServer("Chat shows reactions, answers, edits, retractions and the topic", async (chats) => {
  const [anna, bob] = await annaAndBob(chats);
  await enter(anna, "shall we meet at nine or at ten?");
  const { id } = await bob.waitFor("chat");
  await bob.say({ type: "note", ref: id, what: "reaction", text: "👍" });
  await expectLast(anna, "-- bob reacted 👍 to your “shall we meet at nine or at te…”");
  await bob.say({ type: "chat", text: "ten", reply: id });
  await expectLast(anna, "bob◦ (answers you: “shall we meet at nin…”): ten");
  await enter(anna, "/react 🎉");
  await expectLast(anna, "-- you reacted 🎉 to “ten” of bob");
  await enter(anna, "/quote then at ten");
  await expectLast(anna, "anna (answers bob: “ten”): then at ten");
  await enter(anna, "/edit then at half past ten");
  await expectLast(anna, "-- you changed “then at ten” to: then at half past ten");
  const { id: ten } = bob.first("sent");
  await bob.say({ type: "note", ref: ten, what: "edit", text: "eleven, anna" });
  await expectLast(anna, "bob◦ (replaces “ten”): eleven, anna");
  await bob.say({ type: "note", ref: ten, what: "retraction" });
  await expectLast(anna, "-- bob took back “eleven, anna”");
  await enter(anna, "/retract");
  await expectLast(anna, "-- you took back “then at half past ten”");
  await enter(anna, "/topic when we meet");
  await expectLast(anna, "-- the topic is: when we meet");
  await bob.waitFor("topic", { text: "when we meet" });
  assert.deepEqual(
    bob.all("note").map(({ what, text }) => [what, text]),
    [["reaction", "🎉"], ["edit", "then at half past ten"], ["retraction", ""]],
  );
});

test("Chat shows the server's own word, and what an operator did", async (chats) => {
  const { world } = chats;
  const keys = await keysOf("anna", "bob");
  const operators = await world.file("operators", `${keys.anna}\n`);
  const motd = await world.file("motd", "be kind\nbob: forged\n");
  const password = await world.file("password", "between friends\n");
  const args = ["--password-file", password];
  await world.server(["--operators", operators, "--motd", motd, ...args]);
  const bob = await world.client("bob", { args });
  await bob.waitFor("welcome");
  const anna = await chats.chat("anna", { args, columns: 120 });
  await bob.waitFor("joined");
  const screen = (await anna.waitFor((rows) => rows.join().includes("here is bob"), "bob")).join(
    "\n",
  );
  assert.match(screen, /for the first time, verified by the password; its key is/);
  assert.match(screen, /^== the server says: be kind\n {3}bob: forged$/m);
  await enter(anna, "/announce closing at ten");
  // The event and the answer come in either order, here and below.
  const said = [
    "== announcement of the server: closing at ten",
    "-- announced to everybody on the server",
  ];
  await anna.waitFor((rows) => said.every((row) => rows.includes(row)), said.join("\n"));
  await enter(anna, "/kick carol");
  await expectLast(anna, "!! nobody here is called carol", "-- see who is here: /names");
  await enter(anna, "/ban bob 2d");
  const done = [
    "-- bob was removed by the server's operator",
    "-- bob is banned for 2 days",
    "-- a new key is made in a second: a new --password, or --allow FILE, keeps them out for sure",
  ];
  await anna.waitFor((rows) => done.every((row) => rows.includes(row)), done.join("\n"));
  await enter(anna, "/bans");
  await expectLast(anna, `-- ${keys.bob}  2 days left  bob`);
  assert.equal(await bob.ended(), 1);
});

withServer("Chat asks about a reply to somebody who wrote after it was typed", async (chats) => {
  const [anna, bob] = await annaAndBob(chats);
  await anna.type("/reply yes");
  await anna.waitFor((rows) => rows.at(-1) === "anna> /reply yes‸", "what was typed");
  await bob.say({ type: "private", to: "anna", text: "lunch?" });
  await expectLast(anna, "bob◦ (private): lunch?");
  await anna.press("Enter");
  await expectLast(
    anna,
    "!! bob wrote to you after you began this reply",
    "-- Enter sends it to bob",
  );
  assert.deepEqual(bob.all("chat"), []);
  await enterReply(anna, "anna> /msg bob yes‸");
  await bob.waitFor("chat", { text: "yes", private: true });
});

withServer("Chat clears a line of blanks at Enter", async (chats) => {
  const [anna, bob] = await annaAndBob(chats);
  await enter(anna, "   ");
  await enter(anna, "hello");
  await bob.waitFor("chat", { text: "hello" });
});

withServer("Chat hides and shows timestamps, and saves the choice", async (chats) => {
  const [anna, bob] = await annaAndBob(chats, { settings: {} });
  await bob.chat("one");
  await anna.waitFor((rows) => /^\d\d:\d\d bob◦: one$/.test(logOf(rows).at(-1)!), "the time");
  await enter(anna, "/timestamp date");
  await anna.waitFor((rows) => logOf(rows).at(-1)!.endsWith("-- timestamps: date"), "the answer");
  await bob.chat("two");
  await anna.waitFor(
    (rows) => /^\d{4}-\d\d-\d\d \d\d:\d\d bob◦: two$/.test(logOf(rows).at(-1)!),
    "the date",
  );
  await enter(anna, "/timestamp off");
  await expectLast(anna, "-- timestamps: off");
  await bob.chat("three");
  await expectLast(anna, "-- timestamps: off", "bob◦: three");
  const settings = chats.world.path("anna/settings.json");
  const kept = async () => JSON.parse(await Deno.readTextFile(settings)).timestamp === "off";
  await poll(kept, () => "the setting in the file");
});

withServer("Chat completes commands and nicks, the last speaker first", async (chats) => {
  const [bob, bert] = await chats.world.gather("bob", "bert");
  const anna = await chats.chat("anna");
  await bob!.waitFor("joined", { nick: "anna" });
  await bert!.waitFor("joined", { nick: "anna" });
  await bob!.chat("one");
  await expectLast(anna, "bob◦: one");
  await bert!.chat("two");
  await expectLast(anna, "bert◦: two");
  const prompt = async (row: string, ...below: string[]) => {
    const wanted = [row, ...below].join("\n");
    await anna.waitFor((rows) => rows.slice(-1 - below.length).join("\n") === wanted, wanted);
  };
  await anna.type("B");
  await anna.press("Tab");
  await prompt("anna> B‸", "bert:   bob:");
  await bob!.chat("three");
  await anna.waitFor((rows) => rows.includes("bob◦: three"), "a message");
  await anna.type("o");
  await anna.press("Tab");
  await prompt("anna> bob: ‸");
  await anna.press("C-u");
  await anna.type("hi b");
  await anna.press("Tab");
  await prompt("anna> hi b‸", "bob    bert");
  await anna.press("C-u");
  await anna.type("/m");
  await anna.press("Tab");
  await prompt("anna> /m‸", "/msg    /me     /motd");
  await anna.type("s");
  await anna.press("Tab");
  await anna.type("be");
  await anna.press("Tab");
  await prompt("anna> /msg bert ‸");
  await anna.type("hello");
  await anna.press("Enter");
  await bert!.waitFor("chat", { text: "hello", private: true });
});

withServer(
  "Chat says once who has not received a message, and when everyone has",
  async (chats) => {
    const [anna, bob] = await annaAndBob(chats);
    bob.signal("SIGSTOP");
    await enter(anna, "one");
    await expectLast(anna, "anna: one");
    await enter(anna, "two");
    // One line for both, unless the machine was so slow that the first was due before the second was written.
    const isSaid = (start: string) => (rows: string[]) =>
      ["“one”", "“two”"].every((text) =>
        rows.some((row) => row.startsWith(start) && row.includes(text))
      );
    await anna.waitFor(isSaid("-- not yet received by bob: "), "what bob has not received");
    bob.signal("SIGCONT");
    await anna.waitFor(isSaid("-- now received by everyone: "), "what everyone has received");
    bob.signal("SIGSTOP");
    for (const text of ["three", "four", "five", "six"]) {
      await enter(anna, text);
      await anna.waitFor((rows) => rows.includes(`anna: ${text}`), text);
    }
    await anna.waitFor(
      (rows) => rows.some((row) => /^-- not yet received by bob: “three”/.test(row)),
      "what bob has not received",
    );
    // On leaving, what was not delivered is reported.
    await anna.press("C-d");
    await anna.waitFor(
      (rows) => rows.includes("!! not delivered to bob: “three”, “four” and 2 more"),
      "what was not delivered",
    );
    bob.signal("SIGCONT");
  },
);

withServer(
  "Chat shows an outage in one line at each end, marks waiting messages, and reports no one as lost",
  async (chats, server) => {
    const { world } = chats;
    const [anna, bob] = await annaAndBob(chats);
    const carl = await world.client("carl");
    await carl.waitFor("joined", { nick: "anna" });
    await bob.command("/away lunch");
    await expectLast(anna, "-- bob is away: lunch");
    const { port } = world;
    await server.kill("SIGTERM");
    const lost = "-- connection lost: the server is shutting down; your messages will wait";
    await expectLast(anna, lost);
    await anna.waitFor((rows) => rows.at(-1) === "anna (offline)> ‸", "the state in the prompt");
    const waiting = [
      "anna (waiting): written meanwhile",
      "anna (private to bob, waiting): and this alone",
    ];
    await enter(anna, "written meanwhile");
    await expectLast(anna, lost, waiting[0]!);
    await enter(anna, "/msg bob and this alone");
    await expectLast(anna, lost, ...waiting);
    await anna.type("still typing");
    await world.server([], { port });
    await bob.waitFor("chat", { text: "and this alone" });
    await carl.waitFor("chat", { text: "written meanwhile" });
    await anna.waitFor((rows) => rows.at(-1) === "anna> still typing‸", "the line as it was");
    await anna.waitFor((rows) => rows.join().includes("now received by everyone"), "what arrived");
    await bob.chat("welcome back");
    await anna.waitFor((rows) => logOf(rows).at(-1)!.endsWith("welcome back"), "a message");
    const log = logOf(await anna.screen());
    const since = log.slice(log.indexOf(waiting[1]!) + 1).join("\n")
      .replace(/, (alone so far|with .*)/, "").replace(/(“.*”) and (“.*”)$/m, "$1 and $2");
    assert.match(
      since,
      /^-- connected again\n(-- now received by (everyone|bob): .*\n){2}bob◦: welcome back$/,
    );
    await carl.kill();
    await anna.waitFor((rows) => logOf(rows).at(-1) === "-- carl has lost the connection", "carl");
  },
);

withServer("Chat draws 500 lines in order while the user types", async (chats) => {
  const [anna, bob] = await annaAndBob(chats);
  const texts = Array.from({ length: 500 }, (_, i) => `line ${i + 1}`);
  const sent = bob.chat(...texts);
  const letters = "the quick brown fox jumps over the lazy dog";
  for (const letter of letters) await anna.type(letter);
  await sent;
  await anna.waitFor(
    (rows) => rows.at(-1) === `anna> ${letters}‸` && rows.at(-2) === "bob◦: line 500",
    "the last line",
  );
  const rows = await anna.scrollback();
  const from = rows.indexOf("bob◦: line 1");
  assert.deepEqual(rows.slice(from), [...texts.map((text) => `bob◦: ${text}`), `anna> ${letters}`]);
});

withServer(
  "Chat sends a paste as one message, and keeps a paste that is too long in the input line",
  async (chats) => {
    const [anna, bob] = await annaAndBob(chats);
    await anna.paste("three\nlines,\n  and blanks\n");
    await anna.waitFor(
      (rows) => rows.at(-1) === "3 lines — Enter sends, Ctrl-C drops",
      "the preview",
    );
    await anna.press("Enter");
    await expectLast(anna, "anna: three", "      lines,", "        and blanks");
    await bob.waitFor("chat", { text: "three\nlines,\n  and blanks" });
    const long = "x".repeat(MAX_TEXT_BYTES + 1);
    await anna.paste(long);
    const refused = `${long.length} bytes: at most ${MAX_TEXT_BYTES} can be sent, Ctrl-C drops`;
    await anna.waitFor((rows) => rows.at(-1) === refused, refused);
    await anna.press("Enter", "BSpace", "Enter");
    await bob.waitFor("chat", { text: long.slice(1) });
  },
);

/** Texts that try to imitate something else, and how they look in 60 columns. */
const HOSTILE: [string, string[]][] = [
  ["\x1b[2J\x1b[H\x1b]0;owned\x07", ["⟨001B⟩[2J⟨001B⟩[H⟨001B⟩]0;owned⟨0007⟩"]],
  ["\rcarl∙: forged", ["⟨000D⟩carl∙: forged"]],
  ["x\n-- bob has left\ncarl∙: I agree", ["x", "      -- bob has left", "      carl∙: I agree"]],
  ["\u202edesrever\u202c", ["⟨202E⟩desrever⟨202C⟩"]],
  ["in\u200bvis\u2060ible\ufeff", ["in⟨200B⟩vis⟨2060⟩ible⟨FEFF⟩"]],
  ["a" + "\u0301".repeat(4095), ["á\u0301\u0301\u0301"]],
  ["x\u2028-- bob has left\u0085!! error", ["x⟨2028⟩-- bob has left⟨0085⟩!! error"]],
  ["\x9b1A\x08\x08\x7f", ["⟨009B⟩1A⟨0008⟩⟨0008⟩⟨007F⟩"]],
  [" ".repeat(54) + "-- bob has left", ["", "      -- bob has left"]],
  ["w".repeat(54) + "-- bob has left", ["w".repeat(54), "      -- bob has left"]],
];

withServer("Chat shows hostile texts harmlessly", async (chats) => {
  const [anna, bob] = await annaAndBob(chats, { columns: 60 });
  await enter(anna, "/clear");
  await anna.expect("anna> ‸");
  await anna.type("typing");
  for (const [text] of HOSTILE) await bob.say({ type: "chat", text });
  await bob.waitFor("delivered", {}, { count: HOSTILE.length });
  const rows = HOSTILE.flatMap(([, [first, ...rest]]) => [`bob◦: ${first}`.trimEnd(), ...rest]);
  const shown = await anna.waitFor(
    (screen) => screen.at(-1) === "anna> typing‸" && logOf(screen).length >= rows.length,
    "the messages above the line as it was",
  );
  assert.deepEqual(logOf(shown).map((row) => row.normalize("NFC")), rows);
});

withServer("Chat shows the key in place of an invalid nick", async (chats) => {
  const [anna] = await annaAndBob(chats);
  const folder = await chats.world.emptyHome("stranger");
  for (const nick of ["Z" + "\u0334\u0335\u0336\u0337\u0338".repeat(5), "--bob", "аnna", "bob:∙"]) {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", STRANGER, String(chats.world.port), folder, nick],
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    await anna.waitFor(
      (rows) => /^(\?[\w+/]{4}|аnna)◦: who am I\?$/.test(logOf(rows).at(-2)!),
      nick,
    );
    assert.match(logOf(await anna.screen()).at(-1)!, /^-- (\?[\w+/]{4}|аnna) has left$/);
  }
});

withServer(
  "Chat warns of a different key under a known nick, and sends it nothing private",
  async (chats) => {
    const { world } = chats;
    const [anna, bob] = await annaAndBob(chats);
    assert.equal(await bob.leave(), 0);
    await expectLast(anna, "-- bob has left");
    const other = await world.client("bob", { home: "other" });
    await other.waitFor("joined", { nick: "anna" });
    const key = await fingerprintOf("other");
    await expectLast(
      anna,
      "!! bob has joined with a DIFFERENT KEY than before:",
      `   ${key}`,
      "-- make sure it is them: /verify bob compares digits, /trust bob accepts the key",
    );
    await other.chat("it is me");
    await expectLast(anna, "bob✗ (another key): it is me");
    await enter(anna, "/msg bob secret");
    await anna.waitFor((rows) => rows.join(" ").includes("nothing private is sent"), "the refusal");
    await enter(anna, "/trust bob");
    await anna.waitFor(
      (rows) => rows.join(" ").includes("bob now has the key"),
      "trust",
    );
    await enter(anna, "/msg bob secret");
    await expectLast(anna, "anna (private to bob): secret");
    await other.waitFor("chat", { text: "secret" });
    assert.equal(other.all("chat").length, 1);
  },
);

withServer("Chat shows on each terminal of the user what is said on the others", async (chats) => {
  const bob = await chats.world.client("bob");
  const first = await chats.chat("anna");
  await bob.waitFor("joined", { nick: "anna" });
  const second = await chats.chat("anna");
  await expectLast(first, "-- anna has joined: you, from another client");
  await enter(second, "hello");
  await expectLast(first, "anna: hello");
  await enter(first, "/msg bob hello bob");
  await bob.waitFor("chat", { text: "hello bob", private: true });
  await expectLast(second, "anna (private to bob): hello bob");
});

withServer("Chat fits a small ASCII-only terminal", async (chats) => {
  const options = { columns: 20, rows: 10, env: { LC_ALL: "C" } };
  const [anna, bob] = await annaAndBob(chats, options);
  await enter(anna, "/clear");
  await anna.expect("anna> ‸");
  await bob.chat("grüße an alle, die hier sind");
  await expectLast(anna, "      sind");
  await enter(anna, "tschüß");
  await anna.expect(
    "bob*: gr<FC><DF>e an",
    "      alle, die hier",
    "      sind",
    "anna: tsch<FC><DF>",
    "anna> ‸",
  );
  await bob.chat(...Array.from({ length: 20 }, (_, i) => `line ${i}`));
  await anna.expect(...Array.from({ length: 9 }, (_, i) => `bob*: line ${i + 11}`), "anna> ‸");
  await enter(anna, "/names");
  await anna.waitFor((rows) => rows.every((row) => row.length <= 21), "rows that fit");
  assert.doesNotMatch((await anna.screen()).join("").replace("‸", ""), /[^\x20-\x7e]/);
});

test("Chat says why the server refuses it, and restores the terminal", async (chats) => {
  const { world } = chats;
  const allowed = await world.file("allowed", await fingerprintOf("anna"));
  const server = await world.server(["--allow", allowed]);
  const anna = await chats.chat("anna", { columns: 120, shell: AFTERWARDS });
  await Deno.writeTextFile(allowed, "# nobody\n");
  server.signal("SIGHUP");
  await expectRestored(
    anna,
    1,
    "client: error: the server refused: removed",
    "client: hint: an operator of the server removed you, or your key from its list",
  );
});

/** Waits for a question at the bottom. */
async function question(terminal: Tmux, text: string): Promise<void> {
  await terminal.waitFor((rows) => rows.at(-1) === `${text} ‸`, text);
}

test("Chat asks for the password three times, and ends at Ctrl-C", async (chats) => {
  const file = await chats.world.file("password", "right\n");
  await chats.world.server(["--password-file", file]);
  const options = { columns: 120, shell: AFTERWARDS };
  const asked = { ...options, args: ["--password"] };
  const [anna, bob, carl] = await Promise.all([
    chats.start("anna", asked),
    chats.start("bob", asked),
    chats.start("carl", options),
  ]);
  await anna.expect("Password: ‸");
  await anna.type("secret");
  await anna.press("C-c");
  await expectRestored(anna, 0);
  await bob.expect("Password: ‸");
  await enter(bob, "wrong!");
  for (let i = 0; i < 2; i++) {
    await question(bob, "Wrong password, try again:");
    await enter(bob, "wrong!");
    await bob.waitFor((rows) => !rows.at(-1)!.startsWith("Wrong"), "an answer");
  }
  await bob.waitFor((rows) => rows.join().includes("refused: wrong password"), "the refusal");
  await bob.waitFor((rows) => rows.includes("exit 1"), "the end");
  await question(carl, "The server needs a password:");
  await carl.press("C-c");
  await expectRestored(carl, 0);
  const terminals = await Promise.all([anna, bob].map((terminal) => terminal.scrollback()));
  assert.doesNotMatch(terminals.join(), /secret|wrong!/);
});

test("Chat asks for a password that the server needs, and then tells friends of it", async (chats) => {
  const file = await chats.world.file("password", "right\n");
  await chats.world.server(["--password-file", file]);
  const known = `other:4713 ${await fingerprintOf("server")}\n`;
  await Deno.mkdir(chats.world.path("anna"), { recursive: true });
  await Deno.writeTextFile(`${chats.world.path("anna")}/known_servers`, known, { mode: 0o600 });
  const anna = await chats.start("anna", { columns: 120 });
  await question(anna, "The server needs a password:");
  await enter(anna, "wrong");
  await question(anna, "Wrong password, try again:");
  await enter(anna, "wrong again");
  await anna.waitFor((rows) => rows.at(-1) === "Checking the password ‸", "the wait");
  await enter(anna, "right"); // too early: it must not become a message
  await anna.waitFor((rows) => rows.at(-1) === "anna> ‸", "the room");
  await anna.waitFor(
    (rows) => /^-- to join from another computer: .* --password$/m.test(rows.join("\n")),
    "the line for friends",
  );
  const shown = (await anna.screen()).join("\n");
  assert.doesNotMatch(shown, /connection lost|right/);
  assert.equal(
    shown.split("to join from another computer").length,
    2,
    "not said before it is known",
  );
  // Each password takes a connection of its own.
  assert.equal(shown.split("is a new address of a known server").length, 2);
  // What was typed opens other rooms, too.
  await enter(anna, "/join build");
  await anna.waitFor((rows) => rows.includes("-- you are in build, alone so far"), "the room");
});

withServer("Chat joins the rooms of the settings at the start", async (chats) => {
  const settings = { timestamp: "off", rooms: ["build", "attic"] };
  const anna = await chats.start("anna", { settings });
  const said = ["lobby", "attic: you are in attic", "build: you are in build"];
  await anna.waitFor((rows) =>
    said.every((words) => rows.join("\n").includes(words)) &&
    rows.at(-1) === "anna to lobby> ‸", "three rooms");
});

withServer("Chat refuses --to: everyone would read what is meant for one person", async (chats) => {
  const args = ["--to", "bob"];
  const anna = await chats.start("anna", { columns: 120, args, shell: AFTERWARDS });
  await expectRestored(
    anna,
    1,
    "client: error: --to needs a standard input that is not a terminal",
    "client: hint: in the chat, type /msg NICK text",
  );
});

withServer("Chat stops at Ctrl-Z and resumes at fg", async (chats) => {
  const { world } = chats;
  const bob = await world.client("bob");
  const anna = await chats.start("anna", {
    shell: "export PS1='$ '; chat() { CLIENT; }; export -f chat; exec bash --norc --noprofile -i",
  });
  await anna.expect("$ ‸");
  await enter(anna, "clear; chat");
  await anna.waitFor((rows) => rows.at(-1) === "anna> ‸", "anna in the room");
  await bob.waitFor("joined", { nick: "anna" });
  await anna.type("half a l");
  await anna.waitFor((rows) => rows.at(-1) === "anna> half a l‸", "the line");
  await anna.press("C-z");
  await anna.waitFor((rows) => rows.at(-1) === "$ ‸", "the shell");
  await bob.chat("are you there?");
  await enter(anna, "stty -a | grep -ow -e -echo -e echo");
  await anna.waitFor((rows) => rows.slice(-2).join() === "echo,$ ‸", "the echo");
  await enter(anna, "fg");
  await anna.waitFor(
    (rows) => rows.slice(-2).join() === "bob◦: are you there?,anna> half a l‸",
    "it",
  );
  await anna.type("ine");
  await anna.press("Enter");
  await bob.waitFor("chat", { text: "half a line" });
  await anna.press("C-d");
  await anna.waitFor((rows) => rows.at(-1) === "$ ‸", "the shell");
});

function literal(text: string): string {
  return text.replace(/[+/]/g, "\\$&");
}

/** A notice in 80 columns. */
function wrap(text: string): string[] {
  const end = text.lastIndexOf(" ", 77);
  return text.length <= 77
    ? [`-- ${text}`]
    : [`-- ${text.slice(0, end)}`, `   ${text.slice(end + 1)}`];
}

withServer("Chat joins another room, and says what goes and comes where", async (chats, server) => {
  const [anna, bob] = await annaAndBob(chats);
  await enter(anna, "/join build");
  await anna.waitFor((rows) => rows.at(-1) === "anna to build> ‸", "the prompt of the room");
  const carl = await chats.world.client("carl", { args: ["--room", "build"] });
  await carl.waitFor("joined", { nick: "anna" });
  await enter(anna, "hello build");
  await carl.waitFor("chat", { text: "hello build" });
  await bob.chat("hello lobby");
  await expectLast(anna, "anna: hello build", "bob◦ (in lobby): hello lobby");
  await bob.command("/away lunch");
  await expectLast(anna, "-- lobby: bob is away: lunch");
  await enter(anna, "/query bob");
  await anna.waitFor((rows) => rows.at(-1) === "anna to bob◦> ‸", "the prompt of the person");
  await enter(anna, "only for you");
  await bob.waitFor("chat", { text: "only for you", private: true });
  await expectLast(anna, "anna (private to bob): only for you");
  await enter(anna, "/join lobby");
  await anna.waitFor((rows) => rows.at(-1) === "anna to lobby> ‸", "the prompt of the room");
  await enter(anna, "/part build");
  await anna.waitFor((rows) => rows.at(-1) === "anna> ‸", "the prompt of the only room");
  await carl.waitFor("left", { nick: "anna", why: "left" });
  await expectLast(anna, "-- you have left build");
  await enter(anna, "/part");
  await expectLast(anna, "!! this is the only room that you are in", "-- /quit leaves Hearth");
  assert.equal(server.all("refused").length, 0);
});
