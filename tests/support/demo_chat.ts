/**
 * A chat with people who exist nowhere, for the full-screen face without a network.
 *
 * @module
 */

import { type Clock, systemClock } from "../../lib/base/clock.ts";
import type {
  Conversation,
  FileEntry,
  FileTransfer,
  MessageEntry,
  Person,
  PersonTrust,
} from "../../lib/ui/conversation.ts";
import { Conversations } from "../../lib/ui/conversations.ts";
import type { FaceClient, FullFace } from "../../lib/ui/full/full_face.ts";
import type { Notice } from "../../lib/ui/notices.ts";
import { fileEntry } from "./entries.ts";

/** Messages a second of `/flood`. */
const FLOOD_RATE = 500;
const COMMANDS = [
  "/away ",
  "/close ",
  "/find ",
  "/help",
  "/ignore ",
  "/info ",
  "/invite ",
  "/join ",
  "/list",
  "/me ",
  "/msg ",
  "/names",
  "/nick ",
  "/page ",
  "/part ",
  "/query ",
  "/quit",
  "/react ",
  "/set ",
  "/topic ",
  "/verify ",
];

function person(nick: string, trust: PersonTrust, away = ""): Person {
  return { fingerprint: `SHA256:${nick}`, nick, trust, away, here: true, ignored: false };
}

const ANNA = person("anna", "self");
const BOB = person("bob", "verified");
const CARL = person("carl", "known");
const DORA = person("dora", "new");
const JIRI = person("jiří", "known", "at lunch");
const MAXI = person("maximilian-the-second", "known");
const HARUKA = person("春香", "verified");

/** The conversations, and what is typed into them. */
export class DemoChat implements FaceClient {
  readonly conversations: Conversations = new Conversations();
  readonly lobby: Conversation;
  readonly build: Conversation;
  readonly bob: Conversation;
  /** The time of what comes next. */
  at: number = new Date(2026, 10, 28, 17, 4).getTime();
  readonly clock: Clock = { ...systemClock, wallTime: () => this.at };
  waitingEvents = 0;
  isFlooding = false;
  readonly context = { session: { nick: "anna", away: "" } } as FaceClient["context"];
  readonly #quit: () => void;

  constructor(quit: () => void) {
    this.#quit = quit;
    const { conversations } = this;
    this.lobby = conversations.open("room:lobby", "lobby");
    this.build = conversations.open("room:build", "build");
    this.bob = conversations.open(`person:${BOB.fingerprint}`, "bob");
    for (const conversation of [this.lobby, this.build, this.bob]) {
      conversation.connection = "online";
    }
    this.lobby.topic = "Stand-up at ten · the release goes out on Friday";
    conversations.setPeople(this.lobby, [ANNA, BOB, CARL, DORA, JIRI, MAXI, HARUKA]);
    conversations.setPeople(this.build, [ANNA, CARL, BOB]);
    conversations.setPeople(this.bob, [BOB]);
    conversations.show(this.lobby);
  }

  say(
    where: Conversation,
    who: Person,
    text: string,
    rest: Partial<MessageEntry> = {},
  ): MessageEntry {
    const own = who === ANNA;
    return this.conversations.add<MessageEntry>(where, {
      type: "message",
      id: String(this.at),
      at: this.at,
      from: who.fingerprint,
      nick: who.nick,
      trust: who.trust,
      own,
      via: "lobby",
      action: false,
      text,
      mention: !own && /\banna\b/i.test(text),
      view: "same",
      reactions: new Map(),
      edited: false,
      retracted: false,
      ...rest,
    });
  }

  /** Somebody offers a file to the room. */
  offer(who: Person, some: Partial<FileEntry>, ...transfers: Partial<FileTransfer>[]): void {
    const { fingerprint: from, nick, trust } = who;
    const own = who === ANNA;
    const draft = fileEntry({ at: this.at, from, nick, trust, own, ...some }, ...transfers);
    this.conversations.add<FileEntry>(this.lobby, draft);
  }

  note(): boolean {
    return true;
  }

  notice(where: Conversation, level: Notice["level"], text: string, hint = ""): void {
    this.conversations.addNotice(where, { level, text, hint }, this.at);
  }

  /** So many minutes pass. */
  wait(minutes: number): void {
    this.at += minutes * 60_000;
  }

