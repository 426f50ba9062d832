import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import {
  cleanLine,
  cleanText,
  columns,
  countHidden,
  escapeJson,
  graphemes,
  wrapWords,
} from "../../lib/base/text.ts";

const FAMILY = "👩‍👩‍👧‍👦";

/** Any text, rich in the characters that matter. */
const anyText = fc.string({
  maxLength: 30,
  unit: fc.oneof(
    fc.constantFrom(
      "a",
      "\n",
      "\t",
      "\r",
      "\x1b",
      "\u0301",
      "\ufe0f",
      "\u200d",
      "\u034f",
      "\ud83d",
    ),
    fc.constantFrom(
      "👩",
      "❤",
      "🏽",
      "\u202e",
      "\u2028",
      "\ue000",
      "\u{e0041}",
      "\u{1faff}",
      "\u{1fbff}",
    ),
    fc.nat({ max: 0x10ffff }).map((code) => String.fromCodePoint(code)),
  ),
});

Deno.test("cleanText() makes unprintable characters visible and keeps the rest", () => {
  const table: [text: string, clean: string][] = [
    ["", ""],
    ["plain ~", "plain ~"],
    ["one\n\ttwo", "one\n\ttwo"],
    ["Zoë 漢字 한글 שלום 😀", "Zoë 漢字 한글 שלום 😀"],
    ["\x1b[31mred", "⟨001B⟩[31mred"],
    ["a\r\nb\0\x7f", "a⟨000D⟩\nb⟨0000⟩⟨007F⟩"],
    ["\x9b2J", "⟨009B⟩2J"],
    ["a\u202eb", "a⟨202E⟩b"],
    ["a\u2066b\u2069", "a⟨2066⟩b⟨2069⟩"],
    ["a\u00adb", "a⟨00AD⟩b"],
    ["\ufeffa", "⟨FEFF⟩a"],
    ["a\u2028b\u2029", "a⟨2028⟩b⟨2029⟩"],
    ["a\ue000", "a⟨E000⟩"],
    ["\u{10fffd}", "⟨10FFFD⟩"],
    ["a\u0378", "a⟨0378⟩"],
    ["\ud800x\udc00", "⟨D800⟩x⟨DC00⟩"],
    ["\u3164\u115f\uffa0", "⟨3164⟩⟨115F⟩⟨FFA0⟩"],
    ["a\u034fb", "a⟨034F⟩b"],
    ["\u{e0041}", "⟨E0041⟩"],
    ["a\ufe0e", "a⟨FE0E⟩"],
    ["❤\ufe0f", "❤\ufe0f"],
    ["a b　c", "a b　c"],
  ];
  for (const [text, clean] of table) assert.equal(cleanText(text), clean);
});

Deno.test("cleanText() keeps a joiner only inside an emoji sequence", () => {
  for (const emoji of [FAMILY, "❤️‍🔥", "🏳️‍🌈", "🧑🏽‍💻", "👁️‍🗨️", "👩🏽‍❤️‍💋‍👨🏽"]) assert.equal(cleanText(emoji), emoji);
  const table: [text: string, clean: string][] = [
    ["a\u200db", "a⟨200D⟩b"],
    ["\u200d", "⟨200D⟩"],
    ["👩\u200d", "👩⟨200D⟩"],
    ["\u200d👩", "⟨200D⟩👩"],
    ["👩\u200d\u200d👩", "👩⟨200D⟩⟨200D⟩👩"],
    ["👩\u0301\u200d👩", "👩\u0301⟨200D⟩👩"],
    ["1\u200d2", "1⟨200D⟩2"],
    // Unassigned, and yet reserved as a pictograph.
    ["👩\u200d\u{1fffd}", "👩⟨200D⟩⟨1FFFD⟩"],
  ];
  for (const [text, clean] of table) assert.equal(cleanText(text), clean);
});

Deno.test("cleanText() drops combining marks beyond four in a row", () => {
  const acute = "\u0301";
  for (const [count, kept] of [[3, 3], [4, 4], [5, 4], [4096, 4]] as const) {
    assert.equal(cleanText(`e${acute.repeat(count)}x`), `e${acute.repeat(kept)}x`);
    assert.equal(cleanText(acute.repeat(count)), acute.repeat(kept));
  }
  assert.equal(
    cleanText("\u0301\u0903\u20dd\u0301\u0301a\u0301"),
    "\u0301\u0903\u20dd\u0301a\u0301",
  );
  assert.equal(cleanText("😀" + "\ufe0f".repeat(9)), "😀" + "\ufe0f".repeat(4));
});

Deno.test("cleanText() and cleanLine() let no unsafe character through, and change nothing twice", () => {
  const forbidden = /[\p{C}\p{Zl}\p{Zp}]|\p{Default_Ignorable_Code_Point}/u;
  fc.assert(fc.property(anyText, (text) => {
    const clean = cleanText(text);
    assert.doesNotMatch(clean.replace(/[\n\t\ufe0f]|(?<=\P{C})\u200d(?=\p{So})/gu, "."), forbidden);
    assert.doesNotMatch(clean, /\p{M}{5}/u);
    assert.equal(cleanText(clean), clean);
    const line = cleanLine(text);
    assert.doesNotMatch(line, /[\n\t]/);
    assert.equal(line, clean.replaceAll("\n", "⟨000A⟩").replaceAll("\t", "⟨0009⟩"));
    assert.equal(cleanLine(line), line);
  }));
});

