/**
 * Files of one room in both directions: the door for user interfaces (PROTOCOL.md §15). Loaded when the first file is
 * offered.
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import type { FileMessage } from "../../protocol/file_messages.ts";
import { IncomingFiles, type Received } from "./incoming_files.ts";
import type { IncomingOffer } from "./incoming_offer.ts";
import type { Failure, JobReport } from "./jobs.ts";
import { OutgoingFiles } from "./outgoing_files.ts";
import type { OutgoingOffer } from "./outgoing_offer.ts";
import type { FileContext, FileMember } from "./port.ts";
import type { Offered } from "./source.ts";
import type { TransferState } from "./file_events.ts";

/** What of an offer must outlive this program. */
export interface StoredOffer {
  readonly id: string;
  readonly offered: Offered;
  /** Fingerprints of those who have accepted and do not have it yet. */
  readonly to: readonly string[];
}

/** A line of `/files`. */
export interface FileRow {
  readonly number: number;
  readonly direction: "in" | "out";
  /** `SHA256:…` */
  readonly person: string;
  readonly name: string;
  readonly size: number | null;
  readonly bytes: number;
  readonly rate: number;
  /** `asked`: it waits for somebody's answer. */
  readonly state: TransferState | "asked";
}

interface TransfersOptions extends FileContext {
  /** Where files are kept: an existing folder. */
  folder(): string;
  readonly strict: boolean;
  /** Accepts an offer without a question. */
  accepts?(offer: IncomingOffer): { executable: boolean } | undefined;
  /** What is complete, in earlier runs too. */
  readonly received: Received;
  /** Saves what must outlive this program. */
  save(offers: readonly StoredOffer[]): void;
}

/** All transfers of one room. */
export class Transfers {
  readonly #options: TransfersOptions;
  readonly #outgoing: OutgoingFiles;
  readonly #incoming: IncomingFiles;

  /** Offers of an earlier run, which the user may name once more. */
  readonly #restored = new WeakSet<OutgoingOffer>();

