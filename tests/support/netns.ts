/**
 * Networks of one's own to test in: namespaces of the Linux kernel joined by a bridge, with nothing of the real network
 * in them. Needs to be root.
 *
 * @module
 */

import { type Commands, FROM_SOURCE, poll, World } from "./programs.ts";

const decoder = new TextDecoder();

/** Why there can be no networks here; undefined when there can. */
export const NO_NETWORKS: string | undefined = await (async () => {
  if (Deno.build.os !== "linux") return "there are network namespaces on Linux only";
  if (Deno.uid() !== 0) return "only root may make network namespaces";
  const name = `hearth${Deno.pid}t`;
  try {
    await run("ip", "netns", "add", name);
    await run("ip", "-n", name, "link", "add", "x", "type", "veth", "peer", "name", "y");
  } catch (error) {
    return `network namespaces cannot be made: ${error instanceof Error ? error.message : error}`;
  } finally {
    await new Deno.Command("ip", { args: ["netns", "del", name], stderr: "null" }).output()
      .catch(() => {}); // it is not there, nor may ip be
  }
})();

/** Tells whether programs are installed. */
export async function areInstalled(...programs: readonly string[]): Promise<boolean> {
  const { success } = await new Deno.Command("sh", {
    args: ["-c", 'for program; do command -v "$program" || exit 1; done', "sh", ...programs],
    stdout: "null",
  }).output();
  return success;
}

/** Runs a program to its end. @returns What it said. @throws {Error} When it fails. */
export async function run(program: string, ...args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  if (success) return decoder.decode(stdout);
  throw new Error(`${program} ${args.join(" ")}: ${decoder.decode(stderr).trim()}`);
}

let made = 0;

/** A computer in a network of the test. */
export class Computer {
  /** Of its namespace. */
  readonly name: string;
  /** Its only way out. */
  readonly link: string;

  /** @param name Of the namespace, which is there already. */
  constructor(name: string, link: string) {
    this.name = name;
    this.link = link;
  }

  /** The command line that runs a program there. */
  command(...words: readonly string[]): string[] {
    return ["ip", "netns", "exec", this.name, ...words];
  }

  /** Runs a program there to its end. @returns What it said. @throws {Error} When it fails. */
  run(...words: readonly string[]): Promise<string> {
    const [program, ...args] = this.command(...words);
    return run(program!, ...args);
  }

  /** Starts a program there; it is killed when it is disposed of. */
  start(words: readonly string[], env: Record<string, string> = {}): AsyncDisposable {
    const [program, ...args] = this.command(...words);
    const process = new Deno.Command(program!, { args, env, stdout: "null", stderr: "null" })
      .spawn();
    return {
      async [Symbol.asyncDispose]() {
        try {
          process.kill("SIGKILL");
        } catch {
          // It has ended already.
        }
        await process.status;
      },
    };
  }

  /** Folders of somebody who works there, and the programs they start. */
  world(commands: Commands = FROM_SOURCE): Promise<World> {
    return World.open({
      client: this.command(...commands.client),
      server: this.command(...commands.server),
    });
  }
}

/** Some computers on one bridge. */
export class Network implements AsyncDisposable {
  readonly computers: readonly Computer[];
  readonly #bridge: string;

  private constructor(bridge: string, computers: readonly Computer[]) {
    this.#bridge = bridge;
    this.computers = computers;
  }

  /**
   * Makes a network: the first computer is 10.77.0.1, the next 10.77.0.2, and so on; each has an IPv6 address of the
   * link, too, and none a way out of it.
   */
  static async make(count: number, { ipv4 = true } = {}): Promise<Network> {
    const id = `hearth${Deno.pid}n${made++}`;
    const bridge = `${id}b`;
    const computers = Array.from({ length: count }, (_, i) => new Computer(`${id}c${i}`, "eth0"));
    const network = new Network(bridge, computers);
    try {
      await makeNamespace(bridge);
      await run("ip", "-n", bridge, "link", "add", "br0", "type", "bridge");
      await run("ip", "-n", bridge, "link", "set", "br0", "up");
      for (const [i, { name, link }] of computers.entries()) {
        await makeNamespace(name);
        await run(
          "ip",
          ...["-n", name, "link", "add", link, "type", "veth"],
          ...["peer", "name", `port${i}`, "netns", bridge],
        );
        await run("ip", "-n", bridge, "link", "set", `port${i}`, "master", "br0", "up");
        if (ipv4) await run("ip", "-n", name, "addr", "add", `10.77.0.${i + 1}/24`, "dev", link);
        await run("ip", "-n", name, "link", "set", link, "up");
      }
      await Promise.all(computers.map((computer) => network.#isUp(computer)));
    } catch (error) {
      await network[Symbol.asyncDispose]();
      throw error;
    }
    return network;
  }

  /** The address of the link that a computer has, without zone. */
  async linkAddress(computer: Computer): Promise<string> {
    const shown = await computer.run("ip", "-6", "-o", "addr", "show", "dev", computer.link);
    return /inet6 (fe80\S+)\/64/.exec(shown)![1]!;
  }

  async #isUp(computer: Computer): Promise<void> {
    const { name, link } = computer;
    await poll(
      async () =>
        /inet6 fe80(?!.*tentative)/.test(
          await run("ip", "-n", name, "-6", "-o", "addr", "show", link),
        ),
      () => `an address of the link in ${name}`,
    );
  }

  /** Takes it all away. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of [...this.computers.map(({ name }) => name), this.#bridge]) {
      await run("ip", "netns", "del", name).catch(() => {}); // it was never made
    }
  }
}

async function makeNamespace(name: string): Promise<void> {
  await run("ip", "netns", "add", name);
  // Nobody else can have the addresses: they need not be tried out for a second.
  const settings = "echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad";
  await run("ip", "netns", "exec", name, "sh", "-c", settings);
  await run("ip", "-n", name, "link", "set", "lo", "up");
}
