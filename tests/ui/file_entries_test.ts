import assert from "node:assert/strict";
import type { FileEvent, FileRow, Session, TransferFailedEvent } from "../../lib/session/mod.ts";
import {
  type Conversation,
  type FileEntry,
  isOpenOffer,
  personId,
} from "../../lib/ui/conversation.ts";
import { Conversations } from "../../lib/ui/conversations.ts";
import { FileEntries } from "../../lib/ui/file_entries.ts";
import { FakeClock } from "../support/fake_clock.ts";

const BOB = "SHA256:bob";
const OFFER = {
  event: "offer",
  number: 3,
  id: "aa".repeat(16),
  nick: "bob",
  fingerprint: BOB,
  trust: "known",
  room: true,
  private: false,
  kind: "file",
  name: "report.pdf",
  size: 1000,
  files: 1,
  executable: false,
} as const;
const OFFERED = {
  event: "offered",
  number: 4,
  id: "bb".repeat(16),
  name: "photos",
  size: 1000,
  files: 118,
  to: [BOB, "SHA256:carl"],
  room: true,
  leftOut: 0,
} as const;
const MOVING = {
  event: "transfer",
  number: 3,
  id: OFFER.id,
  direction: "in",
  fingerprint: BOB,
  name: "report.pdf",
  state: "direct",
  bytes: 100,
  size: 1000,
  rate: 50,
} as const;
const FAILED = { ...MOVING, event: "transferfailed", code: "cancelled", detail: "" } as const;
const RECEIVED = {
  ...MOVING,
  event: "received",
  path: "/me/Downloads/report.pdf",
  bytes: 1000,
  took: 900,
  skipped: 0,
} as const;

/** The files of a room, and the conversations that they fill. */
function makeFiles({ ignored = [] as string[], hidden = [] as string[] } = {}) {
  const clock = new FakeClock();
  const conversations = new Conversations();
  const room = conversations.open("room:lobby", "lobby");
  conversations.show(room);
  const rows: FileRow[] = [];
  const files = new FileEntries({
    clock,
    conversations,
    room,
    context: {
      session: {
        nick: "anna",
        files: { transfers: () => Promise.resolve({ rows: () => rows }) },
      } as unknown as Session,
      fingerprint: "SHA256:anna",
      fileFolder: "~/Downloads",
      showPath: (path) => path.replace("/me", "~"),
    },
    openPerson: ({ fingerprint, nick }) => conversations.open(personId(fingerprint), nick),
    nickOf: (person) => person.slice("SHA256:".length),
    trustOf: () => "known",
    ignores: (person) => ignored.includes(person),
    hides: (level) => hidden.includes(level),
  });
  const remarks: string[] = [];
  conversations.listen((change) => {
    if (change.type === "remark") remarks.push(change.notice.text);
  });
  const entryOf = (number: number, conversation: Conversation = room) =>
    conversation.entries.find((entry): entry is FileEntry =>
      entry.type === "file" && entry.number === number
    )!;
  const take = (...events: FileEvent[]) => events.forEach((event) => files.take(event));
  return { clock, conversations, room, files, rows, remarks, entryOf, take };
}

const stateOf = ({ transfers }: FileEntry) => transfers.map(({ state }) => state);

Deno.test("an offer to the room is an entry there, and a sentence for who cannot see it", () => {
  const { take, entryOf, remarks, room, conversations } = makeFiles();
  conversations.look(false);
  take(OFFER);
  const { nick, trust, own, name, size, transfers, folder, text } = entryOf(3);
  assert.deepEqual({ nick, trust, own, name, size, folder, text }, {
    nick: "bob",
    trust: "known",
    own: false,
    name: "report.pdf",
    size: 1000,
    folder: "~/Downloads",
    text: "offers “report.pdf”, 1.0 kB",
  });
  assert.equal(transfers.length, 1);
  assert.deepEqual(remarks, ["bob offers the room (3): “report.pdf”, 1.0 kB"]);
  assert.deepEqual([room.unread, room.urgent], [1, 1]);
  assert.equal(conversations.firstNew(room), entryOf(3).seq);
});

Deno.test("an offer to the user alone, and an own one to one person, are with that person", () => {
  const { take, entryOf, room, conversations } = makeFiles();
  take({ ...OFFER, room: false, private: true }, { ...OFFERED, room: false, to: [BOB] });
  const bob = conversations.find(personId(BOB))!;
  assert.equal(room.entries.length, 0);
  assert.equal(isOpenOffer(entryOf(3, bob)), true);
  assert.equal(isOpenOffer(entryOf(4, bob)), false);
  assert.equal(bob.unread, 1);
});

