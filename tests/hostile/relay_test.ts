/**
 * Honest clients against a hostile relay, which can only refuse, delay and cut, and visibly so (PROTOCOL.md §3, §5,
 * §6). In virtual time; FUZZ_SECONDS lengthens the random part.
 */
import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { type Bytes, concat, decodeHex, encodeHex } from "../../lib/base/bytes.ts";
import { cipherReady } from "../../lib/protocol/records.ts";
import { encodeFrame, FRAME, type Frame, KIND, REASON } from "../../lib/protocol/frames.ts";
import { KEPT_MS } from "../../lib/protocol/limits.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { type ByteStream, writeAll } from "../../lib/transport/byte_stream.ts";
import { cheapKey } from "../support/cheap_key.ts";
import {
  deliver,
  HostileRelay,
  type Line,
  type Sent,
  type Victim,
} from "../support/hostile_relay.ts";
import { assertTimed, fuzzLimits } from "../support/timed.ts";

await cipherReady();

const encoder = new TextEncoder();

// --- Payloads in transit ---

/** What the relay does to a payload at random; `delay` and `reorder` deliver it later. */
type Misdeed = (relay: HostileRelay, sent: Sent) => ReturnType<HostileRelay["route"]>;

function change(sent: Sent, payload: Uint8Array): ReturnType<typeof deliver> {
  return deliver({ ...sent, frame: { ...sent.frame, payload } });
}

function later(relay: HostileRelay, sent: Sent, delay: number): readonly [] {
  const { to } = sent;
  const lines = deliver(sent);
  relay.clock.after(delay, () => {
    for (const [line, frame] of lines) {
      // Nothing may come from a sid that has left, or the client would close the connection.
      if (relay.lines.includes(sent.from) && to && relay.lines.includes(to)) {
        relay.tell(line, frame);
      }
    }
  });
  return [];
}

const MISDEEDS: Readonly<Record<string, Misdeed>> = {
  flip({ random }, sent) {
    const payload = sent.frame.payload.slice();
    payload[random.below(payload.length)]! ^= 1 << random.below(8);
    return change(sent, payload);
  },
  truncate({ random }, sent) {
    const { payload } = sent.frame;
    return change(sent, payload.slice(0, Math.max(1, random.below(payload.length))));
  },
  extend: ({ random }, sent) =>
    change(sent, concat(sent.frame.payload, random.bytes(1 + random.below(40)))),
  drop: () => [],
  repeat: (_relay, sent) => [...deliver(sent), ...deliver(sent)],
  "repeat later": (relay, sent) => {
    later(relay, sent, relay.random.below(20_000));
    return deliver(sent);
  },
  reorder: (relay, sent) => later(relay, sent, 1 + relay.random.below(100)),
  delay: (relay, sent) => later(relay, sent, relay.random.below(20_000)),
  "give to another": (relay, sent) => deliver({ ...sent, to: relay.random.pick(relay.lines) }),
  "say it is another's": (relay, sent) =>
    deliver({ ...sent, from: relay.random.pick(relay.lines) }),
  "claim it is the receiver's own": (_relay, { from, frame }) => deliver({ from, to: from, frame }),
  "send back": (_relay, { from, to, frame }) => to ? deliver({ from: to, to: from, frame }) : [],
  "change the tag"({ random }, sent) {
    return deliver({ ...sent, frame: { ...sent.frame, tag: encodeHex(random.bytes(4)) } });
  },
  "change the kind"({ random }, sent) {
    return deliver({ ...sent, frame: { ...sent.frame, kind: random.between(1, 4) } });
  },
  everything: (relay, sent) => {
    const { everything: _, ...others } = MISDEEDS;
    return relay.random.pick(Object.values(others))(relay, sent);
  },
};

