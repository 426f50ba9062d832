/**
 * Real servers of NATS, each on a free port of this computer, with a folder of its own.
 *
 * @module
 */

import { freePort, poll } from "./programs.ts";

/** Why there are none; undefined if there are. */
export const NO_NATS: string | undefined = await (async () => {
  try {
    const { success } = await new Deno.Command("nats-server", { args: ["--version"] }).output();
    return success ? undefined : "nats-server does not run";
  } catch {
    return "nats-server is not installed";
  }
})();
if (NO_NATS) console.log(`${NO_NATS}: tests of a cluster over NATS are skipped`);

/** Ports that are tried: others look for free ones, too. */
const MAX_ATTEMPTS = 20;

/** How a server is set up. */
interface NatsServerOptions {
  /** Further lines of its configuration. */
  readonly config?: string;
  /** Whether it has JetStream. */
  readonly jetStream?: boolean;
  /** Makes all of its configuration. */
  readonly whole?: (server: { readonly port: number; readonly folder: string }) => string;
}

/** A server of NATS that can be killed and started again. */
export class NatsServer implements AsyncDisposable {
  readonly port: number;
  readonly folder: string;
  #process: Deno.ChildProcess | undefined;

  private constructor(port: number, folder: string) {
    this.port = port;
    this.folder = folder;
  }

  /** Starts one, and waits until it listens. */
  static async start(
    { config = "", jetStream = true, whole }: NatsServerOptions = {},
  ): Promise<NatsServer> {
    for (let attempt = 1;; attempt++) {
      const folder = await Deno.makeTempDir({ prefix: "hearth_nats_" });
      const server = new NatsServer(freePort(), folder);
      if (whole) await server.write(`${whole(server)}\nlog_file: "${folder}/log"`);
      else await server.configure(config, jetStream);
      if (await server.start()) return server;
      const log = await Deno.readTextFile(`${folder}/log`).catch(() => "no log");
      await server[Symbol.asyncDispose]();
      if (attempt === MAX_ATTEMPTS || !/address already in use/.test(log)) {
        throw new Error(`nats-server did not start: ${log}`);
      }
    }
  }

  /** Starts three that are one: each can be killed, and the others go on. */
  static async startThree(): Promise<readonly NatsServer[]> {
    const routes = Array.from({ length: 3 }, freePort);
    const others = routes.map((port) => `"nats://127.0.0.1:${port}"`).join(", ");
    return await Promise.all(routes.map((port, i) =>
      NatsServer.start({
        config: `server_name: n${i}
          cluster { name: hearth, host: 127.0.0.1, port: ${port}, routes: [${others}] }`,
      })
    ));
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Of the process, while it runs. */
  get pid(): number {
    return this.#process!.pid;
  }

  /** Writes its configuration anew. */
  async configure(config: string, jetStream = true): Promise<void> {
    const lines = [
      `host: 127.0.0.1`,
      `port: ${this.port}`,
      `log_file: "${this.folder}/log"`,
      jetStream ? `jetstream { store_dir: "${this.folder}/js", max_file: 1GB, max_mem: 64MB }` : "",
      config,
    ];
    await this.write(lines.join("\n"));
  }

  /** Writes its whole configuration anew. */
  async write(config: string): Promise<void> {
    await Deno.writeTextFile(`${this.folder}/nats.conf`, config);
  }

  /** Starts it again. @returns Whether it listens; it does not if its port is taken. */
  async start(): Promise<boolean> {
    const process = new Deno.Command("nats-server", {
      args: ["-c", `${this.folder}/nats.conf`],
      stdout: "null",
      stderr: "null",
    }).spawn();
    this.#process = process;
    let hasEnded = false;
    void process.status.then(() => hasEnded = true);
    await poll(
      async () => hasEnded || await this.#answers(),
      () => `nats-server on port ${this.port}`,
    );
    return !hasEnded;
  }

  /** Sends it a signal. */
  signal(signal: Deno.Signal): void {
    this.#process!.kill(signal);
  }

  /** Stops it as a hung server is, and waits until all of it stands still. */
  async stop(): Promise<void> {
    this.signal("SIGSTOP");
    const tasks = `/proc/${this.#process!.pid}/task`;
    if (Deno.build.os !== "linux") return;
    const stands = (name: string) => /\) T /.test(Deno.readTextFileSync(`${tasks}/${name}/stat`));
    await poll(
      () => [...Deno.readDirSync(tasks)].every(({ name }) => stands(name)),
      () => "a server that stands still",
    );
  }

  /** Kills it, and waits for its end. */
  async kill(signal: Deno.Signal = "SIGKILL"): Promise<void> {
    this.signal(signal);
    await this.#process!.status;
  }

  async #answers(): Promise<boolean> {
    try {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: this.port });
      const length = await connection.read(new Uint8Array(8));
      connection.close();
      return length !== null;
    } catch {
      return false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.kill();
    } catch {
      // It has ended.
    }
    await Deno.remove(this.folder, { recursive: true });
  }
}
