import assert from "node:assert/strict";
import { KIND, REASON, WHY } from "../../lib/protocol/frames.ts";
import { KEPT_MS } from "../../lib/protocol/limits.ts";
import { MAX_TEXT_BYTES } from "../../lib/protocol/messages.ts";
import { MAX_KEPT_BYTES, MAX_KEPT_MESSAGES } from "../../lib/session/streams.ts";
import { settle } from "../support/fake_clock.ts";
import { TestRoom } from "../support/test_room.ts";
import { ANNA, BERT, CARL, meet, texts } from "../support/people.ts";

// LEFT, and what is dropped.

Deno.test("Membership: LEFT(0) and LEFT(3) drop messages at once, LEFT(1), (2) and unknown reasons do not", async () => {
  const told = ["left", "lost", "replaced", "removed"];
  for (const why of [0, 1, 2, 3, 4, 99]) {
    await TestRoom.use(async (room) => {
      const [anna, bert] = await meet(room, ANNA, BERT);
      room.filter = () => undefined;
      anna.say("one");
      await room.leave(bert, why);
      const final = why === WHY.LEFT || why === WHY.REMOVED;
      const left = `left bert ${told[why] ?? "lost"}`;
      assert.deepEqual(anna.take(), final ? [left, "undelivered one to bert"] : [left]);
      anna.say("two");
      assert.deepEqual(anna.take(), final ? ["undelivered two to nobody"] : []);
    });
  }
});

Deno.test("Membership: a lost member is written to for 10 minutes, and each message is kept for 10 minutes", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    anna.say("zero");
    await room.advance(500);
    await room.leave(bert, WHY.LOST);
    anna.say("one");
    await room.advance(KEPT_MS - 2000);
    anna.say("two");
    assert.deepEqual(anna.take("delivered", "undelivered"), ["delivered zero to bert"]);
    await room.advance(3000);
    assert.deepEqual(anna.take(), ["undelivered one to bert"]);
    anna.say("three");
    assert.deepEqual(anna.take(), ["undelivered three to nobody"]);
    await room.advance(KEPT_MS - 3000);
    assert.deepEqual(anna.take(), []);
    await room.advance(3000);
    assert.deepEqual(anna.take(), ["undelivered two to bert"]);
    await room.join(bert); // the same process: it learns of the loss
    await room.advance(1000);
    anna.say("four");
    await room.advance(1000);
    assert.deepEqual(bert.take("chat", "lost"), ["anna: zero", "lost 2 of anna", "anna: four"]);
    assert.deepEqual(anna.take("delivered"), ["delivered four to bert"]);
  });
});

Deno.test("Membership: a message that is kept longer than its person is lost arrives when that comes back", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    await room.leave(bert, WHY.LOST);
    await room.advance(KEPT_MS - 1000);
    anna.say("in time");
    await room.advance(60_000);
    anna.say("too late");
    await room.join(bert);
    await room.advance(1000);
    assert.deepEqual(texts(bert), ["in time"]);
    assert.deepEqual(anna.take("delivered", "undelivered"), [
      "undelivered too late to nobody",
      "delivered in time to bert",
    ]);
  });
});

Deno.test("Membership: the 10 minutes of a message and of a lost person stand still without a connection", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(room, ANNA, BERT, CARL);
    await room.leave(carl, WHY.LOST);
    anna.say("old");
    await room.advance(5 * 60_000);
    await room.crash();
    await room.advance(60 * 60_000);
    await room.join(anna);
    await room.join(bert);
    await room.advance(5 * 60_000 - 2000);
    anna.say("for both");
    assert.deepEqual(anna.take("undelivered"), []);
    await room.advance(3000);
    assert.deepEqual(anna.take("undelivered"), ["undelivered old to carl"]);
    anna.say("for bert");
    await room.advance(1000);
    assert.deepEqual(texts(bert), ["old", "for both", "for bert"]);
    await room.join(carl);
    await room.advance(1000);
    assert.deepEqual(texts(carl), ["for both"]);
  });
});

