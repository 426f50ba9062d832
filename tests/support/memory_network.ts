/**
 * Hosts and ports in memory, for direct connections.
 *
 * @module
 */

import type { FileNetwork, Listening, Place } from "../../lib/session/files/direct.ts";
import type { ByteStream } from "../../lib/transport/mod.ts";
import { memoryPair, type MemoryStream } from "./memory_stream.ts";

export class MemoryNetwork implements FileNetwork {
  readonly #open = new Map<number, (stream: MemoryStream) => void>();
  #port = 1000;
  /** Both ends of every connection. */
  readonly made: MemoryStream[] = [];
  /** Ports that never answer. */
  readonly dead = new Set<number>();
  /** Nobody answers. */
  isDown = false;

  listen(): Listening {
    const port = this.#port++;
    const waiting: MemoryStream[] = [];
    let wake: ((stream: MemoryStream | undefined) => void) | undefined;
    this.#open.set(port, (stream) => {
      if (wake === undefined) return void waiting.push(stream);
      wake(stream);
      wake = undefined;
    });
    return {
      port,
      accept: () => {
        const stream = waiting.shift();
        return stream ? Promise.resolve(stream) : new Promise((resolve) => wake = resolve);
      },
      close: () => {
        this.#open.delete(port);
        for (const stream of waiting) stream.close();
        wake?.(undefined);
      },
    };
  }

  dial({ port }: Place, signal: AbortSignal): Promise<ByteStream> {
    if (this.isDown || this.dead.has(port)) {
      return new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(new Error()))
      );
    }
    try {
      return Promise.resolve(this.connect(port));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  connect(port: number): MemoryStream {
    const open = this.#open.get(port);
    if (open === undefined) throw new Error("refused");
    const [here, there] = memoryPair({ capacity: 300_000 });
    this.made.push(here, there);
    open(there);
    return here;
  }

  /** Breaks every connection there is. */
  cutAll(): void {
    for (const stream of this.made.splice(0)) stream.cut();
  }
}
