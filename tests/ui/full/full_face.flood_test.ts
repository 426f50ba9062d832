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

Deno.test("however large messages are, each of a flood is on the screen for a frame", async () => {
  const { client, frame } = rig();
  await frame();
  for (let i = 0; i < FLOOD; i++) {
    for (const nick of ["fay", "finn", "fritz"]) {
      client.emit(message(person(nick), `${nick} ${i} ` + "\u202ex".repeat(2000)), "lobby");
    }
  }
  client.emit(message(person("bob"), "an honest word"), "lobby");
  const seen = new Set<string>();
  while (client.waitingEvents > 0) {
    const rows = await frame();
    for (const [text] of rows.matchAll(/f\w+ \d+ |an honest word/g)) seen.add(text);
  }
  for (const [text] of (await frame()).matchAll(/f\w+ \d+ /g)) seen.add(text);
  equal(seen.size, 3 * FLOOD + 1);
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
