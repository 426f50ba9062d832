/**
 * What a terminal sends, told apart: text, keys, focus, and answers to questions. Sequences that mean nothing here are
 * swallowed as a whole, wherever reads are split. Pure: the caller keeps the time.
 *
 * @module
 */

/** What the user or the terminal has sent. */
export type TerminalInput =
  /** Printable characters, as many as were read at once. */
  | { readonly type: "text"; readonly text: string }
  /**
   * Any other key: `enter`, `C-a`, `M-left`, `C-S-tab`. Modifiers are `M-`, `C-`, `S-`, in this order; Alt with a
   * character keeps its case (`M-b`, `M-B`).
   */
  | { readonly type: "key"; readonly name: string }
  /** Pasted text: line breaks are `\n`, and but for tabs there are no control characters. */
  | { readonly type: "paste"; readonly text: string }
  /** The window has got the focus, or lost it. */
  | { readonly type: "focus"; readonly focused: boolean }
  /** An answer of the terminal, without the Escape it begins with and the ST or BEL it may end with. */
  | { readonly type: "report"; readonly text: string };

/** What {@linkcode KeyParser} gives; a paste is the caller's business, from its first marker on. */
export type ParsedInput = Exclude<TerminalInput, { type: "paste" }> | {
  /** The marker that ends a paste. */
  readonly type: "pasteEnd";
};

/** What goes on as text, up to the next sequence. */
export interface Parsed {
  readonly inputs: ParsedInput[];
  /** What follows the marker that begins a paste; undefined if there is none. */
  readonly pasted: string | undefined;
}

/** A lone Escape is the key after this long without input. */
const ESCAPE_MS = 40;
/** Half a sequence is nothing after this long. */
const SEQUENCE_MS = 500;
/** No terminal sends a longer control string; the rest is dropped up to its end. */
const MAX_STRING = 4096;
/** No CSI sequence is longer. */
const MAX_CSI = 256;
/** A mouse report of the oldest kind has so many characters after `CSI M`. */
const MOUSE_LENGTH = 3;

/** What begins the sequences that end with a letter or sign, and those that end with ST or BEL. */
const INTRODUCERS: Readonly<Record<string, State>> = {
  "[": "csi",
  "O": "ss3",
  "]": "string",
  "P": "string",
  "_": "string",
  "^": "string",
  "X": "string",
};
/** Of these strings no terminal sends one unasked, and nobody asks: that Alt is held is known as soon as for others. */
const NEVER_SENT = new Set(["_", "^", "X"]);
/** The same as single characters, U+0080 to U+009F. */
const C1_INTRODUCERS: Readonly<Record<string, string>> = {
  "\x9b": "[",
  "\x8f": "O",
  "\x9d": "]",
  "\x90": "P",
  "\x9f": "_",
  "\x9e": "^",
  "\x98": "X",
};

const LETTER_KEYS: Readonly<Record<string, string>> = {
  A: "up",
  B: "down",
  C: "right",
  D: "left",
  E: "clear",
  F: "end",
  H: "home",
  P: "f1",
  Q: "f2",
  R: "f3",
  S: "f4",
  Z: "tab", // with Shift
};
const NUMBER_KEYS: Readonly<Record<number, string>> = {
  1: "home",
  2: "insert",
  3: "delete",
  4: "end",
  5: "pageup",
  6: "pagedown",
  7: "home",
  8: "end",
  11: "f1",
  12: "f2",
  13: "f3",
  14: "f4",
  15: "f5",
  17: "f6",
  18: "f7",
  19: "f8",
  20: "f9",
  21: "f10",
  23: "f11",
  24: "f12",
};
/** By code point, or by kitty's number for a key of the keypad. */
const CODE_KEYS: Readonly<Record<number, string>> = {
  8: "backspace",
  9: "tab",
  13: "enter",
  27: "escape",
  32: "space",
  127: "backspace",
  57414: "enter",
  57417: "left",
  57418: "right",
  57419: "up",
  57420: "down",
  57421: "pageup",
  57422: "pagedown",
  57423: "home",
  57424: "end",
  57425: "insert",
  57426: "delete",
};
/** What SS3 with `j` to `y` stands for on the keypad. */
const KEYPAD = "*+,-./0123456789";
/** Keys that with Ctrl, or with Alt and Shift, are `_` where a terminal sends control characters. */
const UNDERSCORE_KEYS = new Set(["/", "-", "7"]);

