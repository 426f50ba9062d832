import assert from "node:assert/strict";
import type { SessionEvent } from "../../lib/session/mod.ts";
import { MessageLog } from "../../lib/ui/message_log.ts";

const ANNA = "SHA256:anna";
const BOB = "SHA256:bob";

function chat(id: string, text: string, fields: { private?: boolean; of?: string } = {}) {
  return {
    event: "chat",
    id,
    nick: "bob",
    fingerprint: fields.of ?? BOB,
    sent: "2026-01-01T00:00:00.000Z",
    private: fields.private ?? false,
    action: false,
    late: false,
    view: "same",
    text,
  } satisfies SessionEvent;
}

function sent(id: string, text: string, to: string[] = [BOB], isPrivate = false): SessionEvent {
  return { event: "sent", id, text, private: isPrivate, action: false, to };
}

Deno.test("MessageLog finds messages by id, by number, and the newest of either side", () => {
  const log = new MessageLog(ANNA);
  assert.equal(log.newest({ isOwn: true }), undefined);
  for (const event of [chat("1", "one"), sent("2", "two"), chat("3", "three")]) log.take(event);
  assert.equal(log.find({ id: "1" })?.text, "one");
  assert.equal(log.find({ id: "4" }), undefined);
  assert.deepEqual([1, 2, 3].map((count) => log.back(count)?.text), ["three", "two", "one"]);
  assert.deepEqual([log.back(0), log.back(4)], [undefined, undefined]);
  assert.equal(log.newest({ isOwn: true })?.text, "two");
  assert.equal(log.newest({ isOwn: false })?.text, "three");
});

Deno.test("MessageLog tells apart whose message has an id that two people used", () => {
  const log = new MessageLog(ANNA);
  for (const event of [chat("1", "of bob"), chat("1", "of eve", { of: "SHA256:eve" })]) {
    log.take(event);
  }
  assert.equal(log.find({ id: "1" })?.text, "of bob");
  assert.equal(log.find({ id: "1", of: "SHA256:eve" })?.text, "of eve");
});

Deno.test("MessageLog counts what the user wrote in another terminal as the user's own", () => {
  const log = new MessageLog(ANNA);
  log.take(chat("1", "elsewhere", { of: ANNA }));
  assert.equal(log.newest({ isOwn: true })?.text, "elsewhere");
});

Deno.test("MessageLog knows the other side of a private message", () => {
  const log = new MessageLog(ANNA);
  const events = [
    chat("1", "psst", { private: true }),
    sent("2", "yes?", [BOB], true),
    sent("3", "to myself", [], true),
    sent("4", "to all"),
  ];
  for (const event of events) log.take(event);
  assert.deepEqual(
    ["1", "2", "3", "4"].map((id) => log.find({ id })?.other),
    [BOB, BOB, ANNA, undefined],
  );
});

Deno.test("MessageLog applies notes: edits, retractions, and reactions of the user's own", () => {
  const log = new MessageLog(ANNA);
  for (const event of [chat("1", "first"), chat("2", "second")]) log.take(event);
  const note = { event: "note", private: false, nick: "bob", fingerprint: BOB } as const;
  log.take({ ...note, ref: "2", what: "edit", text: "better" });
  log.take({ ...note, ref: "2", what: "reaction", text: "👍" });
  const second = log.find({ id: "2" })!;
  assert.deepEqual([second.text, second.reaction], ["better", ""]);
  log.take({ ...note, ref: "2", what: "reaction", text: "👎", fingerprint: ANNA });
  assert.equal(second.reaction, "👎");
  log.apply(second, "unreaction", { text: "" });
  assert.equal(second.reaction, "");
  log.take({ ...note, ref: "2", what: "retraction", text: "" });
  assert.equal(log.newest({ isOwn: false })?.text, "first");
  log.take({ ...note, ref: "unknown", what: "retraction", text: "" });
});

Deno.test("MessageLog remembers the last 1000 messages", () => {
  const log = new MessageLog(ANNA);
  for (let i = 0; i < 1001; i++) log.take(chat(String(i), `message ${i}`));
  assert.equal(log.find({ id: "0" }), undefined);
  assert.equal(log.back(1000)?.text, "message 1");
  assert.equal(log.back(1001), undefined);
});

Deno.test("MessageLog knows no hearsay: it can be neither answered nor changed", () => {
  const log = new MessageLog("SHA256:me");
  const chat = {
    event: "chat",
    id: "0".repeat(16),
    nick: "bob",
    fingerprint: "SHA256:bob",
    sent: "2026-01-01T00:00:00.000Z",
    private: false,
    action: false,
    late: false,
    view: "same",
    text: "hi",
  } as const;
  log.take({ ...chat, missed: true, hearsay: ["SHA256:carl"] });
  assert.equal(log.back(1), undefined);
  log.take(chat);
  assert.equal(log.back(1)!.text, "hi");
});
