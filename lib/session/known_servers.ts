/**
 * The servers whose keys this computer has seen: `known_servers` in the state folder (PROTOCOL.md §8).
 *
 * @module
 */

import { commandOf } from "../base/command.ts";
import {
  describeSkipped,
  lineOfEntry,
  readEntries,
  type Reading,
  writeEntries,
} from "./known_file.ts";
import { UsageError } from "../base/errors.ts";
import { makeFolder, withLock } from "../base/files.ts";
import type { Bytes } from "../base/bytes.ts";
import { decodeFingerprint, FINGERPRINT_PATTERN } from "../protocol/identity.ts";

const FORMAT = { what: "Servers", fields: "address, fingerprint of its key" };
const ENTRY = new RegExp(`^([^\\s\\p{C}#]+:\\d+) (${FINGERPRINT_PATTERN})$`, "u");

/** The key that an address is pinned to. */
interface ServerPin {
  /** `SHA256:…`. */
  readonly fingerprint: string;
  /** Line in `known_servers`; undefined if the file could not be written. */
  readonly line?: number;
}

/** The key that a server is expected to have. */
interface Expectation {
  /** `SHA256:…`, complete or a prefix of it. */
  readonly start: string;
  readonly source: "invitation" | "announcement" | "server started here";
}

/** A server has another key than the one that is pinned or expected at its address. */
export class ChangedKeyError extends UsageError {}

/** The keys of the servers that this computer has seen, by address. */
export class KnownServers {
  /** The file, for messages. */
  readonly path: string;
  /** What to tell the user about the file; undefined if it was read in full. */
  readonly warning: string | undefined;
  readonly #folder: string;
  #pins: Map<string, ServerPin>;
  #expected = new Map<string, Expectation>();
  /** By address, the key that got a proof of the password in this process. */
  #bound = new Map<string, string>();

  private constructor(folder: string, path: string, { pins, skipped }: Stored) {
    this.#folder = folder;
    this.path = path;
    this.warning = describeSkipped(path, skipped);
    this.#pins = pins;
  }

  /**
   * Reads `known_servers` in the state folder; a missing file counts as an empty one.
   *
   * @throws {UsageError} When the file cannot be read.
   */
  static async load(folder: string): Promise<KnownServers> {
    const path = `${folder}/known_servers`;
    return new KnownServers(folder, path, await readStored(path));
  }

  /** Finds the pin of a `host:port` address. */
  find(address: string): ServerPin | undefined {
    return this.#pins.get(address);
  }

  /** Accepts only a matching key at an address, in addition to what the pins demand. */
  expect(address: string, expectation: Expectation): void {
    this.#expected.set(address, expectation);
  }

  /** Accepts no other key at an address in this process: this one gets a proof of the password (§8). */
  bind(address: string, fingerprint: string): void {
    this.#bound.set(address, fingerprint);
  }

  /**
   * Judges the key that a server has proven (§8). `known`: pinned at this or any other address, since the key says who
   * the server is and the address only where, or expected in full. `changed`: must be refused.
   */
  judge(address: string, fingerprint: string): "new" | "known" | "changed" {
    const bound = this.#bound.get(address);
    if (bound !== undefined && bound !== fingerprint) return "changed";
    const expected = this.#expected.get(address)?.start;
    if (expected !== undefined && !fingerprint.startsWith(expected)) return "changed";
    const pin = this.#pins.get(address);
    if (pin !== undefined) return pin.fingerprint === fingerprint ? "known" : "changed";
    return fingerprint === expected || this.knows(fingerprint) ? "known" : "new";
  }

