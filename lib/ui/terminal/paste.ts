/**
 * Reads of the terminal become keys and pastes: by bracketed paste, or, where the terminal lacks it, by several lines in
 * one read.
 *
 * @module
 */

import type { Clock, Timer } from "../../base/clock.ts";
import { KeyParser, type ParsedInput, type TerminalInput } from "./keys.ts";

const PASTE_START = "\x1b[200~";
const PASTE_END = "\x1b[201~";

/** An unfinished paste ends after this long without input. */
const PASTE_TIMEOUT_MS = 1000;
/** A read this soon after an unmarked paste belongs to it: nobody types that fast. */
const SAME_PASTE_MS = 15;
/** Of a longer paste the rest is dropped, in UTF-16 units: it is far longer than what can be sent. */
const MAX_PASTE = 1 << 20;

/** Gives what the user types, wherever reads are split. */
export class InputReader {
  readonly #clock: Clock;
  readonly #give: (inputs: readonly TerminalInput[]) => void;
  readonly #decoder = new TextDecoder();
  readonly #parser = new KeyParser();
  /** Possibly the start of the marker that ends a paste. */
  #held = "";
  /** The paste so far; undefined outside of one. */
  #paste: string | undefined;
  #lastUnmarked = -Infinity;
  #timer: Timer | undefined;

  /** @param give Takes what a read has brought, or the time that has passed since; never nothing. */
  constructor(clock: Clock, give: (inputs: readonly TerminalInput[]) => void) {
    this.#clock = clock;
    this.#give = give;
  }

  /** Takes the bytes of one read. */
  feed(bytes: Uint8Array): void {
    this.close();
    const inputs: TerminalInput[] = [];
    let rest = this.#held + this.#decoder.decode(bytes, { stream: true });
    this.#held = "";
    while (rest !== "") {
      rest = this.#paste === undefined
        ? this.#takeKeys(rest, inputs)
        : this.#takePaste(rest, inputs);
    }
    const wait = this.#paste === undefined ? this.#parser.wait : PASTE_TIMEOUT_MS;
    if (wait !== undefined) {
      // In two parts: when the program was busy for longer, the rest of a sequence is read before the second.
      this.#timer = this.#clock.after(wait / 2, () => {
        this.#timer = this.#clock.after(wait / 2, () => this.#flush());
      });
    }
    if (inputs.length > 0) this.#give(inputs);
  }

  /** Forgets what is unfinished when no more is read. */
  close(): void {
    this.#clock.cancel(this.#timer);
  }

  #flush(): void {
    const inputs: TerminalInput[] = [];
    if (this.#paste === undefined) inputs.push(...this.#parser.flush().filter(isInput));
    else pushPaste(inputs, this.#paste + this.#held);
    this.#paste = undefined;
    this.#held = "";
    if (inputs.length > 0) this.#give(inputs);
  }

  #takeKeys(text: string, inputs: TerminalInput[]): string {
    const { inputs: parsed, pasted } = this.#parser.feed(text);
    if (pasted !== undefined) this.#paste = "";
    const end = parsed.findLastIndex(({ type }) => type === "pasteEnd");
    // An end without a start: the pasted text contained an end marker, and what stands before is the rest of it.
    if (end >= 0) pushPaste(inputs, printedText(parsed.slice(0, end)));
    const keys = parsed.slice(end + 1);
    if (this.#isUnmarkedPaste(keys)) pushPaste(inputs, printedText(keys));
    else inputs.push(...keys.filter(isInput));
    return pasted ?? "";
  }

  #takePaste(text: string, inputs: TerminalInput[]): string {
    // The last end marker is the terminal's; earlier ones were in the text, to break out of the paste.
    const end = text.lastIndexOf(PASTE_END);
    if (end < 0) {
      this.#held = endOf(text, PASTE_END);
      const paste = this.#paste + text.slice(0, text.length - this.#held.length);
      this.#paste = paste.slice(0, MAX_PASTE);
      return "";
    }
    pushPaste(inputs, this.#paste + text.slice(0, end));
    this.#paste = undefined;
    return text.slice(end + PASTE_END.length);
  }

  #isUnmarkedPaste(keys: readonly ParsedInput[]): boolean {
    if (keys.length === 0) return false;
    const now = this.#clock.now();
    const text = plainText(printedText(keys));
    const lines = text.split("\n").filter((line) => line.trim() !== "").length;
    // Just after a paste, one complete line continues it; Enter alone is Enter.
    const enough = now - this.#lastUnmarked < SAME_PASTE_MS ? 1 : 2;
    const isPaste = lines >= enough && text.includes("\n");
    this.#lastUnmarked = isPaste ? now : -Infinity;
    return isPaste;
  }
}

function isInput(input: ParsedInput): input is ParsedInput & TerminalInput {
  return input.type !== "pasteEnd";
}

/** What keys would have been in a text. */
function printedText(keys: readonly ParsedInput[]): string {
  return keys.map((input) => {
    if (input.type === "text") return input.text;
    return input.type === "key" ? PRINTED_KEYS[input.name] ?? "" : "";
  }).join("");
}

const PRINTED_KEYS: Readonly<Record<string, string>> = { "enter": "\r", "C-j": "\n", "tab": "\t" };

function pushPaste(inputs: TerminalInput[], raw: string): void {
  const text = plainText(raw);
  if (text !== "") inputs.push({ type: "paste", text });
}

const MARKERS = new RegExp(`${PASTE_START}|${PASTE_END}`.replaceAll("[", "\\["), "g");

/** Converts line breaks to `\n`, and removes all other control characters but tab. */
function plainText(raw: string): string {
  // deno-lint-ignore no-control-regex
  const controls = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;
  return raw.replace(MARKERS, "").replace(/\r\n?/g, "\n").replace(controls, "");
}

/** The longest end of `text` that is a start of `marker`; may be empty. */
function endOf(text: string, marker: string): string {
  for (let length = Math.min(marker.length - 1, text.length); length > 0; length--) {
    if (marker.startsWith(text.slice(text.length - length))) return text.slice(-length);
  }
  return "";
}
