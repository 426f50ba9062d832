/**
 * One connection to a relay: JOIN, the password, the pins, and what its end means (PROTOCOL.md §3, §5, §7, §8).
 *
 * @module
 */

import { type Bytes, decodeHex } from "../base/bytes.ts";
import type { Clock, RandomBytes } from "../base/clock.ts";
import { DecryptError, ProtocolError, UsageError } from "../base/errors.ts";
import { decodeFrame, encodeFrame, type Frame, REASON } from "../protocol/frames.ts";
import { encodeFingerprint, type PrivateKey, type PublicKey } from "../protocol/identity.ts";
import { startJoin } from "../protocol/password.ts";
import type { Primitives } from "../protocol/primitives.ts";
import { FINAL_HINTS, REASON_TEXTS } from "../protocol/reasons.ts";
import {
  type ByteStream,
  type Connection,
  type End,
  type Handlers,
  openConnection,
  type ProvenRelay,
} from "../transport/mod.ts";
import type { ConnectedEvent, ErrorEvent, WelcomeEvent } from "./events.ts";
import type { Inquiry } from "./inquiry.ts";
import { Join, PasswordError, unknownPassword } from "./join.ts";
import { ChangedKeyError, type KnownServers } from "./known_servers.ts";
import type { Password } from "./password.ts";

/** How a connection ended. */
export interface Ended {
  readonly reason: string;
  /** Set when a retry would not help. */
  readonly final?: UsageError;
  /** The reason of the relay's CLOSE. */
  readonly closed?: number;
}

/** What all connections of a session share. */
export interface LinkOptions {
  readonly key: PrivateKey;
  /** The room's tag, 32 bytes. */
  readonly room: Bytes;
  /** 32 hex digits. */
  readonly instance: string;
  readonly password: Password;
  readonly minKeyBits: number;
  readonly knownServers: KnownServers;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly primitives?: Primitives;
}

/** Callbacks of a link. */
export interface LinkListener {
  /**
   * The relay's first record has verified; nothing else is told before a returned promise resolves.
   *
   * @param isTold The user knows already.
   */
  connected(link: Link, isTold?: boolean): Promise<void> | void;
  welcomed(link: Link, frame: Extract<Frame, { type: "welcome" }>): void;
  /** A frame after WELCOME. */
  frame(frame: Frame): void;
  drained(): void;
  failed(error: ErrorEvent): void;
}

/** Where a link leads. */
export interface Destination {
  /** `host:port` as pins name it. */
  readonly address: string;
  /** The fingerprint by which a list or a PLACE named the relay, 32 bytes; the pins decide where it is undefined. */
  readonly named?: Bytes;
  /** It has to show that it knows the password. */
  readonly mustProve?: boolean;
}

/** A connection from its handshake to its end. */
export class Link {
  readonly destination: Destination;
  /** Resolves once it has ended. */
  readonly ended: Promise<Ended>;
  /** Resolves to undefined with the WELCOME, or to how it ended before. */
  readonly settled: Promise<Ended | undefined>;
  /** What the pins said before this connection. */
  judged: "new" | "known" = "new";
  roomKey: Bytes | undefined;
  /** The write of the pin. */
  pinned: Promise<void> | undefined;
  isWelcomed = false;
  readonly #options: LinkOptions;
  readonly #listener: LinkListener;
  readonly #end: (ended: Ended) => void;
  readonly #settle: (ended: Ended | undefined) => void;
  /** A fault of this program. */
  readonly #fail: (error: unknown) => void;
  readonly #stop = new AbortController();
  #refused: Ended | undefined;
  #connection: Connection | undefined;
  #stream: ByteStream | undefined;
  #proven: ProvenRelay | undefined;
  #join: Join | undefined;
  /** The relay was asked where the room is: its PLACEs may still come. */
  #hasSought = false;

