/**
 * What a session needs (PROTOCOL.md §5).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Clock, RandomBytes } from "../base/clock.ts";
import type { PrivateKey } from "../protocol/identity.ts";
import type { derivePassword } from "../protocol/password.ts";
import type { Primitives } from "../protocol/primitives.ts";
import type { Place } from "../protocol/succession.ts";
import type { ByteStream } from "../transport/mod.ts";
import type { SessionEvent } from "./events.ts";
import type { FileOptions } from "./file_channels.ts";
import type { HeadStart } from "./head_start.ts";
import type { Guesses } from "./guesses.ts";
import type { KnownPeers } from "./known_peers.ts";
import type { KnownServers } from "./known_servers.ts";
import type { LastLists } from "./last_lists.ts";
import type { Network, OwnRelay } from "./own_relay.ts";
import type { Password } from "./password.ts";
import type { Recorder } from "./recorder.ts";

/** What a session needs so that its room can outlive its host, §14. */
export interface SuccessionParts {
  readonly network: Network;
  /** Undefined for a guest. */
  readonly own?: OwnRelay | undefined;
  /** The own relay hosts from the beginning. */
  readonly hosts: boolean;
  /** Whether anybody is named, where this client hosts. */
  readonly names: boolean;
  readonly lastLists: LastLists;
  /**
   * Finds other hosts of the room, where the session begins with one that was found.
   *
   * @param refused The fingerprint of one that has refused this client, 32 bytes.
   */
  lookAgain?: ((refused: Bytes) => Promise<Place[]>) | undefined;
}

/** What a {@linkcode Session} is made of. */
export interface SessionOptions {
  readonly key: PrivateKey;
  readonly nick: string;
  /** The room's name as `normalizeRoom` gives it. */
  readonly room: string;
  /** Empty or absent for none; an object is shared with other sessions. */
  readonly password?: string | Password;
  /**
   * Asks for a password when the server needs one, before the first WELCOME.
   *
   * @param missing Whether none was given; else it was wrong.
   * @returns undefined to give up.
   */
  readonly askPassword?: ((missing: boolean) => Promise<string | undefined>) | undefined;
  readonly strict?: boolean;
  /** Absent where files are neither sent nor taken. */
  readonly files?: FileOptions | undefined;
  /** Keys of relay and members with fewer bits are refused. */
  readonly minKeyBits: number;
  /** `host:port` as in `known_servers`. */
  readonly address: string;
  readonly knownServers: KnownServers;
  readonly knownPeers: KnownPeers;
  /** The first attempt to connect may fail as any other. */
  readonly keepsTrying?: boolean;
  /** The first connection, where it is begun already. */
  readonly headStart?: HeadStart | undefined;
  /** Connects to the relay. */
  dial(signal: AbortSignal): Promise<ByteStream>;
  /** @returns Resolves when the event was given to the user, if that is not now: then a message is acknowledged, §6. */
  emit(event: SessionEvent): Promise<void> | void;
  readonly clock?: Clock;
  readonly random?: RandomBytes;
  readonly primitives?: Primitives;
  /** Counts the guesses at the password over all sessions of this process, §7. */
  readonly guesses?: Guesses;
  /** Replaces {@linkcode derivePassword} where the keys are known already. */
  readonly derive?: typeof derivePassword;
  /** Other terminals of the user's own are told nothing. */
  readonly keepsApart?: boolean;
  /** What the user writes may be handed on to people who come later. */
  readonly recap?: boolean;
  /** Others are asked what was missed, where they hand it on. */
  readonly asksOthers?: boolean;
  /** Keeps what happens. */
  readonly recorder?: Recorder | undefined;
  /** Without it the room stays where it is. */
  readonly succession?: SuccessionParts;
}
