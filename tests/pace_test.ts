import assert from "node:assert/strict";
import { Pace } from "../lib/pace.ts";

/** Writes whenever that is due, from `from` on; the times of the first `count` writes. */
function writes(pace: Pace, { from, count }: { from: number; count: number }): number[] {
  const times: number[] = [];
  for (let now = from; times.length < count; now++) {
    while (times.length < count && pace.due(now, 1) <= now) {
      pace.note(now);
      times.push(now);
    }
  }
  return times;
}

Deno.test("Pace lets four writes follow each other, then one each gap", () => {
  const pace = new Pace(25);
  assert.deepEqual(writes(pace, { from: 1000, count: 7 }), [
    1000,
    1000,
    1000,
    1000,
    1025,
    1050,
    1075,
  ]);
});

Deno.test("Pace makes nobody wait who writes less often than that", () => {
  const pace = new Pace(25);
  for (let now = 0; now < 5000; now += 25) {
    assert.ok(pace.due(now, 1) <= now);
    pace.note(now);
  }
  assert.deepEqual(writes(pace, { from: 6000, count: 5 }), [6000, 6000, 6000, 6000, 6025]);
});

Deno.test("Pace lets 8 KiB go at any time, and makes the next write wait no longer for them", () => {
  const pace = new Pace(25);
  for (let i = 0; i < 1000; i++) {
    assert.equal(pace.due(7, 8192), 7);
    pace.note(7);
  }
  assert.equal(pace.due(7, 8191), 32);
  assert.deepEqual(writes(pace, { from: 7, count: 2 }), [32, 57]);
});

Deno.test("Pace without a gap never waits", () => {
  const pace = new Pace(0);
  assert.deepEqual(writes(pace, { from: 3, count: 50 }), Array(50).fill(3));
});
