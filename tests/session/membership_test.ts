import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { KIND, WHY } from "../../lib/protocol/frames.ts";
import { TestRoom } from "../support/test_room.ts";
import { ANNA, BERT, CARL, DORA, meet, texts } from "../support/people.ts";

// Meeting and talking.

Deno.test("Membership: people meet, talk and see their messages delivered, whoever is the initiator", async () => {
  for (const pair of [[ANNA, BERT], [BERT, ANNA]] as const) {
    await TestRoom.use(async (room) => {
      const first = await room.enter(pair[0]);
      const second = await room.enter(pair[1]);
      assert.deepEqual(first.take(), [`joined ${pair[1].nick} new`]);
      assert.deepEqual(second.take(), [`joined ${pair[0].nick} new`]);
      first.say("hello");
      second.say("waves", { action: true });
      await room.advance(1000);
      assert.deepEqual(first.take(), [
        `${pair[1].nick}: waves (action)`,
        `delivered hello to ${pair[1].nick}`,
      ]);
      assert.deepEqual(second.take(), [
        `${pair[0].nick}: hello`,
        `delivered waves to ${pair[0].nick}`,
      ]);
    });
  }
});

Deno.test("Sender.say() to an empty room is reported as undelivered at once", async () => {
  await TestRoom.use(async (room) => {
    const [anna] = await meet(room, ANNA);
    anna.say("anybody?");
    assert.deepEqual(anna.take(), ["undelivered anybody? to nobody"]);
  });
});

Deno.test("Sender.say() accepts up to 8192 bytes, and refuses more before anything is sent", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    const longest = "é".repeat(4096);
    anna.say(longest);
    assert.throws(() => anna.say(longest + "a"), UsageError);
    assert.throws(() => anna.sendPrivate("bert", longest + "a"), UsageError);
    await room.advance(1000);
    assert.deepEqual(texts(bert), [longest]);
    assert.equal(anna.events.filter(({ event }) => event === "sent").length, 1);
  });
});

Deno.test("Membership: an entry of the roster that is not shown is nobody, and gets nothing later either", async () => {
  await TestRoom.use(async (room) => {
    const [anna] = await meet(room, ANNA);
    room.filter = ({ kind, payload }) => kind === KIND.M2 ? undefined : payload;
    const bert = await room.enter(BERT);
    anna.say("one");
    assert.deepEqual(anna.take(), ["undelivered one to nobody"]);
    assert.deepEqual(anna.membership.roster.people(), []);
    room.filter = ({ payload }) => payload;
    await room.advance(20_000); // the handshake is retried
    anna.say("two");
    await room.advance(1000);
    assert.deepEqual(bert.take(), ["joined anna new", "anna: two"]);
    assert.deepEqual(anna.take(), ["joined bert new", "delivered two to bert"]);
  });
});

Deno.test("Membership: three people, each gets each message of the others once and in order", async () => {
  await TestRoom.use(async (room) => {
    const clients = await meet(room, ANNA, BERT, CARL);
    for (let i = 0; i < 10; i++) {
      for (const client of clients) client.say(`${client.membership.nick} ${i}`);
      await room.advance(100);
    }
    await room.advance(1000);
    for (const client of clients) {
      for (const other of clients) {
        const of = texts(client).filter((text) => text.startsWith(other.membership.nick));
        const all = Array.from({ length: 10 }, (_, i) => `${other.membership.nick} ${i}`);
        assert.deepEqual(of, client === other ? [] : all);
      }
    }
  });
});

Deno.test("Membership does not show a member without a channel, and warns after 30 s", async () => {
  await TestRoom.use(async (room) => {
    const [anna] = await meet(room, ANNA);
    const ghost = await room.enter({ ...BERT, roomKey: new Uint8Array(32).fill(1) });
    await room.advance(29_000);
    assert.deepEqual(anna.take(), []);
    assert.deepEqual(anna.membership.roster.people(), []);
    assert.equal(anna.membership.roster.members.size, 1);
    await room.advance(1000);
    const warning = "notice cannot authenticate " +
      `${ghost.name}: another password, or not a member`;
    assert.deepEqual(anna.take(), [warning]);
    await room.advance(300_000);
    assert.deepEqual(anna.take(), []);
    assert.deepEqual(ghost.take().length, 1);
    await room.leave(ghost);
    assert.deepEqual(anna.take(), []); // never shown, so not reported as left
  });
});

