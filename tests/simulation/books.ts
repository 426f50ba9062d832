/**
 * What a state folder remembers, in memory: the same answers as KnownServers and KnownPeers give, without a disk.
 *
 * @module
 */

import type { Bytes } from "../../lib/base/bytes.ts";
import { decodeFingerprint } from "../../lib/protocol/identity.ts";
import type { Trust } from "../../lib/session/events.ts";
import { ChangedKeyError, type KnownServers } from "../../lib/session/known_servers.ts";
import type { KnownPeers } from "../../lib/session/known_peers.ts";
import { PeerTable } from "../../lib/session/peer_table.ts";

const DAY = "2026-01-01";

class Pins
  implements
    Pick<KnownServers, "judge" | "find" | "addressOf" | "pin" | "findKey" | "bind" | "changedKey"> {
  #pins = new Map<string, string>();

  judge(address: string, fingerprint: string): "new" | "known" | "changed" {
    const pin = this.#pins.get(address);
    if (pin === undefined) return "new";
    return pin === fingerprint ? "known" : "changed";
  }

  find(address: string): { fingerprint: string } | undefined {
    const fingerprint = this.#pins.get(address);
    return fingerprint === undefined ? undefined : { fingerprint };
  }

  addressOf(fingerprint: string): string | undefined {
    return [...this.#pins].find(([, pin]) => pin === fingerprint)?.[0];
  }

  pin(address: string, fingerprint: string): Promise<void> {
    this.#pins.set(address, fingerprint);
    return Promise.resolve();
  }

  findKey(fingerprint: string): Bytes | undefined {
    const isPinned = this.#pins.values().some((pin) => pin === fingerprint);
    return isPinned ? decodeFingerprint(fingerprint) : undefined;
  }

  /** No relay of the simulation has another key. */
  bind(): void {}

  changedKey(): ChangedKeyError {
    return new ChangedKeyError("the key has changed");
  }
}

class Acquaintances implements
  Pick<
    KnownPeers,
    "judge" | "remember" | "isVerified" | "isFamiliar" | "owners" | "meet" | "see"
  > {
  readonly #table: PeerTable;
  readonly #onRemember: (fingerprint: string, nick: string) => void;
  /** Remembered before this process began. */
  readonly #before: ReadonlySet<string>;

  constructor(table: PeerTable, onRemember: (fingerprint: string, nick: string) => void) {
    this.#table = table;
    this.#onRemember = onRemember;
    this.#before = new Set(Iterator.from(table.entries()).map(({ fingerprint }) => fingerprint));
  }

  /** The same for another process. */
  reopen(): Acquaintances {
    return new Acquaintances(this.#table, this.#onRemember);
  }

  judge(fingerprint: string, nick: string): Trust {
    return this.#table.judge(fingerprint, nick);
  }

  owners(nick: string): string[] {
    return this.#table.owners(nick);
  }

  isVerified(fingerprint: string): boolean {
    return this.#table.isVerified(fingerprint);
  }

  isFamiliar(fingerprint: string): boolean {
    return this.#before.has(fingerprint) || this.#table.isFamiliar(fingerprint);
  }

  remember(fingerprint: string, nick: string): void {
    this.#onRemember(fingerprint, nick);
    this.#table.remember(fingerprint, nick, DAY);
  }

  meet(fingerprint: string): void {
    this.#table.meet(fingerprint, DAY);
  }

  see(present: ReadonlySet<string>, ms: number): void {
    this.#table.see(present, ms);
  }
}

/** An empty `known_servers`. */
export function memoryServers(): KnownServers {
  return new Pins() as unknown as KnownServers;
}

/**
 * A `known_peers` that holds only those whose digits were compared, `SHA256:…`.
 *
 * @param onRemember Called before a key is remembered with a nick.
 */
export function memoryPeers(
  verified: ReadonlySet<string>,
  onRemember: (fingerprint: string, nick: string) => void = () => {},
): KnownPeers {
  const table = new PeerTable();
  for (const fingerprint of verified) table.verify(fingerprint, DAY);
  return new Acquaintances(table, onRemember) as unknown as KnownPeers;
}

/** What another process of the same person has of it: what was remembered so far is from before. */
export function reopenPeers(book: KnownPeers): KnownPeers {
  return (book as unknown as Acquaintances).reopen() as unknown as KnownPeers;
}
