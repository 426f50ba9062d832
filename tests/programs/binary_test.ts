/** The compiled programs as they run on another computer: all conversations again, and how the programs are made. */

import assert from "node:assert/strict";
import { CHAT } from "../conversations/chat.ts";
import { ERRORS } from "../conversations/errors.ts";
import { FILES } from "../conversations/files.ts";
import { HISTORY } from "../conversations/history.ts";
import { MOVES } from "../conversations/moves.ts";
import { NOTES } from "../conversations/notes.ts";
import { OPERATORS } from "../conversations/operators.ts";
import { PIPE } from "../conversations/pipe.ts";
import { RECONNECT } from "../conversations/reconnect.ts";
import { ROOMS } from "../conversations/rooms.ts";
import { SERVER } from "../conversations/server.ts";
import { STARTING } from "../conversations/starting.ts";
import settings from "../../deno.json" with { type: "json" };
import { type Binaries, findToolchain, makeBinaries, removeBinaries } from "../support/binaries.ts";
import { MovingRoom } from "../support/moving_room.ts";
import { NatsServer, NO_NATS } from "../support/nats.ts";
import { NO_NETWORKS } from "../support/netns.ts";
import { FROM_SOURCE, World } from "../support/programs.ts";
import { Tmux, tmuxMissing } from "../support/tmux.ts";

/**
 * Compiles the programs, with the Deno that runs this if HEARTH_TEST_BINARIES is set.
 *
 * @returns The reason if they cannot be made.
 */
async function make(): Promise<Binaries | string> {
  if (Deno.build.os === "windows") return "there is no sh on Windows";
  const toolchain = Deno.env.has("HEARTH_TEST_BINARIES")
    ? { deno: Deno.execPath(), env: {} }
    : await findToolchain();
  return typeof toolchain === "string" ? toolchain : await makeBinaries(toolchain);
}

const made = await make();
const noTmux = await tmuxMissing();
if (typeof made === "string") console.log(`binary_test.ts: skipped, ${made}`);
else {
  Deno.test.afterAll(() => removeBinaries(made));
  if (noTmux !== undefined) console.log(`binary_test.ts: terminal skipped, ${noTmux}`);
}

/** Runs of minutes, for `HEARTH_LONG_TESTS=1`. */
const isLong = Deno.env.get("HEARTH_LONG_TESTS") !== undefined;

function test(name: string, run: (made: Binaries) => Promise<void>, ignore: boolean = false): void {
  Deno.test({
    name,
    ignore: ignore || typeof made === "string",
    fn: async () => {
      if (typeof made !== "string") await run(made);
    },
  });
}

const CONVERSATIONS = [
  CHAT,
  FILES,
  HISTORY,
  NOTES,
  OPERATORS,
  PIPE,
  ROOMS,
  SERVER,
  STARTING,
  ERRORS,
  RECONNECT,
]
  .flat();

for (const [name, run] of CONVERSATIONS) {
  test(`compiled: ${name}`, async ({ commands }) => {
    await using world = await World.open(commands);
    await run(world);
  });
}

for (const { name, options, run } of isLong ? MOVES : MOVES.slice(0, 1)) {
  test(`compiled: ${name}`, async ({ commands }) => {
    await using room = await MovingRoom.make({ ...options, commands });
    await run(room);
  }, NO_NETWORKS !== undefined);
}

test("compiled and script clients talk to each other over either server", async ({ commands }) => {
  await using compiled = await World.open(commands);
  await using script = await World.open(FROM_SOURCE);
  for (const [serving, other] of [[compiled, script], [script, compiled]] as const) {
    const { port } = await serving.server();
    const [ann, bob] = await Promise.all([
      serving.client("ann", { port }),
      other.client("bob", { port }),
    ]);
    await Promise.all([ann, bob].map((client) => client.waitFor("joined")));
    await ann.chat("from ann");
    await bob.waitFor("chat", { nick: "ann", text: "from ann", view: "same" });
    await bob.chat("from bob");
    await ann.waitFor("chat", { nick: "bob", text: "from bob", view: "same" });
    await Promise.all([ann, bob].map((client) => client.waitFor("delivered")));
    await Promise.all([ann, bob].map((client) => client.leave()));
  }
});

test("a compiled server is one of a cluster", async ({ commands }) => {
  await using nats = await NatsServer.start();
  await using compiled = await World.open(commands);
  await using script = await World.open(FROM_SOURCE);
  const cluster = ["--cluster", nats.url];
  const { port: here } = await compiled.server(cluster);
  const { port: there } = await script.server(cluster);
  const ann = await compiled.client("ann", { port: here });
  const bob = await script.client("bob", { port: there });
  await Promise.all([ann, bob].map((client) => client.waitFor("joined")));
  await ann.chat("over NATS");
  await bob.waitFor("chat", { nick: "ann", text: "over NATS", view: "same" });
}, NO_NATS !== undefined);

