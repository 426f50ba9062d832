/**
 * The page with people who exist nowhere behind it: the real socket and the real model, and no session. `web_demo.ts [PORT]`
 * prints its link.
 *
 * @module
 */

import { systemClock } from "../../lib/base/clock.ts";
import { UsageError } from "../../lib/base/errors.ts";
import type {
  Conversation,
  ConversationId,
  Entry,
  FileEntry,
  MessageEntry,
  Person,
  PersonTrust,
} from "../../lib/ui/conversation.ts";
import { Conversations } from "../../lib/ui/conversations.ts";
import type { NoticeEntry } from "../../lib/ui/conversation.ts";
import { entryOf, Sync } from "../../lib/ui/web/sync.ts";
import { type Asked, type Page, Web } from "../../lib/ui/web/web.ts";
import { fileEntry, messageEntry } from "./entries.ts";

const MINUTE_MS = 60_000;
const letters = (letter: string) => `SHA256:${letter.repeat(43)}`;

function person(letter: string, nick: string, trust: PersonTrust, away = ""): Person {
  return { fingerprint: letters(letter), nick, trust, away, here: true, ignored: false };
}

const ANNA = person("A", "anna", "self");
const BOB = person("B", "bob", "verified");
const CARL = person("C", "carl", "known", "lunch until one");
const DORA = person("D", "dora", "conflict");
const NUR = person("E", "نور", "new");
const MIRA = person("F", "Mira Østergård", "known");
const HOSTILE =
  '<img src=x onerror="document.title=1"><script>document.title=1</script> \u202Etxt.exe';

/** A picture of one pixel. */
export const DOT: Uint8Array<ArrayBuffer> = Uint8Array.fromBase64(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
);

type Fields = Readonly<Record<string, unknown>>;

/** The demo. */
export class WebDemo implements AsyncDisposable {
  readonly model = new Conversations();
  readonly lobby: Conversation;
  readonly web: Web;
  /** What was asked, in order. */
  readonly asked: Asked[] = [];
  /** The entries whose pictures were asked for. */
  readonly pictures: number[] = [];
  /** When the next entry is said, in ms since 1970. */
  now = Date.now() - 26 * 60 * MINUTE_MS;
  readonly #sync: Sync;
  readonly #self = { fingerprint: ANNA.fingerprint, nick: ANNA.nick, away: "", quiet: false };

