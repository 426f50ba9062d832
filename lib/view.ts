/**
 * Whether sender and receiver see the same room (PROTOCOL.md §6, "View"): one's own views over time, and the messages
 * that wait until that is decided.
 *
 * @module
 */

import { type Bytes, decodeHex, encodeHex } from "./base/bytes.ts";
import type { Clock, Timer } from "./base/clock.ts";
import { computeView } from "./protocol/rooms.ts";
import type { Member, Roster } from "./session/roster.ts";

/** A message's view may equal one's own from so long before to so long after its receipt, §6. */
export const VIEW_WINDOW_MS = 5000;
/** Messages of one sender that wait at most; beyond that the oldest are given out as differing. */
export const MAX_WAITING_MESSAGES = 256;

/** One's own views of the last seconds. */
class ViewLog {
  #clock: Clock;
  #current = "";
  /** Views that were one's own, and until when. */
  #past: { view: string; until: number }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** From now on one's own view is this. */
  change(view: string): void {
    const now = this.#clock.now();
    this.#past = this.#past.filter(({ until }) => now - until <= VIEW_WINDOW_MS);
    this.#past.push({ view: this.#current, until: now });
    this.#current = view;
  }

  /** Tells whether a view equals one's own now, or did within the last 5 s. */
  has(view: string): boolean {
    const now = this.#clock.now();
    return view === this.#current ||
      this.#past.some((past) => past.view === view && now - past.until <= VIEW_WINDOW_MS);
  }
}

/** A message whose view is compared. */
interface Waiting<Message> {
  readonly message: Message;
  /** In hex digits, or what has been decided. */
  readonly view: string | "same" | "differs";
  readonly receivedAt: number;
}

/** The messages of one sender, never none. */
interface Queue<Message> {
  readonly messages: Waiting<Message>[];
  /** For the first of them. */
  timer: Timer | undefined;
}

/** Holds each sender's messages until their views are decided, and gives them out in order. */
export class ViewGate<Message> {
  #clock: Clock;
  #log: ViewLog;
  #emit: (message: Message, view: "same" | "differs") => void;
  #queues = new Map<string, Queue<Message>>();

  /** @param emit Gets each message once. */
  constructor(clock: Clock, emit: (message: Message, view: "same" | "differs") => void) {
    this.#clock = clock;
    this.#log = new ViewLog(clock);
    this.#emit = emit;
  }

  /** One's own view has changed. */
  change(view: Bytes): void {
    this.#log.change(encodeHex(view));
    for (const sender of [...this.#queues.keys()]) this.#advance(sender);
  }

  /**
   * Takes a message.
   *
   * @param options.own The only view accepted, for a private message; otherwise one's own views over time.
   */
  add(
    sender: string,
    message: Message,
    options: { view: Bytes; own?: Bytes },
  ): void {
    this.#makeRoom(sender);
    const queue = this.#queues.get(sender);
    const view = this.#decide(encodeHex(options.view), options.own);
    if (!queue && (view === "same" || view === "differs")) return this.#emit(message, view);
    // A decided one behind an undecided one waits for its turn, never longer than that.
    const waiting = { message, view, receivedAt: this.#clock.now() };
    if (queue) queue.messages.push(waiting);
    else this.#wait(sender, { messages: [waiting], timer: undefined });
  }

  /** Gives out everything at once: nothing more will be decided. */
  flush(): void {
    for (const sender of [...this.#queues.keys()]) this.#advance(sender, Infinity);
  }

  /** Whoever floods with views that nobody has must not fill the memory. */
  #makeRoom(sender: string): void {
    const messages = this.#queues.get(sender)?.messages;
    if (messages?.length === MAX_WAITING_MESSAGES) this.#advance(sender, messages[0]!.receivedAt);
  }

  #decide(view: string, own: Bytes | undefined): string | "same" | "differs" {
    if (own) return view === encodeHex(own) ? "same" : "differs";
    return this.#log.has(view) ? "same" : view;
  }

  /** @param due What was received until then waits no longer. */
  #advance(sender: string, due = this.#clock.now() - VIEW_WINDOW_MS): void {
    const queue = this.#queues.get(sender);
    if (!queue) return;
    this.#clock.cancel(queue.timer);
    this.#queues.delete(sender);
    const { messages } = queue;
    while (messages.length > 0) {
      const { message, view, receivedAt } = messages[0]!;
      const same = view === "same" || this.#log.has(view);
      if (!same && view !== "differs" && receivedAt > due) return this.#wait(sender, queue);
      messages.shift();
      this.#emit(message, same ? "same" : "differs");
    }
  }

  /** Sets the timer for the first message. */
  #wait(sender: string, queue: Queue<Message>): void {
    const { receivedAt } = queue.messages[0]!;
    const delay = receivedAt + VIEW_WINDOW_MS - this.#clock.now();
    // A timer may go off a little early: what it was set for is due all the same.
    queue.timer = this.#clock.after(delay, () => this.#advance(sender, receivedAt));
    this.#queues.set(sender, queue);
  }
}

/** Computes one's own views. */
export class OwnViews {
  /** The view of the room, 32 bytes; as of the last update. */
  room: Bytes = new Uint8Array(32);
  #options: { readonly room: Bytes; readonly fingerprint: Bytes; readonly roster: Roster };
  #relay: Bytes = new Uint8Array(32);
  #sid: Bytes = new Uint8Array(8);

  /** @param options The room's tag and one's own fingerprint, 32 bytes each. */
  constructor(options: { room: Bytes; fingerprint: Bytes; roster: Roster }) {
    this.#options = options;
  }

  /** The roster has changed, or the connection; gives the new view of the room. */
  update(connection: { sid: string; relay: Bytes }): Bytes {
    this.#relay = connection.relay;
    this.#sid = decodeHex(connection.sid);
    this.room = this.#compute([...this.#options.roster.members.values()]);
    return this.room;
  }

  /** The view of a private message: oneself and the other only, §6. */
  pair(member: Member): Bytes {
    return this.#compute([member]);
  }

  #compute(members: readonly Member[]): Bytes {
    const { room, fingerprint } = this.#options;
    const others = members.map((member) => ({
      sid: decodeHex(member.sid),
      fingerprint: member.fingerprint,
    }));
    return computeView(this.#relay, room, [{ sid: this.#sid, fingerprint }, ...others]);
  }
}
