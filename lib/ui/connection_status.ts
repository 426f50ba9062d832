/**
 * Connection status for the user: the room they are in, and one line at the start and end of each outage.
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import type {
  ConnectedEvent,
  MovedEvent,
  SearchingEvent,
  SessionEvent,
  WelcomeEvent,
} from "../session/mod.ts";
import {
  answeringNotice,
  firstContactNotice,
  type HostEnd,
  movedNotice,
  type Names,
  type Notice,
  offlineNotice,
  onlineNotice,
  searchingNotice,
  welcomeNotice,
} from "./notices.ts";
import type { ServerWords } from "./server_words.ts";

/** Hosts of earlier that are remembered. */
const MAX_HOSTS = 64;

interface ConnectionStatusOptions {
  /** Whether the relay runs in this process. */
  readonly serving: boolean;
  readonly nickOf: Names["nickOf"];
  /** The user's own, `SHA256:…`. */
  readonly fingerprint: string;
  /** What was said about the connections of all rooms. */
  readonly words: ServerWords;
  /** @param options.isOutage It is about an outage, which is not this room's alone. */
  print(notice: Notice, options: { isOutage: boolean }): void;
}

export class ConnectionStatus {
  readonly #options: ConnectionStatusOptions;
  #state: "connecting" | "online" | "offline" | "searching" = "connecting";
  #wasOnline = false;
  /** Shown with the first welcome, which says how the server was authenticated. */
  #connected: ConnectedEvent | undefined;
  #reason = "";
  /** The person who left last of their own accord, `SHA256:…`. */
  #left: string | undefined;
  /** Shown with the welcome that follows. */
  #moved: MovedEvent | undefined;
  /** The people whose computers have hosted the room, `SHA256:…`. */
  readonly #hosts = new BoundedMap<string, true>(MAX_HOSTS);

  constructor(options: ConnectionStatusOptions) {
    this.#options = options;
  }

  /**
   * `connecting` before the first connection, `offline` after one that was lost or refused, `searching` while the room's
   * next host is looked for.
   */
  get state(): "connecting" | "online" | "offline" | "searching" {
    return this.#state;
  }

  /**
   * Takes an event of the session.
   *
   * @returns Whether it was about the connection: then nothing more needs to be shown about it.
   */
  take(event: SessionEvent): boolean {
    switch (event.event) {
      case "connected":
        // The user's own server needs no introduction.
        if (!this.#wasOnline && !this.#options.serving) this.#connected = event;
        return true;
      case "moved":
        this.#moved = event;
        return true;
      case "welcome":
        this.#welcome(event);
        return true;
      case "disconnected":
        this.#introduce();
        if (this.#state !== "searching") this.#state = "offline";
        this.#reason = event.reason;
        return true;
      case "reconnecting":
        this.#showOutage();
        return true;
      case "searching":
        this.#showSearch(event);
        return true;
      case "left":
        if (event.why === "left") this.#left = event.fingerprint;
        return false;
      default:
        return false;
    }
  }

  /** @param welcome Undefined if it was refused. */
  #introduce(welcome?: WelcomeEvent): void {
    if (this.#connected?.server !== "new") return;
    this.#options.print(firstContactNotice(this.#connected, welcome), { isOutage: false });
    this.#connected = undefined;
  }

  #welcome(event: WelcomeEvent): void {
    this.#introduce(event);
    const { words, print } = this.#options;
    const endsOutage = words.endsOutage();
    const endsSearch = this.#state === "searching";
    if (!this.#wasOnline) {
      print(welcomeNotice(event, this.#connected?.address), { isOutage: false });
    } else if (this.#moved) this.#showMove(this.#moved);
    else if (endsOutage || endsSearch) print(onlineNotice(event), { isOutage: endsOutage });
    this.#moved = this.#left = undefined;
    this.#state = "online";
    this.#wasOnline = true;
  }

  #showMove(event: MovedEvent): void {
    const { nickOf, print, fingerprint } = this.#options;
    const isBack = this.#hosts.has(event.host ?? "");
    for (const person of [event.by, event.host]) if (person) this.#hosts.renew(person, true);
    // The user need not be told of their own computer.
    const by = event.by === fingerprint ? null : event.by;
    print(movedNotice({ ...event, by }, { nickOf, end: this.#endOf(by), isBack }), {
      isOutage: false,
    });
  }

  #endOf(host: string | null): HostEnd {
    if (host !== null && host === this.#left) return "left";
    return this.#reason === "shutting down" ? "gave way" : "gone";
  }

  #showSearch({ host, active }: SearchingEvent): void {
    const { nickOf, print, fingerprint } = this.#options;
    const name = host === null || host === fingerprint ? undefined : nickOf(host);
    const hasLeft = host !== null && host === this.#left;
    const notice = active
      ? searchingNotice({ host: name, hasLeft, wasOnline: this.#wasOnline })
      : answeringNotice(name);
    print(notice, { isOutage: false });
    this.#state = active ? "searching" : "online";
  }

  /** Not at the loss itself: a final refusal ends the program, which reports it. */
  #showOutage(): void {
    const { words, print } = this.#options;
    if (!words.isNewOutage(this.#reason)) return;
    print(offlineNotice(this.#reason, { wasOnline: this.#wasOnline }), { isOutage: true });
  }
}
