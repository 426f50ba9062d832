import { equal, ok } from "node:assert/strict";
import { ChatClient } from "../../../lib/ui/chat_client.ts";
import { makeFullFace } from "../../support/full_face.ts";
import type { FullFace } from "../../../lib/ui/full/full_face.ts";
import { withDefaults } from "../../../lib/ui/settings.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeServer, message, person } from "../../support/fake_rooms.ts";

const FLOOD = 300;

/** Anna's screen in two rooms, of which the lobby is shown. */
function rig() {
  const clock = new FakeClock();
  const server = new FakeServer();
  const settings = withDefaults({});
  const client: ChatClient = new ChatClient({
    clock,
    screen: {
      settings,
      utf8: true,
      isFull: true,
      set: () => {},
      clear: () => {},
      show: () => {},
      showKeys: () => [],
      showInvitation: () => {},
      turnQuiet: () => false,
    },
    quiet: false,
    isBusy: (room) => face.isBusy(room),
    quit: () => {},
  });
  const face: FullFace = makeFullFace({ client, clock, color: "none", settings });
  client.attach(server.open("build"));
  client.attach(server.open("lobby"));
  /** Three people send as much as they can to a room, and then somebody else a word. */
  const flood = (room: string) => {
    for (let i = 0; i < FLOOD; i++) {
      for (const nick of ["fay", "finn", "fritz"]) {
        client.emit(message(person(nick), `${nick} ${i}`), room);
      }
    }
    client.emit(message(person("bob"), "an honest word"), room);
  };
  /** The next frame, as the device makes it. */
  const frame = async (): Promise<string> => {
    await clock.advance(16);
    const { rows } = face.frame({ columns: 80, rows: 24 });
    client.resume();
    return rows.map((row) => row.map(({ text }) => text).join("")).join("\n");
  };
  return { client, face, flood, frame };
}

Deno.test("whoever sends a lot keeps nobody else's message off the screen", async () => {
  const { client, flood, frame } = rig();
  flood("lobby");
  let isSeen = false;
  for (let i = 0; i < 8 && !isSeen; i++) isSeen = (await frame()).includes("an honest word");
  ok(isSeen);
  ok(client.waitingEvents > 0);
});

Deno.test("while others wait to be shown, the user's keys and messages do not", async () => {
  const { face, flood, frame } = rig();
  flood("lobby");
  await frame();
  face.take({ type: "text", text: "typed" });
  ok((await frame()).endsWith("lobby › typed"));
});

Deno.test("a room that is not shown waits for no frame", () => {
  const { client, flood } = rig();
  flood("build");
  client.emit(message(person("bob"), "quiet here"), "lobby");
  equal(client.waitingEvents, 0);
});

/** What is shown of a flood in any frame: each word that a message begins with. */
async function seenOf({ client, frame }: ReturnType<typeof rig>): Promise<Set<string>> {
  const seen = new Set<string>();
  let waiting = -1;
  do {
    waiting = client.waitingEvents;
    for (const [word] of (await frame()).matchAll(/\bw\d+/g)) seen.add(word);
  } while (waiting > 0);
  return seen;
}

/** Of the people who flood the room the last has a nick that is too wide for its column. */
const FLOODERS = ["fay", "finn", "friedrich-maximilian"].map((nick) => person(nick));
const LONG = "\u202ex".repeat(2000);

Deno.test("however large and many messages are, each of a flood is on the screen for a frame", async () => {
  for (const count of [1, 2, 3, 31, 32, 33, 34, 35, 36, 37, 60, 200]) {
    const room = rig();
    await room.frame();
    for (let i = 0; i < count; i++) {
      const quote = i % 2 === 0 ? { reply: "1".repeat(16), of: "SHA256:bob" } : {};
      const text = i % 5 === 0 ? `w${i}` : `w${i} ${LONG}`;
      room.client.emit(message(FLOODERS[i % 3]!, text, quote), "lobby");
    }
    equal((await seenOf(room)).size, count, `of ${count}`);
  }
});

Deno.test("messages that are made longer push nothing off before it was on the screen", async () => {
  const room = rig();
  const { client, frame } = room;
  for (let i = 0; i < FLOOD; i++) {
    const who = FLOODERS[i % 3]!;
    const { fingerprint, nick } = who;
    const id = `${i}`.padStart(16, "0");
    client.emit(message(who, `w${i}`, { id }), "lobby");
    client.emit({
      event: "note",
      nick,
      fingerprint,
      ref: id,
      of: fingerprint,
      private: false,
      what: "edit",
      text: `w${i} ${LONG}`,
    }, "lobby");
  }
  client.emit(message(person("bob"), `w${FLOOD}`), "lobby");
  await frame();
  equal((await seenOf(room)).size, FLOOD + 1);
});

Deno.test("messages are short during a flood, and whole when it is over", async () => {
  const { client, frame } = rig();
  const messagesOn = (screen: string) => screen.match(/\d+ long/g)?.length ?? 0;
  await frame();
  for (let i = 0; i < FLOOD; i++) {
    client.emit(message(person("fay"), `${i} ` + "long ".repeat(100)), "lobby");
  }
  let during = 0;
  while (client.waitingEvents > 0) during = Math.max(during, messagesOn(await frame()));
  await frame();
  const screen = await frame();
  ok(screen.includes("299 long"));
  ok(messagesOn(screen) < during / 2);
});
