import assert from "node:assert/strict";
import { compareBytes } from "../../lib/base/bytes.ts";
import { UsageError } from "../../lib/base/errors.ts";
import { KIND, WHY } from "../../lib/protocol/frames.ts";
import { KEEP_MS } from "../../lib/session/outbox.ts";
import { cheapKey } from "../support/cheap_key.ts";
import { TestRoom } from "../support/test_room.ts";
import { ANNA, BERT, CARL, DORA, meet, texts } from "../support/people.ts";

// Views.

Deno.test("Membership marks a message of somebody who sees another room, after 5 s", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    // The relay tells Bert of somebody whom Anna is not told of.
    const fingerprint = new Uint8Array(32).fill(9);
    await room.inject(bert, { type: "joined", sid: "00000000000000aa", fingerprint });
    await room.advance(6000);
    anna.say("hello");
    await room.advance(4999);
    assert.deepEqual(bert.take("chat"), []);
    await room.advance(1);
    assert.deepEqual(bert.take("chat"), ["anna: hello (differs)"]);
    anna.whisper("bert", "private");
    await room.advance(1);
    assert.deepEqual(bert.take("chat"), ["anna: private (private)"]);
    await room.advance(1000);
    assert.equal(anna.take("delivered").length, 2);
  });
});

Deno.test("Membership accepts the view of a room that has just changed, or is about to", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    const fingerprint = new Uint8Array(32).fill(9);
    const ghost = { type: "joined", sid: "00000000000000aa", fingerprint } as const;
    await room.inject(bert, ghost);
    await room.advance(4000);
    anna.say("before she knows");
    await room.advance(1);
    assert.deepEqual(bert.take("chat"), ["anna: before she knows"]);
    await room.inject(anna, ghost);
    await room.inject(anna, { type: "left", sid: ghost.sid, why: 0 });
    await room.advance(10_000);
    anna.say("before he knows");
    await room.advance(4000);
    assert.deepEqual(bert.take("chat"), []);
    await room.inject(bert, { type: "left", sid: ghost.sid, why: 0 });
    assert.deepEqual(bert.take("chat"), ["anna: before he knows"]);
  });
});

Deno.test("Membership computes the view anew for each resend", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(room, ANNA, BERT, CARL);
    await room.leave(bert, WHY.LOST);
    anna.say("hello");
    await room.leave(carl);
    await room.advance(60_000);
    await room.join(bert);
    await room.advance(100);
    assert.deepEqual(bert.take("chat"), ["anna: hello (late)"]);
  });
});

Deno.test("Membership counts everybody in the roster for a view, also those it does not send to", async () => {
  await TestRoom.use(async (room) => {
    const weak = { ...CARL, bits: 1024, minKeyBits: 1024 };
    const [anna, bert, carl] = await meet(room, ANNA, BERT, weak);
    anna.say("hello");
    await room.advance(1000);
    assert.deepEqual(bert.take("chat"), ["anna: hello"]);
    assert.deepEqual(carl.take("chat"), []);
  });
});

// Private messages, trust, nicks.

Deno.test("Membership.whisper() reaches only the person meant, and says who cannot be meant", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(room, ANNA, BERT, CARL);
    anna.whisper("BERT", "for your ears");
    anna.whisper(carl, "and yours");
    await room.advance(1000);
    assert.deepEqual(bert.take("chat"), ["anna: for your ears (private)"]);
    assert.deepEqual(carl.take("chat"), ["anna: and yours (private)"]);
    assert.deepEqual(anna.take("delivered"), [
      "delivered for your ears to bert",
      "delivered and yours to carl",
    ]);
    assert.throws(() => anna.whisper("dora", "x"), /^UsageError: nobody here is called dora$/);
    for (const own of ["Anna", anna.name]) {
      const message = `nobody here but you is called ${own}`;
      assert.throws(() => anna.whisper(own, "x"), { name: "UsageError", message });
    }
  });
});

