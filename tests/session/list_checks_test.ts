import assert from "node:assert/strict";
import type { SignedList } from "../../lib/protocol/succession.ts";
import { ListChecks, type Verdict } from "../../lib/session/list_checks.ts";
import { settle } from "../support/fake_clock.ts";

const list = (serial: number): SignedList => ({
  signature: new Uint8Array(64),
  list: { serial, at: 0, entries: [] },
});

/** Checks that end when the test says so. */
class Rig {
  readonly begun: string[] = [];
  readonly #open: ((verdict: Verdict) => void)[] = [];
  readonly checks = new ListChecks<{ name: string }>(({ name }, { list: { serial } }) => {
    this.begun.push(`${name}${serial}`);
    return new Promise((resolve) => this.#open.push(resolve));
  });

  async end(verdict: Verdict): Promise<void> {
    this.#open.shift()!(verdict);
    await settle();
  }
}

const [anna, bob] = [{ name: "anna" }, { name: "bob" }];

Deno.test("ListChecks checks one list of each member at a time, and then the newest", async () => {
  const rig = new Rig();
  assert.equal(rig.checks.done, undefined);
  for (let serial = 0; serial < 100; serial++) rig.checks.take(anna, list(serial));
  rig.checks.take(bob, list(0));
  assert.deepEqual(rig.begun, ["anna0", "bob0"]);
  let isDone = false;
  void rig.checks.done!.then(() => isDone = true);
  await rig.end("taken");
  await rig.end("ignored");
  assert.deepEqual(rig.begun, ["anna0", "bob0", "anna99"]);
  assert.equal(isDone, false);
  await rig.end("taken");
  assert.equal(isDone, true);
  assert.equal(rig.checks.done, undefined);
  rig.checks.take(bob, list(1));
  assert.equal(rig.begun.at(-1), "bob1");
});

Deno.test("ListChecks checks no more of who has forged one", async () => {
  const rig = new Rig();
  rig.checks.take(anna, list(1));
  rig.checks.take(anna, list(2));
  await rig.end("forged");
  rig.checks.take(anna, list(3));
  rig.checks.take({ ...anna }, list(4)); // in another connection
  assert.deepEqual(rig.begun, ["anna1", "anna4"]);
});
