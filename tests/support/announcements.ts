/**
 * DNS records of one announced relay, and multicast on the loopback interface.
 *
 * @module
 */

import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { listInterfaces } from "../../lib/base/interfaces.ts";
import { browse, type Found } from "../../lib/discovery/browse.ts";
import { type DnsRecord, SERVICE } from "../../lib/discovery/dns.ts";
import { Multicast } from "../../lib/discovery/multicast.ts";
import type { Service } from "../../lib/discovery/responder.ts";

/** The announced part of a fingerprint. */
export const PRINT = "AbC+/0123456789z";
/** A link that leads out of this computer. */
export const OUTSIDE = { zone: "%eth0", isLoopback: false };
export const SERVICE_OF_ANNA: Service = {
  name: "Anna's läptop",
  port: 40623,
  fingerprint: PRINT,
  isLocked: false,
};
export const ADDRESSES = [
  { family: "IPv4", address: "192.168.1.20" },
  { family: "IPv6", address: "fe80::1" },
] as const;

export function text(...fields: string[]): DnsRecord {
  return {
    name: `a.${SERVICE}`,
    type: "TXT",
    ttl: 1,
    unique: true,
    fields: fields.map(encodeUtf8),
  };
}

export function pointTo(label: string): DnsRecord {
  return { name: SERVICE, type: "PTR", ttl: 1, unique: false, data: `${label}.${SERVICE}` };
}

export const LOCATION: DnsRecord = {
  name: `a.${SERVICE}`,
  type: "SRV",
  ttl: 1,
  unique: true,
  port: 7,
  target: "Host.local",
};

export function located(data: string): DnsRecord {
  const type = data.includes(":") ? "AAAA" : "A";
  return { name: "host.local", type, ttl: 1, unique: true, data };
}

/** The loopback interface alone. */
export const loopback = () => listInterfaces().filter(({ isLoopback }) => isLoopback);

/** Whether to skip tests that need multicast on the loopback interface. */
export const ignore = await (async () => {
  await (await Deno.open(import.meta.filename!)).lock(true); // until the end of this test file: some flood it
  const net = new Multicast({ links: loopback, onMessage: () => {} });
  await net.refresh();
  const works = net.isListening;
  await net.close();
  if (!works) console.log("no multicast on the loopback interface: tests skipped");
  return !works;
})();

/** A service with a unique name, so that tests can run at the same time. */
export function ownService(): Service {
  return { ...SERVICE_OF_ANNA, name: `Ännä's box ${crypto.randomUUID().slice(0, 8)}` };
}

/** Browses for announcements of a service under its name or a numbered one. */
export async function findOwn({ name }: Service): Promise<Found[]> {
  const found = await browse({ links: loopback });
  return found.filter((it) => it.name.startsWith(name));
}
