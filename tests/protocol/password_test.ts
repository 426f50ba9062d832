import assert from "node:assert/strict";
import { decodeHex, encodeHex } from "../../lib/base/bytes.ts";
import type { Clock, Timer } from "../../lib/base/clock.ts";
import { UsageError } from "../../lib/base/errors.ts";
import {
  checkProof,
  computeProof,
  decodeJoinKey,
  derivePassword,
  encodeJoinKey,
  FORGET_DELAY_MS,
  makePassword,
  MAX_ADDRESSES,
  NO_KEY,
  PASSWORD_KEY_BYTES,
  ProofGate,
} from "../../lib/protocol/password.ts";
import kat from "../vectors/kat.json" with { type: "json" };

Deno.test("derivePassword() gives the known keys", async () => {
  let count = 0;
  for (const known of kat.password.cases) {
    const keys = await derivePassword(known.password, decodeHex(known.fp_s));
    assert.equal(encodeHex(keys.joinKey), known.Kjoin);
    assert.equal(encodeHex(keys.roomKey), known.Kroom);
    assert.equal(encodeHex(keys.joinKey) + encodeHex(keys.roomKey), known.K);
    count++;
  }
  assert.equal(count, 2);
});

Deno.test("derivePassword() takes composed and decomposed letters for the same", async () => {
  const known = kat.password.cases[1]!;
  const keys = await derivePassword(known.password.normalize("NFD"), decodeHex(known.fp_s));
  assert.equal(encodeHex(keys.joinKey), known.Kjoin);
});

Deno.test("derivePassword() refuses an empty password and a fingerprint of another length", async () => {
  await assert.rejects(derivePassword("", new Uint8Array(32)), RangeError);
  for (const length of [0, 31, 33]) {
    await assert.rejects(derivePassword("x", new Uint8Array(length)), RangeError);
  }
});

Deno.test("computeProof() gives the known proofs, and checkProof() accepts nothing else", () => {
  let count = 0;
  for (const known of kat.password.cases) {
    const joinKey = decodeHex(known.Kjoin);
    const th3 = decodeHex(known.th3);
    const proof = computeProof(joinKey, th3);
    assert.equal(encodeHex(proof), known.proof);
    assert.ok(checkProof(joinKey, th3, proof));
    for (let bit = 0; bit < proof.length * 8; bit++) {
      const changed = proof.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      assert.ok(!checkProof(joinKey, th3, changed));
    }
    assert.ok(!checkProof(joinKey, th3, proof.subarray(0, PASSWORD_KEY_BYTES - 1)));
    assert.ok(!checkProof(joinKey, th3, new Uint8Array([...proof, 0])));
    assert.ok(!checkProof(joinKey, th3, NO_KEY));
    assert.ok(!checkProof(NO_KEY, th3, proof));
    assert.ok(!checkProof(joinKey, joinKey, proof));
    count++;
  }
  assert.equal(count, 2);
});

Deno.test("encodeJoinKey() and decodeJoinKey() give the known texts", () => {
  for (const known of kat.password.cases) {
    assert.equal(encodeJoinKey(decodeHex(known.Kjoin)), known.join_text);
    assert.deepEqual(decodeJoinKey(known.join_text), decodeHex(known.Kjoin));
  }
});

Deno.test("decodeJoinKey() refuses every other text without repeating it", () => {
  const text = kat.password.cases[0]!.join_text;
  const bad = [
    "",
    "hearth-join:",
    text.slice(0, -1),
    text + "A",
    text + "=",
    text + "\n",
    " " + text,
    text.toUpperCase(),
    text.replace("+", "-"),
    text.slice(0, -1) + "l", // The key of "k", but for the bits that count for nothing.
    text.replace("hearth-join", "hearth-room"),
  ];
  assert.equal(new Set(bad).size, bad.length);
  assert.ok(text.endsWith("k") && text.includes("+"));
  for (const wrong of bad) {
    assert.throws(() => decodeJoinKey(wrong), (error) => {
      assert.ok(error instanceof UsageError);
      assert.ok(!error.message.includes(text.slice(12, 40)));
      return true;
    });
  }
});

