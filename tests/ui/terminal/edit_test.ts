import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { EditBuffer } from "../../../lib/ui/terminal/edit.ts";

const FAMILY = "👩\u200d👩\u200d👧";

/** Presses keys given as `<C-w>`; everything else is typed, a character at a time. */
function use(buffer: EditBuffer, script: string): EditBuffer {
  for (const [, key, text] of script.matchAll(/<([\w-]+)>|([^])/gu)) {
    if (key === undefined) buffer.type(text!);
    else assert.ok(buffer.press(key), key);
  }
  return buffer;
}

/** The text with `|` at the cursor. */
function show({ text, cursor }: EditBuffer): string {
  return `${text.slice(0, cursor)}|${text.slice(cursor)}`;
}

const CASES: [string, string][] = [
  ["abc", "abc|"],
  // Moving, by clusters, words, rows.
  [`a${FAMILY}e\u0301<left><C-b>`, `a|${FAMILY}e\u0301`],
  [`a${FAMILY}b<home><right><C-f>`, `a${FAMILY}|b`],
  ["<left><right>", "|"],
  ["ae\u0301b, cd<M-b><M-b>", "|ae\u0301b, cd"],
  ["ae\u0301b, cd<C-left>", "ae\u0301b, |cd"],
  ["one, two<home><M-f>", "one|, two"],
  ["one, two<home><C-right><M-right>", "one, two|"],
  ["a\u200d b<home><M-f>", "a\u200d| b"],
  ["ab<C-j>cd<home>", "ab\n|cd"],
  ["ab<C-j>cd<left><left><left><C-a>", "|ab\ncd"],
  ["ab<C-j>cd<C-home><C-e>", "ab|\ncd"],
  ["ab<M-enter>cd<C-home>", "|ab\ncd"],
  ["ab<S-enter>cd<C-home><C-end>", "ab\ncd|"],
  ["<C-j>a<left><left><home>", "|\na"],
  ["abc<C-j>d<C-j>efg<up>", "abc\nd|\nefg"],
  ["abc<C-j>d<C-j>efg<up><up>", "abc|\nd\nefg"],
  ["abc<C-j>d<C-j>efg<C-home><right><right><down><down>", "abc\nd\nef|g"],
  [`日${FAMILY}<C-j>abc<left><up>`, `日${FAMILY}|\nabc`],
  // Deleting.
  [`a${FAMILY}<backspace><backspace><backspace>`, "|"],
  [`${FAMILY}e\u0301x<home><delete><C-d>`, "|x"],
  ["ab<C-h>", "a|"],
  // Cutting and putting back.
  ["one two-three<C-w>", "one |"],
  ["one two  <C-w><C-w>", "|"],
  ["one two-three<M-backspace>", "one two-|"],
  ["one two-three<C-backspace><C-backspace><C-y>", "one two-three|"],
  ["one two<home><M-d><M-d><C-y>", "one two|"],
  ["one two<left><C-u>", "|o"],
  ["ab<C-j>cd<C-u><C-u>", "ab\n|"],
  ["ab<C-j>cd<C-home><right><C-k>", "a|\ncd"],
  ["ab<C-j>cd<C-home><right><C-k><C-k>", "a|cd"],
  ["a b c<C-w><C-w><left><C-y>", "ab c| "],
  ["one<C-u>two<C-u><C-y><M-y>", "one|"],
  ["one<C-u>two<C-u><C-y><M-y><M-y>", "two|"],
  ["one<C-u>two<C-u><M-y>", "|"],
  ["one<C-u>\u0301e<C-u>\u0301<home><C-y><M-y>", "one\u0301|"],
  ["<C-y>", "|"],
  // Swapping.
  ["abc<C-t>", "acb|"],
  ["abc<left><C-t>", "acb|"],
  ["abc<left><left><C-t>", "ba|c"],
  ["abc<home><C-t>", "|abc"],
  ["a<C-t>", "a|"],
  [`a${FAMILY}<C-t>`, `${FAMILY}a|`],
  // Undo and redo.
  ["one two three<C-_>", "one two|"],
  ["one two three<C-_><C-_>", "one|"],
  ["one two three<C-_><C-_><C-_><C-_>", "|"],
  ["one two<C-_><C-_><M-_>", "one|"],
  ["one two<C-_><C-_><M-_><M-_><M-_>", "one two|"],
  ["one two<C-_>!<M-_>", "one!|"],
  ["abc<backspace><backspace><C-_>", "abc|"],
  ["one<home><C-k><C-_>", "|one"],
  ["one<C-u><C-y><C-_>", "|"],
];

Deno.test("EditBuffer does what each key means", () => {
  for (const [script, expected] of CASES) {
    assert.equal(show(use(new EditBuffer(), script)), expected, script);
  }
});

