/**
 * The first connection of a session, begun before there is one: much of the program is not loaded yet.
 *
 * @module
 */

import { encodeHex } from "../base/bytes.ts";
import { INSTANCE_BYTES } from "../protocol/frames.ts";
import type { ByteStream } from "../transport/mod.ts";
import type { ConnectedEvent } from "./events.ts";
import { Link, type LinkListener, type LinkOptions } from "./link.ts";

/** Options of {@linkcode HeadStart}. */
interface HeadStartOptions extends Omit<LinkOptions, "instance"> {
  /** `host:port` as in `known_servers`. */
  readonly address: string;
  /** Connects to the relay. */
  dial(signal: AbortSignal): Promise<ByteStream>;
}

/** Connects and joins; what the relay then sends waits until a session takes the link. */
export class HeadStart {
  /** As in {@linkcode LinkOptions}; the session goes on with it. */
  readonly instance: string;
  readonly #options: HeadStartOptions;
  readonly #stopping = new AbortController();
  readonly #listener = Promise.withResolvers<LinkListener>();
  readonly #connected = Promise.withResolvers<ConnectedEvent | undefined>();
  readonly #link: Promise<Link>;
  #isTold = false;

  /** Begins at once. */
  constructor(options: HeadStartOptions) {
    this.#options = options;
    this.instance = encodeHex(options.random(INSTANCE_BYTES));
    this.#link = this.#open();
    // Whoever takes it gets the failure.
    this.#link.then(({ ended }) => ended).catch(() => {}).then(() =>
      this.#connected.resolve(undefined)
    );
  }

  async #open(): Promise<Link> {
    const { dial, address } = this.#options;
    const stream = await dial(this.#stopping.signal);
    let listener: LinkListener | undefined;
    return new Link({ ...this.#options, instance: this.instance }, { address }, {
      connected: async (link) => {
        this.#connected.resolve(link.connectedEvent);
        listener = await this.#listener.promise;
        await listener.connected(link, this.#isTold);
      },
      welcomed: (link, frame) => listener!.welcomed(link, frame),
      frame: (frame) => listener!.frame(frame),
      drained: () => listener?.drained(),
      failed: (error) => listener!.failed(error),
    }).open(stream);
  }

  /** Tells the user, whom the session then does not tell. @returns Resolves then, or when there is nothing to tell. */
  async tell(show: (event: ConnectedEvent) => void): Promise<void> {
    const event = await this.#connected.promise;
    if (!event) return;
    this.#isTold = true;
    show(event);
  }

  /**
   * Gives the link to a session.
   *
   * @throws What `dial` threw.
   */
  async take(listener: LinkListener): Promise<Link> {
    this.#listener.resolve(listener);
    return await this.#link;
  }

  /** Ends it, also after it was taken. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const link = await this.#link.catch(() => undefined);
    await link?.close();
  }
}
