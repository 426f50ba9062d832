import assert from "node:assert/strict";
import { Histories } from "../../lib/cli/histories.ts";
import { ENTRY } from "../../lib/protocol/history_entry.ts";
import { encodeFingerprint, importPrivateKey } from "../../lib/protocol/identity.ts";
import { cipherReady } from "../../lib/protocol/records.ts";
import { addHome } from "../../lib/session/late.ts";
import type { RoomHome, SessionEvent } from "../../lib/session/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";

await cipherReady();

const IDENTITY = await importPrivateKey(
  await Deno.readTextFile(new URL("../vectors/keys/pkcs8.pem", import.meta.url)),
);
const [ANNA, BOB, SERVER] = [1, 2, 3].map((byte) => new Uint8Array(32).fill(byte)) as [
  Uint8Array<ArrayBuffer>,
  Uint8Array<ArrayBuffer>,
  Uint8Array<ArrayBuffer>,
];

/** Programs of one person, one after the other, in one state folder. */
class Desk {
  rooms: readonly RoomHome[] = [];
  readonly said: string[] = [];
  readonly folder: string;
  readonly #clock = new FakeClock();

  constructor(folder: string) {
    this.folder = folder;
  }

  static async use(test: (desk: Desk) => Promise<void>): Promise<void> {
    const folder = await Deno.makeTempDir();
    try {
      await test(new Desk(folder));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }

  /** Starts a program that joins a room. */
  start(turnsOn?: "on" | "private") {
    const events: SessionEvent[] = [];
    const histories = new Histories({
      clock: this.#clock,
      folder: this.folder,
      identity: IDENTITY,
      rooms: this.rooms,
      save: (home) => void (this.rooms = addHome(this.rooms, home)),
      turnsOn,
      days: 30,
      say: (text) => void this.said.push(text),
    });
    const place = { list: undefined as readonly Uint8Array<ArrayBuffer>[] | undefined };
    const history = histories.of("lobby", {
      emit: (event) => void events.push(event),
      list: () => place.list,
    });
    const say = (text: string, to?: Uint8Array<ArrayBuffer>) => {
      const id = crypto.getRandomValues(new Uint8Array(8)).toHex();
      history.record({
        ...{ type: ENTRY.MESSAGE, sent: 0, id, fingerprint: ANNA, flags: 0, nick: "anna", text },
        ...(to && { to }),
      });
    };
    return { histories, history, events, place, say };
  }

  /** What a program that starts at a relay shows first. */
  async shownAt(relay: Uint8Array<ArrayBuffer>): Promise<string[]> {
    const { histories, history, events } = this.start();
    history.arrived(relay, false);
    await histories.stop();
    await this.#clock.advance(1);
    return events.flatMap((event) =>
      event.event === "history" ? event.entries.map(({ text }) => text) : []
    );
  }
}

Deno.test("Histories keeps nothing, and makes no file, until it is asked for", () =>
  Desk.use(async (desk) => {
    const { histories, history, say } = desk.start();
    history.arrived(SERVER, false);
    say("hello");
    assert.equal(history.state, "off");
    await assert.rejects(history.find({ limit: 5 }), /^UsageError: no history is kept/);
    await histories.stop();
    assert.deepEqual(await Array.fromAsync(Deno.readDir(desk.folder)), []);
  }));

Deno.test("Histories: what is switched on stays on, until it is switched off", () =>
  Desk.use(async (desk) => {
    const first = desk.start();
    await assert.rejects(first.history.turn("on"), /^UsageError: you are not in the room yet/);
    first.history.arrived(SERVER, false);
    await first.history.turn("on");
    first.say("one");
    first.say("a secret", BOB);
    await first.history.turn("private");
    first.say("another secret", BOB);
    assert.deepEqual((await first.history.find({ limit: 9 })).map(({ text }) => text), [
      "one",
      "another secret",
    ]);
    await first.histories.stop();
    assert.deepEqual(await desk.shownAt(SERVER), ["one", "another secret"]);
    const second = desk.start();
    second.history.arrived(SERVER, false);
    await second.history.turn("off");
    second.say("two");
    await second.histories.stop();
    assert.deepEqual(await desk.shownAt(SERVER), []);
    assert.deepEqual(desk.said, []);
  }));

Deno.test("Histories: what happens while the log is opened comes after it, and is kept", () =>
  Desk.use(async (desk) => {
    const first = desk.start("on");
    first.history.arrived(SERVER, false);
    first.say("one");
    await first.histories.stop();
    assert.deepEqual(await desk.shownAt(SERVER), ["one"]);
    const { histories, history, events, say } = desk.start();
    history.arrived(SERVER, false);
    say("two");
    history.show({ event: "topic", text: "" });
    await histories.stop();
    assert.deepEqual(events.map(({ event }) => event), ["history", "topic"]);
    assert.deepEqual(await desk.shownAt(SERVER), ["one", "two"]);
  }));

Deno.test("Histories: the log follows the room when it moves; two rooms are never melted", () =>
  Desk.use(async (desk) => {
    const first = desk.start("on");
    first.history.arrived(ANNA, false);
    first.say("at anna's");
    first.place.list = [ANNA, BOB, SERVER];
    first.history.arrived(BOB, true);
    first.say("at bob's");
    await first.histories.stop();
    for (const relay of [ANNA, BOB, SERVER]) {
      assert.deepEqual(await desk.shownAt(relay), ["at anna's", "at bob's"]);
    }
    assert.equal(desk.rooms.length, 1);
    assert.equal(desk.rooms[0]!.home, encodeFingerprint(ANNA));
  }));

Deno.test("Histories: a list does not take away a server that has a history of its own", () =>
  Desk.use(async (desk) => {
    const server = desk.start("on");
    server.history.arrived(SERVER, false);
    server.say("at the server");
    await server.histories.stop();
    assert.deepEqual(await desk.shownAt(SERVER), ["at the server"]);
    const room = desk.start("on");
    room.history.arrived(ANNA, false);
    room.place.list = [ANNA, SERVER];
    room.say("at anna's");
    // Alone, she gives way to the server: another room.
    room.history.arrived(SERVER, false);
    room.say("at the server again");
    await room.histories.stop();
    assert.deepEqual(await desk.shownAt(SERVER), ["at the server", "at the server again"]);
    assert.deepEqual(await desk.shownAt(ANNA), ["at anna's"]);
    assert.equal(desk.rooms.length, 2);
  }));

Deno.test("Histories: a key that cannot be opened is said, and the chat goes on", () =>
  Desk.use(async (desk) => {
    const name = IDENTITY.publicKey.fingerprint.subarray(0, 8).toHex();
    await Deno.writeTextFile(`${desk.folder}/history-${name}.key`, "no key");
    const { histories, history, events, say } = desk.start("on");
    history.arrived(SERVER, false);
    say("one");
    history.show({ event: "topic", text: "" });
    await histories.stop();
    assert.equal(events.length, 1);
    assert.match(desk.said.join(), /^no history is kept: .*damaged, or of another identity/);
    assert.equal(await Deno.readTextFile(`${desk.folder}/history-${name}.key`), "no key");
  }));