  constructor(options: LinkOptions, destination: Destination, listener: LinkListener) {
    this.#options = options;
    this.#listener = listener;
    this.destination = destination;
    const ended = Promise.withResolvers<Ended>();
    const settled = Promise.withResolvers<Ended | undefined>();
    this.ended = ended.promise;
    this.settled = settled.promise;
    this.#settle = settled.resolve;
    this.#end = (how) => {
      ended.resolve(how);
      settled.resolve(how);
    };
    this.#fail = (error) => {
      ended.reject(error);
      settled.reject(error);
    };
    this.ended.catch(() => {}); // whoever waits for it gets it
    this.settled.catch(() => {});
  }

  /** Begins with the handshake. @param stream Fresh; owned by the link from here on. */
  open(stream: ByteStream): this {
    this.#stream = stream;
    const { named } = this.destination;
    void openConnection(stream, {
      ...this.#options,
      ...(named && { expected: named }),
      signal: this.#stop.signal,
      join: (proven) => this.#makeJoin(proven),
      handlers: this.#handlers,
    }).then(({ connection }) => {
      this.#connection = connection;
      if (this.#stop.signal.aborted) void connection.close(REASON.NORMAL);
    }, (error) => this.#endBy(error));
    return this;
  }

  /** Begins with the JOIN, where the relay was asked before. */
  take(inquiry: Inquiry): this {
    this.#hasSought = true;
    const asked = inquiry.take(this.#handlers);
    if (!asked) {
      this.#end({ reason: "cut" });
      return this;
    }
    this.#stream = asked.stream;
    this.#connection = asked.connection;
    void this.#makeJoin(asked).then((join) => {
      asked.connection.send(join);
      void this.#listener.connected(this);
    }, (error) => {
      this.#endBy(error);
      void asked.connection.close(REASON.NORMAL);
    });
    return this;
  }

  get #handlers(): Handlers {
    return {
      onVerified: () => this.#listener.connected(this),
      onFrame: (type, body) => this.#takeFrame(decodeFrame(type, body)),
      onDrain: () => this.#listener.drained(),
      onEnd: (end) => this.#end(this.#refused ?? this.#describe(end)),
    };
  }

  /** The relay that has proved its identity; only after that. */
  get relay(): PublicKey {
    return this.#proven!.relay;
  }

  /** The relay's session key, 32 bytes. */
  get session(): Bytes {
    return this.#proven!.session;
  }

  /** What the user is told of it. */
  get connectedEvent(): ConnectedEvent {
    const fingerprint = encodeFingerprint(this.relay.fingerprint);
    const { address } = this.destination;
    return { event: "connected", address, fingerprint, server: this.judged };
  }

  /** Only once the handshake is done. */
  get connection(): Connection {
    return this.#connection!;
  }

  /** This computer's address of it, where the stream knows it. */
  get localAddress(): string | undefined {
    return this.#stream?.localAddr?.hostname;
  }

  /** The relay's address of it. */
  get remoteAddress(): string | undefined {
    return this.#stream?.remoteAddr?.hostname;
  }

  /** The relay has asked for a password. */
  get isLocked(): boolean {
    return this.#join?.proved ?? false;
  }

  /** The relay has shown that it knows the password. */
  get isAnswered(): boolean {
    return this.#join?.answered ?? false;
  }

  /** A password was to be shown. */
  get isBare(): boolean {
    return this.#join?.bare ?? true;
  }

  /** How the relay was authenticated. */
  get authentication(): WelcomeEvent["authenticated"] {
    if (this.isAnswered) return "password";
    return this.judged === "known" ? "key" : "none";
  }

  /** Leaves: ends the connection with CLOSE(0), or the handshake. */
  async close(): Promise<void> {
    this.#stop.abort(new ProtocolError("cut"));
    await this.#connection?.close(REASON.NORMAL);
  }

  /** Drops it without CLOSE. */
  drop(): void {
    this.#stop.abort(new ProtocolError("cut"));
    this.#connection?.abort();
    this.#end({ reason: "cut" });
  }

  #refuse(final: UsageError, reason: number): void {
    const refused = this.#refused ??= { reason: "refused", final };
    void this.#connection?.close(reason).then(() => this.#end(refused));
  }

  /** Checks the relay's key (§8) and makes JOIN (§5, §7). */
  async #makeJoin(proven: ProvenRelay): Promise<Bytes> {
    const { knownServers, minKeyBits, key, primitives, password, room, instance } = this.#options;
    const { relay, th3 } = proven;
    const { address, named } = this.destination;
    const fingerprint = encodeFingerprint(relay.fingerprint);
    const judged = knownServers.judge(address, fingerprint);
    if (judged === "changed" && !named) throw knownServers.changedKey(address, fingerprint);
    this.judged = judged === "known" ? "known" : "new";
    if (relay.bits < minKeyBits) {
      throw new UsageError(`the server's key has only ${relay.bits} bits`, [
        `to accept it anyway: --min-key-bits ${relay.bits}`,
      ]);
    }
    const keys = await password.keysFor(relay.fingerprint);
    this.roomKey = keys?.roomKey;
    const join = new Join(
      keys && await startJoin("client", {
        joinKey: keys.joinKey,
        client: key.publicKey.fingerprint,
        relay: relay.fingerprint,
        th3,
        random: this.#options.random,
        ...(primitives && { primitives }),
      }),
    );
    this.#proven = proven;
    this.#join = join;
    return encodeFrame({ type: "join", share: join.share, room, instance: decodeHex(instance) });
  }

  #takeFrame(frame: Frame): void {
    if (frame.type === "place" && this.#hasSought) return; // §14: it counts no longer
    if (this.isWelcomed) return this.#listener.frame(frame);
    const join = this.#join;
    if (!join) throw new ProtocolError("unexpected"); // our JOIN is not sent yet
    switch (frame.type) {
      case "share": {
        const proof = join.takeShare(frame.share);
        const { address, named } = this.destination;
        // A proof is a chance to guess: no other key at this address gets one, §8.
        if (!named) {
          this.#options.knownServers.bind(address, encodeFingerprint(this.relay.fingerprint));
        }
        return this.connection.send(proof);
      }
      case "proof":
        if (!join.takeAnswer(frame.proof)) return this.#refuse(unknownPassword(), REASON.PASSWORD);
        this.#options.password.answered(this.relay);
        this.pinned = this.#pin();
        return;
      case "welcome":
        return this.#welcome(frame);
      default:
        throw new ProtocolError("unexpected");
    }
  }

  #welcome(frame: Extract<Frame, { type: "welcome" }>): void {
    const { proved, answered } = this.#join!;
    const isUnproven = proved || this.destination.mustProve;
    if (isUnproven && !answered) return this.#refuse(unknownPassword(), REASON.PASSWORD);
    if (!proved) this.pinned = this.#pin();
    this.isWelcomed = true;
    this.#listener.welcomed(this, frame);
    this.#settle(undefined);
  }

  /**
   * If the pin cannot be written, reports that; it still holds for this run. If another process has pinned another key
   * meanwhile, that ends the link. A relay that was named is pinned only where there is no other pin, §14.
   */
  async #pin(): Promise<void> {
    const { knownServers } = this.#options;
    const { address, named } = this.destination;
    const fingerprint = encodeFingerprint(this.relay.fingerprint);
    if (named && knownServers.judge(address, fingerprint) === "changed") return;
    try {
      await knownServers.pin(address, fingerprint);
    } catch (error) {
      if (error instanceof ChangedKeyError) {
        if (!named) this.#refuse(error, REASON.NORMAL);
        return;
      }
      this.#listener.failed({
        event: "error",
        code: "not-remembered",
        message: "the server's key cannot be remembered",
        hint: error instanceof Error ? error.message : "",
      });
    }
  }

  /** §5 says which ends are final. */
  #describe(end: End): Ended {
    const final = this.#finalPassword(end);
    if (final) return { reason: "refused", final };
    if (end.type === "cut") return { reason: "cut" };
    const reason = REASON_TEXTS[end.reason] ?? String(end.reason);
    if (end.type !== "closed") return { reason };
    const closed = end.reason;
    if (closed === REASON.PASSWORD) {
      return { reason, closed, final: new PasswordError(this.isBare) };
    }
    const hint = FINAL_HINTS[closed];
    if (hint === undefined) return { reason, closed };
    return { reason, closed, final: new UsageError(`the server refused: ${reason}`, [hint]) };
  }

  /** §7: a connection that ends after our proof may have been a guess at the password. */
  #finalPassword(end: End): UsageError | undefined {
    if (!this.#join?.proved || this.#join.answered) return undefined;
    if (end.type === "closed" && end.reason === REASON.PASSWORD) return undefined;
    if (end.type === "ended") return undefined;
    return this.#options.password.unanswered(this.relay);
  }

  #endBy(error: unknown): void {
    const ended = this.#describeFailure(error);
    if (ended) this.#end(ended);
    else this.#fail(error);
  }

  /** §3: a bad M2 counts as a cut. */
  #describeFailure(error: unknown): Ended | undefined {
    if (this.#stop.signal.aborted) return { reason: "ended" }; // by us, during the handshake
    if (error instanceof UsageError) return { reason: "refused", final: error };
    if (error instanceof ProtocolError && error.code === "version") {
      return {
        reason: "version",
        final: new UsageError("the server speaks another version of the protocol", [
          "use the same version of Hearth on both sides",
        ]),
      };
    }
    if (error instanceof ProtocolError || error instanceof DecryptError) return { reason: "cut" };
    return undefined;
  }
}
