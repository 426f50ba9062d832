/** An hour of three rooms and five people: whatever comes and is typed, the screen is what painting it anew gives. */

import { deepEqual, ok } from "node:assert/strict";
import type { SessionEvent } from "../../../lib/session/mod.ts";
import { ChatClient } from "../../../lib/ui/chat_client.ts";
import { makeFullFace } from "../../support/full_face.ts";
import type { FullFace } from "../../../lib/ui/full/full_face.ts";
import { withDefaults } from "../../../lib/ui/settings.ts";
import { Painter } from "../../../lib/ui/terminal/painter.ts";
import { Typesetter } from "../../../lib/ui/terminal/rows.ts";
import { HOSTILE } from "../../support/demo_chat.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeServer, message, person, welcome } from "../../support/fake_rooms.ts";
import { Grid } from "../../support/grid.ts";

const ROOMS = ["lobby", "build", "lake"];
const PEOPLE = ["bob", "carl", "dora", "דוד", "春香"].map((nick) => person(nick));
const SIZES = [[80, 24], [120, 40], [40, 15], [28, 8], [20, 5], [10, 3], [1, 1], [200, 50]];
const SETTINGS = withDefaults({});
const HOUR_MS = 3_600_000;
const STEPS = 900;

const TEXTS = [
  "hello",
  "anna, are you there?",
  "https://example.com/a/b?c=d",
  "שלום לכולם",
  "日本語 👍 🏳️‍🌈 👩‍👧",
  "e\u0301 \u0600\u0601 \u200b\u202e x",
  "two\nlines",
  "word ".repeat(60),
  ...HOSTILE,
];

/** Keys, and texts in quotation marks; what sends ends with Enter. */
const KEYS = [
  ...["'h'", "'日'", "'🏳️‍🌈'", "'שלום'", "'/me waves' enter", "'hello' enter", "'a' C-j 'b' enter"],
  ...["pageup", "pagedown", "S-up", "S-down", "M-home", "M-end", "escape", "C-c", "C-l", "M-s"],
  ...["M-1", "M-2", "M-3", "M-4", "M-a", "M-up", "M-down", "tab", "C-r 'h' escape"],
  ...["M-r up up enter 'yes' enter", "M-r escape", "M-r + '👍' enter", "C-f 'hello' up enter"],
  ...["'/names' enter", "'/help' enter", "'/msg bob hi' enter", "'/reply' ' '", "f1", "C-u"],
  ...["'/show' enter", "'/topic Ten' enter", "'/away lunch' enter", "'/back' enter", "backspace"],
];

function makeRandom(seed: number) {
  let state = seed;
  const random = (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * n);
  };
  return { random, one: <T>(all: readonly T[]): T => all[random(all.length)]! };
}

