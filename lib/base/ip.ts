/**
 * IP addresses as text.
 *
 * @module
 */

import { type Bytes, encodeHex, readU16, writeU16 } from "./bytes.ts";

/** The addresses by which this computer reaches itself. */
export const LOOPBACK = "127.0.0.1";
export const LOOPBACK_V6 = "::1";

/** Writes an IPv4 address that came through an IPv6 socket (`::ffff:192.0.2.1`) as an IPv4 address. */
export function canonicalAddress(address: string): string {
  return address.toLowerCase().replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, "");
}

/** Whether an address in the form of {@linkcode canonicalAddress} is one by which a computer reaches itself. */
export function isLoopback(address: string): boolean {
  return /^(127\.[\d.]+|::1)$/.test(address);
}

/** Whether an address in the form of {@linkcode canonicalAddress} names one computer: no group, nor all of a network. */
export function isUnicast(address: string): boolean {
  if (address.includes(":")) return address !== "::" && !address.startsWith("ff");
  const first = Number(address.split(".", 1)[0]);
  return first > 0 && first < 224;
}

/** Whether an address is in fe80::/10: it needs a zone (`%eth0`), which is valid on one computer only. */
export function isLinkLocal(address: string): boolean {
  return /^fe[89ab][\da-f]:/i.test(address);
}

/** Whether an address is in 169.254.0.0/16, which computers choose by themselves where no router gives them one. */
export function isIpv4LinkLocal(address: string): boolean {
  return address.startsWith("169.254.");
}

/**
 * The network that stands for an address where addresses are counted: an IPv4 address itself, the /64 of an IPv6 one,
 * in which one computer can have any number of addresses.
 *
 * @param address In the form of {@linkcode canonicalAddress}, perhaps with a zone.
 */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const [ip = "", zone] = address.split("%");
  const prefix = encodeHex(parseIp(ip).subarray(0, 8));
  return zone === undefined ? prefix : `${prefix}%${zone}`;
}

/** Writes the 4 bytes of an IPv4 address as text. */
export function formatIpv4(bytes: Uint8Array): string {
  return bytes.join(".");
}

/** Writes the 16 bytes of an IPv6 address as text, in the form of RFC 5952. */
export function formatIpv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => readU16(bytes, 2 * i).toString(16));
  return new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1);
}

/** Reads an IPv4 or IPv6 address without zone into its 4 or 16 bytes; the operating system has written it. */
export function parseIp(address: string): Bytes {
  if (!address.includes(":")) return Uint8Array.from(address.split("."), Number);
  // A URL writes an embedded IPv4 address as two groups.
  const { hostname } = new URL(`http://[${address}]/`);
  const [head = "", tail] = hostname.slice(1, -1).split("::");
  const groups = (text: string) => text === "" ? [] : text.split(":").map((it) => parseInt(it, 16));
  const [first, last] = [groups(head), groups(tail ?? "")];
  const bytes = new Uint8Array(16);
  for (const [i, group] of first.entries()) writeU16(bytes, 2 * i, group);
  for (const [i, group] of last.entries()) writeU16(bytes, 16 - 2 * (last.length - i), group);
  return bytes;
}

/** Writes an address with a port: `192.0.2.1:80`, `[2001:db8::1]:80`. */
export function joinPort(address: string, port: number): string {
  return `${address.includes(":") ? `[${address}]` : address}:${port}`;
}
