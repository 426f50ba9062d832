/**
 * The messages that were shown, by which others name them, and what NOTEs do to them (PROTOCOL.md §6).
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import type { Bytes } from "../base/bytes.ts";
import type { Clock } from "../base/clock.ts";
import { IDS_REMEMBERED, MAX_CAPACITY, STREAMS_REMEMBERED } from "../protocol/limits.ts";
import { isReaction, isReactionNote, NOTE, type NoteMessage } from "../protocol/messages.ts";
import { messageReference } from "../protocol/references.ts";
import type { NoteKind } from "./events.ts";
import type { Given } from "./inbox.ts";

/** How long a NOTE about an unknown message is kept, §6. */
export const NOTE_KEPT_MS = 60_000;
/** NOTEs about unknown messages kept of one person, §6. */
export const MAX_KEPT_NOTES = 32;

/** Notes that are remembered so that an older one changes nothing. */
const MAX_STANDING = 4096;

/** How events name what a NOTE does. */
export const NOTE_KINDS: Readonly<Record<number, NoteKind>> = {
  [NOTE.REACT]: "reaction",
  [NOTE.UNREACT]: "unreaction",
  [NOTE.EDIT]: "edit",
  [NOTE.RETRACT]: "retraction",
};

/** A message that was shown. */
export interface ShownMessage {
  /** Its sender, `SHA256:…`. */
  readonly fingerprint: string;
  /** 16 hex digits. */
  readonly id: string;
  /** 16 hex digits. */
  readonly reference: string;
  /** Of a private message: the other side, `SHA256:…`. */
  readonly other: string | undefined;
  /** Its place in the order in which messages were shown. */
  readonly order: number;
}

/** The last messages of the last people. */
export class ShownMessages {
  readonly #byReference = new Map<string, ShownMessage>();
  /** By fingerprint and id; the people who spoke last are at the end. */
  readonly #people = new Map<string, Map<string, ShownMessage>>();
  #order = 0;

  /** Tells whether a message was shown. */
  has(fingerprint: string, id: string): boolean {
    return this.#people.get(fingerprint)?.has(id) ?? false;
  }

  /**
   * Remembers a message.
   *
   * @param sender The fingerprint, 32 bytes and as text.
   * @param other Of a private message: the other side.
   */
  add(
    sender: { fingerprint: Bytes; name: string },
    id: string,
    other: string | undefined,
  ): ShownMessage {
    const { name: fingerprint } = sender;
    const reference = messageReference(sender.fingerprint, id);
    const message = { fingerprint, id, reference, other, order: this.#order++ };
    const own = this.#people.get(fingerprint) ?? new Map<string, ShownMessage>();
    this.#people.delete(fingerprint);
    this.#people.set(fingerprint, own.set(id, message));
    this.#byReference.set(reference, message);
    if (own.size > IDS_REMEMBERED) this.#forget(own, own.values().next().value!);
    if (this.#people.size > STREAMS_REMEMBERED) {
      const [oldest, messages] = this.#people.entries().next().value!;
      for (const each of messages.values()) this.#forget(messages, each);
      this.#people.delete(oldest);
    }
    return message;
  }

  byReference(reference: string): ShownMessage | undefined {
    return this.#byReference.get(reference);
  }

  /** The message with this id, of this person if given; the first one shown. */
  byId(id: string, of?: string): ShownMessage | undefined {
    const found = this.#withId(id).filter(({ fingerprint }) =>
      of === undefined || fingerprint === of
    );
    return found.sort((a, b) => a.order - b.order)[0];
  }

  /** The fields that name a message in an event: `of` only where the id alone does not. */
  name({ id, fingerprint }: ShownMessage): { id: string; of?: string } {
    return this.#withId(id).length > 1 ? { id, of: fingerprint } : { id };
  }

  #withId(id: string): ShownMessage[] {
    return [...this.#people.values()].flatMap((messages) => messages.get(id) ?? []);
  }

  #forget(messages: Map<string, ShownMessage>, { id, reference }: ShownMessage): void {
    messages.delete(id);
    this.#byReference.delete(reference);
  }
}

/** What a NOTE does. */
interface NoteEffect {
  readonly message: ShownMessage;
  readonly what: NoteKind;
  readonly text: string;
}

