/**
 * `deno task soak`: a relay and 20 clients talk for a minute or for hours, while relay and clients are killed, stopped
 * and cut off every few seconds; then everything is counted. Exits 1 when anything was lost, shown twice or out of
 * order, or a process ended by itself.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { Crew, type Usage, usageOf } from "./crew.ts";
import { type Balance, balance } from "./ledger.ts";

/** A blow every so many milliseconds. */
const BLOW_MS = 4000;
/** Somebody says something every so many milliseconds. */
const TALK_MS = 100;
/** How long everything may take to come to rest at the end. */
const SETTLE_MS = 120_000;

const HELP = `A relay and clients that talk, while they are killed, stopped and cut off.

usage: deno task soak [--seconds N] [--clients N] [--nap N]

  --seconds N  for so long (60)
  --clients N  so many of them, at least 3 (20)
  --nap N      one of them is stopped for so many of the seconds (0)`;

const { values } = parseArgs({
  options: {
    help: { type: "boolean", default: false },
    seconds: { type: "string", default: "60" },
    clients: { type: "string", default: "20" },
    nap: { type: "string", default: "0" },
  },
});
if (values.help) {
  console.log(HELP);
  Deno.exit(0);
}
const seconds = Number(values.seconds);
const size = Number(values.clients);
const nap = Number(values.nap);
if (!(seconds > 0) || !(size >= 3) || !(nap >= 0 && nap <= seconds)) {
  console.error("soak: error: --seconds must be above 0, --clients at least 3, --nap not longer");
  Deno.exit(2);
}

const sleep = (delay: number) => new Promise<void>((resolve) => setTimeout(resolve, delay));
const below = (limit: number) => Math.floor(Math.random() * limit);

/** Only the second half of the clients is ever killed: the memory of the first half tells of leaks. */
const immortal = Math.ceil(size / 2);
const blows = {
  "relay killed": 0,
  "relay restarted in order": 0,
  "relay stopped for a while": 0,
  "client killed": 0,
  "cable cut": 0,
  "client asleep for so many seconds": 0,
};

async function killRelay(crew: Crew): Promise<void> {
  await crew.relay.kill();
  await sleep(below(2000));
  await crew.startRelay();
  blows["relay killed"]++;
}

async function restartRelay(crew: Crew): Promise<void> {
  const code = await crew.relay.kill("SIGTERM");
  if (code !== 0) throw new Error(`the relay ended with ${code}`);
  await crew.startRelay();
  blows["relay restarted in order"]++;
}

async function stopRelay(crew: Crew): Promise<void> {
  crew.relay.signal("SIGSTOP");
  await sleep(500 + below(4000));
  crew.relay.signal("SIGCONT");
  blows["relay stopped for a while"]++;
}

async function killClient(crew: Crew): Promise<void> {
  const client = crew.clients[immortal + below(size - immortal)]!;
  await crew.killClient(client);
  await sleep(below(3000));
  crew.startClient(client);
  blows["client killed"]++;
}

async function cutCable(crew: Crew): Promise<void> {
  // Now and then for so long that both sides give the connection up, and time is left to heal.
  const long = seconds >= 300 && below(5) === 0;
  if (await crew.cutCable(below(100), long ? 50_000 : 1000 + below(9000))) blows["cable cut"]++;
}

/** One who is never killed sleeps, while the others talk. */
async function sleepOnce(crew: Crew): Promise<void> {
  if (nap === 0) return;
  const { program } = crew.clients[0]!.lives.at(-1)!;
  program.signal("SIGSTOP");
  await sleep(nap * 1000);
  program.signal("SIGCONT");
  blows["client asleep for so many seconds"] = nap;
}

/** Blows follow one another; those to the network go on beside the others. */
async function strike(crew: Crew, until: number): Promise<void> {
  const cables: Promise<void>[] = [];
  for (let turn = 0; Date.now() < until; turn++) {
    await sleep(BLOW_MS);
    crew.revive();
    if (turn % 4 === 3) cables.push(cutCable(crew));
    else if (turn % 8 === 2) await stopRelay(crew);
    else if (turn % 4 === 2) await restartRelay(crew);
    else if (turn % 4 === 0) await killRelay(crew);
    else await killClient(crew);
  }
  await Promise.all(cables);
}

