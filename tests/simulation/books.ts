/**
 * What a state folder remembers, in memory: the same answers as ServerBook and PeerBook give, without a disk.
 *
 * @module
 */

import { UsageError } from "../../lib/errors.ts";
import type { Trust } from "../../lib/events.ts";
import { foldNick } from "../../lib/nick.ts";
import type { ServerBook } from "../../lib/servers.ts";
import type { PeerBook } from "../../lib/trust.ts";

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
  #known = new Set<string>();
  #owners = new Map<string, string>();

  judge(fingerprint: string, nick: string): Trust {
    const owner = this.ownerOf(nick);
    if (owner !== undefined && owner !== fingerprint) return "conflict";
    return this.#known.has(fingerprint) ? "known" : "new";
  }

  ownerOf(nick: string): string | undefined {
    return this.#owners.get(foldNick(nick));
  }

  isVerified(): boolean {
    return false;
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

/** An empty `known_peers`. */
export function memoryPeers(): PeerBook {
  return new Acquaintances() as unknown as PeerBook;
}
