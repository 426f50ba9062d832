import assert from "node:assert/strict";
import { concat, decodeHex, encodeHex, MAX_COUNTER } from "../../lib/base/bytes.ts";
import { Channel, type Inbox } from "../../lib/session/peer_channel.ts";
import { cipherReady, Opener, Sealer } from "../../lib/protocol/records.ts";
import { DecryptError, ProtocolError } from "../../lib/base/errors.ts";
import {
  decodeMessage,
  encodeMessage,
  type Message,
  type SentMessage,
} from "../../lib/protocol/messages.ts";
import { Outbox } from "../../lib/session/outbox.ts";
import type { Outgoing, Target } from "../../lib/target.ts";
import { cheapKey } from "../support/cheap_key.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { kat, katBytes } from "../support/kat.ts";
import { chat, HELLO, INSTANCE } from "../support/messages.ts";

await cipherReady();

const VIEW = new Uint8Array(32);
const KEYS = { ours: new Uint8Array(32).fill(1), theirs: new Uint8Array(32).fill(2) };

/** What outlives a channel. */
class Life {
  readonly clock = new FakeClock();
  readonly events: string[] = [];
  readonly inbox: Inbox = { received: 0, took: false };
  readonly outbox: Outbox;
  readonly target: Target;
  #serial = 0;

  constructor() {
    this.outbox = new Outbox(this.clock, {
      delivered: (message) => this.events.push(`delivered ${message.text}`),
      undelivered: (message) => this.events.push(`undelivered ${message.text}`),
    });
    this.target = this.outbox.bind(this.outbox.addWaiting("anna"), INSTANCE, { adopt: true });
  }

  write(text: string): void {
    const message: Outgoing = {
      id: this.#serial.toString(16).padStart(16, "0"),
      serial: this.#serial++,
      time: 0,
      action: false,
      private: false,
      text,
      bytes: text.length,
    };
    this.outbox.add(message, [this.target]);
  }
}

/** A channel, and its other end driven by hand. */
class Rig {
  readonly channel: Channel;
  /** What the channel sent and `take` has not given yet. */
  #sent: string[] = [];
  #sealer = new Sealer(KEYS.theirs);

  constructor(readonly life: Life = new Life()) {
    const { events, inbox, target } = life;
    const opener = new Opener(KEYS.ours);
    this.channel = new Channel({
      tag: "00000001",
      keys: {
        peer: cheapKey(1).publicKey,
        sendKey: KEYS.ours,
        receiveKey: KEYS.theirs,
        th3: new Uint8Array(32),
      },
      outbox: life.outbox,
      startedAt: 0,
      send: (record) => this.#sent.push(describe(decodeMessage(opener.open(record)))),
      listener: {
        hello: (_, { nick }) => {
          events.push(`hello ${nick}`);
          return { target, inbox };
        },
        ready: () => events.push("ready"),
        closed: (_, reason) => events.push(`closed ${reason}`),
        chat: ({ seq, text }) => events.push(`chat ${seq} ${text}`),
        nick: (nick) => events.push(`nick ${nick}`),
        lost: (count) => events.push(`lost ${count}`),
        away: (text) => events.push(`away ${text}`),
        ackDue: () => events.push("ackDue"),
      },
    });
  }

