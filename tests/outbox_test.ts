import assert from "node:assert/strict";
import { KEEP_MS, Outbox } from "../lib/session/outbox.ts";
import { MAX_KEPT_BYTES, MAX_KEPT_MESSAGES, type Outgoing, type Target } from "../lib/target.ts";
import { FakeClock } from "./support/fake_clock.ts";

/** An outbox, and what it reported. */
class Rig {
  readonly clock = new FakeClock();
  readonly events: string[] = [];
  readonly outbox: Outbox;
  #serial = 0;

  constructor() {
    const tell = (what: string) => (message: Outgoing, to: string[]) =>
      this.events.push(`${message.id} ${what} ${to.join(" ") || "nobody"}`);
    this.outbox = new Outbox(this.clock, {
      delivered: tell("delivered"),
      undelivered: tell("undelivered"),
    });
  }

  /** Writes a message; its id is its text. */
  write(text: string, ...targets: Target[]): Outgoing {
    const message: Outgoing = {
      id: text.slice(0, 8),
      serial: this.#serial++,
      time: this.clock.wallTime(),
      action: false,
      private: false,
      text,
      bytes: text.length,
    };
    this.outbox.add(message, targets);
    return message;
  }

  /** Somebody in the roster whose HELLO has come; its channel is up unless `down`. */
  stream(who: string, instance = "1", options: { down?: boolean; adopt?: boolean } = {}): Target {
    const waiting = this.outbox.addWaiting(who);
    const stream = this.outbox.bind(waiting, instance, { adopt: options.adopt ?? true });
    if (!options.down) stream.downAt = undefined;
    return stream;
  }

  /** LEFT(1): the target is kept for 10 minutes. */
  lose(...targets: Target[]): void {
    for (const target of targets) target.lostAt = target.downAt = this.clock.now();
    for (const target of targets) this.outbox.settleAll(target);
  }

  /** What was reported since the last call. */
  take(): string[] {
    return this.events.splice(0);
  }
}

/** The texts, or `nick`, that a target holds, with their seqs. */
function held(target: Target): string[] {
  return target.items.map(({ seq, moved, message }) =>
    `${seq} ${message?.text ?? "nick"}${moved ? " moved" : ""}`
  );
}

/** The lowest seq the sender still has, or would use next. */
function lowestSeq({ items, nextSeq }: Target): number {
  return items[0]?.seq ?? nextSeq;
}

Deno.test("Outbox.add() without addressees reports undelivered to nobody at once", () => {
  const rig = new Rig();
  rig.write("a");
  assert.deepEqual(rig.events, ["a undelivered nobody"]);
  assert.equal(rig.outbox.unsettled, 0);
  assert.equal(rig.outbox.failures, 1);
});

Deno.test("Outbox reports delivered once, when the last addressee has acknowledged", () => {
  const rig = new Rig();
  const [anna, bert] = [rig.stream("anna"), rig.stream("bert")];
  rig.write("a", anna, bert);
  assert.equal(rig.outbox.unsettled, 1);
  assert.deepEqual(rig.outbox.missing("a"), ["anna", "bert"]);
  rig.outbox.acknowledge(bert, 1);
  assert.deepEqual(rig.outbox.missing("a"), ["anna"]);
  assert.deepEqual(rig.take(), []);
  rig.outbox.acknowledge(anna, 1);
  rig.outbox.acknowledge(anna, 1);
  rig.outbox.acknowledge(bert, 1);
  assert.deepEqual(rig.take(), ["a delivered anna bert"]);
  assert.equal(rig.outbox.unsettled, 0);
  assert.equal(rig.outbox.failures, 0);
});

