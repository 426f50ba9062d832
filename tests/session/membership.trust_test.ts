import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { KIND, WHY } from "../../lib/protocol/frames.ts";
import { KEPT_MS } from "../../lib/protocol/limits.ts";
import { settle } from "../support/fake_clock.ts";
import { type Payload, TestRoom } from "../support/test_room.ts";
import { ANNA, BERT, CARL, meet, texts } from "../support/people.ts";

// Views.

Deno.test("Membership marks a message whose sender sees another room, after 5 s", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    // The relay shows Bert a member that it hides from Anna.
    const fingerprint = new Uint8Array(32).fill(9);
    await room.inject(bert, { type: "joined", sid: "00000000000000aa", fingerprint });
    await room.advance(6000);
    anna.say("hello");
    await room.advance(4999);
    assert.deepEqual(bert.take("chat"), []);
    await room.advance(1);
    assert.deepEqual(bert.take("chat"), ["anna: hello (differs)"]);
    anna.sendPrivate("bert", "private");
    await room.advance(1);
    assert.deepEqual(bert.take("chat"), ["anna: private (private)"]);
    await room.advance(1000);
    assert.equal(anna.take("delivered").length, 2);
  });
});

Deno.test("Membership accepts the view of a room that has just changed or is about to", async () => {
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

Deno.test("Membership recomputes the view for each resend", async () => {
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

Deno.test("Membership includes members it does not send to in the view", async () => {
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

Deno.test("Sender.sendPrivate() reaches only that person, and refuses unknown and ambiguous names", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(room, ANNA, BERT, CARL);
    anna.sendPrivate("BERT", "for your ears");
    anna.sendPrivate(carl, "and yours");
    await room.advance(1000);
    assert.deepEqual(bert.take("chat"), ["anna: for your ears (private)"]);
    assert.deepEqual(carl.take("chat"), ["anna: and yours (private)"]);
    assert.deepEqual(anna.take("delivered"), [
      "delivered for your ears to bert",
      "delivered and yours to carl",
    ]);
    assert.throws(() => anna.sendPrivate("dora", "x"), /^UsageError: nobody here is called dora$/);
    for (const own of ["Anna", anna.name]) {
      const message = `nobody here but you is called ${own}`;
      assert.throws(() => anna.sendPrivate(own, "x"), { name: "UsageError", message });
    }
  });
});

Deno.test("Membership.setNick() informs everybody, lost members too, in order with the messages", async () => {
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
    assert.deepEqual(carl.take("chat"), ["anja: as anna", "anja: as anja"]);
    assert.deepEqual(carl.membership.roster.people().map(({ nick }) => nick).sort(), [
      "anja",
      "bert",
    ]);
    assert.throws(() => anna.membership.setNick("no nick"), UsageError);
    assert.equal(anna.membership.nick, "anja");
    anna.membership.setNick("anja\u0308"); // is composed
    assert.equal(anna.membership.nick, "anj\u00e4");
  });
});

Deno.test("Membership.setNick() arrives even between the two HELLOs", async () => {
  await TestRoom.use(async (room) => {
    const [anna] = await meet(room, ANNA);
    const bert = await room.client(BERT);
    let changed = false;
    room.filter = ({ from, kind, payload }) => {
      // Anna's HELLO is under way, Bert's has not arrived.
      if (from === anna && kind === KIND.RECORD && !changed) {
        changed = true;
        queueMicrotask(() => anna.membership.setNick("anja"));
      }
      return payload;
    };
    await room.join(bert);
    await room.advance(2000);
    assert.ok(changed);
    assert.deepEqual(bert.membership.roster.people().map(({ usedNick }) => usedNick), ["anja"]);
  });
});

Deno.test("Membership: a known nick with another key is a conflict, and gets nothing private", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    await room.leave(bert);
    const other = await room.enter({ ...CARL, nick: "Bert" });
    assert.deepEqual(anna.take("joined"), ["joined Bert conflict"]);
    assert.throws(() => anna.sendPrivate("bert", "secret"), UsageError);
    anna.say("to all");
    await room.advance(1000);
    assert.deepEqual(texts(other), ["to all"]);
    anna.knownPeers.accept(other.name, "Bert");
    anna.sendPrivate("bert", "secret");
    await room.advance(1000);
    assert.deepEqual(texts(other), ["to all", "secret"]);
  });
});

