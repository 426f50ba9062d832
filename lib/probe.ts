/**
 * Finds out what is listening on a port: a HEARTH relay proves itself in the handshake (PROTOCOL.md §3).
 *
 * @module
 */

import { openTransport } from "./connection.ts";
import { ProtocolError } from "./errors.ts";
import { encodeFingerprint, type PrivateKey } from "./rsa.ts";

/** A relay on this computer answers faster. */
const PROBE_MS = 2_000;

/** Who has a port. */
export type PortUser =
  /** A relay; the fingerprint as `SHA256:…` if it speaks this version. */
  | { readonly type: "hearth"; readonly fingerprint?: string }
  /** Something else. */
  | { readonly type: "other" };

/** The handshake has told enough. */
class Recognized extends Error {
  constructor(readonly fingerprint: string) {
    super("recognized");
  }
}

/**
 * Asks whoever listens there who it is; does not join.
 *
 * @param key Any identity; it is not shown to the other side.
 */
export async function probePort(
  hostname: string,
  { port, key }: { readonly port: number; readonly key: PrivateKey },
): Promise<PortUser> {
  const signal = AbortSignal.timeout(PROBE_MS);
  try {
    await openTransport(await Deno.connect({ hostname, port, signal }), {
      key,
      signal,
      join: (relay) => Promise.reject(new Recognized(encodeFingerprint(relay.fingerprint))),
      handlers: { onFrame: () => {}, onEnd: () => {} },
    });
  } catch (error) {
    if (error instanceof Recognized) return { type: "hearth", fingerprint: error.fingerprint };
    if (error instanceof ProtocolError && error.code === "version") return { type: "hearth" };
  }
  return { type: "other" };
}
