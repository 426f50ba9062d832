/** A real server that is watched: `--metrics`. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { fingerprintOf, FROM_SOURCE, poll, type Program, World } from "../support/programs.ts";

async function start(world: World, args: readonly string[] = []): Promise<[Program, string]> {
  const server = await world.server(["--metrics", "0", ...args]);
  return [server, `http://${server.first("listening").metrics}`];
}

/** The value of one line of /metrics; undefined if there is none. */
async function valueOf(base: string, name: string): Promise<number | undefined> {
  const text = await (await fetch(`${base}/metrics`)).text();
  const line = text.split("\n").find((line) => line.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length));
}

Deno.test("server --metrics counts who comes and goes, and names nobody", async () => {
  await using world = await World.open(FROM_SOURCE);
  const operators = await world.file("operators", `${await fingerprintOf("ann")}\n`);
  const [server, base] = await start(world, ["--operators", operators]);
  const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
  equal(await valueOf(base, "hearth_members"), 2);
  equal(await valueOf(base, "hearth_rooms"), 1);
  equal(await valueOf(base, "hearth_join_seconds_count"), 2);
  equal(await valueOf(base, "hearth_handshake_seconds_count"), 2);
  for (const direction of ["in", "out"]) {
    for (const what of ["frames", "bytes"]) {
      ok((await valueOf(base, `hearth_${what}_total{direction="${direction}"}`))! > 0);
    }
  }
  await ann.say({ type: "command", text: "/ban bob" });
  equal(await bob.ended(), 1);
  equal(await (await world.client("bob")).ended(), 1);
  await poll(
    async () => await valueOf(base, 'hearth_refusals_total{reason="not allowed"}') === 1,
    () => "the refusal",
  );
  equal(await valueOf(base, 'hearth_leaves_total{why="removed"}'), 1);
  equal(await valueOf(base, 'hearth_operations_total{what="banned"}'), 1);
  const text = await (await fetch(`${base}/metrics`)).text();
  ok(!/SHA256|127\.0\.0\.1|lobby/.test(text));
  ok(server.running);
});

Deno.test("server --metrics answers GET and HEAD of two paths, in the format that is asked for", async () => {
  await using world = await World.open(FROM_SOURCE);
  const [server, base] = await start(world);
  const ask = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(base + path, init);
    return [response.status, response.headers.get("content-type") ?? "", await response.text()] as [
      number,
      string,
      string,
    ];
  };
  const accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
  const [status, type, text] = await ask("/metrics", { headers: { accept } });
  deepEqual([status, type], [200, "application/openmetrics-text; version=1.0.0; charset=utf-8"]);
  match(text, /\n# EOF\n$/);
  match((await ask("/metrics"))[1], /^text\/plain; version=0\.0\.4/);
  deepEqual((await ask("/health")).filter((_, i) => i !== 1), [200, "ok\n"]);
  deepEqual((await ask("/metrics", { method: "HEAD" })).filter((_, i) => i !== 1), [200, ""]);
  equal((await ask("/"))[0], 404);
  equal((await ask("/metrics/../../etc/passwd"))[0], 404);
  equal((await ask("/metrics", { method: "POST", body: "x" }))[0], 405);

  // A name that somebody on the Internet owns, and a connection that is kept open.
  const { hostname, port } = new URL(base);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  await connection.write(
    new TextEncoder().encode("GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
  );
  const buffer = new Uint8Array(1024);
  const read = await connection.read(buffer);
  match(new TextDecoder().decode(buffer.subarray(0, read!)), /^HTTP\/1\.1 421 /);
  equal(await server.kill("SIGTERM"), 0);
  connection.close();
});

Deno.test({
  name: "server --metrics takes nothing from the chat, however many connect to it and say nothing",
  ignore: Deno.build.os === "windows",
  async fn() {
    const server = ["sh", "-c", 'ulimit -n 256 && exec "$@"', "sh", ...FROM_SOURCE.server];
    await using world = await World.open({ ...FROM_SOURCE, server });
    const [, base] = await start(world);
    const { hostname, port } = new URL(base);
    const silent = await Promise.all(
      Array.from({ length: 400 }, () => Deno.connect({ hostname, port: Number(port) })),
    );
    const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
    await ann.say({ type: "chat", text: "still here" });
    await bob.waitFor("chat", { text: "still here" });
    equal(await valueOf(base, "hearth_members"), 2);
    for (const connection of silent) connection.close();
  },
});

Deno.test("server --metrics says what is wrong with its address, and does not start", async () => {
  await using world = await World.open(FROM_SOURCE);
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const home = await world.home("server", { file: "server.pem" });
  const cases: [value: string, code: number, said: RegExp][] = [
    [String(taken.addr.port), 1, /--metrics: 127\.0\.0\.1:\d+ is taken by another program\n/],
    ["192.0.2.1:0", 2, /port must be a number/],
    ["203.0.113.1:9464", 1, /203\.0\.113\.1:9464 is not an address of this computer\n/],
    ["70000", 2, /--metrics needs a port from 0 to 65535\n/],
    ["localhost", 2, /--metrics needs a port/],
  ];
  for (const [value, code, said] of cases) {
    const args = ["--port", "0", "--metrics", value];
    const outcome = await world.run("server", { args, home });
    deepEqual([outcome.code, outcome.stdout], [code, ""], value);
    match(outcome.stderr, said);
    equal(outcome.stderr.match(/error:/g)?.length, 1);
  }
});

Deno.test("server without --metrics loads nothing of it", async () => {
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "server.ts"],
  }).output();
  equal(code, 0);
  type Module = {
    specifier: string;
    dependencies?: { isDynamic?: boolean; code?: { specifier: string } }[];
  };
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: Module[] };
  const importers = modules.flatMap(({ specifier, dependencies = [] }) =>
    dependencies.filter(({ isDynamic, code }) =>
      !isDynamic && /\/(?:metrics|metrics_server|exposition)\.ts$/.test(code?.specifier ?? "")
    ).map(() => specifier.replace(/.*\//, ""))
  );
  const those = ["cluster_metrics.ts", "metrics.ts", "metrics_server.ts"];
  deepEqual([...new Set(importers)].toSorted(), those);
});
