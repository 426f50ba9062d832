/**
 * What a server has to say, or that it cannot be reached, comes over the connection of every room: it is shown once.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import type { ServerEvent } from "../session/mod.ts";

/** The same announcement over another connection within this time is not another one. */
const SAME_MS = 10_000;

/** What was shown of one server. */
export class ServerWords {
  readonly #clock: Clock;
  /** The message of the day comes again after each reconnect. */
  #motd = "";
  #announcement = { text: "", room: "", at: -Infinity };
  /** The reason of the outage that was shown. */
  #outage: string | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether to show a word of the server. @param room Over whose connection it came. */
  isNew({ what, text }: ServerEvent, room: string): boolean {
    if (what === "motd") {
      const isSame = text === this.#motd;
      this.#motd = text;
      return !isSame;
    }
    const last = this.#announcement;
    const now = this.#clock.now();
    if (text === last.text && room !== last.room && now < last.at + SAME_MS) return false;
    this.#announcement = { text, room, at: now };
    return true;
  }

  /** Whether to show that a connection is lost, or that it cannot be opened. */
  isNewOutage(reason: string): boolean {
    if (reason === this.#outage) return false;
    this.#outage = reason;
    return true;
  }

  /** Whether to show that a connection is there again. */
  endsOutage(): boolean {
    const wasShown = this.#outage !== undefined;
    this.#outage = undefined;
    return wasShown;
  }
}
