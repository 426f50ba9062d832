import assert from "node:assert/strict";
import { nearest } from "../../lib/base/closest.ts";

Deno.test("nearest() finds what was probably meant", () => {
  const words = ["host", "port", "password", "password-file", "room", "room-capacity"];
  for (
    const [typed, meant] of [
      ["hots", "host"],
      ["prot", "port"],
      ["pass", "password"],
      ["passwordfile", "password-file"],
      ["password-", "password-file"],
      ["rom", "room"],
      ["capacity", "room-capacity"],
      ["", "host"],
    ] as const
  ) assert.equal(nearest(typed, words), meant, typed);
  // Of equally near ones the one that begins alike.
  assert.equal(nearest("quitt", ["quiet", "quit"]), "quit");
  assert.ok(words.includes(nearest("port".repeat(1_000_000), words)));
});
