import assert from "node:assert/strict";
import { alignCells } from "../../lib/ui/table.ts";

Deno.test("alignCells() makes each column as wide as its widest cell on a terminal", () => {
  assert.deepEqual(alignCells([["a", "b"], ["日本", "ccc", "d"], ["x\u202e", "", "e"], []]), [
    "a        b",
    "日本     ccc  d",
    "x⟨202E⟩       e",
    "",
  ]);
});
