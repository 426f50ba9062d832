import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { FileEntry } from "../../lib/ui/conversation.ts";
import { type LayoutContext, layoutEntry } from "../../lib/ui/layout.ts";
import { type Row, Typesetter, widthOf } from "../../lib/ui/terminal/rows.ts";
import { chooseTheme, NickColors } from "../../lib/ui/theme.ts";
import { fileEntry } from "../support/entries.ts";

const NOON = new Date(2026, 10, 29, 12, 7).getTime();
const text = new Typesetter({ utf8: true });
const ascii = new Typesetter({ utf8: false });

function rowsOf(entry: FileEntry, rest: Partial<LayoutContext> = {}): Row[] {
  return layoutEntry({ ...entry, at: NOON }, false, {
    width: 79,
    nickWidth: 6,
    text,
    theme: chooseTheme("none", "unknown"),
    colors: new NickColors(),
    ownNick: "anna",
    maxRows: 16,
    query: "",
    timestamps: true,
    now: NOON,
    ...rest,
  });
}

function layOut(entry: FileEntry, rest: Partial<LayoutContext> = {}): string[] {
  return rowsOf(entry, rest).map((row) => row.map(({ text }) => text).join("").trimEnd());
}

const WIDTHS: Record<string, Partial<LayoutContext>> = {
  "80": {},
  "120": { width: 96 },
  "40": { width: 40 },
  "28": { width: 28, timestamps: false },
  "ASCII": { text: ascii },
};

const own = { own: true, nick: "anna", trust: "self" } as const;
const MOVING = { state: "moving", moved: 7_700_000, speed: 3_100_000 } as const;

