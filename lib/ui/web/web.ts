/**
 * The page and its socket, for this computer alone: who may have them, and nothing of what is said.
 *
 * @module
 */
/// <reference lib="deno.ns" />

import { type Clock, systemRandom, type Timer } from "../../base/clock.ts";
import { decodeHex, encodeHex, encodeUtf8 } from "../../base/bytes.ts";
import { LOOPBACK } from "../../base/ip.ts";
import { encodeBase64 } from "../../base/std.ts";
import { PAGE_FILES } from "./page_files.ts";

/** Pages that are open at once. */
export const MAX_PAGES = 4;
/** Sockets that have not proven themselves yet; the oldest goes. */
export const MAX_UNPROVEN = 16;
/** How long a socket has for its proof. */
export const PROOF_MS = 5000;
/** UTF-16 units of a message before the proof, and after it. */
export const MAX_PROOF_LENGTH = 1024;
export const MAX_MESSAGE_LENGTH = 64 * 1024;
/** Bytes of a binary message. */
export const MAX_BYTES_MESSAGE = 4 + 256 * 1024;
/** Requests of a page that have no answer yet. */
export const MAX_ASKED = 64;
/** Bytes that may wait in a page's socket before it is told more, and how long until it is looked at again. */
export const MAX_BUFFERED = 1024 * 1024;
export const BUFFERED_MS = 20;
/** Bytes that may wait in a page's socket when it asks for more. */
export const MAX_UNREAD = 32 * 1024 * 1024;
/** Without a sign of life for so long a socket is closed. */
const IDLE_SECONDS = 30;
/** How long the end waits for browsers. */
export const STOP_MS = 1000;

const SECRET_BYTES = 24;
const NONCE_BYTES = 16;

/** Why a socket is closed, RFC 6455 and our own. */
export const CLOSE = {
  ended: 1001,
  malformed: 1007,
  refused: 1008,
  tooLong: 1009,
  /** No proof, or a wrong one. */
  unproven: 4001,
  /** {@linkcode MAX_PAGES} are open. */
  full: 4002,
} as const;

/** A request of a page; its type says what it asks for. */
export interface Asked {
  readonly type: string;
  /** 16 hex digits; the result repeats it. */
  readonly ref: string;
  readonly [field: string]: unknown;
}

/** One page that has proven itself. */
export interface Page {
  /** Tells it what it has yet to be told, as far as its socket takes it. */
  pump(): void;
  /** Whether it has not gone. */
  readonly isOpen: boolean;
  /** Whether its socket takes more now. */
  readonly isReady: boolean;
  /** Sends a message besides what it is told. */
  send(message: unknown): void;
  sendBytes(bytes: Uint8Array<ArrayBuffer>): void;
  /** Closes it for something that it must not do. */
  refuse(): void;
}

/** What stands behind the pages. */
export interface Behind {
  /** A page has come that knows everything up to a rev: gives what its `ready` says, and what it is told then. */
  greet(page: Page, have: number): {
    readonly ready: Readonly<Record<string, unknown>>;
    next(): unknown;
  };
  /** Answers a request of a page. */
  take(asked: Asked, page: Page): Promise<Readonly<Record<string, unknown>>>;
  takeBytes(bytes: Uint8Array<ArrayBuffer>, page: Page): void;
  left(page: Page): void;
}

interface WebOptions extends Behind {
  readonly clock: Clock;
  /** 0: a free one. */
  readonly port: number;
}

function headersFor(origin: string): Record<string, string> {
  return {
    "content-security-policy": [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "img-src 'self' blob:",
      `connect-src ${origin.replace("http", "ws")}`,
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      "require-trusted-types-for 'script'",
      "trusted-types 'none'",
    ].join("; "),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), usb=(), serial=(), hid=()",
  };
}

/** Serves the page on 127.0.0.1 until it is stopped. */
export class Web {
  /** `http://127.0.0.1:PORT`. */
  readonly origin: string;
  /** What opens the page; it contains the secret. */
  readonly link: string;
  /** Whether the port that was asked for is taken, so that another one is used. */
  readonly isElsewhere: boolean;
  readonly #options: WebOptions;
  readonly #secret: Promise<CryptoKey>;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #pages = new Set<Connection>();
  readonly #unproven = new Set<Connection>();
  #isDue = false;

