/**
 * What a client on a terminal keeps of a long chat: `deno run -A tests/bench/long_chat.ts`.
 *
 * Somebody says 100,000 texts of 128 bytes (`--messages`) to a real client in tmux, at 80x24. Prints its resident memory
 * before and behind them, and the CPU of a message. `--root` names another commit's checkout to compare with; with
 * `--plain`, the face that is like a log.
 */

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { exportPrivateKey } from "../../lib/protocol/identity.ts";
import { Tmux } from "../support/tmux.ts";
import { CpuMeter, residentKb } from "./meter.ts";
import type { PeopleActions } from "./people.ts";
import { makeKeys } from "./product.ts";
import { Remote } from "./remote.ts";
import { freePort } from "./servers.ts";

const TEXT_BYTES = 128;
/** Messages in one go; the next ones follow when all are acknowledged. */
const AT_ONCE = 1000;
const SETTLING_MS = 2000;

const { values: flags } = parseArgs({
  args: Deno.args,
  options: {
    root: { type: "string", default: fileURLToPath(new URL("../../", import.meta.url)) },
    messages: { type: "string", default: "100000" },
    plain: { type: "boolean", default: false },
  },
});
const root = flags.root.replace(/\/?$/, "/");
const count = Number(flags.messages);
const { tasks } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));

/** A program of that checkout, with the permissions of its task. */
function program(name: "client" | "server"): string[] {
  const words: string[] = tasks[name].split(" ");
  const options = words.slice(2, words.indexOf(`${name}.ts`));
  return [
    ...[Deno.execPath(), "run", "--quiet", "--config", `${root}deno.json`],
    ...[...options, `${root}${name}.ts`],
  ];
}

/** Waits until the relay has made its keys. */
async function listening(): Promise<void> {
  for (;;) {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port }).catch(() => undefined);
    if (conn !== undefined) return conn.close();
    await sleep(100);
  }
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

const folder = await Deno.makeTempDir();
const port = freePort();
const [command, ...args] = program("server");
const relay = new Deno.Command(command!, {
  args: [...args, "--host", "127.0.0.1", "--port", `${port}`],
  env: { HEARTH_HOME: `${folder}/server` },
  stdout: "null",
  stderr: "null",
}).spawn();
const people = new Remote<PeopleActions>(`file://${root}tests/bench/people.ts`);
const anna = [...program("client"), "--host", `127.0.0.1:${port}`, "--nick", "anna"];
let tmux: Tmux | undefined;
try {
  await listening();
  tmux = await Tmux.start([...anna, ...(flags.plain ? ["--plain"] : [])], {
    columns: 80,
    rows: 24,
    env: { LC_ALL: "C.UTF-8", HEARTH_HOME: `${folder}/anna` },
  });
  await tmux.waitFor((rows) => rows.join("\n").includes("you are in"), "the room");
  const [key] = await makeKeys(1);
  const place = { port, folder, keys: [exportPrivateKey(key!)], name: "bert" };
  await people.tell("enter", { ...place, count: 1 });
  await people.tell("complete", { others: 1 });
  await sleep(SETTLING_MS);
  const pid = await tmux.pid();
  const cpu = new CpuMeter(pid);
  const before = { kb: residentKb(pid), us: cpu.read() };
  for (let said = 0; said < count; said += AT_ONCE) {
    await people.tell("say", { count: AT_ONCE, bytes: TEXT_BYTES, atOnce: AT_ONCE });
  }
  await sleep(SETTLING_MS);
  const [first, last] = [before.kb, residentKb(pid)].map((kb) => (kb / 1000).toFixed(0));
  const each = ((cpu.read() - before.us) / count).toFixed(0);
  console.log(`${count} messages: resident ${first} MB, then ${last} MB; CPU ${each} µs a message`);
} finally {
  await tmux?.close();
  await people.stop();
  relay.kill("SIGTERM");
  await relay.status;
  await Deno.remove(folder, { recursive: true });
}