  /** The other end sends a plaintext. */
  take(plaintext: Uint8Array): void {
    this.channel.take(this.channel.open(this.#sealer.seal(plaintext)));
  }

  say(message: SentMessage): void {
    this.take(encodeMessage(message));
  }

  /** HELLO and ACK of the other end: messages flow. */
  open(received = 0): this {
    this.say(HELLO);
    this.say({ type: "ack", received });
    this.life.events.length = 0;
    this.#sent.length = 0;
    return this;
  }

  pump(room: () => boolean = () => true): void {
    this.channel.pump({
      nick: "me",
      now: this.life.clock.now(),
      room,
      encode: ({ message, seq }) => encodeMessage(chat(seq, message!.text)),
    });
  }

  /** What was sent since the last call. */
  sent(): string[] {
    return this.#sent.splice(0);
  }

  /** What happened since the last call. */
  events(): string[] {
    return this.life.events.splice(0);
  }
}

function describe(message: Message): string {
  switch (message.type) {
    case "chat":
      return `chat ${message.seq} ${message.text}`;
    case "nick":
      return `nick ${message.seq} ${message.nick}`;
    case "ack":
      return `ack ${message.received}`;
    case "gap":
      return `gap ${message.next}`;
    case "close":
      return `close ${message.reason}`;
    default:
      return message.type;
  }
}

Deno.test("Channel refuses what the known answers refuse for its state", () => {
  let count = 0;
  for (const known of kat.messages.rejected) {
    if (known.state === undefined) continue;
    const rig = new Rig();
    if (known.state !== "before HELLO") rig.say(HELLO);
    assert.throws(() => rig.take(katBytes(known)), ProtocolError, known.reason);
    count++;
  }
  assert.equal(count, 5);
});

Deno.test("Channel refuses every known bad message also when messages flow", () => {
  let count = 0;
  for (const known of kat.messages.rejected) {
    if (known.state === "before HELLO") continue;
    assert.throws(() => new Rig().open().take(katBytes(known)), ProtocolError, known.reason);
    count++;
  }
  assert.equal(count, 49);
});

Deno.test("Channel refuses everything but CLOSE before HELLO", () => {
  const messages: SentMessage[] = [
    chat(1, "a"),
    { type: "nick", seq: 1, nick: "b" },
    { type: "ack", received: 0 },
    { type: "gap", next: 1 },
    { type: "away", text: "x" },
  ];
  for (const message of messages) {
    assert.throws(() => new Rig().say(message), new ProtocolError("unexpected"));
  }
  assert.throws(() => new Rig().take(Uint8Array.of(0x7f)), new ProtocolError("unexpected"));
  const rig = new Rig();
  rig.say({ type: "close", reason: 9 });
  assert.deepEqual(rig.events(), ["closed 9"]);
});

Deno.test("Channel answers HELLO with what it has taken from that instance", () => {
  const life = new Life();
  life.inbox.received = 7;
  const rig = new Rig(life);
  assert.equal(rig.channel.stream, undefined);
  rig.say(HELLO);
  assert.deepEqual(rig.sent(), ["ack 7"]);
  assert.deepEqual(rig.events(), ["hello Anna"]);
  assert.throws(() => rig.say(HELLO), new ProtocolError("unexpected"));
});

Deno.test("Channel is live from the first ACK on, and sends nothing with a seq before", () => {
  const rig = new Rig();
  rig.life.write("a");
  rig.pump();
  rig.say(HELLO);
  rig.pump();
  assert.ok(!rig.channel.live);
  assert.deepEqual(rig.sent(), ["ack 0"]);
  rig.say({ type: "ack", received: 0 });
  assert.ok(rig.channel.live);
  assert.deepEqual(rig.events(), ["hello Anna", "ready"]);
  rig.pump();
  assert.deepEqual(rig.sent(), ["chat 1 a"]);
  rig.say({ type: "ack", received: 1 });
  assert.deepEqual(rig.events(), ["delivered a"]); // ready only once
});

Deno.test("Channel sends each thing once, in order, a change of nick as the nick of that moment", () => {
  const rig = new Rig().open();
  rig.life.write("a");
  rig.life.outbox.addNick(rig.life.target);
  rig.pump();
  rig.life.write("b");
  rig.pump();
  rig.pump();
  assert.deepEqual(rig.sent(), ["chat 1 a", "nick 2 me", "chat 3 b"]);
});

Deno.test("Channel stops sending while the connection takes no more, and goes on from there", () => {
  const rig = new Rig().open();
  for (const text of ["a", "b", "c"]) rig.life.write(text);
  let room = 2;
  rig.pump(() => room-- > 0);
  assert.deepEqual(rig.sent(), ["chat 1 a", "chat 2 b"]);
  rig.pump(() => false);
  assert.deepEqual(rig.sent(), []);
  rig.say({ type: "ack", received: 1 });
  rig.pump();
  assert.deepEqual(rig.sent(), ["chat 3 c"]);
});

Deno.test("Channel says GAP when its lowest seq is above received + 1, and only then", () => {
  for (
    const [received, given, expected] of [
      [3, 0, ["chat 4 e", "chat 5 f"]], // lowest = received + 1
      [2, 3, ["gap 4", "chat 4 e", "chat 5 f"]], // received + 2
      [0, 3, ["gap 4", "chat 4 e", "chat 5 f"]],
      [4, 3, ["chat 5 f"]],
    ] as const
  ) {
    const life = new Life();
    const { target, outbox } = life;
    for (const text of ["b", "c", "d", "e", "f"]) life.write(text);
    new Rig(life).open().pump();
    outbox.acknowledge(target, given || 3);
    const rig = new Rig(life).open(received);
    rig.pump();
    assert.deepEqual(rig.sent(), expected, `received ${received}`);
    rig.pump();
    assert.deepEqual(rig.sent(), []);
  }
});

Deno.test("Channel says GAP also when nothing is left to send", () => {
  const life = new Life();
  for (const text of ["a", "b"]) life.write(text);
  new Rig(life).open().pump();
  life.outbox.giveUp(life.target);
  const rig = new Rig(life).open(1);
  rig.pump();
  assert.deepEqual(rig.sent(), ["gap 3"]);
  life.write("c");
  rig.pump();
  assert.deepEqual(rig.sent(), ["chat 3 c"]);
  const whole = new Rig(life).open(2);
  whole.pump();
  assert.deepEqual(whole.sent(), ["chat 3 c"]);
});

Deno.test("Channel says GAP for what was given up before it was ever sent", () => {
  const life = new Life();
  life.write("a");
  life.outbox.giveUp(life.target);
  life.write("b");
  const rig = new Rig(life).open();
  rig.pump();
  assert.deepEqual(rig.sent(), ["gap 2", "chat 2 b"]);
  rig.say({ type: "ack", received: 2 });
  assert.deepEqual(rig.events(), ["delivered b"]);
});

Deno.test("Channel says GAP for holes in the middle and at the end of a stream", () => {
  const life = new Life();
  for (const text of ["a", "b", "c", "d", "e", "f"]) life.write(text);
  // What moved to another instance of the same person leaves holes.
  life.target.items = life.target.items.filter(({ seq }) => ![2, 3, 6].includes(seq));
  const rig = new Rig(life).open();
  rig.pump();
  assert.deepEqual(rig.sent(), ["chat 1 a", "gap 4", "chat 4 d", "chat 5 e", "gap 7"]);
  rig.say({ type: "ack", received: 6 });
  assert.deepEqual(rig.events(), ["delivered a", "delivered d", "delivered e"]);
});

Deno.test("Channel takes an ACK up to what was sent or skipped, and ignores lower ones than before", () => {
  const rig = new Rig().open();
  for (const text of ["a", "b", "c"]) rig.life.write(text);
  let room = 2;
  rig.pump(() => room-- > 0);
  rig.say({ type: "ack", received: 2 });
  rig.say({ type: "ack", received: 0 });
  rig.say({ type: "ack", received: 2 });
  assert.deepEqual(rig.events(), ["delivered a", "delivered b"]);
  assert.throws(() => rig.say({ type: "ack", received: 3 }), new ProtocolError("bad-field"));

  const life = new Life();
  for (const text of ["a", "b"]) life.write(text);
  life.outbox.giveUp(life.target);
  const skipped = new Rig(life).open();
  skipped.pump();
  skipped.say({ type: "ack", received: 2 });
  assert.throws(() => skipped.say({ type: "ack", received: 3 }), new ProtocolError("bad-field"));
});

Deno.test("Channel refuses a first ACK above what was ever sent to that instance", () => {
  const life = new Life();
  for (const text of ["a", "b"]) life.write(text);
  const rig = new Rig(life);
  rig.say(HELLO);
  assert.throws(() => rig.say({ type: "ack", received: 1 }), new ProtocolError("bad-field"));
});

Deno.test("Channel takes seq = received + 1, drops lower ones and refuses higher ones", () => {
  const rig = new Rig().open();
  rig.say(chat(1, "a"));
  rig.say({ type: "nick", seq: 2, nick: "Anja" });
  rig.say(chat(3, "c"));
  assert.deepEqual(
    rig.events(),
    ["ackDue", "chat 1 a", "ackDue", "nick Anja", "ackDue", "chat 3 c"],
  );
  rig.say(chat(3, "again"));
  rig.say({ type: "nick", seq: 1, nick: "again" });
  assert.deepEqual(rig.events(), ["ackDue", "ackDue"]); // said again, for the first ACK may be lost
  assert.throws(() => rig.say(chat(5, "e")), new ProtocolError("unexpected"));
  assert.equal(rig.life.inbox.received, 3);
});

Deno.test("Channel takes a GAP above received, and tells how many were lost if ever there was one", () => {
  const rig = new Rig().open();
  rig.say({ type: "gap", next: 10 });
  rig.say(chat(10, "j"));
  assert.deepEqual(rig.events(), ["ackDue", "ackDue", "chat 10 j"]); // nothing known, nothing lost
  rig.say({ type: "gap", next: 11 });
  assert.deepEqual(rig.events(), ["ackDue"]);
  rig.say({ type: "gap", next: 12 });
  assert.deepEqual(rig.events(), ["ackDue", "lost 1"]);
  rig.say({ type: "gap", next: 20 });
  assert.deepEqual(rig.events(), ["ackDue", "lost 8"]);
  rig.channel.acknowledge();
  assert.deepEqual(rig.sent(), ["ack 19"]);
  for (const next of [19, 1, 0]) {
    const other = new Rig(rig.life).open();
    assert.throws(() => other.say({ type: "gap", next }), new ProtocolError("bad-field"));
  }
});

Deno.test("Channel refuses GAP 0 and takes GAP 1 from an instance it never heard", () => {
  assert.throws(() => new Rig().open().say({ type: "gap", next: 0 }), ProtocolError);
  const rig = new Rig().open();
  rig.say({ type: "gap", next: 1 });
  rig.say(chat(1, "a"));
  assert.deepEqual(rig.events().at(-1), "chat 1 a");
});

Deno.test("Channel takes counters up to 2^48 - 1", () => {
  const rig = new Rig().open();
  rig.say({ type: "gap", next: MAX_COUNTER - 1 });
  rig.say(chat(MAX_COUNTER - 1, "last"));
  rig.channel.acknowledge();
  assert.deepEqual(rig.sent(), [`ack ${MAX_COUNTER - 1}`]);
  assert.throws(() => rig.say({ type: "gap", next: MAX_COUNTER - 1 }), ProtocolError);
});

Deno.test("Channel tells of AWAY and ignores extensions", () => {
  const rig = new Rig().open();
  rig.say({ type: "away", text: "lunch" });
  rig.take(Uint8Array.of(0x40));
  rig.take(Uint8Array.of(0x7f, 1, 2));
  rig.take(concat(Uint8Array.of(0x41), new Uint8Array(201))); // malformed
  rig.say({ type: "away", text: "" });
  assert.deepEqual(rig.events(), ["away lunch", "away "]);
});

Deno.test("Channel takes and sends nothing after its end", () => {
  const rig = new Rig().open();
  rig.life.write("a");
  rig.channel.close(4);
  assert.deepEqual(rig.sent(), ["close 4"]);
  rig.pump();
  rig.channel.close(3);
  rig.channel.acknowledge();
  rig.say(chat(1, "x"));
  assert.deepEqual(rig.sent(), []);
  assert.deepEqual(rig.events(), []);
  assert.ok(rig.channel.closed && !rig.channel.live);
  const silent = new Rig().open();
  silent.channel.close();
  assert.deepEqual(silent.sent(), []);
});

Deno.test("Channel refuses a record that does not verify, and every one after it", () => {
  const { channel } = new Rig();
  assert.ok(!channel.verified);
  assert.throws(() => channel.open(new Uint8Array(40)), DecryptError);
  assert.ok(!channel.verified);
  assert.throws(() => channel.open(new Sealer(KEYS.theirs).seal(VIEW)), DecryptError);
  assert.ok(new Rig().open().channel.verified);
});

Deno.test("Channel sends again what an earlier one did not get acknowledged, once and in order", () => {
  const life = new Life();
  const receiver = new Rig();
  const first = new Rig(life).open();
  for (const text of ["a", "b", "c", "d"]) life.write(text);
  first.pump();
  const arrived = [chat(1, "a"), chat(2, "b"), chat(3, "c")];
  receiver.open();
  for (const message of arrived) receiver.say(message);
  first.say({ type: "ack", received: 1 }); // the ACK of 2 and 3 is lost with the connection
  assert.equal(life.target.items[0]!.sentAt, life.clock.now());
  life.write("e");
  const second = new Rig(life);
  second.say(HELLO);
  assert.deepEqual(life.target.items.map(({ seq }) => seq), [2, 3, 4, 5]);
  second.say({ type: "ack", received: receiver.life.inbox.received });
  assert.ok(life.target.items.every(({ sentAt }) => sentAt === undefined));
  second.pump();
  assert.deepEqual(second.sent(), ["ack 0", "chat 4 d", "chat 5 e"]);
});

Deno.test("Channel gives each record its own number", () => {
  const records: string[] = [];
  const channel = new Channel({
    tag: "00000001",
    keys: {
      peer: cheapKey(1).publicKey,
      sendKey: KEYS.ours,
      receiveKey: KEYS.theirs,
      th3: new Uint8Array(32),
    },
    outbox: new Life().outbox,
    startedAt: 0,
    send: (record) => records.push(encodeHex(record)),
    listener: {} as never,
  });
  for (let i = 0; i < 3; i++) channel.send({ type: "away", text: "" });
  assert.equal(new Set(records).size, 3);
  const opener = new Opener(KEYS.ours);
  for (const record of records) {
    assert.deepEqual(opener.open(decodeHex(record)), Uint8Array.of(0x41));
  }
});
