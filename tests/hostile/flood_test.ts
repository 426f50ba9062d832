/**
 * A real server under all attacks of support/attacks.ts at once, while two honest clients chat: none of their messages
 * are lost, memory stays within the bound of PROTOCOL.md §10, and memory and file descriptors go back to normal.
 */
import assert from "node:assert/strict";
import { encodeHex } from "../../lib/base/bytes.ts";
import { MAX_PENDING, MAX_UNDELIVERED_BYTES } from "../../lib/protocol/limits.ts";
import { derivePassword } from "../../lib/protocol/password.ts";
import { decodeFingerprint } from "../../lib/protocol/identity.ts";
import { FROM_SOURCE, poll, type Program, World } from "../support/programs.ts";
import { usageOf } from "../soak/crew.ts";

const PASSWORD = "between friends";
const MAX_MEMBERS = 64;
/** §10: the credit of a sender, and the other buffers of a connection. */
const BOUND_MIB = (MAX_MEMBERS + MAX_PENDING) * (MAX_UNDELIVERED_BYTES + 64 * 1024) / 2 ** 20;
/** The relay keeps nothing, but the C library does not return all freed memory; numbers in tests/README.md. */
const LEFT_OVER_MIB = 96;
const TALK_MS = 50;

const isLinux = Deno.build.os === "linux";
if (!isLinux) {
  console.log("flood_test.ts: memory and file descriptors are measured on Linux only");
}

/** Two clients chat until `isOver`; returns the latency of each message in milliseconds. */
async function talk(ann: Program, bob: Program, isOver: () => boolean): Promise<number[]> {
  const times: number[] = [];
  let seen = 0;
  let count = 0;
  const sent: number[] = [];
  const look = () => {
    for (; seen < bob.events.length; seen++) {
      const event = bob.events[seen]!;
      if (event.event === "chat") times.push(performance.now() - sent[Number(event.text)]!);
    }
  };
  for (let next = performance.now(); !isOver(); look()) {
    if (performance.now() >= next) {
      next += TALK_MS;
      sent.push(performance.now());
      await ann.chat(`${count++}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await poll(() => {
    look();
    return times.length === count;
  }, () => `${count} messages at bob: ${times.length}`);
  return times;
}

/** Samples the memory of the server; returns the maximum. */
async function watch(server: Program, isOver: () => boolean): Promise<number> {
  let most = 0;
  while (!isOver()) {
    most = Math.max(most, (await usageOf(server))?.memory ?? 0);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return most;
}

async function attack(world: World, server: Program): Promise<string> {
  const fingerprint = decodeFingerprint(String(server.first("listening").fingerprint));
  const { joinKey } = await derivePassword(PASSWORD, fingerprint);
  const script = new URL("../support/attacks.ts", import.meta.url);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--allow-all", script.href, `${server.port}`, encodeHex(joinKey)],
    cwd: world.path("."),
  }).output();
  const decoder = new TextDecoder();
  assert.equal(code, 0, decoder.decode(stderr));
  return decoder.decode(stdout).trim();
}

Deno.test("server under all attacks at once loses no honest messages, and recovers", async () => {
  await using world = await World.open(FROM_SOURCE);
  const args = ["--password-file", await world.file("password", PASSWORD)];
  const server = await world.server([...args, "--max-clients", `${MAX_MEMBERS}`]);
  const [ann, bob] = await Promise.all(["ann", "bob"].map((nick) => world.client(nick, { args })));
  await Promise.all([ann!, bob!].map((client) => client.waitFor("joined")));
  const before = await usageOf(server);
  let over = false;
  const talking = talk(ann!, bob!, () => over);
  const watching = watch(server, () => over);
  let said;
  try {
    said = await attack(world, server);
  } finally {
    over = true;
  }
  const times = (await talking).toSorted((a, b) => a - b);
  const most = await watching;
  assert.deepEqual(
    bob!.all("chat").map(({ text }) => text),
    times.map((_, i) => `${i}`),
  );
  for (const { events } of [ann!, bob!]) {
    const bad = events.filter(({ event }) => event === "disconnected" || event === "undelivered");
    assert.deepEqual(bad, []);
  }
  assert.match(said, /other protocols answered: 60/);
  // Receivers that did not read were cut as too slow before they ended by themselves.
  assert.equal(server.all("closed", { cause: "too slow" }).length, 4);
  assert.doesNotMatch(server.stdout, /internal error/);
  const p99 = times[Math.floor(times.length * 0.99)]!;
  console.log(
    `${said}\n${times.length} honest messages, half of them within ` +
      `${times[times.length >> 1]!.toFixed()} ms, 99 of 100 within ${p99.toFixed()} ms`,
  );
  if (!before) return;
  assert.ok(most - before.memory < BOUND_MIB, `${before.memory} -> ${most} MiB`);
  let after = before;
  await poll(async () => {
    after = (await usageOf(server))!;
    return after.descriptors <= before.descriptors && after.memory - before.memory < LEFT_OVER_MIB;
  }, () => `${JSON.stringify(before)} again, and not ${JSON.stringify(after)}`);
  const [start, high, end] = [before.memory, most, after.memory].map((it) => it.toFixed());
  console.log(
    `memory of the server, MiB: ${start}, at most ${high}, then ${end}; ` +
      `descriptors ${before.descriptors}, then ${after.descriptors}`,
  );
});
