/**
 * The list of conversations, their entries, and what is unread. Pure: no clock, no terminal, no network.
 *
 * @module
 */

import {
  type Change,
  type Conversation,
  type ConversationId,
  type Entry,
  type FileEntry,
  isOpenOffer,
  type MessageEntry,
  type Note,
  type NoticeEntry,
  type Reactor,
} from "./conversation.ts";
import type { Notice } from "./notices.ts";

/** Entries kept of a conversation; the oldest go, some at a time. */
export const MAX_ENTRIES = 5000;
const ENTRIES_DROPPED = 500;
/** UTF-16 units of text kept of a conversation: 4 MiB. */
export const MAX_TEXT_UNITS = 2 * 1024 * 1024;
export const MAX_CONVERSATIONS = 64;
/** People whose reactions to one message are kept; those who reacted first go. */
export const MAX_REACTORS = 256;

/** An entry, without what the model adds. */
export type Draft<T extends Entry> = Omit<T, "seq" | "version">;

/** All conversations of a client. */
export class Conversations {
  readonly #list: Conversation[] = [];
  readonly #textUnits = new WeakMap<Conversation, number>();
  readonly #listeners: ((change: Change) => void)[] = [];
  #shown: Conversation;
  #isLooking = true;
  /** Where the user was before they turned to what is unread. */
  #home: Conversation | undefined;
  #seq = 0;

  constructor() {
    this.#shown = this.open("client", "Hearth");
  }

  /** By number. */
  get list(): readonly Conversation[] {
    return this.#list;
  }

  /** The one that the user has before them; at first the client's own, which ends with the first other one. */
  get shown(): Conversation {
    return this.#shown;
  }

  /** Whether the user looks at the window. */
  get isLooking(): boolean {
    return this.#isLooking;
  }

  find(id: ConversationId): Conversation | undefined {
    return this.#list.find((conversation) => conversation.id === id);
  }

  /** Calls `listener` with every change, after it was made. */
  listen(listener: (change: Change) => void): void {
    this.#listeners.push(listener);
  }

