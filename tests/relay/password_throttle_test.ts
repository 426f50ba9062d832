import assert from "node:assert/strict";
import {
  FORGET_DELAY_MS,
  MAX_REMEMBERED,
  PasswordThrottle,
} from "../../lib/relay/password_throttle.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** What a test may say of a client; its name is also its fingerprint. */
interface Client {
  name?: string;
  signal?: AbortSignal;
}

/** A throttle and a log of what it did, each entry with its second. */
function startThrottle() {
  const clock = new FakeClock();
  const throttle = new PasswordThrottle(clock);
  const start = clock.now();
  const log: string[] = [];
  const note = (text: string) => log.push(`${(clock.now() - start) / 1000} ${text}`);
  const guesser = (address: string, { name = address, signal }: Client) => ({
    address,
    fingerprint: name,
    signal: signal ?? new AbortController().signal,
  });
  const check = (address: string, right: boolean, client: Client = {}) => {
    const { name = address } = client;
    throttle.check(guesser(address, client), {
      verify() {
        note(`check ${name}`);
        return right;
      },
      answer: (isRight) => note(`${isRight ? "right" : "wrong"} ${name}`),
    });
  };
  const ask = (address: string, client: Client = {}) =>
    throttle.whenOpen(guesser(address, client), () => note(`ask ${client.name ?? address}`));
  const take = () => log.splice(0);
  return { clock, throttle, check, ask, take };
}

Deno.test("PasswordThrottle asks and answers right proofs at once and without a timer", () => {
  const { clock, check, ask, take } = startThrottle();
  for (let i = 0; i < 3; i++) {
    ask("a");
    check("a", true);
  }
  assert.equal(clock.timers, 0);
  assert.deepEqual(take(), Array(3).fill(["0 ask a", "0 check a", "0 right a"]).flat());
});

Deno.test("PasswordThrottle answers wrong proofs of an address after 1, 2, 4 … 60 s", async () => {
  const { clock, check, take } = startThrottle();
  let at = 0;
  for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
    check("a", false);
    await clock.advance(seconds * 1000 - 1);
    assert.deepEqual(take(), [`${at} check a`]);
    await clock.advance(1);
    at += seconds;
    assert.deepEqual(take(), [`${at} wrong a`]);
  }
  assert.equal(clock.timers, 0);
});

Deno.test("PasswordThrottle holds the address of a wrong proof, unchecked, and no other", async () => {
  const { clock, check, take } = startThrottle();
  check("a", false, { name: "a1" });
  check("a", true, { name: "a2" });
  check("a", false, { name: "a3" });
  check("a", true, { name: "a4" });
  check("b", true);
  assert.deepEqual(take(), ["0 check a1", "0 check b", "0 right b"]);
  await clock.advance(2000);
  // a2 was right, which reset the delay to 1 s.
  assert.deepEqual(take(), [
    "1 wrong a1",
    "1 check a2",
    "1 right a2",
    "1 check a3",
    "2 wrong a3",
    "2 check a4",
    "2 right a4",
  ]);
  assert.equal(clock.timers, 0);
});

Deno.test("PasswordThrottle asks nobody at a held address, and checks what it has asked for first", async () => {
  const { clock, check, ask, take } = startThrottle();
  check("a", false, { name: "a1" });
  ask("a", { name: "a2" });
  ask("a", { name: "a3" });
  check("a", false, { name: "a4" });
  ask("b");
  assert.deepEqual(take(), ["0 check a1", "0 ask b"]);
  await clock.advance(1000);
  assert.deepEqual(take(), ["1 wrong a1", "1 check a4"]);
  await clock.advance(2000);
  assert.deepEqual(take(), ["3 wrong a4", "3 ask a2", "3 ask a3"]);
  assert.equal(clock.timers, 0);
});

Deno.test("PasswordThrottle never makes an identity wait that has given a right proof", async () => {
  const { clock, check, ask, take } = startThrottle();
  check("elsewhere", true, { name: "anna" });
  check("a", false, { name: "a1" });
  take();
  ask("a", { name: "anna" });
  check("a", true, { name: "anna" });
  ask("a", { name: "bert" });
  assert.deepEqual(take(), ["0 ask anna", "0 check anna", "0 right anna"]);
  await clock.advance(999);
  assert.deepEqual(take(), [], "it does not shorten a delay that has begun");
  await clock.advance(1);
  assert.deepEqual(take(), ["1 wrong a1", "1 ask bert"]);
});

