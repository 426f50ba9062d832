/**
 * Finds out what listens on a port: starts the handshake of the protocol, or tries a password, and leaves again.
 *
 * @module
 */

import { type Bytes, encodeHex } from "../base/bytes.ts";
import { systemRandom } from "../base/clock.ts";
import { ProtocolError } from "../base/errors.ts";
import { LOOPBACK, LOOPBACK_V6 } from "../base/ip.ts";
import { decodeFrame, encodeFrame, INSTANCE_BYTES, REASON } from "../protocol/frames.ts";
import { encodeFingerprint, type PrivateKey } from "../protocol/identity.ts";
import { checkProof, derivePassword, type JoinExchange, startJoin } from "../protocol/password.ts";
import { roomTag } from "../protocol/rooms.ts";
import { type Connection, openConnection } from "../transport/mod.ts";
import { dial } from "./dial.ts";

/** Limit for connection and handshake: probed servers are near. */
const PROBE_TIMEOUT_MS = 2_000;
/** Limit for connection, handshake and the server's answer; includes deriving the password key. */
const JOIN_TIMEOUT_MS = 15_000;

/** What uses a port. */
export type PortUser =
  /** A HEARTH server and where it was found; with its fingerprint, `SHA256:…`, if it speaks our version. */
  | { readonly type: "hearth"; readonly hostname: string; readonly fingerprint?: string }
  | { readonly type: "other" };

/** Ends the handshake once the server has proven its key. */
class Recognized extends Error {
  constructor(readonly fingerprint: string) {
    super("recognized");
  }
}

/**
 * Finds out what listens on a port, without joining.
 *
 * @param hostname A name or address.
 * @param options.key Any identity; the other side does not see it.
 */
export async function probePort(
  hostname: string,
  { port, key }: { readonly port: number; readonly key: PrivateKey },
): Promise<PortUser> {
  const signal = AbortSignal.timeout(PROBE_TIMEOUT_MS);
  try {
    const { connection } = await dial(hostname, port, { addresses: [hostname], signal });
    await openConnection(connection, {
      key,
      signal,
      join: ({ relay }) => Promise.reject(new Recognized(encodeFingerprint(relay.fingerprint))),
      handlers: { onFrame: () => {}, onEnd: () => {} },
    });
  } catch (error) {
    if (error instanceof Recognized) {
      return { type: "hearth", hostname, fingerprint: error.fingerprint };
    }
    if (error instanceof ProtocolError && error.code === "version") {
      return { type: "hearth", hostname };
    }
  }
  return { type: "other" };
}

/**
 * Finds out what listens on a port of this computer, for IPv4 and, unless that is a HEARTH server, for IPv6.
 *
 * @param key Any identity; the other side does not see it.
 */
export async function probeHere(port: number, key: PrivateKey): Promise<PortUser> {
  const user = await probePort(LOOPBACK, { port, key });
  return user.type === "hearth" ? user : await probePort(LOOPBACK_V6, { port, key });
}

/**
 * Tries whether a server accepts a password, by joining a random room for a moment.
 *
 * @param hostname A name or address.
 * @param options.fingerprint The key that the server must prove before it gets a proof of the password.
 * @returns undefined when it accepts; else the reason of its CLOSE, §5, or 0 when it ends the connection without one.
 * @throws {UsageError} When no connection can be made.
 * @throws {ProtocolError} When the server breaks the protocol or proves another key.
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
  const signal = AbortSignal.timeout(JOIN_TIMEOUT_MS);
  const { promise: answer, resolve } = Promise.withResolvers<number | undefined>();
  const opened = Promise.withResolvers<Connection>();
  let exchange: JoinExchange;
  let expected: Bytes | undefined;
  const dialed = await dial(hostname, port, { addresses: [hostname], signal });
  const { connection } = await openConnection(dialed.connection, {
    key,
    signal,
    async join({ relay, th3 }) {
      if (encodeFingerprint(relay.fingerprint) !== fingerprint) {
        throw new ProtocolError("wrong-identity");
      }
      const { joinKey } = await derivePassword(password, relay.fingerprint);
      const client = key.publicKey.fingerprint;
      exchange = await startJoin("client", { joinKey, client, relay: relay.fingerprint, th3 });
      return encodeFrame({
        type: "join",
        share: exchange.share,
        room: roomTag(`doctor ${encodeHex(systemRandom(8))}`),
        instance: systemRandom(INSTANCE_BYTES),
      });
    },
    handlers: {
      onFrame(type, body) {
        const frame = decodeFrame(type, body);
        if (frame.type === "share") {
          const made = exchange.finish(frame.share);
          expected = made.answer;
          const proof = encodeFrame({ type: "proof", proof: made.proof });
          void opened.promise.then((connection) => connection.send(proof));
        } else if (frame.type === "proof" && expected && checkProof(frame.proof, expected)) {
          expected = undefined;
        } else if (frame.type === "welcome") {
          resolve(expected ? REASON.PASSWORD : undefined); // §7: it must have shown that it knows it
        }
      },
      onEnd: (end) => resolve(end.type === "closed" ? end.reason : REASON.NORMAL),
    },
  });
  opened.resolve(connection);
  const reason = await answer;
  await connection.close(reason ?? REASON.NORMAL);
  return reason;
}
