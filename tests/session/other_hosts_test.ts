import assert from "node:assert/strict";
import { type Bytes, encodeHex } from "../../lib/base/bytes.ts";
import { type Entry, type Place, STATE, type Whereabouts } from "../../lib/protocol/succession.ts";
import type { Inquiry, InquiryListener } from "../../lib/session/inquiry.ts";
import { LastShown } from "../../lib/session/last_shown.ts";
import { OtherHosts } from "../../lib/session/other_hosts.ts";
import { keyOf, PassedOver } from "../../lib/session/passed_over.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

const bytes = (n: number): Bytes => new Uint8Array(32).fill(n);
/** Person `n` with the relay `n`. */
const entry = (n: number): Entry => ({
  person: bytes(n),
  relay: bytes(n),
  port: 40000 + n,
  addresses: [`10.0.0.${n}`],
});
const here = (others: number): Whereabouts => ({ state: STATE.HERE, others });
const at = (n: number): Whereabouts => ({ state: STATE.AT_PLACE, place: entry(n) });
const OWN = 5;

/** A host, and what the relays around it say. */
class Rig {
  readonly clock = new FakeClock();
  readonly passedOver = new PassedOver(this.clock);
  readonly lastShown = new LastShown(this.clock);
  readonly answers = new Map<string, Whereabouts>();
  readonly asked: number[] = [];
  readonly gaveWay: number[] = [];
  /** Whose relay it was given way to last. */
  next: Bytes | undefined;
  open = 0;
  others = 0;
  present: number[] = [];
  named: number[] = [];
  found: number[] = [];
  looks = 0;
  readonly hosts: OtherHosts;

  constructor(before: readonly number[] = []) {
    this.hosts = new OtherHosts({
      clock: this.clock,
      passedOver: this.passedOver,
      lastShown: this.lastShown,
      before: before.map(entry),
      isOwn: (place) => keyOf(place) === keyOf(entry(OWN)),
      named: () => this.named.map(entry),
      others: () => this.others,
      present: () => this.present.map(bytes),
      ask: (place, listener) => this.#ask(place, listener),
      look: () => {
        this.looks++;
        return Promise.resolve(this.found.map(entry));
      },
      isSmaller: (relay) => encodeHex(bytes(OWN)) < encodeHex(relay),
      giveWay: ({ relay, person }, inquiry) => {
        this.gaveWay.push(relay[0]!);
        this.next = person;
        inquiry.close();
      },
    });
  }

  says(n: number, where: Whereabouts | undefined): void {
    if (where) this.answers.set(keyOf(entry(n)), where);
    else this.answers.delete(keyOf(entry(n)));
  }

  #ask(place: Place, listener: InquiryListener): Inquiry {
    this.asked.push(place.relay[0]!);
    this.open++;
    const where = this.answers.get(keyOf(place));
    queueMicrotask(() => where ? listener.answered(where) : listener.ended("refused"));
    return { close: () => void this.open-- } as unknown as Inquiry;
  }
}

Deno.test("OtherHosts gives way, alone, to one before it or with others, and to nobody else", async () => {
  for (
    const [before, answer, expected] of [
      [[1], here(0), [1]],
      [[], here(1), [1]],
      [[], here(0), []],
      [[1], { state: STATE.LOST }, []],
      [[1], { state: STATE.UNKNOWN }, []],
      [[1], undefined, []],
    ] as const
  ) {
    const rig = new Rig(before);
    rig.named = [1];
    rig.says(1, answer);
    await rig.clock.advance(9000);
    assert.deepEqual(rig.gaveWay, expected);
    assert.equal(rig.open, 0);
    rig.hosts.stop();
    assert.equal(rig.clock.timers, 0);
  }
});

Deno.test("OtherHosts is not alone in its first 5 s: the others are on their way", async () => {
  const rig = new Rig([1]);
  rig.says(1, here(3));
  await rig.clock.advance(4999);
  assert.deepEqual(rig.gaveWay, []);
  await rig.clock.advance(2000);
  assert.deepEqual(rig.gaveWay, [1]);
});

