/**
 * The chat server: `server --help`.
 *
 * @module
 */

import { parseServerArguments } from "./lib/cli/arguments.ts";
import { runProgram } from "./lib/cli/main.ts";
import { SERVER_PROGRAM } from "./lib/cli/programs.ts";

await runProgram(SERVER_PROGRAM, parseServerArguments, async (request) => {
  const { runServer }: typeof import("./lib/cli/run_server.ts") = await import(
    "./lib/cli/run_server.ts" as string
  );
  return await runServer(request);
});
