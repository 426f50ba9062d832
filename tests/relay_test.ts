import assert from "node:assert/strict";
import { settle } from "./support/fake_clock.ts";
import { RelayRig } from "./support/relay_rig.ts";

Deno.test("Relay forwards payloads between the members of a room, in order", async () => {
  const rig = new RelayRig();
  const [anna, bert] = await rig.room(2);
  for (let i = 0; i < 100; i++) anna.send(bert.sid, `message ${i}`);
  bert.send(anna.sid, "answer");
  await settle();
  assert.deepEqual(bert.texts, Array.from({ length: 100 }, (_, i) => `message ${i}`));
  assert.deepEqual(anna.texts, ["answer"]);
  assert.deepEqual(anna.find("joined")?.sid, bert.sid);
  assert.deepEqual(bert.find("welcome")?.members.map((member) => member.sid), [anna.sid]);
});
