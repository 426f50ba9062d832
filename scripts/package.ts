/**
 * `deno task package`: makes Debian packages of the programs that `deno task compile` has made for Linux.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import settings from "../deno.json" with { type: "json" };
import { describeError, reportError, UsageError } from "../lib/base/errors.ts";
import { flushOutput } from "../lib/base/output.ts";
import type { Target } from "../lib/base/targets.ts";
import { completions } from "../lib/cli/completions.ts";
import { EXIT_FAILURE } from "../lib/cli/process.ts";
import { CLIENT_PROGRAM, SERVER_PROGRAM } from "../lib/cli/programs.ts";
import { PROGRAMS, ROOT } from "./build.ts";
import { manualPages, versionDate } from "./manual.ts";

/** Debian's names of the targets that it runs on. */
const ARCHITECTURES = {
  "x86_64-unknown-linux-gnu": "amd64",
  "aarch64-unknown-linux-gnu": "arm64",
} satisfies Partial<Record<Target, string>>;

/** Where each shell looks for the completions of a program. */
const COMPLETIONS = {
  bash: (name: string) => `usr/share/bash-completion/completions/${name}`,
  zsh: (name: string) => `usr/share/zsh/vendor-completions/_${name}`,
  fish: (name: string) => `usr/share/fish/vendor_completions.d/${name}.fish`,
};

const UNIT = "hearth-server.service";

/** After an upgrade the server is restarted; after the installation nothing runs until it is enabled. */
const POSTINST = `#!/bin/sh
set -e
if [ "$1" = configure ] && [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  [ -z "$2" ] || systemctl try-restart ${UNIT}
fi
`;
const PRERM = `#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  systemctl disable --now ${UNIT}
fi
`;
const POSTRM = `#!/bin/sh
set -e
[ ! -d /run/systemd/system ] || systemctl daemon-reload
if [ "$1" = purge ]; then
  rm -rf /var/lib/private/hearth /var/lib/hearth
fi
`;

/** Makes the packages of all targets that `dist` holds. */
async function main(dist: string): Promise<void> {
  let count = 0;
  for (const [target, architecture] of Object.entries(ARCHITECTURES)) {
    const folder = join(dist, target);
    if (!await exists(join(folder, "server"))) continue;
    const path = join(dist, `hearth_${settings.version}_${architecture}.deb`);
    await makePackage(folder, architecture, path);
    console.log(path);
    count++;
  }
  if (count > 0) return;
  throw new UsageError(`no programs for Linux are in ${dist}`, ["deno task compile makes them"]);
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** Lays out the files, and packs them; the same files make the same package. */
async function makePackage(programs: string, architecture: string, path: string): Promise<void> {
  const changelog = await Deno.readTextFile(join(ROOT, "CHANGELOG.md"));
  const folder = await Deno.makeTempDir({ prefix: "hearth_package_" });
  try {
    await Deno.chmod(folder, 0o755); // temporary folders are private
    let bytes = 0;
    const put = async (name: string, content: string | Uint8Array, mode = 0o644) => {
      const file = join(folder, name);
      await Deno.mkdir(dirname(file), { recursive: true });
      const data = typeof content === "string" ? new TextEncoder().encode(content) : content;
      await Deno.writeFile(file, data);
      await Deno.chmod(file, mode);
      bytes += data.length;
    };
    await Deno.mkdir(join(folder, "usr/bin"), { recursive: true });
    for (const program of PROGRAMS) {
      await put(`usr/lib/hearth/${program}`, await Deno.readFile(join(programs, program)), 0o755);
      await Deno.symlink(`../lib/hearth/${program}`, join(folder, `usr/bin/hearth-${program}`));
    }
    for (const program of [CLIENT_PROGRAM, SERVER_PROGRAM]) {
      const name = `hearth-${program.name}`;
      for (const shell of ["bash", "zsh", "fish"] as const) {
        await put(COMPLETIONS[shell](name), completions<string>({ ...program, name }, shell));
      }
    }
    for (const [name, text] of manualPages(changelog)) {
      await put(`usr/share/man/man1/hearth-${name}.gz`, gzip(renamePrograms(text)));
    }
    for (const [kind, unit] of [["system", UNIT], ["user", "hearth-stay.service"]]) {
      const text = await Deno.readTextFile(join(ROOT, "packaging", unit!));
      await put(`usr/lib/systemd/${kind}/${unit}`, text);
    }
    const license = await Deno.readTextFile(join(ROOT, "LICENSE"));
    await put("usr/share/doc/hearth/copyright", license);
    await put("usr/share/doc/hearth/CHANGELOG.md.gz", gzip(changelog));
    await put("DEBIAN/control", control(architecture, bytes));
    for (const [name, script] of Object.entries({ POSTINST, PRERM, POSTRM })) {
      await put(`DEBIAN/${name.toLowerCase()}`, script, 0o755);
    }
    await pack(folder, path, versionDate(changelog));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Installed, the programs have a prefix. */
function renamePrograms(page: string): string {
  return page.replace(/^(\.(?:Nm|Xr|Dt)) (client|server)\b/gim, "$1 hearth-$2");
}

function control(architecture: string, bytes: number): string {
  return `Package: hearth
Version: ${settings.version}
Architecture: ${architecture}
Maintainer: The Hearth authors <hearth@localhost>
Installed-Size: ${Math.ceil(bytes / 1024)}
Depends: libc6, libgcc-s1
Section: net
Priority: optional
Description: end-to-end encrypted chat for the local network
 A relay that cannot read what it forwards, and its client. The computers of a
 room find each other on the network, and the room moves when its host goes.
`;
}

/** Compressed as Debian asks for it. */
function gzip(text: string): Uint8Array {
  return gzipSync(text, { level: 9 });
}

async function pack(folder: string, path: string, date: string): Promise<void> {
  const env = { SOURCE_DATE_EPOCH: String(Date.parse(date) / 1000) };
  let output;
  try {
    output = await new Deno.Command("dpkg-deb", {
      args: ["--root-owner-group", "-Zgzip", "-z1", "--build", folder, path],
      env,
    }).output();
  } catch (error) {
    throw new UsageError(`dpkg-deb cannot be run: ${describeError(error)}`, [
      "Debian and Ubuntu have it, others in a package named dpkg",
    ]);
  }
  if (output.success) return;
  throw new UsageError(`dpkg-deb: ${new TextDecoder().decode(output.stderr).trim()}`);
}

try {
  Deno.umask(0o022); // the folders in a package are for everybody
  await main(Deno.args[0] ?? join(ROOT, "dist"));
} catch (error) {
  reportError("package", error);
  await flushOutput();
  Deno.exit(EXIT_FAILURE);
}