/** All clients chat for a minute, while the relay does `misdeed` to one payload in fourteen. */
async function talkThrough(misdeed: Misdeed, seed: number): Promise<number> {
  let count = 0;
  let misdeeds = 0;
  await HostileRelay.use(async (relay) => {
    const { random } = relay;
    relay.route = (sent) => {
      if (!random.chance(0.07)) return deliver(sent);
      misdeeds++;
      return misdeed(relay, sent);
    };
    for (let i = 0; i < 3; i++) relay.victim(10 + i);
    for (let time = 0; time < 60_000; time += 500) {
      const victim = random.pick(relay.victims);
      victim.say(`${count++}`);
      await relay.advance(random.below(1000));
    }
    await relay.assertHeals();
    relay.assertNothingLost();
    assert.ok(misdeeds > 10);
  }, seed);
  return count;
}

for (const [name, misdeed] of Object.entries(MISDEEDS)) {
  Deno.test(`Session against a relay that can ${name}: nothing forged, nothing lost`, async () => {
    assert.equal(await talkThrough(misdeed, 1), 120);
  });
}

Deno.test("Session against a relay that does all of that: nothing forged, nothing lost", async () => {
  const run = async (seed: number) => void await talkThrough(MISDEEDS.everything!, seed);
  const examples: [number][] = [[1000], [1001], [1002]];
  await assertTimed(fc.nat(), run, { ...fuzzLimits(examples.length, 1), examples });
});

// --- The roster ---

Deno.test("Session accepts no message under a swapped fingerprint, and confuses no members", async () => {
  await HostileRelay.use(async (relay) => {
    const [ann, bob] = [relay.victim(10), relay.victim(11)];
    const stranger = cheapKey(99).publicKey.fingerprint;
    // It tells Ann that Bob is somebody else, then that Bob is Ann herself.
    for (const claimed of [stranger, ann.key.publicKey.fingerprint]) {
      relay.claim = ({ who, accepted }, to) =>
        who === bob && to.who === ann ? claimed : accepted.peer.fingerprint;
      relay.cut();
      await relay.advance(20_000);
      ann.say(`to ${encodeFingerprint(claimed)}`);
      bob.say("to Ann");
      await relay.advance(40_000);
      assert.deepEqual([ann.all("joined"), bob.all("joined")], [[], []]);
      assert.deepEqual([ann.shown, bob.shown], [[], []]);
      const { text } = ann.all("notice").at(-1)!;
      assert.equal(
        text,
        `cannot authenticate ${encodeFingerprint(claimed)}: another password, or not a member`,
      );
    }
    await relay.assertHeals();
  });
});

Deno.test("Session shows no ghost under a key the relay does not have", async () => {
  await HostileRelay.use(async (relay) => {
    const [ann, bob] = await relay.meet(10, 11) as [Victim, Victim];
    const { random } = relay;
    const echo = relay.route;
    const ghosts: string[] = [];
    for (
      const fingerprint of [random.bytes(32), bob.key.publicKey.fingerprint, new Uint8Array(32)]
    ) {
      const sid = encodeHex(random.bytes(8));
      ghosts.push(sid);
      for (const line of relay.lines) relay.tell(line, { type: "joined", sid, fingerprint });
    }
    // The ghosts answer with noise, echoes, and replays of others.
    relay.route = (sent) => {
      if (sent.to) return echo(sent);
      const { from, frame } = sent;
      const payload = random.chance(0.5) ? frame.payload : random.bytes(frame.payload.length);
      return [[from, { ...frame, type: "recv", kind: random.between(1, 4), payload }]];
    };
    for (const sid of ghosts) {
      const recv = (kind: number, payload: Bytes) =>
        relay.tell(ann.line, { type: "recv", sid, kind, tag: "00000001", payload });
      recv(KIND.M1, concat(encoder.encode("HEARTH/1"), random.bytes(32)));
      recv(KIND.RECORD, random.bytes(100));
    }
    ann.say("with ghosts around");
    await relay.advance(60_000);
    assert.deepEqual(bob.shown, ["with ghosts around"]);
    assert.deepEqual(ann.all("joined").map(({ fingerprint }) => fingerprint), [bob.name]);
    assert.equal(ann.all("notice").length, 2); // cannot authenticate …: Bob is shown
    await relay.assertHeals();
  });
});

