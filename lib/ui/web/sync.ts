/**
 * What a page has yet to be told: one list of what changed last, and a place in it for each page. Pure.
 *
 * Nothing is queued for a page: it is told the next thing as it is when it is told.
 *
 * @module
 */

import type { Conversation, Entry, FileEntry, MessageEntry, Person } from "../conversation.ts";
import type { Conversations } from "../conversations.ts";

/** Entries of each conversation that a page gets at first. */
export const FIRST_ENTRIES = 100;
/** A page further behind than this begins anew. */
export const MAX_BEHIND = 2000;
/** How many changes are kept that later ones have replaced, before they are sorted out. */
const MAX_REPLACED = 64;

/** A message to a page. */
export interface Told {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** What can be told, as it was told last. */
interface Item {
  readonly rev: number;
  tell(): Told;
}

/** An open conversation, as it was told last. */
interface Head {
  json: string;
  people: string;
  /** The entries that were told of, by `seq`. */
  seqs: number[];
  /** The newest entry there; of an empty one, the newest anywhere when it was opened. */
  newest: number;
}

/** The place of a page. */
export interface Follower {
  /** It is told everything from the beginning, and forgets what it had. */
  readonly fresh: boolean;
  /** What it is told next; undefined when there is nothing for now. */
  next(): Told | undefined;
}

/** An entry as a page gets it: fields by name, so that no path of the disk is among them. */
export function entryOf(entry: Entry): Record<string, unknown> {
  const { seq, at, version, type, text } = entry;
  const base = { seq, at, version, type, text };
  if (entry.type === "message") return { ...base, ...messageOf(entry) };
  if (entry.type === "file") return { ...base, ...fileOf(entry) };
  const { level, hint, about } = entry;
  return { ...base, level, hint, about };
}

function messageOf(entry: MessageEntry): Record<string, unknown> {
  const { id, from, nick, trust, own, action, mention, late, view, quote } = entry;
  const { hearsay, past, replaced, reactions, edited, retracted, delivery } = entry;
  return {
    ...{ id, from, nick, trust, own, action, mention, late, view, quote, hearsay, past, replaced },
    ...{ reactions: [...reactions], edited, retracted, delivery },
  };
}

function fileOf(entry: FileEntry): Record<string, unknown> {
  const { number, from, nick, trust, own, kind, name, size, files, executable, transfers } = entry;
  return {
    ...{ number, from, nick, trust, own, kind, name, size, files, executable },
    transfers: transfers.map(({ fingerprint, nick, state, moved, speed, note }) => (
      { fingerprint, nick, state, moved, speed, note }
    )),
  };
}

function personOf({ fingerprint, nick, trust, away, here, lost, ignored }: Person) {
  return { fingerprint, nick, trust, away, here, lost, ignored };
}

/** Knows what changed, and in what order. */
export class Sync {
  readonly #model: Conversations;
  readonly #self: () => Record<string, unknown>;
  readonly #wake: () => void;
  #rev = 0;
  readonly #latest = new Map<string, Item>();
  /** Each rev, also those that later ones have replaced. */
  #log: { readonly rev: number; readonly key: string }[] = [];
  readonly #heads = new Map<string, Head>();
  #newest = 0;
  #ownJson = "";

  /**
   * @param self What a page is told of the user: fields of `self`.
   * @param wake Called when there is something new to tell.
   */
  constructor(model: Conversations, self: () => Record<string, unknown>, wake: () => void) {
    this.#model = model;
    this.#self = self;
    this.#wake = wake;
    model.listen((change) => {
      if (change.type === "remark") return;
      if (change.type === "people") {
        this.#compareList();
        this.#comparePeople(change.conversation);
      } else if (change.type === "entry") this.#takeEntry(change.conversation, change.entry);
      else this.#compareAll();
      this.#wake();
    });
    this.compareSelf();
    this.#compareAll();
  }

  /** Rises with every change. */
  get rev(): number {
    return this.#rev;
  }

