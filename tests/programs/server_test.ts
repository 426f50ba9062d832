import assert from "node:assert/strict";
import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { UsageError } from "../../lib/base/errors.ts";
import { type Host, PortTakenError, startHost } from "../../lib/cli/serve.ts";
import { ServerLog } from "../../lib/cli/server_log.ts";
import { probePort } from "../../lib/cli/probe.ts";
import type { RelayEvent } from "../../lib/relay/relay.ts";
import { encodeFingerprint, generateKey } from "../../lib/protocol/identity.ts";
import { freePort, FROM_SOURCE, World } from "../support/programs.ts";
import { readExactly } from "../support/raw_client.ts";

const KEY = await generateKey(1024);
const FINGERPRINT = encodeFingerprint(KEY.publicKey.fingerprint);

async function withHost(
  options: Partial<Parameters<typeof startHost>[0]>,
  use: (host: Host) => Promise<void>,
): Promise<void> {
  const host = await startHost({ key: KEY, port: 0, minKeyBits: 2048, ...options });
  try {
    await use(host);
  } finally {
    await host.stop();
  }
}

/** What the relay answers to `first`. */
async function ask(hostname: string, port: number, first: string): Promise<string> {
  const connection = await Deno.connect({ hostname, port });
  try {
    await connection.write(encodeUtf8(first));
    return new TextDecoder().decode(await readExactly(connection, 100));
  } finally {
    connection.close();
  }
}

// --- Hosting ---

Deno.test("startHost() listens on every address, IPv4 and IPv6, and tells who is asked", async () => {
  const hasIpv6 = Deno.networkInterfaces().some(({ address }) => address === "::1");
  await withHost({}, async (host) => {
    assert.equal(host.fingerprint, FINGERPRINT);
    assert.ok(host.addresses.length > 0);
    assert.ok(host.addresses.every((address) => !/^(127\.|::1$|fe80:)/.test(address)));
    const families = hasIpv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
    for (const hostname of families) {
      assert.equal(await ask(hostname, host.port, "HEARTH/2 or so"), "HEARTH/?");
      assert.deepEqual(await probePort(hostname, { port: host.port, key: KEY }), {
        type: "hearth",
        fingerprint: FINGERPRINT,
      });
    }
  });
});

Deno.test("startHost() listens on one address when told so", async () => {
  await withHost({ hostname: "127.0.0.1" }, async (host) => {
    assert.deepEqual(host.addresses, ["127.0.0.1"]);
    assert.equal(await ask("127.0.0.1", host.port, "HEARTH/2"), "HEARTH/?");
  });
});