const SHIFT = 1;
const ALT = 2;
const CTRL = 4;
/** Super, Hyper and Meta: their keys belong to the desktop. */
const OTHERS = 8 | 16 | 32;

type State = "ground" | "escape" | "csi" | "ss3" | "string" | "stringEscape" | "mouse" | "console";

/** A state machine over characters. */
export class KeyParser {
  #state: State = "ground";
  /** The sequence after its introducer; a string with its introducer. */
  #body = "";
  /** Whether a second Escape came: Alt with a key that is a sequence itself. */
  #alt = false;
  /** Characters to swallow. */
  #skip = 0;
  #inputs: ParsedInput[] = [];
  #wantsPaste = false;

  /** After how many milliseconds without input to call {@linkcode flush}; undefined when nothing is unfinished. */
  get wait(): number | undefined {
    if (this.#state === "ground") return undefined;
    const isShort = this.#state === "escape" ||
      this.#state === "string" && NEVER_SENT.has(this.#body);
    return isShort ? ESCAPE_MS : SEQUENCE_MS;
  }

  /** Takes text up to the first start of a paste. */
  feed(text: string): Parsed {
    this.#inputs = [];
    this.#wantsPaste = false;
    let end = 0;
    for (const character of text) {
      end += character.length;
      this.#take(character);
      if (this.#wantsPaste) return { inputs: this.#inputs, pasted: text.slice(end) };
    }
    return { inputs: this.#inputs, pasted: undefined };
  }

  /** Nothing more came: a lone Escape is the key, an introducer alone is Alt with it, half a sequence is nothing. */
  flush(): ParsedInput[] {
    this.#inputs = [];
    const [state, body] = [this.#state, this.#body];
    this.#reset();
    if (state === "escape") this.#key("escape", 0);
    else if (state === "csi" && body === "") this.#key("[", ALT);
    else if (state === "ss3" && body === "") this.#key("O", ALT);
    else if (state === "string" && body.length === 1) this.#key(body, ALT);
    return this.#inputs;
  }

  #reset(): void {
    this.#state = "ground";
    this.#body = "";
    this.#alt = false;
  }

  #take(character: string): void {
    switch (this.#state) {
      case "ground":
        return this.#ground(character);
      case "escape":
        return this.#escape(character);
      case "csi":
        return this.#csi(character);
      case "ss3":
        return this.#ss3(character);
      case "string":
      case "stringEscape":
        return this.#string(character);
      case "mouse":
        if (--this.#skip === 0) this.#reset();
        return;
      case "console": {
        const number = "ABCDE".indexOf(character) + 1;
        const modifiers = this.#takeAlt();
        if (number > 0) this.#key(`f${number}`, modifiers);
      }
    }
  }

  #ground(character: string): void {
    const introducer = C1_INTRODUCERS[character];
    if (introducer !== undefined) this.#escape(introducer);
    else if (character === "\x1b") this.#state = "escape";
    else this.#character(character, 0);
  }

  #escape(character: string): void {
    const state = INTRODUCERS[character];
    if (state !== undefined) {
      this.#state = state;
      this.#body = state === "string" ? character : "";
    } else if (character === "\x1b") {
      if (this.#alt) this.#key("escape", 0); // a third one: the first two were the key
      this.#alt = !this.#alt;
    } else {
      this.#reset();
      this.#character(character, ALT);
    }
  }

  /** A character that is not part of a sequence. */
  #character(character: string, modifiers: number): void {
    const code = character.codePointAt(0)!;
    if (code >= 0x80 && code < 0xa0) return; // without a meaning here
    if (character === "\n") this.#key("j", modifiers | CTRL);
    else if (character === "\x08") this.#key("backspace", modifiers | CTRL);
    else if (code === 0) this.#key("space", modifiers | CTRL);
    else if (modifiers === 0 && code >= 0x20 && code !== 0x7f) this.#text(character);
    else if (CODE_KEYS[code] !== undefined) this.#key(CODE_KEYS[code], modifiers);
    else if (code >= 0x20) this.#key(character, modifiers);
    else this.#key(String.fromCharCode(code + 0x40).toLowerCase(), modifiers | CTRL);
  }

  #csi(character: string): void {
    if (character < " " || character > "~") return this.#breakOff(character);
    const body = this.#body;
    if (character === "[" && body === "") {
      this.#state = "console";
    } else if (character === "M" && body === "") {
      this.#state = "mouse";
      this.#skip = MOUSE_LENGTH;
    } else if (!isFinal(body, character)) {
      if (body.length < MAX_CSI) this.#body += character;
    } else {
      const modifiers = this.#takeAlt();
      this.#endCsi(body, character, modifiers);
    }
  }

