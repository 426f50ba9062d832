/**
 * How it stands with the connection, as a person is told: where they are, and each outage in one line at its
 * beginning and one at its end.
 *
 * Gives notices; knows nothing of terminals.
 *
 * @module
 */

import type { ConnectedEvent, SessionEvent, WelcomeEvent } from "./events.ts";
import {
  type Notice,
  noticeOf,
  offlineNotice,
  onlineNotice,
  welcomeNotice,
} from "../ui/notices.ts";

/** What {@linkcode Standing} needs. */
export interface StandingOptions {
  /** The relay runs in this process. */
  readonly serving: boolean;
  print(notice: Notice): void;
}

/** The connection as the user knows of it. */
export class Standing {
  readonly #options: StandingOptions;
  #state: "connecting" | "online" | "offline" = "connecting";
  #wasOnline = false;
  /** A known server that is not one's own: named with the first welcome. */
  #address: string | undefined;
  #reason = "";
  /** The reason that was told of this outage. */
  #told: string | undefined;

  constructor(options: StandingOptions) {
    this.#options = options;
  }

  /** `connecting` is before the first connection, `offline` after one that was lost or refused. */
  get state(): "connecting" | "online" | "offline" {
    return this.#state;
  }

  /** There has been a room. */
  get wasOnline(): boolean {
    return this.#wasOnline;
  }

  /**
   * Takes what happens.
   *
   * @returns Whether it was an event about the connection, all of which is told from here.
   */
  take(event: SessionEvent): boolean {
    switch (event.event) {
      case "connected":
        this.#connect(event);
        return true;
      case "welcome":
        this.#welcome(event);
        return true;
      case "disconnected":
        this.#state = "offline";
        this.#reason = event.reason;
        return true;
      case "reconnecting":
        this.#tellOutage();
        return true;
      default:
        return false;
    }
  }

  #connect(event: ConnectedEvent): void {
    // One's own server needs no introduction.
    if (this.#wasOnline || this.#options.serving) return;
    const notice = noticeOf(event, { nickOf: (name) => name, ownText: () => undefined });
    if (notice === undefined) this.#address = event.address;
    else this.#options.print(notice);
  }

  #welcome(event: WelcomeEvent): void {
    const notice = this.#wasOnline ? onlineNotice(event) : welcomeNotice(event, this.#address);
    this.#options.print(notice);
    this.#state = "online";
    this.#wasOnline = true;
    this.#told = undefined;
  }

  /** Told here and not at the loss: a refusal that is final ends the program, which tells it. */
  #tellOutage(): void {
    if (this.#told === this.#reason) return;
    this.#told = this.#reason;
    this.#options.print(offlineNotice(this.#reason, { wasOnline: this.#wasOnline }));
  }
}
