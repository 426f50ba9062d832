/**
 * The full-screen face without a terminal: keys become what is done, the conversations become frames.
 *
 * @module
 */

import type { Clock } from "../../base/clock.ts";
import { graphemes } from "../../base/text.ts";
import type { ChatClient } from "../chat_client.ts";
import { isCommand } from "../commands.ts";
import { REACTIONS } from "../completion.ts";
import type { Change, Conversation } from "../conversation.ts";
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
import { findMessage, layoutWhole } from "./whole_message.ts";

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
      complete: (line, cursor) => this.#complete(line, cursor),
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
    this.#options.changed();
  }

  /** Shows something in the status row until the next key. */
  set hint(text: string) {
    this.#hint = text;
    this.#options.changed();
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
    this.#options.changed();
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
    const entry = findMessage(this.#shown.entries, seq, this.#body?.context);
    this.show(
      `message of ${entry.nick}`,
      (width, look) => layoutWhole(entry, { ...this.#body!.context, ...look, width, query: "" }),
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
      case "M-u":
        return this.#reveal(this.#firstNew(), true);
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
    const isTaken = overlay.take(input, (text) => this.#options.copy(text));
    if (overlay.isClosed) this.#overlay = undefined;
    return isTaken;
  }

  #takeInChoice(input: TerminalInput, choice: Choice): boolean {
    const { entry } = choice;
    const step = choice.take(input);
    this.#hint = choice.hint;
    switch (step) {
      case "goes on":
        this.#reveal(choice.seq);
        return true;
      case "other":
        return false;
      case "answer":
      case "react":
      case "edit":
        this.#beginTask({ what: step, entry: entry! });
        return true;
      case "takes back":
        this.#options.client.note(choice.conversation, entry!, "retraction", "");
        break;
      case "copies":
        this.#options.copy(entry!.text);
        break;
      case "back":
        this.#view().follow();
    }
    this.#choice = undefined;
    return step !== "ends for another";
  }

  #takeInFind(input: TerminalInput, find: Find): boolean {
    const step = find.take(input);
    if (step === "other") return false;
    if (step === "scrolls" && input.type === "key") this.#press(input.name);
    else if (step === "goes on") this.#reveal(find.found);
    else this.#find = undefined;
    if (step === "back") this.#view().follow();
    return true;
  }

  // What is done.

  #submit(line: string): boolean {
    const { client } = this.#options;
    const task = isCommand(line) ? undefined : this.#task;
    const conversation = this.#shown;
    if (!this.#perform(task, conversation, line)) return false;
    if (task !== undefined) this.#endTask();
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
    if (task.what !== "answer") this.input.interrupt(task.what === "edit" ? task.entry.text : "");
    if (task.what === "react") this.input.take({ type: "key", name: "tab" });
    this.#view().follow();
  }

  #complete(line: string, cursor: number): ReturnType<FaceClient["complete"]> {
    if (this.#task?.what !== "react") return this.#options.client.complete(line, cursor);
    return { start: 0, end: cursor, candidates: cursor === 0 ? REACTIONS : [] };
  }

  #endTask(): void {
    this.#task = undefined;
    this.input.resume();
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

  #reveal(seq: number | undefined, atTop = false): void {
    if (seq === undefined || this.#body === undefined) return;
    this.#view().reveal(seq, this.#body, { firstNew: this.#firstNew(), atTop });
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
