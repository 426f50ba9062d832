/**
 * The client's short commands, which need no session: `--list`, `forget`, `join-key`, `history` and `export`.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { stateFolder } from "../base/files.ts";
import { escapeJson } from "../base/text.ts";
import { decodeFingerprint } from "../protocol/identity.ts";
import { derivePassword, encodeJoinKey } from "../protocol/password.ts";
import { KnownServers } from "../session/mod.ts";
import { describeAnnounced, findAnnounced, noServerFound } from "./announced_servers.ts";
import type {
  ClientOptions,
  ClientRequest,
  CommonRequest,
  ForgetRequest,
  JoinKeyRequest,
  ListRequest,
} from "./arguments.ts";
import { askSecretly, readPassword } from "./secrets.ts";
import { serverAddress } from "./server_address.ts";

/**
 * Runs one of these commands.
 *
 * @throws {UsageError} When it finds nothing to list or to forget, or no password.
 */
export async function runSubcommand(
  request: Exclude<ClientRequest, ClientOptions | CommonRequest>,
): Promise<void> {
  switch (request.type) {
    case "list":
      return await listServers(request);
    case "forget":
      return await forgetServer(request);
    case "history": {
      const { printHistory }: typeof import("./history_files.ts") = await import(
        "./history_files.ts" as string
      );
      return await printHistory(request);
    }
    case "forget-history": {
      const { removeHistory }: typeof import("./history_files.ts") = await import(
        "./history_files.ts" as string
      );
      return await removeHistory(request);
    }
    case "join-key":
      return await printJoinKey(request);
  }
}

/** Prints the announced servers. */
async function listServers({ json }: ListRequest): Promise<void> {
  const found = await findAnnounced(await loadKnownServers());
  if (found.length === 0) throw noServerFound();
  for (const { name, addresses, port, fingerprint, password, known } of found) {
    const fields = { name, addresses, port, fingerprint, password, known };
    console.log(json ? escapeJson(fields) : describeAnnounced(fields));
  }
}

/** Removes the pin of a server. */
async function forgetServer({ host, port }: ForgetRequest): Promise<void> {
  const address = serverAddress(host, port);
  const knownServers = await loadKnownServers();
  if (!await knownServers.forget(address)) {
    throw new UsageError(`no key is known for ${address}`, [
      `the known ones are in ${knownServers.path}`,
    ]);
  }
  console.log(`the key of ${address} is forgotten`);
}

/** Prints the join key for a server that must not know the password. */
async function printJoinKey(request: JoinKeyRequest): Promise<void> {
  const isSet = Deno.env.get("HEARTH_PASSWORD");
  const password = await readPassword({
    source: request.password ?? (isSet ? undefined : { from: "prompt" }),
    ask: askSecretly,
  });
  if (password === "") throw new UsageError("the password is empty");
  const { joinKey } = await derivePassword(password, decodeFingerprint(request.fingerprint));
  console.log(encodeJoinKey(joinKey));
}

function loadKnownServers(): Promise<KnownServers> {
  return KnownServers.load(stateFolder((name) => Deno.env.get(name)));
}
