import { deepEqual, equal } from "node:assert/strict";
import { SlidingWindow } from "../../lib/base/sliding_window.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("SlidingWindow allows its limit within any span and says how long to wait", async () => {
  const clock = new FakeClock();
  const window = new SlidingWindow(clock, { limit: 2, spanMs: 1000 });
  const waits: number[] = [];
  for (const pause of [0, 400, 300, 299, 1, 400]) {
    await clock.advance(pause);
    waits.push(window.waitMs);
    if (window.waitMs === 0) window.count();
  }
  deepEqual(waits, [0, 0, 300, 1, 0, 0]);
  equal(window.waitMs, 600);
});
