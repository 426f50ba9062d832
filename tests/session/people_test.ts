import assert from "node:assert/strict";
import { REASON, WHY } from "../../lib/protocol/frames.ts";
import { KEPT_MS, STREAMS_REMEMBERED } from "../../lib/protocol/limits.ts";
import { MAX_LOST_INSTANCES, People, UNAUTHENTICATED_MS } from "../../lib/session/people.ts";
import type { RosterMember } from "../../lib/session/roster.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { ANNA, BERT, CARL, meet, texts } from "../support/people.ts";
import { type TestClient, TestRoom } from "../support/test_room.ts";

const OTHER_PASSWORD = { roomKey: new Uint8Array(32).fill(1) };

/** Nobody is known, and nothing is reported. */
const QUIET = { giveUp: () => {}, waive: () => {}, warn: () => {}, keptMs: () => KEPT_MS };

/** The warnings that a client gave about an FP. */
function warnings(client: TestClient, name: string): number {
  const text = `notice cannot authenticate ${name}: another password, or not a member`;
  return client.take("notice").filter((each) => each === text).length;
}

Deno.test("People: a lurker with a new sid every 25 s is warned about once, is never shown and gets nothing", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    const lurker = await room.client({ ...CARL, ...OTHER_PASSWORD });
    let told = 0;
    for (let i = 0; i < 10; i++) {
      await room.join(lurker);
      anna.say(`message ${i}`);
      await room.advance(25_000);
      told += warnings(anna, lurker.name);
      if (i === 0) assert.equal(told, 0);
      if (i === 1) assert.equal(told, 1);
      await room.leave(lurker, WHY.LOST);
    }
    assert.equal(told, 1);
    const carl = await room.enter(CARL); // the same key, with the password
    await room.advance(1000);
    assert.deepEqual(texts(carl), []);
    assert.equal(texts(bert).length, 10);
    assert.deepEqual(anna.take("undelivered"), []);
  });
});

Deno.test("People: the 30 s of the warning are added up over all sids, and start anew after it was shown", async () => {
  await TestRoom.use(async (room) => {
    const [anna] = await meet(room, ANNA);
    const ghost = await room.client({ ...BERT, ...OTHER_PASSWORD });
    await room.join(ghost);
    await room.advance(20_000);
    await room.leave(ghost, WHY.LOST);
    await room.advance(60_000);
    await room.join(ghost);
    await room.advance(9_000);
    assert.equal(warnings(anna, ghost.name), 0);
    await room.advance(1_000);
    assert.equal(warnings(anna, ghost.name), 1);
    await room.leave(ghost, WHY.LOST);
    const bert = await room.enter(BERT); // shown
    await room.leave(bert);
    await room.join(ghost);
    await room.advance(29_000);
    assert.equal(warnings(anna, ghost.name), 0);
    await room.advance(1_000);
    assert.equal(warnings(anna, ghost.name), 1);
  });
});

Deno.test("People: somebody in the roster whose channel has been down for 30 s is shown as lost, and joins again", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    room.filter = () => undefined;
    anna.say("hello");
    await room.advance(59_000);
    assert.deepEqual(anna.take("left", "notice"), []);
    await room.advance(2_000); // CLOSE(4) after 30 s, and 30 s without a channel
    assert.deepEqual(anna.take("left"), ["left bert lost"]);
    room.filter = ({ payload }) => payload;
    await room.advance(60_000);
    assert.deepEqual(anna.take("joined", "delivered"), [
      "joined bert new",
      "delivered hello to bert",
    ]);
    assert.deepEqual(texts(bert), ["hello"]);
  });
});

Deno.test("People: what waits is given up when the last instance that was shown refuses for good, not after other ends", async () => {
  for (const reason of [REASON.NORMAL, REASON.NOT_ALLOWED, REASON.WEAK_KEY, REASON.PROTOCOL]) {
    await TestRoom.use(async (room) => {
      const [anna, first, second] = await meet(room, ANNA, BERT, BERT);
      const { people, roster, outbox } = anna.membership;
      room.filter = () => undefined;
      anna.say("hello");
      roster.members.get(first.sid)!.peer!.end(reason);
      assert.deepEqual(anna.take("undelivered"), []);
      roster.members.get(second.sid)!.peer!.end(reason);
      const isFinal = reason !== REASON.PROTOCOL;
      assert.deepEqual(anna.take("undelivered"), isFinal ? ["undelivered hello to bert"] : []);
      assert.equal(people.find(first.name) === undefined, isFinal);
      assert.equal(outbox.owed, !isFinal);
      anna.say("anybody?");
      assert.equal(anna.take("undelivered").length, isFinal ? 1 : 0);
    });
  }
});

