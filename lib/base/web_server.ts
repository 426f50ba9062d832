/**
 * A small HTTP/1.1 server for people on the network: GET and HEAD, one request a connection, and a limit to everything that
 * a stranger can make it keep.
 *
 * @module
 */

import { type Bytes, concat, encodeUtf8 } from "./bytes.ts";
import { type Clock, systemClock } from "./clock.ts";
import { canonicalAddress } from "./ip.ts";
import { isLocalWebHost } from "./web_host.ts";

/** Open connections; more wait until one ends, or has said nothing for {@linkcode PATIENCE_MS}. */
export const MAX_WEB_CONNECTIONS = 64;
/** Bytes of a request. */
const MAX_REQUEST_BYTES = 8192;
/** A whole request comes within this time. */
const REQUEST_MS = 10_000;
/** Or within this time, where others wait for its place. */
const PATIENCE_MS = 1000;
/** A reply is cut when nothing of it could be written for this time. */
const STALL_MS = 30_000;
/** How long, and for how many bytes, a connection is still read so that its end is no reset. */
const FAREWELL_MS = 1000;
const MAX_FAREWELL_BYTES = 65_536;
/** How long to wait after an error of accept, such as too many open files. */
const ACCEPT_RETRY_MS = 200;

const STATUS_TEXTS: Readonly<Record<number, string>> = {
  200: "OK",
  206: "Partial Content",
  304: "Not Modified",
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  416: "Range Not Satisfiable",
  421: "Misdirected Request",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

/** A request for what is here, by GET or HEAD. */
export interface WebRequest {
  readonly isHead: boolean;
  /** As it was sent, without `?` and what follows. */
  readonly path: string;
  /** By name in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  /** Who asks, in the form of {@linkcode canonicalAddress}. */
  readonly address: string;
}

/** What is sent back. */
export interface WebReply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A text, or `length` bytes that are read as they are written. */
  readonly body?: string | {
    readonly length: number;
    readonly chunks: AsyncIterable<Uint8Array>;
  };
  /** Called when the reply has ended in any way. */
  done?(): void;
}

/** Serves HTTP on listeners. */
export class WebServer {
  readonly #listeners: readonly Deno.Listener[];
  readonly #handle: (request: WebRequest) => Promise<WebReply> | WebReply;
  readonly #clock: Clock;
  readonly #own = Deno.hostname();
  readonly #open = new Set<Deno.Conn>();
  /** Those whose request has not come, with the time since when; the oldest first. */
  readonly #silent = new Map<Deno.Conn, number>();
  #freed = Promise.withResolvers<void>();
  #isStopped = false;

  /** @param handle Answers requests whose Host is of this network; it may throw. */
  constructor(
    listeners: readonly Deno.Listener[],
    handle: (request: WebRequest) => Promise<WebReply> | WebReply,
    clock: Clock = systemClock,
  ) {
    this.#clock = clock;
    this.#listeners = listeners;
    this.#handle = handle;
    for (const listener of listeners) void this.#acceptAll(listener);
  }

