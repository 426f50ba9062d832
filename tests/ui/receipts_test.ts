import assert from "node:assert/strict";
import { Receipts } from "../../lib/ui/receipts.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** Messages, who has not received them, and what was told. */
class Desk {
  readonly clock = new FakeClock();
  readonly missing = new Map<string, string[]>();
  readonly receipts: Receipts;
  #told: string[] = [];

  constructor({ strict = false } = {}) {
    this.receipts = new Receipts({
      clock: this.clock,
      nickOf: (fingerprint) => fingerprint,
      missing: (id) => this.missing.get(id) ?? [],
      strict,
      print: ({ text, hint }) => void this.#told.push(hint === "" ? text : `${text}; ${hint}`),
    });
  }

  /** Sends a message that is its own id. */
  send(id: string, missing: string[], waiting = false): void {
    this.missing.set(id, missing);
    this.receipts.accept(id, id, { waiting });
  }

  /** What was told since the last time. */
  told(): string[] {
    return this.#told.splice(0);
  }
}

Deno.test("Receipts says nothing of a message that arrives within 3 s", async () => {
  const desk = new Desk();
  desk.send("a", ["bob"]);
  await desk.clock.advance(2999);
  desk.missing.delete("a");
  desk.receipts.delivered("a");
  await desk.clock.advance(60_000);
  assert.deepEqual(desk.told(), []);
});

Deno.test("Receipts says once who has not received a message, and when all have", async () => {
  const desk = new Desk();
  desk.send("a", ["bob", "eve"]);
  await desk.clock.advance(3300);
  assert.deepEqual(desk.told(), ["not yet received by bob and eve: “a”"]);
  await desk.clock.advance(60_000);
  assert.deepEqual(desk.told(), []);
  desk.receipts.delivered("a");
  await desk.clock.advance(300);
  assert.deepEqual(desk.told(), ["now received by everyone: “a”"]);
});

Deno.test("Receipts tells together what happens at the same moment to the same people", async () => {
  const desk = new Desk();
  for (const id of ["a", "b", "c", "d"]) desk.send(id, ["bob"]);
  desk.send("e", ["eve"]);
  await desk.clock.advance(3300);
  assert.deepEqual(desk.told(), [
    "not yet received by bob: “a”, “b” and 2 more",
    "not yet received by eve: “e”",
  ]);
  desk.receipts.undelivered("a", ["bob"]);
  desk.receipts.undelivered("b", ["bob"]);
  desk.receipts.delivered("e");
  desk.receipts.flush();
  assert.deepEqual(desk.told(), [
    "not delivered to bob: “a” and “b”",
    "now received by everyone: “e”",
  ]);
  desk.receipts.undelivered("c", []);
  await desk.clock.advance(300);
  assert.deepEqual(desk.told(), ["nobody is here to receive “c”"]);
});

Deno.test("Receipts names in one line all who were given up for a message", () => {
  const desk = new Desk();
  for (const id of ["a", "b"]) desk.send(id, ["bob", "eve", "ann"]);
  for (const who of ["bob", "eve", "bob"]) {
    for (const id of ["a", "b"]) desk.receipts.undelivered(id, [who]);
  }
  desk.receipts.undelivered("a", ["ann"]);
  desk.receipts.flush();
  assert.deepEqual(desk.told(), [
    "not delivered to bob, eve and ann: “a”",
    "not delivered to bob and eve: “b”",
  ]);
});

Deno.test("Receipts says who may receive anything where that can be why nobody does", () => {
  const desk = new Desk({ strict: true });
  desk.send("a", []);
  desk.receipts.undelivered("a", []);
  desk.send("b", []);
  desk.receipts.undelivered("b", ["bob"]);
  desk.receipts.flush();
  assert.deepEqual(desk.told(), [
    "nobody is here to receive “a”; with --strict only people you have verified receive anything",
    "not delivered to bob: “b”",
  ]);
});

Deno.test("Receipts counts those who are too many to be named", async () => {
  const desk = new Desk();
  const people = Array.from("abcdefghijklm");
  desk.send("x", people.slice(0, 9));
  desk.send("y", people);
  await desk.clock.advance(3300);
  assert.deepEqual(desk.told(), [
    "not yet received by a, b, c, d, e, f, g, h and i: “x”",
    "not yet received by a, b, c, d, e, f, g, h and 5 others: “y”",
  ]);
});

Deno.test("Receipts watches what waits for a connection from that on", async () => {
  const desk = new Desk();
  desk.send("a", ["bob"], true);
  await desk.clock.advance(60_000);
  assert.deepEqual(desk.told(), []);
  desk.receipts.connected();
  await desk.clock.advance(3300);
  assert.deepEqual(desk.told(), ["not yet received by bob: “a”"]);
  desk.send("b", ["bob"], true);
  desk.receipts.connected();
  desk.receipts.delivered("b");
  await desk.clock.advance(300);
  assert.deepEqual(desk.told(), ["now received by everyone: “b”"]);
});

Deno.test("Receipts remembers the texts of the last 1024 messages", () => {
  const desk = new Desk();
  for (let i = 0; i < 1025; i++) desk.send(String(i), []);
  assert.equal(desk.receipts.textOf("0"), undefined);
  assert.equal(desk.receipts.textOf("1"), "1");
  assert.equal(desk.receipts.textOf("1024"), "1024");
});
