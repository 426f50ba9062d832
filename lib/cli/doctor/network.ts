/**
 * The checks of `doctor` about the network: the port a server listens on, announcements, multicast, firewalls.
 *
 * @module
 */

import { type DoctorContext, fault, faultOf, type Finding, fine, keyOf, warn } from "./local.ts";
import { encodeHex } from "../../base/bytes.ts";
import { systemRandom } from "../../base/clock.ts";
import { findFirewalls } from "./firewalls.ts";
import { listInterfaces } from "../../base/interfaces.ts";
import { makeDnsMessage, Multicast } from "../../discovery/mod.ts";
import { KnownServers } from "../../session/mod.ts";
import { describeAnnounced, findAnnounced } from "../announced_servers.ts";
import { probeHere, probePort } from "../probe.ts";

/** How long our own query may take to come back. */
const MULTICAST_TIMEOUT_MS = 500;

/** Whether the port is free on this computer, or what has it. */
export async function checkPort(context: DoctorContext): Promise<Finding> {
  const { program, port } = context;
  const serves = program === "server"; // a client that does not serve needs no port
  const hostname = serves ? context.host : undefined;
  const error = tryToListen(port, hostname);
  const own = `port ${port} of this computer`;
  if (error === undefined) return fine(`${own} is free`);
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return fault(`${hostname} is not an address of this computer`, "leave --host out");
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return (serves ? fault : fine)(
      `${own} is not allowed for a server`,
      "ports below 1024 need administrator rights: choose another with --port",
    );
  }
  if (!(error instanceof Deno.errors.AddrInUse)) return faultOf(error);
  const key = await keyOf(context);
  const user = hostname === undefined
    ? await probeHere(port, key)
    : await probePort(hostname, { port, key });
  if (user.type === "hearth") {
    return fine(`${own}: a HEARTH server, ${user.fingerprint ?? "of another version"}`);
  }
  return (serves ? fault : warn)(
    `${own} is taken by another program`,
    whoListens(port),
    "or choose another port with --port",
  );
}

/** Listens for an instant, as a server would; returns the error if that fails. */
function tryToListen(port: number, hostname: string | undefined): unknown {
  try {
    Deno.listen({ port, hostname: hostname ?? "0.0.0.0" }).close();
  } catch (error) {
    return error;
  }
  if (hostname !== undefined) return undefined;
  try {
    Deno.listen({ port, hostname: "::" }).close();
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return error; // else there is no IPv6 here
  }
  return undefined;
}

function whoListens(port: number): string {
  switch (Deno.build.os) {
    case "windows":
      return `to see which one: netstat -abno | findstr :${port}`;
    case "linux":
      return `to see which one: sudo ss -ltnp "sport = :${port}"`;
    default:
      return `to see which one: sudo lsof -nP -iTCP:${port} -sTCP:LISTEN`;
  }
}

/** Which servers are announced on the network. */
export async function checkAnnouncements(context: DoctorContext): Promise<Finding | undefined> {
  if (context.program === "server") return undefined;
  let knownServers;
  try {
    knownServers = await KnownServers.load(context.folder);
  } catch {
    return undefined; // already reported by the check of the state folder
  }
  const found = context.announced = await findAnnounced(knownServers);
  if (found.length > 0) return fine(found.map(describeAnnounced).join("; "));
  const text = "no server is announced on the network";
  if (context.host !== undefined) return fine(text);
  return warn(text, "name one with --host ADDRESS, as the server prints it");
}

/** Whether multicast works, so that servers can be found: sends a query on each interface and waits to receive it. */
export async function checkMulticast(): Promise<Finding> {
  const interfaces = listInterfaces().filter(({ isLoopback }) => !isLoopback);
  if (interfaces.length === 0) {
    return warn("no network to look for servers on", "plug in the cable, or join a Wi-Fi");
  }
  const name = `doctor-${encodeHex(systemRandom(8))}.local`;
  const silent = new Set(interfaces.map(({ name }) => name));
  const net = new Multicast({
    links: () => interfaces,
    onMessage({ questions }, from) {
      if (questions.some((question) => question.name === name)) silent.delete(from.link.name);
    },
  });
  try {
    await net.refresh();
    const query = makeDnsMessage({ questions: [{ name, type: "A" }] });
    for (const link of interfaces) await net.send(link, query);
    const deadline = performance.now() + MULTICAST_TIMEOUT_MS;
    while (silent.size > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  } finally {
    await net.close();
  }
  const names = interfaces.map(({ name }) => name);
  if (silent.size === 0) return fine(`multicast works on ${names.join(", ")}`);
  return warn(
    `multicast does not work on ${[...silent].join(", ")}`,
    "servers cannot be found there: name one with --host ADDRESS",
    "the firewall must allow UDP port 5353, in and out",
  );
}

/** Whether a firewall may block a server on this computer. */
export async function checkFirewalls({ port, root }: DoctorContext): Promise<Finding> {
  const found = await findFirewalls(port, { root, os: Deno.build.os });
  const closed = found.filter(({ isOpen }) => !isOpen);
  if (closed.length > 0) {
    return warn(
      `${closed.map(({ name }) => name).join(", ")} may block a server on this computer`,
      ...closed.map(({ command }) => `to open the port: ${command}`),
    );
  }
  if (found.length === 0) return fine("no active firewall found");
  return fine(`${found.map(({ name }) => name).join(", ")}: port ${port} is open`);
}
