import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import {
  type Bytes,
  concat,
  decodeUtf8,
  encodeHex,
  encodeUtf8,
  equalBytes,
  MAX_COUNTER,
  MAX_TIME_MS,
  readU64,
  writeU64,
} from "../../lib/base/bytes.ts";
import { cipherReady, Opener, Sealer } from "../../lib/protocol/records.ts";
import { DecryptError, ProtocolError } from "../../lib/base/errors.ts";
import {
  HandshakeInitiator,
  type HandshakeOptions,
  HandshakeResponder,
  type Mode,
} from "../../lib/protocol/handshake.ts";
import { LineSplitter } from "../../lib/ui/standard_input.ts";
import {
  decodeMessage,
  encodeMessage,
  MAX_TEXT_BYTES,
  NOTE,
  type SentMessage,
} from "../../lib/protocol/messages.ts";
import { makeSessionKey } from "../../lib/protocol/session_key.ts";
import {
  BOX_BYTES,
  decodeFrame,
  encodeFrame,
  forEachFrame,
  type Frame,
  MAX_COMMON_BYTES,
  MAX_PAYLOAD_BYTES,
  MIN_COMMON_BYTES,
  WHY,
} from "../../lib/protocol/frames.ts";
import { isReceivableNick } from "../../lib/protocol/names.ts";
import { computeView } from "../../lib/protocol/rooms.ts";
import { Inboxes } from "../../lib/session/inbox.ts";
import { VIEW_WINDOW_MS, ViewLog } from "../../lib/session/view_log.ts";
import { cheapKey, cheapPrimitives } from "../support/cheap_key.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { type TestClient, TestRoom } from "../support/test_room.ts";
import { assertTimed, fuzzLimits } from "../support/timed.ts";

await cipherReady();

/** Of the properties about histories, which take longer than the others. */
const limits = fuzzLimits(40, 2);

function bytes(length: number): fc.Arbitrary<Bytes> {
  return fc.uint8Array({ minLength: length, maxLength: length })
    .map((array) => new Uint8Array(array));
}

const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 200 });
const hex = (length: number) => bytes(length).map((array) => encodeHex(array));
const sid = hex(8).filter((text) => !/^0*$/.test(text));

// Encodings.

Deno.test("readU64() reads what writeU64() wrote, under any higher limit", () => {
  const value = fc.integer({ min: 0, max: MAX_TIME_MS - 1 });
  fc.assert(fc.property(value, fc.integer({ min: 0, max: 9 }), (value, offset) => {
    const array = new Uint8Array(offset + 8);
    writeU64(array, offset, value);
    assert.equal(readU64(array, offset, MAX_TIME_MS), value);
    if (value === 0) return;
    assert.throws(() => readU64(array, offset, value), ProtocolError);
    assert.equal(readU64(array, offset, Math.min(value + 1, MAX_TIME_MS)), value);
  }));
});

Deno.test("decodeUtf8() decodes any well-formed text, and refuses or round-trips any bytes", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    assert.equal(decodeUtf8(encodeUtf8(text)), text.toWellFormed());
  }));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 12 }), (array) => {
    let decoded: string;
    try {
      decoded = decodeUtf8(array);
    } catch (error) {
      assert.ok(error instanceof ProtocolError);
      return;
    }
    assert.ok(equalBytes(encodeUtf8(decoded), array)); // the encoding is unique
  }));
});

const someBytes = fc.uint8Array({ maxLength: 300 }).map((array) => new Uint8Array(array));
const entry = fc.record({ sid: hex(8), tag: hex(4), box: bytes(BOX_BYTES) });
const common = fc.uint8Array({
  minLength: MIN_COMMON_BYTES,
  maxLength: MAX_COMMON_BYTES,
  size: "medium",
});

/** A text of 1 to `max` bytes. */
function textOf(max: number): fc.Arbitrary<string> {
  return fc.string({ unit: "grapheme", minLength: 1, maxLength: max })
    .map((text) => text.toWellFormed())
    .filter((text) => encodeUtf8(text).length <= max);
}

