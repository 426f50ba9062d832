/**
 * The messages of a conversation, as commands know them.
 *
 * @module
 */

import type { MessageName, NoteKind } from "../session/mod.ts";
import { type Conversation, type MessageEntry, personOf } from "./conversation.ts";
import { type Conversations, isFirstHand } from "./conversations.ts";
import type { Log, LoggedMessage } from "./message_log.ts";

export class ConversationLog implements Log {
  readonly #conversations: Conversations;
  readonly #conversation: Conversation;
  readonly #own: { readonly fingerprint: string; readonly nick: string };

  /** @param own The user. */
  constructor(
    conversations: Conversations,
    conversation: Conversation,
    own: { fingerprint: string; nick: string },
  ) {
    this.#conversations = conversations;
    this.#conversation = conversation;
    this.#own = own;
  }

  find(name: MessageName): LoggedMessage | undefined {
    return this.#describe(this.#conversations.findMessage(this.#conversation, name));
  }

  back(count: number): LoggedMessage | undefined {
    if (count < 1) return undefined;
    const { entries } = this.#conversation;
    return this.#describe(entries.filter(isFirstHand).at(-count));
  }

  newest({ isOwn }: { isOwn: boolean }): LoggedMessage | undefined {
    return this.#describe(
      this.#conversation.entries.findLast((entry): entry is MessageEntry =>
        isFirstHand(entry) && entry.own === isOwn && !entry.retracted
      ),
    );
  }

  apply(
    { id, of }: LoggedMessage,
    what: NoteKind,
    { text }: { text: string },
  ): void {
    const entry = this.#conversations.findMessage(this.#conversation, { id, of });
    if (entry === undefined) return;
    this.#conversations.annotate(this.#conversation, entry, { what, by: this.#own, text });
  }

  #describe(entry: MessageEntry | undefined): LoggedMessage | undefined {
    if (entry === undefined) return undefined;
    const { id, from, via, own, nick, action, text, retracted, reactions } = entry;
    const isOwn = ({ fingerprint }: { fingerprint: string }) =>
      fingerprint === this.#own.fingerprint;
    const [reaction = ""] = [...reactions].find(([, reactors]) => reactors.some(isOwn)) ?? [];
    return {
      id,
      of: from,
      via,
      nick,
      isOwn: own,
      action,
      other: personOf(this.#conversation),
      text,
      isRetracted: retracted,
      reaction,
    };
  }
}