/** Anna's screen on a terminal that draws what is uncertain in other widths than ours. */
function makeDay(seed: number) {
  const { random, one } = makeRandom(seed);
  const clock = new FakeClock();
  const server = new FakeServer();
  let face: FullFace | undefined = undefined;
  const screen = {
    settings: SETTINGS,
    utf8: true,
    isFull: true,
    set: () => {},
    clear: () => {},
    show: (seq: number | undefined) => face!.showWhole(seq),
    showKeys: () => (face!.showKeys(), []),
    showNames: (lines: readonly string[]) => face!.showNames(lines),
    showCommands: (rows: Parameters<FullFace["showCommands"]>[0]) => face!.showCommands(rows),
    showInvitation: () => {},
    turnQuiet: () => false,
    page: () => {},
    find: (text: string) => face!.find(text),
  };
  const options = { clock, screen, quiet: false, quit: () => {} };
  const client = new ChatClient({ ...options, isBusy: () => false });
  const makeFace = () => makeFullFace({ client, clock, settings: SETTINGS });
  face = makeFace();
  for (const name of ROOMS) client.attach(server.open(name));
  const emit = (room: string, ...events: SessionEvent[]) => {
    for (const event of events) client.emit(event, room);
    client.flush();
  };
  const text = new Typesetter({ utf8: true });
  const widths = new Map<string, number>();
  const columnsOf = (cluster: string): number => {
    const { width: ours, certain } = text.measure(cluster);
    if (certain) return ours;
    if (!widths.has(cluster)) widths.set(cluster, 1 + random(Math.max(2, ours)));
    return widths.get(cluster)!;
  };

  let [columns, rows] = SIZES[0]! as [number, number];
  let painter = new Painter({ sync: true, links: true });
  let grid = new Grid(columns, rows, columnsOf);
  let count = 0;
  /** The messages of others, for notes about them. */
  const said: { room: string; id: string; by: typeof PEOPLE[number] }[] = [];

  /** By room, how much of what was asked of its session is settled. */
  const answered = new Map<string, number>();

  /** What somebody else does, or the network. */
  function happen(): void {
    const room = one(ROOMS);
    const session = server.rooms.get(room)!;
    const { people } = session;
    const by = one(PEOPLE);
    const { nick, fingerprint } = by;
    const isHere = people.includes(by);
    switch (random(12)) {
      case 0:
        if (!isHere) return emit(room, ...session.joins(by));
        session.people = people.filter((other) => other !== by);
        return emit(room, { event: "left", nick, fingerprint, why: one(["left", "lost"]) });
      case 1:
        return emit(room, { event: "away", nick, fingerprint, text: one(["", "lunch"]) });
      case 2:
        emit(room, { event: "disconnected", reason: "no answer" });
        return emit(room, { event: "reconnecting", seconds: 1 + random(20) });
      case 3:
        return emit(room, welcome(room, people.length));
      case 4:
        return emit(room, { event: "topic", text: one(TEXTS) });
      case 5: {
        if (said.length === 0) return;
        const { room, id, by } = one(said.slice(-20));
        const what = one(["reaction", "unreaction", "edit", "retraction"] as const);
        const text = what === "edit" ? one(TEXTS) : what === "retraction" ? "" : "👍";
        return emit(room, { event: "note", ref: id, what, ...by, private: false, text });
      }
      case 6: {
        // The session names what it is asked for by its room and a number.
        for (const _ of session.calls.splice(0)) {
          answered.set(room, (answered.get(room) ?? 0) + 1);
          const id = `${room} ${answered.get(room)}`;
          emit(room, { event: one(["delivered", "undelivered"]), id, to: [fingerprint] });
        }
        return;
      }
      default: {
        if (!isHere) emit(room, ...session.joins(by));
        const id = (++count).toString(16).padStart(16, "0");
        if (said.push({ room, id, by }) > 100) said.shift();
        emit(
          room,
          message(by, one(TEXTS), {
            id,
            private: random(5) === 0,
            action: random(8) === 0,
            view: random(12) === 0 ? "differs" : "same",
            late: random(12) === 0,
          }),
        );
      }
    }
  }
  function type(): void {
    for (const [all, text] of one(KEYS).matchAll(/'([^']*)'|\S+/g)) {
      face!.take(text === undefined ? { type: "key", name: all } : { type: "text", text });
    }
  }

  function resize([width, height] = one(SIZES)): void {
    [columns, rows] = [width!, height!];
    painter = new Painter({ sync: true, links: true });
    grid = new Grid(columns, rows, columnsOf);
  }

  const paint = () => grid.write(painter.paint(face!.frame({ columns, rows }), columns));

  return {
    clock,
    random,
    happen,
    type,
    resize,
    paint,
    press: (name: string) => face!.take({ type: "key", name }),
    /** The screen is what painting the same frame onto an empty one gives. */
    expectRepaint(what: string) {
      const repainted = new Grid(columns, rows, columnsOf);
      const fresh = new Painter({ sync: true, links: true });
      repainted.write(fresh.paint(face!.frame({ columns, rows }), columns));
      deepEqual([what, ...grid.rows], [what, ...repainted.rows]);
    },
    /** Nothing that was laid out before is out of date: a new face shows the same. */
    expectFresh(what: string) {
      const shown = face!.frame({ columns, rows }).rows.slice(0, -1);
      const texts = (all: typeof shown) => all.map((row) => row.map(({ text }) => text).join(""));
      const fresh = makeFace().frame({ columns, rows }).rows.slice(0, -1);
      deepEqual([what, ...texts(shown)], [what, ...texts(fresh)]);
    },
    entries: () => client.conversations.list.flatMap(({ entries }) => entries).length,
  };
}

for (const seed of [1, 2, 3]) {
  Deno.test(`an hour of three rooms ends as if painted from nothing (${seed})`, async () => {
    const day = makeDay(seed);
    for (let step = 0; step < STEPS; step++) {
      const what = `step ${step}`;
      if (day.random(3) > 0) day.happen();
      else day.type();
      if (day.random(40) === 0) day.resize();
      if (day.random(3) === 0) day.paint();
      if (day.random(8) === 0) {
        day.paint();
        day.expectRepaint(what);
      }
      if (day.random(4) === 0) await day.clock.advance(day.random(8 * HOUR_MS / STEPS));
    }
    // Whatever is open is closed, and the line is empty.
    for (const key of ["escape", "escape", "escape", "C-e", "C-u", "C-u", "M-1", "M-end"]) {
      day.press(key);
    }
    day.resize([80, 24]); // narrower than a window with a side column, which Alt-S may have hidden
    day.paint();
    day.expectRepaint("the end");
    day.expectFresh("the end");
    ok(day.entries() > 300);
  });
}
