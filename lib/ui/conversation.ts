/**
 * What the faces of the chat show: conversations, and the entries in them. Plain data; every type is JSON but for the
 * `Map` of reactions.
 *
 * Texts and nicks are exactly as they were sent: clean them before printing.
 *
 * @module
 */

import type { NoteKind, Trust } from "../session/mod.ts";
import type { Notice } from "./notices.ts";

/** The client's own conversation, a room by its normalized name, a person by `SHA256:…`. */
export type ConversationId = "client" | `room:${string}` | `person:${string}`;

/** The name of a person's conversation. @param fingerprint `SHA256:…`. */
export function personId(fingerprint: string): ConversationId {
  return `person:${fingerprint}`;
}

/** The fingerprint of the person whose conversation it is; undefined if it is none. */
export function personOf({ id }: Pick<Conversation, "id">): string | undefined {
  return id.startsWith("person:") ? id.slice("person:".length) : undefined;
}

/** How well a person's key is known; `self` is the user. */
export type PersonTrust = Trust | "self";

/** Somebody who is in a conversation, or whose conversation it is. */
export interface Person {
  /** `SHA256:…`. */
  readonly fingerprint: string;
  readonly nick: string;
  readonly trust: PersonTrust;
  /** Empty if present. */
  readonly away: string;
  readonly here: boolean;
  /** They are not here, and get all the same what is written to them. */
  readonly lost?: boolean;
  readonly ignored: boolean;
}

/** The message that another one answers. */
export interface Quote {
  readonly id: string;
  /** Whose it is; undefined, with an empty nick and text, if it is not known any more. */
  readonly of: string | undefined;
  /** It is the user's own. */
  readonly own: boolean;
  readonly nick: string;
  /** The beginning of it: at most {@linkcode MAX_QUOTE_LENGTH} UTF-16 units; empty if it was taken back. */
  readonly text: string;
}

/** UTF-16 units of a message that is quoted. */
export const MAX_QUOTE_LENGTH = 200;

/** What became of a message of the user's own. */
export type Delivery =
  /** There is no connection, or nobody is shown yet. */
  | { readonly state: "waiting" }
  /** `have` of `of` people have it. */
  | { readonly state: "sent"; readonly have: number; readonly of: number }
  | { readonly state: "received"; readonly of: number }
  /** It was given up for these people, named as they were then; for everybody if they are none. */
  | { readonly state: "failed"; readonly missing: readonly string[] };

interface EntryBase {
  /** Rises over all conversations: the order of entries, and the name of each. */
  readonly seq: number;
  /** When it came in, in ms since 1970. */
  readonly at: number;
  /** Rises when the entry changes: what was laid out of it is then out of date. */
  version: number;
}

/** Somebody who has reacted to a message. */
export interface Reactor {
  readonly fingerprint: string;
  readonly nick: string;
}

export interface MessageEntry extends EntryBase {
  readonly type: "message";
  /** 16 hex digits. Others may use the same: a message is named by `from` and `id`. */
  readonly id: string;
  /** `SHA256:…`. */
  readonly from: string;
  /** As it was then. */
  readonly nick: string;
  /** As it was then: what is verified later was not verified when it was read. */
  readonly trust: PersonTrust;
  readonly own: boolean;
  /** The room over whose connection it went; a private message, too. */
  readonly via: string;
  readonly action: boolean;
  /** Empty if it was taken back. */
  text: string;
  /** It names the user. */
  readonly mention: boolean;
  /** When it was written, ISO 8601, if that was long before it came. */
  readonly late?: string;
  /** Nobody has proved it: those who say so, by their nicks as they were then. Else absent. */
  readonly hearsay?: readonly string[];
  /** It was said before this run, and is from the user's own history: whom a private one was for, else empty. */
  readonly past?: string;
  /** Of hearsay: its author has sent it since. */
  replaced?: boolean;
  /** `differs`: its sender saw other members than the user. */
  readonly view: "same" | "differs";
  readonly quote?: Quote;
  /** By the reaction; everybody has one at most. */
  readonly reactions: Map<string, Reactor[]>;
  edited: boolean;
  retracted: boolean;
  /** Of an own message, while it says something. */
  delivery?: Delivery | undefined;
}

