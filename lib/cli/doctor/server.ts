/**
 * What `doctor` looks at about a server that was named: its name, the way to it, what answers there, its key, its
 * password.
 *
 * Each check is one function that changes nothing and gives one finding, or none where there is nothing to say. A later
 * one relies on what an earlier one has learned. A password is only tried if it was given, and only with a server whose
 * key is the right one.
 *
 * @module
 */

import {
  fault,
  faultOf,
  type Finding,
  fine,
  keyOf,
  type Patient,
  type Reached,
  warn,
} from "./local.ts";
import { connectError } from "../process.ts";
import type { UsageError } from "../../base/errors.ts";
import { lookUp, startOf } from "../announced_servers.ts";
import { probePort, tryToJoin } from "../probe.ts";
import { FINAL_HINTS, REASON_TEXTS } from "../../protocol/reasons.ts";
import { serverAddress, ServerBook } from "../../session/known_servers.ts";

/** Long enough for a server far away and a lost packet or two. */
const CONNECT_MS = 5_000;
const ROUND_TRIPS = 5;

/** Whether the server's name is one that leads to a computer. */
export async function checkName(patient: Patient): Promise<Finding | undefined> {
  const { host } = patient;
  if (host === undefined || /^[\d.]+$|:/.test(host)) return undefined;
  const { address, error } = await reach(patient);
  if (address !== undefined) return fine(`${host} is ${address}`);
  return isUnknownName(error) ? faultOf(error) : fine(`${host} is known`);
}

/** Whether a connection to the server can be made, and if not, why. */
export async function checkConnection(patient: Patient): Promise<Finding | undefined> {
  const { host, port } = patient;
  if (host === undefined) return undefined;
  const { address, error } = await reach(patient);
  if (address !== undefined) return fine(`${serverAddress(address, port)} takes connections`);
  if (isUnknownName(error)) return undefined; // that is told already
  const { text, hints } = faultOf(error);
  return fault(text, ...hints, `"server doctor" on that computer tells what keeps others from it`);
}

function isUnknownName(error: UsageError | undefined): boolean {
  return error?.message.endsWith("no computer of that name was found") ?? false;
}

/** Connects once for all checks. */
function reach(patient: Patient): Promise<Reached> {
  return patient.reached ??= connect(patient.host!, patient.port);
}

async function connect(host: string, port: number): Promise<Reached> {
  let reason;
  for (const hostname of await lookUp(host)) {
    try {
      const connection = await dial(hostname, port);
      const { hostname: address } = connection.remoteAddr;
      connection.close();
      // Where a zone is needed only what was typed has it.
      return { address: hostname.includes("%") ? hostname : address };
    } catch (error) {
      reason ??= error;
    }
  }
  return { error: connectError(serverAddress(host, port), reason) };
}

function dial(hostname: string, port: number): Promise<Deno.TcpConn> {
  return Deno.connect({ hostname, port, signal: AbortSignal.timeout(CONNECT_MS) });
}

/** How long a packet takes to the server and back: what a connection needs to be made. */
export async function checkRoundTrip(patient: Patient): Promise<Finding | undefined> {
  const { port } = patient;
  const { address } = await patient.reached ?? {};
  if (address === undefined) return undefined;
  const times: number[] = [];
  for (let i = 0; i < ROUND_TRIPS; i++) {
    const start = performance.now();
    (await dial(address, port)).close();
    times.push(performance.now() - start);
  }
  const median = times.sort((a, b) => a - b)[ROUND_TRIPS >> 1]!;
  return fine(`${median.toFixed(median < 10 ? 1 : 0)} ms there and back`);
}

/** Whether it is a HEARTH server, and of the same version. */
export async function checkHandshake(patient: Patient): Promise<Finding | undefined> {
  const { port } = patient;
  const { address } = await patient.reached ?? {};
  if (address === undefined) return undefined;
  const user = await probePort(address, { port, key: await keyOf(patient) });
  if (user.type === "other") {
    return fault(
      "what answers there is no HEARTH server",
      "check the address and the port that the server prints",
    );
  }
  if (user.fingerprint === undefined) {
    return fault(
      "the server speaks another version of the protocol",
      "use the same version of Hearth on both sides",
    );
  }
  patient.proven = user.fingerprint;
  return fine("a HEARTH server, of the same version");
}

/** Whether the server's key is the one that is known, or that was given. */
export async function checkPin(patient: Patient): Promise<Finding | undefined> {
  const { host, port, folder, fingerprint, proven } = patient;
  if (host === undefined || proven === undefined) return undefined;
  const address = serverAddress(host, port);
  try {
    const servers = await ServerBook.load(folder);
    if (fingerprint !== undefined) {
      servers.expect(address, { start: fingerprint, source: "invitation" });
    }
    switch (servers.judge(address, proven)) {
      case "known":
        return fine(`the server's key is the right one: ${proven}`);
      case "new":
        return fine(
          `the server's key is new: ${proven}`,
          "compare it with the one that the server prints",
        );
      case "changed":
        delete patient.proven; // nothing more is said to that one
        return faultOf(servers.changedKey(address, proven));
    }
  } catch (error) {
    return faultOf(error);
  }
}

/** Whether a password is needed, and whether the one that was given is right. */
export async function checkPassword(patient: Patient): Promise<Finding | undefined> {
  const { port, password, proven } = patient;
  const { address } = await patient.reached ?? {};
  if (address === undefined || proven === undefined) return undefined;
  if (password !== "") return await tryPassword(patient, { address, proven });
  const said = patient.announced?.find((it) => it.port === port && proven.startsWith(startOf(it)));
  if (!said) {
    return fine("the server does not say whether it needs a password", "--password tries one");
  }
  if (!said.password) return fine("the server needs no password");
  return warn("the server needs a password", "give it with --password");
}

async function tryPassword(
  patient: Patient,
  { address, proven: fingerprint }: { address: string; proven: string },
): Promise<Finding> {
  const { port, password } = patient;
  let reason;
  try {
    const key = await keyOf(patient);
    reason = await tryToJoin(address, { port, key, password, fingerprint });
  } catch (error) {
    return faultOf(error);
  }
  if (reason === undefined) return fine("the server takes the password, if it needs one");
  const text = `the server refuses: ${REASON_TEXTS[reason] ?? reason}`;
  const hint = FINAL_HINTS[reason];
  return fault(text, ...(hint === undefined ? [] : [hint]));
}
