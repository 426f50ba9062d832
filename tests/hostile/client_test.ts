/**
 * Hostile strangers and members against the relay and other members, in virtual time (PROTOCOL.md §5, §7, §10). Attacks
 * that need real sockets are in flood_test.ts.
 */
import assert from "node:assert/strict";
import {
  type Bytes,
  concat,
  encodeUtf8,
  withLength,
  writeU16,
  writeU64,
} from "../../lib/base/bytes.ts";
import { cipherReady } from "../../lib/protocol/records.ts";
import { M1_BYTES, MAGIC, MAX_CT3_BYTES } from "../../lib/protocol/handshake.ts";
import {
  HANDSHAKES_PER_CORE_AND_SECOND,
  JOIN_TIMEOUT_MS,
  LINGER_MS,
  MAX_CAPACITY,
  MAX_CLIENTS,
  MAX_PENDING,
  MAX_RECORD_BYTES,
  MAX_ROOM_MEMBERS,
  SILENCE_MS,
} from "../../lib/protocol/limits.ts";
import {
  type ChatMessage,
  encodeMessage,
  MAX_AWAY_BYTES,
  MAX_TEXT_BYTES,
  MESSAGE,
} from "../../lib/protocol/messages.ts";
import { MAX_NICK_BYTES } from "../../lib/protocol/names.ts";
import { renderPlain } from "../../lib/ui/render.ts";
import { computeView } from "../../lib/protocol/rooms.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { Session } from "../../lib/session/session.ts";
import { type ByteStream, writeAll } from "../../lib/transport/byte_stream.ts";
import { encodeFrame, FRAME, KIND, MAX_PAYLOAD_BYTES, REASON } from "../../lib/protocol/frames.ts";
import type { SessionEvent } from "../../lib/session/events.ts";
import { cheapKey, cheapPrimitives } from "../support/cheap_key.ts";
import { settle, until } from "../support/fake_clock.ts";
import { memoryPair, type MemoryStream } from "../support/memory_stream.ts";
import { RawClient, readExactly } from "../support/raw_client.ts";
import { RawMember } from "../support/raw_member.ts";
import { LOBBY, RELAY_KEY, RelayRig, type RigClient } from "../support/relay_rig.ts";
import { memoryPeers, memoryServers } from "../simulation/books.ts";

await cipherReady();

/** An honest client of the rig's relay. */
class Honest {
  readonly events: SessionEvent[] = [];
  readonly session: Session;

  constructor(rig: RelayRig, readonly seed: number) {
    this.session = new Session({
      key: cheapKey(seed),
      nick: `honest${seed}`,
      room: "lobby",
      minKeyBits: 2048,
      address: "relay:40623",
      knownServers: memoryServers(),
      knownPeers: memoryPeers(new Set()),
      dial: () => {
        const [near, far] = memoryPair();
        rig.relay.accept(far, "127.0.0.1");
        return Promise.resolve(near);
      },
      emit: (event) => void this.events.push(event),
      clock: rig.clock,
      primitives: cheapPrimitives,
    });
    void this.session.run();
  }

  /** The texts shown. */
  get shown(): string[] {
    return this.events.flatMap((event) => event.event === "chat" ? [event.text] : []);
  }
}

/** Two honest members, who must not notice anything. */
async function withPair(
  test: (rig: RelayRig, ann: Honest, bob: Honest) => Promise<void>,
): Promise<void> {
  const rig = new RelayRig();
  const [ann, bob] = [new Honest(rig, 900), new Honest(rig, 901)];
  await rig.clock.advance(1000);
  let count = 0;
  const talk = () => {
    ann.session.say(`${count++}`);
    timer = rig.clock.after(500, talk);
  };
  let timer = rig.clock.after(500, talk);
  await test(rig, ann, bob);
  rig.clock.cancel(timer);
  await rig.clock.advance(6000); // their views may have differed briefly
  const chats = bob.events.filter((event) => event.event === "chat" && event.nick === "honest900");
  assert.deepEqual(
    chats.map((event) => event.event === "chat" && event.text),
    Array.from({ length: count }, (_, i) => `${i}`),
  );
  for (const { events } of [ann, bob]) {
    assert.deepEqual(events.filter(({ event }) => event === "disconnected"), []);
    assert.deepEqual(events.filter(({ event }) => event === "undelivered"), []);
  }
  void ann.session.stop();
  void bob.session.stop();
  await rig.clock.advance(5000);
}

// --- Before the JOIN ---