test("--version and --help print the same from a compiled program as from the script", async ({ commands }) => {
  await using compiled = await World.open(commands);
  await using script = await World.open(FROM_SOURCE);
  for (const program of ["server", "client"] as const) {
    const ask = async (world: World, option: string) => {
      const { code, stdout, stderr } = await world.run(program, {
        args: [option],
        home: await world.emptyHome("home"),
      });
      assert.equal(stderr, "");
      assert.equal(code, 0);
      return stdout;
    };
    assert.match(
      await ask(compiled, "--version"),
      new RegExp(`^${program} ${settings.version} \\(Deno [\\d.]+, ${Deno.build.target}\\)\n$`),
    );
    // But for the lines to type, which name the program as it was started.
    const words = (help: string) =>
      help.split(/\s+/).join(" ").replaceAll(/(npx --yes deno@\S+|deno) task /g, "./");
    assert.deepEqual(words(await ask(compiled, "--help")), words(await ask(script, "--help")));
  }
});

test("a compiled program runs as user nobody, without PATH and home, and keeps its state", async ({ commands, server, folder }) => {
  await using world = await World.open(commands);
  const home = await world.emptyHome("somebody");
  const env = { HEARTH_HOME: "", STRANGER_HOME: home };
  const start = async () => {
    const args = ["--port", "0", "--json", "--key-bits", "1024"];
    const program = world.start("server", { args, home, env });
    const { fingerprint } = await program.waitFor("listening");
    return { program, fingerprint };
  };
  const first = await start();
  if (Deno.build.os === "linux") {
    const of = (file: string) => Deno.readTextFile(`/proc/${first.program.pid}/${file}`);
    const uid = Deno.uid() || 65_534;
    assert.match(await of("status"), new RegExp(`^Uid:\\s${uid}\\s${uid}\\s`, "m"));
    assert.equal(
      await Deno.realPath(`/proc/${first.program.pid}/exe`),
      await Deno.realPath(server),
    );
    const variables = (await of("environ")).split("\0");
    assert.ok(variables.includes("PATH=") && variables.includes(`HOME=${home}`));
    assert.ok(!variables.some((variable) => variable.startsWith("DENO")));
  }
  assert.equal(await first.program.kill("SIGTERM"), 0);
  assert.equal((await Deno.stat(`${home}/.config/hearth/server.pem`)).mode! & 0o777, 0o600);
  const second = await start();
  assert.equal(second.fingerprint, first.fingerprint);
  assert.equal(await second.program.kill("SIGTERM"), 0);

  // Nowhere to keep a key.
  const { code, stderr } = await world.run("server", {
    args: ["--port", "0"],
    home,
    env: { HEARTH_HOME: "", STRANGER_HOME: folder },
  });
  assert.equal(code, 1);
  assert.match(stderr, /^server: error: .*\.config.*$/m);
});

test("a compiled client chats on a terminal and restores it", async ({ commands }) => {
  await using world = await World.open(commands);
  const { port } = await world.server();
  const home = await world.home("ann");
  const words = [
    ...commands.client,
    "--plain",
    "--host",
    "127.0.0.1",
    "--port",
    String(port),
    "--nick",
    "ann",
  ];
  const script = `cd '${home}'; ${
    words.join(" ")
  }; echo "exit $?"; stty -a | grep -ow -e -echo -e echo`;
  const tmux = await Tmux.start(["sh", "-c", script], {
    columns: 80,
    rows: 24,
    env: { HEARTH_HOME: home, LC_ALL: "C.UTF-8", NO_COLOR: "1" },
  });
  const last = (line: string) => tmux.waitFor((rows) => rows.at(-1) === line, line);
  const shown = (text: string) =>
    tmux.waitFor((rows) => rows.slice(0, -1).some((row) => row.includes(text)), text);
  try {
    await last("ann> ‸");
    const bob = await world.client("bob");
    await bob.waitFor("joined");
    await shown("bob has joined");
    await tmux.type("half a line");
    await last("ann> half a line‸");
    await bob.chat("hello ann 👋");
    await shown("hello ann 👋");
    await tmux.resize(50, 20);
    await last("ann> half a line‸");
    await tmux.press("C-z"); // there is nothing in PATH that could stop it
    await tmux.type(" and the rest");
    await tmux.press("Enter");
    await bob.waitFor("chat", { text: "half a line and the rest", view: "same" });
    await last("ann> ‸");
    await tmux.press("C-d");
    await shown("exit 0");
    await tmux.waitFor((rows) => rows.some((row) => row.startsWith("echo")), "echo");
    await bob.waitFor("left", { nick: "ann", why: "left" });
  } finally {
    await tmux.close();
  }
}, noTmux !== undefined);

test("a compiled server asks for its password on a terminal", async ({ commands }) => {
  await using world = await World.open(commands);
  const home = await world.home("server", { file: "server.pem" });
  const script = `trap : INT; cd '${home}'; ${
    commands.server.join(" ")
  } --port 0 --password; echo "exit $?"`;
  const tmux = await Tmux.start(["sh", "-c", script], {
    columns: 80,
    rows: 24,
    env: { HEARTH_HOME: home },
  });
  const shown = (text: string) =>
    tmux.waitFor((rows) => rows.some((row) => row.includes(text)), text);
  try {
    for (const question of ["assword", "again"]) {
      await shown(question);
      await tmux.type("between friends");
      await tmux.press("Enter");
    }
    await shown("listening on port");
    assert.ok(!(await tmux.scrollback()).some((row) => row.includes("friends")));
    await tmux.press("C-c");
    await shown("exit 0");
  } finally {
    await tmux.close();
  }
}, noTmux !== undefined);
