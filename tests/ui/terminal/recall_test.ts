import assert from "node:assert/strict";
import { EditBuffer } from "../../../lib/ui/terminal/edit.ts";
import { Recall, RecallSearch, SentLines } from "../../../lib/ui/terminal/recall.ts";

function sent(...lines: string[]): SentLines {
  const all = new SentLines();
  for (const line of lines) all.add(line);
  return all;
}

Deno.test("Recall goes to older and newer lines, and back to what was being typed", () => {
  const buffer = new EditBuffer();
  const recall = new Recall(sent("one", "two"), buffer);
  buffer.set("draft", 2);
  const seen = (["older", "older", "older", "newer", "newer", "newer"] as const).map((step) => {
    recall[step]();
    return buffer.text;
  });
  assert.deepEqual(seen, ["two", "one", "one", "two", "draft", "draft"]);
  assert.equal(buffer.cursor, 2);
});

Deno.test("Recall begins anew at the newest line, and undo brings back what it replaced", () => {
  const buffer = new EditBuffer();
  const recall = new Recall(sent("one", "two"), buffer);
  recall.older();
  recall.older();
  buffer.reset();
  recall.restart();
  buffer.type("x");
  recall.older();
  assert.equal(buffer.text, "two");
  buffer.press("C-_");
  assert.equal(buffer.text, "x");
});

Deno.test("SentLines keeps a line once, where it was sent last, and at most 500", () => {
  const lines = sent("one", "two", "one");
  assert.deepEqual([lines.length, lines.text(0), lines.text(1)], [2, "two", "one"]);
  for (let i = 0; i < 600; i++) lines.add(`${i}`);
  assert.deepEqual([lines.length, lines.text(0)], [500, "100"]);
});

Deno.test("what was sent to one person is recalled only there", () => {
  const lines = sent("to all");
  lines.add("to bob", "bob");
  lines.add("to carl", "carl");
  for (
    const [place, expected] of [
      [undefined, ["to all", "to all"]],
      ["bob", ["to bob", "to all"]],
      ["carl", ["to carl", "to all"]],
    ] as const
  ) {
    const buffer = new EditBuffer();
    const recall = new Recall(lines, buffer, place);
    const seen = expected.map(() => {
      recall.older();
      return buffer.text;
    });
    assert.deepEqual(seen, expected);
    const search = new RecallSearch(lines, place);
    search.type("to bob");
    assert.equal(search.found, place === "bob" ? "to bob" : undefined);
  }
});

Deno.test("RecallSearch finds the newest line that contains what is typed", () => {
  const search = new RecallSearch(sent("Ein Bär", "zwei Bären", "drei"));
  assert.equal(search.found, undefined);
  search.type("BÄR");
  assert.equal(search.found, "zwei Bären");
  const seen = ["C-r", "up", "C-s", "down"].map((key) => {
    assert.ok(search.press(key));
    return search.found;
  });
  assert.deepEqual(seen, ["Ein Bär", "Ein Bär", "zwei Bären", "zwei Bären"]);
  search.type("x");
  assert.equal(search.found, undefined);
  search.press("backspace");
  assert.equal(search.found, "zwei Bären");
  search.press("C-u");
  assert.equal(search.found, undefined);
  search.press("C-r");
  assert.equal(search.found, "drei");
  assert.equal(search.press("enter"), false);
  assert.equal(search.press("left"), false);
});
