/** Started by identity_test.ts: loads or makes an identity and says what happened. */
import { loadIdentity } from "../../lib/cli/key_file.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";

const [folder = "", name = "", bits = ""] = Deno.args;
const key = await loadIdentity({
  folder,
  name: name === "server.pem" ? name : "identity.pem",
  bits: Number(bits),
  onMaking: () => console.log("making"),
});
console.log(encodeFingerprint(key.publicKey.fingerprint));
