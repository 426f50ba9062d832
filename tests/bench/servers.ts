/**
 * The relay and the servers it is compared with: how each is found, configured without throttles, started and ended.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import settings from "../../deno.json" with { type: "json" };

/** What members of a server have to speak. */
export type Speech = "hearth" | "irc" | "lines" | "ssh";

/** A server that can be started. */
export interface ServerKind {
  readonly name: string;
  readonly speech: Speech;
  readonly tls: boolean;
  /** The folder with another version of this project, whose own programs and members are used. */
  readonly root?: string | undefined;
  /** What was set, for the report. */
  readonly settings: string;
  /** Why it cannot be had here; undefined when it can. */
  missing(): string | undefined;
  /** The command, after its files were written. */
  prepare(place: Place): Promise<{ program: string; args: string[]; env?: Record<string, string> }>;
}

/** Where a server is to run. */
export interface Place {
  readonly port: number;
  /** For its files. */
  readonly folder: string;
  /** Certificate and key in PEM, RSA of 3072 bits. */
  readonly cert: string;
  readonly key: string;
}

/** A server that is running. */
export interface RunningServer {
  readonly kind: ServerKind;
  readonly pid: number;
  readonly port: number;
  /** Why it ended by itself; undefined while it runs. */
  died(): string | undefined;
  stop(): Promise<void>;
}

/** A server could not be started or has died. */
export class ServerError extends Error {
  override name = "ServerError";
}

/** The name of the version before. */
export const OLD = "hearth 0.1";
/** The name of the least that a server on this runtime can be. */
export const BARE = "bare Deno";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const START_TIMEOUT_MS = 30_000;
/** More than any scenario needs. */
const MANY = 2000;

function program(name: string): string | undefined {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];
  return folders.map((folder) => `${folder}/${name}`).find(isFile);
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

const needs = (name: string) => () => program(name) ? undefined : `${name} is not installed`;

/** Words of a task of some `deno.json` between `deno run` and the program: what it is really started with. */
function taskFlags({ tasks }: typeof settings, program: "client" | "server"): string[] {
  const words = tasks[program].split(" ");
  return words.slice(2, words.indexOf(`${program}.ts`));
}

/** What the relay is really started with. */
export function serverFlags(): string[] {
  return taskFlags(settings, "server");
}

/** The command that starts a program of a server's version. */
export function commandOf({ root }: ServerKind, program: "client" | "server"): string[] {
  const compiled = Deno.env.get(program === "client" ? "HEARTH_CLIENT" : "HEARTH_SERVER");
  if (compiled && !root) return [compiled];
  const folder = root ?? ROOT;
  const tasks = root ? JSON.parse(Deno.readTextFileSync(`${root}/deno.json`)) : settings;
  const flags = ["run", "--quiet", ...taskFlags(tasks, program)];
  return [Deno.execPath(), ...flags, `${folder}/${program}.ts`];
}

/** The module of members that speak with a server's version. */
export function memberScript({ root }: ServerKind, name: "load.ts" | "people.ts"): string {
  return root ? `${root}/tests/bench/${name}` : name;
}

const hearth: ServerKind = {
  name: "hearth",
  speech: "hearth",
  tls: true,
  settings: "--room-capacity 256; its key is that of the others' certificate",
  missing: () => undefined,
  async prepare({ port, folder, key }) {
    await Deno.copyFile(key, `${folder}/server.pem`);
    await Deno.chmod(`${folder}/server.pem`, 0o600);
    const [program, ...args] = commandOf(this, "server");
    args.push("--port", `${port}`, "--room-capacity", "256", "--json", "--host", "127.0.0.1");
    return { program: program!, args, env: { HEARTH_HOME: folder } };
  },
};

/**
 * The relay for many members, as one of a cluster.
 *
 * @param nats The address of NATS; undefined without a cluster.
 */
export function clustered(nats: string | undefined): ServerKind {
  const more = ["--max-clients", "16000", ...(nats === undefined ? [] : ["--cluster", nats])];
  return {
    ...hearth,
    async prepare(place) {
      const { args, ...rest } = await hearth.prepare(place);
      return { ...rest, args: [...args, ...more] };
    },
  };
}

/** The version before HEARTH/2: its own programs, and its own members. */
const hearth01: ServerKind = {
  ...hearth,
  name: OLD,
  root: Deno.env.get("HEARTH_0_1"),
  missing() {
    if (!this.root) return "HEARTH_0_1 names no folder";
    return isFile(`${this.root}/tests/bench/load.ts`) ? undefined : "HEARTH_0_1 has no generator";
  },
};

function ncat(tls: boolean): ServerKind {
  return {
    name: tls ? "ncat --ssl" : "ncat",
    speech: "lines",
    tls,
    settings: `--chat --max-conns ${MANY}`,
    missing: needs("ncat"),
    prepare: ({ port, cert, key }) =>
      Promise.resolve({
        program: program("ncat")!,
        args: [
          ...["--chat", "--max-conns", `${MANY}`, "-l", "127.0.0.1", `${port}`],
          ...(tls ? ["--ssl", "--ssl-cert", cert, "--ssl-key", key] : []),
        ],
      }),
  };
}

