/**
 * A terminal in raw mode: printed rows scroll like a log, the input line stays below. {@linkcode Terminal.close}
 * restores the terminal; signals that end the program are the caller's business.
 *
 * @module
 */

import { type Clock, systemClock, type Timer } from "../../base/clock.ts";
import { RING } from "./alert.ts";
import { FOCUS_OFF, FOCUS_ON, PASTE_OFF, PASTE_ON, RESTORE_TITLE, SAVE_TITLE } from "./codes.ts";
import { type ColorDepth, toneCode } from "./colors.ts";
import { type InputHandlers, InputLine } from "./input.ts";
import type { TerminalInput } from "./keys.ts";
import { InputReader } from "./paste.ts";
import {
  type Block,
  drawBlock,
  eraseBlock,
  goToLastRow,
  layoutBlock,
  layoutCandidates,
  type Log,
  shownText,
  type Size,
  writeLog,
} from "./screen.ts";
import { changeBlock, insertLog } from "./screen_change.ts";
import { type Printed, ScreenLog } from "./screen_log.ts";
import { openTty, type Tty } from "./tty.ts";
import { TtyWriter } from "./tty_writer.ts";

/** Options of {@linkcode Terminal}. */
export interface TerminalOptions extends InputHandlers {
  /** The prompt, without escape sequences. */
  prompt: string;
  color: ColorDepth;
  /** Whether the terminal shows more than ASCII. */
  utf8: boolean;
  /** The Linux console, and terminals of before xterm: nothing is switched on that may do harm. */
  simple: boolean;
  /** Told what the user types, and whether the window has the focus. */
  onInput?(input: TerminalInput): void;
  /** The terminal was taken over, perhaps again. */
  onOpen?(): void;
  /** Called when the terminal is gone and can no longer be read or written. */
  onHangup(): void;
  /** Called when the terminal is no longer busy, see {@linkcode Terminal.isBusy}. */
  onReady?(): void;
  /** The device; by default the process's own. */
  tty?: Tty;
  clock?: Clock;
}

type Mode = "new" | "open" | "stopped" | "closed";

const RESET = "\x1b[0m";
const CLEAR_SCREEN = "\x1b[H\x1b[2J";
const MODES_ON = SAVE_TITLE + PASTE_ON + FOCUS_ON;
const MODES_OFF = FOCUS_OFF + PASTE_OFF + RESTORE_TITLE;

/** Rows that arrive within this time are drawn in one write. */
const BATCH_MS = 16;
/**
 * After a resize nothing is drawn for this long: tmux reports sizes at most every 250 ms, and drawing for a size the
 * terminal no longer has leaves fragments.
 */
const RESIZE_SETTLE_MS = 300;
const MAX_CANDIDATE_ROWS = 6;
/** A terminal in raw mode with a log and an input line. */
export class Terminal {
  readonly #options: TerminalOptions;
  readonly #tty: Tty;
  readonly #clock: Clock;
  readonly #reader: InputReader;
  readonly #input: InputLine;
  readonly #log: ScreenLog;
  #mode: Mode = "new";
  #prompt: { text: string; code: string };
  #status = "";
  /** The height of the window when the block was drawn. */
  #height = 0;
  /** While it is busy nothing is drawn. */
  readonly #writer: TtyWriter;
  /** Whether something is to be drawn then. */
  #wantsPaint = false;
  /** Written with the next draw. */
  #extra = "";
  /** The block on the screen; undefined when the cursor is on a free row. */
  #drawn: Block | undefined;
  #drawnAt = -Infinity;
  #timer: Timer | undefined;
  /** Whether the block has moved to the last row. */
  #atBottom = false;
  /** Whether drawing waits for the end of a resize. */
  #resizing = false;
  /** Whether what is on the screen may have been rewrapped. */
  #isResized = false;
  /** Whether the terminal is to be taken over when it has taken what was written. */
  #isResuming = false;

