/**
 * One transfer between two people, seen from either end: its way, its progress, and what the user is told of it.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import type { Timer } from "../../base/clock.ts";
import { formatIpv4, formatIpv6, isLoopback, isUnicast } from "../../base/ip.ts";
import { FILE_SECRET_BYTES, type FileMessage, type Where } from "../../protocol/file_messages.ts";
import type { Place } from "./direct.ts";
import type { TransferState } from "./file_events.ts";
import type { Failure } from "./jobs.ts";
import type { FileContext } from "./port.ts";

/** Progress is told once in this time. */
const TELL_MS = 1000;
/** The rate is that of about so long. */
const RATE_MS = 3000;
/** How long a transfer waits for somebody who is away, and for somebody who has left for good, §10. */
export const FILE_AWAY_MS = 24 * 3_600_000;
export const FILE_LEFT_MS = 3_600_000;
/** What comes before an IPv4 address in an IPv6 one. */
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

interface TransferOptions {
  readonly context: FileContext;
  readonly direction: "in" | "out";
  /** The other side, `SHA256:…`. */
  readonly person: string;
  readonly id: string;
  readonly number: number;
  readonly job: number;
  /** As the user sees it. */
  readonly name: string;
  /** In bytes; null if it is not known. */
  readonly size: number | null;
}

export class Transfer {
  readonly options: TransferOptions;
  /** The other side's program that takes part. */
  sid: string | undefined;
  /** Undefined before it was accepted, and after its end. */
  state: TransferState | undefined;
  #isEnded = false;
  #position = 0;
  #startedAt: number | undefined;
  #toldAt = -Infinity;
  #ownWhere: Where | undefined;
  #otherWhere: Where | undefined;
  /** Rises with each new beginning: what belongs to an earlier one counts no more. */
  #turn = 0;
  #away: Timer | undefined;
  #samples: { readonly at: number; readonly position: number }[] = [];

  constructor(options: TransferOptions) {
    this.options = options;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  get position(): number {
    return this.#position;
  }

  get turn(): number {
    return this.#turn;
  }

  /** Begins, or begins anew: what was agreed about a way is void. */
  restart(sid: string): number {
    this.sid = sid;
    this.state = undefined;
    this.#ownWhere = this.#otherWhere = undefined;
    this.#samples = [];
    this.#startedAt ??= this.options.context.clock.now();
    return ++this.#turn;
  }

  /** Says in the other side's channel where this one listens. */
  async tellWhere(): Promise<void> {
    const { context, id, job } = this.options;
    const addresses = context.addresses();
    const secret: Bytes = context.random(FILE_SECRET_BYTES);
    const turn = this.#turn;
    const port = addresses.length > 0 ? await context.jobs.listen(job, id, secret) : 0;
    if (turn !== this.#turn || this.#isEnded) return;
    this.#ownWhere = { type: "where", id, secret, port, addresses: port > 0 ? addresses : [] };
    this.send(this.#ownWhere);
  }

  /**
   * Nobody of the other side is here any more.
   *
   * @param isForGood It has said good-bye.
   * @param lost Called once it has been away for too long.
   */
  leave(isForGood: boolean, lost: () => void): void {
    this.comeBack();
    const { clock } = this.options.context;
    this.#away = clock.after(isForGood ? FILE_LEFT_MS : FILE_AWAY_MS, lost);
  }

  /** The other side is here. */
  comeBack(): void {
    this.options.context.clock.cancel(this.#away);
    this.#away = undefined;
  }

  /** The other side says where it listens. */
  takeWhere(where: Where): void {
    this.#otherWhere = where;
  }

  /** Whether both sides have said where they listen. */
  get isWayKnown(): boolean {
    return this.#ownWhere !== undefined && this.#otherWhere !== undefined;
  }

  /**
   * Makes a direct connection.
   *
   * @returns Whether there is one.
   */
  async connect(): Promise<boolean> {
    const [own, other] = [this.#ownWhere, this.#otherWhere];
    if (!own || !other || own.addresses.length === 0 || other.addresses.length === 0) return false;
    const { context, job } = this.options;
    const turn = this.#turn;
    const places = placesOf(other, own.addresses.some((it) => isLoopback(textOf(it))));
    const isDirect = await context.jobs.connect(job, other.secret, places);
    return isDirect && turn === this.#turn;
  }

  send(message: FileMessage): void {
    if (this.sid !== undefined) this.options.context.port.send(this.sid, message);
  }

  /** Sets the state, and tells the user if it is another one. */
  become(state: TransferState): void {
    if (this.#isEnded || this.state === state) return;
    this.state = state;
    this.#tell();
  }

  /** So much is written at the receiver. */
  progress(position: number): void {
    const { clock } = this.options.context;
    const now = clock.now();
    this.#position = position;
    this.#samples.push({ at: now, position });
    while (this.#samples.length > 2 && now - this.#samples[0]!.at > RATE_MS) this.#samples.shift();
    if (now - this.#toldAt >= TELL_MS) this.#tell();
  }

  /** Bytes a second. */
  get rate(): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || last.at <= first.at) return 0;
    return Math.max(0, Math.round((last.position - first.position) * 1000 / (last.at - first.at)));
  }

  #tell(): void {
    const { context, direction, person, id, number, name, size } = this.options;
    if (this.state === undefined) return;
    this.#toldAt = context.clock.now();
    context.emit({
      event: "transfer",
      number,
      id,
      direction,
      fingerprint: person,
      name,
      state: this.state,
      bytes: this.#position,
      size,
      rate: this.rate,
    });
  }

  /** It is complete. */
  finish(result: { path: string; position: number; skipped: number }): void {
    const { context, direction, person: fingerprint, id, number, name } = this.options;
    this.#end();
    const took = Math.round(context.clock.now() - (this.#startedAt ?? context.clock.now()));
    const { path, position: bytes, skipped } = result;
    const common = { number, id, fingerprint, name, bytes, took, skipped };
    context.emit(
      direction === "in"
        ? { event: "received", ...common, path }
        : { event: "sentfile", ...common },
    );
  }

  /** It ends without being complete, or pauses until the user does something. */
  fail({ code, text, missing }: Failure, { isEnd = true } = {}): void {
    const { context, direction, person: fingerprint, id, number, name } = this.options;
    if (isEnd) this.#end();
    else {
      this.state = "paused";
      this.#turn++;
    }
    const bytes = this.#position;
    context.emit({
      event: "transferfailed",
      number,
      id,
      fingerprint,
      direction,
      name,
      code,
      detail: text,
      missing,
      bytes,
    });
  }

  #end(): void {
    this.#isEnded = true;
    this.comeBack();
    this.#turn++;
    this.state = undefined;
  }
}

/** Nobody may have us connect to this computer itself, or to many others at once. */
function placesOf({ addresses, port }: Where, isLoopbackWanted: boolean): Place[] {
  return addresses.map(textOf).filter((it) =>
    isUnicast(it) && (isLoopbackWanted || !isLoopback(it))
  )
    .map((hostname) => ({ hostname, port }));
}

function textOf(address: Uint8Array): string {
  if (address.length === 4) return formatIpv4(address);
  const isMapped = MAPPED.every((byte, i) => address[i] === byte);
  return isMapped ? formatIpv4(address.subarray(MAPPED.length)) : formatIpv6(address);
}
