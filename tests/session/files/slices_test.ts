import assert from "node:assert/strict";
import { Slices } from "../../../lib/session/files/slices.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";

Deno.test("a slice is over after 20 ms, and the next one begins once others had their turn", async () => {
  const clock = new FakeClock();
  const slices = new Slices(clock);
  await clock.advance(19);
  assert.equal(slices.isOver, false);
  await clock.advance(1);
  assert.equal(slices.isOver, true);
  let hasRested = false;
  const resting = slices.rest().then(() => hasRested = true);
  await settle();
  assert.equal(hasRested, false);
  await clock.advance(0);
  await resting;
  assert.equal(slices.isOver, false);
});