Deno.test("Outbox numbers each stream by itself from 1, changes of nick among the messages", () => {
  const rig = new Rig();
  const [anna, bert] = [rig.stream("anna"), rig.stream("bert")];
  rig.write("a", anna, bert);
  rig.outbox.addNick(anna);
  rig.write("b", bert, anna);
  assert.deepEqual(held(anna), ["1 a", "2 nick", "3 b"]);
  assert.deepEqual(held(bert), ["1 a", "2 b"]);
  assert.equal(anna.nextSeq, 4);
  rig.outbox.acknowledge(anna, 2);
  assert.deepEqual(held(anna), ["3 b"]);
  assert.equal(anna.items[0]?.seq, 3);
  rig.outbox.acknowledge(anna, 3);
  assert.equal(anna.nextSeq, 4);
});

Deno.test("Outbox.acknowledge() takes what is covered and leaves the rest", () => {
  const rig = new Rig();
  const anna = rig.stream("anna");
  for (const text of ["a", "b", "c"]) rig.write(text, anna);
  rig.outbox.acknowledge(anna, 0);
  assert.deepEqual(rig.take(), []);
  rig.outbox.acknowledge(anna, 2);
  assert.deepEqual(rig.take(), ["a delivered anna", "b delivered anna"]);
  rig.outbox.acknowledge(anna, 1);
  assert.deepEqual(held(anna), ["3 c"]);
});

Deno.test("Outbox counts a person at two terminals as one", () => {
  const rig = new Rig();
  const [first, second] = [rig.stream("anna", "1"), rig.stream("anna", "2")];
  rig.write("a", first, second);
  rig.outbox.acknowledge(first, 1);
  assert.deepEqual(rig.take(), []); // both are there, so both are waited for
  rig.outbox.acknowledge(second, 1);
  assert.deepEqual(rig.take(), ["a delivered anna"]);
});

Deno.test("Outbox.bind() numbers what waited, in order", () => {
  const rig = new Rig();
  const waiting = rig.outbox.addWaiting("anna");
  rig.write("a", waiting);
  rig.write("b", waiting);
  assert.deepEqual(held(waiting), ["0 a", "0 b"]);
  const stream = rig.outbox.bind(waiting, "1", { adopt: true });
  assert.deepEqual(held(stream), ["1 a", "2 b"]);
  assert.ok(![...rig.outbox.targets()].includes(waiting));
  rig.outbox.acknowledge(stream, 2);
  assert.deepEqual(rig.take(), ["a delivered anna", "b delivered anna"]);
});

Deno.test("Outbox.bind() finds the stream of an instance again, and queues nothing twice", () => {
  const rig = new Rig();
  const stream = rig.stream("anna");
  rig.write("a", stream);
  rig.lose(stream);
  const waiting = rig.outbox.addWaiting("anna"); // back in the roster with another sid
  rig.write("b", waiting, ...rig.outbox.lost());
  rig.write("c", waiting, ...rig.outbox.lost());
  assert.equal(rig.outbox.bind(waiting, "1", { adopt: true }), stream);
  assert.deepEqual(held(stream), ["1 a", "2 b", "3 c"]);
  assert.equal(stream.lostAt, undefined);
  rig.outbox.acknowledge(stream, 3);
  assert.deepEqual(rig.take(), ["a delivered anna", "b delivered anna", "c delivered anna"]);
  assert.equal(rig.outbox.unsettled, 0);
});

Deno.test("Outbox keeps 1024 messages for who is gone, then gives up the oldest", () => {
  const rig = new Rig();
  const anna = rig.stream("anna", "1", { down: true });
  for (let i = 0; i < MAX_KEPT_MESSAGES; i++) rig.write(`m${i}`, anna);
  assert.deepEqual(rig.take(), []);
  rig.write("more", anna);
  assert.deepEqual(rig.take(), ["m0 undelivered anna"]);
  assert.equal(anna.items.length, MAX_KEPT_MESSAGES);
  assert.equal(lowestSeq(anna), 2);
  rig.outbox.addNick(anna);
  assert.deepEqual(rig.take(), ["m1 undelivered anna"]);
  assert.ok(rig.outbox.failures > 0);
});