/** An M1 that any relay answers. */
const M1 = concat(MAGIC, new Uint8Array(M1_BYTES.transport - MAGIC.length).fill(9));

Deno.test("Relay cuts a client that sends a byte a second, in every phase", async () => {
  await withPair(async (rig) => {
    const drip = async (stream: ByteStream, bytes: Uint8Array) => {
      for (const byte of bytes) {
        await stream.write(Uint8Array.of(byte)).catch(() => 0);
        await new Promise<void>((resolve) => rig.clock.after(1000, resolve));
      }
    };
    const silent = rig.dial();
    const inM1 = rig.dial();
    void drip(inM1.stream, M1);
    const afterM1 = rig.dial();
    await writeAll(afterM1.stream, M1);
    const phases = [silent, inM1, afterM1];
    for (const half of [0, 1]) { // in M3, and in the first record
      const client = rig.dial();
      const raw = await RawClient.open(client.stream, cheapKey(77));
      const record = withLength(raw.sealer.seal(encodeFrame(JOIN)));
      await writeAll(client.stream, raw.m3.subarray(0, half ? undefined : 100));
      void drip(client.stream, half ? record : raw.m3.subarray(100));
      phases.push(client);
    }
    assert.equal(rig.relay.pending, 5);
    await rig.clock.advance(JOIN_TIMEOUT_MS - 1);
    assert.equal(rig.relay.pending, 5);
    await rig.clock.advance(1);
    assert.equal(rig.relay.pending, 0);
    for (const { relayStream } of phases) assert.ok(relayStream.closed);
    // A member that never completes a record counts as silent.
    const member = await rig.join();
    void drip(member.stream, new Uint8Array(99).fill(1));
    await rig.clock.advance(SILENCE_MS + 1000);
    assert.equal(rig.relay.members, 2);
    await rig.clock.advance(60_000);
  });
});

const JOIN = {
  type: "join",
  share: new Uint8Array(32),
  room: LOBBY,
  instance: new Uint8Array(16),
} as const;

Deno.test("Relay forgets a client that vanishes silently, in every phase", async () => {
  await withPair(async (rig) => {
    const vanish = (client: RigClient) => client.stream.stalled = true;
    vanish(rig.dial());
    const half = rig.dial();
    await writeAll(half.stream, M1);
    vanish(half);
    const member = await rig.join();
    vanish(member);
    await rig.clock.advance(JOIN_TIMEOUT_MS);
    assert.deepEqual([rig.relay.pending, rig.relay.members], [0, 3]);
    await rig.clock.advance(SILENCE_MS);
    assert.deepEqual([rig.relay.pending, rig.relay.members], [0, 2]);
  });
});

Deno.test("Relay survives a connection that breaks at any byte", async () => {
  await withPair(async (rig) => {
    let tried = 0;
    // M1, M3, the record with JOIN, and one more.
    const m3 = 2 + 2 + 407 + 2 + 384 + 16;
    const total = M1.length + m3 + 2 + 83 + 16 + 2 + 11 + 16;
    for (let place = 0; place <= total; place += place < 60 || place > M1.length + m3 ? 1 : 17) {
      const client = rig.dial();
      const speaking = speak(breaking(client.stream, place));
      await rig.clock.advance(1000 / HANDSHAKES_PER_CORE_AND_SECOND);
      client.stream.cut();
      await speaking;
      tried++;
    }
    await rig.clock.advance(100);
    assert.ok(tried > 180);
    assert.deepEqual([rig.relay.pending, rig.relay.members], [0, 2]);
    assert.deepEqual(rig.events.filter((event) => JSON.stringify(event).includes("internal")), []);
  });
});

/** Joins and sends a little, until its stream breaks. */
async function speak(stream: ByteStream): Promise<void> {
  try {
    const raw = await RawClient.open(stream, cheapKey(77));
    await raw.begin(encodeFrame(JOIN));
    await raw.send(encodeFrame({ type: "ping", data: new Uint8Array(8) }));
  } catch {
    // Broken, as intended.
  }
}

/** A stream that breaks for both ends once this many bytes were written to it. */
function breaking(stream: MemoryStream, place: number): ByteStream {
  let left = place;
  return {
    async read(into) {
      if (left === 0) stream.cut();
      return await stream.read(into);
    },
    async write(bytes) {
      if (left === 0) {
        await settle(1); // earlier bytes have arrived
        stream.cut();
      }
      const length = await stream.write(bytes.subarray(0, left));
      left -= length;
      return length;
    },
    closeWrite: () => stream.closeWrite(),
    close: () => stream.close(),
  };
}

