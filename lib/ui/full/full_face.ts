/**
 * The full-screen face without a terminal: keys become what is done, the conversations become frames.
 *
 * @module
 */

import type { Clock } from "../../base/clock.ts";
import { UsageError } from "../../base/errors.ts";
import { graphemes } from "../../base/text.ts";
import type { ChatClient } from "../chat_client.ts";
import { isCommand } from "../commands.ts";
import type { Change, Conversation, MessageEntry } from "../conversation.ts";
import { type LayoutContext, layoutEntry } from "../layout.ts";
import type { ScreenSettings } from "../settings.ts";
import {
  type ColorDepth,
  type Frame,
  InputLine,
  type Row,
  type SentLines,
  type Size,
  type TerminalInput,
  Typesetter,
  type Widths,
} from "../terminal/mod.ts";
import { type Background, chooseTheme, NickColors } from "../theme.ts";
import { transcript } from "../transcript.ts";
import { Viewport } from "../viewport.ts";
import { type Body, ChatFrame, type ChatState, type Task } from "./chat_frame.ts";
import { FreshRows } from "./fresh_rows.ts";
import { layoutOverlay, type Look } from "./frame.ts";
import { layoutHelp, layoutKeys } from "./keys_help.ts";
import { Choice, Find, Overlay } from "./modes.ts";

/** What {@linkcode FullFace} needs of the client. */
export type FaceClient = Pick<
  ChatClient,
  | "conversations"
  | "context"
  | "waitingEvents"
  | "submit"
  | "reply"
  | "note"
  | "complete"
  | "beginReply"
>;

/** Options of {@linkcode FullFace}. */
export interface FullFaceOptions {
  readonly client: FaceClient;
  readonly clock: Clock;
  readonly color: ColorDepth;
  /** Whether the terminal shows more than ASCII. */
  readonly utf8: boolean;
  readonly settings: Readonly<ScreenSettings>;
  /** What a message may have, in bytes of UTF-8. */
  readonly maxBytes: number;
  /** What was sent in earlier runs. */
  readonly sent?: SentLines;
  /** Whether nothing rings and nothing is told. */
  isQuiet?(): boolean;
  /** A line was sent, or a command was run. */
  submitted?(line: string, conversation: Conversation): void;
  /** Paints everything from nothing. */
  redraw(): void;
  /** Something else is to be shown, though nobody has typed. */
  changed(): void;
  bell(): void;
  /** Puts a text into the clipboard. */
  copy(text: string): void;
  stop(): void;
  quit(): void;
}

/** Messages among which the newest that was cut is looked for. */
const MAX_LOOKED_AT = 100;

export class FullFace {
  readonly input: InputLine;
  readonly #options: FullFaceOptions;
  readonly #colors = new NickColors();
  readonly #views = new WeakMap<Conversation, Viewport>();
  #text: Typesetter;
  #background: Background = "unknown";
  #overlay: Overlay | undefined;
  #find: Find | undefined;
  #choice: Choice | undefined;
  #task: Task | undefined;
  /** Shown in the status row until the next key. */
  #hint = "";
  /** Shown in the status row. */
  #progress = "";
  /** Whether Alt-S has changed what the setting says. */
  #isSideTurned = false;
  /** Where the line that is typed goes. */
  #shown: Conversation;
  /** What the conversation was last laid out with. */
  #body: Body | undefined;
  /** What came to the conversation that is shown since the last frame. */
  readonly #fresh: FreshRows;

