/**
 * Server addresses: `HOST[:PORT]` as typed, as pins name it, and in invitations.
 *
 * @module
 */

import { nodeUrl } from "../base/builtin.ts";
import { commandOf } from "../base/command.ts";
import { UsageError } from "../base/errors.ts";
import { isLoopback, joinPort } from "../base/ip.ts";

/** Default port of a server, §2. */
export const DEFAULT_PORT = 40623;
export const MAX_PORT = 65535;
/** Characters in a host name, RFC 1035 §2.3.4. */
const MAX_NAME_LENGTH = 253;
/** Characters in each part of it between dots. */
const MAX_LABEL_LENGTH = 63;

interface ServerAddress {
  /** A name, in ASCII unless it ends in `.local`, or an IPv4 or IPv6 address without brackets. */
  readonly host: string;
  /** 1 to 65535; undefined when none was typed. */
  readonly port?: number;
}

/**
 * Parses a name, an IPv4 address, or an IPv6 address, which is in brackets when a port follows. A
 * zone (`fe80::1%eth0`) is part of the address. What it accepts is one printable word.
 *
 * @throws {UsageError} When it is anything else, or the port is not from 1 to 65535.
 */
export function parseHost(text: string): ServerAddress {
  const bracketed = /^\[([^\[\]]*)\](?::(.*))?$/s.exec(text);
  if (bracketed !== null) {
    const host = bracketed[1]!;
    if (!isIpv6(host)) throw badHost("not an IPv6 address in the brackets");
    return withPort(host, bracketed[2]);
  }
  const [host = "", port, ...more] = text.split(":");
  if (more.length > 0) {
    if (!isIpv6(text)) throw badHost("not an IPv6 address");
    return { host: text };
  }
  return withPort(readName(host), port);
}

/**
 * Writes a server's address as pins name it: the host in lower case without a final dot, an IPv6
 * address in brackets, and the port, §8.
 *
 * @param host As typed or received, already checked.
 * @throws {RangeError} When it is not one word: our bug.
 */
export function serverAddress(host: string, port: number): string {
  const name = host.toLowerCase().replace(/\.$/, "");
  if (!/^[^\s\p{C}#\[\]]+$/u.test(name)) throw new RangeError(`"host" must be one word`);
  return joinPort(name, port);
}

/**
 * The command line to type on another computer to join a server.
 *
 * @param fingerprint `SHA256:…` of the server's key; authenticates the first contact.
 */
export function inviteTo(host: string, port: number, fingerprint?: string): string {
  const shown = port !== DEFAULT_PORT && host.includes(":") ? `[${host}]` : host;
  const command = `${commandOf("client")} --host ${shown}${
    port === DEFAULT_PORT ? "" : `:${port}`
  }`;
  return fingerprint === undefined ? command : `${command} --fingerprint ${fingerprint}`;
}

function withPort(host: string, port: string | undefined): ServerAddress {
  if (port === undefined) return { host };
  if (!/^[1-9]\d{0,4}$/.test(port) || Number(port) > MAX_PORT) {
    throw badHost(`the port must be a number from 1 to ${MAX_PORT}`);
  }
  return { host, port: Number(port) };
}

/** Converts a non-ASCII name to the form resolvers accept (IDNA, RFC 5891); a `.local` name to composed characters. */
function readName(host: string): string {
  checkName(host);
  if (/^[\w.-]*$/.test(host)) return host;
  if (isLocalName(host)) return host.normalize("NFC"); // multicast DNS uses UTF-8 (RFC 6762 §16)
  const ascii = domainToAscii(host);
  checkName(ascii);
  return ascii;
}

/** The name as the domain name system has it; empty if it can have none. */
export function domainToAscii(host: string): string {
  return nodeUrl().domainToASCII(host);
}

/** Whether a host is a name or address by which a computer reaches itself. */
export function isThisComputer(host: string): boolean {
  return isLoopback(host) || /^localhost\.?$/i.test(host);
}

/** Whether a host name belongs to multicast DNS. */
export function isLocalName(host: string): boolean {
  return /\.local\.?$/i.test(host);
}

function checkName(host: string): void {
  if (host === "") throw badHost("the host is empty");
  if (host.length > MAX_NAME_LENGTH) throw badHost("the host name is too long");
  // Resolvers accept 10.1 and 010.0.0.1, but not as the address that was probably meant.
  if (/^[\d.]+$/.test(host) && !isIpv4(host)) throw badHost("not an IPv4 address");
  const labels = host.replace(/\.$/, "").split(".");
  if (!labels.every((label) => /^[\p{L}\p{N}_][\p{L}\p{M}\p{N}_-]*$/u.test(label))) {
    throw badHost("not a host name");
  }
  if (labels.some(({ length }) => length > MAX_LABEL_LENGTH)) {
    throw badHost(`a part of the host name is longer than ${MAX_LABEL_LENGTH} characters`);
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
  // In the brackets of a URL only an IPv6 address without a zone is valid.
  return /^[\da-fA-F:.]+$/.test(address) && URL.canParse(`http://[${address}]/`);
}

function badHost(fault: string): UsageError {
  return new UsageError(fault, [
    "a host is a name, 192.168.1.20 or fe80::1%eth0; with a port, name:40623 or [::1]:40623",
  ]);
}
