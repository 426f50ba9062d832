/**
 * The chat client: `client --help`.
 *
 * Answers what needs nothing at once; the rest is loaded only when it is needed.
 *
 * @module
 */

import { parseClientArguments } from "./lib/arguments.ts";
import { UsageError } from "./lib/errors.ts";
import { usage } from "./lib/options.ts";
import { CLIENT_PROGRAM } from "./lib/programs.ts";
import { EXIT_FAILURE, EXIT_USAGE, reportError } from "./lib/cli.ts";
import { version } from "./lib/version.ts";

async function main(): Promise<number> {
  const request = parse();
  if (request === undefined) return EXIT_USAGE;
  switch (request.type) {
    case "help":
      console.log(usage(CLIENT_PROGRAM).trimEnd());
      return 0;
    case "version":
      console.log(version("client"));
      return 0;
    case "doctor": {
      const { runDoctor } = await import("./lib/doctor.ts");
      return await runDoctor(request);
    }
    case "completions": {
      const { completions } = await import("./lib/completions.ts");
      console.log(completions<string>(CLIENT_PROGRAM, request.shell).trimEnd());
      return 0;
    }
    case "forget": {
      const { forgetServer } = await import("./lib/client.ts");
      return await forgetServer(request);
    }
    case "list": {
      const { listServers } = await import("./lib/nearby.ts");
      return await listServers(request);
    }
    case "join-key": {
      const { printJoinKey } = await import("./lib/client.ts");
      return await printJoinKey(request);
    }
    case "chat": {
      const { runClient } = await import("./lib/client.ts");
      return await runClient(request);
    }
  }
}

function parse(): ReturnType<typeof parseClientArguments> | undefined {
  try {
    return parseClientArguments(Deno.args);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    reportError("client", error);
    return undefined;
  }
}

let code = EXIT_FAILURE;
try {
  code = await main();
} catch (error) {
  reportError("client", error);
}
Deno.exit(code);
