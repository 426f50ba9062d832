/**
 * The device of a full-screen face: takes over the whole terminal and gives it back as it was, asks it what it can do,
 * and writes one frame at a time, never more than it takes.
 *
 * @module
 */

import { type Clock, systemClock, type Timer } from "../../base/clock.ts";
import { FOCUS_OFF, FOCUS_ON, PASTE_OFF, PASTE_ON, RESTORE_TITLE, SAVE_TITLE } from "./codes.ts";
import type { TerminalInput } from "./keys.ts";
import { type Frame, Painter } from "./painter.ts";
import { InputReader } from "./paste.ts";
import type { Widths } from "./rows.ts";
import type { Size } from "./screen.ts";
import { openTty, type Tty } from "./tty.ts";
import { TtyWriter } from "./tty_writer.ts";

/** Options of {@linkcode Fullscreen}. */
export interface FullscreenOptions {
  /** Whether the terminal shows more than ASCII. */
  readonly utf8: boolean;
  /** The Linux console, and terminals of before xterm: nothing is asked, and nothing switched on that may do harm. */
  readonly simple: boolean;
  /** The frame to show, of this size. */
  frame(size: Size): Frame;
  /** Takes what the user types; a frame follows. */
  onInput(input: TerminalInput): void;
  /** The terminal was taken over, perhaps again. */
  onOpen?(): void;
  /** The terminal has told how wide it draws. */
  onWidths(widths: Widths): void;
  onBackground(background: "dark" | "light"): void;
  /** The terminal has told its name, such as `XTerm(379)`. */
  onName(name: string): void;
  /** The terminal is gone. */
  onHangup(): void;
  /** The device; by default the process's own. */
  readonly tty?: Tty;
  readonly clock?: Clock;
}

type Mode = "new" | "open" | "paging" | "stopped" | "closed";

const ALTERNATE_ON = "\x1b[?1049h";
const ALTERNATE_OFF = "\x1b[?1049l";
const WRAP_OFF = "\x1b[?7l";
const WRAP_ON = "\x1b[?7h";
/** The wheel is no arrow key, which would put what was sent before into the line. Alone: VTE does not restore a list. */
const WHEEL_OFF = "\x1b[?1007s\x1b[?1007l";
const WHEEL_BACK = "\x1b[?1007r";
/** In this order: Alt sends Escape (xterm), pastes are marked, focus is reported, modified keys are told apart (kitty). */
const MODES_ON = WHEEL_OFF + "\x1b[?1036;1039s\x1b[?1036;1039h" + PASTE_ON + FOCUS_ON + "\x1b[>1u";
const MODES_OFF = "\x1b[<u" + FOCUS_OFF + PASTE_OFF + "\x1b[?1036;1039r" + WHEEL_BACK;
const RESET = "\x1b[m\x1b[?25h";

const ENTER = ALTERNATE_ON + WRAP_OFF + SAVE_TITLE + MODES_ON;
const LEAVE = RESET + MODES_OFF + WRAP_ON + RESTORE_TITLE + ALTERNATE_OFF;
/** These terminals have no other screen: it is cleared. */
const LEAVE_SIMPLE = RESET + WRAP_ON + "\x1b[H\x1b[J";

/** Frames that nobody typed for are at least this long apart. */
const FRAME_MS = 16;
/** After a resize nothing is painted for this long: more of them follow. */
const RESIZE_MS = 40;

/** Texts that terminals draw with different widths: asked in row 2, because the answer in row 1 could be Shift-F3. */
const PROBES: readonly { text: string; told(columns: number): Widths }[] = [
  { text: "→", told: (columns) => ({ ambiguous: columns === 2 ? 2 : 1 }) },
  { text: "👩\u200d👧", told: (columns) => ({ joined: columns === 2 }) },
];
const ASK_BACKGROUND = "\x1b]11;?\x1b\\";
const ASK_NAME = "\x1b[>q";
/** All terminals answer this, and in order: then nothing else is to come. */
const ASK_ATTRIBUTES = "\x1b[c";
/** How long answers may take before the terminal is given back without them. */
const ANSWER_MS = 300;

/** The whole terminal, for frames. */
export class Fullscreen {
  readonly #options: FullscreenOptions;
  readonly #tty: Tty;
  readonly #clock: Clock;
  readonly #painter: Painter;
  readonly #reader: InputReader;
  #mode: Mode = "new";
  /** While it is busy no frame is made. */
  readonly #writer: TtyWriter;
  #isWanted = false;
  #timer: Timer | undefined;
  #isResizing = false;
  /** Whether the terminal is to be taken over when it has taken what was written. */
  #isResuming = false;
  #paintedAt = -Infinity;
  /** Written with the next frame. */
  #extra = "";
  /** Questions about widths that are not answered. */
  #asked: (typeof PROBES)[number][] = [];
  /** Until when answers may come; 0 when the last one has. */
  #answersUntil = 0;
  #answered: (() => void)[] = [];
  /** Whether the last one has come, once. */
  #isTold = false;
  #widths: Widths = {};
  #endPage: (() => void) | undefined;

