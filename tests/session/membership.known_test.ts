import assert from "node:assert/strict";
import { WHY } from "../../lib/protocol/frames.ts";
import { KEEP_KNOWN_MS, KEPT_MS } from "../../lib/protocol/limits.ts";
import { MAX_TEXT_BYTES } from "../../lib/protocol/messages.ts";
import { MAX_KEPT_BYTES, MAX_KEPT_FOR_ALL_BYTES } from "../../lib/session/streams.ts";
import { ANNA, BERT, CARL, meet, texts } from "../support/people.ts";
import { type TestClient, TestRoom } from "../support/test_room.ts";

// Twelve hours for people one knows (PROTOCOL.md §6, "People" and "What a sender keeps").

const HOUR_MS = 3_600_000;
/** Anna, who has met Bert before. */
const KNOWING = { ...ANNA, knows: [BERT] };

function kept(client: TestClient): string[] {
  return client.take("kept", "undelivered", "delivered");
}

Deno.test("Membership: somebody known is lost for 12 hours, and each message is kept for 12 hours", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, KNOWING, BERT);
    anna.say("zero");
    await room.advance(1000);
    await room.leave(bert, WHY.LOST);
    anna.take();
    anna.say("one");
    await room.advance(KEPT_MS - 2000);
    assert.deepEqual(kept(anna), []);
    await room.advance(3000);
    assert.deepEqual(kept(anna), ["kept one for bert, 710 min"]);
    const [lost] = anna.membership.lost();
    assert.equal(lost?.nick, "bert");
    assert.equal(Date.parse(lost!.until) - Date.parse(lost!.since), KEEP_KNOWN_MS);
    await room.advance(KEEP_KNOWN_MS - KEPT_MS - 3000);
    anna.say("two");
    assert.deepEqual(kept(anna), []);
    await room.advance(3000);
    assert.deepEqual(kept(anna), ["undelivered one to bert"]);
    anna.say("three");
    assert.deepEqual(kept(anna), ["undelivered three to nobody"]);
    assert.deepEqual(anna.membership.lost(), []);
    await room.join(bert);
    await room.advance(1000);
    assert.deepEqual(bert.take("chat", "lost"), ["anna: zero", "lost 1 of anna", "anna: two"]);
  });
});

Deno.test("Membership: a laptop that slept for nine hours gets the night's messages once and in order", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(room, { ...ANNA, knows: [BERT, CARL] }, {
      ...BERT,
      knows: [ANNA, CARL],
    }, CARL);
    anna.say("good night");
    await room.advance(1000);
    room.disconnect(carl);
    await room.advance(60_000);
    await room.notice(carl);
    const night: string[] = [];
    for (let i = 0; i < 9; i++) {
      await room.advance(HOUR_MS);
      for (const [name, client] of [["anna", anna], ["bert", bert]] as const) {
        client.say(`${name} ${i}`);
        night.push(`${name} ${i}`);
      }
    }
    await room.join(carl);
    await room.advance(1000);
    assert.deepEqual(
      texts(carl).filter((text) => text.startsWith("anna")),
      night.filter((_, i) => i % 2 === 0),
    );
    assert.deepEqual(
      texts(carl).filter((text) => text.startsWith("bert")),
      night.filter((_, i) => i % 2 === 1),
    );
    assert.deepEqual(carl.take("lost"), []);
    for (const client of [anna, bert]) {
      assert.deepEqual(client.take("undelivered"), []);
      assert.equal(client.membership.outbox.unsettled, 0);
    }
  });
});

Deno.test("Membership: a client that restarts in the morning gets what none of its person has, late", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, KNOWING, BERT);
    anna.say("taken");
    await room.advance(1000);
    bert.kill();
    await room.notice(bert);
    anna.say("in the night");
    await room.advance(9 * HOUR_MS);
    const again = await room.enter(BERT);
    await room.advance(1000);
    assert.deepEqual(again.take("chat"), ["anna: in the night (late)"]);
    await room.advance(KEEP_KNOWN_MS);
    assert.deepEqual(anna.take("undelivered"), []);
  });
});

