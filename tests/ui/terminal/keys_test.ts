import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { KeyParser, type ParsedInput } from "../../../lib/ui/terminal/keys.ts";

/** `abc<enter>`; a report is `{…}`. */
function show(inputs: readonly ParsedInput[]): string {
  return inputs.map((input) => {
    switch (input.type) {
      case "text":
        return input.text;
      case "key":
        return `<${input.name}>`;
      case "focus":
        return input.focused ? "<focus>" : "<blur>";
      case "report":
        return `{${input.text}}`;
      case "pasteEnd":
        return "<pasteEnd>";
    }
  }).join("");
}

/** What comes of some reads. */
function parse(reads: readonly string[]): string {
  const parser = new KeyParser();
  return reads.map((read) => show(parser.feed(read).inputs)).join("");
}

const KEYS: [string, string][] = [
  ["abc é日👍", "abc é日👍"],
  ["\r\t\x7f", "<enter><tab><backspace>"],
  ["\n\x00\x08", "<C-j><C-space><C-backspace>"],
  ["\x01\x1f\x17\x15\x0b\x19\x12", "<C-a><C-_><C-w><C-u><C-k><C-y><C-r>"],
  ["\x1c\x1d\x1e", "<C-\\><C-]><C-^>"],
  // Cursor keys, with modifiers, of an application, of the keypad.
  ["\x1b[A\x1b[1;5D\x1b[1;3C\x1bOA\x1bOH\x1bO5C", "<up><C-left><M-right><up><home><C-right>"],
  ["\x1b[H\x1b[F\x1b[1~\x1b[4~\x1b[3~\x1b[3;5~", "<home><end><home><end><delete><C-delete>"],
  ["\x1b[5~\x1b[6;2~\x1b[1;6A\x1b[1;8B", "<pageup><S-pagedown><C-S-up><M-C-S-down>"],
  ["\x1bOM\x1bOk\x1bOp\x1bOn", "<enter>+0."],
  // Alt.
  ["\x1bb\x1bB\x1b1\x1b\r\x1b\x7f\x1b ", "<M-b><M-B><M-1><M-enter><M-backspace><M-space>"],
  ["\x1b\x1b[A\x1b\x1bOA\x1b\x01", "<M-up><M-up><M-C-a>"],
  ["\x1bé", "<M-é>"],
  // Function keys: xterm, the Linux console.
  [
    "\x1bOP\x1b[11~\x1b[15~\x1b[24~\x1b[1;2P\x1bO1;2Q\x1b[1;2R\x1b[13;2~",
    "<f1><f1><f5><f12><S-f1><S-f2><S-f3><S-f3>",
  ],
  ["\x1b[[A\x1b[[Ex", "<f1><f5>x"],
  // rxvt.
  ["\x1b[Z\x1b[1;2Z\x1b[7^\x1b[8$\x1b[7@", "<S-tab><S-tab><C-home><S-end><C-S-home>"],
  ["\x1b[a\x1b[d\x1bOa\x1bOc", "<S-up><S-left><C-up><C-right>"],
  // kitty; keys that are let go, and those of the desktop, are nothing.
  ["\x1b[97;5u\x1b[13;2u\x1b[27u\x1b[9;2u\x1b[49;3u", "<C-a><S-enter><escape><S-tab><M-1>"],
  ["\x1b[97u\x1b[97:65;2u\x1b[97;2;65u\x1b[32u\x1b[32;5u", "aaA <C-space>"],
  ["\x1b[97;1:3u\x1b[97;9u\x1b[1;5:3A\x1b[1;9A\x1b[97;1:1ub", "ab"],
  ["\x1b[47;5u\x1b[45;6u\x1b[45;4u\x1b[114;67u", "<C-_><C-_><M-_><M-r>"],
  ["\x1b[57414u\x1b[57417u\x1b[57423;5u\x1b[57399u", "<enter><left><C-home>"],
  // What is no character is nothing.
  ["\x1b[0u\x1b[155u\x1b[55296u\x1b[9999999u\x1b[97;1;9999999u\x1b[97;1;27u\x1b[97;1;:u\x1b[u", ""],
  // xterm's modifyOtherKeys.
  ["\x1b[27;5;13~\x1b[27;3;97~\x1b[27;2;65~", "<C-enter><M-a>A"],
  // Pastes and focus.
  ["\x1b[I\x1b[O", "<focus><blur>"],
  ["a\x1b[201~b", "a<pasteEnd>b"],
  // C1 for Escape and a letter.
  ["\x9bA\x8fA\x9b5~\x85x", "<up><up><pageup>x"],
  // Broken off by another one, or by a key.
  ["\x1b[1\x1b[A", "<up>"],
  ["\x1b]x\x1b[A", "<up>"],
  ["\x1b[1\r", "<enter>"],
  ["\x1bO\r", "<enter>"],
  ["\x1b]x\x03y", "<C-c>y"],
  ["\x1b]x\x18y\x1b]x\x1ay", "yy"],
];

