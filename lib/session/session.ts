/**
 * One client in one room, for as long as the program runs: connects, joins, reconnects, and turns all of it into
 * events (PROTOCOL.md §3, §5, §7, §8).
 *
 * Knows nothing of terminals, options or exit codes, and never imports the relay.
 *
 * @module
 */

import { type Bytes, decodeHex } from "../base/bytes.ts";
import {
  type Clock,
  type RandomBytes,
  systemClock,
  systemRandom,
  type Timer,
} from "../base/clock.ts";
import {
  type ByteStream,
  type Connection,
  type End,
  openTransport,
} from "../transport/establish.ts";
import { DecryptError, ProtocolError, UsageError } from "../base/errors.ts";
import type { SessionEvent } from "./events.ts";
import { Membership } from "./membership.ts";
import { decodeFrame, encodeFrame, REASON } from "../protocol/frames.ts";
import { computeProof, derivePassword, NO_KEY, type PasswordKeys } from "../protocol/password.ts";
import { FINAL_HINTS, REASON_TEXTS } from "../protocol/reasons.ts";
import { roomTag } from "../protocol/rooms.ts";
import {
  type DecodeId,
  encodeFingerprint,
  type PrivateKey,
  type PublicKey,
} from "../protocol/identity.ts";
import type { ServerBook } from "./known_servers.ts";
import type { PeerBook } from "./known_peers.ts";

/** Waits between connections, §5; the last one repeats, each is shortened by a random factor of 0.5 to 1. */
const RECONNECT_SECONDS: readonly number[] = [1, 2, 4, 8, 16, 30];
/** A WELCOME that has lasted so long sets the wait back, §5. */
const STABLE_MS = 30_000;
const TICK_MS = 1000;
/** Past so many bytes waiting in the connection nothing is added: an ACK must not seem overdue on a slow network. */
const CONGESTED_BYTES = 32 * 1024;

/** What a session needs. */
export interface SessionOptions {
  readonly key: PrivateKey;
  readonly nick: string;
  /** The room's name as `normalizeRoom` gives it. */
  readonly room: string;
  /** Empty or absent: none. */
  readonly password?: string;
  readonly strict?: boolean;
  /** Keys of relay and members below this are refused. */
  readonly minKeyBits: number;
  /** `host:port` as pins name it. */
  readonly address: string;
  readonly servers: ServerBook;
  readonly book: PeerBook;
  /** Makes a connection to the relay. */
  dial(signal: AbortSignal): Promise<ByteStream>;
  emit(event: SessionEvent): void;
  readonly clock?: Clock;
  readonly random?: RandomBytes;
  readonly decodeId?: DecodeId;
  /** Turns a password into its keys; a simulation has them already. */
  readonly derive?: typeof derivePassword;
}

/** How one connection ended. */
interface Ended {
  readonly reason: string;
  /** Set when trying again mends nothing. */
  readonly final?: UsageError;
}

