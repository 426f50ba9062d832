import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { isGreater, Topic } from "../../lib/session/topic.ts";
import { ANNA, BERT, CARL, meet } from "../support/people.ts";
import { TestRoom } from "../support/test_room.ts";

Deno.test("Topic.set() takes its clock's time, or one more than the time of the topic it knows", () => {
  const topic = new Topic();
  assert.deepEqual(topic.set("a", 1000), { type: "topic", time: 1000, text: "a" });
  assert.equal(topic.set("b", 900).time, 1001);
  assert.equal(topic.set("c", 5000).time, 5000);
  assert.throws(() => topic.set("é".repeat(101), 6000), UsageError);
  assert.equal(topic.set("é".repeat(100), 6000).time, 6000);
});

Deno.test("isGreater() compares topics by time, then by text in the order of bytes", () => {
  const make = (time: number, text: string) => ({ type: "topic", time, text }) as const;
  assert.ok(isGreater(make(0, ""), undefined));
  assert.ok(isGreater(make(2, "a"), make(1, "b")));
  assert.ok(!isGreater(make(1, "b"), make(2, "a")));
  assert.ok(isGreater(make(1, "b"), make(1, "a")));
  assert.ok(!isGreater(make(1, "a"), make(1, "a")));
  assert.ok(isGreater(make(1, "\u{1f600}"), make(1, "\uffff"))); // unlike UTF-16
});

Deno.test("Topic.isNewer() ignores a topic that is more than a day ahead", () => {
  const topic = new Topic();
  const day = 24 * 3600 * 1000;
  assert.ok(topic.isNewer({ type: "topic", time: 1000 + day, text: "" }, 1000));
  assert.ok(!topic.isNewer({ type: "topic", time: 1001 + day, text: "" }, 1000));
});

Deno.test("Membership.setTopic() reaches everybody, and those who come later learn it from anybody who knows it", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    anna.membership.setTopic("plans");
    await room.advance(10);
    assert.deepEqual(bert.take(), ["topic plans"]);
    assert.deepEqual(anna.take(), ["topic plans"]);
    await room.leave(anna);
    const carl = await room.enter(CARL);
    assert.deepEqual(carl.take("topic"), ["topic plans"]);
    carl.membership.setTopic("");
    await room.advance(10);
    assert.deepEqual(bert.take("topic"), ["topic "]);
    assert.equal(bert.membership.topic, "");
    await room.join(anna);
    await room.advance(10);
    assert.deepEqual(anna.take("topic"), ["topic "]); // the greater one
  });
});

Deno.test("Membership: 10 topics of one person a minute are shown; of the others the greatest, when there is room", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    for (let i = 0; i < 13; i++) {
      anna.membership.setTopic(`t${i}`);
      await room.advance(100);
    }
    const shown = Array.from({ length: 10 }, (_, i) => `topic t${i}`);
    assert.deepEqual(bert.take(), shown);
    await room.advance(60_000 - 1400);
    assert.deepEqual(bert.take(), []);
    await room.advance(200);
    assert.deepEqual(bert.take(), ["topic t12"]);
  });
});

Deno.test("Membership does not count a topic of one person that another has replaced meanwhile", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(room, ANNA, BERT, CARL);
    for (let i = 0; i < 11; i++) {
      anna.membership.setTopic(`t${i}`);
      await room.advance(100);
    }
    carl.membership.setTopic("c");
    await room.advance(60_000 - 600); // the first 6 of Anna's are more than a minute ago
    bert.take();
    for (let i = 0; i < 7; i++) {
      anna.membership.setTopic(`u${i}`);
      await room.advance(1);
    }
    assert.equal(bert.take().length, 6);
  });
});