const frame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({ type: fc.constant("close" as const), reason: fc.nat(255) }),
  fc.record({ type: fc.constantFrom("ping" as const, "pong" as const), data: bytes(8) }),
  fc.record({
    type: fc.constant("join" as const),
    share: bytes(32),
    room: bytes(32),
    instance: bytes(16),
  }),
  fc.record({ type: fc.constant("share" as const), share: bytes(32) }),
  fc.record({ type: fc.constant("proof" as const), proof: bytes(32) }),
  fc.record({
    type: fc.constant("admin" as const),
    request: hex(4),
    verb: fc.nat(255),
    argument: someBytes,
  }),
  fc.record({
    type: fc.constant("result" as const),
    request: hex(4),
    status: fc.nat(255),
    data: someBytes,
  }),
  fc.record({ type: fc.constant("notice" as const), what: fc.nat(255), text: textOf(1024) }),
  fc.record({
    type: fc.constant("cast" as const),
    entries: fc.array(entry, { minLength: 1, maxLength: 10 }),
    common,
  }),
  fc.tuple(entry, common).map(([entry, common]) => ({ type: "part" as const, ...entry, common })),
  fc.uniqueArray(sid, { minLength: 1, maxLength: 8 }).chain(([own, ...others]) =>
    fc.record({
      type: fc.constant("welcome" as const),
      sid: fc.constant(own!),
      capacity: fc.integer({ min: others.length + 1, max: 256 }),
      members: fc.tuple(
        ...others.map((sid) => bytes(32).map((fingerprint) => ({ sid, fingerprint }))),
      ),
    })
  ),
  fc.record({ type: fc.constant("joined" as const), sid, fingerprint: bytes(32) }),
  fc.record({ type: fc.constant("left" as const), sid, why: fc.nat(255) }),
  fc.record({
    type: fc.constantFrom("send" as const, "recv" as const),
    sid: hex(8),
    kind: fc.integer({ min: 1, max: 4 }),
    tag: hex(4),
    payload: fc.uint8Array({ minLength: 1, maxLength: MAX_PAYLOAD_BYTES, size: "medium" }),
  }),
);

Deno.test("decodeFrame() decodes what encodeFrame() made, also several frames in one record", () => {
  fc.assert(fc.property(fc.array(frame, { minLength: 1, maxLength: 5 }), (frames) => {
    const decoded: Frame[] = [];
    const plaintext = concat(...frames.map(encodeFrame));
    forEachFrame(plaintext, (type, body) => decoded.push(decodeFrame(type, body)));
    const close = frames.findIndex(({ type }) => type === "close");
    const expected = close < 0 ? frames : frames.slice(0, close + 1);
    assert.equal(decoded.length, expected.length);
    for (const [i, frame] of decoded.entries()) {
      assert.equal(frame.type, expected[i]!.type);
      assert.ok(equalBytes(encodeFrame(frame), encodeFrame(expected[i]!)));
    }
  }));
});

const nick = fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 })
  .map((text) => text.normalize("NFC")).filter(isReceivableNick);
const counter = fc.integer({ min: 0, max: MAX_COUNTER - 1 });
const seq = fc.integer({ min: 1, max: MAX_COUNTER - 1 });

const message: fc.Arbitrary<SentMessage> = fc.oneof(
  fc.record({ type: fc.constant("close" as const), reason: fc.nat(255) }),
  fc.record({
    type: fc.constant("hello" as const),
    features: fc.nat(0xffffffff),
    instance: hex(16),
    nick,
  }),
  fc.record({
    type: fc.constant("chat" as const),
    seq,
    id: hex(8),
    time: fc.integer({ min: 0, max: MAX_TIME_MS - 1 }),
    action: fc.boolean(),
    private: fc.boolean(),
    late: fc.boolean(),
    view: bytes(32),
    reply: fc.option(sid, { nil: undefined }),
    text: textOf(MAX_TEXT_BYTES),
  }),
  fc.record({
    type: fc.constant("note" as const),
    seq,
    ref: hex(8),
    what: fc.constantFrom(NOTE.REACT, NOTE.EDIT),
    text: textOf(32),
  }),
  fc.record({
    type: fc.constant("note" as const),
    seq,
    ref: hex(8),
    what: fc.constantFrom(NOTE.UNREACT, NOTE.RETRACT, 0, 5, 255),
    text: fc.constant(""),
  }),
  fc.record({
    type: fc.constant("topic" as const),
    time: fc.integer({ min: 0, max: MAX_TIME_MS - 1 }),
    text: textOf(200),
  }),
  fc.record({ type: fc.constant("nick" as const), seq, nick }),
  fc.record({ type: fc.constant("ack" as const), received: counter }),
  fc.record({ type: fc.constant("gap" as const), next: counter }),
  fc.record({
    type: fc.constant("away" as const),
    text: text.filter((text) => encodeUtf8(text).length <= 200),
  }),
);

