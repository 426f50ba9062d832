import assert from "node:assert/strict";
import { concat } from "../../lib/base/bytes.ts";
import { cipherReady } from "../../lib/protocol/records.ts";
import { UsageError } from "../../lib/base/errors.ts";
import type { SessionEvent } from "../../lib/session/events.ts";
import { OTHER_VERSION } from "../../lib/protocol/handshake.ts";
import { ChangedKeyError, KnownServers } from "../../lib/session/known_servers.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { QUIET_MS } from "../../lib/session/settling.ts";
import { PasswordError } from "../../lib/session/join.ts";
import { MAX_UNANSWERED_PROOFS } from "../../lib/session/password.ts";
import { Session } from "../../lib/session/session.ts";
import { writeAll } from "../../lib/transport/byte_stream.ts";
import { encodeFrame, type Frame, REASON } from "../../lib/protocol/frames.ts";
import { KnownPeers } from "../../lib/session/known_peers.ts";
import { cheapKey, cheapPrimitives } from "../support/cheap_key.ts";
import { FakeClock, until } from "../support/fake_clock.ts";
import { HandRelay } from "../support/hand_relay.ts";
import { memoryPair, type MemoryStream } from "../support/memory_stream.ts";

await cipherReady();

/** The random byte for the longest delays: the factor is 1. */
const FULL = 255;
const ADDRESS = "localhost:40623";
const JOIN_KEY = new Uint8Array(32).fill(1);
const WELCOME = encodeFrame({ type: "welcome", sid: "aa".repeat(8), capacity: 64, members: [] });

function close(reason: number): Uint8Array {
  return encodeFrame({ type: "close", reason });
}

interface RigOptions {
  /** The random byte of each delay: 0 gives a factor of 0.5, 255 one of 1. */
  readonly factor?: number;
  readonly minKeyBits?: number;
  readonly password?: string;
}

/** A session whose connections the test answers. */
class Rig {
  readonly clock = new FakeClock();
  readonly events: SessionEvent[] = [];
  /** The relay's ends of the connections, newest last. */
  readonly dialed: MemoryStream[] = [];
  /** The result of {@linkcode Session.run}; undefined while it runs. */
  ended: { error?: unknown } | undefined;
  readonly session: Session;
  readonly servers: KnownServers;
  /** How often the password's keys were worked out. */
  derived = 0;
  /** The state folder. */
  readonly folder: string;
  #running: Promise<void>;

  private constructor(
    folder: string,
    knownPeers: KnownPeers,
    servers: KnownServers,
    options: RigOptions,
  ) {
    const { factor = FULL, minKeyBits = 2048, password = "" } = options;
    this.folder = folder;
    this.servers = servers;
    this.session = new Session({
      key: cheapKey(5),
      nick: "anna",
      room: "lobby",
      minKeyBits,
      password,
      derive: () => {
        this.derived++;
        return Promise.resolve({ joinKey: JOIN_KEY, roomKey: new Uint8Array(32) });
      },
      address: ADDRESS,
      knownServers: servers,
      knownPeers,
      dial: () => {
        const [near, far] = memoryPair();
        this.dialed.push(far);
        return Promise.resolve(near);
      },
      emit: (event) => void this.events.push(event),
      clock: this.clock,
      random: (length) =>
        length === 1 ? Uint8Array.of(factor) : crypto.getRandomValues(new Uint8Array(length)),
      primitives: cheapPrimitives,
    });
    this.#running = this.session.run().then(
      () => void (this.ended = {}),
      (error) => void (this.ended = { error }),
    );
  }

  static async use(run: (rig: Rig) => Promise<void>, options: RigOptions = {}): Promise<void> {
    const folder = await Deno.makeTempDir();
    const knownPeers = await KnownPeers.load(folder, (error) => {
      throw error;
    });
    const rig = new Rig(folder, knownPeers, await KnownServers.load(folder), options);
    try {
      await run(rig);
    } finally {
      const stopped = rig.session.stop();
      for (const stream of rig.dialed) stream.close();
      await rig.clock.advance(5000);
      await stopped;
      await rig.#running;
      await knownPeers.flush();
      await Deno.remove(folder, { recursive: true });
    }
  }

  /** Answers the newest connection up to its JOIN. @param seed Number of the relay's key. */
  async accept(seed?: number): Promise<HandRelay> {
    const relay = new HandRelay(this.dialed.at(-1)!);
    await relay.accept(seed);
    return relay;
  }

  /** Answers the newest connection with another key, and waits until the client gives up. */
  async impersonate(): Promise<void> {
    const count = this.waits.length;
    await assert.rejects(this.accept(8), /^Error: end$/);
    await until(() => this.ended !== undefined || this.waits.length > count);
  }

  /** The errors of the user's server having another key. */
  get warnings(): string[] {
    return this.events.flatMap((event) =>
      event.event === "error" && event.code === "changed-key" ? [event.message] : []
    );
  }

  /** The delays reported so far, in seconds. */
  get waits(): number[] {
    return this.events.flatMap((event) => event.event === "reconnecting" ? [event.seconds] : []);
  }

  /** Ends the newest connection with `end`, and lets the delay that follows pass. */
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

