/** What a page asks for, and what the client does about it. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { SessionEvent } from "../../../lib/session/mod.ts";
import { MAX_REFS, MAX_RESULT_LENGTH, WebFace } from "../../../lib/ui/web/face.ts";
import { MAX_GIVEN } from "../../../lib/ui/web/page_requests.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { FakeServer, message, person, welcome } from "../../support/fake_rooms.ts";
import { type Message, type Told, WebClient } from "../../support/web_client.ts";

const BOB = person("bob");
const LOBBY = "room:lobby";
const WITH_BOB = "person:SHA256:bob";

/** A page, and what it was told. */
class TestPage {
  readonly client: WebClient;
  /** What it was told last, by what it is about. */
  readonly told = new Map<string, Told>();
  #asked = 0;
  readonly #prefix = Math.floor(Math.random() * 2 ** 32).toString(16).padStart(8, "0");

  constructor(link: string) {
    this.client = new WebClient(link);
  }

  /** Comes, and takes everything that there is. */
  async come(have = 0): Promise<Told> {
    const ready = await this.client.prove({ have });
    await this.client.receiveWhere((message) => {
      this.#take(message);
      return message.type === "live";
    });
    return ready;
  }

  #take(message: Told): void {
    const { type, conversation, entry, id } = message as Told & { entry?: { seq: number } };
    this.told.set([type, conversation ?? id, entry?.seq].filter(Boolean).join(" "), message);
  }

  // deno-lint-ignore no-explicit-any -- as it comes over the socket
  async ask(type: string, fields: Message = {}, ref = this.nextRef()): Promise<any> {
    this.client.send({ type, ref, ...fields });
    const { type: _type, ref: _ref, ...result } = await this.client.receiveWhere((message) => {
      this.#take(message);
      return message.type === "result" && message.ref === ref;
    });
    return result;
  }

  nextRef(): string {
    return this.#prefix + (++this.#asked).toString(16).padStart(8, "0");
  }

  /** The head of a conversation, as it was told last. */
  // deno-lint-ignore no-explicit-any -- as it comes over the socket
  head(id: string): any {
    return this.told.get(`conversation ${id}`);
  }
}