Deno.test("OtherHosts with others gives way to one before it that has had others for 8 s", async () => {
  const rig = new Rig([1]);
  rig.others = 2;
  rig.named = [2];
  rig.says(2, here(9)); // behind: never
  await rig.clock.advance(70_000);
  rig.says(1, here(0));
  await rig.clock.advance(30_000);
  rig.says(1, here(1));
  const since = rig.clock.now();
  while (rig.gaveWay.length === 0) await rig.clock.advance(100);
  const waited = rig.clock.now() - since;
  assert.ok(waited >= 8000 && waited <= 8000 + 10_000 + 2000, `${waited}`);
  assert.deepEqual(rig.gaveWay, [1]);
});

Deno.test("OtherHosts counts those 8 s anew after an interruption", async () => {
  const rig = new Rig([1]);
  rig.others = 1;
  rig.says(1, here(1));
  await rig.clock.advance(7000);
  rig.says(1, undefined);
  await rig.clock.advance(3000);
  rig.says(1, here(1));
  await rig.clock.advance(7000);
  assert.deepEqual(rig.gaveWay, []);
  await rig.clock.advance(5000);
  assert.deepEqual(rig.gaveWay, [1]);
});

Deno.test("OtherHosts asks every 2 s at first and while it is alone, else every 10 s", async () => {
  const rig = new Rig([1]);
  rig.others = 1;
  await rig.clock.advance(60_000);
  assert.equal(rig.asked.length, 30);
  await rig.clock.advance(60_000);
  const slow = rig.asked.length - 30;
  assert.ok(slow >= 5 && slow <= 7, `${slow}`);
  rig.others = 0;
  await rig.clock.advance(10_000);
  const before = rig.asked.length;
  await rig.clock.advance(20_000);
  assert.equal(rig.asked.length - before, 10);
});

Deno.test("OtherHosts asks nobody who is here, has quit, or is its own", async () => {
  const rig = new Rig([1, 2, OWN]);
  rig.named = [3, 4];
  rig.present = [1, 3];
  await rig.clock.advance(2000);
  assert.deepEqual(rig.asked.sort(), [2, 4]);
  rig.hosts.quit(bytes(2));
  rig.present = [];
  rig.asked.length = 0;
  await rig.clock.advance(2000);
  assert.deepEqual(rig.asked.sort(), [3, 4], "who has joined here is before it no longer");
});

Deno.test("OtherHosts follows, alone, whom it is told of, four times", async () => {
  const rig = new Rig([1]);
  rig.says(1, at(2));
  rig.says(2, here(0));
  await rig.clock.advance(8000);
  assert.deepEqual(rig.gaveWay, [], "to one with others, or much later");
  rig.says(2, here(1));
  await rig.clock.advance(2000);
  assert.deepEqual(rig.gaveWay, [2]);
  assert.deepEqual(rig.next, bytes(0), "nobody has said whose it is");
  const known = new Rig([1]);
  known.named = [2];
  known.says(1, at(2));
  known.says(2, here(1));
  await known.clock.advance(8000);
  assert.deepEqual(known.next, bytes(2));
  const loop = new Rig([1]);
  loop.says(1, at(2));
  loop.says(2, at(1));
  await loop.clock.advance(2000);
  assert.deepEqual(loop.asked, [1, 2, 1, 2, 1]);
  assert.equal(loop.open, 0);
});

Deno.test("OtherHosts asks a host that has called only if its person was shown here, and only alone", async () => {
  const rig = new Rig();
  rig.present = [1];
  await rig.clock.advance(2000);
  rig.present = [];
  rig.says(1, here(1));
  rig.says(2, here(1));
  rig.hosts.visited(bytes(2), entry(2));
  rig.hosts.visited(bytes(1), entry(1));
  rig.others = 1;
  await rig.clock.advance(4000);
  assert.deepEqual(rig.asked, []);
  rig.others = 0;
  await rig.clock.advance(4000);
  assert.deepEqual(rig.gaveWay, [1]);
});