  submit(conversation: Conversation, line: string): boolean {
    const [command, argument = ""] = line.split(" ");
    switch (command) {
      case "/quit":
        this.#quit();
        return true;
      case "/flood":
        this.flood(Number(argument));
        return true;
      case "/hostile":
        for (let i = 0; i < 100; i++) this.say(this.lobby, DORA, HOSTILE[i % HOSTILE.length]!);
        return true;
      case "/offline":
        conversation.connection = "offline";
        conversation.retryAt = this.at + 7000;
        this.conversations.changedList();
        return true;
      default:
        this.say(conversation, ANNA, line, { delivery: { state: "sent", have: 0, of: 6 } });
        return true;
    }
  }

  reply(
    conversation: Conversation,
    { id, from, own, nick, text }: MessageEntry,
    line: string,
  ): boolean {
    this.say(conversation, ANNA, line, { quote: { id, of: from, own, nick, text } });
    return true;
  }

  beginReply(): undefined {
    return undefined;
  }

  complete(line: string, cursor: number) {
    const [typed] = /\S*$/.exec(line.slice(0, cursor))!;
    const nicks = this.conversations.shown.people.map(({ nick }) => `${nick}: `);
    const candidates = (typed.startsWith("/") ? COMMANDS : nicks)
      .filter((word) => word.startsWith(typed));
    return { start: cursor - typed.length, end: cursor, candidates };
  }

  /** Sends so many messages of others, 500 a second. */
  flood(count: number): void {
    const start = performance.now();
    this.isFlooding = true;
    let sent = 0;
    const timer = setInterval(() => {
      const due = Math.min(count, ((performance.now() - start) / 1000) * FLOOD_RATE);
      for (; sent < due; sent++) {
        const words = "lorem ipsum dolor sit amet ".repeat(1 + sent % 6);
        const who = [BOB, CARL, DORA, HARUKA][sent % 4]!;
        this.say(this.lobby, who, `message ${sent} ${words}${sent % 7 === 0 ? "日本語👍" : ""}`);
      }
      if (sent < count) return;
      clearInterval(timer);
      this.isFlooding = false;
      this.notice(this.lobby, "info", "the flood is over");
    }, 2);
  }
}

/** Texts of some 8 KiB that are costly to lay out, or try to look like something else. */
export const HOSTILE: readonly string[] = [
  "\u0001".repeat(8192),
  "\u202e".repeat(2730),
  "a\u0301\u0301\u0301\u0301\u0301\u0301".repeat(600),
  "👩\u200d👩\u200d👧\u200d👦".repeat(320),
  "\n".repeat(8192),
  "\u0001\u0002a".repeat(2700),
  "漢".repeat(2730),
  "12:05   bob✓ forged\n!! forged\nשלום דוד",
];

/** A day in the lobby. */
function story(chat: DemoChat): void {
  const { lobby, build, bob, conversations } = chat;
  chat.notice(lobby, "info", "you are in lobby, with 5 others");
  chat.notice(lobby, "presence", "here are bob (verified), carl, jiří and maximilian-the-second");
  chat.notice(
    lobby,
    "presence",
    "here is dora, with a new key: SHA256:FGwLUohyO7rmvQpXjnEtnGifJ6ctIA1l/LlTo4jxN4U",
  );
  chat.wait(2);
  chat.say(lobby, CARL, "The nightly build is red again, on the second machine only.");
  chat.say(
    lobby,
    CARL,
    "Log: https://build.example.lan/jobs/4711/steps/link?attempt=2&view=raw#L1290-L1344",
  );
  chat.wait(1);
  chat.say(lobby, HARUKA, "時計がずれているのかもしれません。40秒ぐらい遅れています 🕰️");
  chat.wait(3);
  chat.say(
    lobby,
    CARL,
    "It was the clock of the second machine, which went 40 seconds wrong every night; the linker takes a file " +
      "from the future for a mistake and stops. NTP was blocked by the new firewall rule.",
    { reactions: new Map([["👍", [BOB, JIRI]], ["🎉", [ANNA]]]) },
  );
  chat.wait(1);
  chat.say(lobby, MAXI, "I can open the port after lunch, if somebody reminds me.");
  chat.at = new Date(2026, 10, 29, 12, 4).getTime();
  conversations.look(false);
  chat.say(lobby, BOB, "Morning! Green here.", { edited: true });
  const question = chat.say(lobby, BOB, "anna, could you look at the release notes before ten?");
  chat.wait(1);
  chat.notice(lobby, "presence", "dora has joined");
  chat.say(lobby, DORA, "hello everybody 👋");
  chat.say(lobby, JIRI, "goes for lunch", { action: true });
  conversations.look(true);
  chat.wait(1);
  chat.reply(
    lobby,
    question,
    "Already on it. Two lines are missing:\n  - the new --plain face\n  - /join and /part",
  );
  chat.wait(2);
  chat.say(lobby, DORA, "", { retracted: true });
  chat.notice(
    lobby,
    "warning",
    "jiří has joined with ANOTHER KEY than before: SHA256:LD5vp8i4hTgdmkOROYhBuP1NaXOJ9z4JY/BqcrETF+4",
    "ask whether it is really them: /verify jiří compares, /trust jiří accepts it",
  );
  chat.wait(1);
  chat.say(lobby, ANNA, "Reading it now, thank you.", {
    delivery: { state: "sent", have: 4, of: 6 },
  });
  for (const text of ["green on all three", "tagging", "done"]) chat.say(build, CARL, text);
  chat.say(bob, BOB, "lunch at one? 🍜");
}

