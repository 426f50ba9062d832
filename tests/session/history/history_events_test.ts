import assert from "node:assert/strict";
import { concat } from "../../../lib/base/bytes.ts";
import { UsageError } from "../../../lib/base/errors.ts";
import {
  encodeEntry,
  ENTRY,
  type HistoryEntry,
  splitEntries,
} from "../../../lib/protocol/history_entry.ts";
import { encodeFingerprint } from "../../../lib/protocol/identity.ts";
import { messageReference } from "../../../lib/protocol/references.ts";
import { parseQuery, search, toEvents } from "../../../lib/session/history/history_events.ts";

const NOW = 1_700_000_000_000;
const [ANNA, BOB] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];

const EMPTY = { at: NOW, sent: NOW, flags: 0, nick: "anna", text: "", fingerprint: ANNA };

function message(number: number, text: string, more: Partial<HistoryEntry> = {}): HistoryEntry {
  const id = number.toString(16).padStart(16, "0");
  return { ...EMPTY, type: ENTRY.MESSAGE, id, at: NOW + number, text, ...more };
}

function note(about: HistoryEntry, what: number, text = "", by = ANNA): HistoryEntry {
  const reply = messageReference(about.fingerprint, about.id!);
  return { ...EMPTY, type: ENTRY.NOTE, reply, what, text, fingerprint: by };
}

function pack(...entries: HistoryEntry[]) {
  return splitEntries(concat(...entries.map(encodeEntry)));
}

function find(text: string, ...entries: HistoryEntry[]): number[] {
  return search(pack(...entries), parseQuery(text, NOW + 100), 3).map(({ at }) => at - NOW);
}

Deno.test("search() finds all words without case, the newest of them, of one nick, since a time", () => {
  const entries = [
    message(1, "The BUILD is red"),
    message(2, "red wine", { nick: "Bob", fingerprint: BOB }),
    { ...EMPTY, type: ENTRY.TOPIC, text: "red" },
    message(3, "Straße, rot"),
    message(4, "it is red again, the build", { at: NOW + 4 }),
  ];
  assert.deepEqual(find("red", ...entries), [1, 2, 4]);
  assert.deepEqual(find("build RED", ...entries), [1, 4]);
  assert.deepEqual(find("STRASSE", ...entries), []);
  assert.deepEqual(find("straße", ...entries), [3]);
  assert.deepEqual(find("red from:bob", ...entries), [2]);
  assert.deepEqual(find("from:Carl", ...entries), []);
  assert.deepEqual(find("", ...entries), [2, 3, 4]);
  const old = message(5, "red", { at: NOW - 3_600_000 });
  assert.deepEqual(find("red since:30m", old, ...entries), [1, 2, 4]);
  assert.deepEqual(find("red since:2h", old, message(6, "red")), [-3_600_000, 6]);
  for (const time of ["2", "2x", "99999d"]) {
    assert.throws(() => parseQuery(`since:${time}`, NOW), UsageError, time);
  }
});

Deno.test("toEvents() gives messages as they were, those of the user marked as own", () => {
  const first = message(1, "hello", { fingerprint: BOB, nick: "bob", flags: 9 });
  const reply = messageReference(BOB, first.id!);
  const second = message(2, "psst", { reply, to: BOB, flags: 2 });
  const all = pack(first, second);
  const time = (ms: number) => new Date(NOW + ms).toISOString();
  const plain = { event: "chat", late: false, history: true, sent: time(0) };
  assert.deepEqual(toEvents(all, all, ANNA), [
    {
      ...plain,
      id: first.id,
      nick: "bob",
      fingerprint: encodeFingerprint(BOB),
      private: false,
      action: true,
      view: "differs",
      text: "hello",
      at: time(1),
    },
    {
      ...plain,
      id: second.id,
      nick: "anna",
      fingerprint: encodeFingerprint(ANNA),
      private: true,
      action: false,
      view: "same",
      reply: first.id,
      text: "psst",
      at: time(2),
      own: true,
      to: [encodeFingerprint(BOB)],
    },
  ]);
});

Deno.test("toEvents(): of one person's notes the last reaction and the last change stand", () => {
  const [one, two] = [message(1, "one"), message(2, "two")];
  const entries = [
    note(one, 1, "👍", BOB),
    note(one, 1, "🎉", BOB),
    note(two, 1, "👍", BOB),
    note(two, 2, "", BOB),
    note(one, 3, "uno"),
    note(one, 3, "UNO"),
    note(one, 4, "", BOB), // not theirs to retract
    note(message(9, "unknown"), 1, "👍"),
    note(one, 77, "of a later program"),
  ];
  const all = pack(one, two, ...entries);
  const notes = toEvents(all.slice(0, 2), all, ANNA).filter(({ event }) => event === "note");
  assert.deepEqual(notes.map((it) => it.event === "note" && [it.ref, it.what, it.text]), [
    [one.id, "reaction", "🎉"],
    [one.id, "edit", "UNO"],
  ]);
});

Deno.test("toEvents() says whose a message is where two people used one id", () => {
  const all = pack(message(1, "mine"), message(1, "theirs", { fingerprint: BOB }));
  const [reaction] = [note(message(1, "theirs", { fingerprint: BOB }), 1, "👍")];
  const events = toEvents(all, [...all, ...pack(reaction!)], ANNA);
  assert.equal(events.length, 3);
  assert.equal(events[2]!.event === "note" && events[2]!.of, encodeFingerprint(BOB));
});

Deno.test("toEvents() leaves out what is malformed", () => {
  const good = encodeEntry(message(1, "good"));
  const bad = encodeEntry(message(2, "bad"));
  bad[bad.length - 1] = 0xff;
  const all = splitEntries(concat(bad, good));
  assert.deepEqual(toEvents(all, all, ANNA).map(({ text }) => text), ["good"]);
  assert.deepEqual(search(all, parseQuery("bad", NOW), 9), []);
});
