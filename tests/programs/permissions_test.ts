/**
 * What the programs may do: the flags of the tasks, which the compiled programs take over, and what is given up while
 * they run.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { runFlags } from "../../scripts/build.ts";
import { FROM_SOURCE, poll, World } from "../support/programs.ts";

const ROOT = new URL("../../", import.meta.url);
const { tasks, unstable } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT))) as {
  tasks: Record<string, string>;
  unstable: readonly string[];
};

/** Permissions of a program beyond the whole network and all files, which Deno cannot name more narrowly here. */
interface Narrow {
  readonly env: readonly string[];
  readonly run: readonly string[];
  /** For the engine, not about permissions. */
  readonly engine?: string;
}

const PLACES = ["HEARTH_HOME", "XDG_CONFIG_HOME", "HOME", "APPDATA"];
const SECRETS = ["HEARTH_PASSWORD", "HEARTH_KEY_PASSPHRASE"];
const LOCALE = ["LC_ALL", "LC_CTYPE", "LANG"];
const TERMINAL = ["NO_COLOR", "TERM", "COLORTERM", "WT_SESSION"];
const LOGIN = ["USER", "LOGNAME", "USERNAME"];
/** A package of sshpk looks at it when it is loaded, and fails without the permission. */
const PACKAGE = ["NODE_NDEBUG"];
const SYS = ["networkInterfaces", "hostname"];

const CLIENT: Narrow = {
  env: [...PLACES, ...SECRETS, ...TERMINAL, ...LOCALE, ...LOGIN, ...PACKAGE],
  run: ["kill"],
};
const NARROW: Readonly<Record<string, Narrow>> = {
  client: CLIENT,
  chat: CLIENT,
  server: {
    env: [...PLACES, ...SECRETS, ...LOCALE, ...PACKAGE],
    run: [],
    engine: "--v8-flags=--max-semi-space-size=1", // garbage is small and young: less memory a member
  },
};

/** The flags of a task, without its program and arguments. */
function flagsOf(task: string): string[] {
  const [deno, run, ...words] = tasks[task]!.split(" ");
  deepEqual([deno, run], ["deno", "run"]);
  return words.slice(0, words.findIndex((word) => word.endsWith(".ts")));
}

for (const [task, { env, run, engine }] of Object.entries(NARROW)) {
  Deno.test(`deno task ${task} has the permissions it needs, and no others`, () => {
    deepEqual(
      flagsOf(task).toSorted(),
      [
        "--no-prompt", // what is missing is refused, nobody is asked to grant it
        "--allow-net",
        "--allow-read",
        "--allow-write",
        `--allow-env=${env.join()}`,
        `--allow-sys=${SYS.join()}`,
        ...(run.length > 0 ? [`--allow-run=${run.join()}`] : []),
        ...(engine ? [engine] : []),
      ].toSorted(),
    );
  });
}

for (const program of ["client", "server"] as const) {
  Deno.test(`compiled, the ${program} has the flags of its task`, () => {
    deepEqual(runFlags(program), [
      ...flagsOf(program),
      ...unstable.map((feature) => `--unstable-${feature}`),
    ]);
  });
}

Deno.test("no task may load native code, and only those for tests and measuring may do everything", () => {
  for (const [name, command] of Object.entries(tasks)) {
    ok(!/--allow-ffi|(^|\s)-[A-Za-z]*A/.test(command), name);
    const isForTests = /\btests\b/.test(command) || name === "ok";
    ok(isForTests || !/--allow-all/.test(command), name);
  }
});

Deno.test("no variable is named that nothing reads", async () => {
  const read = new Set<string>();
  for await (const { name } of Deno.readDir(new URL("lib", ROOT))) {
    const text = await Deno.readTextFile(new URL(`lib/${name}`, ROOT));
    for (const [, variable] of text.matchAll(/"([A-Z][A-Z_]+)"/g)) read.add(variable!);
  }
  for (const variable of CLIENT.env) ok(read.has(variable) || PACKAGE.includes(variable), variable);
});

// --- What the flags keep from whoever gets code to run ---

