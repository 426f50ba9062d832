/**
 * The files of one room, as entries of conversations: one that is offered to the user alone, or to one person, is in
 * the conversation with that person.
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import type { Clock, Timer } from "../base/clock.ts";
import type { FileEvent, FileRow, OfferEvent, TransferFailedEvent } from "../session/mod.ts";
import type {
  Conversation,
  FileEntry,
  FileState,
  FileTransfer,
  PersonTrust,
} from "./conversation.ts";
import type { Conversations } from "./conversations.ts";
import type { FaceContext } from "./face.ts";
import {
  describeOffer,
  failureNote,
  fileNotice,
  formatBytes,
  formatDuration,
  goingOnNotice,
  skippedText,
} from "./file_words.ts";
import type { Notice } from "./notice.ts";

/** Files that are brought up to date. */
const MAX_WATCHED = 512;
/** Progress is shown so often. */
const LOOK_MS = 200;

interface FileEntriesOptions {
  readonly clock: Clock;
  readonly conversations: Conversations;
  readonly room: Conversation;
  readonly context: Pick<FaceContext, "session" | "fingerprint" | "fileFolder" | "showPath">;
  /** The conversation with a person, opened if need be. */
  openPerson(person: { fingerprint: string; nick: string }): Conversation;
  nickOf(fingerprint: string): string;
  trustOf(fingerprint: string): PersonTrust;
  ignores(fingerprint: string): boolean;
  hides(level: Notice["level"]): boolean;
}

type Offer = Pick<OfferEvent, "number" | "name" | "size" | "kind" | "files" | "executable">;

interface Watched {
  readonly conversation: Conversation;
  readonly entry: FileEntry;
}

export class FileEntries {
  readonly #options: FileEntriesOptions;
  /** By number. */
  readonly #watched = new BoundedMap<number, Watched>(MAX_WATCHED);
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(options: FileEntriesOptions) {
    this.#options = options;
  }

  take(event: FileEvent): void {
    const { nickOf, ignores, context } = this.#options;
    const watched = this.#find(event);
    const shown = event.event === "received"
      ? { ...event, path: context.showPath(event.path) }
      : event;
    const notice = fileNotice(shown, { nickOf });
    if (watched === undefined) {
      // Never offered here: one of somebody who is ignored, or whose name cannot be kept.
      if (event.event === "transferfailed" && ignores(event.fingerprint)) return;
      return this.#say(this.#options.room, undefined, notice);
    }
    this.#update(watched, event);
    this.#say(watched.conversation, watched.entry, notice);
    this.#lookLater();
  }

  /** Looks at nothing any more. */
  close(): void {
    this.#isClosed = true;
    this.#options.clock.cancel(this.#timer);
  }

