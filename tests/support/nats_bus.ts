/**
 * A bus over a real server of NATS, and what it told.
 *
 * @module
 */

import { encodeHex } from "../../lib/base/bytes.ts";
import { systemClock, systemRandom } from "../../lib/base/clock.ts";
import type { UsageError } from "../../lib/base/errors.ts";
import type { Entry } from "../../lib/cluster/bus.ts";
import { connectNats, type NatsBus, type NatsOptions } from "../../lib/cluster/nats.ts";
import { connectCore } from "../../lib/cluster/nats_core.ts";
import type { NatsServer } from "./nats.ts";
import { poll } from "./programs.ts";

/** A cluster's name, and an inbox's. */
export const CLUSTER = "0123456789abcdef";

/** A bus, with what it told. */
export class Ear implements AsyncDisposable {
  readonly bus: NatsBus;
  readonly inbox = encodeHex(systemRandom(16));
  /** All that was told, in order, in a word or two each. */
  readonly log: string[] = [];
  readonly messages: string[] = [];
  readonly nobody: string[] = [];
  readonly entries: Entry[] = [];
  /** What was told of each key last, since the watch began. */
  readonly keys = new Map<string, Entry>();
  readonly faults: UsageError[];
  readonly warnings: string[];

  private constructor(bus: NatsBus, faults: UsageError[], warnings: string[]) {
    this.bus = bus;
    this.faults = faults;
    this.warnings = warnings;
  }

  /** Connects, without listening yet. */
  static async open(
    server: Pick<NatsServer, "url">,
    options: Partial<NatsOptions> = {},
  ): Promise<Ear> {
    const faults: UsageError[] = [];
    const warnings: string[] = [];
    const bus = await connectNats({
      servers: [server.url],
      cluster: CLUSTER,
      clock: systemClock,
      onWarning: (text) => warnings.push(text),
      onFatal: (error) => faults.push(error),
      ...options,
    });
    return new Ear(bus, faults, warnings);
  }

  /** Connects, and waits until the watch has told all keys. */
  static async listen(
    server: Pick<NatsServer, "url">,
    options: Partial<NatsOptions> = {},
  ): Promise<Ear> {
    const ear = await Ear.open(server, options);
    ear.start();
    await ear.waitFor("caught up");
    return ear;
  }

  start(): void {
    const decoder = new TextDecoder();
    this.bus.start(this.inbox, {
      onMessage: (message) => void this.messages.push(decoder.decode(message)),
      onNobody: (inbox) => void this.nobody.push(inbox),
      onEntry: (entry) => {
        this.entries.push(entry);
        this.keys.set(entry.key, entry);
      },
      onWatchBegun: () => {
        this.keys.clear();
        this.log.push("begun");
      },
      onWatchCaughtUp: () => void this.log.push("caught up"),
      onUp: () => void this.log.push("up"),
      onDown: () => void this.log.push("down"),
    });
  }

  /** Waits until something was told so many times. */
  async waitFor(word: string, count = 1): Promise<void> {
    await poll(
      () => this.log.filter((it) => it === word).length >= count,
      () => `${count} x ${word}; told: ${this.log.join(", ")}; ${this.warnings.join("; ")}`,
    );
  }

  /** The text that a key has by the watch. */
  text(key: string): string | undefined {
    const value = this.keys.get(key)?.value;
    return value && new TextDecoder().decode(value);
  }

  /** Waits until a key has this text by the watch. */
  async sees(key: string, text: string | undefined): Promise<void> {
    await poll(
      () => this.keys.has(key) && this.text(key) === text,
      () => `${key} = ${text}; it is ${this.text(key)}`,
    );
  }

  /** Writes a text. @returns The revision. */
  async put(key: string, text: string, expected: number): Promise<number> {
    const written = await this.bus.write(key, bytesOf(text), expected);
    if (written.type !== "written") throw new Error(`${key} was not written: ${written.type}`);
    return written.revision;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bus.close();
  }
}

/** Asks a server itself, as its operator does. @returns Its answer. */
export async function administer(
  server: Pick<NatsServer, "url">,
  subject: string,
): Promise<Record<string, unknown>> {
  const core = await connectCore({
    servers: [server.url],
    needsTls: false,
    caCerts: [],
    creds: undefined,
    name: "operator",
  }, { onEnd: () => {}, onForbidden: () => {} });
  const { data } = await core.request(subject, new Uint8Array(0), { timeoutMs: 20_000 });
  await core.close();
  return JSON.parse(new TextDecoder().decode(data));
}

export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}
