import assert from "node:assert/strict";
import { alignCells, namesTable } from "../../lib/ui/table.ts";

Deno.test("alignCells() makes columns as wide as they have to be, in terminal columns", () => {
  assert.deepEqual(alignCells([["a", "b"], ["日本", "ccc", "d"], ["x\u202e", "", "e"], []]), [
    "a        b",
    "日本     ccc  d",
    "x⟨202E⟩       e",
    "",
  ]);
});

Deno.test("namesTable() lists nick, trust, key, since when, and what else there is", () => {
  const now = new Date(2026, 0, 2, 12, 30);
  const rows = [
    { nick: "me", fingerprint: "SHA256:0123456789", away: "here and there" },
    {
      nick: "bob",
      fingerprint: "SHA256:abcdefghij",
      trust: "conflict",
      weak: true,
      ignored: true,
      since: new Date(2026, 0, 2, 9, 5).toISOString(),
      away: "lunch\n",
    },
    {
      nick: "me#2",
      fingerprint: "SHA256:0123456789",
      trust: "known",
      since: new Date(2026, 0, 1, 23, 59).toISOString(),
      away: "",
    },
  ] as const;
  const options = { own: rows[0].fingerprint, now };
  assert.deepEqual(namesTable(rows, { ...options, utf8: true }), [
    "me      you       01234567                          away: here and there",
    "bob   ✗ conflict  abcdefgh  since 09:05             weak key, ignored, away: lunch⟨000A⟩",
    "me#2    you       01234567  since 2026-01-01 23:59",
  ]);
  assert.match(namesTable(rows, { ...options, utf8: false })[1]!, /^bob {3}! conflict/);
});
