import assert from "node:assert/strict";
import { PassedOver } from "../../lib/session/passed_over.ts";
import { FakeClock } from "../support/fake_clock.ts";

const relay = new Uint8Array(32).fill(1);

Deno.test("PassedOver: who lies is passed over for 10 s, then twice as long, up to 10 minutes", async () => {
  const clock = new FakeClock();
  const passedOver = new PassedOver(clock);
  const place = { relay, port: 1 };
  assert.equal(passedOver.has(place), false);
  for (const seconds of [10, 20, 40, 80, 160, 320, 600, 600]) {
    passedOver.lied(place);
    await clock.advance(seconds * 1000 - 1);
    assert.equal(passedOver.has(place), true, `${seconds}`);
    await clock.advance(1);
    assert.equal(passedOver.has(place), false, `${seconds}`);
  }
  assert.equal(passedOver.has({ relay, port: 2 }), false, "another process");
});

Deno.test("PassedOver: 10 minutes at once if a room gave way to it, and a minute for a refusal", async () => {
  const clock = new FakeClock();
  const passedOver = new PassedOver(clock);
  const [liar, refuser] = [{ relay, port: 1 }, { relay, port: 2 }];
  passedOver.lied(liar, true);
  passedOver.refused(liar);
  passedOver.refused(refuser);
  await clock.advance(59_999);
  assert.equal(passedOver.has(refuser), true);
  await clock.advance(1);
  assert.equal(passedOver.has(refuser), false);
  await clock.advance(539_999);
  assert.equal(passedOver.has(liar), true);
  await clock.advance(1);
  assert.equal(passedOver.has(liar), false);
});
