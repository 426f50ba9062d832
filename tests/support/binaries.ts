/**
 * The compiled programs, built once per test file, and run as on a stranger's computer.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import type { Commands } from "./programs.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Locates the Deno and the base binary for `deno compile`, beside the project. */
const TOOLCHAIN = `${ROOT}../shared/tools/standalone-toolchain.sh`;
/** The user and the group "nobody". */
const NOBODY = 65_534;

/** A Deno that can compile, and its environment variables. */
export interface Toolchain {
  readonly deno: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Prepares a {@linkcode Toolchain}. @returns Why it is unavailable, as a string. */
export async function findToolchain(): Promise<Toolchain | string> {
  try {
    await Deno.stat(TOOLCHAIN);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      return "there is no ../shared/tools/standalone-toolchain.sh";
    }
    throw error;
  }
  const { success, stdout, stderr } = await new Deno.Command("bash", { args: [TOOLCHAIN] })
    .output();
  if (!success) return new TextDecoder().decode(stderr).trim();
  const lines = new TextDecoder().decode(stdout).matchAll(/^export (\w+)=(.*)$/gm);
  const { DENO_STANDALONE: deno, ...env } = Object.fromEntries(
    [...lines].map(([, k, v]) => [k!, v!]),
  );
  return { deno: deno!, env };
}

/** Runs `deno task compile` with it. */
export async function runCompile(
  toolchain: Toolchain,
  { args, project = ROOT, prefix = [], env = {} }: {
    args: readonly string[];
    /** The project folder, ending in a slash. */
    project?: string;
    /** A command that runs it. */
    prefix?: readonly string[];
    env?: Record<string, string>;
  },
): Promise<{ code: number; stdout: string; stderr: string }> {
  const words = [
    ...prefix,
    toolchain.deno,
    "run",
    "--allow-all",
    `${project}scripts/compile.ts`,
    ...args,
  ];
  const { code, stdout, stderr } = await new Deno.Command(words[0]!, {
    args: words.slice(1),
    env: { NO_COLOR: "1", ...toolchain.env, ...env },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/**
 * Runs a program as on a stranger's computer: with an empty PATH and an empty home. Tests that run as root switch to the
 * user nobody, who gets the test's folder. STRANGER_HOME names another home.
 */
const STRANGER = `#!/bin/sh
world=\${PWD%/*}
case $world in
  */hearth_test_*) [ "$(id -u)" != 0 ] || chown -R ${NOBODY}:${NOBODY} "$world" 2>/dev/null ;;
esac
become=
[ "$(id -u)" != 0 ] || become="$(command -v setpriv) --reuid=${NOBODY} --regid=${NOBODY} --clear-groups"
unset DENO_DIR DENO_JOBS DENORT_BIN DENO_TLS_CA_STORE NODE_PATH
export HOME="\${STRANGER_HOME-$(dirname "$0")/home}" PATH=
exec $become "$@"
`;

/** The compiled programs, in a read-only folder. */
export interface Binaries {
  readonly folder: string;
  /** Paths by program. */
  readonly server: string;
  readonly client: string;
  /** Commands that run them as a stranger. */
  readonly commands: Commands;
  /** Prefix of any command. */
  readonly stranger: readonly string[];
}

/** Compiles the programs into a temporary folder. */
export async function makeBinaries(toolchain: Toolchain): Promise<Binaries> {
  const folder = await Deno.makeTempDir({ prefix: "hearth_binaries_" });
  const { code, stderr } = await runCompile(toolchain, { args: ["--dist", folder] });
  if (code !== 0) throw new Error(`compile: ${code}\n${stderr}`);
  await Deno.mkdir(`${folder}/home`);
  await Deno.writeTextFile(`${folder}/stranger`, STRANGER);
  const programs = `${folder}/${Deno.build.target}`;
  for (const path of [folder, programs, `${folder}/home`]) await Deno.chmod(path, 0o555);
  const stranger = ["/bin/sh", `${folder}/stranger`];
  const [server, client] = [`${programs}/server`, `${programs}/client`];
  const commands = { server: [...stranger, server], client: [...stranger, client] };
  return { folder, server, client, commands, stranger };
}

/** Deletes the compiled programs. */
export async function removeBinaries({ folder }: Binaries): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) await Deno.chmod(`${folder}/${name}`, 0o755);
  }
  await Deno.chmod(folder, 0o755);
  await Deno.remove(folder, { recursive: true });
}
