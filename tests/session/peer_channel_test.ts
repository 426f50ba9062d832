import { KEPT_MS } from "../../lib/protocol/limits.ts";
import assert from "node:assert/strict";
import { concat, decodeHex, encodeHex, MAX_COUNTER } from "../../lib/base/bytes.ts";
import { systemRandom } from "../../lib/base/clock.ts";
import { DecryptError, ProtocolError } from "../../lib/base/errors.ts";
import { sealBox, sealEnvelope } from "../../lib/protocol/cast.ts";
import type { HandshakeResult } from "../../lib/protocol/handshake.ts";
import {
  decodeMessage,
  encodeMessage,
  type Message,
  type SentMessage,
  toContent,
} from "../../lib/protocol/messages.ts";
import { pad, unpad } from "../../lib/protocol/padding.ts";
import { cipherReady, Opener, Sealer } from "../../lib/protocol/records.ts";
import { Inbox } from "../../lib/session/inbox.ts";
import { Outbox } from "../../lib/session/outbox.ts";
import type { OutgoingChat } from "../../lib/session/outgoing.ts";
import { PeerChannel } from "../../lib/session/peer_channel.ts";
import { ViewLog } from "../../lib/session/view_log.ts";
import type { RosterMember } from "../../lib/session/roster.ts";
import { type Item, Stream } from "../../lib/session/streams.ts";
import { cheapKey } from "../support/cheap_key.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { kat, katBytes } from "../support/kat.ts";
import { chat, HELLO, INSTANCE } from "../support/messages.ts";

await cipherReady();

const VIEW = new Uint8Array(32);
const KEYS = { ours: new Uint8Array(32).fill(1), theirs: new Uint8Array(32).fill(2) };

/** What a handshake gives a channel. */
function makeKeys(): HandshakeResult {
  return {
    peer: cheapKey(1).publicKey,
    sendKey: KEYS.ours.slice(),
    receiveKey: KEYS.theirs.slice(),
    th3: new Uint8Array(32),
  };
}

/** The state that outlives a channel. */
class Life {
  readonly clock = new FakeClock();
  readonly events: string[] = [];
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly stream: Stream;
  #serial = 0;

  constructor() {
    this.inbox = new Inbox(this.clock, new ViewLog(this.clock));
    this.outbox = new Outbox({
      own: "own",
      now: () => this.clock.now(),
      delivered: (message) => this.events.push(`delivered ${message.text}`),
      undelivered: (message) => this.events.push(`undelivered ${message.text}`),
      keptMs: () => KEPT_MS,
      waived: () => [],
      kept: () => {},
    });
    this.stream = new Stream("anna", INSTANCE, this.clock);
    this.stream.show({} as RosterMember);
  }

  write(text: string): void {
    const message: OutgoingChat = {
      type: "chat",
      id: this.#serial.toString(16).padStart(16, "0"),
      serial: this.#serial++,
      writtenAt: 0,
      time: 0,
      action: false,
      private: false,
      reply: undefined,
      text,
      bytes: text.length,
    };
    this.outbox.add(message, [{ fingerprint: "anna", streams: [this.stream] }]);
  }

  giveUp(): void {
    this.outbox.giveUp(this.stream, "failed");
  }
}

/** A channel, and its other end driven by hand. */
class Rig {
  readonly channel: PeerChannel;
  readonly sealer = new Sealer(KEYS.theirs);
  /** What the channel has sent since the last call of `sent`. */
  #sent: string[] = [];

  constructor(readonly life: Life = new Life()) {
    const { events, inbox, stream } = life;
    const opener = new Opener(KEYS.ours);
    this.channel = new PeerChannel({
      tag: "00000001",
      keys: makeKeys(),
      outbox: life.outbox,
      startedAt: 0,
      send: (record) => this.#sent.push(describe(decodeMessage(unpad(opener.open(record))))),
      listener: {
        hello: (_, { nick }) => {
          events.push(`hello ${nick}`);
          return { stream, inbox };
        },
        ready: () => events.push("ready"),
        closed: (_, reason) => events.push(`closed ${reason}`),
        message: (message, inbox) => {
          events.push(describe(message));
          if ("seq" in message) inbox.add({ seq: message.seq, give: () => {} });
        },
      },
    });
  }

  /** The other end sends a plaintext, padded. */
  take(plaintext: Uint8Array): void {
    const padded = plaintext.length > 0 ? pad(plaintext) : Uint8Array.of(0x80);
    this.channel.take(this.channel.open(this.sealer.seal(padded)));
  }

  say(message: SentMessage): void {
    this.take(encodeMessage(message));
  }

