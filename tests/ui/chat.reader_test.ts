/** The plain face as a screen reader has it: what is written, in the order in which it is written. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { SessionEvent } from "../../lib/session/mod.ts";
import { Chat } from "../../lib/ui/chat.ts";
import { dayName } from "../../lib/ui/moment.ts";
import type { RecallFile } from "../../lib/ui/recall.ts";
import { terminalKind } from "../../lib/ui/terminal/alert.ts";
import { Terminal } from "../../lib/ui/terminal/terminal.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { FakeServer, message, person, welcome } from "../support/fake_rooms.ts";

/** Anna's chat on a terminal that records what is written. */
function makeChat() {
  const clock = new FakeClock();
  const server = new FakeServer();
  let written = "";
  let give: (bytes: Uint8Array) => void = () => {};
  const chat = new Chat({
    clock,
    color: "256",
    utf8: true,
    kindOf: () => terminalKind(() => "xterm", "linux"),
    quiet: false,
    settings: { timestamp: "off" },
    recall: { load: () => Promise.resolve(), keep() {} } as unknown as RecallFile,
    save() {},
    onQuit() {},
    onHangup() {},
    finished: new Promise(() => {}),
    openTerminal: (options) =>
      new Terminal({
        ...options,
        tty: {
          read: () => new Promise((resolve) => give = resolve),
          write: (text) => void (written += text),
          setRaw() {},
          size: () => ({ columns: 80, rows: 24 }),
          listen() {},
          unlisten() {},
          canStop: () => Promise.resolve(false),
          stop: () => Promise.resolve(),
        },
      }),
  });
  chat.attach(server.open("lobby"));
  /** What was written since the last time. */
  const take = async (): Promise<string> => {
    await clock.advance(50);
    const text = written;
    written = "";
    return text;
  };
  return {
    clock,
    chat,
    take,
    room: server.rooms.get("lobby")!,
    emit: (...events: SessionEvent[]) => events.forEach((event) => chat.emit(event, "lobby")),
    async type(text: string): Promise<string> {
      give(new TextEncoder().encode(text));
      return await take();
    },
    async [Symbol.asyncDispose]() {
      await chat.close();
    },
  };
}

/** What is read of an output: its lines without control sequences, each as it was when the next one began. */
function read(output: string): string[] {
  // deno-lint-ignore no-control-regex
  const text = output.replace(/\x1b\[[?>0-9;]*[@A-Za-z]|\x1b\][^\x1b]*\x1b\\|\x1b[78]|\x07/g, "");
  return text.split("\n").map((line) => line.replace(/^\r+|\r+$/g, "")).filter((line) =>
    line !== ""
  );
}

const BOB = person("bob");

Deno.test("what is typed is written once, key by key", async () => {
  await using anna = makeChat();
  anna.emit(welcome("lobby"));
  await anna.take();
  for (const key of ["h", "é", "y", " "]) deepEqual(read(await anna.type(key)), [key]);
  deepEqual(await anna.type("\x1b[D"), "\x1b[1D");
  deepEqual(await anna.type("\x1b[C"), "\x1b[1C");
  deepEqual(await anna.type("\x7f"), "\b\x1b[K");
  deepEqual(await anna.type("\x1b[I"), "", "the focus is nothing to read");
});

Deno.test("what is typed into one of several lines is written once, too", async () => {
  await using anna = makeChat();
  anna.emit(welcome("lobby"));
  await anna.take();
  await anna.type("one");
  await anna.type("\n");
  await anna.type("t"); // shows the hint about several lines
  for (const key of ["w", "o"]) deepEqual(read(await anna.type(key)), [key]);
  deepEqual(await anna.type("\x1b[D"), "\x1b[1D");
  deepEqual(read(await anna.type("x")), ["x"]);
});

Deno.test("each line is read once, and what was typed is not read again", async () => {
  await using anna = makeChat();
  anna.emit(welcome("lobby"), ...anna.room.joins(BOB));
  await anna.take();
  await anna.type("half a line");
  anna.emit(message(BOB, "hello anna"));
  deepEqual(read(await anna.take()), ["bob∙: hello anna"]);
  anna.emit(message(BOB, "one"), message(BOB, "two"));
  deepEqual(read(await anna.take()), ["bob∙: one", "bob∙: two"]);
  deepEqual(read(await anna.type("\r")), ["anna: half a line", "anna> "]);
});

