/**
 * A relay that is only a list of members, and clients that are only a membership: what happens between people in hours,
 * in milliseconds and without sockets.
 *
 * @module
 */

import { type Bytes, encodeHex } from "../../lib/base/bytes.ts";
import { cipherReady } from "../../lib/protocol/records.ts";
import type { RandomBytes } from "../../lib/base/clock.ts";
import type { SessionEvent } from "../../lib/session/events.ts";
import { sha256 } from "../../lib/protocol/crypto/hash.ts";
import { Membership } from "../../lib/session/membership.ts";
import { decodeFrame, type Frame, FRAME_HEADER_BYTES, WHY } from "../../lib/protocol/frames.ts";
import { encodeFingerprint, type PrivateKey } from "../../lib/protocol/identity.ts";
import { PeerBook } from "../../lib/session/known_peers.ts";
import { cheapKey, decodeCheapId } from "./cheap_key.ts";
import { seededRandom } from "./doubles.ts";
import { FakeClock, settle } from "./fake_clock.ts";

/** A payload on its way through {@linkcode TestRoom}; clients by their names. */
export interface Payload {
  readonly from: TestClient;
  readonly to: TestClient;
  readonly kind: number;
  readonly tag: string;
  readonly payload: Uint8Array;
}

/** How a client of {@linkcode TestRoom} differs from any other. */
export interface TestClientOptions {
  /** Number of its identity; the same for the same person. */
  seed: number;
  nick?: string;
  bits?: number;
  strict?: boolean;
  minKeyBits?: number;
  /** Kroom: 32 bytes. */
  psk?: Bytes;
  /** What it remembers of people; another client's, when it is the same computer. */
  book?: PeerBook;
  /** 16 bytes; random unless told. */
  instance?: Bytes;
}

/** One connection of a client to the relay. */
interface Link {
  readonly client: TestClient;
  readonly sid: string;
  readonly queue: Frame[];
  open: boolean;
}

/** One process: a membership, and what it told. */
export class TestClient {
  readonly membership: Membership;
  readonly key: PrivateKey;
  readonly name: string;
  readonly events: SessionEvent[] = [];
  /** What {@linkcode TestClient.take} has not given yet. */
  #unread: SessionEvent[] = [];
  /** Errors at which a session would have closed its connection. */
  readonly faults: unknown[] = [];
  readonly psk: Bytes;
  readonly book: PeerBook;
  readonly room: TestRoom;
  /** The connection takes nothing more for now. */
  congested = false;
  link: Link | undefined;
  #running = true;

