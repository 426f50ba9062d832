/**
 * Runs the server: puts key, password, files and relay together, and handles its signals.
 *
 * @module
 */

import { BanFile } from "../relay/mod.ts";
import type { ServerOptions } from "./arguments.ts";
import type { Bytes } from "../base/bytes.ts";
import { dropPermissions, EXIT_FAILURE, onEndSignal } from "./process.ts";
import { systemRandom } from "../base/clock.ts";
import { describeError, UsageError } from "../base/errors.ts";
import { stateFolder } from "../base/files.ts";
import { reachableAddresses } from "../base/interfaces.ts";
import type { RunningCluster } from "./run_cluster.ts";
import { type RunningRelay, startRelay } from "./serve.ts";
import { isAnyFileGiven, loadServerFiles, rereadOnHangup } from "./server_files.ts";
import { ServerLog } from "./server_log.ts";
import type { Share, ShareOptions } from "./share/share.ts";
import { loadKey } from "./key_file.ts";
import { decodeJoinKey, derivePassword, makePassword } from "../protocol/password.ts";
import type { PrivateKey } from "../protocol/identity.ts";
import { inviteTo, serverAddress } from "./server_address.ts";
import { askSecretly, readFirstLine, readPassword } from "./secrets.ts";

const env = (name: string) => Deno.env.get(name);

/**
 * Runs the server until a signal ends it.
 *
 * @returns The exit code.
 */
export async function runServer(options: ServerOptions): Promise<number> {
  const log = new ServerLog(options);
  const stopped = Promise.withResolvers<number>();
  onEndSignal(["SIGINT", "SIGTERM"], () => stopped.resolve(0));
  const folder = stateFolder(env);
  const bans = new BanFile(`${folder}/bans`, (error) => log.error(error));
  const fail = (error: UsageError) => {
    log.error(error);
    stopped.resolve(EXIT_FAILURE);
  };
  const serving = serve(options, { folder, bans, log, fail });
  const server = await Promise.race([serving, stopped.promise]);
  const code = await stopped.promise;
  if (typeof server !== "number") {
    log.stopping();
    await server.stop();
    await bans.flush();
  }
  return code;
}

/** What a server needs besides its options. */
interface ServerParts {
  /** The state folder. */
  readonly folder: string;
  readonly bans: BanFile;
  readonly log: ServerLog;
  /** The server cannot go on. */
  fail(error: UsageError): void;
}

async function serve(
  options: ServerOptions,
  { folder, bans, log, fail }: ServerParts,
): Promise<Pick<RunningRelay, "stop">> {
  const key = await loadKey({
    folder,
    name: "server.pem",
    keyFile: options.key,
    bits: options.keyBits,
    progress: (text) => log.say(text),
    ask: askSecretly,
  });
  const contents = await loadServerFiles(options);
  const { joinKey, password } = await findJoinKey(options, key);
  const cluster = options.cluster && await joinCluster(options, { key, joinKey, log, fail });
  const watch = options.metrics && await watchRelay(options.metrics, cluster);
  const starting = startRelay({
    key,
    hostname: options.host,
    port: options.port,
    joinKey,
    ...contents,
    bans: await bans.load(),
    keepBan: (fingerprint, ban) => bans.change(fingerprint, ban),
    capacity: options.roomCapacity,
    maxClients: options.maxClients,
    minKeyBits: options.minKeyBits,
    announce: options.announce,
    onEvent(event) {
      log.event(event);
      watch?.metrics.event(event);
    },
    meter: watch?.metrics,
    onFault: (error) => log.fault(describeFault(error)),
    onTrouble: (line) => log.trouble(line),
    registry: cluster?.registry,
  });
  starting.catch(() => cluster?.stop());
  const relay = await starting;
  rereadOnHangup({ ...options, bans }, relay, log);
  watch?.begin(relay);
  const invitation = inviteTo(relay.addresses[0]!, relay.port, relay.fingerprint) +
    (joinKey === undefined ? "" : " --password");
  const share = options.share && await beginSharing(options, {
    invitation: () => invitation,
    say: (text) => log.say(text),
  });
  await log.listening(relay, {
    locked: joinKey !== undefined,
    password,
    metrics: watch?.address,
    share,
  });
  await notify(folder, log);
  void relay.announced.then((isAnnounced) => {
    if (isAnnounced || !options.announce) return;
    log.say("this server cannot be announced on the network: clients need its address");
  });
  void dropUnneeded(options, relay);
  return {
    async stop() {
      watch?.stopping();
      share?.stop();
      await relay.stop();
      await cluster?.stop();
      watch?.stop();
    },
  };
}

