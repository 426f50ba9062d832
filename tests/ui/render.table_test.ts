import assert from "node:assert/strict";
import { namesTable } from "../../lib/ui/render.ts";

Deno.test("namesTable() lists nick, trust, key, since when, and remarks", () => {
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
