/**
 * The sockets of multicast DNS (RFC 6762): messages to and from everybody on the links of this computer.
 *
 * Works beside other programs that do the same, on every interface whether there is a route or not, and as interfaces
 * come and go. An interface where it does not work is left out. Knows nothing of what the messages are about.
 *
 * @module
 */

import { isLinkLocal, type Link, type LinkAddress, linkOf, zoneOf } from "../base/interfaces.ts";
import { decodeMessage, encodeMessage, MAX_MESSAGE_BYTES, MDNS_PORT, type Message } from "./dns.ts";

/** RFC 6762, §3. */
const GROUP_V4 = "224.0.0.251";
const GROUP_V6 = "ff02::fb";

/** Who sent a message. */
export interface Origin {
  readonly link: Link;
  /** With zone where it needs one. */
  readonly address: string;
  readonly port: number;
}

/** What {@linkcode Multicast} needs. */
export interface MulticastOptions {
  /** The links to use; asked for again at each {@linkcode Multicast.refresh}. */
  links(): Link[];
  /** Takes a message, whoever sent it, also those of one's own; what is in it is valid only during the call. */
  onMessage(message: Message, origin: Origin): void;
}

/** Sends and receives on all links. */
export class Multicast {
  readonly #options: MulticastOptions;
  #links: readonly Link[] = [];
  /** Sockets on the well-known port: one for all of IPv4, one for each link with IPv6, by its name. */
  #listeners = new Map<string, Deno.DatagramConn>();
  /** Sockets on ports of their own, by what they ask from. */
  #askers = new Map<string, Deno.DatagramConn>();
  /** What of {@linkcode sendersOf} is listened to. */
  #joined = new Set<string>();
  #receiving = new Set<Promise<void>>();
  #isClosed = false;

  constructor(options: MulticastOptions) {
    this.#options = options;
  }

  /** Tells whether anything can be received from everybody. */
  get isListening(): boolean {
    return this.#joined.size > 0;
  }

  /**
   * Listens on the links that there are now.
   *
   * @returns Those that were not there the last time.
   */
  async refresh(): Promise<Link[]> {
    this.#links = this.#options.links();
    const senders = this.#links.flatMap(sendersOf);
    const ids = new Set(senders.map(({ id }) => id));
    for (const id of this.#joined) if (!ids.has(id)) this.#leave(id);
    const fresh = new Set<Link>();
    for (const sender of senders) {
      if (this.#joined.has(sender.id) || this.#isClosed) continue;
      if (await quietly(() => this.#join(sender))) fresh.add(sender.link);
    }
    return [...fresh];
  }

  /** The links of the last {@linkcode Multicast.refresh}. */
  get links(): readonly Link[] {
    return this.#links;
  }

  /** Sends everybody on a link a message, as one who answers has to: from the well-known port. */
  async send(link: Link, message: Message): Promise<void> {
    for (const { from, group } of sendersOf(link)) {
      await quietly(() => sendOnce(message, from, { hostname: group, port: MDNS_PORT }));
    }
  }

  /** Sends a message to everybody on all links, from a port of one's own: answers come back there too, RFC 6762, §6.7. */
  async ask(message: Message): Promise<void> {
    for (const { id, link, from, group } of this.#links.flatMap(sendersOf)) {
      await quietly(async () => {
        let socket = this.#askers.get(id);
        if (!socket) {
          socket = open(from, 0);
          this.#receive(this.#askers, id, { socket, link });
        }
        const to = { transport: "udp", hostname: group, port: MDNS_PORT } as const;
        await socket.send(encodeMessage(message), to);
      });
    }
  }

  /** Answers one asker alone. */
  async reply({ link, address: hostname, port }: Origin, message: Message): Promise<void> {
    const family = hostname.includes(":") ? "IPv6" : "IPv4";
    const sender = sendersOf(link).find((sender) => sender.family === family);
    if (sender) await quietly(() => sendOnce(message, sender.from, { hostname, port }));
  }

  /** Ends it all. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const socket of [...this.#listeners.values(), ...this.#askers.values()]) {
      closeQuietly(socket);
    }
    await Promise.all(this.#receiving);
  }

  async #join({ id, link, family, from, group }: Sender): Promise<void> {
    // For IPv6 one for each link: nothing else tells which one a message came from.
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
      if (!(error instanceof Deno.errors.AddrInUse)) throw error; // in use: joined before
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
    { socket, link }: { socket: Deno.DatagramConn; link?: Link },
  ): void {
    among.set(key, socket);
    const receiving = this.#pump(socket, link).finally(() => {
      if (among.get(key) === socket) among.delete(key);
      if (among === this.#listeners) this.#forget(key);
      this.#receiving.delete(receiving);
    });
    this.#receiving.add(receiving);
  }

  /** A listener has ended: what it listened to is joined again at the next {@linkcode Multicast.refresh}. */
  #forget(key: string): void {
    for (const id of this.#joined) {
      if (id === key || (key === "IPv4" && id.endsWith(" IPv4"))) this.#joined.delete(id);
    }
  }

  /** Receives until the socket is closed or broken; who refreshes opens another one. */
  async #pump(socket: Deno.DatagramConn, link: Link | undefined): Promise<void> {
    const buffer = new Uint8Array(MAX_MESSAGE_BYTES);
    for (;;) {
      let bytes, from;
      try {
        [bytes, from] = await socket.receive(buffer);
      } catch {
        return closeQuietly(socket);
      }
      const { hostname, port } = from as Deno.NetAddr;
      // A router may pass on what its sender has no business to say here, RFC 6762, §11.
      const via = link ?? linkOf(hostname, this.#links);
      const message = via && decodeMessage(bytes);
      if (!message || this.#isClosed) continue;
      const address = isLinkLocal(hostname) ? hostname + zoneOf(via) : hostname;
      this.#options.onMessage(message, { link: via, address, port });
    }
  }
}

/** A way into a link: it has one for each family. */
interface Sender {
  readonly id: string;
  readonly link: Link;
  readonly family: LinkAddress["family"];
  /** This computer's address, with zone where it needs one. */
  readonly from: string;
  readonly group: string;
}

function sendersOf(link: Link): Sender[] {
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

/** Holds the port no longer than that: what is sent to this computer alone belongs to its operating system. */
async function sendOnce(
  message: Message,
  from: string,
  to: { hostname: string; port: number },
): Promise<void> {
  const socket = open(from, MDNS_PORT);
  try {
    await socket.send(encodeMessage(message), { transport: "udp", ...to });
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
    loopback: true, // others on this computer may listen
  });
}

/** Bound to the group, a socket gets nothing that is meant for others; not every system can do that. */
function openGroup(group: string, everything: string): Deno.DatagramConn {
  try {
    return open(group, MDNS_PORT);
  } catch {
    return open(everything, MDNS_PORT);
  }
}

/**
 * Links go down and addresses vanish at any moment, and a name that somebody else made may be none that can be written:
 * what does not work now is tried again, or was not to be.
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
    // It is closed already.
  }
}
