/**
 * A headless browser and its pages, by the DevTools protocol.
 *
 * @module
 */

import { DEADLINE_MS, poll } from "./program.ts";

const BROWSERS = ["chromium-headless-shell", "chromium", "google-chrome"];
/** Key codes, as the browser wants them. */
const KEY_CODES: Readonly<Record<string, number>> = {
  Tab: 9,
  Enter: 13,
  Escape: 27,
  ArrowUp: 38,
  ArrowDown: 40,
};

// deno-lint-ignore no-explicit-any -- what the protocol answers has hundreds of shapes
type Result = any;

/** A message of the protocol. */
interface Message {
  readonly id?: number;
  readonly sessionId?: string;
  readonly method?: string;
  readonly params?: Result;
  readonly result?: Result;
  readonly error?: { readonly message: string };
}

/** How a page is shown. */
export interface PageOptions {
  /** In CSS pixels. */
  readonly width?: number;
  readonly height?: number;
  readonly dark?: boolean;
  /** A screen that is touched. */
  readonly touch?: boolean;
  /** Device pixels of a CSS pixel. */
  readonly scale?: number;
}

/** Finds a browser; undefined if none is installed. */
export function findBrowser(): Promise<string | undefined> {
  return findProgram(BROWSERS);
}

/** Finds the first program that is installed. */
export async function findProgram(names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    try {
      const quiet = "null" as const;
      if (
        (await new Deno.Command(name, { args: ["--version"], stdout: quiet, stderr: quiet })
          .output()).success
      ) return name;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return undefined;
}

/** A running browser; disposing ends it. */
export class Browser implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #socket: WebSocket;
  readonly #folder: string;
  readonly #waiting = new Map<number, PromiseWithResolvers<Result>>();
  readonly #listeners = new Map<string, (message: Message) => void>();
  #lastId = 0;

  private constructor(process: Deno.ChildProcess, socket: WebSocket, folder: string) {
    this.#process = process;
    this.#socket = socket;
    this.#folder = folder;
    socket.onmessage = ({ data }) => this.#take(JSON.parse(data));
    socket.onclose = () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("the browser has ended"));
    };
  }

  static async start(program: string): Promise<Browser> {
    const folder = await Deno.makeTempDir();
    const process = new Deno.Command(program, {
      args: [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--remote-debugging-port=0",
        `--user-data-dir=${folder}`,
        "about:blank",
      ],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const socket = new WebSocket(await readAddress(process.stderr));
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    return new Browser(process, socket, folder);
  }

  #take(message: Message): void {
    const { id, sessionId = "", result, error } = message;
    if (id === undefined) return this.#listeners.get(sessionId)?.(message);
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(error.message));
  }

  /** Sends a command of the protocol. */
  send(method: string, params: object = {}, sessionId?: string): Promise<Result> {
    const id = ++this.#lastId;
    const waiting = Promise.withResolvers<Result>();
    this.#waiting.set(id, waiting);
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }));
    return waiting.promise;
  }

  /** Opens a page that shares nothing with others. */
  async open(url: string, options: PageOptions = {}): Promise<Page> {
    const { width = 1180, height = 800, dark = false, touch = false, scale = 1 } = options;
    const { browserContextId } = await this.send("Target.createBrowserContext");
    const { targetId } = await this.send("Target.createTarget", {
      url: "about:blank",
      browserContextId,
    });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page((method, params) => this.send(method, params, sessionId));
    this.#listeners.set(sessionId, ({ method = "", params }) => page.take(method, params));
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await page.send(`${domain}.enable`);
    await page.send("Emulation.setDeviceMetricsOverride", {
      width,
      height,
      deviceScaleFactor: scale,
      mobile: touch,
    });
    await page.send("Emulation.setEmulatedMedia", {
      features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }],
    });
    await page.send("Emulation.setFocusEmulationEnabled", { enabled: true });
    if (touch) await page.send("Emulation.setTouchEmulationEnabled", { enabled: true });
    await page.send("Page.navigate", { url });
    return page;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.send("Browser.close").catch(() => {});
    await this.#process.status;
    await Deno.remove(this.#folder, { recursive: true }).catch(() => {});
  }
}

/** Where the browser listens, from what it says. */
export async function readAddress(
  stderr: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<string> {
  const reader = stderr.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the browser has ended: ${said}`);
    said += value;
    const [address] = /ws:\/\/\S+/.exec(said) ?? [];
    if (address === undefined) continue;
    void (async () => {
      while (!(await reader.read()).done);
    })();
    return address;
  }
}

/** A page in the browser. */
export class Page {
  /** Errors that the page has thrown, and what the browser has refused. */
  readonly problems: string[] = [];
  /** The addresses that the page has asked for. */
  readonly requests: string[] = [];
  /** Sends a command of the protocol. */
  readonly send: (method: string, params?: object) => Promise<Result>;

  constructor(send: Page["send"]) {
    this.send = send;
  }

  /** Takes an event of the protocol. */
  take(method: string, params: Result): void {
    if (method === "Runtime.exceptionThrown") {
      const { exception, text } = params.exceptionDetails;
      this.problems.push(exception?.description ?? text);
    } else if (method === "Log.entryAdded") {
      this.problems.push(`${params.entry.text} ${params.entry.url ?? ""}`);
    } else if (method === "Network.requestWillBeSent") this.requests.push(params.request.url);
  }

  /** The value of an expression, as JSON. */
  async eval<T = Result>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails === undefined) return result.value;
    throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  }

  /** Waits until an expression is true. */
  async until(expression: string): Promise<void> {
    const isTrue = () => this.eval<boolean>(`Boolean(${expression})`).catch(() => false);
    await poll(
      async () => await isTrue() || undefined,
      () => `${expression}; ${this.problems.join("; ")}`,
    );
  }

  /** Clicks the first element of a selector, when it is there. */
  async click(selector: string): Promise<void> {
    const element = `document.querySelector(${JSON.stringify(selector)})`;
    await this.until(element);
    await this.eval(`${element}.click()`);
  }

  /** Types into the element that has the focus. */
  async type(text: string): Promise<void> {
    await this.send("Input.insertText", { text });
  }

  /** Presses a key. @param modifiers 1: Alt, 2: Ctrl, 8: Shift. */
  async press(key: string, modifiers = 0): Promise<void> {
    const code = { key, code: key, windowsVirtualKeyCode: KEY_CODES[key], modifiers };
    const text = key === "Enter" && modifiers === 0 ? { text: "\r" } : {};
    await this.send("Input.dispatchKeyEvent", { type: "keyDown", ...code, ...text });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...code });
  }

  /** The page as PNG. */
  async picture(): Promise<Uint8Array<ArrayBuffer>> {
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    return Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
  }
}

export { DEADLINE_MS };