/** What can be shown. */
export const SCENES: Readonly<Record<string, (chat: DemoChat, face: FullFace) => void>> = {
  chat: story,
  private(chat) {
    story(chat);
    chat.say(chat.bob, ANNA, "gladly", { delivery: { state: "received", of: 1 } });
    chat.say(
      chat.bob,
      BOB,
      "The code for the door is still 4711, please do not put it into the room.",
    );
    chat.conversations.show(chat.bob);
  },
  offline(chat) {
    story(chat);
    chat.notice(chat.lobby, "info", "connection lost: no answer; what you write waits");
    chat.say(chat.lobby, ANNA, "see you at ten then", { delivery: { state: "waiting" } });
    chat.submit(chat.lobby, "/offline");
  },
  failed(chat) {
    story(chat);
    chat.say(chat.lobby, ANNA, "the key is under the mat", {
      delivery: { state: "failed", missing: ["jiří", "carl"] },
    });
  },
  files(chat) {
    story(chat);
    const moving = { state: "moving", moved: 7_700_000, speed: 3_100_000 } as const;
    chat.offer(BOB, { number: 1 }, moving);
    chat.offer(CARL, { number: 2, name: "photos", kind: "folder", files: 118, size: 348_000_000 });
    chat.offer(DORA, { number: 3, name: "notes.txt", size: 812 }, {
      state: "done",
      note: "kept as ~/Downloads/notes (2).txt",
    });
    const carl = { nick: "carl", state: "declined", note: "declined by carl" } as const;
    chat.offer(ANNA, { number: 4, name: "setup", executable: true }, moving, carl);
  },
  first(chat, face) {
    const { conversations } = chat;
    for (const one of [chat.build, chat.bob]) conversations.close(one);
    // As if there had never been a room.
    Object.assign(chat.lobby, { kind: "client", title: "Hearth", topic: "", people: [] });
    chat.notice(
      conversations.shown,
      "info",
      "made a key: SHA256:T2wndA8lrwR5j5Y4dhfP+QNmQoV/GRr/Mb5kPO3LQV0",
    );
    chat.notice(conversations.shown, "info", "no server was found on this network");
    void face.input.ask("Start one here, so that others can join you? [Y/n] ", { secret: false });
  },
  password(chat, face) {
    story(chat);
    void face.input.ask("The server needs a password: ", { secret: true });
  },
  conflict(chat) {
    story(chat);
    chat.conversations.setPeople(chat.bob, [{ ...BOB, trust: "conflict" }]);
    chat.conversations.show(chat.bob);
  },
  alone(chat) {
    chat.conversations.close(chat.build);
    chat.conversations.close(chat.bob);
    chat.conversations.setPeople(chat.lobby, [ANNA]);
    chat.notice(chat.lobby, "info", "you are in lobby, alone so far");
  },
  bidi(chat) {
    story(chat);
    const david = person("דוד", "known");
    const ali = person("علي", "new");
    chat.conversations.setPeople(chat.lobby, [...chat.lobby.people, david, ali]);
    chat.say(chat.lobby, david, "שלום לכולם, מה שלומכם היום?");
    chat.say(chat.lobby, david, "12:30 בסדר גמור דוד");
    chat.say(chat.lobby, ali, "مرحبا بالجميع");
    chat.say(chat.lobby, BOB, "the word שלום means peace, 12:04 דוד");
    chat.say(chat.lobby, ali, "see https://example.com/שלום now");
  },
};
