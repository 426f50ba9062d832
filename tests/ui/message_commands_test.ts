import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import type { Person, Session, SessionEvent } from "../../lib/session/mod.ts";
import type { Screen } from "../../lib/ui/command_row.ts";
import type { FaceContext } from "../../lib/ui/face.ts";
import { MessageLog } from "../../lib/ui/message_log.ts";
import { Requests, type SentMessage } from "../../lib/ui/requests.ts";

const ANNA = "SHA256:anna";
const BOB = { nick: "bob", fingerprint: "SHA256:bob" } as Person;

function chat(id: string, text: string, isPrivate = false): SessionEvent {
  return {
    event: "chat",
    id,
    nick: "bob",
    fingerprint: "SHA256:bob",
    sent: "2026-01-01T00:00:00.000Z",
    private: isPrivate,
    action: false,
    late: false,
    view: "same",
    text,
  };
}

function sent(id: string, text: string): SessionEvent {
  return { event: "sent", id, text, private: false, action: false, to: ["SHA256:bob"] };
}

/** What anna asks for after some events, and what the session was called with. */
function makeRoom(...events: SessionEvent[]) {
  return makeRoomOn(undefined, ...events);
}

/** The same with a screen. */
function makeRoomOn(screen: Screen | undefined, ...events: SessionEvent[]) {
  const calls: unknown[][] = [];
  const accepted: SentMessage[] = [];
  const session = {
    topic: "",
    blocked: false,
    find(name: string) {
      if (name !== BOB.fingerprint) throw new UsageError(`nobody here is called ${name}`);
      return BOB;
    },
    say: (...args: unknown[]) => `id ${calls.push(["say", ...args])}`,
    sendPrivate: (...args: unknown[]) => `id ${calls.push(["sendPrivate", ...args])}`,
    sendNote: (...args: unknown[]) => calls.push(args),
    setTopic(text: string) {
      session.topic = text;
    },
  };
  const log = new MessageLog(ANNA);
  for (const event of events) log.take(event);
  const requests = new Requests({
    context: { session: session as unknown as Session } as FaceContext,
    place: { log },
    ...(screen && { screen }),
    accepted: (_id, message) => accepted.push(message),
    quit: () => {},
  });
  return { calls, accepted, requests, session };
}

const ID = "0".repeat(15);
const about = (id: string, of = "SHA256:bob") => ({ id, of });

Deno.test("/react means the newest message of somebody else, or the one that is given", () => {
  const { calls, requests } = makeRoom(
    chat(`${ID}1`, "one"),
    chat(`${ID}2`, "two"),
    sent("3", "x"),
  );
  const { lines, values } = requests.take("/react 👍");
  assert.equal(lines, "you reacted 👍 to “two” of bob");
  assert.deepEqual(values, { ...about(`${ID}2`), what: "reaction", text: "👍" });
  assert.equal(requests.take("/react 1 🎉").lines, "you reacted 🎉 to your “x”");
  assert.equal(requests.take(`/react ${ID}1 ❤️`).lines, "you reacted ❤️ to “one” of bob");
  assert.deepEqual(calls, [
    [about(`${ID}2`), "reaction", "👍"],
    [about("3", ANNA), "reaction", "🎉"],
    [about(`${ID}1`), "reaction", "❤️"],
  ]);
});

Deno.test("/react with the same again takes it back", () => {
  const { calls, requests } = makeRoom(chat("1", "one"));
  requests.take("/react 👍");
  requests.take("/react 🎉");
  assert.equal(
    requests.take("/react 🎉").lines,
    "you took back your reaction to “one” of bob",
  );
  requests.take("/react 🎉");
  assert.deepEqual(calls.map(([, what, text]) => [what, text]), [
    ["reaction", "👍"],
    ["reaction", "🎉"],
    ["unreaction", ""],
    ["reaction", "🎉"],
  ]);
});

Deno.test("/react and /quote refuse a message that is not there", () => {
  const { requests } = makeRoom(sent("1", "x"));
  assert.throws(() => requests.take("/react 👍"), /nobody else has written anything yet/);
  for (const which of ["0", "2", "99999999999", `${ID}1`]) {
    assert.throws(() => requests.take(`/react ${which} 👍`), /there is no such message/);
    assert.throws(() => requests.take(`/quote ${which} yes`), /there is no such message/);
  }
});

Deno.test("/quote answers a message in the room, and a private one privately", () => {
  const { accepted, calls, requests } = makeRoom(chat("1", "shall we?"), chat("2", "psst", true));
  assert.deepEqual(requests.take("/quote 2 yes").values, {
    id: "id 1",
    reply: "1",
    of: BOB.fingerprint,
  });
  requests.take("/quote what?");
  assert.deepEqual(calls, [
    ["say", "yes", { action: false, ref: undefined, reply: about("1") }],
    ["sendPrivate", BOB.fingerprint, "what?", { ref: undefined, reply: about("2") }],
  ]);
  assert.deepEqual(
    accepted.map(({ to, reply }) => [to?.nick, reply?.id]),
    [[undefined, "1"], ["bob", "2"]],
  );
});

Deno.test("/edit and /retract change the user's newest message that was not taken back", () => {
  const { calls, requests } = makeRoom(sent("1", "one"), sent("2", "two"), chat("3", "three"));
  assert.equal(requests.take("/edit zwei").lines, "you changed “two” to: zwei");
  assert.equal(requests.take("/retract").lines, "you took back “zwei”");
  requests.take("/retract");
  assert.throws(() => requests.take("/retract"), /you have not sent a message yet/);
  assert.throws(() => requests.take("/edit x"), /you have not sent a message yet/);
  assert.deepEqual(calls, [
    [about("2", ANNA), "edit", "zwei"],
    [about("2", ANNA), "retraction", ""],
    [about("1", ANNA), "retraction", ""],
  ]);
});

Deno.test("/topic shows, sets and removes the topic", () => {
  const { requests, session } = makeRoom();
  assert.equal(requests.take("/topic").lines, "there is no topic");
  assert.deepEqual(requests.take("/topic the weather "), { values: { topic: "the weather" } });
  assert.equal(requests.take("/topic").lines, "topic: the weather");
  requests.take("/topic -");
  assert.equal(session.topic, "");
});

Deno.test("On the full screen the message itself shows what was done to it", () => {
  const { requests } = makeRoomOn({ isFull: true } as Screen, chat("1", "one"), sent("2", "two"));
  for (const line of ["/react 👍", "/edit zwei", "/retract"]) {
    assert.equal(requests.take(line).lines, "");
  }
});