Deno.test("makePassword() uses all of its 80 bits, each in one place", () => {
  const make = (bytes: Uint8Array<ArrayBuffer>) =>
    makePassword((length) => {
      assert.equal(length, 10);
      return bytes;
    });
  const none = make(new Uint8Array(10));
  assert.equal(none, "babab-babab-babab-babab-babab");
  const seen = new Set([none]);
  for (let bit = 0; bit < 80; bit++) {
    const bytes = new Uint8Array(10);
    bytes[bit >> 3] = 0x80 >> (bit & 7);
    const password = make(bytes);
    assert.match(password, /^(?:[bdfghjkmnprstvwz][aeiu]){2}[bdfghjkmnprstvwz]-/);
    assert.equal([...password].filter((character, i) => character !== none[i]).length, 1);
    seen.add(password);
  }
  assert.equal(seen.size, 81);
  assert.equal(make(new Uint8Array(10).fill(255)), "zuzuz-zuzuz-zuzuz-zuzuz-zuzuz");
});

/** Time that moves only when a test says so. */
class FakeClock implements Clock {
  time = 5_000;
  readonly timers = new Map<number, { at: number; action: () => void }>();
  #next = 1;

  now(): number {
    return this.time;
  }

  wallTime(): number {
    return this.time;
  }

