/**
 * What was done to messages, and what has to come of it (PROTOCOL.md §6).
 *
 * @module
 */

import type { NoteMessage } from "../../lib/protocol/messages.ts";
import { messageReference } from "../../lib/protocol/references.ts";
import type { NoteEvent, NoteKind } from "../../lib/session/events.ts";
import type { Ledger, Sent } from "./ledger.ts";
import type { Place } from "./place.ts";

const KINDS: Readonly<Record<number, NoteKind>> = {
  1: "reaction",
  2: "unreaction",
  3: "edit",
  4: "retraction",
};
/** A NOTE about what is not known yet is kept for so long. */
const KEPT_MS = 60_000;
/** What is taken has its effect within this, §6. */
const DUE_MS = 8_000;

/** A NOTE that a place has taken, and that has had no effect yet. */
interface Taken {
  readonly from: Place;
  readonly sent: Sent;
  readonly key: string;
  readonly at: number;
}

/** All NOTEs of a run. */
export class NoteLedger {
  readonly #ledger: Ledger;
  readonly #now: () => number;
  readonly #fail: (what: string) => void;
  readonly #made = new Set<string>();
  readonly #taken = new Map<Place, Taken[]>();

  constructor(ledger: Ledger, options: { now: () => number; fail: (what: string) => void }) {
    this.#ledger = ledger;
    this.#now = options.now;
    this.#fail = options.fail;
  }

  /** A user does something to a message. */
  make(from: Place, id: string, note: { what: NoteKind; text: string }): void {
    this.#made.add(keyOf(from, id, note));
  }

  /** A place is about to take a NOTE. */
  taking(at: Place, from: Place, { ref, what, text }: NoteMessage): void {
    const sent = this.#ledger.messages.values().find(({ from, id }) =>
      messageReference(from.identity.key.publicKey.fingerprint, id) === ref
    );
    const kind = KINDS[what];
    if (!sent || !kind || !mayMean(at, from, { sent, kind })) return;
    const taken = { from, sent, key: keyOf(from, sent.id, { what: kind, text }), at: this.#now() };
    this.#taken.set(at, [...this.#taken.get(at) ?? [], taken]);
  }

  /** A NOTE has had its effect. */
  shown(at: Place, event: NoteEvent): void {
    const key = `${event.fingerprint} ${event.ref} ${event.what} ${event.text}`;
    if (!this.#made.has(key)) return this.#fail(`${at.name} is shown a note that nobody made`);
    const taken = this.#taken.get(at) ?? [];
    const index = taken.findIndex((each) => each.key === key);
    if (index < 0) return this.#fail(`${at.name} is shown a note that it may not obey`);
    taken.splice(index, 1);
    const { messages } = this.#ledger;
    if (!at.knows(event.ref, messages)) this.#fail(`${at.name}: a note before its message`);
  }

  /** What should have had its effect by now. */
  check(at: Place): void {
    const now = this.#now();
    const rest = (this.#taken.get(at) ?? []).filter((taken) => {
      const knownAt = taken.sent.from === at ? 0 : at.taken.get(taken.sent.id)?.shownAt;
      if (knownAt === undefined) return now - taken.at < KEPT_MS;
      const since = Math.max(knownAt, taken.at, at.clock.wokenAt);
      if (knownAt > taken.at + KEPT_MS - DUE_MS) return false;
      if (now - since > DUE_MS) {
        this.#fail(`${at.name} has not obeyed a note of ${taken.from.name}`);
      }
      return true;
    });
    this.#taken.set(at, rest);
  }
}

/** Edits and retractions are its sender's; a private message concerns its two sides alone. */
function mayMean(
  at: Place,
  from: Place,
  { sent, kind }: { sent: Sent; kind: NoteKind },
): boolean {
  const author = sent.from.fingerprint;
  if (kind === "edit" || kind === "retraction") return author === from.fingerprint;
  if (sent.to === undefined) return true;
  const sides = [author, sent.to];
  const other = author === at.fingerprint ? sent.to : author;
  return sides.includes(at.fingerprint) && other === from.fingerprint;
}

function keyOf(from: Place, id: string, { what, text }: { what: NoteKind; text: string }): string {
  return `${from.fingerprint} ${id} ${what} ${text}`;
}