  #endCsi(body: string, final: string, modifiers: number): void {
    if (final === "~" && body === "200") this.#wantsPaste = true;
    else if (final === "~" && body === "201") this.#inputs.push({ type: "pasteEnd" });
    else if ((final === "I" || final === "O") && body === "") {
      this.#inputs.push({ type: "focus", focused: final === "I" });
    } else if (isReport(body, final)) this.#report(`[${body}${final}`);
    else if (final === "u") this.#coded(body, modifiers);
    else if (final === "~" && body.startsWith("27;")) { // xterm's modifyOtherKeys
      const [, bits = "", code = ""] = body.split(";");
      this.#coded(`${code};${bits}`, modifiers);
    } else if ("~^$@".includes(final)) {
      const shift = final === "$" || final === "@" ? SHIFT : 0; // rxvt
      const ctrl = final === "^" || final === "@" ? CTRL : 0;
      this.#named(NUMBER_KEYS[parseInt(body)], body, modifiers | shift | ctrl);
    } else if ("abcd".includes(final) && body === "") { // rxvt
      this.#key(LETTER_KEYS[final.toUpperCase()]!, modifiers | SHIFT);
    } else this.#named(LETTER_KEYS[final], body, modifiers | (final === "Z" ? SHIFT : 0));
  }

  #ss3(character: string): void {
    if (character < " " || character > "~") return this.#breakOff(character);
    if (/[0-9;]/.test(character)) {
      if (this.#body.length < MAX_CSI) this.#body += character;
      return;
    }
    const body = this.#body;
    const modifiers = this.#takeAlt();
    const pad = character >= "j" && character <= "y"
      ? KEYPAD[character.charCodeAt(0) - "j".charCodeAt(0)]
      : undefined;
    if (pad !== undefined) this.#character(pad, modifiers);
    else if (character === "M") this.#key("enter", modifiers);
    else if ("abcd".includes(character)) { // rxvt
      this.#key(LETTER_KEYS[character.toUpperCase()]!, modifiers | CTRL);
    } else this.#named(LETTER_KEYS[character], body.includes(";") ? body : `1;${body}`, modifiers);
  }

  #string(character: string): void {
    const isEscaped = this.#state === "stringEscape";
    this.#state = "string";
    if (isEscaped && character === "\\" || character === "\x07" || character === "\x9c") {
      const text = this.#body;
      this.#reset();
      this.#report(text);
    } else if (isEscaped) { // broken off by another sequence
      this.#reset();
      this.#escape(character);
    } else if (character === "\x1b") this.#state = "stringEscape";
    else if (character === "\x18" || character === "\x1a") this.#reset(); // CAN, SUB
    // Ctrl-C: Alt-] and the like typed by hand must not lock the keyboard.
    else if (character === "\x03") this.#breakOff(character);
    else if (this.#body.length < MAX_STRING) this.#body += character;
  }

  #breakOff(character: string): void {
    this.#reset();
    this.#ground(character);
  }

  /** Ends a sequence. */
  #takeAlt(): number {
    const modifiers = this.#alt ? ALT : 0;
    this.#reset();
    return modifiers;
  }

  /** A key by name; the second parameter of its sequence, if there is one, has the modifiers. */
  #named(name: string | undefined, body: string, modifiers: number): void {
    const { bits, isReleased } = modifiersOf(body.split(";")[1]);
    if (name === undefined || isReleased || (bits & OTHERS) !== 0) return;
    this.#key(name, modifiers | bits);
  }

  /** A key by its code point, as kitty and xterm send it. */
  #coded(body: string, modifiers: number): void {
    const [codes = "", modifier, typed = ""] = body.split(";");
    const { bits, isReleased } = modifiersOf(modifier);
    if (isReleased || (bits & OTHERS) !== 0) return;
    const all = modifiers | bits;
    const code = parseInt(codes);
    const isPlain = (all & ~SHIFT) === 0;
    const name = CODE_KEYS[code];
    if (name !== undefined && !(code === 0x20 && isPlain)) return this.#key(name, all);
    const shown = isPlain && typed !== "" ? typed.split(":").map(Number) : [code];
    if (!shown.every(isPrintable)) return;
    const text = String.fromCodePoint(...shown);
    if (isPlain) this.#text(text);
    else if ((all & (CTRL | SHIFT)) !== 0 && UNDERSCORE_KEYS.has(text)) {
      this.#key("_", all & ~SHIFT);
    } // Where a character has two forms, Shift chooses, and is no modifier.
    else this.#key(text.toLowerCase(), all & ~SHIFT);
  }

  #text(text: string): void {
    const last = this.#inputs.at(-1);
    if (last?.type === "text") {
      this.#inputs[this.#inputs.length - 1] = { type: "text", text: last.text + text };
    } else this.#inputs.push({ type: "text", text });
  }

  #key(name: string, modifiers: number): void {
    const prefix = ((modifiers & ALT) !== 0 ? "M-" : "") + ((modifiers & CTRL) !== 0 ? "C-" : "") +
      ((modifiers & SHIFT) !== 0 ? "S-" : "");
    this.#inputs.push({ type: "key", name: prefix + name });
  }

  #report(text: string): void {
    this.#inputs.push({ type: "report", text });
  }
}

/** Whether a character ends a CSI sequence; rxvt ends keys with `$`, which elsewhere stands before the end. */
function isFinal(body: string, character: string): boolean {
  return character >= "@" || (character === "$" && /^\d+$/.test(body));
}

/** Whether a CSI sequence is an answer. The cursor in row 1 looks like F3 with a modifier, so nobody asks there. */
function isReport(body: string, final: string): boolean {
  if (final === "R") return body.includes(";") && !/^1;[2-8]$/.test(body);
  return /^[<=>?]|[ -/]$/.test(body);
}

/** Reads `5` or `5:3`: 1 and the bits of the modifiers, and what happened to the key. */
function modifiersOf(parameter: string | undefined): { bits: number; isReleased: boolean } {
  const [modifier = "", event] = (parameter ?? "").split(":");
  return { bits: (parseInt(modifier) || 1) - 1, isReleased: event === "3" };
}

/** Whether a code point is a character that is neither control character, surrogate, nor kitty's number of a key. */
function isPrintable(code: number): boolean {
  return code >= 0x20 && code <= 0x10ffff && !(code >= 0x7f && code < 0xa0) &&
    !(code >= 0xd800 && code < 0xf900) && Number.isInteger(code);
}
