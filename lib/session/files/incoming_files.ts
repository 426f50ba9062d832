/**
 * What others offer us, and what of it comes (PROTOCOL.md §15).
 *
 * @module
 */

import { basename, dirname } from "node:path";
import { encodeUtf8 } from "../../base/bytes.ts";
import { UsageError } from "../../base/errors.ts";
import { encodeFileFrame } from "../../protocol/file_frames.ts";
import type { AnswerCode, Offer, Piece, Where } from "../../protocol/file_messages.ts";
import type { JobReport } from "./jobs.ts";
import { keptName } from "./name.ts";
import { headOf, type IncomingOffer } from "./incoming_offer.ts";
import { PieceFeed } from "./piece_feed.ts";
import { decodePiece, type FileContext, type FileMember } from "./port.ts";
import { NOTHING } from "./sink.ts";
import { Transfer } from "./transfer.ts";
import { Turns } from "./turns.ts";

/** Offers that wait for an answer: of one person, and of all, §10. */
export const MAX_OFFERS_OF_ONE = 16;
export const MAX_OFFERS = 64;
/** Offers that wait or come in; only who accepts without a question comes near. */
const MAX_STANDING = 1024;
/** Transfers that come in at once; the others wait, §10. */
export const MAX_IN = 4;
/** Offers that are remembered after their end, so that one that is told again is not shown again. */
const MAX_ENDED = 256;
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 30_000;

/** Offers that are complete, by who made them and id. */
export interface Received {
  has(person: string, id: string): boolean;
  add(person: string, id: string): void;
}

interface IncomingOptions {
  readonly context: FileContext;
  /** Where files are kept: an existing folder. */
  folder(): string;
  /** Takes only what verified people send. */
  readonly strict: boolean;
  /** Accepts an offer without a question. */
  accepts(offer: IncomingOffer): { executable: boolean } | undefined;
  /** Whether an id is one of our own offers. */
  isOurs(id: string): boolean;
  /** What is complete, in earlier runs too. */
  readonly received: Received;
}

export class IncomingFiles {
  readonly #options: IncomingOptions;
  /** By person and id. */
  readonly #offers = new Map<string, IncomingOffer>();
  readonly #byJob = new Map<number, IncomingOffer>();
  readonly #turns: Turns<IncomingOffer>;

