/**
 * Asks one relay where a room is, over a connection on which a JOIN may follow (PROTOCOL.md §14).
 *
 * @module
 */

import { type Bytes, concat } from "../base/bytes.ts";
import type { Clock, RandomBytes, Timer } from "../base/clock.ts";
import { ProtocolError } from "../base/errors.ts";
import { encodeFrame, FRAME, REASON } from "../protocol/frames.ts";
import type { PrivateKey } from "../protocol/identity.ts";
import type { Primitives } from "../protocol/primitives.ts";
import {
  decodeWhereabouts,
  encodeWhereabouts,
  type Place,
  STATE,
  type Whereabouts,
} from "../protocol/succession.ts";
import {
  type ByteStream,
  type Connection,
  type End,
  type Handlers,
  openConnection,
  type ProvenRelay,
} from "../transport/mod.ts";

/** From the first dial to SEEK, or the proof of a key. */
export const INQUIRY_MS = 2500;
/**
 * The same in a search: when a room comes to a slow computer, all ask it at once, and who asked anew instead of waiting
 * would keep it busy with what nobody waits for any more.
 */
export const SEARCH_INQUIRY_MS = 10_000;
/** The next address is dialled this long after the one before, or when that has failed. */
const NEXT_ADDRESS_MS = 100;
/** An address that does not answer is given up after this. */
const ADDRESS_MS = 1000;

/** One address at which a relay may be reached. */
export interface Way {
  /** `host:port` as pins name it. */
  readonly address: string;
  /** @throws `Deno.errors.ConnectionRefused` where nobody listens, other errors for other failures. */
  dial(signal: AbortSignal): Promise<ByteStream>;
}

/** Why there is no answer, or no further one. */
export type NoAnswer =
  /** Nobody listens at any of its addresses. */
  | "refused"
  /** Nothing was heard in time, or the connection was cut. */
  | "failed"
  /** It said CLOSE, or is not who it should be. */
  | "closed"
  /** It knows no SEEK: a program without §14, whose relay admits to every room. */
  | "unsupported";

/** Callbacks of an inquiry. */
export interface InquiryListener {
  /** PLACE has come: the first one, or another answer. */
  answered(where: Whereabouts): void;
  /** There is no answer, or it counts no longer. Called once, and not after {@linkcode Inquiry.take}. */
  ended(why: NoAnswer): void;
}

/** What all inquiries of a session share. */
export interface InquiryOptions {
  readonly key: PrivateKey;
  /** The room's tag, 32 bytes. */
  readonly room: Bytes;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly primitives?: Primitives;
}

/** A connection that was asked, for a JOIN. */
export interface Asked extends ProvenRelay {
  readonly connection: Connection;
  readonly stream: ByteStream;
}

/** A relay that is being asked. */
export class Inquiry {
  readonly #options: InquiryOptions;
  readonly #listener: InquiryListener;
  readonly #stop = new AbortController();
  #handlers: Handlers;
  #asked: Asked | undefined;
  #way: Way | undefined;
  #isOver = false;
  #timer: Timer | undefined;

