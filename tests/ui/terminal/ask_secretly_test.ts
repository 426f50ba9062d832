import assert from "node:assert/strict";
import { fingerprintOf, FROM_SOURCE, poll, World } from "../../support/programs.ts";
import { Tmux, tmuxMissing } from "../../support/tmux.ts";

const missing = await tmuxMissing();
if (missing !== undefined) console.log(`ask_secretly_test.ts: skipped, ${missing}`);

/** Runs a command in a terminal, by a shell that then prints its exit code. */
async function start(home: string, command: string): Promise<Tmux> {
  const script = `${command}; echo "ended $?"; sleep 1000`;
  const env = { LC_ALL: "C.UTF-8", HEARTH_HOME: home };
  return await Tmux.start(["bash", "-c", script], { columns: 80, rows: 24, env });
}

async function joinKey(world: World, redirection: string): Promise<Tmux> {
  const client = [...FROM_SOURCE.client, "join-key", await fingerprintOf("server")].join(" ");
  return await start(await world.home("ann"), `${client} ${redirection}`);
}

Deno.test({
  name: "askSecretly() asks on standard error when standard output is redirected",
  ignore: missing !== undefined,
  async fn() {
    await using world = await World.open(FROM_SOURCE);
    const path = world.path("key");
    const terminal = await joinKey(world, `>${path}`);
    try {
      await terminal.expect("Password: ‸");
      await terminal.type("secret");
      await terminal.press("Enter");
      await poll(
        async () => (await terminal.screen()).includes("ended 0"),
        () => "the end of client join-key",
      );
      assert.match(await Deno.readTextFile(path), /^hearth2-join:[A-Za-z0-9+/]{43}\n$/);
    } finally {
      await terminal.close();
    }
  },
});

Deno.test({
  name: "askSecretly() reports an unanswered question",
  ignore: missing !== undefined,
  async fn() {
    await using world = await World.open(FROM_SOURCE);
    const terminal = await joinKey(world, "");
    try {
      await terminal.expect("Password: ‸");
      await terminal.press("C-c");
      await terminal.expect("client: error: the question was not answered", "ended 1", "‸");
    } finally {
      await terminal.close();
    }
  },
});

Deno.test({
  name: "server shows a generated password on the terminal, not in its log",
  ignore: missing !== undefined,
  async fn() {
    await using world = await World.open(FROM_SOURCE);
    const home = await world.home("server", { file: "server.pem" });
    const log = world.path("log");
    const server = [...FROM_SOURCE.server, "--port", "0", "--no-announce", "--password"].join(" ");
    const terminal = await start(home, `${server} >${log}`);
    try {
      await terminal.expect("Password (Enter generates one): ‸");
      await terminal.press("Enter");
      const made = /^the password is: ([a-z]{5}(-[a-z]{5}){4})$/;
      const rows = await terminal.waitFor((rows) => made.test(rows[0] ?? ""), "the password");
      const text = await poll(async () => {
        const text = await Deno.readTextFile(log);
        return text.includes("--fingerprint") && text;
      }, () => "the server's log");
      assert.ok(!text.includes(made.exec(rows[0]!)![1]!));
    } finally {
      await terminal.close();
    }
  },
});