/** What other programs send first. */
const OTHER_PROTOCOLS: readonly (readonly [string, string | Uint8Array])[] = [
  ["HTTP", "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"],
  ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["TLS", concat(Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3), new Uint8Array(500))],
  ["SSH", "SSH-2.0-OpenSSH_9.6\r\n"],
  ["SMTP", "EHLO example\r\n"],
  ["SOCKS", concat(Uint8Array.of(5, 1, 0), new Uint8Array(8))],
  ["RDP", concat(Uint8Array.of(3, 0, 0, 0x13, 0x0e, 0xe0), new Uint8Array(13))],
  ["zeros", new Uint8Array(4096)],
  ["the first version", concat(encodeUtf8("HEARTH/1"), new Uint8Array(32))],
  ["a later version", concat(encodeUtf8("HEARTH/3"), M1.subarray(8))],
  ["what a relay answers", encodeUtf8("HEARTH/?")],
  ["another case", concat(encodeUtf8("hearth/2"), M1.subarray(8))],
];

Deno.test("Relay answers another protocol on its port with HEARTH/? and closes", async () => {
  await withPair(async (rig) => {
    for (const [name, bytes] of OTHER_PROTOCOLS) {
      const { stream } = rig.dial();
      await writeAll(stream, typeof bytes === "string" ? encodeUtf8(bytes) : bytes);
      const answer = await readExactly(stream, 9);
      assert.equal(new TextDecoder().decode(answer), "HEARTH/?", name);
    }
    await rig.clock.advance(JOIN_TIMEOUT_MS);
    assert.equal(rig.relay.pending, 0);
  });
});

// --- Passwords ---

Deno.test("Relay makes 20 wrong passwords take 15 minutes, and answers a right one from elsewhere at once", async () => {
  const joinKey = new Uint8Array(32).fill(7);
  const rig = new RelayRig({ joinKey });
  const started = rig.clock.now();
  for (let i = 0; i < 20; i++) {
    const wrong = await rig.start({ address: "192.0.2.6", joinKey: new Uint8Array(32).fill(99) });
    await settle();
    const right = await rig.join({ address: "192.0.2.7", joinKey });
    assert.ok(right.find("welcome"));
    void right.connection.close(REASON.NORMAL);
    const delay = Math.min(1000 * 2 ** i, 60_000);
    await rig.clock.advance(delay - 1);
    assert.deepEqual(wrong.ends, [], `wrong password ${i + 1}`);
    await rig.clock.advance(1);
    assert.equal(wrong.reason, REASON.PASSWORD, `wrong password ${i + 1}`);
  }
  assert.ok(rig.clock.now() - started > 15 * 60_000);
});

Deno.test("Relay keeps out nobody but the address that guesses, however many guess", async () => {
  const joinKey = new Uint8Array(32).fill(7);
  const wrongKey = new Uint8Array(32).fill(99);
  const rig = new RelayRig({ joinKey });
  const guesses = await Promise.all(
    Array.from(
      { length: 20 },
      (_, i) => rig.start({ address: `192.0.2.${i + 1}`, joinKey: wrongKey }),
    ),
  );
  await until(() => rig.relay.pending === 20);
  await settle(10);
  assert.ok((await rig.join({ address: "192.0.2.99", joinKey })).find("welcome"));
  const same = await rig.start({ address: "192.0.2.1", joinKey });
  await settle(10);
  assert.deepEqual(same.frames, [], "not even a SHARE");
  await rig.clock.advance(1000);
  assert.ok(guesses.every(({ reason }) => reason === REASON.PASSWORD));
  await settle(10);
  assert.ok(same.find("welcome"));
});

Deno.test("Relay gives a guesser that hangs up no more guesses than one that waits", async () => {
  const joinKey = new Uint8Array(32).fill(7);
  const rig = new RelayRig({ joinKey });
  let shares = 0;
  for (let second = 0; second < 120; second++) {
    const guess = await rig.start({ joinKey: new Uint8Array(32).fill(100 + second) });
    await settle(20);
    if (guess.find("share")) shares++;
    guess.connection.abort();
    await rig.clock.advance(1000);
  }
  assert.equal(shares, 7, "after 0, 1, 3, 7, 15, 31 and 63 s");
});

// --- Limits of the relay, at their value and one above ---

