/** Whatever ends the chat, or stops it, the terminal is as it was before; with either face. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { poll } from "../support/programs.ts";
import {
  AFTERWARDS,
  type ChatOptions,
  Chats,
  enter,
  expectRestored,
  MODES,
  MODES_BEFORE,
} from "../support/chats.ts";
import { type Binaries, findToolchain, makeBinaries, removeBinaries } from "../support/binaries.ts";
import { FROM_SOURCE } from "../support/programs.ts";
import { type Tmux, tmuxMissing } from "../support/tmux.ts";

const missing = Deno.build.os === "windows" ? "no tmux on Windows" : await tmuxMissing();
if (missing !== undefined) console.log(`endings_test.ts: skipped, ${missing}`);

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BUG = fileURLToPath(new URL("../support/bug.ts", import.meta.url));

/** Runs a test with each face; its world has a server. */
function withEachFace(what: string, run: (chats: Chats, face: Face) => Promise<void>): void {
  for (const face of FACES) {
    Deno.test({
      name: `${face.name}: ${what}`,
      ignore: missing !== undefined,
      fn: async () => {
        await using chats = await Chats.open();
        await chats.world.server();
        await run(chats, face);
      },
    });
  }
}

interface Face {
  readonly name: string;
  readonly isFull: boolean;
  /** What the last row begins with once the chat is open. */
  readonly prompt: string;
}

const FACES: readonly Face[] = [
  { name: "plain", isFull: false, prompt: "anna> " },
  { name: "full", isFull: true, prompt: "lobby ›" },
];

/** Starts a chat that writes its process id to a file. */
async function start(chats: Chats, { isFull, prompt }: Face, options: ChatOptions = {}) {
  const file = chats.world.path(`pid${crypto.randomUUID()}`);
  const anna = await chats.start("anna", {
    columns: 120,
    isFull,
    home: crypto.randomUUID(),
    shell: AFTERWARDS.replace("CLIENT", () => `sh -c 'echo $$ > ${file}; exec CLIENT'`),
    ...options,
  });
  await anna.waitFor((rows) => rows.at(-1)?.startsWith(prompt) === true, prompt);
  return { anna, pid: async () => Number(await Deno.readTextFile(file)) };
}

/** What ends the chat, its exit code, and the rows it prints last. */
const ENDINGS: [string, number, (anna: Tmux, pid: number) => Promise<void> | void, ...string[]][] =
  [
    ["/quit", 0, (anna) => enter(anna, "/quit")],
    ["Ctrl-C", 0, (anna) => anna.press("C-c")],
    ["Ctrl-D", 0, (anna) => anna.press("C-d")],
    ["SIGINT", 0, (_, pid) => Deno.kill(pid, "SIGINT")],
    ["SIGTERM", 143, (_, pid) => Deno.kill(pid, "SIGTERM")],
    ["SIGHUP", 129, (_, pid) => Deno.kill(pid, "SIGHUP")],
    ["an error", 1, (_, pid) => Deno.kill(pid, "SIGUSR2"), "client: error: thrown on purpose"],
    ["a rejection", 1, (_, pid) => Deno.kill(pid, "SIGALRM"), "client: error: rejected on purpose"],
  ];

withEachFace("every end restores the terminal", async (chats, face) => {
  for (let i = 0; i < ENDINGS.length; i += 2) {
    await Promise.all(
      ENDINGS.slice(i, i + 2).map(async ([what, code, end, ...last]) => {
        const { anna, pid } = await start(chats, face, { env: { NO_COLOR: "" }, preload: BUG });
        if (what.startsWith("SIG")) {
          await anna.type("half a line");
          await anna.waitFor((rows) => rows.at(-1)!.endsWith("half a line‸"), "what is typed");
        }
        await end(anna, await pid());
        await expectRestored(anna, code, ...last);
      }),
    );
  }
});

withEachFace("a server that does not answer keeps nobody in the terminal", async (chats, face) => {
  const server = await chats.world.server();
  const { anna } = await start(chats, face, { port: server.port });
  server.signal("SIGSTOP");
  await anna.press("C-d");
  await expectRestored(anna, 0);
  server.signal("SIGCONT");
});

withEachFace("a terminal that takes nothing keeps nobody from leaving", async (chats, face) => {
  const bob = await chats.world.client("bob");
  const { anna, pid } = await start(chats, face);
  await bob.waitFor("joined", { nick: "anna" });
  const [program, terminal] = [await pid(), Number(await anna.query("#{pid}"))];
  Deno.kill(terminal, "SIGSTOP");
  try {
    // More than the system keeps for a terminal, also where what comes together is painted together.
    let isTaken = true;
    for (let i = 0; i < 40 && isTaken; i++) {
      await bob.chat(`${i} ${"é日".repeat(400)}`);
      // What cannot be shown is not acknowledged.
      isTaken = await bob.waitFor("delivered", {}, { count: i + 1, timeoutMs: UNTAKEN_MS })
        .then(() => true, () => false);
    }
    Deno.kill(program, "SIGCONT");
    Deno.kill(program, "SIGTERM");
    await poll(async () => !await isRunning(program), () => "the end of the client");
  } finally {
    Deno.kill(terminal, "SIGCONT");
  }
  // What the terminal had not taken is lost, and with it perhaps some codes; its modes are as before.
  const isRestored = (rows: string[]) => rows.join().includes(",restored,‸");
  await anna.waitFor(isRestored, "the modes as before");
});

