/**
 * Judges what is said while a room moves: everybody is shown it who was there, once, and as what it is.
 *
 * @module
 */

import type { List } from "../../lib/protocol/succession.ts";
import type { ChatEvent } from "../../lib/session/events.ts";
import type { Villager } from "./village.ts";

/** Who enters later than this after a message was written gets it as a late one; less, for how often it is looked. */
const LATE_MS = 4500;

/** What is known of one start of a program. */
export class Program {
  /** When it was in the room first. */
  enteredAt: number | undefined;
  /** The relays that it has joined, the newest last. */
  readonly relays: string[] = [];
  list: List | undefined;
  /** The newest list of its own. */
  said: List | undefined;
  /** The highest serial of each relay's program. */
  readonly serials = new Map<string, number>();
  /** How often each message was shown. */
  readonly shown = new Map<string, number>();
  /** Whom it has been shown, by fingerprint, and as which program last. */
  readonly met = new Map<string, Program | undefined>();
  /** Of which of its messages it was told that they do not reach whom. */
  readonly undelivered = new Set<string>();
  /** Since when it runs without a stop. */
  awakeSince = 0;
  /** Who stood before it since it hosts, by relay and port. */
  before = new Set<string>();
  /** It went on at its own relay until another had taken it in: nothing was lost. */
  isGivingWay = false;
  /** When it has heard its host last. */
  heardAt = 0;
  /** When others were last within its reach, and out of it. */
  readonly reached = new Map<Program, number>();
  readonly apart = new Map<Program, number>();

  /** @param joins Whose computer it was told to join. */
  constructor(readonly person: Villager, readonly joins: Villager | undefined) {}
}

/** A message as it was accepted. */
interface Sent {
  readonly program: Program;
  /** The people it is for, by fingerprint, and the programs that the sender had been shown of them. */
  readonly to: ReadonlyMap<string, Program | undefined>;
  readonly at: number;
}

/** What is needed of the rest. */
export interface WordsOptions {
  now(): number;
  /** The program of a person that runs, or ran last, by fingerprint. */
  programWith(fingerprint: string): Program | undefined;
  fail(what: string): void;
}

/** What is said. */
export class Words {
  readonly #options: WordsOptions;
  readonly #sent = new Map<string, Sent>();

  constructor(options: WordsOptions) {
    this.#options = options;
  }

  /** How many messages. */
  get count(): number {
    return this.#sent.size;
  }

  joined(program: Program, fingerprint: string): void {
    program.met.set(fingerprint, this.#options.programWith(fingerprint));
  }

  sent(program: Program, { id, to }: { id: string; to: readonly string[] }): void {
    const at = this.#options.now();
    this.#sent.set(id, { program, to: new Map(to.map((it) => [it, program.met.get(it)])), at });
  }

  undelivered(program: Program, { id, to }: { id: string; to: readonly string[] }): void {
    for (const fingerprint of to) program.undelivered.add(`${id} ${fingerprint}`);
  }

  shown(program: Program, { id, text, nick: from, view, late }: ChatEvent): void {
    const { nick, fingerprint } = program.person;
    const times = (program.shown.get(id) ?? 0) + 1;
    program.shown.set(id, times);
    if (times > 1) this.#options.fail(`${nick} is shown ${text} twice`);
    if (view === "differs" && text.startsWith("last ")) {
      this.#options.fail(`${nick} and ${from} do not see the same people`);
    }
    const isFresh = this.#options.now() - writtenAt(text) < LATE_MS;
    if (late && isFresh && this.#sent.get(id)?.to.get(fingerprint) === program) {
      this.#options.fail(`${nick} is shown ${text} as if it had come later`);
    }
  }

  /** What somebody of these programs has not been shown of what others of them wrote. */
  missingOf(honest: readonly Program[]): string | undefined {
    for (const [id, { program, to, at }] of this.#sent) {
      if (!honest.includes(program)) continue;
      for (const receiver of honest) {
        const { enteredAt = Infinity, shown, person } = receiver;
        const { fingerprint, nick } = person;
        if (!to.has(fingerprint) || enteredAt > at || shown.has(id)) continue;
        // It was for a program that has ended: its sender has not seen this one, and was told.
        const isForOther = to.get(fingerprint) !== receiver;
        if (isForOther && program.undelivered.has(`${id} ${fingerprint}`)) continue;
        return `${nick} does not get ${id} of ${program.person.nick}, written at ${at}`;
      }
    }
    return undefined;
  }
}

/** When a message was written, which its text ends with. */
function writtenAt(text: string): number {
  return Number(text.slice(text.lastIndexOf(" ")));
}
