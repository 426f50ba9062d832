/**
 * The chat client: `client --help`.
 *
 * Answers what needs nothing at once; the rest is loaded only when it is needed.
 *
 * @module
 */

import { type ClientRequest, parseClientArguments } from "./lib/cli/arguments.ts";
import { usage } from "./lib/cli/options.ts";
import { CLIENT_PROGRAM } from "./lib/cli/programs.ts";
import { runProgram } from "./lib/cli/process.ts";
import { version } from "./lib/version.ts";

async function main(request: ClientRequest): Promise<number> {
  switch (request.type) {
    case "help":
      console.log(usage(CLIENT_PROGRAM).trimEnd());
      return 0;
    case "version":
      console.log(version("client"));
      return 0;
    case "doctor": {
      const { runDoctor } = await import("./lib/cli/doctor/doctor.ts");
      return await runDoctor(request);
    }
    case "completions": {
      const { completions } = await import("./lib/cli/completions.ts");
      console.log(completions<string>(CLIENT_PROGRAM, request.shell).trimEnd());
      return 0;
    }
    case "forget": {
      const { forgetServer } = await import("./lib/cli/run_client.ts");
      return await forgetServer(request);
    }
    case "list": {
      const { listServers } = await import("./lib/cli/announced_servers.ts");
      return await listServers(request);
    }
    case "join-key": {
      const { printJoinKey } = await import("./lib/cli/run_client.ts");
      return await printJoinKey(request);
    }
    case "chat": {
      const { runClient } = await import("./lib/cli/run_client.ts");
      return await runClient(request);
    }
  }
}

await runProgram("client", parseClientArguments, main);
