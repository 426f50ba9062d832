/**
 * Multicast DNS sockets (RFC 6762): sends and receives messages on every link of this computer.
 *
 * Shares the port with other responders, needs no route, and follows interfaces as they come and go. An interface on
 * which multicast fails is skipped. Whatever arrives, reading it takes a small, fixed share of the time.
 *
 * @module
 */

import {
  type InterfaceAddress,
  interfaceOf,
  type NetworkInterface,
  zoneOf,
} from "../base/interfaces.ts";
import { systemClock, type Timer } from "../base/clock.ts";
import { isLinkLocal } from "../base/ip.ts";
import { type DnsMessage, MAX_MESSAGE_BYTES, MDNS_PORT } from "./dns.ts";
import { decodeDns } from "./dns_decode.ts";
import { encodeDns } from "./dns_encode.ts";
import { WorkBudget } from "./work_budget.ts";

/** RFC 6762 §3. */
const GROUP_V4 = "224.0.0.251";
const GROUP_V6 = "ff02::fb";
/** The work for what arrives, in units of about a microsecond: 5 % of one core, and some 5 ms at a time. */
const WORK_BUDGET = { perSecond: 50_000, burst: 5_000 };
/** Work for a message besides its decoding: receiving it, and finding the link. */
const RECEIVE_WORK = 32;

/** The sender of a message. */
export interface Origin {
  readonly link: NetworkInterface;
  /** With its zone if it is link-local. */
  readonly address: string;
  readonly port: number;
}

/** Options of {@linkcode Multicast}. */
interface MulticastOptions {
  /** The links to use; called again by each {@linkcode Multicast.refresh}. */
  links(): NetworkInterface[];
  /** Called for every message, including our own; its contents are valid only during the call. */
  onMessage(message: DnsMessage, origin: Origin): void;
  /** Called when reading pauses because the work of this moment is used up: one message is dropped, and by the system more. */
  onOverload?(): void;
}

/** Sends and receives DNS messages on all links, until {@linkcode close}. */
export class Multicast {
  readonly #options: MulticastOptions;
  #links: readonly NetworkInterface[] = [];
  /** Sockets on port 5353: one for all of IPv4, one per link for IPv6. */
  #listeners = new Map<string, Deno.DatagramConn>();
  /** Sockets on ephemeral ports, keyed by sender id. */
  #askers = new Map<string, Deno.DatagramConn>();
  /** Ids of the senders whose group was joined. */
  #joined = new Set<string>();
  #receiving = new Set<Promise<void>>();
  /** One for all links: a flood on one of them must not cost more than a flood on all. */
  readonly #budget = new WorkBudget(systemClock, WORK_BUDGET);
  /** Resumes sockets that are not read for a moment. */
  #pauses = new Map<Timer, () => void>();
  #isClosed = false;

  constructor(options: MulticastOptions) {
    this.#options = options;
  }

  /** Whether at least one multicast group was joined. */
  get isListening(): boolean {
    return this.#joined.size > 0;
  }

