import assert from "node:assert/strict";
import { decodeHex } from "../../lib/base/bytes.ts";
import { safetyNumber, showSafetyNumbers } from "../../lib/protocol/safety_number.ts";
import kat from "../vectors/kat.json" with { type: "json" };

type Who = "alice" | "bob" | "relay" | "weak";

function identity(who: Who) {
  const key = kat.keys[who];
  return { id: decodeHex(key.id), fingerprint: decodeHex(key.fp) };
}

Deno.test("safetyNumber() gives the known digits", () => {
  let count = 0;
  for (const { who, text } of kat.safety.identities) {
    assert.equal(safetyNumber(identity(who as Who).id), text);
    count++;
  }
  assert.equal(count, 4);
});

Deno.test("showSafetyNumbers() shows both people the same order", () => {
  const [alice, bob] = [identity("alice"), identity("bob")];
  assert.deepEqual(showSafetyNumbers(alice, bob), kat.safety.shown);
  assert.deepEqual(showSafetyNumbers(bob, alice), kat.safety.shown);
});
