/**
 * One connection to a NATS server: the package nats-core over TCP or TLS of this runtime.
 *
 * Only this file knows the package. It is loaded by whoever is in a cluster, through `nats.ts`. A connection that ends is
 * over: whoever wants another one makes it, and so never meets what the package kept of the former.
 *
 * @module
 */

import type {
  Authenticator,
  ConnectionOptions,
  Msg,
  Server,
  ServerInfo,
  Transport,
} from "@nats-io/nats-core/internal";
import {
  credsAuthenticator,
  errors,
  extractProtocolMessage,
  headers,
  INFO,
  NatsConnectionImpl,
  nkeyAuthenticator,
  setTransportFactory,
} from "@nats-io/nats-core/internal";
import { type Bytes, encodeUtf8 } from "../base/bytes.ts";

/** Bytes read at once. */
const READ_BYTES = 65_536;
/** A chunk shorter than this is copied, so that no message keeps a whole buffer alive. */
const COPY_BYTES = 4096;
/** From dialing a server to its first PONG. */
const DIAL_MS = 2000;
/** A server that is silent for three of these is given up: one that hangs is noticed within 6 s. */
const PING_MS = 2000;
const MAX_PINGS_OUT = 2;

/** A message that has come, or the status that stands for one. */
export interface CoreMessage {
  readonly subject: string;
  /** Empty if there is none. */
  readonly reply: string;
  readonly data: Bytes;
  /** 0 without one; 503: nobody has subscribed to what was published. */
  readonly status: number;
  /** The value of a header; empty if there is none. */
  header(name: string): string;
}

/** Where and how to connect. */
export interface CoreOptions {
  /** `nats://HOST:PORT` or `tls://HOST:PORT`; one of them is chosen at random, and the others are tried after it. */
  readonly servers: readonly string[];
  /** Whether a server without TLS is refused before anything is sent to it. */
  readonly needsTls: boolean;
  /** PEM certificates that are trusted besides those of the system. */
  readonly caCerts: readonly string[];
  /** The content of a `.creds` file, or a seed `SU…`; undefined for none. */
  readonly creds: string | undefined;
  /** What the server shows of this connection. */
  readonly name: string;
}

/** What a connection tells of itself. */
export interface CoreHandlers {
  /** The connection is over; told once, at once, and not after {@linkcode Core.close}. */
  onEnd(): void;
  /** The server does not allow what was published or subscribed. */
  onForbidden(what: string): void;
}

/** The connection to the server was refused by it, by TLS, or by a rule of ours. */
export class CoreError extends Error {
  override name = "CoreError";

  /** @param kind Whose fault it is: of the credentials, of TLS, of permissions, nobody answers, or what else there is. */
  constructor(
    readonly kind: "credentials" | "tls" | "no-tls" | "forbidden" | "nobody" | "timeout" | "other",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A connection that is open. */
export class Core {
  readonly #connection: NatsConnectionImpl;
  readonly #transport: DenoTransport;

  /** @param connection Connected. */
  constructor(connection: NatsConnectionImpl, transport: DenoTransport) {
    this.#connection = connection;
    this.#transport = transport;
  }

  /** What the server says about itself. */
  get info(): ServerInfo {
    return this.#connection.protocol.info!;
  }

  /** `HOST:PORT` of the server. */
  get server(): string {
    return this.#connection.getServer();
  }

  get isEncrypted(): boolean {
    return this.#transport.isEncrypted();
  }

  /** Bytes that were sent and that the operating system has not taken yet. */
  get unwrittenBytes(): number {
    return this.#transport.unwrittenBytes + this.#connection.protocol.outbound.size();
  }

  publish(subject: string, data: Bytes, reply?: string): void {
    this.#connection.publish(subject, data, reply === undefined ? {} : { reply });
  }

  /** Hands on all that comes to a subject. @returns What ends it. */
  subscribe(subject: string, take: (message: CoreMessage) => void): () => void {
    const subscription = this.#connection.subscribe(subject, {
      callback: (error, message) => {
        if (!error) take(readMessage(message)); // an error is a permission, which is told elsewhere
      },
    });
    return () => subscription.unsubscribe();
  }

