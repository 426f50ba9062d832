/**
 * A relay in memory with clients driven by the test: virtual time, cheap identities.
 *
 * @module
 */

import { type Bytes, decodeHex } from "../../lib/base/bytes.ts";
import { type Connection, type End, openConnection } from "../../lib/transport/mod.ts";
import { decodeFrame, encodeFrame, type Frame, KIND } from "../../lib/protocol/frames.ts";
import { type JoinExchange, NO_SHARE, startJoin } from "../../lib/protocol/password.ts";
import type { Primitives } from "../../lib/protocol/primitives.ts";
import { Relay } from "../../lib/relay/relay.ts";
import type { RelayOptions } from "../../lib/relay/relay_options.ts";
import type { RelayEvent } from "../../lib/relay/relay_event.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import { cheapKey, cheapPrimitives } from "./cheap_key.ts";
import { FakeClock, settle } from "./fake_clock.ts";
import { memoryPair, type MemoryStream, type PairOptions } from "./memory_stream.ts";

export const RELAY_KEY = cheapKey(1);
export const LOBBY = roomTag("lobby");
/** Another room. */
export const OTHER_ROOM: Bytes = new Uint8Array(32).fill(7);
export const JOIN_KEY: Bytes = new Uint8Array(32).fill(5);
export const WRONG_KEY: Bytes = new Uint8Array(32).fill(6);
export const TAG = "a13f49b2";

/** Options of a client. */
export interface ClientOptions extends PairOptions {
  /** The number of its identity. */
  seed?: number;
  bits?: number;
  address?: string;
  room?: Bytes;
  instance?: Bytes;
  /** Its Kjoin; without it its share is zeros. */
  joinKey?: Bytes;
  /** Sent instead of its share. */
  share?: Bytes;
  primitives?: Primitives;
  /** Sent instead of JOIN. */
  first?: Uint8Array;
}

/** A client that keeps the frames it receives. */
export class RigClient {
  readonly frames: Frame[] = [];
  readonly ends: End[] = [];
  connection!: Connection;
  /** With a password: the exchange that its JOIN has begun. */
  exchange: JoinExchange | undefined;

  constructor(readonly stream: MemoryStream, readonly relayStream: MemoryStream) {}

  /** The first frame of a type. */
  find<T extends Frame["type"]>(type: T): Extract<Frame, { type: T }> | undefined {
    return this.frames.find((frame) => frame.type === type) as Extract<Frame, { type: T }>;
  }

  /** Its sid, from WELCOME. */
  get sid(): string {
    const welcome = this.find("welcome");
    if (!welcome) throw new Error(`no WELCOME, but ${JSON.stringify(this.ends)}`);
    return welcome.sid;
  }

  /** The payloads received, as texts. */
  get texts(): string[] {
    return this.frames.flatMap((frame) =>
      frame.type === "recv" ? [new TextDecoder().decode(frame.payload)] : []
    );
  }

  /** Sends a payload to a member. */
  send(to: string, payload: string | Uint8Array): void {
    const bytes = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
    this.connection.send(
      encodeFrame({ type: "send", sid: to, kind: KIND.RECORD, tag: TAG, payload: bytes }),
    );
  }

  /** The reason in the CLOSE that ended it. */
  get reason(): number | undefined {
    const end = this.ends[0];
    return end?.type === "closed" ? end.reason : undefined;
  }
}

/** A relay and its clock. */
export class RelayRig {
  readonly clock = new FakeClock();
  readonly events: RelayEvent[] = [];
  readonly relay: Relay;
  #seed = 10;

  constructor(options: Partial<RelayOptions> = {}) {
    this.relay = new Relay({
      key: RELAY_KEY,
      clock: this.clock,
      primitives: cheapPrimitives,
      minKeyBits: 2048,
      onEvent: (event) => this.events.push(event),
      ...options,
    });
  }

  /** Opens a connection that sends nothing by itself. */
  dial(options: ClientOptions = {}): RigClient {
    const [near, far] = memoryPair(options);
    this.relay.accept(far, options.address ?? "127.0.0.1");
    return new RigClient(near, far);
  }

  /** Starts a client that has sent JOIN, without waiting for the answer. */
  async start(options: ClientOptions = {}): Promise<RigClient> {
    const seed = options.seed ?? this.#seed++;
    const client = this.dial(options);
    const instance = new Uint8Array(16);
    instance.set([seed >>> 8, seed]);
    const key = cheapKey(seed, options.bits);
    const { primitives = cheapPrimitives } = options;
    const opened = Promise.withResolvers<Connection>();
    const { connection } = await openConnection(client.stream, {
      key,
      clock: this.clock,
      primitives,
      expected: RELAY_KEY.publicKey.fingerprint,
      join: async ({ relay, th3 }) => {
        client.exchange = options.joinKey && await startJoin("client", {
          joinKey: options.joinKey,
          client: key.publicKey.fingerprint,
          relay: relay.fingerprint,
          th3,
          primitives,
        });
        return options.first ?? encodeFrame({
          type: "join",
          share: options.share ?? client.exchange?.share ?? NO_SHARE,
          room: options.room ?? LOBBY,
          instance: options.instance ?? instance,
        });
      },
      handlers: {
        onFrame: (type, body) => {
          const frame = decodeFrame(type, body.slice());
          client.frames.push(frame);
          if (frame.type !== "share") return;
          const proof = prove(client, frame.share);
          void opened.promise.then((connection) => connection.send(proof));
        },
        onEnd: (end) => client.ends.push(end),
      },
    });
    client.connection = connection;
    opened.resolve(connection);
    return client;
  }

  /** Starts a client, and waits for the answer to its JOIN. */
  async join(options: ClientOptions = {}): Promise<RigClient> {
    const client = await this.start(options);
    for (let turns = 0; !client.find("welcome") && client.ends.length === 0; turns++) {
      if (turns > 200) throw new Error("no answer to JOIN");
      await settle(1);
    }
    return client;
  }

  /** Adds several members to one room, one after the other. */
  async room<N extends number>(size: N, options: ClientOptions = {}): Promise<Room<N>> {
    const clients: RigClient[] = [];
    for (let i = 0; i < size; i++) clients.push(await this.join(options));
    await settle();
    return clients as Room<N>;
  }
}

/** Bytes from hex, with `[hex, times]` appended. */
export function repeated(hex: string, repeat?: readonly [string, number]): Uint8Array {
  return decodeHex(hex + (repeat ? repeat[0].repeat(repeat[1]) : ""));
}

/** A tuple of clients, for small numbers. */
type Room<N extends number> = N extends 1 ? [RigClient] : N extends 2 ? [RigClient, RigClient]
: N extends 3 ? [RigClient, RigClient, RigClient]
: RigClient[];

/** The PROOF of a client that was sent this share. */
function prove({ exchange }: RigClient, share: Bytes): Bytes {
  return encodeFrame({ type: "proof", proof: exchange!.finish(share).proof });
}

/** An encoded JOIN for the lobby. */
export function joinFrame(seed = 0, share: Bytes = NO_SHARE): Bytes {
  const instance = new Uint8Array(16).fill(seed);
  return encodeFrame({ type: "join", share, room: LOBBY, instance });
}

/** JOINED and LEFT as a client received them: `+sid` and `-sid:why`. */
export function comings(client: RigClient): string[] {
  return client.frames.flatMap((frame) =>
    frame.type === "joined"
      ? [`+${frame.sid}`]
      : frame.type === "left"
      ? [`-${frame.sid}:${frame.why}`]
      : []
  );
}