Deno.test("a file is followed from its offer to its place", () => {
  const { take, entryOf } = makeFiles();
  take(OFFER, { ...MOVING, state: "waiting", bytes: 0 });
  const entry = entryOf(3);
  assert.deepEqual(stateOf(entry), ["waiting"]);
  take(MOVING);
  const [transfer] = entry.transfers;
  const { state, moved, speed } = transfer!;
  assert.deepEqual({ state, moved, speed }, { state: "moving", moved: 100, speed: 50 });
  take({ ...MOVING, state: "relayed" });
  assert.equal(transfer!.note, "through the server");
  take({ ...MOVING, state: "paused" });
  assert.equal(transfer!.note, "paused; it goes on when bob is back");
  const { version } = entry;
  take(RECEIVED);
  assert.ok(entry.version > version);
  assert.deepEqual(stateOf(entry), ["done"]);
  assert.equal(transfer!.note, "kept as ~/Downloads/report.pdf");
  assert.equal(entry.kept, RECEIVED.path);
});

Deno.test("an own offer to the room follows each receiver", () => {
  const { take, entryOf } = makeFiles();
  const out = { ...MOVING, number: 4, direction: "out" } as const;
  take(OFFERED, out, { ...FAILED, ...out, event: "transferfailed", fingerprint: "SHA256:carl" });
  const entry = entryOf(4);
  assert.equal(entry.kind, "folder");
  assert.deepEqual(stateOf(entry), ["moving", "declined"]);
  take({ ...RECEIVED, ...out, event: "sentfile", bytes: 1000, took: 900, skipped: 1 });
  assert.deepEqual(stateOf(entry), ["done", "declined"]);
  assert.equal(
    entry.transfers[0]!.note,
    "bob has it: 1.0 kB in 0.9 s; 1 entry could not be read there",
  );
});

Deno.test("a transfer that did not end well says why, and what to do", () => {
  const rows: [Partial<TransferFailedEvent>, string, string][] = [
    [{}, "declined", "cancelled"],
    [
      { code: "disk-full", missing: 5000 },
      "offered",
      "the disk is full: 5.0 kB more are needed; then /accept 3",
    ],
    [{ code: "disk-full", direction: "out" }, "paused", "paused: bob's disk is full"],
    [{ code: "lost" }, "failed", "bob was away for too long; /send it again"],
    [
      { code: "changed" },
      "failed",
      "it has changed since; ask bob to send it again",
    ],
    [
      { code: "unreadable", direction: "out", detail: "EIO" },
      "failed",
      "it cannot be read any more: EIO",
    ],
  ];
  for (const [some, state, note] of rows) {
    const { take, entryOf } = makeFiles();
    take(OFFER, MOVING, { ...FAILED, ...some });
    assert.deepEqual(stateOf(entryOf(3)), [state]);
    assert.equal(entryOf(3).transfers[0]!.note, note);
  }
});

Deno.test("what ends far above is told below, and once", () => {
  const { take, room, conversations, remarks } = makeFiles();
  take(OFFER, MOVING);
  conversations.addNotice(room, { level: "info", text: "hm", hint: "" }, 0);
  remarks.length = 0;
  take(RECEIVED);
  assert.equal(
    room.entries.at(-1)!.text,
    "received from bob (3): ~/Downloads/report.pdf, 1.0 kB in 0.9 s",
  );
  assert.deepEqual(remarks, []);
});

Deno.test("a transfer of an earlier run goes on in the person's conversation, as nothing new", () => {
  const { take, entryOf, conversations, room } = makeFiles();
  take(MOVING);
  assert.equal(room.entries[0]!.text, "report.pdf from bob (3) goes on");
  const bob = conversations.find(personId(BOB))!;
  assert.deepEqual(stateOf(entryOf(3, bob)), ["moving"]);
  assert.equal(bob.unread, 0);
});

Deno.test("while a file moves, its progress is looked at five times a second", async () => {
  const { take, entryOf, rows, clock, files } = makeFiles();
  take(OFFER, MOVING);
  const [transfer] = entryOf(3).transfers;
  const row = {
    number: 3,
    direction: "in",
    person: BOB,
    name: "report.pdf",
    size: 1000,
    state: "direct",
  } as const;
  rows.push({ ...row, bytes: 300, rate: 70 });
  await clock.advance(200);
  assert.deepEqual([transfer!.moved, transfer!.speed], [300, 70]);
  rows[0] = { ...row, bytes: 500, rate: 80 };
  await clock.advance(200);
  assert.equal(transfer!.moved, 500);
  take(RECEIVED);
  await clock.advance(200);
  assert.equal(transfer!.moved, 1000);
  assert.equal(clock.timers, 0, "nothing is looked at any more");
  files.close();
});

Deno.test("nothing is told of a file of somebody who is ignored, nor by whoever wants no notices", () => {
  const quiet = makeFiles({ hidden: ["info"] });
  quiet.take(OFFERED);
  assert.deepEqual(quiet.remarks, []);
  const { take, room } = makeFiles({ ignored: [BOB] });
  take(FAILED);
  assert.equal(room.entries.length, 0);
  const other = makeFiles();
  other.take({ ...FAILED, code: "name" });
  assert.equal(other.room.entries[0]!.text, "bob offered a file whose name cannot be kept here");
});