Deno.test("Session with a password shows no ghost, and reaches the others past it", async () => {
  await HostileRelay.use(async (relay) => {
    const password = "of the members";
    const [ann, bob] = [relay.victim(10, { password }), relay.victim(11, { password })];
    const ghost = relay.victim(12); // does everything right, but for the password
    while (relay.lines.length < 3) await relay.advance(100);
    await relay.advance(5_000);
    ann.say("between us");
    ghost.say("let me in");
    await relay.advance(60_000);
    assert.deepEqual([ann, bob, ghost].map(({ shown }) => shown), [[], ["between us"], []]);
    assert.deepEqual([ann, bob, ghost].map((it) => it.all("joined").length), [1, 1, 0]);
    const warning = `cannot authenticate ${ghost.name}: another password, or not a member`;
    const notices = ["the server did not show that it knows the password", warning];
    for (const it of [ann, bob]) {
      assert.deepEqual(it.all("notice").map(({ text }) => text), notices);
    }
    relay.assertTruth();
  });
});

Deno.test("Session without a password shows a relay's ghost with a new key", async () => {
  await HostileRelay.use(async (relay) => {
    const [ann, bob] = await relay.meet(10, 11) as [Victim, Victim];
    const ghost = relay.victim(66, { nick: "nick11" }); // Bob's nick, but not his key
    await relay.advance(2000);
    ghost.say("I am Bob");
    await relay.advance(2000);
    const { nick, fingerprint, trust } = ann.all("joined").at(-1)!;
    assert.deepEqual({ fingerprint, trust }, { fingerprint: ghost.name, trust: "conflict" });
    assert.notEqual(nick, "nick11");
    const [first] = ann.all("chat");
    assert.ok(ann.events.indexOf(first!) > ann.events.indexOf(ann.all("joined").at(-1)!));
    assert.equal(first!.nick, nick);
    assert.throws(() => ann.whisper(ghost, "Bob?"), /known nick with another key/);
    ann.whisper(bob, "still you");
    await relay.advance(2000);
    assert.ok(bob.shown.includes("still you"));
  });
});

Deno.test("Session marks messages from senders with another view: hidden members and ghosts", async () => {
  await HostileRelay.use(async (relay) => {
    const [ann, bob, carl] = [relay.victim(10), relay.victim(11), relay.victim(12)];
    // Carl is hidden from Ann; then she alone sees a ghost; then she alone is told that Carl has left.
    relay.claim = ({ who, accepted }, to) =>
      who === carl && to.who === ann ? undefined : accepted.peer.fingerprint;
    // Payloads from an unknown sid would end her connection, so the relay keeps them from her.
    relay.route = (sent) =>
      sent.from.who === carl && sent.to?.who === ann &&
        relay.claim(sent.from, sent.to) === undefined
        ? []
        : deliver(sent);
    await relay.advance(10_000);
    ann.say("Carl is hidden from me");
    bob.say("and I see all");
    await relay.advance(10_000);
    assert.deepEqual(ann.shown, ["and I see all (differs)"]);
    assert.deepEqual(bob.shown, ["Carl is hidden from me (differs)"]);
    assert.deepEqual(carl.shown, ["and I see all"]);
    await relay.assertHeals();
    assert.ok(carl.shown.includes(`healed, says ${ann.name}`));

    const ghost: Frame = {
      type: "joined",
      sid: "0123456789abcdef",
      fingerprint: new Uint8Array(32),
    };
    relay.tell(ann.line, ghost);
    await relay.advance(6000);
    ann.say("I see a ghost");
    bob.say("I do not");
    await relay.advance(10_000);
    assert.equal(ann.shown.at(-1), "I do not (differs)");
    assert.equal(bob.shown.at(-1), "I see a ghost (differs)");
    await relay.assertHeals();

    relay.route = (sent) => sent.from.who === carl && sent.to?.who === ann ? [] : deliver(sent);
    relay.tell(ann.line, { type: "left", sid: carl.line.sid, why: 0 });
    await relay.advance(6000);
    ann.say("Carl has left, I am told");
    await relay.advance(10_000);
    assert.equal(bob.shown.at(-1), "Carl has left, I am told (differs)");
    assert.ok(!carl.shown.includes("Carl has left, I am told"));
    await relay.assertHeals();
  });
});

