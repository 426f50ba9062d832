/**
 * The input line: keys become editing, sending, completing, and answers to questions. What to draw is in
 * {@linkcode InputLine.view}.
 *
 * @module
 */

import { BoundedMap } from "../../base/bounded_map.ts";
import { encodeUtf8 } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { type Completion, CompletionMenu } from "./complete.ts";
import { EditBuffer, type Kills } from "./edit.ts";
import type { TerminalInput } from "./keys.ts";
import { Recall, RecallSearch, SentLines } from "./recall.ts";

/** Receives what the user typed. */
export interface InputHandlers {
  /** A longer message is not sent but stays in the line. */
  maxBytes: number;
  /** What was sent in earlier runs. */
  sent?: SentLines;
  /** Completions at the cursor (in UTF-16 units), for Tab. */
  complete(line: string, cursor: number): Completion;
  /**
   * Looks at the line after each change by typing, and when {@linkcode onLine} has kept it.
   *
   * @returns What replaces it, with the same end; undefined to leave it.
   */
  rewrite?(line: string): string | undefined;
  /**
   * Takes a message or command: not blank, at most `maxBytes` of UTF-8, possibly several lines.
   *
   * @returns False to keep the text in the line.
   */
  onLine(text: string): boolean | void;
  /** Takes a key that means nothing to the line. */
  onKey?(name: string): void;
  /** Ctrl-C on an empty line. */
  onInterrupt(): void;
  /** Ctrl-D on an empty line. */
  onEnd(): void;
}

/** What {@linkcode InputLine} needs from the screen. */
interface InputScreen {
  redraw(): void;
  bell(): void;
  /** Ctrl-L. */
  clear(): void;
  /** Ctrl-Z. */
  stop(): void;
}

/** What to draw. */
interface InputView {
  /** Replaces the prompt while a question is open. */
  question: string | undefined;
  line: string;
  /** Position in `line`, in UTF-16 units. */
  cursor: number;
  /** What Tab found, in the given order. */
  candidates: readonly string[];
  /** The index of the candidate that is in the line. */
  chosen?: number | undefined;
  /** What Enter would do, where that is not obvious; empty for none. */
  hint: string;
}

/** A text being written, to somebody. */
interface Draft {
  readonly buffer: EditBuffer;
  readonly recall: Recall;
  /** Where alone its lines are recalled; undefined for everywhere. */
  readonly place: string | undefined;
}

interface Question {
  text: string;
  secret: boolean;
  buffer: EditBuffer;
  resolve(answer: string | undefined): void;
}

/** The drafts that are kept, the ones used last. */
const MAX_DRAFTS = 64;
/** Most keys and characters that are kept for the next question. */
const MAX_KEYS_AHEAD = 1024;

/** The line being typed, or the question in its place. */
export class InputLine {
  readonly #handlers: InputHandlers;
  readonly #screen: InputScreen;
  readonly #clock: Clock;
  readonly #kills: Kills = [];
  readonly #sent: SentLines;
  readonly #drafts = new BoundedMap<string, Draft>(MAX_DRAFTS);
  #draft: Draft;
  /** What is typed on after {@linkcode resume}. */
  #aside: Draft | undefined;
  #menu: CompletionMenu | undefined;
  #search: RecallSearch | undefined;
  /** The size that a refused paste would have given, until the next key. */
  #refused = 0;
  /** Shown until the next key. */
  #notice = "";
  #question: Question | undefined;
  /** Replaces the prompt while no line is taken. */
  #held: string | undefined;
  /** Keys typed after an answer, for the next question. */
  #ahead: TerminalInput[] | undefined;
  /** Keys and characters in it. */
  #aheadSize = 0;

  constructor(handlers: InputHandlers, screen: InputScreen, clock: Clock) {
    this.#handlers = handlers;
    this.#screen = screen;
    this.#clock = clock;
    this.#sent = handlers.sent ?? new SentLines();
    this.#draft = this.#newDraft(undefined);
  }

