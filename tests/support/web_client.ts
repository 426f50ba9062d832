/**
 * A page without a browser: the socket of `client --web`, and the proof that it asks for.
 *
 * @module
 */

/** A message of either side. */
export type Message = Record<string, unknown>;

/** A message from the program. */
export interface Told {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** HMAC-SHA-256 of a text, in hex. */
export async function makeMac(secret: string, text: string): Promise<string> {
  const encoder = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, [
    "sign",
  ]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text))).toHex();
}

/** One connection of a page. */
export class WebClient {
  /** The code with which the socket was closed. */
  readonly closed: Promise<number>;
  readonly #secret: string;
  readonly #socket: WebSocket;
  readonly #received: (Told | Uint8Array<ArrayBuffer>)[] = [];
  #arrived = Promise.withResolvers<void>();

  /** @param link What the program prints. */
  constructor(link: string) {
    const { origin, hash } = new URL(link);
    this.#secret = hash.slice(1);
    // What a browser sets by itself.
    const options = { headers: { origin } } as unknown as string[];
    const socket = this.#socket = new WebSocket(`${origin.replace("http", "ws")}/socket`, options);
    socket.binaryType = "arraybuffer";
    const { promise, resolve } = Promise.withResolvers<number>();
    this.closed = promise;
    socket.onclose = ({ code }) => {
      resolve(code);
      this.#arrived.resolve();
    };
    socket.onerror = () => {};
    socket.onmessage = ({ data }) => {
      this.#received.push(typeof data === "string" ? JSON.parse(data) : new Uint8Array(data));
      this.#arrived.resolve();
    };
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** How many messages have come that were not asked for. */
  get waiting(): number {
    return this.#received.length;
  }

  send(message: Message): void {
    this.sendText(JSON.stringify(message));
  }

  sendText(text: string): void {
    this.#socket.send(text);
  }

  sendBytes(bytes: Uint8Array<ArrayBuffer>): void {
    this.#socket.send(bytes);
  }

  /** The next message, text or bytes. @throws If the socket is closed. */
  async next(): Promise<Told | Uint8Array<ArrayBuffer>> {
    while (this.#received.length === 0) {
      if (this.#socket.readyState >= WebSocket.CLOSING) throw new Error("the socket is closed");
      await this.#arrived.promise;
      this.#arrived = Promise.withResolvers();
    }
    return this.#received.shift()!;
  }

  /** The next message, which is a text. */
  async receive(): Promise<Told> {
    const message = await this.next();
    if (message instanceof Uint8Array) throw new Error("these are bytes");
    return message;
  }

  /** Skips what comes before the first message of which this is true. */
  async receiveWhere(isWanted: (message: Told) => boolean): Promise<Told> {
    for (;;) {
      const message = await this.receive();
      if (isWanted(message)) return message;
    }
  }

  async sendProof({ have = 0 }: { have?: unknown } = {}): Promise<void> {
    const { nonce } = await this.receive();
    const mac = await makeMac(this.#secret, `page ${nonce} own`);
    this.send({ type: "proof", nonce: "own", mac, have });
  }

  /** @returns What the program says when it takes the proof. */
  async prove(options?: { have?: unknown }): Promise<Told> {
    await this.sendProof(options);
    return await this.receive();
  }

  async close(): Promise<void> {
    this.#socket.close();
    await this.closed;
  }
}