  constructor(options: FullFaceOptions) {
    const { client, clock, utf8, maxBytes, sent } = options;
    this.#options = options;
    this.#text = new Typesetter({ utf8 });
    this.#shown = client.conversations.shown;
    this.#fresh = new FreshRows({ waiting: () => client.waitingEvents, body: () => this.#body });
    this.input = new InputLine({
      maxBytes,
      ...(sent && { sent }),
      complete: (line, cursor) => client.complete(line, cursor),
      rewrite: (line) => client.beginReply(line),
      onLine: (line) => this.#submit(line),
      onInterrupt: () => options.quit(),
      onEnd: () => options.quit(),
      onKey: (name) => this.#press(name),
    }, {
      redraw: () => options.changed(),
      bell: () => options.bell(),
      clear: () => options.redraw(),
      stop: () => options.stop(),
    }, clock);
    const { id, kind } = this.#shown;
    // What is typed before there is a room is for the first one.
    if (kind !== "client") this.input.turnTo(id, kind === "person");
    client.conversations.listen((change) => this.#onChange(change));
  }

  /**
   * Whether others must wait for a frame before they can show more in a conversation: something would be gone before it
   * could be seen.
   */
  isBusy(conversation: Conversation): boolean {
    return conversation === this.#shown && this.#fresh.isFull;
  }

  set widths(widths: Widths) {
    this.#text = new Typesetter({ utf8: this.#options.utf8, ...widths });
  }

  set background(background: Background) {
    this.#background = background;
  }

  /** Shows an activity; an empty text ends it. */
  set progress(text: string) {
    this.#progress = text;
  }

  /** Shows something in the status row until the next key. */
  set hint(text: string) {
    this.#hint = text;
  }

  /**
   * Covers the conversation until a key closes it.
   *
   * @param copied What the key `c` copies.
   */
  show(
    title: string,
    rows: (width: number, look: Look) => readonly Row[],
    copied?: string,
  ): void {
    this.#overlay = new Overlay(title, (width) => rows(width, this.#look()), copied);
  }

  /** Shows what the keys do. */
  showKeys(): void {
    this.show("keys", layoutKeys);
  }

  /** See {@linkcode Screen.showCommands}. */
  showCommands(rows: Parameters<typeof layoutHelp>[0]): void {
    this.show("commands", (width, look) => layoutHelp(rows, width, look));
  }

  /** See {@linkcode Screen.showNames}. */
  showNames(lines: readonly string[]): void {
    const title = `${this.#shown.kind === "room" ? this.#shown.title : "the room"}: who is here`;
    this.show(
      title,
      (width, { text }) =>
        lines.flatMap((line) =>
          text.wrap([{ text: text.cleanLine(line), style: "" }], { room: width }).rows
        ),
    );
  }

  /**
   * Shows the whole of a message of the conversation.
   *
   * @param seq Undefined for the newest that was cut.
   * @throws {UsageError} If there is none.
   */
  showWhole(seq: number | undefined): void {
    const messages = this.#shown.entries.filter((entry) => entry.type === "message");
    const context = this.#body?.context;
    const isCut = (entry: MessageEntry) =>
      context !== undefined &&
      layoutEntry(entry, false, context).length < layoutEntry(entry, false, whole(context)).length;
    const found = seq === undefined
      ? messages.slice(-MAX_LOOKED_AT).findLast(isCut)
      : messages.find((entry) => entry.seq === seq);
    if (found === undefined) {
      throw new UsageError(
        seq === undefined ? "no message was cut" : `there is no message ${seq} here`,
      );
    }
    const title = `message of ${found.nick}`;
    this.show(
      title,
      (width, look) =>
        layoutEntry(found, false, { ...whole(this.#body!.context), ...look, width, query: "" }),
    );
  }

  /** The conversation that is shown as plain text. @param last How many of its messages; by default all. */
  transcript(last: number | undefined): string[] {
    return transcript(this.#shown.entries, this.#text, { last });
  }

  /** Begins a search in the conversation that is shown. */
  find(query: string): void {
    this.#leaveModes();
    this.#find = new Find(this.#shown, query);
    this.#reveal(this.#find.found);
  }

  // Keys.

  /** Takes what the user types. */
  take(input: TerminalInput): void {
    if (input.type === "report" || input.type === "focus") return;
    this.#hint = "";
    if (this.#overlay !== undefined && this.#takeInOverlay(input, this.#overlay)) return;
    if (this.input.isAsking) return this.input.take(input);
    if (this.#choice !== undefined) {
      if (input.type === "text" && graphemes(input.text).length > 1) {
        for (const text of graphemes(input.text)) this.take({ type: "text", text });
        return;
      }
      if (this.#takeInChoice(input, this.#choice)) return;
    }
    if (this.#find !== undefined && this.#takeInFind(input, this.#find)) return;
    if (input.type === "key" && this.#pressBefore(input.name)) return;
    this.input.take(input);
  }

  /** Keys that mean more than they do to the line, in some states of it. */
  #pressBefore(name: string): boolean {
    const { line, cursor } = this.input.view;
    switch (name) {
      case "C-f":
        if (cursor < line.length) return false;
        this.find("");
        return true;
      case "C-c":
        if (this.#task === undefined) return false;
        this.#endTask();
        return true;
      case "C-home":
        if (line !== "") return false;
        this.#scrollToStart();
        return true;
      case "C-end":
        if (line !== "") return false;
        this.#view().follow();
        return true;
      default:
        return false;
    }
  }

  /** Keys that mean nothing to the line. */
  #press(name: string): void {
    const { conversations } = this.#options.client;
    const page = Math.max(1, (this.#body?.height ?? 1) - 2);
    const [, digit] = /^M-([1-9])$/.exec(name) ?? [];
    if (digit !== undefined) {
      const found = conversations.list.find(({ number }) => number === Number(digit));
      return found && conversations.show(found);
    }
    switch (name) {
      case "escape":
      case "C-g":
        return this.#task === undefined ? this.#view().follow() : this.#endTask();
      case "pageup":
        return this.#scroll(page);
      case "pagedown":
        return this.#scroll(-page);
      case "S-up":
      case "C-up":
        return this.#scroll(1);
      case "S-down":
      case "C-down":
        return this.#scroll(-1);
      case "M-home":
        return this.#scrollToStart();
      case "M-end":
        return this.#view().follow();
      case "M-up":
        return this.#step(-1);
      case "M-down":
        return this.#step(1);
      case "M-a":
        return conversations.showUnread();
      case "M-s":
        this.#isSideTurned = !this.#isSideTurned;
        return;
      case "M-r":
        this.#choice = Choice.open(this.#shown);
        if (this.#choice === undefined) this.#hint = "no message to choose";
        return this.#reveal(this.#choice?.seq);
      case "f1":
        return this.showKeys();
    }
  }

  #takeInOverlay(input: TerminalInput, overlay: Overlay): boolean {
    if (input.type === "key" && overlay.press(input.name)) return true;
    if (input.type === "key" && input.name === "C-l") return false;
    if (input.type === "text" && input.text === "c" && overlay.copied !== undefined) {
      this.#options.copy(overlay.copied);
      return true;
    }
    this.#overlay = undefined;
    if (input.type === "key") return CLOSING_KEYS.has(input.name);
    return input.type === "text" && input.text === "q";
  }

  #takeInChoice(input: TerminalInput, choice: Choice): boolean {
    const { entry } = choice;
    const isText = input.type === "text";
    if (entry === undefined || input.type !== "key" && !isText) {
      this.#choice = undefined;
      return false;
    }
    const name = isText ? input.text : input.name;
    const wasAsked = this.#takesBack === entry;
    this.#takesBack = undefined;
    switch (name) {
      case "up":
      case "k":
      case "down":
      case "j":
        choice.step(name === "up" || name === "k" ? -1 : 1);
        this.#reveal(choice.seq);
        return true;
      case "enter":
      case "r":
        this.#beginTask({ what: "answer", entry });
        return true;
      case "+":
        this.#beginTask({ what: "react", entry });
        return true;
      case "e":
        if (entry.own) this.#beginTask({ what: "edit", entry });
        else this.#hint = "only your own messages can be changed";
        return true;
      case "d":
        if (!entry.own) this.#hint = "only your own messages can be taken back";
        else if (wasAsked) this.#takeBack(choice.conversation, entry);
        else {
          this.#takesBack = entry;
          this.#hint = "d again takes it back";
        }
        return true;
      case "c":
        this.#options.copy(entry.text);
        this.#choice = undefined;
        this.#hint = "copied";
        return true;
      case "C-l":
      case "C-z":
        return false;
      default:
        this.#choice = undefined;
        if (name !== "escape" && name !== "C-c" && name !== "C-g" && name !== "q") return isText;
        this.#view().follow();
        return true;
    }
  }

  /** The message that another `d` takes back. */
  #takesBack: MessageEntry | undefined;

  #takeBack(conversation: Conversation, entry: MessageEntry): void {
    this.#choice = undefined;
    this.#options.client.note(conversation, entry, "retraction", "");
  }

  #takeInFind(input: TerminalInput, find: Find): boolean {
    if (input.type === "text" || input.type === "paste") {
      find.buffer.type(input.text.replaceAll("\n", " "));
    } else if (input.type === "key") {
      switch (input.name) {
        case "up":
        case "C-p":
        case "C-r":
        case "C-f":
          find.step(-1);
          break;
        case "down":
        case "C-n":
        case "C-s":
          find.step(1);
          break;
        case "enter":
          this.#find = undefined;
          return true;
        case "escape":
        case "C-c":
        case "C-g":
          this.#find = undefined;
          this.#view().follow();
          return true;
        case "pageup":
        case "pagedown":
        case "S-up":
        case "S-down":
          this.#press(input.name);
          return true;
        case "C-l":
        case "C-z":
          return false;
        default:
          find.buffer.press(input.name);
      }
      find.search();
    }
    find.search();
    this.#reveal(find.found);
    return true;
  }

  // What is done.

  #submit(line: string): boolean {
    const { client } = this.#options;
    const task = isCommand(line) ? undefined : this.#task;
    const conversation = this.#shown;
    if (!this.#perform(task, conversation, line)) return false;
    if (task !== undefined) this.#task = undefined;
    this.#options.submitted?.(line, conversation);
    if (client.conversations.shown === conversation) this.#view().follow();
    return true;
  }

  #perform(task: Task | undefined, conversation: Conversation, line: string): boolean {
    const { client } = this.#options;
    switch (task?.what) {
      case undefined:
        return client.submit(conversation, line);
      case "answer":
        return client.reply(conversation, task.entry, line);
      case "react":
        return client.note(conversation, task.entry, "reaction", line);
      case "edit":
        return client.note(conversation, task.entry, "edit", line);
    }
  }

  #beginTask(task: Task): void {
    this.#choice = undefined;
    this.#task = task;
    if (task.what === "edit") this.input.replace(task.entry.text);
    this.#view().follow();
  }

  #endTask(): void {
    if (this.#task?.what === "edit") this.input.replace("");
    this.#task = undefined;
  }

  #onChange(change: Change): void {
    const { shown } = this.#options.client.conversations;
    if (change.type === "entry") this.#onEntry(change);
    if (shown !== this.#shown) {
      this.#shown = shown;
      this.#leaveModes();
      this.#task = undefined;
      this.input.turnTo(shown.id, shown.kind === "person");
    }
    this.#options.changed();
  }

  #onEntry({ conversation, entry, isNew }: Change & { type: "entry" }): void {
    const view = this.#views.get(conversation);
    if (isNew && view !== undefined && !view.isFollowing) view.missed++;
    // What becomes of the user's own messages changes no more than what stands behind their text.
    const isOwn = entry.type !== "message" || entry.own;
    if (conversation !== this.#shown || isOwn && !isNew) return;
    this.#fresh.add(entry, isNew, this.#view());
  }

  #leaveModes(): void {
    this.#overlay = undefined;
    this.#find = undefined;
    this.#choice = undefined;
  }

  #step(by: number): void {
    const { conversations } = this.#options.client;
    const { list } = conversations;
    conversations.show(list.at((list.indexOf(this.#shown) + by) % list.length)!);
  }

  // Scrolling.

  #view(): Viewport {
    let view = this.#views.get(this.#shown);
    if (view === undefined) this.#views.set(this.#shown, view = new Viewport(this.#shown));
    return view;
  }

  #scroll(by: number): void {
    if (this.#body !== undefined) this.#view().scroll(by, this.#body.height);
  }

  #scrollToStart(): void {
    if (this.#body !== undefined) this.#view().scrollToStart(this.#body.height);
  }

  #reveal(seq: number | undefined): void {
    if (seq === undefined || this.#body === undefined) return;
    const { height, context } = this.#body;
    this.#view().reveal(seq, height, context, this.#firstNew());
  }

  #firstNew(): number | undefined {
    return this.#options.client.conversations.firstNew(this.#shown);
  }

  // What is seen.

  #look(): Look {
    const { color, settings } = this.#options;
    const background = settings.theme === "auto" ? this.#background : settings.theme;
    const theme = chooseTheme(color, background);
    return { text: this.#text, theme, colors: this.#colors };
  }

  #state(): ChatState {
    const { client, clock, settings, isQuiet } = this.#options;
    const { nick, away } = client.context?.session ?? { nick: "", away: "" };
    return {
      list: client.conversations.list,
      shown: this.#shown,
      view: this.#view(),
      firstNew: this.#firstNew(),
      input: this.input,
      find: this.#find,
      choice: this.#choice,
      task: this.#task,
      hint: this.#hint,
      progress: this.#progress,
      nick,
      isAway: away !== "",
      isQuiet: isQuiet?.() ?? false,
      hasSide: (settings.side === "off") === this.#isSideTurned,
      hasTimes: settings.timestamp !== "off",
      now: clock.wallTime(),
    };
  }

  /** Everything that is on the screen. */
  frame(size: Size): Frame {
    if (this.#fresh.reset(this.#view())) this.#options.changed();
    const look = this.#look();
    if (this.#overlay !== undefined) {
      return { rows: layoutOverlay(this.#overlay, size, look), cursor: undefined };
    }
    const { frame, body } = new ChatFrame(this.#state(), look).layOut(size);
    this.#body = body;
    return frame;
  }
}

/** Keys that close what covers the conversation, and do nothing else. */
const CLOSING_KEYS: ReadonlySet<string> = new Set(["escape", "enter", "C-c", "C-g", "f1"]);

/** For messages that are not cut. */
function whole(context: LayoutContext): LayoutContext {
  return { ...context, maxRows: Infinity };
}