/** Who sleeps takes no input. */
const quiet = Number(nap > 0);

async function talk(crew: Crew, until: number): Promise<void> {
  for (let count = 0; Date.now() < until; count++) {
    const { program } = crew.clients[quiet + below(size - quiet)]!.lives.at(-1)!;
    const text = count % 50 === 0 ? "long ".repeat(1600) : `message ${count}`;
    await program.chat(text).catch(() => {}); // it is being killed just now
    await sleep(TALK_MS);
  }
}

async function look(crew: Crew): Promise<{ relay: Usage | undefined; clients: Usage[] }> {
  const programs = crew.clients.slice(0, immortal).map(({ lives }) => lives.at(-1)!.program);
  const clients = await Promise.all(programs.map(usageOf));
  return {
    relay: await usageOf(crew.relay),
    clients: clients.filter((usage) => usage !== undefined),
  };
}

type Look = Awaited<ReturnType<typeof look>>;

function range(looks: readonly (Usage | undefined)[], of: keyof Usage): string {
  const numbers = looks.flatMap((usage) => usage ? [Math.round(usage[of])] : []);
  if (numbers.length === 0) return "not known here";
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
  return least === most ? `${least}` : `${least} to ${most}`;
}

function report(place: string, sums: Balance, [start, end]: readonly [Look, Look]): void {
  const change = (of: keyof Usage, who: keyof Look) =>
    [start, end].map((look) => range([look[who]].flat(), of)).join(" -> ");
  const rows: readonly (readonly [string, number | string])[] = [
    ["messages sent", sums.sent],
    ["deliveries owed", sums.owed],
    ["  shown", sums.shown],
    ["  reported as undelivered", sums.reported],
    ["  gone with their killed sender", sums.orphaned],
    ["  acknowledged by a client killed before it showed them", sums.unseen],
    ["  lost", sums.lost],
    ["duplicated", sums.duplicated],
    ["out of order", sums.disordered],
    ["shown again by a client that was killed and started anew", sums.repeated],
    ...Object.entries(blows),
    ["memory of the relay, MiB", change("memory", "relay")],
    ["memory of the clients never killed, MiB", change("memory", "clients")],
    ["descriptors of the relay", change("descriptors", "relay")],
    ["descriptors of the clients never killed", change("descriptors", "clients")],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  console.log(`\n${seconds} s, ${size} clients; ${place}\n`);
  for (const [name, value] of rows) console.log(`${name.padEnd(width)}  ${value}`);
  for (const fault of sums.faults) console.log(`fault: ${fault}`);
}

async function soak(): Promise<boolean> {
  await using crew = await Crew.make(size);
  await crew.startRelay();
  for (const client of crew.clients) crew.startClient(client);
  await crew.assemble(60_000);
  if (nap > 0) {
    await crew.introduce();
    await crew.assemble(60_000);
  }
  const start = await look(crew);
  const until = Date.now() + seconds * 1000;
  await Promise.all([strike(crew, until), talk(crew, until), sleepOnce(crew)]);
  await crew.assemble(SETTLE_MS);
  const open = await crew.settle(SETTLE_MS);
  await sleep(6000); // what waits for its view is shown
  const end = await look(crew);
  const sums = balance(crew.accounts());
  report(crew.place, sums, [start, end]);
  const deserters = crew.deserters();
  for (const text of deserters) console.log(`ended by itself: ${text}`);
  if (open > 0) console.log(`${open} messages are still on their way`);
  return sums.lost + sums.duplicated + sums.disordered + deserters.length + open === 0;
}

let good = false;
try {
  good = await soak();
} catch (error) {
  console.error(`soak: error: ${error instanceof Error ? error.message : error}`);
}
Deno.exit(good ? 0 : 1);
