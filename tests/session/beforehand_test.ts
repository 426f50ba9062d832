import assert from "node:assert/strict";
import { Beforehand, PREPARED_PER_MINUTE } from "../../lib/session/beforehand.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

const relay = (n: number) => new Uint8Array(32).fill(n);

Deno.test("Beforehand works one at a time, and on the newest relays", async () => {
  const begun: number[] = [];
  const finish: (() => void)[] = [];
  const beforehand = new Beforehand(new FakeClock(), ([n]) => {
    begun.push(n!);
    return new Promise<void>((resolve, reject) => finish.push(n === 1 ? reject : resolve));
  });
  beforehand.prepare([relay(1), relay(2)]);
  beforehand.prepare([relay(1), relay(3), relay(4)]);
  await settle();
  assert.deepEqual(begun, [1]);
  for (let i = 0; i < 3; i++) {
    finish[i]!();
    await settle();
  }
  assert.deepEqual(begun, [1, 3, 4]);
});

Deno.test("Beforehand works on few relays in a minute, whatever a host names", async () => {
  const clock = new FakeClock();
  const begun = new Set<number>();
  const beforehand = new Beforehand(clock, ([n]) => Promise.resolve(begun.add(n!)));
  for (let n = 0; n < 100; n += 2) {
    beforehand.prepare([relay(n), relay(n + 1)]);
    await settle();
  }
  assert.equal(begun.size, PREPARED_PER_MINUTE);
  await clock.advance(60_000);
  for (const _ of Array(9)) {
    beforehand.prepare([relay(1), relay(101)]);
    await settle();
  }
  assert.deepEqual([...begun], [0, 1, 2, 3, 101]);
});
