import assert from "node:assert/strict";
import type { Bytes } from "../../lib/base/bytes.ts";
import { WHY } from "../../lib/protocol/frames.ts";
import { ENTRY, type HistoryEntry } from "../../lib/protocol/history_entry.ts";
import { MESSAGE } from "../../lib/protocol/messages.ts";
import { encodeOwnMessage, type OwnMessage, SCOPE } from "../../lib/protocol/own_messages.ts";
import { messageReference } from "../../lib/protocol/references.ts";
import { WANT_MS } from "../../lib/session/own_terminals.ts";
import { ANSWER_MS, ASK_AFTER_MS, ASK_BY_MS } from "../../lib/session/recap.ts";
import { ANNA, BERT, CARL, DORA, meet } from "../support/people.ts";
import { type TestClient, TestRoom } from "../support/test_room.ts";

// What others hand on (PROTOCOL.md §17).

const [MINUTE_MS, HOUR_MS] = [60_000, 3_600_000];
const PASSWORD = { roomKey: new Uint8Array(32).fill(9) };
const HELPS = { recap: true };
const ASKS = { asksOthers: true };
const ID = "0102030405060708";

/** What a client is shown of what it has missed, once it has asked. */
async function caughtUp(room: TestRoom, client: TestClient): Promise<string[]> {
  await room.advance(ASK_BY_MS + ANSWER_MS + 2000);
  return client.take("missed", "chat", "note");
}

function send(from: TestClient, to: TestClient, message: OwnMessage | Bytes): void {
  const bytes = message instanceof Uint8Array ? message : encodeOwnMessage(message);
  for (const { name, peer } of from.membership.roster.members.values()) {
    if (name === to.name) peer!.send({ type: "own", bytes });
  }
}

function claim(author: TestClient, entry: Partial<HistoryEntry> = {}): HistoryEntry {
  return {
    type: ENTRY.MESSAGE,
    at: 1000,
    sent: 0,
    id: ID,
    fingerprint: author.key.publicKey.fingerprint,
    flags: 0,
    nick: "x",
    text: "never said",
    ...entry,
  };
}

/** Makes a member answer those who ask with what it makes up. */
function lie(
  liar: TestClient,
  clients: readonly TestClient[],
  answer: (asker: TestClient) => void,
): void {
  const { recap } = liar.membership;
  const take = recap.take.bind(recap);
  recap.take = (member, bytes) => {
    if (bytes[0] !== MESSAGE.WANT) return take(member, bytes);
    answer(clients.find(({ name }) => name === member.name)!);
  };
}

Deno.test("Recap: two who agree hand on what was said to who comes later and knows the password", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(
      room,
      { ...ANNA, ...PASSWORD, ...HELPS },
      { ...BERT, ...PASSWORD, ...HELPS },
      { ...CARL, ...PASSWORD, ...HELPS },
    );
    carl.say("the build is red");
    await room.advance(MINUTE_MS);
    const id = bert.say("it was the clock");
    carl.sendPrivate(anna, "psst");
    await room.advance(1000);
    bert.sendNote({ id }, "edit", "it was the clock again");
    anna.sendNote({ id }, "reaction", "👍");
    anna.membership.sender.accept(anna.membership.sender.compose("waits", { action: true }));
    await room.advance(MINUTE_MS);
    const dora = await room.enter({ ...DORA, ...PASSWORD, ...ASKS });
    assert.deepEqual(await caughtUp(room, dora), [
      "missed 3 in 2 min by anna bert",
      "carl: the build is red (by anna bert)",
      "bert: it was the clock again (by anna bert)",
      "anna: waits (action by anna bert)",
    ]);
    const [missed, first] = dora.events.filter(({ event }) => /missed|chat/.test(event));
    assert.deepEqual(missed, {
      event: "missed",
      from: "hearsay",
      by: [anna.name, bert.name],
      count: 3,
      seconds: 126,
    });
    assert.equal(first!.event === "chat" && first.fingerprint, carl.name);
    // They are asked once in a process and room, whoever comes and goes, and also not after a move.
    await room.crash();
    await room.advance(5000);
    for (const client of [anna, bert, carl, dora]) await room.join(client);
    assert.deepEqual(await caughtUp(room, dora), []);
    const texts = dora.events.filter(({ event }) => event === "chat");
    assert.equal(texts.length, 3);
  });
});