/** What runs the client in a job that a shell controls. */
const RUNNERS: [string, (face: Face, port: number) => string][] = [
  ["a shell", () => "CLIENT"],
  [
    "deno task",
    ({ isFull }, port) =>
      `${Deno.execPath()} task -q --cwd ${ROOT} client --host 127.0.0.1:${port} --nick anna` +
      (isFull ? "" : " --plain"),
  ],
];

for (const [runner, command] of RUNNERS) {
  withEachFace(`Ctrl-Z, fg and Ctrl-D under ${runner}`, async (chats, face) => {
    const client = command(face, chats.world.port);
    const anna = await chats.start("anna", {
      isFull: face.isFull,
      shell: `export PS1='$ '; before=$(stty -g); chat() { ${client}; }; export before; ` +
        "export -f chat; exec bash --norc --noprofile -i",
    });
    const prompt = (last: string) =>
      anna.waitFor((rows) => rows.at(-1)?.startsWith(last) === true, last);
    await prompt("$ ‸");
    await enter(anna, "clear; chat");
    await prompt(face.prompt);
    await anna.type("half a line");
    const isTyped = (rows: string[]) => rows.at(-1)!.endsWith("half a line‸");
    await anna.waitFor(isTyped, "what is typed");
    await anna.press("C-z");
    await prompt("$ ‸");
    await expectSane(anna);
    await enter(anna, "clear; fg");
    await anna.waitFor(isTyped, "what is typed, again");
    await anna.press("C-c", "C-d");
    await prompt("$ ‸");
    await expectSane(anna);
  });
}

/** A message that is not acknowledged for so long waits for the terminal. */
const UNTAKEN_MS = 2000;

/** Other ways to run the client: how it is started, or why it cannot be. */
const FORMS: [string, () => Promise<readonly string[] | string>][] = [
  ["from source", () => Promise.resolve(FROM_SOURCE.client)],
  ["compiled", async () => {
    const toolchain = await findToolchain();
    if (typeof toolchain === "string") return toolchain;
    binaries ??= await makeBinaries(toolchain);
    return [binaries.client];
  }],
  ["by deno task", () => Promise.resolve([Deno.execPath(), ...TASK])],
  ["by npx", async () => {
    const command = ["npx", "--yes", `deno@${Deno.version.deno}`];
    const output = new Deno.Command(command[0]!, { args: [...command.slice(1), "--version"] })
      .output();
    const works = await output.then(({ success }) => success, () => false);
    return works ? [...command, ...TASK] : "npx does not work";
  }],
];
const TASK = ["task", "-q", "--cwd", ROOT, "client"];
let binaries: Binaries | undefined;
Deno.test.afterAll(async () => {
  if (binaries !== undefined) await removeBinaries(binaries);
});

/** How long an end may take, whatever it waits for; on a busy machine the best of some tries counts. */
const END_MS = 600;
const TRIES = 3;

for (const [form, find] of FORMS) {
  for (const face of FACES) {
    Deno.test({
      name: `${face.name}, ${form}: every end restores the terminal within ${END_MS} ms`,
      ignore: missing !== undefined || Deno.build.os !== "linux" ||
        Deno.env.get("HEARTH_LONG_TESTS") !== "1",
      fn: async () => {
        const client = await find();
        if (typeof client === "string") return console.log(`skipped, ${client}`);
        await using chats = await Chats.open();
        await chats.world.server();
        const isWrapped = client.includes("task");
        for (const [what, code, end] of ENDINGS.slice(0, isWrapped ? 3 : 6)) {
          let best = Infinity;
          for (let i = 0; i < TRIES && best > END_MS; i++) {
            const { anna, pid } = await start(chats, face, { client });
            const id = await pid();
            const before = performance.now();
            await end(anna, id);
            await poll(() => !isThere(id), () => `the end by ${what}`);
            best = Math.min(best, performance.now() - before);
            await expectRestored(anna, code);
          }
          console.log(`${what}: ${Math.round(best)} ms`);
          assert.ok(best <= END_MS, `${what}: ${best} ms`);
        }
      },
    });
  }
}

function isThere(pid: number): boolean {
  try {
    Deno.statSync(`/proc/${pid}`);
    return true;
  } catch {
    return false;
  }
}

/** The shell has the terminal as it had it before. */
async function expectSane(terminal: Tmux): Promise<void> {
  await enter(terminal, '[ "$before" = "$(stty -g)" ] && echo restored');
  await terminal.waitFor(
    (rows) => rows.slice(-2).join() === "restored,$ ‸",
    "the terminal as before",
  );
  assert.equal(await terminal.query(MODES), MODES_BEFORE);
}

async function isRunning(pid: number): Promise<boolean> {
  const { success } = await new Deno.Command("kill", { args: ["-0", String(pid)] }).output();
  return success;
}
