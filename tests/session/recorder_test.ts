import assert from "node:assert/strict";
import { ENTRY, ENTRY_FLAGS } from "../../lib/protocol/history_entry.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { cipherReady } from "../../lib/protocol/records.ts";
import { messageReference } from "../../lib/protocol/references.ts";
import { gather, isTogether } from "../simulation/gathering.ts";
import { Village, type Villager } from "../simulation/village.ts";

await cipherReady();

Deno.test("Recorder.arrived() says whether the room was found there, or is what that relay has", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl] = await gather(village, "anna", "bob", "carl");
    assert.deepEqual(carl!.arrivals, [["anna", false]]);
    village.kill(anna!);
    await village.until(() => bob!.session.joined && carl!.session.joined);
    await village.advance(5000);
    assert.deepEqual(carl!.arrivals.slice(1), [["bob", true]]);
    assert.deepEqual(bob!.arrivals.slice(1), [["bob", true]]);
    const before = anna!.arrivals.length;
    await village.run(anna!, {}); // a room of its own, which gives way
    await village.until(() => isTogether(village) && village.hosts.length === 1);
    assert.deepEqual(anna!.arrivals.slice(before), [["anna", false], ["bob", false]]);
    assert.equal(bob!.arrivals.length, 2);
  });
});

Deno.test("Recorder.record() is told of messages, notes, and who comes and goes", async () => {
  await Village.use(async (village) => {
    const [, bob, carl] = await gather(village, "anna", "bob", "carl");
    for (const { happenings } of [bob!, carl!]) happenings.length = 0;
    const id = bob!.session.say("hello");
    await village.advance(1000);
    carl!.session.sendNote({ id }, "reaction", "👍");
    const secret = carl!.session.sendPrivate("bob", "psst");
    await village.advance(1000);
    bob!.session.sendNote({ id: secret }, "reaction", "🎉");
    carl!.session.setTopic("cake");
    await village.advance(1000);
    await village.quit(carl!);
    await village.advance(1000);
    const reference = (person: Villager, id: string) => messageReference(fingerprintOf(person), id);
    assert.deepEqual(
      bob!.happenings.map(({ type, text, nick, to, reply, what, flags }) => [
        [type, nick, text, what],
        to && encodeFingerprint(to),
        reply,
        flags,
      ]),
      [
        [[ENTRY.MESSAGE, "bob", "hello", undefined], undefined, undefined, 0],
        [[ENTRY.NOTE, "carl", "👍", 1], undefined, reference(bob!, id), 0],
        [
          [ENTRY.MESSAGE, "carl", "psst", undefined],
          bob!.fingerprint,
          undefined,
          ENTRY_FLAGS.PRIVATE,
        ],
        [
          [ENTRY.NOTE, "bob", "🎉", 1],
          carl!.fingerprint,
          reference(carl!, secret),
          ENTRY_FLAGS.PRIVATE,
        ],
        [[ENTRY.TOPIC, "", "cake", undefined], undefined, undefined, 0],
        [[ENTRY.WENT, "carl", "left", undefined], undefined, undefined, 0],
      ],
    );
    // Both sides have the same of the same.
    const ids = ({ happenings }: Villager) => happenings.flatMap(({ id }) => id ?? []);
    assert.deepEqual(ids(carl!), ids(bob!));
    const own = carl!.happenings.find(({ text }) => text === "psst")!;
    assert.equal(encodeFingerprint(own.to!), bob!.fingerprint);
    assert.equal(encodeFingerprint(own.fingerprint), carl!.fingerprint);
  });
});

function fingerprintOf({ happenings, fingerprint }: Villager): Uint8Array {
  return happenings.find((it) => encodeFingerprint(it.fingerprint) === fingerprint)!.fingerprint;
}