Deno.test("Recap: nothing is handed on of whoever does not let it, or by them, or to a new key in an open room", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(room, { ...ANNA, ...HELPS }, BERT, { ...CARL, ...HELPS });
    for (const client of [anna, bert, carl]) client.say(`of ${client.membership.nick}`);
    await room.advance(1000);
    const dora = await room.enter({ ...DORA, ...ASKS });
    assert.deepEqual(await caughtUp(room, dora), []);
    // Bert is not asked, and answers nothing if he is.
    for (const to of [anna, bert, carl]) {
      send(dora, to, { type: "want", scope: SCOPE.RECAP, seconds: 3600, references: [] });
    }
    await room.advance(WANT_MS);
    assert.deepEqual(dora.take("missed", "chat"), []);
  });
  await TestRoom.use(async (room) => {
    const [anna, bert, carl] = await meet(
      room,
      { ...ANNA, ...PASSWORD, ...HELPS },
      { ...BERT, ...PASSWORD },
      { ...CARL, ...PASSWORD, ...HELPS },
    );
    for (const client of [anna, bert, carl]) client.say(`of ${client.membership.nick}`);
    await room.advance(1000);
    const dora = await room.enter({ ...DORA, ...PASSWORD, ...ASKS });
    assert.deepEqual(await caughtUp(room, dora), [
      "missed 2 in 0 min by anna carl",
      "anna: of anna (by anna carl)",
      "carl: of carl (by anna carl)",
    ]);
    // Who does not ask is told nothing.
    const silent = await room.enter({ seed: 7, nick: "erna", ...PASSWORD });
    assert.deepEqual(await caughtUp(room, silent), []);
  });
});

Deno.test("Recap: a laptop that was closed for the night gets what its author cannot send any more", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, carl, dora] = await meet(
      room,
      { ...ANNA, ...HELPS, knows: [DORA] },
      { ...BERT, ...HELPS, knows: [DORA] },
      { ...CARL, knows: [DORA] },
      { ...DORA, ...ASKS, knows: [ANNA, BERT, CARL] },
    );
    bert.say("before");
    await room.advance(1000);
    dora.take();
    await room.leave(dora, WHY.LOST);
    await room.advance(HOUR_MS);
    for (let i = 0; i < 30; i++) bert.say(`${i}`);
    carl.say("of carl");
    await room.advance(1000);
    await room.leave(bert);
    await room.advance(2 * HOUR_MS);
    anna.say("of anna");
    await room.advance(1000);
    await room.join(dora);
    const lines = await caughtUp(room, dora);
    // The authors who are still there, first-hand.
    assert.deepEqual(lines.slice(0, 2).toSorted(), [
      "anna: of anna",
      "carl: of carl (late)",
    ]);
    assert.equal(lines[2], "missed 30 in 120 min by anna");
    assert.deepEqual(lines.slice(3), Array.from({ length: 30 }, (_, i) => `bert: ${i} (by anna)`));
    // A short absence is nothing to ask about.
    await room.leave(dora, WHY.LOST);
    await room.advance(5 * MINUTE_MS);
    await room.join(dora);
    assert.deepEqual(await caughtUp(room, dora), []);
  });
});

Deno.test("Recap: in an open room only what came while somebody was there or lost is for them", async () => {
  await TestRoom.use(async (room) => {
    const [, bert, dora] = await meet(
      room,
      { ...ANNA, ...HELPS, knows: [DORA] },
      { ...BERT, ...HELPS },
      { ...DORA, ...ASKS },
    );
    bert.say("while she is there");
    await room.advance(1000);
    await room.leave(dora); // gone for good
    await room.advance(1000);
    bert.say("without her");
    await room.advance(1000);
    const again = await room.enter({ ...DORA, ...ASKS });
    assert.deepEqual(await caughtUp(room, again), [
      "missed 1 in 0 min by anna",
      "bert: while she is there (by anna)",
    ]);
  });
});

Deno.test("Recap: 20 messages of an hour and 32 KiB for newcomers", async () => {
  await TestRoom.use(async (room) => {
    const [anna] = await meet(room, { ...ANNA, ...PASSWORD, ...HELPS });
    const enter = async (seed: number) => {
      const client = await room.enter({ seed, ...PASSWORD, ...ASKS });
      const lines = await caughtUp(room, client);
      await room.leave(client);
      return lines.slice(1).map((line) => line.slice(6, 10).trim());
    };
    for (let i = 0; i < 25; i++) {
      anna.say(`${i}`);
      await room.advance(10);
    }
    assert.deepEqual(
      await enter(11),
      Array.from({ length: 20 }, (_, i) => `${i + 5} (b`.slice(0, 4).trim()),
    );
    await room.advance(HOUR_MS - 10 * MINUTE_MS);
    anna.say("last");
    await room.advance(9 * MINUTE_MS);
    assert.equal((await enter(12)).length, 20);
    await room.advance(2 * MINUTE_MS);
    assert.deepEqual(await enter(13), ["last"]);
    for (let i = 0; i < 6; i++) anna.say(`${i}`.padEnd(8000, "x"));
    await room.advance(1000);
    assert.deepEqual(await enter(14), ["2xxx", "3xxx", "4xxx", "5xxx"]);
  });
});

