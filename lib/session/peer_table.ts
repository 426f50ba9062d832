/**
 * The rules about the people whose keys are known (PROTOCOL.md §8), in memory.
 *
 * - A key is **known** once it was remembered, **met** once the user has dealt with its owner, and **verified** once
 *   they have compared their digits. It never falls back.
 * - A nick, ignoring case, belongs to the first key that was remembered with it, until the user accepts another. Any
 *   other key that uses it is in **conflict**, even a verified one: it is not the person whom the user knows by this
 *   nick. Only verified keys can share a nick, if the user says that they belong to one person.
 * - Keys that are only known are forgotten first, the longest unused first, but not while they are in the room.
 *
 * @module
 */

import { foldNick } from "../protocol/names.ts";
import type { Trust } from "./events.ts";

/** Keys that are only known: further ones replace them. */
export const MAX_STRANGERS = 4096;
/** Keys that are met because they were in the room for long; the user's own actions are not limited. */
export const MAX_MET = 4096;
/** Nicks that belong to one key; past the limit the least recently used becomes free. */
export const MAX_NICKS_PER_PEER = 8;
/** Somebody who was in the room for this long, in all, is met. */
export const MET_MS = 600_000;

const STANDINGS = ["known", "met", "verified"] as const;
/** How well a key is known; the third word of its line. */
export type Standing = typeof STANDINGS[number];

/** What is remembered of a key. */
export interface KnownPeer {
  /** `SHA256:…`. */
  readonly fingerprint: string;
  /** Day of the first meeting, `YYYY-MM-DD`. */
  readonly since: string;
  readonly standing: Standing;
  /** The nicks that it has used, most recently used last. */
  readonly nicks: readonly string[];
}

interface Entry extends KnownPeer {
  standing: Standing;
  nicks: string[];
  /** How long they were in the room in this run, while only known. */
  shownMs: number;
  /** Remembered before this run, or accepted by the user in it. */
  isFamiliar: boolean;
}

/** Keys by fingerprint, and the nicks that belong to them. */
export class PeerTable {
  /** Fingerprints of the entries that have changed; for whoever stores the table. */
  readonly changed: Set<string> = new Set();
  /** In the order in which they were added, which decides whose a nick is that several list. */
  readonly #peers = new Map<string, Entry>();
  /** Those that are only known, the longest unused first. */
  readonly #strangers = new Map<string, Entry>();
  /** Folded nick to fingerprints: one, or several verified ones that share it. */
  readonly #owners = new Map<string, Set<string>>();
  #present: ReadonlySet<string> = new Set();

  /** All entries, in an order for {@linkcode PeerTable.load}. */
  entries(): Iterable<KnownPeer> {
    return this.#peers.values();
  }

  find(fingerprint: string): KnownPeer | undefined {
    return this.#peers.get(fingerprint);
  }

  /** Judges a key that uses a nick, as it was sent. */
  judge(fingerprint: string, nick: string): Trust {
    const owners = this.#owners.get(foldNick(nick));
    if (owners !== undefined && !owners.has(fingerprint)) return "conflict";
    const standing = this.#peers.get(fingerprint)?.standing;
    if (standing === undefined) return "new";
    return standing === "verified" ? "verified" : "known";
  }

