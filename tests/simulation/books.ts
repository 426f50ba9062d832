/**
 * What a state folder remembers, in memory: the same answers as ServerBook and PeerBook give, without a disk.
 *
 * @module
 */

import { UsageError } from "../../lib/base/errors.ts";
import type { Trust } from "../../lib/session/events.ts";
import { foldNick } from "../../lib/protocol/names.ts";
import type { ServerBook } from "../../lib/session/known_servers.ts";
import type { PeerBook } from "../../lib/session/known_peers.ts";

class Pins implements Pick<ServerBook, "judge" | "find" | "pin" | "changedKey"> {
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

  pin(address: string, fingerprint: string): Promise<void> {
    this.#pins.set(address, fingerprint);
    return Promise.resolve();
  }

  changedKey(): UsageError {
    return new UsageError("the key has changed");
  }
}

class Acquaintances implements Pick<PeerBook, "judge" | "remember" | "isVerified" | "ownerOf"> {
  readonly #verified: ReadonlySet<string>;
  #known = new Set<string>();
  #owners = new Map<string, string>();

  constructor(verified: ReadonlySet<string>) {
    this.#verified = verified;
  }

  judge(fingerprint: string, nick: string): Trust {
    const owner = this.ownerOf(nick);
    if (owner !== undefined && owner !== fingerprint) return "conflict";
    if (this.#verified.has(fingerprint)) return "verified";
    return this.#known.has(fingerprint) ? "known" : "new";
  }

  ownerOf(nick: string): string | undefined {
    return this.#owners.get(foldNick(nick));
  }

  isVerified(fingerprint: string): boolean {
    return this.#verified.has(fingerprint);
  }

  remember(fingerprint: string, nick: string): void {
    this.#known.add(fingerprint);
    if (this.ownerOf(nick) === undefined) this.#owners.set(foldNick(nick), fingerprint);
  }
}

/** An empty `known_servers`. */
export function memoryServers(): ServerBook {
  return new Pins() as unknown as ServerBook;
}

/** A `known_peers` in which nothing stands but those whose digits were compared, `SHA256:…`. */
export function memoryPeers(verified: ReadonlySet<string>): PeerBook {
  return new Acquaintances(verified) as unknown as PeerBook;
}
