/**
 * The checks of `doctor` about the server that was named: its name, the connection, the handshake, its key, the password.
 *
 * Later checks rely on what earlier ones found out. A password is tried only if one was given, and only with a server
 * whose key is pinned.
 *
 * @module
 */

import { commandOf } from "../../base/command.ts";
import {
  type DoctorContext,
  fault,
  faultOf,
  type Finding,
  fine,
  keyOf,
  type Reached,
  warn,
} from "./local.ts";
import { UsageError } from "../../base/errors.ts";
import { FINAL_HINTS, REASON_TEXTS } from "../../protocol/reasons.ts";
import { KnownServers } from "../../session/mod.ts";
import { announcedFingerprint } from "../announced_servers.ts";
import { dial, UnknownHostError } from "../dial.ts";
import { probePort, tryToJoin } from "../probe.ts";
import { serverAddress } from "../server_address.ts";

const ROUND_TRIPS = 5;

/** Whether the server's name can be resolved. */
export async function checkName(context: DoctorContext): Promise<Finding | undefined> {
  const { host } = context;
  if (host === undefined || /^[\d.]+$|:/.test(host)) return undefined;
  const { address, error } = await reach(context);
  if (address !== undefined) return fine(`${host} is ${address}`);
  return error instanceof UnknownHostError ? faultOf(error) : fine(`${host} is known`);
}

/** Whether the server accepts connections, and if not, why. */
export async function checkConnection(context: DoctorContext): Promise<Finding | undefined> {
  const { host, port } = context;
  if (host === undefined) return undefined;
  const { address, error } = await reach(context);
  if (address !== undefined) return fine(`${serverAddress(address, port)} accepts connections`);
  if (error instanceof UnknownHostError) return undefined; // already reported by the check of the name
  const { text, hints } = faultOf(error);
  return fault(text, ...hints, `run "${commandOf("server")} doctor" on that computer`);
}

/** Connects once for all checks. */
function reach(context: DoctorContext): Promise<Reached> {
  return context.reached ??= connect(context.host!, context.port);
}

async function connect(host: string, port: number): Promise<Reached> {
  try {
    const { connection, hostname } = await dial(host, port);
    const address = connection.remoteAddr.hostname;
    connection.close();
    // Of the two, only the address as typed has its zone.
    return { address: hostname.includes("%") ? hostname : address };
  } catch (error) {
    if (error instanceof UsageError) return { error };
    throw error;
  }
}

/** How long it takes to open a connection, which is one round trip. */
export async function checkRoundTrip(context: DoctorContext): Promise<Finding | undefined> {
  const { port } = context;
  const { address } = await context.reached ?? {};
  if (address === undefined) return undefined;
  const times: number[] = [];
  for (let i = 0; i < ROUND_TRIPS; i++) {
    const start = performance.now();
    (await dial(address, port)).connection.close();
    times.push(performance.now() - start);
  }
  const median = times.sort((a, b) => a - b)[ROUND_TRIPS >> 1]!;
  return fine(`${median.toFixed(median < 10 ? 1 : 0)} ms`);
}

/** Whether it is a HEARTH server of our version. */
export async function checkHandshake(context: DoctorContext): Promise<Finding | undefined> {
  const { port } = context;
  const { address } = await context.reached ?? {};
  if (address === undefined) return undefined;
  const user = await probePort(address, { port, key: await keyOf(context) });
  if (user.type === "other") {
    return fault(
      "what answers there is not a HEARTH server",
      "check the address and port against those that the server prints",
    );
  }
  if (user.fingerprint === undefined) {
    return fault(
      "the server speaks another version of the protocol",
      "use the same version of Hearth on both sides",
    );
  }
  context.proven = user.fingerprint;
  return fine("a HEARTH server of the same version");
}

/** Whether the server's key is the pinned one, or the one that was given. */
export async function checkPin(context: DoctorContext): Promise<Finding | undefined> {
  const { host, port, folder, fingerprint, proven } = context;
  if (host === undefined || proven === undefined) return undefined;
  const address = serverAddress(host, port);
  try {
    const knownServers = await KnownServers.load(folder);
    if (fingerprint !== undefined) {
      knownServers.expect(address, { start: fingerprint, source: "invitation" });
    }
    context.pinned = knownServers.knows(proven);
    switch (knownServers.judge(address, proven)) {
      case "known":
        return fine(`the server's key is the right one: ${proven}`);
      case "new":
        return fine(
          `the server's key is new: ${proven}`,
          "compare it with the one that the server prints",
        );
      case "changed":
        delete context.proven; // do not show it the password
        return faultOf(knownServers.changedKey(address, proven));
    }
  } catch (error) {
    return faultOf(error);
  }
}

/** Whether the server needs a password, and accepts the one that was given. */
export async function checkPassword(context: DoctorContext): Promise<Finding | undefined> {
  const { port, password, proven } = context;
  const { address } = await context.reached ?? {};
  if (address === undefined || proven === undefined) return undefined;
  if (password !== "" && !context.pinned) {
    return warn(
      "the password was not tried: this computer does not know the server's key yet",
      "join with the client first, which remembers the key",
    );
  }
  if (password !== "") return await tryPassword(context, { address, proven });
  const announced = context.announced?.find((server) =>
    server.port === port && proven.startsWith(announcedFingerprint(server))
  );
  if (!announced) {
    return fine("the server does not say whether it needs a password", "use --password to try one");
  }
  if (!announced.password) return fine("the server needs no password");
  return warn("the server needs a password", "give it with --password");
}

async function tryPassword(
  context: DoctorContext,
  { address, proven: fingerprint }: { address: string; proven: string },
): Promise<Finding> {
  const { port, password } = context;
  let reason;
  try {
    const key = await keyOf(context);
    reason = await tryToJoin(address, { port, key, password, fingerprint });
  } catch (error) {
    return faultOf(error);
  }
  if (reason === undefined) return fine("the server accepts the password, if it needs one");
  const text = `the server refuses it: ${REASON_TEXTS[reason] ?? reason}`;
  const hint = FINAL_HINTS[reason];
  return fault(text, ...(hint === undefined ? [] : [hint]));
}