/** A well-formed record of a given length, full of SENDs to nobody. */
function recordOf(length: number): Bytes {
  const plaintext = new Uint8Array(length - 16);
  for (let offset = 0; offset < plaintext.length;) {
    const left = plaintext.length - offset;
    const body = left > 16_100 ? 8000 : left - 3;
    plaintext[offset] = FRAME.SEND;
    writeU16(plaintext, offset + 1, body);
    plaintext.fill(1, offset + 3, offset + 3 + body);
    plaintext[offset + 3 + 8] = KIND.RECORD;
    offset += 3 + body;
  }
  return plaintext;
}

Deno.test("Relay accepts a record of 16400 bytes and a payload of 16000, and closes at one more", async () => {
  const cases: readonly (readonly [name: string, plaintext: Bytes, isGood: boolean])[] = [
    ["record", recordOf(MAX_RECORD_BYTES), true],
    ["record + 1", recordOf(MAX_RECORD_BYTES + 1), false],
    ["payload", recordOf(16 + 3 + 13 + MAX_PAYLOAD_BYTES), true],
    ["payload + 1", recordOf(16 + 3 + 13 + MAX_PAYLOAD_BYTES + 1), false],
    ["payload of 1", recordOf(16 + 3 + 13 + 1), true],
    ["payload of 0", recordOf(16 + 3 + 13), false],
  ];
  for (const [name, plaintext, isGood] of cases) {
    await withPair(async (rig) => {
      const client = rig.dial();
      const raw = await RawClient.open(client.stream, cheapKey(77));
      await raw.begin(encodeFrame(JOIN));
      await until(() => rig.relay.members === 3);
      await raw.send(plaintext);
      await settle(5);
      assert.equal(rig.relay.members, isGood ? 3 : 2, name);
      client.stream.cut();
      await settle(5);
    });
  }
});

Deno.test("Relay accepts a ct3 length of 16 to 1067 bytes, and no other", async () => {
  const max = MAX_CT3_BYTES.transport;
  assert.equal(max, 1067);
  for (const [length, waits] of [[max, true], [max + 1, false], [16, true], [15, false]] as const) {
    const rig = new RelayRig();
    const { stream } = rig.dial();
    await RawClient.open(stream, cheapKey(77));
    await writeAll(stream, Uint8Array.of(length >> 8, length));
    await rig.clock.advance(LINGER_MS);
    assert.equal(rig.relay.pending, waits ? 1 : 0, `${length}`);
  }
});

Deno.test("Relay accepts 64 members of a room, 256 if configured, and 1024 in total", async () => {
  const fill = async (rig: RelayRig, count: number, tag: number) => {
    const room = new Uint8Array(32).fill(tag);
    const clients: RigClient[] = [];
    while (clients.length < count) {
      const size = Math.min(count - clients.length, MAX_PENDING);
      const starting = Promise.all(Array.from({ length: size }, () => rig.start({ room })));
      await rig.clock.advance(1000);
      clients.push(...await starting);
    }
    await rig.clock.advance(100);
    return clients;
  };
  const areIn = (clients: readonly RigClient[]) => clients.every((it) => it.find("welcome"));
  const rig = new RelayRig();
  for (let room = 1; room <= MAX_CLIENTS / MAX_ROOM_MEMBERS; room++) {
    assert.ok(areIn(await fill(rig, MAX_ROOM_MEMBERS, room)));
    if (room === 1) assert.equal((await fill(rig, 1, room))[0]!.reason, REASON.FULL);
  }
  assert.equal(rig.relay.members, MAX_CLIENTS);
  assert.equal((await fill(rig, 1, 99))[0]!.reason, REASON.FULL);
  const big = new RelayRig({ capacity: MAX_CAPACITY });
  assert.ok(areIn(await fill(big, MAX_CAPACITY, 1)));
  assert.equal((await fill(big, 1, 1))[0]!.reason, REASON.FULL);
});

// --- Among members ---