  /**
   * @param target.expected The relay's fingerprint, 32 bytes; undefined to take any.
   * @param target.own Where the own relay is, said by a host that asks.
   * @param target.limitMs From the first dial to SEEK.
   */
  constructor(
    target: {
      ways: readonly Way[];
      expected: Bytes | undefined;
      own: Place | undefined;
      limitMs?: number;
    },
    options: InquiryOptions,
    listener: InquiryListener,
  ) {
    this.#options = options;
    this.#listener = listener;
    this.#handlers = {
      onFrame: (type, body) => this.#takeFrame(type, body),
      onEnd: (end) => this.#end(whyOf(end)),
    };
    const { limitMs = INQUIRY_MS } = target;
    this.#timer = options.clock.after(limitMs, () => this.#stop.abort(new ProtocolError("cut")));
    void this.#ask(target);
  }

  async #ask(
    { ways, expected, own }: {
      ways: readonly Way[];
      expected: Bytes | undefined;
      own: Place | undefined;
    },
  ): Promise<void> {
    const { signal } = this.#stop;
    const { clock, room } = this.#options;
    try {
      const { stream, way } = await dialWays(ways, clock, signal);
      this.#way = way;
      const opened = await openConnection(stream, {
        ...this.#options,
        signal,
        ...(expected && { expected }),
        join: () => Promise.resolve(concat(encodeFrame({ type: "seek", room }), encodeOwn(own))),
        handlers: {
          onFrame: (type, body) => this.#handlers.onFrame(type, body),
          onVerified: () => this.#handlers.onVerified?.(),
          onDrain: () => this.#handlers.onDrain?.(),
          onEnd: (end) => this.#handlers.onEnd(end),
        },
      });
      clock.cancel(this.#timer);
      this.#asked = { ...opened, stream };
      opened.connection.watch();
      if (this.#isOver) void opened.connection.close(REASON.NORMAL);
    } catch (error) {
      if (error instanceof ProtocolError && error.code === "wrong-identity") this.#end("closed");
      else this.#end(isRefusal(error) ? "refused" : "failed");
    }
  }

  #takeFrame(type: number, body: Uint8Array): void {
    if (type !== FRAME.PLACE) throw new ProtocolError("unexpected");
    const where = readWhereabouts(body);
    if (where && !this.#isOver) this.#listener.answered(where);
  }

  #end(why: NoAnswer): void {
    this.#options.clock.cancel(this.#timer);
    if (this.#isOver) return;
    this.#isOver = true;
    this.#listener.ended(why);
  }

  /** Milliseconds since its connection was heard; 0 before there is one. */
  get silentMs(): number {
    return this.#asked?.connection.silentMs ?? 0;
  }

  /** Its connection can be taken for a JOIN. */
  get isOpen(): boolean {
    return this.#asked !== undefined && !this.#isOver;
  }

  /** How the relay was reached; only once it has said anything. */
  get way(): Way {
    return this.#way!;
  }

  /** The relay's fingerprint, 32 bytes; undefined before the handshake is done. */
  get relay(): Bytes | undefined {
    return this.#asked?.relay.fingerprint;
  }

  /** Hands the connection over to `handlers`, for a JOIN; undefined if it has ended. */
  take(handlers: Handlers): Asked | undefined {
    if (this.#isOver || !this.#asked) return undefined;
    this.#isOver = true;
    this.#handlers = handlers;
    return this.#asked;
  }

  /** Ends it without a further callback. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.clock.cancel(this.#timer);
    this.#stop.abort(new ProtocolError("cut"));
    void this.#asked?.connection.close(REASON.NORMAL);
  }
}

/** What a host that asks says of itself, §14. */
function encodeOwn(place: Place | undefined): Bytes {
  if (!place) return new Uint8Array(0);
  const body = encodeWhereabouts({ state: STATE.AT_PLACE, place });
  return encodeFrame({ type: "place", body });
}

/** A malformed PLACE is ignored, §14. */
function readWhereabouts(body: Uint8Array): Whereabouts | undefined {
  try {
    return decodeWhereabouts(body);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return undefined;
  }
}

function whyOf(end: End): NoAnswer {
  if (end.type !== "closed") return "failed";
  return end.reason === REASON.PROTOCOL ? "unsupported" : "closed";
}

function isRefusal(error: unknown): boolean {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return cause instanceof Deno.errors.ConnectionRefused;
}

/**
 * Finds out who is at an address: TCP, M1 and M2, no M3.
 *
 * @param expected The fingerprint that it must prove, 32 bytes.
 * @returns Its session key, 32 bytes; undefined if it does not answer in time or is somebody else.
 */
export async function prove(
  way: Way,
  expected: Bytes,
  options: Omit<InquiryOptions, "room"> & { signal: AbortSignal },
): Promise<Bytes | undefined> {
  const stop = new AbortController();
  const timer = options.clock.after(INQUIRY_MS, () => stop.abort(new ProtocolError("cut")));
  const signal = AbortSignal.any([options.signal, stop.signal]);
  let found: Bytes | undefined;
  try {
    const { stream } = await dialWays([way], options.clock, signal);
    await openConnection(stream, {
      ...options,
      signal,
      expected,
      join: ({ session }) => {
        found = session;
        return Promise.reject(new ProtocolError("cut")); // that is enough
      },
      handlers: { onFrame: () => {}, onEnd: () => {} },
    });
  } catch {
    // Whatever is wrong there, nobody is to be sent there.
  } finally {
    options.clock.cancel(timer);
  }
  return found;
}

/** Connects at the first address that answers: each is dialled 100 ms after the one before, for at most 1 s. */
async function dialWays(
  ways: readonly Way[],
  clock: Clock,
  signal: AbortSignal,
): Promise<{ stream: ByteStream; way: Way }> {
  const found = Promise.withResolvers<{ stream: ByteStream; way: Way }>();
  const stop = new AbortController();
  const onAbort = () => fail(signal.reason);
  let isOver = false;
  let failed = 0;
  let next = 0;
  let error: unknown = new ProtocolError("cut");
  let timer: Timer | undefined;
  const fail = (reason: unknown) => {
    isOver = true;
    stop.abort(new ProtocolError("cut"));
    found.reject(reason);
  };
  const dialNext = () => {
    clock.cancel(timer);
    const way = ways[next++];
    if (!way || isOver) return;
    timer = clock.after(NEXT_ADDRESS_MS, dialNext);
    dialWay(way, clock, stop.signal).then((stream) => {
      if (isOver) return stream.close();
      isOver = true;
      stop.abort(new ProtocolError("cut"));
      found.resolve({ stream, way });
    }, (reason) => {
      // Nobody is there only if nobody answers anywhere.
      if (failed++ === 0 || !isRefusal(reason)) error = reason;
      if (failed === ways.length) fail(error);
      else dialNext();
    });
  };
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  else if (ways.length === 0) fail(error);
  else dialNext();
  try {
    return await found.promise;
  } finally {
    clock.cancel(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

async function dialWay({ dial }: Way, clock: Clock, signal: AbortSignal): Promise<ByteStream> {
  const stop = new AbortController();
  const timer = clock.after(ADDRESS_MS, () => stop.abort(new ProtocolError("cut")));
  try {
    return await dial(AbortSignal.any([signal, stop.signal]));
  } finally {
    clock.cancel(timer);
  }
}
