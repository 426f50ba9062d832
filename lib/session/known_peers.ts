/**
 * The people whose keys are known: `known_peers` in the state folder (PROTOCOL.md §8). The rules are in
 * {@linkcode PeerTable}; here they are stored.
 *
 * The file grows by appending: of several lines of one key the last one counts. It is rewritten when less than half of
 * it counts, so that it stays bounded, and so do the bytes that others can cause to be written.
 *
 * @module
 */

import { encodeUtf8 } from "../base/bytes.ts";
import { type Clock, systemClock, type Timer } from "../base/clock.ts";
import { appendToFile, makeFolder, withLock } from "../base/files.ts";
import { escapeJson } from "../base/text.ts";
import { FINGERPRINT_PATTERN } from "../protocol/identity.ts";
import type { Trust } from "./events.ts";
import { describeSkipped, readEntries, type Reading, writeEntries } from "./known_file.ts";
import { type KnownPeer, MAX_NICKS_PER_PEER, PeerTable, type Standing } from "./peer_table.ts";

/** Changes are written at most this often. */
export const SAVE_INTERVAL_MS = 250;
/** What is appended for people who are not verified, a minute; the rest waits in memory. */
export const MAX_APPENDED_BYTES = 64 * 1024;
/** The file is rewritten when this much more than half of it no longer counts. */
const MAX_OUTDATED_BYTES = 64 * 1024;
const MINUTE_MS = 60_000;
const MAX_ENTRY_LENGTH = 8192;

const FORMAT = {
  what: "People",
  fields: "fingerprint, first seen, known or met or verified, nicks",
};
const NICK_PATTERN = String.raw`"(?:[^"\\]|\\.)*"`;
const ENTRY = new RegExp(
  `^(${FINGERPRINT_PATTERN}) (\\d{4}-\\d\\d-\\d\\d) (known|met|verified)((?: ${NICK_PATTERN})*)$`,
  "u",
);

function encodePeer({ fingerprint, since, standing, nicks }: KnownPeer): string {
  // In JSON no nick can end its line or its quotes.
  return [fingerprint, since, standing, ...nicks.map(escapeJson)].join(" ");
}

function lineBytes(peer: KnownPeer): number {
  return encodeUtf8(encodePeer(peer)).length + 1;
}

