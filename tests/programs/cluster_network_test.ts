/** Servers and NATS on computers of their own, whose cables and ways to each other are cut. Needs root on Linux. */
import assert from "node:assert/strict";
import { type Computer, Network, NO_NETWORKS } from "../support/netns.ts";
import { NO_NATS } from "../support/nats.ts";
import { FROM_SOURCE, poll, type Program, type World } from "../support/programs.ts";

const options = { ignore: NO_NETWORKS !== undefined || NO_NATS !== undefined };
const PORT = 40623;
/** A cluster may have to wait for NATS to elect who decides, and for a server that is alone. */
const PATIENCE_MS = 120_000;

/** Computers with NATS, then as many with a server and a person each. */
class Land implements AsyncDisposable {
  readonly people: Program[] = [];
  readonly servers: Program[] = [];
  /** What was said, and who was there to hear it. */
  readonly #said: { text: string; to: Program[] }[] = [];
  readonly #stack = new AsyncDisposableStack();
  readonly #network: Network;
  readonly #worlds: readonly World[];
  readonly nats: readonly Computer[];
  readonly hosts: readonly Computer[];

  private constructor(network: Network, natsCount: number, worlds: readonly World[]) {
    this.#network = this.#stack.use(network);
    this.nats = network.computers.slice(0, natsCount);
    this.hosts = network.computers.slice(natsCount);
    this.#worlds = worlds.map((world) => this.#stack.use(world));
  }

