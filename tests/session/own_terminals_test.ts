import assert from "node:assert/strict";
import { WHY } from "../../lib/protocol/frames.ts";
import type { HistoryEntry } from "../../lib/protocol/history_entry.ts";
import { encodeOwnMessage } from "../../lib/protocol/own_messages.ts";
import { MAX_RECENT } from "../../lib/session/recent.ts";
import { ANNA, BERT, CARL, meet } from "../support/people.ts";
import { type TestClient, TestRoom } from "../support/test_room.ts";

// One person on several terminals (PROTOCOL.md §17).

const HOUR_MS = 3_600_000;
const DESK = { ...ANNA, knows: [BERT, CARL] };

function shown(client: TestClient): string[] {
  return client.take("chat", "note", "missed", "read");
}

Deno.test("OwnTerminals: private messages of one's own, and notes about them, are on both", async () => {
  await TestRoom.use(async (room) => {
    const [desk, laptop, bert] = await meet(room, DESK, DESK, BERT);
    const id = desk.sendPrivate(bert, "psst");
    await room.advance(1000);
    assert.deepEqual(shown(laptop), ["anna: psst (private own to bert)"]);
    assert.deepEqual(shown(bert).map((line) => line.replace(/#.{4}/, "")), [
      "anna: psst (private)",
    ]);
    desk.sendNote({ id }, "edit", "pssst");
    await room.advance(1000);
    assert.deepEqual(shown(laptop), ["anna: edit pssst of psst"]);
    bert.sendNote({ id }, "reaction", "👍");
    await room.advance(1000);
    assert.deepEqual(shown(laptop), ["bert: reaction 👍 of psst"]);
    assert.deepEqual(shown(desk), ["bert: reaction 👍 of psst"]);
    const answer = bert.sendPrivate(desk, "what?");
    await room.advance(1000);
    assert.deepEqual(shown(laptop), ["bert: what? (private)"]);
    laptop.sendNote({ id: answer }, "reaction", "🙂");
    laptop.say("to all");
    await room.advance(1000);
    assert.deepEqual(shown(desk), [
      "bert: what? (private)",
      "anna: reaction 🙂 of what?",
      "anna: to all (own)",
    ]);
  });
});

Deno.test("OwnTerminals: nobody else is told, and one that keeps apart tells nothing", async () => {
  await TestRoom.use(async (room) => {
    const [desk, apart, bert, carl] = await meet(
      room,
      DESK,
      { ...DESK, keepsApart: true },
      BERT,
      CARL,
    );
    desk.sendPrivate(bert, "one");
    apart.sendPrivate(bert, "two");
    await room.advance(1000);
    assert.deepEqual([desk, apart, carl].flatMap(shown), []);
    // Bert says that he is a terminal of Carl.
    const copy = encodeOwnMessage({
      type: "copy",
      id: "0102030405060708",
      time: 1,
      action: false,
      reply: undefined,
      to: desk.key.publicKey.fingerprint,
      what: undefined,
      text: "false",
    });
    for (const member of bert.membership.roster.members.values()) {
      member.peer!.send({ type: "own", bytes: copy });
      member.peer!.send({ type: "own", bytes: Uint8Array.of(0x60, 1) });
    }
    await room.advance(1000);
    assert.deepEqual([desk, apart, carl].flatMap(shown), []);
    bert.say("still here");
    await room.advance(1000);
    assert.deepEqual(shown(carl), ["bert: still here"]);
  });
});

Deno.test("OwnTerminals: a terminal that was off for the night is told what it missed, in order", async () => {
  await TestRoom.use(async (room) => {
    const [desk, laptop, bert, carl] = await meet(room, DESK, DESK, BERT, CARL);
    bert.say("evening");
    await room.advance(1000);
    assert.deepEqual(shown(laptop), ["bert: evening"]);
    await room.leave(laptop, WHY.LEFT);
    await room.advance(HOUR_MS);
    const id = bert.say("one");
    carl.sendPrivate(desk, "two");
    await room.advance(1000);
    desk.sendPrivate(carl, "three");
    bert.sendNote({ id }, "edit", "eins");
    await room.advance(1000);
    carl.sendNote({ id }, "reaction", "👍");
    await room.advance(8 * HOUR_MS);
    const expected = [
      "missed 3 in 540 min",
      "bert: one (missed)",
      "carl: two (private missed)",
      "anna: three (private own to carl missed)",
      "bert: edit eins of one",
      "carl: reaction 👍 of one",
    ];
    await room.join(laptop);
    await room.advance(2000);
    assert.deepEqual(shown(laptop).map((line) => line.replace("543", "540")), expected);
    const told = desk.take("notice");
    assert.match(told.at(-1)!, /another terminal of yours \(“anna#.{4}”\) has come and got 3 mess/);
    // Nothing comes twice.
    await room.advance(120_000);
    await room.leave(laptop, WHY.LOST);
    await room.join(laptop);
    await room.advance(2000);
    assert.deepEqual(shown(laptop), []);
    assert.deepEqual(shown(desk).filter((line) => line.includes("missed")), []);
  });
});

Deno.test("OwnTerminals: what comes from its author later is not shown again, and is delivered", async () => {
  await TestRoom.use(async (room) => {
    const [desk, laptop, bert] = await meet(room, DESK, DESK, { ...BERT, knows: [ANNA] });
    await room.leave(laptop, WHY.LOST);
    room.filter = ({ from, to, payload }) => from === bert && to === laptop ? undefined : payload;
    bert.say("slow");
    await room.advance(60_000);
    assert.deepEqual(shown(desk), ["bert: slow"]);
    await room.join(laptop);
    await room.advance(2000);
    assert.deepEqual(shown(laptop).slice(1), ["bert: slow (missed)"]);
    room.filter = ({ payload }) => payload;
    await room.advance(60_000);
    bert.say("next");
    await room.advance(2000);
    assert.deepEqual(shown(laptop), ["bert: next"]);
    assert.equal(bert.membership.outbox.unsettled, 0);
  });
});

Deno.test("OwnTerminals: a new process is told the last day, and more than fits is cut at the old end", async () => {
  await TestRoom.use(async (room) => {
    const [, bert] = await meet(room, DESK, BERT);
    bert.say("two days ago");
    await room.advance(48 * HOUR_MS);
    for (let i = 0; i < 70; i++) bert.say(`${i} `.padEnd(8000, "x"));
    await room.advance(10_000);
    for (let i = 70; i < 140; i++) bert.say(`${i} `.padEnd(8000, "x"));
    await room.advance(10_000);
    const laptop = await room.enter(DESK);
    await room.advance(30_000);
    const lines = shown(laptop).map((line) => line.slice(0, 10).trim());
    assert.equal(lines[0]!.slice(0, 10), "missed 129");
    assert.equal(lines.at(-1), "bert: 139");
    assert.equal(lines.length, 130);
    assert.ok(MAX_RECENT > 200);
  });
});

Deno.test("OwnTerminals: a GIVE that nobody asked for, or that is another's, is dropped", async () => {
  await TestRoom.use(async (room) => {
    const [desk, laptop, bert] = await meet(room, DESK, DESK, BERT);
    const give = encodeOwnMessage({
      type: "give",
      last: true,
      entries: [{
        type: 0,
        at: 1000,
        sent: 0,
        id: "0102030405060708",
        fingerprint: bert.key.publicKey.fingerprint,
        flags: 0,
        nick: "bert",
        text: "never said",
      }],
    });
    await room.advance(120_000);
    for (const from of [bert, laptop]) {
      for (const member of from.membership.roster.members.values()) {
        member.peer!.send({ type: "own", bytes: give });
      }
    }
    await room.advance(1000);
    assert.deepEqual([desk, bert].flatMap(shown), []);
  });
});

Deno.test("OwnTerminals: what is read on one is read on the other, and never goes back", async () => {
  await TestRoom.use(async (room) => {
    const [desk, laptop, bert] = await meet(room, DESK, DESK, BERT);
    const one = bert.say("one");
    const two = bert.say("two");
    const secret = bert.sendPrivate(desk, "secret");
    await room.advance(1000);
    for (const client of [desk, laptop]) client.take();
    desk.membership.markRead({ id: two });
    desk.membership.markRead({ id: one });
    desk.membership.markRead({ id: secret });
    await room.advance(1000);
    assert.deepEqual(laptop.take("read"), ["read two", "read secret"]);
    laptop.membership.markRead({ id: one });
    await room.advance(1000);
    assert.deepEqual(desk.take("read"), []);
    // Told again to one that comes later, once it knows the message.
    await room.leave(laptop);
    const again = await room.enter(DESK);
    await room.advance(2000);
    assert.deepEqual(again.take("missed", "chat", "read"), [
      "missed 3 in 0 min",
      "bert: one (missed)",
      "bert: two (missed)",
      "read two",
      "bert: secret (private missed)",
      "read secret",
    ]);
  });
});

Deno.test("OwnTerminals: what was read in an earlier run is told from one's own history", async () => {
  await TestRoom.use(async (room) => {
    const log: HistoryEntry[] = [];
    const [desk, laptop, bert] = await meet(room, { ...DESK, log }, DESK, BERT);
    bert.say("one");
    const two = bert.say("two");
    const secret = bert.sendPrivate(desk, "secret");
    await room.advance(1000);
    await room.leave(laptop);
    await room.advance(1000);
    desk.membership.markRead({ id: two });
    desk.membership.markRead({ id: secret });
    bert.say("three");
    await room.advance(1000);
    await room.leave(desk);
    desk.kill();
    laptop.take();
    // The desk's next run has not shown any of it.
    const again = await room.enter({ ...DESK, log });
    await room.advance(1000);
    await room.join(laptop);
    await room.advance(2000);
    assert.deepEqual(laptop.take("chat", "read").toSorted(), [
      "bert: three (missed)",
      "read secret",
      "read two",
    ]);
    assert.deepEqual(again.take("chat", "read"), []);
  });
});

Deno.test("OwnTerminals: a terminal whose calendar is set back is told what it has missed", async () => {
  await TestRoom.use(async (room) => {
    const [desk, laptop, bert] = await meet(room, DESK, DESK, BERT);
    await room.advance(100_000);
    await room.leave(laptop, WHY.LOST);
    const id = bert.say("one");
    await room.advance(2000);
    bert.sendNote({ id }, "reaction", "👍");
    await room.advance(3_600_000);
    const wallTime = room.clock.wallTime.bind(room.clock);
    room.clock.wallTime = () => wallTime() - 5 * 3_600_000; // of all
    await room.advance(2000);
    await room.join(laptop);
    await room.advance(2000);
    assert.deepEqual(laptop.take("missed"), ["missed 1 in 60 min"]);
    assert.equal(desk.faults.length, 0);
  });
});

Deno.test("OwnTerminals: what was said before its author knew of a new terminal is there a minute later", async () => {
  await TestRoom.use(async (room) => {
    const [desk, bert] = await meet(room, DESK, BERT);
    const laptop = await room.client(DESK);
    // Bert and the laptop do not get through to each other for a while.
    room.filter = ({ from, to, payload }) =>
      [from, to].includes(bert!) && [from, to].includes(laptop) ? undefined : payload;
    await room.join(laptop);
    await room.advance(1000);
    bert!.say("who is here?");
    await room.advance(1000);
    room.filter = ({ payload }) => payload;
    assert.deepEqual(shown(desk!), ["bert: who is here?"]);
    assert.deepEqual(shown(laptop), []);
    await room.advance(70_000);
    assert.deepEqual(shown(laptop), ["missed 1 in 1 min", "bert: who is here? (missed)"]);
  });
});

Deno.test("OwnTerminals: terminals of one person share a name, and others do not get it", async () => {
  await TestRoom.use(async (room) => {
    const [desk, laptop, other] = await meet(room, DESK, DESK, { ...BERT, nick: "anna" });
    const names = desk.membership.roster.people().map(({ nick }) => nick);
    assert.equal(names[0], "anna");
    assert.match(names[1]!, /^anna#/);
    laptop.say("me");
    other.say("not me");
    await room.advance(1000);
    const [first, second] = shown(desk);
    assert.equal(first, "anna: me (own)");
    assert.match(second!, /^anna#.{4}: not me$/);
  });
});

Deno.test("OwnTerminals: two terminals show the same after a move in which they were apart", async () => {
  await TestRoom.use(async (room) => {
    const [desk, laptop, bert] = await meet(room, DESK, DESK, { ...BERT, knows: [ANNA] });
    bert.say("before");
    await room.advance(1000);
    await room.crash();
    await room.advance(5000);
    await room.join(bert);
    await room.join(desk);
    await room.advance(1000);
    desk.sendPrivate(bert, "where is my laptop?");
    await room.advance(1000);
    bert.sendPrivate(desk, "not here");
    bert.say("in the room");
    await room.advance(30_000);
    await room.join(laptop);
    await room.advance(90_000); // what it had asked before is a minute ago
    const texts = (client: TestClient) =>
      client.events.flatMap((event) =>
        event.event === "chat" || event.event === "sent" ? [event.text] : []
      );
    assert.deepEqual(texts(laptop).toSorted(), texts(desk).toSorted());
    assert.equal(new Set(texts(laptop)).size, texts(laptop).length);
    assert.equal(texts(laptop).length, 4);
    await room.advance(60_000);
    assert.equal(bert.membership.outbox.unsettled, 0);
  });
});

Deno.test("OwnTerminals: an id that two people use, and clocks that differ by hours, confuse nothing", async () => {
  await TestRoom.use(async (room) => {
    const [desk, laptop, bert, carl] = await meet(room, DESK, DESK, BERT, CARL);
    await room.leave(laptop);
    await room.advance(1000);
    const id = bert.say("of bert");
    await room.advance(1000);
    for (const { peer } of carl.membership.roster.members.values()) {
      // Carl's clock is wrong by a day, and his message has Bert's id.
      peer!.send({
        type: "chat",
        seq: 1,
        id,
        time: room.clock.wallTime() + 86_400_000,
        action: false,
        private: false,
        late: false,
        view: new Uint8Array(32),
        reply: undefined,
        text: "of carl",
      });
    }
    await room.advance(10_000);
    assert.deepEqual(shown(desk), ["bert: of bert", "carl: of carl (differs)"]);
    await room.join(laptop);
    await room.advance(90_000);
    const [, ...missed] = shown(laptop);
    assert.deepEqual(missed, ["bert: of bert (missed)", "carl: of carl (differs missed)"]);
  });
});