Deno.test("Outbox keeps 4 MiB for who is gone, then gives up the oldest", () => {
  const rig = new Rig();
  const anna = rig.stream("anna", "1", { down: true });
  const part = "x".repeat(8191);
  const count = MAX_KEPT_BYTES / 8192;
  for (let i = 0; i < count; i++) rig.write(String.fromCharCode(0x100 + i) + part, anna);
  assert.equal(anna.bytes, MAX_KEPT_BYTES);
  assert.deepEqual(rig.take(), []);
  rig.write("y", anna);
  assert.equal(rig.take().length, 1);
  assert.equal(anna.bytes, MAX_KEPT_BYTES - 8192 + 1);
  assert.equal(lowestSeq(anna), 2);
  rig.outbox.acknowledge(anna, count + 1);
  assert.equal(anna.bytes, 0);
});

Deno.test("Outbox keeps as much before the first HELLO as later", () => {
  const rig = new Rig();
  const waiting = rig.outbox.addWaiting("anna");
  for (let i = 0; i <= MAX_KEPT_MESSAGES; i++) rig.write(`m${i}`, waiting);
  assert.deepEqual(rig.take(), ["m0 undelivered anna"]);
  const stream = rig.outbox.bind(waiting, "1", { adopt: true });
  assert.equal(stream.items.length, MAX_KEPT_MESSAGES);
  assert.equal(stream.items[0]!.seq, 1);
});

Deno.test("Outbox gives nothing up while a channel is live, but says when it is full", () => {
  const rig = new Rig();
  const anna = rig.stream("anna");
  for (let i = 0; i < MAX_KEPT_MESSAGES - 1; i++) rig.write(`m${i}`, anna);
  assert.ok(!anna.full);
  rig.write("last", anna);
  assert.ok(anna.full);
  rig.write("more", anna);
  rig.outbox.addNick(anna);
  assert.deepEqual(rig.take(), []);
  rig.outbox.acknowledge(anna, 3);
  assert.ok(!anna.full);

  const bert = rig.stream("bert");
  for (let i = 0; i < MAX_KEPT_BYTES / 8192 - 1; i++) rig.write("x".repeat(8192), bert);
  rig.write("x".repeat(8191), bert);
  assert.ok(!bert.full);
  rig.write("x", bert);
  assert.ok(bert.full);
});

Deno.test("Outbox.expire() gives up what has been kept for 10 minutes, and nothing younger", async () => {
  const rig = new Rig();
  const anna = rig.stream("anna", "1", { down: true });
  rig.write("a", anna);
  await rig.clock.advance(1000);
  rig.write("b", anna);
  await rig.clock.advance(KEEP_MS - 1001);
  rig.outbox.expire();
  assert.deepEqual(rig.take(), []);
  await rig.clock.advance(1);
  rig.outbox.expire();
  assert.deepEqual(rig.take(), ["a undelivered anna"]);
  assert.equal(lowestSeq(anna), 2);
  await rig.clock.advance(1000);
  rig.outbox.expire();
  assert.deepEqual(rig.take(), ["b undelivered anna"]);
});

Deno.test("Outbox.expire() counts the 10 minutes only while the member is gone", async () => {
  const rig = new Rig();
  const anna = rig.stream("anna");
  rig.write("a", anna);
  await rig.clock.advance(2 * KEEP_MS);
  rig.outbox.expire();
  assert.deepEqual(rig.take(), []);
  anna.downAt = rig.clock.now();
  await rig.clock.advance(KEEP_MS - 1);
  rig.outbox.expire();
  assert.deepEqual(rig.take(), []);
  await rig.clock.advance(1);
  rig.outbox.expire();
  assert.deepEqual(rig.take(), ["a undelivered anna"]);
});

