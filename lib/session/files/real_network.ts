/**
 * TCP for direct connections.
 *
 * @module
 */

import { connectTo } from "../../base/connect.ts";
import type { FileNetwork } from "./direct.ts";

export const realNetwork: FileNetwork = {
  listen() {
    const listener = listenOnAll();
    return {
      port: listener.addr.port,
      async accept() {
        try {
          return await listener.accept();
        } catch {
          return undefined; // closed
        }
      },
      close() {
        try {
          listener.close();
        } catch {
          // closed already
        }
      },
    };
  },
  dial: ({ hostname: address, port }, signal) => connectTo({ address, port }, signal),
};

/** IPv6 and IPv4; the latter alone where there is no IPv6. */
function listenOnAll(): Deno.TcpListener {
  try {
    return Deno.listen({ hostname: "::", port: 0 });
  } catch {
    return Deno.listen({ hostname: "0.0.0.0", port: 0 });
  }
}
