/**
 * The bus over NATS: a bucket of JetStream, and a subject for each relay's inbox.
 *
 * Loaded by `await import` where a cluster was asked for; without one nothing of NATS is.
 *
 * @module
 */

import { type Bytes, encodeHex } from "../base/bytes.ts";
import { type Clock, systemRandom, type Timer } from "../base/clock.ts";
import { describeError, UsageError } from "../base/errors.ts";
import type { Bus, BusHandlers, Entry, Written } from "./bus.ts";
import {
  bucketConfig,
  CODE,
  encodeJson,
  JetStreamError,
  keySubject,
  readAnswer,
  Revisions,
  type StreamConfig,
  streamOf,
} from "./nats_bucket.ts";
import { connectCore, type Core, CoreError, type CoreMessage } from "./nats_core.ts";
import { checkServer, natsError } from "./nats_faults.ts";
import { Watch } from "./nats_watch.ts";

/** An answer of JetStream that takes longer is not waited for. */
const ANSWER_MS = 5000;
const FLUSH_MS = 2000;
/** The wait before the next attempt to connect: doubled each time, up to the second one. */
const RECONNECT_MS = 100;
const MAX_RECONNECT_MS = 1000;
/** Refused so many times in a row, credentials count as taken back: a server that is set up anew may refuse once. */
const MAX_REFUSED = 3;
/** What is sent beyond this is dropped, as on a connection that breaks. */
const MAX_UNWRITTEN_BYTES = 16 * 1024 * 1024;
/** A purged key's marker is removed when every watch has had time to see it. */
const MARKER_MS = 30_000;
/** Servers of a NATS cluster that keep the bucket. */
const REPLICAS = 3;
/** So often they are asked to, before one keeps it alone. */
const PEER_ATTEMPTS = 5;
const PEER_WAIT_MS = 2000;

/** How to reach NATS, and what is told of it. */
export interface NatsOptions {
  /** `nats://HOST:PORT` or `tls://HOST:PORT` each. */
  readonly servers: readonly string[];
  /** The cluster's name, 16 hex digits. */
  readonly cluster: string;
  /** The content of a `.creds` file, or a seed `SU…`. */
  readonly creds?: string | undefined;
  /** PEM certificates to trust. With them, or a `tls://` server, nothing goes to a server without TLS. */
  readonly caCerts?: readonly string[];
  readonly clock: Clock;
  /** Something to know that changes nothing. */
  onWarning(text: string): void;
  /** The bus cannot go on: a permission or the credentials were taken back, or a server is too old. */
  onFatal(error: UsageError): void;
}

/** Numbers since the start. */
export interface NatsStats {
  /** Connections after the first. */
  reconnects: number;
  /** Milliseconds without a connection, up to now. */
  awayMs: number;
  messagesIn: number;
  messagesOut: number;
  bytesIn: number;
  bytesOut: number;
}

/**
 * Connects to NATS, and opens the cluster's bucket or makes it.
 *
 * @throws {UsageError} When that is not possible: why, and what helps.
 */
export async function connectNats(options: NatsOptions): Promise<NatsBus> {
  const bus = new NatsBus(options);
  try {
    await bus.open();
    return bus;
  } catch (error) {
    await bus.close();
    throw natsError(error, options);
  }
}

/** A bus that connects again by itself. */
export class NatsBus implements Bus {
  readonly #options: NatsOptions;
  readonly #bucket: string;
  readonly #stats = { reconnects: 0, messagesIn: 0, messagesOut: 0, bytesIn: 0, bytesOut: 0 };
  readonly #revisions = new Revisions();
  /** Its settings have not been looked at. */
  #isNewBucket = false;
  readonly #probes = `_INBOX.${encodeHex(systemRandom(12))}`;
  /** The timers of the markers of purged keys. */
  readonly #markers = new Map<string, Timer>();
  #core: Core | undefined;
  #watch: Watch | undefined;
  #handlers: BusHandlers | undefined;
  #inbox = "";
  #endInbox: (() => void) | undefined;
  /** Aborts what waits for an answer. */
  #down = Promise.withResolvers<undefined>();
  #downSince: number | undefined;
  #awayMs = 0;
  #retry: Timer | undefined;
  #isClosed = false;

