/**
 * The chat server: `server --help`.
 *
 * Answers what needs nothing at once; the rest is loaded only when it is needed.
 *
 * @module
 */

import { parseServerArguments, type ServerRequest } from "./lib/cli/arguments.ts";
import { runProgram } from "./lib/cli/process.ts";
import { usage } from "./lib/cli/options.ts";
import { SERVER_PROGRAM } from "./lib/cli/programs.ts";
import { version } from "./lib/version.ts";

async function main(request: ServerRequest): Promise<number> {
  switch (request.type) {
    case "help":
      console.log(usage(SERVER_PROGRAM).trimEnd());
      return 0;
    case "version":
      console.log(version("server"));
      return 0;
    case "doctor": {
      const { runDoctor } = await import("./lib/cli/doctor/doctor.ts");
      return await runDoctor(request);
    }
    case "completions": {
      const { completions } = await import("./lib/cli/completions.ts");
      console.log(completions<string>(SERVER_PROGRAM, request.shell).trimEnd());
      return 0;
    }
    case "serve": {
      const { runServer } = await import("./lib/cli/run_server.ts");
      return await runServer(request);
    }
  }
}

await runProgram("server", parseServerArguments, main);
