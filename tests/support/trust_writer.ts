/** Started twice at once by known_peers_test.ts: remembers 100 people and pins 100 servers, each written at once. */
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { KnownServers } from "../../lib/session/known_servers.ts";
import { KnownPeers } from "../../lib/session/known_peers.ts";

const [folder = "", name = ""] = Deno.args;
const peers = await KnownPeers.load(folder, (error) => {
  throw error;
});
const servers = await KnownServers.load(folder);
const fingerprint = new Uint8Array(32).fill(name.charCodeAt(0));
for (let round = 0; round < 100; round++) {
  fingerprint[31] = round;
  const text = encodeFingerprint(fingerprint);
  peers.remember(text, `${name}-${round}`);
  await peers.flush();
  await servers.pin(`${name}-${round}:40623`, text);
}
