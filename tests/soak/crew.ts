/**
 * The processes of a soak: a relay that is killed and started again, clients that are, and the network between them.
 *
 * @module
 */

import { type Computer, Network, NO_NETWORKS, run } from "../support/netns.ts";
import {
  fingerprintOf,
  freePort,
  FROM_SOURCE,
  poll,
  type Program,
  World,
} from "../support/programs.ts";
import type { Account } from "./ledger.ts";

/** Networks that the clients are spread over. */
const NETWORKS = 4;
/** What a network does to packets, where the kernel can; else what comes nearest to it. */
const BAD_NETWORK = ["delay", "20ms", "10ms", "loss", "1%"];
const SLOW_NETWORK = ["rate", "4mbit", "burst", "8kb", "latency", "200ms"];
const LOSSY_NETWORK = [
  "add table inet bad",
  "add chain inet bad out { type filter hook output priority 0; }",
  "add rule inet bad out meta l4proto tcp numgen random mod 100 < 1 drop",
].join("; ");
const NAMESPACE_PORT = 40623;

/** What a process needs of its computer. */
export interface Usage {
  /** Resident memory, MiB. */
  readonly memory: number;
  /** Open files and sockets. */
  readonly descriptors: number;
}

/** One identity and its processes, of which at most one runs. */
interface Client {
  readonly nick: string;
  readonly fingerprint: string;
  readonly world: World;
  readonly home: string;
  readonly lives: { readonly program: Program; killed: boolean }[];
}

/** The whole of it. */
export class Crew implements AsyncDisposable {
  /** What is between the processes, in words. */
  readonly place: string;
  readonly clients: Client[] = [];
  readonly #network: Network | undefined;
  readonly #worlds: readonly World[];
  readonly #host: string;
  readonly #port: number;
  #relay: Program | undefined;

  private constructor(place: string, network: Network | undefined, worlds: readonly World[]) {
    this.place = place;
    this.#network = network;
    this.#worlds = worlds;
    this.#host = network ? "10.77.0.1" : "127.0.0.1";
    this.#port = network ? NAMESPACE_PORT : freePort();
  }

  /** Prepares everything and starts nothing; with networks of its own where that can be. */
  static async make(size: number): Promise<Crew> {
    const network = NO_NETWORKS === undefined ? await Network.make(1 + NETWORKS) : undefined;
    const worlds = network
      ? await Promise.all(network.computers.map((computer) => computer.world()))
      : [await World.open(FROM_SOURCE)];
    const place = network
      ? `${NETWORKS} networks with cables that are cut, ${await degrade(network)}`
      : `loopback: ${NO_NETWORKS}`;
    const crew = new Crew(place, network, worlds);
    const [first, ...others] = worlds;
    const homes = network ? others : [first!];
    for (let i = 0; i < size; i++) {
      const nick = `client${i}`;
      const world = homes[i % homes.length]!;
      const home = await world.home(nick);
      crew.clients.push({ nick, world, home, fingerprint: await fingerprintOf(nick), lives: [] });
    }
    return crew;
  }

  /** The relay that runs. */
  get relay(): Program {
    return this.#relay!;
  }

  /** Starts the relay, and waits until it listens. */
  async startRelay(): Promise<void> {
    this.#relay = await this.#worlds[0]!.server([], { port: this.#port });
  }

