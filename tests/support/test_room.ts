/**
 * A relay that is only a list of members, and clients that are only a membership: runs hours of a conversation in
 * milliseconds, without sockets.
 *
 * @module
 */

import { type Bytes, concat, encodeHex } from "../../lib/base/bytes.ts";
import { cipherReady } from "../../lib/protocol/records.ts";
import type { RandomBytes } from "../../lib/base/clock.ts";
import type { NoteKind, SessionEvent } from "../../lib/session/events.ts";
import { sha256 } from "../../lib/protocol/crypto/hash.ts";
import { Guesses } from "../../lib/session/guesses.ts";
import { Membership } from "../../lib/session/membership.ts";
import {
  BOX_BYTES,
  decodeFrame,
  type Frame,
  FRAME_HEADER_BYTES,
  KIND,
  WHY,
} from "../../lib/protocol/frames.ts";
import type { HistoryEntry } from "../../lib/protocol/history_entry.ts";
import { encodeFingerprint, type PrivateKey } from "../../lib/protocol/identity.ts";
import type { OutgoingChat } from "../../lib/session/outgoing.ts";
import type { ComposeOptions, MessageName } from "../../lib/session/sender.ts";
import { KnownPeers } from "../../lib/session/known_peers.ts";
import { cheapKey, cheapPrimitives } from "./cheap_key.ts";
import { seededRandom } from "./doubles.ts";
import { FakeClock, settle } from "./fake_clock.ts";

/** A payload on its way through {@linkcode TestRoom}. */
export interface Payload {
  readonly from: TestClient;
  readonly to: TestClient;
  readonly kind: number;
  readonly tag: string;
  /** Of a PART: its box and what it has in common with others. */
  readonly payload: Uint8Array;
  readonly isPart: boolean;
}

export interface TestClientOptions {
  /** Number of the identity; the same for the same person. */
  seed: number;
  nick?: string;
  bits?: number;
  strict?: boolean;
  minKeyBits?: number;
  /** Kroom, 32 bytes. */
  roomKey?: Bytes | undefined;
  /** Shared by clients on the same computer. */
  knownPeers?: KnownPeers;
  /** Whose keys were remembered before it starts. */
  knows?: readonly TestClientOptions[];
  /** 16 bytes; random by default. */
  instance?: Bytes;
  keepsApart?: boolean;
  /** What they write may be handed on. */
  recap?: boolean;
  /** They ask others what they have missed. */
  asksOthers?: boolean;
  /** The user's own history: what is in it, and what is recorded. */
  log?: HistoryEntry[];
}

/** A client's connection to the relay. */
interface Link {
  readonly client: TestClient;
  readonly sid: string;
  readonly queue: Frame[];
  open: boolean;
}

/** One process: a membership and its events. */
export class TestClient {
  readonly membership: Membership;
  readonly key: PrivateKey;
  readonly name: string;
  readonly events: SessionEvent[] = [];
  /** What {@linkcode TestClient.take} has not returned yet. */
  #unread: SessionEvent[] = [];
  /** Errors on which a session would have closed its connection. */
  readonly faults: unknown[] = [];
  readonly roomKey: Bytes | undefined;
  readonly knownPeers: KnownPeers;
  readonly room: TestRoom;
  /** The connection accepts nothing for now. */
  congested = false;
  link: Link | undefined;
  #running = true;

