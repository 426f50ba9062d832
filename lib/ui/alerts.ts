/**
 * Tells the user of messages while they look elsewhere: by the bell, a notice of the desktop, and the title.
 *
 * @module
 */

import type { Clock, Timer } from "../base/clock.ts";
import {
  type Conversation,
  type Entry,
  type FileEntry,
  isOpenOffer,
  type MessageEntry,
} from "./conversation.ts";
import { type Conversations, isFirstHand } from "./conversations.ts";
import { Quiet } from "./quiet.ts";
import type { ScreenSettings } from "./settings.ts";
import {
  desktopNotice,
  RING,
  type TerminalInput,
  type TerminalKind,
  windowTitle,
} from "./terminal/mod.ts";

interface AlertsOptions {
  readonly clock: Clock;
  readonly model: Conversations;
  /** As they are now. */
  readonly settings: Readonly<ScreenSettings>;
  readonly utf8: boolean;
  /** Whether one who looks sees every conversation, not only the one that is shown. */
  readonly showsAll: boolean;
  /** As far as it is known now. */
  kind(): TerminalKind;
  /** Writes what shows nothing on the screen. */
  send(code: string): void;
  /** The user has used a key or the pointer. */
  touched?(): void;
}

/** What is told of: an offer counts like a message that names the user. */
type Told = MessageEntry | FileEntry;

/** What is told of a conversation at once. */
interface Pending {
  count: number;
  last: Told;
}

const PROGRAM = "Hearth";
/** A conversation is told of at most this often; what comes meanwhile is counted together. */
const NOTICE_GAP_MS = 3000;
/** Where the terminal does not tell of the focus, somebody looks for so long after a key. */
const LOOKING_MS = 5 * 60_000;

/** What is told, and when. */
export class Alerts {
  readonly #options: AlertsOptions;
  /** The conversations that were told of within {@linkcode NOTICE_GAP_MS}, and what has come since. */
  readonly #recent = new Map<Conversation, { timer: Timer; pending: Pending | undefined }>();
  #title: string | undefined;
  /** What has come since the user looked away. */
  #missed = 0;
  #knowsFocus = false;
  #idle: Timer | undefined;
  readonly #quiet: Quiet;

  constructor(options: AlertsOptions) {
    this.#options = options;
    this.#quiet = new Quiet(options.clock);
    options.model.listen((change) => {
      if (change.type === "entry" && change.isNew) this.#take(change.conversation, change.entry);
      if (change.type === "entry" || change.type === "list") this.#showTitle();
    });
    this.#touch();
  }

  /** Whether nothing rings and nothing is told. */
  get isQuiet(): boolean {
    return this.#quiet.isOn;
  }

  /** See {@linkcode Quiet.turn}. */
  turnQuiet(minutes?: number): boolean {
    return this.#quiet.turn(minutes);
  }

  /** Takes what the terminal sends: keys, and whether its window has the focus. */
  observe(input: TerminalInput): void {
    if (input.type !== "focus") return this.#touch();
    this.#knowsFocus = true;
    this.#options.clock.cancel(this.#idle);
    this.#look(input.focused);
  }

  /** The user has pressed a key: they look. */
  #touch(): void {
    this.#options.touched?.();
    const { clock } = this.#options;
    this.#look(true);
    if (this.#knowsFocus) return;
    clock.cancel(this.#idle);
    this.#idle = clock.after(LOOKING_MS, () => this.#look(false));
  }

  #look(isLooking: boolean): void {
    if (isLooking) this.#missed = 0;
    this.#options.model.look(isLooking);
  }

  /** Sets the title of a window that was taken over, and may have another. */
  renewTitle(): void {
    this.#title = undefined;
    this.#showTitle();
  }

