/**
 * The server once its arguments are known: key, password, allow list and relay put together, its log, its signals and
 * the exit code.
 *
 * With server.ts the only glue on the server's side.
 *
 * @module
 */

import { loadAllowList } from "../relay/allow_list.ts";
import type { ServerOptions } from "./arguments.ts";
import type { Bytes } from "../base/bytes.ts";
import {
  describeError,
  dropPermissions,
  fileError,
  onEndSignal,
  readFirstLine,
  readPassphrase,
  readPassword,
} from "./process.ts";
import { systemRandom } from "../base/clock.ts";
import { UsageError } from "../base/errors.ts";
import { stateFolder } from "../base/files.ts";
import { type Host, startHost } from "./serve.ts";
import { loadIdentity } from "./key_file.ts";
import { ServerLog } from "./server_log.ts";
import { decodeJoinKey, derivePassword, makePassword } from "../protocol/password.ts";
import type { PrivateKey } from "../protocol/identity.ts";

const env = (name: string) => Deno.env.get(name);

/** Asks at the terminal, whose editor is loaded only for that. */
async function askSecretly(question: string): Promise<string | undefined> {
  const secret = await import("../ui/terminal/ask_secretly.ts");
  return await secret.askSecretly(question);
}

/**
 * Runs the server until a signal ends it.
 *
 * @returns The exit code.
 */
export async function runServer(options: ServerOptions): Promise<number> {
  const log = new ServerLog(options);
  const stopped = Promise.withResolvers<void>();
  onEndSignal(["SIGINT", "SIGTERM"], () => stopped.resolve());
  const serving = serve(options, log);
  const host = await Promise.race([serving, stopped.promise]);
  if (host) {
    await stopped.promise;
    log.stopping();
    await host.stop();
  }
  return 0;
}

async function serve(options: ServerOptions, log: ServerLog): Promise<Host> {
  const key = await loadKey(options, log);
  const allow = options.allow === undefined ? undefined : await loadAllow(options.allow);
  const joinKey = await findJoinKey(options, { key, log });
  const host = await startHost({
    key,
    hostname: options.host,
    port: options.port,
    joinKey,
    allow,
    capacity: options.roomCapacity,
    maxClients: options.maxClients,
    minKeyBits: options.minKeyBits,
    announce: options.announce,
    onEvent: (event) => log.event(event),
    onFault: (error) => log.error(describeFault(error)),
  });
  if (options.allow !== undefined) rereadOnHangup(options.allow, host, log);
  log.listening(host, { locked: joinKey !== undefined });
  await log.picture(host);
  void host.announced.then((isAnnounced) => {
    if (isAnnounced || !options.announce) return;
    log.say("this server cannot be announced on the network: others need its address");
  });
  void dropNeedless(options, host);
  return host;
}

/** Whoever should get hold of the running server finds as little as can be. */
async function dropNeedless({ allow, announce }: ServerOptions, host: Host): Promise<void> {
  await dropPermissions("env", "run", "write");
  if (allow === undefined) await dropPermissions("read"); // else the list is read again
  // What is announced follows the networks that come and go; what listens needs no permission to accept.
  if (!announce || !await host.announced) await dropPermissions("net", "sys");
}

function describeFault(error: unknown): UsageError {
  return new UsageError(`nobody more can be let in for now: ${describeError(error)}`, [
    "those who are in go on; if files are too few: raise the limit with ulimit -n",
  ]);
}

function loadKey(options: ServerOptions, log: ServerLog): Promise<PrivateKey> {
  return loadIdentity({
    folder: stateFolder(env),
    name: "server.pem",
    keyFile: options.key,
    bits: options.keyBits,
    onMaking: (path, bits) => log.say(`making the server's key of ${bits} bits: ${path}`),
    askPassphrase: (path) => readPassphrase(path, askSecretly),
  });
}

async function loadAllow(path: string): Promise<Set<string>> {
  try {
    return await loadAllowList(path);
  } catch (error) {
    throw error instanceof UsageError ? error : fileError(path, error);
  }
}

/** A list that cannot be read changes nothing: nobody is removed by a slip of the editor. */
function rereadOnHangup(path: string, host: Host, log: ServerLog): void {
  if (Deno.build.os === "windows") return; // there is no such signal
  Deno.addSignalListener("SIGHUP", async () => {
    try {
      const allow = await loadAllow(path);
      host.setAllow(allow);
      log.say(`read ${path} again: ${allow.size} may join`);
    } catch (error) {
      log.error(error);
      log.say("the list of before still holds");
    }
  });
}

// --- The password ---

/** Finds what the relay is to know of the password, §7; nothing when there is none. */
async function findJoinKey(
  { password: source }: ServerOptions,
  { key, log }: { key: PrivateKey; log: ServerLog },
): Promise<Bytes | undefined> {
  if (source?.from === "join-key-file") {
    const line = await readFirstLine(source.path);
    try {
      return decodeJoinKey(line);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      throw new UsageError(`${source.path}: ${error.message}`, error.hints);
    }
  }
  const password = await readPassword({ source, ask: (question) => askTwice(question, log) });
  if (password === "") return undefined;
  return (await derivePassword(password, key.publicKey.fingerprint)).joinKey;
}

/** Asks for a new password twice; makes one when nothing is typed. */
async function askTwice(question: string, log: ServerLog): Promise<string | undefined> {
  const first = await askSecretly(question);
  if (first === undefined) return undefined;
  if (first === "") {
    const made = makePassword(systemRandom);
    log.password(made);
    return made;
  }
  const second = await askSecretly("The same again: ");
  if (second === undefined || second === first) return second;
  throw new UsageError("the two passwords differ", ["start again"]);
}
