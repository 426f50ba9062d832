import assert from "node:assert/strict";
import { hasJobControl } from "../../../lib/ui/terminal/tty.ts";

const JOBS: [string, boolean, string][] = [
  ["a shell", true, "1 0 1 ?\n10 1 10 pts/1\n20 10 20 pts/1\n"],
  ["a shell and a task runner", true, "10 1 10 pts/1\n15 10 15 pts/1\n20 15 15 pts/1\n"],
  ["nobody", false, "20 0 20 pts/1\n"],
  ["a terminal", false, "1 0 1 ?\n10 1 10 ?\n20 10 20 pts/1\n"],
  ["a terminal on another one", false, "10 1 10 pts/1\n20 10 20 pts/2\n"],
  ["a script that a terminal has started", false, "9 1 9 ?\n10 9 10 pts/1\n20 10 10 pts/1\n"],
  ["a process that is gone", false, "20 10 20 pts/1\n"],
  ["itself", false, "10 20 20 pts/1\n20 10 20 pts/1\n"],
];

Deno.test("hasJobControl() looks for a shell on the same terminal", () => {
  for (const [what, expected, processes] of JOBS) {
    assert.equal(hasJobControl(processes, 20), expected, what);
  }
  assert.equal(hasJobControl("", 20), false);
});
