import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { MAX_TEXT_BYTES } from "../../lib/protocol/messages.ts";
import { type ChatOptions, Chats, enter, expectLast, logOf } from "../support/chats.ts";
import { fingerprintOf, poll, type Program } from "../support/programs.ts";
import { type Tmux, tmuxMissing } from "../support/tmux.ts";

const missing = Deno.build.os === "windows" ? "no tmux on Windows" : await tmuxMissing();
if (missing !== undefined) console.log(`chat_test.ts: skipped, ${missing}`);

const STRANGER = fileURLToPath(new URL("../support/stranger.ts", import.meta.url));
const BUG = fileURLToPath(new URL("../support/bug.ts", import.meta.url));

/** Runs the client and says what it has left. */
const AFTERWARDS = `before=$(stty -g); CLIENT; echo "exit $?"
  [ "$before" = "$(stty -g)" ] && echo restored; cat -v`;

/** Runs a test in a world of its own. */
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

/** The address that others are told, which is another one on each computer. */
function withoutAddress(rows: readonly string[]): string[] {
  return rows.map((row) => row.replace(/--host \S+/, "--host ADDRESS"));
}

/** The fingerprints of these people. */
async function keysOf<Name extends string>(...names: Name[]): Promise<Record<Name, string>> {
  const entries = await Promise.all(names.map(async (name) => [name, await fingerprintOf(name)]));
  return Object.fromEntries(entries);
}

