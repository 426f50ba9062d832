/**
 * Programs that send files, and how each sends one from this computer to itself.
 *
 * @module
 */

import { freePort, makeCertificate } from "./servers.ts";

/** Where a file is, and where it is to come. */
export interface Errand {
  readonly path: string;
  readonly bytes: number;
  /** An empty folder. */
  readonly into: string;
  /** For certificates and the like. */
  readonly folder: string;
}

/** Another program to compare with. */
export interface Rival {
  readonly name: string;
  /** Straight to the receiver, or over a relay of its own. */
  readonly way: "direct" | "relayed";
  /** What has to be installed. */
  readonly programs: readonly string[];
  /** @returns Seconds from its first byte at the receiver to the end of the receiver. */
  send(errand: Errand): Promise<number>;
}

const POLL_MS = 2;
const START_MS = 1500;

/** A child that is killed at the end of its block. */
class Child implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;

  constructor(command: string, options: Deno.CommandOptions = {}) {
    const silent = { stdin: "null", stdout: "null", stderr: "null" } as const;
    this.#child = new Deno.Command("sh", { args: ["-c", command], ...silent, ...options }).spawn();
  }

  async ended(): Promise<void> {
    const { code } = await this.#child.status;
    if (code !== 0) throw new Error(`exit ${code}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // it has ended
    }
    await this.#child.status;
  }
}

/** Seconds from the first byte in the folder to the end of the receiver. */
async function timeReceiver(receiver: Child, into: string): Promise<number> {
  let isOver = false;
  const ended = receiver.ended().finally(() => isOver = true);
  ended.catch(() => {});
  while (!isOver && !hasBytes(into)) await sleep(POLL_MS);
  const start = performance.now();
  await ended;
  return (performance.now() - start) / 1000;
}

function hasBytes(folder: string): boolean {
  return Array.from(Deno.readDirSync(folder)).some(({ name, isFile }) => {
    try {
      return isFile && Deno.statSync(`${folder}/${name}`).size > 0;
    } catch {
      return false; // renamed meanwhile
    }
  });
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Which of some programs is not installed. */
export async function missing(programs: readonly string[]): Promise<string | undefined> {
  for (const program of programs) {
    const { success } = await new Deno.Command("sh", {
      args: ["-c", `command -v ${program}`],
      stdout: "null",
    }).output();
    if (!success) return `${program} is not installed`;
  }
  return undefined;
}

const ncat: Rival = {
  name: "ncat --ssl",
  way: "direct",
  programs: ["ncat", "openssl"],
  async send({ path, into, folder }) {
    const { cert, key } = await makeCertificate(folder);
    const port = freePort();
    const listen = `--ssl --ssl-cert ${cert} --ssl-key ${key} --recv-only -l 127.0.0.1 ${port}`;
    // It often loses its last bytes, and says so by its exit code: what arrived is what counts.
    await using receiver = new Child(`ncat ${listen} >${into}/file; true`);
    await sleep(500);
    await using _sender = new Child(`exec ncat --ssl --send-only 127.0.0.1 ${port} <${path}`);
    return await timeReceiver(receiver, into);
  },
};

const croc: Rival = {
  name: "croc",
  way: "relayed",
  programs: ["croc"],
  async send({ path, into, folder }) {
    const port = freePort();
    const ports = [0, 1, 2, 3, 4].map((i) => port + i).join(",");
    const options = `--relay 127.0.0.1:${port} --yes --ignore-stdin --disable-clipboard`;
    const env = { CROC_SECRET: "9999-bench-bench-bench", HOME: folder };
    await using _relay = new Child(`exec croc relay --host 127.0.0.1 --ports ${ports}`, { env });
    await sleep(500);
    await using _sender = new Child(`exec croc ${options} --no-compress send --no-local ${path}`, {
      env,
    });
    await sleep(START_MS);
    await using receiver = new Child(`exec croc ${options} --out ${into}`, { env });
    return await timeReceiver(receiver, into);
  },
};

const wormhole: Rival = {
  name: "magic-wormhole",
  way: "direct",
  programs: ["wormhole", "twist"],
  async send({ path, into, folder }) {
    const port = freePort();
    await using _mailbox = new Child(
      `exec twist wormhole-mailbox --port tcp:${port}:interface=127.0.0.1`,
      { cwd: folder },
    );
    await sleep(START_MS);
    const options = `--relay-url ws://127.0.0.1:${port}/v1 --transit-helper tcp:127.0.0.1:1`;
    const code = "7-bench-bench";
    await using _sender = new Child(
      `exec wormhole ${options} send --hide-progress --code ${code} ${path}`,
    );
    await sleep(START_MS);
    await using receiver = new Child(
      `exec wormhole ${options} receive --hide-progress --accept-file ${code}`,
      { cwd: into },
    );
    return await timeReceiver(receiver, into);
  },
};

export const RIVALS: readonly Rival[] = [ncat, croc, wormhole];