Deno.test("every line says in words or signs what colours show", async () => {
  await using anna = makeChat();
  const carl = { ...person("carl"), trust: "conflict" as const };
  anna.emit(
    welcome("lobby"),
    ...anna.room.joins(BOB, carl),
    message(BOB, "anna, look", { id: "1".repeat(16) }),
    message(BOB, "psst", { private: true }),
    message(BOB, "waves", { action: true }),
    message(BOB, "late", { late: true, sent: "2025-06-15T12:00:00.000Z" }),
    message(BOB, "differs", { view: "differs" }),
    message(carl, "it is me"),
    { event: "note", ref: "1".repeat(16), what: "reaction", ...BOB, private: false, text: "👍" },
    { event: "away", nick: "bob", fingerprint: BOB.fingerprint, text: "lunch" },
    { event: "left", nick: "bob", fingerprint: BOB.fingerprint, why: "lost" },
    { event: "disconnected", reason: "no answer" },
    { event: "reconnecting", seconds: 2 },
  );
  const lines = read(await anna.take());
  const sign = /^(?:--|==|!!|\*|[^ :]+[◦∙✓✗]?(?: \([^)]+\))?:) |^ {3}|^anna(?: \([a-z]+\))?> $/;
  for (const line of lines) match(line, sign);
  const text = lines.join("\n");
  for (
    const words of [
      "(private): psst",
      "* bob∙ waves",
      "(written 2025-06-1",
      "sees different",
      "carl✗ (another key): it is me",
      "DIFFERENT KEY",
    ]
  ) {
    ok(text.includes(words), `${words}\n${text}`);
  }
});

Deno.test("whom a line goes to is said with what is known of their key", async () => {
  for (const [trust, words] of TRUST_WORDS) {
    await using anna = makeChat();
    anna.emit(welcome("lobby"), ...anna.room.joins({ ...BOB, trust }));
    await anna.take();
    const lines = read(await anna.type("/query bob\r"));
    deepEqual(lines.slice(0, 1), [`-- what you type goes to bob${words} alone now`]);
  }
});

const TRUST_WORDS = [
  ["new", " (new key)"],
  ["known", ""],
  ["verified", " (verified)"],
  ["conflict", " (another key)"],
] as const;

Deno.test("an activity is said once, and moves nothing", async () => {
  await using anna = makeChat();
  anna.emit(welcome("lobby"));
  await anna.take();
  anna.chat.progress("making a key");
  deepEqual(read(await anna.take()), ["making a key ...", "anna> "]);
  for (let i = 0; i < 20; i++) equal(await anna.take(), "");
  anna.chat.progress("");
  deepEqual(read(await anna.take()), ["anna> "]);
});

Deno.test("how far a file is is said once its speed is known, and rarely", async () => {
  await using anna = makeChat();
  anna.emit(welcome("lobby"), ...anna.room.joins(BOB));
  const { fingerprint, nick, trust } = BOB;
  const file = { number: 3, id: "aa".repeat(16), fingerprint, name: "film.bin", size: 1000 };
  const offer = { kind: "file", files: 1, executable: false, room: true, private: false } as const;
  anna.emit({ event: "offer", ...file, ...offer, nick, trust });
  await anna.take();
  const goesOn = (bytes: number, rate: number) =>
    anna.emit({ event: "transfer", ...file, direction: "in", state: "direct", bytes, rate });
  goesOn(0, 0);
  equal(await anna.take(), "");
  goesOn(400, 200);
  match(await anna.take(), /3 film\.bin from bob {2}━{6}─{10} {2}40 % {2}200 B\/s {2}3 s left/);
  goesOn(600, 200);
  equal(await anna.take(), "");
  await anna.clock.advance(10_000);
  goesOn(800, 200);
  match(await anna.take(), /80 % {2}200 B\/s/);
});

Deno.test("one's own history is read under the days on which it was said", async () => {
  await using anna = makeChat();
  anna.emit(welcome("lobby"));
  await anna.take();
  const said = (day: number, text: string) => {
    const at = new Date(2025, 11, day, 12).toISOString();
    return { ...message(BOB, text), history: true, at } as SessionEvent & { event: "chat" };
  };
  anna.emit({ event: "history", entries: [said(27, "one"), said(27, "two"), said(28, "three")] });
  anna.emit(message(BOB, "now"));
  deepEqual(read(await anna.take()), [
    "-- Saturday, 27 December",
    "bob: one",
    "bob: two",
    "-- Sunday, 28 December",
    "bob: three",
    "-- until here it is your own history",
    `-- ${dayName(anna.clock.wallTime())}`,
    "bob◦: now",
  ]);
  await anna.type("/timestamp date\r");
  await anna.clock.advance(24 * 3_600_000);
  await anna.take();
  anna.emit(message(BOB, "with its date"));
  const lines = read(await anna.take());
  match(lines[0]!, /^2026-01-0\d \d\d:\d\d bob◦: with its date$/);
  anna.emit({ event: "history", entries: [said(29, "four")] });
  deepEqual(read(await anna.take()).slice(0, 2), [
    "2025-12-29 12:00 bob: four",
    "2025-12-29 12:00 -- until here it is your own history",
  ]);
});