Deno.test("Membership: a member that could not be authenticated at first is shown once it can", async () => {
  await TestRoom.use(async (room) => {
    const [anna] = await meet(room, ANNA);
    room.filter = () => undefined;
    const bert = await room.enter(BERT);
    await room.advance(31_000);
    assert.equal(anna.take("notice").length, 1);
    room.filter = ({ payload }) => payload;
    await room.advance(60_000);
    assert.deepEqual(anna.take(), ["joined bert new"]);
    assert.deepEqual(bert.take("joined"), ["joined anna new"]);
  });
});

// Lost connections and reconnections.

Deno.test("Membership: messages to a lost member arrive once, marked late and in order", async () => {
  for (const [writer, reader] of [[ANNA, BERT], [BERT, ANNA]] as const) {
    await TestRoom.use(async (room) => {
      const [w, r] = await meet(room, writer, reader);
      w.say("before");
      await room.advance(1000);
      await room.leave(r, WHY.LOST);
      for (const text of ["one", "two", "three"]) w.say(text);
      await room.advance(60_000);
      assert.deepEqual(w.take(), [
        `delivered before to ${reader.nick}`,
        `left ${reader.nick} lost`,
      ]);
      r.take();
      await room.join(r);
      await room.advance(1000);
      w.say("after");
      await room.advance(1000);
      assert.deepEqual(r.take("chat"), [
        `${writer.nick}: one (late)`,
        `${writer.nick}: two (late)`,
        `${writer.nick}: three (late)`,
        `${writer.nick}: after`,
      ]);
      assert.deepEqual(
        w.take("delivered", "undelivered"),
        ["one", "two", "three", "after"].map((text) => `delivered ${text} to ${reader.nick}`),
      );
    });
  }
});

Deno.test("Membership: messages in flight when the connection is lost are sent again, and shown once", async () => {
  for (const [writer, reader] of [[ANNA, BERT], [BERT, ANNA]] as const) {
    for (const lose of ["records", "acks"] as const) {
      await TestRoom.use(async (room) => {
        const [w, r] = await meet(room, writer, reader);
        room.filter = ({ from, payload }) =>
          (lose === "records") === (from === w) ? undefined : payload;
        for (const text of ["one", "two", "three"]) w.say(text);
        await room.advance(1000);
        room.disconnect(r);
        w.say("four");
        room.filter = ({ payload }) => payload;
        await room.join(r); // the relay had not noticed: LEFT(2)
        await room.advance(1000);
        assert.deepEqual(texts(r), ["one", "two", "three", "four"]);
        assert.deepEqual(w.take("left", "joined"), [
          `left ${reader.nick} replaced`,
          `joined ${reader.nick} known`,
        ]);
        assert.equal(w.membership.outbox.unsettled, 0);
        assert.deepEqual(r.take("lost"), []);
      });
    }
  }
});

Deno.test("Membership: messages written offline are sent over the next connection, to the members of the last roster", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(room, ANNA, BERT, CARL);
    room.disconnect(anna);
    await room.notice(anna);
    anna.say("offline");
    await room.leave(carl, WHY.LOST);
    await room.advance(10_000);
    assert.deepEqual(anna.take(), []);
    await room.join(anna);
    await room.advance(1000);
    assert.deepEqual(bert.take("chat"), ["anna: offline"]);
    assert.deepEqual(anna.take("delivered", "undelivered"), []);
    await room.join(carl);
    await room.advance(1000);
    assert.deepEqual(carl.take("chat"), ["anna: offline (late)"]);
    assert.deepEqual(anna.take("delivered", "undelivered"), ["delivered offline to bert carl"]);
  });
});

Deno.test("Membership: a member missing after our reconnection is reported as lost, and its messages are kept", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(room, ANNA, BERT, CARL);
    await room.crash();
    await room.join(bert);
    await room.join(anna);
    await room.advance(1000);
    assert.deepEqual(anna.take("left"), ["left carl lost"]);
    anna.say("hello");
    await room.advance(6000);
    assert.deepEqual(anna.take(), []);
    await room.join(carl);
    await room.advance(1000);
    assert.deepEqual(carl.take("chat").sort(), ["anna: hello (late)"]);
    assert.deepEqual(anna.take("delivered"), ["delivered hello to bert carl"]);
  });
});