Deno.test("PasswordThrottle delays a wrong proof of an identity that has given a right one", async () => {
  const { clock, check, take } = startThrottle();
  check("a", true, { name: "anna" });
  check("a", false, { name: "anna" });
  check("a", false, { name: "anna" });
  check("a", true, { name: "bert" });
  take();
  await clock.advance(1000);
  assert.deepEqual(take(), ["1 wrong anna"]);
  await clock.advance(1000);
  assert.deepEqual(take(), ["2 wrong anna", "2 check bert", "2 right bert"]);
});

Deno.test("PasswordThrottle resets the delay after 10 minutes", async () => {
  for (const [pause, seconds] of [[FORGET_DELAY_MS - 1, 2], [FORGET_DELAY_MS, 1]] as const) {
    const { clock, check, take } = startThrottle();
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

Deno.test("PasswordThrottle lets addresses not wait for each other", async () => {
  const { clock, check, take } = startThrottle();
  for (const name of ["a", "b", "c", "d"]) check(name, false);
  take();
  await clock.advance(1000);
  assert.deepEqual(take(), ["1 wrong a", "1 wrong b", "1 wrong c", "1 wrong d"]);
});

Deno.test("PasswordThrottle goes on holding an address whose wrong sender has gone", async () => {
  const { clock, check, take } = startThrottle();
  const gone = new AbortController();
  check("a", false, { name: "a1", signal: gone.signal });
  await clock.advance(300);
  gone.abort();
  assert.equal(clock.timers, 0);
  check("a", false, { name: "a2" });
  await clock.advance(699);
  assert.deepEqual(take(), ["0 check a1"]);
  await clock.advance(2001);
  assert.deepEqual(take(), ["1 check a2", "3 wrong a2"]);
});

Deno.test("PasswordThrottle drops those who left while they waited", async () => {
  const { clock, check, ask, take } = startThrottle();
  const gone = new AbortController();
  const { signal } = gone;
  check("a", false);
  check("a", true, { name: "a2", signal });
  ask("a", { name: "a3", signal });
  ask("a", { name: "a4" });
  gone.abort();
  check("a", true, { name: "a5", signal });
  await clock.advance(1000);
  assert.deepEqual(take(), ["0 check a", "1 wrong a", "1 ask a4"]);
  assert.equal(clock.timers, 0);
});

Deno.test("PasswordThrottle stops its timers when everybody has left", async () => {
  const { clock, check, ask } = startThrottle();
  const gone = new AbortController();
  const { signal } = gone;
  for (const name of ["a", "a", "b", "b", "c"]) {
    check(name, false, { signal });
    ask(name, { signal });
  }
  await clock.advance(200);
  assert.ok(clock.timers > 0);
  gone.abort();
  assert.equal(clock.timers, 0);
});

Deno.test("PasswordThrottle forgets the address that failed longest ago past the limit", async () => {
  for (const [others, seconds] of [[MAX_REMEMBERED - 1, 2], [MAX_REMEMBERED, 1]] as const) {
    const { clock, check, take } = startThrottle();
    const fail = (address: string) => {
      const gone = new AbortController();
      check(address, false, { signal: gone.signal });
      gone.abort();
    };
    fail("a");
    for (let i = 0; i < others; i++) fail(`other ${i}`);
    for (let i = 0; i < others; i++) check(`right ${i}`, true);
    take();
    await clock.advance(1000);
    check("a", false);
    await clock.advance(seconds * 1000 - 1);
    assert.equal(take().length, 1);
    await clock.advance(1);
    assert.equal(take().length, 1);
  }
});

Deno.test("PasswordThrottle remembers the 4096 identities that gave a right proof last", () => {
  for (const [later, isAsked] of [[MAX_REMEMBERED - 1, true], [MAX_REMEMBERED, false]] as const) {
    const { check, ask, take } = startThrottle();
    check("b", true, { name: "oldest" });
    check("b", true, { name: "anna" });
    for (let i = 0; i < later - 2; i++) check("b", true, { name: `other ${i}` });
    check("b", true, { name: "oldest" }); // is now the newest
    check("a", false);
    check("b", true, { name: "one more" });
    take();
    ask("a", { name: "anna" });
    ask("a", { name: "oldest" });
    assert.deepEqual(take(), [...(isAsked ? ["0 ask anna"] : []), "0 ask oldest"]);
  }
});
