import assert from "node:assert/strict";
import { WorkBudget } from "../../lib/discovery/work_budget.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("WorkBudget lets a burst pass, then so much a second, whatever one piece of work costs", async () => {
  const clock = new FakeClock();
  const budget = new WorkBudget(clock, { perSecond: 1000, burst: 200 });
  await clock.advance(60_000); // nothing beyond the burst is saved up
  for (let i = 0; i < 3; i++) {
    assert.equal(budget.waitMs, 0);
    budget.spend(80);
  }
  assert.equal(budget.waitMs, 140); // 40 too many, and half a burst
  await clock.advance(140);
  assert.equal(budget.waitMs, 0);
  let spent = 0;
  for (let ms = 0; ms < 10_000; ms++) {
    if (budget.waitMs === 0) {
      budget.spend(80);
      spent += 80;
    }
    await clock.advance(1);
  }
  assert.ok(spent > 9_000 && spent <= 10_200, String(spent));
});
