import assert from "node:assert/strict";
import { cipherReady } from "../../lib/protocol/records.ts";
import { encodeFrame } from "../../lib/protocol/frames.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import type { SessionEvent } from "../../lib/session/events.ts";
import { HeadStart } from "../../lib/session/head_start.ts";
import { KnownPeers } from "../../lib/session/known_peers.ts";
import { KnownServers } from "../../lib/session/known_servers.ts";
import type { LinkListener } from "../../lib/session/link.ts";
import { Password } from "../../lib/session/password.ts";
import { Session } from "../../lib/session/session.ts";
import { systemRandom } from "../../lib/base/clock.ts";
import type { ByteStream } from "../../lib/transport/mod.ts";
import { cheapKey, cheapPrimitives } from "../support/cheap_key.ts";
import { FakeClock, settle, until } from "../support/fake_clock.ts";
import { HandRelay } from "../support/hand_relay.ts";
import { memoryPair, type MemoryStream } from "../support/memory_stream.ts";

await cipherReady();

const ADDRESS = "localhost:40623";
const SID = "bb".repeat(8);
const WELCOME = encodeFrame({ type: "welcome", sid: "aa".repeat(8), capacity: 64, members: [] });
const LEFT = encodeFrame({ type: "left", sid: SID, why: 0 });

/** A connection that is begun, and the relay's end of it. */
class Rig {
  readonly clock = new FakeClock();
  readonly dialed: MemoryStream[] = [];
  /** What the user was told before there was a session. */
  readonly told: string[] = [];
  /** What whoever took the link was told. */
  readonly heard: string[] = [];
  readonly shared;

  constructor(readonly knownServers: KnownServers) {
    this.shared = {
      key: cheapKey(5),
      password: new Password(""),
      minKeyBits: 2048,
      knownServers,
      clock: this.clock,
      random: systemRandom,
      primitives: cheapPrimitives,
      address: ADDRESS,
    };
  }

  static async use(run: (rig: Rig) => Promise<void>): Promise<void> {
    const folder = await Deno.makeTempDir();
    try {
      await run(new Rig(await KnownServers.load(folder)));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }

  dial = (): Promise<ByteStream> => {
    const [near, far] = memoryPair();
    this.dialed.push(far);
    return Promise.resolve(near);
  };

  begin(dial: (signal: AbortSignal) => Promise<ByteStream> = this.dial): HeadStart {
    return new HeadStart({ ...this.shared, room: roomTag("lobby"), dial });
  }

  tell(start: HeadStart): Promise<void> {
    return start.tell(({ event, address }) => void this.told.push(`${event} ${address}`));
  }

  async accept(count = 1): Promise<HandRelay> {
    await until(() => this.dialed.length === count);
    const relay = new HandRelay(this.dialed.at(-1)!);
    await relay.accept();
    return relay;
  }

  /** Waits for an end, which the relay does not hold up. */
  async end(ending: Promise<void>): Promise<void> {
    await settle();
    this.dialed.at(-1)!.close();
    await this.clock.advance(5000);
    await ending;
  }

  readonly listener: LinkListener = {
    connected: (_, isTold) => void this.heard.push(isTold ? "told" : "connected"),
    welcomed: () => void this.heard.push("welcome"),
    frame: ({ type }) => void this.heard.push(type),
    drained: () => {},
    failed: ({ message }) => void this.heard.push(message),
  };
}

Deno.test("HeadStart tells at once, and holds what follows until a session takes the link", async () => {
  await Rig.use(async (rig) => {
    const start = rig.begin();
    const relay = await rig.accept();
    await relay.send(WELCOME);
    await rig.tell(start);
    await relay.send(LEFT);
    await settle();
    assert.deepEqual([rig.told, rig.heard], [[`connected ${ADDRESS}`], []]);
    const link = await start.take(rig.listener);
    assert.equal(await link.settled, undefined);
    await until(() => rig.heard.length === 3);
    assert.deepEqual(rig.heard, ["told", "welcome", "left"]);
    await link.pinned;
    await rig.end(start.stop());
    assert.deepEqual(relay.frames.map(({ type }) => type), ["close"]);
  });
});

Deno.test("HeadStart tells nothing where the session comes first", async () => {
  await Rig.use(async (rig) => {
    const start = rig.begin();
    const taking = start.take(rig.listener);
    const relay = await rig.accept();
    await relay.send(WELCOME);
    const link = await taking;
    assert.equal(await link.settled, undefined);
    assert.deepEqual([rig.told, rig.heard], [[], ["connected", "welcome"]]);
    await link.pinned;
    await rig.end(start.stop());
  });
});

Deno.test("HeadStart gives a session what dialling threw, and how the connection ended", async () => {
  await Rig.use(async (rig) => {
    const refused = rig.begin(() => Promise.reject(new Error("refused")));
    await rig.tell(refused);
    await assert.rejects(refused.take(rig.listener), /^Error: refused$/);
    const cut = rig.begin();
    const telling = rig.tell(cut);
    await until(() => rig.dialed.length > 0);
    rig.dialed[0]!.close();
    await telling;
    const link = await cut.take(rig.listener);
    assert.deepEqual(await link.settled, { reason: "cut" });
    assert.deepEqual([rig.told, rig.heard], [[], []]);
  });
});

Deno.test("HeadStart stops dialling", async () => {
  await Rig.use(async (rig) => {
    const start = rig.begin((signal) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))
    );
    const telling = rig.tell(start);
    await start.stop();
    await telling;
    await assert.rejects(start.take(rig.listener), { name: "AbortError" });
  });
});

Deno.test("Session goes on with a connection that was begun before, and dials for the next one", async () => {
  await Rig.use(async (rig) => {
    const folder = await Deno.makeTempDir();
    const knownPeers = await KnownPeers.load(folder, (error) => {
      throw error;
    });
    const headStart = rig.begin();
    const relay = await rig.accept();
    await relay.send(WELCOME);
    await rig.tell(headStart);
    const events: SessionEvent[] = [];
    const count = (name: string) => events.filter(({ event }) => event === name).length;
    const session = new Session({
      ...rig.shared,
      nick: "anna",
      room: "lobby",
      knownPeers,
      headStart,
      dial: rig.dial,
      emit: (event) => void events.push(event),
    });
    const running = session.run();
    await until(() => count("welcome") === 1);
    assert.equal(count("connected"), 0, "the user knows already");
    assert.ok(relay.join?.type === "join");
    rig.dialed[0]!.close();
    await until(() => count("reconnecting") === 1);
    await rig.clock.advance(1000);
    const next = await rig.accept(2);
    await next.send(WELCOME);
    await until(() => count("welcome") === 2);
    assert.equal(count("connected"), 1);
    assert.ok(next.join?.type === "join");
    assert.deepEqual(next.join.instance, relay.join.instance, "the same client");
    await rig.end(session.stop());
    await running;
    await knownPeers.flush();
    await Deno.remove(folder, { recursive: true });
  });
});
