/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// @ts-check
/** The way to the program on this computer: each side proves that it knows the link's secret before it says anything. */

const RETRY_MS = 1000;
/** Bytes in one message. */
export const MAX_PART = 256 * 1024;
/** UTF-16 units of a request. */
const MAX_REQUEST = 64 * 1024;
const TOO_LONG = { ok: false, message: "that is too long to be sent" };
const NO_ANSWER = { ok: false, message: "Hearth does not answer on this computer" };
const encoder = new TextEncoder();

/** What is asked again after an outage; the program does none of it twice. */
const ONCE = new Set(["say", "edit", "retract", "react", "file", "command"]);

/** The secret of the link, kept for this tab alone. @returns {string | null} */
export function takeSecret() {
  const secret = location.hash.slice(1);
  if (secret !== "") {
    sessionStorage.setItem("secret", secret);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem("secret");
}

/** @param {string} secret @param {string} text */
async function mac(secret, text) {
  const key = await crypto.subtle.importKey(
    "raw",
    encoder.encode(secret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const bytes = new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text)));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Socket {
  #secret;
  #on;
  /** @type {WebSocket | undefined} */
  #socket;
  #isReady = false;
  /** What has no answer yet, by its ref. @type {Map<string, { text: string, isAgain: boolean, resolve: (result: any) => void }>} */
  #waiting = new Map();

  /**
   * @param {string} secret
   * @param {object} on
   * @param {() => number} on.have The last rev that was taken in whole.
   * @param {(message: any) => void} on.message
   * @param {(n: number, bytes: Uint8Array<ArrayBuffer>) => void} on.bytes A part of what was asked for.
   * @param {(state: "open" | "closed" | "refused" | "full") => void} on.state
   */
  constructor(secret, on) {
    this.#secret = secret;
    this.#on = on;
    this.#open();
  }

  get isReady() {
    return this.#isReady;
  }

  /** Rises with each connection. */
  connection = 0;

  /** What was asked and may not have been done. @returns {any[]} */
  get unanswered() {
    return [...this.#waiting.values()].filter(({ isAgain }) => isAgain).map(({ text }) =>
      JSON.parse(text)
    );
  }

  /** Asks for something; resolves to its result, after an outage too. @param {Record<string, unknown>} message @returns {Promise<any>} */
  ask(message) {
    if (!this.#isReady) return Promise.resolve(NO_ANSWER);
    const ref = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) =>
      byte.toString(16).padStart(2, "0")
    ).join("");
    const text = JSON.stringify({ ...message, ref });
    if (text.length > MAX_REQUEST) return Promise.resolve(TOO_LONG);
    return new Promise((resolve) => {
      this.#waiting.set(ref, { text, isAgain: ONCE.has(String(message.type)), resolve });
      this.#socket?.send(text);
    });
  }

  /** Sends a part of an upload. @param {number} n @param {Uint8Array<ArrayBuffer>} bytes 1 to {@linkcode MAX_PART}. */
  sendBytes(n, bytes) {
    const message = new Uint8Array(4 + bytes.length);
    new DataView(message.buffer).setUint32(0, n);
    message.set(bytes, 4);
    this.#socket?.send(message);
  }

  #open() {
    const socket = this.#socket = new WebSocket(`ws://${location.host}/socket`);
    socket.binaryType = "arraybuffer";
    const own = crypto.randomUUID();
    let theirs = "";
    // One after the other: what comes behind `ready` waits until its proof has been looked at.
    let line = Promise.resolve();
    socket.onmessage = ({ data }) => {
      // What cannot be shown is told to the console, and holds up nothing.
      line = line.then(() => typeof data === "string" ? take(JSON.parse(data)) : takeBytes(data))
        .catch(reportError);
    };
    /** @param {ArrayBuffer} data */
    const takeBytes = (data) => {
      if (!this.#isReady) return socket.close();
      this.#on.bytes(new DataView(data).getUint32(0), new Uint8Array(data, 4));
    };
    /** @param {any} message */
    const take = async (message) => {
      if (message.type === "challenge") {
        theirs = message.nonce;
        socket.send(
          JSON.stringify({
            type: "proof",
            nonce: own,
            mac: await mac(this.#secret, `page ${theirs} ${own}`),
            have: this.#on.have(),
          }),
        );
      } else if (message.type === "ready") {
        // Another program may have come to listen on this port: it does not know the secret.
        if (message.mac !== await mac(this.#secret, `program ${theirs} ${own}`)) {
          return socket.close();
        }
        this.#isReady = true;
        this.connection++;
        this.#on.message(message);
        this.#on.state("open");
        for (const { text } of this.#waiting.values()) socket.send(text);
      } else if (!this.#isReady) socket.close();
      else if (message.type === "result") {
        this.#waiting.get(message.ref)?.resolve(message);
        this.#waiting.delete(message.ref);
      } else this.#on.message(message);
    };
    socket.onclose = ({ code }) => {
      this.#isReady = false;
      for (const [ref, { isAgain, resolve }] of this.#waiting) {
        if (isAgain) continue;
        resolve(NO_ANSWER);
        this.#waiting.delete(ref);
      }
      if (code === 4001) return this.#on.state("refused");
      if (code === 4002) return this.#on.state("full");
      this.#on.state("closed");
      setTimeout(() => this.#open(), RETRY_MS);
    };
  }
}
