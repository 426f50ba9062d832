import assert from "node:assert/strict";
import { type Entry, type Place, STATE, type Whereabouts } from "../../lib/protocol/succession.ts";
import type { InquiryListener } from "../../lib/session/inquiry.ts";
import { keyOf, PassedOver } from "../../lib/session/passed_over.ts";
import {
  type Found,
  GUEST_NEXT_MS,
  NEXT_ASKED_MS,
  OUT_MS,
  type Question,
  Search,
} from "../../lib/session/search.ts";
import { FakeClock } from "../support/fake_clock.ts";

const HERE: Whereabouts = { state: STATE.HERE, others: 0 };
const LOST: Whereabouts = { state: STATE.LOST };
const UNKNOWN: Whereabouts = { state: STATE.UNKNOWN };

/** Entry `n`; the host is 0. */
function entry(n: number): Entry {
  const id = new Uint8Array(32).fill(n + 1);
  return { person: id, relay: id, port: 1000 + n, addresses: ["10.0.0.1"] };
}

const at = (n: number): Whereabouts => ({ state: STATE.AT_PLACE, place: entry(n) });

interface Options {
  /** How many entries the order has. */
  readonly count?: number;
  readonly own?: number;
  readonly hostClosed?: boolean;
  readonly keepsConnection?: boolean;
  readonly earlier?: readonly number[];
}

class Asked implements Question {
  silentMs = 0;
  isClosed = false;

  constructor(readonly place: Place, readonly listener: InquiryListener) {}

  close(): void {
    this.isClosed = true;
  }
}

/** A search whose relays answer as the test says; those it says nothing about are silent. */
class Rig {
  readonly clock = new FakeClock();
  readonly passedOver = new PassedOver(this.clock);
  readonly asked: Asked[] = [];
  readonly search: Search<Asked>;
  result: string | undefined;
  /** What a relay does when it is asked, by its port. */
  readonly #replies = new Map<number, Whereabouts | "refused" | "failed" | "closed">();

  constructor(
    { count = 4, own, hostClosed = false, keepsConnection = false, earlier = [] }: Options,
  ) {
    const order = Array.from({ length: count }, (_, n) => entry(n));
    this.search = new Search<Asked>({
      clock: this.clock,
      random: (length) => new Uint8Array(length),
      order,
      earlier: earlier.map(entry),
      own,
      isOwn: (place) => own !== undefined && keyOf(place) === keyOf(order[own]!),
      hostClosed,
      keepsConnection,
      members: 10,
      passedOver: this.passedOver,
      ask: (place, _isHost, listener) => {
        const asked = new Asked(place, listener);
        this.asked.push(asked);
        const reply = this.#replies.get(place.port - 1000);
        if (reply) this.#give(asked, reply);
        return asked;
      },
    });
    void this.search.found.then((found) => this.result = describe(found));
  }

  #give(asked: Asked, reply: Whereabouts | "refused" | "failed" | "closed"): void {
    this.clock.after(0, () => {
      if (asked.isClosed) return;
      if (typeof reply === "object") asked.listener.answered(reply);
      else {
        asked.isClosed = true;
        asked.listener.ended(reply);
      }
    });
  }

  /** Says how relay `n` replies from now on. */
  says(n: number, reply: Whereabouts | "refused" | "failed" | "closed"): void {
    this.#replies.set(n, reply);
    const open = this.asked.findLast(({ place }) => place.port === 1000 + n);
    if (open && !open.isClosed) this.#give(open, reply);
  }

  /** How often relay `n` was asked. */
  count(n: number): number {
    return this.asked.filter(({ place }) => place.port === 1000 + n).length;
  }

  /** Advances until something is found; returns after how long. */
  async wait(limit: number): Promise<number> {
    const start = this.clock.now();
    while (this.result === undefined && this.clock.now() - start < limit) {
      await this.clock.advance(50);
    }
    return this.clock.now() - start;
  }
}

function describe(found: Found<Asked>): string {
  if (found.type === "host") return "host";
  assert.equal(found.question.isClosed, false);
  assert.equal(found.question.place, found.entry);
  return `join ${found.entry.port - 1000}`;
}

async function expect(rig: Rig, result: string | undefined, ms: number): Promise<void> {
  const took = await rig.wait(ms + 1000);
  assert.equal(rig.result, result);
  if (result !== undefined) {
    assert.ok(took >= ms - 100 && took <= ms + 300, `${took} ms, not ${ms}`);
  }
}