export interface NoticeEntry extends EntryBase, Readonly<Notice> {
  readonly type: "notice";
  /** The fingerprint of the person whom it is about. */
  readonly about?: string;
}

/**
 * How far a file is; `offered`: the receiver has not answered, or may accept it once more; `moving`: also while a way is
 * looked for.
 */
export type FileState =
  | "offered"
  | "waiting"
  | "moving"
  | "paused"
  | "done"
  | "declined"
  | "failed";

/** A file on its way from somebody, or to somebody. */
export interface FileTransfer {
  /** The other one, `SHA256:…`. */
  readonly fingerprint: string;
  /** As it was when the file was offered. */
  readonly nick: string;
  state: FileState;
  /** Bytes that the receiver has. */
  moved: number;
  /** Bytes a second. */
  speed: number;
  /** What there is to say about its state, in words; may be empty. */
  note: string;
}

/** A file or folder that is offered. */
export interface FileEntry extends EntryBase {
  readonly type: "file";
  /** What `/accept` and `/cancel` take; no two of a program have the same. */
  readonly number: number;
  /** Who offers it, `SHA256:…`. */
  readonly from: string;
  readonly nick: string;
  readonly trust: PersonTrust;
  readonly own: boolean;
  readonly kind: "file" | "folder";
  /** As it is kept, or as it is called here if it is the user's own. */
  readonly name: string;
  /** In bytes; null if it is not known. */
  readonly size: number | null;
  /** What is offered, in words. */
  readonly text: string;
  /** Files and folders in it. */
  readonly files: number;
  readonly executable: boolean;
  /** One for each receiver of an own file; otherwise the one from its sender. */
  readonly transfers: readonly FileTransfer[];
  /** The folder that an accepted file is kept in, as it is shown. */
  readonly folder: string;
  /** Its path, once it is there. */
  kept?: string;
}

/** Whether it is somebody else's, and can be accepted. */
export function isOpenOffer(entry: Entry): entry is FileEntry {
  return entry.type === "file" && !entry.own && entry.transfers[0]?.state === "offered";
}

/** A line of a conversation, or several. */
export type Entry = MessageEntry | NoticeEntry | FileEntry;

export type NotifyMode = "all" | "mentions" | "nothing";

export interface Conversation {
  readonly id: ConversationId;
  readonly kind: "client" | "room" | "person";
  /** The room's name, or the person's nick now. */
  title: string;
  topic: string;
  /** 0 for the client's own; otherwise from 1 up, and kept while it is open. */
  readonly number: number;
  connection: "connecting" | "online" | "offline" | "searching" | "left";
  /** When it is tried again, in ms since 1970. */
  retryAt?: number | undefined;
  /** The oldest first. */
  readonly entries: Entry[];
  /** A room's: the user, then the others, the most recent speaker first. Of a person: only they. */
  people: readonly Person[];
  /** The user has seen the entries up to this `seq`. */
  readUpTo: number;
  /** Messages and offers of others that the user has not seen. */
  unread: number;
  /** Of those, mentions, offers and private ones; and own messages that were not received. */
  urgent: number;
  notify: NotifyMode;
  /** What is being typed; `cursor` in UTF-16 units. */
  draft: { text: string; cursor: number };
}

/** What somebody did to a message. */
export interface Note {
  readonly what: NoteKind;
  readonly by: Reactor;
  /** The reaction or the new text. */
  readonly text: string;
  /** The text of the message before. */
  readonly before: string;
}

/** What a listener is told. */
export type Change =
  /** An entry is new, or has changed. `note`: what somebody did to it. */
  | {
    readonly type: "entry";
    readonly conversation: Conversation;
    readonly entry: Entry;
    readonly isNew: boolean;
    readonly note?: Note;
  }
  /** In words, what an entry shows in some other way: for a face that cannot change what is printed. */
  | { readonly type: "remark"; readonly conversation: Conversation; readonly notice: Notice }
  /** Conversations were opened, closed, shown, looked at or emptied, or their titles, topics or connections changed. */
  | { readonly type: "list" }
  | { readonly type: "people"; readonly conversation: Conversation };
