import assert from "node:assert/strict";
import { KIND, WHY } from "../../lib/protocol/frames.ts";
import { KEEP_MS } from "../../lib/session/outbox.ts";
import { MAX_KEPT_MESSAGES } from "../../lib/target.ts";
import { type TestClient, TestRoom } from "../support/test_room.ts";
import { ANNA, BERT, meet, texts } from "../support/people.ts";

// LEFT, and what is given up.

Deno.test("Membership: LEFT(0) and LEFT(3) give up at once, LEFT(1), (2) and unknown ones do not", async () => {
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

Deno.test("Membership: who is lost stays an addressee for 10 minutes", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    anna.say("zero");
    await room.advance(500);
    await room.leave(bert, WHY.LOST);
    anna.say("one");
    await room.advance(KEEP_MS - 2000);
    anna.say("two");
    assert.deepEqual(anna.take("delivered", "undelivered"), ["delivered zero to bert"]);
    await room.advance(3000);
    assert.deepEqual(anna.take(), ["undelivered one to bert", "undelivered two to bert"]);
    anna.say("three");
    assert.deepEqual(anna.take(), ["undelivered three to nobody"]);
    await room.join(bert); // the same process: it learns that something is missing
    await room.advance(1000);
    anna.say("four");
    await room.advance(1000);
    assert.deepEqual(bert.take("chat", "lost"), ["anna: zero", "lost 2 of anna", "anna: four"]);
    assert.deepEqual(anna.take("delivered"), ["delivered four to bert"]);
  });
});

Deno.test("Membership: without a connection for 10 minutes the oldest are given up, and the others come through", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    room.disconnect(anna);
    anna.say("old");
    await room.advance(5 * 60_000);
    anna.say("young");
    await room.advance(5 * 60_000 + 1000);
    assert.deepEqual(anna.take(), ["undelivered old to bert"]);
    await room.join(anna);
    await room.advance(1000);
    assert.deepEqual(texts(bert), ["young"]);
    assert.deepEqual(anna.take("delivered"), ["delivered young to bert"]);
  });
});

Deno.test("Membership: 1024 messages are kept for who is lost, of the 1025th on the oldest is given up", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    anna.say("first");
    await room.advance(1000);
    await room.leave(bert, WHY.LOST);
    anna.take();
    for (let i = 1; i <= MAX_KEPT_MESSAGES; i++) anna.say(`m${i}`);
    assert.deepEqual(anna.take(), []);
    assert.ok(!anna.membership.blocked); // only live channels make one wait
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

Deno.test("Membership.blocked: 1024 messages unacknowledged in a live channel, until ACKs come", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    const held: Uint8Array[] = [];
    room.filter = ({ from, payload }) => from === bert ? void held.push(payload) : payload;
    for (let i = 0; i < MAX_KEPT_MESSAGES - 1; i++) anna.say(`m${i}`);
    assert.ok(!anna.membership.blocked);
    anna.say("last");
    assert.ok(anna.membership.blocked);
    await room.advance(1000);
    assert.ok(anna.membership.blocked);
    const { tag } = room.log.at(-1)!;
    for (const payload of held) {
      await room.inject(anna, { type: "recv", sid: bert.sid, kind: KIND.RECORD, tag, payload });
    }
    assert.ok(!anna.membership.blocked);
    assert.equal(anna.take("delivered").length, MAX_KEPT_MESSAGES);
  });
});

Deno.test("Membership.blocked: also while a live channel gives way to a new one, but only once", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    // Of Anna's channels to come only the first record arrives: Bert never hears an ACK.
    const opened = new Set([room.log.at(-1)!.tag]);
    room.filter = ({ from, kind, tag, payload }) => {
      if (from === bert || kind !== KIND.RECORD) return payload;
      return opened.has(tag) ? undefined : (opened.add(tag), payload);
    };
    const endsAnnasChannel = async (delay: number) => {
      const { tag } = room.log.at(-1)!;
      const payload = new Uint8Array(40);
      await room.inject(anna, { type: "recv", sid: bert.sid, kind: KIND.RECORD, tag, payload });
      await room.advance(delay);
    };
    for (let i = 0; i < MAX_KEPT_MESSAGES; i++) bert.say(`m${i}`);
    assert.ok(bert.membership.blocked);
    await endsAnnasChannel(1500);
    assert.equal(opened.size, 2);
    assert.ok(bert.membership.blocked);
    await endsAnnasChannel(2500);
    assert.equal(opened.size, 3);
    assert.ok(!bert.membership.blocked);
    bert.say("more");
    assert.deepEqual(bert.take("undelivered"), ["undelivered m0 to anna"]);
  });
});

Deno.test("Membership.blocked: 4 MiB unacknowledged in a live channel", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    room.filter = ({ from, payload }) => from === bert ? undefined : payload;
    for (let i = 0; i < 511; i++) anna.say("x".repeat(8192));
    anna.say("x".repeat(8191));
    assert.ok(!anna.membership.blocked);
    anna.say("x");
    assert.ok(anna.membership.blocked);
  });
});

