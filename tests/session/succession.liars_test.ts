/** What stand-bys, members and relays may say that is not so, and that it moves nobody whose host lives. */
import assert from "node:assert/strict";
import { encodeHex } from "../../lib/base/bytes.ts";
import { cipherReady } from "../../lib/protocol/records.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import {
  CONTEXT_SUCCESSION,
  type Entry,
  type List,
  listMessage,
  STATE,
} from "../../lib/protocol/succession.ts";
import { gather, gatherWith, isTogether } from "../simulation/gathering.ts";
import { Village, type Villager } from "../simulation/village.ts";

await cipherReady();

const ROOM = roomTag("lobby");
const TAG = encodeHex(ROOM);

/** A stand-by whose relay claims to have the room, with many others, and lets nobody in. */
function claim(liar: Villager): void {
  const relay = liar.relay!;
  relay.open(TAG, crypto.getRandomValues(new Uint8Array(32)));
  relay.others = () => 50;
}

/** Ends a person's client so that the host has lost, and not been left by, who stood by; the relay goes on. */
async function leaveUnheard(village: Village, person: Villager): Promise<void> {
  village.plug(person, false);
  void person.session.stop();
  await village.advance(60_000);
  village.plug(person, true);
}

Deno.test("Succession: nobody follows one that claims to host while the host lives", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl, DORA] = await gather(village, "anna", "bob", "carl", "DORA");
    claim(bob!);
    await village.advance(120_000);
    for (const person of [anna!, carl!, DORA!]) {
      assert.deepEqual(person.take("moved", "disconnected"), [], person.nick);
    }
    assert.deepEqual(village.hosts, ["anna"]);
  });
});

Deno.test("Succession: a liar behind the first delays nobody when the host is killed", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl, DORA] = await gather(village, "anna", "bob", "carl", "DORA");
    claim(carl!);
    village.kill(anna!);
    DORA!.session.say("where?");
    const took = await village.until(() => bob!.heard.length === 1);
    assert.ok(took <= 1500, `${took}`);
    assert.deepEqual(village.hosts, ["bob"]);
  });
});

Deno.test("Succession: a first that claims to host is passed over, and the next hosts", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl, DORA] = await gather(village, "anna", "bob", "carl", "DORA");
    claim(bob!);
    bob!.own!.open = () => {}; // it lets not even itself in
    village.kill(anna!);
    const took = await village.until(() => {
      return village.hosts.includes("carl") && carl!.session.people().some(({ nick }) =>
        nick === "DORA"
      ) && carl!.session.joined && DORA!.session.joined;
    });
    assert.ok(took <= 15_000, `${took}`);
  });
});

Deno.test("Succession: a first that takes people in and throws them out again is passed over", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl, DORA] = await gather(village, "anna", "bob", "carl", "DORA");
    const relay = bob!.relay!;
    relay.open(TAG, undefined);
    village.kill(anna!);
    const throwOut = () => {
      relay.shut(TAG);
      relay.open(TAG, undefined);
      bob!.clock.after(500, throwOut);
    };
    throwOut();
    DORA!.session.say("where?");
    const took = await village.until(() => carl!.heard.includes("DORA: where?"));
    assert.ok(took <= 30_000, `${took}`);
  });
});

Deno.test("Succession: one that says 'lost' for ever costs 10 s a rank", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl] = await gather(village, "anna", "bob", "carl");
    const { own, relay } = bob!;
    own!.open = () => {};
    own!.tell = (room) => relay!.tell(room, { state: STATE.LOST });
    village.kill(anna!);
    const took = await village.until(() => village.hosts.includes("carl") && carl!.session.joined);
    assert.ok(took >= 15_000 && took <= 21_000, `${took}`);
  });
});

Deno.test("Succession: a host that is alone joins a liar first, and so stays where it is", async () => {
  await Village.use(async (village) => {
    const [anna, bob] = await gather(village, "anna", "bob");
    claim(bob!);
    await leaveUnheard(village, bob!);
    await village.advance(60_000);
    assert.deepEqual(village.hosts.filter((nick) => nick === "anna"), ["anna"]);
    assert.ok(anna!.session.joined);
    assert.deepEqual(anna!.take("moved", "disconnected"), []);
  });
});

Deno.test("Succession: a host that is alone goes to nobody who does not know its password", async () => {
  await Village.use(async (village) => {
    const [anna, bob] = await gatherWith(village, { password: "secret" }, "anna", "bob");
    bob!.relay!.open(TAG, undefined);
    bob!.relay!.others = () => 50;
    await leaveUnheard(village, bob!);
    await village.advance(60_000);
    assert.ok(anna!.session.joined);
    assert.deepEqual(anna!.take("moved", "disconnected"), []);
  });
});

Deno.test("Succession: only the host's own word, signed by its relay, is a list", async () => {
  await Village.use(async (village) => {
    const [anna, bob, carl] = await gather(village, "anna", "bob", "carl");
    const { succession, membership } = carl!.session;
    const list = succession!.list!;
    const host = anna!.relay!;
    const member = (of: Villager) =>
      [...membership.roster.members.values()].find(({ name }) => name === of.fingerprint)!;
    const say = async (from: Villager, said: List, signer = host) => {
      const relay = said.entries[said.at]!.relay;
      const signature = await signer.sign(
        CONTEXT_SUCCESSION,
        listMessage({ host: list.entries[list.at]!.relay, room: ROOM }, said),
      );
      succession!.message(member(from), { type: "succession", signature, list: said });
      await village.advance(100);
      return succession!.list !== list && succession!.list === said && relay !== undefined;
    };
    const mine: Entry = list.entries.find(({ port: _, person }) =>
      encodeHex(person) === encodeHex(member(bob!).fingerprint)
    )!;
    const later = { ...list, serial: list.serial + 1 };
    assert.equal(await say(bob!, later), false, "another member");
    const own = { ...later, entries: [...list.entries].reverse(), at: 0 };
    assert.equal(await say(anna!, own), false, "another host");
    assert.equal(
      await say(bob!, { ...later, entries: [mine], at: 0 }, bob!.relay!),
      false,
      "bob's",
    );
    assert.equal(await say(anna!, { ...list, serial: list.serial - 1 }), false, "an older one");
    assert.equal(await say(anna!, later), true);
    const last = { ...list, serial: list.serial + 2 };
    assert.equal(await say(anna!, last, bob!.relay!), false, "another key");
    assert.equal(await say(anna!, last), false, "who has forged one");
    await village.advance(60_000);
    assert.deepEqual(carl!.take("moved", "disconnected"), []);
    assert.ok(isTogether(village));
  });
});
