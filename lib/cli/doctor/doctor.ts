/**
 * `client doctor` and `server doctor`: looks at everything that talking needs, one check after another, and says what
 * to do where something is in the way.
 *
 * Changes nothing and runs no program.
 *
 * @module
 */

import type { DoctorRequest } from "../arguments.ts";
import {
  type Check,
  checkAddresses,
  checkClock,
  checkState,
  checkTerminal,
  checkVersion,
  faultOf,
  type Finding,
  type Patient,
} from "./local.ts";
import { EXIT_FAILURE, readPassword } from "../process.ts";
import { stateFolder } from "../../base/files.ts";
import { checkAnnouncements, checkFirewalls, checkMulticast, checkPort } from "./network.ts";
import { askSecretly } from "../../ui/terminal/ask_secretly.ts";
import {
  checkConnection,
  checkHandshake,
  checkName,
  checkPassword,
  checkPin,
  checkRoundTrip,
} from "./server.ts";
import { cleanLine, escapeJson } from "../../base/text.ts";

/** What is looked at, in this order, by its name. */
export const CHECKS: readonly (readonly [name: string, check: Check, only?: "client"])[] = [
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
];

/** Examines; the findings come one by one. */
export async function* examine(
  patient: Patient,
): AsyncGenerator<Finding & { readonly check: string }> {
  for (const [name, check, only] of CHECKS) {
    if (only !== undefined && only !== patient.program) continue;
    const finding = await attempt(check, patient);
    if (finding) yield { check: name, ...finding };
  }
}

/** A check that cannot be made is no reason not to make the others. */
async function attempt(check: Check, patient: Patient): Promise<Finding | undefined> {
  try {
    return await check(patient);
  } catch (error) {
    return faultOf(error);
  }
}

/**
 * Runs `doctor`.
 *
 * @returns The exit code: 1 when something keeps one from talking.
 */
export async function runDoctor(request: DoctorRequest): Promise<number> {
  const { program, host, port, fingerprint, key: keyFile, json } = request;
  const env = (name: string) => Deno.env.get(name);
  const password = program === "client"
    ? await readPassword({ source: request.password, ask: askSecretly })
    : "";
  const patient: Patient = {
    ...{ program, host, port, fingerprint, password, keyFile, env },
    folder: stateFolder(env),
    root: "/",
  };
  let problems = 0;
  for await (const finding of examine(patient)) {
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
