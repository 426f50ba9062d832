/**
 * The chat server: `server --help`.
 *
 * Answers what needs nothing at once; the rest is loaded only when it is needed.
 *
 * @module
 */

import { parseServerArguments } from "./lib/arguments.ts";
import { EXIT_FAILURE, EXIT_USAGE, reportError } from "./lib/cli.ts";
import { UsageError } from "./lib/errors.ts";
import { usage } from "./lib/options.ts";
import { SERVER_PROGRAM } from "./lib/programs.ts";
import { version } from "./lib/version.ts";

async function main(): Promise<number> {
  const request = parse();
  switch (request?.type) {
    case undefined:
      return EXIT_USAGE;
    case "help":
      console.log(usage(SERVER_PROGRAM).trimEnd());
      return 0;
    case "version":
      console.log(version("server"));
      return 0;
    case "doctor": {
      const { runDoctor } = await import("./lib/doctor.ts");
      return await runDoctor(request);
    }
    case "completions": {
      const { completions } = await import("./lib/completions.ts");
      console.log(completions<string>(SERVER_PROGRAM, request.shell).trimEnd());
      return 0;
    }
    case "serve": {
      const { runServer } = await import("./lib/server.ts");
      return await runServer(request);
    }
  }
}

function parse(): ReturnType<typeof parseServerArguments> | undefined {
  try {
    return parseServerArguments(Deno.args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    reportError("server", error);
    return undefined;
  }
}

let code = EXIT_FAILURE;
try {
  code = await main();
} catch (error) {
  reportError("server", error);
}
Deno.exit(code);
