/**
 * Sends what the user writes: to whom, with which view, as soon as a channel and the connection take it
 * (PROTOCOL.md §6, "Addressees", "View").
 *
 * Knows nothing of handshakes or of what is received.
 *
 * @module
 */

import { type Bytes, encodeHex, encodeUtf8 } from "../base/bytes.ts";
import type { Clock, RandomBytes } from "../base/clock.ts";
import { UsageError } from "../base/errors.ts";
import type { SessionEvent } from "./events.ts";
import { encodeMessage, MAX_TEXT_BYTES, setSeq } from "../protocol/messages.ts";
import type { Outbox } from "./outbox.ts";
import type { Item, Outgoing, Target } from "../target.ts";
import type { Member, Roster } from "./roster.ts";
import type { PeerBook } from "./known_peers.ts";
import type { OwnViews } from "../view.ts";

/** The connection that is being used. */
export interface Transport {
  /** Queues an encoded frame. */
  send(frame: Uint8Array): void;
  /** It takes no more for now. */
  readonly congested: boolean;
}

/** What a writer needs. */
export interface WriterOptions {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly book: PeerBook;
  /** Send only to people whose digits were compared. */
  readonly strict: boolean;
  readonly roster: Roster;
  readonly outbox: Outbox;
  readonly views: OwnViews;
  /** One's own nick of this moment. */
  nick(): string;
  emit(event: SessionEvent): void;
}

/** A message before anybody is addressed. */
interface Draft {
  readonly private: boolean;
  readonly action: boolean;
  readonly ref: string | undefined;
  readonly targets: readonly Target[];
}

/** A message as it was last sent. */
interface Encoded {
  readonly late: boolean;
  readonly view: Bytes;
  readonly bytes: Bytes;
}

/** Accepts messages and sends what is kept. */
export class Writer {
  /** None while there is no connection. */
  transport: Transport | undefined;
  #options: WriterOptions;
  #serial = 0;
  #encoded = new WeakMap<Outgoing, Encoded>();

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** A number higher than all before: the order of everything this client saw and wrote. */
  nextSerial(): number {
    return this.#serial++;
  }

  /** Somebody with a live channel has so much unacknowledged that nothing more is taken, §6. */
  get blocked(): boolean {
    for (const member of this.#options.roster.members.values()) {
      if (member.target.downAt === undefined && member.target.full) return true;
    }
    return false;
  }

  /**
   * Sends a message to the room.
   *
   * @returns Its id.
   * @throws {UsageError} When it is too long: nothing was sent.
   */
  say(
    text: string,
    { action = false, ref }: { action?: boolean; ref?: string | undefined },
  ): string {
    const { roster, outbox, strict, book } = this.#options;
    const members = [...roster.members.values()].filter((member) => this.#sendsTo(member));
    // §6: those lost within the last 10 minutes are addressed, too.
    const lost = [...outbox.lost()].filter(({ fingerprint }) =>
      !strict || book.isVerified(fingerprint)
    );
    const targets = [...members.map(({ target }) => target), ...lost];
    return this.#accept(text, { private: false, action, ref, targets });
  }

  /**
   * Sends a private message to a person, at each of their places.
   *
   * @param to A nick as shown, or a fingerprint.
   * @returns Its id.
   * @throws {UsageError} When nobody or more than one person is called so, their nick belongs to another key (§8),
   * or the text is too long.
   */
  whisper(to: string, text: string, ref?: string): string {
    const { roster } = this.#options;
    const places = roster.placesOf(roster.find(to).name);
    if (places.some((member) => roster.trust(member) === "conflict")) {
      throw new UsageError(
        `${to} is a known nick with another key: nothing private is sent to it`,
        [
          `compare with /verify ${to}, then accept the key with /trust ${to}`,
        ],
      );
    }
    const members = places.filter((member) => this.#sendsTo(member));
    if (members.length === 0) {
      throw new UsageError(`${to} is not verified, and --strict is on`, [`/verify ${to}`]);
    }
    const targets = members.map(({ target }) => target);
    return this.#accept(text, { private: true, action: false, ref, targets });
  }

  /** One's own nick has changed: everybody who has a stream is told. */
  tellNick(): void {
    const { roster, outbox } = this.#options;
    for (const target of outbox.targets()) {
      if (target.instance === undefined) continue;
      if (target.lostAt !== undefined || roster.holds(target)) outbox.addNick(target);
    }
    this.pumpAll();
  }

  /** Sends what it can to everybody. */
  pumpAll(): void {
    for (const member of this.#options.roster.members.values()) this.pump(member);
  }

  /** Sends what it can to one member. */
  pump(member: Member): void {
    const channel = member.peer?.channel;
    const { transport } = this;
    if (!channel || !transport) return;
    channel.pump({
      nick: this.#options.nick(),
      now: this.#options.clock.now(),
      room: () => !transport.congested,
      encode: (item) => this.#encode(member, item),
    });
  }

  #sendsTo(member: Member): boolean {
    if (member.refused) return false;
    return !this.#options.strict || this.#options.roster.trust(member) === "verified";
  }

  #accept(text: string, { ref, targets, ...draft }: Draft): string {
    const bytes = encodeUtf8(text).length;
    if (bytes > MAX_TEXT_BYTES) {
      throw new UsageError(`a message has at most ${MAX_TEXT_BYTES} bytes, this one has ${bytes}`);
    }
    const { clock, random, emit, outbox } = this.#options;
    const message: Outgoing = {
      id: encodeHex(random(8)),
      serial: this.nextSerial(),
      time: Math.max(0, clock.wallTime()), // a computer may believe that it is 1969
      action: draft.action,
      private: draft.private,
      text,
      bytes,
    };
    emit({ event: "sent", id: message.id, ...(ref === undefined ? {} : { ref }) });
    outbox.add(message, targets);
    this.pumpAll();
    return message.id;
  }

  /** Most members get the same but for its seq: that is all there is to do for each of them. */
  #encode(member: Member, { message, moved, seq }: Item): Bytes {
    const { serial, private: isPrivate } = message!;
    const { views } = this.#options;
    const late = moved || serial < member.serial;
    const view = isPrivate ? views.pair(member) : views.room;
    let encoded = this.#encoded.get(message!);
    if (encoded?.late !== late || encoded.view !== view) {
      const bytes = encodeMessage({ ...message!, type: "chat", seq, late, view });
      encoded = { late, view, bytes };
      this.#encoded.set(message!, encoded);
    }
    setSeq(encoded.bytes, seq);
    return encoded.bytes;
  }
}
