/** packaging/: that each file is understood by what reads it, where that is installed, and agrees with the project. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { parseClientArguments, parseServerArguments } from "../lib/cli/arguments.ts";
import { DEFAULT_SHARE_PORT } from "../lib/cli/programs.ts";
import { DEFAULT_PORT } from "../lib/cli/server_address.ts";
import { PATHS, readProject } from "./support/project.ts";
import { fakeProgram } from "./support/shared_folder.ts";

const ROOT = decodeURIComponent(new URL("../", import.meta.url).pathname);

interface Outcome {
  readonly code: number;
  readonly said: string;
}

/** Runs a program; undefined if it is not installed. */
async function run(program: string, ...args: string[]): Promise<Outcome | undefined> {
  try {
    const { code, stdout, stderr } = await new Deno.Command(program, { args, cwd: ROOT }).output();
    return { code, said: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Whether a program is installed; says so if a test is skipped without it. */
async function has(program: string, ...args: string[]): Promise<boolean> {
  const isThere = (await run(program, ...args))?.code === 0;
  if (!isThere) console.warn(`skipped without ${[program, ...args].join(" ")}`);
  return isThere;
}

const SERVICE = await readProject("packaging/hearth-server.service");
const STAY = await readProject("packaging/hearth-stay.service");

Deno.test({
  name: "systemd understands the unit",
  ignore: !await has("systemd-analyze", "--version"),
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const path = `${folder}/hearth-server.service`;
      // What it starts and documents need not be installed here.
      const text = SERVICE.replaceAll("/usr/bin/hearth-server", "/bin/true")
        .replace(/^Documentation=.*\n/m, "");
      await Deno.writeTextFile(path, text);
      const { said } = (await run("systemd-analyze", "verify", path))!;
      // It may find fault with other units of this computer.
      deepEqual(said.split("\n").filter((line) => line.includes("hearth")), []);
      const security = await run("systemd-analyze", "security", "--offline=true", path);
      const level = Number(/exposure level for .*: ([\d.]+)/.exec(security!.said)?.[1]);
      ok(level < 3, security!.said); // "OK"
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "systemd understands the unit of a client that stays",
  ignore: !await has("systemd-analyze", "--version"),
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const path = `${folder}/hearth-stay.service`;
      const text = STAY.replaceAll("/usr/bin/hearth-client", "/bin/true")
        .replace(/^Documentation=.*\n/m, "");
      await Deno.writeTextFile(path, text);
      const { said } = (await run("systemd-analyze", "verify", "--user", path))!;
      deepEqual(said.split("\n").filter((line) => line.includes("hearth")), []);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test("the units start the programs with options that they have", () => {
  for (const text of [SERVICE, STAY]) {
    const [, program, fixed] = /^ExecStart=\/usr\/bin\/hearth-(\w+)(.*) \$HEARTH_OPTIONS$/m.exec(
      text,
    )!;
    const [, options] = /HEARTH_OPTIONS="(.*)"/.exec(text)!;
    const args = `${fixed} ${options}`.trim().split(" ");
    if (program === "server") equal(parseServerArguments(args).type, "serve");
    else equal(parseClientArguments(args).type, "chat");
  }
});

Deno.test("the unit's state folder is the one that it creates", () => {
  const value = (key: string) => new RegExp(`^${key}=(.*)$`, "m").exec(SERVICE)?.[1];
  equal(value("Environment"), `HEARTH_HOME=%S/${value("StateDirectory")}`);
  equal(value("Type"), "notify");
  match(value("RestrictAddressFamilies")!, /\bAF_UNIX\b/); // by which it says that it is ready
});

Deno.test({
  name: "the property list of launchd can be read",
  ignore: !await has("python3", "--version"),
  async fn() {
    const script =
      "import json, plistlib, sys; print(json.dumps(plistlib.load(open(sys.argv[1], 'rb'))))";
    const { said } = (await run("python3", "-c", script, "packaging/hearth.server.plist"))!;
    const { Label, ProgramArguments, KeepAlive, ...rest } = JSON.parse(said);
    deepEqual([Label, KeepAlive], ["hearth.server", { SuccessfulExit: false }]);
    const [program, ...args] = ProgramArguments;
    ok(program.endsWith("/hearth-server"));
    equal(parseServerArguments(args).type, "serve");
    deepEqual(
      Object.keys(rest),
      ["RunAtLoad", "ExitTimeOut", "ProcessType", "SoftResourceLimits"],
    );
  },
});

Deno.test({
  name: "compose.yaml can be read, and starts the server of the Dockerfile",
  ignore: !await has("python3", "-c", "import yaml"),
  async fn() {
    const script = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    const { said } = (await run("python3", "-c", script, "packaging/compose.yaml"))!;
    const { services: { hearth }, volumes } = JSON.parse(said);
    equal(hearth.build.context, "..");
    ok(PATHS.includes(hearth.build.dockerfile));
    deepEqual(hearth.ports, [`${DEFAULT_PORT}:${DEFAULT_PORT}`]);
    equal(parseServerArguments(hearth.command).type, "serve");
    const [volume, path] = hearth.volumes[0].split(":");
    ok(volume in volumes);
    ok((await readProject("packaging/Dockerfile")).includes(`HEARTH_HOME=${path}\n`));
  },
});

Deno.test({
  name: "compose.cluster.yaml can be read, and starts servers of one key and one NATS",
  ignore: !await has("python3", "-c", "import yaml"),
  async fn() {
    const script = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    const { said } = (await run("python3", "-c", script, "packaging/compose.cluster.yaml"))!;
    const { services, volumes } = JSON.parse(said);
    const { nats, "hearth-1": first, "hearth-2": second } = services;
    ok(nats.command.includes("-js"));
    for (const { build, command, volumes: mounted } of [first, second]) {
      ok(PATHS.includes(build.dockerfile));
      const request = parseServerArguments(command);
      ok(request.type === "serve");
      deepEqual(request.cluster?.servers, ["nats://nats:4222"]);
      for (const mount of mounted) ok(mount.split(":")[0] in volumes);
    }
    // The second one is given the key of the first.
    const [state, home] = first.volumes[0].split(":");
    const [shared, path] = second.volumes[1].split(":");
    equal(state, shared);
    ok((await readProject("packaging/Dockerfile")).includes(`HEARTH_HOME=${home}\n`));
    const { key } = parseServerArguments(second.command) as { key: string };
    equal(key, `${path}/server.pem`);
  },
});

Deno.test("the Dockerfile compiles with the Deno of the releases, and exposes the ports", async () => {
  const text = await readProject("packaging/Dockerfile");
  const [, version] = /deno-version: v([\d.]+)/.exec(
    await readProject(".github/workflows/release.yml"),
  )!;
  ok(text.includes(`FROM denoland/deno:${version} AS build\n`));
  ok(text.includes(`EXPOSE ${DEFAULT_PORT} ${DEFAULT_SHARE_PORT}\n`));
  ok(PATHS.includes(".dockerignore"));
});

Deno.test({
  name: "task package makes a Debian package of each kind of programs that is there",
  ignore: !await has("dpkg-deb", "--version"),
  async fn() {
    const dist = await Deno.makeTempDir();
    try {
      for (const target of ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"] as const) {
        await Deno.mkdir(`${dist}/${target}`);
        for (const name of ["client", "server"]) {
          await Deno.writeFile(`${dist}/${target}/${name}`, fakeProgram(target, 5000));
        }
      }
      const made = await run(
        "sh",
        ...["-c", 'umask 077; "$@"', "sh", Deno.execPath(), "task", "--quiet", "package", dist],
      );
      const packages = made!.said.trim().split("\n");
      deepEqual(packages.map((path) => /_(\w+)\.deb$/.exec(path)?.[1]), ["amd64", "arm64"]);
      const { code, said } = (await run("dpkg-deb", "--info", packages[1]!))!;
      equal(code, 0);
      match(said, /^ Package: hearth\n Version: \S+\n Architecture: arm64\n/m);
      const out = `${dist}/out`;
      equal((await run("dpkg-deb", "--raw-extract", packages[0]!, out))!.code, 0);
      equal(await Deno.readLink(`${out}/usr/bin/hearth-server`), "../lib/hearth/server");
      equal((await Deno.stat(`${out}/usr/lib/hearth/client`)).mode! & 0o777, 0o755);
      equal(
        await Deno.readTextFile(`${out}/usr/lib/systemd/system/hearth-server.service`),
        SERVICE,
      );
      equal((await Deno.stat(`${out}/usr/share/doc/hearth`)).mode! & 0o777, 0o755);
      for (const script of ["postinst", "prerm", "postrm"]) {
        deepEqual(await run("sh", "-n", `${out}/DEBIAN/${script}`), { code: 0, said: "" });
      }
      const completions = `${out}/usr/share/bash-completion/completions/hearth-client`;
      match(await Deno.readTextFile(completions), /^complete -F \S+ hearth-client$/m);
      const page = await Deno.readFile(`${out}/usr/share/man/man1/hearth-client.1.gz`);
      const stream = new Blob([page]).stream().pipeThrough(new DecompressionStream("gzip"));
      match(await new Response(stream).text(), /^\.Nm hearth-client$[^]*^\.Xr hearth-server 1$/m);
    } finally {
      await Deno.remove(dist, { recursive: true });
    }
  },
});

Deno.test({
  name: "task package without programs is one clear error",
  async fn() {
    const dist = await Deno.makeTempDir();
    const { code, said } =
      (await run(Deno.execPath(), "run", "--allow-all", "scripts/package.ts", dist))!;
    await Deno.remove(dist);
    equal(code, 1);
    match(said, /package: error: no programs for Linux are in /);
  },
});

Deno.test({
  name: "Ruby understands the formula",
  ignore: !await has("ruby", "--version"),
  async fn() {
    deepEqual(await run("ruby", "-c", "packaging/hearth.rb"), { code: 0, said: "Syntax OK\n" });
  },
});
