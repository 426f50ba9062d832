import { deepEqual, equal } from "node:assert/strict";
import { Held } from "../../lib/cluster/held.ts";
import { FakeClock } from "../support/fake_clock.ts";

const body = (length: number) => new Uint8Array(length);

Deno.test("what is held is taken in order, once", async () => {
  const clock = new FakeClock();
  const dropped: string[] = [];
  const held = new Held(clock, (pair) => dropped.push(pair));
  equal(held.has("a"), false);
  for (const length of [1, 2, 3]) held.add("a", { body: body(length), from: "r" });
  equal(held.has("a"), true);
  deepEqual(held.take("a").map(({ body }) => body.length), [1, 2, 3]);
  deepEqual([held.take("a"), held.has("a"), held.pairsOf("a")], [[], false, []]);
  await clock.advance(5_000);
  deepEqual(dropped, []);
});

Deno.test("what is held for two seconds is dropped", async () => {
  const clock = new FakeClock();
  const dropped: string[] = [];
  const held = new Held(clock, (pair, { body }) => dropped.push(`${pair}${body.length}`));
  held.add("a", { body: body(1), from: "r" });
  await clock.advance(1_500);
  held.add("a", { body: body(2), from: "r" });
  held.add("b", { body: body(3), from: "r" });
  await clock.advance(600);
  deepEqual(dropped, ["a1", "a2"]);
  held.clear();
  await clock.advance(5_000);
  deepEqual([dropped.length, clock.timers], [2, 0]);
});

Deno.test("of more than 64 KiB between two, and 4 MiB in all, what came first is dropped", () => {
  const dropped: string[] = [];
  const held = new Held(
    new FakeClock(),
    (pair, { body }) => dropped.push(`${pair} ${body.length}`),
  );
  for (const length of [60_000, 5_000, 6_000]) held.add("a", { body: body(length), from: "r" });
  deepEqual(dropped, ["a 60000"]);
  deepEqual(held.take("a").map(({ body }) => body.length), [5_000, 6_000]);
  for (let i = 1; dropped.length < 2; i++) held.add(`b${i}`, { body: body(60_000), from: "r" });
  equal(dropped[1], `b${Math.floor(4 * 1024 * 1024 / 60_256) + 1} 60000`);
  deepEqual([held.pairsOf("b69"), held.pairsOf("7").length], [["b69"], 7]);
});