Deno.test("Recap: 200 messages of 24 h after an absence", async () => {
  await TestRoom.use(async (room) => {
    const [anna, dora] = await meet(
      room,
      { ...ANNA, ...HELPS, knows: [DORA] },
      { ...DORA, ...ASKS },
    );
    for (let i = 0; i < 150; i++) anna.say(`${i}`);
    await room.advance(23 * HOUR_MS);
    for (let i = 150; i < 205; i++) anna.say(`${i}`);
    await room.advance(30 * MINUTE_MS);
    await room.leave(dora);
    let again = await room.enter({ ...DORA, ...ASKS });
    let lines = await caughtUp(room, again);
    assert.deepEqual([lines.length, lines[1], lines[200]], [
      201,
      "anna: 5 (by anna)",
      "anna: 204 (by anna)",
    ]);
    await room.leave(again);
    await room.advance(HOUR_MS);
    again = await room.enter({ ...DORA, ...ASKS });
    lines = await caughtUp(room, again);
    assert.deepEqual([lines.length, lines[1]], [56, "anna: 150 (by anna)"]);
  });
});

Deno.test("Recap: what is taken back, or changed by who does not let it be handed on any more, is not", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(
      room,
      { ...ANNA, ...PASSWORD, ...HELPS },
      { ...BERT, ...PASSWORD, ...HELPS },
    );
    const [one, two, three] = ["one", "two", "three"].map((text) => bert.say(text));
    const four = anna.say("four");
    await room.advance(1000);
    bert.sendNote({ id: one! }, "retraction");
    bert.membership.recap.turn(false);
    bert.say("not for others");
    bert.sendNote({ id: two! }, "edit", "zwei");
    bert.membership.recap.turn(true);
    bert.sendNote({ id: three! }, "edit", "drei");
    bert.say("for others");
    anna.sendNote({ id: four }, "retraction");
    await room.advance(1000);
    const dora = await room.enter({ ...DORA, ...PASSWORD, ...ASKS });
    assert.deepEqual(await caughtUp(room, dora), [
      "missed 2 in 0 min by anna bert",
      // Bert has forgotten what others wrote, and he himself, when he switched it off.
      "bert: drei (by anna)",
      "bert: for others (by anna bert)",
    ]);
  });
});

Deno.test("Recap: what was switched while a channel was made is told again in it", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert] = await meet(room, { ...ANNA, ...PASSWORD }, { ...BERT, ...PASSWORD });
    const bits = () =>
      [[anna, bert], [bert, anna]].map(([of, at]) =>
        at!.membership.roster.people().find(({ fingerprint }) => fingerprint === of!.name)!.recap
      );
    assert.deepEqual(bits(), [false, false]);
    bert.membership.recap.turn(true);
    await room.advance(1000);
    assert.deepEqual(bits(), [false, true]);
    anna.membership.recap.turn(true);
    await room.crash();
    await room.advance(1000);
    bert.membership.recap.turn(false);
    for (const client of [anna, bert]) await room.join(client);
    await room.advance(1000);
    assert.deepEqual(bits(), [true, false]);
    // Not malformed ones.
    send(bert, anna, Uint8Array.of(0x64, 2));
    send(bert, anna, Uint8Array.of(0x64));
    await room.advance(1000);
    assert.deepEqual(bits(), [true, false]);
  });
});

Deno.test("Recap: the author's own message replaces what was told, and is delivered", async () => {
  await TestRoom.use(async (room) => {
    const [, bert, dora] = await meet(
      room,
      { ...ANNA, ...HELPS, knows: [DORA] },
      { ...BERT, ...HELPS, knows: [DORA] },
      { ...DORA, ...ASKS },
    );
    await room.leave(dora, WHY.LOST);
    await room.advance(HOUR_MS);
    bert.say("slow");
    await room.advance(1000);
    room.filter = ({ from, to, payload }) => from === bert && to === dora ? undefined : payload;
    await room.join(dora);
    assert.deepEqual(await caughtUp(room, dora), [
      "missed 1 in 0 min by anna",
      "bert: slow (by anna)",
    ]);
    assert.notEqual(bert.membership.outbox.unsettled, 0);
    room.filter = ({ payload }) => payload;
    await room.advance(MINUTE_MS);
    assert.deepEqual(dora.take("chat"), ["bert: slow"]);
    assert.equal(bert.membership.outbox.unsettled, 0);
  });
});