Deno.test("People: of the instances of a person that are lost, the 4 lost last get copies", async () => {
  await TestRoom.use(async (room) => {
    const [anna] = await meet(room, ANNA);
    const terminals: TestClient[] = [];
    for (let i = 0; i <= MAX_LOST_INSTANCES; i++) terminals.push(await room.enter(BERT));
    room.filter = () => undefined;
    anna.say("for all");
    for (const terminal of terminals) {
      room.disconnect(terminal);
      await room.notice(terminal);
      await room.advance(1000);
    }
    anna.say("for four");
    room.filter = ({ payload }) => payload;
    for (const terminal of terminals.toReversed()) {
      await room.join(terminal);
      await room.advance(1000);
    }
    const [oldest, ...others] = terminals;
    for (const other of others) assert.deepEqual(texts(other), ["for all", "for four"]);
    assert.deepEqual(texts(oldest!), []); // all it had was given up, and others have it
    assert.deepEqual(anna.take("delivered", "undelivered"), [
      "delivered for all to bert",
      "delivered for four to bert",
    ]);
  });
});

Deno.test("People: as many people are lost as the room has places; those shown for the shortest time are given up first", async () => {
  await TestRoom.use(async (room) => {
    room.capacity = 4;
    const [anna] = await meet(room, ANNA);
    const others: TestClient[] = [];
    for (let i = 0; i < 5; i++) {
      const other = await room.enter({ seed: 20 + i, nick: `n${i}` });
      await room.advance(i === 2 ? 1000 : 10_000); // n2 for the shortest time
      others.push(other);
      if (i < 4) await room.leave(other, WHY.LOST);
    }
    anna.say("hello");
    await room.advance(1000);
    assert.deepEqual(anna.take("undelivered"), []);
    await room.leave(others[4]!, WHY.LOST);
    assert.deepEqual(anna.take("undelivered"), ["undelivered hello to n2"]);
    anna.say("again");
    const sent = anna.events.findLast(({ event }) => event === "sent");
    assert.equal(sent?.event === "sent" && sent.to.length, 4);
  });
});

Deno.test("People: one's own other terminals get everything, and are never reported", async () => {
  await TestRoom.use(async (room) => {
    const [first, second] = await meet(room, ANNA, ANNA);
    first.say("to myself");
    await room.advance(1000);
    assert.deepEqual(texts(second), ["to myself"]);
    assert.deepEqual(first.take(), ["undelivered to myself to nobody"]);
    const bert = await room.enter(BERT);
    room.filter = ({ to, payload }) => to === second ? undefined : payload;
    first.say("to bert");
    await room.advance(1000);
    assert.deepEqual(texts(bert), ["to bert"]);
    assert.deepEqual(first.take("delivered", "undelivered"), ["delivered to bert to bert"]);
    await room.leave(second);
    assert.deepEqual(first.take("undelivered"), []);
    assert.ok(!first.membership.outbox.owed);
  });
});

Deno.test("People forget the numbers of 1024 idle streams at the latest, and never those that are shown, lost or wait", () => {
  const clock = new FakeClock();
  const people = new People({ clock, ...QUIET });
  people.connect(256);
  const member = (name: string): RosterMember =>
    ({ name, person: people.get(name), sid: "x" }) as unknown as RosterMember;
  const shown = people.show(member("shown"), "00");
  shown.resume(41);
  const idle = Array.from({ length: STREAMS_REMEMBERED + 1 }, (_, i) => {
    const stream = people.show(member(`idle ${i}`), "00");
    stream.resume(41);
    people.leave(stream, "left");
    return stream;
  });
  people.show(member("one more"), "00");
  assert.equal(people.show(member("shown"), "00"), shown);
  assert.equal(people.show(member("idle 1"), "00"), idle[1]);
  const anew = people.show(member("idle 0"), "00");
  assert.notEqual(anew, idle[0]);
  anew.resume(7); // takes its numbers from the ACK
  assert.equal(anew.lowest, 8);
});

Deno.test("People: a sender that has forgotten a stream goes on where the receiver is", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, ANNA, BERT);
    for (const text of ["one", "two"]) anna.say(text);
    await room.advance(1000);
    await room.leave(bert);
    const stream = [...anna.membership.people.streams()][0]!;
    for (let i = 0; i <= STREAMS_REMEMBERED; i++) {
      const person = anna.membership.people.get(`stranger ${i}`);
      const member = { name: person.fingerprint, person } as unknown as RosterMember;
      anna.membership.people.leave(anna.membership.people.show(member, "00"), "left");
    }
    await room.join(bert);
    anna.say("three");
    await room.advance(1000);
    assert.ok(![...anna.membership.people.streams()].includes(stream));
    assert.deepEqual(texts(bert), ["one", "two", "three"]);
    assert.deepEqual(bert.take("lost"), []);
  });
});

Deno.test("People: the time limits are exact to the second of the tick", async () => {
  assert.equal(UNAUTHENTICATED_MS, 30_000);
  const clock = new FakeClock();
  const people = new People({ clock, ...QUIET });
  people.connect(256);
  const member = { name: "bert", person: people.get("bert") } as unknown as RosterMember;
  const stream = people.show(member, "00");
  people.lose(stream);
  await clock.advance(KEPT_MS - 1);
  people.tick();
  assert.ok(people.find("bert"));
  await clock.advance(1);
  people.tick();
  assert.equal(people.find("bert"), undefined);
});
