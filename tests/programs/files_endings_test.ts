/**
 * The chat ends while a file is on its way: the terminal is as it was, the other side is told, and the file goes on when
 * both are there again; with either face, at either end.
 *
 * @module
 */

import assert from "node:assert/strict";
import { AFTERWARDS, Chats, enter, expectRestored, see } from "../support/chats.ts";
import { fingerprintOf, poll, type Program } from "../support/programs.ts";
import { type Tmux, tmuxMissing } from "../support/tmux.ts";

const missing = Deno.build.os === "windows" ? "no tmux on Windows" : await tmuxMissing();
if (missing !== undefined) console.log(`files_endings_test.ts: skipped, ${missing}`);

/** Every combination, with a file that is long under way, and by the clock: for `HEARTH_LONG_TESTS=1`. */
const isLong = Deno.env.get("HEARTH_LONG_TESTS") === "1";
const MB = 1_000_000;
/** How long an end may take; on a busy machine the best of some tries counts. */
const END_MS = 600;
const TRIES = 3;

const FACES = { plain: "anna> ", full: "lobby ›" } as const;
type FaceName = keyof typeof FACES;
type Side = "sender" | "receiver";
type Way = "direct" | "relayed";

/** Small enough to wait for; if one is over before the chat ends, the next one is tried. */
const SIZES = {
  direct: [500 * MB, 2000 * MB],
  relayed: [10 * MB, 40 * MB, 160 * MB],
} as const satisfies Record<Way, number[]>;
/** The chat ends once so much has come. */
const BEGUN_BYTES = MB;
/** Only a failing test waits this long. */
const PATIENCE_MS = 200_000;

/** How the chat is ended, and its exit code. */
const ENDINGS = {
  "/quit": [0, (anna) => enter(anna, "/quit")],
  "Ctrl-C": [0, (anna) => anna.press("C-c")],
  "SIGTERM": [143, (_, pid) => Deno.kill(pid, "SIGTERM")],
  "SIGHUP": [129, (_, pid) => Deno.kill(pid, "SIGHUP")],
} as const satisfies Record<string, Ending>;
type Ending = readonly [code: number, end: (anna: Tmux, pid: number) => Promise<void> | void];
type EndingName = keyof typeof ENDINGS;

interface Case {
  readonly face: FaceName;
  readonly side: Side;
  readonly way: Way;
  readonly ending: EndingName;
}

const SHORT: readonly Case[] = [
  { face: "plain", side: "sender", way: "relayed", ending: "/quit" },
  { face: "plain", side: "receiver", way: "relayed", ending: "SIGHUP" },
  { face: "full", side: "sender", way: "relayed", ending: "SIGTERM" },
  { face: "full", side: "receiver", way: "relayed", ending: "Ctrl-C" },
];

function* all(): Generator<Case> {
  for (const face of Object.keys(FACES) as FaceName[]) {
    for (const side of ["sender", "receiver"] as const) {
      for (const way of ["direct", "relayed"] as const) {
        for (const ending of Object.keys(ENDINGS) as EndingName[]) {
          yield { face, side, way, ending };
        }
      }
    }
  }
}

for (const it of isLong ? all() : SHORT) {
  Deno.test({
    name: `${it.face}: ${it.ending} while a file is ${it.way}, at its ${it.side}`,
    ignore: missing !== undefined,
    fn: async () => {
      let best = Infinity;
      for (let i = 0; i < (isLong ? TRIES : 1) && best > END_MS; i++) {
        best = Math.min(best, await interrupt(it));
      }
      if (!isLong) return;
      console.log(`    ${Math.round(best)} ms`);
      assert.ok(best <= END_MS, `${best} ms`);
    },
  });
}

/** @returns How long the end took, in ms. */
async function interrupt(it: Case): Promise<number> {
  for (const bytes of SIZES[it.way]) {
    await using chats = await Chats.open();
    const took = await new Interrupted(chats, it, bytes).run();
    if (took !== undefined) return took;
  }
  throw new Error("every file was over too soon");
}

/** Anna's chat ends, bob's program goes on. */
class Interrupted {
  readonly #chats: Chats;
  readonly #case: Case;
  readonly #bytes: number;
  readonly #file: string;
  readonly #kept: string;

  constructor(chats: Chats, it: Case, bytes: number) {
    this.#chats = chats;
    this.#case = it;
    this.#bytes = bytes;
    this.#file = chats.world.path("out/film.bin");
    this.#kept = chats.world.path("in/film.bin");
  }