  constructor(room: TestRoom, knownPeers: KnownPeers, options: TestClientOptions) {
    this.room = room;
    this.knownPeers = knownPeers;
    this.roomKey = options.roomKey;
    this.key = cheapKey(options.seed, options.bits);
    this.name = encodeFingerprint(this.key.publicKey.fingerprint);
    this.membership = new Membership({
      key: this.key,
      nick: options.nick ?? `nick${options.seed}`,
      room: ROOM_TAG,
      clock: room.clock,
      // Only the instance takes 16 random bytes.
      random: (length) =>
        length === 16 && options.instance ? options.instance : room.random(length),
      primitives: cheapPrimitives,
      guesses: new Guesses(room.clock),
      knownPeers,
      strict: options.strict ?? false,
      keepsApart: options.keepsApart,
      recap: options.recap,
      asksOthers: options.asksOthers,
      ...(options.log && {
        record: (happening) => {
          if (happening.at !== undefined) options.log!.push({ ...happening, at: happening.at });
        },
        logged: (time) => Promise.resolve(options.log!.filter(({ at }) => at >= time)),
      }),
      minKeyBits: options.minKeyBits ?? 2048,
      ready: () => {},
      succession: () => {},
      left: () => {},
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
    this.membership.sender.pump();
    this.room.clock.after(1000, () => this.#tick());
  }

  /** Ends the process at once; the relay has not noticed yet. */
  kill(): void {
    this.#running = false;
    if (this.link) this.link.open = false;
  }

  get sid(): string {
    return this.link!.sid;
  }

  /** Sends a message to the room. */
  say(text: string, options: Omit<ComposeOptions, "to"> = {}): string {
    return this.#send(text, options);
  }

  /** Sends a private message. */
  sendPrivate(to: TestClient | string, text: string): string {
    return this.#send(text, { to: typeof to === "string" ? to : to.name });
  }

  #send(text: string, options: ComposeOptions): string {
    const { sender } = this.membership;
    const draft = sender.compose(text, options);
    const { id } = draft.message as OutgoingChat;
    this.room.note(id, text);
    sender.accept(draft);
    return id;
  }

  /** Reacts to a message, or changes it. */
  sendNote(about: MessageName, what: NoteKind, text = ""): void {
    const { sender } = this.membership;
    sender.accept(sender.composeNote(about, what, text));
  }

  /** The events since the last call, in short, without `sent`. */
  take(...types: SessionEvent["event"][]): string[] {
    return this.#unread.splice(0)
      .filter(({ event }) => types.length === 0 ? event !== "sent" : types.includes(event))
      .map((event) => this.room.describe(event));
  }
}

/** What a payload is received as. @param sid Of its sender. */
export function receivedFrame({ kind, tag, payload, isPart }: Payload, sid: string): Frame {
  if (!isPart) return { type: "recv", sid, kind, tag, payload };
  const [box, common] = [payload.slice(0, BOX_BYTES), payload.slice(BOX_BYTES)];
  return { type: "part", sid, tag, box, common };
}

const RELAY_FINGERPRINT = sha256(new TextEncoder().encode("relay"));
const ROOM_TAG = sha256(new TextEncoder().encode("room"));

/** One room of a relay, its members, and virtual time. */
export class TestRoom {
  readonly clock = new FakeClock();
  readonly random: RandomBytes = seededRandom("room");
  readonly log: Payload[] = [];
  capacity = 64;
  /** Passes, replaces or drops a payload. */
  filter: (payload: Payload) => Uint8Array | undefined = ({ payload }) => payload;
  #folder: string;
  #links: Link[] = [];
  #clients: TestClient[] = [];
  #texts = new Map<string, string>();
  #draining = false;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Runs a test in a new room, and asserts that no client would have closed its connection. */
  static async use(test: (room: TestRoom) => Promise<void>): Promise<void> {
    await cipherReady();
    const folder = await Deno.makeTempDir();
    const room = new TestRoom(folder);
    try {
      await test(room);
      for (const { faults } of room.#clients) if (faults.length > 0) throw faults[0];
    } finally {
      for (const client of room.#clients) client.kill();
      for (const { knownPeers } of room.#clients) await knownPeers.flush();
      await Deno.remove(folder, { recursive: true });
    }
  }

  /** Starts a process, without connecting. */
  async client(options: TestClientOptions): Promise<TestClient> {
    const folder = `${this.#folder}/${this.#clients.length}`;
    const load = () =>
      KnownPeers.load(folder, (error) => {
        throw error;
      });
    let knownPeers = options.knownPeers ?? await load();
    if (options.knows) {
      for (const { seed, bits, nick = `nick${seed}` } of options.knows) {
        const { fingerprint } = cheapKey(seed, bits).publicKey;
        knownPeers.remember(encodeFingerprint(fingerprint), nick);
      }
      await knownPeers.flush();
      knownPeers = await load();
    }
    const client = new TestClient(this, knownPeers, options);
    this.#clients.push(client);
    return client;
  }

  /** Starts a process that joins the room. */
  async enter(options: TestClientOptions): Promise<TestClient> {
    const client = await this.client(options);
    await this.join(client);
    return client;
  }

  /** Connects a client; replaces a connection that the relay still believes in, §5. */
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

  /** A client sends CLOSE(0), or its connection ends in another way that both sides notice at once. */
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

  /** The relay notices or decides that a member is gone: the others get LEFT. */
  async notice(client: TestClient, why: number = WHY.LOST): Promise<void> {
    const link = this.#links.find((link) => link.client === client);
    if (link) this.#remove(link, why);
    await settle();
  }

  /** The relay crashes: everybody is disconnected without LEFT. */
  async crash(): Promise<void> {
    for (const { client } of this.#links.splice(0)) if (client.link) this.disconnect(client);
    await settle();
  }

  /** Advances the clock. */
  async advance(delay: number): Promise<void> {
    await this.clock.advance(delay);
  }

  /** Sends a frame from the relay to a client. */
  async inject(client: TestClient, frame: Frame): Promise<void> {
    this.#deliver(client.link!, frame);
    await settle();
  }

  /** Remembers the text of a message. */
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
    if (frame.type === "send") return this.#forward(link, { ...frame, isPart: false });
    if (frame.type !== "cast") throw new TypeError(`a client sent ${frame.type}`);
    for (const { sid, tag, box } of frame.entries) {
      const payload = concat(box, frame.common);
      this.#forward(link, { sid, tag, kind: KIND.RECORD, payload, isPart: true });
    }
  }

  #forward(
    link: Link,
    { sid: to, ...rest }: Pick<Payload, "kind" | "tag" | "payload" | "isPart"> & { sid: string },
  ): void {
    const receiver = this.#links.find(({ sid }) => sid === to);
    if (!link.open || !receiver || receiver === link) return;
    const sent = { from: link.client, to: receiver.client, ...rest };
    this.log.push(sent);
    const payload = this.filter(sent);
    if (payload) this.#deliver(receiver, receivedFrame({ ...sent, payload }, link.sid));
  }

  /** Queues a frame; it arrives soon, but never while its sender is still running. */
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
    const { membership, faults, roomKey } = link.client;
    const transport = {
      send: (bytes: Uint8Array) => this.#route(link, bytes),
      get congested() {
        return link.client.congested;
      },
    };
    try {
      if (frame.type === "welcome") {
        membership.welcome(frame, {
          transport,
          relay: RELAY_FINGERPRINT,
          roomKey,
          isExpected: false,
        });
      } else if (frame.type === "joined") membership.enter(frame);
      else if (frame.type === "left") membership.leave(frame);
      else if (frame.type === "recv") membership.receive(frame);
      else if (frame.type === "part") membership.receivePart(frame);
    } catch (error) {
      faults.push(error);
    }
  }

  /** An event in short form, with texts instead of ids. */
  describe(event: SessionEvent): string {
    switch (event.event) {
      case "chat": {
        const flags = (["private", "action", "late"] as const).filter((flag) => event[flag]);
        const marks = [
          ...flags,
          ...(event.view === "differs" ? ["differs"] : []),
          ...(event.own ? ["own"] : []),
          ...(event.to ?? []).map((to) => `to ${this.#nickOf(to)}`),
          ...(event.hearsay ? [`by ${event.hearsay.map((by) => this.#nickOf(by)).join(" ")}`] : []),
          ...(event.missed && !event.hearsay ? ["missed"] : []),
        ];
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
      case "kept": {
        const to = event.to.map((name) => this.#nickOf(name)).sort().join(" ");
        const minutes = (Date.parse(event.until) - this.clock.wallTime()) / 60_000;
        return `kept ${this.#texts.get(event.id)} for ${to}, ${Math.round(minutes)} min`;
      }
      case "note":
        return `${event.nick}: ${event.what} ${event.text} of ${this.#texts.get(event.ref)}`;
      case "missed":
        return `missed ${event.count} in ${Math.round(event.seconds / 60)} min` +
          (event.from === "own" ? "" : ` by ${event.by.map((by) => this.#nickOf(by)).join(" ")}`);
      case "read":
        return `read ${this.#texts.get(event.id)}`;
      case "topic":
        return `topic ${event.text}`;
      case "nick":
        return `nick ${event.from} is ${event.nick}`;
      case "lost":
        return `lost ${event.count} of ${event.nick}`;
      case "away":
        return `away ${event.nick} ${event.text}`.trim();
      case "trust":
        return `trust ${event.nick} ${event.trust}`;
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
