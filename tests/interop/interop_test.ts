/**
 * The independent implementation of tests/interop, in Python, and these programs: each as the server and as the clients
 * of the other.
 *
 * @module
 */

import { FROM_SOURCE } from "../support/programs.ts";

const FOLDER = new URL("./", import.meta.url);

/** Says why there can be no interop; `undefined` when there can. */
async function pythonMissing(): Promise<string | undefined> {
  try {
    const { success } = await python("-c", "import cryptography");
    return success ? undefined : 'python3 has no package "cryptography"';
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "python3 is not installed";
    throw error;
  }
}

function python(...args: string[]): Promise<Deno.CommandOutput> {
  return new Deno.Command("python3", { args, cwd: FOLDER }).output();
}

/** A command line as a shell reads it. */
function quote(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
}

const OUR_SERVER = [
  "--relay",
  quote([...FROM_SOURCE.server, "--host", "127.0.0.1", "--no-announce"]),
];

function ourClients(...nicks: string[]): string[] {
  return ["--client", quote([...FROM_SOURCE.client, "--no-announce"]), "--for", nicks.join(",")];
}

/**
 * What needs clients of both kinds to be worth more than clients of one kind. Ann begins with eve, and bob with ann.
 */
const MIXED = [
  "test_room",
  "test_restart",
  "test_two_terminals",
  "test_restarted_client",
  "test_newcomer",
  "test_notes",
  "test_recap",
  "test_ghost",
  "test_operators",
  "test_offline",
  "test_files",
  "test_files_resumed",
  "test_files_relay_gone",
];

/** Who is played by these programs; everybody else is Python. */
const PAIRINGS: readonly (readonly [name: string, runs: readonly (readonly string[])[]])[] = [
  ["with this server and its own or mixed clients", [
    OUR_SERVER,
    [...OUR_SERVER, ...ourClients("ann"), ...MIXED],
  ]],
  ["as the server of these or of mixed clients", [
    ourClients("ann", "bob", "eve"),
    [...ourClients("ann"), ...MIXED],
  ]],
];

const missing = await pythonMissing();
if (missing !== undefined) console.error(`The tests of tests/interop are skipped: ${missing}.`);

for (const [name, runs] of PAIRINGS) {
  Deno.test({
    name: `the Python implementation holds its conversations ${name}`,
    ignore: missing !== undefined,
    async fn() {
      await Promise.all(runs.map(async (switches) => {
        const { success, stdout, stderr } = await python("selftest.py", "--jobs", "2", ...switches);
        const decoder = new TextDecoder();
        if (!success) throw new Error(decoder.decode(stdout) + decoder.decode(stderr));
      }));
    },
  });
}