  /** What to draw now; nothing of a secret. */
  get view(): InputView {
    const question = this.#question?.text ?? this.#held;
    const nothing = { line: "", cursor: 0, candidates: [], hint: "" };
    if (this.#question?.secret || this.#held !== undefined) return { ...nothing, question };
    if (this.#question === undefined && this.#search !== undefined) {
      const { query: { text, cursor }, found } = this.#search;
      const hint = found ?? (text === "" ? "" : "never sent");
      return { ...nothing, question: "sent before: ", line: text, cursor, hint };
    }
    const { text: line, cursor } = this.#question?.buffer ?? this.#draft.buffer;
    const { candidates = [], chosen } = this.#menu ?? {};
    return { question, line, cursor, candidates, chosen, hint: this.#hint(line) };
  }

  /** Whether what is typed goes to a question, or nowhere. */
  get isAsking(): boolean {
    return this.#question !== undefined || this.#held !== undefined || this.#ahead !== undefined;
  }

  /** Puts what is typed aside for another text, until {@linkcode resume} or {@linkcode turnTo}. */
  interrupt(text: string): void {
    this.#leaveModes();
    this.#aside ??= this.#draft;
    this.#draft = this.#newDraft(this.#draft.place);
    this.#draft.buffer.set(text);
  }

  /** Goes on with what was put aside, if anything was. */
  resume(): void {
    if (this.#aside === undefined) return;
    this.#leaveModes();
    this.#draft = this.#aside;
    this.#aside = undefined;
  }

  /**
   * Turns to the draft for another recipient; the present one is kept.
   *
   * @param isPrivate Whether what is sent there is recalled only there.
   */
  turnTo(recipient: string, isPrivate: boolean): void {
    this.#leaveModes();
    this.#aside = undefined;
    // What was typed before there was anybody to write to is for the first room.
    const fresh = this.#drafts.size === 0 && !isPrivate
      ? this.#draft
      : this.#newDraft(isPrivate ? recipient : undefined);
    this.#draft = this.#drafts.get(recipient) ?? fresh;
    this.#drafts.renew(recipient, this.#draft);
    this.#screen.redraw();
  }

  /**
   * Asks a question in place of the line; Ctrl-C and Ctrl-D answer undefined.
   *
   * @throws {TypeError} When a question is already open: a bug.
   */
  ask(text: string, options: { secret: boolean }): Promise<string | undefined> {
    if (this.#question !== undefined) throw new TypeError("Cannot ask: a question is open");
    return new Promise((resolve) => {
      this.#question = { text, secret: options.secret, buffer: new EditBuffer(), resolve };
      if (this.#held !== undefined) this.#takeAhead();
      this.#screen.redraw();
    });
  }

  /**
   * Shows a text in place of the line until a question follows or {@linkcode release} is called. Keys typed meanwhile go
   * to that question, otherwise nowhere; Ctrl-C and Ctrl-D count as on an empty line.
   */
  hold(text: string): void {
    this.#held = text;
    this.#ahead ??= [];
    this.#screen.redraw();
  }

  /** Ends {@linkcode hold}. */
  release(): void {
    if (this.#held === undefined) return;
    this.#takeAhead();
    this.#screen.redraw();
  }

  /** Shows a hint until the next key. */
  notify(text: string): void {
    this.#notice = text;
    this.#screen.redraw();
  }

  /** Drops what is unfinished; answers an open question with undefined. */
  close(): void {
    this.#question?.resolve(undefined);
    this.#question = undefined;
  }

  #newDraft(place: string | undefined): Draft {
    const buffer = new EditBuffer(this.#kills);
    return { buffer, recall: new Recall(this.#sent, buffer, place), place };
  }

  /** Takes what the user typed; what is to be drawn may have changed. */
  take(input: TerminalInput): void {
    if (input.type === "report" || input.type === "focus") return;
    const isLine = this.#question === undefined && this.#ahead === undefined;
    if (input.type === "paste" && !isLine) {
      // Answers have one line, so a paste counts as keys.
      for (const key of typedKeys(input.text)) this.take(key);
      return;
    }
    if (this.#ahead !== undefined) return this.#keep(input, this.#ahead);
    this.#refused = 0;
    this.#notice = "";
    if (this.#question !== undefined) this.#takeAnswer(input, this.#question);
    else if (input.type === "key") this.#press(input.name);
    else this.#insert(input);
  }

  #takeAnswer(input: TerminalInput, { buffer }: Question): void {
    if (input.type === "text" && !buffer.type(input.text)) this.#screen.bell();
    if (input.type !== "key") return;
    switch (input.name) {
      case "enter":
      case "C-j":
        return this.#answer(buffer.text);
      case "C-c":
        return this.#answer(undefined);
      case "C-d":
        return buffer.text === "" ? this.#answer(undefined) : void buffer.press(input.name);
      case "M-enter":
      case "S-enter":
      case "C-enter":
        return;
      default:
        if (!this.#pressScreenKey(input.name)) buffer.press(input.name);
    }
  }

  /** Inserts text that was typed or pasted. */
  #insert({ type, text }: { readonly type: string; readonly text: string }): void {
    if (this.#search !== undefined) return this.#search.type(text);
    this.#menu = undefined;
    const { buffer } = this.#draft;
    if (type === "text") {
      if (!buffer.type(text)) this.#screen.bell();
    } else {
      const pasted = text.replace(/\n+$/, "");
      if (!buffer.insert(pasted)) {
        this.#refused = encodeUtf8(buffer.text + pasted).length;
        this.#screen.bell();
      }
    }
    this.#rewrite(buffer);
  }

  #press(name: string): void {
    if (this.#search !== undefined && this.#pressInSearch(name, this.#search)) return;
    if (this.#menu !== undefined && this.#pressInMenu(name, this.#menu)) return;
    const { buffer, recall } = this.#draft;
    switch (name) {
      case "enter":
        return this.#submit(this.#draft);
      case "tab":
        this.#menu = CompletionMenu.open(
          buffer,
          this.#handlers.complete(buffer.text, buffer.cursor),
        );
        return;
      case "C-c":
        if (buffer.text === "") return this.#handlers.onInterrupt();
        buffer.set("");
        return recall.restart();
      case "C-d":
        return buffer.text === "" ? this.#handlers.onEnd() : void buffer.press(name);
      case "up":
      case "C-p":
        return buffer.press("up") ? undefined : recall.older();
      case "down":
      case "C-n":
        return buffer.press("down") ? undefined : recall.newer();
      case "C-r":
        this.#search = new RecallSearch(this.#sent, this.#draft.place);
        return;
      default:
        if (this.#pressScreenKey(name) || buffer.press(name)) return;
        this.#handlers.onKey?.(name);
    }
  }

  #pressScreenKey(name: string): boolean {
    if (name === "C-l") this.#screen.clear();
    else if (name === "C-z") this.#screen.stop();
    else return false;
    return true;
  }

  /** @returns Whether the key is done with. */
  #pressInSearch(name: string, search: RecallSearch): boolean {
    if (search.press(name) || this.#pressScreenKey(name)) return true;
    this.#search = undefined;
    if (CANCEL_KEYS.has(name)) return true;
    if (search.found !== undefined) this.#draft.buffer.set(search.found);
    return name === "enter";
  }

  /** @returns Whether the key is done with. */
  #pressInMenu(name: string, menu: CompletionMenu): boolean {
    if (name === "tab" || name === "S-tab") {
      menu.step(name === "tab" ? 1 : -1);
      return true;
    }
    const isChosen = menu.chosen !== undefined;
    if (isChosen && (name === "down" || name === "up")) {
      menu.step(name === "down" ? 1 : -1);
      return true;
    }
    this.#menu = undefined;
    if (CANCEL_KEYS.has(name)) menu.cancel();
    return CANCEL_KEYS.has(name) || isChosen && name === "enter";
  }

  #leaveModes(): void {
    this.#menu = undefined;
    this.#search = undefined;
  }

  #rewrite(buffer: EditBuffer): void {
    const { text, cursor } = buffer;
    const rewritten = this.#handlers.rewrite?.(text);
    if (rewritten === undefined) return;
    let same = 0; // units at the ends of both
    while (same < text.length - cursor && text.at(-1 - same) === rewritten.at(-1 - same)) same++;
    buffer.set(rewritten, rewritten.length - same);
  }

  #submit({ buffer, recall, place }: Draft): void {
    const text = messageText(buffer.text);
    if (text.trim() === "") return buffer.reset();
    if (encodeUtf8(text).length > this.#handlers.maxBytes) return this.#screen.bell();
    if (this.#handlers.onLine(text) === false) {
      this.#screen.bell();
      return this.#rewrite(buffer);
    }
    this.#sent.add(text, place);
    buffer.reset();
    recall.restart();
  }

  #answer(answer: string | undefined): void {
    this.#question?.resolve(answer);
    this.#question = undefined;
    // Keys typed ahead go to a question that follows at once, otherwise nowhere: a secret typed too early must not
    // become a message.
    this.#ahead = [];
    this.#clock.after(0, () => {
      if (this.#held !== undefined) return;
      this.#takeAhead();
      this.#screen.redraw();
    });
  }

  /** Keeps a key for the next question. */
  #keep(input: TerminalInput, ahead: TerminalInput[]): void {
    if (this.#held !== undefined && input.type === "key") {
      if (input.name === "C-c") return this.#handlers.onInterrupt();
      if (input.name === "C-d") return this.#handlers.onEnd();
      if (input.name === "C-z") return this.#screen.stop();
    }
    this.#aheadSize += input.type === "text" ? input.text.length : 1;
    if (this.#aheadSize <= MAX_KEYS_AHEAD) ahead.push(input);
  }

  /** Gives the keys that were kept to the question, if there is one. */
  #takeAhead(): void {
    const ahead = this.#ahead ?? [];
    this.#ahead = this.#held = undefined;
    this.#aheadSize = 0;
    if (this.#question === undefined) return;
    for (const input of ahead) this.take(input);
  }

  #hint(line: string): string {
    if (this.#notice !== "") return this.#notice;
    const text = messageText(line);
    const bytes = this.#refused || encodeUtf8(text).length;
    const { maxBytes } = this.#handlers;
    if (this.#refused > 0) return `${bytes} bytes: not pasted, at most ${maxBytes} can be sent`;
    if (bytes > maxBytes) return `${bytes} bytes: at most ${maxBytes} can be sent, Ctrl-C drops`;
    const lines = text.split("\n").length;
    // It changes with no key but those that end a line: a screen reader reads it each time.
    return lines > 1 ? `${lines} lines — Enter sends, Ctrl-C drops` : "";
  }
}

/** Keys that end the innermost mode, and do nothing else there. */
const CANCEL_KEYS: ReadonlySet<string> = new Set(["escape", "C-g", "C-c"]);

/** What would have typed a text. */
function typedKeys(text: string): TerminalInput[] {
  return text.replaceAll("\t", "").split("\n").flatMap((line, i) => [
    ...(i > 0 ? [{ type: "key", name: "enter" }] as const : []),
    ...(line !== "" ? [{ type: "text", text: line }] as const : []),
  ]);
}

/** Strips blank lines at both ends and trailing white space. */
function messageText(line: string): string {
  return line.replace(/^(?:[^\S\n]*\n)+/, "").trimEnd();
}
