import assert from "node:assert/strict";
import { encodeUtf8 } from "../../../lib/base/bytes.ts";
import { keptName, keptPath, nameKey, numberedName } from "../../../lib/session/files/name.ts";

const kept = (name: string) => keptName(encodeUtf8(name));
const path = (text: string) => keptPath(encodeUtf8(text));

const KEPT: Readonly<Record<string, string>> = {
  "report.pdf": "report.pdf",
  "with spaces and (brackets).tar.gz": "with spaces and (brackets).tar.gz",
  "naïve 春香 🍜.txt": "naïve 春香 🍜.txt",
  "cafe\u0301.txt": "café.txt",
  " padded ": "padded",
  "dots...": "dots",
  "a. . .": "a",
  "a\u00a0b\u3000c": "a b c",
  "a\u2028b\u0007c\u{e000}d\u0378e": "a_b_c_d_e",
  "gpj.\u202eexe": "gpj._exe",
  "zero\u200bwidth\ufe0f\u00ad": "zero_width__",
  'a<b>c:d"e|f?g*h': "a_b_c_d_e_f_g_h",
  ".bashrc": "_.bashrc",
  "-rf": "_-rf",
  "CON": "_CON",
  "con.txt": "_con.txt",
  "Aux .tar.gz": "_Aux .tar.gz",
  "prn": "_prn",
  "NUL.": "_NUL",
  "nul ": "_nul",
  "CLOCK$": "_CLOCK$",
  "CONIN$": "_CONIN$",
  "conout$.log": "_conout$.log",
  "COM0": "_COM0",
  "com9.x": "_com9.x",
  "LPT¹": "_LPT¹",
  "lpt³.txt": "_lpt³.txt",
  "CONSOLE": "CONSOLE",
  "COM10": "COM10",
  "mycon": "mycon",
  "a.hearth-part": "a.hearth-par_",
  "a.Hearth-Part.JSON": "a.Hearth-Part.JSO_",
  "a.hearth-part.json.": "a.hearth-part.jso_",
};

Deno.test("keptName() gives the same harmless name on every system", () => {
  for (const [offered, name] of Object.entries(KEPT)) {
    assert.equal(kept(offered), name);
    assert.equal(kept(name), name, "keeping it twice changes nothing");
  }
});

Deno.test("keptName() refuses what is no name, or wants to leave", () => {
  const refused = ["", ".", "..", "...", " ", ". .", "a/b", "/", "..\\a", "a\\", "a\0b"];
  for (const offered of refused) assert.equal(kept(offered), undefined, offered);
  for (
    const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0xaf], [0xf4, 0x90, 0x80, 0x80]]
  ) {
    assert.equal(keptName(Uint8Array.from(bytes)), undefined);
  }
});

Deno.test("keptName() shortens to 200 bytes and keeps the ending", () => {
  assert.equal(kept("a".repeat(200)), "a".repeat(200));
  const cut = kept(`${"a".repeat(188)}.hearth-part${"z".repeat(20)}`);
  assert.equal(cut, `${"a".repeat(188)}.hearth-par_`);
  assert.equal(kept("a".repeat(201)), "a".repeat(200));
  assert.equal(kept("a".repeat(255) + ".pdf"), "a".repeat(196) + ".pdf");
  assert.equal(kept("é".repeat(120)), "é".repeat(100));
  assert.equal(kept("x" + "🍜".repeat(60) + ".tar"), "x" + "🍜".repeat(48) + ".tar");
  assert.equal(kept("a".repeat(190) + "." + "b".repeat(16)), "a".repeat(190) + "." + "b".repeat(9));
  assert.equal(kept("a".repeat(195) + " .pdf".repeat(3)), "a".repeat(195) + ".pdf");
  assert.equal(kept("-" + "a".repeat(200)), "_-" + "a".repeat(198));
});

Deno.test("keptPath() keeps each component, and no way out", () => {
  assert.deepEqual(path("photos/2026/a.jpg"), ["photos", "2026", "a.jpg"]);
  assert.deepEqual(path(".git/HEAD"), [".git", "HEAD"], "inside a folder a dot is no surprise");
  assert.deepEqual(path("NUL/-x/c?"), ["_NUL", "_-x", "c_"]);
  for (const refused of ["", "/a", "a/", "a//b", "../a", "a/../../b", "a/./b", "a\\b", "a/ /b"]) {
    assert.equal(path(refused), undefined, refused);
  }
  assert.equal(path(Array(32).fill("a").join("/"))?.length, 32);
  assert.equal(path(Array(33).fill("a").join("/")), undefined);
  const long = (last: number) => [...Array(8).fill("a".repeat(112)), "b".repeat(last)].join("/");
  assert.equal(path(long(120))?.length, 9);
  assert.equal(path(long(121)), undefined);
});

Deno.test("nameKey() is equal for names that some system takes for one", () => {
  assert.equal(nameKey("Read Me.TXT"), nameKey("read me.txt"));
  assert.equal(nameKey("cafe\u0301"), nameKey("CAFÉ"));
  assert.equal(nameKey("straße"), nameKey("STRASSE"));
  assert.notEqual(nameKey("a"), nameKey("b"));
});

Deno.test("numberedName() puts the number before the ending", () => {
  assert.equal(numberedName("notes.txt", 2), "notes (2).txt");
  assert.equal(numberedName("photos", 99), "photos (99)");
  assert.equal(numberedName(".git", 2), ".git (2)");
  assert.equal(numberedName("a.b.tar.gz", 3), "a.b.tar (3).gz");
});
