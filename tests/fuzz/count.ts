/**
 * Counts the cases that fast-check tries in a test file, and adds the number to a file; for `deno test --preload`.
 *
 * @module
 */

import fc from "npm:fast-check@4.10.2";

const path = Deno.env.get("FUZZ_COUNT")!;
let cases = 0;
fc.configureGlobal({ ...fc.readConfigureGlobal(), beforeEach: () => void cases++ });
addEventListener("unload", () => {
  if (cases > 0) Deno.writeTextFileSync(path, `${cases}\n`, { append: true });
});