Deno.test("OtherHosts asks at one place for each person that has called, and at few in all", async () => {
  const rig = new Rig();
  rig.present = Array.from({ length: 20 }, (_, i) => i + 10);
  await rig.clock.advance(2000);
  rig.present = [];
  for (let n = 100; n < 200; n++) rig.hosts.visited(bytes(10), entry(n));
  await rig.clock.advance(2000);
  assert.deepEqual(rig.asked, [199]);
  rig.asked.length = 0;
  for (let n = 10; n < 30; n++) rig.hosts.visited(bytes(n), entry(n));
  await rig.clock.advance(2000);
  assert.deepEqual(rig.asked, [22, 23, 24, 25, 26, 27, 28, 29]);
  for (let n = 10; n < 30; n++) rig.hosts.quit(bytes(n));
  rig.asked.length = 0;
  await rig.clock.advance(2000);
  assert.deepEqual(rig.asked, []);
  rig.hosts.visited(bytes(10), entry(10)); // it has come back
  await rig.clock.advance(2000);
  assert.deepEqual(rig.asked, [10]);
});

Deno.test("OtherHosts that is alone is called by whom it has seen elsewhere, in the last 24 h", async () => {
  const rig = new Rig();
  rig.lastShown.add(bytes(1));
  rig.says(1, here(1));
  await rig.clock.sleep(24 * 3_600_000 + 1);
  rig.hosts.visited(bytes(1), entry(1));
  await rig.clock.advance(6000);
  assert.deepEqual(rig.asked, []);
  rig.lastShown.add(bytes(1));
  rig.hosts.visited(bytes(1), entry(1));
  await rig.clock.advance(2000);
  assert.deepEqual(rig.gaveWay, [1]);
});

Deno.test("OtherHosts: of two that are alone and stand before each other, the smaller key waits a round", async () => {
  for (const [other, rounds] of [[3, 1], [9, 2]] as const) {
    const rig = new Rig([other]);
    rig.says(other, here(0));
    await rig.clock.advance(4000 + rounds * 2000 - 1);
    assert.deepEqual(rig.gaveWay, []);
    await rig.clock.advance(1);
    assert.deepEqual(rig.gaveWay, [other]);
  }
});

Deno.test("OtherHosts: of two that are alone and know no order, the smaller key stays for 30 s, the other for 8 s", async () => {
  for (const [other, waitedMs] of [[3, 8000], [9, 30_000]] as const) {
    const rig = new Rig();
    rig.named = [other];
    rig.says(other, here(0));
    await rig.clock.advance(4000 + waitedMs);
    assert.deepEqual(rig.gaveWay, []);
    await rig.clock.advance(4000);
    assert.deepEqual(rig.gaveWay, [other]);
  }
});

Deno.test("OtherHosts looks around, alone, every minute", async () => {
  const rig = new Rig();
  rig.others = 1;
  await rig.clock.advance(100_000);
  assert.equal(rig.looks, 0);
  rig.others = 0;
  await rig.clock.advance(120_000);
  assert.deepEqual([rig.asked, rig.looks], [[], 2]);
  rig.found = [3];
  rig.says(3, here(0));
  await rig.clock.advance(70_000);
  assert.equal(rig.gaveWay[0], 3);
});

Deno.test("OtherHosts judges in their order, and passes over who has lied", async () => {
  const rig = new Rig([1, 2]);
  rig.named = [3];
  for (const n of [1, 2, 3]) rig.says(n, here(1));
  rig.passedOver.lied(entry(1));
  await rig.clock.advance(6000);
  assert.deepEqual(rig.gaveWay, [2]);
});

Deno.test("OtherHosts waits after a sleep until it is heard who is there", async () => {
  const rig = new Rig([1]);
  await rig.clock.advance(7000);
  rig.says(1, here(1));
  rig.asked.length = 0;
  await rig.clock.sleep(60_000);
  await rig.clock.advance(2900);
  assert.deepEqual(rig.asked, []);
  rig.others = 1; // everybody is still here
  await rig.clock.advance(3000);
  assert.deepEqual([rig.asked.length > 0, rig.gaveWay], [true, []]);
});

Deno.test("OtherHosts asks again if nobody has taken it in", async () => {
  const rig = new Rig([1]);
  rig.says(1, here(1));
  await rig.clock.advance(7000);
  assert.deepEqual(rig.gaveWay, [1]);
  await rig.clock.advance(10_000);
  assert.deepEqual(rig.gaveWay, [1]);
  await rig.clock.advance(5000);
  assert.deepEqual(rig.gaveWay, [1, 1]);
  rig.hosts.stop();
  await settle();
  assert.equal(rig.clock.timers, 0);
});