Deno.test("Session reports messages that a LEFT, true or false, kept from arriving", async () => {
  for (const why of [0, 1, 2, 3, 200]) {
    await HostileRelay.use(async (relay) => {
      const [ann, bob] = await relay.meet(10, 11) as [Victim, Victim];
      relay.route = () => [];
      ann.say("on its way");
      await relay.advance(500);
      relay.tell(ann.line, { type: "left", sid: bob.line.sid, why });
      await relay.advance(500);
      const reported = ann.all("undelivered").map(({ to }) => to);
      assert.deepEqual(reported, why === 0 || why === 3 ? [[bob.name]] : []);
      await relay.assertHeals();
      relay.assertNothingLost();
      if (reported.length === 0) assert.ok(bob.shown.some((text) => text.startsWith("on its way")));
    });
  }
});

/** Frames that clients must refuse (§5). */
const MALFORMED: readonly (readonly [name: string, (relay: HostileRelay, line: Line) => void])[] = [
  ["a second WELCOME", (relay, line) => relay.tell(line, relay.welcomeOf(line))],
  ["a sid twice", (relay, line) => relay.tell(line, joined(relay.welcomeOf(line)))],
  ["the receiver's sid", (relay, line) => relay.tell(line, { ...STRANGER, sid: line.sid })],
  ["a sid of zeros", (relay, line) => relay.tellRaw(line, FRAME.JOINED, new Uint8Array(40))],
  [
    "LEFT of an unknown sid",
    (relay, line) => relay.tell(line, { type: "left", sid: "0".repeat(15) + "1", why: 0 }),
  ],
  [
    "LEFT of the receiver",
    (relay, line) => relay.tell(line, { type: "left", sid: line.sid, why: 0 }),
  ],
  [
    "RECV from an unknown sid",
    (relay, line) =>
      relay.tell(line, {
        type: "recv",
        sid: "f".repeat(16),
        kind: 4,
        tag: "00000000",
        payload: new Uint8Array(9),
      }),
  ],
  ["RECV without a payload", (relay, line) => relay.tellRaw(line, FRAME.RECV, new Uint8Array(13))],
  ["RECV of an unknown kind", (relay, line) => {
    const [other] = relay.welcomeOf(line).members;
    relay.tellRaw(
      line,
      FRAME.RECV,
      concat(decodeHex(other!.sid), Uint8Array.of(5), new Uint8Array(9)),
    );
  }],
  ["JOINED beyond the capacity", (relay, line) => {
    for (let i = 0; i < 64; i++) {
      relay.tell(line, { ...STRANGER, sid: encodeHex(relay.random.bytes(8)) });
    }
  }],
  [
    "a truncated JOINED",
    (relay, line) => relay.tellRaw(line, FRAME.JOINED, new Uint8Array(39).fill(1)),
  ],
  [
    "a LEFT that is too long",
    (relay, line) => relay.tellRaw(line, FRAME.LEFT, new Uint8Array(10).fill(1)),
  ],
  ["SEND", (relay, line) => relay.tellRaw(line, FRAME.SEND, new Uint8Array(99).fill(1))],
  ["JOIN", (relay, line) => relay.tellRaw(line, FRAME.JOIN, new Uint8Array(80))],
  ["an unknown type", (relay, line) => relay.tellRaw(line, 0x77, new Uint8Array(8))],
  ["PING of 7 bytes", (relay, line) => relay.tellRaw(line, FRAME.PING, new Uint8Array(7))],
];