const GOLDEN: [string, FileEntry, Record<string, string[]>][] = [
  ["an offer", fileEntry(), {
    "80": [
      "12:07    bob✓ offers release-note.pdf  12.4 MB",
      "            ╰ /accept 3 keeps it in ~/Downloads · /decline 3",
    ],
    "40": [
      "12:07 bob✓ offers release-note.pdf  12.4",
      "      MB",
      "     ╰/accept 3 keeps it · /decline 3",
    ],
    "28": [
      "bob✓ offers release-note.pdf",
      " 12.4 MB",
      "╰/accept 3 · /decline 3",
    ],
    "ASCII": [
      "12:07    bob+ offers release-note.pdf  12.4 MB",
      "            ` /accept 3 keeps it in ~/Downloads - /decline 3",
    ],
  }],
  [
    "a folder, and a program",
    fileEntry({ name: "photos", kind: "folder", files: 118, executable: true, size: null }),
    {
      "80": [
        "12:07    bob✓ offers photos  folder of 118  a program",
        "            ╰ /accept 3 keeps it in ~/Downloads · /decline 3",
      ],
    },
  ],
  ["what comes in", fileEntry({}, MOVING), {
    "80": [
      "12:07    bob✓ offers release-note.pdf  12.4 MB",
      "            ╰ ━━━━━━━━━━━━━━──────────  62 %  7.7 MB  3.1 MB/s  2 s left",
    ],
    "40": [
      "12:07 bob✓ offers release-note.pdf  12.4",
      "      MB",
      "     ╰━━━━━━━━━━───────  62 %  2 s left",
    ],
    "28": [
      "bob✓ offers release-note.pdf",
      " 12.4 MB",
      "╰━━━━━━────  62 %  2 s left",
    ],
    "ASCII": [
      "12:07    bob+ offers release-note.pdf  12.4 MB",
      "            ` ##############----------  62 %  7.7 MB  3.1 MB/s  2 s left",
    ],
  }],
  ["through the server", fileEntry({}, { ...MOVING, note: "through the server" }), {
    "80": [
      "12:07    bob✓ offers release-note.pdf  12.4 MB",
      "            ╰ ━━━━━━━━━━━━━━──────────  62 %  7.7 MB  3.1 MB/s  2 s left",
    ],
    "120": [
      "12:07    bob✓ offers release-note.pdf  12.4 MB",
      "            ╰ ━━━━━━━━━━━━━━──────────  62 %  7.7 MB  3.1 MB/s  2 s left  through the server",
    ],
  }],
  ["of unknown size", fileEntry({ size: null }, MOVING), {
    "80": ["12:07    bob✓ offers release-note.pdf", "            ╰ 7.7 MB  3.1 MB/s"],
  }],
  ["paused", fileEntry({}, { state: "paused", note: "paused; it goes on when bob is back" }), {
    "80": [
      "12:07    bob✓ offers release-note.pdf  12.4 MB",
      "            ╰ paused; it goes on when bob is back",
    ],
  }],
  ["kept", fileEntry({}, { state: "done", note: "kept as ~/Downloads/notes (2).txt" }), {
    "80": [
      "12:07    bob✓ offers release-note.pdf  12.4 MB",
      "            ╰ kept as ~/Downloads/notes (2).txt",
    ],
  }],
  ["a full disk", fileEntry({}, { note: "the disk is full; then /accept 3" }), {
    "80": [
      "12:07    bob✓ offers release-note.pdf  12.4 MB",
      "            ╰ the disk is full; then /accept 3",
    ],
  }],
  ["one's own", fileEntry(own), {
    "80": [
      "12:07   anna  offers release-note.pdf  12.4 MB",
      "            ╰ waits for an answer · /cancel 3",
    ],
    "40": [
      "12:07 anna offers release-note.pdf  12.4",
      "      MB",
      "     ╰waits for an answer · /cancel 3",
    ],
  }],
  [
    "one's own, to several",
    fileEntry(
      own,
      { ...MOVING },
      { nick: "carl", state: "done" },
      { nick: "dora", state: "done" },
      { nick: "jiří" },
      { nick: "eve", state: "declined", note: "declined by eve" },
    ),
    {
      "80": [
        "12:07   anna  offers release-note.pdf  12.4 MB",
        "            ╰ bob  ━━━━━━━━━━━━━━──────────  62 %  7.7 MB  3.1 MB/s  2 s left",
        "            ╰ eve  declined by eve",
        "            ╰ are there: carl, dora",
      ],
    },
  ],
  ["a long nick", fileEntry({ nick: "maximilian" }), {
    "80": [
      "12:07 maximilian✓",
      "              offers release-note.pdf  12.4 MB",
      "            ╰ /accept 3 keeps it in ~/Downloads · /decline 3",
    ],
  }],
];

for (const [name, entry, golden] of GOLDEN) {
  Deno.test(`a file as rows: ${name}`, () => {
    for (const [width, expected] of Object.entries(golden)) {
      deepEqual(layOut(entry, WIDTHS[width]), expected, width);
    }
  });
}

Deno.test("no row of a file is wider than there is room, nor without a sign of the face", () => {
  for (const [, entry] of GOLDEN) {
    for (let width = 12; width < 120; width++) {
      for (const row of rowsOf(entry, { width, timestamps: width >= 30 })) {
        ok(widthOf(row) <= width, `${width}`);
      }
    }
    for (const row of layOut(entry, { text: ascii, width: 50 }).slice(-1)) {
      match(row, /^[\x20-\x7e]*$/);
    }
  }
});

Deno.test("a name and a note never leave their rows", () => {
  const rows = layOut(fileEntry(
    { name: "a\n12:08 bob✓ forged\x1b[2J\u202e" },
    { state: "failed", note: "no\n12:08 bob✓ forged" },
  ));
  equal(rows.length, 2);
  // deno-lint-ignore no-control-regex
  for (const row of rows) ok(!/[\x1b\n\u202e]/.test(row));
});

Deno.test("of many receivers the first are shown, and how many there are", () => {
  const many = Array.from({ length: 20 }, (_, i) => ({ nick: `p${i}`, ...MOVING }));
  const rows = layOut(fileEntry(own, ...many));
  equal(rows.length, 8);
  match(rows.at(-1)!, /and 14 more: \/files$/);
});
