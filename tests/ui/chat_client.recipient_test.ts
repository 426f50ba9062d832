/** Whatever arrives between any two keys, a text goes where the prompt said when Enter was pressed. */

import { deepEqual, ok } from "node:assert/strict";
import type { SessionEvent } from "../../lib/session/mod.ts";
import { Chat } from "../../lib/ui/chat.ts";
import { ChatClient } from "../../lib/ui/chat_client.ts";
import type { RecallFile } from "../../lib/ui/recall.ts";
import { withDefaults } from "../../lib/ui/settings.ts";
import { terminalKind } from "../../lib/ui/terminal/alert.ts";
import type { Terminal, TerminalOptions } from "../../lib/ui/terminal/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { FakeServer, message, person, welcome } from "../support/fake_rooms.ts";
import { makeFullFace } from "../support/full_face.ts";

const ROOMS = ["lobby", "build"];
/** Two of them have one nick, one has that of a room. */
const PEOPLE = [
  person("bob"),
  person("bob", "SHA256:another bob"),
  person("carl"),
  person("lobby", "SHA256:lobby"),
];
const KEYS = ["M-1", "M-2", "M-3", "M-4", "M-a", "M-up", "M-down"];
const LINES = ["/query bob", "/query carl", "/close", "/join build", "/reply", "/msg carl hi"];
const STEPS = 400;

/** Anna at either face. */
interface Seat {
  emit(event: SessionEvent, room: string): void;
  press(name: string): void;
  /** Types a line, and sends it; between the two something happens. */
  enter(line: string, between: () => void): void;
  /** Where the prompt says that a line goes: a room, or `to NICK`. */
  prompt(): string;
}

function makeFull(server: FakeServer): Seat {
  const clock = new FakeClock();
  const screen = {
    ...{ settings: withDefaults({}), utf8: true, isFull: true, set: () => {}, clear: () => {} },
    ...{ show: () => {}, showKeys: () => [], showInvitation: () => {}, turnQuiet: () => false },
  };
  const client = new ChatClient({ clock, screen, quiet: false, quit() {}, isBusy: () => false });
  const face = makeFullFace({ client, clock });
  for (const name of ROOMS) client.attach(server.open(name));
  const row = () =>
    face.frame({ columns: 90, rows: 24 }).rows.at(-1)!.map(({ text }) => text).join("");
  return {
    emit(event, room) {
      client.emit(event, room);
      client.flush();
    },
    press: (name) => face.take({ type: "key", name }),
    enter(line, between) {
      face.take({ type: "key", name: "C-u" });
      for (const text of line) face.take({ type: "text", text });
      between();
      face.take({ type: "key", name: "enter" });
    },
    prompt: () => row().split(" ›", 1)[0]!.replace(/[◦∙✓✗]$/, ""),
  };
}

function makePlain(server: FakeServer): Seat {
  let keys: TerminalOptions;
  let prompt = "";
  const chat = new Chat({
    ...{ clock: new FakeClock(), color: "none", utf8: true, quiet: false, settings: {}, save() {} },
    kindOf: () => terminalKind(() => "xterm", "linux"),
    recall: { load: () => Promise.resolve(), keep() {} } as unknown as RecallFile,
    ...{ onQuit() {}, onHangup() {}, finished: new Promise(() => {}) },
    openTerminal(options) {
      keys = options;
      const nothing = () => {};
      return {
        ...{ columns: 80, rows: 24, isBusy: false, setStatus: nothing, send: nothing },
        ...{ open: nothing, print: nothing, turnTo: nothing, release: nothing },
        setPrompt: (text: string) => prompt = text,
      } as unknown as Terminal;
    },
  });
  for (const name of ROOMS) chat.attach(server.open(name));
  return {
    emit: (event, room) => void chat.emit(event, room),
    press: (name) => keys.onKey?.(name),
    enter(line, between) {
      between();
      keys.onLine(line);
    },
    prompt() {
      const [, whom] = /^anna to (.+?)(?: \(\w+\))?> $/.exec(prompt)!;
      return ROOMS.includes(whom!) ? whom! : `to ${whom!.replace(/[◦∙✓✗]$/, "")}`;
    },
  };
}

function makeRandom(seed: number) {
  let state = seed;
  return (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * n);
  };
}

for (const [face, make] of [["full", makeFull], ["plain", makePlain]] as const) {
  Deno.test(`${face}: whatever arrives, a text goes where the prompt says`, () => {
    const counts = { room: 0, person: 0 };
    for (let seed = 1; seed <= 5; seed++) play(make, seed, counts);
    ok(counts.room > 50 && counts.person > 50, JSON.stringify(counts));
  });
}

function play(
  make: (server: FakeServer) => Seat,
  seed: number,
  counts: { room: number; person: number },
): void {
  const random = makeRandom(seed);
  const one = <T>(all: readonly T[]): T => all[random(all.length)]!;
  const server = new FakeServer();
  const seat = make(server);
  for (const name of ROOMS) seat.emit(welcome(name), name);

  /** Somebody comes, goes, or writes, or the connection is lost. */
  const happen = (): void => {
    const name = one(ROOMS);
    const room = server.rooms.get(name);
    if (room === undefined) return;
    const by = one(PEOPLE);
    const { nick, fingerprint } = by;
    if (!room.people.includes(by)) return room.joins(by).forEach((event) => seat.emit(event, name));
    switch (random(6)) {
      case 0:
        room.people = room.people.filter((other) => other !== by);
        return seat.emit({ event: "left", nick, fingerprint, why: "left" }, name);
      case 1:
        seat.emit({ event: "disconnected", reason: "no answer" }, name);
        return seat.emit(welcome(name), name);
      default:
        return seat.emit(message(by, "anna, here", { private: random(2) === 0 }), name);
    }
  };

  for (let step = 0; step < STEPS; step++) {
    for (let i = random(3); i > 0; i--) happen();
    if (random(3) === 0) seat.press(one(KEYS));
    if (random(4) === 0) seat.enter(one(LINES), happen);
    for (const { calls } of server.rooms.values()) calls.length = 0;
    let said = "";
    const text = `text ${step}`;
    seat.enter(text, () => {
      for (let i = random(4); i > 0; i--) happen();
      said = seat.prompt();
    });
    for (const [name, { calls }] of server.rooms) {
      for (const [method, ...args] of calls) {
        if (method === "markRead") continue;
        const target = method === "say" ? name : `to ${whose(args[0])}`;
        deepEqual([seed, step, method, target], [seed, step, method, said]);
        counts[method === "say" ? "room" : "person"]++;
      }
    }
  }
}

/** The nick of whom a private message goes to. */
function whose(fingerprint: unknown): string {
  return PEOPLE.find((person) => person.fingerprint === fingerprint)!.nick;
}