const STRANGER = {
  type: "joined",
  sid: "00000000000000aa",
  fingerprint: new Uint8Array(32),
} as const;

function joined({ members }: Extract<Frame, { type: "welcome" }>): Frame {
  return { type: "joined", ...members[0]! };
}

for (const [name, misbehave] of MALFORMED) {
  Deno.test(`Session answers ${name} with CLOSE(3), reconnects and recovers`, async () => {
    await HostileRelay.use(async (relay) => {
      const [ann, bob] = await relay.meet(10, 11) as [Victim, Victim];
      misbehave(relay, ann.line);
      bob.say("meanwhile");
      await relay.advance(200);
      assert.deepEqual(relay.reasons, [REASON.PROTOCOL]);
      assert.deepEqual(ann.all("disconnected"), [{
        event: "disconnected",
        reason: "protocol error",
      }]);
      await relay.advance(60_000);
      assert.deepEqual(ann.shown.map((text) => text.replace(/ .*/, "")), ["meanwhile"]);
      await relay.assertHeals();
      relay.assertNothingLost();
    });
  });
}

Deno.test("Session refuses a malformed WELCOME and frames before it, and recovers", async () => {
  const members = (count: number, sid?: Bytes) =>
    concat(
      ...Array.from({ length: count }, (_, i) =>
        concat(sid ?? Uint8Array.of(1, 0, 0, 0, 0, 0, 0, i), new Uint8Array(32))),
    );
  const welcome = (sid: string, capacity: number, count: number, rest: Bytes) => {
    const body = concat(
      decodeHex(sid),
      Uint8Array.of(capacity >> 8, capacity, count >> 8, count),
      rest,
    );
    return concat(Uint8Array.of(FRAME.WELCOME, body.length >> 8, body.length), body);
  };
  const bad: readonly ((line: Line) => Uint8Array)[] = [
    ({ sid }) => welcome(sid, 257, 0, new Uint8Array()),
    ({ sid }) => welcome(sid, 0, 0, new Uint8Array()),
    ({ sid }) => welcome(sid, 2, 2, members(2)),
    ({ sid }) => welcome(sid, 64, 2, members(1)),
    ({ sid }) => welcome(sid, 64, 1, members(2)),
    ({ sid }) => welcome(sid, 64, 2, members(2, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8))),
    ({ sid }) => welcome(sid, 64, 1, members(1, new Uint8Array(8))),
    ({ sid }) => welcome(sid, 64, 1, members(1, decodeHex(sid))),
    () => welcome("0".repeat(16), 64, 0, new Uint8Array()),
    ({ sid }) => welcome(sid, 64, 0xffff, new Uint8Array()),
    () => encodeFrame(STRANGER),
    ({ sid }) => encodeFrame({ type: "left", sid, why: 0 }),
    () => Uint8Array.of(FRAME.WELCOME, 0, 0),
    () => Uint8Array.of(FRAME.WELCOME, 0, 200, 1),
  ];
  await HostileRelay.use(async (relay) => {
    for (const make of bad) {
      relay.reasons.length = 0;
      relay.welcome = make;
      const ann = relay.victim(10);
      await relay.advance(200);
      assert.deepEqual(relay.reasons, [REASON.PROTOCOL]);
      assert.deepEqual(ann.all("welcome"), []);
      relay.welcome = undefined;
      await relay.advance(3000);
      assert.equal(ann.all("welcome").length, 1);
      await ann.session.stop();
      await relay.advance(3000);
      relay.victims.length = 0;
    }
  });
});

// --- Connections ---

