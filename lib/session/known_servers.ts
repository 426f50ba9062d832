/**
 * The servers whose keys this computer has seen: `known_servers` of the state folder (PROTOCOL.md
 * §8).
 *
 * Knows nothing of connections and of how a person is asked.
 *
 * @module
 */

import {
  badEntry,
  FINGERPRINT_PATTERN,
  lineOfEntry,
  readEntries,
  writeEntries,
} from "../entries.ts";
import { UsageError } from "../base/errors.ts";
import { makeFolder, withLock } from "../base/files.ts";

const HEADER =
  "# Servers Hearth knows, one a line: address, fingerprint of its key. Lines may be taken out.";
const ENTRY = new RegExp(`^([^\\s\\p{C}#]+:\\d+) (${FINGERPRINT_PATTERN})$`, "u");

/** The key that an address is pinned to. */
export interface ServerPin {
  /** `SHA256:…`. */
  readonly fingerprint: string;
  /** Line in `known_servers`; none while the disk could not be written. */
  readonly line?: number;
}

/**
 * Writes a server's address as pins name it: the host as typed, in lower case, without a final dot,
 * an IPv6 address in brackets, and the port, §8.
 *
 * @param host Has been checked where it was typed or received.
 * @throws {RangeError} When it would not stay one word of a line: our bug.
 */
export function serverAddress(host: string, port: number): string {
  const name = host.toLowerCase().replace(/\.$/, "");
  if (!/^[^\s\p{C}#\[\]]+$/u.test(name)) throw new RangeError(`"host" must be one word`);
  return `${name.includes(":") ? `[${name}]` : name}:${port}`;
}

/** What has been said about a server's key before the server itself proves one. */
export interface Expectation {
  /** `SHA256:…`, whole or cut short. */
  readonly start: string;
  /** Who said so. */
  readonly source: "invitation" | "announcement";
}

/** The servers' keys this computer has seen, by address. */
export class ServerBook {
  /** The file, to be named in messages. */
  readonly path: string;
  readonly #folder: string;
  #pins: Map<string, ServerPin>;
  #expected = new Map<string, Expectation>();

  private constructor(folder: string, path: string, pins: Map<string, ServerPin>) {
    this.#folder = folder;
    this.path = path;
    this.#pins = pins;
  }

  /**
   * Reads `known_servers` of the state folder; a missing file is an empty one.
   *
   * @throws {UsageError} When the file is not as Hearth writes it: names the file and the line.
   */
  static async load(folder: string): Promise<ServerBook> {
    const path = `${folder}/known_servers`;
    return new ServerBook(folder, path, await readPins(path));
  }

  /** Finds the pin of an address made by {@linkcode serverAddress}. */
  find(address: string): ServerPin | undefined {
    return this.#pins.get(address);
  }

  /** From now on only such a key is accepted at an address, whatever the pins say besides. */
  expect(address: string, expectation: Expectation): void {
    this.#expected.set(address, expectation);
  }

  /**
   * Judges the key a server has proven: `known` also when it is pinned at another address, since
   * the key says who it is and the address only where, and when somebody one trusts has given it;
   * `changed` has to be refused, §8.
   */
  judge(address: string, fingerprint: string): "new" | "known" | "changed" {
    const expected = this.#expected.get(address)?.start;
    if (expected !== undefined && !fingerprint.startsWith(expected)) return "changed";
    const pin = this.#pins.get(address);
    if (pin !== undefined) return pin.fingerprint === fingerprint ? "known" : "changed";
    return fingerprint === expected || this.knows(fingerprint) ? "known" : "new";
  }

  /** Tells whether a key is pinned at any address, by its fingerprint or the start of it. */
  knows(start: string): boolean {
    return this.#pins.values().some(({ fingerprint }) => fingerprint.startsWith(start));
  }

  /**
   * Pins an address to a key; never pins it to another one.
   *
   * @throws {UsageError} When it is pinned to another key, perhaps by another process just now.
   * @throws What the operating system says when the file cannot be written; the pin then holds for
   * as long as this object is used.
   */
  async pin(address: string, fingerprint: string): Promise<void> {
    if (this.judge(address, fingerprint) === "changed") throw this.changedKey(address, fingerprint);
    if (this.#pins.get(address)?.line !== undefined) return;
    this.#pins.set(address, { fingerprint });
    await makeFolder(this.#folder);
    await withLock(this.path, async () => {
      const pins = await readPins(this.path);
      if (!pins.has(address)) {
        pins.set(address, { fingerprint, line: lineOfEntry(pins.size) });
        await this.#write(pins);
      }
      this.#pins = pins;
    });
    if (this.judge(address, fingerprint) === "changed") throw this.changedKey(address, fingerprint);
  }

  /**
   * Removes the pin of an address.
   *
   * @returns Whether there was one.
   * @throws {UsageError} As {@linkcode ServerBook.load}; what the operating system says.
   */
  async forget(address: string): Promise<boolean> {
    if (!this.#pins.has(address)) return false;
    return await withLock(this.path, async () => {
      const pins = await readPins(this.path);
      const found = pins.delete(address);
      if (found) await this.#write(pins);
      this.#pins = await readPins(this.path);
      return found;
    });
  }

  /**
   * The refusal of a key that is not the pinned one: names both, the file, the line and the way
   * out.
   */
  changedKey(address: string, presented: string): UsageError {
    const expected = this.#expected.get(address);
    if (expected !== undefined && !presented.startsWith(expected.start)) {
      return new UsageError(
        `${address} is another server: its key is ${presented}, and the ${expected.source} says ` +
          expected.start,
        ["somebody may be pretending to be it: ask whoever runs the server for its fingerprint"],
      );
    }
    const { fingerprint, line } = this.#pins.get(address) ?? {};
    const place = line === undefined ? "" : ` (${this.path}, line ${line})`;
    return new UsageError(
      `the key of ${address} has changed: it is ${presented}, and was ${fingerprint}${place}`,
      [
        "either the server has a new key, or somebody is pretending to be it: ask whoever runs it",
        `if the new key is right: client forget ${address}`,
      ],
    );
  }

  #write(pins: Map<string, ServerPin>): Promise<void> {
    const entries = pins.entries().map(([address, pin]) => `${address} ${pin.fingerprint}`);
    return writeEntries(this.path, HEADER, entries);
  }
}

async function readPins(path: string): Promise<Map<string, ServerPin>> {
  const pins = new Map<string, ServerPin>();
  for (const [index, entry] of (await readEntries(path, HEADER)).entries()) {
    const [, address, fingerprint] = ENTRY.exec(entry) ?? [];
    if (!address || !fingerprint || pins.has(address)) {
      throw badEntry(path, lineOfEntry(index));
    }
    pins.set(address, { fingerprint, line: lineOfEntry(index) });
  }
  return pins;
}
