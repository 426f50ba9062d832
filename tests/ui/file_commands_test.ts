import assert from "node:assert/strict";
import type { FileRow, Session, Transfers } from "../../lib/session/mod.ts";
import type { ChatControls } from "../../lib/ui/command_row.ts";
import type { FileEntry } from "../../lib/ui/conversation.ts";
import { Conversations } from "../../lib/ui/conversations.ts";
import { MessageLog } from "../../lib/ui/message_log.ts";
import { Client, Requests } from "../../lib/ui/requests.ts";
import { fileEntry } from "../support/entries.ts";
import { ANNA, FakeServer, person } from "../support/fake_rooms.ts";

/** Anna in two rooms; a transfer of each number is under way in the second one. */
function makeRooms(...numbers: number[]) {
  const asked: string[] = [];
  const server = new FakeServer();
  const client = new Client();
  const place = { log: new MessageLog(ANNA) };
  const open = (name: string, rows: number[]) => {
    const record = (what: string) => (number: number | undefined) =>
      void asked.push(`${what} ${number} in ${name}`);
    const transfers = {
      accept: record("accept"),
      decline: record("decline"),
      cancel: record("cancel"),
      rows: () => rows.map((number) => ({ number }) as FileRow),
    } as unknown as Transfers;
    const context = server.open(name);
    const files = { transfers: () => Promise.resolve(transfers) } as Session["files"];
    const session = Object.assign(context.session, { files });
    return new Requests({ context: { ...context, session }, client, place, quit: () => {} });
  };
  const requests = open("lobby", []);
  open("build", numbers);
  const conversations = new Conversations();
  const lobby = conversations.open("room:lobby", "lobby");
  const bob = conversations.open("person:SHA256:bob", "bob");
  const take = async (line: string, conversation = lobby) => {
    const chat = { conversation } as ChatControls;
    const to = conversation === bob ? person("bob") : undefined;
    await requests.take(line, { ...place, to, chat }).later;
    return asked.splice(0);
  };
  const offer = (where: typeof lobby, number: number, state: "offered" | "done" = "offered") =>
    conversations.add<FileEntry>(where, fileEntry({ number }, { state }));
  return { take, lobby, bob, offer };
}

Deno.test("a number means a transfer of whichever room", async () => {
  const { take } = makeRooms(3, 4);
  assert.deepEqual(await take("/accept 3"), ["accept 3 in build"]);
  assert.deepEqual(await take("/decline 4"), ["decline 4 in build"]);
  assert.deepEqual(await take("/cancel 4"), ["cancel 4 in build"]);
  // The room where it was typed says that there is none.
  assert.deepEqual(await take("/cancel 9"), ["cancel 9 in lobby"]);
});

Deno.test("without a number the newest offer of the conversation is meant, and no other", async () => {
  const { take, lobby, bob, offer } = makeRooms(1, 2, 3, 4);
  offer(lobby, 1);
  offer(lobby, 2);
  offer(lobby, 3, "done");
  offer(bob, 4);
  assert.deepEqual(await take("/accept", lobby), ["accept 2 in build"]);
  assert.deepEqual(await take("/decline", bob), ["decline 4 in build"]);
  const { take: elsewhere } = makeRooms(1);
  await assert.rejects(elsewhere("/accept"), /nothing is offered here/);
});
