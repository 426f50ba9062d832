/**
 * Runs a program from its arguments to its exit code; answers itself what both programs can be asked.
 *
 * @module
 */

import { reportError } from "../base/errors.ts";
import { flushOutput } from "../base/output.ts";
import type { CommonRequest } from "./arguments.ts";
import { type Program, usage } from "./options.ts";
import { EXIT_FAILURE, EXIT_USAGE } from "./process.ts";
import { version } from "./programs.ts";

/**
 * Runs a program and ends the process.
 *
 * @param parse Reads the command line; what it throws ends the program with exit code 2.
 * @param run Carries out what only this program can be asked and returns the exit code; what it throws ends the
 * program with exit code 1.
 */
export async function runProgram<Name extends string, Request extends { readonly type: string }>(
  program: Program<Name>,
  parse: (args: readonly string[]) => Request | CommonRequest,
  run: (request: Exclude<Request, CommonRequest>) => Promise<number>,
): Promise<never> {
  let code = EXIT_USAGE;
  try {
    const request = parse(Deno.args);
    code = EXIT_FAILURE;
    code = isCommon(request)
      ? await answer(program, request)
      : await run(request as Exclude<Request, CommonRequest>);
  } catch (error) {
    reportError(program.name, error);
  }
  await flushOutput();
  Deno.exit(code);
}

function isCommon(request: { readonly type: string }): request is CommonRequest {
  return ["help", "version", "doctor", "completions"].includes(request.type);
}

/** Loads what it needs only when it is needed: `--help` is to be quick. */
async function answer<Name extends string>(
  program: Program<Name>,
  request: CommonRequest,
): Promise<number> {
  switch (request.type) {
    case "help":
      console.log(usage(program).trimEnd());
      return 0;
    case "version":
      console.log(version(program.name));
      return 0;
    case "completions": {
      const { completions }: typeof import("./completions.ts") = await import(
        "./completions.ts" as string
      );
      console.log(completions(program, request.shell).trimEnd());
      return 0;
    }
    case "doctor": {
      const { runDoctor }: typeof import("./doctor/doctor.ts") = await import(
        "./doctor/doctor.ts" as string
      );
      return await runDoctor(request);
    }
  }
}