Deno.test("Outbox.expire() has those lost as addressees for 10 minutes, and keeps their numbers", async () => {
  const rig = new Rig();
  const anna = rig.stream("anna");
  rig.write("a", anna);
  rig.lose(anna);
  await rig.clock.advance(KEEP_MS - 1);
  rig.outbox.expire();
  assert.deepEqual([...rig.outbox.lost()], [anna]);
  rig.write("b", ...rig.outbox.lost());
  await rig.clock.advance(1);
  rig.outbox.expire();
  assert.deepEqual([...rig.outbox.lost()], []);
  assert.deepEqual(rig.take(), ["a undelivered anna", "b undelivered anna"]);
  const back = rig.stream("anna");
  assert.equal(back, anna);
  assert.equal(lowestSeq(back), 3);
});

Deno.test("Outbox.expire() forgets a waiting list of who was lost before a HELLO", async () => {
  const rig = new Rig();
  const ghost = rig.outbox.addWaiting("ghost");
  rig.write("a", ghost);
  rig.lose(ghost);
  await rig.clock.advance(KEEP_MS);
  rig.outbox.expire();
  assert.deepEqual(rig.take(), ["a undelivered ghost"]);
  assert.deepEqual([...rig.outbox.targets()], []);
});

Deno.test("Outbox reports all that one message missed in one event", async () => {
  const rig = new Rig();
  const targets = ["anna", "bert", "carl"].map((who) => rig.stream(who, "1", { down: true }));
  rig.write("a", ...targets);
  await rig.clock.advance(KEEP_MS);
  rig.outbox.expire();
  assert.deepEqual(rig.take(), ["a undelivered anna bert carl"]);
});

Deno.test("Outbox never calls delivered what somebody did not get", () => {
  const rig = new Rig();
  const [anna, bert] = [rig.stream("anna"), rig.stream("bert")];
  rig.write("a", anna, bert);
  rig.outbox.giveUp(anna);
  rig.outbox.acknowledge(bert, 1);
  assert.deepEqual(rig.take(), ["a undelivered anna"]);
  assert.equal(rig.outbox.unsettled, 0);
});

Deno.test("Outbox.retire() reports at once, and the numbers go on when the instance comes back", () => {
  const rig = new Rig();
  const anna = rig.stream("anna");
  rig.write("a", anna);
  rig.write("b", anna);
  rig.outbox.acknowledge(anna, 1);
  rig.lose(anna);
  rig.outbox.retire(anna);
  assert.deepEqual(rig.take(), ["a delivered anna", "b undelivered anna"]);
  assert.deepEqual([...rig.outbox.lost()], []);
  const back = rig.stream("anna");
  rig.write("c", back);
  assert.deepEqual(held(back), ["3 c"]);
});

Deno.test("Outbox.exclude() counts for neither delivered nor undelivered", () => {
  const rig = new Rig();
  const [anna, bert] = [rig.stream("anna"), rig.stream("bert")];
  rig.write("a", anna, bert);
  rig.outbox.exclude(anna);
  assert.deepEqual(rig.take(), []);
  rig.outbox.acknowledge(bert, 1);
  assert.deepEqual(rig.take(), ["a delivered bert"]);
  rig.write("b", anna, bert);
  rig.outbox.acknowledge(bert, 2);
  rig.outbox.exclude(anna);
  assert.deepEqual(rig.take(), ["b delivered bert"]);
});

Deno.test("Outbox.exclude() of the only addressee says that nobody got it", () => {
  const rig = new Rig();
  const anna = rig.stream("anna");
  rig.write("a", anna);
  rig.outbox.exclude(anna);
  assert.deepEqual(rig.take(), ["a undelivered nobody"]);
  assert.equal(rig.outbox.unsettled, 0);
});

Deno.test("Outbox.bind() moves what a gone instance had to a new one, late, without changes of nick", () => {
  const rig = new Rig();
  const old = rig.stream("anna", "1");
  rig.write("a", old);
  rig.outbox.acknowledge(old, 1);
  rig.write("b", old);
  rig.outbox.addNick(old);
  rig.write("c", old);
  rig.lose(old);
  const fresh = rig.stream("anna", "2");
  assert.deepEqual(held(fresh), ["1 b moved", "2 c moved"]);
  assert.deepEqual(held(old), []);
  assert.equal(lowestSeq(old), 5);
  rig.outbox.acknowledge(fresh, 2);
  assert.deepEqual(rig.take(), ["a delivered anna", "b delivered anna", "c delivered anna"]);
});