Deno.test("Membership.setNick() tells everybody, those lost too, and in its place among messages", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(room, ANNA, BERT, CARL);
    await room.leave(carl, WHY.LOST);
    anna.say("as anna");
    anna.membership.setNick("anja");
    anna.say("as anja");
    await room.advance(1000);
    assert.deepEqual(bert.take("chat", "nick"), [
      "anna: as anna",
      "nick anna is anja",
      "anja: as anja",
    ]);
    carl.take();
    await room.join(carl);
    await room.advance(1000);
    assert.deepEqual(carl.take("chat"), ["anja: as anna (late)", "anja: as anja (late)"]);
    assert.deepEqual(carl.membership.people().map(({ nick }) => nick).sort(), ["anja", "bert"]);
    assert.throws(() => anna.membership.setNick("no nick"), UsageError);
    assert.equal(anna.membership.nick, "anja");
  });
});

Deno.test("Membership.setNick() is heard also between one's own HELLO and the other's", async () => {
  await TestRoom.use(async (room) => {
    const [anna] = await meet(room, ANNA);
    const bert = await room.client(BERT);
    let changed = false;
    room.filter = ({ from, kind, payload }) => {
      // Anna's HELLO is on its way, Bert's has not come.
      if (from === anna && kind === KIND.RECORD && !changed) {
        changed = true;
        queueMicrotask(() => anna.membership.setNick("anja"));
      }
      return payload;
    };
    await room.join(bert);
    await room.advance(2000);
    assert.ok(changed);
    assert.deepEqual(bert.membership.people().map(({ usedNick }) => usedNick), ["anja"]);
  });
});

Deno.test("Membership: somebody with a known nick and another key is a conflict, and gets nothing private", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    await room.leave(bert);
    const other = await room.enter({ ...CARL, nick: "Bert" });
    assert.deepEqual(anna.take("joined"), ["joined Bert conflict"]);
    assert.throws(() => anna.whisper("bert", "secret"), UsageError);
    anna.say("to all");
    await room.advance(1000);
    assert.deepEqual(texts(other), ["to all"]);
    anna.book.accept(other.name, "Bert");
    anna.whisper("bert", "secret");
    await room.advance(1000);
    assert.deepEqual(texts(other), ["to all", "secret"]);
  });
});

Deno.test("Membership: who takes another's nick later is told as a conflict, too", async () => {
  await TestRoom.use(async (room) => {
    const [anna, , carl] = await meet(room, ANNA, BERT, CARL);
    carl.membership.setNick("bert");
    await room.advance(1000);
    const told = anna.take();
    assert.equal(told.length, 2);
    assert.match(told[0]!, /^nick carl is bert#/);
    assert.match(told[1]!, /^notice bert#.* is a known nick, but with another key$/);
    assert.throws(() => anna.whisper(carl, "secret"), UsageError);
    assert.throws(() => anna.whisper("bert", "which?"), UsageError);
  });
});

Deno.test("Membership with strict sends only to people who are verified", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(room, { ...ANNA, strict: true }, BERT, CARL);
    anna.say("nobody yet");
    assert.deepEqual(anna.take(), ["undelivered nobody yet to nobody"]);
    assert.throws(() => anna.whisper(bert, "secret"), UsageError);
    anna.book.verify(bert.name);
    anna.say("to bert");
    anna.whisper(bert, "secret");
    await room.advance(1000);
    assert.deepEqual(bert.take("chat"), ["anna: to bert", "anna: secret (private)"]);
    assert.deepEqual(carl.take("chat"), []);
    assert.deepEqual(anna.take("delivered"), [
      "delivered to bert to bert",
      "delivered secret to bert",
    ]);
    await room.leave(bert, WHY.LOST);
    await room.leave(carl, WHY.LOST);
    anna.say("to those lost");
    room.join(bert);
    await room.join(carl);
    await room.advance(1000);
    assert.deepEqual(bert.take("chat"), ["anna: to those lost (late)"]);
    assert.deepEqual(carl.take("chat"), []);
    carl.say("hello"); // strict says whom one sends to, not whom one hears
    await room.advance(1000);
    assert.deepEqual(anna.take("chat"), ["carl: hello"]);
  });
});

