/** Somebody who has the servers' credentials for NATS, and not their key: real servers and people. */
import assert from "node:assert/strict";
import { decodeFingerprint } from "../../lib/protocol/identity.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import { connectCore, type Core } from "../../lib/cluster/nats_core.ts";
import { administer } from "../support/nats_bus.ts";
import { NatsServer, NO_NATS } from "../support/nats.ts";
import { fingerprintOf, FROM_SOURCE, poll, type Program, World } from "../support/programs.ts";

const options = { ignore: NO_NATS !== undefined };

/** What passes NATS, and what is sent there again. */
class Thief {
  readonly seen: { subject: string; data: Uint8Array<ArrayBuffer> }[] = [];

  constructor(readonly core: Core) {
    core.subscribe(">", ({ subject, data }) => {
      this.seen.push({ subject, data: new Uint8Array(data) });
    });
  }

  /** Whether anything that was seen has these bytes in it. */
  knows(bytes: Uint8Array): boolean {
    const hex = bytes.toHex();
    return this.seen.some(({ subject, data }) =>
      data.toHex().includes(hex) || subject.includes(hex)
    );
  }
}

async function serve(world: World, nats: NatsServer, name: string): Promise<Program> {
  const home = await world.home("server", { file: "server.pem" });
  const args = ["--host", "127.0.0.1", "--port", "0", "--cluster", nats.url, "--json"];
  const server = world.start("server", { args, home }, name);
  await server.waitFor("listening");
  return server;
}

async function join(world: World, server: Program, nick: string): Promise<Program> {
  const args = ["--host", `127.0.0.1:${server.port}`, "--nick", nick, "--json"];
  return world.start("client", { args, home: await world.home(nick) }, nick);
}

Deno.test("who steals the credentials for NATS reads nothing, and is nobody", options, async () => {
  await using nats = await NatsServer.start();
  await using world = await World.open(FROM_SOURCE);
  const core = await connectCore(
    { servers: [nats.url], needsTls: false, caCerts: [], creds: undefined, name: "thief" },
    { onEnd: () => {}, onForbidden: () => {} },
  );
  const thief = new Thief(core);
  const [one, two] = [await serve(world, nats, "one"), await serve(world, nats, "two")];
  const [ann, bob] = [await join(world, one, "ann"), await join(world, two, "bob")];
  await ann.waitFor("joined", { nick: "bob" });
  await bob.waitFor("joined", { nick: "ann" });
  await ann.chat("a secret between two");
  await bob.waitFor("chat", { text: "a secret between two" });
  await poll(() => thief.seen.length > 10, () => "what passes NATS");

  const encode = (text: string) => new TextEncoder().encode(text);
  for (const nick of ["ann", "bob"]) {
    assert.ok(!thief.knows(decodeFingerprint(await fingerprintOf(nick))));
    assert.ok(!thief.knows(encode(nick)));
  }
  for (const secret of [encode("secret"), roomTag("lobby"), encode("lobby")]) {
    assert.ok(!thief.knows(secret));
  }

  // Everything that was seen is sent again, as it was and changed, and the bucket is deleted.
  const stream = thief.seen.map(({ subject }) => /^\$KV\.(hearth-[0-9a-f]+)\./.exec(subject)?.[1])
    .find((bucket) => bucket);
  assert.ok(stream);
  const again = thief.seen.filter(({ subject }) => /^(hearth|\$KV)\./.test(subject));
  for (let round = 0; round < 3; round++) {
    for (const { subject, data } of again) {
      core.publish(subject, data);
      const changed = data.slice();
      if (changed.length > 0) changed[changed.length >> 1]! ^= 1;
      core.publish(subject, changed);
    }
  }
  await core.flush();
  await ann.chat("still here");
  await bob.waitFor("chat", { text: "still here" });
  await administer(nats, `$JS.API.STREAM.DELETE.KV_${stream}`);
  await ann.chat("after that");
  await bob.waitFor("chat", { text: "after that" });
  const carl = await join(world, one, "carl");
  await bob.waitFor("joined", { nick: "carl" });
  await carl.chat("hello");
  await bob.waitFor("chat", { text: "hello" });
  await core.close();

  const texts = bob.all("chat").map(({ text }) => text);
  assert.deepEqual(texts, ["a secret between two", "still here", "after that", "hello"]);
  const nicks = new Set([ann, bob].flatMap((it) => it.all("joined").map(({ nick }) => nick)));
  assert.deepEqual([...nicks].sort(), ["ann", "bob", "carl"]);
  for (const server of [one, two]) assert.ok(server.running);
  console.log(
    `disconnected: ${ann.all("disconnected").length} and ${bob.all("disconnected").length} times`,
  );
});