  constructor(options: TransfersOptions) {
    this.#options = options;
    this.#outgoing = new OutgoingFiles({ context: options, changed: () => this.#save() });
    this.#incoming = new IncomingFiles({
      context: options,
      folder: options.folder,
      strict: options.strict,
      received: options.received,
      accepts: (offer) => options.accepts?.(offer),
      isOurs: (id) => this.#outgoing.offers.some((offer) => offer.id === id),
    });
  }

  /** Offers again what an earlier run did not finish. */
  restore(offers: readonly StoredOffer[]): void {
    for (const { id, offered, to } of offers) {
      this.#restored.add(this.#outgoing.offer(offered, to, { toRoom: false, id }));
    }
  }

  /**
   * Offers a file or folder.
   *
   * @param path Absolute, or `-` for standard input.
   * @param options.to A fingerprint; undefined for everybody who is here.
   * @param options.ref Repeated in the `offered` event.
   * @param options.name By default the last component of the path; 1 to 255 bytes.
   * @throws {UsageError} It cannot be offered, or nobody could take it.
   */
  async offer(
    path: string,
    { to, ref, name }: { to: string | undefined; ref?: string | undefined; name?: string },
  ): Promise<void> {
    const { jobs, port, emit } = this.#options;
    const described = await jobs.describe(path);
    if ("failure" in described) throw new UsageError(`${path}: ${textOf(described.failure)}`);
    const { leftOut } = described;
    const offered = name === undefined ? described.offered : { ...described.offered, name };
    const people = to === undefined ? port.people() : [to];
    if (people.length === 0) throw new UsageError("nobody here can take files");
    const stored = to === undefined ? undefined : this.#find(offered, to);
    if (stored !== undefined && !this.#restored.delete(stored)) {
      throw new UsageError(`${offered.name} is on its way already`);
    }
    const { id, number } = stored ??
      this.#outgoing.offer(offered, people, { toRoom: to === undefined });
    emit({
      event: "offered",
      number,
      id,
      ref,
      name: offered.name,
      size: offered.size,
      files: offered.entries,
      to: people,
      room: to === undefined,
      leftOut,
    });
  }

  #find({ path, size, mtime, listing }: Offered, to: string): OutgoingOffer | undefined {
    return this.#outgoing.offers.find(({ offered, transfers }) =>
      offered.path === path && offered.size === size && offered.mtime === mtime &&
      offered.listing === listing && transfers.has(to) && !transfers.get(to)!.transfer.isEnded
    );
  }

  /**
   * Accepts an offer.
   *
   * @param number The newest one that waits, by default.
   * @throws {UsageError} There is none, or it may not be accepted.
   */
  accept(
    number: number | undefined,
    options: { as?: string | undefined; executable: boolean },
  ): void {
    this.#incoming.accept(this.#asked(number), options);
  }

  /** Declines an offer, as {@linkcode accept} accepts one. */
  decline(number: number | undefined): void {
    this.#incoming.decline(this.#asked(number));
  }

  #asked(number: number | undefined): IncomingOffer {
    const asked = this.#incoming.offers.filter(({ state }) => state === "asked");
    const offer = number === undefined ? asked.at(-1) : asked.find((it) => it.number === number);
    if (offer !== undefined) return offer;
    throw new UsageError(
      number === undefined ? "nothing is offered to you" : `no offer ${number} waits for an answer`,
      ["/files lists what is offered"],
    );
  }

  /**
   * Ends a transfer, or an offer of ours.
   *
   * @throws {UsageError} There is none with that number.
   */
  cancel(number: number): void {
    const outgoing = this.#outgoing.offers.find((offer) => offer.number === number);
    if (outgoing !== undefined) return this.#outgoing.cancel(outgoing);
    const incoming = this.#incoming.offers.find((offer) => offer.number === number);
    if (incoming === undefined) {
      throw new UsageError(`there is no transfer ${number}`, ["/files lists them"]);
    }
    this.#incoming.cancel(incoming);
  }

  /** The number of an offer with an id, of ours or to us. */
  numberOf(id: string): number | undefined {
    return this.#outgoing.offers.find((offer) => offer.id === id)?.number ??
      this.#incoming.offers.find(({ offer }) => offer.id === id)?.number;
  }

  /** All that is not over, by number. */
  rows(): FileRow[] {
    const out = this.#outgoing.offers.flatMap(({ transfers }) =>
      Array.from(transfers.values(), ({ transfer }) => transfer)
    );
    const incoming = this.#incoming.offers.map(({ transfer }) => transfer);
    return [...out, ...incoming].filter(({ isEnded }) => !isEnded).map((transfer): FileRow => {
      const { number, direction, person, name, size } = transfer.options;
      const { position: bytes, rate, state = "asked" } = transfer;
      return { number, direction, person, name, size, bytes, rate, state };
    }).sort((a, b) => a.number - b.number);
  }

  #save(): void {
    this.#options.save(this.#outgoing.offers.flatMap(({ id, offered, transfers }) => {
      const to = Array.from(transfers).flatMap(([person, { isAccepted, transfer }]) =>
        isAccepted && !transfer.isEnded ? [person] : []
      );
      return to.length > 0 && offered.size !== null ? [{ id, offered, to }] : [];
    }));
  }

  // What the room says.

  ready(member: FileMember): void {
    this.#outgoing.ready(member);
  }

  drained(): void {
    this.#outgoing.pump();
  }

  /** @param isForGood It has said good-bye, or an operator has removed it. */
  left(member: FileMember, { isForGood } = { isForGood: false }): void {
    this.#outgoing.left(member, isForGood);
    this.#incoming.left(member, isForGood);
  }

  take(member: FileMember, message: FileMessage): void {
    switch (message.type) {
      case "offer":
        return this.#incoming.offer(member, message);
      case "answer":
        return this.#outgoing.answer(member, message);
      case "where":
        this.#outgoing.where(member, message);
        return this.#incoming.where(member, message);
      case "piece":
        this.#outgoing.piece(member, message);
        return this.#incoming.piece(member, message);
    }
  }

  /** Takes what a job tells. @returns Whether it is one of this room. */
  report(job: number, report: JobReport): boolean {
    return this.#outgoing.report(job, report) || this.#incoming.report(job, report);
  }
}

function textOf({ code, text }: Failure): string {
  return text === "" ? code : text;
}
