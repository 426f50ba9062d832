/**
 * The state of one client connection: unauthenticated, authenticated, seeking, joining, member (PROTOCOL.md §5, §7, §10).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { Accepted, End, Handlers } from "../transport/mod.ts";
import { ProtocolError } from "../base/errors.ts";
import { networkOf } from "../base/ip.ts";
import { JOIN_TIMEOUT_MS } from "../protocol/limits.ts";
import type { Member } from "./room.ts";
import { checkCast, checkRoute, decodeFrame, FRAME, type Frame } from "../protocol/frames.ts";

/** A decoded JOIN. */
export type Join = Extract<Frame, { type: "join" }>;
/** A decoded ADMIN. */
export type Admin = Extract<Frame, { type: "admin" }>;

/** Decides who becomes a member. */
export interface Admission {
  /** Called at most once, with the client's first frame. */
  onSeek(client: ClientConnection, room: Bytes): void;
  /** Called with the body of each PLACE between SEEK and JOIN: the client hosts that room, it says. */
  onPlace(client: ClientConnection, body: Bytes): void;
  /** Called once. */
  onJoin(client: ClientConnection, join: Join): void;
  /** Called with each ADMIN of a member. */
  onAdmin(member: Member, admin: Admin): void;
  /** Called once the connection has ended. */
  onEnd(client: ClientConnection, end: End): void;
}

/** A frame that came before the client's WELCOME. */
interface EarlyFrame {
  readonly type: number;
  readonly body: Uint8Array;
}

/** Charged for an early frame in addition to its body. */
const EARLY_BYTES = 256;

/** A connection from accept to its end. */
export class ClientConnection implements Handlers {
  /** Canonical. */
  readonly address: string;
  /** As which address it counts while it is no member, §10. */
  readonly network: string;
  /** As which address it counts afterwards, and for wrong passwords, §10; set by its JOIN. */
  place = "";
  /** When it is cut unless it has got further (§5, §7). */
  deadline: number;
  /** When its JOIN came. */
  askedAt = 0;
  /** An operator has kicked its identity while its JOIN was being answered. */
  isKicked = false;
  /** What it is to be, while a registry is asked. */
  applicant: Member | undefined;
  /** Set once it was sent WELCOME. */
  member: Member | undefined;
  readonly #admission: Admission;
  #accepted: Accepted | undefined;
  #hasSought = false;
  #hasJoined = false;
  #stop: AbortController | undefined = new AbortController();
  /** Set while the client owes a PROOF. */
  #onProof: ((proof: Uint8Array) => void) | undefined;
  /** Frames that wait for the WELCOME, §5; undefined once there will be none. */
  #early: EarlyFrame[] | undefined = [];
  #earlyBytes = 0;

  constructor(admission: Admission, address: string, now: number) {
    this.#admission = admission;
    this.address = address;
    this.network = networkOf(address);
    this.deadline = now + JOIN_TIMEOUT_MS;
  }

  /** Aborted when the connection is cut or has ended. */
  get signal(): AbortSignal {
    return this.#stop!.signal;
  }

  /** The result of the handshake, from its end until admission. */
  get accepted(): Accepted | undefined {
    return this.#accepted;
  }

  /** Its JOIN has been received but not answered. */
  get isJoining(): boolean {
    return this.#hasJoined && !this.member;
  }

  /** Starts reading frames after the handshake. */
  start(accepted: Accepted): void {
    this.#accepted = accepted;
    accepted.connection.start(this);
  }

  /** Requires the next frame to be a PROOF, and passes it to `onProof`. */
  expectProof(onProof: (proof: Uint8Array) => void): void {
    this.#onProof = onProof;
  }

  /** Drops the frames that wait for the WELCOME, because it will not be sent. */
  dropEarly(): void {
    this.#takeEarly();
    this.#early = undefined;
  }

  /** Makes the client a member, and frees what only joining needed. */
  admit(member: Member): void {
    this.member = member;
    this.applicant = this.#accepted = this.#stop = undefined;
  }

  /** Handles the frames that waited for the WELCOME. */
  replayEarly(): void {
    const { connection } = this.member!;
    for (const { type, body } of this.#takeEarly(connection)) this.onFrame(type, body);
  }

  /** Cuts the connection in any state before admission. */
  cut(cause: string): void {
    this.#stop?.abort(new ConnectionCut(cause));
    this.#accepted?.connection.abort();
  }

  onFrame(type: number, body: Uint8Array): void {
    if (this.member) this.#takeMemberFrame(this.member, type, body);
    else if (!this.#hasJoined) this.#takeFirst(type, body);
    else if (this.#onProof) this.#prove(type, body);
    else this.#keep(type, body);
  }

  #takeMemberFrame(member: Member, type: number, body: Uint8Array): void {
    if (type !== FRAME.ADMIN) return member.takeFrame(type, body);
    this.#admission.onAdmin(member, decodeFrame(type, body) as Admin);
  }

  /** SEEK and JOIN, and what may come between them. */
  #takeFirst(type: number, body: Uint8Array): void {
    const frame = decodeFrame(type, body);
    if (frame.type === "join") {
      this.#hasJoined = true;
      return this.#admission.onJoin(this, frame);
    }
    if (frame.type === "place" && this.#hasSought) return this.#admission.onPlace(this, frame.body);
    if (frame.type !== "seek" || this.#hasSought) throw new ProtocolError("unexpected"); // §5
    this.#hasSought = true;
    this.#admission.onSeek(this, frame.room);
  }

  #prove(type: number, body: Uint8Array): void {
    const frame = decodeFrame(type, body);
    if (frame.type !== "proof") throw new ProtocolError("unexpected"); // §5
    const onProof = this.#onProof!;
    this.#onProof = undefined;
    onProof(frame.proof);
  }

  #keep(type: number, body: Uint8Array): void {
    checkForm(type, body);
    if (!this.#early) return;
    this.#early.push({ type, body: body.slice() });
    const bytes = body.length + EARLY_BYTES;
    this.#earlyBytes += bytes;
    this.#accepted!.connection.credit.charge(bytes); // past the limit nothing more is read
  }

  #takeEarly(connection = this.#accepted?.connection): EarlyFrame[] {
    const early = this.#early ?? [];
    this.#early = [];
    connection?.credit.refund(this.#earlyBytes);
    this.#earlyBytes = 0;
    return early;
  }

  onEnd(end: End): void {
    this.#stop?.abort(new ConnectionCut("gone"));
    this.#early = undefined;
    this.#admission.onEnd(this, end);
  }
}

/** Checks the form of a frame that a member may send, §5. */
function checkForm(type: number, body: Uint8Array): void {
  if (type === FRAME.SEND) checkRoute(body);
  else if (type === FRAME.CAST) checkCast(body);
  else if (type === FRAME.ADMIN) decodeFrame(type, body);
  else throw new ProtocolError("unexpected");
}

/** The relay cut a connection that was not a member yet. */
export class ConnectionCut extends Error {
  override name = "ConnectionCut";
}
