import assert from "node:assert/strict";
import { KEPT_MS } from "../../lib/protocol/limits.ts";
import { cipherReady } from "../../lib/protocol/records.ts";
import { gatherWith } from "../simulation/gathering.ts";
import { Village } from "../simulation/village.ts";

await cipherReady();

// What waits for people when the room moves (PROTOCOL.md §6, "People", and §14).

Deno.test("Succession: a laptop sleeps, the host goes in the night, and in the morning it gets everything once", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl] = await gatherWith(village, { knows: true }, "anna", "bob", "carl");
    bob!.session.say("good night");
    await village.advance(1000);
    village.stop(carl!);
    bob!.session.say("one");
    await village.advance(KEPT_MS);
    village.kill(anna!);
    await village.until(() => village.hosts.includes("bob"));
    bob!.session.say("two");
    await village.advance(2 * KEPT_MS);
    bob!.session.say("three");
    assert.deepEqual(bob!.take("undelivered"), []);
    village.wake(carl!);
    await village.until(() => carl!.heard.length === 4);
    await village.advance(5000);
    const texts = ["good night", "one", "two", "three"].map((text) => `bob: ${text}`);
    assert.deepEqual(carl!.heard, texts);
    assert.deepEqual(bob!.take("undelivered").length, 0);
  });
});

Deno.test("Succession: a move makes nothing undelivered, and a stranger who does not come along is kept for 10 minutes", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl] = await gatherWith(village, {}, "anna", "bob", "carl");
    village.plug(carl!, false);
    carl!.session.say("from far away");
    village.kill(anna!);
    await village.until(() => village.hosts.includes("bob"));
    bob!.session.say("hello");
    await village.advance(KEPT_MS - 20_000);
    assert.deepEqual(bob!.take("undelivered"), []);
    await village.advance(40_000);
    const [undelivered] = bob!.take("undelivered");
    assert.deepEqual(
      undelivered?.event === "undelivered" && [...undelivered.to].sort(),
      [anna!.fingerprint, carl!.fingerprint].sort(),
    );
  });
});
