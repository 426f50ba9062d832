/**
 * Finds the firewalls of this computer from their configuration files: whether one is active and lets a port through,
 * and the command that opens the port. A file that cannot be read counts as closed.
 *
 * @module
 */

/** A firewall that is active, or probably is. */
interface Firewall {
  readonly name: string;
  /** Its configuration lets the port through. */
  readonly isOpen: boolean;
  /** Opens the port. */
  readonly command: string;
}

/**
 * Finds the firewalls that may block a TCP port.
 *
 * @param system.root Where the files are: `/` except in tests.
 */
export async function findFirewalls(
  port: number,
  { root, os }: { readonly root: string; readonly os: typeof Deno.build.os },
): Promise<Firewall[]> {
  const read = async (...paths: readonly string[]) =>
    (await Promise.all(paths.map((path) => readText(`${root}${path}`)))).join("\n");
  switch (os) {
    case "linux":
      return (await Promise.all([
        ufw(port, read),
        firewalld(port, read, root),
        nftables(port, read),
      ]))
        .filter((firewall) => firewall !== undefined);
    case "darwin":
      return await macos(root);
    case "windows":
      return [{
        name: "Windows Firewall",
        isOpen: false,
        command:
          "netsh advfirewall firewall add rule name=Hearth dir=in action=allow protocol=TCP " +
          `localport=${port}`,
      }];
    default:
      return [];
  }
}

type Read = (...paths: readonly string[]) => Promise<string>;

async function ufw(port: number, read: Read): Promise<Firewall | undefined> {
  if (!/^ENABLED=yes\s*$/m.test(await read("etc/ufw/ufw.conf"))) return undefined;
  const rules = await read("etc/ufw/user.rules", "lib/ufw/user.rules");
  return {
    name: "ufw",
    isOpen: new RegExp(`^-A ufw-user-input -p tcp --dport ${port} -j ACCEPT$`, "m").test(rules),
    command: `sudo ufw allow ${port}/tcp`,
  };
}

async function firewalld(port: number, read: Read, root: string): Promise<Firewall | undefined> {
  const units = "etc/systemd/system/multi-user.target.wants/firewalld.service";
  if (!await exists(`${root}${units}`)) return undefined;
  const zones = await listFiles(`${root}etc/firewalld/zones`);
  const text = await read(...zones.map((name) => `etc/firewalld/zones/${name}`));
  return {
    name: "firewalld",
    isOpen: [...text.matchAll(/<port\b[^>]*>/g)].some(([tag]) =>
      tag.includes(`port="${port}"`) && tag.includes(`protocol="tcp"`)
    ),
    command: `sudo firewall-cmd --permanent --add-port=${port}/tcp && sudo firewall-cmd --reload`,
  };
}

/** Reads the rules loaded at boot; the rules in force could be read by a program only. */
async function nftables(port: number, read: Read): Promise<Firewall | undefined> {
  const rules = (await read("etc/nftables.conf", "etc/sysconfig/nftables.conf"))
    .replace(/#.*/g, "");
  for (const { 0: head, 1: name, index } of rules.matchAll(/\bchain\s+(\S+)\s*\{/g)) {
    const body = untilClosed(rules.slice(index + head.length));
    if (!/\bhook\s+input\b/.test(body)) continue;
    if (!/\bpolicy\s+drop\b|\b(?:drop|reject)\s*;?\s*$/.test(body)) continue;
    const table = [...rules.slice(0, index).matchAll(/\btable\s+(\S+)\s+(\S+)\s*\{/g)].at(-1);
    return {
      name: "nftables",
      isOpen: new RegExp(`\\b${port}\\b[^;\\n]*\\baccept\\b`).test(body),
      command: `sudo nft insert rule ${table?.[1] ?? "inet"} ${table?.[2] ?? "filter"} ${name} ` +
        `tcp dport ${port} accept`,
    };
  }
  return undefined;
}

/** The text up to the brace that closes one opened before it. */
function untilClosed(text: string): string {
  let depth = 1;
  for (const { 0: brace, index } of text.matchAll(/[{}]/g)) {
    depth += brace === "{" ? 1 : -1;
    if (depth === 0) return text.slice(0, index);
  }
  return text;
}

async function macos(root: string): Promise<Firewall[]> {
  const tool = "usr/libexec/ApplicationFirewall/socketfilterfw";
  if (!await exists(`${root}${tool}`)) return [];
  const program = Deno.execPath();
  return [{
    name: "the macOS application firewall",
    isOpen: false,
    command: `sudo /${tool} --add ${program} --unblockapp ${program}`,
  }];
}

// A file may be missing or readable by the administrator only: both count as nothing there.

function readText(path: string): Promise<string> {
  return Deno.readTextFile(path).catch(() => "");
}

function exists(path: string): Promise<boolean> {
  return Deno.lstat(path).then(() => true, () => false);
}

function listFiles(folder: string): Promise<string[]> {
  return Array.fromAsync(Deno.readDir(folder), ({ name }) => name).catch(() => []);
}
