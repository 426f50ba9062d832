// @ts-check
/** What the program has told: a view of its conversations that can be thrown away. Pure: knows no document and no socket. */

/** @typedef {"self" | "new" | "known" | "verified" | "conflict"} Trust */
/** @typedef {{ fingerprint: string, nick: string, trust: Trust, away: string, here: boolean, lost?: boolean, ignored: boolean }} Person */
/** @typedef {{ state: "waiting" } | { state: "sent", have: number, of: number } | { state: "received", of: number } | { state: "failed", missing: string[] }} Delivery */
/** @typedef {{ id: string, of?: string, own: boolean, nick: string, text: string }} Quote */
/** @typedef {[emoji: string, by: { fingerprint: string, nick: string }[]][]} Reactions */
/** @typedef {"offered" | "waiting" | "moving" | "paused" | "done" | "declined" | "failed"} FileState */
/** @typedef {{ fingerprint: string, nick: string, state: FileState, moved: number, speed: number, note: string }} Transfer */
/** @typedef {{ seq?: number, at: number, version?: number, text: string }} EntryBase Those of the history have no `seq`. */
/**
 * @typedef {EntryBase & { type: "message", id: string, from: string, nick: string, trust: Trust, own: boolean, action: boolean,
 *   mention: boolean, late?: string, hearsay?: string[], past?: string, replaced?: boolean, view: "same" | "differs", quote?: Quote, reactions: Reactions, edited: boolean,
 *   retracted: boolean, delivery?: Delivery }} MessageEntry
 */
/** @typedef {EntryBase & { type: "notice", level: "presence" | "info" | "server" | "answer" | "warning" | "error", hint: string, about?: string }} NoticeEntry */
/**
 * @typedef {EntryBase & { type: "file", number: number, from: string, nick: string, trust: Trust, own: boolean,
 *   kind: "file" | "folder", name: string, size: number | null, files: number, executable: boolean, transfers: Transfer[] }} FileEntry
 */
/** @typedef {MessageEntry | NoticeEntry | FileEntry} Entry */
/** @typedef {{ text: string, cursor: number }} Draft What is being written. */
/**
 * @typedef {object} Conversation
 * @property {string} id `client`, `room:NAME`, or `person:SHA256:…`.
 * @property {"client" | "room" | "person"} kind
 * @property {string} title
 * @property {string} topic
 * @property {number} number
 * @property {"connecting" | "online" | "offline" | "searching" | "left"} connection
 * @property {number} [retryAt] In ms since 1970.
 * @property {number} readUpTo
 * @property {number} unread
 * @property {number} urgent
 * @property {"all" | "mentions" | "nothing"} notify
 * @property {Draft} draft
 * @property {number} first The program keeps nothing with a `seq` below it.
 * @property {number} from Nothing with a `seq` below it is held here.
 * @property {Person[]} people
 * @property {Entry[]} entries The oldest first.
 */
/**
 * @typedef {{ type: "ready" | "live" | "heads" | "closed" }
 *   | { type: "log" | "people", id: string }
 *   | { type: "entry", id: string, entry: Entry, how: "new" | "between" | "changed" }} Change What is to be shown anew.
 */

/** @param {string} fingerprint */
export const personId = (fingerprint) => `person:${fingerprint}`;

/** The fingerprint of the person whose conversation it is. @param {string} id @returns {string | undefined} */
export const fingerprintOf = (id) => id.startsWith("person:") ? id.slice(7) : undefined;

export class State {
  self = { fingerprint: "", nick: "", away: "", quiet: false };
  /** The open conversations, in order. @type {string[]} */
  open = [];
  /** The conversation that is shown. */
  place = "client";
  /** What the program shows. */
  #shown = "client";
  /** Whether the user has seen a conversation here: then nothing but they turns elsewhere. */
  #isTurned = false;
  /** Whether everything that was there has been told: what comes then is news. */
  isLive = false;
  /** The last rev that was taken in whole; 0: none. */
  have = 0;
  /** @type {Map<string, Conversation>} */
  #conversations = new Map();

  /** @returns {Conversation} */
  get here() {
    return this.of(this.place);
  }