/** A hostile member with a channel to the honest Bob. */
async function withMember(
  test: (member: RawMember, bob: Honest, rig: RelayRig) => Promise<void>,
  seed = 5,
): Promise<void> {
  await withPair(async (rig, _ann, bob) => {
    const client = await rig.join({ seed });
    const fingerprint = cheapKey(901).publicKey.fingerprint;
    const other = client.find("welcome")!.members.find((it) =>
      encodeFingerprint(it.fingerprint) === encodeFingerprint(fingerprint)
    )!;
    const member = new RawMember({
      key: cheapKey(seed),
      sid: client.sid,
      relay: RELAY_KEY.publicKey.fingerprint,
      room: LOBBY,
      send: (frame) => client.connection.send(encodeFrame(frame)),
    }, other);
    let taken = 0;
    const pump = async () => {
      for (; taken < client.frames.length; taken++) {
        const frame = client.frames[taken]!;
        if (frame.type === "recv" && frame.sid === other.sid) await member.take(frame);
      }
      timer = rig.clock.after(10, () => void pump());
    };
    let timer = rig.clock.after(0, () => void pump());
    await rig.clock.advance(500);
    await member.ready;
    await test(member, bob, rig);
    rig.clock.cancel(timer);
    client.connection.abort();
    await settle();
  });
}

function chat(seq: number, text: string): ChatMessage {
  return {
    type: "chat",
    seq,
    id: seq.toString(16).padStart(16, "0"),
    time: 0,
    action: false,
    private: false,
    late: false,
    view: computeView(new Uint8Array(32), LOBBY, []),
    reply: undefined,
    text,
  };
}

/** The reason of the last CLOSE received. */
function closed(member: RawMember): number | undefined {
  return member.heard.find((plaintext) => plaintext[0] === MESSAGE.CLOSE)?.[1];
}

/** A CHAT that encodeMessage() would not make. */
function rawChat(text: Uint8Array, change: (bytes: Bytes) => void = () => {}): Bytes {
  const head = encodeMessage(chat(1, "x")).slice(0, -1);
  const bytes = concat(head, text);
  change(bytes);
  return bytes;
}

/** Messages after HELLO, and whether they are allowed or end the channel. */
const SAYINGS: readonly (readonly [name: string, plaintext: Bytes, isGood: boolean])[] = [
  ["a text of 8192 bytes", rawChat(new Uint8Array(MAX_TEXT_BYTES).fill(0x61)), true],
  ["a text of 8193 bytes", rawChat(new Uint8Array(MAX_TEXT_BYTES + 1).fill(0x61)), false],
  ["a text of 1 byte", rawChat(encodeUtf8("x")), true],
  ["no text", rawChat(new Uint8Array()), false],
  ["text that is not UTF-8", rawChat(Uint8Array.of(0xc0, 0x80)), false],
  ["a surrogate in UTF-8", rawChat(Uint8Array.of(0xed, 0xa0, 0x80)), false],
  ["flags 7", rawChat(encodeUtf8("x"), (bytes) => bytes[25] = 7), true],
  ["flags 8", rawChat(encodeUtf8("x"), (bytes) => bytes[25] = 8), false],
  ["a time of 2^53 - 1", rawChat(encodeUtf8("x"), (it) => writeU64(it, 17, 2 ** 53 - 1)), true],
  ["a time of 2^53", rawChat(encodeUtf8("x"), (it) => it[18] = 0x20), false],
  ["seq 0", rawChat(encodeUtf8("x"), (bytes) => writeU64(bytes, 1, 0)), false],
  ["seq 2 ahead of 1", rawChat(encodeUtf8("x"), (bytes) => writeU64(bytes, 1, 2)), false],
  ["an ACK of what was never sent", encodeMessage({ type: "ack", received: 10 ** 6 }), false],
  ["GAP 0, which has no effect", encodeMessage({ type: "gap", next: 0 }), true],
  ["GAP to the end", encodeMessage({ type: "gap", next: 2 ** 48 - 1 }), true],
  ["AWAY of 200 bytes", encodeMessage({ type: "away", text: "a".repeat(MAX_AWAY_BYTES) }), true],
  ["AWAY of 201 bytes", concat(Uint8Array.of(0x41), new Uint8Array(201).fill(0x61)), true],
  ["AWAY that is not UTF-8", Uint8Array.of(0x41, 0xff), true],
  ["an extension", Uint8Array.of(0x7f, 1, 2, 3), true],
  ["an unknown type", Uint8Array.of(0x27), false],
  ["a NOTE without a body", Uint8Array.of(0x25), false],
  ["a KEY outside a box", concat(Uint8Array.of(0x26), new Uint8Array(40).fill(1)), false],
  ["a type above the extensions", Uint8Array.of(0x80), false],
  ["nothing at all", new Uint8Array(), false],
  ["a second HELLO", hello("again"), false],
  ["a nick of 64 bytes", encodeMessage({ type: "nick", seq: 1, nick: "ä".repeat(32) }), true],
  ["a nick of 65 bytes", encodeMessage({ type: "nick", seq: 1, nick: "a".repeat(65) }), false],
  ["an empty nick", encodeMessage({ type: "nick", seq: 1, nick: "" }), false],
];

