/**
 * What happens to what is typed and pasted: editing, sending, completing, answering questions.
 *
 * Bytes of the terminal go in, calls come out; what the line looks like now is in
 * {@linkcode InputLine.view}. Knows nothing of how it is drawn.
 *
 * @module
 */

import { emitKeypressEvents } from "node:readline";
import type { Key } from "node:readline";
import { PassThrough } from "node:stream";
import { encodeUtf8 } from "../../base/bytes.ts";
import { systemClock, type Timer } from "../../base/clock.ts";
import { applyCompletion, type Completion, Editor } from "./edit.ts";
import { InputFilter, PASTE_TIMEOUT_MS } from "./paste.ts";

/** Whom an {@linkcode InputLine} tells what was typed. */
export interface InputHandlers {
  /** A longer message is refused and its text kept for editing. */
  maxBytes: number;
  /** What may stand at the cursor (in UTF-16 units); called for Tab. */
  complete(line: string, cursor: number): Completion;
  /**
   * Takes one message or command: not blank, at most `maxBytes` of UTF-8, perhaps of several lines.
   *
   * @returns `false` to leave the text in the line.
   */
  onLine(text: string): boolean | void;
  /** Ctrl-C on an empty line. */
  onInterrupt(): void;
  /** Ctrl-D on an empty line. */
  onEnd(): void;
}

/** What an {@linkcode InputLine} asks of the screen. */
export interface InputScreen {
  /** Draws the line as it is now. */
  redraw(): void;
  bell(): void;
  /** Ctrl-L. */
  clear(): void;
  /** Ctrl-Z. */
  stop(): void;
}

/** What is to be seen of the input. */
export interface InputView {
  /** Stands in place of the prompt, when something is being asked. */
  question: string | undefined;
  line: string;
  /** Where the cursor is in `line`, in UTF-16 units. */
  cursor: number;
  /** What Tab found, in its order. */
  candidates: readonly string[];
  /** What Enter would do, where that is not plain to see; may be empty. */
  hint: string;
}

interface Question {
  text: string;
  secret: boolean;
  editor: Editor;
  resolve(answer: string | undefined): void;
}

/** Lines that can be recalled; kept in memory only. */
const HISTORY_LINES = 500;
/** The longest line that can be edited; a paste that makes it longer is refused. */
const MAX_LINE_BYTES = 65536;

/** Longer than any part of an escape sequence. */
const LONG_RUN = /^\P{Cc}{33,}/u;

/** The line being typed, and the question in its place. */
export class InputLine {
  readonly #handlers: InputHandlers;
  readonly #screen: InputScreen;
  readonly #editor = new Editor(HISTORY_LINES);
  readonly #filter = new InputFilter();
  readonly #decoder = new TextDecoder();
  /** Where text becomes keys. */
  readonly #keys = new PassThrough();
  #candidates: readonly string[] = [];
  /** The size of a paste that was refused, until the next key. */
  #refused = 0;
  #question: Question | undefined;
  /** Keys behind an answer, for the next question. */
  #ahead: [string | undefined, Key][] | undefined;
  #pasteTimer: Timer | undefined;

