import assert from "node:assert/strict";
import type { FileFrame } from "../../../lib/protocol/file_frames.ts";
import { MAX_WAITING_BYTES, PieceFeed } from "../../../lib/session/files/piece_feed.ts";
import { settle } from "../../support/fake_clock.ts";

const data = (length: number): FileFrame => ({ type: "data", data: new Uint8Array(length) });

Deno.test("what comes during a call goes together with the next one, in order", async () => {
  const calls: { frames: readonly FileFrame[]; end(): void }[] = [];
  const feed = new PieceFeed((frames) =>
    new Promise((resolve) => calls.push({ frames, end: resolve }))
  );
  const frames = [data(1), data(2), data(3), { type: "done", total: 6 } as const];
  for (const frame of frames) assert.ok(feed.add(frame));
  assert.deepEqual(calls.map(({ frames }) => frames), [frames.slice(0, 1)]);
  calls[0]!.end();
  await settle();
  assert.deepEqual(calls.map(({ frames }) => frames), [frames.slice(0, 1), frames.slice(1)]);
  calls[1]!.end();
  await settle();
  assert.ok(feed.add({ type: "kept" }), "the next one goes at once");
  assert.equal(calls.length, 3);
});

Deno.test("more than may be under way does not wait", async () => {
  let end = () => {};
  const feed = new PieceFeed(() => new Promise((resolve) => end = resolve));
  assert.ok(feed.add(data(1)));
  let waiting = 0;
  while (feed.add(data(15_360))) waiting += 15_360;
  assert.ok(waiting > MAX_WAITING_BYTES / 2 && waiting <= MAX_WAITING_BYTES, `${waiting}`);
  let small = 0;
  const other = new PieceFeed(() => new Promise(() => {}));
  while (other.add({ type: "alive" })) small++;
  assert.ok(small < 100_000, "frames without DATA count, too");
  end();
  await settle();
  assert.ok(feed.add(data(1)), "once they are taken there is room again");
});
