/**
 * The chat's screen: what is printed scrolls like a log, the line being typed stays below it.
 *
 * Whatever ends the program, {@linkcode Terminal.close} leaves the terminal as it was found. Never
 * imports network or crypto; signals that end the program are the caller's.
 *
 * @module
 */

import { systemClock, type Timer } from "../../base/clock.ts";
import { type InputHandlers, InputLine } from "./input.ts";
import { type ColorDepth, toneCode } from "./colors.ts";
import {
  type Block,
  drawBlock,
  eraseBlock,
  goToLastRow,
  layoutBlock,
  layoutCandidates,
  shownText,
  type Size,
  writeLog,
} from "./screen.ts";
import { openTty, type Tty } from "./tty.ts";

export type { Completion } from "./edit.ts";

/** What a {@linkcode Terminal} needs to know, and whom it tells what is typed. */
export interface TerminalOptions extends InputHandlers {
  /** Stands before the line, without escape sequences. */
  prompt: string;
  color: ColorDepth;
  /** Whether the terminal takes more than ASCII. */
  utf8: boolean;
  /** The terminal is gone: nothing can be read or written any more. */
  onHangup(): void;
  /** The device; by default the process's own. */
  tty?: Tty;
}

type Mode = "new" | "open" | "stopped" | "closed";

const PASTE_ON = "\x1b[?2004h";
const PASTE_OFF = "\x1b[?2004l";
const RESET = "\x1b[0m";
const BELL = "\x07";
const CLEAR_SCREEN = "\x1b[H\x1b[2J";

/** Rows that arrive within this time are drawn in one write. */
const BATCH_MS = 16;
/**
 * Nothing is drawn until the window rests: tmux tells of a new size at most every 250 ms, and what is
 * drawn for another size than the terminal has leaves fragments.
 */
const RESIZE_SETTLE_MS = 300;
const MAX_CANDIDATE_ROWS = 6;

/** A terminal in raw mode with a log and an input line. */
export class Terminal {
  readonly #options: TerminalOptions;
  readonly #tty: Tty;
  readonly #input: InputLine;
  #mode: Mode = "new";
  #prompt: { text: string; code: string };
  #status = "";
  /** Rows that are not drawn yet. */
  #log: string[] = [];
  #bell = false;
  /** What is on the screen; `undefined` when the cursor is on a free row. */
  #drawn: Block | undefined;
  #drawnAt = -Infinity;
  #timer: Timer | undefined;
  /** Whether the block has gone to the last row. */
  #atBottom = false;
  /** Whether the window is being resized, and nothing drawn until it rests. */
  #resizing = false;