Deno.test("Session treats a replayed connection as cut, and reconnects", async () => {
  await HostileRelay.use(async (relay) => {
    const [ann, bob] = await relay.meet(10, 11) as [Victim, Victim];
    bob.say("said once");
    await relay.advance(1000);
    const [first] = relay.recordings;
    let replays = 0;
    relay.answer = (stream) => {
      replays++;
      void writeAll(stream, concat(...first!.chunks)).catch(() => {});
      relay.answer = undefined;
    };
    relay.cut([ann.line]);
    await relay.advance(10_000);
    assert.equal(replays, 1);
    const reasons = ann.all("disconnected").map(({ reason }) => reason);
    assert.deepEqual(reasons, ["cut", "cut"]);
    assert.deepEqual(ann.shown, ["said once"]);
    await relay.assertHeals();
  });
});

Deno.test("Session accepts nothing from earlier channels, whatever its tag", async () => {
  await HostileRelay.use(async (relay) => {
    const [ann, bob] = await relay.meet(10, 11) as [Victim, Victim];
    const heard: Sent[] = [];
    relay.route = (sent) => {
      heard.push({ ...sent, frame: { ...sent.frame, payload: sent.frame.payload.slice() } });
      return deliver(sent);
    };
    for (let i = 0; i < 3; i++) {
      relay.cut();
      await relay.advance(10_000);
      bob.say(`${i}`);
      ann.say(`${i} too`);
      await relay.advance(2000);
    }
    const tags = [...new Set(heard.map(({ frame }) => frame.tag))];
    assert.ok(tags.length >= 3 && heard.length > 20, `only ${heard.length} were heard`);
    relay.route = deliver;
    for (const { from, frame } of heard) {
      const to = from.who === ann ? bob : ann;
      for (const tag of [frame.tag, tags.at(-1)!]) {
        relay.tell(to.line, { ...frame, type: "recv", sid: from.who.line.sid, tag });
      }
      await relay.advance(10);
    }
    await relay.advance(60_000);
    assert.deepEqual(ann.shown, ["0", "1", "2"]);
    assert.deepEqual(bob.shown, ["0 too", "1 too", "2 too"]);
    await relay.assertHeals();
  });
});

Deno.test("Session ends on HEARTH/? at first contact, and retries with a known relay", async () => {
  await HostileRelay.use(async (relay) => {
    const old = async (stream: ByteStream) => {
      await stream.read(new Uint8Array(8));
      await stream.write(encoder.encode("HEARTH/?"));
      stream.close();
    };
    relay.answer = old;
    const stranger = relay.victim(9);
    await relay.advance(1000);
    assert.match(String(stranger.failure), /another version of the protocol/);
    relay.victims.length = 0;
    relay.answer = undefined;
    const [ann] = await relay.meet(10, 11) as [Victim, Victim];
    relay.answer = old;
    relay.cut();
    await relay.advance(20_000);
    const reasons = ann.all("disconnected").map(({ reason }) => reason);
    assert.deepEqual(reasons.slice(0, 3), ["cut", "version", "version"]);
    await relay.assertHeals();
  });
});

Deno.test("Session treats a changed byte in M2 as a cut, and warns only when another key is proven", async () => {
  await HostileRelay.use(async (relay) => {
    const ann = relay.victim(10);
    await relay.advance(1000);
    const serve = relay.dial.bind(relay);
    let place = -1;
    relay.dial = async (victim) => {
      const stream = await serve(victim);
      let passed = 0;
      return {
        async read(into) {
          const length = await stream.read(into);
          if (length === null) return null;
          if (place >= passed && place < passed + length) into[place - passed]! ^= 0x20;
          passed += length;
          return length;
        },
        write: (bytes) => stream.write(bytes),
        closeWrite: () => stream.closeWrite(),
        close: () => stream.close(),
      };
    };
    const length = 2029; // M2 of a relay whose key has 3072 bits
    let tried = 0;
    for (let next = 0; next < length; next += next < 60 ? 3 : 97) {
      place = next;
      const before = ann.all("disconnected").length;
      relay.cut();
      while (ann.all("disconnected").length < before + 2) await relay.advance(1000);
      assert.equal(ann.all("disconnected").at(-1)!.reason, "cut", `byte ${next}`);
      tried++;
      place = -1;
      while (relay.lines.length === 0) await relay.advance(1000);
    }
    assert.ok(tried > 35);
    assert.deepEqual(ann.all("error"), []);
    relay.dial = serve;
    relay.key = cheapKey(2);
    relay.cut();
    await relay.advance(60_000);
    assert.equal(ann.failure, undefined);
    assert.match(ann.all("error").at(-1)!.message, /changed/);
  });
});