Deno.test("Membership: an end that does not acknowledge loses its channel after 30 s, and gets all in the next", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    room.filter = ({ from, payload }) => from === bert ? undefined : payload;
    for (let i = 0; i < MAX_KEPT_MESSAGES; i++) anna.say(`m${i}`);
    await room.advance(29_000);
    assert.ok(anna.membership.blocked);
    await room.advance(2000);
    assert.ok(!anna.membership.blocked);
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
      await room.advance(2 * KEEP_MS);
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
    await room.advance(KEEP_MS + 1000);
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
    anna.whisper(second.name, "secret");
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

Deno.test("Membership: a copy for a lost terminal counts neither way when the other has it", async () => {
  await TestRoom.use(async (room) => {
    const [anna, first, second] = await meet(room, ANNA, BERT, BERT);
    room.filter = ({ to, payload }) => to === first ? undefined : payload;
    anna.say("hello");
    await room.advance(1000);
    assert.deepEqual(anna.take(), []);
    await room.leave(first, WHY.LOST);
    assert.deepEqual(anna.take("delivered"), ["delivered hello to bert"]);
    assert.deepEqual(texts(second), ["hello"]);
    room.filter = ({ payload }) => payload;
    await room.join(first); // and it is still given its copy
    await room.advance(1000);
    assert.deepEqual(texts(first), ["hello"]);
    await room.advance(2 * KEEP_MS);
    assert.deepEqual(anna.take("delivered", "undelivered"), []);
    assert.equal(anna.membership.outbox.unsettled, 0);
  });
});

Deno.test("Membership: when both terminals of a person are lost, nothing is said before it is known", async () => {
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

Deno.test("Membership: what moved to another terminal leaves a hole, shown when the first comes back", async () => {
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
    first.take();
    await room.join(first);
    await room.advance(1000);
    anna.say("four");
    await room.advance(1000);
    assert.deepEqual(first.take("chat", "lost"), ["lost 2 of anna", "anna: four"]);
    assert.deepEqual(second.take("chat", "lost"), ["anna: four"]);
    await room.advance(2 * KEEP_MS);
    assert.deepEqual(anna.take("undelivered"), []);
  });
});

Deno.test("Membership: what moved to a terminal that dies in turn goes to one that was never given it", async () => {
  await TestRoom.use(async (room) => {
    const [anna, first] = await meet(room, ANNA, BERT);
    room.disconnect(first);
    await room.notice(first);
    anna.say("one");
    const second = await room.client(BERT);
    const passed = new Map<TestClient, number>();
    room.filter = ({ from, to, kind, payload }) => {
      if (kind !== KIND.RECORD || ![from, to].includes(second)) return payload;
      const count = (passed.get(from) ?? 0) + 1;
      passed.set(from, count);
      return count <= 2 ? payload : undefined; // HELLO and ACK
    };
    await room.join(second); // "one" moves here
    await room.join(first);
    const third = await room.enter(BERT);
    await room.advance(1000);
    assert.deepEqual([first, second, third].map(texts), [[], [], []]);
    second.kill();
    await room.notice(second);
    await room.advance(1000);
    assert.deepEqual([first, second, third].map(texts), [[], [], ["one"]]);
    assert.deepEqual(anna.take("delivered", "undelivered"), ["delivered one to bert"]);
  });
});

Deno.test("Membership: holes before and behind what is kept are told, and what is between them arrives", async () => {
  await TestRoom.use(async (room) => {
    const [anna, first] = await meet(room, ANNA, BERT);
    anna.say("zero");
    await room.advance(1000);
    await room.leave(first, WHY.LOST);
    anna.say("one");
    const second = await room.enter(BERT); // "one" moves here
    await room.advance(1000);
    anna.say("two"); // for both
    await room.advance(1000);
    await room.leave(second);
    anna.say("three"); // for the first only
    await room.join(second); // "three" moves here
    await room.advance(1000);
    first.take();
    await room.join(first);
    await room.advance(1000);
    assert.deepEqual(first.take("chat", "lost"), [
      "lost 1 of anna",
      "anna: two (late)",
      "lost 1 of anna",
    ]);
    assert.deepEqual(texts(second), ["one", "two", "three"]);
    assert.equal(anna.membership.outbox.unsettled, 0);
    assert.deepEqual(anna.take("undelivered"), []);
  });
});

Deno.test("Membership: what waits for a terminal that is replaced by itself does not move to another", async () => {
  await TestRoom.use(async (room) => {
    const [anna, first] = await meet(room, ANNA, BERT);
    room.filter = ({ to, payload }) => to === first ? undefined : payload;
    anna.say("one"); // when the first is the only one
    const second = await room.enter(BERT);
    room.disconnect(first);
    room.filter = ({ payload }) => payload;
    await room.join(first); // LEFT(2), JOINED
    await room.advance(2000);
    assert.deepEqual(texts(first), ["one"]);
    assert.deepEqual(texts(second), []);
    assert.deepEqual(first.take("lost"), []);
    assert.deepEqual(anna.take("delivered"), ["delivered one to bert"]);
  });
});

Deno.test("Membership: a person with two terminals who leaves one hears all at the other", async () => {
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

Deno.test("Membership: of two channels with one instance the newer takes the stream, and nothing comes twice", async () => {
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
