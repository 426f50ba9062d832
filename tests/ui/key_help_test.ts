import assert from "node:assert/strict";
import { keyHelp, keyLines, type KeyRow } from "../../lib/ui/key_help.ts";
import { InputLine } from "../../lib/ui/terminal/input.ts";
import { KeyParser } from "../../lib/ui/terminal/keys.ts";
import { InputReader } from "../../lib/ui/terminal/paste.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { readProject } from "../support/project.ts";

/** What a terminal sends for each key that is no letter with a modifier. */
const SENT: Readonly<Record<string, string>> = {
  "Enter": "\r",
  "Alt-Enter": "\x1b\r",
  "Shift-Enter": "\x1b[13;2u",
  "Tab": "\t",
  "Shift-Tab": "\x1b[Z",
  "Backspace": "\x7f",
  "Alt-Backspace": "\x1b\x7f",
  "Delete": "\x1b[3~",
  "Esc": "\x1b[27u",
  "F1": "\x1bOP",
  "PgUp": "\x1b[5~",
  "PgDn": "\x1b[6~",
  "Alt-1 to Alt-9": "\x1b5",
};
const ARROWS: Readonly<Record<string, string>> = {
  Up: "A",
  Down: "B",
  Right: "C",
  Left: "D",
  End: "F",
  Home: "H",
};
const MODIFIERS: Readonly<Record<string, string>> = { Shift: "1;2", Alt: "1;3", Ctrl: "1;5" };

function sentFor(key: string): string {
  const special = SENT[key];
  if (special !== undefined) return special;
  const [name = "", modifier = ""] = key.split("-").reverse();
  const arrow = ARROWS[name];
  if (arrow !== undefined) return `\x1b[${MODIFIERS[modifier] ?? ""}${arrow}`;
  assert.equal(name.length, 1, key);
  if (modifier === "Alt") return `\x1b${name.toLowerCase()}`;
  assert.equal(modifier, "Ctrl", key);
  return String.fromCharCode(name.charCodeAt(0) & 0x1f);
}

/** What a line passes on when it is empty, and when there is text on both sides of the cursor. */
function passedOn(key: string): string[] {
  const told: string[] = [];
  for (const before of ["", "one\ntwo three\nfour\x1b[A"]) {
    const clock = new FakeClock();
    const input = new InputLine(
      {
        maxBytes: 100,
        complete: () => ({ start: 0, end: 0, candidates: [] }),
        onLine: () => {},
        onKey: (name) => told.push(name),
        onInterrupt: () => {},
        onEnd: () => {},
      },
      { redraw() {}, bell() {}, clear() {}, stop() {} },
      clock,
    );
    const reader = new InputReader(clock, (inputs) => inputs.forEach((one) => input.take(one)));
    for (const text of [before, sentFor(key)]) reader.feed(new TextEncoder().encode(text));
  }
  return told;
}

const FULL = keyHelp("full");

Deno.test("the keys of the help are keys, and each is named once in its section", () => {
  for (const { title, rows } of FULL) {
    const keys = rows.flatMap(({ keys }) => keys);
    assert.equal(new Set(keys).size, keys.length, title);
    for (const key of keys) {
      const parser = new KeyParser();
      const inputs = [...parser.feed(sentFor(key)).inputs, ...parser.flush()];
      assert.deepEqual(inputs.map(({ type }) => type), ["key"], key);
    }
  }
});

Deno.test("the line knows all keys of the help for writing, and passes on those of conversations", () => {
  const keysOf = (rows: readonly KeyRow[]) => rows.flatMap(({ keys }) => keys);
  for (const { title, rows } of keyHelp("plain")) {
    for (const key of keysOf(rows).filter((key) => key !== "F1" && key !== "Esc")) {
      // Shift-Tab and the like mean something only in a mode.
      const isKnown = title !== "Conversations";
      if (key === "Shift-Tab" || key === "Ctrl-G") continue;
      assert.equal(passedOn(key).length === 0, isKnown, key);
    }
  }
  assert.deepEqual(passedOn("F1"), ["f1", "f1"]);
});

Deno.test("keyLines() has a line for each row, and only keys that the face has", () => {
  assert.equal(
    keyLines("full").length,
    FULL.reduce((sum, { rows }) => sum + 1 + rows.length, 0),
  );
  assert.ok(!keyLines("plain").join("\n").includes("PgUp"));
  assert.match(keyLines("plain").join("\n"), /^ {2}Ctrl-W +cut back to white space$/m);
});

Deno.test("docs/terminal.md lists the keys", async () => {
  const text = await readProject("docs/terminal.md");
  const listed = [...text.matchAll(/^\| (.+?) *\| (.+?) *\|$/gm)]
    .map(([, keys, does]) => [keys, does]);
  for (const { title, rows } of FULL) {
    assert.ok(text.includes(`\n### ${title}\n`), title);
    for (const { keys, does } of rows) {
      assert.ok(listed.some((row) => row.join() === [keys.join(", "), does].join()), keys[0]);
    }
  }
});
