/**
 * The chat client: `client --help`.
 *
 * @module
 */

import { UsageError } from "./lib/base/errors.ts";
import { parseClientArguments } from "./lib/cli/arguments.ts";
import { runProgram } from "./lib/cli/main.ts";
import { CLIENT_PROGRAM } from "./lib/cli/programs.ts";
import { WORKER_NAME } from "./lib/session/files/worker_host.ts";

if (self.name === WORKER_NAME) {
  const { serveJobs }: typeof import("./lib/session/files/worker.ts") = await import(
    "./lib/session/files/worker.ts" as string
  );
  await serveJobs();
} else {
  await runProgram(CLIENT_PROGRAM, parseArguments, async (request) => {
    if (request.type === "chat") {
      const { runClient }: typeof import("./lib/cli/run_client.ts") = await import(
        "./lib/cli/run_client.ts" as string
      );
      return await runClient(request);
    }
    const { runSubcommand }: typeof import("./lib/cli/subcommands.ts") = await import(
      "./lib/cli/subcommands.ts" as string
    );
    await runSubcommand(request);
    return 0;
  });
}

function parseArguments(args: readonly string[]): ReturnType<typeof parseClientArguments> {
  const request = parseClientArguments(args);
  const isAsking = request.type === "chat" && request.task?.type === "receive" && !request.task.yes;
  if (isAsking && !Deno.stdin.isTerminal()) {
    throw new UsageError("without a terminal nobody can be asked", ["use --yes --from NICK"]);
  }
  return request;
}
