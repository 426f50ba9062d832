/**
 * Servers that are one over NATS while people talk: some are killed, NATS is. Each text has to be shown to each other
 * person once. Runs with `HEARTH_LONG_TESTS=1`; HEARTH_CLUSTER_SECONDS sets how long they talk.
 */
import assert from "node:assert/strict";
import { NO_HOSTS_FILE, withHosts } from "../support/hosts_file.ts";
import { NatsServer, NO_NATS } from "../support/nats.ts";
import { SlowWay } from "../support/slow_way.ts";
import { FROM_SOURCE, poll, type Program, World } from "../support/programs.ts";

const options = {
  ignore: Deno.env.get("HEARTH_LONG_TESTS") !== "1" || NO_NATS !== undefined ||
    NO_HOSTS_FILE !== undefined,
};
const SECONDS = Number(Deno.env.get("HEARTH_CLUSTER_SECONDS") ?? 60);
const NAME = "cluster.hearth.test";
/** Between two texts of a person. */
const SAY_MS = 400;
/** What was said has to be shown everywhere within this time after the last fault. */
const ARRIVE_MS = 90_000;

/** Servers with a person at each, whose clients know all of them by one name. */
class Town implements AsyncDisposable {
  readonly servers: Program[] = [];
  readonly people: Program[] = [];
  readonly world: World;
  readonly nats: readonly NatsServer[];
  readonly said = new Map<Program, string[]>();
  #isTalking = true;

  private constructor(world: World, nats: readonly NatsServer[]) {
    this.world = world;
    this.nats = nats;
  }

  /** @param ways Between each server and NATS; none by default. */
  static async found(
    nats: readonly NatsServer[],
    count: number,
    ways: readonly SlowWay[] = [],
  ): Promise<Town> {
    const town = new Town(await World.open(FROM_SOURCE), nats);
    const addresses = Array.from({ length: count }, (_, i) => `127.0.0.${i + 1}`);
    for (const [i, address] of addresses.entries()) await town.serve(address, ways[i]);
    for (const [i, address] of addresses.entries()) {
      // The own server first: the rest of the names lead to the others.
      const others = addresses.filter((it) => it !== address);
      await town.settle(`person${i}`, address, others);
    }
    for (const person of town.people) await person.waitFor("joined", {}, { count: count - 1 });
    return town;
  }

  async serve(address: string, way?: SlowWay): Promise<Program> {
    const { world, nats, servers } = this;
    const cluster = way ? `nats://127.0.0.1:${way.port}` : nats.map(({ url }) => url).join(",");
    const start = async () => {
      const port = String(servers[0]?.port ?? 0);
      const server = world.start("server", {
        args: ["--host", address, "--port", port, "--cluster", cluster, "--json"],
        home: await world.home("server", { file: "server.pem" }),
      }, `server at ${address}`);
      await poll(
        () => server.all("listening").length > 0 || !server.running,
        () => `the start of ${server.describe()}`,
      );
      return server.running ? server : undefined;
    };
    // NATS may still be electing who decides.
    const server = await poll(start, () => "a server in the cluster", 120_000);
    servers.push(server);
    return server;
  }

  /** A person whose client finds that server first, by having it alone in its file until it has joined. */
  async settle(nick: string, address: string, others: readonly string[]): Promise<void> {
    const { world } = this;
    const hosts = await world.file(`hosts-${nick}`, `${address} ${NAME}\n`);
    const person = world.start(
      "client",
      {
        args: ["--host", `${NAME}:${this.servers[0]!.port}`, "--nick", nick, "--json"],
        home: await world.home(nick),
      },
      nick,
      withHosts(hosts),
    );
    await person.waitFor("welcome");
    await Deno.writeTextFile(hosts, others.map((it) => `${it} ${NAME}\n`).join(""));
    this.people.push(person);
    this.said.set(person, []);
  }

  /** Somebody at a server who says nothing. */
  async guest(address: string): Promise<Program> {
    const { world } = this;
    const host = `${address}:${this.servers[0]!.port}`;
    const args = ["--host", host, "--nick", "guest", "--json"];
    const guest = world.start("client", { args, home: await world.home("guest") }, "guest");
    for (const person of this.people) await person.waitFor("joined", { nick: "guest" });
    return guest;
  }

  /** Everybody talks until told to stop. */
  async talk(): Promise<void> {
    for (let i = 0; this.#isTalking; i++) {
      for (const person of this.people) {
        const text = `${person.name} ${i}`;
        this.said.get(person)!.push(text);
        await person.chat(text);
      }
      await new Promise((resolve) => setTimeout(resolve, SAY_MS));
    }
  }

  hush(): void {
    this.#isTalking = false;
  }

