import { deepEqual, equal } from "node:assert/strict";
import { encodeHex } from "../../../lib/base/bytes.ts";
import { ENTRY } from "../../../lib/protocol/history_entry.ts";
import { encodeFingerprint, importPrivateKey } from "../../../lib/protocol/identity.ts";
import { cipherReady } from "../../../lib/protocol/records.ts";
import { openHistoryKey, RoomHistory } from "../../../lib/session/history/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const IDENTITY = await importPrivateKey(
  await Deno.readTextFile(new URL("../../vectors/keys/pkcs8.pem", import.meta.url)),
);
const [RELAY, ROOM] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];

Deno.test("what was read is kept for a minute, and what two programs add since is found", async () => {
  await cipherReady();
  const folder = await Deno.makeTempDir();
  const clock = new FakeClock();
  const faults: unknown[] = [];
  const open = async (instance: string) => {
    const home = encodeFingerprint(RELAY);
    return new RoomHistory({
      ...{ clock, key: await openHistoryKey(folder, IDENTITY), instance: instance.repeat(32) },
      home: { room: encodeHex(ROOM), home, relays: [home], keep: "on" },
      ...{ own: IDENTITY.publicKey.fingerprint, days: 30 },
      onFault: (error) => faults.push(error),
      onGone: () => faults.push("gone"),
    });
  };
  const [one, other] = [await open("1"), await open("2")];
  try {
    const say = (history: RoomHistory, text: string) =>
      history.record({
        ...{ type: ENTRY.MESSAGE, sent: 0, flags: 0, nick: "bob", text },
        id: encodeHex(crypto.getRandomValues(new Uint8Array(8))),
        fingerprint: new Uint8Array(32).fill(7),
      });
    const found = async (search = "") =>
      (await one.find({ limit: 9, search })).map(({ text }) => text);
    deepEqual(await found(), []);
    say(one, "a word");
    deepEqual(await found(), ["a word"]);
    deepEqual([await found("word"), await found("else")], [["a word"], []]);
    await clock.advance(1);
    say(other, "another word");
    deepEqual((await other.find({ limit: 9 })).length, 2, "written by now");
    deepEqual(await found(), ["a word", "another word"]);
    await clock.advance(1);
    say(one, "and more");
    deepEqual(await found("word"), ["a word", "another word"]);
    deepEqual(await found("from:bob more"), ["and more"]);
    await clock.advance(61_000);
    deepEqual((await found()).length, 3);
    deepEqual(faults, []);
  } finally {
    const last = one.find({ limit: 9 });
    await one.close();
    await last;
    await other.close();
    equal(clock.timers, 0);
    await Deno.remove(folder, { recursive: true });
  }
});