function hello(nick: string): Bytes {
  return encodeMessage({ type: "hello", features: 0, instance: "ab".repeat(16), nick });
}

Deno.test("Session ends a channel on a forbidden message, accepts allowed ones, and hears the others", async () => {
  let tried = 0;
  for (const [name, plaintext, isGood] of SAYINGS) {
    await withMember(async (member, bob, rig) => {
      member.greet("mallory");
      await rig.clock.advance(100);
      member.say(plaintext);
      await rig.clock.advance(100);
      assert.equal(closed(member), isGood ? undefined : REASON.PROTOCOL, name);
      await rig.clock.advance(6000);
      const isShown = isGood && plaintext[0] === MESSAGE.CHAT;
      const heard = bob.events.filter((event) =>
        event.event === "chat" && event.nick === "mallory"
      );
      assert.equal(heard.length, isShown ? 1 : 0, name);
    });
    tried++;
  }
  assert.equal(tried, SAYINGS.length);
  assert.equal(MAX_NICK_BYTES, 64);
});

/** Nicks that no honest client uses; `shown` if the member still appears, as `?` and the key. */
const NICKS: readonly (readonly [nick: string, shown: boolean])[] = [
  ["\u202Eeve", false],
  ["eve\u200D", false],
  ["eve\n", false],
  ["\x1b[31meve", false],
  ["eve\0", false],
  ["two words", false],
  ["e\u0301", false], // not NFC
  ["\ue000", false],
  ["", false],
  ["a".repeat(65), false],
  ["\u0430nn", true], // Cyrillic and Latin
  ["-eve", true],
  ["eve!", true],
  ["a".repeat(25), true],
  ["\u3164", true],
];

Deno.test("Session shows no hostile nick: the channel ends, or the key is shown instead", async () => {
  for (const [i, [nick, shown]] of NICKS.entries()) {
    await withMember(async (member, bob, rig) => {
      member.say(hello(nick));
      await rig.clock.advance(100);
      const joined = bob.events.flatMap((event) => event.event === "joined" ? [event.nick] : []);
      const name = encodeFingerprint(cheapKey(i + 5).publicKey.fingerprint);
      assert.deepEqual(
        joined.slice(1),
        shown ? [`?${name.slice(7, 11)}`] : [],
        JSON.stringify(nick),
      );
      assert.equal(closed(member), shown ? undefined : REASON.PROTOCOL, JSON.stringify(nick));
    }, i + 5);
  }
});

Deno.test("Session passes on a hostile text unchanged, and no line of it can pass for another message", async () => {
  await withMember(async (member, bob, rig) => {
    member.greet("mallory");
    const text =
      "\x1b]0;x\x07\x1b[2J\nhonest900: pay him\r\nhonest900: now\u2028x\u202e\u200b\ud83d\ude00";
    member.tell(chat(1, text));
    await rig.clock.advance(6000);
    const event = bob.events.findLast((it) => it.event === "chat" && it.nick === "mallory")!;
    assert.ok(event.event === "chat" && event.text === text);
    const plain = renderPlain(event, "new");
    assert.match(plain, /^mallory(?: \(another view\))?: [^\n]*\n\thonest900: pay him/);
    assert.doesNotMatch(plain, /(?![\t\n])[\p{Cc}\u2028\u202e\u200b]/u);
    for (const line of plain.split("\n").slice(1)) assert.ok(line.startsWith("\t"));
  });
});

Deno.test("Session holds few messages of unknown view, and hears the others meanwhile", async () => {
  await withMember(async (member, bob, rig) => {
    member.greet("mallory");
    await rig.clock.advance(100);
    const text = "x".repeat(MAX_TEXT_BYTES);
    for (let i = 1; i <= 2000; i++) {
      member.tell(chat(i, text));
      if (i % 100 === 0) await rig.clock.advance(10);
    }
    const held = 4 * 1024 * 1024 / MAX_TEXT_BYTES; // §6: 4 MiB wait at most
    await until(() => bob.shown.length >= 2000 - held, 10_000).catch(() => {});
    const early = bob.shown.filter((it) => it === text).length;
    assert.ok(early >= 2000 - held, `${early} were given out before their time`);
    await rig.clock.advance(6000);
    assert.equal(bob.shown.filter((it) => it === text).length, 2000);
  });
});