  /** Waits until everybody has been shown what the others said. @returns How many texts were shown, and the faults. */
  async judge(): Promise<{ shown: number; lost: string[]; twice: string[]; disordered: string[] }> {
    const find = () => {
      const result = {
        shown: 0,
        lost: [] as string[],
        twice: [] as string[],
        disordered: [] as string[],
      };
      for (const person of this.people) {
        const texts = person.all("chat").map(({ text }) => text as string);
        const counts = Map.groupBy(texts, (text) => text);
        result.shown += texts.length;
        for (const [other, said] of this.said) {
          if (other === person) continue;
          for (const text of said) {
            const count = counts.get(text)?.length ?? 0;
            if (count === 0) result.lost.push(`${text} at ${person.name}`);
            if (count > 1) result.twice.push(`${text} at ${person.name}`);
          }
          const numbers = texts.filter((text) => text.startsWith(`${other.name} `))
            .map((text) => Number(text.split(" ")[1]));
          if (numbers.some((it, i) => i > 0 && it <= numbers[i - 1]!)) {
            result.disordered.push(`${other.name} at ${person.name}`);
          }
        }
      }
      return result;
    };
    await poll(() => find().lost.length === 0, () => `${find().lost.slice(0, 9)}`, ARRIVE_MS)
      .catch(() => {}); // what is lost is in the result
    return find();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.hush();
    await this.world[Symbol.asyncDispose]();
    for (const server of this.nats) await server[Symbol.asyncDispose]();
  }
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

async function endOf(town: Town, talking: Promise<void>, what: string): Promise<void> {
  town.hush();
  await talking;
  const { shown, lost, twice, disordered } = await town.judge();
  const owed = [...town.said.values()].reduce((sum, { length }) => sum + length, 0) *
    (town.people.length - 1);
  console.log(`${what}: ${owed} owed, ${shown} shown, ${lost.length} lost, ${twice.length} twice`);
  assert.deepEqual({ lost, twice, disordered }, { lost: [], twice: [], disordered: [] });
}

Deno.test(
  "three servers on three of NATS: one of each is killed while people talk",
  options,
  async () => {
    await using town = await Town.found(await NatsServer.startThree(), 3);
    const guest = await town.guest("127.0.0.2");
    const talking = town.talk();
    await pause(SECONDS / 6);
    const killedAt = performance.now();
    await Promise.all([town.servers[1]!.kill(), guest.kill()]);
    const passed = () => (performance.now() - killedAt) / 1000;
    const [back, left] = await Promise.all([
      town.people[1]!.waitFor("welcome", {}, { count: 2 }).then(passed),
      town.people[0]!.waitFor("left", { nick: "guest", why: "lost" }).then(passed),
    ]);
    console.log(
      `back at another server after ${back.toFixed(1)} s, lost after ${left.toFixed(1)} s`,
    );
    assert.ok(back <= 15 && left <= 8, "in time");
    await pause(SECONDS / 6);
    await town.nats[2]!.kill();
    await pause(SECONDS / 3);
    await town.serve("127.0.0.2");
    await pause(SECONDS / 3);
    await endOf(town, talking, "one server and one of NATS killed");
  },
);

for (const away of [10, 30]) {
  Deno.test(`four servers, and NATS is away for ${away} s while people talk`, options, async () => {
    await using town = await Town.found([await NatsServer.start()], 4);
    const talking = town.talk();
    await pause(SECONDS / 6);
    await town.nats[0]!.kill();
    await pause(away);
    const gone = town.people.flatMap((person) => person.all("left"));
    if (away < 20) assert.deepEqual(gone, [], "nobody is taken for gone");
    await town.nats[0]!.start();
    await pause(SECONDS / 3);
    await endOf(town, talking, `NATS away for ${away} s`);
  });
}

Deno.test(
  "four servers, of which two are killed and one stands still while people talk",
  options,
  async () => {
    await using town = await Town.found([await NatsServer.start()], 4);
    const talking = town.talk();
    await pause(SECONDS / 6);
    await town.servers[3]!.kill();
    await pause(SECONDS / 6);
    town.servers[2]!.signal("SIGSTOP");
    await pause(12);
    town.servers[2]!.signal("SIGCONT");
    await pause(SECONDS / 6);
    await town.servers[1]!.kill();
    await pause(SECONDS / 3);
    await endOf(town, talking, "two servers killed, one stopped for 12 s");
  },
);

Deno.test(
  "one of three servers is cut off from NATS, and not from its people",
  options,
  async () => {
    const nats = await NatsServer.start();
    const ways = [1, 2, 3].map(() => new SlowWay(nats.port));
    try {
      await using town = await Town.found([nats], 3, ways);
      const talking = town.talk();
      await pause(SECONDS / 6);
      ways[1]!.isCut = true;
      await town.servers[1]!.waitFor("cluster", { what: "bus-down" });
      await town.servers[0]!.waitFor("cluster", { what: "relay-dead" });
      await pause(SECONDS / 6);
      ways[1]!.isCut = false;
      await pause(SECONDS / 3);
      await endOf(town, talking, "a server cut off from NATS");
    } finally {
      for (const way of ways) way[Symbol.dispose]();
    }
  },
);

Deno.test("four servers, 200 ms from NATS, and 1 % is held up", options, async () => {
  const nats = await NatsServer.start();
  const ways = [1, 2, 3, 4].map(() => new SlowWay(nats.port, { delayMs: 100, held: 10 }));
  try {
    await using town = await Town.found([nats], 4, ways);
    const talking = town.talk();
    await pause(SECONDS);
    await endOf(town, talking, "200 ms and 1 %");
    const gone = town.people.flatMap((person) => person.all("left"));
    assert.deepEqual(gone, []);
  } finally {
    for (const way of ways) way[Symbol.dispose]();
  }
});
