import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { KIND, WHY } from "../../lib/protocol/frames.ts";
import { TestRoom } from "../support/test_room.ts";
import { ANNA, BERT, CARL, DORA, meet, texts } from "../support/people.ts";

// Meeting and talking.

Deno.test("Membership: people meet, talk and hear that it was delivered, whoever begins", async () => {
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

Deno.test("Membership.say() to an empty room is undelivered to nobody at once", async () => {
  await TestRoom.use(async (room) => {
    const [anna] = await meet(room, ANNA);
    anna.say("anybody?");
    assert.deepEqual(anna.take(), ["undelivered anybody? to nobody"]);
  });
});

Deno.test("Membership.say() takes up to 8192 bytes, and refuses more before anything is sent", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    const longest = "é".repeat(4096);
    anna.say(longest);
    assert.throws(() => anna.say(longest + "a"), UsageError);
    assert.throws(() => anna.whisper("bert", longest + "a"), UsageError);
    await room.advance(1000);
    assert.deepEqual(texts(bert), [longest]);
    assert.equal(anna.events.filter(({ event }) => event === "sent").length, 1);
  });
});

Deno.test("Membership: who is in the roster gets what was written before their channel was up, in order", async () => {
  await TestRoom.use(async (room) => {
    const [anna] = await meet(room, ANNA);
    room.filter = ({ kind, payload }) => kind === KIND.M2 ? undefined : payload;
    const bert = await room.enter(BERT);
    anna.say("one");
    anna.say("two");
    assert.deepEqual(anna.take(), []);
    room.filter = ({ payload }) => payload;
    await room.advance(20_000); // the handshake is tried again
    // In the roster when it was written: not late.
    assert.deepEqual(bert.take(), ["joined anna new", "anna: one", "anna: two"]);
    assert.deepEqual(anna.take(), [
      "joined bert new",
      "delivered one to bert",
      "delivered two to bert",
    ]);
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

Deno.test("Membership shows nobody without a channel, and warns after 30 s", async () => {
  await TestRoom.use(async (room) => {
    const [anna] = await meet(room, ANNA);
    const ghost = await room.enter({ ...BERT, psk: new Uint8Array(32).fill(1) });
    await room.advance(29_000);
    assert.deepEqual(anna.take(), []);
    assert.deepEqual(anna.membership.people(), []);
    assert.equal(anna.membership.size, 1);
    await room.advance(1000);
    const warning = "notice cannot authenticate " +
      `${ghost.name}: another password, or not a member`;
    assert.deepEqual(anna.take(), [warning]);
    await room.advance(300_000);
    assert.deepEqual(anna.take(), []);
    assert.deepEqual(ghost.take().length, 1);
    await room.leave(ghost);
    assert.deepEqual(anna.take(), []); // nobody was there, nobody has left
  });
});

Deno.test("Membership: who could not be authenticated at first is shown once they can", async () => {
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

// Cuts and reconnections.

Deno.test("Membership: what was written to somebody lost arrives once, late and in order", async () => {
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

Deno.test("Membership: what was in flight at a cut is sent again, and shown once", async () => {
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

Deno.test("Membership: what was written without a connection goes out with the next, to those of the last roster", async () => {
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

Deno.test("Membership: who is not back after one's own reconnection is told as lost, and kept for", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(room, ANNA, BERT, CARL);
    await room.crash();
    await room.join(bert);
    await room.join(anna);
    await room.advance(1000);
    assert.deepEqual(anna.take("left"), ["left carl lost"]);
    anna.say("hello");
    await room.advance(1000);
    assert.deepEqual(anna.take(), []);
    await room.join(carl);
    await room.advance(1000);
    assert.deepEqual(carl.take("chat").sort(), ["anna: hello (late)"]);
    assert.deepEqual(anna.take("delivered"), ["delivered hello to bert carl"]);
  });
});

Deno.test("Membership: a relay that dies while people write costs nobody a message, whoever is back first", async () => {
  for (const order of [[0, 1, 2], [2, 1, 0], [1, 2, 0]]) {
    await TestRoom.use(async (room) => {
      const clients = await meet(room, ANNA, BERT, CARL);
      for (const client of clients) client.say(`${client.membership.nick} 1`);
      await room.crash(); // nothing of it has arrived
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

Deno.test("Membership: a private message keeps its place among those to the room, also across a reconnection", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    await room.crash();
    room.filter = () => undefined; // no handshake yet
    await room.join(bert);
    await room.join(anna);
    anna.whisper(bert, "private");
    anna.say("to all");
    room.filter = ({ payload }) => payload;
    await room.advance(20_000);
    assert.deepEqual(texts(bert), ["private", "to all"]);
  });
});

Deno.test("Membership: a connection that takes nothing more is not sent anything, until it does", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    anna.congested = true;
    for (const text of ["one", "two"]) anna.say(text);
    await room.advance(10_000);
    assert.deepEqual(texts(bert), []);
    anna.congested = false;
    anna.membership.pump();
    await room.advance(1000);
    assert.deepEqual(texts(bert), ["one", "two"]);
    await room.advance(60_000);
    assert.deepEqual(anna.take(), ["delivered one to bert", "delivered two to bert"]);
  });
});

// Asked and ended.

Deno.test("Membership.awaited: somebody present has not acknowledged; a stranger is present for 30 s", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    assert.ok(!anna.membership.awaited);
    anna.say("one");
    assert.ok(anna.membership.awaited);
    await room.advance(1000);
    assert.ok(!anna.membership.awaited);
    await room.leave(bert, WHY.LOST);
    anna.say("two");
    assert.ok(!anna.membership.awaited); // kept, but not present
    await room.enter({ ...DORA, psk: new Uint8Array(32).fill(1) });
    anna.say("three");
    assert.ok(anna.membership.awaited);
    await room.advance(31_000);
    assert.ok(!anna.membership.awaited);
  });
});

Deno.test("Membership.finish() acknowledges and shows what is due; abandon() reports the rest", async () => {
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
