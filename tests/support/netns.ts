/**
 * Isolated test networks: Linux network namespaces connected by a bridge. Needs root.
 *
 * @module
 */

import { type Commands, FROM_SOURCE, poll, World } from "./programs.ts";

const decoder = new TextDecoder();

/** Why networks cannot be created; undefined when they can. */
export const NO_NETWORKS: string | undefined = await (async () => {
  if (Deno.build.os !== "linux") return "there are network namespaces on Linux only";
  if (Deno.uid() !== 0) return "only root may make network namespaces";
  const name = ownName();
  try {
    await run("ip", "netns", "add", name);
    await run("ip", "-n", name, "link", "add", "x", "type", "veth", "peer", "name", "y");
  } catch (error) {
    return `network namespaces cannot be made: ${error instanceof Error ? error.message : error}`;
  } finally {
    await new Deno.Command("ip", { args: ["netns", "del", name], stderr: "null" }).output()
      .catch(() => {}); // never created, or no ip command
  }
})();

/** Whether programs are installed. */
export async function areInstalled(...programs: readonly string[]): Promise<boolean> {
  const { success } = await new Deno.Command("sh", {
    args: ["-c", 'for program; do command -v "$program" || exit 1; done', "sh", ...programs],
    stdout: "null",
  }).output();
  return success;
}

/** Runs a program to its end. @returns Its output. @throws {Error} When it fails. */
export async function run(program: string, ...args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  if (success) return decoder.decode(stdout);
  throw new Error(`${program} ${args.join(" ")}: ${decoder.decode(stderr).trim()}`);
}

/** A name that no other test has, whichever files run at the same time. */
function ownName(): string {
  return `hearth-${crypto.randomUUID().slice(0, 8)}`;
}

/** A computer in a test network. */
export class Computer {
  /** The name of its namespace. */
  readonly name: string;
  /** Its only interface. */
  readonly link: string;

  /** @param name Of an existing namespace. */
  constructor(name: string, link: string) {
    this.name = name;
    this.link = link;
  }

  /** The command line that runs a program there. */
  command(...words: readonly string[]): string[] {
    return ["ip", "netns", "exec", this.name, ...words];
  }

  /** Runs a program there to its end. @returns Its output. @throws {Error} When it fails. */
  run(...words: readonly string[]): Promise<string> {
    const [program, ...args] = this.command(...words);
    return run(program!, ...args);
  }

  /** Starts a program there; disposing kills it. */
  start(words: readonly string[], env: Record<string, string> = {}): AsyncDisposable {
    const [program, ...args] = this.command(...words);
    const process = new Deno.Command(program!, { args, env, stdout: "null", stderr: "null" })
      .spawn();
    return {
      async [Symbol.asyncDispose]() {
        try {
          process.kill("SIGKILL");
        } catch {
          // Already ended.
        }
        await process.status;
      },
    };
  }

  /** A world whose programs run there. */
  world(commands: Commands = FROM_SOURCE): Promise<World> {
    return World.open({
      client: this.command(...commands.client),
      server: this.command(...commands.server),
    });
  }
}

/** Computers on one bridge. */
export class Network implements AsyncDisposable {
  readonly computers: readonly Computer[];
  readonly #bridge: string;
  #hasOther = false;

  private constructor(bridge: string, computers: readonly Computer[]) {
    this.#bridge = bridge;
    this.computers = computers;
  }

  /**
   * Creates a network of the computers 10.77.0.1, 10.77.0.2, and so on, each with a link-local IPv6 address too, and
   * without a route out.
   */
  static async make(count: number, { ipv4 = true } = {}): Promise<Network> {
    const id = ownName();
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

  /** The link-local address of a computer, without zone. */
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

  /** Cuts the cable of a computer: its own interface stays up. */
  async unplug(computer: Computer): Promise<void> {
    await run("ip", "-n", this.#bridge, "link", "set", this.#portOf(computer), "nomaster");
  }

  /** Plugs the cable of a computer in, into another switch if that is wanted. */
  async plug(computer: Computer, other = false): Promise<void> {
    if (other && !this.#hasOther) {
      await run("ip", "-n", this.#bridge, "link", "add", "br1", "type", "bridge");
      await run("ip", "-n", this.#bridge, "link", "set", "br1", "up");
      this.#hasOther = true;
    }
    const port = this.#portOf(computer);
    await run("ip", "-n", this.#bridge, "link", "set", port, "master", other ? "br1" : "br0");
  }

  /** Isolated computers do not reach each other, but all others. */
  async isolate(computer: Computer, isIsolated: boolean): Promise<void> {
    const port = this.#portOf(computer);
    const words = ["type", "bridge_slave", "isolated", isIsolated ? "on" : "off"];
    await run("ip", "-n", this.#bridge, "link", "set", port, ...words);
  }

  #portOf(computer: Computer): string {
    return `port${this.computers.indexOf(computer)}`;
  }

  /** Deletes the network. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of [...this.computers.map(({ name }) => name), this.#bridge]) {
      await run("ip", "netns", "del", name).catch(() => {}); // never created
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
