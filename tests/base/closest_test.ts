import assert from "node:assert/strict";
import { closestWord } from "../../lib/base/closest.ts";

Deno.test("closestWord() finds what was probably meant", () => {
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
      ["PORT", "port"],
      ["p", "port"],
    ] as const
  ) assert.equal(closestWord(typed, words), meant, typed);
  // Of equally near ones the one that begins alike.
  assert.equal(closestWord("quitt", ["quiet", "quit"]), "quit");
  assert.equal(closestWord("x".repeat(4_000_000), words), undefined);
});

Deno.test("closestWord() finds nothing where no word is close", () => {
  const words = ["quit", "to", "host", "verify", "me"];
  for (const typed of ["", "join", "h2", "xyzzy", "who", "z", "7", "constructor"]) {
    assert.equal(closestWord(typed, words), undefined, typed);
  }
});