  /** Starts a client. */
  startClient(client: Client): void {
    const { nick, home, world, lives } = client;
    const args = ["--host", this.#host, "--port", `${this.#port}`, "--nick", nick, "--json"];
    lives.push({ program: world.start("client", { args, home }, nick), killed: false });
  }

  /** Starts all of them anew: from now on they know each other, and wait for each other for hours and not for minutes. */
  async introduce(): Promise<void> {
    await Promise.all(this.clients.map(async (client) => {
      const life = client.lives.at(-1)!;
      life.killed = true;
      await life.program.leave();
      this.startClient(client);
    }));
  }

  /** Ends a client in the middle of whatever it does. */
  async killClient(client: Client): Promise<void> {
    const life = client.lives.at(-1)!;
    life.killed = true;
    await life.program.kill();
  }

  /** Starts those again that found no relay when they were started, as their people would. */
  revive(): void {
    for (const client of this.clients) {
      const life = client.lives.at(-1)!;
      if (life.killed || life.program.running || life.program.all("connected").length > 0) continue;
      life.killed = true;
      this.startClient(client);
    }
  }

  /** Cuts the cable of some clients for so long; false where there is none to cut. */
  async cutCable(index: number, delay: number): Promise<boolean> {
    const computer = this.#network?.computers[1 + index % NETWORKS];
    if (!computer) return false;
    const set = (state: string) =>
      run("ip", "-n", computer.name, "link", "set", computer.link, state);
    await set("down");
    await new Promise((resolve) => setTimeout(resolve, delay));
    await set("up");
    return true;
  }

  /** Everything the clients have told. */
  accounts(): Account[] {
    return this.clients.flatMap(({ fingerprint, lives }) =>
      lives.map(({ program, killed }) => ({ fingerprint, events: program.events, killed }))
    );
  }

  /** Processes that have ended though nobody ended them. */
  deserters(): string[] {
    const programs = this.clients.flatMap(({ lives }) =>
      lives.filter(({ killed, program }) => !killed && !program.running)
    ).map(({ program }) => program.describe());
    return this.relay.running ? programs : [...programs, this.relay.describe()];
  }

  /** Waits until every client that runs has seen all others. */
  async assemble(timeoutMs: number): Promise<void> {
    for (const { lives } of this.clients) {
      const { program } = lives.at(-1)!;
      const others = () =>
        new Set(program.all("joined").map(({ fingerprint }) => fingerprint)).size;
      await poll(
        () => others() === this.clients.length - 1,
        () => `all others at ${program.name}, which knows ${others()}`,
        timeoutMs,
      );
    }
  }

  /** Waits until everybody was told of each message what became of it; how many are open at the end of the time. */
  async settle(timeoutMs: number): Promise<number> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const open = this.clients.map(({ lives }) => countOpen(lives.at(-1)!.program));
      const sum = open.reduce((a, b) => a + b, 0);
      if (sum === 0 || Date.now() > deadline) return sum;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const world of this.#worlds) await world[Symbol.asyncDispose]();
    await this.#network?.[Symbol.asyncDispose]();
  }
}

/** Messages of which the process has not told the fate. */
function countOpen({ events }: Program): number {
  const open = new Set<unknown>();
  for (const { event, id } of events) {
    if (event === "sent") open.add(id);
    else if (event === "delivered" || event === "undelivered") open.delete(id);
  }
  return open.size;
}

/** Makes all networks bad ones. @returns What became of that, in words. */
async function degrade({ computers }: Network): Promise<string> {
  const shape = ({ name, link }: Computer, ...how: string[]) =>
    run("tc", "-n", name, "qdisc", "add", "dev", link, "root", ...how);
  const clients = computers.slice(1);
  try {
    for (const computer of clients) await shape(computer, "netem", ...BAD_NETWORK);
    return BAD_NETWORK.join(" ");
  } catch {
    // This kernel has no netem.
  }
  try {
    for (const computer of clients) {
      await shape(computer, "tbf", ...SLOW_NETWORK);
      await computer.run("nft", LOSSY_NETWORK);
    }
    return `loss 1%, ${SLOW_NETWORK.join(" ")}`;
  } catch {
    return "without delay and loss, which cannot be made here";
  }
}

/** Looks at a process; nothing where there is no /proc. */
export async function usageOf({ pid }: Program): Promise<Usage | undefined> {
  try {
    const status = await Deno.readTextFile(`/proc/${pid}/status`);
    const memory = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) / 1024;
    return { memory, descriptors: [...Deno.readDirSync(`/proc/${pid}/fd`)].length };
  } catch {
    return undefined;
  }
}
