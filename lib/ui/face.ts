/**
 * The interface that every face of the client implements: the chat on a terminal, the pipe, JSON.
 *
 * @module
 */

import type { PublicKey } from "../protocol/identity.ts";
import type {
  HistoryEvent,
  HistoryRequest,
  KnownPeers,
  Session,
  SessionEvent,
} from "../session/mod.ts";

/** A face of the client. The program speaks through it before, during and after the session. */
export interface Face {
  /**
   * Shows an event of a session.
   *
   * @param room That of the session.
   * @returns Resolves when it was shown, if that is not now.
   */
  emit(event: SessionEvent, room: string): Promise<void> | void;
  /** Shows a line, unless `--quiet`. */
  say(text: string): void;
  /** Shows a line that only matters to a person at a terminal. */
  greet(text: string): void;
  /** Shows an activity until it is called with an empty text. */
  progress(text: string): void;
  /**
   * Asks a question.
   *
   * @param options.meanwhile Shown from the answer until the next question, or until the connection has succeeded or
   * failed; nothing can be written meanwhile.
   * @returns Undefined if there is no one to answer it, or no answer was given.
   */
  ask(
    question: string,
    options: { secret: boolean; meanwhile?: string },
  ): Promise<string | undefined>;
  /** Called once, when the session begins. */
  attach(context: FaceContext): Promise<void> | void;
  /**
   * Takes input until its end.
   *
   * @returns Whether everything was delivered.
   */
  run(): Promise<boolean>;
  /**
   * Shows what waits, and from now on everything at once: the sessions are about to end, and with them the time to say
   * that something was shown.
   */
  finish?(): Promise<void>;
  /** Shows the error that ends the program. */
  fail(error: unknown): void;
  /** Called last: restores the terminal, if there is one. */
  close(): Promise<void> | void;
}

/** One's own history of a room. */
export interface HistoryControls {
  /** What is kept: nothing, what goes to the room, or private messages, too. */
  readonly state: "off" | "on" | "private";
  /** @throws {UsageError} Not in the room yet, or the key cannot be opened. */
  turn(state: "off" | "on" | "private"): Promise<void>;
  /**
   * The newest messages, the oldest first, and what was done to them.
   *
   * @throws {UsageError} None is kept, or the search is not understood.
   */
  find(request: HistoryRequest): Promise<HistoryEvent["entries"]>;
}

/** What a face gets when the session begins. */
export interface FaceContext {
  readonly session: Session;
  readonly knownPeers: KnownPeers;
  /** The user's own public key. */
  readonly key: PublicKey;
  /** The fingerprint of that key, `SHA256:…`. */
  readonly fingerprint: string;
  /** Makes a path that the user typed absolute. */
  resolvePath(path: string): string;
  /** Lists what begins with a path; whole paths, those of folders with a slash at the end. */
  listPaths(path: string): string[];
  /** Where accepted files are kept, as it is shown. */
  readonly fileFolder: string;
  /** Shortens a path that the user is to see: `~` for their own folder. */
  showPath(path: string): string;
  /** The relay's `host:port`. */
  readonly address: string;
  readonly room: string;
  readonly history: HistoryControls;
  /**
   * Opens another room of the server.
   *
   * @param room As `normalizeRoom` gives it; not one that is open.
   * @throws {UsageError} If there are too many.
   */
  openRoom(room: string): FaceContext;
  /** Leaves this room for good. */
  leave(): void;
  /** Whether the relay runs in this process. */
  readonly serving: boolean;
  /** Whether messages go to verified people only. */
  readonly strict: boolean;
  /** The relay's fingerprint, `SHA256:…`, once it is known. */
  serverFingerprint(): string | undefined;
  /** The command line that a friend types to join. */
  invitation(): string;
  /** How a friend gets the program, too, in lines; none without `--share`. */
  sharedLines(): readonly string[];
  /** Whether the server seems to be unreachable from other computers. */
  isOnlyHere(): boolean;
  /** Saves the nick for the next start. */
  keepNick(nick: string): void;
}
