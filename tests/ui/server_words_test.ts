import assert from "node:assert/strict";
import { ServerWords } from "../../lib/ui/server_words.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("ServerWords shows the message of the day again only when it has changed", () => {
  const words = new ServerWords(new FakeClock());
  const shown = ["be kind", "be kind", "be brief", "be kind", "", "be kind"].map((text, i) =>
    words.isNew({ event: "server", what: "motd", text }, `room ${i % 2}`)
  );
  assert.deepEqual(shown, [true, false, true, true, true, true]);
});

Deno.test("ServerWords shows an announcement that comes over several connections once", async () => {
  const clock = new FakeClock();
  const words = new ServerWords(clock);
  const isNew = (room: string, text = "closing") =>
    words.isNew({ event: "server", what: "announcement", text }, room);
  assert.deepEqual(["a", "b", "c"].map((room) => isNew(room)), [true, false, false]);
  assert.equal(isNew("a"), true, "said twice");
  assert.equal(isNew("b", "closed"), true);
  await clock.advance(10_000);
  assert.equal(isNew("a", "closed"), true);
});

Deno.test("ServerWords shows an outage of several connections once, and its end", () => {
  const words = new ServerWords(new FakeClock());
  assert.equal(words.endsOutage(), false);
  assert.deepEqual(["cut", "cut", "full"].map((reason) => words.isNewOutage(reason)), [
    true,
    false,
    true,
  ]);
  assert.deepEqual([words.endsOutage(), words.endsOutage()], [true, false]);
  assert.equal(words.isNewOutage("full"), true);
});
