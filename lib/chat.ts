/**
 * The chat on a terminal: what the session tells becomes rows, what is typed becomes messages and commands.
 *
 * Glue between {@linkcode Terminal}, the renderer and the session; knows nothing of sockets and files.
 *
 * @module
 */

import type { Actions } from "./actions.ts";
import { systemClock } from "./clock.ts";
import { type Command, complete, parseInput } from "./commands.ts";
import { UsageError } from "./errors.ts";
import type { ChatEvent, SessionEvent, Trust } from "./events.ts";
import { MAX_TEXT_BYTES } from "./message.ts";
import { pendingNotice } from "./notices.ts";
import type { ColorDepth } from "./palette.ts";
import {
  mentions,
  type RenderContext,
  renderEvent,
  renderNotice,
  renderOwn,
  trustSign,
} from "./render.ts";
import type { Session } from "./session.ts";
import type { Settings } from "./settings.ts";
import { Terminal } from "./terminal.ts";
import { cleanLine, columns } from "./text.ts";

/** Somebody who has not received a message after so long is named. */
const PENDING_MS = 3000;
/** Own messages whose text is remembered, to say which one is meant. */
const MAX_REMEMBERED = 256;

/** What the chat needs to know. */
export interface ChatOptions {
  readonly color: ColorDepth;
  readonly utf8: boolean;
  /** Only messages and errors. */
  readonly quiet: boolean;
  readonly settings: Settings;
  /** Keeps a changed setting. */
  save(patch: Settings): void;
  /** The person leaves. */
  onQuit(): void;
  /** The terminal is gone. */
  onHangup(): void;
}

/** What a face of the client gets when the session begins. */
export interface Attachment {
  readonly session: Session;
  readonly actions: Actions;
  /** One's own, `SHA256:…`. */
  readonly fingerprint: string;
  /** The relay runs in this process. */
  readonly serving: boolean;
}

/** The settings that the chat has commands for. */
type ScreenSettings = Required<Pick<Settings, "bell" | "quiet" | "timestamp">>;

/** A message of one's own. */
interface Own {
  readonly text: string;
  readonly action: boolean;
  readonly to: string | undefined;
  /** It was said that somebody has not received it. */
  told: boolean;
}

/** The chat's screen; usable for questions before there is a session. */
export class Chat {
  readonly terminal: Terminal;
  #options: ChatOptions;
  #session: Session | undefined;
  #actions: Actions | undefined;
  #fingerprint = "";
  #serving = false;
  /** Messages accepted just now: the next `sent` event is theirs. */
  #sending: Own | undefined;
  #sent = new Map<string, Own>();
  /** Nicks by fingerprint, also of those who have left. */
  #nicks = new Map<string, string>();
  /** Nicks, the most recent speaker first. */
  #speakers: string[] = [];
  /** Who was here before a reconnect, so that nobody is announced twice. */
  #present = new Set<string>();
  #online = false;
  #settings: ScreenSettings;

