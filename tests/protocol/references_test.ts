import assert from "node:assert/strict";
import { decodeHex } from "../../lib/base/bytes.ts";
import { decodeMessage } from "../../lib/protocol/messages.ts";
import { messageReference } from "../../lib/protocol/references.ts";
import { kat } from "../support/kat.ts";

Deno.test("messageReference() gives the known references", () => {
  let count = 0;
  const seen = new Set<string>();
  for (const { fp, id, ref } of kat.references.cases) {
    assert.equal(messageReference(decodeHex(fp), id), ref);
    seen.add(ref);
    count++;
  }
  assert.deepEqual([count, seen.size], [12, 12]);
});

Deno.test("the known messages that refer to another carry its reference", () => {
  const { ref } = kat.references.cases[kat.references.used_case]!;
  let count = 0;
  for (const { what, hex } of kat.references.used) {
    const message = decodeMessage(decodeHex(hex));
    assert.ok(message.type === "chat" || message.type === "note", what);
    assert.equal(message.type === "chat" ? message.reply : message.ref, ref, what);
    count++;
  }
  assert.equal(count, 4);
});
