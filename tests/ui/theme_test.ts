import { equal, ok } from "node:assert/strict";
import { chooseTheme, NickColors } from "../../lib/ui/theme.ts";

const DEPTHS = ["none", "16", "256"] as const;
const BACKGROUNDS = ["dark", "light", "unknown"] as const;

/** The channels of colour 16 to 255, 0 to 255 each. */
function channels(color: number): number[] {
  if (color >= 232) return new Array<number>(3).fill(8 + 10 * (color - 232));
  const level = (n: number) => n === 0 ? 0 : 55 + 40 * n;
  const index = color - 16;
  return [level(Math.floor(index / 36)), level(Math.floor(index / 6) % 6), level(index % 6)];
}

function luminance(color: number): number {
  const [r, g, b] = channels(color).map((value) => {
    const part = value / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

/** By WCAG: 1 to 21. */
function contrast(a: number, b: number): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high! + 0.05) / (low! + 0.05);
}

Deno.test("without colours there are only attributes", () => {
  for (const look of Object.values(chooseTheme("none", "dark")).flat()) {
    ok(/^[1247;]*$/.test(look), look);
  }
});

Deno.test("16 colours have no blue on dark, and no yellow or cyan on light", () => {
  const dark = Object.values(chooseTheme("16", "dark")).flat().join(" ");
  const light = Object.values(chooseTheme("16", "light")).flat().join(" ");
  ok(!/\b34\b/.test(dark));
  ok(!/\b3[36]\b/.test(light));
});

Deno.test("256 colours can be read on their background", () => {
  for (const background of BACKGROUNDS) {
    const theme = chooseTheme("256", background);
    for (
      const [role, look] of Object.entries(theme).flatMap(([role, look]) =>
        [look].flat().map((one) => [role, one])
      )
    ) {
      const front = /38;5;(\d+)/.exec(look!)?.[1];
      const back = /48;5;(\d+)/.exec(look!)?.[1];
      if (front === undefined) continue;
      const behind = back !== undefined
        ? [Number(back)]
        : { dark: [16], light: [231], unknown: [16, 231] }[background];
      // Times and rules are meant to be faint.
      const least = role === "rule" || role === "time" ? 1.8 : 3;
      for (const color of behind) {
        const seen = contrast(Number(front), color);
        ok(seen >= least, `${background} ${role} ${look}: ${seen.toFixed(1)}`);
      }
    }
  }
});

Deno.test("people have looks of their own for as long as there are some, and keep them", () => {
  for (const depth of DEPTHS) {
    const theme = chooseTheme(depth, "unknown");
    const colors = new NickColors();
    const people = Array.from({ length: 16 }, (_, i) => `SHA256:${i}`);
    const looks = people.map((fingerprint) => colors.of(fingerprint, theme));
    equal(new Set(looks).size, Math.min(16, theme.nicks.length));
    people.forEach((fingerprint, i) => equal(colors.of(fingerprint, theme), looks[i]));
  }
});
