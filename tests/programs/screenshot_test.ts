import assert from "node:assert/strict";
import { drawScreen, plainScreen } from "../../scripts/screenshot.ts";

const readFile = (path: string) => Deno.readTextFile(new URL(`../../${path}`, import.meta.url));

Deno.test("drawScreen() draws docs/chat.ansi as docs/chat.svg has it", async () => {
  assert.equal(drawScreen(await readFile("docs/chat.ansi"), 80), await readFile("docs/chat.svg"));
});

Deno.test("plainScreen() gives docs/chat.ansi as README.md has it", async () => {
  const screen = plainScreen(await readFile("docs/chat.ansi"));
  assert.ok((await readFile("README.md")).includes("```text\n" + screen + "```\n"));
});

Deno.test("drawScreen() gives every piece its place, its columns and its look", () => {
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

Deno.test("drawScreen() refuses a look it does not know", () => {
  assert.throws(() => drawScreen("\x1b[7mx", 10), TypeError);
});
