/**
 * The people whose keys are known: `known_peers` of the state folder (PROTOCOL.md §8).
 *
 * - A key is **known** once it was {@linkcode PeerBook.remember | remembered}, and **verified**
 *   once its owner and the user have compared their digits. Neither is ever taken back.
 * - A nick, whatever its case, belongs to one key: the first one remembered with it, until the user
 *   {@linkcode PeerBook.accept | accepts} another. Any other key that uses it is in **conflict**,
 *   also a known or verified one: it may be somebody else whom one knows, but it is not the person
 *   one knows by this nick. After `accept` it is the former owner that would be in conflict.
 * - A key in conflict stays so, also after a restart, until it is accepted or uses a nick that is
 *   free or its own. To be verified does not give it the nick.
 *
 * Knows nothing of channels and of how a person is asked.
 *
 * @module
 */

import { type Clock, systemClock } from "../base/clock.ts";
import {
  badEntry,
  FINGERPRINT_PATTERN,
  lineOfEntry,
  readEntries,
  writeEntries,
} from "../entries.ts";
import { UsageError } from "../base/errors.ts";
import type { Trust } from "./events.ts";
import { makeFolder, withLock } from "../base/files.ts";
import { foldNick } from "../protocol/names.ts";
import { escapeJson } from "../base/text.ts";

/** Keys remembered unasked; those beyond stay "new", so that strangers can push nobody out. */
export const MAX_PEERS = 4096;
/** Nicks that belong to one key; the one it used longest ago becomes free. */
export const MAX_NICKS_PER_PEER = 8;
/** Changes that may wait for the disk; beyond, only what the user does is remembered. */
export const MAX_PENDING_CHANGES = 1024;

const HEADER = "# People Hearth knows, one a line: fingerprint, first seen, known or verified, " +
  "own nicks. Lines may be taken out.";
const NICK_PATTERN = String.raw`"(?:[^"\\]|\\.)*"`;
const ENTRY = new RegExp(
  `^(${FINGERPRINT_PATTERN}) (\\d{4}-\\d\\d-\\d\\d) (known|verified)((?: ${NICK_PATTERN})*)$`,
  "u",
);

interface Peer {
  readonly fingerprint: string;
  /** Day of the first meeting, `YYYY-MM-DD`. */
  readonly since: string;
  verified: boolean;
  /** Those that belong to this key, the last one used at the end. */
  readonly nicks: string[];
}

/** What `known_peers` says, in memory. */
class PeerTable {
  readonly #peers = new Map<string, Peer>();
  /** Folded nick to fingerprint. */
  readonly #owners = new Map<string, string>();

