/**
 * The server's log: what happens, on standard output as text or JSON, and errors on standard error.
 *
 * @module
 */

import { type Clock, systemClock } from "../base/clock.ts";
import { describeError, printDiagnostic, reportError, UsageError } from "../base/errors.ts";
import { isUtf8Locale } from "../base/locale.ts";
import { LineOutput } from "../base/output.ts";
import { WHY } from "../protocol/frames.ts";
import { REASON_TEXTS, WHY_TEXTS } from "../protocol/reasons.ts";
import { cleanLine } from "../base/text.ts";
import type { ClusterEvent } from "../cluster/cluster_options.ts";
import type { RelayEvent } from "../relay/mod.ts";
import { LineLimit } from "./line_limit.ts";
import type { RunningRelay } from "./serve.ts";
import type { Share } from "./share/share.ts";
import { inviteTo, isThisComputer } from "./server_address.ts";

interface LogOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** Show the invitation as a QR code, too. */
  readonly qr?: boolean;
}

/** What members do, whom the server has admitted: a full room may come at once. */
const OF_MEMBERS = { atOnce: 600, perSecond: 2 };
/** What anybody on the network may cause. */
const OF_STRANGERS = { atOnce: 20, perSecond: 0.5 };

/**
 * Writes what happens to standard output, as text or JSON, and errors to standard error; what is repeated too often is
 * summed up.
 */
export class ServerLog {
  readonly #options: LogOptions;
  readonly #output: LineOutput;
  readonly #limit: LineLimit;

