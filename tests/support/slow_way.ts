/**
 * A way to a server that takes its time, or is cut.
 *
 * @module
 */

/** How the way is. */
interface WayOptions {
  /** Milliseconds that everything takes, in each direction. */
  readonly delayMs?: number;
  /** How many of a thousand reads are held up for {@linkcode HELD_MS} more, as a lost packet is. */
  readonly held?: number;
}

const HELD_MS = 300;

/** Listens on a port of 127.0.0.1, and passes on, in order, what comes there. */
export class SlowWay implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Set<Deno.Conn>();
  readonly #to: number;
  readonly #options: WayOptions;
  #isCut = false;

  /** @param to A port of 127.0.0.1. */
  constructor(to: number, options: WayOptions = {}) {
    this.#to = to;
    this.#options = options;
    void this.#accept();
  }

  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  /** While it is cut nothing passes, and nobody is told. */
  set isCut(isCut: boolean) {
    this.#isCut = isCut;
    // What was sent meanwhile is lost, which no TCP survives.
    if (!isCut) this.#closeAll();
  }

  async #accept(): Promise<void> {
    for await (const near of this.#listener) {
      this.#open.add(near);
      try {
        const far = await Deno.connect({ hostname: "127.0.0.1", port: this.#to });
        this.#open.add(far);
        void this.#pass(near, far);
        void this.#pass(far, near);
      } catch {
        this.#close(near); // nobody is there
      }
    }
  }

  async #pass(from: Deno.Conn, to: Deno.Conn): Promise<void> {
    const { delayMs = 0, held = 0 } = this.#options;
    let last = Promise.resolve();
    let due = 0;
    try {
      for (const buffer = new Uint8Array(65_536);;) {
        const length = await from.read(buffer);
        if (length === null) break;
        if (this.#isCut) continue;
        const bytes = buffer.slice(0, length);
        const extra = Math.random() * 1000 < held ? HELD_MS : 0;
        due = Math.max(due, performance.now() + delayMs + extra);
        const at = due;
        last = last.then(() => write(to, bytes, at));
        last.catch(() => this.#close(from));
      }
      await last;
    } catch {
      // One side is gone.
    }
    this.#close(from);
    this.#close(to);
  }

  #close(connection: Deno.Conn): void {
    if (!this.#open.delete(connection)) return;
    try {
      connection.close();
    } catch {
      // The system has closed it.
    }
  }

  #closeAll(): void {
    for (const connection of this.#open) this.#close(connection);
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    this.#closeAll();
  }
}

async function write(to: Deno.Conn, bytes: Uint8Array, at: number): Promise<void> {
  const wait = at - performance.now();
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  for (let offset = 0; offset < bytes.length;) offset += await to.write(bytes.subarray(offset));
}
