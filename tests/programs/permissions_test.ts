/**
 * The permissions of the programs: the flags of the tasks, which are compiled in, and what is dropped while they run.
 */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { runFlags } from "../../scripts/build.ts";
import { FILES, listProject, readProject } from "../support/project.ts";
import { FROM_SOURCE, poll, World } from "../support/programs.ts";

const ROOT = new URL("../../", import.meta.url);
const { tasks, unstable } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT))) as {
  tasks: Record<string, string>;
  unstable: readonly string[];
};

/** Permissions of a program besides the network and all files, which cannot be restricted further here. */
interface Narrow {
  readonly env: readonly string[];
  readonly run: readonly string[];
  readonly sys: readonly string[];
  /** For the engine, not about permissions. */
  readonly engine?: string;
}

const PLACES = ["HEARTH_HOME", "XDG_CONFIG_HOME", "HOME", "APPDATA"];
const SECRETS = ["HEARTH_PASSWORD", "HEARTH_KEY_PASSPHRASE"];
const LOCALE = ["LC_ALL", "LC_CTYPE", "LANG"];
const TERMINAL = [
  ...["NO_COLOR", "TERM", "COLORTERM", "WT_SESSION"],
  ...["TMUX", "TERM_PROGRAM", "VTE_VERSION", "KITTY_WINDOW_ID"],
];
const LOGIN = ["USER", "LOGNAME", "USERNAME"];
/** Where systemd waits to hear that a service is ready. */
const SERVICE = ["NOTIFY_SOCKET"];
/** A dependency of sshpk reads it when it is loaded, and fails without the permission. */
const PACKAGE = ["NODE_NDEBUG"];
/** Tells whether npx has started the program, for the lines that people type. */
const STARTED = ["npm_command"];
const SYS = ["networkInterfaces", "hostname"];

const CLIENT: Narrow = {
  env: [...PLACES, ...SECRETS, ...STARTED, ...TERMINAL, ...LOCALE, ...LOGIN, ...PACKAGE],
  run: ["kill", "ps"],
  sys: [...SYS, "statfs"], // whether a file that is offered fits on the disk
  engine: "--v8-flags=--max-semi-space-size=2", // files that go through the relay are garbage soon: less memory
};
const NARROW: Readonly<Record<string, Narrow>> = {
  client: CLIENT,
  chat: CLIENT,
  server: {
    env: [...PLACES, ...SECRETS, ...SERVICE, ...STARTED, ...LOCALE, ...PACKAGE],
    run: [],
    sys: SYS,
    engine: "--v8-flags=--max-semi-space-size=1", // garbage is small and short-lived: less memory per member
  },
};

/** The flags of a task, without its program and arguments. */
function flagsOf(task: string): string[] {
  const [deno, run, ...words] = tasks[task]!.split(" ");
  deepEqual([deno, run], ["deno", "run"]);
  return words.slice(0, words.findIndex((word) => word.endsWith(".ts")));
}

for (const [task, { env, run, sys, engine }] of Object.entries(NARROW)) {
  Deno.test(`deno task ${task} has the permissions it needs, and no others`, () => {
    deepEqual(
      flagsOf(task).toSorted(),
      [
        "--quiet", // otherwise Deno clears the cursor's row whenever it loads something late
        "--no-prompt", // what is missing is refused, nobody is asked to grant it
        "--allow-net",
        "--allow-read",
        "--allow-write",
        `--allow-env=${env.join()}`,
        `--allow-sys=${sys.join()}`,
        ...(run.length > 0 ? [`--allow-run=${run.join()}`] : []),
        ...(engine ? [engine] : []),
      ].toSorted(),
    );
  });
}

for (const program of ["client", "server"] as const) {
  Deno.test(`the compiled ${program} has the flags of its task`, () => {
    deepEqual(runFlags(program), [
      ...flagsOf(program).filter((flag) => flag !== "--quiet"),
      ...unstable.map((feature) => `--unstable-${feature}`),
    ]);
  });
}

Deno.test("no task can load native code, and only those for tests and measurements have all permissions", () => {
  for (const [name, command] of Object.entries(tasks)) {
    ok(!/--allow-ffi|(^|\s)-[A-Za-z]*A/.test(command), name);
    const isForTests = /\btests\b/.test(command) || name === "ok";
    ok(isForTests || !/--allow-all/.test(command), name);
  }
});

Deno.test("every environment variable in the permissions is read somewhere", async () => {
  const read = new Set<string>();
  for (const path of await listProject("lib/")) {
    const text = await readProject(path);
    for (const [, variable] of text.matchAll(/"([A-Z][A-Z_]+|npm_[a-z]+)"/g)) read.add(variable!);
  }
  for (const variable of CLIENT.env) ok(read.has(variable) || PACKAGE.includes(variable), variable);
});

// --- What an attacker who can run code cannot do ---