  /** @param port 0: a free one. */
  constructor(port = 0) {
    this.lobby = this.model.open("room:lobby", "lobby");
    this.model.show(this.lobby);
    const release = this.model.open("room:release", "release");
    for (const room of [this.lobby, release]) room.connection = "online";
    this.lobby.topic = "Stand-up at ten · the release goes out on Friday";
    this.model.setPeople(this.lobby, [ANNA, BOB, MIRA, CARL, NUR, DORA]);
    this.model.setPeople(release, [ANNA, BOB, CARL]);
    this.#sync = new Sync(this.model, () => this.#self, () => this.web?.wake());
    this.web = new Web({
      clock: systemClock,
      port,
      greet: (_page, have) => {
        const { fresh, next } = this.#sync.follow(have);
        return { ready: { rev: this.#sync.rev, fresh, shown: this.model.shown.id }, next };
      },
      take: (asked, page) => {
        this.asked.push(asked);
        if (asked.type === "picture") return this.#show(Number(asked.entry), page);
        return Promise.resolve().then(() => ({ ...this.#take(asked), ok: true })).catch((error) => {
          if (!(error instanceof UsageError)) throw error;
          const { message, hints } = error;
          return { ok: false, code: "refused", message, hint: hints.join("; ") };
        });
      },
      takeBytes: () => {},
      left: () => {},
    });
  }

  get link(): string {
    return this.web.link;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.web.stop();
  }

  /** Somebody says something. */
  say(
    who: Person,
    text: string,
    some: Partial<MessageEntry> = {},
    conversation = this.lobby,
  ): MessageEntry {
    const own = who.trust === "self";
    const { seq: _seq, version: _version, ...draft } = messageEntry({
      id: crypto.getRandomValues(new Uint8Array(8)).toHex(),
      at: this.now,
      from: who.fingerprint,
      nick: who.nick,
      trust: who.trust,
      own,
      text,
      mention: !own && /\banna\b/i.test(text),
      ...some,
    });
    const entry = this.model.add<MessageEntry>(conversation, draft);
    if (own && entry.delivery === undefined) this.model.received(conversation, entry, 4);
    return entry;
  }

  /** bob says something, in private or in the room. */
  bob(text: string, isPrivate = false): MessageEntry {
    return this.say(
      BOB,
      text,
      {},
      isPrivate ? this.#open(`person:${BOB.fingerprint}`) : this.lobby,
    );
  }

  notice(level: NoticeEntry["level"], text: string, hint = ""): void {
    this.model.addNotice(this.lobby, { level, text, hint }, this.now);
  }

  offer(some: Partial<FileEntry>, ...transfers: Partial<FileEntry["transfers"][number]>[]): void {
    const from = some.own ? ANNA : MIRA;
    const { fingerprint, nick, trust } = from;
    const { seq: _seq, version: _version, ...draft } = fileEntry(
      { at: this.now, from: fingerprint, nick, trust, ...some },
      ...transfers,
    );
    this.model.add<FileEntry>(this.lobby, draft);
  }

  /** What a morning in a small team looks like. */
  fill(): this {
    const { lobby, model } = this;
    const later = (minutes: number) => this.now += minutes * MINUTE_MS;
    this.say(BOB, "Morning! The build is green again.", { edited: true });
    const clock = this.say(MIRA, "It was the clock of the second machine.");
    model.annotate(lobby, clock, { what: "reaction", by: ANNA, text: "🎉" });
    model.annotate(lobby, clock, { what: "reaction", by: BOB, text: "👍" });
    model.annotate(lobby, clock, { what: "reaction", by: CARL, text: "👍" });
    later(6);
    this.say(CARL, "is off for lunch", { action: true });
    later(1);
    this.say(ANNA, "Nice find. Shall we put it into the notes?", {
      quote: { id: clock.id, of: clock.from, own: false, nick: clock.nick, text: clock.text },
    });
    later(9);
    this.notice(
      "presence",
      `${NUR.nick} has joined, with a new key: ${NUR.fingerprint.slice(0, 20)}…`,
    );
    this.say(NUR, "صباح الخير! أنا نور من الفريق الجديد.");
    this.say(ANNA, "👋");
    this.now = Date.now() - 40 * MINUTE_MS;
    const quote = { fingerprint: MIRA.fingerprint, nick: MIRA.nick };
    this.offer({ name: "release-notes.pdf", size: 1_240_000 }, quote);
    this.offer(
      { name: "photos-of-the-rack.zip", size: 348_000_000 },
      { ...quote, state: "moving", moved: 160_000_000, speed: 22_000_000 },
    );
    later(2);
    this.say(
      BOB,
      "anna, could you run this before ten? The steps are on https://example.org/release (draft).\n```\ndeno task ok\ngit tag -s v1.2.3\n```",
    );
    later(3);
    this.say(ANNA, "On it. `v1.2.3` then.");
    this.notice(
      "warning",
      "dora has joined with ANOTHER KEY than before",
      "ask whether it is really her, and compare the digits",
    );
    return this;
  }

  /** What somebody hostile may write. */
  attack(): void {
    this.say({ ...NUR, nick: "<b>n</b>\u202E" }, HOSTILE);
    this.say(NUR, "https://example.org/\u202Egnp.exe and javascript:alert(1)");
    this.notice("warning", HOSTILE, HOSTILE);
    this.offer({ name: HOSTILE }, {});
  }

  /** Opening a file takes a moment. */
  async #show(seq: number, page: Page): Promise<Fields> {
    this.pictures.push(seq);
    await new Promise((resolve) => systemClock.after(1, () => resolve(undefined)));
    const n = this.pictures.length;
    const bytes = new Uint8Array(4 + DOT.length);
    new DataView(bytes.buffer).setUint32(0, n);
    bytes.set(DOT, 4);
    systemClock.after(0, () => page.sendBytes(bytes));
    return { ok: true, n, size: DOT.length };
  }

  #open(id: string): Conversation {
    const known = this.model.list.find((conversation) => conversation.id === id);
    if (known !== undefined) return known;
    const other = this.lobby.people.find(({ fingerprint }) => id === `person:${fingerprint}`);
    if (other === undefined) throw new UsageError("that conversation is not open");
    const conversation = this.model.open(id as ConversationId, other.nick);
    conversation.connection = "online";
    this.model.setPeople(conversation, [other]);
    this.model.changedList();
    return conversation;
  }

  #take(asked: Asked): Fields {
    const { type } = asked;
    const text = String(asked.text ?? "");
    if (type === "look") {
      this.model.look(asked.looking === true);
      return {};
    }
    const conversation = this.#open(String(asked.conversation));
    const find = (seq: unknown) => conversation.entries.find((entry) => entry.seq === seq);
    const message = find(asked.entry) as MessageEntry;
    switch (type) {
      case "say": {
        this.now = Date.now();
        const quoted = find(asked.quote) as MessageEntry | undefined;
        const quote = quoted && {
          quote: {
            id: quoted.id,
            of: quoted.from,
            own: quoted.own,
            nick: quoted.nick,
            text: quoted.text,
          },
        };
        this.say(ANNA, text, { action: asked.action === true, ...quote }, conversation);
        conversation.draft = { text: "", cursor: 0 };
        this.model.changedList();
        return {};
      }
      case "edit":
      case "retract":
      case "react": {
        const what = type === "edit"
          ? "edit"
          : type === "retract"
          ? "retraction"
          : text === ""
          ? "unreaction"
          : "reaction";
        this.model.annotate(conversation, message, { what, by: ANNA, text });
        return {};
      }
      case "file": {
        const entry = find(asked.entry) as FileEntry;
        const [transfer] = entry.transfers;
        if (asked.answer === "accept") {
          Object.assign(transfer!, { state: "done", moved: entry.size });
        } else transfer!.state = asked.answer === "decline" ? "declined" : "failed";
        this.model.changed(conversation, entry);
        return {};
      }
      case "show":
        this.model.show(conversation);
        return {};
      case "draft":
        conversation.draft = { text, cursor: Number(asked.cursor) };
        this.model.changedList();
        return {};
      case "read":
        return {};
      case "missing":
        return { missing: ["carl", "dora"] };
      case "entries": {
        const { before = Infinity, find = "" } = asked;
        const isGiven = (entry: Entry) =>
          entry.seq < Number(before) && entry.text.toLowerCase().includes(String(find));
        const all = conversation.entries.filter(isGiven).toReversed();
        return { entries: all.slice(0, 100).map(entryOf), more: all.length > 100 };
      }
      case "history": {
        // The log has what is kept here, and what was said a week ago.
        const search = String(asked.search ?? "");
        const kept = conversation.entries.filter((entry): entry is MessageEntry =>
          entry.type === "message" && entry.text.includes(search)
        );
        const old = messageEntry({
          id: "00000000000000aa",
          at: this.now - 7 * 24 * 60 * MINUTE_MS,
        });
        const said = [{ ...old, text: `${search}, a week ago` }, ...kept];
        const chats = said.map(({ id, from, nick, at, text, action, view }) => ({
          ...{ event: "chat", id, fingerprint: from, nick, text, action, view },
          sent: new Date(at).toISOString(),
        }));
        return { entries: chats, more: false };
      }
      case "command":
        return { command: "", ...this.#run(String(asked.line), conversation) };
      default:
        throw new UsageError(`${type} is not part of the demo`);
    }
  }

  #run(line: string, conversation: Conversation): Fields {
    const [command = "", who = "", answer] = line.slice(1).split(" ");
    const other = this.lobby.people.find(({ fingerprint, nick }) =>
      [fingerprint, nick].includes(who)
    );
    switch (command) {
      case "verify": {
        if (other === undefined) throw new UsageError(`nobody here is called ${who}`);
        const trusted: Person = { ...other, trust: "verified" };
        for (const each of answer === "yes" ? this.model.list : []) {
          this.model.setPeople(each, each.people.map((one) => one === other ? trusted : one));
        }
        const digits = (start: number) =>
          Array.from(
            { length: 6 },
            (_, i) => String(start * 1009 + i * 7919).slice(-5).padStart(5, "3"),
          )
            .join(" ");
        const half = { own: false, digits: digits(other.fingerprint.charCodeAt(7)) };
        return { command, halves: [{ own: true, digits: digits(65) }, half] };
      }
      case "query":
        return { command, conversation: this.#open(`person:${other?.fingerprint}`).id };
      case "invite": {
        const bit = (x: number, y: number) => (x * y + x + y) % 3 ? "0" : "1";
        const row = (y: number) => Array.from({ length: 29 }, (_, x) => bit(x, y)).join("");
        const rows = Array.from({ length: 29 }, (_, y) => row(y));
        return {
          command,
          line: `client --host 192.168.1.20 --fingerprint ${ANNA.fingerprint}`,
          rows,
        };
      }
      case "topic":
        conversation.topic = line.slice(7);
        this.model.changedList();
        return { command, lines: [] };
      case "bans":
        return { command, status: 0, lines: [] };
      case "dnd":
        this.#self.quiet = !this.#self.quiet;
        this.#sync.compareSelf();
        return { command, lines: [] };
      case "names":
        return { command, lines: conversation.people.map(({ nick }) => nick) };
      case "join":
        return { command, conversation: conversation.id };
      case "part":
        this.model.close(conversation);
        return { command };
      default:
        throw new UsageError(`/${command} is not part of the demo`, ["try /names"]);
    }
  }
}

if (import.meta.main) {
  const demo = new WebDemo(Number(Deno.args[0] ?? 0)).fill();
  console.log(demo.link);
}