  /** Does not touch the terminal yet; see {@linkcode open}. */
  constructor(options: TerminalOptions) {
    this.#options = options;
    this.#tty = options.tty ?? openTty();
    this.#clock = options.clock ?? systemClock;
    this.#writer = new TtyWriter({
      tty: this.#tty,
      clock: this.#clock,
      onDrained: () => this.#onDrained(),
      onHangup: () => this.#hangUp(),
    });
    this.#log = new ScreenLog(options);
    this.#prompt = { text: options.prompt, code: toneCode("bold", options.color) };
    this.#input = new InputLine(options, {
      redraw: () => this.#redraw(),
      bell: () => this.send(RING),
      clear: () => this.clear(),
      stop: () => void this.#stop(),
    }, this.#clock);
    this.#reader = new InputReader(this.#clock, (inputs) => {
      for (const input of inputs) {
        if (input.type !== "report") options.onInput?.(input);
        this.#input.take(input);
      }
      this.#redraw();
    });
  }

  /** The present width in columns. */
  get columns(): number {
    return this.#tty.size().columns;
  }

  /** The present height in rows. */
  get rows(): number {
    return this.#tty.size().rows;
  }

  /** Whether what others send had better be printed later: the terminal has yet to take what was printed before. */
  get isBusy(): boolean {
    return this.#writer.isBusy || this.#log.isBusy;
  }

  /**
   * Takes over the terminal, once, and draws the input line.
   *
   * The caller must already handle signals that end the program, and end it by `Deno.exit`: a pending read of the
   * terminal keeps the process alive.
   */
  open(): void {
    if (this.#mode !== "new") return;
    this.#tty.listen(() => this.#onResize(), () => this.#resume());
    this.#resume();
    this.#read();
  }

  /**
   * Erases the input line and restores the terminal; one that takes nothing for 0.5 s is left to the system. Safe to call
   * at any time and repeatedly.
   */
  async close(): Promise<void> {
    const wasOpen = this.#mode === "open";
    if (wasOpen) this.#erase();
    this.#end();
    if (wasOpen) await this.#restore();
  }

  /**
   * Prints rows above the input line, as they are: they must be clean and wrapped.
   *
   * @param printed Rows, or what lays them out, now and when the width changes: then it must give them at once.
   */
  print(printed: Printed): void {
    if (this.#writer.isBusy) this.#log.addBounded(printed, this.columns);
    else this.#log.add(printed, this.columns);
    this.#schedule();
  }

  /**
   * Sets the prompt.
   *
   * @param code SGR parameters for its colour; bold by default.
   */
  setPrompt(text: string, code: string = toneCode("bold", this.#options.color)): void {
    this.#prompt = { text, code };
    this.#schedule();
  }

  /**
   * Turns to the draft for another recipient; the present one is kept.
   *
   * @param isPrivate Whether what is sent there is recalled only there.
   */
  turnTo(recipient: string, isPrivate: boolean): void {
    this.#input.turnTo(recipient, isPrivate);
  }

  /** Sets the status row above the prompt; an empty text removes it. */
  setStatus(text: string): void {
    this.#status = text;
    this.#schedule();
  }

  /** Writes with the next draw what shows nothing on the screen: a bell, a title. */
  send(code: string): void {
    this.#extra += code;
    this.#schedule();
  }

  /** Clears the screen except for the input line. */
  clear(): void {
    if (this.#mode !== "open") return;
    this.#use(() => this.#writer.write(eraseBlock(this.#drawn, this.columns) + CLEAR_SCREEN));
    this.#drawn = undefined;
    this.#log.forgetScreen();
    this.#atBottom = false;
    this.#paint();
  }

  /**
   * Asks a question; an answer that is no secret stays in the log. Ctrl-C, Ctrl-D and {@linkcode close} answer
   * undefined.
   */
  async ask(question: string, { secret }: { secret: boolean }): Promise<string | undefined> {
    const answer = await this.#input.ask(question, { secret });
    if (!secret) this.print([shownText(question + (answer ?? ""), this.#options.utf8)]);
    return answer;
  }

  /** Shows a text in place of the input line, until the next question or {@linkcode release}. */
  hold(text: string): void {
    this.#input.hold(text);
  }

  /** Ends {@linkcode hold}. */
  release(): void {
    this.#input.release();
  }

  async #read(): Promise<void> {
    while (!this.#is("closed")) {
      // Depending on the system, a closed terminal gives an end or an error.
      const bytes = await this.#tty.read().catch(() => null);
      if (bytes === null) return this.#hangUp();
      if (!this.#is("closed")) this.#reader.feed(bytes);
    }
  }

  /** Draws at once after a pause, otherwise together with whatever comes within {@linkcode BATCH_MS}. */
  #schedule(): void {
    if (this.#timer !== undefined || this.#mode !== "open") return;
    const wait = Math.max(0, this.#drawnAt + BATCH_MS - this.#clock.now());
    this.#timer = this.#clock.after(wait, () => this.#paint());
  }

  #onResize(): void {
    this.#clock.cancel(this.#timer);
    this.#resizing = this.#isResized = true;
    this.#timer = this.#clock.after(RESIZE_SETTLE_MS, () => this.#paint());
  }

  #redraw(): void {
    if (!this.#resizing) this.#paint();
  }

  #paint(): void {
    this.#clock.cancel(this.#timer);
    this.#timer = undefined;
    this.#resizing = false;
    this.#wantsPaint = this.#writer.isBusy;
    if (this.#mode !== "open" || this.#wantsPaint) return;
    this.#use(() => {
      const size = this.#tty.size();
      const old = this.#drawn;
      // A window that gets lower loses blank rows at its bottom first.
      this.#log.grow(Math.max(0, this.#height - size.rows));
      this.#height = size.rows;
      const block = this.#layout(size);
      const isRewrapped = old !== undefined && old.columns !== size.columns && this.#atBottom;
      let { output, drawn } = isRewrapped
        ? this.#log.redraw(old, block, size)
        : { output: this.#goToBottom(size), drawn: block };
      const log = this.#log.take(size);
      const before = isRewrapped ? drawn : this.#drawn;
      if (!isRewrapped || log.length > 0) {
        const isKept = !isRewrapped && !this.#isResized;
        const frame = (isKept && this.#change(log, block, size)) ||
          drawBlock(before, log, block, size);
        output += frame.output;
        drawn = frame.drawn;
        this.#log.drawn(log, before, drawn, size.columns);
      }
      output += this.#extra;
      if (output !== "") this.#writer.write(output);
      this.#drawn = drawn;
    });
    this.#isResized = false;
    this.#extra = "";
    this.#drawnAt = this.#clock.now();
    this.#tellReady();
  }

  /** What is drawn in place; undefined if that is not enough. */
  #change(log: Log, block: Block, size: Size): { output: string; drawn: Block } | undefined {
    const old = this.#drawn;
    if (old === undefined) return undefined;
    if (log.length === 0) return changeBlock(old, block, size);
    if (!this.#atBottom || !this.#log.isAtBottom) return undefined;
    const output = insertLog(old, log, block, size);
    return output === undefined ? undefined : { output, drawn: old };
  }

  #tellReady(): void {
    if (!this.isBusy) this.#options.onReady?.();
  }

  /** Moves the block to the last row once there is a log or a prompt; a lone question stays at the cursor. */
  #goToBottom(size: Size): string {
    if (this.#atBottom || (this.#log.isEmpty && this.#prompt.text === "")) return "";
    this.#atBottom = true;
    this.#log.moveToBottom();
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

  /**
   * Takes over the terminal, also after a stop, whatever was written meanwhile; one that takes nothing, when it does
   * again: entering raw mode would wait for it, and stop the program.
   */
  #resume(): void {
    if (this.#mode === "closed") return;
    this.#isResuming = this.#writer.isBusy;
    if (this.#isResuming) return;
    this.#mode = "open";
    this.#drawn = undefined;
    this.#log.forgetScreen();
    this.#atBottom = false;
    this.#use(() => {
      this.#tty.setRaw(true);
      if (!this.#options.simple) this.#writer.write(MODES_ON);
    });
    this.#options.onOpen?.();
    this.#paint();
  }

  /** Writes the pending rows in place of the input line, and what undoes our modes. */
  #erase(): void {
    this.#use(() => {
      const size = this.#tty.size();
      const erase = eraseBlock(this.#drawn, size.columns);
      const modes = this.#options.simple ? "" : MODES_OFF;
      this.#writer.write(erase + writeLog(this.#log.take(size), size) + RESET + modes);
    });
  }

  /** @returns Whether it could: on a terminal that takes nothing, leaving raw mode would wait for ever. */
  async #restore(): Promise<boolean> {
    if (!await this.#writer.drain()) return false;
    this.#use(() => this.#tty.setRaw(false));
    return true;
  }

  #onDrained(): void {
    if (this.#isResuming) this.#resume();
    if (this.#wantsPaint && !this.#resizing) this.#schedule();
    this.#tellReady();
  }

  async #stop(): Promise<void> {
    if (!await this.#tty.canStop()) {
      return this.#input.notify("Ctrl-Z stops nothing here: no shell could continue it");
    }
    if (!this.#is("open")) return;
    this.#erase();
    this.#mode = "stopped";
    if (await this.#restore()) await this.#tty.stop();
    // SIGCONT may have resumed it already, or the program may be ending.
    if (this.#is("stopped")) this.#resume();
  }

  // A call, because the compiler would keep narrowing the field across an await.
  #is(mode: Mode): boolean {
    return this.#mode === mode;
  }

  /** Uses the device, which may vanish at any time. */
  #use(action: () => void): void {
    try {
      action();
    } catch {
      // The terminal is gone: there is nobody to report the error to.
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
    this.#clock.cancel(this.#timer);
    this.#tty.unlisten();
    this.#reader.close();
    this.#input.close();
  }
}
