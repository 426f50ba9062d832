import assert from "node:assert/strict";
import type { ChatControls, RoomControls, Screen } from "../../lib/ui/command_row.ts";
import { Conversations } from "../../lib/ui/conversations.ts";
import { MessageLog } from "../../lib/ui/message_log.ts";
import { Requests } from "../../lib/ui/requests.ts";
import { withDefaults } from "../../lib/ui/settings.ts";
import { ANNA, FakeServer, person } from "../support/fake_rooms.ts";

/** What was asked for by lines that anna types in a room, or in the conversation with bob. */
function makeRoom({ isFull = false, kept = [] as string[] } = {}) {
  const asked: string[] = [];
  const server = new FakeServer();
  const context = server.open("lobby");
  server.rooms.get("lobby")!.people = [person("bob")];
  const conversations = new Conversations();
  const lobby = conversations.open("room:lobby", "lobby");
  const bob = conversations.open("person:SHA256:bob", "bob");
  const controls: RoomControls = {
    join: (room) => asked.push(`join ${room}`),
    part: (room) => asked.push(`part ${room}`),
    list: () => [
      { room: "lobby", connection: "online", others: 1 },
      { room: "build", connection: "offline", others: 3 },
    ],
  };
  const requests = new Requests({
    context,
    controls,
    place: { log: new MessageLog(ANNA) },
    screen: { isFull, settings: withDefaults({ rooms: kept }) } as Screen,
    quit: () => {},
  });
  const take = (line: string, conversation = lobby) => {
    const chat: ChatControls = {
      conversation,
      query: ({ fingerprint }) => asked.push(`query ${fingerprint}`),
      close: () => asked.push("close"),
      clear: () => {},
      names: () => [],
    };
    const to = conversation === bob ? person("bob") : undefined;
    return requests.take(line, { log: new MessageLog(ANNA), to, chat });
  };
  const { calls } = server.rooms.get("lobby")!;
  return { asked, take, lobby, bob, calls, session: context.session };
}

Deno.test("/join and /part name rooms as they are typed", () => {
  const { asked, take, bob } = makeRoom();
  assert.deepEqual(take("/join #Build").values, { room: "build" });
  assert.equal(take("/part").lines, "you have left lobby");
  assert.equal(take("/part BUILD").lines, "you have left build");
  assert.deepEqual(asked.splice(0), ["join build", "part lobby", "part build"]);
  assert.throws(() => take("/part", bob), /say which room to leave/);
  assert.throws(() => take("/join #"), /this room name is empty/);
  assert.deepEqual(asked, []);
});

Deno.test("/list lists the rooms that are open, and those that are kept", () => {
  const { take } = makeRoom({ kept: ["lobby", "attic"] });
  const { lines, values } = take("/list");
  assert.deepEqual(lines, [
    "lobby  one other",
    "build  offline",
    "attic  not open: /join opens it",
    "nobody can list others: the server does not know the names of rooms",
  ]);
  assert.equal((values!.rooms as unknown[]).length, 2);
});

Deno.test("/query turns to somebody, and /close closes a private conversation only", () => {
  const { asked, take, bob } = makeRoom();
  take("/query bob");
  take("/close", bob);
  assert.deepEqual(asked, ["query SHA256:bob", "close"]);
  assert.throws(() => take("/query carl"), /nobody here is called carl/);
  assert.throws(() => take("/close"), /this is no private conversation/);
});

Deno.test("/msg turns to the conversation on the full screen only", () => {
  const plain = makeRoom();
  plain.take("/msg bob hi");
  assert.deepEqual(plain.asked, []);
  const full = makeRoom({ isFull: true });
  full.take("/msg bob hi");
  assert.deepEqual(full.asked, ["query SHA256:bob"]);
  assert.deepEqual(full.calls.map(([method, to]) => `${method} ${to}`), [
    "sendPrivate SHA256:bob",
  ]);
});

Deno.test("/notify is of one conversation", () => {
  const { take, lobby, bob } = makeRoom();
  assert.equal(take("/notify").lines, "you are told of mentions here");
  assert.equal(take("/notify nothing").lines, "you are told of nothing here");
  assert.deepEqual([lobby.notify, bob.notify], ["nothing", "all"]);
});

Deno.test("/invite with a nick sends the line to that person", () => {
  const { take, calls } = makeRoom();
  take("/invite bob");
  assert.deepEqual(calls.map((call) => call.slice(0, 3)), [
    ["sendPrivate", "SHA256:bob", "./client --host x"],
  ]);
});

Deno.test("/info names the present host, and what this computer does when it is gone", () => {
  const { take, session } = makeRoom();
  const place = { fingerprint: "SHA256:bob", address: "10.0.0.2", port: 80, name: "10.0.0.2:80" };
  Object.assign(session, {
    standing: { isFirst: false, host: "SHA256:bob", standBys: [ANNA], place, own: "stands by" },
  });
  const { lines, values } = take("/info");
  assert.deepEqual([values?.address, values?.server, values?.serving], [
    ...[place.name, place.fingerprint, false],
  ]);
  assert.match(
    [lines].flat().join("\n"),
    /carries on {2}bob hosts, .*stands by\n.*this computer stands by:/,
  );
  const other = { host: ANNA, standBys: [ANNA], place, isFirst: true, own: "stands by" };
  Object.assign(session, { standing: other });
  const here = take("/info");
  assert.equal(here.values?.address, "x:1");
  assert.match([here.lines].flat().join("\n"), /your other client hosts, this computer stands by/);
});
