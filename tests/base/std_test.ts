import { deepEqual, equal } from "node:assert/strict";
import { encodeHex } from "../../lib/base/bytes.ts";
import settings from "../../deno.json" with { type: "json" };

const ROOT = new URL("../../", import.meta.url);
const CLI = "jsr:@std/cli@1.0.9/parse-args";
const ENCODING = "jsr:@std/encoding@1.0.6/base64";

/** Stand-ins with the exports and types of @std, backed by the package in deno.json. */
const PACKAGES: Record<string, { version: string; file: string; source: string }> = {
  cli: {
    version: "1.0.9",
    file: "parse_args.ts",
    source: `
import { parseArgs as parse } from "${settings.imports["@std/cli/parse-args"]}";
export interface Args {
  [key: string]: any;
  _: Array<string | number>;
}
export interface ParseOptions {
  "--"?: boolean;
  alias?: Record<string, string | readonly string[]>;
  boolean?: boolean | string | readonly string[];
  default?: Record<string, unknown>;
  string?: string | readonly string[];
  collect?: string | readonly string[];
  negatable?: string | readonly string[];
  stopEarly?: boolean;
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}
export function parseArgs(args: string[], options?: ParseOptions): Args {
  return parse(args, options) as Args;
}
`,
  },
  encoding: {
    version: "1.0.6",
    file: "base64.ts",
    source: `
import { decodeBase64 as decode, encodeBase64 as encode } from "${
      settings.imports["@std/encoding/base64"]
    }";
export function encodeBase64(data: ArrayBuffer | Uint8Array | string): string {
  return encode(data as Uint8Array);
}
export function decodeBase64(b64: string): Uint8Array {
  return decode(b64);
}
`,
  },
};

/** Responds like JSR: versions, then the files and exports of one version, then a file. */
async function serve(requested: string[], request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  requested.push(pathname);
  const [, name, rest] = /^\/@std\/(\w+)\/(.+)$/.exec(pathname) ?? [];
  const found = PACKAGES[name ?? ""];
  if (found === undefined) return new Response(null, { status: 404 });
  const { version, file, source } = found;
  if (rest === "meta.json") {
    return Response.json({ scope: "std", name, latest: version, versions: { [version]: {} } });
  }
  if (rest === `${version}_meta.json`) {
    const bytes = new TextEncoder().encode(source);
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    const checksum = `sha256-${encodeHex(hash)}`;
    return Response.json({
      manifest: { [`/${file}`]: { size: bytes.length, checksum } },
      exports: { [`./${file.replace(".ts", "").replace("_", "-")}`]: `./${file}` },
    });
  }
  if (rest !== `${version}/${file}`) return new Response(null, { status: 404 });
  return new Response(source, { headers: { "content-type": "text/typescript" } });
}

/** Runs deno with the two lines of deno.json changed to JSR, and with a cache of its own. */
async function makeDeno(folder: string, registry: string) {
  const imports = {
    ...settings.imports,
    "@std/cli/parse-args": CLI,
    "@std/encoding/base64": ENCODING,
  };
  const config = `${folder}/deno.json`;
  await Deno.writeTextFile(config, JSON.stringify({ ...settings, imports }));
  const info = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  const { npmCache } = JSON.parse(new TextDecoder().decode(info.stdout));
  await Deno.mkdir(`${folder}/cache`);
  await Deno.symlink(npmCache, `${folder}/cache/npm`);
  return async (command: string, ...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [command, "--quiet", "--no-lock", "--config", config, ...args],
      cwd: ROOT,
      env: { DENO_DIR: `${folder}/cache`, JSR_URL: registry, NO_COLOR: "1" },
    }).output();
    const decoder = new TextDecoder();
    equal(code, 0, decoder.decode(stderr) + decoder.decode(stdout));
    return decoder.decode(stdout);
  };
}

Deno.test("@std comes from JSR by changing two lines of deno.json: types, start, options, passwords", async () => {
  const requested: string[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => serve(requested, request),
  );
  const folder = await Deno.makeTempDir();
  try {
    const deno = await makeDeno(folder, `http://127.0.0.1:${server.addr.port}/`);
    await deno("check", "client.ts", "server.ts");
    const version = await deno("run", "--allow-all", "client.ts", "--version");
    equal(version.split("\n", 1)[0]!.includes(settings.version), true, version);
    await deno("run", "--allow-all", "client.ts", "--help");
    const tests = ["tests/cli/options_test.ts", "tests/protocol/password_test.ts"];
    await deno("test", "--allow-all", "--no-check", ...tests);
  } finally {
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
  const files = Object.entries(PACKAGES).map(([name, it]) =>
    `/@std/${name}/${it.version}/${it.file}`
  );
  deepEqual(requested.filter((path) => path.endsWith(".ts")).toSorted(), files);
});
