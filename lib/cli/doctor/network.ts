/**
 * What `doctor` looks at about the network: the port a server listens on, what is announced, multicast, firewalls.
 *
 * Each check is one function that changes nothing and gives one finding, or none where there is nothing to say.
 *
 * @module
 */

import { fault, faultOf, type Finding, fine, keyOf, type Patient, warn } from "./local.ts";
import { encodeHex } from "../../base/bytes.ts";
import { systemRandom } from "../../base/clock.ts";
import { findFirewalls } from "./firewalls.ts";
import { listLinks } from "../../base/interfaces.ts";
import { makeMessage } from "../../discovery/dns.ts";
import { Multicast } from "../../discovery/multicast.ts";
import { describeNearby, findNearby } from "../announced_servers.ts";
import { probePort } from "../probe.ts";
import { ServerBook } from "../../session/known_servers.ts";

const LOOPBACK = "127.0.0.1";
const MULTICAST_MS = 500;

/** Whether the port of this computer is free, or by whom it is taken. */
export async function checkPort(patient: Patient): Promise<Finding> {
  const { program, port } = patient;
  const serves = program === "server"; // a client that does not serve needs no port
  const hostname = serves ? patient.host : undefined;
  const error = tryToListen(port, hostname);
  const own = `port ${port} of this computer`;
  if (error === undefined) return fine(`${own} is free`);
  if (error instanceof Deno.errors.AddrNotAvailable) {
    return fault(`${hostname} is no address of this computer`, "leave --host out");
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return (serves ? fault : fine)(
      `${own} may not be used by a server`,
      "ports below 1024 belong to the administrator: choose another with --port",
    );
  }
  if (!(error instanceof Deno.errors.AddrInUse)) return faultOf(error);
  const user = await probePort(hostname ?? LOOPBACK, { port, key: await keyOf(patient) });
  if (user.type === "hearth") {
    return fine(`${own}: a HEARTH server, ${user.fingerprint ?? "of another version"}`);
  }
  return (serves ? fault : warn)(
    `${own} is taken by another program`,
    whoListens(port),
    "or choose another port with --port",
  );
}

/** Listens for an instant, as a server would. @returns Why that cannot be. */
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
      return `this tells which one: netstat -abno | findstr :${port}`;
    case "linux":
      return `this tells which one: sudo ss -ltnp "sport = :${port}"`;
    default:
      return `this tells which one: sudo lsof -nP -iTCP:${port} -sTCP:LISTEN`;
  }
}

/** What is announced on the network. */
export async function checkAnnouncements(patient: Patient): Promise<Finding | undefined> {
  if (patient.program === "server") return undefined;
  let servers;
  try {
    servers = await ServerBook.load(patient.folder);
  } catch {
    return undefined; // the check of the state folder has told
  }
  const found = patient.announced = await findNearby(servers);
  if (found.length > 0) return fine(found.map(describeNearby).join("; "));
  const text = "no server is announced on the network";
  if (patient.host !== undefined) return fine(text);
  return warn(text, "name one with --host ADDRESS, as the server prints it");
}

/** Whether messages to everybody go out and come in, so that servers can be found. */
export async function checkMulticast(): Promise<Finding> {
  const links = listLinks().filter(({ isLoopback }) => !isLoopback);
  if (links.length === 0) {
    return warn("there is no network to look around in", "plug in the cable, or join a Wi-Fi");
  }
  const name = `doctor-${encodeHex(systemRandom(8))}.local`;
  const deaf = new Set(links.map((link) => link.name));
  const net = new Multicast({
    links: () => links,
    onMessage({ questions }, from) {
      if (questions.some((question) => question.name === name)) deaf.delete(from.link.name);
    },
  });
  try {
    await net.refresh();
    const query = makeMessage({ questions: [{ name, type: "A" }] });
    for (const link of links) await net.send(link, query);
    const deadline = performance.now() + MULTICAST_MS;
    while (deaf.size > 0 && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  } finally {
    await net.close();
  }
  const names = links.map((link) => link.name);
  if (deaf.size === 0) return fine(`multicast works on ${names.join(", ")}`);
  return warn(
    `multicast does not work on ${[...deaf].join(", ")}`,
    "servers are not found by themselves there: name one with --host ADDRESS",
    "a firewall has to let UDP port 5353 through, both ways",
  );
}

/** The firewalls of this computer: they keep others from a server on it. */
export async function checkFirewalls({ port, root }: Patient): Promise<Finding> {
  const found = await findFirewalls(port, { root, os: Deno.build.os });
  const closed = found.filter(({ isOpen }) => !isOpen);
  if (closed.length > 0) {
    return warn(
      `${closed.map(({ name }) => name).join(", ")} may keep others from a server on this computer`,
      ...closed.map(({ command }) => `to open the port: ${command}`),
    );
  }
  if (found.length === 0) return fine("none is turned on that its files tell of");
  return fine(`${found.map(({ name }) => name).join(", ")}: port ${port} is open`);
}
