/** The bus over a real server of NATS on this computer. */
import assert from "node:assert/strict";
import { systemClock } from "../../lib/base/clock.ts";
import { NatsServer, NO_NATS } from "../support/nats.ts";
import { administer, bytesOf, CLUSTER, Ear } from "../support/nats_bus.ts";
import { poll } from "../support/programs.ts";

const options = { ignore: NO_NATS !== undefined };
const NOBODY = "00".repeat(16);
const STREAM = `KV_hearth-${CLUSTER}`;

Deno.test("a key is written for the expected revision alone", options, async () => {
  await using server = await NatsServer.start();
  await using ear = await Ear.open(server);
  const { bus } = ear;
  assert.deepEqual(await bus.get("r.a"), { key: "r.a", value: undefined, revision: 0 });
  assert.deepEqual(await bus.write("r.a", bytesOf("x"), 7), { type: "conflict" });
  const first = await ear.put("r.a", "one", 0);
  assert.deepEqual(await bus.write("r.a", bytesOf("x"), 0), { type: "conflict" });
  const other = await ear.put("r.b", "1", 0);
  assert.ok(other > first, "one count for all keys");
  const second = await ear.put("r.a", "two", first);
  assert.deepEqual(await bus.write("r.a", undefined, first), { type: "conflict" });
  assert.deepEqual(await bus.get("r.a"), { key: "r.a", value: bytesOf("two"), revision: second });

  const purged = await bus.write("r.a", undefined, second);
  assert.ok(purged.type === "written" && purged.revision > second);
  assert.deepEqual(await bus.get("r.a"), {
    key: "r.a",
    value: undefined,
    revision: purged.revision,
  });
  assert.deepEqual(await bus.write("r.a", bytesOf("x"), second), { type: "conflict" });
  const third = await ear.put("r.a", "three", purged.revision);
  const large = bytesOf("y".repeat(65_536));
  assert.equal((await bus.write("r.a", large, third)).type, "written");
  assert.deepEqual((await bus.get("r.a"))?.value, large);
});

Deno.test("of many writers for one revision, one writes", options, async () => {
  await using server = await NatsServer.start();
  await using one = await Ear.open(server);
  await using two = await Ear.open(server);
  let revision = 0;
  for (let round = 0; round < 20; round++) {
    const written = await Promise.all(
      [one, two, one, two].map((ear, i) =>
        ear.bus.write("r.a", bytesOf(`${round} ${i}`), revision)
      ),
    );
    const done = written.filter((it) => it.type === "written");
    assert.equal(done.length, 1);
    assert.equal(written.filter((it) => it.type === "conflict").length, 3);
    revision = done[0]!.revision;
  }
});

Deno.test("the watch tells every key, then each change", options, async () => {
  await using server = await NatsServer.start();
  await using writer = await Ear.listen(server);
  assert.deepEqual(writer.log, ["up", "begun", "caught up"]);
  const a = await writer.put("r.a", "one", 0);
  const b = await writer.put("r.b", "two", 0);
  await using late = await Ear.listen(server);
  assert.deepEqual(late.entries.map(({ key, revision }) => [key, revision]), [
    ["r.a", a],
    ["r.b", b],
  ]);
  const changed = await writer.put("r.a", "three", a);
  await writer.bus.write("r.b", undefined, b);
  for (const ear of [writer, late]) {
    await ear.sees("r.a", "three");
    await ear.sees("r.b", undefined);
    assert.equal(ear.keys.get("r.a")!.revision, changed);
  }
  await using foreign = await Ear.listen(server, { cluster: "fedcba9876543210" });
  assert.deepEqual(foreign.entries, [], "another cluster has a bucket of its own");
});

Deno.test(
  "messages come in order, to one inbox; probes tell of nobody alone",
  options,
  async () => {
    await using server = await NatsServer.start();
    await using from = await Ear.listen(server);
    await using to = await Ear.listen(server);
    await to.bus.flush();
    const sent = Array.from({ length: 500 }, (_, i) => `${i} ${"x".repeat(i * 100)}`);
    for (const text of sent) from.bus.publish(to.inbox, bytesOf(text));
    await poll(() => to.messages.length === sent.length, () => "all messages");
    assert.deepEqual(to.messages, sent);
    assert.deepEqual(from.messages, []);

    from.bus.probe(to.inbox);
    from.bus.probe(NOBODY);
    await poll(() => from.nobody.length > 0, () => "the answer to a probe");
    assert.deepEqual(from.nobody, [NOBODY]);
    assert.equal(to.messages.length, sent.length, "a probe is no message");

    to.bus.moveInbox("11".repeat(16));
    await to.bus.flush();
    from.bus.publish(to.inbox, bytesOf("to the old one"));
    from.bus.publish("11".repeat(16), bytesOf("to the new one"));
    await poll(() => to.messages.length > sent.length, () => "a message to the new inbox");
    assert.deepEqual(to.messages.slice(sent.length), ["to the new one"]);
    const { messagesIn, bytesIn } = to.bus.stats;
    assert.equal(messagesIn, sent.length + 1);
    assert.ok(bytesIn > sent.join("").length);
  },
);