Deno.test("EditBuffer leaves what is beyond the first and last row to its caller", () => {
  const buffer = use(new EditBuffer(), "a<C-j>b");
  assert.deepEqual([buffer.isInFirstRow, buffer.isInLastRow], [false, true]);
  assert.equal(buffer.press("down"), false);
  assert.equal(buffer.press("up"), true);
  assert.deepEqual([buffer.isInFirstRow, buffer.isInLastRow], [true, false]);
  assert.equal(buffer.press("up"), false);
  for (const name of ["enter", "tab", "C-c", "f1", "M-1", "escape", ""]) {
    assert.equal(buffer.press(name), false, name);
  }
  assert.equal(show(buffer), "a|\nb");
});

Deno.test("EditBuffer shares what was cut with others", () => {
  const kills: string[] = [];
  use(new EditBuffer(kills), "secret<C-u>");
  assert.equal(show(use(new EditBuffer(kills), "<C-y>")), "secret|");
  assert.equal(show(use(new EditBuffer(), "<C-y>")), "|");
  for (let i = 0; i < 100; i++) use(new EditBuffer(kills), `${i}<C-u>`);
  assert.equal(kills.length, 32);
});

Deno.test("EditBuffer.set() can be undone, reset() cannot", () => {
  const buffer = use(new EditBuffer(), "one");
  buffer.set("e\u0301", 1);
  assert.equal(show(buffer), "e\u0301|");
  assert.equal(show(use(buffer, "<C-_>")), "one|");
  buffer.reset("two", 0);
  assert.equal(show(use(buffer, "<C-_><M-_>")), "|two");
  buffer.reset();
  assert.equal(show(buffer), "|");
});

Deno.test("EditBuffer.insert() is one step of undo, whatever it contains", () => {
  const buffer = use(new EditBuffer(), "a");
  buffer.insert("b c\nd");
  assert.equal(show(use(buffer, "e<C-_>")), "ab c\nd|");
  assert.equal(show(use(buffer, "<C-_>")), "a|");
});

Deno.test("EditBuffer refuses what makes the text too long", () => {
  const buffer = new EditBuffer();
  assert.ok(buffer.insert("x".repeat(65535)));
  assert.equal(buffer.insert("yy"), false);
  assert.equal(buffer.type("yy"), false);
  assert.ok(buffer.type("y"));
  assert.equal(buffer.press("C-j"), false);
  buffer.press("C-w");
  assert.ok(buffer.press("C-y"));
  assert.equal(buffer.press("C-y"), false);
  assert.equal(buffer.text.length, 65536);
});

Deno.test("EditBuffer keeps at most 200 steps of undo, and fewer of a long text", () => {
  const short = new EditBuffer();
  for (let i = 0; i < 300; i++) short.insert("x");
  for (let i = 0; i < 300; i++) short.press("C-_");
  assert.equal(short.text.length, 100);
  const long = new EditBuffer();
  long.insert("x".repeat(65000));
  for (let i = 0; i < 100; i++) long.insert("x");
  for (let i = 0; i < 100; i++) long.press("C-_");
  assert.equal(long.text.length, 65100 - 16);
});

Deno.test("EditBuffer keeps the cursor between clusters, and undo leads back, whatever is pressed", () => {
  const keys = fc.constantFrom(
    ...["left", "right", "C-left", "C-right", "home", "end", "C-home", "C-end", "up", "down"],
    ...["backspace", "delete", "C-w", "M-backspace", "M-d", "C-u", "C-k", "C-y", "M-y", "C-t"],
    ...["C-_", "M-_", "C-j"],
  ).map((key) => (buffer: EditBuffer) => buffer.press(key));
  const texts = fc.constantFrom(
    ...["a", "é", "e\u0301", "日", FAMILY, "\u0301", "🇩", "🇪", "👍🏽", "\u200d", " ", "\n", "한"],
    ...["\u1100", "\u1161", "का", "\ud83d", "\udc4d"],
  ).map((text) => (buffer: EditBuffer) => buffer.type(text));
  fc.assert(
    fc.property(fc.array(fc.oneof(keys, texts), { maxLength: 60 }), (steps) => {
      const buffer = new EditBuffer();
      for (const step of steps) {
        step(buffer);
        const { text, cursor } = buffer;
        const starts = Array.from(new Intl.Segmenter().segment(text), ({ index }) => index);
        assert.ok([...starts, text.length].includes(cursor), JSON.stringify(show(buffer)));
      }
      for (let i = 0; i < steps.length; i++) buffer.press("C-_");
      assert.equal(buffer.text, "");
    }),
    { numRuns: 500 },
  );
});