Deno.test("Membership: 1024 messages are kept for a lost member, from the 1025th the oldest is dropped", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    anna.say("first");
    await room.advance(1000);
    await room.leave(bert, WHY.LOST);
    anna.take();
    for (let i = 1; i <= MAX_KEPT_MESSAGES; i++) anna.say(`m${i}`);
    assert.deepEqual(anna.take(), []);
    assert.ok(!anna.membership.sender.blocked); // only live channels block
    anna.say("more");
    assert.deepEqual(anna.take(), ["undelivered m1 to bert"]);
    await room.join(bert);
    await room.advance(2000);
    assert.equal(texts(bert).length, 1 + MAX_KEPT_MESSAGES);
    assert.deepEqual(texts(bert).slice(0, 2), ["first", "m2"]);
    assert.deepEqual(bert.take("lost"), ["lost 1 of anna"]);
    assert.equal(anna.membership.outbox.unsettled, 0);
  });
});

Deno.test("Membership: what is too much for a lost member is reported when it is given up", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    room.filter = () => undefined;
    anna.say("x".repeat(MAX_TEXT_BYTES - 1));
    for (let i = 1; i < MAX_KEPT_BYTES / MAX_TEXT_BYTES; i++) anna.say("x".repeat(MAX_TEXT_BYTES));
    anna.say("one too many");
    assert.deepEqual(anna.take("undelivered"), []);
    await room.leave(bert, WHY.LOST);
    assert.equal(anna.take("undelivered").length, 1);
  });
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    await room.leave(bert, WHY.LOST);
    for (let i = 1; i <= MAX_KEPT_MESSAGES; i++) anna.say(`m${i}`);
    anna.membership.setNick("anja");
    assert.deepEqual(anna.take("undelivered"), ["undelivered m1 to bert"]);
  });
});

Deno.test("Sender.blocked: 1024 unacknowledged messages in a live channel, until ACKs arrive", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    const held: Uint8Array[] = [];
    room.filter = ({ from, payload }) => from === bert ? void held.push(payload) : payload;
    for (let i = 0; i < MAX_KEPT_MESSAGES - 1; i++) anna.say(`m${i}`);
    assert.ok(!anna.membership.sender.blocked);
    anna.say("last");
    assert.ok(anna.membership.sender.blocked);
    await room.advance(1000);
    assert.ok(anna.membership.sender.blocked);
    const { tag } = room.log.at(-1)!;
    for (const payload of held) {
      await room.inject(anna, { type: "recv", sid: bert.sid, kind: KIND.RECORD, tag, payload });
    }
    assert.ok(!anna.membership.sender.blocked);
    assert.equal(anna.take("delivered").length, MAX_KEPT_MESSAGES);
  });
});

Deno.test("Sender.blocked: 4 MiB unacknowledged in a live channel", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    room.filter = ({ from, payload }) => from === bert ? undefined : payload;
    for (let i = 0; i < 511; i++) anna.say("x".repeat(8192));
    anna.say("x".repeat(8191));
    assert.ok(!anna.membership.sender.blocked);
    anna.say("x");
    assert.ok(anna.membership.sender.blocked);
  });
});

Deno.test("Membership: a member that does not acknowledge loses its channel after 30 s, and gets everything in the next", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    room.filter = ({ from, payload }) => from === bert ? undefined : payload;
    for (let i = 0; i < MAX_KEPT_MESSAGES; i++) anna.say(`m${i}`);
    await room.advance(29_000);
    assert.ok(anna.membership.sender.blocked);
    await room.advance(2000);
    assert.ok(!anna.membership.sender.blocked);
    room.filter = ({ payload }) => payload;
    await room.advance(60_000);
    assert.deepEqual(texts(bert), Array.from({ length: MAX_KEPT_MESSAGES }, (_, i) => `m${i}`));
    assert.deepEqual(anna.take("undelivered", "left", "joined"), []);
    assert.equal(anna.take().length, 0);
    assert.equal(anna.membership.outbox.unsettled, 0);
  });
});

