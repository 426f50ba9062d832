/**
 * The files of `--cluster-creds` and `--cluster-ca`.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { cannotRead } from "../base/files.ts";
import type { ClusterRequest } from "./cluster_options.ts";

/** Credentials, and the certificates of an authority or two. */
const MAX_FILE_BYTES = 1024 * 1024;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** How to reach NATS, with what the files say. */
export interface NatsPlace {
  readonly servers: readonly string[];
  readonly creds: string | undefined;
  /** PEM, one certificate each. */
  readonly caCerts: readonly string[];
}

/** @throws {UsageError} When a file cannot be read, or credentials can be read by others. */
export async function readNatsPlace({ servers, creds, ca }: ClusterRequest): Promise<NatsPlace> {
  return {
    servers,
    creds: creds === undefined ? undefined : await readFile(creds, { isSecret: true }),
    caCerts: ca === undefined ? [] : readCertificates(ca, await readFile(ca, { isSecret: false })),
  };
}

function readCertificates(path: string, text: string): readonly string[] {
  const found = text.match(CERTIFICATE);
  if (found) return found;
  throw new UsageError(`${path}: not a certificate in PEM`, [
    "it begins with -----BEGIN CERTIFICATE-----",
  ]);
}

async function readFile(path: string, { isSecret }: { isSecret: boolean }): Promise<string> {
  try {
    const { mode, size } = await Deno.stat(path);
    if (size > MAX_FILE_BYTES) throw new UsageError(`${path}: larger than 1 MiB`);
    if (isSecret && Deno.build.os !== "windows" && ((mode ?? 0) & 0o077) !== 0) {
      throw new UsageError(`${path}: readable by others than its owner`, [`chmod 600 ${path}`]);
    }
    return await Deno.readTextFile(path);
  } catch (error) {
    throw error instanceof UsageError ? error : cannotRead(path, error);
  }
}

/** Why this may not be what is meant; undefined if it is. */
export function warnOfOpenNats({ servers, creds }: NatsPlace, isEncrypted: boolean) {
  const isNear = servers.every((server) => /^nats:\/\/(127\.|localhost[:.]|\[::1\])/.test(server));
  if (isNear || (isEncrypted && creds !== undefined)) return undefined;
  const what = isEncrypted
    ? "without credentials"
    : creds === undefined
    ? "without TLS and without credentials"
    : "without TLS";
  return `NATS on another computer is used ${what}: nobody can read or forge what is said, but ` +
    "whoever reaches it can disturb this server";
}