  /** An address at which a key is pinned. */
  addressOf(fingerprint: string): string | undefined {
    for (const [address, pin] of this.#pins) if (pin.fingerprint === fingerprint) return address;
    return undefined;
  }

  /** Tells whether a key is pinned at any address; takes its fingerprint or a prefix of it. */
  knows(start: string): boolean {
    return this.#pins.values().some(({ fingerprint }) => fingerprint.startsWith(start));
  }

  /** The fingerprint of a pinned key, 32 bytes; takes its text or a prefix of it. */
  findKey(start: string): Bytes | undefined {
    const pin = this.#pins.values().find(({ fingerprint }) => fingerprint.startsWith(start));
    return pin && decodeFingerprint(pin.fingerprint);
  }

  /**
   * Pins an address to a key; never replaces a pin.
   *
   * @throws {UsageError} When it is pinned to another key, perhaps just now by another process.
   * @throws The error of the operating system when the file cannot be written; the pin then holds in memory.
   */
  async pin(address: string, fingerprint: string): Promise<void> {
    if (this.judge(address, fingerprint) === "changed") throw this.changedKey(address, fingerprint);
    if (this.#pins.get(address)?.line !== undefined) return;
    this.#pins.set(address, { fingerprint });
    await makeFolder(this.#folder);
    await withLock(this.path, async () => {
      const stored = await readStored(this.path);
      if (!stored.pins.has(address)) {
        stored.pins.set(address, { fingerprint });
        await this.#write(stored);
      }
      this.#pins = stored.pins;
    });
    if (this.judge(address, fingerprint) === "changed") throw this.changedKey(address, fingerprint);
  }

  /**
   * Removes the pin of an address.
   *
   * @returns Whether there was one.
   * @throws {UsageError} As {@linkcode KnownServers.load}.
   * @throws The error of the operating system when the file cannot be written.
   */
  async forget(address: string): Promise<boolean> {
    if (!this.#pins.has(address)) return false;
    return await withLock(this.path, async () => {
      const stored = await readStored(this.path);
      const found = stored.pins.delete(address);
      if (found) await this.#write(stored);
      this.#pins = stored.pins;
      return found;
    });
  }

  /** The error about a key that is not the expected one: names both keys, the file, the line and what to do. */
  changedKey(address: string, presented: string): ChangedKeyError {
    const expected = this.#expected.get(address);
    if (expected !== undefined && !presented.startsWith(expected.start)) {
      return new ChangedKeyError(
        `${address} is another server: its key is ${presented}, and the ${expected.source} says ` +
          expected.start,
        ["somebody may be impersonating it: ask the person who runs the server for its fingerprint"],
      );
    }
    const pin = this.#pins.get(address);
    const bound = this.#bound.get(address);
    if (pin === undefined && bound !== undefined) {
      return new ChangedKeyError(
        `${address} is another server: its key is ${presented}, and the password was given to ${bound}`,
        ["somebody may be impersonating it: ask the person who runs the server for its fingerprint"],
      );
    }
    const { fingerprint, line } = pin ?? {};
    const location = line === undefined ? "" : ` (${this.path}, line ${line})`;
    return new ChangedKeyError(
      `the key of ${address} has changed: it is ${presented}, and was ${fingerprint}${location}`,
      [
        "either the server has a new key, or somebody is impersonating it: ask the person who runs it",
        `if the new key is right: ${commandOf("client")} forget ${address}`,
      ],
    );
  }

  async #write({ pins, kept }: Stored): Promise<void> {
    const entries = pins.entries().map(([address, pin]) => `${address} ${pin.fingerprint}`);
    await writeEntries(this.path, FORMAT, { entries, kept });
    for (const [index, [address, { fingerprint }]] of [...pins].entries()) {
      pins.set(address, { fingerprint, line: lineOfEntry(index) });
    }
  }
}

/** The pins of the file; of several lines of one address the first counts. */
interface Stored extends Pick<Reading, "kept" | "skipped"> {
  readonly pins: Map<string, ServerPin>;
}

async function readStored(path: string): Promise<Stored> {
  const pins = new Map<string, ServerPin>();
  const reading = await readEntries(path, (entry, line) => {
    const [, address, fingerprint] = ENTRY.exec(entry) ?? [];
    if (!address || !fingerprint || pins.has(address)) return false;
    pins.set(address, { fingerprint, line });
    return true;
  });
  return { ...reading, pins };
}