// Restarted clients and several terminals.

Deno.test("Membership: a restarted client gets what its predecessor had not acknowledged, late, once", async () => {
  for (const noticed of [true, false]) {
    await TestRoom.use(async (room) => {
      const [anna, bert] = await meet(room, ANNA, BERT);
      anna.say("taken");
      await room.advance(1000);
      room.filter = () => undefined;
      anna.say("in flight");
      anna.membership.setNick("anja");
      bert.kill();
      if (noticed) await room.notice(bert);
      anna.say("while away");
      room.filter = ({ payload }) => payload;
      const again = await room.enter(BERT);
      if (!noticed) {
        await room.advance(5000);
        await room.notice(bert); // only now
      }
      await room.advance(2000);
      anna.say("after");
      await room.advance(1000);
      assert.deepEqual(again.take("chat", "nick", "lost", "joined"), [
        "joined anja new",
        "anja: in flight (late)",
        "anja: while away (late)",
        "anja: after",
      ]);
      const told = ["taken", "in flight", "while away", "after"];
      assert.deepEqual(anna.take("delivered"), told.map((text) => `delivered ${text} to bert`));
      await room.advance(2 * KEPT_MS);
      assert.deepEqual(anna.take("undelivered"), []);
      assert.equal(anna.membership.outbox.unsettled, 0);
    });
  }
});

Deno.test("Membership: a client that restarts after more than 10 minutes gets nothing old", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    bert.kill();
    await room.notice(bert);
    anna.say("lost");
    await room.advance(KEPT_MS + 1000);
    assert.deepEqual(anna.take("undelivered"), ["undelivered lost to bert"]);
    const again = await room.enter(BERT);
    anna.say("new");
    await room.advance(1000);
    assert.deepEqual(again.take("chat", "lost"), ["anna: new"]);
  });
});

Deno.test("Membership: two terminals of one person each get everything, and count as one", async () => {
  await TestRoom.use(async (room) => {
    const [anna, first, second] = await meet(room, ANNA, BERT, { ...BERT, nick: "bert" });
    anna.say("hello");
    anna.sendPrivate(second.name, "secret");
    first.say("from the first");
    await room.advance(1000);
    assert.deepEqual(texts(first), ["hello", "secret"]);
    assert.deepEqual(texts(second), ["hello", "secret", "from the first"]);
    assert.deepEqual(anna.take("chat"), [`bert#${first.sid.slice(0, 4)}: from the first`]);
    const delivered = anna.events.filter(({ event }) => event === "delivered");
    assert.deepEqual(
      delivered.map((event) => "to" in event && event.to),
      [[first.name], [first.name]],
    );
  });
});

Deno.test("Membership: one terminal of a person is enough, and the other still gets its copy, which nobody reports", async () => {
  await TestRoom.use(async (room) => {
    const [anna, first, second] = await meet(room, ANNA, BERT, BERT);
    room.filter = ({ to, payload }) => to === first ? undefined : payload;
    anna.say("hello");
    await room.advance(1000);
    assert.deepEqual(anna.take(), ["delivered hello to bert"]);
    await room.leave(first, WHY.LOST);
    assert.deepEqual(texts(second), ["hello"]);
    room.filter = ({ payload }) => payload;
    await room.join(first);
    await room.advance(1000);
    assert.deepEqual(texts(first), ["hello"]);
    await room.leave(first, WHY.LOST);
    anna.say("again");
    await room.advance(2 * KEPT_MS);
    assert.deepEqual(anna.take("delivered", "undelivered"), ["delivered again to bert"]);
    assert.equal(anna.membership.outbox.unsettled, 0);
  });
});