  /** Touches nothing yet. */
  constructor(options: TerminalOptions) {
    this.#options = options;
    this.#tty = options.tty ?? openTty();
    this.#prompt = { text: options.prompt, code: toneCode("bold", options.color) };
    this.#input = new InputLine(options, {
      redraw: () => this.#resizing || this.#paint(),
      bell: () => this.bell(),
      clear: () => this.clear(),
      stop: () => void this.#stop(),
    });
  }

  /** How many columns the terminal has now. */
  get columns(): number {
    return this.#tty.size().columns;
  }

  /**
   * Takes the terminal over, once, and draws the input line.
   *
   * Signals that end the program must be listened to before. Its reading lasts as long as the process:
   * who has finished calls `Deno.exit`.
   */
  open(): void {
    if (this.#mode !== "new") return;
    this.#tty.listen(() => this.#onResize(), () => this.#resume());
    this.#resume();
    this.#read();
  }

  /** Gives the terminal back as it was, the input line gone. Safe to call at any time, and again. */
  close(): void {
    if (this.#mode === "open") this.#leave();
    this.#end();
  }

  /** Prints rows above the input line; they are written as they are, so they must be clean and wrapped. */
  print(rows: readonly string[]): void {
    this.#log.push(...rows);
    this.#schedule();
  }

  /**
   * Sets what stands before the line.
   *
   * @param code SGR parameters for its colour; bold by default.
   */
  setPrompt(text: string, code: string = toneCode("bold", this.#options.color)): void {
    this.#prompt = { text, code };
    this.#schedule();
  }

  /** Sets a row above the prompt, for progress; an empty text removes it. */
  setStatus(text: string): void {
    this.#status = text;
    this.#schedule();
  }

  /** Rings the bell, once with all that is drawn next. */
  bell(): void {
    this.#bell = true;
    this.#schedule();
  }

  /** Clears the screen but for the input line. */
  clear(): void {
    if (this.#mode !== "open") return;
    this.#use(() => {
      this.#tty.write(eraseBlock(this.#drawn, this.columns) + CLEAR_SCREEN);
    });
    this.#drawn = undefined;
    this.#atBottom = false;
    this.#paint();
  }

  /** Asks something; the answer stays in the log. Ctrl-C, Ctrl-D and {@linkcode close} give `undefined`. */
  async ask(question: string): Promise<string | undefined> {
    const answer = await this.#input.ask(question, { secret: false });
    this.print([shownText(question + (answer ?? ""), this.#options.utf8)]);
    return answer;
  }

  /** Asks for a secret: like {@linkcode ask}, but what is typed appears nowhere. */
  askSecret(question: string): Promise<string | undefined> {
    return this.#input.ask(question, { secret: true });
  }

  async #read(): Promise<void> {
    while (!this.#is("closed")) {
      // A terminal that has been closed gives an end or an error, by system.
      const bytes = await this.#tty.read().catch(() => null);
      if (bytes === null) return this.#hangUp();
      if (!this.#is("closed")) this.#input.feed(bytes);
    }
  }

  /** Draws soon: at once after a pause, else with everything that comes in the same moment. */
  #schedule(): void {
    if (this.#timer !== undefined || this.#mode !== "open") return;
    const wait = Math.max(0, this.#drawnAt + BATCH_MS - systemClock.now());
    this.#timer = systemClock.after(wait, () => this.#paint());
  }

  #onResize(): void {
    systemClock.cancel(this.#timer);
    this.#resizing = true;
    this.#timer = systemClock.after(RESIZE_SETTLE_MS, () => this.#paint());
  }

  #paint(): void {
    systemClock.cancel(this.#timer);
    this.#timer = undefined;
    this.#resizing = false;
    if (this.#mode !== "open") return;
    this.#use(() => {
      const size = this.#tty.size();
      const move = this.#goToBottom(size);
      const { output, drawn } = drawBlock(this.#drawn, this.#log, this.#layout(size), size);
      this.#tty.write(move + output + (this.#bell ? BELL : ""));
      this.#drawn = drawn;
    });
    this.#log = [];
    this.#bell = false;
    this.#drawnAt = systemClock.now();
  }

  /** Goes down as soon as there is a chat: a question by itself stays where the cursor is. */
  #goToBottom(size: Size): string {
    if (this.#atBottom || (this.#log.length === 0 && this.#prompt.text === "")) return "";
    this.#atBottom = true;
    const move = eraseBlock(this.#drawn, size.columns) + goToLastRow(size);
    this.#drawn = undefined;
    return move;
  }

  #layout(size: Size): Block {
    const { color, utf8 } = this.#options;
    const { question, line, cursor, candidates, hint } = this.#input.view;
    const candidateRows = layoutCandidates(candidates, {
      columns: size.columns,
      maxRows: MAX_CANDIDATE_ROWS,
      utf8,
    });
    return layoutBlock({
      prompt: question ?? this.#prompt.text,
      promptCode: this.#prompt.code,
      line,
      cursor,
      status: this.#status,
      below: candidateRows.length > 0 || hint === "" ? candidateRows : [hint],
      hintCode: toneCode("dim", color),
      utf8,
    }, size);
  }

  /** Takes the terminal, at first or again, whatever was written meanwhile. */
  #resume(): void {
    this.#mode = "open";
    this.#drawn = undefined;
    this.#atBottom = false;
    this.#use(() => {
      this.#tty.setRaw(true);
      this.#tty.write(PASTE_ON);
    });
    this.#paint();
  }

  /** Gives the terminal back, with everything printed that was to be. */
  #leave(): void {
    this.#use(() => {
      const size = this.#tty.size();
      const erase = eraseBlock(this.#drawn, size.columns);
      this.#tty.write(erase + writeLog(this.#log, size) + RESET + PASTE_OFF);
      this.#tty.setRaw(false);
    });
    this.#log = [];
  }

  async #stop(): Promise<void> {
    if (this.#mode !== "open") return;
    this.#leave();
    this.#mode = "stopped";
    await this.#tty.stop();
    // SIGCONT may have done it already, and the program may have ended.
    if (this.#is("stopped")) this.#resume();
  }

  // After an await the compiler believes what was true before it; a call it does not.
  #is(mode: Mode): boolean {
    return this.#mode === mode;
  }

  /** Does something with the device, which may have gone at any time. */
  #use(action: () => void): void {
    try {
      action();
    } catch {
      // The terminal has been closed, so nobody is there to be told.
      this.#hangUp();
    }
  }

  #hangUp(): void {
    if (this.#mode === "closed") return;
    this.#end();
    this.#options.onHangup();
  }

  #end(): void {
    this.#mode = "closed";
    systemClock.cancel(this.#timer);
    this.#tty.unlisten();
    this.#input.close();
  }
}
