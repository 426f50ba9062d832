/**
 * A headless Firefox with one page, by WebDriver BiDi.
 *
 * @module
 */

import { findProgram, readAddress } from "./browser.ts";
import { poll } from "./program.ts";

const FIREFOXES = ["firefox-esr", "firefox"];

// deno-lint-ignore no-explicit-any -- what the protocol answers has hundreds of shapes
type Result = any;

/** Finds Firefox; undefined if it is not installed. */
export function findFirefox(): Promise<string | undefined> {
  return findProgram(FIREFOXES);
}

/** A running Firefox; disposing ends it. */
export class Firefox implements AsyncDisposable {
  /** Errors and warnings that the page has logged. */
  readonly problems: string[] = [];
  readonly #process: Deno.ChildProcess;
  readonly #socket: WebSocket;
  readonly #folder: string;
  readonly #waiting = new Map<number, PromiseWithResolvers<Result>>();
  #context = "";
  #lastId = 0;

  private constructor(process: Deno.ChildProcess, socket: WebSocket, folder: string) {
    this.#process = process;
    this.#socket = socket;
    this.#folder = folder;
    socket.onmessage = ({ data }) => {
      const { id, type, result, message, params } = JSON.parse(data);
      if (type === "event") return void this.problems.push(params.text);
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (type === "success") waiting?.resolve(result);
      else waiting?.reject(new Error(message));
    };
    socket.onclose = () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("Firefox has ended"));
    };
  }

  static async start(program: string): Promise<Firefox> {
    const folder = await Deno.makeTempDir();
    const process = new Deno.Command(program, {
      args: ["--headless", "--remote-debugging-port=0", "--profile", folder, "about:blank"],
      env: { HOME: folder, MOZ_DISABLE_CONTENT_SANDBOX: "1" },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const socket = new WebSocket(`${await readAddress(process.stderr)}/session`);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    const firefox = new Firefox(process, socket, folder);
    await firefox.send("session.new", { capabilities: {} });
    await firefox.send("session.subscribe", { events: ["log.entryAdded"] });
    // The window that it begins with never gets the focus.
    const { context } = await firefox.send("browsingContext.create", { type: "window" });
    firefox.#context = context;
    return firefox;
  }

  /** Sends a command of the protocol. */
  send(method: string, params: object): Promise<Result> {
    const id = ++this.#lastId;
    const waiting = Promise.withResolvers<Result>();
    this.#waiting.set(id, waiting);
    this.#socket.send(JSON.stringify({ id, method, params }));
    return waiting.promise;
  }

  async open(url: string): Promise<void> {
    await this.send("browsingContext.navigate", { context: this.#context, url, wait: "complete" });
  }

  /** The value of an expression, as JSON. */
  async eval<T = Result>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send("script.evaluate", {
      expression: `Promise.resolve(${expression}).then((value) => JSON.stringify(value) ?? "null")`,
      target: { context: this.#context },
      awaitPromise: true,
      userActivation: true,
    });
    if (exceptionDetails === undefined) return JSON.parse(result.value);
    throw new Error(exceptionDetails.text);
  }

  /** Waits until an expression is true. */
  async until(expression: string): Promise<void> {
    await poll(
      async () =>
        await this.eval<boolean>(`Boolean(${expression})`).catch(() => false) || undefined,
      () => `${expression}; ${this.problems.join("; ")}`,
    );
  }

  /** Presses keys, one after the other; `\uE007` is Enter, `\uE013` is the arrow up. */
  async type(text: string): Promise<void> {
    const actions = [...text].flatMap((value) => [
      { type: "keyDown", value },
      { type: "keyUp", value },
    ]);
    await this.send("input.performActions", {
      context: this.#context,
      actions: [{ type: "key", id: "keyboard", actions }],
    });
  }

  /** The page as PNG. */
  async picture(): Promise<Uint8Array<ArrayBuffer>> {
    const { data } = await this.send("browsingContext.captureScreenshot", {
      context: this.#context,
    });
    return Uint8Array.fromBase64(data);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.send("browser.close", {}).catch(() => {});
    await this.#process.status;
    await Deno.remove(this.#folder, { recursive: true }).catch(() => {});
  }
}