  constructor(options: LogOptions, clock: Clock = systemClock) {
    this.#options = options;
    this.#limit = new LineLimit(clock);
    this.#output = new LineOutput(Deno.stdout, {
      ...(options.json && { describeGap: (lines: number) => toJson("omitted", { lines }) }),
      // Most likely the disk is full: that stops nothing.
      onFault: (error) =>
        this.error(new UsageError(`the log cannot be written: ${describeError(error)}`)),
    });
  }

  /** Text for people: not with `--json` or `--quiet`. */
  say(text: string): void {
    if (this.#options.json || this.#options.quiet) return;
    this.#output.writeLine(text);
  }

  /** An error that does not end the server. */
  error(error: unknown): void {
    reportError("server", error);
  }

  /** An error that may come again and again. */
  fault(error: UsageError): void {
    const sumUp = (count: number) =>
      this.error(new UsageError(`${count} more errors of this kind`));
    if (this.#limit.admits("fault", OF_STRANGERS, sumUp)) this.error(error);
  }

  /** What others on the network do to the announcement. */
  trouble(line: string): void {
    const sumUp = (count: number) => this.say(`… ${count} more lines about the announcement`);
    if (this.#limit.admits("trouble", OF_STRANGERS, sumUp)) this.say(line);
  }

  /**
   * Shows where the server can be reached and, last, what has to be passed on: the line that others type, and a
   * generated password, which is shown nowhere else and saved in no file: so even with `--quiet`.
   */
  async listening(
    { port, addresses, fingerprint }: RunningRelay,
    { locked, password, metrics, share }: {
      locked: boolean;
      password?: string | undefined;
      /** Where they are served, `host:port`. */
      metrics?: string | undefined;
      share?: Share | undefined;
    },
  ): Promise<void> {
    const address = addresses[0]!;
    const invitation = (key?: string) =>
      inviteTo(address, port, key) + (locked ? " --password" : "");
    if (this.#options.json) {
      const fields = { port, addresses, fingerprint };
      this.#write("listening", {
        ...fields,
        ...(metrics !== undefined && { metrics }),
        ...(share && { share: share.addressOn(address) }),
      });
    }
    this.say(`listening on port ${port}: ${addresses.join(", ")}`);
    this.say(`this server's key: ${fingerprint}`);
    if (metrics !== undefined) this.say(`metrics: http://${metrics}/metrics`);
    await this.#showQr(invitation(fingerprint));
    this.say(`on ${isThisComputer(address) ? "this" : "another"} computer, type:`);
    this.say(`    ${invitation()}`);
    this.say("or, to make sure that it is this server:");
    this.say(`    ${invitation(fingerprint)}`);
    if (share) {
      for (const line of share.lines(address, invitation(fingerprint))) this.say(line);
    }
    if (password !== undefined) this.#showPassword(`the password is: ${password}`);
  }

  /** Whoever reads the log must not learn it. */
  #showPassword(line: string): void {
    if (this.#options.json || !Deno.stdout.isTerminal()) printDiagnostic(line);
    else this.#output.writeLine(line);
  }

  /** Shows the invitation as a QR code with `--qr`, on a terminal. */
  async #showQr(line: string): Promise<void> {
    const { json, quiet, qr = false } = this.#options;
    const isShown = qr && !json && !quiet && Deno.stdout.isTerminal() &&
      isUtf8Locale((name) => Deno.env.get(name), Deno.build.os);
    if (!isShown) return;
    const { drawQr } = await import("../ui/terminal/qr.ts");
    const { columns } = Deno.consoleSize();
    for (const row of await drawQr(line, { columns, color: "none" })) this.say(row);
  }

  event(event: RelayEvent): void {
    const { json, quiet, verbose } = this.#options;
    if (quiet || event.event === "closed" && !json && !verbose) return;
    const { event: name, ...fields } = withTexts(event);
    if ("operator" in event) {
      if (json) return this.#write(name, fields);
      return this.say(`${timeOfDay()} ${describeOperation(event)}`);
    }
    const { fingerprint: _1, address: _2, ...why } = fields;
    const allowance = name === "joined" || name === "left" ? OF_MEMBERS : OF_STRANGERS;
    const sumUp = (lines: number) => {
      if (json) return this.#write("omitted", { lines, of: name, ...why });
      this.say(describeEvent(`… ${lines} more: ${name}`, why));
    };
    if (!this.#limit.admits([name, ...Object.values(why)].join(" "), allowance, sumUp)) return;
    if (json) return this.#write(name, fields);
    const from = verbose ? ` from ${fields.address}` : "";
    this.say(describeEvent(`${name} ${fields.fingerprint ?? "somebody"}${from}`, why));
  }

  /** What happens between the servers of a cluster. */
  cluster(event: ClusterEvent): void {
    const { event: what, ...fields } = event;
    const sumUp = (lines: number) => {
      if (this.#options.json) return this.#write("omitted", { lines, of: "cluster" });
      this.say(`${timeOfDay()} … ${lines} more: cluster`);
    };
    if (!this.#limit.admits(`cluster ${what}`, OF_STRANGERS, sumUp)) return;
    if (this.#options.json) return this.#write("cluster", { what, ...fields });
    this.say(`${timeOfDay()} ${describeCluster(event)}`);
  }

  /** A cluster in numbers, for programs alone. */
  clusterNumbers(numbers: Readonly<Record<string, number>>): void {
    if (this.#options.json) this.#write("cluster", { what: "numbers", ...numbers });
  }

  /** Something about NATS that may not be as intended. */
  clusterWarning(text: string): void {
    const sumUp = (count: number) => printDiagnostic(`server: … ${count} more warnings`);
    if (this.#limit.admits("cluster warning", OF_STRANGERS, sumUp)) {
      printDiagnostic(`server: warning: ${cleanLine(text)}`);
    }
  }

  stopping(): void {
    this.#limit.flush();
    if (this.#options.json) this.#write("stopping", {});
    else this.say("stopping");
  }

  #write(event: string, fields: Readonly<Record<string, unknown>>): void {
    if (this.#options.quiet) return;
    this.#output.writeLine(toJson(event, fields));
  }
}

function toJson(event: string, fields: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ time: new Date().toISOString(), event, ...fields });
}

function timeOfDay(): string {
  return new Date().toTimeString().slice(0, 8);
}

/** A line about an event, with the reason if it is not the usual one. */
function describeEvent(
  what: string,
  reasons: Readonly<Record<string, string | number | undefined>>,
): string {
  const why = Object.values(reasons).find((text) => text !== undefined);
  const notable = why !== undefined && why !== WHY_TEXTS[WHY.LEFT];
  return `${timeOfDay()} ${what}${notable ? ` (${why})` : ""}`;
}

/** Describes what an operator did, in a line of the log. */
function describeOperation(event: Extract<RelayEvent, { operator: string }>): string {
  const by = `by ${event.operator}`;
  switch (event.event) {
    case "kicked":
    case "unbanned":
      return `${event.event} ${event.fingerprint} ${by}`;
    case "banned":
      return `banned ${event.fingerprint} for ${event.seconds} s ${by}`;
    case "announced":
      return `announcement ${by}`;
    case "motd":
      return `message of the day ${by}`;
  }
}

/** Describes what happens between servers, in a line of the log. */
function describeCluster(event: ClusterEvent): string {
  switch (event.event) {
    case "relay-alive":
      return `the server ${cleanLine(event.relay)} is in the cluster`;
    case "relay-dead":
      return `the server ${cleanLine(event.relay)} is gone from the cluster`;
    case "bus-up":
      return "NATS is there";
    case "bus-down":
      return "NATS is away: members on other servers cannot be reached, and nobody can join for 20 s";
    case "fenced":
      return "the other servers took this one for dead: its clients have to join again";
    case "alone":
      return "NATS has been away for too long: this server goes on alone, and people can join it";
    case "rejoined":
      return "this server is one with the others again: people in rooms of several servers join again";
  }
}

/** Replaces the numbers of an event by words. */
function withTexts(
  event: RelayEvent,
): { event: string } & Readonly<Record<string, string | number | undefined>> {
  switch (event.event) {
    case "left":
      return { ...event, why: WHY_TEXTS[event.why] };
    case "refused":
      return { ...event, reason: REASON_TEXTS[event.reason] };
    default:
      return event;
  }
}
