/**
 * The chat on a terminal that scrolls like a log: whatever is new in a conversation becomes rows.
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import { UsageError } from "../base/errors.ts";
import { cleanLine } from "../base/text.ts";
import { MAX_TEXT_BYTES } from "../protocol/messages.ts";
import type { SessionEvent, Trust } from "../session/mod.ts";
import type { Change, Conversation, FileEntry, MessageEntry, NoticeEntry } from "./conversation.ts";
import { progressLine } from "./file_progress.ts";
import { keyLines } from "./key_help.ts";
import { dayName } from "./moment.ts";
import { noteNotice, type Notice, replacesLabel } from "./notices.ts";
import {
  type RenderContext,
  renderMessage,
  renderNotice,
  trustSign,
  trustWords,
} from "./render.ts";
import type { Terminal, TerminalOptions } from "./terminal/mod.ts";
import { type OwnScreen, TerminalChat, type TerminalChatOptions } from "./terminal_chat.ts";

export interface ChatOptions extends TerminalChatOptions {
  /** Passed in so that a face without a terminal never loads it. */
  openTerminal(options: TerminalOptions): Terminal;
}

/** The part of the screen that one message may fill, and bounds for it in rows. */
const MESSAGE_SHARE = 0.7;
const MIN_MESSAGE_ROWS = 4;
const MAX_MESSAGE_ROWS = 40;
/** The rows of a message while more events wait than {@linkcode BUSY_EVENTS}: all of them cannot be read anyway. */
const BUSY_MESSAGE_ROWS = 1;
const BUSY_EVENTS = 32;
/** Messages that were cut and can be shown as a whole. */
const MAX_CUT_MESSAGES = 256;

/** How far files are is shown anew after so long: a screen reader reads it each time. */
const PROGRESS_MS = 10_000;

/** Lays out an entry of the log. */
type Layout = (context: RenderContext) => string[];

/** A message that was cut, and what it was laid out with. */
interface CutMessage {
  readonly layOut: Layout;
  readonly context: RenderContext;
}

/** Opens the terminal at once, so that questions can be asked before there is a session. */
export class Chat extends TerminalChat {
  protected override readonly device: Terminal;
  readonly #cut = new BoundedMap<number, CutMessage>(MAX_CUT_MESSAGES);
  /** How many messages have been cut. */
  #cuts = 0;
  #prompt = "";
  /** The day of what was printed last. */
  #day: string;
  /** Where lines go, as it was last said. */
  #shown: Conversation | undefined;
  /** Files that are on their way. */
  readonly #moving = new Set<FileEntry>();
  /** When it was last shown how far they are. */
  #progressAt = -Infinity;

  constructor(options: ChatOptions) {
    super(options, { isFull: false });
    const { client, alerts } = this;
    this.#day = dayName(options.clock.wallTime());
    client.conversations.listen((change) => this.#show(change));
    this.device = options.openTerminal({
      prompt: "",
      clock: options.clock,
      color: options.color,
      utf8: options.utf8,
      simple: this.kind.isSimple,
      maxBytes: MAX_TEXT_BYTES,
      sent: this.sent,
      complete: (line, cursor) => client.complete(line, cursor),
      rewrite: (line) => client.beginReply(line),
      onLine: (line) => this.#submit(line),
      onKey: (name) => this.#press(name),
      onInput: (input) => alerts.observe(input),
      onOpen: () => alerts.renewTitle(),
      onInterrupt: () => options.onQuit(),
      onEnd: () => options.onQuit(),
      onHangup: () => options.onHangup(),
      onReady: () => client.resume(),
    });
    this.device.open();
  }

  protected override get input(): Terminal {
    return this.device;
  }

  protected override isBusy(): boolean {
    return this.device.isBusy;
  }

  protected override taken(event: SessionEvent): void {
    this.#showPrompt();
    super.taken(event);
  }

  protected override showProgress(text: string): void {
    this.device.setStatus(text === "" ? progressLine(this.#moving, this.options) : `${text} ...`);
  }

  // Output.

  #show(change: Change): void {
    switch (change.type) {
      case "entry":
        return this.#showEntry(change);
      case "remark":
        return this.#printNotice(change.notice, change.conversation);
      case "list":
        this.#showTurn();
        return this.#showPrompt();
      case "people":
        return;
    }
  }

  /** A line where a day begins, or one of the past is shown. @param at In ms since 1970. */
  #showDay(at: number): void {
    const day = dayName(at);
    const before = this.#day;
    this.#day = day;
    if (day === before || this.settings.timestamp === "date") return;
    const context = { ...this.#context(), timestamps: "off" } as const;
    this.device.print((columns) =>
      renderNotice({ level: "info", text: day, hint: "" }, { ...context, columns })
    );
  }

  #showEntry({ conversation, entry, isNew, note }: Change & { type: "entry" }): void {
    if (isNew) this.#showDay(entry.at);
    if (entry.type === "notice") return this.#printEntry(entry, conversation);
    if (entry.type === "file") return this.#showProgress(entry);
    if (isNew) {
      return this.#printMessage(entry, { place: this.#place(entry, conversation) });
    }
    // What the user has done is answered by the command.
    if (note === undefined || note.by.fingerprint === this.client.context?.fingerprint) return;
    const { what, by: { nick }, text, before } = note;
    const about = { isOwn: entry.own, nick: entry.nick, text: before };
    const notice = noteNotice({ what, nick, text }, about);
    if (notice !== undefined) return this.#printNotice(notice, conversation);
    const place = this.#place(entry, conversation);
    this.#printMessage(entry, { place, replaces: replacesLabel(before) });
  }

  #showProgress(entry: FileEntry): void {
    const before = this.#moving.size;
    const moving = entry.transfers.filter(({ state }) => state === "moving");
    if (moving.length === 0) this.#moving.delete(entry);
    // At first nobody knows how fast it is, and it would say so until it is shown anew.
    else if (moving.some(({ speed }) => speed > 0)) this.#moving.add(entry);
    const now = this.options.clock.now();
    const isDue = this.#moving.size !== before || now - this.#progressAt >= PROGRESS_MS;
    if (this.isInProgress || !isDue) return;
    this.#progressAt = now;
    this.showProgress("");
  }

