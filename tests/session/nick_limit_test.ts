import assert from "node:assert/strict";
import { NICKS_PER_MINUTE } from "../../lib/protocol/limits.ts";
import { ANNA, BERT, CARL, meet } from "../support/people.ts";
import { TestRoom } from "../support/test_room.ts";

Deno.test("NickLimit: 10 nicks of one key a minute are shown and remembered, then the last one", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    for (let i = 1; i <= 100; i++) {
      bert.membership.setNick(`bert${i}`);
      await room.advance(10);
    }
    const shown = anna.take("nick");
    assert.equal(shown.length, NICKS_PER_MINUTE - 1); // the first came with HELLO
    assert.equal(anna.membership.roster.people()[0]?.usedNick, "bert9");
    assert.deepEqual(anna.knownPeers.owners("bert9"), [bert.name]);
    assert.deepEqual(anna.knownPeers.owners("bert50"), []);
    bert.say("who am I?");
    await room.advance(100);
    assert.deepEqual(anna.take("chat"), ["bert9: who am I?"]);
    await room.advance(60_000);
    assert.deepEqual(anna.take("nick"), ["nick bert9 is bert100"]);
    // Nothing is shown that changes nothing.
    await room.advance(120_000);
    assert.deepEqual(anna.take("nick"), []);
  });
});

Deno.test("NickLimit counts the nicks of HELLO too, and each key alone", async () => {
  await TestRoom.use(async (room) => {
    const [anna] = await meet(room, ANNA);
    for (let i = 1; i <= NICKS_PER_MINUTE + 5; i++) {
      const bert = await room.enter({ ...BERT, nick: `bert${i}` });
      await room.leave(bert);
    }
    const names = anna.take("joined").map((line) => line.split(" ")[1]);
    assert.equal(new Set(names).size, NICKS_PER_MINUTE);
    assert.equal(names.length, NICKS_PER_MINUTE + 5);
    await room.enter(CARL);
    assert.deepEqual(anna.take("joined"), ["joined carl new"]);
  });
});
