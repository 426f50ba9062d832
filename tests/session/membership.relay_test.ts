import assert from "node:assert/strict";
import { decodeHex } from "../../lib/base/bytes.ts";
import { cipherReady } from "../../lib/protocol/records.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import type { SessionEvent } from "../../lib/session/events.ts";
import { decodeFrame, type Frame, FRAME_HEADER_BYTES, REASON } from "../../lib/protocol/frames.ts";
import { KnownServers } from "../../lib/session/known_servers.ts";
import { Session } from "../../lib/session/session.ts";
import { KnownPeers } from "../../lib/session/known_peers.ts";
import { cheapKey, cheapPrimitives } from "../support/cheap_key.ts";
import { FakeClock, until } from "../support/fake_clock.ts";
import { HandRelay } from "../support/hand_relay.ts";
import { kat, katBytes } from "../support/kat.ts";
import { memoryPair } from "../support/memory_stream.ts";
import { TestRoom } from "../support/test_room.ts";
import { ANNA, BERT, meet } from "../support/people.ts";

Deno.test("Membership accepts JOINED up to the room's capacity, itself included", async () => {
  await TestRoom.use(async (room) => {
    room.capacity = 3;
    const [anna] = await meet(room, ANNA, BERT);
    const fingerprint = new Uint8Array(32).fill(9);
    await room.inject(anna, { type: "joined", sid: "00000000000000aa", fingerprint });
    assert.deepEqual(anna.faults, []);
    await room.inject(anna, { type: "joined", sid: "00000000000000ab", fingerprint });
    assert.deepEqual(anna.faults.splice(0), [new ProtocolError("unexpected")]);
    assert.equal(anna.membership.roster.members.size, 2);
  });
});

Deno.test("Membership refuses the frames of the test vectors that do not fit the roster", async () => {
  const { known, own } = kat.frames;
  let count = 0;
  for (const { receiver, reason, state, ...bytes } of kat.frames.rejected) {
    if (receiver !== "client" || state !== undefined) continue;
    const plaintext = katBytes({ ...bytes });
    let frame: Frame;
    try {
      frame = decodeFrame(plaintext[0]!, plaintext.subarray(FRAME_HEADER_BYTES));
    } catch (error) {
      assert.ok(error instanceof ProtocolError);
      continue; // malformed, refused by the decoder
    }
    await TestRoom.use(async (room) => {
      const anna = await room.client(ANNA);
      anna.membership.welcome(
        {
          type: "welcome",
          sid: own,
          capacity: 64,
          members: [{ sid: known, fingerprint: decodeHex(kat.keys.bob.fp) }],
        },
        {
          transport: { send: () => {}, congested: false },
          relay: new Uint8Array(32),
          roomKey: undefined,
          isExpected: false,
        },
      );
      const take = () => {
        if (frame.type === "joined") anna.membership.enter(frame);
        else if (frame.type === "left") anna.membership.leave(frame);
        else if (frame.type === "recv") anna.membership.receive(frame);
        else if (frame.type === "part") anna.membership.receivePart(frame);
      };
      // The others are the session's to refuse.
      if (!["joined", "left", "recv", "part"].includes(frame.type)) return;
      assert.throws(take, new ProtocolError("unexpected"), reason);
      count++;
    });
  }
  assert.equal(count, 6);
});

/** Gives a plaintext to a session in a state of kat.json, and returns the result. */
async function giveToSession(plaintext: Uint8Array, state: string | undefined) {
  await cipherReady();
  const folder = await Deno.makeTempDir();
  const clock = new FakeClock();
  const events: SessionEvent[] = [];
  const [near, far] = memoryPair({ capacity: 1 << 20 });
  const knownPeers = await KnownPeers.load(folder, (error) => {
    throw error;
  });
  const session = new Session({
    key: cheapKey(5),
    nick: "anna",
    room: "lobby",
    minKeyBits: 2048,
    address: "localhost:40623",
    knownServers: await KnownServers.load(folder),
    knownPeers,
    dial: () => Promise.resolve(near),
    emit: (event) => void events.push(event),
    clock,
    primitives: cheapPrimitives,
  });
  const running = session.run().catch((error) => error);
  const relay = new HandRelay(far);
  await relay.accept();
  if (state === undefined) {
    const welcome = kat.frames.valid.find(({ type }) => type === "WELCOME")!;
    await relay.send(decodeHex(welcome.frame));
    await until(() => events.some(({ event }) => event === "welcome"));
  }
  const sent = relay.frames.length;
  await relay.send(plaintext);
  const result = { reason: relay.reason, frames: relay.frames.slice(sent), events };
  const stopped = session.stop();
  far.close();
  await clock.advance(5000);
  await stopped;
  await running;
  await knownPeers.flush();
  await until(() => near.closed);
  await Deno.remove(folder, { recursive: true });
  return result;
}

Deno.test("Session answers every bad record of the test vectors with CLOSE(3)", async () => {
  let count = 0;
  for (const known of kat.frames.rejected) {
    if (known.receiver === "relay") continue;
    const { reason } = await giveToSession(katBytes(known), known.state);
    assert.equal(reason, REASON.PROTOCOL, known.reason);
    count++;
  }
  assert.equal(count, 57);
});

Deno.test("Session accepts the boundary records of the test vectors", async () => {
  let count = 0;
  for (const known of kat.frames.edge) {
    if (known.receiver === "relay") continue;
    const { reason, frames, events } = await giveToSession(katBytes(known), known.state);
    assert.equal(reason, undefined, known.reason);
    const told = events.map((event) => "reason" in event ? event.reason : event.event);
    if (known.reason.startsWith("PING")) assert.equal(frames[0]?.type, "pong");
    else if (known.reason.startsWith("CLOSE with")) assert.ok(told.includes("200"));
    else if (known.reason.startsWith("CLOSE, then")) assert.ok(told.includes("shutting down"));
    else assert.ok(told.includes("welcome"));
    count++;
  }
  assert.equal(count, 11);
});
