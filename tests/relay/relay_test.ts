import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { concat, decodeHex, withLength } from "../../lib/base/bytes.ts";
import { decodeFrame, encodeFrame, FRAME, REASON, WHY } from "../../lib/protocol/frames.ts";
import { cheapKey } from "../support/cheap_key.ts";
import { settle } from "../support/fake_clock.ts";
import { memoryPair } from "../support/memory_stream.ts";
import { RawClient } from "../support/raw_client.ts";
import {
  comings,
  joinFrame,
  LOBBY,
  OTHER_ROOM,
  RelayRig,
  repeated,
  type RigClient,
} from "../support/relay_rig.ts";

const CLOSE_PROTOCOL = encodeFrame({ type: "close", reason: REASON.PROTOCOL });

// --- Forwarding ---

Deno.test("Relay forwards payloads between the members of a room, in order", async () => {
  const rig = new RelayRig();
  const [anna, bert] = await rig.room(2);
  for (let i = 0; i < 100; i++) anna.send(bert.sid, `message ${i}`);
  bert.send(anna.sid, "answer");
  await settle();
  assert.deepEqual(bert.texts, Array.from({ length: 100 }, (_, i) => `message ${i}`));
  assert.deepEqual(anna.texts, ["answer"]);
  const { sid, kind, tag } = bert.find("recv")!;
  assert.deepEqual([sid, kind, tag], [anna.sid, 4, "a13f49b2"]);
});

Deno.test("Relay lists the others in the order they joined, and notifies them", async () => {
  const rig = new RelayRig({ capacity: 7 });
  const [anna, bert, carl] = await rig.room(3);
  const welcome = carl.find("welcome")!;
  assert.equal(welcome.capacity, 7);
  assert.deepEqual(welcome.members.map(({ sid }) => sid), [anna.sid, bert.sid]);
  assert.deepEqual(welcome.members[0]!.fingerprint, cheapKey(10).publicKey.fingerprint);
  assert.deepEqual(comings(anna), [`+${bert.sid}`, `+${carl.sid}`]);
  assert.deepEqual(comings(bert), [`+${carl.sid}`]);
  assert.deepEqual(comings(carl), []);
});

Deno.test("Relay keeps rooms apart, and drops payloads to unknown members and to the sender", async () => {
  const rig = new RelayRig();
  const [anna, bert] = await rig.room(2);
  const other = await rig.join({ room: OTHER_ROOM });
  anna.send(other.sid, "over there");
  anna.send("0000000000000000", "nobody");
  anna.send("00112233445566aa", "nobody");
  anna.send(anna.sid.slice(0, 8) + "00000000", "half right");
  anna.send(anna.sid, "myself");
  anna.send(bert.sid, "hello");
  await settle();
  assert.deepEqual([anna.texts, bert.texts, other.texts], [[], ["hello"], []]);
  assert.deepEqual(comings(anna), [`+${bert.sid}`]);
  assert.deepEqual(other.find("welcome")!.members, []);
  assert.equal(rig.relay.members, 3);
});

Deno.test("Relay reports why a member left: 0 for CLOSE(0), 1 for anything else", async () => {
  const rig = new RelayRig();
  const watcher = await rig.join();
  const ends: [(client: RigClient) => unknown, number][] = [
    [(client) => client.connection.close(REASON.NORMAL), WHY.LEFT],
    [(client) => client.connection.close(REASON.TIMEOUT), WHY.LOST],
    [(client) => client.connection.close(200), WHY.LOST],
    [(client) => client.connection.abort(), WHY.LOST],
    [(client) => client.stream.cut(), WHY.LOST],
    [(client) => client.connection.send(Uint8Array.of(0x77, 0, 0)), WHY.LOST],
  ];
  for (const [end, why] of ends) {
    const client = await rig.join();
    void end(client);
    await settle();
    assert.deepEqual(comings(watcher).slice(-2), [`+${client.sid}`, `-${client.sid}:${why}`]);
  }
  assert.equal(rig.relay.members, 1);
  assert.equal(rig.relay.pending, 0);
});

Deno.test("Relay delivers payloads sent before CLOSE, then LEFT", async () => {
  const rig = new RelayRig();
  const [anna, bert] = await rig.room(2);
  anna.send(bert.sid, "the last word");
  void anna.connection.close(REASON.NORMAL);
  await settle();
  const types = bert.frames.map(({ type }) => type);
  assert.deepEqual(types, ["welcome", "recv", "left"]);
});