Deno.test("decodeMessage() decodes what encodeMessage() made", () => {
  fc.assert(fc.property(message, (message) => {
    assert.deepEqual(decodeMessage(encodeMessage(message)), { ...message });
  }));
});

Deno.test("LineSplitter gives the same lines however its input is split", () => {
  const input = fc.array(fc.constantFrom("a", "é", "🦊", "\n", "\r\n", "\r", " "), {
    maxLength: 40,
  });
  fc.assert(fc.property(input, fc.array(fc.nat(7)), (parts, sizes) => {
    const array = encodeUtf8(parts.join(""));
    const splitter = new LineSplitter();
    const lines = [];
    let rest: Uint8Array = array;
    for (const size of sizes) {
      lines.push(...splitter.push(rest.subarray(0, size)));
      rest = rest.subarray(size);
    }
    lines.push(...splitter.push(rest), ...splitter.end());
    const expected = parts.join("").split("\n");
    if (expected.at(-1) === "") expected.pop();
    assert.deepEqual(lines, expected.map((text) => ({ text: text.replace(/\r$/, "") })));
  }));
});

// Cryptography.

Deno.test("Opener opens what Sealer sealed, until the first changed byte, and nothing after", () => {
  const plaintexts = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 8 });
  fc.assert(fc.property(bytes(32), plaintexts, fc.nat(), (chainKey, plaintexts, place) => {
    const sealer = new Sealer(chainKey);
    const records = plaintexts.map((plaintext) => sealer.seal(plaintext));
    const opener = new Opener(chainKey);
    const hit = place % records.length;
    const changed = records[hit]!.slice();
    changed[place % changed.length]! ^= 1 << (place & 7);
    for (let i = 0; i < hit; i++) assert.ok(equalBytes(opener.open(records[i]!), plaintexts[i]!));
    assert.throws(() => opener.open(changed), DecryptError);
    for (const record of records) assert.throws(() => opener.open(record), DecryptError);
    assert.equal(opener.verified, hit);
  }));
});

const handshake = fc.record({
  mode: fc.constantFrom<Mode>("transport", "peer"),
  prologue: bytes(144),
  roomKey: fc.option(bytes(32), { nil: undefined }),
  seeds: fc.tuple(fc.nat(1000), fc.nat(1000)),
  bits: fc.tuple(fc.constantFrom(1024, 2048, 3072, 4096), fc.constantFrom(1024, 2048, 3072, 4096)),
});