function decodePeer(entry: string): KnownPeer | undefined {
  if (entry.length > MAX_ENTRY_LENGTH) return undefined;
  const [, fingerprint, since, standing, list] = ENTRY.exec(entry) ?? [];
  if (fingerprint === undefined || since === undefined || list === undefined) return undefined;
  try {
    const nicks: string[] = (list.match(new RegExp(NICK_PATTERN, "gu")) ?? []).map((nick) =>
      JSON.parse(nick)
    );
    if (nicks.length > MAX_NICKS_PER_PEER) return undefined;
    return { fingerprint, since, standing: standing as Standing, nicks };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** A table as the file has it. */
interface Stored extends Pick<Reading, "kept" | "bytes" | "isTorn"> {
  readonly table: PeerTable;
  /** Lines that were not understood, or list a nick of an earlier one. */
  readonly skipped: readonly number[];
  /** The file's length if it were rewritten. */
  compactBytes: number;
}

async function readStored(path: string): Promise<Stored> {
  const peers = new Map<string, KnownPeer>();
  const lines = new Map<string, number>();
  const reading = await readEntries(path, (entry, line, isWhole) => {
    const peer = decodePeer(entry);
    if (peer === undefined) return false;
    const before = peers.get(peer.fingerprint);
    if (before !== undefined && !isWhole) return true; // cut off: what was before still holds
    lines.set(peer.fingerprint, line);
    peers.set(peer.fingerprint, before === undefined ? peer : merge(before, peer));
    return true;
  });
  const table = new PeerTable();
  const collisions = table.load(peers.values()).map((fingerprint) => lines.get(fingerprint)!);
  const skipped = [...reading.skipped, ...collisions].sort((a, b) => a - b);
  let compactBytes = 0;
  for (const peer of peers.values()) compactBytes += lineBytes(peer);
  for (const line of reading.kept) compactBytes += line.length + 1;
  return { ...reading, table, skipped, compactBytes };
}

/** A later line of the same key counts, but nobody falls back. */
function merge(before: KnownPeer, peer: KnownPeer): KnownPeer {
  const since = before.since < peer.since ? before.since : peer.since;
  const standings = [before.standing, peer.standing];
  const standing = (["verified", "met"] as const).find((word) => standings.includes(word));
  return { ...peer, since, standing: standing ?? "known" };
}

/** What the user has done, to be done again to what the file holds by then. */
type Action = (table: PeerTable) => void;

/**
 * The people this user has met. Answers come from memory at once; changes are written in the background and merged
 * with what other processes have written. Changes by other processes are seen at the next start.
 */
export class KnownPeers {
  /** What to tell the user about the file; undefined if it was read in full. */
  readonly warning: string | undefined;
  readonly #folder: string;
  readonly #path: string;
  readonly #onError: (error: unknown) => void;
  readonly #clock: Clock;
  readonly #table: PeerTable;
  #actions: Action[] = [];
  #saving: Promise<void> | undefined;
  #timer: Timer | undefined;
  #savedAt = -Infinity;
  /** What was appended since then. */
  #appended = { since: -Infinity, bytes: 0 };
  /** The file as this process has written it last, for as long as nobody else has written. */
  #stored: { readonly stamp: string; readonly content: Stored } | undefined;
  #reported = false;

  private constructor(
    folder: string,
    stored: Stored,
    onError: (error: unknown) => void,
    clock: Clock,
  ) {
    this.#folder = folder;
    this.#path = peersPath(folder);
    this.#table = stored.table;
    this.warning = describeSkipped(this.#path, stored.skipped);
    this.#onError = onError;
    this.#clock = clock;
  }

  /**
   * Reads `known_peers` in the state folder; a missing file counts as an empty one.
   *
   * @param onError Called with the first write error only; the changes then hold in memory, and the next change
   * retries.
   * @throws {UsageError} When the file cannot be read.
   */
  static async load(
    folder: string,
    onError: (error: unknown) => void,
    options: { readonly clock?: Clock } = {},
  ): Promise<KnownPeers> {
    const stored = await readStored(peersPath(folder));
    return new KnownPeers(folder, stored, onError, options.clock ?? systemClock);
  }

  /**
   * Judges a key that uses a nick; see the rules of {@linkcode PeerTable}. Remembers nothing.
   *
   * @param fingerprint `SHA256:…`.
   * @param nick As sent.
   */
  judge(fingerprint: string, nick: string): Trust {
    return this.#table.judge(fingerprint, nick);
  }

  /** The fingerprints of the keys that a nick belongs to: none, one, or several verified ones. */
  owners(nick: string): string[] {
    return this.#table.owners(nick);
  }

  /** Tells whether a key is verified. */
  isVerified(fingerprint: string): boolean {
    return this.#table.isVerified(fingerprint);
  }

  /** Tells whether a key is verified, was accepted by the user, or was remembered before this process began. */
  isFamiliar(fingerprint: string): boolean {
    return this.#table.isFamiliar(fingerprint);
  }

  /**
   * Remembers that a key has used a nick, which becomes its own if it belongs to nobody. Call it after
   * {@linkcode KnownPeers.judge}, when a key is first met and at each change of nick.
   */
  remember(fingerprint: string, nick: string): void {
    this.#table.remember(fingerprint, nick, this.#today());
    this.#save();
  }

  /** Records that the user has dealt with the owner of a key. */
  meet(fingerprint: string): void {
    this.#table.meet(fingerprint, this.#today());
    this.#save();
  }

  /** Records who is in the room, and has been for `ms` since the last call. */
  see(present: ReadonlySet<string>, ms: number): void {
    this.#table.see(present, ms);
    this.#save();
  }

  /** Records that the user has compared the digits of a key. */
  verify(fingerprint: string): void {
    this.#table.verify(fingerprint, this.#today());
    this.#save();
  }

  /** Gives a nick to a key at the user's request, and takes it from its owners. */
  accept(fingerprint: string, nick: string): void {
    const since = this.#today();
    this.#act((table) => table.accept(fingerprint, nick, since));
  }

  /** Lets a verified key share a nick with the verified keys that it belongs to, at the user's request. */
  share(fingerprint: string, nick: string): void {
    this.#act((table) => table.share(fingerprint, nick));
  }

  /** Waits until every change is on the disk or has failed to be written. */
  async flush(): Promise<void> {
    while (this.#saving !== undefined) await this.#saving;
    this.#clock.cancel(this.#timer);
    this.#timer = undefined;
    if (!this.#isDirty) return;
    this.#start(Infinity);
    await this.#saving;
  }

  #today(): string {
    return new Date(this.#clock.wallTime()).toISOString().slice(0, "YYYY-MM-DD".length);
  }

  get #isDirty(): boolean {
    return this.#table.changed.size > 0 || this.#actions.length > 0;
  }

  #act(action: Action): void {
    action(this.#table);
    this.#actions.push(action);
    this.#save();
  }

  #save(): void {
    if (!this.#isDirty || this.#saving !== undefined || this.#timer !== undefined) return;
    const delay = this.#savedAt + SAVE_INTERVAL_MS - this.#clock.now();
    if (delay <= 0 || this.#actions.length > 0) {
      return this.#start(this.#budget());
    }
    this.#timer = this.#clock.after(delay, () => {
      this.#timer = undefined;
      if (this.#saving === undefined) this.#start(this.#budget());
    });
  }

  #start(budget: number): void {
    this.#saving = this.#write(budget).then((isGood) => {
      this.#saving = undefined;
      if (isGood) this.#save();
    });
  }

  /** How many bytes may be appended now. */
  #budget(): number {
    const now = this.#clock.now();
    if (now - this.#appended.since >= MINUTE_MS) this.#appended = { since: now, bytes: 0 };
    return MAX_APPENDED_BYTES - this.#appended.bytes;
  }

  /** @returns Whether it succeeded; if not, the next change tries again. */
  async #write(budget: number): Promise<boolean> {
    this.#savedAt = this.#clock.now();
    const batch = this.#takeBatch(budget);
    const actions = this.#actions;
    this.#actions = [];
    try {
      if (batch.length > 0 || actions.length > 0) await this.#store(batch, actions);
      return true;
    } catch (error) {
      for (const { fingerprint } of batch) {
        if (this.#table.find(fingerprint)) this.#table.changed.add(fingerprint);
      }
      this.#actions = [...actions, ...this.#actions];
      this.#report(error);
      return false;
    }
  }

  /** Takes what may be written now: people before strangers, and verified ones in any case. */
  #takeBatch(budget: number): KnownPeer[] {
    const { changed } = this.#table;
    const peers = [...changed].map((fingerprint) => this.#table.find(fingerprint)!);
    const isStranger = ({ standing }: KnownPeer) => standing === "known";
    const batch: KnownPeer[] = [];
    for (
      const peer of [...peers.filter((peer) => !isStranger(peer)), ...peers.filter(isStranger)]
    ) {
      const bytes = lineBytes(peer);
      if (peer.standing !== "verified") {
        if (bytes > budget) continue;
        budget -= bytes;
        this.#appended.bytes += bytes;
      }
      batch.push({ ...peer });
      changed.delete(peer.fingerprint);
    }
    return batch;
  }

  async #store(batch: readonly KnownPeer[], actions: readonly Action[]): Promise<void> {
    await makeFolder(this.#folder);
    await withLock(this.#path, async () => {
      const content = await this.#read();
      this.#stored = undefined; // until it is written
      const { table } = content;
      for (const peer of batch) table.absorb(peer);
      for (const action of actions) action(table);
      const written = table.changed.size === 0 ? content : await this.#writeChanges(content);
      table.changed.clear();
      const stamp = await readStamp(this.#path);
      if (stamp !== undefined) this.#stored = { stamp, content: written };
    });
  }

  async #read(): Promise<Stored> {
    const stamp = await readStamp(this.#path);
    if (this.#stored !== undefined && this.#stored.stamp === stamp) return this.#stored.content;
    return await readStored(this.#path);
  }

  async #writeChanges(content: Stored): Promise<Stored> {
    const { table, kept, isTorn, compactBytes } = content;
    const lines = [...table.changed].map((fingerprint) => encodePeer(table.find(fingerprint)!));
    const text = lines.join("\n") + "\n";
    const bytes = content.bytes + encodeUtf8(text).length;
    if (content.bytes > 0 && !isTorn && bytes <= 2 * compactBytes + MAX_OUTDATED_BYTES) {
      await appendToFile(this.#path, text);
      return { ...content, bytes };
    }
    const entries = Iterator.from(table.entries()).map(encodePeer);
    const length = await writeEntries(this.#path, FORMAT, { entries, kept });
    return { ...content, isTorn: false, bytes: length, compactBytes: length };
  }

  #report(error: unknown): void {
    if (this.#reported) return;
    this.#reported = true;
    this.#onError(error);
  }
}

/** Tells one version of the file from another; undefined if there is none. */
async function readStamp(path: string): Promise<string | undefined> {
  try {
    const { size, mtime, ino, dev } = await Deno.stat(path);
    return [size, mtime?.getTime(), ino, dev].join(" ");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function peersPath(folder: string): string {
  return `${folder}/known_peers`;
}