  constructor(options: IncomingOptions) {
    this.#options = options;
    this.#turns = new Turns({
      clock: options.context.clock,
      limit: MAX_IN,
      all: () => this.#byJob.values(),
      isWaiting: ({ state, transfer }) => state === "accepted" && transfer.state !== "paused",
      begin: (incoming) => void this.#run(incoming),
    });
  }

  /** Those that wait for an answer, or come in. */
  get offers(): readonly IncomingOffer[] {
    return Array.from(this.#offers.values()).filter(({ state }) => state !== "ended");
  }

  offer(member: FileMember, offer: Offer): void {
    const known = this.#offers.get(keyOf(member.person, offer.id));
    if (offer.entries === 0) return known && this.#withdrawn(known, member);
    if (known !== undefined) return this.#toldAgain(known, member);
    if (this.#options.received.has(member.person, offer.id)) return this.#sayKept(member, offer);
    if (this.#isTaken(offer.id)) return this.#reply(member.sid, offer, "declined");
    if (this.#isTooMany(member.person)) return this.#reply(member.sid, offer, "busy");
    const incoming = this.#add(member, offer);
    if (incoming.name === "") {
      this.#reply(member.sid, offer, "name");
      return this.#end(incoming, "name", { code: "name", text: "" });
    }
    void this.#ask(incoming, member);
  }

  /** An id names one offer: whoever uses that of somebody else has seen it there. */
  #isTaken(id: string): boolean {
    return this.#options.isOurs(id) || this.offers.some(({ offer }) => offer.id === id);
  }

  #isTooMany(person: string): boolean {
    const { offers } = this;
    const asked = Array.from(this.#offers.values())
      .filter(({ state, isSought }) => state === "asked" || isSought);
    const ofOne = asked.filter((offer) => offer.person === person);
    return asked.length >= MAX_OFFERS || ofOne.length >= MAX_OFFERS_OF_ONE ||
      offers.length >= MAX_STANDING;
  }

  #add({ person, sid }: FileMember, offer: Offer): IncomingOffer {
    const { context } = this.#options;
    const job = context.nextJob();
    const name = keptName(offer.name) ?? "";
    const transfer = new Transfer({
      context,
      direction: "in",
      person,
      id: offer.id,
      number: context.nextNumber(),
      job,
      name,
      size: offer.size ?? null,
    });
    transfer.sid = sid;
    const incoming: IncomingOffer = {
      person,
      number: transfer.options.number,
      offer,
      name,
      transfer,
      state: "asked",
      isSought: false,
      look: undefined,
      folder: this.#options.folder(),
      executable: false,
      isRunning: false,
      movedAt: undefined,
      feed: this.#makeFeed(transfer),
      retryMs: FIRST_RETRY_MS,
      end: undefined,
    };
    this.#offers.set(keyOf(person, offer.id), incoming);
    this.#byJob.set(job, incoming);
    return incoming;
  }

  /** Goes on without a question with what was accepted in an earlier run; else asks. */
  async #ask(incoming: IncomingOffer, member: FileMember): Promise<void> {
    const { context, accepts } = this.#options;
    incoming.isSought = true;
    const part = await context.jobs.find(incoming.folder, headOf(incoming));
    incoming.isSought = false;
    if (incoming.state !== "asked") return;
    const isGoingOn = part !== undefined && this.#refusal(incoming) === undefined;
    if (isGoingOn) incoming.name = part.name; // the user may have wanted another one
    const accepted = isGoingOn ? { executable: part.executable } : accepts(incoming);
    if (accepted !== undefined && this.#refusal(incoming) === undefined) {
      return this.#accept(incoming, accepted);
    }
    const { offer, name, number } = incoming;
    context.emit({
      event: "offer",
      number,
      id: offer.id,
      nick: context.port.nick(member.person),
      fingerprint: member.person,
      trust: context.port.trust(member.person),
      room: offer.toRoom,
      private: !offer.toRoom,
      kind: offer.kind,
      name,
      size: offer.size ?? null,
      files: offer.entries,
      executable: offer.executable,
    });
  }

  /** Why it may not be accepted. */
  #refusal({ person }: IncomingOffer): UsageError | undefined {
    const { context: { port }, strict } = this.#options;
    const trust = port.trust(person);
    const nick = port.nick(person);
    if (trust === "conflict") {
      return new UsageError(`${nick} has another key than before: nothing of theirs is accepted`, [
        `/verify ${nick} compares, /trust ${nick} accepts the key`,
      ]);
    }
    if (strict && trust !== "verified") {
      return new UsageError(`with --strict only verified people may send files`, [
        `/verify ${nick} compares your keys`,
      ]);
    }
    return undefined;
  }

  /**
   * The user wants it.
   *
   * @param as Another name to keep it under.
   * @throws {UsageError} It may not be accepted.
   */
  accept(
    incoming: IncomingOffer,
    { as, executable }: { as?: string | undefined; executable: boolean },
  ): void {
    const refusal = this.#refusal(incoming);
    if (refusal !== undefined) throw refusal;
    if (as !== undefined) {
      const name = keptName(encodeUtf8(as));
      if (name === undefined) throw new UsageError(`it cannot be kept as ${as}`);
      incoming.name = name;
    }
    this.#accept(incoming, { executable });
  }

  #accept(incoming: IncomingOffer, { executable }: { executable: boolean }): void {
    const { offer } = incoming;
    incoming.state = "accepted";
    incoming.executable = executable && (offer.kind === "folder" || offer.executable);
    incoming.transfer.restart(incoming.transfer.sid!);
    if (!this.#isHere(incoming)) return incoming.transfer.become("paused");
    this.#start(incoming);
  }

  /** Starts it, or says that it waits for its turn. */
  #start(incoming: IncomingOffer): void {
    this.#turns.beginNext();
    if (incoming.isRunning) return;
    incoming.transfer.become("waiting");
    this.#reply(incoming.transfer.sid!, incoming.offer, "paused");
  }

  /** Looks for what is there, says so, and where we listen. */
  async #run(incoming: IncomingOffer): Promise<void> {
    const { context } = this.#options;
    const { transfer, offer, folder } = incoming;
    transfer.restart(transfer.sid!);
    transfer.become("checking");
    incoming.feed = this.#makeFeed(transfer);
    const order = { folder, head: headOf(incoming), entries: offer.entries };
    const look = incoming.look = {};
    const have = await context.jobs.receive(transfer.options.job, order);
    if (incoming.look !== look) return; // another one has begun
    incoming.look = undefined;
    incoming.movedAt ??= context.clock.now();
    if (have === undefined || !incoming.isRunning) return;
    const { turn } = transfer;
    transfer.progress(have.have);
    transfer.send({ type: "answer", id: offer.id, answer: "accepted", ...have });
    await transfer.tellWhere();
    if (turn === transfer.turn && transfer.isWayKnown) await this.#connect(incoming);
  }

  #makeFeed({ options: { job } }: Transfer): PieceFeed {
    return new PieceFeed((frames) => this.#options.context.jobs.take(job, frames));
  }

  where(member: FileMember, where: Where): void {
    const incoming = this.#offers.get(keyOf(member.person, where.id));
    if (incoming === undefined || incoming.transfer.sid !== member.sid) return;
    const wasKnown = incoming.transfer.isWayKnown;
    incoming.transfer.takeWhere(where);
    if (!wasKnown && incoming.isRunning && incoming.transfer.isWayKnown) {
      void this.#connect(incoming);
    }
  }

  async #connect({ transfer }: IncomingOffer): Promise<void> {
    const { turn } = transfer;
    const isDirect = await transfer.connect();
    if (isDirect && turn === transfer.turn && !transfer.isEnded) transfer.become("direct");
  }

  piece(member: FileMember, { id, frame }: Piece): void {
    const incoming = this.#offers.get(keyOf(member.person, id));
    if (incoming === undefined || !incoming.isRunning || incoming.transfer.sid !== member.sid) {
      return;
    }
    const { jobs } = this.#options.context;
    const { job } = incoming.transfer.options;
    const decoded = decodePiece(frame);
    if (decoded === undefined) return void jobs.stop(job, { code: "protocol", text: "" }, false);
    if (decoded.type === "go") incoming.transfer.become("relayed");
    if (!incoming.feed.add(decoded)) {
      void jobs.stop(job, { code: "protocol", text: "" }, false);
    }
  }

  /** The sender says again what stands: after a new channel, or a restart of theirs. */
  #toldAgain(incoming: IncomingOffer, member: FileMember): void {
    const { transfer } = incoming;
    if (incoming.state === "ended") return this.#answerEnded(incoming, member);
    transfer.comeBack();
    transfer.sid = member.sid;
    if (incoming.state === "asked" || transfer.state === "direct") return;
    const isLooking = incoming.isRunning && incoming.look !== undefined;
    if (!isLooking) this.#stopRunning(incoming);
    transfer.restart(member.sid);
    if (isLooking) transfer.become("checking"); // what is found will be said to this member
    else this.#start(incoming);
  }

  #answerEnded({ end, offer }: IncomingOffer, member: FileMember): void {
    if (end === "accepted") return this.#sayKept(member, offer);
    this.#reply(member.sid, offer, end ?? "declined");
  }

  /** Says once more that it is complete: its sender has not learnt that. */
  #sayKept({ sid }: FileMember, { id }: Offer): void {
    const frame = encodeFileFrame({ type: "kept" });
    this.#options.context.port.send(sid, { type: "piece", id, frame });
  }

  #withdrawn(incoming: IncomingOffer, member: FileMember): void {
    if (incoming.state === "ended" || incoming.transfer.sid !== member.sid) return;
    this.#end(incoming, undefined, { code: "cancelled", text: "" });
  }

  /** The user does not want it. */
  decline(incoming: IncomingOffer): void {
    this.#reply(incoming.transfer.sid!, incoming.offer, "declined");
    this.#end(incoming, "declined", { code: "declined", text: "" });
  }

  /** The user does not want the rest of it. */
  cancel(incoming: IncomingOffer): void {
    const { context } = this.#options;
    if (incoming.isRunning) {
      void context.jobs.stop(incoming.transfer.options.job, { code: "cancelled", text: "" }, true);
    } else {
      this.#reply(incoming.transfer.sid!, incoming.offer, "declined");
      this.#end(incoming, "declined", { code: "cancelled", text: "" });
    }
  }

  /** A member has left: what came from it through the relay waits for its return. */
  left(member: FileMember, isForGood: boolean): void {
    for (const incoming of this.#byJob.values()) {
      const { transfer, state } = incoming;
      if (transfer.sid !== member.sid) continue;
      this.#lose(incoming, isForGood);
      if (state === "accepted" && transfer.state !== "direct") this.#pause(incoming);
    }
    this.#turns.beginNext();
  }

  /** It goes on once its sender is back. */
  #pause(incoming: IncomingOffer): void {
    const { transfer } = incoming;
    this.#stopRunning(incoming);
    transfer.restart(transfer.sid!);
    transfer.become("paused");
  }

  #lose(incoming: IncomingOffer, isForGood: boolean): void {
    const { transfer } = incoming;
    transfer.leave(isForGood, () => {
      if (transfer.state === "direct") this.#lose(incoming, isForGood);
      else this.#end(incoming, undefined, { code: "lost", text: "" });
    });
  }

  #isHere({ transfer }: IncomingOffer): boolean {
    const { port } = this.#options.context;
    return port.members().some(({ sid }) => sid === transfer.sid);
  }

  /** Takes what a job tells. @returns Whether it is one of ours. */
  report(job: number, report: JobReport): boolean {
    const incoming = this.#byJob.get(job);
    if (incoming === undefined) return false;
    const { transfer } = incoming;
    switch (report.type) {
      case "progress":
        this.#progress(incoming, report.position);
        break;
      case "pieces":
        this.#progress(incoming, report.position);
        for (const frame of report.frames) {
          transfer.send({ type: "piece", id: incoming.offer.id, frame });
        }
        break;
      case "broken":
        this.#retryLater(incoming);
        break;
      case "done":
        incoming.folder = dirname(report.path);
        incoming.name = basename(report.path);
        transfer.progress(report.position);
        transfer.finish(report);
        this.#options.received.add(incoming.person, incoming.offer.id);
        this.#end(incoming, "accepted", undefined);
        break;
      case "stopped":
        this.#stopped(incoming, report);
    }
    return true;
  }

  #progress(incoming: IncomingOffer, position: number): void {
    if (position > incoming.transfer.position) incoming.movedAt = this.#options.context.clock.now();
    incoming.transfer.progress(position);
    if (position > 0) incoming.retryMs = FIRST_RETRY_MS;
  }

  #stopped(
    incoming: IncomingOffer,
    { failure, byOther }: Extract<JobReport, { type: "stopped" }>,
  ): void {
    const { transfer, offer } = incoming;
    const isPaused = failure.code === "disk-full" && !byOther;
    if (!byOther && transfer.state === "checking") {
      const answer = isPaused ? "disk-full" : failure.code === "name" ? "name" : "declined";
      this.#reply(transfer.sid!, offer, answer);
    }
    if (!isPaused) return this.#end(incoming, "declined", failure);
    this.#stopRunning(incoming);
    incoming.state = "asked";
    transfer.fail(failure, { isEnd: false });
    this.#turns.beginNext();
  }

  #retryLater(incoming: IncomingOffer): void {
    const { transfer } = incoming;
    if (!this.#isHere(incoming)) {
      this.#pause(incoming);
      return this.#turns.beginNext();
    }
    const turn = transfer.restart(transfer.sid!);
    transfer.become("checking");
    const delay = incoming.retryMs;
    incoming.retryMs = Math.min(MAX_RETRY_MS, 2 * delay);
    this.#options.context.clock.after(delay, () => {
      if (turn === transfer.turn && incoming.isRunning) void this.#run(incoming);
    });
  }

  #reply(sid: string, { id }: Offer, answer: AnswerCode): void {
    this.#options.context.port.send(sid, { type: "answer", id, answer, ...NOTHING });
  }

  #end(
    incoming: IncomingOffer,
    end: AnswerCode | undefined,
    failure: Parameters<Transfer["fail"]>[0] | undefined,
  ): void {
    if (incoming.state === "ended") return;
    incoming.state = "ended";
    incoming.end = end;
    if (failure !== undefined) incoming.transfer.fail(failure);
    this.#stopRunning(incoming);
    this.#byJob.delete(incoming.transfer.options.job);
    this.#forgetEnded();
    this.#turns.beginNext();
  }

  #forgetEnded(): void {
    const ended = Array.from(this.#offers).filter(([, { state }]) => state === "ended");
    for (const [key] of ended.slice(0, Math.max(0, ended.length - MAX_ENDED))) {
      this.#offers.delete(key);
    }
  }

  #stopRunning(incoming: IncomingOffer): void {
    if (!incoming.isRunning) return;
    incoming.isRunning = false;
    void this.#options.context.jobs.drop(incoming.transfer.options.job);
  }
}

function keyOf(person: string, id: string): string {
  return `${person} ${id}`;
}