Deno.test("Membership: whoever is new, or in conflict, is kept for 10 minutes", async () => {
  await TestRoom.use(async (room) => {
    // Carl comes under Bert's nick.
    const [anna, bert, carl] = await meet(
      room,
      { ...ANNA, knows: [BERT, { ...CARL, nick: "karl" }] },
      BERT,
      {
        ...CARL,
        nick: "bert",
      },
    );
    const dora = await room.enter({ seed: 1, nick: "dora" });
    for (const client of [bert, carl, dora]) await room.leave(client, WHY.LOST);
    anna.say("hello");
    await room.advance(KEPT_MS + 2000);
    const [undelivered, ...more] = anna.take("undelivered", "kept");
    assert.equal(undelivered, "undelivered hello to bert dora");
    assert.deepEqual(more, ["kept hello for bert, 710 min"]);
    assert.deepEqual(anna.membership.lost().map(({ fingerprint }) => fingerprint), [bert.name]);
  });
});

Deno.test("Membership: verified, accepted, or first shown a day ago is known", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(room, ANNA, BERT, CARL);
    anna.knownPeers.verify(bert.name);
    anna.knownPeers.accept(carl.name, "carl");
    await room.leave(bert, WHY.LOST);
    await room.leave(carl, WHY.LOST);
    await room.advance(KEPT_MS + 1000);
    assert.equal(anna.membership.lost().length, 2);
  });
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    await room.advance(23 * HOUR_MS);
    await room.leave(bert, WHY.LOST);
    await room.advance(KEPT_MS + 1000);
    assert.equal(anna.membership.lost().length, 0);
    await room.join(bert);
    await room.advance(HOUR_MS);
    await room.leave(bert, WHY.LOST);
    await room.advance(KEPT_MS + 1000);
    assert.equal(anna.membership.lost().length, 1);
  });
});

Deno.test("Membership: what is kept for somebody known who says goodbye, or is removed, is given up at once", async () => {
  for (const why of [WHY.LEFT, WHY.REMOVED]) {
    await TestRoom.use(async (room) => {
      const [anna, bert] = await meet(room, KNOWING, BERT);
      room.filter = () => undefined;
      anna.say("one");
      await room.advance(KEPT_MS + 1000);
      assert.deepEqual(kept(anna), ["kept one for bert, 710 min"]);
      await room.leave(bert, why);
      assert.deepEqual(kept(anna), ["undelivered one to bert"]);
    });
  }
});

Deno.test("Membership: 32 MiB are kept for all who are lost, given up first for whom was shown for the shortest time", async () => {
  await TestRoom.use(async (room) => {
    const people = Array.from({ length: 10 }, (_, i) => ({ seed: 20 + i, nick: `n${i}` }));
    const [anna] = await meet(room, { ...ANNA, knows: people });
    const others: TestClient[] = [];
    for (const person of people) {
      others.push(await room.enter(person));
      await room.advance(1000);
    }
    for (const other of others) await room.leave(other, WHY.LOST);
    others.reverse(); // the one shown for the shortest time first
    anna.take();
    const text = "x".repeat(MAX_TEXT_BYTES);
    const perPerson = MAX_KEPT_BYTES / MAX_TEXT_BYTES;
    // Eight have one less than an instance may, and another has the rest.
    for (const other of others.slice(2)) {
      for (let i = 1; i < perPerson; i++) anna.sendPrivate(other, text);
    }
    const rest = MAX_KEPT_FOR_ALL_BYTES / MAX_TEXT_BYTES - 8 * (perPerson - 1);
    for (let i = 0; i < rest; i++) anna.sendPrivate(others[1]!, text);
    assert.deepEqual(anna.take("undelivered"), []);
    anna.say("to all"); // counts once
    const undelivered = () => anna.take("undelivered").map((line) => line.replace(text, "x"));
    // What n9 waits for goes first, though others wait for it, too.
    assert.deepEqual(undelivered(), ["undelivered to all to n9", "undelivered x to n8"]);
    anna.membership.setNick("anja");
    assert.deepEqual(anna.take("undelivered"), []);
  });
});
