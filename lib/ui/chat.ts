/**
 * The chat on a terminal: what the session tells becomes rows, what is typed becomes messages and commands.
 *
 * Glue between {@linkcode Terminal}, the renderer and the session; knows nothing of sockets and files.
 *
 * @module
 */

import type { Actions } from "../actions.ts";
import { systemClock } from "../base/clock.ts";
import { type Command, complete, parseInput } from "./commands.ts";
import { UsageError } from "../base/errors.ts";
import type { ChatEvent, SessionEvent } from "../session/events.ts";
import { MAX_TEXT_BYTES } from "../protocol/messages.ts";
import type { Notice } from "./notices.ts";
import type { ColorDepth } from "./terminal/colors.ts";
import { Presence } from "./presence.ts";
import { Receipts } from "./receipts.ts";
import { mentions, type RenderContext, renderEvent, renderNotice, renderOwn } from "./render.ts";
import type { Session } from "../session/session.ts";
import type { Settings } from "./settings.ts";
import { Standing } from "../session/standing.ts";
import { namesTable } from "./table.ts";
import { Terminal } from "./terminal/terminal.ts";
import { cleanLine } from "../base/text.ts";

/** What the chat needs to know. */
export interface ChatOptions {
  readonly color: ColorDepth;
  readonly utf8: boolean;
  /** Only messages and errors. */
  readonly quiet: boolean;
  /** An invitation is shown as a QR code, too. */
  readonly qr?: boolean;
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
  /** Only verified people are sent anything. */
  readonly strict: boolean;
}

/** The settings that the chat has commands for. */
type ScreenSettings = Required<Pick<Settings, "bell" | "quiet" | "timestamp">>;

/** A message of one's own on its way to be accepted. */
interface Own {
  readonly text: string;
  readonly action: boolean;
  /** The nick it goes to alone. */
  readonly to: string | undefined;
}

/** A session on the screen: what there is once it has begun. */
interface Attached extends Attachment {
  readonly presence: Presence;
  readonly receipts: Receipts;
  readonly standing: Standing;
}

/** The chat's screen; usable for questions before there is a session. */
export class Chat {
  readonly terminal: Terminal;
  #options: ChatOptions;
  #attached: Attached | undefined;
  /** What is being sent: the next `sent` event is its. */
  #sending: Own | undefined;
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
  attach(attachment: Attachment): void {
    const { session: { membership }, fingerprint } = attachment;
    const nickOf = (person: string) => presence.nickOf(person);
    const presence: Presence = new Presence({
      clock: systemClock,
      fingerprint,
      names: { nickOf, ownText: () => undefined },
      people: () => membership.people(),
      print: (notice) => this.#print(notice),
    });
    const receipts = new Receipts({
      clock: systemClock,
      nickOf,
      missing: (id) => membership.outbox.missing(id),
      strict: attachment.strict,
      print: (notice) => this.#print(notice),
    });
    const standing = new Standing({
      serving: attachment.serving,
      print: (notice) => this.#print(notice),
    });
    this.#attached = { ...attachment, presence, receipts, standing };
    this.#showPrompt(this.#attached);
  }

  /** Prints a line of one's own program, without the time. */
  say(text: string): void {
    this.#printBlock("info", [text]);
  }

