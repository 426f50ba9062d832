import assert from "node:assert/strict";
import type { MessageEntry } from "../../lib/ui/conversation.ts";
import { Conversations } from "../../lib/ui/conversations.ts";
import { READ_MS, Reading } from "../../lib/ui/reading.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("Reading takes as read what was on the screen for 2 s after a key, once", async () => {
  const clock = new FakeClock();
  const model = new Conversations();
  const room = model.open("room:lobby", "lobby");
  model.show(room);
  const read: string[] = [];
  const reading = new Reading({ clock, model, read: (_, { id }) => void read.push(id) });
  const add = (id: string) =>
    model.add<MessageEntry>(room, {
      type: "message",
      id,
      at: 0,
      from: "SHA256:x",
      nick: "bob",
      trust: "new",
      own: false,
      via: "lobby",
      action: false,
      text: id,
      mention: false,
      view: "same",
      reactions: new Map(),
      edited: false,
      retracted: false,
    });
  reading.touch();
  add("one");
  await clock.advance(READ_MS);
  assert.deepEqual(read, []); // no key since
  reading.touch();
  add("two");
  await clock.advance(READ_MS);
  assert.deepEqual(read, ["one"]);
  reading.touch();
  model.look(false);
  await clock.advance(READ_MS);
  assert.deepEqual(read, ["one"]); // the user has turned away
  model.look(true);
  reading.touch();
  await clock.advance(READ_MS);
  reading.touch();
  await clock.advance(READ_MS);
  assert.deepEqual(read, ["one", "two"]);
  reading.close();
});