  /** The fingerprints of the keys that a nick belongs to. */
  owners(nick: string): string[] {
    return [...this.#owners.get(foldNick(nick)) ?? []];
  }

  isVerified(fingerprint: string): boolean {
    return this.#peers.get(fingerprint)?.standing === "verified";
  }

  /** Tells whether a key is more than one first seen in this run that the user has said nothing about. */
  isFamiliar(fingerprint: string): boolean {
    const peer = this.#peers.get(fingerprint);
    return peer !== undefined && (peer.isFamiliar || peer.standing === "verified");
  }

  /** A key uses a nick, which becomes its own if it belongs to nobody. */
  remember(fingerprint: string, nick: string, since: string): void {
    const peer = this.#findOrAdd(fingerprint, since);
    if (peer.standing === "known") {
      this.#strangers.delete(fingerprint);
      this.#strangers.set(fingerprint, peer);
    }
    const owners = this.#owners.get(foldNick(nick));
    if (owners === undefined || owners.has(fingerprint)) {
      this.#give(peer, this.#spelling(fingerprint, nick) ?? nick);
    }
  }

  /** The user has dealt with this person. */
  meet(fingerprint: string, since: string): void {
    this.#raise(this.#findOrAdd(fingerprint, since), "met");
  }

  verify(fingerprint: string, since: string): void {
    this.#raise(this.#findOrAdd(fingerprint, since), "verified");
  }

  /** The user gives a nick to a key, which makes them met, and takes it from all others. */
  accept(fingerprint: string, nick: string, since: string): void {
    const peer = this.#findOrAdd(fingerprint, since);
    this.#raise(peer, "met");
    peer.isFamiliar = true;
    const folded = foldNick(nick);
    for (const owner of this.#owners.get(folded) ?? []) {
      if (owner !== fingerprint) this.#take(owner, folded);
    }
    this.#give(peer, nick);
  }

  /** The user lets a verified key share a nick with the verified keys that it belongs to; otherwise it does nothing. */
  share(fingerprint: string, nick: string): void {
    const peer = this.#peers.get(fingerprint);
    const owners = this.#owners.get(foldNick(nick));
    const [first] = owners ?? [];
    if (owners === undefined || first === undefined || peer?.standing !== "verified") return;
    if (owners.values().every((owner) => this.isVerified(owner))) {
      // As the others spell it: in the file, that is what tells sharing from a collision.
      this.#give(peer, this.#spelling(first, nick) ?? nick);
    }
  }

  /** These people are in the room, and have been for `ms` since the last call. */
  see(present: ReadonlySet<string>, ms: number): void {
    this.#present = present;
    for (const fingerprint of present) {
      const peer = this.#strangers.get(fingerprint);
      if (peer === undefined) continue;
      peer.shownMs += ms;
      if (peer.shownMs >= MET_MS && this.#peers.size - this.#strangers.size < MAX_MET) {
        this.#raise(peer, "met");
      }
    }
  }

  /** Adds what another table knows of a key: nicks that belong to others here are left out. */
  absorb({ fingerprint, since, standing, nicks }: KnownPeer): void {
    const peer = this.#findOrAdd(fingerprint, since);
    this.#raise(peer, standing);
    const free = nicks.filter((nick) => {
      const owners = this.#owners.get(foldNick(nick));
      return owners === undefined || owners.has(fingerprint);
    });
    const folded = new Set(free.map(foldNick));
    this.#setNicks(peer, [...peer.nicks.filter((nick) => !folded.has(foldNick(nick))), ...free]);
    for (const nick of free) this.#own(peer, nick);
  }

  /**
   * Takes entries as a file has them. Of keys with the same nick the first one gets it, unless all are verified and
   * spell it alike; the others keep it in their lists, where it means nothing.
   *
   * @returns The fingerprints of keys that list a nick of others.
   */
  load(entries: Iterable<KnownPeer>): string[] {
    const collisions = new Set<string>();
    const all = [...entries].map((entry): Entry => ({
      ...entry,
      nicks: [...entry.nicks],
      shownMs: 0,
      isFamiliar: true,
    }));
    for (const peer of all) {
      this.#peers.set(peer.fingerprint, peer);
      if (peer.standing === "known") this.#strangers.set(peer.fingerprint, peer);
    }
    this.#limitStrangers();
    for (const peer of all) {
      if (!this.#peers.has(peer.fingerprint)) continue;
      for (const nick of peer.nicks) {
        const owners = this.#owners.get(foldNick(nick));
        if (owners === undefined) {
          this.#owners.set(foldNick(nick), new Set([peer.fingerprint]));
        } else if (this.#mayShare(peer, nick, owners)) owners.add(peer.fingerprint);
        else collisions.add(peer.fingerprint);
      }
    }
    return [...collisions];
  }

  #mayShare(peer: Entry, nick: string, owners: ReadonlySet<string>): boolean {
    if (owners.has(peer.fingerprint)) return true;
    return peer.standing === "verified" &&
      owners.values().every((owner) =>
        this.isVerified(owner) && this.#peers.get(owner)!.nicks.includes(nick)
      );
  }

  #findOrAdd(fingerprint: string, since: string): Entry {
    let peer = this.#peers.get(fingerprint);
    if (peer === undefined) {
      peer = { fingerprint, since, standing: "known", nicks: [], shownMs: 0, isFamiliar: false };
      this.#peers.set(fingerprint, peer);
      this.#strangers.set(fingerprint, peer);
      this.changed.add(fingerprint);
      this.#limitStrangers(fingerprint);
    }
    return peer;
  }

  #raise(peer: Entry, standing: Standing): void {
    if (STANDINGS.indexOf(standing) <= STANDINGS.indexOf(peer.standing)) return;
    peer.standing = standing;
    this.#strangers.delete(peer.fingerprint);
    this.changed.add(peer.fingerprint);
  }

  #limitStrangers(except?: string): void {
    for (const [fingerprint, { nicks }] of this.#strangers) {
      if (this.#strangers.size <= MAX_STRANGERS) return;
      if (fingerprint === except || this.#present.has(fingerprint)) continue;
      for (const nick of nicks) this.#disown(fingerprint, foldNick(nick));
      this.#strangers.delete(fingerprint);
      this.#peers.delete(fingerprint);
      this.changed.delete(fingerprint);
    }
  }

  /** Makes a nick the most recent one of a key, and its own. */
  #give(peer: Entry, nick: string): void {
    const folded = foldNick(nick);
    this.#setNicks(peer, [...peer.nicks.filter((other) => foldNick(other) !== folded), nick]);
    this.#own(peer, nick);
  }

  #take(fingerprint: string, folded: string): void {
    const peer = this.#peers.get(fingerprint)!;
    this.#setNicks(peer, peer.nicks.filter((nick) => foldNick(nick) !== folded));
  }

  /** Replaces the list of a key; a nick that is no longer in it becomes free. */
  #setNicks(peer: Entry, nicks: readonly string[]): void {
    const before = peer.nicks;
    peer.nicks = nicks.slice(-MAX_NICKS_PER_PEER);
    if (before.length !== peer.nicks.length || before.some((nick, i) => nick !== peer.nicks[i])) {
      this.changed.add(peer.fingerprint);
    }
    const folded = new Set(peer.nicks.map(foldNick));
    for (const nick of before.map(foldNick)) {
      if (!folded.has(nick)) this.#disown(peer.fingerprint, nick);
    }
  }

  /** Makes a nick of a key's list belong to it. */
  #own({ fingerprint, nicks }: Entry, nick: string): void {
    if (!nicks.includes(nick)) return; // the list was full
    const folded = foldNick(nick);
    const owners = this.#owners.get(folded);
    if (owners === undefined) this.#owners.set(folded, new Set([fingerprint]));
    else owners.add(fingerprint);
  }

  #disown(fingerprint: string, folded: string): void {
    const owners = this.#owners.get(folded);
    owners?.delete(fingerprint);
    if (owners?.size === 0) this.#owners.delete(folded);
  }

  /** How a key's list spells a nick. */
  #spelling(fingerprint: string, nick: string): string | undefined {
    const folded = foldNick(nick);
    return this.#peers.get(fingerprint)?.nicks.find((other) => foldNick(other) === folded);
  }
}
