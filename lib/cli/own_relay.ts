/**
 * The relay of a client, as its session needs it (PROTOCOL.md §14): opens and closes rooms, and is announced only while
 * it hosts.
 *
 * @module
 */

import { LOOPBACK } from "../base/ip.ts";
import type { Bytes } from "../base/bytes.ts";
import type { PublicKey } from "../protocol/identity.ts";
import type { Place, Whereabouts } from "../protocol/succession.ts";
import type { Relay } from "../relay/mod.ts";
import type { OwnRelay } from "../session/mod.ts";
import type { ByteStream } from "../transport/mod.ts";
import { network, placeAddresses } from "./network.ts";

/** An announcement that can be ended. */
interface Announcement {
  stop(): Promise<void>;
}

/** Options of {@linkcode ListeningRelay}. */
interface ListeningRelayOptions {
  readonly key: PublicKey;
  readonly port: number;
  /** See {@linkcode OwnRelay.prepare}. */
  prepare(): Promise<boolean>;
  /** Announces the relay; undefined if that is not wanted or not possible. */
  announce(isLocked: boolean): Promise<Announcement | undefined>;
}

/** A relay that listens, and hosts the rooms that it is told to. */
export class ListeningRelay implements OwnRelay {
  readonly key: PublicKey;
  readonly port: number;
  readonly #relay: Relay;
  readonly prepare: ListeningRelayOptions["prepare"];
  readonly #announce: ListeningRelayOptions["announce"];
  /** Whether each room that it hosts needs a password. */
  readonly #open = new Map<string, boolean>();
  /** The announcement says so. */
  #isLocked = false;
  readonly #watchers = new Map<string, (person: Bytes, place: Place) => void>();
  /** The last change of the announcement, after all that came before it. */
  #announcing: Promise<Announcement | undefined> = Promise.resolve(undefined);

  constructor(relay: Relay, { key, port, prepare, announce }: ListeningRelayOptions) {
    this.#relay = relay;
    this.key = key;
    this.port = port;
    this.prepare = prepare;
    this.#announce = announce;
  }

  addresses(): string[] {
    return placeAddresses();
  }

  sign(context: string, message: Uint8Array): Promise<Bytes> {
    return this.#relay.sign(context, message);
  }

  open(room: string, joinKey: Bytes | undefined): void {
    this.#relay.open(room, joinKey);
    this.#open.set(room, joinKey !== undefined);
    this.#announceRooms();
  }

  shut(room: string): void {
    this.#relay.shut(room);
    this.#open.delete(room);
    if (this.#open.size === 0) void this.stopAnnouncing();
    else this.#announceRooms();
  }

  /** Announces this relay as one with a password if any of its rooms has one. */
  #announceRooms(): void {
    const isLocked = [...this.#open.values()].includes(true);
    this.#announcing = this.#announcing.then(async (before) => {
      if (before && this.#isLocked === isLocked) return before;
      await before?.stop();
      this.#isLocked = isLocked;
      return await this.#announce(isLocked);
    });
  }

  tell(room: string, where: Whereabouts): void {
    this.#relay.tell(room, where);
  }

  others(room: string): number {
    return this.#relay.others(room);
  }

  watchHosts(room: string, visited: (person: Bytes, place: Place) => void): void {
    this.#watchers.set(room, visited);
  }

  /** A client that hosts a room itself has asked for it here. */
  visited(room: string, person: Bytes, place: Place): void {
    this.#watchers.get(room)?.(person, place);
  }

  sourceOf(sid: string): string | undefined {
    return this.#relay.sourceOf(sid);
  }

  isHeard(sid: string): boolean {
    return this.#relay.isHeard(sid);
  }

  dial(signal: AbortSignal): Promise<ByteStream> {
    return network.dial({ address: LOOPBACK, port: this.port, from: undefined }, signal);
  }

  /** Announces the relay no more. */
  async stopAnnouncing(): Promise<void> {
    this.#announcing = this.#announcing.then(async (announcement) => {
      await announcement?.stop();
      return undefined;
    });
    await this.#announcing;
  }
}