Deno.test("Session reconnects after 1, 2, 4, 8, 16, 30, 30 s, each times 0.5 to 1", async () => {
  for (const [factor, share] of [[0, 0.5], [FULL, 1]] as const) {
    await Rig.use(async (rig) => {
      for (let i = 0; i < 7; i++) await rig.lose((stream) => stream.close());
      assert.deepEqual(rig.waits, [1, 2, 4, 8, 16, 30, 30].map((seconds) => seconds * share));
    }, { factor });
  }
});

Deno.test("Session resets its delay once a connection has lasted 30 s from WELCOME, to the millisecond", async () => {
  for (const [lasted, wait] of [[29_999, 8], [30_000, 1]] as const) {
    await Rig.use(async (rig) => {
      for (let i = 0; i < 3; i++) await rig.lose((stream) => stream.close());
      // Not at the times of the session's own tick.
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

Deno.test("Session does not reset its delay without a WELCOME", async () => {
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

Deno.test("Session ends at CLOSE(0), (1), (2), (6), (8), (9), and reconnects after any other", async () => {
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

Deno.test("Session ends at HEARTH/? on first contact, and reconnects once the relay is pinned", async () => {
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

Deno.test("Session sends CLOSE(4) when the relay is silent for 45 s after JOIN, and reconnects", async () => {
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

Deno.test("Session sends CLOSE instead of M3 when the relay's key is too small, and ends", async () => {
  for (const [minKeyBits, accepted] of [[3072, true], [3073, false]] as const) {
    await Rig.use(async (rig) => {
      if (accepted) return void await rig.accept();
      await assert.rejects(rig.accept(), /^Error: end$/);
      await until(() => rig.ended !== undefined);
      assert.ok(rig.ended!.error instanceof UsageError);
    }, { minKeyBits });
  }
});

// Keys of relays.

Deno.test("Session ends when another key answers before the first WELCOME, and after that warns once and keeps trying", async () => {
  await Rig.use(async (rig) => {
    await rig.servers.pin(ADDRESS, encodeFingerprint(cheapKey(7).publicKey.fingerprint));
    await rig.impersonate();
    assert.ok(rig.ended!.error instanceof ChangedKeyError);
  });
  await Rig.use(async (rig) => {
    for (let round = 1; round <= 2; round++) {
      await (await rig.accept()).send(WELCOME);
      await rig.lose((stream) => stream.close());
      for (let i = 0; i < 3; i++) {
        await rig.impersonate();
        assert.equal(rig.ended, undefined);
        assert.equal(rig.warnings.length, round);
        await rig.clock.advance(rig.waits.at(-1)! * 1000);
      }
    }
    assert.match(rig.warnings[0]!, /has changed: it is SHA256:.*, and was SHA256:/);
    await (await rig.accept()).send(WELCOME);
    await until(() => rig.session.joined);
  });
});

Deno.test("Session ends with CLOSE when another process has pinned another key meanwhile", async () => {
  await Rig.use(async (rig) => {
    const other = await KnownServers.load(rig.folder);
    const pinned = encodeFingerprint(cheapKey(8).publicKey.fingerprint);
    await other.pin(ADDRESS, pinned);
    const relay = await rig.accept();
    await relay.send(WELCOME);
    await until(() => rig.ended !== undefined);
    const { error } = rig.ended!;
    assert.ok(error instanceof ChangedKeyError);
    for (const key of [pinned, encodeFingerprint(cheapKey(7).publicKey.fingerprint)]) {
      assert.ok(error.message.includes(key), error.message);
    }
    await until(() => relay.reason !== undefined);
    assert.equal(relay.reason, REASON.NORMAL);
  });
});

Deno.test("Session gives a proof of the password to one key only, even if that was never pinned", async () => {
  await Rig.use(async (rig) => {
    await (await rig.accept()).ask(JOIN_KEY); // takes the proof, and says nothing
    await rig.lose((stream) => stream.close());
    await rig.impersonate();
    assert.ok(rig.ended!.error instanceof ChangedKeyError);
    assert.match(rig.ended!.error.message, /the password was given to SHA256:/);
    assert.deepEqual((await KnownServers.load(rig.folder)).find(ADDRESS), undefined);
  }, { password: "secret" });
  await Rig.use(async (rig) => {
    await rig.accept();
    await rig.lose((stream) => stream.close());
    await rig.accept(8); // it never asked for a proof
  }, { password: "secret" });
});

// Passwords.

/** The last `welcome`, and the notices so far. */
function welcomed(rig: Rig): { authenticated: string | undefined; notices: string[] } {
  const welcome = rig.events.findLast(({ event }) => event === "welcome");
  return {
    authenticated: welcome?.event === "welcome" ? welcome.authenticated : undefined,
    notices: rig.events.flatMap((event) => event.event === "notice" ? [event.text] : []),
  };
}

function proof(answer: Uint8Array<ArrayBuffer>): Uint8Array {
  return encodeFrame({ type: "proof", proof: answer });
}

Deno.test("Session shows that it knows the password, and the relay's right answer authenticates it", async () => {
  await Rig.use(async (rig) => {
    const relay = await rig.accept();
    const { isRight, answer } = await relay.ask(JOIN_KEY);
    assert.ok(isRight);
    assert.equal(rig.servers.find(ADDRESS), undefined);
    await relay.send(proof(answer));
    await until(() => rig.servers.find(ADDRESS) !== undefined); // before WELCOME
    await relay.send(WELCOME);
    await until(() => rig.session.joined);
    assert.deepEqual(welcomed(rig), { authenticated: "password", notices: [] });
    await rig.lose((stream) => stream.close());
    await (await rig.accept()).send(WELCOME); // it asks no more
    await until(() => rig.session.joined);
    assert.equal(welcomed(rig).authenticated, "key");
    assert.equal(rig.derived, 1);
  }, { password: "secret" });
});

Deno.test("Session joins a relay that asks for no password, and says that it did not show it", async () => {
  for (const password of ["", "secret"]) {
    await Rig.use(async (rig) => {
      await (await rig.accept()).send(WELCOME);
      await until(() => rig.session.joined);
      const notices = password ? ["the server did not show that it knows the password"] : [];
      assert.deepEqual(welcomed(rig), { authenticated: "none", notices });
      assert.ok(rig.servers.find(ADDRESS));
    }, { password });
  }
});

Deno.test("Session ends with CLOSE(1) when the relay's answer is wrong, or missing before WELCOME", async () => {
  const answers = [
    (answer: Uint8Array<ArrayBuffer>) => proof(answer.map((byte) => byte ^ 1)),
    () => WELCOME,
  ];
  for (const reply of answers) {
    await Rig.use(async (rig) => {
      const relay = await rig.accept();
      const { answer } = await relay.ask(JOIN_KEY);
      await relay.send(concat(reply(answer), WELCOME));
      await until(() => rig.ended !== undefined && relay.reason !== undefined);
      assert.match(String(rig.ended!.error), /this server does not know the password/);
      assert.equal(relay.reason, REASON.PASSWORD);
      assert.ok(!rig.events.some(({ event }) => event === "welcome"));
      assert.equal(rig.servers.find(ADDRESS), undefined);
    }, { password: "secret" });
  }
});

Deno.test("Session tells a password that is missing from a wrong one at CLOSE(1)", async () => {
  for (const password of ["", "secret"]) {
    await Rig.use(async (rig) => {
      const relay = await rig.accept();
      if (password) await relay.ask(new Uint8Array(32).fill(2));
      await relay.send(close(REASON.PASSWORD));
      await until(() => rig.ended !== undefined);
      const { error } = rig.ended!;
      assert.ok(error instanceof PasswordError);
      assert.equal(error.missing, password === "");
    }, { password });
  }
});

Deno.test("Session closes with CLOSE(3) at SHARE and PROOF that may not come, or hold no point", async () => {
  const share = encodeFrame({ type: "share", share: new Uint8Array(32).fill(3) });
  const wrongs: ((relay: HandRelay) => Promise<void>)[] = [
    (relay) => relay.send(proof(new Uint8Array(32))),
    (relay) => relay.send(encodeFrame({ type: "share", share: new Uint8Array(32) })),
    async (relay) => {
      await relay.ask(JOIN_KEY);
      await relay.send(share);
    },
    async (relay) => {
      const { answer } = await relay.ask(JOIN_KEY);
      await relay.send(concat(proof(answer), proof(answer)));
    },
  ];
  for (const wrong of wrongs) {
    await Rig.use(async (rig) => {
      const relay = await rig.accept();
      await wrong(relay);
      await until(() => relay.reason !== undefined);
      assert.equal(relay.reason, REASON.PROTOCOL);
      await until(() => rig.waits.length > 0);
    }, { password: "secret" });
  }
});

Deno.test("Session closes with CLOSE(3) at PLACE where it has sent no SEEK, before WELCOME and after", async () => {
  const place = encodeFrame({ type: "place", body: new Uint8Array(3) });
  for (const before of [[], [WELCOME]]) {
    await Rig.use(async (rig) => {
      const relay = await rig.accept();
      await relay.send(concat(...before, place));
      await until(() => relay.reason !== undefined || relay.ended);
      assert.equal(relay.reason, REASON.PROTOCOL);
    });
  }
});

Deno.test("Session ends after 5 connections that ended after its proof, unless there was a right answer between", async () => {
  await Rig.use(async (rig) => {
    const guess = async () => void await (await rig.accept()).ask(JOIN_KEY);
    for (let i = 0; i < MAX_UNANSWERED_PROOFS - 1; i++) {
      await guess();
      await rig.lose((stream) => stream.close());
    }
    const relay = await rig.accept();
    const { answer } = await relay.ask(JOIN_KEY);
    await relay.send(proof(answer));
    await rig.lose((stream) => stream.close());
    for (let i = 0; i < MAX_UNANSWERED_PROOFS - 1; i++) {
      await guess();
      await rig.lose((stream) => stream.close());
    }
    await rig.accept(); // no proof: not counted
    await rig.lose((stream) => stream.close());
    await guess();
    rig.dialed.at(-1)!.close();
    await until(() => rig.ended !== undefined);
    assert.match(String(rig.ended!.error), /never showed that it knows the password/);
  }, { password: "secret" });
});

Deno.test("Session goes on at HEARTH/? after a proof was sent", async () => {
  await Rig.use(async (rig) => {
    await (await rig.accept()).ask(JOIN_KEY);
    await rig.lose((stream) => stream.close());
    await rig.lose((stream) => void writeAll(stream, OTHER_VERSION));
    assert.equal(rig.ended, undefined);
  }, { password: "secret" });
});

// What the relay itself says, and what operators ask of it.

Deno.test("Session shows 10 notices of the relay a minute, and says how many it left out", async () => {
  await Rig.use(async (rig) => {
    const relay = await rig.accept();
    await relay.send(WELCOME);
    await until(() => rig.session.joined);
    const notice = (what: number, text: string) => encodeFrame({ type: "notice", what, text });
    for (let i = 0; i < 10; i++) await relay.send(notice(i === 0 ? 0 : 1, `n${i}`));
    await relay.send(concat(notice(1, "x"), notice(9, "y")));
    const told = () =>
      rig.events.flatMap((event) =>
        event.event === "server"
          ? [`${event.what} ${event.text}`]
          : event.event === "notice"
          ? [event.text]
          : []
      );
    const shown = ["motd n0", ...Array.from({ length: 9 }, (_, i) => `announcement n${i + 1}`)];
    assert.deepEqual(told(), shown);
    const ping = encodeFrame({ type: "ping", data: new Uint8Array(8) });
    for (const delay of [20_000, 20_000, 19_999]) {
      await rig.clock.advance(delay);
      await relay.send(ping);
    }
    assert.deepEqual(told(), shown);
    await rig.clock.advance(1);
    assert.deepEqual(told(), [...shown, "2 more notices of the server were left out"]);
    for (let i = 0; i < 11; i++) await relay.send(notice(1, "z"));
    void rig.session.stop();
    await until(() => rig.ended !== undefined);
    assert.equal(told().at(-1), "1 more notices of the server were left out");
  });
});

Deno.test("Session.admin() resolves with the relay's answer, or with nothing when the connection ends", async () => {
  await Rig.use(async (rig) => {
    assert.throws(() => rig.session.admin({ verb: "bans" }), /no connection/);
    const relay = await rig.accept();
    await relay.send(WELCOME);
    await until(() => rig.session.joined);
    const first = rig.session.admin({ verb: "bans" });
    const second = rig.session.admin({ verb: "announce", text: "hi" });
    await until(() => relay.frames.filter(({ type }) => type === "admin").length === 2);
    const [, { request }] = relay.frames.filter((frame) => frame.type === "admin") as [
      Frame,
      Extract<Frame, { type: "admin" }>,
    ];
    const data = Uint8Array.of(1, 2);
    await relay.send(concat(
      encodeFrame({ type: "result", request: "ffffffff", status: 5, data }),
      encodeFrame({ type: "result", request, status: 1, data }),
    ));
    assert.deepEqual(await second, { status: 1, data });
    await rig.lose((stream) => stream.close());
    assert.equal(await first, undefined);
  });
});

Deno.test("Session.motd is the message of the last join, or what the user has set since", async () => {
  await Rig.use(async (rig) => {
    const relay = await rig.accept();
    await relay.send(concat(WELCOME, encodeFrame({ type: "notice", what: 0, text: "be kind" })));
    await until(() => rig.session.motd === "be kind");
    await relay.send(encodeFrame({ type: "notice", what: 1, text: "closing" }));
    for (const [status, motd] of [[1, "be kind"], [0, "be brief"]] as const) {
      const before = relay.frames.length;
      const set = rig.session.admin({ verb: "motd", text: "be brief" });
      const find = () => relay.frames.slice(before).find((frame) => frame.type === "admin");
      await until(() => find() !== undefined);
      const { request } = find() as Extract<Frame, { type: "admin" }>;
      await relay.send(encodeFrame({ type: "result", request, status, data: new Uint8Array() }));
      await set;
      assert.equal(rig.session.motd, motd);
    }
  });
});

// Settling.

/** The events about the user's own messages, with their `ref`. */
function own(rig: Rig): string[] {
  return rig.events.flatMap((event) => {
    if (event.event === "sent" || event.event === "error") return [`${event.event} ${event.ref}`];
    return event.event === "undelivered" ? [`undelivered to ${event.to.length}`] : [];
  });
}

Deno.test("Session takes what is written while it connects, and says 5 s after WELCOME that nobody is there", async () => {
  await Rig.use(async (rig) => {
    const id = rig.session.say("early", { ref: "a" });
    rig.session.sendPrivate("bert", "alone", { ref: "b" });
    assert.ok(rig.session.isWaiting(id));
    await rig.clock.advance(60_000);
    await (await rig.accept()).send(WELCOME);
    rig.session.say("later", { ref: "c" });
    await rig.clock.advance(QUIET_MS - 1);
    assert.deepEqual(own(rig), []);
    await rig.clock.advance(1);
    assert.deepEqual(own(rig), [
      "sent a",
      "undelivered to 0",
      "error b",
      "sent c",
      "undelivered to 0",
    ]);
    assert.ok(!rig.session.isWaiting(id) && rig.session.settled);
    assert.throws(() => rig.session.sendPrivate("bert", "x"), /nobody here is called bert/);
    await rig.lose((stream) => stream.close());
    rig.session.say("offline", { ref: "d" });
    await (await rig.accept()).send(WELCOME);
    await rig.clock.advance(QUIET_MS - 1);
    assert.ok(!own(rig).includes("sent d"));
    await rig.clock.advance(1);
    assert.ok(own(rig).includes("sent d"));
  });
});

Deno.test("Session accepts what waits when it is stopped, and reports it", async () => {
  await Rig.use(async (rig) => {
    rig.session.say("early", { ref: "a" });
    void rig.session.stop();
    await until(() => rig.ended !== undefined);
    assert.deepEqual(own(rig), ["sent a", "undelivered to 0"]);
  });
});