/** What of one person's reactions to a message, or of its changes, stands. */
interface Standing {
  readonly what: number;
  readonly text: string;
  /** In ms since 1970. */
  readonly at: number;
}

/** A NOTE, and if it came later than others, when it was shown to them, in ms since 1970. */
export type TakenNote = Pick<NoteMessage, "ref" | "what" | "text"> & { readonly at?: number };

/** A NOTE whose message is not known yet. */
interface Kept {
  readonly note: TakenNote;
  readonly until: number;
  apply(effect: NoteEffect): Given;
}

/** Applies the NOTEs that members send. */
export class Notes {
  readonly #clock: Clock;
  readonly #own: string;
  readonly #shown: ShownMessages;
  readonly #standing = new BoundedMap<string, Standing>(MAX_STANDING);
  readonly #kept = new BoundedMap<string, Kept[]>(MAX_CAPACITY); // as many people as a room has

  /** @param own Our own fingerprint, `SHA256:…`. */
  constructor(options: { clock: Clock; own: string; shown: ShownMessages }) {
    this.#clock = options.clock;
    this.#own = options.own;
    this.#shown = options.shown;
  }

  /** Takes a NOTE. @param apply Called when it has its effect, if ever. */
  take(fingerprint: string, note: TakenNote, apply: (effect: NoteEffect) => Given): Given {
    const message = this.#shown.byReference(note.ref);
    if (message) return this.#apply(fingerprint, note, { message, apply });
    const kept = this.#keptOf(fingerprint);
    kept.push({ note, until: this.#clock.now() + NOTE_KEPT_MS, apply });
    this.#kept.renew(fingerprint, kept.slice(-MAX_KEPT_NOTES));
  }

  /** A message was shown: the NOTEs that waited for it have their effect. */
  shown(message: ShownMessage): void {
    for (const fingerprint of [...this.#kept.keys()]) {
      const kept = this.#keptOf(fingerprint);
      const isMeant = ({ note }: Kept) => note.ref === message.reference;
      const rest = kept.filter((each) => !isMeant(each));
      if (rest.length === 0) this.#kept.delete(fingerprint);
      else this.#kept.set(fingerprint, rest);
      for (const { note, apply } of kept.filter(isMeant)) {
        this.#apply(fingerprint, note, { message, apply });
      }
    }
  }

  #keptOf(fingerprint: string): Kept[] {
    const now = this.#clock.now();
    return (this.#kept.get(fingerprint) ?? []).filter(({ until }) => until > now);
  }

  #apply(
    fingerprint: string,
    note: TakenNote,
    { message, apply }: { message: ShownMessage; apply(effect: NoteEffect): Given },
  ): Given {
    const { what, text } = note;
    const kind = NOTE_KINDS[what];
    if (kind === undefined || !this.#mayMean(fingerprint, what, message)) return;
    if (what === NOTE.REACT && !isReaction(text)) return;
    if (!this.stands(fingerprint, note)) return;
    return apply({ message, what: kind, text });
  }

  /** Remembers what stands now. @returns False if a later note stands already, or this one, which comes again. */
  stands(fingerprint: string, { ref, what, text, at }: TakenNote): boolean {
    const key = `${fingerprint} ${ref} ${isReactionNote(what)}`;
    const before = this.#standing.get(key);
    const isSame = before?.what === what && before.text === text;
    if (at !== undefined && before !== undefined && (isSame || before.at >= at)) return false;
    this.#standing.renew(key, { what, text, at: at ?? this.#clock.wallTime() });
    return true;
  }

  /** §6: edits and retractions are its sender's; a private message concerns its two sides alone. */
  #mayMean(fingerprint: string, what: number, message: ShownMessage): boolean {
    if (what === NOTE.EDIT || what === NOTE.RETRACT) return message.fingerprint === fingerprint;
    if (message.other === undefined || fingerprint === this.#own) return true;
    return otherSide(message, this.#own) === fingerprint;
  }
}

/** The other side of a private message, `SHA256:…`. @param own Our own fingerprint. */
export function otherSide({ fingerprint, other }: ShownMessage, own: string): string {
  return fingerprint === own ? other ?? own : fingerprint;
}
