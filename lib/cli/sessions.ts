/**
 * The sessions of a client: one for each room, over a connection of its own to the same server.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import { UsageError } from "../base/errors.ts";
import type { Session } from "../session/mod.ts";
import { MAX_ROOMS } from "../ui/mod.ts";

/** Connections are opened this far apart: the server lets few wait at once. */
const START_GAP_MS = 100;

type RoomSession = Pick<Session, "run" | "stop">;

interface SessionsOptions<S extends RoomSession> {
  readonly clock: Clock;
  /** Makes the session of a room. */
  make(room: string): S;
  /** A session has ended that cannot be opened again, and there are others. */
  onRefused(room: string, error: UsageError): void;
}

/** The sessions of the rooms that are open. */
export class Sessions<S extends RoomSession> {
  /** Resolves when the last session has ended; rejects if that was refused. */
  readonly ended: Promise<void>;
  readonly #options: SessionsOptions<S>;
  readonly #open = new Map<string, S>();
  readonly #running = new Set<Promise<void>>();
  #resolve: () => void;
  #reject: (error: unknown) => void;
  /** When the next session may be started. */
  #nextStart = -Infinity;

  constructor(options: SessionsOptions<S>) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#options = options;
  }

  /** Makes the session of a room, to be started. @throws {UsageError} If there are too many. */
  open(room: string): S {
    if (this.#open.size >= MAX_ROOMS) {
      throw new UsageError(`you are in ${MAX_ROOMS} rooms: more are not possible`, [
        "leave one: /part ROOM",
      ]);
    }
    const session = this.#options.make(room);
    this.#open.set(room, session);
    return session;
  }

  /** The session of a room, if it is open. */
  find(room: string): S | undefined {
    return this.#open.get(room);
  }

  /** Starts the session of a room: now, or a moment after the one before it. */
  start(room: string): void {
    const { clock } = this.#options;
    const session = this.#open.get(room)!;
    const wait = Math.max(0, this.#nextStart - clock.now());
    this.#nextStart = clock.now() + wait + START_GAP_MS;
    if (wait === 0) return this.#run(room, session);
    clock.after(wait, () => {
      if (this.#open.get(room) === session) this.#run(room, session);
    });
  }

  /** Ends the session of a room. */
  async leave(room: string): Promise<void> {
    const session = this.#open.get(room);
    this.#open.delete(room);
    await session?.stop();
  }

  /** Ends all sessions. */
  async stop(): Promise<void> {
    const sessions = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(sessions.map((session) => session.stop()));
    await Promise.all(this.#running);
  }

  #run(room: string, session: S): void {
    const running = session.run().then(
      () => this.#end(room, session),
      (error) => this.#fail(room, session, error),
    ).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  #end(room: string, session: S): void {
    if (this.#open.get(room) === session) this.#open.delete(room);
    if (this.#open.size === 0) this.#resolve();
  }

  #fail(room: string, session: S, error: unknown): void {
    const wasOpen = this.#open.get(room) === session;
    if (wasOpen) this.#open.delete(room);
    if (this.#open.size === 0 || !(error instanceof UsageError)) return this.#reject(error);
    if (wasOpen) this.#options.onRefused(room, error);
  }
}