Deno.test("HandshakeInitiator and HandshakeResponder agree, and detect any changed byte", async () => {
  const tampering = fc.record({
    message: fc.constantFrom("none", "m1", "m2", "m3"),
    place: fc.nat(),
    mask: fc.integer({ min: 1, max: 255 }),
  });
  await fc.assert(
    fc.asyncProperty(handshake, tampering, async (known, { message, place, mask }) => {
      const tamper = (name: string, array: Bytes) => {
        const changed = new Uint8Array(array);
        if (name === message) changed[place % changed.length]! ^= mask;
        return changed;
      };
      const options = async (side: 0 | 1): Promise<HandshakeOptions> => {
        const key = cheapKey(known.seeds[side], known.bits[side]);
        const primitives = cheapPrimitives;
        if (known.mode === "transport") {
          const session = await makeSessionKey(key, { primitives });
          return { key, mode: "transport", session, primitives };
        }
        const { prologue, roomKey } = known;
        const membership = {
          relay: prologue.subarray(0, 32),
          room: prologue.subarray(32, 64),
          sid: prologue.subarray(128 + 8 * side, 136 + 8 * side),
        };
        const session = await makeSessionKey(key, { membership, primitives });
        return { key, mode: "peer", session, prologue, roomKey, primitives };
      };
      const initiator = await HandshakeInitiator.start(await options(0));
      const responder = new HandshakeResponder(await options(1));
      try {
        const m2 = await responder.consumeM1(tamper("m1", initiator.m1));
        const sent = await initiator.consumeM2(tamper("m2", m2));
        const taken = await responder.consumeM3(tamper("m3", sent.m3));
        assert.equal(message, "none");
        assert.deepEqual([sent.sendKey, sent.receiveKey, sent.th3], [
          taken.receiveKey,
          taken.sendKey,
          taken.th3,
        ]);
        assert.deepEqual(sent.peer.id, cheapKey(known.seeds[1], known.bits[1]).publicKey.id);
        assert.deepEqual(taken.peer.id, cheapKey(known.seeds[0], known.bits[0]).publicKey.id);
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        assert.ok(error instanceof ProtocolError || error instanceof DecryptError);
        assert.notEqual(message, "none");
      }
    }),
  );
});

// Views.

Deno.test("computeView() depends on the members, not on their order", () => {
  const members = fc.uniqueArray(fc.tuple(sid, bytes(32)), {
    selector: ([sid]) => sid,
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(members, fc.array(fc.nat(), { minLength: 6, maxLength: 6 }), (list, keys) => {
      const entries = list.map(([sid, fingerprint]) => ({
        sid: encodeUtf8(sid).subarray(0, 8),
        fingerprint,
      }));
      const relay = new Uint8Array(32);
      const view = computeView(relay, relay, entries);
      const shuffled = entries.map((entry, i) => ({ entry, key: keys[i]! }))
        .sort((a, b) => a.key - b.key).map(({ entry }) => entry);
      if (new Set(entries.map(({ sid }) => encodeHex(sid))).size === entries.length) {
        assert.deepEqual(computeView(relay, relay, shuffled), view);
      }
      assert.notDeepEqual(computeView(relay, relay, entries.slice(1)), view);
    }),
  );
});

Deno.test("Inboxes decide views like a naive model that sees the whole history", async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 4000 }) }),
    fc.record({ do: fc.constant("change" as const), view: fc.nat(3) }),
    fc.record({ do: fc.constant("add" as const), view: fc.nat(3), sender: fc.nat(1) }),
  );
  const asView = (n: number) => new Uint8Array(32).fill(n);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const clock = new FakeClock();
      const shown: { id: number; sender: number; how: string; at: number }[] = [];
      const added: { id: number; sender: number; view: number; at: number }[] = [];
      const own: { view: number; from: number; to: number }[] = [];
      const inboxes = new Inboxes(clock, new ViewLog(clock), () => true);
      const change = (view: number) => {
        if (own.length > 0) own.at(-1)!.to = clock.now();
        own.push({ view, from: clock.now(), to: Infinity });
        inboxes.changeView(asView(view));
      };
      change(0);
      for (const step of steps) {
        if (step.do === "wait") await clock.advance(step.ms);
        else if (step.do === "change") change(step.view);
        else {
          const { view, sender } = step;
          const id = added.length;
          added.push({ id, sender, view, at: clock.now() });
          inboxes.of("SHA256:x", `${sender}`).add({
            seq: 1,
            view: asView(view),
            give: (how) => void shown.push({ id, sender, how, at: clock.now() }),
          });
        }
      }
      await clock.advance(2 * VIEW_WINDOW_MS);
      assert.equal(shown.length, added.length);
      for (const { id, sender, view, at } of added) {
        // Equal at some moment within 5 s before or after; views of zero duration count.
        const same = own.some((mine) =>
          mine.view === view && mine.to >= at - VIEW_WINDOW_MS && mine.from < at + VIEW_WINDOW_MS
        );
        const one = shown.find((other) => other.id === id)!;
        assert.equal(one.how, same ? "same" : "differs", `message ${id}`);
        assert.ok(one.at - at <= VIEW_WINDOW_MS);
        const ids = shown.filter((other) => other.sender === sender).map((other) => other.id);
        assert.deepEqual(ids, ids.toSorted((a, b) => a - b));
      }
    }),
    { numRuns: 60 },
  );
});

