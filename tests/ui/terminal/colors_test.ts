import assert from "node:assert/strict";
import {
  type ColorDepth,
  colorDepth,
  NICK_COLORS_256,
  nickCode,
  styled,
  toneCode,
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

Deno.test("NICK_COLORS_256 are readable on black and on white", () => {
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

Deno.test("styled() writes no escape sequence without a code or text", () => {
  assert.equal(styled("text", toneCode("alert", "none")), "text");
  assert.equal(styled("text", toneCode("dim", "16")), "\x1b[2mtext\x1b[0m");
  assert.equal(styled("", toneCode("dim", "16")), "");
});
