/**
 * `client doctor` and `server doctor`: checks everything a connection needs, one thing after another, and says what to
 * do about problems. Changes nothing and runs no program.
 *
 * @module
 */

import type { DoctorRequest } from "../arguments.ts";
import { checkCluster } from "./cluster.ts";
import {
  type Check,
  checkAddresses,
  checkClock,
  checkState,
  checkTerminal,
  checkVersion,
  type DoctorContext,
  faultOf,
  type Finding,
} from "./local.ts";
import { EXIT_FAILURE } from "../process.ts";
import { stateFolder } from "../../base/files.ts";
import { checkAnnouncements, checkFirewalls, checkMulticast, checkPort } from "./network.ts";
import {
  checkConnection,
  checkHandshake,
  checkName,
  checkPassword,
  checkPin,
  checkRoundTrip,
} from "./server.ts";
import { cleanLine, escapeJson } from "../../base/text.ts";
import { askSecretly, readPassword } from "../secrets.ts";

/** The checks by name, in order. */
const CHECKS: readonly (readonly [name: string, check: Check, only?: "client"])[] = [
  ["version", checkVersion],
  ["terminal", checkTerminal],
  ["state", checkState],
  ["clock", checkClock],
  ["addresses", checkAddresses],
  ["port", checkPort],
  ["name", checkName, "client"],
  ["connection", checkConnection, "client"],
  ["round trip", checkRoundTrip, "client"],
  ["handshake", checkHandshake, "client"],
  ["key", checkPin, "client"],
  ["announced", checkAnnouncements, "client"],
  ["password", checkPassword, "client"],
  ["multicast", checkMulticast],
  ["firewall", checkFirewalls],
  ["cluster", checkCluster],
];

async function* examine(
  context: DoctorContext,
): AsyncGenerator<Finding & { readonly check: string }> {
  for (const [name, check, only] of CHECKS) {
    if (only !== undefined && only !== context.program) continue;
    const finding = await attempt(check, context);
    if (finding) yield { check: name, ...finding };
  }
}

/** A check that throws becomes a finding, and the others go on. */
async function attempt(check: Check, context: DoctorContext): Promise<Finding | undefined> {
  try {
    return await check(context);
  } catch (error) {
    return faultOf(error);
  }
}

/**
 * Runs `doctor`.
 *
 * @returns The exit code: 1 if there is a problem.
 */
export async function runDoctor(request: DoctorRequest): Promise<number> {
  const { program, host, port, fingerprint, key: keyFile, cluster, json } = request;
  const env = (name: string) => Deno.env.get(name);
  const password = program === "client"
    ? await readPassword({ source: request.password, ask: askSecretly })
    : "";
  const context: DoctorContext = {
    ...{ program, host, port, fingerprint, password, keyFile, cluster, env },
    folder: stateFolder(env),
    root: "/",
  };
  let problems = 0;
  for await (const finding of examine(context)) {
    if (finding.level === "problem") problems++;
    if (json) console.log(escapeJson(finding));
    else for (const line of describe(finding)) console.log(line);
  }
  return problems > 0 ? EXIT_FAILURE : 0;
}

function describe(
  { check, level, text, hints }: Finding & { readonly check: string },
): string[] {
  return [
    `${level.padEnd(8)} ${check.padEnd(11)} ${cleanLine(text)}`,
    ...hints.map((hint) => `${" ".repeat(21)}${cleanLine(hint)}`),
  ];
}
