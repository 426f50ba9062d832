import assert from "node:assert/strict";
import { COLUMNS, drawScreen } from "../../scripts/screenshot.ts";

const readFile = (path: string) => Deno.readTextFile(new URL(`../../${path}`, import.meta.url));

for (const theme of ["dark", "light"] as const) {
  Deno.test(`drawScreen() draws docs/chat-${theme}.ansi as docs/chat-${theme}.svg`, async () => {
    const drawn = drawScreen(await readFile(`docs/chat-${theme}.ansi`), COLUMNS, theme);
    assert.equal(drawn, await readFile(`docs/chat-${theme}.svg`));
  });
}

Deno.test("drawScreen() draws what is behind a text, and swaps colours", () => {
  const svg = drawScreen("\x1b[48;5;236;38;5;231mab\x1b[0;7mc\x1b[0;4md\n", 10);
  const rects = [...svg.matchAll(/<rect x="(\S+)" .*width="(\S+)" .*fill="(\S+)"/g)];
  assert.deepEqual(rects.map(([, ...rest]) => rest), [
    ["14", "16.8", "#303030"],
    ["30.8", "8.4", "#d6d9e0"],
  ]);
  assert.match(svg, /fill="#16181d".*>c</);
  assert.match(svg, /text-decoration="underline".*>d</);
});

Deno.test("drawScreen() gives every piece its position, width and style", () => {
  const svg = drawScreen(
    "\x1b[2mdim\ndim\x1b[0m a<b \x1b[1;38;5;196mb日x\x1b[0m\x1b[39m\x1b[49m y‸\n",
    20,
  );
  const pieces = [...svg.matchAll(/<text (.*)>(.*)<\/text>/g)].map(([, attributes, text]) => {
    const of = (name: string) => new RegExp(` ?${name}="([^"]*)"`).exec(attributes!)?.[1];
    return [text, of("x"), of("textLength"), of("fill"), of("font-weight"), of("opacity")];
  });
  assert.deepEqual(pieces, [
    ["dim", "14", "25.2", "#d6d9e0", undefined, "0.6"],
    ["dim", "14", "25.2", "#d6d9e0", undefined, "0.6"],
    ["a&lt;b", "47.6", "25.2", "#d6d9e0", undefined, undefined],
    ["b", "81.2", "8.4", "#ff0000", "bold", undefined],
    ["日", "89.6", "16.8", "#ff0000", "bold", undefined],
    ["x", "106.4", "8.4", "#ff0000", "bold", undefined],
    ["y", "123.2", "8.4", "#d6d9e0", undefined, undefined],
  ]);
  assert.equal(svg.match(/<rect x="131.6" y="32"/g)?.length, 1);
});

Deno.test("drawScreen() refuses an unknown style", () => {
  assert.throws(() => drawScreen("\x1b[3mx", 10), TypeError);
});
