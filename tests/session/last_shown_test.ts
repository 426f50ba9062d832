import assert from "node:assert/strict";
import { LastShown } from "../../lib/session/last_shown.ts";
import { FakeClock } from "../support/fake_clock.ts";

const person = (n: number) => new Uint8Array(32).fill(n);

Deno.test("LastShown remembers people for 24 h after they were shown last, and not many", async () => {
  const clock = new FakeClock();
  const shown = new LastShown(clock);
  shown.add(person(1));
  shown.add(person(2));
  await clock.sleep(24 * 3_600_000);
  assert.ok(shown.has(person(1)));
  shown.add(person(2));
  await clock.sleep(1);
  assert.deepEqual([1, 2, 3].map((n) => shown.has(person(n))), [false, true, false]);
  for (let n = 0; n < 256; n++) shown.add(person(n));
  assert.ok(shown.has(person(1)));
  shown.add(new Uint8Array(32).fill(7, 1));
  assert.ok(!shown.has(person(0)));
});
