import assert from "node:assert/strict";
import { escapeLabel, foldName, makeLabel, unescapeLabel } from "../../lib/discovery/dns.ts";

Deno.test("makeLabel() truncates to 63 bytes between characters", () => {
  assert.equal(makeLabel("anna.fritz.box"), "anna-fritz-box");
  assert.equal(makeLabel("x".repeat(63)), "x".repeat(63));
  assert.equal(makeLabel("x".repeat(64)), "x".repeat(63));
  assert.equal(makeLabel("ä".repeat(32)), "ä".repeat(31));
  assert.equal(makeLabel("😀".repeat(16)), "😀".repeat(15));
});

Deno.test("foldName() lowers ASCII letters only", () => {
  assert.equal(foldName("Host.LOCAL"), "host.local");
  assert.equal(foldName("ÄnnÄ \u212a.LOCAL"), "ÄnnÄ \u212a.local"); // the Kelvin sign is not a K
});

Deno.test("escapeLabel() hides dots and backslashes, and unescapeLabel() brings them back", () => {
  for (const label of ["a", "v1.2", "..", "\\", "\\.\\", "a b\n"]) {
    assert.equal(unescapeLabel(escapeLabel(label)), label);
    assert.doesNotMatch(escapeLabel(label), /(?<!\\)(?:\\\\)*\./);
  }
});