Deno.test("Membership: changing to another person's nick is a conflict too", async () => {
  await TestRoom.use(async (room) => {
    const [anna, , carl] = await meet(room, ANNA, BERT, CARL);
    carl.membership.setNick("bert");
    await room.advance(1000);
    const told = anna.take();
    assert.equal(told.length, 4);
    assert.match(told[0]!, /^nick carl is bert#/);
    assert.match(told[1]!, /^nick bert is bert#/);
    assert.match(told[2]!, /^trust bert#\S+ conflict$/);
    assert.match(told[3]!, /^notice bert#.* is a known nick, but with another key$/);
    assert.throws(() => anna.sendPrivate(carl, "secret"), UsageError);
    assert.throws(() => anna.sendPrivate("bert", "which?"), UsageError);
    carl.membership.setNick("carl");
    await room.advance(1000);
    const undone = anna.take().map((line) => line.replace(/bert#\S+/, "bert#…"));
    assert.deepEqual(undone, ["nick bert#… is carl", "nick bert#… is bert", "trust carl new"]);
  });
});

Deno.test("Membership reports the shown nick of somebody whose namesake comes or goes", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    anna.take();
    const other = await room.enter({ ...CARL, nick: "Bert" });
    await room.advance(1000);
    const suffix = (name: string) => name.slice(7, 11);
    assert.deepEqual(anna.take(), [
      `joined Bert#${suffix(other.name)} conflict`,
      `nick bert is bert#${suffix(bert.name)}`,
    ]);
    await room.leave(other, WHY.LEFT);
    await room.advance(1000);
    assert.deepEqual(anna.take(), [
      `left Bert#${suffix(other.name)} left`,
      `nick bert#${suffix(bert.name)} is bert`,
    ]);
  });
});

Deno.test("Membership in strict mode sends only to verified people", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(room, { ...ANNA, strict: true }, BERT, CARL);
    anna.say("nobody yet");
    assert.deepEqual(anna.take(), ["undelivered nobody yet to nobody"]);
    assert.throws(() => anna.sendPrivate(bert, "secret"), UsageError);
    anna.knownPeers.verify(bert.name);
    anna.say("to bert");
    anna.sendPrivate(bert, "secret");
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
    await room.advance(6000);
    room.join(bert);
    await room.join(carl);
    await room.advance(1000);
    assert.deepEqual(bert.take("chat"), ["anna: to those lost (late)"]);
    assert.deepEqual(carl.take("chat"), []);
    carl.say("hello"); // strict limits sending, not receiving
    await room.advance(1000);
    assert.deepEqual(anna.take("chat"), ["carl: hello"]);
  });
});

Deno.test("Membership refuses weak keys permanently and leaves them out of delivery", async () => {
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
    assert.deepEqual(anna.take(), []); // no warning, no retry
  });
});

Deno.test("Membership: a member refused permanently stays out of delivery after it is lost", async () => {
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
    await room.advance(KEPT_MS + 1000);
    assert.deepEqual(anna.take(), []);
  });
});

Deno.test("Membership accepts keys of 1024 bits where that is allowed, marked as weak", async () => {
  await TestRoom.use(async (room) => {
    const weak = { ...CARL, bits: 1024, minKeyBits: 1024 };
    const [anna] = await meet(room, { ...ANNA, minKeyBits: 1024 });
    const carl = await room.enter(weak);
    assert.deepEqual(anna.take(), ["joined carl new weak"]);
    assert.deepEqual(carl.take(), ["joined anna new"]);
  });
});

Deno.test("Membership.setAway() informs everybody present, and everybody who comes later", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    anna.membership.setAway("lunch");
    await room.advance(100);
    assert.deepEqual(bert.take(), ["away anna lunch"]);
    const carl = await room.enter(CARL);
    assert.deepEqual(carl.take("away"), ["away anna lunch"]);
    assert.equal(carl.membership.roster.findPerson("anna").away, "lunch");
    anna.membership.setAway("");
    await room.advance(100);
    assert.deepEqual(bert.take("away"), ["away anna"]);
    assert.throws(() => anna.membership.setAway("x".repeat(201)), UsageError);
    anna.membership.setAway("x".repeat(200));
  });
});

Deno.test("Membership: nobody comes back from away after they have left", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    bert.membership.setAway("lunch");
    await room.advance(100);
    assert.deepEqual(anna.take(), ["away bert lunch"]);
    let records = 0;
    const isHello = ({ from, kind }: Payload) =>
      from !== bert || kind !== KIND.RECORD || ++records === 1;
    room.filter = (payload) => isHello(payload) ? payload.payload : undefined; // and no AWAY
    anna.membership.roster.members.get(bert.sid)!.peer!.start(); // a new channel
    await settle();
    assert.ok(records > 1);
    await room.leave(bert);
    await room.advance(10_000);
    assert.deepEqual(anna.take(), ["left bert left"]);
  });
});

Deno.test("Membership: an entry with somebody's key that proves nothing stops looking like them after 30 s", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    room.disconnect(anna);
    await room.leave(bert, WHY.LOST);
    await room.enter({ ...BERT, roomKey: new Uint8Array(32).fill(1) }); // a ghost: another password
    await room.join(bert);
    await room.join(anna);
    anna.take();
    await room.advance(20_000);
    const shown = () => anna.membership.roster.people().map(({ nick }) => nick);
    assert.equal(shown().length, 2); // either may be the one that was there
    await room.advance(20_000);
    assert.deepEqual(shown(), ["bert"]);
    const [left, ...more] = anna.take("left");
    assert.match(left!, /^left bert#[0-9a-f]{4} lost$/);
    assert.deepEqual(more, []);
  });
});
