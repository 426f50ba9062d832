import { deepEqual, equal } from "node:assert/strict";
import { Held } from "../../lib/cluster/held.ts";
import { FakeClock } from "../support/fake_clock.ts";

const body = (length: number) => new Uint8Array(length);

Deno.test("what is held is taken in order, once", async () => {
  const clock = new FakeClock();
  const dropped: string[] = [];
  const held = new Held(clock, (source) => dropped.push(source));
  equal(held.has("a"), false);
  for (const length of [1, 2, 3]) equal(held.add("a", { body: body(length), from: "r" }), true);
  equal(held.has("a"), true);
  deepEqual(held.take("a").map(({ body }) => body.length), [1, 2, 3]);
  deepEqual([held.take("a"), held.has("a"), held.sources()], [[], false, []]);
  await clock.advance(5_000);
  deepEqual(dropped, []);
});

Deno.test("what is held for two seconds is dropped", async () => {
  const clock = new FakeClock();
  const dropped: string[] = [];
  const held = new Held(clock, (source, { body }) => dropped.push(`${source}${body.length}`));
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

Deno.test("no more than 64 KiB of one sender and 4 MiB in all are held", () => {
  const held = new Held(new FakeClock(), () => {});
  equal(held.add("a", { body: body(60_000), from: "r" }), true);
  equal(held.add("a", { body: body(6_000), from: "r" }), false);
  let sources = 1;
  while (held.add(`b${sources}`, { body: body(60_000), from: "r" })) sources++;
  equal(sources, Math.floor(4 * 1024 * 1024 / 60_256));
  held.take("a");
  equal(held.add("c", { body: body(60_000), from: "r" }), true);
});