  /** Does not touch the terminal yet; see {@linkcode open}. */
  constructor(options: FullscreenOptions) {
    this.#options = options;
    this.#tty = options.tty ?? openTty();
    this.#clock = options.clock ?? systemClock;
    this.#writer = new TtyWriter({
      tty: this.#tty,
      clock: this.#clock,
      onDrained: () => this.#onDrained(),
      onHangup: () => this.#hangUp(),
    });
    this.#painter = new Painter({ sync: !options.simple, links: !options.simple });
    this.#reader = new InputReader(this.#clock, (inputs) => this.#take(inputs));
  }

  /**
   * Takes over the terminal, once.
   *
   * The caller must already handle signals that end the program, and end it by `Deno.exit`: a pending read of the
   * terminal keeps the process alive.
   */
  open(): void {
    if (this.#mode !== "new") return;
    this.#tty.listen(() => this.#onResize(), () => this.#resume());
    this.#resume();
    void this.#read();
  }

  /** Gives the terminal back as it was; one that takes nothing for 0.5 s is left to the system. */
  async close(): Promise<void> {
    const mode = this.#mode;
    this.#end("closed");
    this.#tty.unlisten();
    this.#reader.close();
    this.#endPage?.();
    if (mode === "open") await this.#leave(this.#restoring);
    else if (mode === "paging") await this.#leave("");
  }

  /** Paints what has changed: at once after a pause, otherwise together with what comes shortly after. */
  schedule(): void {
    this.#isWanted = true;
    if (this.#mode !== "open" || this.#writer.isBusy || this.#timer !== undefined) return;
    const wait = Math.max(0, this.#paintedAt + FRAME_MS - this.#clock.now());
    this.#timer = this.#clock.after(wait, () => this.#paint());
  }

  /** Paints everything from nothing. */
  redraw(): void {
    this.#painter.forget();
    this.schedule();
  }

  /** Writes with the next frame what shows nothing on the screen: a bell, a title. */
  send(text: string): void {
    this.#extra += text;
    this.schedule();
  }

  /** Shows lines on the terminal's own screen, where they remain, until a key is pressed. */
  async page(lines: readonly string[]): Promise<void> {
    if (this.#mode !== "open") return;
    this.#end("paging");
    this.#writer.write(this.#restoring + lines.map((line) => `${line}\r\n`).join(""));
    await new Promise<void>((resolve) => this.#endPage = resolve);
    this.#endPage = undefined;
    if (this.#is("paging")) this.#resume();
  }

  /**
   * Stops the program as Ctrl-Z does.
   *
   * @returns False if no shell could continue it; then nothing is done.
   */
  async stop(): Promise<boolean> {
    if (!await this.#tty.canStop()) return false;
    if (!this.#is("open")) return true;
    this.#end("stopped");
    if (await this.#leave(this.#restoring)) await this.#tty.stop();
    // SIGCONT may have resumed it already, or the program may be ending.
    if (this.#is("stopped")) this.#resume();
    return true;
  }

  // A call, because the compiler would keep narrowing the field across an await.
  #is(mode: Mode): boolean {
    return this.#mode === mode;
  }

  #end(mode: Mode): void {
    this.#mode = mode;
    this.#clock.cancel(this.#timer);
    this.#timer = undefined;
    this.#isResizing = false;
  }

  /** What undoes everything that was switched on. */
  get #restoring(): string {
    return this.#options.simple ? LEAVE_SIMPLE : LEAVE;
  }

  /**
   * Takes over the terminal, also after a stop, whatever was written meanwhile; one that takes nothing, when it does
   * again: entering raw mode would wait for it, and stop the program.
   */
  #resume(): void {
    if (this.#mode === "closed") return;
    this.#isResuming = this.#writer.isBusy;
    if (this.#isResuming) return;
    const { simple, utf8 } = this.#options;
    this.#endPage?.();
    try {
      this.#tty.setRaw(true);
    } catch {
      return this.#hangUp();
    }
    // After a SIGCONT that no stop of ours was before, what is saved must not be saved twice.
    if (this.#mode === "open") this.#writer.write(this.#restoring);
    this.#end("open");
    this.#painter.forget();
    if (simple) this.#writer.write(WRAP_OFF);
    else this.#writer.write(ENTER + (this.#isTold ? "" : this.#ask(utf8)));
    this.#options.onOpen?.();
    this.schedule();
  }

  /** The questions, which are asked until they have been answered. */
  #ask(utf8: boolean): string {
    this.#answersUntil = this.#clock.now() + ANSWER_MS;
    return (utf8 ? this.#askWidths() : "") + ASK_BACKGROUND + ASK_NAME + ASK_ATTRIBUTES;
  }

  #askWidths(): string {
    this.#asked = [...PROBES];
    return PROBES.map(({ text }) => `\x1b[2;1H${text}\x1b[6n`).join("") + "\x1b[2;1H\x1b[2K";
  }

  /** @returns Whether it could: on a terminal that takes nothing, leaving raw mode would wait for ever. */
  async #leave(text: string): Promise<boolean> {
    this.#writer.write(text);
    if (!await this.#writer.drain()) return false;
    await this.#untilAnswered();
    try {
      this.#tty.setRaw(false);
    } catch {
      // The terminal is gone.
    }
    return true;
  }

  /** Answers that came later would be typed into the shell. */
  async #untilAnswered(): Promise<void> {
    const wait = this.#answersUntil - this.#clock.now();
    if (wait <= 0) return;
    await new Promise<void>((resolve) => {
      const timer = this.#clock.after(wait, resolve);
      this.#answered.push(() => {
        this.#clock.cancel(timer);
        resolve();
      });
    });
  }

  /** Whether there is something to read for. */
  get #isReading(): boolean {
    return !this.#is("closed") || this.#clock.now() < this.#answersUntil;
  }

  #hangUp(): void {
    if (this.#mode === "closed") return;
    this.#end("closed");
    this.#endPage?.();
    this.#options.onHangup();
  }

  #onResize(): void {
    if (this.#mode !== "open") return;
    this.#clock.cancel(this.#timer);
    this.#isResizing = true;
    this.#timer = this.#clock.after(RESIZE_MS, () => {
      this.#isResizing = false;
      this.#painter.forget();
      this.#paint();
    });
  }

  #paint(): void {
    // While the window is resized, the timer is that of the frame which follows.
    if (this.#mode !== "open" || this.#isResizing) return;
    this.#clock.cancel(this.#timer);
    this.#timer = undefined;
    this.#isWanted = this.#writer.isBusy;
    if (this.#isWanted) return;
    let size: Size;
    try {
      size = this.#tty.size();
    } catch {
      return this.#hangUp();
    }
    const output = this.#painter.paint(this.#options.frame(size), size.columns) + this.#extra;
    this.#extra = "";
    this.#paintedAt = this.#clock.now();
    if (output !== "") this.#writer.write(output);
  }

  #onDrained(): void {
    if (this.#isResuming) this.#resume();
    if (this.#isWanted) this.schedule();
  }

  async #read(): Promise<void> {
    while (this.#isReading) {
      // Depending on the system, a closed terminal gives an end or an error.
      const bytes = await this.#tty.read().catch(() => null);
      if (bytes === null) return this.#hangUp();
      if (this.#isReading) this.#reader.feed(bytes);
    }
  }

  #take(inputs: readonly TerminalInput[]): void {
    let isTyped = false;
    for (const input of inputs) {
      if (input.type === "report") this.#takeReport(input.text);
      else if (this.#is("paging")) this.#endPage?.();
      else if (this.#is("open")) {
        isTyped = true;
        this.#options.onInput(input);
      }
    }
    if (isTyped) this.#paint();
  }

  #takeReport(report: string): void {
    if (/^\[\?[\d;]*c$/.test(report)) {
      this.#answersUntil = 0;
      this.#isTold = true;
      for (const resolve of this.#answered.splice(0)) resolve();
      return;
    }
    const [, column] = /^\[2;(\d+)R$/.exec(report) ?? [];
    if (column !== undefined) return this.#takeWidth(Number(column) - 1);
    const [, name] = /^P>\|(.*)$/.exec(report) ?? [];
    if (name !== undefined) return this.#options.onName(name);
    const background = backgroundOf(report);
    if (background !== undefined) {
      this.#options.onBackground(background);
      this.redraw();
    }
  }

  #takeWidth(columns: number): void {
    const probe = this.#asked.shift();
    if (probe === undefined) return;
    this.#widths = { ...this.#widths, ...probe.told(columns) };
    if (this.#asked.length > 0) return;
    this.#options.onWidths(this.#widths);
    this.redraw();
  }
}

/** Reads an answer to OSC 11: `]11;rgb:1e1e/1e1e/2e2e`. */
function backgroundOf(report: string): "dark" | "light" | undefined {
  const match = /^\]11;rgba?:([0-9a-f]{1,4})\/([0-9a-f]{1,4})\/([0-9a-f]{1,4})/i.exec(report);
  if (match === null) return undefined;
  const [red, green, blue] = match.slice(1).map((hex) =>
    parseInt(hex, 16) / (16 ** hex.length - 1)
  );
  return 0.299 * red! + 0.587 * green! + 0.114 * blue! > 0.5 ? "light" : "dark";
}