Deno.test("a server that is killed and comes back", options, async () => {
  await using server = await NatsServer.start();
  await using ear = await Ear.listen(server);
  const revision = await ear.put("r.a", "one", 0);
  await server.kill();
  await ear.waitFor("down");
  assert.equal(ear.bus.isUp, false);
  assert.equal(ear.bus.unwrittenBytes, 0);
  assert.deepEqual(await ear.bus.write("r.a", bytesOf("x"), revision), { type: "unknown" });
  assert.equal(await ear.bus.get("r.a"), undefined);
  ear.bus.publish(ear.inbox, bytesOf("into nothing"));
  await ear.bus.flush();
  const under = "22".repeat(16);
  ear.bus.moveInbox(under);

  assert.ok(await server.start());
  await ear.waitFor("caught up", 2);
  assert.deepEqual(ear.log, ["up", "begun", "caught up", "down", "up", "begun", "caught up"]);
  assert.equal(ear.text("r.a"), "one");
  await ear.put("r.a", "two", revision);
  await ear.sees("r.a", "two");
  ear.bus.publish(under, bytesOf("again"));
  await poll(() => ear.messages.length > 0, () => "a message");
  assert.deepEqual(ear.messages, ["again"], "what was sent while it was away is lost");
  const { reconnects, awayMs } = ear.bus.stats;
  assert.equal(reconnects, 1);
  assert.ok(awayMs > 0);
  assert.deepEqual(ear.faults, []);
});

Deno.test("writes that wait when the server is killed are unknown at once", options, async () => {
  await using server = await NatsServer.start();
  await using ear = await Ear.listen(server);
  await server.stop();
  const write = ear.bus.write("r.a", bytesOf("x"), 0);
  const flush = ear.bus.flush();
  await server.kill();
  assert.deepEqual(await write, { type: "unknown" });
  await flush;
});

Deno.test(
  "a server that hangs is given up, and what is sent to it is bounded",
  options,
  async () => {
    await using server = await NatsServer.start();
    await using ear = await Ear.listen(server);
    await server.stop();
    const message = new Uint8Array(61_440);
    for (let i = 0; i < 400; i++) ear.bus.publish(NOBODY, message);
    const { unwrittenBytes } = ear.bus;
    assert.ok(unwrittenBytes > 8 * 1024 * 1024, `${unwrittenBytes} are held`);
    assert.ok(unwrittenBytes < 17 * 1024 * 1024, `${unwrittenBytes} are held`);
    await ear.waitFor("down");
    assert.equal(ear.bus.unwrittenBytes, 0);
    server.signal("SIGCONT");
    await ear.waitFor("caught up", 2);
    await ear.put("r.a", "one", 0);
    await ear.sees("r.a", "one");
  },
);

Deno.test("a bucket that is deleted is made and watched again", options, async () => {
  await using server = await NatsServer.start();
  await using ear = await Ear.listen(server);
  const first = await ear.put("r.a", "one", await ear.put("r.a", "zero", 0));
  await administer(server, `$JS.API.STREAM.DELETE.${STREAM}`);
  await ear.waitFor("caught up", 2);
  const second = await ear.put("r.a", "two", 0);
  await ear.sees("r.a", "two");
  assert.ok(!ear.log.includes("down"));
  assert.ok(second > first, "revisions do not fall, though the new bucket counts from 1");
  assert.deepEqual((await ear.bus.get("r.a"))!.revision, second);
  assert.equal((await ear.bus.write("r.a", bytesOf("x"), first)).type, "conflict");
  assert.ok(await ear.put("r.a", "three", second) > second);
});

Deno.test("revisions do not fall where a server has lost its disk", options, async () => {
  await using server = await NatsServer.start();
  await using ear = await Ear.listen(server);
  const first = await ear.put("r.a", "one", await ear.put("r.a", "zero", 0));
  await server.kill();
  await Deno.remove(`${server.folder}/js`, { recursive: true });
  await server.start();
  await ear.waitFor("caught up", 2);
  assert.ok(await ear.put("r.a", "two", 0) > first);
  await ear.sees("r.a", "two");
});

Deno.test(
  "the marker of a purged key is removed, unless the key was written again",
  options,
  async () => {
    await using server = await NatsServer.start();
    const due: (() => void)[] = [];
    // Only the markers wait for 30 s.
    const clock = {
      ...systemClock,
      after: (ms: number, action: () => void) => {
        if (ms < 30_000) return systemClock.after(ms, action);
        due.push(action);
        return 0;
      },
    };
    await using ear = await Ear.open(server, { clock });
    const a = await ear.put("r.a", "one", 0);
    const b = await ear.put("r.b", "two", 0);
    assert.equal((await ear.bus.write("r.a", undefined, a)).type, "written");
    const marker = await ear.bus.write("r.b", undefined, b);
    assert.ok(marker.type === "written");
    await ear.put("r.b", "three", marker.revision);
    assert.equal(due.length, 2);
    for (const action of due) action();
    await poll(
      async () => (await ear.bus.get("r.a"))?.revision === 0,
      () => "a key of which nothing is left",
    );
    assert.deepEqual((await ear.bus.get("r.b"))?.value, bytesOf("three"));
    await ear.put("r.a", "four", 0);
  },
);
