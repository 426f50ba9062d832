/** The server as a process: strangers, faults at the start, and a terminal. */
import assert from "node:assert/strict";
import { freePort, FROM_SOURCE, World } from "../support/programs.ts";
import { answerTo } from "../support/raw_client.ts";
import { Tmux, tmuxMissing } from "../support/tmux.ts";

Deno.test("server logs junk connections, and one bad connection does not disturb others", async () => {
  await using world = await World.open(FROM_SOURCE);
  const server = await world.server();
  const ann = await world.client("ann");
  await ann.waitFor("welcome");
  const m1 = "HEARTH/2" + "\0".repeat(32 + 1184);
  for (
    const junk of ["GET / HTTP/1.1\r\n\r\n", "\0".repeat(40), "HEARTH/1" + "\0".repeat(32), m1]
  ) {
    const expected = junk === m1 ? "" : "HEARTH/?";
    assert.equal(await answerTo("127.0.0.1", server.port, junk), expected);
  }
  await server.waitFor("closed", { cause: "protocol error: bad-magic" }, { count: 3 });
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
    [["--password"], /cannot ask for the password/, 1],
    [["--allow", world.path("missing")], /missing: no such file/, 1],
    [["--join-key-file", await world.file("key", "hearth2-join:short\n")], /key: .*join key/, 1],
    [["--key", world.path("missing")], /missing: no such file/, 1],
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

// --- On a terminal ---

const missing = await tmuxMissing();
if (missing !== undefined) console.log(`no terminal to test in: ${missing}`);

async function withServerTerminal(
  args: string,
  act: (tmux: Tmux, world: World) => Promise<void>,
): Promise<void> {
  await using world = await World.open(FROM_SOURCE);
  const home = await world.home("server", { file: "server.pem" });
  const command = `${FROM_SOURCE.server.join(" ")} --no-announce ${args}; echo "exit $?"`;
  const tmux = await Tmux.start(["sh", "-c", `trap : INT; cd '${home}'; ${command}`], {
    columns: 80,
    rows: 24,
    env: { HEARTH_HOME: home, LC_ALL: "C.UTF-8" },
  });
  try {
    await act(tmux, world);
  } finally {
    await tmux.close();
  }
}

Deno.test("server shows a generated password last, in sight on 80x24", {
  ignore: missing !== undefined,
}, async () => {
  await withServerTerminal("--port 0 --password --qr", async (tmux) => {
    await tmux.waitFor(
      (rows) => rows.some((row) => row.startsWith("Password (Enter generates one):")),
      "the question",
    );
    await tmux.press("Enter");
    const isLast = (rows: string[]) => /^the password is: \S+/.test(rows.at(-2) ?? "");
    const rows = await tmux.waitFor(isLast, "the password");
    assert.match(rows.slice(-6).join(""), /client --host \S+ --fingerprint \S+ --password/);
  });
});

Deno.test("a server goes on while its terminal is held by Ctrl-S", {
  ignore: missing !== undefined,
}, async () => {
  const port = freePort();
  await withServerTerminal(`--port ${port}`, async (tmux, world) => {
    const shown = (text: string) =>
      tmux.waitFor((rows) => rows.some((row) => row.includes(text)), text);
    await shown("listening on port");
    await tmux.press("C-s");
    const [ann, bob] = await Promise.all([
      world.client("ann", { port }),
      world.client("bob", { port }),
    ]);
    await ann.waitFor("joined");
    await ann.chat("is the server held?");
    await bob.waitFor("chat", { text: "is the server held?" });
    assert.ok(!(await tmux.screen()).some((row) => row.includes(" joined ")));
    await tmux.press("C-q");
    await shown(" joined ");
    await tmux.press("C-c");
    await shown("exit 0");
  });
});
