import assert from "node:assert/strict";
import { concat } from "../../lib/base/bytes.ts";
import { cipherReady } from "../../lib/protocol/records.ts";
import { UsageError } from "../../lib/base/errors.ts";
import type { SessionEvent } from "../../lib/session/events.ts";
import { OTHER_VERSION } from "../../lib/protocol/handshake.ts";
import { ServerBook } from "../../lib/session/known_servers.ts";
import { Session } from "../../lib/session/session.ts";
import { writeAll } from "../../lib/transport/byte_stream.ts";
import { encodeFrame, REASON } from "../../lib/protocol/frames.ts";
import { PeerBook } from "../../lib/session/known_peers.ts";
import { cheapKey, decodeCheapId } from "../support/cheap_key.ts";
import { FakeClock, until } from "../support/fake_clock.ts";
import { HandRelay } from "../support/hand_relay.ts";
import { memoryPair, type MemoryStream } from "../support/memory_stream.ts";

await cipherReady();

/** A byte that gives the longest waits: the factor is 1. */
const FULL = 255;
const WELCOME = encodeFrame({ type: "welcome", sid: "aa".repeat(8), capacity: 64, members: [] });

function close(reason: number): Uint8Array {
  return encodeFrame({ type: "close", reason });
}

interface RigOptions {
  /** The random byte that a wait is multiplied by: 0 is 0.5, 255 is 1. */
  readonly factor?: number;
  readonly minKeyBits?: number;
}

/** A session whose every connection is the test's. */
class Rig {
  readonly clock = new FakeClock();
  readonly events: SessionEvent[] = [];
  /** The relay's ends of the connections that were made, the newest last. */
  readonly dialed: MemoryStream[] = [];
  /** What {@linkcode Session.run} came to; undefined as long as it runs. */
  ended: { error?: unknown } | undefined;
  #session: Session;
  #running: Promise<void>;

  private constructor(book: PeerBook, servers: ServerBook, options: RigOptions) {
    const { factor = FULL, minKeyBits = 2048 } = options;
    this.#session = new Session({
      key: cheapKey(5),
      nick: "anna",
      room: "lobby",
      minKeyBits,
      address: "localhost:40623",
      servers,
      book,
      dial: () => {
        const [near, far] = memoryPair();
        this.dialed.push(far);
        return Promise.resolve(near);
      },
      emit: (event) => this.events.push(event),
      clock: this.clock,
      random: (length) =>
        length === 1 ? Uint8Array.of(factor) : crypto.getRandomValues(new Uint8Array(length)),
      decodeId: decodeCheapId,
    });
    this.#running = this.#session.run().then(
      () => void (this.ended = {}),
      (error) => void (this.ended = { error }),
    );
  }

  static async use(run: (rig: Rig) => Promise<void>, options: RigOptions = {}): Promise<void> {
    const folder = await Deno.makeTempDir();
    const book = await PeerBook.load(folder, (error) => {
      throw error;
    });
    const rig = new Rig(book, await ServerBook.load(folder), options);
    try {
      await run(rig);
    } finally {
      const stopped = rig.#session.stop();
      for (const stream of rig.dialed) stream.close();
      await rig.clock.advance(5000);
      await stopped;
      await rig.#running;
      await book.flush();
      await Deno.remove(folder, { recursive: true });
    }
  }

  /** Answers the newest connection up to its JOIN. */
  async accept(): Promise<HandRelay> {
    const relay = new HandRelay(this.dialed.at(-1)!);
    await relay.accept();
    return relay;
  }

  /** The waits that were told so far, in seconds. */
  get waits(): number[] {
    return this.events.flatMap((event) => event.event === "reconnecting" ? [event.seconds] : []);
  }

  /** Lets the newest connection end by `end`, and lets the wait that follows pass. */
  async lose(end: (stream: MemoryStream) => void): Promise<void> {
    const count = this.waits.length;
    end(this.dialed.at(-1)!);
    await until(() => this.waits.length > count);
    const dials = this.dialed.length;
    await this.clock.advance(this.waits.at(-1)! * 1000 - 1);
    assert.equal(this.dialed.length, dials, "not earlier");
    await this.clock.advance(1);
    assert.equal(this.dialed.length, dials + 1);
  }
}