/** One client in one room. */
export class Session {
  readonly membership: Membership;
  #options: SessionOptions;
  #clock: Clock;
  #random: RandomBytes;
  #room: Bytes;
  #connection: Connection | undefined;
  #keys: { relay: string; keys: PasswordKeys } | undefined;
  #pinned: Promise<void> | undefined;
  #attempts = 0;
  #welcomedAt: number | undefined;
  #ticker: Timer | undefined;
  #stopping = new AbortController();
  #changed: (() => void)[] = [];

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? systemRandom;
    this.#room = roomTag(options.room);
    this.membership = new Membership({
      key: options.key,
      nick: options.nick,
      room: this.#room,
      clock: this.#clock,
      random: this.#random,
      ...(options.decodeId ? { decodeId: options.decodeId } : {}),
      book: options.book,
      strict: options.strict ?? false,
      minKeyBits: options.minKeyBits,
      emit: (event) => {
        options.emit(event);
        this.wake();
      },
    });
  }

  /** Attempts to connect that have ended, since the last connection that stood for a while. */
  get attempts(): number {
    return this.#attempts;
  }

  /**
   * Connects, and again after every loss, until {@linkcode Session.stop} or a refusal that is final.
   *
   * @throws {UsageError} The final refusal, with a hint.
   * @throws What `dial` throws, at the first attempt only.
   */
  async run(): Promise<void> {
    this.#tick();
    try {
      for (let first = true; !this.#stopping.signal.aborted; first = false) {
        const stream = await this.#dial(first);
        if (stream) {
          const ended = await this.#live(stream);
          if (this.#stopping.signal.aborted) break;
          this.#options.emit({ event: "disconnected", reason: ended.reason });
          if (ended.final) throw ended.final;
        }
        if (this.#stopping.signal.aborted) break;
        await this.#pause();
      }
    } finally {
      this.#clock.cancel(this.#ticker);
      this.membership.finish();
      this.membership.abandon();
      await this.#pinned;
    }
  }

  /** Leaves: acknowledges, says CLOSE(0), and ends {@linkcode Session.run}. */
  async stop(): Promise<void> {
    this.membership.finish();
    const closed = this.#connection?.close(REASON.NORMAL);
    this.#stopping.abort();
    this.wake();
    await closed;
  }

  /** Waits until a condition holds, looking whenever something has happened. @returns Whether it held in time. */
  async until(condition: () => boolean, timeoutMs = Infinity): Promise<boolean> {
    const deadline = this.#clock.now() + timeoutMs;
    while (!condition()) {
      const left = deadline - this.#clock.now();
      if (left <= 0 || this.#stopping.signal.aborted) return false;
      await new Promise<void>((resolve) => {
        this.#changed.push(resolve);
        this.#clock.after(Math.min(left, TICK_MS), resolve);
      });
    }
    return true;
  }

  /** Has every {@linkcode Session.until} look again. */
  wake(): void {
    const waiting = this.#changed;
    this.#changed = [];
    for (const resolve of waiting) resolve();
  }

  #tick(): void {
    this.membership.tick();
    this.membership.pump();
    this.wake();
    this.#ticker = this.#clock.after(TICK_MS, () => this.#tick());
  }

  /** Only the first failure to connect ends the program. */
  async #dial(first: boolean): Promise<ByteStream | undefined> {
    try {
      return await this.#options.dial(this.#stopping.signal);
    } catch (error) {
      if (first && !this.#stopping.signal.aborted) throw error;
      return undefined;
    }
  }

  async #pause(): Promise<void> {
    const index = Math.min(this.#attempts++, RECONNECT_SECONDS.length - 1);
    const factor = 0.5 + (this.#random(1)[0]! / 255) * 0.5;
    const seconds = RECONNECT_SECONDS[index]! * factor;
    this.#options.emit({ event: "reconnecting", seconds: Math.round(seconds * 10) / 10 });
    await new Promise<void>((resolve) => {
      const timer = this.#clock.after(seconds * 1000, resolve);
      this.#stopping.signal.addEventListener("abort", () => {
        this.#clock.cancel(timer);
        resolve();
      }, { once: true });
    });
  }

  /** One connection from its handshake to its end. */
  async #live(stream: ByteStream): Promise<Ended> {
    const { promise: ended, resolve: end } = Promise.withResolvers<Ended>();
    const { key, decodeId } = this.#options;
    let relay: PublicKey | undefined;
    try {
      const opened = await openTransport(stream, {
        key,
        clock: this.#clock,
        random: this.#random,
        ...(decodeId ? { decodeId } : {}),
        signal: this.#stopping.signal,
        join: (proven, th3) => {
          relay = proven;
          return this.#join(proven, th3);
        },
        handlers: {
          onVerified: () => this.#verified(relay!),
          onFrame: (type, body) => this.#takeFrame(type, body, relay!),
          onDrain: () => this.membership.pump(),
          onEnd: (reason) => end(this.#describe(reason)),
        },
      });
      this.#connection = opened.connection;
      if (this.#stopping.signal.aborted) void opened.connection.close(REASON.NORMAL);
      return await ended;
    } catch (error) {
      if (this.#stopping.signal.aborted) return { reason: "ended" }; // by us, in the middle of the handshake
      return this.#describeFailure(error);
    } finally {
      this.#connection = undefined;
      const welcomedAt = this.#welcomedAt ?? Infinity;
      if (this.#clock.now() - welcomedAt >= STABLE_MS) this.#attempts = 0;
      this.#welcomedAt = undefined;
      this.membership.disconnected();
    }
  }

  /** Decides whether to trust the relay's key (§8), and makes JOIN (§5, §7). */
  async #join(relay: PublicKey, th3: Bytes): Promise<Bytes> {
    const { address, servers, minKeyBits } = this.#options;
    const fingerprint = encodeFingerprint(relay.fingerprint);
    if (servers.judge(address, fingerprint) === "changed") {
      throw servers.changedKey(address, fingerprint);
    }
    if (relay.bits < minKeyBits) {
      throw new UsageError(`the server's key has only ${relay.bits} bits`, [
        `to accept it all the same: --min-key-bits ${relay.bits}`,
      ]);
    }
    const keys = await this.#passwordKeys(relay);
    return encodeFrame({
      type: "join",
      proof: keys ? computeProof(keys.joinKey, th3) : NO_KEY,
      room: this.#room,
      instance: decodeHex(this.membership.instance),
    });
  }

  async #passwordKeys(relay: PublicKey): Promise<PasswordKeys | undefined> {
    const { password, derive = derivePassword } = this.#options;
    if (!password) return undefined; // §7: an empty password is none
    const fingerprint = encodeFingerprint(relay.fingerprint);
    if (this.#keys?.relay !== fingerprint) {
      this.#keys = { relay: fingerprint, keys: await derive(password, relay.fingerprint) };
    }
    return this.#keys.keys;
  }

  #verified(relay: PublicKey): void {
    const { address, servers, emit } = this.#options;
    const fingerprint = encodeFingerprint(relay.fingerprint);
    const judged = servers.judge(address, fingerprint) === "known" ? "known" : "new";
    emit({ event: "connected", address, fingerprint, server: judged });
    this.wake();
    this.#pinned = this.#pin(fingerprint);
  }

  /** What cannot be remembered is said, and holds for this run all the same. */
  async #pin(fingerprint: string): Promise<void> {
    const { address, servers, emit } = this.#options;
    try {
      await servers.pin(address, fingerprint);
    } catch (error) {
      emit({
        event: "error",
        code: "not-remembered",
        message: "the server's key cannot be remembered",
        hint: error instanceof Error ? error.message : "",
      });
    }
  }

  #takeFrame(type: number, body: Uint8Array, relay: PublicKey): void {
    const frame = decodeFrame(type, body);
    const { membership } = this;
    if (frame.type === "welcome") {
      if (membership.joined) throw new ProtocolError("unexpected"); // §5: a second WELCOME
      const { room, emit } = this.#options;
      emit({ event: "welcome", room, members: frame.members.length });
      const connection = this.#connection!;
      membership.welcome(frame, {
        relay: relay.fingerprint,
        psk: this.#keys?.keys.roomKey ?? NO_KEY,
        transport: {
          send: (bytes) => connection.send(bytes),
          get congested() {
            return connection.queuedBytes > CONGESTED_BYTES;
          },
        },
      });
      this.#welcomedAt = this.#clock.now();
      this.wake();
      return;
    }
    if (!membership.joined) throw new ProtocolError("unexpected"); // §5: anything before WELCOME
    switch (frame.type) {
      case "joined":
        return membership.enter(frame);
      case "left":
        return membership.leave(frame);
      case "recv":
        return membership.receive(frame);
      default:
        throw new ProtocolError("unexpected");
    }
  }

  /** §5: which ends are final. */
  #describe(end: End): Ended {
    if (end.type === "cut") return { reason: "cut" };
    const reason = REASON_TEXTS[end.reason] ?? String(end.reason);
    const hint = FINAL_HINTS[end.reason];
    if (end.type !== "closed" || hint === undefined) return { reason };
    return { reason, final: new UsageError(`the server refused: ${reason}`, [hint]) };
  }

  /** §3: a client treats a bad M2 like a cut; a version that differs is final at first contact. */
  #describeFailure(error: unknown): Ended {
    if (error instanceof UsageError) return { reason: "refused", final: error };
    if (error instanceof ProtocolError && error.code === "version") {
      const { address, servers } = this.#options;
      if (servers.find(address)) return { reason: "version" };
      return {
        reason: "version",
        final: new UsageError("the server speaks another version of the protocol", [
          "use the same version of Hearth on both sides",
        ]),
      };
    }
    if (error instanceof ProtocolError || error instanceof DecryptError) return { reason: "cut" };
    throw error;
  }
}
