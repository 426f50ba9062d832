/**
 * Faults in what terminals of one person tell each other, to show that the runs find them.
 *
 * @module
 */

import { type Edit, makeMutant, type Mutant } from "./mutants.ts";

const FILE = "lib/session/own_terminals.ts";

/** What each fault does, and where. */
export const TERMINAL_FAULTS = {
  "strangers-told": {
    what: "other people count as terminals of one's own",
    edits: [[FILE, "return name === this.#options.own.name && channel", "return channel"]],
  },
  "apart-told": {
    what: "--no-own changes nothing",
    edits: [[FILE, "options.isOff ? 0 : OWN_FEATURE", "OWN_FEATURE"]],
  },
  "visit-unseen": {
    what: "nobody is told that another terminal has come and got something",
    edits: [[FILE, "if (count === 0) return;", "if (count >= 0) return;"]],
  },
  "copy-forgotten": {
    what: "private messages are not copied",
    edits: [[FILE, "if (to === undefined || equal", "if (text !== undefined || equal"]],
  },
  "missed-unasked": {
    what: "what was missed is not asked for",
    edits: [["lib/session/member_channels.ts", "if (!replaces) own.greet(member);", ""]],
  },
  "asked-too-often": {
    what: "everybody is given something as often as they ask",
    edits: [[FILE, "SCOPE.OWN || isTooSoon ||", "SCOPE.OWN ||"]],
  },
  "unasked-taken": {
    what: "a GIVE counts that nobody has asked for",
    edits: [[
      FILE,
      "const asked = this.#asked.get(member);",
      `const unasked = { channel: member.peer!.channel!, at: 0, entries: [], bytes: 0 };
       const asked = this.#asked.get(member) ?? unasked;
       this.#asked.set(member, asked);`,
    ]],
  },
  "ids-of-all": {
    what: "a message is known if anybody's has its id",
    edits: [[
      "lib/session/member_events.ts",
      "return isMine && !shown.has(author, id!);",
      "return isMine && shown.byId(id!) === undefined;",
    ]],
  },
  "known-shown": {
    what: "what is given is shown, known or not",
    edits: [["lib/session/member_events.ts", "&& this.isNew(entry)) this", "&& this.isNew) this"], [
      FILE,
      "entry.type === ENTRY.NOTE || isNew(entry)",
      "entry.type === ENTRY.NOTE || isNew !== undefined",
    ]],
  },
  "clocks-compared": {
    what: "times are told and not ages",
    edits: [
      [
        "lib/session/giving.ts",
        "part.map((entry) => ({ ...entry, at: Math.max(0, now - entry.at) }))",
        "part",
      ],
      [
        FILE,
        "...entries.map((entry) => ({ ...entry, at: Math.max(0, now - entry.at) })),",
        "...entries,",
      ],
    ],
  },
  "read-untold": {
    what: "what was read is not told in new channels",
    edits: [[
      FILE,
      "for (const mark of this.#marks()) sendOwn(",
      "for (const mark of []) sendOwn(",
    ]],
  },
  "read-back": {
    what: "a mark may go back",
    edits: [[FILE, "if (order <= (this.#read.get(key)?.order ?? -1)) return undefined;", ""]],
  },
} as const satisfies Record<string, { readonly what: string; readonly edits: readonly Edit[] }>;

/** A fault of {@linkcode TERMINAL_FAULTS}. */
export type TerminalFault = keyof typeof TERMINAL_FAULTS;

/** Tells whether there is a fault of this name. */
export function isTerminalFault(name: string): name is TerminalFault {
  return Object.hasOwn(TERMINAL_FAULTS, name);
}

/** Plants a fault into a copy of the project. */
export function makeTerminalMutant(fault: TerminalFault): Promise<Mutant> {
  return makeMutant(TERMINAL_FAULTS[fault].edits, "terminals.ts");
}
