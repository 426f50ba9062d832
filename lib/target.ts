/**
 * One addressee of what is written, and what is kept for it (PROTOCOL.md §6, "What a sender keeps").
 *
 * @module
 */

/** Kept for one target at most, §6. */
export const MAX_KEPT_MESSAGES = 1024;
/** Kept for one target at most, in bytes of text, §6. */
export const MAX_KEPT_BYTES = 4 * 1024 * 1024;

/** A message one's own user wrote. */
export interface Outgoing {
  /** 16 hex digits, the same for all recipients. */
  readonly id: string;
  /** Its place in the order of everything this session saw. */
  readonly serial: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly action: boolean;
  readonly private: boolean;
  readonly text: string;
  /** Bytes of the text in UTF-8. */
  readonly bytes: number;
}

/** One thing with a seq: a message, or (without one) a change of nick, which is sent as the nick of that moment. */
export interface Item {
  /** 0 until the target has a stream. */
  seq: number;
  readonly message: Outgoing | undefined;
  /** Written for an instance that is gone, §6. */
  readonly moved: boolean;
  readonly queuedAt: number;
  /** When it was put into a record of the present channel. */
  sentAt: number | undefined;
}

/** One addressee: a stream towards (fingerprint, instance), or a waiting list while the instance is unknown. */
export class Target {
  /** `SHA256:…`. */
  readonly fingerprint: string;
  /** 32 hex digits; undefined before HELLO. */
  readonly instance: string | undefined;
  /** Unacknowledged, in order. */
  items: Item[] = [];
  /** Bytes of text in `items`. */
  bytes = 0;
  /** The seq the next item gets. */
  nextSeq = 1;
  /** The highest seq that was ever put into a record. */
  sentSeq = 0;
  /** Since when there is no live channel; undefined while there is one, or one gives way to the next. */
  downAt: number | undefined;
  /** Since when it is out of the roster; undefined while it is in it. */
  lostAt: number | undefined;
  /** A channel with it was up at some time: it is a person, not only an entry of the roster. */
  wasUp = false;

  /** @param now When it came into being, without a channel. */
  constructor(fingerprint: string, instance: string | undefined, now: number) {
    this.fingerprint = fingerprint;
    this.instance = instance;
    this.downAt = now;
  }

  /** Holds more than may be kept while there is no channel. */
  get overfull(): boolean {
    return this.items.length > MAX_KEPT_MESSAGES || this.bytes > MAX_KEPT_BYTES;
  }

  /** Holds so much that nothing more may be put in while the channel is live. */
  get full(): boolean {
    return this.items.length >= MAX_KEPT_MESSAGES || this.bytes >= MAX_KEPT_BYTES;
  }
}

/** Brings into the order of writing what has never been put into a record, so that its numbers are still free. */
export function sortUnsent({ items, sentSeq }: Target): void {
  const start = items.findLastIndex(({ seq }) => seq <= sentSeq) + 1;
  const unsent = items.splice(start);
  const seqs = unsent.map(({ seq }) => seq);
  // A nick comes last: HELLO has told it already.
  const place = ({ message }: Item) => message?.serial ?? Number.MAX_SAFE_INTEGER;
  unsent.sort((a, b) => place(a) - place(b));
  for (const [i, item] of unsent.entries()) {
    item.seq = seqs[i]!;
    items.push(item);
  }
}