  /** @throws An error of the operating system. */
  constructor(options: WebOptions) {
    this.#options = options;
    const secret = encodeBase64(systemRandom(SECRET_BYTES)).replaceAll("+", "-")
      .replaceAll("/", "_");
    this.#secret = importSecret(secret);
    const serve = (port: number) =>
      Deno.serve({
        hostname: LOOPBACK,
        port,
        onListen: () => {},
        onError: () => new Response(null, { status: 500 }),
      }, (request) => this.#answer(request));
    try {
      this.#server = serve(options.port);
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse) || options.port === 0) throw error;
      this.#server = serve(0);
    }
    const { port } = this.#server.addr;
    this.isElsewhere = options.port !== 0 && port !== options.port;
    this.origin = `http://${LOOPBACK}:${port}`;
    this.link = `${this.origin}/#${secret}`;
  }

  get port(): number {
    return this.#server.addr.port;
  }

  /** There is something new to tell. */
  wake(): void {
    if (this.#isDue || this.#pages.size === 0) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      for (const page of this.#pages) page.pump();
    });
  }

  /** Closes everything. */
  async stop(): Promise<void> {
    for (const connection of [...this.#unproven, ...this.#pages]) connection.close(CLOSE.ended);
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#options.clock.after(STOP_MS, resolve);
    await Promise.race([this.#server.shutdown(), promise]);
    this.#options.clock.cancel(timer);
  }

  #answer(request: Request): Response {
    const headers = headersFor(this.origin);
    const refuse = (status: number) => new Response(null, { status, headers });
    // A name that leads here is somebody's trick (DNS rebinding): there is one origin.
    if (request.headers.get("host") !== this.origin.slice("http://".length)) return refuse(421);
    if (request.method !== "GET") return refuse(405);
    const { pathname } = new URL(request.url);
    const site = request.headers.get("sec-fetch-site") ?? "none";
    const isLink = pathname === "/" && request.headers.get("sec-fetch-mode") === "navigate";
    if (site !== "same-origin" && site !== "none" && !isLink) return refuse(403);
    if (pathname === "/socket") {
      // Another port of this computer is another origin, but the same site: only this header tells.
      if (request.headers.get("origin") !== this.origin) return refuse(403);
      if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") return refuse(426);
      return this.#upgrade(request) ?? refuse(426);
    }
    const file = PAGE_FILES.get(pathname);
    if (file === undefined) return refuse(404);
    return new Response(file.text, { headers: { ...headers, "content-type": file.type } });
  }

  #upgrade(request: Request): Response | undefined {
    const upgrade = tryUpgrade(request);
    if (upgrade === undefined) return undefined;
    const { socket, response } = upgrade;
    const [oldest] = this.#unproven;
    if (this.#unproven.size >= MAX_UNPROVEN) this.#drop(oldest!, CLOSE.unproven);
    const connection: Connection = new Connection({
      ...this.#options,
      socket,
      secret: this.#secret,
      admit: () => {
        if (this.#pages.size >= MAX_PAGES) return false; // closed with a code: a page sees no status
        this.#unproven.delete(connection);
        this.#pages.add(connection);
        return true;
      },
      left: (page) => {
        this.#unproven.delete(connection);
        if (this.#pages.delete(connection)) this.#options.left(page);
      },
    });
    this.#unproven.add(connection);
    return response;
  }

  #drop(connection: Connection, code: number): void {
    this.#unproven.delete(connection);
    connection.close(code);
  }
}

interface ConnectionOptions extends Behind {
  readonly clock: Clock;
  readonly socket: WebSocket;
  readonly secret: Promise<CryptoKey>;
  /** The other side has proven itself. @returns Whether there is room for it. */
  admit(): boolean;
}

/** One socket: its proof, then its messages. */
class Connection implements Page {
  readonly #options: ConnectionOptions;
  readonly #socket: WebSocket;
  readonly #nonce = encodeHex(systemRandom(NONCE_BYTES));
  readonly #late: Timer;
  #state: "unproven" | "checking" | "proven" | "closed" = "unproven";
  /** With which it is closed. */
  #code: number | undefined;
  /** Requests without an answer. */
  #asked = 0;
  #next: () => unknown = () => undefined;
  /** While its socket takes nothing more. */
  #full: Timer | undefined;

  constructor(options: ConnectionOptions) {
    const { socket, clock } = this.#options = options;
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    this.#late = clock.after(PROOF_MS, () => this.close(CLOSE.unproven));
    socket.onopen = () => {
      if (this.#code === undefined) this.send({ type: "challenge", nonce: this.#nonce });
      else socket.close(this.#code);
    };
    socket.onmessage = ({ data }) => this.#take(data);
    socket.onerror = () => {};
    socket.onclose = () => this.#end();
  }

  close(code: number): void {
    this.#end();
    this.#code = code;
    // One that is not open yet would not be closed.
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.close(code);
  }

  refuse(): void {
    this.close(CLOSE.refused);
  }

  send(message: unknown): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  sendBytes(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(bytes);
  }

  get isOpen(): boolean {
    return this.#state === "proven";
  }

  get isReady(): boolean {
    return this.#socket.bufferedAmount <= MAX_BUFFERED;
  }

  pump(): void {
    if (this.#full !== undefined) return;
    while (this.#state === "proven") {
      if (!this.isReady) {
        this.#full = this.#options.clock.after(BUFFERED_MS, () => {
          this.#full = undefined;
          this.pump();
        });
        return;
      }
      const message = this.#next();
      if (message === undefined) return;
      this.send(message);
    }
  }

  #end(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#options.clock.cancel(this.#late);
    this.#options.clock.cancel(this.#full);
    this.#options.left(this);
  }

  #take(data: string | ArrayBuffer): void {
    const isProven = this.#state === "proven";
    if (this.#state === "closed") return;
    if (typeof data !== "string") {
      if (!isProven) return this.close(CLOSE.unproven);
      if (data.byteLength > MAX_BYTES_MESSAGE) return this.close(CLOSE.tooLong);
      return this.#options.takeBytes(new Uint8Array(data), this);
    }
    if (data.length > (isProven ? MAX_MESSAGE_LENGTH : MAX_PROOF_LENGTH)) {
      return this.close(CLOSE.tooLong);
    }
    const message = parseObject(data);
    if (message === undefined) return this.close(CLOSE.malformed);
    if (isProven) return void this.#answer(message);
    // Nothing may follow the proof before it is answered.
    if (this.#state !== "unproven") return this.close(CLOSE.unproven);
    this.#state = "checking";
    void this.#check(message);
  }

  async #check({ type, nonce, mac, have }: Record<string, unknown>): Promise<void> {
    const { secret, admit, greet } = this.#options;
    const key = await secret;
    const isGood = type === "proof" && typeof nonce === "string" && typeof mac === "string" &&
      await isMac(key, mac, `page ${this.#nonce} ${nonce}`);
    const answer = isGood ? await makeMac(key, `program ${this.#nonce} ${nonce}`) : "";
    if (this.#state !== "checking") return; // closed meanwhile
    if (!isGood) return this.close(CLOSE.unproven);
    if (!admit()) return this.close(CLOSE.full);
    this.#options.clock.cancel(this.#late);
    this.#state = "proven";
    const { ready, next } = greet(this, Number.isSafeInteger(have) ? Number(have) : 0);
    this.#next = next;
    this.send({ type: "ready", mac: answer, ...ready });
    this.pump();
  }

  async #answer(message: Record<string, unknown>): Promise<void> {
    const { type, ref } = message;
    if (typeof type !== "string" || typeof ref !== "string" || !/^[0-9a-f]{16}$/.test(ref)) {
      return this.close(CLOSE.malformed);
    }
    const isUnread = this.#socket.bufferedAmount > MAX_UNREAD;
    if (this.#asked >= MAX_ASKED || isUnread) return this.close(CLOSE.refused);
    this.#asked++;
    const result = await this.#options.take({ ...message, type, ref }, this);
    this.#asked--;
    this.send({ ...result, type: "result", ref });
  }
}

/** @returns undefined if a header for it is missing. */
function tryUpgrade(request: Request): Deno.WebSocketUpgrade | undefined {
  try {
    return Deno.upgradeWebSocket(request, { idleTimeout: IDLE_SECONDS });
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? value as Record<string, unknown> : undefined;
  } catch {
    return undefined;
  }
}

// HMAC-SHA-256, in hex.

function importSecret(secret: string): Promise<CryptoKey> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  return crypto.subtle.importKey("raw", encodeUtf8(secret), algorithm, false, ["sign", "verify"]);
}

async function makeMac(key: CryptoKey, text: string): Promise<string> {
  return encodeHex(new Uint8Array(await crypto.subtle.sign("HMAC", key, encodeUtf8(text))));
}

async function isMac(key: CryptoKey, mac: string, text: string): Promise<boolean> {
  try {
    return await crypto.subtle.verify("HMAC", key, decodeHex(mac), encodeUtf8(text));
  } catch {
    return false; // no hex digits
  }
}
