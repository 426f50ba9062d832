/**
 * A program that imports what the relay imports, also what that imports late, and then does nothing: what an empty
 * relay is compared with.
 *
 * @module
 */

import { cipherFast } from "../../lib/protocol/crypto/aead.ts";
import "../../lib/discovery/announcer.ts";
import "../../lib/cli/run_server.ts";

await cipherFast();
Deno.listen({ hostname: "127.0.0.1", port: Number(Deno.args[0]) });
setInterval(() => {}, 60_000);