  /**
   * Joins the groups of the present links and leaves those of vanished ones.
   *
   * @returns The links that are new.
   * @throws {Error} When the system cannot list its interfaces.
   */
  async refresh(): Promise<NetworkInterface[]> {
    this.#links = this.#options.links();
    const senders = this.#links.flatMap(sendersOf);
    const ids = new Set(senders.map(({ id }) => id));
    for (const id of this.#joined) if (!ids.has(id)) this.#leave(id);
    const fresh = new Set<NetworkInterface>();
    for (const sender of senders) {
      if (this.#joined.has(sender.id) || this.#isClosed) continue;
      if (await quietly(() => this.#join(sender))) fresh.add(sender.link);
    }
    return [...fresh];
  }

  /** The links as of the last {@linkcode Multicast.refresh}. */
  get links(): readonly NetworkInterface[] {
    return this.#links;
  }

  /** Multicasts on one link from port 5353, as a responder must. */
  async send(link: NetworkInterface, message: DnsMessage): Promise<void> {
    for (const { from, group } of sendersOf(link)) {
      await quietly(() => sendOnce(message, from, { hostname: group, port: MDNS_PORT }));
    }
  }

  /** Multicasts a query on all links from an ephemeral port, which also gets unicast answers (RFC 6762 §6.7). */
  async ask(message: DnsMessage): Promise<void> {
    for (const { id, link, from, group } of this.#links.flatMap(sendersOf)) {
      await quietly(async () => {
        let socket = this.#askers.get(id);
        if (!socket) {
          socket = open(from, 0);
          this.#receive(this.#askers, id, { socket, link });
        }
        const to = { transport: "udp", hostname: group, port: MDNS_PORT } as const;
        await socket.send(encodeDns(message), to);
      });
    }
  }

  /** Sends a unicast answer. */
  async reply({ link, address: hostname, port }: Origin, message: DnsMessage): Promise<void> {
    const family = hostname.includes(":") ? "IPv6" : "IPv4";
    const sender = sendersOf(link).find((sender) => sender.family === family);
    if (sender) await quietly(() => sendOnce(message, sender.from, { hostname, port }));
  }

  /** Closes all sockets; resolves once nothing more will be received. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const [timer, resume] of this.#pauses) {
      systemClock.cancel(timer);
      resume();
    }
    for (const socket of [...this.#listeners.values(), ...this.#askers.values()]) {
      closeQuietly(socket);
    }
    await Promise.all(this.#receiving);
  }

  async #join({ id, link, family, from, group }: Sender): Promise<void> {
    // One socket per link for IPv6: nothing else says which link a message came from.
    const key = family === "IPv4" ? family : id;
    let socket = this.#listeners.get(key);
    if (!socket) {
      socket = openGroup(group, family === "IPv4" ? "0.0.0.0" : "::");
      this.#receive(this.#listeners, key, family === "IPv4" ? { socket } : { socket, link });
    }
    try {
      if (family === "IPv4") await socket.joinMulticastV4(group, from);
      else await socket.joinMulticastV6(GROUP_V6, link.index!);
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error; // already a member
    }
    this.#joined.add(id);
  }

  #leave(id: string): void {
    this.#joined.delete(id);
    for (const sockets of [this.#listeners, this.#askers]) closeQuietly(sockets.get(id));
  }

  #receive(
    among: Map<string, Deno.DatagramConn>,
    key: string,
    { socket, link }: { socket: Deno.DatagramConn; link?: NetworkInterface },
  ): void {
    among.set(key, socket);
    const receiving = this.#pump(socket, link).finally(() => {
      if (among.get(key) === socket) among.delete(key);
      if (among === this.#listeners) this.#forget(key);
      this.#receiving.delete(receiving);
    });
    this.#receiving.add(receiving);
  }

  /** A listener has ended; the next {@linkcode Multicast.refresh} joins its groups again. */
  #forget(key: string): void {
    for (const id of this.#joined) {
      if (id === key || (key === "IPv4" && id.endsWith(" IPv4"))) this.#joined.delete(id);
    }
  }

  /** Receives until the socket is closed or fails. */
  async #pump(socket: Deno.DatagramConn, link: NetworkInterface | undefined): Promise<void> {
    const buffer = new Uint8Array(MAX_MESSAGE_BYTES + 1); // a byte more, to notice longer ones
    for (;;) {
      let bytes, from;
      try {
        [bytes, from] = await socket.receive(buffer);
      } catch {
        return closeQuietly(socket);
      }
      const { hostname, port } = from as Deno.NetAddr;
      const waitMs = this.#budget.waitMs;
      if (waitMs > 0) {
        this.#options.onOverload?.();
        await this.#pause(waitMs); // meanwhile the system drops what does not fit into the socket's buffer
        continue;
      }
      // Ignore packets from off-link senders (RFC 6762 §11).
      const via = link ?? interfaceOf(hostname, this.#links);
      const { message, work } = via ? decodeDns(bytes) : IGNORED;
      this.#budget.spend(RECEIVE_WORK + work);
      if (!via || !message || this.#isClosed) continue;
      const address = isLinkLocal(hostname) ? hostname + zoneOf(via) : hostname;
      this.#options.onMessage(message, { link: via, address, port });
    }
  }

  async #pause(delayMs: number): Promise<void> {
    if (this.#isClosed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = systemClock.after(delayMs, resolve);
    this.#pauses.set(timer, resolve);
    await promise;
    this.#pauses.delete(timer);
  }
}

const IGNORED = { message: undefined, work: 0 };

/** How to send on a link with one address family. */
interface Sender {
  readonly id: string;
  readonly link: NetworkInterface;
  readonly family: InterfaceAddress["family"];
  /** This computer's address, with its zone if it is link-local. */
  readonly from: string;
  readonly group: string;
}

function sendersOf(link: NetworkInterface): Sender[] {
  const { name, addresses, index } = link;
  const senders: Sender[] = [];
  const v4 = addresses.find(({ family }) => family === "IPv4")?.address;
  if (v4) {
    senders.push({ id: `${name} ${v4} IPv4`, link, family: "IPv4", from: v4, group: GROUP_V4 });
  }
  const v6 = addresses.find(({ address }) => isLinkLocal(address))?.address;
  if (v6 && index !== undefined) {
    const zone = zoneOf(link);
    const [from, group] = [v6 + zone, GROUP_V6 + zone];
    senders.push({ id: `${name} ${v6} IPv6`, link, family: "IPv6", from, group });
  }
  return senders;
}

/** Holds port 5353 only briefly: unicast packets to it belong to the system's responder. */
async function sendOnce(
  message: DnsMessage,
  from: string,
  to: { hostname: string; port: number },
): Promise<void> {
  const socket = open(from, MDNS_PORT);
  try {
    await socket.send(encodeDns(message), { transport: "udp", ...to });
  } finally {
    socket.close();
  }
}

function open(hostname: string, port: number): Deno.DatagramConn {
  return Deno.listenDatagram({
    transport: "udp",
    hostname,
    port,
    reuseAddress: true,
    loopback: true, // other programs on this computer may listen
  });
}

/** Binds to the group address, so that unicast packets go elsewhere; where the system refuses, to all addresses. */
function openGroup(group: string, anyAddress: string): Deno.DatagramConn {
  try {
    return open(group, MDNS_PORT);
  } catch {
    return open(anyAddress, MDNS_PORT);
  }
}

/**
 * Ignores failures: links go down at any moment, and a remote name may not be encodable. Whatever matters is retried.
 *
 * @returns Whether it succeeded.
 */
async function quietly(action: () => Promise<unknown>): Promise<boolean> {
  try {
    await action();
    return true;
  } catch {
    return false;
  }
}

function closeQuietly(socket: Deno.DatagramConn | undefined): void {
  try {
    socket?.close();
  } catch {
    // Already closed.
  }
}
