/** The compiled programs, as a stranger's computer runs them: all conversations once more, and how they are made. */

import assert from "node:assert/strict";
import { CHAT } from "./conversations/chat.ts";
import { PIPE } from "./conversations/pipe.ts";
import { SERVER } from "./conversations/server.ts";
import settings from "../deno.json" with { type: "json" };
import { type Binaries, findToolchain, makeBinaries, removeBinaries } from "./support/binaries.ts";
import { FROM_SOURCE, World } from "./support/programs.ts";

const toolchain = await findToolchain();
const missing = typeof toolchain === "string" ? toolchain : undefined;
if (missing !== undefined) console.log(`binary_test.ts: skipped, ${missing}`);
const binaries = typeof toolchain === "string" ? undefined : await makeBinaries(toolchain);
if (binaries !== undefined) Deno.test.afterAll(() => removeBinaries(binaries));

function test(name: string, run: (binaries: Binaries) => Promise<void>): void {
  Deno.test({ name, ignore: missing !== undefined, fn: () => run(binaries!) });
}

for (const [name, run] of [...CHAT, ...PIPE, ...SERVER]) {
  test(`compiled: ${name}`, async ({ commands }) => {
    await using world = await World.open(commands);
    await run(world);
  });
}

test("compiled and script clients talk to each other, whoever serves", async ({ commands }) => {
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

test("--version and --help of a compiled program say what the script's do", async ({ commands }) => {
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
    assert.equal(await ask(compiled, "--help"), await ask(script, "--help"));
  }
});