Deno.test("Search: a guest joins the first stand-by that hosts once the host has refused twice", async () => {
  const rig = new Rig({});
  rig.says(0, "refused");
  rig.says(1, LOST);
  rig.says(2, LOST);
  await rig.clock.advance(500);
  assert.equal(rig.result, undefined);
  rig.says(1, HERE);
  await expect(rig, "join 1", 100);
  assert.deepEqual(rig.asked.filter(({ isClosed }) => !isClosed).map(({ place }) => place.port), [
    1001,
  ]);
});

Deno.test("Search: the first stand-by hosts at once after CLOSE(7), else when the host is out", async () => {
  await expect(new Rig({ own: 1, hostClosed: true }), "host", 0);
  await expect(new Rig({ own: 1 }), "host", OUT_MS);
  const refused = new Rig({ own: 1 });
  refused.says(0, "refused");
  await expect(refused, "host", 200);
  const forgot = new Rig({ own: 1 });
  forgot.says(0, UNKNOWN);
  await expect(forgot, "host", 0);
});

Deno.test("Search: the host and the first are asked at once, each other one later, or once all before it are out", async () => {
  const asked = (rig: Rig) => rig.asked.map(({ place }) => place.port - 1000);
  for (const [own, gap] of [[4, NEXT_ASKED_MS], [undefined, GUEST_NEXT_MS]] as const) {
    const rig = new Rig({ earlier: [7], ...(own && { own, count: 5 }) });
    for (const n of [0, 1, 2, 3]) rig.says(n, LOST);
    for (const expected of own ? [[0, 1], [2], [3], [7]] : [[0, 1], [2], [3]]) {
      await rig.clock.advance(gap - 50);
      assert.deepEqual(asked(rig), expected);
      rig.asked.length = 0;
      await rig.clock.advance(50);
    }
  }
  const gone = new Rig({ hostClosed: true });
  gone.says(1, "refused");
  await gone.clock.advance(200); // it has refused twice
  assert.deepEqual(asked(gone), [1, 1, 2]);
  gone.says(2, UNKNOWN);
  await gone.clock.advance(0);
  assert.deepEqual(asked(gone), [1, 1, 2, 3]);
});

Deno.test("Search: each silent one after the first costs a second, as it is asked so much later", async () => {
  await expect(new Rig({ own: 2 }), "host", OUT_MS);
  await expect(new Rig({ own: 7, count: 8 }), "host", 5 * NEXT_ASKED_MS + OUT_MS);
  const guest = new Rig({});
  guest.says(3, HERE);
  await expect(guest, "join 3", GUEST_NEXT_MS + OUT_MS);
});

Deno.test("Search: the first 'here' is not taken while one before it may host", async () => {
  const rig = new Rig({ hostClosed: true });
  rig.says(1, LOST);
  rig.says(2, HERE);
  await rig.clock.advance(5000);
  assert.equal(rig.result, undefined);
  rig.says(1, at(2)); // it names that place
  await expect(rig, "join 2", 0);
});

Deno.test("Search: 'here' counts at the latest after 10 s", async () => {
  const rig = new Rig({});
  rig.says(0, at(9));
  rig.says(1, LOST);
  rig.says(2, HERE);
  await expect(rig, "join 2", GUEST_NEXT_MS + 10_000);
});

Deno.test("Search: 'here' waits until the host has been silent for a second", async () => {
  const rig = new Rig({});
  rig.says(1, HERE);
  await expect(rig, "join 1", 1000);
});

Deno.test("Search: one that says 'lost' or 'at X' for ever holds up entry k for k times 10 s", async () => {
  for (const answer of [LOST, at(0), at(9)]) {
    for (const own of [2, 3]) {
      const rig = new Rig({ own, hostClosed: true });
      rig.says(1, answer);
      await expect(rig, "host", own * 10_000);
    }
  }
});

Deno.test("Search: a stand-by never goes to one behind it", async () => {
  const rig = new Rig({ own: 1 });
  rig.says(2, HERE);
  rig.says(3, at(9));
  rig.says(9, HERE);
  await expect(rig, "host", OUT_MS);
});

Deno.test("Search: the host's 'here' ends it at once, or after a second while its connection is kept", async () => {
  const lost = new Rig({});
  lost.says(0, HERE);
  await expect(lost, "join 0", 0);
  const silent = new Rig({ keepsConnection: true, own: 1 });
  silent.says(0, HERE);
  await expect(silent, "join 0", 1000);
});

