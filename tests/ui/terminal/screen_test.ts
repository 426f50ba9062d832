import assert from "node:assert/strict";
import {
  type Block,
  type BlockState,
  drawBlock,
  eraseBlock,
  layoutBlock,
  layoutCandidates,
} from "../../../lib/ui/terminal/screen.ts";
import { STATE } from "../../support/block_state.ts";

/** Lays out a line with the cursor at `|`; returns the rows with that mark. */
function layOut(
  line: string,
  columns: number,
  rest: Partial<BlockState> = {},
  rows = 24,
): string[] {
  const cursor = line.indexOf("|");
  const state = { ...STATE, ...rest, line: line.replace("|", ""), cursor };
  return show(layoutBlock(state, { columns, rows }));
}

function show(block: Block): string[] {
  const rows = block.rows.map((row) => row.plain);
  const before = block.beforeCursor.plain;
  const row = rows[block.cursorRow]!;
  assert.ok(row.startsWith(before));
  rows[block.cursorRow] = `${before}|${row.slice(before.length)}`;
  return rows;
}

const LAYOUTS: [string, string, number, string[]][] = [
  ["an empty line", "|", 8, ["> |"]],
  ["a row that is not full", "abcde|", 8, ["> abcde|"]],
  ["the cursor behind a full row", "abcdef|", 8, ["> abcdef", "|"]],
  ["the cursor on the last column", "abcde|f", 8, ["> abcde|f"]],
  ["the cursor on the first column", "abcdef|g", 8, ["> abcdef", "|g"]],
  ["a wide character that does not fit", "abcde日|", 8, ["> abcde", "日|"]],
  ["a wide character that just fits", "abcd日|", 8, ["> abcd日", "|"]],
  ["a combining mark at the last column", "abcdee\u0301|", 8, ["> abcdee\u0301", "|"]],
  ["the cursor inside of a cluster before it", "ae|\u0301b", 8, ["> a|e\u0301b"]],
  ["line breaks", "a\n\nb|", 8, ["> a", "", "b|"]],
  ["the cursor before a line break", "a|\nb", 8, ["> a|", "b"]],
  ["a line break behind a full row", "abcdef\n|b", 8, ["> abcdef", "|b"]],
  ["a line break at the end", "a\n|", 8, ["> a", "|"]],
  ["what does not print by its number", "a\u202e|b", 20, ["> a⟨202E⟩|b"]],
  ["a tab as blanks", "\t|b", 20, [">     |b"]],
  // Some terminals draw this as three emoji of two columns each.
  ["joined emoji with room for all their parts", "a👩\u200d👩\u200d👧|", 8, [
    "> a",
    "👩\u200d👩\u200d👧|",
  ]],
  ["a cluster wider than the terminal in several rows", `a${"\u1100".repeat(5)}|`, 8, [
    "> a\u1100\u1100",
    "\u1100\u1100\u1100|",
  ]],
];

for (const [what, line, columns, expected] of LAYOUTS) {
  Deno.test(`layoutBlock() lays out ${what}`, () => {
    assert.deepEqual(layOut(line, columns), expected);
  });
}

Deno.test("layoutBlock() puts the status above and hints below, wrapped at words", () => {
  const rest = { status: "working on it", below: ["日本日本日本", "b  c"] };
  assert.deepEqual(layOut("x|", 10, rest), [
    "working on",
    "it",
    "> x|",
    "日本日本日",
    "本",
    "b  c",
  ]);
  assert.deepEqual(layOut("x|", 80, rest, 3), ["working on it", "> x|"]);
});

Deno.test("layoutBlock() shows the rows around the cursor of a line that is too high", () => {
  const line = "01234567".repeat(10).slice(2);
  const rows = 8;
  const rowsAt = (cursor: number): string[] =>
    layOut(line.slice(0, cursor) + "|" + line.slice(cursor), 8, {}, rows);
  assert.deepEqual(rowsAt(0), ["> |234567", "01234567", "01234567"]);
  assert.deepEqual(rowsAt(39), ["01234567", "0|1234567", "01234567"]);
  assert.deepEqual(rowsAt(77), ["01234567", "01234567", "0123456|7"]);
});

Deno.test("layoutBlock() gives ASCII only where the terminal takes no more", () => {
  const rest = { utf8: false, prompt: "ü> ", below: ["a — b"] };
  assert.deepEqual(layOut("日\u202e|", 40, rest), ["<FC>> <65E5><202E>|", "a - b"]);
});

Deno.test("layoutBlock() colours the prompt on each of its rows", () => {
  const state = { ...STATE, prompt: "abcdef> ", promptCode: "1", line: "x", cursor: 1 };
  const block = layoutBlock(state, { columns: 80, rows: 24 });
  assert.deepEqual(block.rows.map((row) => row.text), ["\x1b[1mabcdef> \x1b[0mx"]);
  assert.equal(show(layoutBlock(state, { columns: 5, rows: 24 })).join("/"), "abcde/f> x|");
});

Deno.test("layoutBlock() lays out a line of thousands of clusters", () => {
  const line = "é日".repeat(4000);
  const block = layoutBlock({ ...STATE, line, cursor: line.length }, { columns: 80, rows: 24 });
  assert.equal(block.rows.length, 11);
});

Deno.test("layoutCandidates() arranges columns and counts what does not fit", () => {
  const candidates = ["alice", "bob", "日本", "dora", "e"];
  const options = { columns: 19, maxRows: 9, utf8: true };
  assert.deepEqual(layoutCandidates(candidates, options), ["alice  bob    日本", "dora   e"]);
  assert.deepEqual(layoutCandidates(candidates, { ...options, columns: 18 }), [
    "alice  bob",
    "日本   dora",
    "e",
  ]);
  assert.deepEqual(layoutCandidates(candidates, { ...options, columns: 8, maxRows: 3 }), [
    "alice",
    "bob",
    "(3 more)",
  ]);
  assert.deepEqual(layoutCandidates([], options), []);
});

Deno.test("drawBlock() keeps rows from wrapping whose width terminals disagree about", () => {
  const size = { columns: 10, rows: 5 };
  const block = layoutBlock({ ...STATE, line: "日", cursor: 1 }, size);
  const { output } = drawBlock(
    undefined,
    ["abc", "\x1b[1m①②③\x1b[0m", "é".repeat(11)],
    block,
    size,
  );
  // Rows laid out for a wider window do wrap.
  const rows = ["abc", "\x1b[?7l\x1b[1m①②③\x1b[0m\x1b[?7h", "é".repeat(11)];
  const line = "\x1b[?7l> 日\x1b[?7h";
  assert.equal(output, `\r${rows.join("\r\n")}\r\n\x1b[K${line}`);
});

Deno.test("eraseBlock() moves up over rows that a narrower terminal has wrapped", () => {
  const line = "x".repeat(38);
  const wide = layoutBlock({ ...STATE, line, cursor: 38 }, { columns: 80, rows: 24 });
  assert.equal(eraseBlock(wide, 80), "\r\x1b7\x1b[2K\x1b8");
  assert.equal(eraseBlock(wide, 40), "\r\x1b7\x1b[2K\x1b8");
  assert.equal(eraseBlock(wide, 39), "\r\x1b[1A\x1b7\x1b[2K\x1b[1B\x1b[2K\x1b8");
  assert.equal(eraseBlock(undefined, 80), "\r");
});
