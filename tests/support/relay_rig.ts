/**
 * A relay in memory with clients that say what the test says: virtual time, cheap identities.
 *
 * @module
 */

import { type Bytes, decodeHex } from "../../lib/base/bytes.ts";
import { type Connection, type End, openTransport } from "../../lib/transport/establish.ts";
import { decodeFrame, encodeFrame, type Frame, KIND } from "../../lib/protocol/frames.ts";
import { computeProof } from "../../lib/protocol/password.ts";
import { Relay, type RelayEvent, type RelayOptions } from "../../lib/relay/relay.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import { cheapKey, decodeCheapId } from "./cheap_key.ts";
import { FakeClock, settle } from "./fake_clock.ts";
import { memoryPair, type MemoryStream, type PairOptions } from "./memory_stream.ts";

export const RELAY_KEY = cheapKey(1);
export const LOBBY = roomTag("lobby");
/** The tag of another room. */
export const OTHER_ROOM: Bytes = new Uint8Array(32).fill(7);
export const JOIN_KEY: Bytes = new Uint8Array(32).fill(5);
export const WRONG_KEY: Bytes = new Uint8Array(32).fill(6);
export const TAG = "a13f49b2";

/** How a client of the rig differs from any other. */
export interface ClientOptions extends PairOptions {
  /** Number of its identity. */
  seed?: number;
  bits?: number;
  address?: string;
  room?: Bytes;
  instance?: Bytes;
  joinKey?: Bytes;
  /** What it sends instead of JOIN. */
  first?: Uint8Array;
}

/** A client that keeps what it is sent. */
export class RigClient {
  readonly frames: Frame[] = [];
  readonly ends: End[] = [];
  connection!: Connection;

  constructor(readonly stream: MemoryStream, readonly relayStream: MemoryStream) {}

  /** The first frame of a type. */
  find<T extends Frame["type"]>(type: T): Extract<Frame, { type: T }> | undefined {
    return this.frames.find((frame) => frame.type === type) as Extract<Frame, { type: T }>;
  }

  /** The own sid, from WELCOME. */
  get sid(): string {
    const welcome = this.find("welcome");
    if (!welcome) throw new Error(`no WELCOME, but ${JSON.stringify(this.ends)}`);
    return welcome.sid;
  }

  /** The payloads of all RECV as texts. */
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

  /** The reason of the CLOSE that ended it. */
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
      decodeId: decodeCheapId,
      minKeyBits: 2048,
      onEvent: (event) => this.events.push(event),
      ...options,
    });
  }

  /** A raw connection that says nothing by itself. */
  dial(options: ClientOptions = {}): RigClient {
    const [near, far] = memoryPair(options);
    this.relay.accept(far, options.address ?? "127.0.0.1");
    return new RigClient(near, far);
  }

  /** A client that has sent its JOIN; what becomes of it is to be waited for. */
  async start(options: ClientOptions = {}): Promise<RigClient> {
    const seed = options.seed ?? this.#seed++;
    const client = this.dial(options);
    const instance = new Uint8Array(16);
    instance.set([seed >>> 8, seed]);
    const { connection } = await openTransport(client.stream, {
      key: cheapKey(seed, options.bits),
      clock: this.clock,
      decodeId: decodeCheapId,
      expected: RELAY_KEY.publicKey.fingerprint,
      join: (_relay, th3) =>
        Promise.resolve(
          options.first ?? encodeFrame({
            type: "join",
            proof: options.joinKey ? computeProof(options.joinKey, th3) : new Uint8Array(32),
            room: options.room ?? LOBBY,
            instance: options.instance ?? instance,
          }),
        ),
      handlers: {
        onFrame: (type, body) => {
          const frame = decodeFrame(type, body);
          if (frame.type === "recv") frame.payload = frame.payload.slice();
          client.frames.push(frame);
        },
        onEnd: (end) => client.ends.push(end),
      },
    });
    client.connection = connection;
    return client;
  }

  /** A client that has been answered. */
  async join(options: ClientOptions = {}): Promise<RigClient> {
    const client = await this.start(options);
    for (let turns = 0; client.frames.length === 0 && client.ends.length === 0; turns++) {
      if (turns > 200) throw new Error("no answer to JOIN");
      await settle(1);
    }
    return client;
  }

  /** Several members of one room, one after the other; what they got while the others came is forgotten. */
  async room<N extends number>(size: N, options: ClientOptions = {}): Promise<Room<N>> {
    const clients: RigClient[] = [];
    for (let i = 0; i < size; i++) clients.push(await this.join(options));
    await settle();
    return clients as Room<N>;
  }
}

/** Bytes of a hex text that may stand for more: `[hex, times]` appended. */
export function repeated(hex: string, repeat?: readonly [string, number]): Uint8Array {
  return decodeHex(hex + (repeat ? repeat[0].repeat(repeat[1]) : ""));
}

/** As many clients as were asked for, where that is a small number. */
type Room<N extends number> = N extends 1 ? [RigClient] : N extends 2 ? [RigClient, RigClient]
: N extends 3 ? [RigClient, RigClient, RigClient]
: RigClient[];

/** A JOIN of the lobby. */
export function joinFrame(seed = 0, proof: Uint8Array<ArrayBuffer> = new Uint8Array(32)): Bytes {
  const instance = new Uint8Array(16).fill(seed);
  return encodeFrame({ type: "join", proof, room: LOBBY, instance });
}

/** What happened in the room, as a client saw it: `+sid` and `-sid:why`. */
export function comings(client: RigClient): string[] {
  return client.frames.flatMap((frame) =>
    frame.type === "joined"
      ? [`+${frame.sid}`]
      : frame.type === "left"
      ? [`-${frame.sid}:${frame.why}`]
      : []
  );
}
