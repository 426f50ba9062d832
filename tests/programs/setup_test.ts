/**
 * `deno task setup`: afterwards nothing is downloaded any more. It reloads, because what `deno task` itself has fetched
 * before is not enough, and installs once more, because Deno at times does not keep a package's description when it
 * loads several at once.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { FROM_SOURCE } from "../support/programs.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const CACHE = await Deno.makeTempDir({ prefix: "hearth_setup_" });
const STATE = `${CACHE}/state`;
addEventListener("unload", () => Deno.removeSync(CACHE, { recursive: true }));

/** Runs Deno with an empty cache of its own. */
async function run(args: readonly string[]): Promise<{ code: number; stderr: string }> {
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: ROOT,
    env: { DENO_DIR: CACHE, HEARTH_HOME: STATE, NO_COLOR: "1" },
    stdin: "null",
  }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

const setup = await run(["task", "-q", "setup"]);
if (setup.code !== 0) console.log(`setup_test.ts: ignored, no registry: ${setup.stderr}`);

Deno.test("deno task setup fetches everything that the programs load, early or late", {
  ignore: setup.code !== 0,
}, async () => {
  // What is downloaded is to be told.
  const [[, ...client], [, ...server]] = [FROM_SOURCE.client, FROM_SOURCE.server]
    .map((words) => words.filter((word) => word !== "--quiet")) as [string[], string[]];
  const fingerprint = encodeFingerprint(new Uint8Array(32));
  for (
    const [words, code] of [
      [[...client, "--help"], 0],
      [[...client, "--host", "127.0.0.1:1", "--key-bits", "1024"], 1],
      [[...client, "doctor"], 0],
      [[...client, "join-key", fingerprint], 1],
      [[...client, "completions", "bash"], 0],
      [[...server, "--port", "0", "--key-bits", "1024", "--password"], 1],
    ] as const
  ) {
    const ended = await run(words);
    assert.doesNotMatch(ended.stderr, /Download/, `${words.join(" ")}: ${ended.stderr}`);
    assert.equal(ended.code, code, ended.stderr);
  }
});
