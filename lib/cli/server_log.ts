/**
 * What the server says: lines for people, or one JSON object a line.
 *
 * @module
 */

import { describeError, reportError } from "./process.ts";
import { UsageError } from "../base/errors.ts";
import type { Host } from "./serve.ts";
import { REASON, WHY } from "../protocol/frames.ts";
import type { RelayEvent } from "../relay/relay.ts";
import { inviteTo } from "./server_address.ts";
import { isUtf8Locale } from "../ui/terminal/locale.ts";

/** How LEFT's why is said and written. */
const WHY_TEXTS: Readonly<Record<number, string>> = {
  [WHY.LEFT]: "left",
  [WHY.LOST]: "lost",
  [WHY.REPLACED]: "replaced",
  [WHY.REMOVED]: "removed",
};

/** Why a JOIN was refused, §5. */
const REFUSAL_TEXTS: Readonly<Record<number, string>> = {
  [REASON.PASSWORD]: "wrong password",
  [REASON.NOT_ALLOWED]: "not allowed",
  [REASON.FULL]: "full",
  [REASON.WEAK_KEY]: "key too weak",
};

/** How much is said. */
export interface LogOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** Shows the invitation as a QR code, too. */
  readonly qr?: boolean;
}

/** The server's standard output. */
export class ServerLog {
  readonly #options: LogOptions;
  #isFailing = false;

  constructor(options: LogOptions) {
    this.#options = options;
  }

  /** Says something in passing: to people only. */
  say(text: string): void {
    if (this.#options.json || this.#options.quiet) return;
    this.#print(text);
  }

  /** Says what went wrong while the server goes on. */
  error(error: unknown): void {
    try {
      reportError("server", error);
    } catch {
      // Standard error is on the same full disk: there is nowhere else to say it.
    }
  }

  /** Shows a password that was made, even where little is to be said: it is shown nowhere else, and kept in no file. */
  password(password: string): void {
    const line = `the password is: ${password}`;
    if (this.#options.json || !Deno.stdout.isTerminal()) console.error(line);
    else console.log(line);
  }

  /** The server is ready. */
  listening({ port, addresses, fingerprint }: Host, { locked }: { locked: boolean }): void {
    if (this.#options.json) return this.#write("listening", { port, addresses, fingerprint });
    this.say(`listening on port ${port}: ${addresses.join(", ")}`);
    this.say(`this server's key: ${fingerprint}`);
    this.say("on another computer type:");
    const password = locked ? " --password" : "";
    this.say(`    ${inviteTo(addresses[0]!, port)}${password}`);
    this.say("or, to be sure that it is this server and no other:");
    this.say(`    ${inviteTo(addresses[0]!, port, fingerprint)}${password}`);
  }

  /** Shows the line that makes sure once more, for a camera, where there is somebody to see it. */
  async picture({ port, addresses, fingerprint }: Host): Promise<void> {
    const { json, quiet, qr = false } = this.#options;
    const isShown = qr && !json && !quiet && Deno.stdout.isTerminal() &&
      isUtf8Locale((name) => Deno.env.get(name), Deno.build.os);
    if (!isShown) return;
    const { drawQr } = await import("../ui/terminal/qr.ts");
    const { columns } = Deno.consoleSize();
    const line = inviteTo(addresses[0]!, port, fingerprint);
    for (const row of await drawQr(line, { columns, color: "none" })) this.say(row);
  }

  /** Something happened in the relay. */
  event(event: RelayEvent): void {
    const { event: name, ...fields } = withTexts(event);
    if (this.#options.json) return this.#write(name, fields);
    if (event.event === "closed" && !this.#options.verbose) return;
    const why = fields.why ?? fields.reason ?? fields.cause;
    const notable = why !== undefined && why !== WHY_TEXTS[WHY.LEFT];
    this.say(
      `${new Date().toTimeString().slice(0, 8)} ${name} ${fields.fingerprint ?? "somebody"}` +
        (this.#options.verbose ? ` from ${fields.address}` : "") + (notable ? ` (${why})` : ""),
    );
  }

  /** The server ends in order. */
  stopping(): void {
    if (this.#options.json) this.#write("stopping", {});
    else this.say("stopping");
  }

  #write(event: string, fields: Readonly<Record<string, unknown>>): void {
    if (this.#options.quiet) return;
    this.#print(JSON.stringify({ time: new Date().toISOString(), event, ...fields }));
  }

  /** A disk that is full, most likely, costs the log and nobody their connection; it is told once. */
  #print(line: string): void {
    try {
      console.log(line);
      this.#isFailing = false;
    } catch (error) {
      if (this.#isFailing) return;
      this.#isFailing = true;
      this.error(new UsageError(`the log cannot be written: ${describeError(error)}`));
    }
  }
}

/** An event with words for its numbers. */
function withTexts(event: RelayEvent): { event: string } & Record<string, string | undefined> {
  switch (event.event) {
    case "left":
      return { ...event, why: WHY_TEXTS[event.why] };
    case "refused":
      return { ...event, reason: REFUSAL_TEXTS[event.reason] };
    default:
      return event;
  }
}