// --- Floods ---

Deno.test("Session survives floods of frames: few answers, and honest members continue", async () => {
  await HostileRelay.use(async (relay) => {
    const [ann, bob] = await relay.meet(10, 11) as [Victim, Victim];
    const { line } = ann;
    const answers: number[] = [];
    relay.route = (sent) => {
      if (sent.from.who === ann && sent.frame.kind === KIND.M2) answers.push(relay.clock.now());
      return deliver(sent);
    };
    const send = (frame: Frame) => relay.tell(line, frame);
    const noise = relay.random.bytes(200);
    const { sid } = bob.line;
    // 6 s of pings, forged records, handshakes from everybody, and ghosts that come and go.
    for (let second = 0; second < 6; second++) {
      for (let i = 0; i < 100; i++) {
        send({ type: "ping", data: relay.random.bytes(8) });
        send({ type: "pong", data: relay.random.bytes(8) });
        send({
          type: "recv",
          sid,
          kind: 1 + i % 3,
          tag: encodeHex(relay.random.bytes(4)),
          payload: noise,
        });
        const m1 = concat(encoder.encode("HEARTH/1"), relay.random.bytes(32));
        send({
          type: "recv",
          sid,
          kind: KIND.M1,
          tag: encodeHex(relay.random.bytes(4)),
          payload: m1,
        });
        const ghost = encodeHex(relay.random.bytes(8));
        send({ type: "joined", sid: ghost, fingerprint: relay.random.bytes(32) });
        send({ type: "recv", sid: ghost, kind: KIND.M1, tag: "00000001", payload: m1 });
        send({ type: "left", sid: ghost, why: i });
      }
      ann.say(`${second}`);
      await relay.advance(1000);
    }
    await relay.advance(10_000);
    assert.equal(ann.failure, undefined);
    assert.deepEqual(ann.all("disconnected"), []);
    assert.ok(answers.length <= 6 + 20 * 7, `${answers.length} answers`);
    assert.deepEqual(ann.all("joined").map(({ fingerprint }) => fingerprint), [bob.name]);
    const texts = bob.all("chat").map(({ text }) => text);
    assert.deepEqual(texts, Array.from({ length: 6 }, (_, i) => `${i}`));
    await relay.assertHeals();
  });
});

Deno.test("Session: entries of the roster that come and go get nothing, and evict nobody who is lost", async () => {
  await HostileRelay.use(async (relay) => {
    const [ann, bob] = await relay.meet(10, 11) as [Victim, Victim];
    relay.tell(ann.line, { type: "left", sid: bob.line.sid, why: 1 });
    relay.route = () => [];
    ann.say("to the lost member");
    for (let i = 0; i < 1000; i++) {
      const sid = encodeHex(relay.random.bytes(8));
      const fingerprint = relay.random.bytes(32);
      relay.tell(ann.line, { type: "joined", sid, fingerprint });
      relay.tell(ann.line, { type: "left", sid, why: 1 + i % 2 });
    }
    await relay.advance(10);
    ann.say("and to nobody else");
    await relay.advance(10);
    assert.deepEqual(
      ann.session.membership.people.addressed().map(({ fingerprint }) => fingerprint),
      [bob.name],
    );
    await relay.assertHeals();
    assert.deepEqual(bob.all("chat").map(({ text }) => text).slice(0, 2), [
      "to the lost member",
      "and to nobody else",
    ]);
    await relay.advance(KEPT_MS);
    assert.deepEqual(ann.all("undelivered"), []);
  });
});
