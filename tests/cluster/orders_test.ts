import assert from "node:assert/strict";
import type { Bus } from "../../lib/cluster/bus.ts";
import { ORDERS_KEY, SharedOrders } from "../../lib/cluster/orders.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("SharedOrders pauses between two tries where a bucket refuses to be written", async () => {
  const clock = new FakeClock();
  let [writes, refuses] = [0, true];
  const bus: Pick<Bus, "write" | "get"> = {
    write: () => {
      writes++;
      return Promise.resolve(refuses ? { type: "conflict" } : { type: "written", revision: 8 });
    },
    get: (key) => Promise.resolve({ key, value: new Uint8Array(1), revision: 7 }),
  };
  const orders = new SharedOrders({
    bus: bus as Bus,
    clock,
    mayWrite: () => true,
    seal: (_, plain, above) => new Uint8Array([...plain, above + 1]),
    open: (_, value) => ({ plain: value.slice(0, -1), n: value.at(-1)! }),
    onOrders: () => {},
  });
  orders.take({ key: ORDERS_KEY, value: new Uint8Array([1, 0, 0, 1]), revision: 7 });
  orders.setMotd("hello");
  for (let second = 0; second < 2; second++) await clock.advance(1000);
  assert.ok(writes > 2 && writes < 20, `${writes} writes in 2 s`);
  refuses = false;
  await clock.advance(1000);
  const before = writes;
  await clock.advance(1000);
  assert.equal(writes, before, "it is written once");
  assert.equal(orders.current.motd, "hello");
  orders.close();
});