const REPORTS: [string, string][] = [
  ["\x1b[2;5R", "[2;5R"],
  ["\x1b[1;9R", "[1;9R"],
  ["\x1b[?64;1;2c", "[?64;1;2c"],
  ["\x1b[>41;354;0c", "[>41;354;0c"],
  ["\x1b[?2026;2$y", "[?2026;2$y"],
  ["\x1b[?1u", "[?1u"],
  ["\x1b[<0;10;20M", "[<0;10;20M"],
  ["\x1b[ q", "[ q"],
  ["\x1b]11;rgb:ffff/ffff/ffff\x07", "]11;rgb:ffff/ffff/ffff"],
  ["\x1b]52;c;aGVsbG8=\x1b\\", "]52;c;aGVsbG8="],
  ["\x1b]0;a\r\nb é日\x9c", "]0;a\r\nb é日"],
  ["\x1bP>|XTerm(379)\x1b\\", "P>|XTerm(379)"],
  ["\x1b_Gi=1;OK\x1b\\", "_Gi=1;OK"],
  ["\x1b^private\x1b\\", "^private"],
  ["\x1bXstart\x1b\\", "Xstart"],
  ["\x9d0;title\x07", "]0;title"],
  ["\x90q\x9c", "Pq"],
];

const SWALLOWED = [
  ...["\x1b[M !!", "\x1b[32;10;20M", "\x1b[8;24;80t", "\x1b[t"],
  ...["\x1b[99999999z", "\x1b[0;1;2;3;4;5;6~", "\x1b[99~", "\x1b[[F", "\x1b[200z", "\x1bOz"],
];

Deno.test("KeyParser tells keys apart, wherever a read ends", () => {
  const cases = [
    ...KEYS,
    ...REPORTS.map(([text, report]) => [text, `{${report}}`] as const),
    ...SWALLOWED.map((text) => [text, ""] as const),
  ];
  for (const [text, expected] of cases) {
    for (let cut = 0; cut <= text.length; cut++) {
      if (/[\ud800-\udbff]$/.test(text.slice(0, cut))) continue;
      const got = parse(["a", text.slice(0, cut), text.slice(cut), "z"]);
      assert.equal(got, `a${expected}z`, JSON.stringify([text, cut]));
    }
    assert.equal(parse(["a", ...text, "z"]), `a${expected}z`, JSON.stringify([...text]));
  }
});

Deno.test("KeyParser gives text in one piece", () => {
  assert.deepEqual(new KeyParser().feed("ab\rcd").inputs, [
    { type: "text", text: "ab" },
    { type: "key", name: "enter" },
    { type: "text", text: "cd" },
  ]);
});

Deno.test("KeyParser types nothing of a random sequence", () => {
  const printed = fc.string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
    maxLength: 30,
  });
  const parameters = fc.string({ unit: fc.constantFrom(..."0123456789;:<=>?"), maxLength: 12 });
  const intermediates = fc.string({ unit: fc.constantFrom(..." !\"#%&'()*+,-./"), maxLength: 2 });
  const csi = fc.tuple(parameters, intermediates, fc.constantFrom(..."@EGIJKLPQRSTcfghmnqrtxyz{|}"))
    .map(([before, between, last]) => `\x1b[${before}${between}${last}`);
  const string = fc.tuple(fc.constantFrom(..."]P_^X"), printed, fc.constantFrom("\x07", "\x1b\\"))
    .map(([kind, text, end]) => `\x1b${kind}${text}${end}`);
  const reads = fc.tuple(fc.oneof(csi, string), fc.array(fc.nat(50), { maxLength: 4 }));
  fc.assert(
    fc.property(reads, ([text, cuts]) => {
      const places = [0, ...cuts.filter((cut) => cut < text.length).sort((a, b) => a - b)];
      const parser = new KeyParser();
      const pieces = [...places.map((from, i) => text.slice(from, places[i + 1])), "x"];
      const typed = pieces.flatMap((piece) => parser.feed(piece).inputs)
        .filter(({ type }) => type === "text");
      assert.deepEqual(typed, [{ type: "text", text: "x" }], JSON.stringify(pieces));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("KeyParser stops at the start of a paste", () => {
  const parser = new KeyParser();
  const start = parser.feed("a\x1b[200~b\x1b[2J");
  assert.deepEqual([show(start.inputs), start.pasted], ["a", "b\x1b[2J"]);
  assert.equal(parser.feed("c\x1b[20").pasted, undefined);
  assert.equal(parser.feed("0~d").pasted, "d");
});

Deno.test("KeyParser.flush() takes what began a sequence for a key, and half a sequence for nothing", () => {
  const cases: [string, string, number][] = [
    ["\x1b", "<escape>", 40],
    ["\x1b\x1b", "<escape>", 40],
    ["\x1b[", "<M-[>", 500],
    ["\x1bO", "<M-O>", 500],
    ["\x1b]", "<M-]>", 500],
    ["\x1bP", "<M-P>", 500],
    ["\x1b_", "<M-_>", 40],
    ["\x1b[1;5", "", 500],
    ["\x1bO5", "", 500],
    ["\x1b]11;rgb", "", 500],
    ["\x1b_x", "", 500],
    ["\x1b]x\x1b", "", 500],
    ["\x1b[M ", "", 500],
    ["\x1b[[", "", 500],
  ];
  for (const [text, expected, wait] of cases) {
    const parser = new KeyParser();
    assert.deepEqual(parser.feed(text).inputs, []);
    assert.equal(parser.wait, wait, JSON.stringify(text));
    assert.equal(show(parser.flush()), expected, JSON.stringify(text));
    assert.equal(parser.wait, undefined);
    assert.equal(show(parser.feed("A").inputs), "A", JSON.stringify(text));
  }
});

Deno.test("KeyParser keeps only so much of what never ends", () => {
  const parser = new KeyParser();
  parser.feed(`\x1b]${"x".repeat(100_000)}`);
  const [report] = parser.feed("\x07").inputs;
  assert.equal(report?.type === "report" && report.text.length, 4096);
  assert.equal(
    show(parser.feed(`\x1b[${"1;".repeat(50_000)}Rx`).inputs).length,
    256 + "{[R}x".length,
  );
});
