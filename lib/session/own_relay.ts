/**
 * What a session needs of the computer it runs on so that a room can outlive its host (PROTOCOL.md §14). `cli/`
 * implements both interfaces: a session knows no sockets and no relay.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { NetworkInterface } from "../base/interfaces.ts";
import type { PublicKey } from "../protocol/identity.ts";
import type { Place, Whereabouts } from "../protocol/succession.ts";
import type { ByteStream } from "../transport/mod.ts";

/**
 * The relay of this process. It listens from the start, and admits to a room only while that is open. Rooms are the 64
 * hex digits of their tag, sids 16 hex digits.
 */
export interface OwnRelay {
  readonly key: PublicKey;
  readonly port: number;
  /**
   * Where others may reach it, without zone and without what is never dialled: IPv4, IPv6, link-local; loopback only
   * if there is nothing else. They come and go with the networks.
   */
  addresses(): string[];
  /** Signs with the relay's session key: ED(context, message), 64 bytes. */
  sign(context: string, message: Uint8Array): Promise<Bytes>;
  /**
   * Call before a room is opened that was not here from the start.
   *
   * @returns Whether it can host; if not, the user has been told why.
   */
  prepare(): Promise<boolean>;
  /** Admits to a room from now on, answers SEEK with "here", and announces itself. @param joinKey Kjoin, or none. */
  open(room: string, joinKey: Bytes | undefined): void;
  /** Ends a room: CLOSE(7) to its members, without LEFTs. JOINs get CLOSE(11) from now on. */
  shut(room: string): void;
  /** What SEEK is answered while a room is not open. Those who have asked are told if it is another answer. */
  tell(room: string, where: Whereabouts): void;
  /** The `others` of PLACE: persons besides the host's that were heard in the last 6 s. */
  others(room: string): number;
  /** The address from which a member is connected, an IPv4 one as such. */
  sourceOf(sid: string): string | undefined;
  /** Whether a record of a member has verified in the last 6 s of the wall clock. */
  isHeard(sid: string): boolean;
  /** Calls `visited` whenever another host of the room has asked here and says where it is; `person` has 32 bytes. */
  watchHosts(room: string, visited: (person: Bytes, place: Place) => void): void;
  /** Connects to it over loopback. */
  dial(signal: AbortSignal): Promise<ByteStream>;
}

/** A relay that was found by multicast DNS. */
export interface FoundRelay {
  /** `SHA256:…`, as it was announced. */
  readonly fingerprint: string;
  readonly place: Omit<Place, "relay">;
}

/** The networks of this computer. */
export interface Network {
  /**
   * Connects to one address of a relay.
   *
   * @param address Without zone. A link-local IPv6 one is tried on the interface of `from`; if that is not known, on
   * each of the first four.
   * @param from The local address of the connection to the host.
   * @throws Whatever goes wrong; `Deno.errors.ConnectionRefused` where nobody listens.
   */
  dial(
    target: { address: string; port: number; from: string | undefined },
    signal: AbortSignal,
  ): Promise<ByteStream>;
  interfaces(): readonly NetworkInterface[];
  /** Looks for relays by multicast DNS, for about a second; whether they have the room is not known. */
  look(signal: AbortSignal): Promise<FoundRelay[]>;
}