Deno.test("Membership refuses weak keys for good; they count for nothing", async () => {
  await TestRoom.use(async (room) => {
    const weak = { ...CARL, bits: 1024, minKeyBits: 1024 };
    const [anna, bert] = await meet(room, ANNA, BERT);
    const carl = await room.enter(weak);
    const told = anna.take();
    assert.deepEqual(told, [`notice ${carl.name} has a key that is too weak`]);
    assert.deepEqual(carl.take("notice").length, 2);
    anna.say("hello");
    await room.advance(1000);
    assert.deepEqual(texts(bert), ["hello"]);
    assert.deepEqual(texts(carl), []);
    assert.deepEqual(anna.take(), ["delivered hello to bert"]);
    await room.advance(3_600_000);
    assert.deepEqual(anna.take(), []); // no warning, no further attempt
  });
});

Deno.test("Membership: what waited for who is refused then is delivered when the others have it", async () => {
  await TestRoom.use(async (room) => {
    const [anna] = await meet(room, ANNA, BERT);
    const carl = await room.client({ ...CARL, bits: 1024, minKeyBits: 1024 });
    room.filter = ({ from, payload }) => from === carl ? undefined : payload;
    await room.join(carl);
    anna.say("hello");
    await room.advance(10_000);
    assert.deepEqual(anna.take("delivered", "undelivered"), []);
    room.filter = ({ payload }) => payload;
    await room.advance(20_000);
    assert.deepEqual(anna.take("delivered", "undelivered"), ["delivered hello to bert"]);
    assert.deepEqual(texts(carl), []);
  });
});

Deno.test("Membership begins 20 answers a second over all members", async () => {
  await TestRoom.use(async (room) => {
    const newcomer = await room.client(DORA);
    const seeds = Array.from({ length: 120 }, (_, i) => 20 + i);
    const smaller = seeds.filter((seed) =>
      compareBytes(
        cheapKey(seed).publicKey.fingerprint,
        newcomer.key.publicKey.fingerprint,
      ) < 0
    ).slice(0, 30);
    assert.equal(smaller.length, 30);
    for (const seed of smaller) await room.enter({ seed });
    await room.advance(60_000);
    await room.join(newcomer);
    const answered = () =>
      room.log.filter(({ from, kind }) => from === newcomer && kind === KIND.M2).length;
    await room.advance(999);
    assert.equal(answered(), 20);
    await room.advance(1);
    assert.equal(answered(), 30);
  });
});

Deno.test("Membership: who was refused for good counts for nothing also when they are lost", async () => {
  await TestRoom.use(async (room) => {
    const weak = { ...CARL, bits: 1024, minKeyBits: 1024 };
    const [anna, bert] = await meet(room, ANNA, BERT);
    const carl = await room.enter(weak);
    await room.leave(carl, WHY.LOST);
    anna.take();
    anna.say("hello");
    await room.advance(1000);
    assert.deepEqual(texts(bert), ["hello"]);
    assert.deepEqual(anna.take(), ["delivered hello to bert"]);
    await room.advance(KEEP_MS + 1000);
    assert.deepEqual(anna.take(), []);
  });
});

Deno.test("Membership takes keys of 1024 bits where that is allowed, with a badge", async () => {
  await TestRoom.use(async (room) => {
    const weak = { ...CARL, bits: 1024, minKeyBits: 1024 };
    const [anna] = await meet(room, { ...ANNA, minKeyBits: 1024 });
    const carl = await room.enter(weak);
    assert.deepEqual(anna.take(), ["joined carl new weak"]);
    assert.deepEqual(carl.take(), ["joined anna new"]);
  });
});

Deno.test("Membership.setAway() tells who is there, and who comes later", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    anna.membership.setAway("lunch");
    await room.advance(100);
    assert.deepEqual(bert.take(), ["away anna lunch"]);
    const carl = await room.enter(CARL);
    assert.deepEqual(carl.take("away"), ["away anna lunch"]);
    assert.equal(carl.membership.find("anna").away, "lunch");
    anna.membership.setAway("");
    await room.advance(100);
    assert.deepEqual(bert.take("away"), ["away anna"]);
    assert.throws(() => anna.membership.setAway("x".repeat(201)), UsageError);
    anna.membership.setAway("x".repeat(200));
  });
});
