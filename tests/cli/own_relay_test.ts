import assert from "node:assert/strict";
import { ListeningRelay } from "../../lib/cli/own_relay.ts";
import { Relay } from "../../lib/relay/mod.ts";
import { cheapKey } from "../support/cheap_key.ts";

const KEY = cheapKey(1);
const JOIN_KEY = new Uint8Array(32).fill(1);
const [LOBBY, CELLAR] = ["01", "02"].map((byte) => byte.repeat(32)) as [string, string];

function make() {
  const said: string[] = [];
  const relay = new Relay({
    key: KEY,
    minKeyBits: 1024,
    host: { person: KEY.publicKey.fingerprint, onPlace() {} },
  });
  const own = new ListeningRelay(relay, {
    key: KEY.publicKey,
    port: 40623,
    prepare: () => Promise.resolve(true),
    announce(isLocked) {
      said.push(isLocked ? "password" : "open");
      return Promise.resolve({ stop: () => Promise.resolve(void said.push("stop")) });
    },
  });
  const take = async () => {
    await new Promise((resolve) => setTimeout(resolve));
    return said.splice(0);
  };
  return { own, relay, take };
}

Deno.test("ListeningRelay is announced while it hosts, with a password if any room has one", async () => {
  const { own, relay, take } = make();
  assert.deepEqual(await take(), []);
  own.open(LOBBY, undefined);
  assert.deepEqual(await take(), ["open"]);
  own.open(CELLAR, JOIN_KEY);
  assert.deepEqual(await take(), ["stop", "password"]);
  own.shut(LOBBY);
  assert.deepEqual(await take(), []);
  own.open(LOBBY, undefined);
  own.shut(CELLAR);
  assert.deepEqual(await take(), ["stop", "open"]);
  own.shut(LOBBY);
  assert.deepEqual(await take(), ["stop"]);
  await relay.stop();
});
