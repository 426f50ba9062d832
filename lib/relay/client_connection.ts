/**
 * One connection of the relay, from accept to its end: nobody, then proven, then waiting for its JOIN to be answered,
 * then a member (PROTOCOL.md §5, §10).
 *
 * Knows what may come when; what becomes of a JOIN is relay.ts's.
 *
 * @module
 */

import type { Accepted, End, Handlers } from "../transport/establish.ts";
import { ProtocolError } from "../base/errors.ts";
import { JOIN_TIMEOUT_MS } from "../protocol/limits.ts";
import type { Member } from "./room.ts";
import { checkRoute, decodeFrame, FRAME, type Frame } from "../protocol/frames.ts";

/** A decoded JOIN. */
export type Join = Extract<Frame, { type: "join" }>;

/** Who decides about visitors. */
export interface Host {
  /** A JOIN has come, once. */
  judge(visitor: Visitor, join: Join): void;
  /** The visitor's connection is over. */
  forget(visitor: Visitor, end: End): void;
}

/** A connection of the relay. */
export class Visitor implements Handlers {
  /** As it is counted, §10. */
  readonly address: string;
  /** Cut when it is not further by then, §5 and §7. */
  deadline: number;
  /** Set when the JOIN was answered with WELCOME. */
  member: Member | undefined;
  readonly #host: Host;
  #accepted: Accepted | undefined;
  #hasAsked = false;
  #stop: AbortController | undefined = new AbortController();

  constructor(host: Host, address: string, now: number) {
    this.#host = host;
    this.address = address;
    this.deadline = now + JOIN_TIMEOUT_MS;
  }

  /** Aborted when the visitor is gone. */
  get signal(): AbortSignal {
    return this.#stop!.signal;
  }

  /** What the handshake has proven, if it is done. */
  get accepted(): Accepted | undefined {
    return this.#accepted;
  }

  /** The handshake is done: begins to read. */
  start(accepted: Accepted): void {
    this.#accepted = accepted;
    accepted.connection.start(this);
  }

  /** Makes the visitor a member; what was only needed to become one is forgotten. */
  admit(member: Member): void {
    this.member = member;
    this.#accepted = this.#stop = undefined;
  }

  /** Cuts the connection, whatever it is doing. */
  cut(cause: string): void {
    this.#stop?.abort(new VisitorCut(cause));
    this.#accepted?.connection.abort();
  }

  onFrame(type: number, body: Uint8Array): void {
    if (this.member) this.member.takeFrame(type, body);
    else if (!this.#hasAsked) this.#ask(type, body);
    else if (type === FRAME.SEND) checkRoute(body); // §5: nobody is in its room yet
    else throw new ProtocolError("unexpected");
  }

  #ask(type: number, body: Uint8Array): void {
    const join = decodeFrame(type, body);
    if (join.type !== "join") throw new ProtocolError("unexpected"); // §5
    this.#hasAsked = true;
    this.#host.judge(this, join);
  }

  onEnd(end: End): void {
    this.#stop?.abort(new VisitorCut("gone"));
    this.#host.forget(this, end);
  }
}

/** The relay itself ends a connection before it is a member's. */
export class VisitorCut extends Error {
  override name = "VisitorCut";
}