  /**
   * Publishes, and waits for the answer.
   *
   * @throws {CoreError} "nobody", "forbidden", "timeout", or "other" when the connection ends.
   */
  async request(
    subject: string,
    data: Bytes,
    { timeoutMs, fields = {} }: { timeoutMs: number; fields?: Readonly<Record<string, string>> },
  ): Promise<CoreMessage> {
    const sent = headers();
    for (const [name, value] of Object.entries(fields)) sent.set(name, value);
    const hasFields = Object.keys(fields).length > 0;
    try {
      return readMessage(
        await this.#connection.request(subject, data, {
          timeout: timeoutMs,
          ...hasFields && { headers: sent },
        }),
      );
    } catch (error) {
      throw toCoreError(error);
    }
  }

  /** Resolves when the server has taken what was published. @throws {Error} When the connection ends. */
  async flush(): Promise<void> {
    await this.#connection.flush();
  }

  async close(): Promise<void> {
    this.#transport.forget();
    await this.#connection.close();
  }
}

/** Connects to one of the servers. @throws {CoreError} When none can be connected to: why the last could not. */
export async function connectCore(options: CoreOptions, handlers: CoreHandlers): Promise<Core> {
  setTransportFactory({ factory: () => new DenoTransport() });
  let transport: DenoTransport | undefined;
  const own: OwnOptions = {
    ownTls: { isNeeded: options.needsTls, caCerts: [...options.caCerts] },
    adopt: (it) => transport = it,
    servers: [...options.servers],
    name: options.name,
    reconnect: false,
    timeout: DIAL_MS,
    pingInterval: PING_MS,
    maxPingOut: MAX_PINGS_OUT,
    ignoreClusterUpdates: true,
    noAsyncTraces: true,
  };
  try {
    if (options.creds !== undefined) own.authenticator = makeAuthenticator(options.creds);
    const connection = await NatsConnectionImpl.connect(own) as NatsConnectionImpl;
    transport!.onEnd = () => handlers.onEnd();
    void tellForbidden(connection, handlers);
    if (transport!.isClosed) throw new errors.ConnectionError("the connection was closed");
    return new Core(connection, transport!);
  } catch (error) {
    const found = toCoreError(error);
    throw found.kind === "timeout" ? new CoreError("other", "no answer", { cause: error }) : found;
  }
}

/** @throws {CoreError} When it is neither a `.creds` file nor a seed. */
function makeAuthenticator(creds: string): Authenticator {
  const text = creds.trim();
  const authenticator = text.startsWith("-")
    ? credsAuthenticator(encodeUtf8(`${text}\n`)) // it wants the end of each line
    : nkeyAuthenticator(encodeUtf8(text));
  try {
    authenticator("nonce");
  } catch (error) {
    throw new CoreError("credentials", "neither a creds file nor the seed of a user (SU…)", {
      cause: error,
    });
  }
  return authenticator;
}

async function tellForbidden(connection: NatsConnectionImpl, handlers: CoreHandlers) {
  for await (const status of connection.status()) {
    if (status.type !== "error") continue;
    const { error } = status;
    if (error instanceof errors.PermissionViolationError) handlers.onForbidden(forbidden(error));
  }
}

function forbidden({ operation, subject }: { operation: string; subject: string }): string {
  return `${operation === "publish" ? "publishing to" : "subscribing to"} "${subject}"`;
}

/** The package throws errors that contain others. */
function toCoreError(error: unknown): CoreError {
  for (let it = error; it instanceof Error; it = it.cause) {
    if (it instanceof CoreError) return it;
    const options = { cause: error };
    if (it instanceof errors.PermissionViolationError) {
      return new CoreError("forbidden", forbidden(it), options);
    }
    if (
      it instanceof errors.AuthorizationError || it instanceof errors.UserAuthenticationExpiredError
    ) {
      return new CoreError("credentials", it.message, options);
    }
    if (it instanceof errors.NoRespondersError) return new CoreError("nobody", it.message, options);
    if (it instanceof errors.TimeoutError) return new CoreError("timeout", "no answer", options);
  }
  return new CoreError("other", error instanceof Error ? error.message : String(error), {
    cause: error,
  });
}

function readMessage(message: Msg): CoreMessage {
  return {
    subject: message.subject,
    reply: message.reply ?? "",
    data: message.data as Bytes,
    status: message.headers?.code ?? 0,
    header: (name) => message.headers?.get(name) ?? "",
  };
}

// --- The transport of the package ---

/** Options of the package, and ours. */
interface OwnOptions extends ConnectionOptions {
  readonly ownTls: { readonly isNeeded: boolean; readonly caCerts: string[] };
  adopt(transport: DenoTransport): void;
  authenticator?: Authenticator;
}