function ngircd(tls: boolean): ServerKind {
  return {
    name: tls ? "ngircd TLS" : "ngircd",
    speech: "irc",
    tls,
    settings: "MaxPenaltyTime = 0, no DNS, Ident, PAM or limits of connections",
    missing: needs("ngircd"),
    async prepare({ port, folder, cert, key }) {
      const plain = tls ? "" : `Ports = ${port}`;
      const ssl = tls ? `[SSL]\nCertFile = ${cert}\nKeyFile = ${key}\nPorts = ${port}\n` : "";
      const path = `${folder}/ngircd.conf`;
      await Deno.writeTextFile(
        path,
        `[Global]\nName = irc.bench.test\nInfo = bench\nListen = 127.0.0.1\nMotdFile = /dev/null\n${plain}\n` +
          `[Limits]\nMaxConnections = 0\nMaxConnectionsIP = 0\nMaxJoins = 0\nMaxPenaltyTime = 0\n` +
          `[Options]\nDNS = no\nIdent = no\nPAM = no\n${ssl}`,
      );
      // ngircd listens for plain connections by default: somewhere out of the way.
      if (tls) {
        const text = await Deno.readTextFile(path);
        await Deno.writeTextFile(path, text.replace("[Limits]", `Ports = ${freePort()}\n[Limits]`));
      }
      return { program: program("ngircd")!, args: ["--nodaemon", "--config", path] };
    },
  };
}

const inspircd: ServerKind = {
  name: "inspircd TLS",
  speech: "irc",
  tls: true,
  settings: "fakelag off, commandrate, recvq and sendq raised",
  missing: needs("inspircd"),
  async prepare({ port, folder, cert, key }) {
    const path = `${folder}/inspircd.conf`;
    await Deno.writeTextFile(
      path,
      `<server name="irc.bench.test" description="bench" network="bench">
<admin name="bench" nick="bench" email="bench@bench.test">
<module name="ssl_gnutls">
<sslprofile name="bench" provider="gnutls" certfile="${cert}" keyfile="${key}" requestclientcert="no">
<bind address="127.0.0.1" port="${port}" type="clients" sslprofile="bench">
<pid file="${folder}/inspircd.pid">
<connect name="bench" allow="*" timeout="30" pingfreq="120" hardsendq="64M" softsendq="64M" recvq="1M"
  threshold="1000000" commandrate="1000000000" fakelag="no" localmax="${MANY}" globalmax="${MANY}"
  resolvehostnames="no" useident="no" useconnectban="no" useconnflood="no" limit="${MANY}">
<performance softlimit="${MANY}" somaxconn="128" timeskipwarn="0">
<options defaultmodes="nt">
`,
    );
    const args = ["--nofork", "--runasroot", "--nolog", "--config", path];
    return { program: program("inspircd")!, args };
  },
};

const sshChat: ServerKind = {
  name: "ssh-chat",
  speech: "ssh",
  tls: true,
  settings: "SSH_CHAT; its limits of input are compiled in: see README",
  missing: () => Deno.env.get("SSH_CHAT") ? needs("ssh")() : "SSH_CHAT names no binary",
  prepare: ({ port, key }) =>
    Promise.resolve({
      program: Deno.env.get("SSH_CHAT")!,
      args: ["--bind", `127.0.0.1:${port}`, "--identity", key],
    }),
};

const bare: ServerKind = {
  name: BARE,
  speech: "lines",
  tls: false,
  settings: "bare.ts: neither encryption nor anything else, to show what the runtime costs",
  missing: () => undefined,
  prepare: ({ port }) =>
    Promise.resolve({
      program: Deno.execPath(),
      args: ["run", ...serverFlags(), `${ROOT}tests/bench/bare.ts`, `${port}`],
    }),
};

/** The relay first, then the rivals. */
export const SERVERS: readonly ServerKind[] = [
  hearth,
  hearth01,
  ngircd(true),
  inspircd,
  ncat(true),
  sshChat,
  ngircd(false),
  ncat(false),
  bare,
];

/** A port that was free a moment ago. */
export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

/** Makes the certificate of the rivals: RSA of 3072 bits, as the relay's key. */
export async function makeCertificate(folder: string): Promise<{ cert: string; key: string }> {
  const [cert, key] = [`${folder}/cert.pem`, `${folder}/key.pem`];
  const { success } = await new Deno.Command("openssl", {
    args: [
      ...["req", "-x509", "-newkey", "rsa:3072", "-nodes", "-days", "2", "-subj", "/CN=localhost"],
      ...["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
    ],
    stderr: "null",
  }).output();
  if (!success) throw new ServerError("openssl makes no certificate");
  return { cert, key };
}

/**
 * Starts a server and waits until it listens.
 *
 * @throws {ServerError} When it does not.
 */
export async function startServer(
  kind: ServerKind,
  place: Omit<Place, "port">,
): Promise<RunningServer> {
  const missing = kind.missing();
  if (missing) throw new ServerError(missing);
  const port = freePort();
  const { program, args, env } = await kind.prepare({ ...place, port });
  const log = `${place.folder}/stderr.log`;
  const child = new Deno.Command(program, {
    args,
    ...(env && { env }),
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const file = await Deno.open(log, { write: true, create: true, truncate: true });
  void child.stderr.pipeTo(file.writable).catch(() => {});
  let code: number | undefined;
  let stopping = false;
  const ended = child.status.then((status) => void (code = status.code));
  const died = () => code === undefined || stopping ? undefined : `exit ${code}: ${lastLine(log)}`;
  const server: RunningServer = {
    kind,
    pid: child.pid,
    port,
    died,
    async stop() {
      stopping = true;
      if (code === undefined) child.kill("SIGKILL");
      await ended;
    },
  };
  await waitForPort(server);
  return server;
}

async function waitForPort(server: RunningServer): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (true) {
    const died = server.died();
    if (died) throw new ServerError(died);
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port: server.port })).close();
      return;
    } catch {
      if (performance.now() > deadline) {
        await server.stop();
        throw new ServerError(`does not listen after ${START_TIMEOUT_MS / 1000} s`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function lastLine(path: string): string {
  return Deno.readTextFileSync(path).trim().split("\n").at(-1) ?? "";
}