async function joinCluster(
  { cluster, host, port, roomCapacity: capacity }: ServerOptions,
  parts: Pick<ServerParts, "log" | "fail"> & { key: PrivateKey; joinKey: Bytes | undefined },
): Promise<RunningCluster> {
  const { joinCluster }: typeof import("./run_cluster.ts") = await import(
    "./run_cluster.ts" as string
  );
  const address = serverAddress(reachableAddresses(host)[0]!, port);
  return await joinCluster(cluster!, { ...parts, capacity, address });
}

/** Tells the service manager that has started this server, if it wants to know. */
async function notify(folder: string, log: ServerLog): Promise<void> {
  const address = env("NOTIFY_SOCKET");
  if (!address) return;
  const { notifyReady }: typeof import("./notify.ts") = await import("./notify.ts" as string);
  try {
    await notifyReady(address, folder);
  } catch (error) {
    log.error(
      new UsageError(`the service manager was not told that it is ready: ${describeError(error)}`, [
        "with systemd, Type=exec works without",
      ]),
    );
  }
}

/** Hands out clients. @throws {UsageError} When there are none, or it cannot listen there. */
async function beginSharing(
  { share, host }: ServerOptions,
  told: Pick<ShareOptions, "invitation" | "say">,
): Promise<Share> {
  const { startShare }: typeof import("./share/share.ts") = await import(
    "./share/share.ts" as string
  );
  return await startShare({ ...share!, hostname: host, ...told });
}

/** Serves what is measured, of a relay that has yet to begin. @throws {UsageError} When it cannot listen there. */
async function watchRelay(
  { host, port }: NonNullable<ServerOptions["metrics"]>,
  cluster: RunningCluster | undefined,
) {
  const { ServerMetrics }: typeof import("./metrics.ts") = await import("./metrics.ts" as string);
  const { serveMetrics }: typeof import("./metrics_server.ts") = await import(
    "./metrics_server.ts" as string
  );
  const metrics = new ServerMetrics();
  const { clusterFamilies }: Partial<typeof import("./cluster_metrics.ts")> = cluster
    ? await import("./cluster_metrics.ts" as string)
    : {};
  const ofCluster = () => cluster && clusterFamilies ? clusterFamilies(cluster.numbers()) : [];
  let relay: RunningRelay | undefined;
  let isStopping = false;
  const server = serveMetrics({
    hostname: host,
    port,
    families: () => relay ? [...metrics.families(relay), ...ofCluster()] : [],
    isHealthy: () => relay !== undefined && !isStopping,
  });
  return {
    metrics,
    address: server.address,
    begin: (running: RunningRelay) => relay = running,
    stopping: () => isStopping = true,
    stop() {
      metrics.stop();
      server.stop();
    },
  };
}

/** Drops permissions the server no longer needs, to limit the damage of a compromise. */
async function dropUnneeded(options: ServerOptions, relay: RunningRelay): Promise<void> {
  const { announce, operators, share, cluster } = options;
  await dropPermissions("env", "run");
  if (operators === undefined && !cluster) await dropPermissions("write"); // operators ban, also elsewhere
  // SIGHUP reads the files again, and programs are read when they are handed out.
  if (!isAnyFileGiven(options) && !share && !cluster) await dropPermissions("read");
  // Announcing follows networks as they come and go; accepting connections needs no permission.
  if (announce && await relay.announced) return;
  await dropPermissions("sys");
  if (!cluster) await dropPermissions("net"); // NATS is connected to again and again
}

function describeFault(error: unknown): UsageError {
  return new UsageError(`cannot accept connections for now: ${describeError(error)}`, [
    "connected clients are not affected; if there are too many open files, raise the limit with ulimit -n",
  ]);
}

/** How members prove that they know the password. */
interface JoinKey {
  /** All that the relay knows of the password, §7; undefined when there is none. */
  readonly joinKey?: Bytes;
  /** One that we have generated, which nobody knows yet. */
  readonly password?: string;
}

async function findJoinKey(
  { password: source }: ServerOptions,
  key: PrivateKey,
): Promise<JoinKey> {
  if (source?.from === "join-key-file") {
    const line = await readFirstLine(source.path);
    try {
      return { joinKey: decodeJoinKey(line) };
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      throw new UsageError(`${source.path}: ${error.message}`, error.hints);
    }
  }
  let generated: string | undefined;
  const password = await readPassword({
    source,
    async ask() {
      const typed = await askTwice();
      return typed === "" ? generated = makePassword(systemRandom) : typed;
    },
  });
  if (password === "") return {};
  const { joinKey } = await derivePassword(password, key.publicKey.fingerprint);
  return { joinKey, ...(generated !== undefined && { password: generated }) };
}

/** Asks for a new password twice, unless nothing is typed. */
async function askTwice(): Promise<string | undefined> {
  const first = await askSecretly("Password (Enter generates one): ");
  if (first === undefined || first === "") return first;
  const second = await askSecretly("The same again: ");
  if (second === undefined || second === first) return second;
  throw new UsageError("the two passwords differ", ["start again"]);
}
