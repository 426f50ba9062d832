import assert from "node:assert/strict";
import { clockTime } from "../../lib/ui/moment.ts";
import { Receipts } from "../../lib/ui/receipts.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** Messages, who has not received them, and the notices about them. */
class Desk {
  readonly clock = new FakeClock();
  readonly missing = new Map<string, string[]>();
  readonly receipts: Receipts;
  #shown: string[] = [];

  constructor({ strict = false } = {}) {
    this.receipts = new Receipts({
      clock: this.clock,
      nickOf: (fingerprint) => fingerprint,
      missing: (id) => this.missing.get(id) ?? [],
      strict,
      print: ({ text, hint }) => void this.#shown.push(hint === "" ? text : `${text}; ${hint}`),
    });
  }

  /** Sends a message whose id is its text. */
  send(id: string, missing: string[], waiting = false): void {
    this.missing.set(id, missing);
    this.receipts.accept(id, id, { waiting, private: false });
  }

  /** The notices since the last call. */
  shown(): string[] {
    return this.#shown.splice(0);
  }
}

Deno.test("Receipts shows nothing about a message that arrives within 3 s", async () => {
  const desk = new Desk();
  desk.send("a", ["bob"]);
  await desk.clock.advance(2999);
  desk.missing.delete("a");
  desk.receipts.delivered("a", ["bob"]);
  await desk.clock.advance(60_000);
  assert.deepEqual(desk.shown(), []);
});

Deno.test("Receipts says once who has not received a message, and when everyone has", async () => {
  const desk = new Desk();
  desk.send("a", ["bob", "eve"]);
  await desk.clock.advance(3300);
  assert.deepEqual(desk.shown(), ["not yet received by bob and eve: “a”"]);
  await desk.clock.advance(60_000);
  assert.deepEqual(desk.shown(), []);
  desk.receipts.delivered("a", ["bob"]);
  await desk.clock.advance(300);
  assert.deepEqual(desk.shown(), ["now received by everyone: “a”"]);
});

Deno.test("Receipts says for whom messages are kept, and until when", async () => {
  const desk = new Desk();
  for (const id of ["a", "b", "c"]) desk.send(id, ["bob"]);
  await desk.clock.advance(3300);
  desk.shown();
  desk.receipts.kept("a", ["bob"], "2026-11-29T05:56:10.000Z");
  desk.receipts.kept("b", ["bob"], "2026-11-29T05:56:40.000Z");
  desk.receipts.kept("c", ["bob", "eve"], "2026-11-29T05:57:00.000Z");
  await desk.clock.advance(300);
  const until = (text: string) => clockTime(new Date(text));
  assert.deepEqual(desk.shown(), [
    `bob has not got “a” and “b” yet; kept until ${
      until("2026-11-29T05:56:10.000Z")
    } while you are here`,
    `bob and eve have not got “c” yet; kept until ${
      until("2026-11-29T05:57:00.000Z")
    } while you are here`,
  ]);
});

Deno.test("Receipts joins what happens to the same people at the same moment", async () => {
  const desk = new Desk();
  for (const id of ["a", "b", "c", "d"]) desk.send(id, ["bob"]);
  desk.send("e", ["eve"]);
  await desk.clock.advance(3300);
  assert.deepEqual(desk.shown(), [
    "not yet received by bob: “a”, “b” and 2 more",
    "not yet received by eve: “e”",
  ]);
  desk.receipts.undelivered("a", ["bob"]);
  desk.receipts.undelivered("b", ["bob"]);
  desk.receipts.delivered("e", ["bob"]);
  desk.receipts.flush();
  assert.deepEqual(desk.shown(), [
    "not delivered to bob: “a” and “b”",
    "now received by everyone: “e”",
  ]);
  desk.receipts.undelivered("c", []);
  await desk.clock.advance(300);
  assert.deepEqual(desk.shown(), ["nobody is here to receive “c”"]);
});

Deno.test("Receipts names everyone who did not get a message in one line", () => {
  const desk = new Desk();
  for (const id of ["a", "b"]) desk.send(id, ["bob", "eve", "ann"]);
  for (const who of ["bob", "eve", "bob"]) {
    for (const id of ["a", "b"]) desk.receipts.undelivered(id, [who]);
  }
  desk.receipts.undelivered("a", ["ann"]);
  desk.receipts.flush();
  assert.deepEqual(desk.shown(), [
    "not delivered to bob, eve and ann: “a”",
    "not delivered to bob and eve: “b”",
  ]);
});

Deno.test("Receipts mentions --strict if it may be why nobody received a message", () => {
  const desk = new Desk({ strict: true });
  desk.send("a", []);
  desk.receipts.undelivered("a", []);
  desk.send("b", []);
  desk.receipts.undelivered("b", ["bob"]);
  desk.receipts.flush();
  assert.deepEqual(desk.shown(), [
    "nobody is here to receive “a”; with --strict, only people you have verified receive messages",
    "not delivered to bob: “b”",
  ]);
});

Deno.test("Receipts counts people and messages that are too many to name", async () => {
  const desk = new Desk();
  const people = Array.from("abcdefghijklm");
  desk.send("x", people.slice(0, 9));
  desk.send("y", people);
  await desk.clock.advance(3300);
  assert.deepEqual(desk.shown(), [
    "not yet received by a, b, c, d, e, f, g, h and i: “x”",
    "not yet received by a, b, c, d, e, f, g, h and 5 others: “y”",
  ]);
});

Deno.test("Receipts watches a waiting message once it is accepted", async () => {
  const desk = new Desk();
  desk.send("a", ["bob"], true);
  await desk.clock.advance(60_000);
  assert.deepEqual(desk.shown(), []);
  desk.receipts.accepted("a");
  await desk.clock.advance(3300);
  assert.deepEqual(desk.shown(), ["not yet received by bob: “a”"]);
  desk.send("b", ["bob"], true);
  desk.receipts.accepted("b");
  desk.receipts.delivered("b", ["bob"]);
  await desk.clock.advance(300);
  assert.deepEqual(desk.shown(), ["now received by everyone: “b”"]);
});

Deno.test("Receipts says who has received a private message", () => {
  const desk = new Desk();
  desk.receipts.accept("a", "a", { waiting: true, private: true });
  desk.receipts.delivered("a", ["bob"]);
  desk.receipts.flush();
  assert.deepEqual(desk.shown(), ["now received by bob: “a”"]);
});

Deno.test("Receipts remembers the texts of the last 1024 messages", () => {
  const desk = new Desk();
  for (let i = 0; i < 1025; i++) desk.send(String(i), []);
  assert.equal(desk.receipts.textOf("0"), undefined);
  assert.equal(desk.receipts.textOf("1"), "1");
  assert.equal(desk.receipts.textOf("1024"), "1024");
});
