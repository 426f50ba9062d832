/**
 * Identities and conflicts with real programs, across restarts. The first conflict, `--strict`, the digits and an allow
 * list that is reread are in conversations/chat.ts and conversations/server.ts; a server with another key is in
 * conversations/reconnect.ts.
 */
import assert from "node:assert/strict";
import { fingerprintOf, type Program, testConversations, type World } from "../support/programs.ts";

/** `?` and the start of the key: shown for a member whose nick is in conflict. */
function keyName(fingerprint: unknown): string {
  return `?${String(fingerprint).slice(7, 11)}`;
}

async function changeAKey(world: World): Promise<void> {
  await world.server();
  const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
  await ann.command("/verify bob yes");
  await ann.waitFor("notice", { text: "bob is now verified" });
  assert.deepEqual(await Promise.all([ann.leave(), bob.leave()]), [0, 0]);

  const strict = await world.client("ann", { args: ["--strict"] });
  const changed = await world.client("bob", { home: "bob_with_another_key" });
  const joined = await strict.waitFor("joined");
  const key = await fingerprintOf("bob_with_another_key");
  assert.deepEqual([joined.nick, joined.trust, joined.fingerprint], ["bob", "conflict", key]);
  await strict.say({ type: "private", to: "bob", text: "alone", ref: "private" });
  assert.match(
    String((await strict.waitFor("error", { ref: "private" })).message),
    /known nick with another key/,
  );
  await strict.say({ type: "chat", text: "to all", ref: "room" });
  const { id } = await strict.waitFor("sent", { ref: "room" });
  await strict.waitFor("undelivered", { id, to: [] });

  // Accepted is not verified, and a conflict stays one over restarts until then.
  await strict.leave();
  const again = await world.client("ann", { args: ["--strict"] });
  assert.equal((await again.waitFor("joined")).trust, "conflict");
  await again.command("/trust bob");
  await again.waitFor("notice", { text: `bob now has the key ${key}` });
  await again.say({ type: "private", to: "bob", text: "alone", ref: "accepted" });
  assert.match(
    String((await again.waitFor("error", { ref: "accepted" })).message),
    /not verified, and --strict is on/,
  );
  await again.command("/verify bob yes");
  await again.say({ type: "private", to: "bob", text: "at last" });
  await changed.waitFor("chat", { text: "at last", private: true });
  assert.deepEqual(changed.all("chat").map(({ text }) => text), ["at last"]);

  // The key of before is now the other one, however well it was known.
  const old = await world.client("bob");
  const back = await again.waitFor("joined", { fingerprint: await fingerprintOf("bob") });
  assert.equal(back.trust, "conflict");
  await old.leave();
}

async function useTwoComputers(world: World): Promise<void> {
  await world.server();
  const [ann, first] = await world.gather("ann", "bob") as [Program, Program];
  const [one, two] = [await fingerprintOf("bob"), await fingerprintOf("bob_at_home")];
  await ann.command("/verify bob");
  await ann.command("/verify bob yes");
  const second = await world.client("bob", { home: "bob_at_home" });
  assert.equal((await ann.waitFor("joined", { fingerprint: two })).trust, "conflict");
  await ann.command(`/verify ${two}`);
  await ann.command(`/verify ${two} yes`);
  await ann.waitFor("trust", { fingerprint: two, trust: "verified" });
  const check = async (client: Program) => {
    for (const [key, bob] of [[one, first], [two, second]] as const) {
      await client.say({ type: "private", to: key, text: `for ${key}` });
      await bob.waitFor("chat", { text: `for ${key}`, private: true });
    }
  };
  await check(ann);
  assert.deepEqual(ann.all("trust").map(({ trust }) => trust), ["verified", "verified"]);
  await ann.leave();

  const again = await world.client("ann");
  for (const key of [one, two]) {
    assert.equal((await again.waitFor("joined", { fingerprint: key })).trust, "verified");
  }
  // Both are verified, so /trust asks; it takes the nick only if told to.
  await again.say({ type: "command", text: `/trust ${two}`, ref: "ask" });
  const asked = await again.waitFor("result", { ref: "ask" });
  assert.equal(asked.trust, "verified");
  assert.ok(again.all("notice").some(({ text }) => String(text).includes(`verified: ${one}`)));
  await again.say({ type: "command", text: `/trust ${two} only`, ref: "only" });
  await again.waitFor("trust", { fingerprint: one, trust: "conflict" });
  await again.say({ type: "command", text: `/trust ${one} yes`, ref: "yes" });
  await again.waitFor("trust", { fingerprint: one, trust: "verified" });
}

