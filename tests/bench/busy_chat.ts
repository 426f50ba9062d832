/**
 * A chat on a terminal in a room of 64, of whom three send as fast as they can: how long what somebody else writes takes
 * to its screen.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import settings from "../../deno.json" with { type: "json" };
import { Tmux, tmuxMissing } from "../support/tmux.ts";
import type { Values } from "./forward.ts";
import type { LoadActions } from "./load.ts";
import type { PeopleActions } from "./people.ts";
import { Remote } from "./remote.ts";
import type { RunningServer } from "./servers.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** The room that the load generator's members join. */
const ROOM = "bench";
const ROOM_SIZE = 64;
const FLOODERS = 3;
/** Of those who only listen, of the honest member, and of each flooder. */
export const BUSY_KEYS = 2 + FLOODERS;
const SECONDS = 14;
const TEXTS = 40;
const SETTLING_MS = 6000;
const PAUSE_MS = 200;
const PATIENCE_MS = 30_000;
/** Between two looks at the screen. */
const LOOK_MS = 50;

interface BusyOptions {
  /** The one on the terminal: the flood comes as private messages to `plain`, and in the room that `full` shows. */
  readonly face: "plain" | "full";
  readonly server: RunningServer;
  readonly values: Values;
  readonly folder: string;
  /** {@linkcode BUSY_KEYS} identities in PEM. */
  readonly keys: readonly string[];
}

export async function measureBusyChat(
  { face, server, values, folder, keys }: BusyOptions,
): Promise<void> {
  const missing = await tmuxMissing();
  if (missing !== undefined) throw new Error(missing);
  const { port } = server;
  const load = new Remote<LoadActions>("load.ts");
  const flooders = new Remote<PeopleActions>("people.ts");
  const honest = new Remote<PeopleActions>("people.ts");
  const words = settings.tasks.client.split(" ");
  const tmux = await Tmux.start([
    ...[Deno.execPath(), "run", "--quiet", "--config", `${ROOT}deno.json`],
    ...words.slice(2, words.indexOf("client.ts")),
    `${ROOT}client.ts`,
    ...(face === "plain" ? ["--plain"] : []),
    ...["--host", `127.0.0.1:${port}`, "--room", ROOM, "--nick", "anna"],
  ], { columns: 80, rows: 24, env: { LC_ALL: "C.UTF-8", HEARTH_HOME: `${folder}/anna` } });
  try {
    await waitFor(tmux, "you are in");
    await load.tell("configure", {
      ...{ keyPem: keys[0]!, port, name: "m", speech: "hearth", tls: false, textBytes: 128 },
    });
    const bare = ROOM_SIZE - FLOODERS - 2;
    await load.tell("connect", { count: bare, atOnce: 4, rooms: false });
    const place = { port, folder, room: ROOM };
    await honest.tell("enter", { ...place, count: 1, keys: [keys[1]!], name: "h" });
    await flooders.tell("enter", { ...place, count: FLOODERS, keys: keys.slice(2), name: "f" });
    await Promise.all([flooders, honest].map((remote) => remote.tell("meet", { nick: "anna" })));
    await sleep(SETTLING_MS);
    const output = `${folder}/output`;
    await tmux.record(output);
    using file = await Deno.open(output);
    const to = face === "plain" ? { to: "anna" } : {};
    const flooding = flooders.tell("flood", { ...to, seconds: SECONDS });
    await sleep(1000);
    const times: number[] = [];
    for (let i = 0; i < TEXTS; i++) {
      const start = performance.now();
      await honest.tell("tell", { text: `honest ${i} of many` });
      await waitForOutput(file, `honest ${i} of`);
      times.push(performance.now() - start);
      await sleep(PAUSE_MS);
    }
    const sent = await flooding;
    times.sort((a, b) => a - b);
    const part = face === "plain" ? "busy" : "busy_full";
    values[`${part}.p50_ms`] = times[times.length >> 1]!;
    values[`${part}.p95_ms`] = times[Math.floor(0.95 * (times.length - 1))]!;
    values[`${part}.max_ms`] = times.at(-1)!;
    values[`${part}.sent_per_second`] = sent / SECONDS;
    const written = await Deno.readTextFile(output);
    values[`${part}.lost`] = written.includes("connection lost") ? 1 : 0;
  } finally {
    await tmux.close();
    await Promise.all([load, flooders, honest].map((remote) => remote.stop()));
  }
}

/** Waits for a text on the screen. */
async function waitFor(tmux: Tmux, text: string): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end;) {
    if ((await tmux.screen()).some((row) => row.includes(text))) return;
    await sleep(LOOK_MS);
  }
  throw new Error(`not shown: ${text}`);
}

/** Waits for a text in what is written to the terminal: it scrolls off the screen at once. */
async function waitForOutput(file: Deno.FsFile, text: string): Promise<void> {
  const buffer = new Uint8Array(1024 * 1024);
  const decoder = new TextDecoder();
  let last = "";
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end;) {
    const length = await file.read(buffer);
    last = last.slice(-text.length) + decoder.decode(buffer.subarray(0, length ?? 0));
    if (last.includes(text)) return;
    if (length === null) await sleep(2);
  }
  throw new Error(`not written: ${text}`);
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