Deno.test("Membership: when both terminals of a person are lost, nothing is reported before it is certain", async () => {
  await TestRoom.use(async (room) => {
    const [anna, first, second] = await meet(room, ANNA, BERT, BERT);
    room.filter = () => undefined;
    anna.say("hello");
    await room.leave(first, WHY.LOST);
    await room.leave(second, WHY.LOST);
    assert.deepEqual(anna.take("delivered", "undelivered"), []);
    room.filter = ({ payload }) => payload;
    await room.join(second);
    await room.advance(1000);
    assert.deepEqual(texts(second), ["hello"]);
    assert.deepEqual(anna.take("delivered", "undelivered"), ["delivered hello to bert"]);
  });
});

Deno.test("Membership: a new instance gets what no instance has acknowledged, and the old one its own copies", async () => {
  await TestRoom.use(async (room) => {
    const [anna, first] = await meet(room, ANNA, BERT);
    anna.say("one");
    await room.advance(1000);
    room.disconnect(first);
    await room.notice(first);
    anna.say("two");
    anna.say("three");
    const second = await room.enter(BERT);
    await room.advance(1000);
    assert.deepEqual(second.take("chat"), ["anna: two (late)", "anna: three (late)"]);
    assert.deepEqual(anna.take("delivered").slice(1), [
      "delivered two to bert",
      "delivered three to bert",
    ]);
    const third = await room.enter(BERT); // everything is acknowledged
    first.take();
    await room.join(first);
    await room.advance(1000);
    anna.say("four");
    await room.advance(1000);
    assert.deepEqual(first.take("chat", "lost"), ["anna: two", "anna: three", "anna: four"]);
    // What they have not got themselves, another terminal has told them.
    assert.deepEqual(second.take("chat", "lost"), ["anna: one (missed)", "anna: four"]);
    assert.deepEqual(third.take("chat", "lost"), [
      "anna: two (late missed)",
      "anna: three (late missed)",
      "anna: one (missed)",
      "anna: four",
    ]);
    await room.advance(2 * KEPT_MS);
    assert.deepEqual(anna.take("undelivered"), []);
  });
});

Deno.test("Membership: a person with two terminals who closes one gets everything at the other", async () => {
  await TestRoom.use(async (room) => {
    const [anna, first, second] = await meet(room, ANNA, BERT, BERT);
    anna.say("one");
    await room.leave(first);
    anna.say("two");
    await room.advance(1000);
    assert.deepEqual(texts(second), ["one", "two"]);
    assert.deepEqual(anna.take("delivered", "undelivered"), [
      "delivered one to bert",
      "delivered two to bert",
    ]);
  });
});

Deno.test("Membership: of two channels with one instance the newer takes the stream, and nothing arrives twice", async () => {
  await TestRoom.use(async (room) => {
    const bert = { ...BERT, instance: new Uint8Array(16).fill(1) };
    const [anna, first] = await meet(room, ANNA, bert);
    anna.say("one");
    await room.advance(100);
    const second = await room.enter(bert);
    anna.say("two");
    await room.advance(100);
    assert.deepEqual(texts(first), ["one"]);
    assert.deepEqual(texts(second).filter((text) => text === "two"), ["two"]);
    await room.leave(first, WHY.LOST);
    anna.say("three");
    await room.advance(60_000);
    assert.equal(texts(second).filter((text) => text === "three").length, 1);
    assert.equal(anna.membership.outbox.unsettled, 0);
    assert.deepEqual(anna.take("undelivered"), []);
  });
});

Deno.test("Membership: a lost member whose next channel is refused for good gets nothing more, at once", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    room.filter = ({ from, payload }) => from === bert ? undefined : payload;
    bert.membership.roster.members.get(anna.sid)!.peer!.end(REASON.NOT_ALLOWED);
    await settle();
    room.filter = ({ payload }) => payload;
    anna.say("a"); // she knows nothing of the CLOSE
    await room.advance(29_000);
    assert.deepEqual(anna.take(), []);
    await room.advance(5000);
    assert.deepEqual(anna.take(), [
      "undelivered a to bert",
      "left bert removed",
      `notice ${bert.name} does not allow this key`,
    ]);
    anna.say("b");
    assert.deepEqual(anna.take(), ["undelivered b to nobody"]);
  });
});