  get port(): number {
    return (this.#listeners[0]!.addr as Deno.NetAddr).port;
  }

  /** Stops listening, and cuts what is being answered. */
  stop(): void {
    this.#isStopped = true;
    for (const listener of this.#listeners) listener.close();
    for (const connection of this.#open) close(connection);
    this.#freed.resolve();
  }

  async #acceptAll(listener: Deno.Listener): Promise<void> {
    while (!this.#isStopped) {
      if (this.#open.size >= MAX_WEB_CONNECTIONS) {
        await this.#awaitPlace();
        continue;
      }
      try {
        const connection = await listener.accept();
        this.#open.add(connection);
        this.#silent.set(connection, this.#clock.now());
        void this.#serve(connection);
      } catch {
        if (!this.#isStopped) await this.#pause(ACCEPT_RETRY_MS);
      }
    }
  }

  /** Waits until a connection ends; one that has kept others waiting without a word is cut. */
  async #awaitPlace(): Promise<void> {
    const [oldest] = this.#silent;
    if (!oldest) return await this.#freed.promise;
    const [connection, since] = oldest;
    const ms = Math.max(0, since + PATIENCE_MS - this.#clock.now());
    try {
      await this.#within(ms, this.#freed.promise);
    } catch {
      if (this.#silent.delete(connection)) close(connection);
    }
  }

  async #serve(connection: Deno.Conn): Promise<void> {
    try {
      await this.#answer(connection);
    } catch {
      // It has gone, or was too slow.
    } finally {
      close(connection);
      this.#open.delete(connection);
      this.#silent.delete(connection);
      this.#freed.resolve();
      this.#freed = Promise.withResolvers();
    }
  }

  async #answer(connection: Deno.Conn): Promise<void> {
    const { hostname } = connection.remoteAddr as Deno.NetAddr;
    const head = await this.#within(REQUEST_MS, readHead(connection));
    if (head === undefined) return;
    this.#silent.delete(connection);
    const request = parseHead(head);
    const isHead = request?.method === "HEAD";
    const reply = await this.#reply(request, canonicalAddress(hostname));
    try {
      await this.#write(connection, reply, isHead);
    } finally {
      reply.done?.();
    }
    await this.#within(FAREWELL_MS, sayFarewell(connection));
  }

  async #reply(request: Head | undefined, address: string): Promise<WebReply> {
    if (!request) return { status: 400 };
    const { method, headers, path } = request;
    if (!isLocalWebHost(headers.get("host"), this.#own)) {
      return { status: 421, body: "unknown host\n" };
    }
    if (method !== "GET" && method !== "HEAD") {
      return { status: 405, headers: { allow: "GET, HEAD" } };
    }
    try {
      return await this.#handle({ isHead: method === "HEAD", path, headers, address });
    } catch {
      return { status: 500 };
    }
  }

  async #write(connection: Deno.Conn, reply: WebReply, isHead: boolean): Promise<void> {
    const { body = "" } = reply;
    const text = typeof body === "string" ? encodeUtf8(body) : undefined;
    const head = writeHead(reply, (text ?? body).length);
    await this.#writeAll(connection, text && !isHead ? concat(head, text) : head);
    if (isHead || typeof body === "string") return;
    for await (const chunk of body.chunks) await this.#writeAll(connection, chunk);
  }

  async #writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      done += await this.#within(STALL_MS, connection.write(bytes.subarray(done)));
    }
  }

  /** @throws {Error} When it takes longer. */
  async #within<T>(ms: number, promise: Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>();
    const timer = this.#clock.after(ms, () => late.reject(new Error("too slow")));
    promise.catch(() => {}); // it may fail later on
    try {
      return await Promise.race([promise, late.promise]);
    } finally {
      this.#clock.cancel(timer);
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.after(ms, resolve));
  }
}

interface Head {
  readonly method: string;
  readonly path: string;
  readonly headers: ReadonlyMap<string, string>;
}

/** Reads a request up to the empty line; undefined if it ends before, empty if it is too long. */
async function readHead(connection: Deno.Conn): Promise<string | undefined> {
  const buffer = new Uint8Array(MAX_REQUEST_BYTES);
  for (let length = 0; length < buffer.length;) {
    const count = await connection.read(buffer.subarray(length));
    if (!count) return undefined;
    length += count;
    const text = new TextDecoder("latin1").decode(buffer.subarray(0, length));
    const end = text.indexOf("\r\n\r\n");
    if (end >= 0) return text.slice(0, end);
  }
  return "";
}

/** Undefined for anything but a plain request for a path here, with one Host. */
function parseHead(text: string): Head | undefined {
  const [first = "", ...lines] = text.split("\r\n");
  const [, method, path] = /^([A-Z]{1,16}) (\/[!-~]*) HTTP\/1\.[01]$/.exec(first) ?? [];
  if (method === undefined) return undefined;
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = /^([\w!#$%&'*+.^`|~-]+):[ \t]*([^\r\n]*?)[ \t]*$/.exec(line) ?? [];
    const key = name?.toLowerCase();
    if (key === undefined || key === "host" && headers.has(key)) return undefined;
    headers.set(key, value!);
  }
  return { method, path: path!.split("?", 1)[0]!, headers };
}

function writeHead({ status, headers = {}, body = "" }: WebReply, length: number): Bytes {
  const lines = Object.entries({
    ...(typeof body === "string" && { "content-type": "text/plain; charset=utf-8" }),
    ...headers,
    ...(status !== 304 && { "content-length": String(length) }),
    "x-content-type-options": "nosniff",
    "connection": "close",
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return encodeUtf8(`HTTP/1.1 ${status} ${STATUS_TEXTS[status]}\r\n${lines.join("")}\r\n`);
}

/** A connection that is closed while bytes are unread is reset, and the reply may be lost. */
async function sayFarewell(connection: Deno.Conn): Promise<void> {
  await connection.closeWrite();
  const buffer = new Uint8Array(4096);
  for (let length = 0; length < MAX_FAREWELL_BYTES;) {
    const count = await connection.read(buffer);
    if (!count) return;
    length += count;
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It is closed.
  }
}
