/**
 * What the slash commands do that both the chat and `--json` have: asks the session, answers in lines.
 *
 * Knows nothing of terminals.
 *
 * @module
 */

import { type Command, helpLines } from "./ui/commands.ts";
import { UsageError } from "./base/errors.ts";
import type { SessionEvent } from "./session/events.ts";
import type { Person } from "./session/roster.ts";
import { encodeFingerprint, type PublicKey } from "./protocol/identity.ts";
import { safetyNumber, showSafetyNumbers } from "./protocol/safety_number.ts";
import type { Session } from "./session/session.ts";
import type { PeerBook } from "./session/known_peers.ts";

/** What the actions need. */
export interface ActionsOptions {
  readonly session: Session;
  readonly book: PeerBook;
  /** One's own public key. */
  readonly key: PublicKey;
  /** The line that a friend types to join, for `/invite`. */
  invitation(): string;
  /** Remembers one's nick for the next time. */
  keepNick(nick: string): void;
  /** Lines about server and room, for `/info`. */
  info(): string[];
}

/** Carries out commands. */
export class Actions {
  #options: ActionsOptions;
  /** Fingerprints whose messages are not shown, for this run. */
  #ignored = new Map<string, string>();
  /** Who sent the last private message. */
  #replyTo: string | undefined;

  constructor(options: ActionsOptions) {
    this.#options = options;
  }

  /** Looks at what happens; tells whether it is to be shown. */
  observe(event: SessionEvent): boolean {
    if (event.event !== "chat") return true;
    if (this.#ignored.has(event.fingerprint)) return false;
    if (event.private) this.#replyTo = event.fingerprint;
    return true;
  }

  /**
   * Carries out a command.
   *
   * @param ref Given back with `sent`.
   * @returns What to say about it, a line each; undefined for those about the screen, which only the chat has.
   * @throws {UsageError} When it cannot be done.
   */
  run(command: Command, ref?: string): string[] | undefined {
    const { session: { membership }, book } = this.#options;
    switch (command.name) {
      case "help":
        return helpLines(command.topic);
      case "msg":
        membership.whisper(command.nick, command.text, ref);
        return [];
      case "reply":
        if (this.#replyTo === undefined) {
          throw new UsageError("nobody has written to you alone yet");
        }
        membership.whisper(this.#replyTo, command.text, ref);
        return [];
      case "me":
        membership.say(command.text, { action: true, ref });
        return [];
      case "nick":
        membership.setNick(command.nick);
        this.#options.keepNick(membership.nick);
        return [`you are now ${membership.nick}`];
      case "away":
        membership.setAway(command.text);
        return [command.text === "" ? "you are back" : `you are away: ${command.text}`];
      case "ignore": {
        const person = membership.find(command.nick);
        this.#ignored.set(person.fingerprint, person.nick);
        return [`messages of ${person.nick} are not shown until this program ends`];
      }
      case "unignore":
        return [`messages of ${this.#unignore(command.nick)} are shown again`];
      case "verify":
        return this.#verify(membership.find(command.nick), command.yes);
      case "trust": {
        const person = membership.find(command.nick);
        book.accept(person.fingerprint, person.usedNick);
        return [`${person.nick} is now the one with the key ${person.fingerprint}`];
      }
      case "info":
        return this.#options.info();
      case "invite":
        return [this.#options.invitation()];
      case "names":
        return membership.people().map(({ nick, fingerprint }) => `${nick} ${fingerprint}`);
      default:
        return undefined;
    }
  }

  /** Whether somebody's messages are not shown. */
  ignores(fingerprint: string): boolean {
    return this.#ignored.has(fingerprint);
  }

  /** The fingerprint that `/reply` goes to. */
  get replyTo(): string | undefined {
    return this.#replyTo;
  }

  #unignore(nick: string): string {
    for (const [fingerprint, name] of this.#ignored) {
      if (name !== nick && fingerprint !== nick) continue;
      this.#ignored.delete(fingerprint);
      return name;
    }
    const person = this.#options.session.membership.find(nick);
    if (!this.#ignored.delete(person.fingerprint)) {
      throw new UsageError(`${person.nick} is not ignored`);
    }
    return person.nick;
  }

  #verify(person: Person, yes: boolean): string[] {
    if (yes) {
      this.#options.book.verify(person.fingerprint);
      this.#options.book.accept(person.fingerprint, person.usedNick);
      return [`${person.nick} is verified from now on`];
    }
    const { key } = this.#options;
    const own = safetyNumber(key.id);
    // Both people see the halves in the same order, §8, and each of them knows whose they are.
    const halves = showSafetyNumbers(key, { id: person.id, fingerprint: person.fingerprintBytes })
      .flatMap((half) => [
        half === own
          ? `yours, ${encodeFingerprint(key.fingerprint)}:`
          : `theirs, ${person.fingerprint}:`,
        `    ${half}`,
      ]);
    return [
      `compare these digits with ${person.nick}, face to face or by telephone, not here:`,
      ...halves,
      `if both screens show the same digits: /verify ${person.nick} yes`,
      "if not: somebody may stand between you, or a key has changed",
    ];
  }
}