  constructor(options: ChatOptions) {
    this.#options = options;
    const { bell = "mention", quiet = false, timestamp = "time" } = options.settings;
    this.#settings = { bell, quiet, timestamp };
    this.terminal = new Terminal({
      prompt: "",
      color: options.color,
      utf8: options.utf8,
      maxBytes: MAX_TEXT_BYTES,
      complete: (line, cursor) => complete(line, cursor, { nicks: this.#completions() }),
      onLine: (text) => this.#take(text),
      onInterrupt: () => options.onQuit(),
      onEnd: () => options.onQuit(),
      onHangup: () => options.onHangup(),
    });
  }

  /** From now on what is typed goes to this session. */
  attach(options: Attachment): void {
    this.#session = options.session;
    this.#actions = options.actions;
    this.#fingerprint = options.fingerprint;
    this.#serving = options.serving;
    this.#showPrompt();
  }

  /** Prints lines of one's own program. */
  say(...lines: readonly string[]): void {
    for (const text of lines) {
      this.terminal.print(renderNotice({ level: "info", text, hint: "" }, this.#context("off")));
    }
  }

  /** Shows what happened. */
  show(event: SessionEvent): void {
    if (!this.#actions?.observe(event)) return;
    if (!this.#note(event)) return;
    this.terminal.print(renderEvent(event, this.#context()));
  }

  #context(quiet?: RenderContext["quiet"]): RenderContext {
    const hides = this.#options.quiet ? "notices" : this.#settings.quiet ? "presence" : "off";
    return {
      columns: this.terminal.columns,
      color: this.#options.color,
      utf8: this.#options.utf8,
      ownNick: this.#session?.membership.nick ?? "",
      timestamps: this.#settings.timestamp,
      now: new Date(),
      quiet: quiet ?? hides,
      trust: (fingerprint) => this.#trust(fingerprint),
      nickOf: (fingerprint) => this.#nicks.get(fingerprint) ?? fingerprint,
      ownText: (id) => this.#sent.get(id)?.text,
    };
  }

  #trust(fingerprint: string): Trust {
    const people = this.#session?.membership.people() ?? [];
    return people.find((person) => person.fingerprint === fingerprint)?.trust ?? "known";
  }

  /** Keeps what later lines depend on; tells whether the event is worth a line. */
  #note(event: SessionEvent): boolean {
    switch (event.event) {
      case "chat":
        this.#speakers = [event.nick, ...this.#speakers.filter((nick) => nick !== event.nick)];
        if (this.#rings(event)) this.terminal.bell();
        return true;
      case "sent":
        this.#accepted(event.id);
        return false;
      case "delivered":
        return this.#sent.get(event.id)?.told ?? false;
      case "undelivered":
        return true;
      case "joined": {
        const known = this.#present.has(event.fingerprint) && event.trust !== "conflict";
        this.#present.add(event.fingerprint);
        this.#nicks.set(event.fingerprint, event.nick);
        return !known;
      }
      case "left":
        this.#present.delete(event.fingerprint);
        return true;
      case "nick":
        this.#nicks.set(event.fingerprint, event.nick);
        this.#speakers = this.#speakers.map((nick) => nick === event.from ? event.nick : nick);
        return true;
      case "connected":
        return !this.#serving; // one's own server needs no introduction
      case "welcome":
        this.#online = true;
        this.#showPrompt();
        return true;
      case "disconnected":
        this.#online = false;
        this.#showPrompt();
        return true;
      default:
        return true;
    }
  }

  #showPrompt(): void {
    const nick = this.#session?.membership.nick ?? "";
    this.terminal.setPrompt(this.#online ? `${nick}> ` : `${nick} (offline)> `);
  }

  #rings(event: ChatEvent): boolean {
    const { bell } = this.#settings;
    if (bell === "off" || bell === "all") return bell === "all";
    if (event.private) return true;
    return bell === "mention" && mentions(event.text, this.#session!.membership.nick);
  }

  #completions(): string[] {
    const here = this.#session?.membership.people().map(({ nick }) => nick) ?? [];
    const speakers = this.#speakers.filter((nick) => here.includes(nick));
    return [...speakers, ...here.filter((nick) => !speakers.includes(nick))];
  }

  // What is typed.

  #take(text: string): boolean {
    const session = this.#session;
    const input = parseInput(text);
    if (input.type === "nothing") return true;
    try {
      if (input.type === "error") throw new UsageError(input.message, [input.hint]);
      if (!session) throw new UsageError("not connected yet");
      if (input.type === "command") this.#command(input);
      else this.#send({ text: input.text, action: false, to: undefined });
      return true;
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      this.#refuse(error);
      // A command that went wrong is in the history; a message stays to be sent again.
      return input.type !== "text";
    }
  }

  #refuse(error: UsageError): void {
    const { message, hints } = error;
    const notice = { level: "error", text: message, hint: hints.join("; ") } as const;
    this.terminal.print(renderNotice(notice, this.#context()));
  }

  #send(own: Omit<Own, "told">): void {
    const { membership } = this.#session!;
    if (membership.blocked) throw new UsageError("too much is unacknowledged: wait a moment");
    this.#sending = { ...own, told: false };
    try {
      if (own.to === undefined) membership.say(own.text, { action: own.action });
      else membership.whisper(own.to, own.text);
    } finally {
      this.#sending = undefined;
    }
  }

  /** The message just typed was accepted: it is shown, and watched. */
  #accepted(id: string): void {
    const own = this.#sending;
    if (!own) return;
    this.#sent.set(id, own);
    if (this.#sent.size > MAX_REMEMBERED) this.#sent.delete(this.#sent.keys().next().value!);
    this.terminal.print(renderOwn({
      fingerprint: this.#fingerprint,
      text: own.text,
      action: own.action,
      to: own.to,
      waiting: !this.#online,
    }, this.#context()));
    systemClock.after(PENDING_MS, () => this.#tellPending(id, own));
  }

  #tellPending(id: string, own: Own): void {
    const missing = this.#session!.membership.outbox.missing(id);
    if (missing.length === 0) return;
    own.told = true;
    this.terminal.print(renderNotice(pendingNotice(id, missing, this.#context()), this.#context()));
  }

  #command(command: Command): void {
    const { membership } = this.#session!;
    switch (command.name) {
      case "me":
        return this.#send({ text: command.text, action: true, to: undefined });
      case "msg":
        return this.#send({ text: command.text, action: false, to: command.nick });
      case "reply": {
        const to = this.#actions!.replyTo;
        if (to === undefined) throw new UsageError("nobody has written to you alone yet");
        return this.#send({ text: command.text, action: false, to: membership.find(to).nick });
      }
      case "names":
        return this.say(...this.#names());
      case "bell":
        return this.#set({ bell: command.mode }, `the bell rings for: ${command.mode}`);
      case "timestamp":
        return this.#set({ timestamp: command.mode }, `timestamps: ${command.mode}`);
      case "quiet": {
        const quiet = !this.#settings.quiet;
        const what = quiet ? "not shown" : "shown";
        return this.#set({ quiet }, `who joins and leaves is ${what} from now on`);
      }
      case "clear":
        return this.terminal.clear();
      case "quit":
        return this.#options.onQuit();
      default:
        this.say(...this.#actions!.run(command) ?? []);
        if (command.name === "nick") {
          this.#showPrompt();
          this.#options.save({ nick: membership.nick });
        }
    }
  }

  #set(patch: Partial<ScreenSettings>, text: string): void {
    Object.assign(this.#settings, patch);
    this.#options.save(patch);
    this.say(text);
  }

  /** `/names`: an aligned table. */
  #names(): string[] {
    const people = this.#session!.membership.people();
    if (people.length === 0) return ["nobody else is here"];
    const width = Math.max(...people.map(({ nick }) => columns(nick)));
    return people.map(({ nick, trust, fingerprint, since, away, weak }) =>
      [
        nick + " ".repeat(width - columns(nick)),
        `${trustSign(trust, this.#options.utf8)} ${trust.padEnd(8)}`,
        fingerprint.slice("SHA256:".length, "SHA256:".length + 8),
        `since ${new Date(since).toTimeString().slice(0, 5)}`,
        ...(weak ? ["weak key"] : []),
        ...(away === "" ? [] : [`away: ${cleanLine(away)}`]),
      ].join("  ")
    );
  }
}