Deno.test("Outbox.bind() moves nothing of an instance that is there, or of another person", () => {
  const rig = new Rig();
  const there = rig.stream("anna", "1");
  const bert = rig.stream("bert", "1");
  rig.write("a", there, bert);
  rig.lose(bert);
  const second = rig.stream("anna", "2");
  assert.deepEqual(held(second), []);
  assert.deepEqual(held(there), ["1 a"]);
  assert.deepEqual(held(bert), ["1 a"]);
});

Deno.test("Outbox.bind() puts what is moved among what waited, in the order of writing", () => {
  const rig = new Rig();
  const old = rig.stream("anna", "1");
  rig.write("a", old);
  rig.lose(old);
  const waiting = rig.outbox.addWaiting("anna");
  rig.write("b", waiting); // private, say: not for the one that is gone
  rig.write("c", waiting, ...rig.outbox.lost());
  const fresh = rig.outbox.bind(waiting, "2", { adopt: true });
  assert.deepEqual(held(fresh), ["1 a moved", "2 b", "3 c"]);
});

Deno.test("Outbox.adopt() keeps the order of writing, also from several instances that are gone", () => {
  const rig = new Rig();
  const [first, second] = [rig.stream("anna", "1"), rig.stream("anna", "2")];
  rig.write("a", first);
  rig.write("b", second);
  rig.write("c", first);
  const heir = rig.stream("anna", "3");
  rig.lose(first, second);
  rig.outbox.adopt(heir);
  assert.deepEqual(held(heir), ["1 a moved", "2 b moved", "3 c moved"]);
});

Deno.test("Outbox counts a copy that waits for a gone instance neither way once a twin has it", async () => {
  const rig = new Rig();
  const [first, second] = [rig.stream("anna", "1"), rig.stream("anna", "2")];
  const bert = rig.stream("bert");
  rig.write("a", first, second, bert);
  rig.outbox.acknowledge(bert, 1);
  rig.lose(first);
  assert.deepEqual(rig.take(), []);
  rig.outbox.acknowledge(second, 1);
  assert.deepEqual(rig.take(), ["a delivered anna bert"]);
  assert.deepEqual(held(first), ["1 a"]); // kept for 10 minutes all the same
  await rig.clock.advance(KEEP_MS);
  rig.outbox.expire();
  assert.deepEqual(rig.take(), []);
  assert.equal(rig.outbox.unsettled, 0);
  assert.equal(rig.outbox.failures, 0);
});

Deno.test("Outbox reports delivered when the last that was waited for is lost and its twin has it", () => {
  const rig = new Rig();
  const [first, second] = [rig.stream("anna", "1"), rig.stream("anna", "2")];
  rig.write("a", first, second);
  rig.outbox.acknowledge(second, 1);
  assert.deepEqual(rig.take(), []);
  rig.lose(first);
  assert.deepEqual(rig.take(), ["a delivered anna"]);
});

Deno.test("Outbox waits for both terminals of a person that are lost together, and reports what comes of it", async () => {
  const lose = () => {
    const rig = new Rig();
    const [first, second] = [rig.stream("anna", "1"), rig.stream("anna", "2")];
    rig.write("a", first, second);
    rig.lose(first, second);
    return rig;
  };
  const back = lose();
  assert.deepEqual(back.take(), []); // neither has it, both may come back
  back.outbox.acknowledge(back.stream("anna", "2"), 1);
  assert.deepEqual(back.take(), ["a delivered anna"]);

  const gone = lose();
  await gone.clock.advance(KEEP_MS);
  gone.outbox.expire();
  assert.deepEqual(gone.take(), ["a undelivered anna"]);
});