Deno.test("Session connects again after 1, 2, 4, 8, 16, 30, 30 s, each times 0.5 to 1", async () => {
  for (const [factor, share] of [[0, 0.5], [FULL, 1]] as const) {
    await Rig.use(async (rig) => {
      for (let i = 0; i < 7; i++) await rig.lose((stream) => stream.close());
      assert.deepEqual(rig.waits, [1, 2, 4, 8, 16, 30, 30].map((seconds) => seconds * share));
    }, { factor });
  }
});

Deno.test("Session begins with 1 s again once a WELCOME has lasted 30 s, to the millisecond", async () => {
  for (const [lasted, wait] of [[29_999, 8], [30_000, 1]] as const) {
    await Rig.use(async (rig) => {
      for (let i = 0; i < 3; i++) await rig.lose((stream) => stream.close());
      // Away from the moments at which the session looks around by itself.
      await rig.clock.advance(300);
      const relay = await rig.accept();
      await relay.send(WELCOME);
      await until(() => rig.events.some(({ event }) => event === "welcome"));
      await rig.clock.advance(lasted);
      await rig.lose((stream) => stream.close());
      assert.deepEqual(rig.waits, [1, 2, 4, wait]);
    });
  }
});

Deno.test("Session does not begin with 1 s again where there was no WELCOME", async () => {
  await Rig.use(async (rig) => {
    await rig.lose((stream) => stream.close());
    const relay = await rig.accept();
    const ping = encodeFrame({ type: "ping", data: new Uint8Array(8) });
    for (let i = 0; i < 4; i++) {
      await relay.send(ping);
      await rig.clock.advance(10_000);
    }
    await rig.lose((stream) => stream.close());
    assert.deepEqual(rig.waits, [1, 2]);
  });
});

Deno.test("Session ends at CLOSE(0), (1), (2), (6), (8), (9), and connects again after any other", async () => {
  const final: number[] = [];
  for (let reason = 0; reason <= 12; reason++) {
    for (const first of [[], [WELCOME]]) {
      await Rig.use(async (rig) => {
        const relay = await rig.accept();
        await relay.send(concat(...first, close(reason)));
        await until(() => rig.ended !== undefined || rig.waits.length > 0);
        if (rig.ended) {
          assert.ok(rig.ended.error instanceof UsageError);
          final.push(reason);
        } else assert.deepEqual(rig.waits, [1]);
      });
    }
  }
  assert.deepEqual([...new Set(final)], [
    REASON.NORMAL,
    REASON.PASSWORD,
    REASON.NOT_ALLOWED,
    REASON.REPLACED,
    REASON.REMOVED,
    REASON.WEAK_KEY,
  ]);
  assert.equal(final.length, 12);
});

Deno.test("Session takes HEARTH/? for the end at first contact, and for a cut once the relay is pinned", async () => {
  await Rig.use(async (rig) => {
    await writeAll(rig.dialed[0]!, OTHER_VERSION);
    await until(() => rig.ended !== undefined);
    assert.ok(rig.ended!.error instanceof UsageError);
  });
  await Rig.use(async (rig) => {
    const relay = await rig.accept();
    await relay.send(WELCOME);
    await rig.lose((stream) => stream.close());
    await rig.lose((stream) => void writeAll(stream, OTHER_VERSION));
    assert.deepEqual(rig.waits, [1, 2]);
    const reasons = rig.events.flatMap((event) =>
      event.event === "disconnected" ? [event.reason] : []
    );
    assert.deepEqual(reasons, ["cut", "version"]);
  });
});

Deno.test("Session tells a relay that stays silent after its JOIN CLOSE(4) after 45 s, and connects again", async () => {
  await Rig.use(async (rig) => {
    const relay = await rig.accept();
    await rig.clock.advance(44_999);
    assert.equal(relay.reason, undefined);
    await rig.clock.advance(1);
    await until(() => relay.reason !== undefined);
    assert.equal(relay.reason, REASON.TIMEOUT);
    await until(() => rig.waits.length > 0);
  });
});

Deno.test("Session closes instead of M3 when the relay's key is too small, and ends", async () => {
  for (const [minKeyBits, accepted] of [[3072, true], [3073, false]] as const) {
    await Rig.use(async (rig) => {
      if (accepted) return void await rig.accept();
      await assert.rejects(rig.accept(), /^Error: end$/);
      await until(() => rig.ended !== undefined);
      assert.ok(rig.ended!.error instanceof UsageError);
    }, { minKeyBits });
  }
});
