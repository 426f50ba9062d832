import assert from "node:assert/strict";
import { encodeHex } from "../../lib/base/bytes.ts";
import { lookFirst, lookForHosts } from "../../lib/cli/look_first.ts";
import { type RunningRelay, startRelay } from "../../lib/cli/serve.ts";
import { REASON } from "../../lib/protocol/frames.ts";
import { encodeFingerprint, generateKey } from "../../lib/protocol/identity.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import { makeSessionKey } from "../../lib/protocol/session_key.ts";
import { type List, type Place, STATE } from "../../lib/protocol/succession.ts";
import { acceptConnection } from "../../lib/transport/mod.ts";
import { poll } from "../support/program.ts";
import { KnownServers } from "../../lib/session/known_servers.ts";

const ROOM = encodeHex(roomTag("lobby"));
const key = await generateKey(1024);
const person = key.publicKey.fingerprint;

/** A relay that stands by on this computer, with a key of its own. */
async function start(): Promise<{ relay: RunningRelay; place: Place }> {
  const relayKey = await generateKey(1024);
  const relay = await startRelay({ key: relayKey, port: 0, person, minKeyBits: 1024 });
  const addresses = relay.own!.addresses().slice(0, 4);
  return { relay, place: { relay: relayKey.publicKey.fingerprint, port: relay.port, addresses } };
}

async function withServers<T>(use: (servers: KnownServers) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir();
  try {
    return await use(await KnownServers.load(folder));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function lookOptions(port: number, knownServers: KnownServers, kept: List | undefined) {
  return {
    ...{ key, room: "lobby", port, knownServers, kept, asksNew: false },
    isOwn: () => false,
  };
}

async function look(port: number, kept?: List) {
  return await withServers((servers) => lookFirst(lookOptions(port, servers, kept)));
}

/** The same, as often as a busy computer needs. */
const find = (port: number, kept?: List) => poll(() => look(port, kept), () => "the room");

Deno.test("lookFirst() finds the room on this computer, and whom a stand-by there names", async () => {
  const [{ relay: standBy }, { relay: host, place }] = [await start(), await start()];
  try {
    assert.equal(await look(standBy.port), undefined);
    standBy.own!.tell(ROOM, { state: STATE.AT_PLACE, place });
    assert.equal(await look(standBy.port), undefined, "nobody has it");
    host.own!.open(ROOM, undefined);
    const found = await find(standBy.port);
    assert.equal(found.port, host.port);
    assert.equal(found.expected, encodeFingerprint(place.relay));
    assert.deepEqual(await find(host.port), {
      hostname: "127.0.0.1",
      port: host.port,
      relay: place.relay,
      expected: undefined,
      announced: undefined,
    });
  } finally {
    await Promise.all([standBy.stop(), host.stop()]);
  }
});

Deno.test("lookFirst() waits for a relay that is about to open the room", async () => {
  const { relay } = await start();
  try {
    const looking = find(relay.port);
    relay.own!.open(ROOM, undefined);
    assert.equal((await looking).port, relay.port);
  } finally {
    await relay.stop();
  }
});

Deno.test("lookFirst() asks whom a kept list names, and takes no other key there", async () => {
  const { relay, place } = await start();
  try {
    relay.own!.open(ROOM, undefined);
    const listOf = (place: Place): List => ({ serial: 0, at: 0, entries: [{ person, ...place }] });
    assert.equal((await find(0, listOf(place))).expected, relay.fingerprint);
    assert.equal(await look(0, listOf({ ...place, relay: person })), undefined);
  } finally {
    await relay.stop();
  }
});

Deno.test("lookForHosts() finds everybody who has the room", async () => {
  const [one, other] = [await start(), await start()];
  try {
    for (const { relay } of [one, other]) relay.own!.open(ROOM, undefined);
    const kept = { serial: 0, at: 0, entries: [{ person, ...other.place }] };
    await poll(async () => {
      const found = await withServers((knownServers) =>
        Array.fromAsync(lookForHosts(lookOptions(one.relay.port, knownServers, kept)))
      );
      return found.map(({ port }) => port).join() === `${one.relay.port},${other.relay.port}`;
    }, () => "both");
  } finally {
    await Promise.all([one.relay.stop(), other.relay.stop()]);
  }
});

Deno.test("lookFirst() finds a relay on this computer that does not know SEEK, as other programs' may not", async () => {
  const session = makeSessionKey(key);
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const serving = (async () => {
    for await (const stream of listener) {
      const { connection } = await acceptConnection(stream, { key, session });
      const onFrame = () => void connection.close(REASON.PROTOCOL);
      connection.start({ onFrame, onEnd: () => {} });
    }
  })();
  assert.equal((await find(port)).port, port);
  listener.close();
  await serving;
});
