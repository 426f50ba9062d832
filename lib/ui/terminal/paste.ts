/**
 * Tells what was typed from what was pasted, before the line editor sees either.
 *
 * A terminal marks a paste at both ends (bracketed paste); where it does not, several lines in one read
 * are one. Knows nothing of the line or of the screen.
 *
 * @module
 */

/** One piece of input: keys as the terminal sends them, or pasted text without any control character. */
export type Input = { type: "keys" | "paste"; text: string };

const PASTE_START = "\x1b[200~";
const PASTE_END = "\x1b[201~";

/** A paste or an escape sequence that does not go on for so long has ended, whatever is missing. */
export const PASTE_TIMEOUT_MS = 1000;
/** Reads that follow an unmarked paste so quickly belong to it: nobody types that fast. */
const SAME_PASTE_MS = 15;

/** Splits the stream of a terminal in raw mode into keys and pastes, however its reads are cut. */
export class InputFilter {
  /** What may be the beginning of a marker. */
  #held = "";
  /** The paste so far; `undefined` outside of one. */
  #paste: string | undefined;
  #lastRead = -Infinity;
  #lastUnmarked = -Infinity;

  /** Whether a paste has begun that has not ended: call {@linkcode flush} when it does not go on. */
  get pasting(): boolean {
    return this.#paste !== undefined;
  }

  /**
   * Takes what one read has given.
   *
   * @param now Milliseconds of a clock that never goes back.
   */
  feed(text: string, now: number): Input[] {
    const stale = now - this.#lastRead >= PASTE_TIMEOUT_MS;
    this.#lastRead = now;
    const inputs = stale ? this.flush() : [];
    let rest = this.#held + text;
    this.#held = "";
    while (rest !== "") {
      rest = this.#paste === undefined
        ? this.#takeKeys(rest, now, inputs)
        : this.#takePaste(rest, inputs);
    }
    return inputs;
  }

  /** Ends a paste whose end marker never came, and forgets half a marker. */
  flush(): Input[] {
    const inputs: Input[] = [];
    if (this.#paste !== undefined) push(inputs, "paste", plainText(this.#paste + this.#held));
    this.#paste = undefined;
    this.#held = "";
    return inputs;
  }

  #takeKeys(text: string, now: number, inputs: Input[]): string {
    const end = text.lastIndexOf(PASTE_END);
    const start = text.indexOf(PASTE_START);
    if (end >= 0 && (start < 0 || end < start)) {
      // An end without a start: pasted text had an end marker in it, and this is what came after that.
      push(inputs, "paste", plainText(text.slice(0, end)));
      return text.slice(end + PASTE_END.length);
    }
    let keys = start < 0 ? text : text.slice(0, start);
    if (start < 0) {
      this.#held = endOf(keys, PASTE_START);
      keys = keys.slice(0, keys.length - this.#held.length);
    }
    if (this.#isUnmarkedPaste(keys, now)) {
      this.#lastUnmarked = now;
      push(inputs, "paste", plainText(keys));
    } else if (keys !== "") {
      this.#lastUnmarked = -Infinity;
      push(inputs, "keys", keys);
    }
    if (start < 0) return "";
    this.#paste = "";
    return text.slice(start + PASTE_START.length);
  }

  #takePaste(text: string, inputs: Input[]): string {
    // The last end marker is the terminal's; earlier ones were in the text, to get out of the paste.
    const end = text.lastIndexOf(PASTE_END);
    if (end < 0) {
      this.#held = endOf(text, PASTE_END);
      this.#paste += text.slice(0, text.length - this.#held.length);
      return "";
    }
    push(inputs, "paste", plainText(this.#paste + text.slice(0, end)));
    this.#paste = undefined;
    return text.slice(end + PASTE_END.length);
  }

  #isUnmarkedPaste(text: string, now: number): boolean {
    const printed = plainText(text.replace(KEY_SEQUENCE, ""));
    const lines = printed.split("\n").filter((line) => line.trim() !== "").length;
    // Just after a paste a line that ends is its last one; Enter alone is Enter.
    const enough = now - this.#lastUnmarked < SAME_PASTE_MS ? 1 : 2;
    return lines >= enough && /[\r\n]/.test(text);
  }
}

// deno-lint-ignore no-control-regex
const KEY_SEQUENCE = /\x1b(?:\[[0-9;]*[A-Za-z~]|O.)/g;
const MARKERS = new RegExp(`${PASTE_START}|${PASTE_END}`.replaceAll("[", "\\["), "g");

/** Pasted text as text: every line break is `\n`, and no control character is left but that and tab. */
function plainText(raw: string): string {
  // deno-lint-ignore no-control-regex
  const controls = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;
  return raw.replace(MARKERS, "").replace(/\r\n?/g, "\n").replace(controls, "");
}

/** The end of `text` that is a beginning of `marker`; may be empty. */
function endOf(text: string, marker: string): string {
  for (let length = Math.min(marker.length - 1, text.length); length > 0; length--) {
    if (marker.startsWith(text.slice(text.length - length))) return text.slice(-length);
  }
  return "";
}

function push(inputs: Input[], type: Input["type"], text: string): void {
  if (text !== "") inputs.push({ type, text });
}
