/**
 * `HOST[:PORT]` as people type it.
 *
 * Knows nothing of how a name is resolved; what it lets through is one printable word.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";

/** The port of a relay if nobody says otherwise, §2. */
export const DEFAULT_PORT = 40623;
/** The highest port there is. */
export const MAX_PORT = 65535;
/** Characters in a host name, RFC 1035 §2.3.4. */
const MAX_NAME_LENGTH = 253;

/** Where a server is. */
export interface Host {
  /** A name as typed, or an IPv4 or IPv6 address without brackets. */
  readonly host: string;
  /** 1 to 65535; none where none was typed. */
  readonly port?: number;
}

/**
 * Reads a name, an IPv4 address, or an IPv6 address, which is in brackets when a port follows; a
 * zone (`fe80::1%eth0`) belongs to the address.
 *
 * @throws {UsageError} When it is anything else, or the port is not from 1 to 65535.
 */
export function parseHost(text: string): Host {
  const bracketed = /^\[([^\[\]]*)\](?::(.*))?$/s.exec(text);
  if (bracketed !== null) {
    const host = bracketed[1]!;
    if (!isIpv6(host)) throw badHost("what stands in brackets is no IPv6 address");
    return withPort(host, bracketed[2]);
  }
  const [host = "", port, ...more] = text.split(":");
  if (more.length > 0) {
    if (!isIpv6(text)) throw badHost("this is no IPv6 address");
    return { host: text };
  }
  checkName(host);
  return withPort(host, port);
}

/**
 * What is typed on another computer to join a relay.
 *
 * @param fingerprint `SHA256:…` of the relay's key, if it is known: the first contact is then authenticated.
 */
export function inviteTo(host: string, port: number, fingerprint?: string): string {
  const shown = port !== DEFAULT_PORT && host.includes(":") ? `[${host}]` : host;
  const place = `./client --host ${shown}${port === DEFAULT_PORT ? "" : `:${port}`}`;
  return fingerprint === undefined ? place : `${place} --fingerprint ${fingerprint}`;
}

function withPort(host: string, port: string | undefined): Host {
  if (port === undefined) return { host };
  if (!/^[1-9]\d{0,4}$/.test(port) || Number(port) > MAX_PORT) {
    throw badHost(`the port must be a number from 1 to ${MAX_PORT}`);
  }
  return { host, port: Number(port) };
}

function checkName(host: string): void {
  if (host === "") throw badHost("the host is empty");
  if (host.length > MAX_NAME_LENGTH) throw badHost("the host name is too long");
  // Resolvers would read 10.1 or 010.0.0.1 as an address that nobody meant.
  if (/^[\d.]+$/.test(host) && !isIpv4(host)) throw badHost("this is no IPv4 address");
  const labels = host.replace(/\.$/, "").split(".");
  if (!labels.every((label) => /^[\p{L}\p{N}_][\p{L}\p{M}\p{N}_-]*$/u.test(label))) {
    throw badHost("this is no host name");
  }
}

function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part)) &&
    parts.every((part) => Number(part) <= 255);
}

function isIpv6(text: string): boolean {
  const [address = "", zone, ...more] = text.split("%");
  if (more.length > 0 || (zone !== undefined && !/^[\w.-]+$/.test(zone))) return false;
  // A URL takes an IPv6 address without zone in brackets, and nothing else there.
  return /^[\da-fA-F:.]+$/.test(address) && URL.canParse(`http://[${address}]/`);
}

function badHost(fault: string): UsageError {
  return new UsageError(fault, [
    "a host is a name, 192.168.1.20 or fe80::1%eth0; with a port, name:40623 or [::1]:40623",
  ]);
}
