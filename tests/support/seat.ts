/**
 * Somebody at a terminal, with either face of the chat: what they do is the same, and what they read is the same, only
 * its place on the screen differs.
 *
 * @module
 */

import { Chats } from "./chats.ts";
import type { World } from "./programs.ts";
import type { Tmux } from "./tmux.ts";

/** Where what somebody reads stands on the screen of a face. */
interface Reader {
  readonly isFull: boolean;
  /** The row of the line, when it is empty. @param to A person with the sign of trust, or a room. */
  prompt(to: string, isRoom: boolean): string;
  /** The rows that show a message of somebody; any of them is enough. */
  message(who: string, text: string): readonly string[];
  /** The row that tells of a private message where another conversation is shown. */
  privately(who: string, text: string): string;
  /** The rows that show an own message of which nobody is known to have it. */
  waiting(text: string): readonly string[];
  reaction(who: string, emoji: string, text: string): string;
  edited(who: string, before: string, after: string): string;
}

const PLAIN: Reader = {
  isFull: false,
  prompt: (to, isRoom) => isRoom ? "anna> ‸" : `anna to ${to}> ‸`,
  message: (who, text) => {
    const labels = who.endsWith("✗") ? ["another key"] : [];
    return [labels, [...labels, "private"]].map((all) =>
      `${who}${all.length > 0 ? ` (${all.join(", ")})` : ""}: ${text}`
    );
  },
  privately: (who, text) => `${who} (private): ${text}`,
  waiting: (text) => [`anna (waiting): ${text}`],
  reaction: (who, emoji, text) => `-- ${who} reacted ${emoji} to your “${text}”`,
  edited: (who, before, after) => `${who} (replaces “${before}”): ${after}`,
};

const FULL: Reader = {
  isFull: true,
  prompt: (to, isRoom) => isRoom ? `${to} › ‸` : `to ${to} › ‸`,
  // Who has written just before is not named again.
  message: (who, text) => [`${who} ${text}`, text],
  privately: (who) => `${who} !1`,
  waiting: (text) => [`anna ${text} ⋯ waits`, `${text} ⋯ waits`],
  reaction: (who, emoji) => `╰ ${emoji} ${who}`,
  edited: (_, __, after) => `${after} (edited)`,
};

/** Both faces, by their names. */
export const READERS: ReadonlyMap<string, Reader> = new Map([["plain", PLAIN], ["full", FULL]]);

/** Anna at a terminal; her world has a server. */
export class Seat implements AsyncDisposable {
  readonly world: World;
  readonly #chats: Chats;
  readonly #reader: Reader;
  readonly #terminal: Tmux;

  private constructor(chats: Chats, reader: Reader, terminal: Tmux) {
    this.world = chats.world;
    this.#chats = chats;
    this.#reader = reader;
    this.#terminal = terminal;
  }

  /** Starts her chat, and waits until she is in the lobby. */
  static async take(reader: Reader): Promise<Seat> {
    const chats = await Chats.open();
    try {
      await chats.world.server();
      const home = await chats.world.emptyHome("anna-files");
      // As wide as a screen without the side column can be.
      const size = { columns: 99, rows: 40 };
      const options = { ...size, isFull: reader.isFull, args: ["--download", home] };
      const seat = new Seat(chats, reader, await chats.start("anna", options));
      await seat.writesTo("lobby");
      await seat.reads("you are in lobby");
      return seat;
    } catch (error) {
      await chats[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Types a line, and sends it once it is there: what comes in one read would be a paste. */
  async enter(line: string): Promise<void> {
    await this.#terminal.type(line);
    await this.#terminal.waitFor((rows) => rows.at(-1)!.endsWith(` ${line}‸`), `${line} typed`);
    await this.#terminal.press("Enter");
    await this.#terminal.waitFor((rows) => /[>›] ‸$/.test(rows.at(-1)!), `${line} sent`);
  }

  /** Waits until what is typed goes to a person, with the sign of trust, or to a room. */
  async writesTo(to: string): Promise<void> {
    const prompt = this.#reader.prompt(to, !/[◦∙✓✗]$/.test(to));
    await this.#terminal.waitFor((rows) => rows.at(-1) === prompt, prompt);
  }

  /** Waits for words of the program. */
  async reads(words: string): Promise<void> {
    const isThere = (rows: string[]) => rows.map(bare).join(" ").includes(words);
    await this.#terminal.waitFor(isThere, words);
  }

  /** Waits for a message in the conversation that is shown. */
  async readsMessage(who: string, text: string): Promise<void> {
    await this.#seesRow(...this.#reader.message(who, text));
  }

  /** Waits for the sign of a private message. */
  async isTold(who: string, text: string): Promise<void> {
    const words = this.#reader.privately(who, text);
    await this.#terminal.waitFor((rows) => rows.some((row) => row.includes(words)), words);
  }

  /** Waits for an own message that nobody has yet. */
  async readsWaiting(text: string): Promise<void> {
    await this.#seesRow(...this.#reader.waiting(text));
  }

  async readsReaction(who: string, emoji: string, text: string): Promise<void> {
    await this.reads(this.#reader.reaction(who, emoji, text));
  }

  async readsEdit(who: string, before: string, after: string): Promise<void> {
    await this.reads(this.#reader.edited(who, before, after));
  }

  /** Whether a text is nowhere on the screen, as it is now. */
  async seesNothingOf(text: string): Promise<boolean> {
    return !(await this.#terminal.screen()).join("\n").includes(text);
  }

  async #seesRow(...wanted: readonly string[]): Promise<void> {
    await this.#terminal.waitFor(
      (rows) => rows.map(bare).some((row) => wanted.includes(row)),
      wanted.join(", or "),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chats[Symbol.asyncDispose]();
  }
}

/** A row without the mark at its left, the delivery at its end, and columns. */
function bare(row: string): string {
  return row.replace(/^▌/, "").replace(/ (?:✓|\d+\/\d+)$/, "").replace(/ +/g, " ").trim();
}
