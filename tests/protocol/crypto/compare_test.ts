import assert from "node:assert/strict";
import { equalSecrets } from "../../../lib/protocol/crypto/compare.ts";

Deno.test("equalSecrets() is true for the same bytes alone", () => {
  const secret = Uint8Array.from({ length: 32 }, (_, i) => i);
  assert.ok(equalSecrets(secret, secret.slice()));
  assert.ok(equalSecrets(new Uint8Array(0), new Uint8Array(0)));
  for (let bit = 0; bit < 256; bit++) {
    const changed = secret.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    assert.ok(!equalSecrets(secret, changed));
  }
  assert.ok(!equalSecrets(secret, secret.subarray(1)));
  assert.ok(!equalSecrets(secret, new Uint8Array([...secret, 0])));
});
