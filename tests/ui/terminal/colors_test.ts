import assert from "node:assert/strict";
import { isUtf8Locale, toAscii } from "../../../lib/ui/terminal/locale.ts";
import {
  type ColorDepth,
  colorDepth,
  NICK_COLORS_256,
  nickCode,
  paintNick,
  paintTone,
} from "../../../lib/ui/terminal/colors.ts";

const DEPTHS: [Record<string, string>, boolean, ColorDepth][] = [
  [{ TERM: "xterm-256color" }, true, "256"],
  [{ TERM: "xterm-256color" }, false, "none"],
  [{ TERM: "xterm-256color", NO_COLOR: "1" }, true, "none"],
  [{ TERM: "xterm-256color", NO_COLOR: "" }, true, "256"],
  [{ TERM: "xterm" }, true, "16"],
  [{ TERM: "xterm", COLORTERM: "truecolor" }, true, "256"],
  [{ TERM: "linux" }, true, "16"],
  [{ TERM: "dumb" }, true, "none"],
  [{ TERM: "dumb", COLORTERM: "truecolor" }, true, "none"],
  [{}, true, "none"],
  [{ WT_SESSION: "x" }, true, "256"],
];

Deno.test("colorDepth() goes by NO_COLOR, TERM and COLORTERM", () => {
  for (const [env, isTerminal, expected] of DEPTHS) {
    assert.equal(colorDepth((name) => env[name], isTerminal), expected, JSON.stringify(env));
  }
});

Deno.test("NICK_COLORS_256 can be read on black and on white", () => {
  const levels = [0, 95, 135, 175, 215, 255];
  const linear = (level: number): number => {
    const value = level / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  for (const color of NICK_COLORS_256) {
    const cube = color - 16;
    const [red, green, blue] = [Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6]
      .map((index) => linear(levels[index]!)) as [number, number, number];
    // WCAG 2: relative luminance and contrast.
    const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    assert.ok((luminance + 0.05) / 0.05 >= 3, `${color} on black`);
    assert.ok(1.05 / (luminance + 0.05) >= 3, `${color} on white`);
  }
  assert.equal(new Set(NICK_COLORS_256).size, 18);
});

Deno.test("nickCode() gives a fingerprint one colour, and many fingerprints all of them", () => {
  assert.equal(nickCode("SHA256:x", "256"), nickCode("SHA256:x", "256"));
  const codes = (depth: ColorDepth): Set<string> =>
    new Set(Array.from({ length: 500 }, (_, i) => nickCode(`SHA256:${i}`, depth)));
  assert.equal(codes("256").size, 18);
  assert.equal(codes("16").size, 4);
  assert.deepEqual([...codes("none")], [""]);
});

Deno.test("paintNick() and paintTone() write no escape sequence without colours", () => {
  assert.equal(paintNick("bob", "SHA256:x", "none"), "bob");
  assert.equal(paintTone("text", "alert", "none"), "text");
  assert.equal(paintTone("text", "dim", "16"), "\x1b[2mtext\x1b[0m");
  assert.equal(paintTone("", "dim", "16"), "");
});

const LOCALES: [Record<string, string>, typeof Deno.build.os, boolean][] = [
  [{ LANG: "de_DE.UTF-8" }, "linux", true],
  [{ LANG: "C.utf8" }, "linux", true],
  [{ LANG: "C" }, "linux", false],
  [{ LANG: "de_DE" }, "linux", false],
  [{ LANG: "de_DE.UTF-8", LC_ALL: "C" }, "linux", false],
  [{ LANG: "C", LC_CTYPE: "en_US.UTF-8" }, "linux", true],
  [{ LANG: "C", LC_ALL: "", LC_CTYPE: "en_US.UTF-8" }, "linux", true],
  [{}, "linux", false],
  [{}, "darwin", true],
  [{}, "windows", true],
];

Deno.test("isUtf8Locale() reads LC_ALL before LC_CTYPE before LANG", () => {
  for (const [env, os, expected] of LOCALES) {
    assert.equal(isUtf8Locale((name) => env[name], os), expected, JSON.stringify(env));
  }
});

Deno.test("toAscii() keeps different texts different", () => {
  assert.equal(toAscii("plain\ntext\t~"), "plain\ntext\t~");
  assert.equal(toAscii("josé jose\u0301"), "jos<E9> jose<301>");
  assert.equal(toAscii("⟨202E⟩ “a — b…” 👍"), '<202E> "a - b..." <1F44D>');
});