  static async read(path: string): Promise<PeerTable> {
    const table = new PeerTable();
    for (const [index, entry] of (await readEntries(path, HEADER)).entries()) {
      const peer = decodePeer(entry);
      if (peer === undefined || !table.#add(peer)) throw badEntry(path, lineOfEntry(index));
    }
    return table;
  }

  write(path: string): Promise<void> {
    return writeEntries(path, HEADER, this.#peers.values().map(encodePeer));
  }

  /** Takes in what a file says; false when it contradicts an earlier line. */
  #add(peer: Peer): boolean {
    if (this.#peers.has(peer.fingerprint)) return false;
    this.#peers.set(peer.fingerprint, peer);
    for (const nick of peer.nicks) {
      const folded = foldNick(nick);
      if (this.#owners.has(folded)) return false;
      this.#owners.set(folded, peer.fingerprint);
    }
    return true;
  }

  find(fingerprint: string): Peer | undefined {
    return this.#peers.get(fingerprint);
  }

  owner(nick: string): string | undefined {
    return this.#owners.get(foldNick(nick));
  }

  isFull(): boolean {
    return this.#peers.size >= MAX_PEERS;
  }

  findOrAdd(fingerprint: string, since: string): Peer {
    let peer = this.#peers.get(fingerprint);
    if (peer === undefined) {
      peer = { fingerprint, since, verified: false, nicks: [] };
      this.#peers.set(fingerprint, peer);
    }
    return peer;
  }

  /** Makes `nick` the last one of `peer`, whoever had it. */
  give(peer: Peer, nick: string): void {
    const folded = foldNick(nick);
    const owner = this.#peers.get(this.#owners.get(folded) ?? "");
    if (owner !== undefined) {
      owner.nicks.splice(owner.nicks.findIndex((own) => foldNick(own) === folded), 1);
    }
    peer.nicks.push(nick);
    this.#owners.set(folded, peer.fingerprint);
    if (peer.nicks.length > MAX_NICKS_PER_PEER) {
      this.#owners.delete(foldNick(peer.nicks.shift()!));
    }
  }
}

function encodePeer({ fingerprint, since, verified, nicks }: Peer): string {
  // As JSON no nick can end its line or its quotes.
  return [fingerprint, since, verified ? "verified" : "known", ...nicks.map(escapeJson)].join(" ");
}

function decodePeer(entry: string): Peer | undefined {
  const [, fingerprint, since, state, nicks] = ENTRY.exec(entry) ?? [];
  if (fingerprint === undefined || since === undefined || nicks === undefined) return undefined;
  const peer = { fingerprint, since, verified: state === "verified", nicks: decodeNicks(nicks) };
  if (peer.nicks.length > MAX_NICKS_PER_PEER) return undefined;
  return encodePeer(peer) === entry ? peer : undefined;
}

/** Reads quoted nicks; of what is not JSON nothing, so that the entry no longer equals its text. */
function decodeNicks(text: string): string[] {
  try {
    return (text.match(new RegExp(NICK_PATTERN, "gu")) ?? []).map((nick) => JSON.parse(nick));
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

/** Makes a change, in memory or in what the disk says; tells whether there was one to make. */
type Change = (table: PeerTable) => boolean;

/** Options of {@linkcode PeerBook.load}. */
export interface PeerBookOptions {
  /** Says what day it is. */
  readonly clock?: Clock;
}

/**
 * The people this user has met. Answers come from memory and never wait; changes reach the disk
 * behind it, put into what other processes have written there meanwhile. What those change is seen
 * at the next start.
 */
export class PeerBook {
  readonly #folder: string;
  readonly #path: string;
  readonly #onError: (error: unknown) => void;
  readonly #clock: Clock;
  readonly #table: PeerTable;
  readonly #pending: Change[] = [];
  #saving: Promise<void> | undefined;
  #reported = false;

  private constructor(
    folder: string,
    table: PeerTable,
    onError: (error: unknown) => void,
    clock: Clock,
  ) {
    this.#folder = folder;
    this.#path = peersPath(folder);
    this.#table = table;
    this.#onError = onError;
    this.#clock = clock;
  }

  /**
   * Reads `known_peers` of the state folder; a missing file is an empty one.
   *
   * @param onError Called with the first error of remembering, and no further one: what is in
   * memory then holds for this run, and writing is tried again with the next change.
   * @throws {UsageError} When the file is not as Hearth writes it: names the file and the line.
   */
  static async load(
    folder: string,
    onError: (error: unknown) => void,
    options: PeerBookOptions = {},
  ): Promise<PeerBook> {
    const table = await PeerTable.read(peersPath(folder));
    return new PeerBook(folder, table, onError, options.clock ?? systemClock);
  }

  /**
   * Judges a key that uses a nick, as the module's header says; remembers nothing.
   *
   * @param fingerprint `SHA256:…`.
   * @param nick As it was sent.
   */
  judge(fingerprint: string, nick: string): Trust {
    const owner = this.#table.owner(nick);
    if (owner !== undefined && owner !== fingerprint) return "conflict";
    const peer = this.#table.find(fingerprint);
    if (peer === undefined) return "new";
    return peer.verified ? "verified" : "known";
  }

  /** Finds the fingerprint of the key that a nick belongs to. */
  ownerOf(nick: string): string | undefined {
    return this.#table.owner(nick);
  }

  /** Tells whether the digits of a key were compared. */
  isVerified(fingerprint: string): boolean {
    return this.#table.find(fingerprint)?.verified ?? false;
  }

  /**
   * Remembers that a key has used a nick, which becomes its own if it belongs to nobody. To be
   * called after {@linkcode PeerBook.judge}, at the first meeting and at each change of nick.
   */
  remember(fingerprint: string, nick: string): void {
    const isStranger = this.#table.find(fingerprint) === undefined;
    if (isStranger && this.#table.isFull() || this.#pending.length >= MAX_PENDING_CHANGES) {
      return this.#report(
        new UsageError(`${this.#path}: newcomers and new nicks are no longer remembered`, [
          "take out the lines of people you no longer meet, and see that the file can be written",
        ]),
      );
    }
    const since = this.#today();
    this.#change((table) => {
      const isNew = table.find(fingerprint) === undefined;
      const peer = table.findOrAdd(fingerprint, since);
      const owner = table.owner(nick);
      if (owner !== undefined && owner !== fingerprint) return isNew;
      if (peer.nicks.at(-1) === nick) return false;
      table.give(peer, nick);
      return true;
    });
  }

  /** Records that the user has compared the digits of a key. */
  verify(fingerprint: string): void {
    const since = this.#today();
    this.#change((table) => {
      const peer = table.findOrAdd(fingerprint, since);
      if (peer.verified) return false;
      peer.verified = true;
      return true;
    });
  }

  /** Gives a nick to a key because the user says so; who had it loses it. */
  accept(fingerprint: string, nick: string): void {
    const since = this.#today();
    this.#change((table) => {
      const peer = table.findOrAdd(fingerprint, since);
      if (table.owner(nick) === fingerprint) return false;
      table.give(peer, nick);
      return true;
    });
  }

  /** Waits until everything is on the disk, or could not be written. */
  async flush(): Promise<void> {
    this.#save();
    await this.#saving;
  }

  #today(): string {
    return new Date(this.#clock.wallTime()).toISOString().slice(0, "YYYY-MM-DD".length);
  }

  #change(change: Change): void {
    if (!change(this.#table)) return;
    this.#pending.push(change);
    this.#save();
  }

  #save(): void {
    if (this.#pending.length > 0) this.#saving ??= this.#writePending();
  }

  async #writePending(): Promise<void> {
    try {
      while (this.#pending.length > 0) {
        const { length } = this.#pending;
        await makeFolder(this.#folder);
        await withLock(this.#path, async () => {
          const table = await PeerTable.read(this.#path);
          // All of them: none may be skipped because an earlier one had nothing to do.
          const changed = this.#pending.slice(0, length).filter((change) => change(table));
          if (changed.length > 0) await table.write(this.#path);
        });
        this.#pending.splice(0, length);
      }
    } catch (error) {
      this.#report(error);
    } finally {
      // Here and not later: a change made from now on starts its own writing.
      this.#saving = undefined;
    }
  }

  #report(error: unknown): void {
    if (this.#reported) return;
    this.#reported = true;
    this.#onError(error);
  }
}

function peersPath(folder: string): string {
  return `${folder}/known_peers`;
}