  constructor(handlers: InputHandlers, screen: InputScreen) {
    this.#handlers = handlers;
    this.#screen = screen;
    emitKeypressEvents(this.#keys);
    this.#keys.on("keypress", (text: string | undefined, key: Key) => this.#onKey(text, key));
  }

  /** What is to be seen now. */
  get view(): InputView {
    const { line, cursor } = this.#question?.editor ?? this.#editor;
    const question = this.#question?.text;
    if (this.#question?.secret) {
      return { question, line: "", cursor: 0, candidates: [], hint: "" };
    }
    return { question, line, cursor, candidates: this.#candidates, hint: this.#hint(line) };
  }

  /** Takes what one read of the terminal has given. */
  feed(bytes: Uint8Array): void {
    systemClock.cancel(this.#pasteTimer);
    const text = this.#decoder.decode(bytes, { stream: true });
    this.#take(this.#filter.feed(text, systemClock.now()));
    if (this.#filter.pasting) {
      const flush = (): void => this.#take(this.#filter.flush());
      this.#pasteTimer = systemClock.after(PASTE_TIMEOUT_MS, flush);
    }
  }

  /**
   * Asks something in place of the line; Ctrl-C and Ctrl-D answer `undefined`.
   *
   * @throws {TypeError} When a question is open already: our own mistake.
   */
  ask(text: string, options: { secret: boolean }): Promise<string | undefined> {
    if (this.#question !== undefined) throw new TypeError("Cannot ask: a question is open");
    return new Promise((resolve) => {
      this.#question = { text, secret: options.secret, editor: new Editor(0), resolve };
      this.#screen.redraw();
    });
  }

  /** Ends what waits for more input; an open question is answered with `undefined`. */
  close(): void {
    systemClock.cancel(this.#pasteTimer);
    this.#question?.resolve(undefined);
    this.#question = undefined;
  }

  #take(inputs: ReturnType<InputFilter["feed"]>): void {
    for (const { type, text } of inputs) {
      if (type === "paste" && this.#question === undefined) this.#paste(text);
      // No answer has several lines: to a question a paste is the same as keys.
      else this.#type(text);
    }
    this.#screen.redraw();
  }

  #paste(text: string): void {
    const pasted = text.replace(/\n+$/, "");
    const bytes = encodeUtf8(this.#editor.line + pasted).length;
    if (bytes <= MAX_LINE_BYTES) return this.#editor.insert(pasted);
    this.#refused = bytes;
    this.#screen.bell();
  }

  #type(text: string): void {
    // readline takes a millisecond for each key of a long line: text without a key goes in whole.
    const run = this.#ahead === undefined ? LONG_RUN.exec(text)?.[0] ?? "" : "";
    if (run !== "") this.#edited().insert(run);
    this.#keys.emit("data", text.slice(run.length));
  }

  /** The line that takes the next key; what was shown about the one before goes. */
  #edited(): Editor {
    this.#candidates = [];
    this.#refused = 0;
    return this.#question?.editor ?? this.#editor;
  }

  #onKey(text: string | undefined, key: Key): void {
    if (this.#ahead !== undefined) {
      this.#ahead.push([text, key]);
      return;
    }
    const editor = this.#edited();
    switch ((key.meta ? "M-" : "") + (key.ctrl ? "C-" : "") + key.name) {
      case "return":
      case "enter":
        return this.#question === undefined ? this.#submit() : this.#answer(editor.line);
      case "M-return":
      case "M-enter":
        return this.#question === undefined ? editor.insert("\n") : undefined;
      case "C-c":
        return this.#interrupt(editor);
      case "C-d":
        if (editor.line !== "") return editor.press(text, key);
        return this.#question === undefined ? this.#handlers.onEnd() : this.#answer(undefined);
      case "C-l":
        return this.#screen.clear();
      case "C-z":
        return this.#screen.stop();
      case "tab":
        return this.#question === undefined ? this.#complete() : undefined;
      default:
        return editor.press(text, key);
    }
  }

  #submit(): void {
    const text = messageText(this.#editor.line);
    if (text.trim() === "") return;
    if (encodeUtf8(text).length > this.#handlers.maxBytes) return this.#screen.bell();
    if (this.#handlers.onLine(text) !== false) this.#editor.accept();
  }

  #interrupt(editor: Editor): void {
    if (this.#question !== undefined) return this.#answer(undefined);
    if (editor.line === "") return this.#handlers.onInterrupt();
    editor.clear();
  }

  #answer(answer: string | undefined): void {
    this.#question?.resolve(answer);
    this.#question = undefined;
    // What was typed ahead goes to a question that follows at once, and else nowhere: a secret typed too
    // early must not become a message.
    this.#ahead = [];
    systemClock.after(0, () => {
      const ahead = this.#ahead ?? [];
      this.#ahead = undefined;
      if (this.#question === undefined) return;
      for (const [text, key] of ahead) this.#onKey(text, key);
      this.#screen.redraw();
    });
  }

  #complete(): void {
    const { line, cursor } = this.#editor;
    const completed = applyCompletion(line, this.#handlers.complete(line, cursor));
    this.#editor.replace(completed.line, completed.cursor);
    this.#candidates = completed.list;
  }

  #hint(line: string): string {
    const text = messageText(line);
    const bytes = this.#refused || encodeUtf8(text).length;
    const { maxBytes } = this.#handlers;
    if (this.#refused > 0) return `${bytes} bytes: not pasted, at most ${maxBytes} can be sent`;
    if (bytes > maxBytes) return `${bytes} bytes: at most ${maxBytes} can be sent, Ctrl-C drops`;
    const lines = text.split("\n").length;
    return lines > 1 ? `${lines} lines, ${bytes} bytes — Enter sends, Ctrl-C drops` : "";
  }
}

/** The line without blank lines at either end and without white space behind it. */
function messageText(line: string): string {
  return line.replace(/^(?:[^\S\n]*\n)+/, "").trimEnd();
}