  /** In words, what an entry shows: as a notice where it has been left behind by others. */
  #say(conversation: Conversation, entry: FileEntry | undefined, notice?: Notice): void {
    const { clock, conversations, hides } = this.#options;
    if (notice === undefined || hides(notice.level)) return;
    if (entry !== undefined && conversation.entries.at(-1) === entry) {
      conversations.remark(conversation, notice);
    } else conversations.addNotice(conversation, notice, clock.wallTime());
  }

  // Entries.

  #find(event: FileEvent): Watched | undefined {
    const known = this.#watched.get(event.number);
    if (known !== undefined) return known;
    switch (event.event) {
      case "offered": {
        const { files, to, room } = event;
        const kind = files > 1 ? "folder" : "file";
        const offer = { ...event, kind, executable: false } as const;
        return this.#add(offer, { isOwn: true, people: to, isPrivate: !room });
      }
      case "offer": {
        const { fingerprint, private: isPrivate } = event;
        return this.#add(event, { isOwn: false, people: [fingerprint], isPrivate });
      }
      case "transfer": {
        // It goes on from an earlier run.
        const offer = { ...event, kind: "file", files: 1, executable: false } as const;
        const isOwn = event.direction === "out";
        const people = [event.fingerprint];
        const notice = goingOnNotice(event, this.#options.nickOf(event.fingerprint));
        this.#say(this.#options.room, undefined, notice);
        return this.#add(offer, { isOwn, people, isPrivate: true, state: "waiting" });
      }
      default:
        return undefined;
    }
  }

  /** @param people The receivers of an own file, or who sends it. */
  #add(
    { number, name, size, kind, files, executable }: Offer,
    { isOwn, people, isPrivate, state = "offered" }: {
      isOwn: boolean;
      people: readonly string[];
      isPrivate: boolean;
      state?: FileState;
    },
  ): Watched {
    const { clock, conversations, room, context, openPerson, nickOf, trustOf } = this.#options;
    const transfers = people.map((fingerprint): FileTransfer => (
      { fingerprint, nick: nickOf(fingerprint), state, moved: 0, speed: 0, note: "" }
    ));
    const [first] = transfers;
    const conversation = isPrivate && first !== undefined ? openPerson(first) : room;
    const from = isOwn
      ? { from: context.fingerprint, nick: context.session.nick, trust: "self" } as const
      : { from: people[0]!, nick: nickOf(people[0]!), trust: trustOf(people[0]!) };
    const entry = conversations.add<FileEntry>(conversation, {
      ...from,
      type: "file",
      number,
      at: clock.wallTime(),
      own: isOwn,
      kind,
      name,
      size,
      files,
      executable,
      text: `offers ${describeOffer({ name, kind, size, files, executable })}`,
      transfers,
      folder: isOwn ? "" : context.fileFolder,
    });
    const watched = { conversation, entry };
    this.#watched.set(number, watched);
    return watched;
  }

  // What happens to them.

  #update({ conversation, entry }: Watched, event: FileEvent): void {
    if (event.event === "offered" || event.event === "offer") return;
    const { conversations, context, nickOf } = this.#options;
    const { fingerprint } = event;
    const transfer = entry.transfers.find((each) => each.fingerprint === fingerprint);
    if (transfer === undefined) return;
    transfer.moved = event.bytes;
    transfer.speed = 0;
    switch (event.event) {
      case "transfer": {
        const { state } = event;
        const isMoving = state !== "waiting" && state !== "paused";
        transfer.state = isMoving ? "moving" : state;
        transfer.speed = event.rate;
        transfer.note = noteOf(state, transfer.nick);
        break;
      }
      case "received":
        transfer.state = "done";
        transfer.note = `kept as ${context.showPath(event.path)}${skippedText(event.skipped)}`;
        entry.kept = event.path;
        break;
      case "sentfile":
        transfer.state = "done";
        transfer.note = `${nickOf(fingerprint)} has it: ${formatBytes(event.bytes)} in ` +
          `${formatDuration(event.took)}${skippedText(event.skipped)}`;
        break;
      case "transferfailed":
        transfer.state = stateAfter(event);
        transfer.note = failureNote(event, nickOf(fingerprint));
    }
    conversations.changed(conversation, entry);
  }

  /** While something moves. */
  #lookLater(): void {
    const { session: { files } } = this.#options.context;
    const moves = ({ transfers }: FileEntry) => transfers.some(({ state }) => state === "moving");
    if (this.#isClosed || this.#timer !== undefined || files === undefined) return;
    if (!Array.from(this.#watched).some(([, { entry }]) => moves(entry))) return;
    this.#timer = this.#options.clock.after(LOOK_MS, async () => {
      const transfers = await files.transfers();
      this.#timer = undefined;
      for (const row of transfers.rows()) this.#look(row);
      this.#lookLater();
    });
  }

  #look({ number, person, bytes, rate }: FileRow): void {
    const { conversation, entry } = this.#watched.get(number) ?? {};
    const transfer = entry?.transfers.find(({ fingerprint }) => fingerprint === person);
    if (transfer?.state !== "moving") return;
    if (transfer.moved === bytes && transfer.speed === rate) return;
    transfer.moved = bytes;
    transfer.speed = rate;
    this.#options.conversations.changed(conversation!, entry!);
  }
}

/** @param nick The other one's. */
function noteOf(state: (FileEvent & { event: "transfer" })["state"], nick: string): string {
  switch (state) {
    case "waiting":
      return "waits for other files";
    case "paused":
      return `paused; it goes on when ${nick} is back`;
    case "relayed":
      return "through the server";
    case "checking":
    case "direct":
      return "";
  }
}

function stateAfter({ code, direction }: TransferFailedEvent): FileState {
  if (code === "declined" || code === "cancelled") return "declined";
  if (code === "disk-full") return direction === "in" ? "offered" : "paused";
  return "failed";
}
