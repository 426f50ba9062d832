/**
 * What the full-screen face costs in this process, without a terminal: `deno run tests/bench/screen.ts`.
 *
 * Prints a key to its echo (editing, laying out and painting a frame), idle and while 500 messages a second arrive, the
 * layout of the costliest messages, the first frame, and one with 100 hostile messages. All of it is CPU, so that it is
 * the same on a busy machine.
 */

import process from "node:process";
import { makeFullFace } from "../support/full_face.ts";
import { layoutEntry } from "../../lib/ui/layout.ts";
import { Painter } from "../../lib/ui/terminal/painter.ts";
import { Typesetter } from "../../lib/ui/terminal/rows.ts";
import { chooseTheme, NickColors } from "../../lib/ui/theme.ts";
import { DemoChat, HOSTILE, SCENES } from "../support/demo_chat.ts";

const KEYS = 400;
/** Messages that arrive between two keys: 500 a second at 10 keys a second. */
const MESSAGES_A_KEY = 50;
const LAYOUTS = 20;

/** Milliseconds of CPU so far, of all threads. */
function cpu(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Milliseconds of CPU of each call. */
function time(count: number, action: (i: number) => void): number[] {
  return Array.from({ length: count }, (_, i) => {
    const start = cpu();
    action(i);
    return cpu() - start;
  });
}

function show(what: string, times: readonly number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.floor(part * (sorted.length - 1))]!.toFixed(2);
  console.log(
    `${what.padEnd(44)} median ${at(0.5)} ms, p95 ${at(0.95)}, worst ${at(1)}`,
  );
}

/** The face with a conversation, which has made no frame yet. */
function open(columns: number, rows: number) {
  const chat = new DemoChat(() => {});
  const face = makeFullFace({ client: chat, clock: chat.clock });
  SCENES["chat"]!(chat, face);
  const painter = new Painter({ sync: true, links: true });
  const paint = () => painter.paint(face.frame({ columns, rows }), columns);
  return { chat, face, paint };
}

function measureKeys(columns: number, rows: number, messages: number): void {
  const { chat, face, paint } = open(columns, rows);
  paint();
  let sent = 0;
  const times = time(KEYS, (i) => {
    for (let m = 0; m < messages; m++) {
      const words = "lorem ipsum dolor sit amet ".repeat(1 + sent++ % 6);
      chat.say(chat.lobby, chat.lobby.people[1 + sent % 6]!, `message ${sent} ${words}日本語👍`);
    }
    if (i % 60 === 59) face.take({ type: "key", name: "C-u" });
    else face.take({ type: "text", text: "a" });
    paint();
  });
  show(`key to echo, ${columns}x${rows}, ${messages * 10} messages/s`, times);
}

/** 0.8 MiB that arrive at once, the frame that shows the end of it, and a key. */
function measureHostile(columns: number, rows: number): void {
  const faces = Array.from({ length: LAYOUTS }, () => open(columns, rows));
  for (const { paint } of faces) paint();
  const times = time(LAYOUTS, (i) => {
    const { chat, face, paint } = faces[i]!;
    chat.submit(chat.lobby, "/hostile");
    face.take({ type: "text", text: "a" });
    paint();
  });
  show(`100 hostile messages of 8 KiB, ${columns}x${rows}`, times);
}

const start = cpu();
open(120, 40).paint();
console.log(`first frame, 120x40: ${(cpu() - start).toFixed(1)} ms`);
for (const [columns, rows] of [[80, 24], [120, 40], [300, 100]] as const) {
  measureHostile(columns, rows);
  for (const messages of [0, MESSAGES_A_KEY]) measureKeys(columns, rows, messages);
}
const text = new Typesetter({ utf8: true });
for (const [width, maxRows] of [[79, 16], [140, 40], [300, 40]] as const) {
  const context = {
    width,
    nickWidth: 8,
    text,
    theme: chooseTheme("256", "dark"),
    colors: new NickColors(),
    ownNick: "anna",
    maxRows,
    query: "",
    timestamps: true,
    now: Date.now(),
  };
  const chat = new DemoChat(() => {});
  const texts = [
    ...HOSTILE,
    "привет мир ".repeat(430),
    "anna ".repeat(1638),
    "http://a.b ".repeat(740),
  ];
  const entries = texts.map((hostile) => chat.say(chat.lobby, chat.bob.people[0]!, hostile));
  const times = entries.map((entry) => {
    layoutEntry(entry, false, context);
    const times = time(LAYOUTS, () => void layoutEntry(entry, false, context));
    return times.toSorted((a, b) => a - b)[LAYOUTS / 2]!;
  });
  show(`8 KiB laid out in ${maxRows} rows of ${width}`, times);
}