  /** @param natsOf The numbers of the NATS that each server knows. */
  static async found(natsCount: number, natsOf: readonly (readonly number[])[]): Promise<Land> {
    const network = await Network.make(natsCount + natsOf.length);
    const hosts = network.computers.slice(natsCount);
    const worlds = await Promise.all(hosts.map((host) => host.world(FROM_SOURCE)));
    const land = new Land(network, natsCount, worlds);
    try {
      for (const i of land.nats.keys()) await land.#startNats(i);
      for (const [i, known] of natsOf.entries()) await land.#settle(i, known);
      for (const person of land.people) {
        await person.waitFor("joined", {}, { count: natsOf.length - 1 });
      }
      return land;
    } catch (error) {
      await land[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #startNats(i: number): Promise<void> {
    const routes = this.nats.map((_, j) => `"nats://${addressOf(j)}:6222"`).join(", ");
    const [world] = this.#worlds as [World];
    const folder = await world.emptyHome(`nats${i}`);
    const cluster = `server_name: n${i}
      cluster { name: hearth, listen: "${addressOf(i)}:6222", routes: [${routes}] }`;
    const config = `listen: "${addressOf(i)}:4222"
      jetstream { store_dir: "${folder}", max_mem: 64MB, max_file: 1GB }
      ${this.nats.length > 1 ? cluster : ""}`;
    const file = await world.file(`nats${i}.conf`, config);
    this.#stack.use(this.nats[i]!.start(["nats-server", "-c", file]));
  }

  async #settle(i: number, known: readonly number[]): Promise<void> {
    const [world, address] = [this.#worlds[i]!, addressOf(this.nats.length + i)];
    const [first] = this.#worlds as [World];
    const key = await first.home("server", { file: "server.pem" });
    const home = await world.emptyHome("server");
    if (i > 0) await Deno.copyFile(`${key}/server.pem`, `${home}/server.pem`);
    const cluster = known.map((j) => `nats://${addressOf(j)}`).join(",");
    const args = ["--host", address, "--port", String(PORT), "--cluster", cluster, "--json"];
    const start = async () => {
      const server = world.start("server", { args, home }, `server ${i}`);
      await poll(
        () => server.all("listening").length > 0 || !server.running,
        () => `the start of ${server.describe()}`,
      );
      return server.running ? server : undefined;
    };
    this.servers.push(await poll(start, () => "a server in the cluster", PATIENCE_MS));
    await this.come(i, `person${i}`);
  }

  /** Somebody more at a server. */
  async come(i: number, nick: string): Promise<Program> {
    const world = this.#worlds[i]!;
    const host = `${addressOf(this.nats.length + i)}:${PORT}`;
    const args = ["--host", host, "--nick", nick, "--json"];
    const person = world.start("client", { args, home: await world.home(nick) }, nick);
    await person.waitFor("welcome", {}, { timeoutMs: PATIENCE_MS });
    this.people.push(person);
    return person;
  }

  /** Everybody says something. */
  async say(what: string): Promise<void> {
    for (const person of this.people) {
      const text = `${what}, ${person.name}`;
      this.#said.push({ text, to: this.people.filter((other) => other !== person) });
      await person.chat(text);
    }
  }

  /** A computer's packets to another are dropped. */
  async cut(from: Computer, to: Computer): Promise<void> {
    const address = addressOf(this.#network.computers.indexOf(to));
    await from.run(
      "nft",
      `add table inet cut; add chain inet cut out { type filter hook output priority 0; };
       add rule inet cut out ip daddr ${address} drop`,
    );
  }

  async mend(from: Computer): Promise<void> {
    await from.run("nft", "delete table inet cut");
  }

  /** Into the switch of all others, or another one. */
  plug(computer: Computer, other = false): Promise<void> {
    return this.#network.plug(computer, other);
  }

  /** Waits until everybody who was there has been shown all that others said, and looks that it was once. */
  async hasHeardAll(): Promise<void> {
    for (const { text, to } of this.#said) {
      for (const person of to) {
        await person.waitFor("chat", { text }, { timeoutMs: PATIENCE_MS });
        assert.equal(person.all("chat", { text }).length, 1, `${text} at ${person.name}`);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

function addressOf(i: number): string {
  return `10.77.0.${i + 1}`;
}

function countOf(server: Program, what: string): number {
  return server.all("cluster", { what }).length;
}

async function waitFor(server: Program, what: string, count = 1): Promise<void> {
  await server.waitFor("cluster", { what }, { count, timeoutMs: PATIENCE_MS });
}

Deno.test("a server is cut off from NATS, and not from its people", options, async () => {
  await using land = await Land.found(1, [[0], [0]]);
  const [nats] = land.nats as [Computer];
  const [, there] = land.hosts as [Computer, Computer];
  const [one, two] = land.servers as [Program, Program];
  const [ann, bob] = land.people as [Program, Program];
  await land.say("before");
  await land.hasHeardAll();
  await land.cut(there, nats);
  await land.say("cut off");
  await waitFor(one, "relay-dead");
  await ann.waitFor("left", { nick: bob.name, why: "lost" });
  await waitFor(two, "alone");
  await bob.waitFor("left", { nick: ann.name, why: "lost" });
  const eve = await land.come(1, "eve");
  await eve.waitFor("joined", { nick: bob.name });
  await land.mend(there);
  await waitFor(two, "rejoined");
  for (const nick of [bob.name, "eve"]) {
    await ann.waitFor("joined", { nick }, {
      count: nick === "eve" ? 1 : 2,
      timeoutMs: PATIENCE_MS,
    });
  }
  await land.say("together");
  await land.hasHeardAll();
  assert.equal(countOf(one, "alone") + countOf(two, "fenced"), 0);
});

Deno.test("one of three NATS is cut off from the others, then with a server", options, async () => {
  await using land = await Land.found(3, [[0, 1, 2], [2]]);
  const [, , third] = land.nats as [Computer, Computer, Computer];
  const [, there] = land.hosts as [Computer, Computer];
  const [one, two] = land.servers as [Program, Program];
  const [ann, bob] = land.people as [Program, Program];
  await land.say("before");
  await land.hasHeardAll();

  // The third one cannot write without the others, and its server knows no other: it goes on alone.
  await land.plug(third, true);
  await land.plug(there, true);
  await land.say("apart");
  await ann.waitFor("left", { nick: bob.name, why: "lost" }, { timeoutMs: PATIENCE_MS });
  await waitFor(two, "alone");
  await bob.waitFor("left", { nick: ann.name, why: "lost" });
  const eve = await land.come(0, "eve"); // two of three decide
  await ann.waitFor("joined", { nick: "eve" });
  assert.equal(countOf(one, "alone"), 0);

  await land.plug(third);
  await land.plug(there);
  await waitFor(two, "rejoined");
  await eve.waitFor("joined", { nick: bob.name }, { timeoutMs: PATIENCE_MS });
  await land.say("together");
  await land.hasHeardAll();
});
