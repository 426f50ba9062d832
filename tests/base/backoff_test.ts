import { deepEqual, equal } from "node:assert/strict";
import { Backoff } from "../../lib/base/backoff.ts";

Deno.test("Backoff doubles up to 30 seconds, and starts over after a success", () => {
  const backoff = new Backoff();
  const delays = Array.from({ length: 7 }, () => backoff.next());
  deepEqual(delays, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  equal(backoff.attempts, 7);
  backoff.reset();
  equal(backoff.attempts, 0);
  equal(backoff.next(), 1000);
});
