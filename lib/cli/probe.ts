/**
 * Finds out what is listening on a port, and whether it lets one in: a HEARTH relay proves itself in the handshake
 * (PROTOCOL.md §3).
 *
 * @module
 */

import { encodeHex } from "../base/bytes.ts";
import { systemRandom } from "../base/clock.ts";
import { openTransport } from "../transport/establish.ts";
import { ProtocolError } from "../base/errors.ts";
import { encodeFrame, FRAME, REASON } from "../protocol/frames.ts";
import { computeProof, derivePassword } from "../protocol/password.ts";
import { roomTag } from "../protocol/rooms.ts";
import { encodeFingerprint, type PrivateKey } from "../protocol/identity.ts";

/** A relay on this computer answers faster. */
const PROBE_MS = 2_000;
/** The password takes a moment to derive. */
const JOIN_MS = 15_000;
const INSTANCE_BYTES = 16;

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

/**
 * Tries whether a relay lets one in with a password; in a room that nobody else is in, for a moment.
 *
 * @param options.fingerprint The key that the relay has to prove: no other one gets a proof of the password.
 * @returns undefined when it does; else the reason of its CLOSE, §5, or 0 when it just goes.
 */
export async function tryToJoin(
  hostname: string,
  { port, key, password, fingerprint }: {
    readonly port: number;
    readonly key: PrivateKey;
    readonly password: string;
    readonly fingerprint: string;
  },
): Promise<number | undefined> {
  const signal = AbortSignal.timeout(JOIN_MS);
  const { promise: answer, resolve } = Promise.withResolvers<number | undefined>();
  const { connection } = await openTransport(await Deno.connect({ hostname, port, signal }), {
    key,
    signal,
    async join(relay, th3) {
      if (encodeFingerprint(relay.fingerprint) !== fingerprint) {
        throw new ProtocolError("wrong-identity");
      }
      const { joinKey } = await derivePassword(password, relay.fingerprint);
      return encodeFrame({
        type: "join",
        proof: computeProof(joinKey, th3),
        room: roomTag(`doctor ${encodeHex(systemRandom(8))}`),
        instance: systemRandom(INSTANCE_BYTES),
      });
    },
    handlers: {
      onFrame: (type) => type === FRAME.WELCOME && resolve(undefined),
      onEnd: (end) => resolve(end.type === "closed" ? end.reason : REASON.NORMAL),
    },
  });
  const reason = await answer;
  if (reason === undefined) await connection.close(REASON.NORMAL);
  return reason;
}
