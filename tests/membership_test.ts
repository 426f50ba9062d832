import assert from "node:assert/strict";
import { compareBytes, decodeHex } from "../lib/bytes.ts";
import { cipherReady } from "../lib/cipher.ts";
import { ProtocolError, UsageError } from "../lib/errors.ts";
import type { SessionEvent } from "../lib/events.ts";
import { FRAME_HEADER_BYTES } from "../lib/frame.ts";
import { decodeFrame, type Frame, KIND, REASON, WHY } from "../lib/transport_frame.ts";
import { KEEP_MS } from "../lib/outbox.ts";
import { MAX_KEPT_MESSAGES } from "../lib/target.ts";
import { ServerBook } from "../lib/servers.ts";
import { Session } from "../lib/session.ts";
import { PeerBook } from "../lib/trust.ts";
import { cheapKey, decodeCheapId } from "./support/cheap_key.ts";
import { FakeClock, until } from "./support/fake_clock.ts";
import { HandRelay } from "./support/hand_relay.ts";
import { kat, katBytes } from "./support/kat.ts";
import { memoryPair } from "./support/memory_stream.ts";
import { type TestClient, TestRoom } from "./support/test_room.ts";

// Numbers of identities, by their fingerprints: Anna's is the smallest, so she begins towards everybody.
const ANNA = { seed: 5, nick: "anna" };
const BERT = { seed: 3, nick: "bert" };
const CARL = { seed: 2, nick: "carl" };
const DORA = { seed: 1, nick: "dora" };

/** Several people in a room, who have met. */
async function meet(room: TestRoom, ...who: Parameters<TestRoom["enter"]>[0][]) {
  const clients: TestClient[] = [];
  for (const one of who) clients.push(await room.enter(one));
  for (const client of clients) client.take();
  return clients as [TestClient, TestClient, TestClient, TestClient];
}

/** Only the texts of what a client was shown. */
function texts(client: TestClient): string[] {
  return client.events.flatMap((event) => event.event === "chat" ? [event.text] : []);
}

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
    assert.throws(() => anna.whisper("dora", "x"), UsageError);
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

// What the relay may not say.

Deno.test("Membership takes JOINED up to the room's capacity, itself included", async () => {
  await TestRoom.use(async (room) => {
    room.capacity = 3;
    const [anna] = await meet(room, ANNA, BERT);
    const fingerprint = new Uint8Array(32).fill(9);
    await room.inject(anna, { type: "joined", sid: "00000000000000aa", fingerprint });
    assert.deepEqual(anna.faults, []);
    await room.inject(anna, { type: "joined", sid: "00000000000000ab", fingerprint });
    assert.deepEqual(anna.faults.splice(0), [new ProtocolError("unexpected")]);
    assert.equal(anna.membership.size, 2);
  });
});

Deno.test("Membership refuses what the known answers refuse for the state of the roster", async () => {
  const { known, own } = kat.frames;
  let count = 0;
  for (const { receiver, reason, state, ...bytes } of kat.frames.rejected) {
    if (receiver !== "client" || state !== undefined) continue;
    const plaintext = katBytes({ ...bytes });
    let frame: Frame;
    try {
      frame = decodeFrame(plaintext[0]!, plaintext.subarray(FRAME_HEADER_BYTES));
    } catch (error) {
      assert.ok(error instanceof ProtocolError);
      continue; // refused by its form
    }
    await TestRoom.use(async (room) => {
      const anna = await room.client(ANNA);
      anna.membership.welcome(
        {
          type: "welcome",
          sid: own,
          capacity: 64,
          members: [{ sid: known, fingerprint: decodeHex(kat.keys.bob.fp) }],
        },
        {
          transport: { send: () => {}, congested: false },
          relay: new Uint8Array(32),
          psk: new Uint8Array(32),
        },
      );
      const take = () => {
        if (frame.type === "joined") anna.membership.enter(frame);
        else if (frame.type === "left") anna.membership.leave(frame);
        else if (frame.type === "recv") anna.membership.receive(frame);
      };
      if (frame.type === "welcome" || frame.type === "join" || frame.type === "send") return;
      assert.throws(take, new ProtocolError("unexpected"), reason);
      count++;
    });
  }
  assert.equal(count, 4);
});

/** Gives a plaintext to a session in a state of kat.json; what became of it. */
async function giveToSession(plaintext: Uint8Array, state: string | undefined) {
  await cipherReady();
  const folder = await Deno.makeTempDir();
  const clock = new FakeClock();
  const events: SessionEvent[] = [];
  const [near, far] = memoryPair({ capacity: 1 << 20 });
  const book = await PeerBook.load(folder, (error) => {
    throw error;
  });
  const session = new Session({
    key: cheapKey(5),
    nick: "anna",
    room: "lobby",
    minKeyBits: 2048,
    address: "localhost:40623",
    servers: await ServerBook.load(folder),
    book,
    dial: () => Promise.resolve(near),
    emit: (event) => events.push(event),
    clock,
    decodeId: decodeCheapId,
  });
  const running = session.run().catch((error) => error);
  const relay = new HandRelay(far);
  await relay.accept();
  if (state === undefined) {
    const welcome = kat.frames.valid.find(({ type }) => type === "WELCOME")!;
    await relay.send(decodeHex(welcome.frame));
    await until(() => events.some(({ event }) => event === "welcome"));
  }
  const sent = relay.frames.length;
  await relay.send(plaintext);
  const result = { reason: relay.reason, frames: relay.frames.slice(sent), events };
  const stopped = session.stop();
  far.close();
  await clock.advance(5000);
  await stopped;
  await running;
  await book.flush();
  await until(() => near.closed);
  await Deno.remove(folder, { recursive: true });
  return result;
}

Deno.test("Session answers every bad record of the known answers with CLOSE(3)", async () => {
  let count = 0;
  for (const known of kat.frames.rejected) {
    if (known.receiver === "relay") continue;
    const { reason } = await giveToSession(katBytes(known), known.state);
    assert.equal(reason, REASON.PROTOCOL, known.reason);
    count++;
  }
  assert.equal(count, 37);
});

Deno.test("Session takes the records of the known answers that are at the edge", async () => {
  let count = 0;
  for (const known of kat.frames.edge) {
    if (known.receiver === "relay") continue;
    const { reason, frames, events } = await giveToSession(katBytes(known), known.state);
    assert.equal(reason, undefined, known.reason);
    const told = events.map((event) => "reason" in event ? event.reason : event.event);
    if (known.reason.startsWith("PING")) assert.equal(frames[0]?.type, "pong");
    else if (known.reason.startsWith("CLOSE with")) assert.ok(told.includes("200"));
    else if (known.reason.startsWith("CLOSE, then")) assert.ok(told.includes("shutting down"));
    else assert.ok(told.includes("welcome"));
    count++;
  }
  assert.equal(count, 6);
});
