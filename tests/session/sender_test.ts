import assert from "node:assert/strict";
import { KIND, WHY } from "../../lib/protocol/frames.ts";
import { ANNA, BERT, CARL, DORA, meet, texts } from "../support/people.ts";
import { type TestClient, TestRoom } from "../support/test_room.ts";

/** The records that a client sent since `start`: to whom, and whether in an envelope. */
function sent(room: TestRoom, from: TestClient, start: number): string[] {
  return room.log.slice(start).filter((each) => each.from === from && each.kind === KIND.RECORD)
    .map(({ to, isPart }) => `${to.membership.nick} ${isPart ? "part" : "send"}`);
}

Deno.test("Sender puts a room message for several channels into one envelope, and one for a single channel into none", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    let start = room.log.length;
    anna.say("one");
    assert.deepEqual(sent(room, anna, start), ["bert send"]);
    const carl = await room.enter(CARL);
    await room.enter(DORA);
    await room.advance(1000);
    start = room.log.length;
    const id = anna.say("two");
    assert.deepEqual(sent(room, anna, start), ["bert part", "carl part", "dora part"]);
    const [first, second] = room.log.slice(start).map(({ payload }) => payload);
    assert.deepEqual(first!.subarray(57), second!.subarray(57));
    assert.notDeepEqual(first!.subarray(0, 57), second!.subarray(0, 57));
    await room.advance(1000);
    start = room.log.length;
    anna.sendNote({ id }, "reaction", "x");
    assert.deepEqual(sent(room, anna, start), ["bert part", "carl part", "dora part"]);
    start = room.log.length;
    anna.sendPrivate(bert, "three");
    assert.deepEqual(sent(room, anna, start), ["bert send"]);
    await room.advance(1000);
    assert.deepEqual(texts(bert), ["one", "two", "three"]);
    assert.deepEqual(texts(carl), ["two"]);
    assert.deepEqual(carl.take("note"), ["anna: reaction x of two"]);
  });
});

Deno.test("Sender: what is late, moved or resent goes in no envelope; the others still share one", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(room, ANNA, BERT, CARL);
    await room.enter(DORA);
    room.filter = ({ to, payload }) => to === carl ? undefined : payload;
    anna.say("in flight to carl");
    await room.advance(1000);
    room.disconnect(carl);
    room.filter = ({ payload }) => payload;
    anna.congested = true;
    anna.say("waits");
    await room.join(carl);
    await room.advance(1000);
    const start = room.log.length;
    anna.congested = false;
    anna.membership.sender.pump();
    // Carl's stream comes first to what was in flight.
    assert.deepEqual(sent(room, anna, start).sort(), [
      "bert part",
      "carl send",
      "carl send",
      "dora part",
    ]);
    await room.advance(1000);
    assert.deepEqual(texts(carl), ["in flight to carl", "waits"]);
    assert.deepEqual(texts(bert), ["in flight to carl", "waits"]);
  });
});

Deno.test("Sender marks as late what was written more than 5 s before the receiver's sid was in its roster", async () => {
  for (const [age, mark] of [[5000, ""], [5001, " (late)"]] as const) {
    await TestRoom.use(async (room) => {
      const [anna, bert] = await meet(room, ANNA, BERT);
      await room.leave(bert, WHY.LOST);
      anna.say("hello");
      await room.advance(age);
      await room.join(bert);
      await room.advance(1000);
      assert.deepEqual(bert.take("chat"), [`anna: hello${mark}`]);
    });
  }
});

Deno.test("Sender: a sid that was in the roster of the last connection counts from there", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    room.disconnect(anna);
    await room.notice(anna);
    anna.say("written offline");
    await room.advance(60_000);
    await room.join(anna);
    await room.advance(1000);
    assert.deepEqual(bert.take("chat"), ["anna: written offline"]);
  });
});

Deno.test("Sender: the flag of a private message to one instance is late too, and its view is that of its channel", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    bert.kill();
    await room.notice(bert);
    anna.sendPrivate(bert, "psst");
    const again = await room.enter(BERT);
    await room.advance(1000);
    assert.deepEqual(again.take("chat"), ["anna: psst (private late)"]);
  });
});

Deno.test("MemberEvents: 10 changes of nick a minute are shown; of those left out the last, when there is room", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    for (let i = 0; i < 13; i++) anna.membership.setNick(`a${i}`);
    await room.advance(1000);
    assert.equal(bert.take("nick").length, 9); // the one of HELLO counts, too
    assert.ok(!anna.membership.outbox.owed);
    assert.equal(anna.membership.people.find(bert.name)!.addressed[0]!.items.length, 0); // acknowledged
    await room.advance(58_000);
    assert.deepEqual(bert.take("nick"), []);
    await room.advance(2000);
    assert.deepEqual(bert.take("nick"), ["nick a8 is a12"]);
  });
});

Deno.test("MemberEvents: HELLO means not away, in a renewed channel unless AWAY follows within 5 s", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    anna.membership.setAway("lunch");
    await room.advance(1000);
    assert.deepEqual(bert.take("away"), ["away anna lunch"]);
    const { peer } = anna.membership.roster.members.get(bert.sid)!;
    peer!.start(); // renewed, AWAY follows
    await room.advance(6000);
    assert.deepEqual(bert.take("away"), []);
    anna.membership.away = ""; // not told
    peer!.start();
    await room.advance(4900);
    assert.deepEqual(bert.take("away"), []);
    await room.advance(200);
    assert.deepEqual(bert.take("away"), ["away anna"]);
  });
});

Deno.test("MemberEvents: an id is shown once for each person, whichever instance sends it", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    const second = await room.enter(ANNA);
    await room.advance(100);
    const draft = anna.membership.sender.compose("once", {});
    anna.membership.sender.accept(draft);
    second.membership.sender.accept(draft);
    await room.advance(1000);
    assert.deepEqual(texts(bert), ["once"]);
    for (const client of [anna, second]) assert.ok(!client.membership.outbox.owed); // both acknowledged
  });
});