Deno.test("Recap: another text for one message is shown as well, each with who says so", async () => {
  await TestRoom.use(async (room) => {
    const [, bert, carl] = await meet(
      room,
      { ...ANNA, ...PASSWORD, ...HELPS },
      { ...BERT, ...PASSWORD, ...HELPS },
      { ...CARL, ...PASSWORD, ...HELPS },
    );
    const id = carl.say("yes");
    await room.advance(1000);
    const dora = await room.enter({ ...DORA, ...PASSWORD, ...ASKS });
    lie(bert, [dora], (asker) => {
      send(bert, asker, { type: "give", last: true, entries: [claim(carl, { id, text: "no" })] });
    });
    assert.deepEqual(await caughtUp(room, dora), [
      "missed 2 in 0 min by anna bert",
      "carl: yes (by anna)",
      "carl: no (by bert)",
    ]);
  });
});

Deno.test("Recap: a GIVE that nobody asked for is dropped, and so is what may not be in it", async () => {
  await TestRoom.use(async (room) => {
    const [, bert, carl] = await meet(
      room,
      { ...ANNA, ...PASSWORD, ...HELPS },
      { ...BERT, ...PASSWORD, ...HELPS },
      { ...CARL, ...PASSWORD },
    );
    const dora = await room.enter({ ...DORA, ...PASSWORD, ...ASKS });
    await room.advance(ASK_AFTER_MS - 1000);
    // Too early, and from somebody who is not asked.
    for (const from of [bert, carl]) {
      send(from, dora, { type: "give", last: true, entries: [claim(carl)] });
    }
    const { fingerprint } = dora.key.publicKey;
    const reply = messageReference(carl.key.publicKey.fingerprint, ID);
    lie(bert, [dora], (asker) => {
      const entries = [
        claim(dora, { text: "dora's own" }),
        claim(carl, { text: "private", to: fingerprint, flags: 2 }),
        claim(carl, { text: "flagged private", flags: 2 }),
        claim(carl, { text: "private to another", to: carl.key.publicKey.fingerprint }),
        claim(carl, { text: "too old", at: 26 * HOUR_MS }),
        claim(carl, { text: "true", flags: 12 }),
        claim(carl, { text: "the same once more" }),
        claim(bert, { type: ENTRY.NOTE, id: undefined, reply, what: 3, text: "by another" }),
        claim(carl, { type: ENTRY.NOTE, id: undefined, reply, what: 1, text: "👍" }),
        claim(carl, { type: ENTRY.NOTE, id: undefined, reply, what: 4, text: "" }),
      ];
      send(bert, asker, Uint8Array.of(0x63, 1, 0xff));
      send(bert, asker, { type: "give", last: false, entries });
      send(bert, asker, { type: "give", last: true, entries: [] });
      send(bert, asker, {
        type: "give",
        last: true,
        entries: [claim(carl, { id: "ff".repeat(8) })],
      });
    });
    assert.deepEqual(await caughtUp(room, dora), [
      "missed 1 in 0 min by bert",
      "carl: true (by bert)",
    ]);
    send(bert, dora, { type: "give", last: true, entries: [claim(carl)] });
    await room.advance(1000);
    assert.deepEqual(dora.take("chat"), []);
    bert.say("still here");
    await room.advance(1000);
    assert.deepEqual(dora.take("chat"), ["bert: still here"]);
  });
});

Deno.test("Recap: of one helper 200 messages and 1 MiB are taken at most, and silence ends the wait", async () => {
  for (const [size, shown] of [[1, 200], [8000, 128]] as const) {
    await TestRoom.use(async (room) => {
      const [anna, bert] = await meet(
        room,
        { ...ANNA, ...PASSWORD, ...HELPS },
        { ...BERT, ...PASSWORD, ...HELPS },
      );
      const dora = await room.enter({ ...DORA, ...PASSWORD, ...ASKS });
      let count = 0;
      lie(anna, [dora], (asker) => {
        for (let i = 0; i < 250; i++) {
          const id = (i + 1).toString(16).padStart(16, "0");
          const entries = [claim(bert, { id, text: "x".repeat(size) })];
          send(anna, asker, { type: "give", last: false, entries });
          count++;
        }
      });
      const lines = await caughtUp(room, dora);
      assert.equal(count, 250);
      assert.ok(Math.abs(lines.length - 1 - shown) < 10, `${lines.length} of ${shown}`);
    });
  }
});