withServer(
  "Chat greets with who one is, where, what others type, and where help is",
  async (chats) => {
    const [anna, bob] = await annaAndBob(chats);
    const keys = await keysOf("anna", "bob", "server");
    const screen = await anna.waitFor((rows) => rows.join().includes("here is bob"), "bob");
    assert.deepEqual(withoutAddress(screen), [
      `-- you are anna, key ${keys.anna}`,
      "-- to join from another computer: ./client --host ADDRESS",
      "-- /help lists the commands, Tab completes, Ctrl-D leaves",
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
    // The second time nobody is new any more.
    const again = await chats.chat("anna", { args: ["--room", "Lobby"] });
    await again.waitFor((rows) => rows.join().includes("here is"), "bob");
    assert.deepEqual(logOf(await again.screen()).slice(3), [
      `-- connected to 127.0.0.1:${chats.world.port}: you are in lobby, with one other`,
      "-- here is bob",
    ]);
  },
);

test("Chat serves, and says so", async (chats) => {
  await chats.world.home("anna", { file: "server.pem" });
  const anna = await chats.chat("anna", { serving: 0 });
  assert.deepEqual(withoutAddress(logOf(await anna.screen()).slice(1)), [
    "-- this computer is the server; on others type: ./client --host ADDRESS",
    "-- /help lists the commands, Tab completes, Ctrl-D leaves",
    "-- you are in lobby, alone so far",
  ]);
  await enter(anna, "hello");
  await expectLast(anna, "anna: hello", "!! nobody is here to receive “hello”");
});

test("Chat shows that a key is being made, until Ctrl-C", async (chats) => {
  const anna = await chats.start("anna", {
    port: 1,
    shell: `rm "$HEARTH_HOME"/identity.pem; ${AFTERWARDS}`,
    args: ["--key-bits", "4096"],
  });
  const frames = new Set<string>();
  await anna.waitFor((rows) => {
    const row = rows.find((row) => row.includes("making your key of 4096 bits"));
    if (row !== undefined) frames.add(row[0]!);
    return frames.size >= 2;
  }, "an indicator that moves");
  assert.ok([...frames].every((frame) => "|/-\\".includes(frame)));
  await anna.press("C-c");
  await anna.expect("exit 0", "restored", "‸");
});

withServer("Chat answers commands in aligned blocks", async (chats) => {
  const [anna, bob] = await annaAndBob(chats, { args: ["--no-qr"] });
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
    "-- invite    ./client --host ADDRESS --fingerprint",
  ]);

  await enter(anna, "/verify bob");
  await expectLast(anna, "-- if not: somebody may stand between you, or a key has changed");
  const rows = logOf(await anna.screen()).slice(-7);
  assert.equal(
    rows[0],
    "-- compare these digits with bob, face to face or by telephone, not here:",
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
  await expectLast(anna, "-- bob is verified from now on");
  await bob.chat("thanks");
  await expectLast(anna, "bob✓: thanks");

  await enter(anna, "/help msg");
  await expectLast(
    anna,
    "-- /msg NICK text",
    "--   send a private message",
    "--   Only that person's computers can read it; the room does not see that it was",
    "   sent.",
    "--   Two people with one nick are told apart as nick#abcd: write that.",
  );
  await enter(anna, "/help");
  await anna.waitFor((rows) => /^-- Tab completes/.test(logOf(rows).at(-1)!), "the end of it");
  const help = logOf(await anna.screen());
  const first = help.findIndex((row) => row.startsWith("-- /help [command]   "));
  assert.ok(first >= 0, "the list of commands is longer than the screen");
  for (const row of help.slice(first, -1)) assert.match(row, /^-- \/\w+.{26,28} [a-z]/);

  await enter(anna, "/invite");
  await anna.waitFor(
    (rows) => logOf(rows).at(-1)!.endsWith(keys.server.slice(-9)),
    "the invitation",
  );
  const line = (await anna.joinedScreen()).at(-2)!;
  assert.match(line, new RegExp(`^\\./client --host \\S+ --fingerprint ${literal(keys.server)}$`));
  await enter(anna, "/clear");
  await anna.expect("anna> ‸");
});

withServer("Chat shows an invitation below its picture, all of both at once", async (chats) => {
  const [anna] = await annaAndBob(chats);
  const keys = await keysOf("server");
  await enter(anna, "/invite");
  await anna.waitFor(
    (rows) => rows.join().includes("▀") && rows.at(-2)!.endsWith(keys.server.slice(-9)),
    "the invitation below its picture",
  );
  const rows = await anna.joinedScreen();
  assert.match(rows.at(-2)!, /^\.\/client --host \S+ --fingerprint SHA256:/);
  const picture = rows.slice(0, -2).filter((row) => /^ *[█▀▄][█▀▄ ]*$/.test(row));
  const width = Math.max(...picture.map((row) => row.length));
  assert.ok(picture.length >= Math.floor(width / 2), `${picture.length} rows of ${width} columns`);
});

withServer("Chat sends no command that it does not know, and names the nearest", async (chats) => {
  const [anna, bob] = await annaAndBob(chats);
  const lists = "/help lists the commands, // at the start sends a slash";
  await enter(anna, "/nmaes");
  await expectLast(anna, "!! there is no command /nmaes", ...wrap(`did you mean /names? ${lists}`));
  await enter(anna, "/msg");
  await expectLast(anna, "!! /msg needs to know more", "-- usage: /msg NICK text");
  await enter(anna, "/msg zoe hello");
  await expectLast(anna, "!! nobody here is called zoe", "-- see who is here: /names");
  await enter(anna, "/reply hello");
  await expectLast(anna, "!! nobody has written to you alone yet");
  await enter(anna, "//names is a command");
  await expectLast(anna, "anna: /names is a command");
  await bob.waitFor("chat", { text: "/names is a command" });
  assert.equal(bob.all("chat").length, 1);
});

withServer(
  "Chat shows private messages, actions, mentions and names that change",
  async (chats) => {
    const eve = await chats.world.client("eve");
    const [anna, bob] = await annaAndBob(chats, { env: { NO_COLOR: "" } });
    await eve.waitFor("joined", { nick: "anna" });
    await eve.waitFor("joined", { nick: "bob" });
    const raw = await anna.record(chats.world.path("anna.raw"));
    const bells = async () => (await raw()).split("\x07").length - 1;

    await bob.say({ type: "private", to: "anna", text: "psst" });
    await expectLast(anna, "bob◦ (private): psst");
    await poll(async () => await bells() === 1, () => "a bell for a private message");
    await enter(anna, "/reply what?");
    await expectLast(anna, "anna (private to bob): what?");
    await bob.waitFor("chat", { text: "what?", private: true });
    await enter(anna, "/me waves");
    await expectLast(anna, "* anna waves");
    await bob.waitFor("chat", { text: "waves", action: true });
    await bob.command("/me nods");
    await expectLast(anna, "* bob◦ nods");
    assert.equal(await bells(), 1);

    await bob.chat("Anna: look, anna-2 and ANNA.");
    await expectLast(anna, "bob◦: Anna: look, anna-2 and ANNA.");
    await poll(async () => await bells() === 2, () => "a bell for a mention");
    const colored = (await anna.coloredScreen()).find((row) => row.includes("look"))!;
    const bold = colored.replaceAll("\x1b[39m\x1b[49m", "").replaceAll("\x1b[0m", "\x1b[m");
    assert.ok(bold.endsWith("◦: \x1b[1mAnna\x1b[m: look, anna-2 and \x1b[1mANNA\x1b[m."), bold);
    await enter(anna, "/bell off");
    await expectLast(anna, "-- the bell rings for: off");
    await bob.chat("anna!");
    await expectLast(anna, "bob◦: anna!");
    await enter(anna, "/bell all");
    await expectLast(anna, "-- the bell rings for: all");
    await bob.chat("nobody in particular");
    await expectLast(anna, "bob◦: nobody in particular");
    await poll(async () => await bells() === 3, () => "a bell for everything");

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
    await expectLast(anna, "!! rob is not here any more", "-- see who is here: /names");
  },
);

withServer("Chat hides whom one ignores and, quiet, who comes and goes", async (chats) => {
  const [anna, bob] = await annaAndBob(chats);
  await enter(anna, "/ignore bob");
  await expectLast(anna, "-- messages of bob are not shown until this program ends");
  await bob.chat("unseen");
  await bob.waitFor("delivered");
  await enter(anna, "/names");
  await anna.waitFor((rows) => logOf(rows).at(-1)!.endsWith("ignored"), "who is ignored");
  await enter(anna, "/unignore bob");
  await expectLast(anna, "-- messages of bob are shown again");
  await bob.chat("seen");
  await expectLast(anna, "-- messages of bob are shown again", "bob◦: seen");
  await enter(anna, "/quiet");
  await expectLast(anna, "-- who joins and leaves is not shown from now on");
  const eve = await chats.world.client("eve");
  await eve.waitFor("joined", { nick: "anna" });
  await eve.chat("hello");
  const key = await fingerprintOf("eve");
  await expectLast(
    anna,
    "-- who joins and leaves is not shown from now on",
    `-- eve has a new key: ${key}`,
    "eve◦: hello",
  );
  assert.equal(await eve.leave(), 0);
  await enter(anna, "/away");
  await expectLast(anna, "eve◦: hello", "-- you are back");
});

withServer("Chat says who is away, oneself in the prompt", async (chats) => {
  const [anna, bob] = await annaAndBob(chats);
  await enter(anna, "/away soon back");
  await anna.waitFor((rows) => rows.at(-1) === "anna (away)> ‸", "that one is away");
  await bob.waitFor("away", { nick: "anna", text: "soon back" });
  await enter(anna, "/away");
  await anna.waitFor((rows) => rows.at(-1) === "anna> ‸", "that one is back");
  await bob.waitFor("away", { nick: "anna", text: "" });
  await bob.command("/away");
  await bob.command("/away gone fishing");
  await expectLast(anna, "-- you are back", "-- bob is away: gone fishing");
  await bob.command("/away");
  await expectLast(anna, "-- bob is back");
});

withServer("Chat takes times off, shows them, and keeps the choice", async (chats) => {
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

withServer("Chat completes commands and nicks, who spoke last first", async (chats) => {
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
  await prompt("anna> /m‸", "/msg   /me");
  await anna.type("s");
  await anna.press("Tab");
  await anna.type("be");
  await anna.press("Tab");
  await prompt("anna> /msg bert ‸");
  await anna.type("hello");
  await anna.press("Enter");
  await bert!.waitFor("chat", { text: "hello", private: true });
});

withServer("Chat says once who has not received a message, and when all have", async (chats) => {
  const [anna, bob] = await annaAndBob(chats);
  bob.signal("SIGSTOP");
  await enter(anna, "one");
  await expectLast(anna, "anna: one");
  await enter(anna, "two");
  await expectLast(anna, "anna: one", "anna: two", "-- not yet received by bob: “one” and “two”");
  bob.signal("SIGCONT");
  await expectLast(anna, "-- now received by everyone: “one” and “two”");
  bob.signal("SIGSTOP");
  for (const text of ["three", "four", "five", "six"]) {
    await enter(anna, text);
    await expectLast(anna, `anna: ${text}`);
  }
  await expectLast(anna, "anna: six", "-- not yet received by bob: “three”, “four” and 2 more");
  // Whoever leaves is told the truth about what stays behind.
  await anna.press("C-d");
  await anna.waitFor(
    (rows) => rows.includes("!! not delivered to bob: “three”, “four” and 2 more"),
    "what was not delivered",
  );
  bob.signal("SIGCONT");
});

withServer(
  "Chat tells an outage in one line each and what waits, and nobody as lost",
  async (chats, server) => {
    const { world } = chats;
    const [anna, bob] = await annaAndBob(chats);
    const carl = await world.client("carl");
    await carl.waitFor("joined", { nick: "anna" });
    await bob.command("/away lunch");
    await expectLast(anna, "-- bob is away: lunch");
    const { port } = world;
    await server.kill("SIGTERM");
    const lost = "-- connection lost: the server is shutting down; what you write waits";
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
      /^-- connected again\n(-- now received by everyone: .*\n){1,2}bob◦: welcome back$/,
    );
    await carl.kill();
    await anna.waitFor((rows) => logOf(rows).at(-1) === "-- carl has lost the connection", "carl");
  },
);

withServer("Chat draws 500 lines in order while one types", async (chats) => {
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

withServer("Chat sends a paste as one message, and keeps one that is too long", async (chats) => {
  const [anna, bob] = await annaAndBob(chats);
  await anna.paste("three\nlines,\n  and blanks\n");
  await anna.waitFor(
    (rows) => rows.at(-1) === "3 lines, 25 bytes — Enter sends, Ctrl-C drops",
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
});

/** Texts that would like to be something else, and what is to be seen of them in 60 columns. */
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

withServer("Chat shows hostile texts without harm", async (chats) => {
  const [anna, bob] = await annaAndBob(chats, { columns: 60 });
  await enter(anna, "/clear");
  await anna.expect("anna> ‸");
  await anna.type("typing");
  for (const [text] of HOSTILE) await bob.say({ type: "chat", text });
  await bob.waitFor("delivered", {}, { count: HOSTILE.length });
  const rows = HOSTILE.flatMap(([, [first, ...rest]]) => [`bob◦: ${first}`.trimEnd(), ...rest]);
  await anna.waitFor((screen) => screen.at(-1) === "anna> typing‸", "the line as it was");
  assert.deepEqual(logOf(await anna.screen()).map((row) => row.normalize("NFC")), rows);
});

withServer("Chat shows a nick that breaks the rules by its key", async (chats) => {
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
  "Chat warns of another key behind a known nick, and sends it nothing private",
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
      "!! bob has joined with ANOTHER KEY than before:",
      `   ${key}`,
      "-- ask whether it is really them: /verify bob compares, /trust bob accepts it",
    );
    await other.chat("it is me");
    await expectLast(anna, "bob✗: it is me");
    await enter(anna, "/msg bob secret");
    await anna.waitFor((rows) => rows.join(" ").includes("nothing private is sent"), "the refusal");
    await enter(anna, "/trust bob");
    await anna.waitFor(
      (rows) => rows.join(" ").includes("bob is now the one with the key"),
      "trust",
    );
    await enter(anna, "/msg bob secret");
    await expectLast(anna, "anna (private to bob): secret");
    await other.waitFor("chat", { text: "secret" });
    assert.equal(other.all("chat").length, 1);
  },
);

withServer("Chat shows oneself at another place as such", async (chats) => {
  const first = await chats.chat("anna");
  const second = await chats.chat("anna");
  const joined = /^-- (anna#[0-9a-f]{4}) has joined: yourself, at another place$/;
  await first.waitFor((rows) => joined.test(logOf(rows).at(-1)!), "the other place");
  const [, name] = joined.exec(logOf(await first.screen()).at(-1)!)!;
  await enter(second, "hello");
  await expectLast(first, `${name}✓: hello`);
  await enter(first, `/msg ${name} hello`);
  await expectLast(first, `anna (private to ${name}): hello`);
  await second.waitFor((rows) => /^anna#.{4}✓ \(private\): hello$/.test(logOf(rows).at(-1)!), "it");
});

withServer("Chat fits a small terminal that takes ASCII only", async (chats) => {
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

/** What ends the chat, its exit code, and the rows it prints last. */
const ENDINGS: [string, number, (anna: Tmux, pid: number) => Promise<void> | void, ...string[]][] =
  [
    ["/quit", 0, (anna) => enter(anna, "/quit")],
    ["Ctrl-C", 0, (anna) => anna.press("C-c")],
    ["Ctrl-D", 0, (anna) => anna.press("C-d")],
    ["SIGINT", 0, (_, pid) => Deno.kill(pid, "SIGINT")],
    ["SIGTERM", 143, (_, pid) => Deno.kill(pid, "SIGTERM")],
    ["SIGHUP", 129, (_, pid) => Deno.kill(pid, "SIGHUP")],
    ["an error", 1, (_, pid) => Deno.kill(pid, "SIGUSR2"), "client: error: thrown on purpose"],
    ["a rejection", 1, (_, pid) => Deno.kill(pid, "SIGALRM"), "client: error: rejected on purpose"],
  ];

async function expectRestored(terminal: Tmux, code: number, ...last: string[]): Promise<void> {
  const ended = [...last, `exit ${code}`, "restored"];
  await terminal.waitFor(
    (rows) => rows.slice(-ended.length - 1).join() === `${ended},‸`,
    `${ended}`,
  );
  // Echo is on, paste mode off, and nothing has a colour.
  await terminal.paste("pasted\n");
  await terminal.waitFor((rows) => rows.slice(-3).join() === "pasted,pasted,‸", "the echo");
  assert.equal(await terminal.query("#{cursor_flag}"), "1");
  assert.deepEqual((await terminal.coloredScreen()).slice(-2), ["pasted", "pasted"]);
}

withServer("Chat leaves the terminal as it was, whatever ends it", async (chats) => {
  for (let i = 0; i < ENDINGS.length; i += 2) {
    await Promise.all(
      ENDINGS.slice(i, i + 2).map(async ([what, code, end, ...last], j) => {
        const file = chats.world.path(`pid${i + j}`);
        const anna = await chats.chat(`anna${j}`, {
          columns: 120,
          env: { NO_COLOR: "" },
          preload: BUG,
          shell: AFTERWARDS.replace("CLIENT", () => `sh -c 'echo $$ > ${file}; exec CLIENT'`),
        });
        if (what.startsWith("SIG")) {
          await anna.type("half a line");
          await anna.waitFor((rows) => rows.at(-1)!.endsWith("> half a line‸"), "what is typed");
        }
        await end(anna, Number(await Deno.readTextFile(file)));
        await expectRestored(anna, code, ...last);
      }),
    );
  }
});

test("Chat says why the server ends it, and leaves the terminal as it was", async (chats) => {
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
    "client: hint: whoever runs the server removed this key from its list",
  );
});

test("Chat asks for the password, says that it is wrong, and leaves at Ctrl-C", async (chats) => {
  const file = await chats.world.file("password", "right\n");
  await chats.world.server(["--password-file", file]);
  const options = { columns: 120, args: ["--password"], shell: AFTERWARDS };
  const [anna, bob] = await Promise.all([
    chats.start("anna", options),
    chats.start("bob", options),
  ]);
  await anna.expect("Password: ‸");
  await anna.type("secret");
  await anna.press("C-c");
  await expectRestored(anna, 0);
  await bob.expect("Password: ‸");
  await enter(bob, "wrong!");
  await bob.waitFor((rows) => rows.join().includes("refused: wrong password"), "the refusal");
  await bob.waitFor((rows) => rows.includes("exit 1"), "the end");
  const all = [...await anna.scrollback(), ...await bob.scrollback()].join();
  assert.doesNotMatch(all, /secret|wrong!/);
});

withServer("Chat does not take --to: all would read what is meant for one", async (chats) => {
  const args = ["--to", "bob"];
  const anna = await chats.start("anna", { columns: 120, args, shell: AFTERWARDS });
  await expectRestored(
    anna,
    1,
    "client: error: --to is for a standard input that is no terminal",
    "client: hint: in the chat type /msg NICK text",
  );
});

withServer("Chat stops with Ctrl-Z and comes back with fg", async (chats) => {
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
