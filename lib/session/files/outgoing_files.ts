/**
 * What we offer, and to whom it goes (PROTOCOL.md §15).
 *
 * @module
 */

import { encodeHex } from "../../base/bytes.ts";
import {
  FILE_ID_BYTES,
  type FileAnswer,
  MAX_PIECE_BYTES,
  type Offer,
  type Piece,
  type Where,
} from "../../protocol/file_messages.ts";
import { FILE_DIAL_MS } from "./direct.ts";
import type { Failure, JobReport } from "./jobs.ts";
import {
  makeOffer,
  makeWithdrawal,
  type OutgoingOffer,
  type OutTransfer,
} from "./outgoing_offer.ts";
import { PieceFeed } from "./piece_feed.ts";
import { decodePiece, type FileContext, type FileMember } from "./port.ts";
import type { Have } from "./sink.ts";
import type { Offered } from "./source.ts";
import { Transfer } from "./transfer.ts";
import { Turns } from "./turns.ts";
import { FileWindow } from "./window.ts";

/** Transfers that go out at once; the others wait, §10. */
export const MAX_OUT = 4;
/** PIECEs that are made before the event loop gets a turn. */
const PIECES_PER_TURN = 4;
/** Frames that are asked for at once, when fewer than half as many wait: an answer of the Worker takes a while. */
const PULLED_FRAMES = 16;
/** How soon to look again whether PIECEs may be sent. */
const LOOK_AGAIN_MS = 5;
/** After a break: when an offer is told again, at first and at most. */
const FIRST_TELL_MS = 2000;
const MAX_TELL_MS = 30_000;

interface OutgoingOptions {
  readonly context: FileContext;
  /** An offer was accepted for the first time, or has ended: what must outlive this program has changed. */
  changed(): void;
}

export class OutgoingFiles {
  readonly #options: OutgoingOptions;
  readonly #offers = new Map<string, OutgoingOffer>();
  readonly #byJob = new Map<number, OutTransfer>();
  readonly #window = new FileWindow();
  readonly #turns: Turns<OutTransfer>;
  #isLookingAgain = false;