/** Tries what our programs never do, and prints what worked. */
const PROBE = `
const tries = {
  dlopen: () => Deno.dlopen("libc.so.6", { getpid: { parameters: [], result: "i32" } }),
  addon: () => process.dlopen({ exports: {} }, "/nowhere.node"),
  sh: () => new Deno.Command("sh", { args: ["-c", "true"] }).outputSync(),
  deno: () => new Deno.Command(Deno.execPath()).outputSync(),
  spawn: async () => (await import("node:child_process")).execFileSync("/bin/true"),
  kill: () => new Deno.Command("kill", { args: ["-0", String(Deno.pid)] }).outputSync(),
  ps: () => new Deno.Command("ps", { args: ["-A"] }).outputSync(),
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

/** Runs the probe with a program's flags after `before`. @returns What it could do. */
async function probe(program: "client" | "server", before = ""): Promise<string[]> {
  const script = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(
      script,
      `import process from "node:process";\n${before}${PROBE}console.log(JSON.stringify(got));\n`,
    );
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-check", "--config=deno.json", ...flagsOf(program), script],
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
  name:
    "client and server cannot load native code, run anything but kill and ps, or read other variables",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    deepEqual(await probe("client"), ["kill", "ps", "HOME", ...ALWAYS]);
    deepEqual(await probe("server"), ["HOME", ...ALWAYS]);
  },
});

Deno.test({
  name: "dropPermissions() drops the given permissions for good",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    const cli = JSON.stringify(new URL("lib/cli/process.ts", ROOT).href);
    const drop = (...names: string[]) =>
      `const { dropPermissions } = await import(${cli});
      await dropPermissions(${names.map((name) => JSON.stringify(name)).join()});\n`;
    deepEqual(await probe("client", drop("env", "run")), ALWAYS);
    deepEqual(await probe("server", drop("env", "run", "write", "read", "net", "sys")), []);
  },
});

Deno.test("a server that has dropped its permissions still works", async () => {
  await using world = await World.open(FROM_SOURCE);
  const allow = await world.file("allow", "# nobody yet\n");
  for (const args of [[], ["--allow", allow]]) {
    const server = await world.server(args);
    const ann = await world.client("ann");
    if (args.length > 0) {
      await ann.waitFor("disconnected", { reason: "not allowed" });
      const { fingerprint } = await server.waitFor("refused");
      await world.file("allow", `${fingerprint}\n`);
      server.signal("SIGHUP");
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
  readonly jsr?: Record<string, { integrity: string }>;
  readonly remote?: Record<string, string>;
}

/** Packages that are not pinned, or not locked to the pinned version. */
function findUnlocked(specifiers: Iterable<string>, lock: Pick<Lock, "specifiers">): string[] {
  return [...specifiers].filter((specifier) => {
    const [, whole, version] = /^((?:npm|jsr):(?:@[^/]+\/)?[^/@]+@(\d+\.\d+\.\d+))(?:\/|$)/
      .exec(specifier) ?? [];
    return whole === undefined || lock.specifiers[whole] !== version;
  });
}

Deno.test("packages of npm and of JSR count as locked only at the pinned version", () => {
  const lock = { specifiers: { "npm:a@1.0.0": "1.0.0", "jsr:@b/c@2.0.0": "2.0.0" } };
  deepEqual(findUnlocked(["npm:a@1.0.0/x.js", "jsr:@b/c@2.0.0/y"], lock), []);
  const unlocked = ["npm:a@1.0.1", "jsr:@b/c@2.0.1", "jsr:@b/d@2.0.0", "./a.ts"];
  deepEqual(findUnlocked(unlocked, lock), unlocked);
});

Deno.test("deno.lock names every package of the programs and the tests with its checksum, and none has install scripts", async () => {
  const lock: Lock = JSON.parse(await Deno.readTextFile(new URL("deno.lock", ROOT)));
  const { imports } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const named = new Set<string>(Object.values(imports));
  for (const [path, text] of FILES) {
    if (!path.endsWith(".ts")) continue;
    for (const [, specifier] of text.matchAll(/from "((?:npm|jsr):[^"]+)"/g)) {
      named.add(specifier!);
    }
  }
  deepEqual(findUnlocked(named, lock), []);
  const packages = Object.entries(lock.npm);
  ok(packages.length >= 20);
  for (const [name, { integrity, scripts }] of packages) {
    ok(integrity?.startsWith("sha512-"), name);
    ok(!scripts, `${name} wants to run something when it is installed`);
  }
  for (const [name, { integrity }] of Object.entries(lock.jsr ?? {})) {
    match(integrity, /^[0-9a-f]{64}$/, name);
  }
  deepEqual(lock.remote ?? {}, {}); // no code straight from the web
  for (const [name, command] of Object.entries(tasks)) ok(!command.includes("scripts="), name);
});