  /** Prints what a command answers: one line with the time, several as a block. */
  #answer(lines: readonly string[]): void {
    if (lines.length > 1) return this.#printBlock("answer", lines);
    for (const text of lines) this.#print({ level: "answer", text, hint: "" });
  }

  #printBlock(level: "info" | "answer", lines: readonly string[]): void {
    const context = { ...this.#context(), timestamps: "off" } as const;
    for (const text of lines) {
      this.terminal.print(renderNotice({ level, text, hint: "" }, context));
    }
  }

  /**
   * For a camera, and below it as it is, in one row however long, since it is there to be copied: of what is higher
   * than the screen its end is to be seen.
   */
  async #invite(lines: readonly string[]): Promise<void> {
    const { qr = false, utf8, color } = this.#options;
    if (qr && utf8) {
      const { drawQr } = await import("./terminal/qr.ts");
      const { columns } = this.terminal;
      for (const line of lines) this.terminal.print(await drawQr(line, { columns, color }));
    }
    this.terminal.print(lines.map(cleanLine));
  }

  /** Shows what happened. */
  show(event: SessionEvent): void {
    if (!this.#attached || !this.#attached.actions.observe(event)) return;
    if (this.#note(event, this.#attached)) return;
    this.terminal.print(renderEvent(event, this.#context()));
  }

  /** Gives the terminal back, with everything that was to be said. */
  close(): void {
    this.#attached?.receipts.flush();
    this.terminal.close();
  }

  /** Tells whether it is shown. */
  #print(notice: Notice): boolean {
    const rows = renderNotice(notice, this.#context());
    this.terminal.print(rows);
    return rows.length > 0;
  }

  #context(): RenderContext {
    return {
      columns: this.terminal.columns,
      color: this.#options.color,
      utf8: this.#options.utf8,
      ownNick: this.#attached?.session.membership.nick ?? "",
      timestamps: this.#settings.timestamp,
      now: new Date(),
      quiet: this.#options.quiet ? "notices" : this.#settings.quiet ? "presence" : "off",
      trust: (fingerprint) => this.#attached?.presence.trustOf(fingerprint) ?? "new",
      nickOf: (fingerprint) => this.#attached?.presence.nickOf(fingerprint) ?? fingerprint,
      ownText: (id) => this.#attached?.receipts.textOf(id),
    };
  }

  /** Keeps what later lines depend on; tells whether all about the event has been said. */
  #note(event: SessionEvent, attached: Attached): boolean {
    const { session, presence, receipts, standing } = attached;
    const isPresence = presence.take(event);
    if (standing.take(event)) {
      this.#showPrompt(attached);
      if (standing.state === "online") receipts.connected();
      return true;
    }
    switch (event.event) {
      case "chat":
        if (this.#rings(event, session.membership.nick)) this.terminal.bell();
        return false;
      case "sent":
        this.#accepted(event.id, attached);
        return true;
      case "delivered":
        receipts.delivered(event.id);
        return true;
      case "undelivered":
        receipts.undelivered(event.id, event.to);
        return true;
      default:
        return isPresence;
    }
  }

  #showPrompt({ session: { membership }, standing }: Attached): void {
    const away = membership.away === "" ? "" : " (away)";
    const state = standing.state === "online" ? away : ` (${standing.state})`;
    this.terminal.setPrompt(`${membership.nick}${state}> `);
  }

  #rings(event: ChatEvent, nick: string): boolean {
    const { bell } = this.#settings;
    if (bell === "off" || bell === "all") return bell === "all";
    return event.private || (bell === "mention" && mentions(event.text, nick));
  }

  #completions(): string[] {
    if (!this.#attached) return [];
    const { session: { membership }, presence } = this.#attached;
    return presence.bySpeech(membership.people()).map(({ nick }) => nick);
  }

  // What is typed.

  #take(text: string): boolean {
    const input = parseInput(text);
    if (input.type === "nothing") return true;
    try {
      if (input.type === "error") throw new UsageError(input.message, [input.hint]);
      if (!this.#attached) throw new UsageError("not connected yet");
      if (input.type === "command") this.#command(input, this.#attached);
      else this.#send({ text: input.text, action: false, to: undefined }, this.#attached);
      return true;
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      const { message, hints } = error;
      this.#print({ level: "error", text: message, hint: hints.join("; ") });
      // A command that went wrong is in the history; a message stays to be sent again.
      return input.type !== "text";
    }
  }

  #send(own: Own, { session: { membership }, standing }: Attached): void {
    if (!standing.wasOnline) throw new UsageError("not connected yet");
    if (membership.blocked) throw new UsageError("too much is unacknowledged: wait a moment");
    this.#sending = own;
    try {
      if (own.to === undefined) membership.say(own.text, { action: own.action });
      else membership.whisper(own.to, own.text);
    } finally {
      this.#sending = undefined;
    }
  }

  /** The message just typed was accepted: it is shown, and watched. */
  #accepted(id: string, { receipts, standing, fingerprint }: Attached): void {
    const own = this.#sending;
    if (!own) return;
    const waiting = standing.state !== "online";
    receipts.accept(id, own.text, { waiting });
    this.terminal.print(renderOwn({ fingerprint, waiting, ...own }, this.#context()));
  }

  #command(command: Command, attached: Attached): void {
    const { session: { membership }, actions, presence } = attached;
    switch (command.name) {
      case "me":
        return this.#send({ text: command.text, action: true, to: undefined }, attached);
      case "msg": {
        const { nick } = membership.find(command.nick);
        return this.#send({ text: command.text, action: false, to: nick }, attached);
      }
      case "reply": {
        const to = actions.replyTo;
        if (to === undefined) throw new UsageError("nobody has written to you alone yet");
        if (!membership.people().some(({ fingerprint }) => fingerprint === to)) {
          const nick = presence.nickOf(to);
          throw new UsageError(`${nick} is not here any more`, ["see who is here: /names"]);
        }
        const { nick } = membership.find(to);
        return this.#send({ text: command.text, action: false, to: nick }, attached);
      }
      case "names":
        return this.#printBlock("answer", this.#names(attached));
      case "bell":
        return this.#set({ bell: command.mode }, `the bell rings for: ${command.mode}`);
      case "timestamp":
        return this.#set({ timestamp: command.mode }, `timestamps: ${command.mode}`);
      case "quiet": {
        const quiet = !this.#settings.quiet;
        const what = quiet ? "not shown" : "shown";
        return this.#set({ quiet }, `who joins and leaves is ${what} from now on`);
      }
      case "invite":
        this.#answer(["what a friend types on another computer:"]);
        return void this.#invite(actions.run(command) ?? []);
      case "clear":
        return this.terminal.clear();
      case "quit":
        return this.#options.onQuit();
      default:
        this.#answer(actions.run(command) ?? []);
        presence.refresh();
        this.#showPrompt(attached);
    }
  }

  #set(patch: Partial<ScreenSettings>, text: string): void {
    Object.assign(this.#settings, patch);
    this.#options.save(patch);
    this.#answer([text]);
  }

  /** `/names`: oneself first. */
  #names({ session: { membership }, actions, presence, fingerprint }: Attached): string[] {
    const { nick, away } = membership;
    const lines = namesTable([
      { nick, fingerprint, away },
      ...membership.people().map((person) => ({
        ...person,
        trust: presence.trustOf(person.fingerprint),
        ignored: actions.ignores(person.fingerprint),
      })),
    ], { own: fingerprint, utf8: this.#options.utf8, now: new Date() });
    return membership.joined ? lines : ["not connected; who was here last:", ...lines];
  }
}
