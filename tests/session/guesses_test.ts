import assert from "node:assert/strict";
import {
  GUESSES_IN_ALL,
  GUESSES_OF_STRANGERS,
  GUESSES_PER_FP,
  GUESSES_PER_STRANGER,
  GUESSES_SPAN_MS,
  MAX_OPEN_STRANGERS,
} from "../../lib/protocol/limits.ts";
import { Guesses } from "../../lib/session/guesses.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** Makes guesses that fail, as long as they are allowed. @returns How many there were. */
function spend(guesses: Guesses, who: string, most = Infinity): number {
  let count = 0;
  for (; count < most && guesses.allows(who, "m2"); count++) guesses.begin(who).settle();
  return count;
}

Deno.test("Guesses: 3 of a stranger and 6 of somebody who was shown, within any 10 minutes", async () => {
  const clock = new FakeClock();
  const guesses = new Guesses(clock);
  assert.equal(spend(guesses, "stranger"), GUESSES_PER_STRANGER);
  guesses.show("friend");
  assert.equal(spend(guesses, "friend", 1), 1);
  await clock.advance(1000);
  assert.equal(spend(guesses, "friend"), GUESSES_PER_FP - 1);
  guesses.show("stranger");
  assert.equal(spend(guesses, "stranger"), GUESSES_PER_FP - GUESSES_PER_STRANGER);
  await clock.advance(GUESSES_SPAN_MS - 1001);
  assert.equal(spend(guesses, "friend"), 0);
  await clock.advance(1);
  assert.equal(spend(guesses, "friend"), 1);
});

Deno.test("Guesses: 60 over all strangers, none of whom keeps those who were shown from theirs", () => {
  const guesses = new Guesses(new FakeClock());
  let count = 0;
  for (let i = 0; i < 30; i++) count += spend(guesses, `stranger ${i}`);
  assert.equal(count, GUESSES_OF_STRANGERS);
  guesses.show("friend");
  assert.equal(spend(guesses, "friend"), GUESSES_PER_FP);
});

Deno.test("Guesses: 120 over all, not counting the first of each person who was shown", () => {
  const guesses = new Guesses(new FakeClock());
  for (let i = 0; i < 20; i++) spend(guesses, `stranger ${i}`);
  for (let i = 0; i < 40; i++) guesses.show(`friend ${i}`);
  const counts = Array.from({ length: 40 }, (_, i) => spend(guesses, `friend ${i}`));
  const counted = counts.map((count) => count - 1);
  assert.equal(
    GUESSES_OF_STRANGERS + counted.reduce((sum, count) => sum + count, 0),
    GUESSES_IN_ALL,
  );
  assert.ok(counts.every((count) => count >= 1));
});

Deno.test("Guesses: of strangers' M2s at most 16 are open at a time; M1s of our own are not held up by them", () => {
  const guesses = new Guesses(new FakeClock());
  const open = Array.from({ length: MAX_OPEN_STRANGERS }, (_, i) => {
    assert.ok(guesses.allows(`stranger ${i}`, "m2"));
    return guesses.begin(`stranger ${i}`);
  });
  assert.ok(!guesses.allows("one more", "m2"));
  assert.ok(guesses.allows("one more", "m1"));
  guesses.show("friend");
  assert.ok(guesses.allows("friend", "m2"));
  open[0]!.settle(); // forgotten
  assert.ok(guesses.allows("one more", "m2"));
  guesses.begin("one more");
  assert.ok(!guesses.allows("another", "m2"));
  open[1]!.cancel(); // verified
  assert.ok(guesses.allows("another", "m2"));
});

Deno.test("Guesses: one that turns out to be none is not counted", () => {
  const guesses = new Guesses(new FakeClock());
  for (let i = 0; i < 10; i++) guesses.begin("friend").cancel();
  assert.equal(spend(guesses, "friend"), GUESSES_PER_STRANGER);
});