  /** A conversation; one that is not open is empty. @param {string} id @returns {Conversation} */
  of(id) {
    const known = this.#conversations.get(id);
    if (known) return known;
    const person = this.person(fingerprintOf(id) ?? "");
    return {
      id,
      kind: id.startsWith("person:") ? "person" : id.startsWith("room:") ? "room" : "client",
      title: person?.nick ?? (id.split(":").at(-1) ?? "").slice(0, 16),
      topic: "",
      number: 0,
      connection: "online",
      readUpTo: 0,
      unread: 0,
      urgent: 0,
      notify: "all",
      draft: { text: "", cursor: 0 },
      first: 0,
      from: 0,
      people: person ? [person] : [],
      entries: [],
    };
  }

  /** The open conversations, in order. */
  get list() {
    return this.open.map((id) => this.of(id));
  }

  /** Somebody in any of the conversations. @param {string} fingerprint @returns {Person | undefined} */
  person(fingerprint) {
    let found;
    for (const { people } of this.#conversations.values()) {
      const person = people.find((person) => person.fingerprint === fingerprint);
      if (person?.here) return person;
      found ??= person;
    }
    return found;
  }

  /** Takes a message of the program. @param {any} message @returns {Change | undefined} */
  take(message) {
    const change = this.#take(message);
    if (this.isLive && message.type !== "ready") this.have = message.rev;
    return change;
  }

  /** @param {any} message @returns {Change | undefined} */
  #take(message) {
    switch (message.type) {
      case "ready":
        this.isLive = !message.fresh;
        if (message.fresh) {
          this.have = 0;
          this.open = [];
          this.#conversations.clear();
          this.#shown = message.shown;
        }
        return { type: "ready" };
      case "live": {
        const wasLive = this.isLive;
        this.isLive = true;
        if (!this.#isTurned || !this.open.includes(this.place)) this.place = this.#shown;
        this.#isTurned = true;
        return wasLive ? undefined : { type: "live" };
      }
      case "self": {
        const { fingerprint, nick, away, quiet } = message;
        this.self = { fingerprint, nick, away, quiet };
        return { type: "heads" };
      }
      case "list": {
        const wasOpen = this.open.includes(this.place);
        this.open = message.open;
        for (const id of this.#conversations.keys()) {
          if (!this.open.includes(id)) this.#conversations.delete(id);
        }
        return { type: wasOpen && !this.open.includes(this.place) ? "closed" : "heads" };
      }
      case "conversation": {
        const { type: _type, rev: _rev, ...head } = message;
        const known = this.#keep(head.id);
        if (!("retryAt" in head)) delete known.retryAt;
        Object.assign(known, head);
        const before = known.entries.length;
        if ((known.entries[0]?.seq ?? Infinity) < known.first) {
          known.entries = known.entries.filter(({ seq = 0 }) => seq >= known.first);
        }
        const isEmptied = before > 0 && known.entries.length === 0;
        return isEmptied ? { type: "log", id: head.id } : { type: "heads" };
      }
      case "people":
        this.#keep(message.conversation).people = message.people;
        return { type: "people", id: message.conversation };
      case "entry":
        return this.#takeEntry(this.#keep(message.conversation), message.entry);
    }
  }

  /** @param {Conversation} known @param {Entry & { seq: number }} entry @returns {Change | undefined} */
  #takeEntry({ id, entries, from }, entry) {
    const at = entries.findLastIndex(({ seq = 0 }) => seq <= entry.seq);
    if (entries[at]?.seq === entry.seq) {
      entries[at] = entry;
      return { type: "entry", id, entry, how: "changed" };
    }
    if (entry.seq < from) return undefined; // asked for when it is wanted
    // After an outage a changed one comes later than newer ones: it goes where its number belongs.
    entries.splice(at + 1, 0, entry);
    return { type: "entry", id, entry, how: at + 2 === entries.length ? "new" : "between" };
  }

  /** Takes entries before those that are held, the newest first. @param {string} id @param {Entry[]} entries */
  takeEarlier(id, entries) {
    const known = this.of(id);
    const oldest = known.entries[0]?.seq ?? Infinity;
    const older = entries.filter(({ seq = 0 }) => seq < oldest).toReversed();
    known.entries.unshift(...older);
    known.from = known.entries[0]?.seq ?? known.from;
  }

  /** Whether the program keeps entries before those that are held. @param {Conversation} conversation */
  hasEarlier({ entries, first }) {
    return (entries[0]?.seq ?? 0) > first;
  }

  /** @param {string} id @returns {Conversation} */
  #keep(id) {
    const known = this.of(id);
    this.#conversations.set(id, known);
    return known;
  }
}