  constructor(options: OutgoingOptions) {
    this.#options = options;
    this.#turns = new Turns({
      clock: options.context.clock,
      limit: MAX_OUT,
      all: () => this.#byJob.values(),
      isWaiting: ({ next, isStarting }) => next !== undefined && !isStarting,
      begin: (out) => {
        const { next } = out;
        out.next = undefined;
        void this.#run(out, next!);
      },
    });
  }

  /** Those that stand. */
  get offers(): readonly OutgoingOffer[] {
    return Array.from(this.#offers.values());
  }

  /**
   * Offers something.
   *
   * @param to Fingerprints.
   * @param options.id That of an earlier run.
   */
  offer(
    offered: Offered,
    to: readonly string[],
    { toRoom, id }: { toRoom: boolean; id?: string | undefined },
  ): OutgoingOffer {
    const { context } = this.#options;
    const offer: OutgoingOffer = {
      id: id ?? encodeHex(context.random(FILE_ID_BYTES)),
      number: context.nextNumber(),
      offered,
      toRoom,
      transfers: new Map(),
    };
    this.#offers.set(offer.id, offer);
    for (const person of to) {
      const job = context.nextJob();
      const transfer = new Transfer({
        context,
        direction: "out",
        person,
        id: offer.id,
        number: offer.number,
        job,
        name: offered.name,
        size: offered.size,
      });
      const out: OutTransfer = {
        transfer,
        offer,
        isAccepted: id !== undefined,
        isFull: false,
        next: undefined,
        isRunning: false,
        movedAt: undefined,
        isStarting: false,
        isRelayed: false,
        isPulling: false,
        ready: [],
        feed: new PieceFeed((frames) => context.jobs.take(job, frames)),
      };
      offer.transfers.set(person, out);
      this.#byJob.set(job, out);
      if (!this.#isHere(out)) this.#lose(out, false);
    }
    for (const member of context.port.members()) this.ready(member);
    return offer;
  }

  /** A channel of a member is live: tells again what stands for that person. */
  ready(member: FileMember): void {
    for (const offer of this.#offers.values()) {
      const out = offer.transfers.get(member.person);
      if (out === undefined || out.transfer.isEnded) continue;
      out.transfer.comeBack();
      this.#send(member.sid, makeOffer(offer));
    }
  }

  #send(sid: string, message: Offer): void {
    this.#options.context.port.send(sid, message);
  }

  /** A member has left: what went to it, but for a direct connection, waits for its return. */
  left(member: FileMember, isForGood: boolean): void {
    for (const out of this.#byJob.values()) {
      const { transfer } = out;
      if (transfer.options.person === member.person && !this.#isHere(out)) {
        this.#lose(out, isForGood);
      }
      if (transfer.sid !== member.sid || transfer.state === "direct") continue;
      out.next = undefined;
      this.#stopRunning(out);
      if (out.isAccepted) transfer.become("paused");
    }
    this.#turns.beginNext();
  }

  #isHere({ transfer: { options } }: OutTransfer): boolean {
    return options.context.port.members().some(({ person }) => person === options.person);
  }

  #lose(out: OutTransfer, isForGood: boolean): void {
    out.transfer.leave(isForGood, () => {
      if (out.isRunning) this.#lose(out, isForGood); // over a direct connection
      else this.#end(out, { code: "lost", text: "" });
    });
  }

  answer(member: FileMember, { id, answer, have, hash }: FileAnswer): void {
    const out = this.#offers.get(id)?.transfers.get(member.person);
    if (out === undefined || out.transfer.isEnded) return;
    const { transfer } = out;
    const isOther = transfer.sid !== undefined && transfer.sid !== member.sid;
    switch (answer) {
      case "accepted":
      case "paused":
        if (isOther && this.#isMember(transfer.sid)) return this.#withdraw(member.sid, out.offer);
        return this.#accepted(out, member, answer === "accepted" ? { have, hash } : undefined);
      case "declined":
        // Another program of that person may still say yes, and has the last word.
        return isOther ? undefined : this.#end(out, { code: "declined", text: "" });
      case "busy":
      case "name":
        return isOther ? undefined : this.#end(out, { code: answer, text: "" });
      case "disk-full":
        return this.#pause(out, { code: "disk-full", text: "" });
    }
  }

  #stopped(out: OutTransfer, failure: Failure): void {
    if (failure.code === "disk-full") this.#pause(out, failure);
    else this.#end(out, failure);
  }

  /** The receiver may accept it once more. */
  #pause(out: OutTransfer, failure: Failure): void {
    this.#stopRunning(out);
    out.next = undefined;
    if (out.isFull) return;
    out.isFull = true;
    out.transfer.fail(failure, { isEnd: false });
    this.#turns.beginNext();
  }

  #isMember(sid: string | undefined): boolean {
    return this.#options.context.port.members().some((member) => member.sid === sid);
  }

  #withdraw(sid: string, offer: OutgoingOffer): void {
    this.#send(sid, makeWithdrawal(offer));
  }

  /** @param have What is there; undefined while other transfers come first at the receiver. */
  #accepted(out: OutTransfer, member: FileMember, have: Have | undefined): void {
    const isFirst = !out.isAccepted;
    this.#stopRunning(out);
    out.isAccepted = true;
    out.isFull = false;
    out.next = have;
    out.transfer.restart(member.sid);
    if (isFirst) this.#options.changed();
    for (const { sid, person } of this.#options.context.port.members()) {
      if (person === member.person && sid !== member.sid) this.#withdraw(sid, out.offer);
    }
    this.#turns.beginNext();
    if (!out.isRunning) out.transfer.become("waiting");
  }

  async #run(out: OutTransfer, have: Have): Promise<void> {
    const { transfer, offer } = out;
    const { jobs, clock } = this.#options.context;
    const { job } = transfer.options;
    const { turn } = transfer;
    transfer.become("checking");
    out.isStarting = true;
    await jobs.send(job, offer.offered, have);
    out.isStarting = false;
    out.movedAt ??= clock.now();
    if (turn !== transfer.turn) return this.#turns.beginNext();
    await transfer.tellWhere();
    // A receiver that never says where it listens is reached through the relay.
    clock.after(FILE_DIAL_MS, () => {
      if (turn === transfer.turn && transfer.state === "checking" && !transfer.isWayKnown) {
        this.#relay(out);
      }
    });
    if (transfer.isWayKnown) await this.#chooseWay(out);
  }

  where(member: FileMember, where: Where): void {
    const out = this.#offers.get(where.id)?.transfers.get(member.person);
    if (out === undefined || out.transfer.sid !== member.sid) return;
    const wasKnown = out.transfer.isWayKnown;
    out.transfer.takeWhere(where);
    if (!wasKnown && out.isRunning && out.transfer.isWayKnown) void this.#chooseWay(out);
  }

  async #chooseWay(out: OutTransfer): Promise<void> {
    const { turn } = out.transfer;
    const isDirect = await out.transfer.connect();
    if (turn !== out.transfer.turn || out.transfer.isEnded || out.isRelayed) return;
    if (isDirect) out.transfer.become("direct");
    else this.#relay(out);
  }

  #relay(out: OutTransfer): void {
    const { transfer } = out;
    out.isRelayed = true;
    out.isPulling = false;
    out.ready = [];
    this.#window.begin(transfer.options.job, transfer.position);
    transfer.become("relayed");
    this.pump();
  }

  /** Sends frames through the relay, each transfer's in turn, while there is room for them, and asks for more. */
  pump(): void {
    const { jobs } = this.#options.context;
    for (const out of this.#byJob.values()) {
      if (!out.isRelayed) continue;
      this.#sendReady(out);
      if (out.isPulling || out.ready.length >= PULLED_FRAMES / 2) continue;
      out.isPulling = true;
      void jobs.pull(out.transfer.options.job, PULLED_FRAMES);
    }
  }

  #sendReady({ transfer, ready }: OutTransfer): void {
    const { port, clock } = this.#options.context;
    const { id, job } = transfer.options;
    if (ready.length > 0 && !port.isIdle()) return this.#lookAgain();
    for (let sent = 0; ready.length > 0 && sent < PIECES_PER_TURN; sent++) {
      if (this.#window.roomFor(job) < MAX_PIECE_BYTES) return; // the next GOT makes room
      const { frame, position } = ready.shift()!;
      transfer.send({ type: "piece", id, frame });
      this.#window.sent(job, position, clock.now());
    }
    if (ready.length > 0) this.#lookAgain();
  }

  #lookAgain(): void {
    if (this.#isLookingAgain) return;
    this.#isLookingAgain = true;
    this.#options.context.clock.after(LOOK_AGAIN_MS, () => {
      this.#isLookingAgain = false;
      this.pump();
    });
  }

  piece(member: FileMember, { id, frame }: Piece): void {
    const out = this.#offers.get(id)?.transfers.get(member.person);
    if (out === undefined) return;
    const { context } = this.#options;
    const { job } = out.transfer.options;
    const decoded = decodePiece(frame);
    // A receiver that finished just before a cut says so again, perhaps as another member.
    const isUnderWay = out.isRunning && out.transfer.state !== "checking";
    if (decoded?.type === "kept" && out.isAccepted && !isUnderWay) return this.#finish(out);
    if (out.transfer.sid !== member.sid) return;
    if (decoded?.type === "stop") { // at once: an answer may come next
      void context.jobs.drop(job);
      return this.#stopped(out, { code: decoded.code, text: "" });
    }
    if (!out.isRunning || decoded?.type === "alive") return;
    if (decoded?.type === "got") {
      this.#window.got(job, decoded.total, context.clock.now());
      this.pump();
    }
    const isFit = decoded?.type === "got" || decoded?.type === "kept";
    if (isFit && out.feed.add(decoded)) return;
    void context.jobs.stop(job, { code: "protocol", text: "" }, false);
  }

  /** Takes what a job tells. @returns Whether it is one of ours. */
  report(job: number, report: JobReport): boolean {
    const out = this.#byJob.get(job);
    if (out === undefined) return false;
    const { transfer } = out;
    switch (report.type) {
      case "progress":
        if (report.position > transfer.position) out.movedAt = this.#options.context.clock.now();
        transfer.progress(report.position);
        break;
      case "pieces":
        for (const frame of report.frames) {
          transfer.send({ type: "piece", id: transfer.options.id, frame });
        }
        break;
      case "pulled":
        this.#pulled(out, report);
        break;
      case "broken":
        this.#stopRunning(out);
        transfer.become(this.#isHere(out) ? "checking" : "paused");
        this.#tellAgain(out, FIRST_TELL_MS);
        this.#turns.beginNext();
        break;
      case "done":
        transfer.progress(report.position);
        transfer.finish(report);
        this.#ended(out);
        break;
      case "stopped":
        this.#stopped(out, report.failure);
    }
    return true;
  }

  /** The receiver notices a break, too, and says what it has; unless it has everything, and we have not heard that. */
  #tellAgain(out: OutTransfer, delay: number): void {
    const { clock, port } = this.#options.context;
    const { transfer, offer } = out;
    const { turn } = transfer;
    clock.after(delay, () => {
      if (turn !== transfer.turn || transfer.isEnded || out.isRunning) return;
      const isKnown = this.#isMember(transfer.sid);
      for (const { sid, person } of port.members()) {
        const isMeant = isKnown ? sid === transfer.sid : person === transfer.options.person;
        if (isMeant) this.#send(sid, makeOffer(offer));
      }
      this.#tellAgain(out, Math.min(MAX_TELL_MS, 2 * delay));
    });
  }

  #finish(out: OutTransfer): void {
    out.transfer.finish({
      path: "",
      position: out.offer.offered.size ?? out.transfer.position,
      skipped: 0,
    });
    this.#ended(out);
  }

  #pulled(
    out: OutTransfer,
    { frames, positions }: Extract<JobReport, { type: "pulled" }>,
  ): void {
    if (!out.isRelayed) return; // of an earlier way
    for (const [i, frame] of frames.entries()) out.ready.push({ frame, position: positions[i]! });
    // Without frames the job has read everything, and waits for the receiver.
    if (frames.length > 0) out.isPulling = false;
    this.pump();
  }

  /** Ends all transfers of an offer, or that to one person. */
  cancel(offer: OutgoingOffer): void {
    const { context } = this.#options;
    for (const [person, out] of offer.transfers) {
      if (out.transfer.isEnded) continue;
      if (out.isRunning) {
        void context.jobs.stop(out.transfer.options.job, { code: "cancelled", text: "" }, false);
        continue;
      }
      for (const member of context.port.members()) {
        if (member.person === person) this.#withdraw(member.sid, offer);
      }
      this.#end(out, { code: "cancelled", text: "" });
    }
  }

  #end(out: OutTransfer, failure: Failure): void {
    if (out.transfer.isEnded) return;
    out.transfer.fail(failure);
    this.#ended(out);
  }

  #ended(out: OutTransfer): void {
    const { offer, transfer } = out;
    this.#stopRunning(out);
    this.#byJob.delete(transfer.options.job);
    const isOver = Array.from(offer.transfers.values()).every(({ transfer }) => transfer.isEnded);
    if (isOver) this.#offers.delete(offer.id);
    this.#options.changed();
    this.#turns.beginNext();
  }

  #stopRunning(out: OutTransfer): void {
    const { job } = out.transfer.options;
    this.#window.end(job);
    out.isRelayed = out.isPulling = false;
    out.ready = [];
    this.pump(); // others have its part of the window now
    if (!out.isRunning) return;
    out.isRunning = false;
    out.transfer.restart(out.transfer.sid!); // what is still being asked of the Worker is void
    void this.#options.context.jobs.drop(job);
  }
}