  /** Looks whether something about the user has changed. */
  compareSelf(): void {
    const json = JSON.stringify(this.#self());
    if (json === this.#ownJson) return;
    this.#ownJson = json;
    this.#touch("self", () => ({ type: "self", ...this.#self() }));
    this.#wake();
  }

  /** Begins to tell a page. @param have The last rev that it took in whole; 0 for none. */
  follow(have: number): Follower {
    const fresh = have <= 0 || have > this.#rev ||
      this.#log.length - this.#after(have) > MAX_BEHIND;
    const first = fresh ? this.#snapshot() : undefined;
    let place = fresh ? this.#rev : have;
    let isLive = false;
    const next = (): Told | undefined => {
      const told = first?.next().value;
      if (told !== undefined) return told;
      for (let i = this.#after(place); i < this.#log.length; i++) {
        const { rev, key } = this.#log[i]!;
        place = rev;
        const item = this.#latest.get(key);
        if (item?.rev === rev) return { ...item.tell(), rev };
      }
      if (isLive) return undefined;
      isLive = true;
      return { type: "live", rev: place };
    };
    return { fresh, next };
  }

  /** Everything; what changes while it is told is told again. */
  *#snapshot(): Generator<Told, undefined> {
    const rev = this.#rev;
    yield { type: "self", rev, ...this.#self() };
    yield { ...this.#tellList(), rev };
    for (const conversation of [...this.#model.list]) {
      const entries = conversation.entries.slice(-FIRST_ENTRIES);
      yield { ...this.#tellHead(conversation), rev, from: entries[0]?.seq ?? 0 };
      yield { ...this.#tellPeople(conversation), rev };
      for (const entry of entries) yield { ...this.#tellEntry(conversation, entry), rev };
    }
  }

  #tellList(): Told {
    return { type: "list", open: this.#model.list.map(({ id }) => id) };
  }

  /** A conversation without entries and people; nothing below `first` is kept. */
  #tellHead(conversation: Conversation): Told {
    const { id, kind, title, topic, number, connection, retryAt, readUpTo } = conversation;
    const { unread, urgent, notify, draft, entries } = conversation;
    const first = entries[0]?.seq ?? (this.#heads.get(id)?.newest ?? 0) + 1;
    return {
      type: "conversation",
      ...{ id, kind, title, topic, number, connection, retryAt, readUpTo },
      ...{ unread, urgent, notify, draft, first },
    };
  }

  #tellPeople({ id, people }: Conversation): Told {
    return { type: "people", conversation: id, people: people.map(personOf) };
  }

  #tellEntry({ id }: Conversation, entry: Entry): Told {
    return { type: "entry", conversation: id, entry: entryOf(entry) };
  }

  #takeEntry(conversation: Conversation, entry: Entry): void {
    this.#compareList();
    const head = this.#heads.get(conversation.id);
    if (head === undefined) return; // closed meanwhile
    if (entry.seq > head.newest) {
      head.seqs.push(entry.seq);
      head.newest = entry.seq;
      this.#newest = Math.max(this.#newest, entry.seq);
    }
    if (entry.seq < (conversation.entries[0]?.seq ?? Infinity)) return; // no longer kept
    // First whether it was seen: a page decides by that whether it is new.
    this.#compareHead(conversation, head);
    this.#touchEntry(conversation, entry);
  }

  #compareAll(): void {
    this.#compareList();
    for (const conversation of this.#model.list) {
      this.#compareHead(conversation, this.#heads.get(conversation.id)!);
    }
  }

  /** The model says only that its list has changed. */
  #compareList(): void {
    const { list } = this.#model;
    const open = new Set<string>(list.map(({ id }) => id));
    const closed = [...this.#heads].filter(([id]) => !open.has(id));
    const opened = list.filter(({ id }) => !this.#heads.has(id));
    for (const [id, { seqs }] of closed) {
      for (const seq of seqs) this.#latest.delete(`entry ${seq}`);
      this.#latest.delete(`people ${id}`);
      this.#latest.delete(`conversation ${id}`);
      this.#heads.delete(id);
    }
    for (const conversation of opened) {
      const head: Head = { json: "", people: "", seqs: [], newest: this.#newest };
      this.#heads.set(conversation.id, head);
      this.#compareHead(conversation, head);
      this.#comparePeople(conversation);
    }
    if (opened.length + closed.length > 0) this.#touch("list", () => this.#tellList());
  }

  #compareHead(conversation: Conversation, head: Head): void {
    const json = JSON.stringify(this.#tellHead(conversation));
    if (json === head.json) return;
    head.json = json;
    const first = conversation.entries[0]?.seq ?? head.newest + 1;
    let gone = 0;
    while (gone < head.seqs.length && head.seqs[gone]! < first) {
      this.#latest.delete(`entry ${head.seqs[gone++]}`);
    }
    head.seqs.splice(0, gone);
    this.#touch(`conversation ${conversation.id}`, () => this.#tellHead(conversation));
    this.#takeOver(conversation, head);
  }

  /** A conversation may begin with the entries of one that has ended with it. */
  #takeOver(conversation: Conversation, head: Head): void {
    const known = head.seqs[0] ?? Infinity;
    const before = conversation.entries.filter(({ seq }) => seq < known);
    if (before.length === 0) return;
    head.seqs.unshift(...before.map(({ seq }) => seq));
    head.newest = head.seqs.at(-1)!;
    this.#newest = Math.max(this.#newest, head.newest);
    for (const entry of before) this.#touchEntry(conversation, entry);
  }

  #comparePeople(conversation: Conversation): void {
    const head = this.#heads.get(conversation.id);
    if (head === undefined) return;
    const json = JSON.stringify(this.#tellPeople(conversation));
    if (json === head.people) return;
    head.people = json;
    this.#touch(`people ${conversation.id}`, () => this.#tellPeople(conversation));
  }

  #touchEntry(conversation: Conversation, entry: Entry): void {
    this.#touch(`entry ${entry.seq}`, () => this.#tellEntry(conversation, entry));
  }

  #touch(key: string, tell: () => Told): void {
    this.#latest.set(key, { rev: ++this.#rev, tell });
    this.#log.push({ rev: this.#rev, key });
    if (this.#log.length <= 2 * this.#latest.size + MAX_REPLACED) return;
    this.#log = this.#log.filter(({ rev, key }) => this.#latest.get(key)?.rev === rev);
  }

  /** Where in the log begins what came after a rev. */
  #after(rev: number): number {
    let low = 0;
    let high = this.#log.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#log[middle]!.rev > rev) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