// Histories: whatever happens to connections and programs, reports are true.

const PEOPLE = [{ seed: 5, nick: "anna" }, { seed: 3, nick: "bert" }, { seed: 2, nick: "carl" }];

/** A room whose connections and programs fail. */
class History {
  readonly room: TestRoom;
  /** All processes ever started; `person` is an index into PEOPLE. */
  readonly processes: { client: TestClient; person: number; alive: boolean }[] = [];
  #count = 0;
  /** Clients cut off from the relay, until their connection is cut. */
  #stalled = new Set<TestClient>();

  constructor(room: TestRoom) {
    this.room = room;
    room.filter = ({ from, to, payload }) =>
      this.#stalled.has(from) || this.#stalled.has(to) ? undefined : payload;
  }

  async start(person: number): Promise<void> {
    const client = await this.room.enter(PEOPLE[person]!);
    this.processes.push({ client, person, alive: true });
  }

  get alive(): TestClient[] {
    return this.processes.filter(({ alive }) => alive).map(({ client }) => client);
  }

  /** Sends a text `process:number`; numbers increase. */
  say(client: TestClient): void {
    const index = this.processes.findIndex((process) => process.client === client);
    client.say(`${index}:${String(this.#count++).padStart(4, "0")}`);
  }

  stall(client: TestClient): void {
    if (client.link) this.#stalled.add(client);
  }

  async cut(client: TestClient, noticed: boolean): Promise<void> {
    if (client.link) this.room.disconnect(client);
    this.#stalled.delete(client);
    if (noticed) await this.room.notice(client);
  }

  async join(client: TestClient): Promise<void> {
    if (!client.link) await this.room.join(client);
  }

  async crash(): Promise<void> {
    this.#stalled.clear();
    await this.room.crash();
  }

  async kill(client: TestClient, noticed: boolean): Promise<void> {
    this.processes.find((process) => process.client === client)!.alive = false;
    client.kill();
    this.#stalled.delete(client);
    if (noticed) await this.room.notice(client);
  }

  async quit(client: TestClient): Promise<void> {
    this.processes.find((process) => process.client === client)!.alive = false;
    if (client.link) await this.room.leave(client, WHY.LEFT);
    client.kill();
  }

  /** Settles: dead clients are noticed, the others reconnect, and nothing is stalled. */
  async finish(): Promise<void> {
    for (const client of [...this.#stalled]) await this.cut(client, true);
    for (const { client, alive } of this.processes) if (!alive) await this.room.notice(client);
    for (const client of this.alive) await this.join(client);
    await this.room.advance(90_000);
  }

  /** The texts a client was shown. */
  heard(client: TestClient): string[] {
    return client.events.flatMap((event) => event.event === "chat" ? [event.text] : []);
  }

  /** Asserts what holds for every history. */
  check(): void {
    for (const { client } of this.processes) {
      assert.deepEqual(client.faults, []);
      const chats = client.events.filter((event) => event.event === "chat");
      const texts = this.heard(client);
      assert.equal(new Set(texts).size, texts.length, "something was shown twice");
      assert.ok(chats.every(({ view }) => view === "same"), "the relay is honest");
      for (const index of this.processes.keys()) {
        const timely = chats.filter(({ text, late }) => !late && text.startsWith(`${index}:`));
        const order = timely.map(({ text }) => text);
        assert.deepEqual(order, order.toSorted(), "out of order");
      }
      this.#checkReports(client);
    }
  }

  #checkReports(client: TestClient): void {
    const fates = new Map<string, string[]>();
    for (const event of client.events) {
      if (event.event === "sent") fates.set(event.id, []);
      else if (event.event === "delivered" || event.event === "undelivered") {
        fates.get(event.id)!.push(event.event);
        if (event.event === "delivered") this.#checkDelivered(event.id, event.to);
      }
    }
    for (const fate of fates.values()) {
      if (fate.includes("delivered")) assert.deepEqual(fate, ["delivered"]);
    }
    if (!this.alive.includes(client)) return;
    for (const fate of fates.values()) assert.ok(fate.length > 0, "nothing was reported");
    assert.equal(client.membership.outbox.unsettled, 0);
  }

  /** Asserts that everybody in `to` was shown the message, in one of their processes. */
  #checkDelivered(id: string, to: readonly string[]): void {
    assert.ok(to.length > 0);
    for (const name of to) {
      const shown = this.processes.some(({ client }) =>
        client.name === name &&
        client.events.some((event) => event.event === "chat" && event.id === id)
      );
      assert.ok(shown, "delivered to a client that was not shown it");
    }
  }
}