Deno.test("Outbox calls nothing delivered while a person's terminals are both lost, though others have it", async () => {
  const rig = new Rig();
  const [first, second] = [rig.stream("anna", "1"), rig.stream("anna", "2")];
  const bert = rig.stream("bert");
  rig.write("a", first, second, bert);
  rig.outbox.acknowledge(bert, 1);
  rig.lose(first, second);
  assert.deepEqual(rig.take(), []);
  await rig.clock.advance(KEEP_MS);
  rig.outbox.expire();
  assert.deepEqual(rig.take(), ["a undelivered anna"]);
});

Deno.test("Outbox reports a person who left with a copy unacknowledged only if no twin speaks for them", () => {
  const rig = new Rig();
  const [first, second] = [rig.stream("anna", "1"), rig.stream("anna", "2")];
  rig.write("a", first, second);
  rig.outbox.retire(first); // LEFT(0)
  assert.deepEqual(rig.take(), []);
  rig.outbox.acknowledge(second, 1);
  assert.deepEqual(rig.take(), ["a delivered anna"]);
  rig.write("b", second);
  rig.outbox.retire(second);
  assert.deepEqual(rig.take(), ["b undelivered anna"]);
});

Deno.test("Outbox lets a gone instance that comes back go on with a hole, and reports nothing of it", () => {
  const rig = new Rig();
  const old = rig.stream("anna", "1");
  rig.write("a", old);
  rig.lose(old);
  const fresh = rig.stream("anna", "2");
  assert.deepEqual(held(fresh), ["1 a moved"]);
  const back = rig.stream("anna", "1");
  assert.equal(back, old);
  assert.equal(lowestSeq(back), 2); // a GAP to 2
  rig.write("b", back, fresh);
  assert.deepEqual(held(back), ["2 b"]);
  rig.outbox.acknowledge(fresh, 2);
  assert.deepEqual(rig.take(), ["a delivered anna"]);
  rig.outbox.acknowledge(back, 2);
  assert.deepEqual(rig.take(), ["b delivered anna"]);
});

Deno.test("Outbox never gives an instance again what was once queued for it and moved away", () => {
  const rig = new Rig();
  const [first, second] = [rig.stream("anna", "1"), rig.stream("anna", "2")];
  rig.write("a", first, second); // both have shown it, but their ACKs are lost
  rig.lose(first, second);
  const third = rig.stream("anna", "3");
  assert.deepEqual(held(third), ["1 a moved"]);
  assert.equal(rig.stream("anna", "1"), first);
  assert.deepEqual(held(first), []);
});

Deno.test("Outbox.missing() names only people, each once", () => {
  const rig = new Rig();
  const ghost = rig.outbox.addWaiting("ghost");
  const targets = [rig.stream("anna", "1"), rig.stream("anna", "2"), rig.stream("bert")];
  rig.write("a", ghost, ...targets);
  assert.deepEqual(rig.outbox.missing("a"), ["anna", "bert"]);
  assert.deepEqual(rig.outbox.missing("b"), []);
});

Deno.test("Outbox keeps the numbers of the 1024 instances seen last, and of all that hold something", () => {
  const rig = new Rig();
  const holding = rig.stream("holding", "1", { down: true });
  rig.write("a", holding);
  for (let i = 0; i < 5000; i++) {
    const stream = rig.stream("anna", `${i}`, { adopt: false });
    rig.write("b", stream);
    rig.outbox.acknowledge(stream, 1);
    stream.downAt = rig.clock.now();
  }
  assert.equal(rig.stream("holding", "1"), holding);
  for (let i = 5000 - 1024; i < 5000; i++) {
    assert.equal(rig.stream("anna", `${i}`, { adopt: false }).nextSeq, 2);
  }
  assert.ok([...rig.outbox.targets()].length <= 4096 + 1);
});
