/**
 * `deno task fuzz --seconds N`: the tests that take any time they are given, for N seconds together; ends with the
 * number of cases. Exits 1 when one of them found something; fast-check has printed how to repeat it.
 *
 * @module
 */

import { parseArgs } from "node:util";

/** The files, and their shares of the time. */
const SHARES: readonly (readonly [file: string, share: number, filter?: string])[] = [
  ["hostile/fuzz_test.ts", 0.3],
  ["hostile/files_test.ts", 0.1],
  ["fuzz/session_test.ts", 0.4],
  ["hostile/relay_test.ts", 0.2, "Session against a relay that does all of that"],
];
const FOLDER = new URL("../", import.meta.url);

const HELP = `The tests that take any time they are given, with chance inputs.

usage: deno task fuzz [--seconds N]

  --seconds N  all of them together take so long (60)`;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(HELP);
  Deno.exit(0);
}
const seconds = Number(values.seconds);
if (!(seconds > 0)) {
  console.error("fuzz: error: --seconds must be above 0");
  Deno.exit(2);
}

async function fuzz(count: string): Promise<boolean> {
  let good = true;
  for (const [file, share, filter] of SHARES) {
    const preload = `--preload=${new URL("fuzz/count.ts", FOLDER).href}`;
    const { success } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["test", "--quiet", "--allow-all", preload],
        ...(filter === undefined ? [] : [`--filter=${filter}`]),
        new URL(file, FOLDER).href,
      ],
      env: { FUZZ_SECONDS: String(seconds * share), FUZZ_COUNT: count },
    }).spawn().status;
    good &&= success;
  }
  return good;
}

const count = await Deno.makeTempFile();
const good = await fuzz(count);
const lines = (await Deno.readTextFile(count)).trim().split("\n");
await Deno.remove(count);
const cases = lines.reduce((sum, line) => sum + Number(line), 0);
console.log(`${cases} cases in ${seconds} s: ${good ? "nothing found" : "something was found"}`);
Deno.exit(good ? 0 : 1);