Deno.test("cleanLine() makes newline and tab visible, too", () => {
  assert.equal(cleanLine("a\n\tb"), "a⟨000A⟩⟨0009⟩b");
  assert.equal(cleanLine("é\n"), "é⟨000A⟩");
  assert.equal(cleanLine("plain"), "plain");
});

Deno.test("columns() counts what a terminal shows", () => {
  const table: [text: string, columns: number][] = [
    ["", 0],
    ["hello", 5],
    ["Zoë", 3],
    ["Zoe\u0308", 3],
    ["漢字", 4],
    ["ｶﾅ", 2],
    ["ａｂ", 4],
    ["한글", 4],
    ["\u1112\u1161\u11ab", 2],
    ["देवनागरी", 7],
    ["का", 2],
    ["க்ஷௌ", 3],
    ["ไทย", 3],
    ["กำ", 2],
    ["😀", 2],
    [FAMILY, 2],
    ["👍🏽", 2],
    ["✌🏽", 2],
    ["❤", 1],
    ["❤️", 2],
    ["1️⃣", 2],
    ["🇦🇹", 2],
    ["🇦🇹🇨🇭", 4],
    ["🏳️‍🌈!", 3],
    ["⟨202E⟩", 6],
    ["…", 1],
    ["\u0301", 0],
    ["a\nb\tc", 3],
  ];
  for (const [text, count] of table) assert.equal(columns(text), count, JSON.stringify(text));
});

Deno.test("graphemes() splits into the characters that readers see, and loses nothing", () => {
  assert.deepEqual(graphemes("ab"), ["a", "b"]);
  assert.deepEqual(graphemes(""), []);
  assert.deepEqual(graphemes(`e\u0301${FAMILY}🇦🇹x`), ["e\u0301", FAMILY, "🇦🇹", "x"]);
  fc.assert(fc.property(anyText, (text) => {
    const clusters = graphemes(cleanText(text));
    assert.equal(clusters.join(""), cleanText(text));
    const sum = clusters.reduce((total, cluster) => total + columns(cluster), 0);
    assert.equal(columns(cleanText(text)), sum);
  }));
});

Deno.test("escapeJson() escapes unprintable characters and nothing else", () => {
  const table: [value: unknown, json: string][] = [
    [{ event: "bye" }, '{"event":"bye"}'],
    ["é 漢 😀 " + FAMILY, `"é 漢 😀 ${FAMILY}"`],
    ["\n\x1b\x7f\x9b", '"\\n\\u001b\\u007f\\u009b"'],
    ["\u202e\u2028\u2029\ufeff\u00ad", '"\\u202e\\u2028\\u2029\\ufeff\\u00ad"'],
    ["\u{e0041}", '"\\udb40\\udc41"'],
    ["\ud800", '"\\ud800"'],
    ["\u200d\ue000\ufe0f", '"\u200d\ue000\ufe0f"'],
    [{ "\u202e": 1 }, '{"\\u202e":1}'],
    [null, "null"],
  ];
  for (const [value, json] of table) assert.equal(escapeJson(value), json);
});

Deno.test("escapeJson() writes one printable line that parses to the exact value", () => {
  fc.assert(fc.property(anyText, (text) => {
    const json = escapeJson({ text });
    assert.doesNotMatch(json.replaceAll("\u200d", ""), /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
    assert.deepEqual(JSON.parse(json), { text });
  }));
});

Deno.test("wrapWords() breaks lines between words, and no word", () => {
  const table: [text: string, rows: string[]][] = [
    ["", [""]],
    ["one two", ["one two"]],
    ["one two three four", ["one two", "    three", "    four"]],
    ["a verylongwordthatnorowholds b", ["a", "    verylongwordthatnorowholds", "    b"]],
    ["verylongwordthatnorowholds", ["verylongwordthatnorowholds"]],
    ["日本 日本 日本", ["日本 日本", "    日本"]],
    ["  two  spaces", ["  two ", "    spaces"]],
  ];
  for (const [text, rows] of table) assert.deepEqual(wrapWords(text, 10), rows, text);
});

Deno.test("countHidden() replaces long runs of what does not print, and nothing else", () => {
  assert.equal(countHidden("a\u0001\u202e\u200bb"), "a\u0001\u202e\u200bb");
  assert.equal(countHidden("a\u0001\u202e\u200b\ud800b"), "a⟨4 characters that do not print⟩b");
  const shown = "x\n\n\n\n\n\t\t\t\t\t👩\u200d👩\u200d👧❤\ufe0f";
  assert.equal(countHidden(shown), shown);
});