  /** Finds a conversation, or opens it; with too many open, the least important person's is closed for it. */
  open(id: ConversationId, title: string): Conversation {
    const known = this.find(id);
    if (known !== undefined) return known;
    if (this.#list.length >= MAX_CONVERSATIONS) this.#makeRoom();
    const kind = id.split(":", 1)[0] as Conversation["kind"];
    const conversation: Conversation = {
      id,
      kind,
      title,
      topic: "",
      number: kind === "client" ? 0 : this.#freeNumber(),
      connection: "connecting",
      entries: [],
      people: [],
      readUpTo: this.#seq,
      unread: 0,
      urgent: 0,
      notify: kind === "room" ? "mentions" : "all",
      draft: { text: "", cursor: 0 },
    };
    this.#list.push(conversation);
    this.#list.sort((a, b) => a.number - b.number);
    this.changedList();
    return conversation;
  }

  /** Closes a conversation, but not the only one; if it was shown, the one before it is, or that after it. */
  close(conversation: Conversation): void {
    const index = this.#list.indexOf(conversation);
    if (index < 0 || this.#list.length === 1) return;
    this.#list.splice(index, 1);
    if (this.#home === conversation) this.#home = undefined;
    if (this.#shown === conversation) this.#turnTo(this.#list[Math.max(0, index - 1)]!);
    this.changedList();
  }

  /** Turns to a conversation; what was new in the one before has been seen. */
  show(conversation: Conversation): void {
    this.#home = undefined;
    const before = this.#shown;
    if (before === conversation) return;
    this.#turnTo(conversation);
    if (before.kind === "client") this.#begin(before, conversation);
    this.changedList();
  }

  /** What was said before there was anybody to talk to stands at the beginning of the first conversation. */
  #begin(start: Conversation, conversation: Conversation): void {
    this.#list.splice(this.#list.indexOf(start), 1);
    conversation.entries.unshift(...start.entries);
    this.#limit(conversation, this.#textUnits.get(start) ?? 0);
  }

  /**
   * Turns to the next conversation with something unread, those with something urgent first; from the last one back to
   * where the user was.
   */
  showUnread(): void {
    const home = this.#home ?? this.#shown;
    const others = this.#list.filter((conversation) => conversation !== this.#shown);
    const next = others.find(({ urgent }) => urgent > 0) ?? others.find(({ unread }) => unread > 0);
    this.show(next ?? home);
    if (next !== undefined && next !== home) this.#home = home;
  }

  /** The user has turned to the window, or away from it. */
  look(isLooking: boolean): void {
    if (isLooking === this.#isLooking) return;
    this.#isLooking = isLooking;
    // What came while they were away stays marked as new until they turn away again.
    if (isLooking) this.#read(this.#shown);
    else this.#leave(this.#shown);
    this.changedList();
  }

  /** Whether the user has this conversation before them. */
  isWatched(conversation: Conversation): boolean {
    return this.#isLooking && this.#shown === conversation;
  }

  /** Adds an entry at the end. */
  add<T extends Entry>(conversation: Conversation, draft: Draft<T>): T {
    const entry = { ...draft, seq: ++this.#seq, version: 0 } as T;
    const isMarked = (conversation.entries.findLast(isOthers)?.seq ?? 0) > conversation.readUpTo;
    conversation.entries.push(entry);
    this.#limit(conversation, entry.text.length);
    if (this.isWatched(conversation)) {
      // Nothing is marked while one looks, and a mark stays where it is.
      if (!isMarked) conversation.readUpTo = entry.seq;
    } else if (isOthers(entry)) {
      conversation.unread++;
      const isUrgent = entry.type === "file" || entry.mention || conversation.kind === "person";
      if (isUrgent) conversation.urgent++;
    }
    this.#tell({ type: "entry", conversation, entry, isNew: true });
    return entry;
  }

  /** Adds a notice. @param at In ms since 1970. */
  addNotice(conversation: Conversation, notice: Notice, at: number, about?: string): NoticeEntry {
    const draft = { type: "notice", at, ...notice, ...(about !== undefined && { about }) } as const;
    return this.add<NoticeEntry>(conversation, draft);
  }

  /** Call after an entry was changed. @param note What somebody did to it. */
  changed(conversation: Conversation, entry: Entry, note?: Note): void {
    entry.version++;
    if (note !== undefined) this.#limit(conversation, entry.text.length - note.before.length);
    this.#tell({ type: "entry", conversation, entry, isNew: false, ...(note && { note }) });
  }

  /** An own message was received by all: that is shown of the newest such message only. */
  received(conversation: Conversation, entry: MessageEntry, of: number): void {
    const before = conversation.entries.findLast((other): other is MessageEntry =>
      other.type === "message" && other.delivery?.state === "received"
    );
    const isNewest = before === undefined || before.seq < entry.seq;
    entry.delivery = isNewest ? { state: "received", of } : undefined;
    this.changed(conversation, entry);
    if (before === undefined || before === entry || !isNewest) return;
    before.delivery = undefined;
    this.changed(conversation, before);
  }

  /** An own message was not received: that counts as urgent, unless the user sees it. */
  failed(conversation: Conversation, entry: MessageEntry): void {
    if (!this.isWatched(conversation)) {
      conversation.unread++;
      conversation.urgent++;
    }
    this.changed(conversation, entry);
  }

  /** Does to a message what somebody's note says. */
  annotate(
    conversation: Conversation,
    entry: MessageEntry,
    { what, by, text }: Omit<Note, "before">,
  ): void {
    const before = entry.text;
    applyNote(entry, { what, by, text });
    this.changed(conversation, entry, { what, by, text, before });
  }

  /** What was told of a message, which has come from its author now. */
  replaceHearsay(conversation: Conversation, { id, of }: { id: string; of: string }): void {
    for (const entry of conversation.entries) {
      if (entry.type !== "message" || entry.id !== id || entry.from !== of) continue;
      if (entry.hearsay === undefined || entry.replaced) continue;
      entry.replaced = true;
      this.changed(conversation, entry);
    }
  }

  /** Says in words what an entry shows in some other way. */
  remark(conversation: Conversation, notice: Notice): void {
    this.#tell({ type: "remark", conversation, notice });
  }

  /** Call after a title, a topic or a connection was changed. */
  changedList(): void {
    this.#tell({ type: "list" });
  }

  /** The user has seen what stands up to an entry, elsewhere. */
  readUpTo(conversation: Conversation, { seq }: Entry): void {
    if (seq <= conversation.readUpTo) return;
    conversation.readUpTo = seq;
    const rest = conversation.entries.filter((entry) => entry.seq > seq && isOthers(entry));
    conversation.unread = Math.min(conversation.unread, rest.length);
    const isUrgent = (entry: Entry) =>
      entry.type === "file" || entry.type === "message" && entry.mention ||
      conversation.kind === "person";
    conversation.urgent = Math.min(conversation.urgent, rest.filter(isUrgent).length);
    this.changedList();
  }

  /** Sets who is there. */
  setPeople(conversation: Conversation, people: Conversation["people"]): void {
    conversation.people = people;
    this.#tell({ type: "people", conversation });
  }

  /** Removes the entries of a conversation. */
  clear(conversation: Conversation): void {
    conversation.entries.length = 0;
    this.#textUnits.delete(conversation);
    this.#read(conversation);
    this.changedList();
  }

  /** The `seq` of the first message or offer of somebody else that the user had not seen; the new line stands above it. */
  firstNew({ entries, readUpTo }: Conversation): number | undefined {
    let first: number | undefined;
    for (let i = entries.length - 1; i >= 0; i--) {
      const entry = entries[i]!;
      if (entry.seq <= readUpTo) break;
      if (isOthers(entry)) first = entry.seq;
    }
    return first;
  }

  /** The message of a name, first-hand; of several with one id, and no `of`, the newest. */
  findMessage(
    { entries }: Conversation,
    { id, of }: { readonly id: string; readonly of?: string | undefined },
  ): MessageEntry | undefined {
    return entries.findLast((entry): entry is MessageEntry =>
      isFirstHand(entry) && entry.id === id && (of === undefined || entry.from === of)
    );
  }

  #turnTo(conversation: Conversation): void {
    if (this.#isLooking) {
      this.#leave(this.#shown);
      this.#read(conversation);
    }
    this.#shown = conversation;
  }

  #leave(conversation: Conversation): void {
    conversation.readUpTo = this.#seq;
  }

  #read(conversation: Conversation): void {
    conversation.unread = 0;
    conversation.urgent = 0;
  }

  #freeNumber(): number {
    const taken = new Set(this.#list.map(({ number }) => number));
    let number = 1;
    while (taken.has(number)) number++;
    return number;
  }

  /** Closes the person's conversation that matters least: nothing unread in it, and silent for longest. */
  #makeRoom(): void {
    const lastSeq = ({ entries }: Conversation) => entries.at(-1)?.seq ?? 0;
    const [least] = this.#list
      .filter((conversation) => conversation.kind === "person" && conversation !== this.#shown)
      .sort((a, b) =>
        Number(a.unread > 0 || a.draft.text !== "") - Number(b.unread > 0 || b.draft.text !== "") ||
        lastSeq(a) - lastSeq(b)
      );
    if (least !== undefined) this.close(least);
  }

  /** @param added UTF-16 units of text. */
  #limit(conversation: Conversation, added: number): void {
    const { entries } = conversation;
    let units = (this.#textUnits.get(conversation) ?? 0) + added;
    let dropped = entries.length > MAX_ENTRIES ? ENTRIES_DROPPED : 0;
    for (let i = 0; i < entries.length - 1 && (i < dropped || units > MAX_TEXT_UNITS); i++) {
      units -= entries[i]!.text.length;
      dropped = Math.max(dropped, i + 1);
    }
    entries.splice(0, dropped);
    this.#textUnits.set(conversation, units);
  }

  #tell(change: Change): void {
    for (const listener of this.#listeners) listener(change);
  }
}

/** Does to a message what a note says; nobody is told. */
export function applyNote(
  entry: Draft<MessageEntry>,
  { what, by, text }: Omit<Note, "before">,
): void {
  switch (what) {
    case "edit":
      entry.text = text;
      entry.edited = true;
      break;
    case "retraction":
      entry.text = "";
      entry.retracted = true;
      entry.reactions.clear();
      break;
    case "reaction":
    case "unreaction":
      unreact(entry, by);
      if (what === "reaction") react(entry, text, by);
  }
}

/** Takes back what somebody has reacted with. */
function unreact({ reactions }: Draft<MessageEntry>, { fingerprint }: Reactor): void {
  for (const [text, reactors] of reactions) {
    const rest = reactors.filter((reactor) => reactor.fingerprint !== fingerprint);
    if (rest.length > 0) reactions.set(text, rest);
    else reactions.delete(text);
  }
}

function react(entry: Draft<MessageEntry>, text: string, by: Reactor): void {
  const { reactions } = entry;
  const count = reactions.values().reduce((sum, reactors) => sum + reactors.length, 0);
  const [first] = reactions.values();
  if (count >= MAX_REACTORS && first !== undefined) unreact(entry, first[0]!);
  reactions.set(text, [...reactions.get(text) ?? [], by]);
}

/** A message that can be answered and changed: hearsay, and what was said before this run, cannot. */
export function isFirstHand(
  entry: Entry,
): entry is MessageEntry & { hearsay?: undefined; past?: undefined } {
  return entry.type === "message" && entry.hearsay === undefined && entry.past === undefined;
}

function isOthers(entry: Entry): entry is MessageEntry | FileEntry {
  return entry.type === "message" ? !entry.own && entry.past === undefined : isOpenOffer(entry);
}