Deno.test("Recap: one person gets something once a minute, and nothing of what they have", async () => {
  await TestRoom.use(async (room) => {
    const [anna, dora] = await meet(
      room,
      { ...ANNA, ...PASSWORD, ...HELPS },
      { ...DORA, ...PASSWORD },
    );
    const [one, two] = ["one", "two"].map((text) => anna.say(text));
    await room.advance(1000);
    const gives: number[] = [];
    const { recap } = dora.membership;
    recap.take = (_, bytes) => void (bytes[0] === MESSAGE.GIVE && gives.push(bytes.length));
    const reference = (id: string) => messageReference(anna.key.publicKey.fingerprint, id);
    const ask = async (references: string[], seconds = 3600) => {
      send(dora, anna, { type: "want", scope: SCOPE.RECAP, seconds, references });
      await room.advance(1000);
      return gives.splice(0);
    };
    const [both] = await ask([]);
    assert.deepEqual(await ask([]), []);
    await room.advance(WANT_MS - 3000);
    assert.deepEqual(await ask([]), []);
    await room.advance(1000);
    const [second] = await ask([reference(one!)]);
    assert.ok(second! < both!);
    await room.advance(WANT_MS);
    assert.deepEqual(await ask([reference(one!), reference(two!)]), [2]);
    await room.advance(WANT_MS);
    assert.deepEqual(await ask([], 60), [2]);
    await room.advance(WANT_MS);
    send(dora, anna, { type: "want", scope: SCOPE.OWN, seconds: 3600, references: [] });
    await room.advance(1000);
    assert.deepEqual(gives, []);
  });
});

Deno.test("Recap: a computer that has slept asks when its connection is made anew, and not later", async () => {
  await TestRoom.use(async (room) => {
    const [anna, , dora] = await meet(
      room,
      { ...ANNA, ...HELPS, knows: [DORA] },
      { ...BERT, ...HELPS, knows: [DORA] },
      { ...DORA, ...ASKS },
    );
    const wants: string[] = [];
    lie(anna, [dora], (asker) => wants.push(asker.name));
    await caughtUp(room, dora);
    assert.deepEqual(wants.splice(0), [dora.name]);
    // The wall clock goes on while nothing runs.
    await room.clock.sleep(9 * HOUR_MS);
    await room.advance(2000);
    await room.leave(dora, WHY.LOST);
    await room.advance(2000);
    await room.join(dora);
    await caughtUp(room, dora);
    assert.equal(wants.splice(0).length, 1);
    // The connection has survived the sleep.
    await room.clock.sleep(9 * HOUR_MS);
    await room.advance(70_000);
    await room.leave(dora, WHY.LOST);
    await room.join(dora);
    await caughtUp(room, dora);
    assert.deepEqual(wants, []);
  });
});

Deno.test("Recap: what was told is not told again, and who was alone is told so", async () => {
  await TestRoom.use(async (room) => {
    const [anna, bert, dora] = await meet(
      room,
      { ...ANNA, ...PASSWORD, ...HELPS },
      { ...BERT, ...PASSWORD, ...HELPS },
      { ...DORA, ...PASSWORD, ...ASKS },
    );
    await caughtUp(room, dora);
    await room.leave(dora, WHY.LOST);
    await room.advance(11 * MINUTE_MS);
    bert.say("told");
    await room.advance(1000);
    await room.leave(bert);
    await room.join(dora);
    assert.deepEqual(await caughtUp(room, dora), [
      "missed 1 in 0 min by anna",
      "bert: told (by anna)",
    ]);
    await room.leave(dora, WHY.LOST);
    await room.advance(11 * MINUTE_MS);
    await room.join(dora);
    assert.deepEqual(await caughtUp(room, dora), []);
    await room.leave(dora, WHY.LOST);
    await room.leave(anna);
    await room.advance(HOUR_MS);
    await room.join(dora);
    assert.deepEqual(await caughtUp(room, dora), ["missed 0 in 60 min by "]);
    await room.enter({ seed: 7, nick: "erna", ...PASSWORD });
    await room.advance(5 * MINUTE_MS);
    await room.leave(dora, WHY.LOST);
    await room.advance(HOUR_MS);
    await room.join(dora);
    assert.deepEqual(await caughtUp(room, dora), []); // she was there
  });
});
