/** Started by key_file_test.ts: loads or generates a key, and prints what happened. */
import { loadKey } from "../../lib/cli/key_file.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";

const [folder = "", name = "", bits = ""] = Deno.args;
const key = await loadKey({
  folder,
  name: name === "server.pem" ? name : "identity.pem",
  bits: Number(bits),
  progress: () => console.log("making"),
});
console.log(encodeFingerprint(key.publicKey.fingerprint));