async function moveAServer(world: World): Promise<void> {
  const server = await world.server();
  const ann = await world.client("ann");
  assert.deepEqual(ann.all("notice").filter(({ text }) => /new address/.test(String(text))), []);
  await ann.leave();
  const args = ["--host", "localhost", "--port", `${server.port}`, "--json"];
  const moved = world.start("client", { args, home: world.path("ann") });
  assert.equal((await moved.waitFor("connected")).server, "known");
  const text = `localhost:${server.port} is a new address of a known server: ` +
    `its key is that of 127.0.0.1:${server.port}`;
  await moved.waitFor("notice", { text });
}

async function takeANick(world: World): Promise<void> {
  await world.server();
  const [ann, , eve] = await world.gather("ann", "bob", "eve") as [Program, Program, Program];
  const bob = world.path("bob");
  await eve.command("/nick BOB");
  const key = await fingerprintOf("eve");
  const renamed = await ann.waitFor("nick", { fingerprint: key });
  assert.equal(renamed.nick, `BOB#${key.slice(7, 11)}`);
  await ann.waitFor("notice", { text: `${renamed.nick} is a known nick, but with another key` });
  await ann.say({ type: "private", to: "bob", text: "which?", ref: "a" });
  assert.match(String((await ann.waitFor("error", { ref: "a" })).message), /more than one person/);
  await ann.say({ type: "private", to: `${renamed.nick}`, text: "you?", ref: "b" });
  assert.match(
    String((await ann.waitFor("error", { ref: "b" })).message),
    /known nick with another key/,
  );
  await eve.chat("trust me");
  assert.equal((await ann.waitFor("chat", { text: "trust me" })).nick, renamed.nick);
  // It is not hers after a restart either.
  await eve.leave();
  await ann.leave();
  const later = await world.client("ann");
  await later.waitFor("joined", { nick: "bob", trust: "known" });
  const nick = await world.client("bob", { home: "eve" });
  assert.equal((await later.waitFor("joined", { fingerprint: key })).trust, "conflict");
  await nick.leave();
  assert.ok((await Deno.readTextFile(`${bob}/known_peers`)).includes(key));
}

async function lookAlike(world: World): Promise<void> {
  const server = await world.server();
  const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
  const stranger = new URL("../support/stranger.ts", import.meta.url).href;
  const nicks = ["b\u043eb", "b\u03bfb", "bob\u3164", "bob\u0335"]; // Cyrillic, Greek, a filler, a stroke
  for (const [i, nick] of nicks.entries()) {
    const folder = await world.emptyHome(`stranger${i}`);
    const running = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--allow-all", stranger, `${server.port}`, folder, nick],
      stdout: "null",
    }).output();
    const joined = await ann.waitFor("joined", {}, { count: i + 2 });
    if (i < 3) assert.equal(joined.nick, keyName(joined.fingerprint), JSON.stringify(nick));
    else assert.notEqual(joined.nick, "bob");
    assert.equal(joined.trust, "new");
    const said = await ann.waitFor("chat", { text: "who am I?" }, { count: i + 1 });
    assert.equal(said.nick, joined.nick);
    await ann.say({ type: "private", to: "bob", text: `for bob ${i}` });
    await bob.waitFor("chat", { text: `for bob ${i}`, private: true });
    assert.equal((await running).code, 0);
  }
  // One's own client would not have it.
  for (const nick of nicks.slice(0, 3)) {
    const args = ["--port", `${server.port}`, "--nick", nick];
    assert.equal((await world.run("client", { args, home: world.path("ann") })).code, 2);
  }
}

testConversations([
  [
    "a changed key is a conflict, also with --strict and after restarts, until its digits are compared",
    changeAKey,
  ],
  ["the keys of two computers share a nick once both are verified", useTwoComputers],
  ["a known key at a new address is announced", moveAServer],
  ["a nick in another case belongs to its first owner, and using it does not take it", takeANick],
  [
    "nicks that look alike are shown as keys, and messages for one do not go to the other",
    lookAlike,
  ],
]);
