/**
 * A program that imports what the relay imports and then does nothing: what an empty relay is compared with.
 *
 * @module
 */

import "../../lib/server.ts";

Deno.listen({ hostname: "127.0.0.1", port: Number(Deno.args[0]) });
setInterval(() => {}, 60_000);