Deno.test("startHost() says that a port is taken, and by what", async () => {
  await withHost({}, async ({ port }) => {
    await assert.rejects(withHost({ port }, async () => {}), (error) => {
      assert.ok(error instanceof PortTakenError);
      assert.deepEqual(error.user, { type: "hearth", fingerprint: FINGERPRINT });
      assert.match(error.message, /^port \d+ is taken by a HEARTH server \(SHA256:/);
      assert.match(error.hints[0]!, new RegExp(`client --host localhost --port ${port}$`));
      return true;
    });
  });
  for (const [answer, type] of [["HEARTH/?", "hearth"], ["220 mail", "other"], ["", "other"]]) {
    using listener = Deno.listen({ hostname: "0.0.0.0", port: 0 });
    const { port } = listener.addr;
    const serving = (async () => {
      using connection = await listener.accept();
      if (answer) await connection.write(encodeUtf8(answer));
      await readExactly(connection, 40);
    })();
    await assert.rejects(withHost({ port }, async () => {}), (error) => {
      assert.ok(error instanceof PortTakenError);
      assert.deepEqual(error.user, { type });
      return true;
    });
    await serving;
  }
});

Deno.test("startHost() listens again at once on the port of one that has stopped", async () => {
  const port = freePort();
  for (let i = 0; i < 3; i++) {
    await withHost({ port }, async () => {
      assert.equal(await ask("127.0.0.1", port, "HEARTH/2"), "HEARTH/?");
    });
  }
});

Deno.test("startHost() refuses an address that is none of this computer's, and a name nobody has", async () => {
  for (const hostname of ["192.0.2.254", "no-such-name.invalid"]) {
    await assert.rejects(withHost({ hostname }, async () => {}), (error) => {
      assert.ok(error instanceof UsageError, String(error));
      assert.ok(error.message.includes(hostname) && error.hints.length > 0);
      return true;
    });
  }
});

// --- The log ---

/** The lines that something writes to the console. */
function linesOf(write: () => void): string[] {
  const { log } = console;
  const lines: string[] = [];
  console.log = (line: string) => lines.push(line);
  try {
    write();
  } finally {
    console.log = log;
  }
  return lines;
}

const WHO = { fingerprint: "SHA256:abc", address: "192.0.2.1" };
const EVENTS: readonly RelayEvent[] = [
  { event: "joined", ...WHO },
  { event: "left", ...WHO, why: 0 },
  { event: "left", ...WHO, why: 1 },
  { event: "left", ...WHO, why: 2 },
  { event: "left", ...WHO, why: 3 },
  { event: "refused", ...WHO, reason: 1 },
  { event: "closed", ...WHO, cause: "too slow" },
  { event: "closed", address: "192.0.2.1", cause: "no JOIN in time" },
];

function logged(options: { json?: boolean; quiet?: boolean; verbose?: boolean }): string[] {
  const log = new ServerLog({ json: false, quiet: false, verbose: false, ...options });
  return linesOf(() => EVENTS.forEach((event) => log.event(event)));
}

Deno.test("ServerLog writes a line for each join and leave, by fingerprint", () => {
  assert.deepEqual(
    logged({}).map((line) => line.replace(/^\d\d:\d\d:\d\d /, "")),
    [
      "joined SHA256:abc",
      "left SHA256:abc",
      "left SHA256:abc (lost)",
      "left SHA256:abc (replaced)",
      "left SHA256:abc (removed)",
      "refused SHA256:abc (wrong password)",
    ],
  );
});

Deno.test("ServerLog writes addresses and closed connections under --verbose, nothing under --quiet", () => {
  const lines = logged({ verbose: true });
  assert.equal(lines.length, EVENTS.length);
  assert.ok(lines.every((line) => line.includes(" from 192.0.2.1")));
  assert.match(lines.at(-1)!, /closed somebody from 192\.0\.2\.1 \(no JOIN in time\)$/);
  assert.deepEqual(logged({ quiet: true }), []);
});

Deno.test("ServerLog says once that it cannot be written, and throws nothing at the relay", () => {
  const { log, error } = console;
  const said: string[] = [];
  const lines: string[] = [];
  let isFull = true;
  console.log = (line: string) => {
    if (isFull) throw new Error("No space left on device (os error 28)");
    lines.push(line);
  };
  console.error = (line: string) => said.push(line);
  try {
    const serverLog = new ServerLog({ json: true, quiet: false, verbose: false });
    for (const event of EVENTS) serverLog.event(event);
    isFull = false;
    serverLog.event(EVENTS[0]!);
    console.error = console.log;
    isFull = true;
    serverLog.event(EVENTS[0]!);
  } finally {
    Object.assign(console, { log, error });
  }
  assert.deepEqual(said, [
    "server: error: the log cannot be written: No space left on device (os error 28)",
  ]);
  assert.equal(lines.length, 1);
});

Deno.test("ServerLog writes time and event first under --json, and words for numbers", () => {
  const events = logged({ json: true }).map((line) => JSON.parse(line));
  for (const event of events) {
    assert.deepEqual(Object.keys(event).slice(0, 2), ["time", "event"]);
    assert.match(event.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    delete event.time;
  }
  assert.deepEqual(events[0], { event: "joined", ...WHO });
  assert.deepEqual(events[2], { event: "left", ...WHO, why: "lost" });
  assert.deepEqual(events[5], { event: "refused", ...WHO, reason: "wrong password" });
  assert.deepEqual(events[7], {
    event: "closed",
    address: "192.0.2.1",
    cause: "no JOIN in time",
  });
});

// --- The process ---

Deno.test("server tells junk, a refusal and its end; one bad connection disturbs no other", async () => {
  await using world = await World.open(FROM_SOURCE);
  const server = await world.server();
  const ann = await world.client("ann");
  await ann.waitFor("welcome");
  for (const junk of ["GET / HTTP/1.1\r\n\r\n", "\0".repeat(40), "HEARTH/1" + "\0".repeat(32)]) {
    const expected = junk.startsWith("HEARTH/1") ? "" : "HEARTH/?";
    assert.equal(await ask("127.0.0.1", server.port, junk), expected);
  }
  await server.waitFor("closed", { cause: "protocol error: bad-magic" }, { count: 2 });
  await server.waitFor("closed", { cause: "protocol error: bad-point" });
  await world.client("bob");
  await ann.waitFor("joined", { nick: "bob" });
  assert.deepEqual(ann.all("disconnected"), []);
  assert.equal(await server.kill("SIGTERM"), 0);
  assert.equal(server.stderr, "");
});

Deno.test("server ends with one line and hints when it cannot start", async () => {
  await using world = await World.open(FROM_SOURCE);
  const home = await world.home("server", { file: "server.pem" });
  const taken = await world.server();
  const cases: [string[], RegExp, number][] = [
    [["--port", String(taken.port)], /taken by a HEARTH server \(SHA256:/, 1],
    [["--password"], /nobody to ask/, 1],
    [["--allow", world.path("missing")], /missing: there is no such file/, 1],
    [["--join-key-file", await world.file("key", "hearth-join:short\n")], /key: .*join key/, 1],
    [["--key", world.path("missing")], /missing: there is no such file/, 1],
    [["--port", "70000"], /--port/, 2],
    [["stray"], /unexpected argument/, 2],
  ];
  for (const [args, message, code] of cases) {
    const ended = await world.run("server", { args, home });
    assert.equal(ended.code, code, ended.stderr);
    assert.match(ended.stderr, /^server: error: .+\n(server: hint: .+\n)*$/);
    assert.match(ended.stderr, message);
    assert.equal(ended.stdout, "");
  }
});