  /** Not connected; see {@linkcode connectNats}. */
  constructor(options: NatsOptions) {
    this.#options = options;
    this.#bucket = `hearth-${options.cluster}`;
  }

  get isUp(): boolean {
    return this.#core !== undefined;
  }

  get unwrittenBytes(): number {
    return this.#core?.unwrittenBytes ?? 0;
  }

  /** Whether what is sent is encrypted on its way to NATS. */
  get isEncrypted(): boolean {
    return this.#core?.isEncrypted ?? false;
  }

  get stats(): NatsStats {
    const { clock } = this.#options;
    const since = this.#downSince === undefined ? 0 : clock.now() - this.#downSince;
    return { ...this.#stats, awayMs: this.#awayMs + since };
  }

  /** The first connection. @throws {UsageError | CoreError | JetStreamError} When it fails. */
  async open(): Promise<void> {
    this.#core = await this.#connect();
    await this.#openBucket();
  }

  start(inbox: string, handlers: BusHandlers): void {
    this.#handlers = handlers;
    this.#inbox = inbox;
    if (this.#core) this.#goUp();
  }

  moveInbox(inbox: string): void {
    this.#inbox = inbox;
    this.#listen();
  }

  publish(inbox: string, message: Bytes): void {
    if (!this.#core || this.#core.unwrittenBytes > MAX_UNWRITTEN_BYTES) return;
    this.#stats.messagesOut++;
    this.#stats.bytesOut += message.length;
    this.#core.publish(this.#subjectOf(inbox), message);
  }

  probe(inbox: string): void {
    this.#core?.publish(this.#subjectOf(inbox), new Uint8Array(0), `${this.#probes}.${inbox}`);
  }

  async get(key: string): Promise<Entry | undefined> {
    const subject = `$JS.API.STREAM.MSG.GET.${streamOf(this.#bucket)}`;
    const asked = encodeJson({ last_by_subj: keySubject(this.#bucket, key) });
    try {
      const answer = await this.#ask(subject, asked);
      if (!answer) return undefined;
      const { message } = readAnswer<{ message: StoredMessage }>(answer);
      const { revision, ...entry } = readStored(key, message);
      return { ...entry, revision: this.#revisions.of(revision) };
    } catch (error) {
      if (codeOf(error) === CODE.NO_MESSAGE) return { key, value: undefined, revision: 0 };
      return undefined;
    }
  }

  async write(key: string, value: Bytes | undefined, expected: number): Promise<Written> {
    const subject = keySubject(this.#bucket, key);
    const last = this.#revisions.seqOf(expected);
    if (last === undefined) return { type: "conflict" };
    const fields = {
      "Nats-Expected-Last-Subject-Sequence": String(last),
      ...value === undefined && { "KV-Operation": "PURGE", "Nats-Rollup": "sub" },
    };
    try {
      const answer = await this.#ask(subject, value ?? new Uint8Array(0), fields);
      if (!answer) return { type: "unknown" };
      const { seq } = readAnswer<{ seq: number }>(answer);
      if (value === undefined) this.#removeMarker(key, seq);
      return { type: "written", revision: this.#revisions.of(seq) };
    } catch (error) {
      const code = codeOf(error);
      if (code === CODE.WRONG_REVISION || code === CODE.WRONG_REVISION_CLUSTERED) {
        return { type: "conflict" };
      }
      if (code !== undefined) {
        this.#options.onWarning(`NATS did not write to the bucket: ${describeError(error)}`);
      }
      return { type: "unknown" };
    }
  }

  async flush(): Promise<void> {
    const core = this.#core;
    if (!core) return;
    const { clock } = this.#options;
    const late = Promise.withResolvers<void>();
    const timer = clock.after(FLUSH_MS, late.resolve);
    await Promise.race([core.flush().catch(() => {}), late.promise, this.#down.promise]);
    clock.cancel(timer);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { clock } = this.#options;
    clock.cancel(this.#retry);
    for (const timer of this.#markers.values()) clock.cancel(timer);
    this.#watch?.stop();
    const core = this.#core;
    this.#core = undefined;
    this.#down.resolve(undefined);
    await core?.close();
  }

  // --- The connection ---

  async #connect(): Promise<Core> {
    const { servers, creds, caCerts = [] } = this.#options;
    const core = await connectCore({
      servers,
      creds,
      caCerts,
      needsTls: caCerts.length > 0 || servers.some((server) => server.startsWith("tls://")),
      name: "hearth",
    }, {
      onEnd: () => this.#goDown(),
      onForbidden: (what) => this.#fail(new CoreError("forbidden", what)),
    });
    try {
      checkServer(core.info, core.server);
      return core;
    } catch (error) {
      await core.close();
      throw error;
    }
  }

  #goUp(): void {
    this.#endInbox = undefined;
    this.#listen();
    this.#core!.subscribe(`${this.#probes}.*`, ({ subject, status }) => {
      if (status === 503) this.#handlers?.onNobody(subject.slice(this.#probes.length + 1));
    });
    this.#handlers!.onUp();
    // What was told may have ended it.
    if (this.#core) this.#watch = new Watch(this.#core, this.#watchOptions());
  }

  #watchOptions() {
    const { clock } = this.#options;
    return {
      bucket: this.#bucket,
      clock,
      handlers: this.#handlers!,
      openBucket: () => this.#openBucket(),
      revisionOf: (seq: number) => this.#revisions.of(seq),
      onWarning: this.#options.onWarning,
    };
  }

  #goDown(): void {
    if (!this.#core) return;
    const { clock } = this.#options;
    this.#core = undefined;
    this.#watch?.stop();
    this.#watch = undefined;
    this.#down.resolve(undefined);
    this.#down = Promise.withResolvers();
    this.#downSince = clock.now();
    this.#handlers?.onDown();
    this.#reconnect(RECONNECT_MS, 0);
  }

  #reconnect(waitMs: number, refused: number): void {
    if (this.#isClosed) return;
    const { clock } = this.#options;
    this.#retry = clock.after(waitMs, async () => {
      try {
        const core = await this.#connect();
        if (this.#isClosed) return void core.close();
        this.#core = core;
      } catch (error) {
        const isRefused = error instanceof CoreError && error.kind === "credentials";
        const count = isRefused ? refused + 1 : 0;
        if (error instanceof UsageError || count >= MAX_REFUSED) return this.#fail(error);
        return this.#reconnect(Math.min(2 * waitMs, MAX_RECONNECT_MS), count);
      }
      this.#awayMs += clock.now() - this.#downSince!;
      this.#downSince = undefined;
      this.#stats.reconnects++;
      if (this.#handlers) this.#goUp();
    });
  }

  #fail(error: unknown): void {
    if (!this.#isClosed) this.#options.onFatal(natsError(error, this.#options));
  }

  // --- The inbox ---

  #listen(): void {
    const end = this.#endInbox;
    this.#endInbox = this.#core?.subscribe(this.#subjectOf(this.#inbox), (message) => {
      const { data } = message;
      if (data.length === 0) return; // a probe
      this.#stats.messagesIn++;
      this.#stats.bytesIn += data.length;
      this.#handlers!.onMessage(data);
    });
    if (this.#core) end?.();
  }

  #subjectOf(inbox: string): string {
    return `hearth.${this.#options.cluster}.r.${inbox}`;
  }

  // --- The bucket ---

  /** @returns Undefined if the connection goes. @throws {CoreError} As {@linkcode Core.request}. */
  async #ask(
    subject: string,
    data: Bytes,
    fields?: Readonly<Record<string, string>>,
  ): Promise<CoreMessage | undefined> {
    const core = this.#core;
    if (!core) return undefined;
    const asked = core.request(subject, data, {
      timeoutMs: ANSWER_MS,
      ...fields && { fields },
    });
    asked.catch(() => {}); // it fails later than the connection
    return await Promise.race([asked, this.#down.promise]);
  }

  /** Opens the bucket, or makes it. @throws {CoreError | JetStreamError} When neither is possible. */
  async #openBucket(): Promise<void> {
    const isClustered = this.#core?.info.cluster !== undefined;
    const config = await this.#findBucket() ?? await this.#makeBucket(isClustered ? REPLICAS : 1);
    if (!config || !this.#isNewBucket) return;
    this.#isNewBucket = false;
    const wanted = bucketConfig(this.#bucket, 1);
    if (
      config.storage !== wanted.storage || config.max_msgs_per_subject !== 1 ||
      !config.allow_rollup_hdrs
    ) {
      this.#options.onWarning(`the bucket ${this.#bucket} in NATS has other settings than ours`);
    }
    if (isClustered && config.num_replicas < REPLICAS) {
      this.#options.onWarning(
        `the bucket ${this.#bucket} is on ${config.num_replicas} of the servers of NATS alone: ` +
          `nats stream update ${streamOf(this.#bucket)} --replicas ${REPLICAS}`,
      );
    }
  }

  async #findBucket(): Promise<StreamConfig | undefined> {
    try {
      return await this.#askStream("INFO");
    } catch (error) {
      if (codeOf(error) === CODE.NO_STREAM) return undefined;
      throw error;
    }
  }

  async #makeBucket(replicas: number, attempt = 1): Promise<StreamConfig | undefined> {
    try {
      return await this.#askStream("CREATE", bucketConfig(this.#bucket, replicas));
    } catch (error) {
      const code = codeOf(error);
      if (code === CODE.STREAM_EXISTS) return await this.#findBucket(); // another relay was quicker
      const areTooFew = code === CODE.NO_PEERS || code === CODE.NO_REPLICAS;
      if (!areTooFew || replicas === 1 || !this.#core) throw error;
      // Servers that have just started may not have found each other yet.
      if (attempt === PEER_ATTEMPTS) return await this.#makeBucket(1);
      await new Promise((resolve) =>
        void this.#options.clock.after(PEER_WAIT_MS, () => resolve(0))
      );
      return await this.#makeBucket(replicas, attempt + 1);
    }
  }

  async #askStream(verb: string, body?: unknown): Promise<StreamConfig | undefined> {
    const subject = `$JS.API.STREAM.${verb}.${streamOf(this.#bucket)}`;
    const data = body === undefined ? new Uint8Array(0) : encodeJson(body);
    const answer = await this.#ask(subject, data);
    if (!answer) return undefined;
    const { config, created } = readAnswer<{ config: StreamConfig; created: string }>(answer);
    if (this.#revisions.see(created)) this.#isNewBucket = true;
    return config;
  }

  #removeMarker(key: string, last: number): void {
    const { clock } = this.#options;
    clock.cancel(this.#markers.get(key));
    const timer = clock.after(MARKER_MS, () => {
      this.#markers.delete(key);
      const subject = `$JS.API.STREAM.PURGE.${streamOf(this.#bucket)}`;
      const filter = keySubject(this.#bucket, key);
      // Only what is older than the next revision: the key may have been written again.
      this.#ask(subject, encodeJson({ filter, seq: last + 1 })).catch(() => {}); // it stays
    });
    this.#markers.set(key, timer);
  }
}

/** A message as JetStream stores it: the texts are base64. */
interface StoredMessage {
  readonly seq: number;
  readonly hdrs?: string;
  readonly data?: string;
}

function readStored(key: string, { seq: revision, hdrs = "", data = "" }: StoredMessage): Entry {
  const isGone = /^KV-Operation: *(PURGE|DEL)\r$/m.test(atob(hdrs));
  return { key, value: isGone ? undefined : Uint8Array.fromBase64(data), revision };
}

function codeOf(error: unknown): number | undefined {
  return error instanceof JetStreamError ? error.code : undefined;
}