  /** What happens to people is told in their rooms. */
  #printEntry({ at, level, text, hint, about }: NoticeEntry, conversation: Conversation): void {
    if (conversation.kind === "person" && about !== undefined) return;
    if (level !== "answer" || !text.includes("\n")) {
      return this.#printNotice({ level, text, hint }, conversation, at);
    }
    this.#printBlock(text.split("\n"));
  }

  /** Prints lines without the time. */
  #printBlock(lines: readonly string[]): void {
    const context = { ...this.#context(), timestamps: "off" } as const;
    for (const text of lines) {
      this.device.print((columns) =>
        renderNotice({ level: "answer", text, hint: "" }, { ...context, columns })
      );
    }
  }

  /** Says where lines go from now on. */
  #showTurn(): void {
    const { shown } = this.client.conversations;
    const before = this.#shown;
    if (shown === before || shown.kind === "client") return;
    this.#shown = shown;
    this.device.turnTo(shown.id, shown.kind === "person");
    if (before === undefined) return;
    const trust = trustOf(shown);
    const whom = shown.kind === "room"
      ? shown.title
      : `${shown.title}${trust === undefined ? "" : trustWords(trust)} alone`;
    this.#printNotice({ level: "answer", text: `what you type goes to ${whom} now`, hint: "" });
  }

  /** Where a message was written, unless that is the room that is shown. */
  #place({ own }: MessageEntry, conversation: Conversation): string | undefined {
    const { kind, title } = conversation;
    if (kind === "person") return own ? `private to ${title}` : "private";
    if (this.#isShown(conversation)) return undefined;
    return own ? `to ${title}` : `in ${title}`;
  }

  #isShown(conversation: Conversation): boolean {
    return conversation === this.client.conversations.shown || conversation === this.#room();
  }

  /** The room that is shown, or was before a conversation with a person. */
  #room(): Conversation | undefined {
    const rooms = this.client.conversations.list.filter(({ kind }) => kind === "room");
    return rooms.length === 1 ? rooms[0] : undefined;
  }

  /** Prints what `/show` shows as a whole if it is cut. */
  #printMessage(message: MessageEntry, labels: Parameters<typeof renderMessage>[2]): void {
    // As it is now: it may be laid out again after it has changed.
    const entry = { ...message };
    const layOut: Layout = (context) => renderMessage(entry, context, labels);
    const { rows: screenRows } = this.device;
    const share = Math.floor(MESSAGE_SHARE * screenRows);
    const most = Math.min(Math.max(share, MIN_MESSAGE_ROWS), MAX_MESSAGE_ROWS);
    const rows = this.client.waitingEvents > BUSY_EVENTS ? BUSY_MESSAGE_ROWS : most;
    const context = this.#context();
    let cut: number | undefined; // a message that is laid out again keeps its number
    const number = (): number => {
      if (cut === undefined) this.#cut.set(cut = ++this.#cuts, { layOut, context });
      return cut;
    };
    this.device.print((columns) => layOut({ ...context, columns, limit: { rows, number } }));
  }

  /** Prints the whole of a message that was cut; the newest without a number. */
  #showWhole(number: number | undefined): void {
    const message = this.#cut.get(number ?? this.#cuts);
    if (message === undefined) {
      throw new UsageError(
        number === undefined ? "no message has been cut" : `no message ${number} is kept`,
        [`the newest ${MAX_CUT_MESSAGES} messages that were cut are kept`],
      );
    }
    const { layOut, context } = message;
    this.device.print((columns) => layOut({ ...context, columns }));
  }

  /** @param conversation Named if it is a room that is not shown. @param at In ms since 1970, if not now. */
  #printNotice(notice: Notice, conversation?: Conversation, at?: number): void {
    const isElsewhere = conversation?.kind === "room" && !this.#isShown(conversation);
    const text = isElsewhere ? `${conversation.title}: ${notice.text}` : notice.text;
    const context = this.#context(at);
    this.device.print((columns) => renderNotice({ ...notice, text }, { ...context, columns }));
  }

  #context(at = this.options.clock.wallTime()): RenderContext {
    return {
      columns: this.device.columns,
      color: this.options.color,
      utf8: this.options.utf8,
      ownNick: this.client.context?.session.nick ?? "",
      timestamps: this.settings.timestamp,
      now: new Date(at),
    };
  }

  /** Names whom a line goes to, unless there is only one room. */
  #showPrompt(): void {
    const { context, conversations: { shown } } = this.client;
    if (context === undefined) return;
    const { nick, away } = context.session;
    const whom = this.#whom(shown);
    const absence = away === "" ? "" : " (away)";
    const state = shown.connection === "online" ? absence : ` (${shown.connection})`;
    const prompt = `${nick}${whom}${state}> `;
    if (prompt === this.#prompt) return;
    this.#prompt = prompt;
    this.device.setPrompt(prompt);
  }

  #whom(conversation: Conversation): string {
    const { kind, title } = conversation;
    if (kind === "client" || conversation === this.#room()) return "";
    const trust = trustOf(conversation);
    const sign = trust === undefined ? "" : trustSign(trust, this.options.utf8);
    return ` to ${cleanLine(title)}${sign}`;
  }

  /** @returns Whether the line is done with; otherwise it stays to be edited. */
  #submit(line: string): boolean {
    const { shown } = this.client.conversations;
    const isDone = this.client.submit(shown, line);
    if (isDone) this.options.recall.keep(line, shown.kind === "person");
    return isDone;
  }

  /** Keys that turn to other conversations, and F1. */
  #press(name: string): void {
    const { conversations } = this.client;
    const { list } = conversations;
    const index = list.indexOf(conversations.shown);
    const turn = (next: Conversation | undefined) => next && conversations.show(next);
    switch (name) {
      case "f1":
        return void this.client.submit(conversations.shown, "/help keys");
      case "M-a":
        return conversations.showUnread();
      case "M-up":
        return turn(list.at(index - 1));
      case "M-down":
        return turn(list[(index + 1) % list.length]);
      default:
        if (/^M-[1-9]$/.test(name)) turn(list.find(({ number }) => number === Number(name[2])));
    }
  }

  protected override makeScreen(): OwnScreen {
    return {
      clear: () => this.device.clear(),
      show: (number) => this.#showWhole(number),
      showKeys: () => keyLines("plain"),
      showInvitation: (line, where, shared) => {
        this.#printNotice({ level: "answer", text: `${where}:`, hint: "" });
        void this.#showInvitation(line, shared);
      },
    };
  }

  /** Shows the QR code above the line: if the screen is too low for both, the line is what stays visible. */
  async #showInvitation(line: string, shared: readonly string[]): Promise<void> {
    const { utf8, color } = this.options;
    if (utf8) {
      const { drawQr } = await import("./terminal/qr.ts");
      this.device.print(await drawQr(line, { columns: this.device.columns, color }));
    }
    // One row, however long, so that it can be copied.
    this.device.print([cleanLine(line), ...shared]);
  }
}

/** How the person of a private conversation is known. */
function trustOf({ kind, people }: Conversation): Trust | undefined {
  const trust = kind === "person" ? people[0]?.trust : undefined;
  return trust === "self" ? undefined : trust;
}