  /** HELLO and ACK of the other end: messages flow. */
  open(received = 0): this {
    this.say(HELLO);
    this.say({ type: "ack", received });
    this.life.events.length = 0;
    this.#sent = this.#sent.filter((each) => each.startsWith("gap"));
    return this;
  }

  pump(room: () => boolean = () => true): void {
    for (let item = this.channel.nextItem(); item; item = this.channel.nextItem()) {
      if (!room()) return;
      this.channel.sendItem(item, encodeMessage(encodable(item)));
    }
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

function encodable({ message, seq }: Item): SentMessage {
  return message ? chat(seq, message.text) : { type: "nick", seq, nick: "me" };
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
    case "away":
      return `away ${message.text}`;
    case "close":
      return `close ${message.reason}`;
    default:
      return message.type;
  }
}

Deno.test("PeerChannel refuses the messages of the test vectors that do not fit its state", () => {
  let count = 0;
  for (const known of kat.messages.rejected) {
    if (known.state === undefined) continue;
    const rig = new Rig();
    // The first ACK of a new stream may say anything: its numbers start there.
    if (known.state !== "before HELLO") rig.open();
    assert.throws(() => rig.take(katBytes(known)), ProtocolError, known.reason);
    count++;
  }
  assert.equal(count, 6);
});

Deno.test("PeerChannel refuses every bad message of the test vectors while live", () => {
  let count = 0;
  for (const known of kat.messages.rejected) {
    if (known.state === "before HELLO") continue;
    assert.throws(() => new Rig().open().take(katBytes(known)), ProtocolError, known.reason);
    count++;
  }
  assert.equal(count, 62);
});

Deno.test("PeerChannel refuses everything but CLOSE before HELLO", () => {
  const messages: SentMessage[] = [
    chat(1, "a"),
    { type: "nick", seq: 1, nick: "b" },
    { type: "ack", received: 0 },
    { type: "gap", next: 1 },
    { type: "note", seq: 1, ref: "00".repeat(8), what: 2, text: "" },
    { type: "away", text: "x" },
    { type: "topic", time: 0, text: "x" },
  ];
  for (const message of messages) {
    assert.throws(() => new Rig().say(message), new ProtocolError("unexpected"));
  }
  assert.throws(() => new Rig().take(Uint8Array.of(0x7f)), new ProtocolError("unexpected"));
  const rig = new Rig();
  rig.say({ type: "close", reason: 9 });
  assert.deepEqual(rig.events(), ["closed 9"]);
});

Deno.test("PeerChannel answers HELLO with an ACK of what was given to the user of that instance", () => {
  const life = new Life();
  life.inbox.taken = 9;
  life.inbox.given = 7;
  const rig = new Rig(life);
  assert.equal(rig.channel.stream, undefined);
  rig.say(HELLO);
  assert.deepEqual(rig.sent(), ["ack 7"]);
  assert.deepEqual(rig.events(), ["hello Anna"]);
  assert.throws(() => rig.say(HELLO), new ProtocolError("unexpected"));
});

Deno.test("PeerChannel is live from the first ACK, and sends nothing with a seq before it", () => {
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

Deno.test("PeerChannel sends each item once and in order, a change of nick as the current nick", () => {
  const rig = new Rig().open();
  rig.life.write("a");
  rig.life.outbox.addNick(rig.life.stream);
  rig.pump();
  rig.life.write("b");
  rig.pump();
  rig.pump();
  assert.deepEqual(rig.sent(), ["chat 1 a", "nick 2 me", "chat 3 b"]);
});

Deno.test("PeerChannel stops sending while the connection is congested, and resumes there", () => {
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

Deno.test("PeerChannel sends GAP only when its lowest seq is above received + 1", () => {
  for (
    const [received, expected] of [
      [3, ["chat 4 e", "chat 5 f"]], // lowest = received + 1
      [2, ["gap 4", "chat 4 e", "chat 5 f"]], // received + 2
      [0, ["gap 4", "chat 4 e", "chat 5 f"]],
      [4, ["chat 5 f"]],
    ] as const
  ) {
    const life = new Life();
    for (const text of ["b", "c", "d", "e", "f"]) life.write(text);
    new Rig(life).open().pump();
    life.outbox.acknowledge(life.stream, 3);
    const rig = new Rig(life).open(received);
    rig.pump();
    assert.deepEqual(rig.sent(), expected, `received ${received}`);
    rig.pump();
    assert.deepEqual(rig.sent(), []);
  }
});

Deno.test("PeerChannel sends GAP even when nothing is left to send", () => {
  const life = new Life();
  for (const text of ["a", "b"]) life.write(text);
  new Rig(life).open().pump();
  life.giveUp();
  const rig = new Rig(life).open(1);
  assert.deepEqual(rig.sent(), ["gap 3"]);
  life.write("c");
  rig.pump();
  assert.deepEqual(rig.sent(), ["chat 3 c"]);
  const whole = new Rig(life).open(2);
  whole.pump();
  assert.deepEqual(whole.sent(), ["chat 3 c"]);
});

Deno.test("PeerChannel tells what was given up before it was written by a GAP before the next seq", () => {
  const rig = new Rig().open();
  rig.life.write("a");
  rig.life.giveUp();
  rig.pump();
  assert.deepEqual(rig.sent(), []);
  rig.life.write("b");
  rig.pump();
  assert.deepEqual(rig.sent(), ["gap 2", "chat 2 b"]);
  rig.say({ type: "ack", received: 2 });
  assert.deepEqual(rig.events(), ["undelivered a", "delivered b"]);
});

Deno.test("PeerChannel: a stream without numbers takes them from the first ACK", () => {
  const life = new Life();
  life.write("a");
  life.write("b");
  const rig = new Rig(life).open(41);
  rig.pump();
  assert.deepEqual(rig.sent(), ["chat 42 a", "chat 43 b"]);
  rig.say({ type: "ack", received: 43 });
  assert.deepEqual(rig.events(), ["delivered a", "delivered b"]);
  const last = new Rig(new Life());
  last.say(HELLO);
  const received = MAX_COUNTER - 1;
  assert.throws(() => last.say({ type: "ack", received }), new ProtocolError("counter"));
  const full = new Rig(new Life()).open(MAX_COUNTER - 2);
  for (const text of ["a", "b"]) full.life.write(text);
  full.pump();
  assert.deepEqual(full.sent(), [`chat ${MAX_COUNTER - 1} a`]);
});

Deno.test("PeerChannel sends GAP for holes in the middle of a stream, and what is at its end with the next seq", () => {
  const life = new Life();
  for (const text of ["a", "b", "c", "d", "e", "f"]) life.write(text);
  new Rig(life).open().pump();
  life.stream.items = life.stream.items.filter(({ seq }) => ![2, 3, 6].includes(seq));
  const rig = new Rig(life).open();
  rig.pump();
  assert.deepEqual(rig.sent(), ["chat 1 a", "gap 4", "chat 4 d", "chat 5 e"]);
  life.write("g");
  rig.pump();
  assert.deepEqual(rig.sent(), ["gap 7", "chat 7 g"]);
  rig.say({ type: "ack", received: 7 });
  assert.deepEqual(rig.events(), ["delivered a", "delivered d", "delivered e", "delivered g"]);
});

Deno.test("PeerChannel accepts an ACK up to what was sent or skipped, and ignores lower ones", () => {
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
  new Rig(life).open().pump();
  life.giveUp();
  const skipped = new Rig(life).open();
  skipped.say({ type: "ack", received: 2 });
  assert.throws(() => skipped.say({ type: "ack", received: 3 }), new ProtocolError("bad-field"));
});

Deno.test("PeerChannel refuses a first ACK above every number that was given out", () => {
  const life = new Life();
  for (const text of ["a", "b"]) life.write(text);
  new Rig(life).open().pump();
  for (const [received, isGood] of [[2, true], [3, false]] as const) {
    const rig = new Rig(life);
    rig.say(HELLO);
    const ack = () => rig.say({ type: "ack", received });
    if (isGood) ack();
    else assert.throws(ack, new ProtocolError("bad-field"));
  }
});

Deno.test("PeerChannel takes the next seq, drops lower ones and refuses higher ones", () => {
  const rig = new Rig().open();
  rig.say(chat(1, "a"));
  rig.say({ type: "nick", seq: 2, nick: "Anja" });
  rig.say(chat(3, "c"));
  assert.deepEqual(rig.events(), ["chat 1 a", "nick 2 Anja", "chat 3 c"]);
  rig.say(chat(3, "again"));
  rig.say({ type: "nick", seq: 1, nick: "again" });
  assert.deepEqual(rig.events(), []);
  assert.throws(() => rig.say(chat(5, "e")), new ProtocolError("unexpected"));
  assert.equal(rig.life.inbox.taken, 3);
});

Deno.test("PeerChannel takes a PART as the next record: a CHAT or NOTE with the seq of its box", () => {
  const rig = new Rig().open();
  const part = (message: SentMessage, seq: number) => {
    const envelope = sealEnvelope(toContent(encodeMessage(message)), systemRandom);
    return { box: sealBox(rig.sealer, envelope, seq), common: envelope.common };
  };
  rig.channel.take(rig.channel.open(part(chat(9, "a"), 1)));
  const note: SentMessage = { type: "note", seq: 0, ref: "11".repeat(8), what: 2, text: "" };
  rig.channel.take(rig.channel.open(part(note, 2)));
  rig.say(chat(3, "c"));
  rig.channel.take(rig.channel.open(part(chat(9, "a"), 3))); // a lower seq
  assert.deepEqual(rig.events(), ["chat 1 a", "note", "chat 3 c"]);
  const late = { ...chat(9, "late"), late: true } as SentMessage;
  assert.throws(() => rig.channel.open(part(late, 4)), new ProtocolError("bad-field"));
  const other = new Rig().open();
  const { common } = part(chat(9, "b"), 4);
  const envelope = sealEnvelope(toContent(encodeMessage(chat(9, "a"))), systemRandom);
  const box = sealBox(other.sealer, envelope, 1);
  assert.throws(() => other.channel.open({ box, common }), DecryptError); // not its common
});

Deno.test("PeerChannel puts a message into an envelope, with its number", () => {
  const rig = new Rig().open();
  rig.life.write("a");
  const item = rig.channel.nextItem()!;
  const envelope = sealEnvelope(toContent(encodeMessage(encodable(item))), systemRandom);
  assert.equal(rig.channel.boxItem(item, envelope).length, 57);
  assert.equal(rig.channel.nextItem(), undefined);
  rig.say({ type: "ack", received: 1 });
  assert.deepEqual(rig.events(), ["delivered a"]);
});

Deno.test("PeerChannel passes AWAY on and ignores extensions", () => {
  const rig = new Rig().open();
  rig.say({ type: "away", text: "lunch" });
  rig.take(Uint8Array.of(0x40));
  rig.take(Uint8Array.of(0x7f, 1, 2));
  rig.take(concat(Uint8Array.of(0x41), new Uint8Array(201))); // malformed
  rig.take(Uint8Array.of(0x42, 1));
  rig.say({ type: "away", text: "" });
  assert.deepEqual(rig.events(), ["away lunch", "away "]);
});

Deno.test("PeerChannel sends and receives nothing after its end", () => {
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

Deno.test("PeerChannel refuses a record that does not verify, and every later one", () => {
  const { channel } = new Rig();
  assert.ok(!channel.verified);
  assert.throws(() => channel.open(new Uint8Array(40)), DecryptError);
  assert.ok(!channel.verified);
  assert.throws(() => channel.open(new Sealer(KEYS.theirs).seal(VIEW)), DecryptError);
  assert.ok(new Rig().open().channel.verified);
});

Deno.test("PeerChannel resends what was unacknowledged in an earlier channel, once and in order", () => {
  const life = new Life();
  const first = new Rig(life).open();
  for (const text of ["a", "b", "c", "d"]) life.write(text);
  first.pump();
  first.say({ type: "ack", received: 1 }); // the ACK of 2 and 3 is lost with the connection
  life.write("e");
  const second = new Rig(life);
  second.say(HELLO);
  assert.deepEqual(life.stream.items.map(({ seq }) => seq), [2, 3, 4, 5]);
  second.say({ type: "ack", received: 3 });
  second.pump();
  assert.deepEqual(second.sent(), ["ack 0", "chat 4 d", "chat 5 e"]);
});

Deno.test("PeerChannel gives each record its own number", () => {
  const records: string[] = [];
  const channel = new PeerChannel({
    tag: "00000001",
    keys: makeKeys(),
    outbox: new Life().outbox,
    startedAt: 0,
    send: (record) => records.push(encodeHex(record)),
    listener: {} as never,
  });
  for (let i = 0; i < 3; i++) channel.send({ type: "away", text: "" });
  assert.equal(new Set(records).size, 3);
  const opener = new Opener(KEYS.ours);
  for (const record of records) {
    assert.deepEqual(unpad(opener.open(decodeHex(record))), Uint8Array.of(0x41));
  }
});

Deno.test("PeerChannel leaves no chain key behind from which what was sent could be read", () => {
  const keys = makeKeys();
  new PeerChannel({
    tag: "00000001",
    keys,
    outbox: new Life().outbox,
    startedAt: 0,
    send: () => {},
    listener: {} as never,
  });
  assert.deepEqual([keys.sendKey, keys.receiveKey], [new Uint8Array(32), new Uint8Array(32)]);
});
