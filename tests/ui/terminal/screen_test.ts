import assert from "node:assert/strict";
import {
  type Block,
  type BlockState,
  changeBlock,
  drawBlock,
  eraseBlock,
  layoutBlock,
  layoutCandidates,
} from "../../../lib/ui/terminal/screen.ts";

const STATE: BlockState = {
  prompt: "> ",
  promptCode: "",
  line: "",
  cursor: 0,
  status: "",
  below: [],
  hintCode: "",
  utf8: true,
};

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

/** A terminal that understands what {@linkcode drawBlock} writes. */
class Emulator {
  readonly history: string[] = [];
  rows: string[][];
  x = 0;
  y = 0;
  #saved = [0, 0];

  constructor(readonly columns: number, height: number) {
    this.rows = Array.from({ length: height }, () => []);
    this.y = height - 1;
  }

  write(output: string): void {
    // deno-lint-ignore no-control-regex
    const token = /\x1b\[(\d*)([A-Z])|\x1b([78])|[\r\n\b\x20-\x7e]/y;
    if (output === "") return;
    for (let match = token.exec(output); match !== null; match = token.exec(output)) {
      this.#apply(match);
      if (token.lastIndex === output.length) return;
    }
    throw new Error(`not understood: ${JSON.stringify(output)}`);
  }

  #apply([text, count, command, save]: RegExpExecArray): void {
    if (text === "\r") this.x = 0;
    else if (text === "\n") this.#lineFeed();
    else if (text === "\b") this.x--;
    else if (save === "7") this.#saved = [this.x, this.y];
    else if (save === "8") [this.x, this.y] = this.#saved as [number, number];
    else if (command === "A") this.y = Math.max(0, this.y - Number(count || 1));
    else if (command === "B") this.y = Math.min(this.rows.length - 1, this.y + Number(count || 1));
    else if (command === "C") this.x += Number(count);
    else if (command === "D") this.x -= Number(count);
    else if (command === "K") this.rows[this.y]!.length = count === "2" ? 0 : this.x;
    else {
      if (this.x === this.columns) {
        this.x = 0;
        this.#lineFeed();
      }
      this.rows[this.y]![this.x++] = text;
    }
  }

  #lineFeed(): void {
    if (this.y < this.rows.length - 1) this.y++;
    else {
      this.history.push(this.rows.shift()!.join(""));
      this.rows.push([]);
    }
  }

  get text(): string[] {
    return [...this.history, ...this.rows.map((row) => row.join(""))];
  }
}

Deno.test("drawBlock() keeps the log and the line apart through any sequence of changes", () => {
  // Pseudo-random numbers from a fixed seed, so that failures are reproducible.
  let seed = 1;
  const random = (below: number): number => {
    seed = (seed * 48271) % 0x7fffffff;
    return seed % below;
  };
  let changes = 0;
  for (let run = 0; run < 50; run++) {
    const size = { columns: 5 + random(20), rows: 3 + random(10) };
    const emulator = new Emulator(size.columns, size.rows);
    const log: string[] = [];
    let drawn: Block | undefined;
    let [line, cursor, below] = ["", 0, [] as string[]];
    for (let step = 0; step < 40; step++) {
      const isTyping = random(3) > 0;
      const news = Array.from(
        { length: isTyping ? 0 : random(4) },
        () => `row ${log.length}`.slice(0, size.columns),
      );
      news.forEach((row, i) => log.push(news[i] = row));
      if (isTyping) {
        line = random(2) === 0
          ? line.slice(0, random(line.length + 1))
          : line + "yz".slice(random(2));
        cursor = random(3) === 0 ? random(line.length + 1) : line.length;
      } else {
        line = "x".repeat(random(60));
        cursor = random(line.length + 1);
        below = Array.from({ length: random(3) }, () => "hint");
      }
      const block = layoutBlock({ ...STATE, line, cursor, below }, size);
      const change = drawn && news.length === 0 ? changeBlock(drawn, block, size) : undefined;
      if (change !== undefined) changes++;
      const frame = change ?? drawBlock(drawn, news, block, size);
      emulator.write(frame.output);
      drawn = frame.drawn;
      const rows = emulator.text;
      const blockRows = drawn.rows.map((row) => row.plain);
      assert.deepEqual(rows.slice(-blockRows.length), blockRows);
      assert.deepEqual(rows.slice(0, -blockRows.length).filter((row) => row !== ""), log);
      assert.equal(emulator.y, size.rows - blockRows.length + drawn.cursorRow);
      assert.equal(emulator.x, drawn.beforeCursor.plain.length);
    }
    emulator.write(eraseBlock(drawn, size.columns));
    assert.deepEqual(emulator.text.filter((row) => row !== ""), log);
  }
  assert.ok(changes > 200, `${changes}`);
});

const CHANGES: [what: string, from: string, to: string, output: string | undefined][] = [
  ["nothing", "ab|", "ab|", ""],
  ["what is typed at the end", "ab|", "abc|", "c"],
  ["characters of other scripts", "grün|", "grün日|", "\x1b[?7l日\x1b[?7h"],
  ["a combining mark with what it belongs to", "e|", "e\u0301|", undefined],
  ["what is deleted at the end", "a bcd|", "a |", "\b\b\b\x1b[K"],
  ["a wide character that is deleted", "日|", "|", undefined],
  ["a step to the left", "abc|", "ab|c", "\x1b[1D"],
  ["steps to the right", "|abc", "ab|c", "\x1b[2C"],
  ["a step over a wide character", "日|", "|日", undefined],
  ["what is typed before others", "a|c", "ab|c", undefined],
  ["another line", "one|", "two|", undefined],
];

for (const [what, from, to, output] of CHANGES) {
  Deno.test(`changeBlock() writes no more than needed: ${what}`, () => {
    const size = { columns: 20, rows: 5 };
    const [old, block] = [from, to].map((line) =>
      layoutBlock({ ...STATE, line: line.replace("|", ""), cursor: line.indexOf("|") }, size)
    );
    assert.equal(changeBlock(old!, block!, size)?.output, output);
  });
}

Deno.test("changeBlock() leaves what a terminal of another width has wrapped to others", () => {
  const [old, block] = [20, 30].map((columns) => layoutBlock(STATE, { columns, rows: 5 }));
  assert.equal(changeBlock(old!, block!, { columns: 30, rows: 5 }), undefined);
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
