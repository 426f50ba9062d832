import assert from "node:assert/strict";
import { MAX_UNDELIVERED_BYTES } from "../../lib/protocol/limits.ts";
import {
  BOX_BYTES,
  type CastEntry,
  encodeFrame,
  FRAME,
  MAX_COMMON_BYTES,
  MIN_COMMON_BYTES,
  REASON,
} from "../../lib/protocol/frames.ts";
import { settle } from "../support/fake_clock.ts";
import { comings, OTHER_ROOM, RelayRig, type RigClient, TAG } from "../support/relay_rig.ts";

const COMMON = new Uint8Array(100).fill(0xc0);

/** An entry whose box says for whom it is. */
function entry(sid: string, box: number, tag = TAG): CastEntry {
  return { sid, tag, box: new Uint8Array(BOX_BYTES).fill(box) };
}

function cast(from: RigClient, entries: readonly CastEntry[], common: Uint8Array = COMMON): void {
  from.connection.send(encodeFrame({ type: "cast", entries, common }));
}

/** The boxes in the PARTs that a client received. */
function boxes(client: RigClient): number[] {
  return client.frames.flatMap((frame) => frame.type === "part" ? [frame.box[0]!] : []);
}

Deno.test("Relay makes a PART of each entry of a CAST", async () => {
  const rig = new RelayRig();
  const [anna, bert, carl] = await rig.room(3);
  cast(anna, [entry(carl.sid, 1, "00000001"), entry(bert.sid, 2, "00000002")]);
  await settle();
  assert.deepEqual(bert.find("part"), {
    type: "part",
    sid: anna.sid,
    tag: "00000002",
    box: new Uint8Array(BOX_BYTES).fill(2),
    common: COMMON,
  });
  assert.deepEqual(carl.find("part"), {
    type: "part",
    sid: anna.sid,
    tag: "00000001",
    box: new Uint8Array(BOX_BYTES).fill(1),
    common: COMMON,
  });
  assert.deepEqual(anna.frames.map(({ type }) => type), ["welcome", "joined", "joined"]);
});

Deno.test("Relay leaves out entries for the sender, for strangers, and a member's second one", async () => {
  const rig = new RelayRig();
  const [anna, bert, carl] = await rig.room(3);
  const other = await rig.join({ room: OTHER_ROOM });
  cast(anna, [
    entry(bert.sid, 1),
    entry(anna.sid, 2),
    entry(other.sid, 3),
    entry("00112233445566aa", 4),
    entry("0000000000000000", 5),
    entry(bert.sid.slice(0, 8) + "00000000", 6),
    entry(bert.sid, 7, "00000007"),
    entry(carl.sid, 8),
    entry(bert.sid, 9),
  ]);
  cast(anna, [entry("00112233445566aa", 1)]);
  cast(anna, [entry(bert.sid, 10)]);
  await settle();
  assert.deepEqual([anna, bert, carl, other].map(boxes), [[], [1, 10], [8], []]);
  assert.deepEqual(anna.ends, []);
});

Deno.test("Relay keeps PART and RECV of a sender in order, and before its LEFT", async () => {
  const rig = new RelayRig();
  const [anna, bert] = await rig.room(2);
  for (let i = 0; i < 20; i++) {
    anna.send(bert.sid, `${2 * i}`);
    cast(anna, [entry(bert.sid, 2 * i + 1)]);
  }
  void anna.connection.close(REASON.NORMAL);
  await settle();
  const places = bert.frames.flatMap((frame) =>
    frame.type === "recv"
      ? [Number(new TextDecoder().decode(frame.payload))]
      : frame.type === "part"
      ? [frame.box[0]!]
      : []
  );
  assert.deepEqual(places, Array.from({ length: 40 }, (_, i) => i));
  assert.equal(bert.frames.at(-1)!.type, "left");
});

Deno.test("Relay accepts a CAST at its bounds, and answers any other size with CLOSE(3)", async () => {
  const raw = (count: number, bytes: number) => {
    const frame = new Uint8Array(3 + 1 + bytes).fill(7);
    frame.set([FRAME.CAST, (bytes + 1) >> 8, bytes + 1, count]);
    return frame;
  };
  const ENTRY = 69;
  const cases: [isAccepted: boolean, frame: Uint8Array][] = [
    [true, raw(1, ENTRY + MIN_COMMON_BYTES)],
    [true, raw(1, ENTRY + MAX_COMMON_BYTES)],
    [true, raw(236, 236 * ENTRY + MIN_COMMON_BYTES)],
    [true, raw(110, 110 * ENTRY + MAX_COMMON_BYTES)],
    [false, raw(1, ENTRY + MIN_COMMON_BYTES - 1)],
    [false, raw(1, ENTRY + MAX_COMMON_BYTES + 1)],
    [false, raw(0, MIN_COMMON_BYTES)],
    [false, raw(0, ENTRY + MIN_COMMON_BYTES)],
    [false, raw(237, 237 * ENTRY + MIN_COMMON_BYTES)],
    [false, raw(2, ENTRY + MIN_COMMON_BYTES)],
    [false, raw(255, ENTRY + MIN_COMMON_BYTES)],
    [false, raw(1, ENTRY - 1)],
    [false, raw(1, 0)],
    [false, Uint8Array.of(FRAME.CAST, 0, 0)],
  ];
  for (const [isAccepted, frame] of cases) {
    const rig = new RelayRig();
    const [anna, bert] = await rig.room(2);
    anna.connection.send(frame);
    await settle();
    assert.equal(anna.reason, isAccepted ? undefined : REASON.PROTOCOL, `${frame.length} bytes`);
    assert.equal(comings(bert).length, isAccepted ? 0 : 1);
  }
});

Deno.test("Relay charges a CAST for each receiver: 57 bytes, common and 256 bytes", async () => {
  const rig = new RelayRig();
  const [anna, bert, carl] = await rig.room(3);
  bert.relayStream.stalled = carl.relayStream.stalled = true;
  const watcher = await rig.join();
  const common = new Uint8Array(4096 - BOX_BYTES - 256);
  const whole = MAX_UNDELIVERED_BYTES / 4096 / 2;
  for (let i = 0; i < whole; i++) {
    cast(anna, [entry(bert.sid, 1), entry(carl.sid, 2)], common);
  }
  await settle(300);
  anna.send(watcher.sid, "just at the limit");
  await settle();
  assert.deepEqual(watcher.texts, ["just at the limit"]);
  cast(anna, [entry(bert.sid, 3)], new Uint8Array(MIN_COMMON_BYTES));
  await settle();
  anna.send(watcher.sid, "above it");
  await settle();
  assert.deepEqual(watcher.texts, ["just at the limit"]);
  bert.relayStream.stalled = carl.relayStream.stalled = false;
  await settle(300);
  assert.deepEqual(watcher.texts, ["just at the limit", "above it"]);
  assert.equal(boxes(bert).length, whole + 1);
  assert.equal(boxes(carl).length, whole);
});