  /** Tells nothing more. */
  close(): void {
    const { clock } = this.#options;
    clock.cancel(this.#idle);
    this.#quiet.close();
    for (const { timer } of this.#recent.values()) clock.cancel(timer);
    this.#recent.clear();
  }

  #take(conversation: Conversation, entry: Entry): void {
    if (entry.type === "notice" || entry.type === "file" && !isOpenOffer(entry)) return;
    if (entry.own || this.#isSeen(conversation)) return;
    if (entry.type === "message" && !isFirstHand(entry)) return;
    if (conversation.notify !== "nothing") this.#missed++;
    if (this.isQuiet) return;
    const { send, settings } = this.#options;
    if (rings(settings.bell, conversation, entry)) send(RING);
    if (this.#isTold(conversation, entry)) this.#tell(conversation, entry);
  }

  #isSeen(conversation: Conversation): boolean {
    const { model, showsAll } = this.#options;
    return showsAll ? model.isLooking : model.isWatched(conversation);
  }

  #isTold({ kind, notify }: Conversation, entry: Told): boolean {
    if (this.#options.settings.notices === "off" || notify === "nothing") return false;
    return notify === "all" || kind === "person" || isForUser(entry);
  }

  #tell(conversation: Conversation, entry: Told): void {
    const recent = this.#recent.get(conversation);
    if (recent !== undefined) {
      recent.pending = { count: (recent.pending?.count ?? 0) + 1, last: entry };
      return;
    }
    this.#notify(conversation, { count: 1, last: entry });
  }

  #notify(conversation: Conversation, pending: Pending): void {
    const { clock, settings, utf8, kind, send } = this.#options;
    const text = settings.notices === "names"
      ? namedText(conversation, pending)
      : plainText(conversation, pending);
    const code = desktopNotice({ program: PROGRAM, text }, { kind: kind(), utf8 });
    if (code !== "") send(code);
    const timer = clock.after(NOTICE_GAP_MS, () => this.#endGap(conversation));
    this.#recent.set(conversation, { timer, pending: undefined });
  }

  #endGap(conversation: Conversation): void {
    const pending = this.#recent.get(conversation)?.pending;
    this.#recent.delete(conversation);
    if (pending === undefined || this.isQuiet || this.#isSeen(conversation)) return;
    this.#notify(conversation, pending);
  }

  /** The number of messages that are unread, and never a name: it is seen in task bars and on shared screens. */
  #showTitle(): void {
    const { showsAll, utf8, kind, send } = this.#options;
    const unread = showsAll ? this.#missed : this.#unread();
    const title = unread > 0 ? `(${unread}) ${PROGRAM}` : PROGRAM;
    if (title === this.#title) return;
    this.#title = title;
    const code = windowTitle(title, { kind: kind(), utf8 });
    if (code !== "") send(code);
  }

  #unread(): number {
    return this.#options.model.list
      .filter(({ notify }) => notify !== "nothing")
      .reduce((sum, conversation) => sum + conversation.unread, 0);
  }
}

/** Whether the bell rings for what is new in a conversation, where nobody looks. */
function rings(
  bell: ScreenSettings["bell"],
  { kind, notify }: Conversation,
  entry: Told,
): boolean {
  if (entry.own || notify === "nothing" || entry.type === "file" && !isOpenOffer(entry)) {
    return false;
  }
  switch (bell) {
    case "off":
      return false;
    case "private":
      return kind === "person";
    case "mention":
      return kind === "person" || isForUser(entry);
    case "all":
      return true;
  }
}

function isForUser(entry: Told): boolean {
  return entry.type === "file" || entry.mention;
}

function plainText({ kind }: Conversation, { count, last }: Pending): string {
  if (count === 1 && last.type === "file") return "a file is offered";
  if (kind === "person") return count === 1 ? "a private message" : `${count} private messages`;
  if (count > 1) return `${count} messages`;
  return isForUser(last) ? "somebody names you" : "a message";
}

function namedText({ kind, title }: Conversation, { count, last }: Pending): string {
  const where = kind === "room" ? ` in ${title}` : "";
  const more = count > 1 ? `${count} messages${where}; ` : "";
  return `${more}${last.nick}${count > 1 ? "" : where}: ${last.text}`;
}
