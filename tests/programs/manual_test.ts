import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { manualPages } from "../../scripts/manual.ts";

const ROOT = new URL("../../", import.meta.url);
const PAGES = manualPages(await Deno.readTextFile(new URL("CHANGELOG.md", ROOT)));

async function hasMandoc(): Promise<boolean> {
  try {
    // It has no --version.
    await new Deno.Command("mandoc", { stdin: "null" }).output();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

const mandoc = await hasMandoc();
if (!mandoc) console.log("manual_test.ts: lint skipped, mandoc is not installed");

Deno.test("manualPages() matches man/; if not: deno task man", async () => {
  assert.deepEqual(PAGES.map(([name]) => name), ["server.1", "client.1"]);
  for (const [name, text] of PAGES) {
    assert.equal(await Deno.readTextFile(new URL(`man/${name}`, ROOT)), text, name);
  }
});

Deno.test({
  name: "manualPages() passes mandoc's lint",
  ignore: !mandoc,
  fn: async () => {
    for (const [name] of PAGES) {
      const path = fileURLToPath(new URL(`man/${name}`, ROOT));
      const { stdout } = await new Deno.Command("mandoc", { args: ["-Tlint", path] }).output();
      const faults = new TextDecoder().decode(stdout).split("\n")
        // The pages name each other, and may not be installed.
        .filter((line) => line !== "" && !line.includes("referenced manual not found"));
      assert.deepEqual(faults, []);
    }
  },
});
