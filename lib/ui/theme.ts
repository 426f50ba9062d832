/**
 * Looks: the SGR parameters of everything that is shown, by the colours and the background of the terminal.
 *
 * @module
 */

import type { ColorDepth } from "./terminal/mod.ts";

/** The background of the terminal, if it has told. */
export type Background = "dark" | "light" | "unknown";

/** SGR parameters by role; empty for none. */
export interface Theme {
  readonly time: string;
  readonly dim: string;
  readonly strong: string;
  readonly good: string;
  readonly alert: string;
  readonly mention: string;
  readonly link: string;
  /** What was searched for. */
  readonly found: string;
  /** What is chosen in a menu, or in the conversation. */
  readonly chosen: string;
  /** The lines between days, and beside the side column. */
  readonly rule: string;
  /** The line above what is new, and what waits. */
  readonly fresh: string;
  /** The first and the status row. */
  readonly bar: string;
  readonly barDim: string;
  readonly barStrong: string;
  readonly barAlert: string;
  /** The first row of a private conversation. */
  readonly barPerson: string;
  /** The prompt of a private conversation. */
  readonly person: string;
  readonly nicks: readonly string[];
}

function bold256(colors: readonly number[]): string[] {
  return colors.map((color) => `1;38;5;${color}`);
}

const DARK: Theme = {
  time: "38;5;242",
  dim: "38;5;246",
  strong: "1",
  good: "38;5;108",
  alert: "1;38;5;203",
  mention: "1;38;5;215",
  link: "4",
  found: "48;5;58;38;5;231",
  chosen: "48;5;24;38;5;231",
  rule: "38;5;240",
  fresh: "38;5;173",
  bar: "48;5;236;38;5;252",
  barDim: "48;5;236;38;5;245",
  barStrong: "48;5;236;1;38;5;231",
  barAlert: "48;5;88;38;5;231",
  barPerson: "48;5;53;38;5;225",
  person: "38;5;176",
  nicks: bold256([75, 114, 179, 176, 80, 209, 147, 150, 211, 111, 187, 141, 109, 173, 182, 73]),
};

const LIGHT: Theme = {
  ...DARK,
  time: "38;5;246",
  dim: "38;5;242",
  good: "38;5;65",
  alert: "1;38;5;160",
  mention: "1;38;5;130",
  found: "48;5;222;38;5;16",
  chosen: "48;5;25;38;5;231",
  rule: "38;5;249",
  fresh: "38;5;166",
  bar: "48;5;254;38;5;238",
  barDim: "48;5;254;38;5;243",
  barStrong: "48;5;254;1;38;5;16",
  barAlert: "48;5;160;38;5;231",
  barPerson: "48;5;225;38;5;53",
  person: "38;5;127",
  nicks: bold256([25, 28, 130, 90, 30, 160, 61, 64, 162, 24, 94, 97, 23, 124, 133, 29]),
};

/** On a background that is not known: colours that can be read on both. */
const UNKNOWN: Theme = {
  ...DARK,
  time: "2",
  dim: "2",
  good: "38;5;29",
  alert: "1;38;5;160",
  mention: "1;38;5;166",
  found: "7",
  chosen: "7",
  rule: "2",
  fresh: "38;5;166",
  bar: "7",
  barDim: "7",
  barStrong: "7;1",
  barAlert: "48;5;160;38;5;231",
  barPerson: "7",
  person: "38;5;133",
  nicks: bold256([33, 28, 136, 133, 30, 160, 99, 64, 162, 67, 130, 62, 29, 166, 135, 31]),
};

const FEW: Theme = {
  ...UNKNOWN,
  good: "32",
  alert: "1;31",
  mention: "1;33",
  fresh: "33",
  barAlert: "41;37",
  barPerson: "7;35",
  person: "35",
  nicks: ["1;36", "1;32", "1;35", "36", "32", "35"],
};

// Blue cannot be read on dark backgrounds, yellow and cyan not on light ones.
const FEW_DARK: Theme = {
  ...FEW,
  nicks: ["1;36", "1;32", "1;35", "1;33", "36", "32", "35", "33"],
};

const FEW_LIGHT: Theme = {
  ...FEW,
  mention: "1;35",
  fresh: "35",
  nicks: ["34", "35", "31", "32", "1;34", "1;35"],
};

/** Without colours only attributes remain. */
const NONE: Theme = {
  ...UNKNOWN,
  time: "",
  dim: "",
  good: "",
  alert: "1",
  mention: "1",
  rule: "",
  fresh: "1",
  barAlert: "7;1",
  barPerson: "7",
  person: "",
  nicks: ["1"],
};

/** The looks for a terminal. */
export function chooseTheme(depth: ColorDepth, background: Background): Theme {
  if (depth === "none") return NONE;
  if (depth === "16") return { dark: FEW_DARK, light: FEW_LIGHT, unknown: FEW }[background];
  return { dark: DARK, light: LIGHT, unknown: UNKNOWN }[background];
}

/** As many as themes have at most. */
const NICK_LOOKS = 16;
/** People with a look of their own; of more, the first are forgotten. */
const MAX_NICKS = 1024;

/** Gives each person a look of their own for as long as there are some left. */
export class NickColors {
  readonly #taken = new Map<string, number>();

  /** The SGR parameters of somebody's nick; the same for the whole run. */
  of(fingerprint: string, { nicks }: Theme): string {
    let look = this.#taken.get(fingerprint);
    if (look === undefined) {
      look = this.#choose(fingerprint);
      this.#taken.set(fingerprint, look);
      if (this.#taken.size > MAX_NICKS) this.#taken.delete(this.#taken.keys().next().value!);
    }
    return nicks[look % nicks.length]!;
  }

  /** The look that the fewest have, first the one that the fingerprint itself gives. */
  #choose(fingerprint: string): number {
    const uses = new Array<number>(NICK_LOOKS).fill(0);
    for (const taken of this.#taken.values()) uses[taken]!++;
    const own = hashText(fingerprint) % NICK_LOOKS;
    const least = Math.min(...uses);
    let look = own;
    while (uses[look]! > least) look = (look + 1) % NICK_LOOKS;
    return look;
  }
}

/** FNV-1a. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return hash;
}
