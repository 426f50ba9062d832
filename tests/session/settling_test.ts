import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { MAX_KEPT_BYTES, MAX_KEPT_MESSAGES } from "../../lib/session/streams.ts";
import type { OutgoingChat } from "../../lib/session/outgoing.ts";
import type { Draft } from "../../lib/session/sender.ts";
import { MAX_SETTLING_MS, QUIET_MS, Settling } from "../../lib/session/settling.ts";
import { FakeClock } from "../support/fake_clock.ts";

function idOf(message: Draft["message"]): string {
  return (message as OutgoingChat).id;
}

/** Drafts in, accepted ones out. */
class Desk {
  readonly clock = new FakeClock();
  readonly settling: Settling;
  isComplete = false;
  isExpected = false;
  /** Accepting what is for them fails. */
  absent = "";
  #told: string[] = [];

  constructor() {
    this.settling = new Settling({
      clock: this.clock,
      accept: ({ message, to }) => {
        if (to === this.absent) throw new UsageError(`nobody is called ${to}`);
        this.#told.push(idOf(message));
      },
      refuse: (draft, { message }) => this.#told.push(`${idOf(draft.message)}: ${message}`),
      settled: () => this.#told.push("settled"),
      isComplete: () => this.isComplete,
      isExpected: () => this.isExpected,
    });
  }

  write(
    id: string,
    { bytes = 1, to, person }: { bytes?: number; to?: string; person?: string } = {},
  ) {
    this.settling.submit({ message: { id, bytes }, to, person } as Draft);
  }

  /** What was accepted and refused since the last call. */
  take(): string[] {
    return this.#told.splice(0);
  }
}

/** A desk at which all that follows the first WELCOME is over. */
async function settled(): Promise<Desk> {
  const desk = new Desk();
  desk.settling.welcome();
  await desk.clock.advance(QUIET_MS);
  assert.deepEqual(desk.take(), ["settled"]);
  return desk;
}

Deno.test("Settling: after the first WELCOME everything waits 5 s, in order", async () => {
  const desk = new Desk();
  desk.write("a");
  await desk.clock.advance(3_600_000);
  desk.settling.welcome();
  await desk.clock.advance(QUIET_MS - 1);
  desk.write("b");
  assert.deepEqual(desk.take(), []);
  await desk.clock.advance(1);
  assert.deepEqual(desk.take(), ["a", "b", "settled"]);
  desk.write("c");
  assert.deepEqual(desk.take(), ["c"]);
});

Deno.test("Settling: whoever is shown extends the wait to 5 s from then, up to 15 s from WELCOME", async () => {
  const desk = new Desk();
  desk.settling.welcome();
  desk.write("a");
  await desk.clock.advance(3000);
  desk.settling.shown();
  await desk.clock.advance(QUIET_MS - 1);
  assert.deepEqual(desk.take(), []);
  for (let time = 3000 + QUIET_MS - 1; time < MAX_SETTLING_MS - 1; time += 1000) {
    desk.settling.shown();
    await desk.clock.advance(Math.min(1000, MAX_SETTLING_MS - 1 - time));
  }
  assert.deepEqual(desk.take(), []);
  await desk.clock.advance(1);
  assert.deepEqual(desk.take(), ["a", "settled"]);
});

Deno.test("Settling: at first it ends as soon as everybody is shown or refused; after a reconnect it does not", async () => {
  const desk = new Desk();
  desk.settling.welcome();
  desk.write("a");
  await desk.clock.advance(100);
  desk.isComplete = true;
  desk.settling.shown();
  await desk.clock.advance(0);
  assert.deepEqual(desk.take(), ["a", "settled"]);
  desk.settling.disconnected();
  desk.write("b");
  desk.settling.welcome();
  desk.settling.shown();
  await desk.clock.advance(QUIET_MS - 1);
  assert.deepEqual(desk.take(), []);
  await desk.clock.advance(1);
  assert.deepEqual(desk.take(), ["b", "settled"]);
});

Deno.test("Settling: after a reconnect only what was written without a connection waits, and what comes behind it", async () => {
  const desk = await settled();
  desk.settling.disconnected();
  desk.settling.welcome();
  desk.write("a");
  assert.deepEqual(desk.take(), ["a"]);
  desk.write("for a person who is not shown yet", { to: "bert" });
  desk.write("behind that");
  assert.deepEqual(desk.take(), []);
  await desk.clock.advance(QUIET_MS);
  assert.deepEqual(desk.take(), ["for a person who is not shown yet", "behind that", "settled"]);
  desk.settling.disconnected();
  desk.settling.welcome();
  desk.write("for a person who is known", { to: "bert", person: "SHA256:bert" });
  assert.deepEqual(desk.take(), ["for a person who is known"]);
  desk.settling.disconnected();
  desk.write("b");
  desk.settling.welcome();
  desk.settling.disconnected(); // too early: it begins again
  await desk.clock.advance(60_000);
  assert.deepEqual(desk.take(), []);
  assert.ok(!desk.settling.settled);
});

Deno.test("Settling refuses what is for nobody when its time has come, and accepts the rest", async () => {
  const desk = new Desk();
  desk.absent = "bert";
  desk.write("a");
  desk.write("b", { to: "bert" });
  desk.write("c");
  desk.settling.welcome();
  await desk.clock.advance(QUIET_MS);
  assert.deepEqual(desk.take(), ["a", "b: nobody is called bert", "c", "settled"]);
  assert.throws(() => desk.write("d", { to: "bert" }), UsageError);
});

Deno.test("Settling is full at 1024 messages or 4 MiB", () => {
  const desk = new Desk();
  for (let i = 1; i < MAX_KEPT_MESSAGES; i++) desk.write(String(i));
  assert.ok(!desk.settling.full);
  desk.write("last");
  assert.ok(desk.settling.full);
  desk.settling.flush();
  assert.equal(desk.take().length, MAX_KEPT_MESSAGES);
  assert.ok(!desk.settling.full);
  desk.write("large", { bytes: MAX_KEPT_BYTES });
  assert.ok(desk.settling.full);
});

Deno.test("Settling accepts at once in a gap in which people are expected to come along", async () => {
  const desk = new Desk();
  desk.isExpected = true;
  desk.write("first");
  assert.deepEqual(desk.take(), []); // nobody was ever there
  desk.settling.welcome();
  await desk.clock.advance(QUIET_MS);
  desk.settling.disconnected();
  desk.take();
  desk.write("gap");
  desk.write("whisper", { to: "bob", person: "bob" });
  assert.deepEqual(desk.take(), ["gap", "whisper"]);
  desk.write("unknown", { to: "eve" });
  desk.write("behind");
  assert.deepEqual(desk.take(), []);
});