  after(delay: number, action: () => void): Timer {
    this.timers.set(this.#next, { at: this.time + delay, action });
    return this.#next++;
  }

  cancel(timer: Timer | undefined): void {
    this.timers.delete(timer as number);
  }

  async advance(duration: number): Promise<void> {
    const end = this.time + duration;
    for (;;) {
      await settle();
      const due = [...this.timers].filter(([, { at }]) => at <= end)
        .sort(([, a], [, b]) => a.at - b.at)[0];
      if (due === undefined) break;
      this.timers.delete(due[0]);
      this.time = Math.max(this.time, due[1].at);
      due[1].action();
    }
    this.time = end;
    await settle();
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

/** A gate and a log of what it did, each entry with its second. */
function startGate() {
  const clock = new FakeClock();
  const gate = new ProofGate(clock);
  const start = clock.time;
  const log: string[] = [];
  const note = (text: string) => log.push(`${(clock.time - start) / 1000} ${text}`);
  const check = (address: string, right: boolean, name = address, signal?: AbortSignal) => {
    const verify = () => {
      note(`check ${name}`);
      return right;
    };
    gate.check(address, verify, signal ? { signal } : {}).then(
      (answer) => note(`${answer ? "right" : "wrong"} ${name}`),
      () => note(`left ${name}`),
    );
  };
  const take = () => log.splice(0);
  return { clock, gate, check, take };
}

Deno.test("ProofGate answers right proofs at once and without a timer", async () => {
  const { clock, check, take } = startGate();
  for (let i = 0; i < 3; i++) check("a", true);
  assert.equal(clock.timers.size, 0);
  await settle();
  assert.deepEqual(take().filter((line) => line === "0 right a").length, 3);
});

Deno.test("ProofGate answers wrong proofs of an address after 1, 2, 4 … 60 s", async () => {
  const { clock, check, take } = startGate();
  let at = 0;
  for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
    check("a", false);
    await clock.advance(seconds * 1000 - 1);
    assert.deepEqual(take(), [`${at} check a`]);
    await clock.advance(1);
    at += seconds;
    assert.deepEqual(take(), [`${at} wrong a`]);
  }
  assert.equal(clock.timers.size, 0);
});

Deno.test("ProofGate lets an address wait unchecked behind its wrong proof, others pass", async () => {
  const { clock, check, take } = startGate();
  check("a", false, "a1");
  check("a", true, "a2");
  check("a", false, "a3");
  check("a", true, "a4");
  check("b", true);
  await settle();
  assert.deepEqual(take(), ["0 check a1", "0 check b", "0 right b"]);
  await clock.advance(2000);
  // a2 was right and set the delay back to 1 s.
  assert.deepEqual(take(), [
    "1 check a2",
    "1 check a3",
    "1 wrong a1",
    "1 right a2",
    "2 check a4",
    "2 wrong a3",
    "2 right a4",
  ]);
  assert.equal(clock.timers.size, 0);
});

Deno.test("ProofGate begins again after 10 minutes, not before", async () => {
  for (const [pause, seconds] of [[FORGET_DELAY_MS - 1, 2], [FORGET_DELAY_MS, 1]] as const) {
    const { clock, check, take } = startGate();
    check("a", false);
    await clock.advance(pause);
    take();
    check("a", false);
    await clock.advance(seconds * 1000 - 1);
    assert.equal(take().length, 1);
    await clock.advance(1);
    assert.equal(take().length, 1);
  }
});

Deno.test("ProofGate gives one wrong answer a second over all addresses, in order", async () => {
  const { clock, check, take } = startGate();
  for (const name of ["a", "b", "c", "d"]) check(name, false);
  await clock.advance(500);
  check("e", false);
  await clock.advance(10_000);
  assert.deepEqual(take().filter((line) => line.includes("wrong")), [
    "1 wrong a",
    "2 wrong b",
    "3 wrong c",
    "4 wrong d",
    "5 wrong e",
  ]);
  assert.equal(clock.timers.size, 0);
});

Deno.test("ProofGate keeps holding an address whose wrong sender has gone", async () => {
  const { clock, check, take } = startGate();
  const gone = new AbortController();
  check("a", false, "a1", gone.signal);
  await clock.advance(300);
  gone.abort();
  await settle();
  assert.deepEqual(take(), ["0 check a1", "0.3 left a1"]);
  assert.equal(clock.timers.size, 0);
  check("a", false, "a2");
  await clock.advance(699);
  assert.deepEqual(take(), []);
  await clock.advance(2001);
  assert.deepEqual(take(), ["1 check a2", "3 wrong a2"]);
});

Deno.test("ProofGate never checks who left while waiting, and keeps nothing of them", async () => {
  const { clock, check, take } = startGate();
  const [first, second, last] = [0, 1, 2].map(() => new AbortController());
  check("a", false, "a1", first!.signal);
  check("a", true, "a2", second!.signal);
  check("a", true, "a3", last!.signal);
  second!.abort();
  await settle();
  assert.deepEqual(take(), ["0 check a1", "0 left a2"]);
  first!.abort();
  await clock.advance(1000);
  assert.deepEqual(take(), ["0 left a1", "1 check a3", "1 right a3"]);
  last!.abort();
  check("a", false, "a4");
  assert.equal(clock.timers.size, 1);
  await clock.advance(1000);
  assert.deepEqual(take(), ["1 check a4", "2 wrong a4"]);
});

Deno.test("ProofGate gives the turn of who has left to the next", async () => {
  const { clock, check, take } = startGate();
  const gone = new AbortController();
  check("a", false);
  check("b", false, "b1", gone.signal);
  check("b", true, "b2");
  check("c", false);
  await clock.advance(1500);
  take();
  gone.abort();
  await settle();
  assert.deepEqual(take(), ["1.5 check b2", "1.5 left b1", "1.5 right b2"]);
  await clock.advance(500);
  assert.deepEqual(take(), ["2 wrong c"]);
  assert.equal(clock.timers.size, 0);
});

Deno.test("ProofGate stops its timers when everyone has left", async () => {
  const { clock, check } = startGate();
  const gone = new AbortController();
  for (const name of ["a", "a", "b", "b", "c"]) check(name, false, name, gone.signal);
  await clock.advance(1200);
  assert.ok(clock.timers.size > 0);
  gone.abort();
  await settle();
  assert.equal(clock.timers.size, 0);
});

Deno.test("ProofGate.check() rejects at once with the reason of a signal that is aborted", async () => {
  const { gate } = startGate();
  const verify = () => assert.fail();
  await assert.rejects(gate.check("a", verify, { signal: AbortSignal.abort() }), {
    name: "AbortError",
  });
});

Deno.test("ProofGate forgets the address that failed longest ago when there are too many", async () => {
  for (const [others, seconds] of [[MAX_ADDRESSES - 1, 2], [MAX_ADDRESSES, 1]] as const) {
    const { clock, gate, check, take } = startGate();
    const fail = async (address: string) => {
      const gone = new AbortController();
      const answer = gate.check(address, () => false, { signal: gone.signal });
      gone.abort();
      await assert.rejects(answer);
    };
    await fail("a");
    for (let i = 0; i < others; i++) await fail(`other ${i}`);
    await clock.advance(1000);
    check("a", false);
    await clock.advance(seconds * 1000 - 1);
    assert.equal(take().length, 1);
    await clock.advance(1);
    assert.equal(take().length, 1);
  }
});