// --- Known answers ---

interface KnownFrame {
  receiver: "relay" | "client" | "both";
  reason: string;
  hex: string;
  repeat?: [string, number];
  state?: string;
}

const KAT = JSON.parse(
  await Deno.readTextFile(new URL("../vectors/kat.json", import.meta.url)),
).frames as { known: string; own: string; edge: KnownFrame[]; rejected: KnownFrame[] };

/** A raw member with the sid `own` in a room with a member `known`. */
async function memberWithSids() {
  const sids = [KAT.known, KAT.own].map((hex) => decodeHex(hex));
  const random = (length: number) =>
    length === 8 && sids.length > 0
      ? sids.shift()!
      : crypto.getRandomValues(new Uint8Array(length));
  const rig = new RelayRig({ random });
  const known = await rig.join();
  assert.equal(known.sid, KAT.known);
  const [near, far] = memoryPair();
  rig.relay.accept(far, "127.0.0.1");
  const raw = await RawClient.open(near, cheapKey(3));
  return { rig, known, raw };
}

Deno.test("Relay refuses the rejected frames of kat.json with CLOSE(3), and notifies the room", async () => {
  let count = 0;
  for (const { receiver, reason, hex, repeat, state } of KAT.rejected) {
    if (receiver === "client") continue;
    const { known, raw } = await memberWithSids();
    const plaintext = repeated(hex, repeat);
    if (state === "first record") await raw.begin(plaintext);
    else {
      await raw.begin(joinFrame());
      assert.equal((await raw.receive())?.[0], FRAME.WELCOME);
      await raw.send(plaintext);
    }
    assert.deepEqual(await raw.receiveAll(), [CLOSE_PROTOCOL], reason);
    const told = state === "first record" ? [] : [`+${KAT.own}`, `-${KAT.own}:${WHY.LOST}`];
    assert.deepEqual(comings(known), told, reason);
    count++;
  }
  assert.equal(count, 42);
});

Deno.test("Relay accepts the edge cases of kat.json silently", async () => {
  let count = 0;
  for (const { receiver, reason, hex, repeat } of KAT.edge) {
    if (receiver !== "relay") continue;
    const { known, raw } = await memberWithSids();
    await raw.begin(joinFrame());
    await raw.receive();
    const frame = repeated(hex, repeat);
    await raw.send(frame);
    if (frame[0] === FRAME.ADMIN) {
      assert.equal((await raw.receive())?.[0], FRAME.RESULT, reason);
    }
    await raw.send(encodeFrame({ type: "ping", data: new Uint8Array(8) }));
    assert.equal((await raw.receive())?.[0], FRAME.PONG, reason);
    const isForwarded = hex.includes(KAT.known);
    const received = known.frames.filter(({ type }) => type === "recv" || type === "part");
    assert.equal(received.length, isForwarded ? 1 : 0, reason);
    const sent = decodeFrame(frame[0]!, frame.subarray(3));
    if (isForwarded && sent.type === "send") {
      assert.deepEqual(received[0], { ...sent, type: "recv", sid: KAT.own });
    } else if (isForwarded) {
      assert.ok(sent.type === "cast");
      const entry = sent.entries.find(({ sid }) => sid === KAT.known)!;
      assert.deepEqual(received[0], { ...entry, type: "part", sid: KAT.own, common: sent.common });
    }
    count++;
  }
  assert.equal(count, 11);
});

Deno.test("decodeFrame() refuses the malformed frames of kat.json for clients", () => {
  let count = 0;
  const byState =
    /before WELCOME|^(JOIN|SEND|CAST|ADMIN) from|second WELCOME|known sid|own sid|to who sent zeros|after WELCOME/;
  for (const { receiver, reason, hex, repeat, state } of KAT.rejected) {
    if (receiver !== "client") continue;
    const bytes = repeated(hex, repeat);
    if (byState.test(reason) && !(state === "before WELCOME" && hex.startsWith("11"))) continue;
    assert.throws(
      () => decodeFrame(bytes[0]!, bytes.subarray(3)),
      { name: "ProtocolError" },
      reason,
    );
    count++;
  }
  assert.equal(count, 25);
});