const cutStep = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("say" as const), who: fc.nat() }) },
  fc.record({ do: fc.constant("stall" as const), who: fc.nat() }),
  fc.record({ do: fc.constant("cut" as const), who: fc.nat(), noticed: fc.boolean() }),
  { weight: 2, arbitrary: fc.record({ do: fc.constant("join" as const), who: fc.nat() }) },
  fc.record({ do: fc.constant("crash" as const) }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(10, 60, 1000, 20_000) }),
);
const anyStep = fc.oneof(
  { weight: 8, arbitrary: cutStep },
  fc.record({ do: fc.constant("kill" as const), who: fc.nat(), noticed: fc.boolean() }),
  fc.record({ do: fc.constant("quit" as const), who: fc.nat() }),
  { weight: 2, arbitrary: fc.record({ do: fc.constant("start" as const), who: fc.nat() }) },
);
type Step = typeof anyStep extends fc.Arbitrary<infer T> ? T : never;

async function play(history: History, steps: readonly Step[]): Promise<void> {
  for (const step of steps) {
    const { alive } = history;
    const client = "who" in step ? alive[step.who % alive.length] : undefined;
    if (step.do === "start") {
      if (alive.length < 5) await history.start(step.who % PEOPLE.length);
    } else if (step.do === "crash") await history.crash();
    else if (step.do === "wait") await history.room.advance(step.ms);
    else if (!client) continue;
    else if (step.do === "say") history.say(client);
    else if (step.do === "kill") await history.kill(client, step.noticed);
    else if (step.do === "cut") await history.cut(client, step.noticed);
    else await history[step.do](client);
  }
}

Deno.test("Membership delivers everything once and in order through any cuts, and reports it", async () => {
  const steps = fc.array(cutStep, { minLength: 3, maxLength: 25, size: "max" });
  await assertTimed(
    steps,
    (steps) =>
      TestRoom.use(async (room) => {
        const history = new History(room);
        for (const person of PEOPLE.keys()) await history.start(person);
        await play(history, steps);
        await history.finish();
        history.check();
        for (const { client } of history.processes) {
          for (const [index, other] of history.processes.entries()) {
            if (other.client === client) continue;
            const heard = history.heard(client).filter((text) => text.startsWith(`${index}:`));
            const written = other.client.events.filter(({ event }) => event === "sent").length;
            assert.equal(heard.length, written);
            assert.deepEqual(heard, heard.toSorted());
          }
          const events = client.events.map(({ event }) => event);
          assert.ok(!events.includes("undelivered") && !events.includes("lost"));
        }
      }),
    limits,
  );
});

Deno.test("Membership shows nothing twice and reports truly, whatever happens to programs", async () => {
  const steps = fc.array(anyStep, { minLength: 3, maxLength: 30, size: "max" });
  await assertTimed(
    steps,
    (steps) =>
      TestRoom.use(async (room) => {
        const history = new History(room);
        for (const person of PEOPLE.keys()) await history.start(person);
        await play(history, steps);
        await history.finish();
        await room.advance(11 * 60_000); // messages kept for dead clients are given up
        history.check();
      }),
    limits,
  );
});
