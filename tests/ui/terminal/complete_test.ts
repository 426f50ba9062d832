import assert from "node:assert/strict";
import { CompletionMenu } from "../../../lib/ui/terminal/complete.ts";
import { EditBuffer } from "../../../lib/ui/terminal/edit.ts";

function open(line: string, start: number, end: number, candidates: readonly string[]) {
  const buffer = new EditBuffer();
  buffer.set(line, end);
  return { buffer, menu: CompletionMenu.open(buffer, { start, end, candidates }) };
}

/** The text with `|` at the cursor. */
function show({ text, cursor }: EditBuffer): string {
  return `${text.slice(0, cursor)}|${text.slice(cursor)}`;
}

const COMPLETIONS: [string, number, number, string[], string, boolean][] = [
  ["/n", 0, 2, ["/nick "], "/nick |", false],
  ["/n", 0, 2, ["/names", "/nick"], "/n|", true],
  ["/ni x", 0, 3, ["/nick"], "/nick| x", false],
  ["a", 0, 1, ["alice", "alina"], "ali|", false],
  ["AL", 0, 2, ["alice", "alina"], "ali|", false],
  ["AL", 0, 2, ["Alice", "albert"], "AL|", true],
  ["AL", 0, 2, ["al"], "al|", false],
  ["x", 0, 1, [], "x|", false],
  ["", 0, 0, ["e\u0301", "e\u0300"], "|", true],
  ["", 0, 0, ["👍", "👎"], "|", true],
];

Deno.test("CompletionMenu.open() completes what is common, or offers the candidates", () => {
  for (const [line, start, end, candidates, expected, isOffered] of COMPLETIONS) {
    const { buffer, menu } = open(line, start, end, candidates);
    assert.equal(show(buffer), expected);
    assert.deepEqual(menu?.candidates, isOffered ? candidates : undefined);
  }
});

Deno.test("CompletionMenu goes round the candidates, and puts back what was typed", () => {
  const { buffer, menu } = open("@n hello", 0, 2, ["@nina", "@nora", "@noël"]);
  assert.ok(menu);
  assert.equal(menu.chosen, undefined);
  const seen = [1, 1, 1, 1, -1, -1].map((step) => {
    menu.step(step);
    return `${menu.chosen} ${show(buffer)}`;
  });
  assert.deepEqual(seen, [
    "0 @nina| hello",
    "1 @nora| hello",
    "2 @noël| hello",
    "0 @nina| hello",
    "2 @noël| hello",
    "1 @nora| hello",
  ]);
  menu.cancel();
  assert.equal(show(buffer), "@n| hello");
  menu.step(-1);
  assert.equal(show(buffer), "@noël| hello");
});

Deno.test("CompletionMenu.cancel() leaves the line alone before a candidate was chosen", () => {
  const { buffer, menu } = open("/n x", 0, 2, ["/names", "/nick"]);
  buffer.press("end");
  menu?.cancel();
  assert.equal(show(buffer), "/n x|");
});