Deno.test("Relay ends only connections that send hostile bytes", async () => {
  const rig = new RelayRig();
  const [anna, bert] = await rig.room(2);
  const hostile = fc.oneof(
    fc.record({ plaintext: fc.uint8Array({ maxLength: 100 }) }),
    fc.record({ type: fc.constantFrom(...Object.values(FRAME)), body: fc.uint8Array() }),
    fc.record({ wire: fc.uint8Array({ minLength: 1, maxLength: 100 }) }),
  );
  await fc.assert(
    fc.asyncProperty(hostile, fc.boolean(), async (bytes, isFirst) => {
      const { stream } = rig.dial();
      await rig.clock.advance(25); // at most 50 handshakes a second
      const raw = await RawClient.open(stream, cheapKey(3));
      if (!isFirst) await raw.begin(joinFrame());
      const plaintext = "plaintext" in bytes
        ? bytes.plaintext
        : "body" in bytes
        ? concat(Uint8Array.of(bytes.type), withLength(bytes.body))
        : undefined;
      if ("wire" in bytes) await stream.write(bytes.wire);
      else if (isFirst) await raw.begin(plaintext!);
      else await raw.send(plaintext!);
      await stream.closeWrite();
      await raw.receiveAll();
      await settle();
      assert.equal(rig.relay.members, 2);
      assert.equal(rig.relay.pending, 0);
    }),
    { numRuns: 150 },
  );
  anna.send(bert.sid, "still here");
  await settle();
  assert.deepEqual(bert.texts, ["still here"]);
});

// --- Against a naive model ---

/** The simplest relay: who is in which room, and what each was sent. */
class Model {
  readonly rooms: number[][] = [[], []];
  readonly seen: string[][] = [];

  join(who: number, room: number): void {
    this.seen[who] = [`welcome ${this.rooms[room]!.join(" ")}`];
    for (const other of this.rooms[room]!) this.seen[other]!.push(`joined ${who}`);
    this.rooms[room]!.push(who);
  }

  leave(who: number, why: number): void {
    for (const members of this.rooms) {
      const index = members.indexOf(who);
      if (index < 0) continue;
      members.splice(index, 1);
      for (const other of members) this.seen[other]!.push(`left ${who} ${why}`);
    }
  }

  send(from: number, to: number, text: string): void {
    const together = this.rooms.some((room) => room.includes(from) && room.includes(to));
    if (together && from !== to) this.seen[to]!.push(`recv ${from} ${text}`);
  }
}

Deno.test("Relay behaves like a naive model", async () => {
  const action = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant("join" as const), room: fc.nat(1) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constantFrom("leave" as const, "drop" as const),
        who: fc.nat(9),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant("send" as const),
        who: fc.nat(9),
        to: fc.nat(9),
        size: fc.constantFrom(1, 100, 16_000),
      }),
    },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { maxLength: 40 }),
      fc.integer({ min: 1, max: 3000 }),
      async (actions, readSize) => {
        const rig = new RelayRig();
        const model = new Model();
        const clients: RigClient[] = [];
        const present = (who: number) => who < clients.length && clients[who]!.ends.length === 0;
        for (const [i, step] of actions.entries()) {
          if (step.do === "join") {
            model.join(clients.length, step.room);
            const room = step.room === 0 ? LOBBY : OTHER_ROOM;
            clients.push(await rig.join({ room, readSize }));
          } else if (!present(step.who)) continue;
          else if (step.do === "send") {
            const to = clients[step.to];
            const text = `${i} `.padEnd(step.size, ".").slice(0, step.size);
            if (to) model.send(step.who, step.to, text);
            clients[step.who]!.send(to?.sid ?? "00000000000000aa", text);
          } else {
            model.leave(step.who, step.do === "leave" ? WHY.LEFT : WHY.LOST);
            if (step.do === "leave") void clients[step.who]!.connection.close(REASON.NORMAL);
            else clients[step.who]!.connection.abort();
          }
          await settle(20_000 / readSize > 20 ? 60 : 20);
        }
        const names = new Map(clients.map((client, i) => [client.sid, i]));
        const seen = clients.map((client) =>
          client.frames.map((frame) => {
            switch (frame.type) {
              case "welcome":
                return `welcome ${frame.members.map(({ sid }) => names.get(sid)).join(" ")}`;
              case "joined":
                return `joined ${names.get(frame.sid)}`;
              case "left":
                return `left ${names.get(frame.sid)} ${frame.why}`;
              case "recv":
                return `recv ${names.get(frame.sid)} ${new TextDecoder().decode(frame.payload)}`;
              default:
                return frame.type;
            }
          })
        );
        assert.deepEqual(seen, model.seen);
        await rig.relay.stop();
      },
    ),
    { numRuns: 30 },
  );
});
