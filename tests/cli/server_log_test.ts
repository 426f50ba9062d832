import assert from "node:assert/strict";
import { flushOutput } from "../../lib/base/output.ts";
import { ServerLog } from "../../lib/cli/server_log.ts";
import type { RelayEvent } from "../../lib/relay/relay_event.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** The lines that something writes to a standard stream. */
async function linesOf(write: () => unknown, stream = Deno.stdout): Promise<string[]> {
  const original = stream.write;
  let text = "";
  stream.write = (bytes) => {
    text += new TextDecoder().decode(bytes);
    return Promise.resolve(bytes.length);
  };
  try {
    await write();
    await flushOutput();
  } finally {
    stream.write = original;
  }
  return text.split("\n").slice(0, -1);
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

function logged(
  options: { json?: boolean; quiet?: boolean; verbose?: boolean },
): Promise<string[]> {
  const log = new ServerLog({ json: false, quiet: false, verbose: false, ...options });
  return linesOf(() => EVENTS.forEach((event) => log.event(event)));
}

const withoutTime = (line: string) => line.replace(/^\d\d:\d\d:\d\d /, "");

Deno.test("ServerLog writes a line for each join and leave, by fingerprint", async () => {
  assert.deepEqual((await logged({})).map(withoutTime), [
    "joined SHA256:abc",
    "left SHA256:abc",
    "left SHA256:abc (lost)",
    "left SHA256:abc (replaced)",
    "left SHA256:abc (removed)",
    "refused SHA256:abc (wrong password)",
  ]);
});

Deno.test("ServerLog writes addresses and closed connections with --verbose, nothing with --quiet", async () => {
  const lines = await logged({ verbose: true });
  assert.equal(lines.length, EVENTS.length);
  assert.ok(lines.every((line) => line.includes(" from 192.0.2.1")));
  assert.match(lines.at(-1)!, /closed somebody from 192\.0\.2\.1 \(no JOIN in time\)$/);
  assert.deepEqual(await logged({ quiet: true }), []);
});

Deno.test("ServerLog writes what operators do, and who did it", async () => {
  const [fingerprint, operator] = ["SHA256:abc", "SHA256:def"];
  const log = new ServerLog({ json: false, quiet: false, verbose: true });
  const lines = await linesOf(() => {
    log.event({ event: "kicked", fingerprint, operator });
    log.event({ event: "banned", fingerprint, seconds: 60, operator });
    log.event({ event: "unbanned", fingerprint, operator });
    log.event({ event: "announced", operator });
    log.event({ event: "motd", operator });
  });
  assert.deepEqual(lines.map(withoutTime), [
    "kicked SHA256:abc by SHA256:def",
    "banned SHA256:abc for 60 s by SHA256:def",
    "unbanned SHA256:abc by SHA256:def",
    "announcement by SHA256:def",
    "message of the day by SHA256:def",
  ]);
});

Deno.test("ServerLog reports once that it cannot be written, and counts what is missing", async () => {
  const original = Deno.stdout.write;
  const log = new ServerLog({ json: true, quiet: false, verbose: false });
  let lines: string[] = [];
  const said = await linesOf(() => {
    Deno.stdout.write = () => Promise.reject(new Error("No space left on device (os error 28)"));
    for (const event of EVENTS) log.event(event);
  }, Deno.stderr).finally(() => Deno.stdout.write = original);
  lines = await linesOf(() => log.event(EVENTS[0]!));
  assert.deepEqual(said, [
    "server: error: the log cannot be written: No space left on device (os error 28)",
  ]);
  const [omitted, joined] = lines.map((line) => JSON.parse(line));
  assert.equal(lines.length, 2);
  assert.equal(omitted.event, "omitted");
  assert.equal(omitted.lines, EVENTS.length);
  assert.equal(joined.event, "joined");
});

Deno.test("ServerLog writes time and event first with --json, and words for numbers", async () => {
  const events = (await logged({ json: true })).map((line) => JSON.parse(line));
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

Deno.test("ServerLog sums up the lines of one kind, and goes on with the others", async () => {
  const clock = new FakeClock();
  const log = new ServerLog({ json: false, quiet: false, verbose: false }, clock);
  const refused: RelayEvent = { event: "refused", ...WHO, reason: 1 };
  const first = await linesOf(() => {
    for (let i = 0; i < 100_000; i++) log.event(refused);
    log.event(EVENTS[0]!);
  });
  assert.deepEqual([...new Set(first.map(withoutTime))], [
    "refused SHA256:abc (wrong password)",
    "joined SHA256:abc",
  ]);
  assert.ok(first.length < 30);
  const written = first.length - 1;
  const sum = await linesOf(() => clock.advance(10_000));
  assert.deepEqual(sum.map(withoutTime), [
    `… ${100_000 - written} more: refused (wrong password)`,
  ]);
  const later = await linesOf(() => {
    log.event(refused);
    for (let i = 0; i < 10; i++) log.event(refused);
    log.stopping();
  });
  assert.match(later.at(-2)!, /… \d more: refused \(wrong password\)$/);
  assert.equal(later.at(-1), "stopping");
});

Deno.test("ServerLog writes what happens in a cluster, and its numbers with --json alone", async () => {
  const write = (log: ServerLog) => {
    log.cluster({ event: "relay-alive", relay: "10.0.0.2:40623\u001b[31m" });
    log.cluster({ event: "relay-dead", relay: "10.0.0.2:40623" });
    log.cluster({ event: "bus-down" });
    log.cluster({ event: "bus-up" });
    log.cluster({ event: "fenced" });
    log.clusterNumbers({ servers: 2 });
  };
  const options = { json: false, quiet: false, verbose: false };
  const lines = await linesOf(() => write(new ServerLog(options)));
  assert.deepEqual(lines.map(withoutTime), [
    "the server 10.0.0.2:40623⟨001B⟩[31m is in the cluster",
    "the server 10.0.0.2:40623 is gone from the cluster",
    "NATS is away: members on other servers cannot be reached, and nobody can join for 20 s",
    "NATS is there",
    "the other servers took this one for dead: its clients have to join again",
  ]);
  const json = await linesOf(() => write(new ServerLog({ ...options, json: true })));
  const events = json.map((line) => JSON.parse(line)).map(({ time: _, ...fields }) => fields);
  assert.deepEqual(events.slice(1), [
    { event: "cluster", what: "relay-dead", relay: "10.0.0.2:40623" },
    { event: "cluster", what: "bus-down" },
    { event: "cluster", what: "bus-up" },
    { event: "cluster", what: "fenced" },
    { event: "cluster", what: "numbers", servers: 2 },
  ]);
  const warn = () => new ServerLog(options).clusterWarning("x\n");
  assert.deepEqual(await linesOf(warn, Deno.stderr), ["server: warning: x⟨000A⟩"]);
});

Deno.test("ServerLog sums up what NATS causes again and again", async () => {
  const clock = new FakeClock();
  const log = new ServerLog({ json: false, quiet: false, verbose: false }, clock);
  const lines = await linesOf(async () => {
    for (let i = 0; i < 100; i++) log.cluster({ event: "bus-up" });
    await clock.advance(600_000);
    log.cluster({ event: "bus-up" });
  });
  assert.ok(lines.length < 30, `${lines.length} lines`);
  assert.ok(lines.some((line) => line.includes("more: cluster")), lines.join("\n"));
});