/** A byte stream to one server. */
class DenoTransport implements Transport {
  readonly lang = "hearth";
  readonly version = "2";
  closeError?: Error;
  /** Bytes that were sent and are not written. */
  unwrittenBytes = 0;
  /** Called when it ends by itself. */
  onEnd: (() => void) | undefined;
  readonly #closed = Promise.withResolvers<void | Error>();
  readonly #frames: Uint8Array[] = [];
  #stream: Deno.Conn | undefined;
  #first: Uint8Array = new Uint8Array(0);
  #isClosed = false;
  #isEncrypted = false;
  #isWriting = false;

  get isClosed(): boolean {
    return this.#isClosed;
  }

  isEncrypted(): boolean {
    return this.#isEncrypted;
  }

  /** Connects, reads INFO, and starts TLS if one side wants it. */
  async connect({ hostname, port, tlsName }: Server, options: ConnectionOptions): Promise<void> {
    const { ownTls, adopt } = options as OwnOptions;
    adopt(this);
    try {
      const plain = this.#keep(await Deno.connect({ hostname, port }));
      plain.setNoDelay();
      const info = await this.#readInfo(plain);
      const hasTls = Boolean(info.tls_required || info.tls_available);
      if (ownTls.isNeeded && !hasTls) throw new CoreError("no-tls", "it does not offer TLS");
      if (!hasTls) return;
      const secure = this.#keep(
        await Deno.startTls(plain, {
          hostname: tlsName || hostname,
          caCerts: ownTls.caCerts,
        }),
      );
      await secure.handshake().catch((error) => {
        throw new CoreError("tls", error.message, { cause: error });
      });
      this.#isEncrypted = true;
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  async *[Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    let buffer = new Uint8Array(READ_BYTES);
    try {
      yield this.#first;
      while (!this.#isClosed) {
        const length = await this.#stream!.read(buffer);
        if (length === null) break;
        if (length < COPY_BYTES) {
          yield buffer.slice(0, length);
        } else {
          const full = buffer;
          buffer = new Uint8Array(READ_BYTES);
          yield full.subarray(0, length);
        }
      }
    } catch (error) {
      this.closeError ??= error as Error;
    } finally {
      this.disconnect(); // also where the package could not read what came
    }
  }

  send(frame: Uint8Array): void {
    if (this.#isClosed) return;
    this.#frames.push(frame);
    this.unwrittenBytes += frame.length;
    if (!this.#isWriting) void this.#write();
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    try {
      for (let frame = this.#frames.shift(); frame; frame = this.#frames.shift()) {
        for (let at = 0; at < frame.length;) at += await this.#stream!.write(frame.subarray(at));
        this.unwrittenBytes -= frame.length;
      }
    } catch (error) {
      this.closeError ??= error as Error;
      this.disconnect();
    }
    this.#isWriting = false;
  }

  /** The package wants no more of it. */
  close(error?: Error): Promise<void> {
    if (error) this.closeError ??= error;
    this.#end();
    return Promise.resolve();
  }

  /** It is over: the package is told. */
  disconnect(): void {
    this.#end();
    this.#closed.resolve(this.closeError);
  }

  /** Nobody wants to know its end. */
  forget(): void {
    this.onEnd = undefined;
  }

  closed(): Promise<void | Error> {
    return this.#closed.promise;
  }

  discard(): void {}

  #keep<S extends Deno.Conn>(stream: S): S {
    this.#stream = stream;
    if (!this.#isClosed) return stream;
    stream.close(); // closed while it was being opened
    throw new Error("closed");
  }

  async #readInfo(stream: Deno.Conn): Promise<ServerInfo> {
    const buffer = new Uint8Array(READ_BYTES);
    for (let length = 0; length < buffer.length;) {
      const count = await stream.read(buffer.subarray(length));
      if (count === null) break;
      length += count;
      this.#first = buffer.subarray(0, length);
      const line = extractProtocolMessage(this.#first);
      if (line === "") continue;
      const info = INFO.exec(line)?.[1];
      if (info === undefined) break;
      return JSON.parse(info);
    }
    throw new Error("what answers there is not a NATS server");
  }

  #end(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#frames.length = 0;
    this.unwrittenBytes = 0;
    try {
      this.#stream?.close();
    } catch {
      // Already closed by the operating system.
    }
    this.onEnd?.();
  }
}
