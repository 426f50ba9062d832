import { deepEqual, equal, match } from "node:assert/strict";
import { progressLine, unfinishedFiles } from "../../lib/ui/file_progress.ts";
import { Conversations } from "../../lib/ui/conversations.ts";
import type { FileEntry } from "../../lib/ui/conversation.ts";
import { fileEntry } from "../support/entries.ts";

const MOVING = { state: "moving", moved: 47, speed: 10 } as const;
const photos = fileEntry({ name: "photos", size: 100 }, MOVING);

Deno.test("progressLine() says how far the newest file is", () => {
  equal(
    progressLine([photos], { utf8: true }),
    "3 photos from bob  ━━━━━━━─────────  47 %  10 B/s  6 s left",
  );
  equal(
    progressLine([photos], { utf8: false }),
    "3 photos from bob  #######---------  47 %  10 B/s  6 s left",
  );
  const own = fileEntry({ own: true, name: "a\nb", size: null, number: 4 }, {
    ...MOVING,
    speed: 0,
  });
  equal(
    progressLine([photos, own], { utf8: true }),
    "4 a⟨000A⟩b to bob  47 B  0 B/s  and 1 more",
  );
});

Deno.test("progressLine() is empty where nothing moves", () => {
  equal(progressLine([], { utf8: true }), "");
  equal(progressLine([fileEntry(), fileEntry({}, { state: "paused" })], { utf8: true }), "");
});

Deno.test("unfinishedFiles() names what goes on at the next start, and not without end", () => {
  const conversations = new Conversations();
  const room = conversations.open("room:lobby", "lobby");
  const add = (entry: FileEntry) => conversations.add<FileEntry>(room, entry);
  add(fileEntry());
  add(fileEntry({}, { state: "done" }));
  deepEqual(unfinishedFiles(conversations.list), []);
  add(photos);
  add(fileEntry({ own: true, size: null }, { state: "waiting" }, { state: "declined" }));
  deepEqual(unfinishedFiles(conversations.list), [
    "photos from bob is not complete (47 %); it goes on when both of you are here again",
    "release-note.pdf to bob is not complete; as its size is not known, it has to be sent again",
  ]);
  for (let i = 0; i < 9; i++) add(photos);
  const lines = unfinishedFiles(conversations.list);
  equal(lines.length, 6);
  match(lines.at(-1)!, /^and 6 more files$/);
});

Deno.test("unfinishedFiles() names what one person has offered another and waits for an answer", () => {
  const conversations = new Conversations();
  const bob = conversations.open("person:SHA256:bob", "bob");
  for (const own of [true, false]) conversations.add<FileEntry>(bob, fileEntry({ own }));
  conversations.add<FileEntry>(bob, fileEntry({}, { state: "declined" }));
  deepEqual(unfinishedFiles(conversations.list), [
    "release-note.pdf to bob was not accepted; send it again when you are back",
    "release-note.pdf from bob waits for your answer; you are asked again when both of you are here",
  ]);
});