Deno.test("Membership: a relay crash while people write loses no message, in any order of reconnecting", async () => {
  for (const order of [[0, 1, 2], [2, 1, 0], [1, 2, 0]]) {
    await TestRoom.use(async (room) => {
      const clients = await meet(room, ANNA, BERT, CARL);
      for (const client of clients) client.say(`${client.membership.nick} 1`);
      await room.crash(); // before any of it has arrived
      for (const client of clients) client.say(`${client.membership.nick} 2`);
      for (const index of order) {
        await room.join(clients[index]!);
        clients[index]!.say(`${clients[index]!.membership.nick} 3`);
      }
      await room.advance(20_000);
      for (const client of clients) client.say(`${client.membership.nick} 4`);
      await room.advance(20_000);
      for (const client of clients) {
        for (const other of clients) {
          const nick = other.membership.nick;
          const heard = texts(client).filter((text) => text.startsWith(nick));
          const all = [1, 2, 3, 4].map((n) => `${nick} ${n}`);
          assert.deepEqual(heard, client === other ? [] : all);
        }
        assert.equal(client.take("delivered").length, 4);
        assert.equal(client.membership.outbox.unsettled, 0);
      }
    });
  }
});

Deno.test("Membership: a private message stays in order with those to the room, even across a reconnection", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    await room.crash();
    room.filter = () => undefined; // no handshake yet
    await room.join(bert);
    await room.join(anna);
    anna.sendPrivate(bert, "private");
    anna.say("to all");
    room.filter = ({ payload }) => payload;
    await room.advance(20_000);
    assert.deepEqual(texts(bert), ["private", "to all"]);
  });
});

Deno.test("Membership: nothing is sent while the connection is congested", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    anna.congested = true;
    for (const text of ["one", "two"]) anna.say(text);
    await room.advance(10_000);
    assert.deepEqual(texts(bert), []);
    anna.congested = false;
    anna.membership.sender.pump();
    await room.advance(1000);
    assert.deepEqual(texts(bert), ["one", "two"]);
    await room.advance(60_000);
    assert.deepEqual(anna.take(), ["delivered one to bert", "delivered two to bert"]);
  });
});

// owed, finish() and abandon().

Deno.test("Outbox.owed: a person has not acknowledged, whether present or lost; a ghost does not count beside one", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(room, ANNA, BERT, CARL);
    const { outbox } = anna.membership;
    assert.ok(!outbox.owed);
    anna.say("one");
    assert.ok(outbox.owed);
    await room.advance(1000);
    assert.ok(!outbox.owed);
    await room.enter({ ...DORA, roomKey: new Uint8Array(32).fill(1) });
    anna.say("two");
    await room.advance(1000);
    assert.ok(!outbox.owed);
    await room.leave(bert, WHY.LOST);
    anna.say("three");
    await room.advance(1000);
    assert.ok(outbox.owed); // Carl has it, Bert has not
    await room.join(bert);
    await room.advance(1000);
    assert.ok(!outbox.owed);
    room.filter = () => undefined;
    anna.say("four");
    await room.leave(carl);
    assert.ok(outbox.owed);
    await room.leave(bert);
    assert.ok(!outbox.owed); // both have said goodbye
    assert.equal(outbox.failures, 0);
  });
});

Deno.test("Membership.finish() sends ACKs and emits waiting messages; abandon() reports the rest", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    const fingerprint = new Uint8Array(32).fill(9);
    await room.inject(bert, { type: "joined", sid: "00000000000000aa", fingerprint });
    await room.advance(6000);
    anna.say("one");
    await room.advance(10);
    assert.deepEqual(bert.take("chat"), []);
    bert.membership.finish();
    assert.deepEqual(bert.take("chat"), ["anna: one (differs)"]);
    await room.advance(0);
    assert.deepEqual(anna.take("delivered"), ["delivered one to bert"]);
    room.filter = () => undefined;
    anna.say("two");
    room.disconnect(anna);
    anna.membership.finish();
    anna.membership.abandon();
    assert.deepEqual(anna.take(), ["undelivered two to bert"]);
    assert.equal(anna.membership.outbox.unsettled, 0);
  });
});
