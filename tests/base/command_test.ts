import assert from "node:assert/strict";
import { isInstalled } from "../../lib/base/command.ts";

/** What another process says of how it was started. */
async function commandIn(env: Record<string, string>, flags: readonly string[]): Promise<string> {
  const { href } = new URL("../../lib/base/command.ts", import.meta.url);
  const script = `const { commandOf } = await import("${href}"); console.log(commandOf("client"))`;
  const { PATH, HOME } = Deno.env.toObject();
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", ...flags, `data:text/typescript,${encodeURIComponent(script)}`],
    clearEnv: true,
    env: { PATH: PATH!, HOME: HOME!, NO_COLOR: "1", ...env },
  }).output();
  return new TextDecoder().decode(stdout).trim();
}

Deno.test("commandOf() names what fits how the program was started", async () => {
  const allowed = ["--allow-env=npm_command"];
  const npx = `npx --yes deno@${Deno.version.deno} task client`;
  assert.deepEqual(
    await Promise.all([
      commandIn({ npm_command: "exec" }, allowed),
      commandIn({ npm_command: "run-script" }, allowed),
      commandIn({}, allowed),
      commandIn({ npm_command: "exec" }, []),
    ]),
    [npx, "deno task client", "deno task client", "deno task client"],
  );
});

Deno.test("isInstalled() knows the places of the packages", () => {
  const cases: [path: string, expected: boolean][] = [
    ["/usr/lib/hearth/server", true],
    ["/opt/homebrew/Cellar/hearth/1.0.0/bin/hearth-server", true],
    ["/srv/bin/server", false],
    ["/srv/hearth-1.0.0/client", false],
    ["/srv/usr/lib/hearth/client", false],
  ];
  for (const [path, expected] of cases) assert.equal(isInstalled(path), expected, path);
});
