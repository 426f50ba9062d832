import assert from "node:assert/strict";
import { type Block, drawBlock, eraseBlock, layoutBlock } from "../../../lib/ui/terminal/screen.ts";
import { changeBlock, insertLog } from "../../../lib/ui/terminal/screen_change.ts";
import { STATE } from "../../support/block_state.ts";

/** A terminal that understands what is written. */
class Emulator {
  readonly history: string[] = [];
  rows: string[][];
  x = 0;
  y = 0;
  #saved = [0, 0];

  readonly #height: number;

  constructor(readonly columns: number, height: number) {
    this.#height = height;
    this.rows = Array.from({ length: height }, () => []);
    this.y = height - 1;
  }

  write(output: string): void {
    // deno-lint-ignore no-control-regex
    const token = /\x1b\[(\d*)([@A-Z])|\x1b([78])|[\r\n\b\x20-\x7e]/y;
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
    else if (command === "@") this.#row.splice(this.x, 0, ...Array(Number(count)).fill(" "));
    else if (command === "P") this.#row.splice(this.x, Number(count));
    else if (command === "L") {
      this.rows.splice(this.y, 0, ...Array.from({ length: Number(count) }, () => []));
      assert.deepEqual(this.rows.splice(this.#height).flat(), [], "nothing falls off");
    } else if (command === "K") this.#row.length = count === "2" ? 0 : this.x;
    else {
      if (this.x === this.columns) {
        this.x = 0;
        this.#lineFeed();
      }
      this.#row[this.x++] = text;
    }
  }

  get #row(): string[] {
    return this.rows[this.y]!;
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

Deno.test("the log and the line stay apart through any sequence of changes", () => {
  // Pseudo-random numbers from a fixed seed, so that failures are reproducible.
  let seed = 1;
  const random = (below: number): number => {
    seed = (seed * 48271) % 0x7fffffff;
    return seed % below;
  };
  let [changes, insertions] = [0, 0];
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
        const end = random(3) === 0 ? random(line.length + 1) : line.length;
        const typed = random(2) === 0 ? "" : "yz".slice(random(2));
        const start = typed === "" ? random(end + 1) : end;
        line = line.slice(0, start) + typed + line.slice(end);
        cursor = random(3) === 0 ? random(line.length + 1) : start + typed.length;
      } else if (random(2) === 0) {
        line = "x".repeat(random(60));
        cursor = random(line.length + 1);
        below = Array.from({ length: random(3) }, () => "hint");
      }
      const block = layoutBlock({ ...STATE, line, cursor, below }, size);
      const change = drawn && news.length === 0 ? changeBlock(drawn, block, size) : undefined;
      if (change !== undefined) changes++;
      const inserted = drawn && news.length > 0 ? insertLog(drawn, news, block, size) : undefined;
      if (inserted !== undefined) insertions++;
      const frame = change ??
        (inserted === undefined
          ? drawBlock(drawn, news, block, size)
          : { output: inserted, drawn: drawn! });
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
  assert.ok(changes > 400 && insertions > 100, `${changes} ${insertions}`);
});

const CHANGES: [what: string, from: string, to: string, output: string | undefined][] = [
  ["nothing", "ab|", "ab|", ""],
  ["what is typed at the end", "ab|", "abc|", "c"],
  ["characters of other scripts", "grün|", "grün日|", "\x1b[?7l日\x1b[?7h"],
  [
    "a combining mark with what it belongs to",
    "e|",
    "e\u0301|",
    "\r\x1b[K\x1b[?7l> e\u0301\x1b[?7h",
  ],
  ["what is deleted at the end", "a bcd|", "a |", "\b\b\b\x1b[K"],
  ["a wide character that is deleted", "日|", "|", "\r\x1b[K> "],
  ["a step to the left", "abc|", "ab|c", "\x1b[1D"],
  ["steps to the right", "|abc", "ab|c", "\x1b[2C"],
  ["a step over a wide character", "日|", "|日", undefined],
  ["a step to another row", "abcdefghijklmnopqrstu|", "|abcdefghijklmnopqrstu", "\r\x1b[1A\x1b[2C"],
  ["what is typed before others", "a|c", "ab|c", "\x1b[1@b"],
  ["what is typed before a wide character", "a|日", "ab|日", undefined],
  ["what is deleted before others", "abcd|ef", "a|ef", "\x1b[3D\x1b[3P"],
  ["what is deleted behind the cursor", "a|bcd", "a|cd", "\x1b[1P"],
  ["another line", "one|", "two|", "\r\x1b[K> two"],
  ["what fills a row", "abcdefghijklmnopq|", "abcdefghijklmnopqr|", "r\r\n\x1b[K"],
  ["what is typed in the row below", "abcdefghijklmnopqr|", "abcdefghijklmnopqrs|", "s"],
  [
    "what is typed over the end of a row",
    "abcdefghijklmnopq|",
    "abcdefghijklmnopqrst|",
    "r\r\n\x1b[Kst",
  ],
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