async function open() {
  const clock = new FakeClock();
  const server = new FakeServer();
  const printed: string[] = [];
  const folder = await Deno.makeTempDir();
  let hasQuit = false;
  const face = new WebFace({
    ...{ clock, quiet: false, port: 0, settings: {}, stateFolder: folder },
    save: () => {},
    ask: () => Promise.resolve(undefined),
    print: (line) => printed.push(line),
    linked: (address) => `${address} `,
    onQuit: () => hasQuit = true,
    finished: Promise.resolve(true),
  });
  face.attach(server.open("lobby"));
  const link = /http:\S+/.exec(printed[0]!)![0];
  const emit = async (room: string, ...events: SessionEvent[]) => {
    for (const event of events) face.emit(event, room);
    await clock.advance(0);
  };
  await emit("lobby", welcome("lobby"), ...server.rooms.get("lobby")!.joins(BOB));
  const pages: TestPage[] = [];
  return {
    ...{ clock, server, face, emit, printed },
    hasQuit: () => hasQuit,
    async page(have?: number): Promise<TestPage> {
      const page = new TestPage(link);
      pages.push(page);
      await page.come(have);
      return page;
    },
    /** What was asked of a session since the last look. */
    calls: (room = "lobby") => server.rooms.get(room)!.calls.splice(0),
    async [Symbol.asyncDispose]() {
      await Promise.all(pages.map(({ client }) => client.close()));
      const closed = face.close();
      await clock.advance(5000);
      await closed;
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Its `seq`, by what it says. */
function seqOf(page: TestPage, text: string): number {
  for (const { entry } of page.told.values()) {
    const { seq, text: found } = (entry ?? {}) as { seq: number; text: string };
    if (found === text) return seq;
  }
  throw new Error(`nobody was told of ${text}`);
}

Deno.test("WebFace shows its link, and how to get it over SSH", async () => {
  await using rig = await open();
  match(rig.printed[0]!, /^open in a browser on this computer: http:\/\/127\.0\.0\.1:\d+\/#\S+ $/);
  rig.face.greet("you are anna");
  equal(rig.printed.at(-1), "you are anna");
  match(rig.printed[1]!, /^from elsewhere: ssh -L (\d+):127\.0\.0\.1:\1 /);
});

Deno.test("a page is told of the room, its people and the user", async () => {
  await using rig = await open();
  const page = await rig.page();
  deepEqual(page.told.get("list")?.open, [LOBBY]);
  equal(page.head(LOBBY).title, "lobby");
  const { people } = page.told.get(`people ${LOBBY}`) as unknown as { people: { nick: string }[] };
  deepEqual(people.map(({ nick }) => nick), ["anna", "bob"]);
  equal(page.told.get("self")?.nick, "anna");
});

Deno.test("`say` goes where it says, whatever is shown or comes before it", async () => {
  await using rig = await open();
  const page = await rig.page();
  equal((await page.ask("show", { conversation: LOBBY })).ok, true);
  await rig.emit("lobby", message(BOB, "psst", { private: true }));
  await page.ask("show", { conversation: WITH_BOB });
  equal((await page.ask("say", { conversation: LOBBY, text: "to all" })).ok, true);
  equal((await page.ask("say", { conversation: WITH_BOB, text: " as typed " })).ok, true);
  equal((await page.ask("say", { conversation: LOBBY, text: "waves", action: true })).ok, true);
  deepEqual(rig.calls().map(([method, ...args]) => [method, ...args.slice(0, 2)]), [
    ["say", "to all", { action: false, ref: undefined }],
    ["sendPrivate", "SHA256:bob", " as typed "],
    ["say", "waves", { action: true, ref: undefined }],
  ]);
});

Deno.test("`say` to a person opens their conversation", async () => {
  await using rig = await open();
  const page = await rig.page();
  equal((await page.ask("say", { conversation: WITH_BOB, text: "hi" })).ok, true);
  deepEqual(page.told.get("list")?.open, [LOBBY, WITH_BOB]);
});

Deno.test("a request sent twice acts once, and has the same result, from another page, too", async () => {
  await using rig = await open();
  const [page, other] = [await rig.page(), await rig.page()];
  const ref = page.nextRef();
  const first = await page.ask("say", { conversation: LOBBY, text: "once" }, ref);
  const again = await other.ask("say", { conversation: LOBBY, text: "once" }, ref);
  deepEqual(again, first);
  equal(rig.calls().length, 1);
});

Deno.test("a request is known again until MAX_REFS others have come", async () => {
  await using rig = await open();
  const page = await rig.page();
  const turn = (ref: string) => page.ask("command", { conversation: LOBBY, line: "/dnd" }, ref);
  const others = async (count: number) => {
    for (let n = 0; n < count; n++) await page.ask("command", { conversation: LOBBY, line: "/x" });
  };
  const ref = page.nextRef();
  const first = await turn(ref);
  await others(MAX_REFS - 1);
  deepEqual(await turn(ref), first);
  equal(page.told.get("self")?.quiet, true, "it acted once");
  await others(1);
  await turn(ref);
  equal(page.told.get("self")?.quiet, false, "it is forgotten");
});

Deno.test("of a result that is too long to be remembered it is known whether it was one", async () => {
  await using rig = await open();
  const page = await rig.page();
  const people = Array.from({ length: 200 }, (_, n) => person(`${n}`.padStart(20, "x")));
  await rig.emit("lobby", ...rig.server.rooms.get("lobby")!.joins(...people));
  const ref = page.nextRef();
  const first = await page.ask("command", { conversation: LOBBY, line: "/names" }, ref);
  ok(JSON.stringify(first).length > MAX_RESULT_LENGTH);
  const again = await page.ask("command", { conversation: LOBBY, line: "/names" }, ref);
  deepEqual(again, { ok: true, command: "names" });
});

Deno.test("edits, retractions and reactions are of the entry that is named", async () => {
  await using rig = await open();
  const page = await rig.page();
  await rig.emit("lobby", message(BOB, "hello", { id: "00000000000000aa" }));
  await page.ask("say", { conversation: LOBBY, text: "mine" });
  const [theirs, mine] = [seqOf(page, "hello"), seqOf(page, "mine")];
  rig.calls();
  for (
    const [type, entry, text] of [
      ["react", theirs, "👍"],
      ["react", theirs, ""],
      ["edit", mine, "changed"],
      ["retract", mine, undefined],
    ] as const
  ) {
    equal((await page.ask(type, { conversation: LOBBY, entry, text })).ok, true, type);
  }
  deepEqual(rig.calls().map(([method, , what, text]) => [method, what, text]), [
    ["sendNote", "reaction", "👍"],
    ["sendNote", "unreaction", ""],
    ["sendNote", "edit", "changed"],
    ["sendNote", "retraction", ""],
  ]);
});

Deno.test("an answer quotes the entry that is named", async () => {
  await using rig = await open();
  const page = await rig.page();
  await rig.emit("lobby", message(BOB, "hello", { id: "00000000000000aa" }));
  await page.ask("entries", { conversation: LOBBY });
  const quote = seqOf(page, "hello");
  equal((await page.ask("say", { conversation: LOBBY, text: "hi", quote })).ok, true);
  const [[, , options]] = rig.calls() as [[string, string, { reply: unknown }]];
  deepEqual(options.reply, { id: "00000000000000aa", of: "SHA256:bob" });
});

Deno.test("what is missing, of another type or too long is refused, and nothing is done", async () => {
  await using rig = await open();
  const page = await rig.page();
  await page.ask("say", { conversation: LOBBY, text: "mine" });
  rig.calls();
  const long = "x".repeat(40_000);
  const cases: readonly [type: string, fields: Message][] = [
    ["nothing", {}],
    ["say", {}],
    ["say", { conversation: LOBBY }],
    ["say", { conversation: 7, text: "x" }],
    ["say", { conversation: "room:other", text: "x" }],
    ["say", { conversation: "person:SHA256:nobody", text: "x" }],
    ["say", { conversation: "person:SHA256:anna", text: "x" }],
    ["say", { conversation: LOBBY, text: " \n " }],
    ["say", { conversation: LOBBY, text: long }],
    ["say", { conversation: LOBBY, text: "x", action: 1 }],
    ["say", { conversation: LOBBY, text: "x", quote: "1" }],
    ["say", { conversation: LOBBY, text: "x", quote: 999 }],
    ["say", { conversation: LOBBY, text: "x", quote: 1 }], // a notice
    ["edit", { conversation: LOBBY, entry: 1, text: "x" }],
    ["edit", { conversation: LOBBY, text: "x" }],
    ["edit", { conversation: LOBBY, entry: seqOf(page, "mine"), text: " " }],
    ["react", { conversation: LOBBY, entry: -1, text: "x" }],
    ["react", { conversation: LOBBY, entry: 1.5, text: "x" }],
    ["file", { conversation: LOBBY, entry: 1, answer: "accept" }],
    ["show", { conversation: "room:other" }],
    ["look", { looking: "yes" }],
    ["draft", { conversation: LOBBY, text: "x" }],
    ["draft", { conversation: LOBBY, text: long, cursor: 0 }],
    ["command", { conversation: LOBBY, line: "hello" }],
    ["command", { conversation: LOBBY, line: "//x" }],
    ["command", { conversation: LOBBY, line: "/nothing" }],
    ["entries", { conversation: LOBBY, before: "1" }],
    ["entries", { conversation: LOBBY, find: 1 }],
    ["history", { conversation: LOBBY, search: 1 }],
    ["missing", { conversation: LOBBY, entry: 1 }],
    ["send", { conversation: LOBBY, name: "a", size: -1, mtime: 0 }],
    ["send", { conversation: LOBBY, name: "a", size: 1 }],
    ["picture", { conversation: LOBBY, entry: 1 }],
    ["read", { conversation: LOBBY, entry: 1 }],
  ];
  for (const [type, fields] of cases) {
    const result = await page.ask(type, fields);
    const name = `${type} ${JSON.stringify(fields).slice(0, 80)}`;
    deepEqual([result.ok, result.code, typeof result.message], [false, "refused", "string"], name);
  }
  deepEqual(rig.calls(), []);
});

Deno.test("a request with any field absent, of any other type or too large has one result", async () => {
  await using rig = await open();
  const page = await rig.page();
  await rig.emit("lobby", message(BOB, "hello", { id: "00000000000000aa" }));
  await page.ask("say", { conversation: LOBBY, text: "mine" });
  const [entry, own] = [seqOf(page, "hello"), seqOf(page, "mine")];
  const conversation = LOBBY;
  const requests: readonly [type: string, fields: Message][] = [
    ["say", { conversation, text: "x", action: false, quote: entry }],
    ["edit", { conversation, entry: own, text: "x" }],
    ["retract", { conversation, entry: own }],
    ["react", { conversation, entry, text: "👍" }],
    ["file", { conversation, entry, answer: "accept", as: "x", exec: false }],
    ["show", { conversation }],
    ["look", { looking: true }],
    ["draft", { conversation, text: "x", cursor: 0 }],
    ["read", { conversation, entry }],
    ["command", { conversation, line: "/names" }],
    ["entries", { conversation, before: entry, find: "x" }],
    ["history", { conversation, before: "00000000000000aa", search: "x" }],
    ["missing", { conversation, entry: own }],
    ["send", { conversation, name: "x", size: 2 ** 52, mtime: 0 }], // more than any disk has
    ["picture", { conversation, entry }],
  ];
  const others: readonly unknown[] = [
    ...[undefined, null, true, 7, -1, 1.5, 2 ** 60, "", "\0", "x".repeat(40_000), [], {}],
    ...["client", "room:", "person:", "__proto__", "constructor", { toString: 1 }, [[LOBBY]]],
  ];
  for (const [type, fields] of requests) {
    for (const name of Object.keys(fields)) {
      for (const value of others) {
        const { ok, code } = await page.ask(type, { ...fields, [name]: value });
        const asked = `${type} ${name} ${JSON.stringify(value)?.slice(0, 40)}`;
        deepEqual([ok, code], ok === true ? [true, undefined] : [false, "refused"], asked);
      }
    }
  }
  equal((await page.ask("say", { conversation, text: "still here" })).ok, true);
});

Deno.test("commands of the terminal and of the disk are not for pages", async () => {
  await using rig = await open();
  const page = await rig.page();
  for (
    const line of [
      ...["/send /etc/passwd", "/msg bob x", "/reply x", "/set face plain", "/bell off", "/page"],
      ...["/find x", "/timestamp off", "/show"],
    ]
  ) {
    const { ok, message } = await page.ask("command", { conversation: LOBBY, line });
    equal(ok, false, line);
    match(message, /not for this page/, line);
  }
  const { lines } = await page.ask("command", { conversation: LOBBY, line: "/help" });
  ok(!lines.some((line: string) => /^\/(send|msg|set|find) /.test(line)));
  deepEqual(rig.calls(), []);
});

Deno.test("commands answer with values", async () => {
  await using rig = await open();
  const page = await rig.page();
  const run = (line: string) => page.ask("command", { conversation: LOBBY, line });
  const invited = await run("/invite");
  equal(invited.line, "./client --host x");
  ok(
    invited.rows.every((row: string) => /^[01]+$/.test(row) && row.length === invited.rows.length),
  );
  equal((await run("/query SHA256:bob")).conversation, WITH_BOB);
  deepEqual(page.told.get("list")?.open, [LOBBY, WITH_BOB]);
  equal((await run("/join build")).conversation, "room:build");
  equal((await run("/notify all")).ok, true);
  equal(page.head(LOBBY).notify, "all");
  equal((await run("/dnd 5")).ok, true);
  equal(page.told.get("self")?.quiet, true);
  await rig.clock.advance(5 * 60_000);
  await run("/names");
  equal(page.told.get("self")?.quiet, false);
  equal((await run("/away lunch")).ok, true);
  equal(page.told.get("self")?.away, "lunch");
  equal((await run("/names")).people[0].nick, "bob");
  const refused = await run("/bans");
  deepEqual([refused.ok, refused.command], [false, "bans"]);
  ok(Number.isInteger(refused.status));
  await run("/quit");
  equal(rig.hasQuit(), true);
});

Deno.test("drafts are kept for the next page, and go when the text is sent", async () => {
  await using rig = await open();
  const page = await rig.page();
  await page.ask("draft", { conversation: LOBBY, text: "half", cursor: 9 });
  const other = await rig.page();
  deepEqual(other.head(LOBBY).draft, { text: "half", cursor: 4 });
  await page.ask("say", { conversation: LOBBY, text: "half of it" });
  deepEqual(page.head(LOBBY).draft, { text: "", cursor: 0 });
});

Deno.test("who looks stands for the user: nothing is read while nobody does", async () => {
  await using rig = await open();
  const [page, other] = [await rig.page(), await rig.page()];
  const hear = async (text: string) => {
    await rig.emit("lobby", message(BOB, text));
    await page.ask("entries", { conversation: LOBBY });
    return page.head(LOBBY).unread;
  };
  equal(await hear("one"), 1);
  await page.ask("look", { looking: true });
  equal(await hear("two"), 0);
  await other.ask("show", { conversation: WITH_BOB });
  equal(await hear("three"), 0, "the other page does not look");
  await other.ask("look", { looking: true });
  equal(await hear("four"), 1, "it does, and shows another conversation");
  await page.ask("look", { looking: true });
  equal(await hear("five"), 0);
  await page.ask("look", { looking: false });
  await other.ask("show", { conversation: LOBBY });
  equal(await hear("six"), 0, "the other page still looks");
  await other.client.close();
  while (await hear("seven") === 0); // until it is known that it has gone
});

Deno.test("what the user has read is told to their other terminals", async () => {
  await using rig = await open();
  const page = await rig.page();
  await rig.emit("lobby", message(BOB, "hello", { id: "00000000000000aa" }));
  await page.ask("entries", { conversation: LOBBY });
  const result = await page.ask("read", { conversation: LOBBY, entry: seqOf(page, "hello") });
  equal(result.ok, true);
  deepEqual(rig.calls(), [["markRead", { id: "00000000000000aa", of: "SHA256:bob" }]]);
});

Deno.test("entries are given from the newest, by words, and no more than a page takes", async () => {
  await using rig = await open();
  const page = await rig.page();
  for (let i = 0; i < MAX_GIVEN + 20; i++) await rig.emit("lobby", message(BOB, `Number ${i} .`));
  const all = await page.ask("entries", { conversation: LOBBY });
  deepEqual([all.entries.length, all.more], [MAX_GIVEN, true]);
  equal(all.entries[0].text, `Number ${MAX_GIVEN + 19} .`);
  const rest = await page.ask("entries", { conversation: LOBBY, before: all.entries.at(-1).seq });
  equal(rest.more, false);
  const found = await page.ask("entries", { conversation: LOBBY, find: ". NUMBER 7 " });
  deepEqual(found.entries.map(({ text }: { text: string }) => text).at(-1), "Number 7 .");
});

Deno.test("long entries are given one at a time", async () => {
  await using rig = await open();
  const page = await rig.page();
  for (const letter of ["a", "b"]) {
    await rig.emit("lobby", message(BOB, letter.repeat(200 * 1024)));
  }
  const { entries, more } = await page.ask("entries", { conversation: LOBBY });
  deepEqual([entries.length, entries[0].text[0], more], [1, "b", true]);
});

Deno.test("a page that comes back is told only what has changed", async () => {
  await using rig = await open();
  const page = await rig.page();
  const have = Number(page.told.get("live")!.rev);
  await page.client.close();
  await rig.emit("lobby", message(BOB, "meanwhile"));
  const back = await rig.page(have);
  equal(back.told.has("self"), false);
  ok(seqOf(back, "meanwhile") > 0);
});
