import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { Sessions } from "../../lib/cli/sessions.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** A session that runs until it is told how to end. */
class Running {
  readonly room: string;
  startedAt: number | undefined;
  isStopped = false;
  readonly #clock: FakeClock;
  readonly #ended = Promise.withResolvers<void>();

  constructor(room: string, clock: FakeClock) {
    this.room = room;
    this.#clock = clock;
  }

  run(): Promise<void> {
    this.startedAt = this.#clock.now();
    return this.#ended.promise;
  }

  refuse(error: Error): void {
    this.#ended.reject(error);
  }

  stop(): Promise<void> {
    this.isStopped = true;
    this.#ended.resolve();
    return Promise.resolve();
  }
}

function makeSessions() {
  const clock = new FakeClock();
  const refused: string[] = [];
  const sessions = new Sessions({
    clock,
    make: (room) => new Running(room, clock),
    onRefused: (room, { message }) => refused.push(`${room}: ${message}`),
  });
  const start = (room: string) => {
    const session = sessions.open(room);
    sessions.start(room);
    return session;
  };
  return { clock, refused, sessions, start };
}

Deno.test("Sessions starts rooms 100 ms apart, and none that was left before", async () => {
  const { clock, sessions, start } = makeSessions();
  const began = clock.now();
  const [a, b, c, d] = ["a", "b", "c", "d"].map(start);
  await sessions.leave("c");
  await clock.advance(1000);
  assert.deepEqual([a, b, c, d].map((session) => session!.startedAt), [
    began,
    began + 100,
    undefined,
    began + 300,
  ]);
});

Deno.test("Sessions opens at most 16 rooms", async () => {
  const { sessions, start } = makeSessions();
  for (let i = 0; i < 16; i++) start(`room ${i}`);
  assert.throws(() => sessions.open("another"), /you are in 16 rooms/);
  await sessions.leave("room 3");
  start("another");
});

Deno.test("Sessions goes on when one room is refused, and ends with the last", async () => {
  const { clock, refused, sessions, start } = makeSessions();
  const [a, b] = [start("a"), start("b")];
  await clock.advance(100);
  a.refuse(new UsageError("not allowed"));
  await clock.advance(0);
  assert.deepEqual(refused, ["a: not allowed"]);
  b.refuse(new UsageError("not allowed either"));
  await assert.rejects(sessions.ended, /not allowed either/);
});

Deno.test("Sessions stops all rooms", async () => {
  const { clock, sessions, start } = makeSessions();
  const all = ["a", "b"].map(start);
  await clock.advance(100);
  await sessions.stop();
  await sessions.ended;
  assert.ok(all.every(({ isStopped }) => isStopped));
});

Deno.test("Sessions ends at once with an error that is no refusal", async () => {
  const { sessions, start } = makeSessions();
  start("a").refuse(new TypeError("a bug"));
  start("b");
  await assert.rejects(sessions.ended, /a bug/);
});