Deno.test("Search: hosts of earlier are asked, and hold nobody up", async () => {
  const rig = new Rig({ count: 2, hostClosed: true, earlier: [7, 8] });
  rig.says(8, HERE);
  await expect(rig, "join 8", OUT_MS); // entry 1 is silent
  await expect(new Rig({ count: 2, own: 1, hostClosed: true, earlier: [7] }), "host", 0);
});

Deno.test("Search: 'at X' is followed four times in a row", async () => {
  for (const [steps, isFound] of [[4, true], [5, false]] as const) {
    const rig = new Rig({ count: 2, hostClosed: true });
    rig.says(1, at(10));
    for (let i = 0; i < steps - 1; i++) rig.says(10 + i, at(11 + i));
    rig.says(9 + steps, HERE);
    await expect(rig, isFound ? `join ${9 + steps}` : undefined, isFound ? 0 : 5000);
  }
});

Deno.test("Search: of each relay the last place that it names is asked, one in a second", async () => {
  const rig = new Rig({ count: 2, hostClosed: true });
  for (let i = 0; i < 100; i++) {
    rig.says(1, at(10 + i));
    await rig.clock.advance(50);
  }
  const named = rig.asked.filter(({ place }) => place.port >= 1010);
  assert.equal(new Set(named.map(({ place }) => place.port)).size, 6);
  assert.equal(named.filter(({ isClosed }) => !isClosed).length, 1);
  await rig.clock.advance(1000);
  rig.says(109, HERE);
  await expect(rig, "join 109", 0);
});

Deno.test("Search: who is passed over is out, and not believed", async () => {
  const rig = new Rig({ own: 2 });
  rig.passedOver.lied(entry(0));
  rig.passedOver.lied(entry(1));
  rig.says(1, HERE);
  await expect(rig, "host", 0);
  const other = new Rig({ own: 1 });
  other.says(0, "closed"); // CLOSE, or another key
  await expect(other, "host", 0);
});

Deno.test("Search: ten quick tries, then slower ones up to 2 s, after 5 minutes one in 10 s", async () => {
  const rig = new Rig({ count: 2 });
  rig.says(1, "failed");
  await rig.clock.advance(1400);
  assert.equal(rig.count(1), 10);
  await rig.clock.advance(60_000);
  const minute = rig.count(1);
  assert.ok(minute >= 35 && minute <= 55, `${minute}`);
  await rig.clock.advance(250_000);
  const before = rig.count(1);
  await rig.clock.advance(60_000);
  assert.equal(rig.count(1) - before, 6);
});

Deno.test("Search: a process that has too little of the processor counts its own time", async () => {
  const rig = new Rig({ own: 1 });
  for (let i = 0; i < 6; i++) await rig.clock.sleep(900); // each tick is 0.8 s late
  assert.equal(rig.result, undefined);
  await expect(rig, "host", OUT_MS - 600);
});

Deno.test("Search: who has not answered for long is asked again after as long", async () => {
  const rig = new Rig({});
  await rig.clock.advance(9000);
  rig.says(1, "failed"); // it accepts connections, and gets no further
  await rig.clock.advance(8900);
  assert.equal(rig.count(1), 1);
  await rig.clock.advance(200);
  assert.equal(rig.count(1), 2);
});

Deno.test("Search: after a sleep every silence begins anew", async () => {
  const rig = new Rig({ own: 1 });
  await rig.clock.advance(OUT_MS - 100);
  await rig.clock.sleep(60_000);
  await expect(rig, "host", OUT_MS);
});

Deno.test("Search: an answer whose connection has gone silent counts no longer", async () => {
  const rig = new Rig({ own: 2, hostClosed: true });
  rig.says(1, at(9));
  await rig.clock.advance(4000);
  assert.equal(rig.result, undefined);
  rig.says(1, "failed");
  await rig.clock.advance(100);
  for (const asked of rig.asked) asked.silentMs = 6000;
  await expect(rig, "host", OUT_MS);
});

Deno.test("Search: nothing is asked after it was stopped", async () => {
  const rig = new Rig({});
  await rig.clock.advance(10);
  rig.search.stop();
  const { length } = rig.asked;
  await rig.clock.advance(60_000);
  assert.equal(rig.asked.length, length);
  assert.ok(rig.asked.every(({ isClosed }) => isClosed));
  assert.equal(rig.clock.timers, 0);
});