  constructor(room: TestRoom, book: PeerBook, options: TestClientOptions) {
    this.room = room;
    this.book = book;
    this.psk = options.psk ?? new Uint8Array(32);
    this.key = cheapKey(options.seed, options.bits);
    this.name = encodeFingerprint(this.key.publicKey.fingerprint);
    this.membership = new Membership({
      key: this.key,
      nick: options.nick ?? `nick${options.seed}`,
      room: ROOM_TAG,
      clock: room.clock,
      // Nothing else of a membership asks for 16 bytes.
      random: (length) =>
        length === 16 && options.instance ? options.instance : room.random(length),
      decodeId: decodeCheapId,
      book,
      strict: options.strict ?? false,
      minKeyBits: options.minKeyBits ?? 2048,
      emit: (event) => {
        if (!this.#running) return;
        this.events.push(event);
        this.#unread.push(event);
      },
    });
    this.#tick();
  }

  #tick(): void {
    if (!this.#running) return;
    this.membership.tick();
    this.membership.pump();
    this.room.clock.after(1000, () => this.#tick());
  }

  /** The process is gone: nothing more happens in it. The relay has not noticed yet. */
  kill(): void {
    this.#running = false;
    if (this.link) this.link.open = false;
  }

  get sid(): string {
    return this.link!.sid;
  }

  /** Writes to the room. */
  say(text: string, options: { action?: boolean } = {}): string {
    return this.room.note(this.membership.say(text, options), text);
  }

  /** Writes to one person. */
  whisper(to: TestClient | string, text: string): string {
    const who = typeof to === "string" ? to : to.name;
    return this.room.note(this.membership.whisper(who, text), text);
  }

  /** What was told since the last call, in short; `sent` is left out. */
  take(...types: SessionEvent["event"][]): string[] {
    return this.#unread.splice(0)
      .filter(({ event }) => types.length === 0 ? event !== "sent" : types.includes(event))
      .map((event) => this.room.describe(event));
  }
}

const RELAY_FINGERPRINT = sha256(new TextEncoder().encode("relay"));
const ROOM_TAG = sha256(new TextEncoder().encode("room"));

/** One room of a relay, its members, and virtual time. */
export class TestRoom {
  readonly clock = new FakeClock();
  readonly random: RandomBytes = seededRandom("room");
  readonly log: Payload[] = [];
  capacity = 64;
  /** Decides what becomes of a payload: itself, another, or nothing. */
  filter: (payload: Payload) => Uint8Array | undefined = ({ payload }) => payload;
  #folder: string;
  #links: Link[] = [];
  #clients: TestClient[] = [];
  #texts = new Map<string, string>();
  #draining = false;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Runs a test in a fresh room, and asserts that no client would have closed its connection. */
  static async use(test: (room: TestRoom) => Promise<void>): Promise<void> {
    await cipherReady();
    const folder = await Deno.makeTempDir();
    const room = new TestRoom(folder);
    try {
      await test(room);
      for (const { faults } of room.#clients) if (faults.length > 0) throw faults[0];
    } finally {
      for (const client of room.#clients) client.kill();
      for (const { book } of room.#clients) await book.flush();
      await Deno.remove(folder, { recursive: true });
    }
  }

  /** A process that has not connected yet. */
  async client(options: TestClientOptions): Promise<TestClient> {
    const folder = `${this.#folder}/${this.#clients.length}`;
    const book = options.book ?? await PeerBook.load(folder, (error) => {
      throw error;
    });
    const client = new TestClient(this, book, options);
    this.#clients.push(client);
    return client;
  }

  /** A process that is in the room. */
  async enter(options: TestClientOptions): Promise<TestClient> {
    const client = await this.client(options);
    await this.join(client);
    return client;
  }

  /** Connects a client; a connection it still seems to have is replaced, §5. */
  async join(client: TestClient): Promise<void> {
    const seeming = this.#links.find((link) => link.client === client);
    if (seeming) this.#remove(seeming, WHY.REPLACED);
    const sid = encodeHex(this.random(8));
    const members = this.#links.map((link) => ({
      sid: link.sid,
      fingerprint: link.client.key.publicKey.fingerprint,
    }));
    const { fingerprint } = client.key.publicKey;
    for (const link of this.#links) this.#deliver(link, { type: "joined", sid, fingerprint });
    const link: Link = { client, sid, queue: [], open: true };
    client.link = link;
    this.#links.push(link);
    this.#deliver(link, { type: "welcome", sid, capacity: this.capacity, members });
    await settle();
  }

  /** A client says CLOSE(0), or its connection ends in another way that both sides see at once. */
  async leave(client: TestClient, why: number = WHY.LEFT): Promise<void> {
    const link = client.link!;
    this.disconnect(client);
    this.#remove(link, why);
    await settle();
  }

  /** A client loses its connection; the relay has not noticed yet. */
  disconnect(client: TestClient): void {
    client.link!.open = false;
    client.link = undefined;
    client.membership.disconnected();
  }

  /** The relay notices, or does so by itself, that a member is gone: the others get LEFT. */
  async notice(client: TestClient, why: number = WHY.LOST): Promise<void> {
    const link = this.#links.find((link) => link.client === client);
    if (link) this.#remove(link, why);
    await settle();
  }

  /** The relay dies: all are disconnected, and no LEFT is sent. */
  async crash(): Promise<void> {
    for (const { client } of this.#links.splice(0)) if (client.link) this.disconnect(client);
    await settle();
  }

  /** Lets time pass. */
  async advance(delay: number): Promise<void> {
    await this.clock.advance(delay);
  }

  /** Sends a frame to a client as the relay. */
  async inject(client: TestClient, frame: Frame): Promise<void> {
    this.#deliver(client.link!, frame);
    await settle();
  }

  /** Remembers what a message says. */
  note(id: string, text: string): string {
    this.#texts.set(id, text);
    return id;
  }

  #remove(link: Link, why: number): void {
    this.#links = this.#links.filter((other) => other !== link);
    for (const other of this.#links) this.#deliver(other, { type: "left", sid: link.sid, why });
  }

  #route(link: Link, bytes: Uint8Array): void {
    const frame = decodeFrame(bytes[0]!, bytes.slice(FRAME_HEADER_BYTES));
    if (frame.type !== "send") throw new TypeError(`a client sent ${frame.type}`);
    const { kind, tag } = frame;
    const receiver = this.#links.find(({ sid }) => sid === frame.sid);
    if (!link.open || !receiver || receiver === link) return;
    const sent = { from: link.client, to: receiver.client, kind, tag, payload: frame.payload };
    this.log.push(sent);
    const payload = this.filter(sent);
    if (payload) this.#deliver(receiver, { ...frame, type: "recv", sid: link.sid, payload });
  }

  /** Queues a frame; it arrives soon, never while its sender is still at work. */
  #deliver(link: Link, frame: Frame): void {
    link.queue.push(frame);
    if (this.#draining) return;
    this.#draining = true;
    queueMicrotask(() => {
      this.#draining = false;
      for (const link of [...this.#links]) {
        for (const frame of link.queue.splice(0)) if (link.open) this.#hand(link, frame);
      }
    });
  }

  #hand(link: Link, frame: Frame): void {
    const { membership, faults, psk } = link.client;
    const transport = {
      send: (bytes: Uint8Array) => this.#route(link, bytes),
      get congested() {
        return link.client.congested;
      },
    };
    try {
      if (frame.type === "welcome") {
        membership.welcome(frame, { transport, relay: RELAY_FINGERPRINT, psk });
      } else if (frame.type === "joined") membership.enter(frame);
      else if (frame.type === "left") membership.leave(frame);
      else if (frame.type === "recv") membership.receive(frame);
    } catch (error) {
      faults.push(error);
    }
  }

  /** An event in short, with texts for ids. */
  describe(event: SessionEvent): string {
    switch (event.event) {
      case "chat": {
        const flags = (["private", "action", "late"] as const).filter((flag) => event[flag]);
        const marks = [...flags, ...(event.view === "differs" ? ["differs"] : [])];
        return `${event.nick}: ${event.text}${marks.length > 0 ? ` (${marks.join(" ")})` : ""}`;
      }
      case "joined":
        return `joined ${event.nick} ${event.trust}${event.weak ? " weak" : ""}`;
      case "left":
        return `left ${event.nick} ${event.why}`;
      case "delivered":
      case "undelivered": {
        const to = event.to.map((name) => this.#nickOf(name)).sort().join(" ") || "nobody";
        return `${event.event} ${this.#texts.get(event.id)} to ${to}`;
      }
      case "nick":
        return `nick ${event.from} is ${event.nick}`;
      case "lost":
        return `lost ${event.count} of ${event.nick}`;
      case "away":
        return `away ${event.nick} ${event.text}`.trim();
      case "notice":
        return `notice ${event.text}`;
      default:
        return event.event;
    }
  }

  #nickOf(name: string): string {
    return this.#clients.find((client) => client.name === name)?.membership.nick ?? name;
  }
}
