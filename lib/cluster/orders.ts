/**
 * What operators have set on all relays of a cluster: bans and the message of the day, in one key of the bucket.
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { MAX_BANS } from "../protocol/admin.ts";
import { decodeFingerprint, encodeFingerprint } from "../protocol/identity.ts";
import type { Orders } from "../relay/mod.ts";
import type { Bus, Entry } from "./bus.ts";
import { isForeign } from "./keys.ts";
import { decodeOrders, encodeOrders } from "./values.ts";

/** The key in the bucket. */
export const ORDERS_KEY = "a";
/** Between two tries. */
const PAUSE_MS = 200;

/** Options of {@linkcode SharedOrders}. */
interface SharedOrdersOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  mayWrite(): boolean;
  /** @param above The value's number has to be greater. */
  seal(key: string, plain: Bytes, above: number): Bytes;
  open(key: string, value: Uint8Array): { readonly plain: Bytes; readonly n: number };
  /** Something is set that was not, here or elsewhere. */
  onOrders(orders: Orders): void;
}

/** The bans and the message of the day of a cluster. */
export class SharedOrders {
  readonly #options: SharedOrdersOptions;
  #known: Orders = { bans: new Map(), motd: "" };
  /** The number of the value that says so; each writer takes a greater one than it has seen. 0 before the first. */
  #number = 0;
  #revision = 0;
  /** There is a value in the bucket. */
  #isThere = false;
  /** The bucket has something older than what is known, or nothing of this cluster: what is known is written again. */
  #isLost = false;
  /** What was said here and is not in the bucket: until when somebody is banned, or undefined for no longer. */
  readonly #bans = new Map<string, number | undefined>();
  #motd: string | undefined;
  #initial: Orders | undefined;
  #hasCaughtUp = false;
  #isWriting = false;
  #timer: Timer | undefined;

  constructor(options: SharedOrdersOptions) {
    this.#options = options;
  }

  /** What holds, here already and elsewhere soon. */
  get current(): Orders {
    const { clock } = this.#options;
    const bans = new Map(this.#known.bans);
    for (const [name, until] of this.#bans) {
      bans.delete(name);
      if (until !== undefined) bans.set(name, until);
    }
    for (const [name, until] of bans) if (until <= clock.wallTime()) bans.delete(name);
    return { bans: new Map([...bans].slice(-MAX_BANS)), motd: this.#motd ?? this.#known.motd };
  }

  /** What a relay has at its start, which counts only where the bucket has nothing. */
  begin(orders: Orders): void {
    this.#initial = orders;
    if (this.#hasCaughtUp) this.#useInitial();
  }

  /** The watch has told what the bucket has. */
  async caughtUp(wasFound: boolean): Promise<void> {
    if (!wasFound) {
      const entry = await this.#options.bus.get(ORDERS_KEY);
      if (entry && !this.#isWriting) this.#learn(entry);
    }
    this.#hasCaughtUp = true;
    this.#useInitial();
  }

  #useInitial(): void {
    if (!this.#initial) return;
    const { bans, motd } = this.#initial;
    this.#initial = undefined;
    if (!this.#isThere) { for (const [name, until] of bans) this.#bans.set(name, until); }
    if (this.#known.motd === "" && motd !== "") this.#motd ??= motd;
    this.#options.onOrders(this.current);
    void this.write();
  }

  /** @param until In ms since 1970; undefined: no longer. */
  ban(name: string, until: number | undefined): void {
    this.#bans.set(name, until);
    void this.write();
  }

  setMotd(text: string): void {
    this.#motd = text;
    void this.write();
  }

  /** The watch tells what is in the bucket. */
  take(entry: Entry): void {
    if (entry.revision > this.#revision) this.#accept(entry);
  }

  #learn(entry: Entry): void {
    if (entry.revision > this.#revision || entry.revision === 0) this.#accept(entry);
  }

  #accept({ value, revision }: Entry): void {
    this.#revision = revision;
    this.#isThere = value !== undefined;
    this.#isLost = !this.#read(value) && this.#number > 0;
    this.#options.onOrders(this.current);
    void this.write();
  }

  /** @returns Whether it is newer than what is known: a carrier that shows an old value undoes no ban. */
  #read(value: Bytes | undefined): boolean {
    if (!value) return false;
    try {
      const { plain, n } = this.#options.open(ORDERS_KEY, value);
      if (n <= this.#number) return false;
      this.#known = read(plain);
      this.#number = n;
      return true;
    } catch (error) {
      if (!isForeign(error)) throw error;
      return false;
    }
  }

  /** Writes what was said here, until it is in the bucket. */
  async write(): Promise<void> {
    const { bus, mayWrite, seal } = this.#options;
    if (this.#isWriting) return;
    this.#isWriting = true;
    while (mayWrite() && (this.#isLost || this.#bans.size > 0 || this.#motd !== undefined)) {
      const [bans, motd, orders] = [new Map(this.#bans), this.#motd, this.current];
      const plain = encodeOrders({
        bans: [...orders.bans].map(([name, until]) => ({
          fingerprint: decodeFingerprint(name),
          end: Math.ceil(until / 1000),
        })),
        motd: orders.motd,
      });
      const value = seal(ORDERS_KEY, plain, this.#number);
      const written = await bus.write(ORDERS_KEY, value, this.#revision);
      if (written.type !== "written") {
        await this.#ask();
        continue;
      }
      this.take({ key: ORDERS_KEY, value, revision: written.revision });
      for (const [name, until] of bans) {
        if (this.#bans.get(name) === until) this.#bans.delete(name);
      }
      if (this.#motd === motd) this.#motd = undefined;
    }
    this.#isWriting = false;
  }

  async #ask(): Promise<void> {
    const { bus, clock } = this.#options;
    const entry = await bus.get(ORDERS_KEY);
    if (entry && entry.revision !== this.#revision) return this.#learn(entry);
    await new Promise<void>((resolve) => void (this.#timer = clock.after(PAUSE_MS, resolve)));
  }

  /** Does nothing more. */
  close(): void {
    this.#options.clock.cancel(this.#timer);
  }
}

function read(plain: Bytes): Orders {
  const { bans, motd } = decodeOrders(plain);
  return {
    bans: new Map(bans.map(({ fingerprint, end }) => [encodeFingerprint(fingerprint), end * 1000])),
    motd,
  };
}