/** Tries what no program of ours does; says what it got. */
const PROBE = `
const tries = {
  dlopen: () => Deno.dlopen("libc.so.6", { getpid: { parameters: [], result: "i32" } }),
  addon: () => process.dlopen({ exports: {} }, "/nowhere.node"),
  sh: () => new Deno.Command("sh", { args: ["-c", "true"] }).outputSync(),
  deno: () => new Deno.Command(Deno.execPath()).outputSync(),
  spawn: async () => (await import("node:child_process")).execFileSync("/bin/true"),
  kill: () => new Deno.Command("kill", { args: ["-0", String(Deno.pid)] }).outputSync(),
  signal: () => Deno.kill(Deno.ppid, "SIGCONT"),
  PATH: () => Deno.env.get("PATH"),
  "all variables": () => Deno.env.toObject(),
  "process.env": async () => { if ((await import("node:process")).env.PATH === undefined) throw new Deno.errors.NotCapable(); },
  HOME: () => Deno.env.get("HOME"),
  set: () => Deno.env.set("LD_PRELOAD", "x"),
  memory: () => Deno.systemMemoryInfo(),
  release: () => Deno.osRelease(),
  interfaces: () => Deno.networkInterfaces(),
  read: () => Deno.readTextFileSync("deno.json"),
  write: () => Deno.removeSync("nothing", { recursive: true }),
  net: () => Deno.listen({ port: 0, hostname: "127.0.0.1" }).close(),
};
const got = [];
for (const [name, attempt] of Object.entries(tries)) {
  try {
    await attempt();
    got.push(name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) got.push(name);
    else if (!(error instanceof Deno.errors.NotCapable)) throw error;
  }
}
`;

/** Runs the probe with a program's flags, behind `before`. @returns What it could do. */
async function probe(program: "client" | "server", before = ""): Promise<string[]> {
  const script = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(
      script,
      `import process from "node:process";\n${before}${PROBE}console.log(JSON.stringify(got));\n`,
    );
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-check", "--config=deno.json", ...flagsOf(program), script],
      cwd: ROOT,
    }).output();
    const decoder = new TextDecoder();
    equal(code, 0, decoder.decode(stderr));
    return JSON.parse(decoder.decode(stdout));
  } finally {
    await Deno.remove(script);
  }
}

const ALWAYS = ["interfaces", "read", "write", "net"];

Deno.test({
  name: "client and server cannot load native code, run anything but kill, or read other variables",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    deepEqual(await probe("client"), ["kill", "HOME", ...ALWAYS]);
    deepEqual(await probe("server"), ["HOME", ...ALWAYS]);
  },
});

Deno.test({
  name: "dropPermissions() gives up what it is told, for good",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const cli = JSON.stringify(new URL("lib/cli.ts", ROOT).href);
    const drop = (...names: string[]) =>
      `const { dropPermissions } = await import(${cli});
      await dropPermissions(${names.map((name) => JSON.stringify(name)).join()});\n`;
    deepEqual(await probe("client", drop("env", "run")), ALWAYS);
    deepEqual(await probe("server", drop("env", "run", "write", "read", "net", "sys")), []);
  },
});

Deno.test("a server that has given up what it can goes on as before", async () => {
  await using world = await World.open(FROM_SOURCE);
  const allow = await world.file("allow", "# nobody yet\n");
  for (const args of [[], ["--allow", allow]]) {
    const server = await world.server(args);
    const ann = await world.client("ann");
    if (args.length > 0) {
      await ann.waitFor("disconnected", { reason: "not allowed" });
      await world.file("allow", `${server.first("refused").fingerprint}\n`);
      server.signal("SIGHUP");
      await server.waitFor("refused");
      await poll(async () => {
        const again = await world.client("ann");
        return await again.waitFor("welcome", {}, { timeoutMs: 5000 }).catch(() => undefined);
      }, () => server.describe());
    } else await ann.waitFor("welcome");
    equal(await server.kill("SIGTERM"), 0);
    equal(server.stderr, "");
  }
});

// --- Where the packages come from ---

interface Lock {
  readonly specifiers: Record<string, string>;
  readonly npm: Record<string, { integrity?: string; scripts?: boolean; bin?: boolean }>;
  readonly remote?: Record<string, string>;
}

Deno.test("deno.lock names every package of the programs and the tests with its checksum, and none has install scripts", async () => {
  const lock: Lock = JSON.parse(await Deno.readTextFile(new URL("deno.lock", ROOT)));
  const { imports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const named = new Set<string>(Object.values(imports));
  for (const folder of ["", "lib/", "tests/", "tests/support/", "scripts/"]) {
    for await (const { name } of Deno.readDir(new URL(`./${folder}`, ROOT))) {
      if (!name.endsWith(".ts")) continue;
      const text = await Deno.readTextFile(new URL(folder + name, ROOT));
      for (const [, specifier] of text.matchAll(/from "(npm:[^"]+)"/g)) named.add(specifier!);
    }
  }
  for (const specifier of named) {
    const [, whole, version] = /^(npm:(?:@[^/]+\/)?[^/@]+@([^/]+))/.exec(specifier)!;
    equal(lock.specifiers[whole!], version, specifier); // pinned, and locked to just that
  }
  const packages = Object.entries(lock.npm);
  ok(packages.length >= 20);
  for (const [name, { integrity, scripts }] of packages) {
    ok(integrity?.startsWith("sha512-"), name);
    ok(!scripts, `${name} wants to run something when it is installed`);
  }
  deepEqual(lock.remote ?? {}, {}); // no code straight from the web
  for (const [name, command] of Object.entries(tasks)) ok(!command.includes("scripts="), name);
});