  get #args(): string[] {
    const direct = this.#case.way === "direct" ? [] : ["--no-direct"];
    return ["--download", this.#chats.world.path("in"), ...direct];
  }

  /** @returns How long the end took, in ms; undefined if the file was complete before. */
  async run(): Promise<number | undefined> {
    const { side, ending } = this.#case;
    const { world } = this.#chats;
    await world.server();
    await Deno.mkdir(world.path("in"));
    await Deno.mkdir(world.path("out"));
    await writeFile(this.#file, this.#bytes);
    const bob = await world.client("bob", { args: this.#args });
    const anna = await this.#start(bob);
    await this.#begin(anna.terminal, bob);
    await poll(async () => await this.#arrived() > BEGUN_BYTES, () => bob.describe());

    const id = await anna.pid();
    const [code, end] = ENDINGS[ending];
    const before = performance.now();
    await end(anna.terminal, id);
    await poll(() => !isThere(id), () => `the end by ${ending}`);
    const took = performance.now() - before;
    if (await this.#arrived() === Infinity) return undefined;
    const [verb, who] = side === "sender" ? ["to", "bob"] : ["from", "bob"];
    await expectRestored(anna.terminal, code);
    const screen = await anna.terminal.screen();
    const line = new RegExp(`^client: film\\.bin ${verb} ${who} is not complete \\(\\d+ %\\);`);
    assert.ok(screen.some((row) => line.test(row)), screen.join("\n"));
    await bob.waitFor("transfer", { state: "paused" });

    await this.#start(bob);
    const timeoutMs = PATIENCE_MS;
    await bob.waitFor(side === "sender" ? "received" : "sentfile", {}, { timeoutMs });
    assert.ok(await areEqual(this.#file, this.#kept));
    const left = Array.from(Deno.readDirSync(world.path("in")), ({ name }) => name);
    assert.deepEqual(left, ["film.bin"]);
    assert.deepEqual(bob.all("transferfailed"), []);
    return took;
  }

  /** The bytes that are written; infinite once the file has its name. */
  async #arrived(): Promise<number> {
    const sizeOf = (path: string) => Deno.stat(path).then(({ size }) => size, () => undefined);
    if (await sizeOf(this.#kept) !== undefined) return Infinity;
    return await sizeOf(`${this.#kept}.hearth-part`) ?? 0;
  }

  /** Starts anna's chat, and waits until both see each other. */
  async #start(bob: Program) {
    const { world } = this.#chats;
    const { face } = this.#case;
    const file = world.path(`pid${crypto.randomUUID()}`);
    const fingerprint = await fingerprintOf("anna");
    const count = bob.all("joined", { fingerprint }).length + 1;
    const terminal = await this.#chats.start("anna", {
      columns: 120,
      isFull: face === "full",
      args: this.#args,
      shell: AFTERWARDS.replace("CLIENT", () => `sh -c 'echo $$ > ${file}; exec CLIENT'`),
    });
    await terminal.waitFor((rows) => rows.at(-1)?.startsWith(FACES[face]) === true, FACES[face]);
    await bob.waitFor("joined", { fingerprint }, { count });
    return { terminal, pid: async () => Number(await Deno.readTextFile(file)) };
  }

  /** One offers the file, the other one takes it. */
  async #begin(anna: Tmux, bob: Program): Promise<void> {
    if (this.#case.side === "sender") {
      await see(anna, /bob/);
      await enter(anna, `/send bob ${this.#file}`);
      const { id } = await bob.waitFor("offer", { name: "film.bin" });
      await bob.say({ type: "accept", id });
    } else {
      await bob.say({ type: "send", to: "anna", path: this.#file });
      await see(anna, /bob.* offers|bob\S* +!1/); // the full screen has it in another conversation
      await enter(anna, "/accept 1");
    }
  }
}

async function writeFile(path: string, bytes: number): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true });
  const block = crypto.getRandomValues(new Uint8Array(65_536));
  for (let at = 0; at < Math.min(bytes, 20 * MB); at += block.length) {
    new DataView(block.buffer).setUint32(0, at);
    file.writeSync(block);
  }
  await file.truncate(bytes); // the rest is a hole
}

async function areEqual(a: string, b: string): Promise<boolean> {
  return (await new Deno.Command("cmp", { args: [a, b] }).output()).success;
}

function isThere(pid: number): boolean {
  try {
    Deno.statSync(`/proc/${pid}`);
    return true;
  } catch {
    return false;
  }
}
