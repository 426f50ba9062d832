import assert from "node:assert/strict";
import { encodeHex } from "../../lib/base/bytes.ts";
import { PROGRAMS, runFlags, shorten } from "../../scripts/build.ts";
import {
  fileName,
  HEADER_BYTES,
  identify,
  isTarget,
  type Target,
  TARGETS,
} from "../../lib/base/targets.ts";
import { findToolchain, runCompile, type Toolchain } from "../support/binaries.ts";

/** The smallest header by which a program of each target is recognized. */
function header(parts: Record<number, number[]>, length: number = HEADER_BYTES): Uint8Array {
  const bytes = new Uint8Array(length);
  for (const [offset, part] of Object.entries(parts)) bytes.set(part, Number(offset));
  return bytes;
}

const ELF = [0x7f, 0x45, 0x4c, 0x46];
const MACH_O = [0xcf, 0xfa, 0xed, 0xfe];
const PE = [0x50, 0x45, 0, 0];
const HEADERS: Record<Target, Record<number, number[]>> = {
  "aarch64-apple-darwin": { 0: [...MACH_O, 0x0c, 0, 0, 1] },
  "x86_64-apple-darwin": { 0: [...MACH_O, 7, 0, 0, 1] },
  "aarch64-unknown-linux-gnu": { 0: ELF, 18: [0xb7, 0] },
  "x86_64-unknown-linux-gnu": { 0: ELF, 18: [0x3e, 0] },
  "x86_64-pc-windows-msvc": { 0: [0x4d, 0x5a], 60: [0x80, 0, 0, 0], 0x80: [...PE, 0x64, 0x86] },
};

Deno.test("identify() recognizes a program of each target, and the Deno that runs this", async () => {
  for (const target of TARGETS) assert.equal(identify(header(HEADERS[target])), target);
  using file = await Deno.open(Deno.execPath());
  const bytes = new Uint8Array(HEADER_BYTES);
  await file.read(bytes);
  assert.equal(identify(bytes), Deno.build.target);
});

Deno.test("identify() recognizes nothing else, and no truncated file", () => {
  const others = [
    {},
    { 0: ELF, 18: [3, 0] }, // x86 of 32 bits
    { 0: [0xce, 0xfa, 0xed, 0xfe, 7, 0, 0, 0] }, // Mach-O of 32 bits
    { 0: [0x4d, 0x5a], 60: [0x80, 0, 0, 0], 0x80: [...PE, 0x4c, 1] }, // i386
    { 0: [0x4d, 0x5a], 60: [0xff, 0xff, 0xff, 0xff] },
    { 0: [0x23, 0x21] }, // a script
  ];
  for (const parts of others) assert.equal(identify(header(parts)), undefined);
  for (const [target, parts] of Object.entries(HEADERS)) {
    const needed = target.includes("windows") ? 0x86 : target.includes("linux") ? 20 : 8;
    assert.equal(identify(header(parts).subarray(0, needed)), target);
    for (let length = 0; length < needed; length++) {
      assert.equal(identify(header(parts).subarray(0, length)), undefined, `${target} ${length}`);
    }
  }
});

Deno.test("isTarget() and fileName() know the five targets", () => {
  assert.equal(TARGETS.length, 5);
  for (const name of ["", "x86_64", "x86_64-pc-windows-gnu", "all"]) assert.ok(!isTarget(name));
  const names = TARGETS.filter(isTarget).map((target) => fileName("client", target));
  assert.deepEqual(names, ["client", "client", "client", "client", "client.exe"]);
});

Deno.test("runFlags() gives the flags of the tasks: no prompts, no unrestricted permission but net, read and write", () => {
  for (const program of PROGRAMS) {
    const flags = runFlags(program);
    assert.ok(flags.includes("--no-prompt"));
    const whole = ["--no-prompt", "--allow-net", "--allow-read", "--allow-write"];
    for (const flag of flags) {
      assert.ok(
        whole.includes(flag) ||
          /^--(?:allow-(?:env|sys|run)=.|unstable-|v8-flags=--max-)/.test(flag),
        flag,
      );
    }
  }
});

Deno.test("shorten() gives what was tried and why it failed, in one line", () => {
  const cases = [
    ["error: Module not found", "Module not found"],
    [
      "Download x\nerror: Writing 'x'\n\nCaused by:\n    No space left\n",
      "Writing 'x': No space left",
    ],
    [
      "error: Writing 'x'\n\nCaused by:\n    0: Setting up\n    1: dns error\n\nStack backtrace:\n   0: <unknown>\n",
      "Writing 'x': dns error",
    ],
    ["error: no cause\n    at file.ts:1:2\n", "no cause"],
    ["panicked\nmore", "panicked"],
    ["", "failed"],
  ] as const;
  for (const [said, short] of cases) assert.equal(shorten(said), short);
});

// --- The command ---

const toolchain = await findToolchain();
if (typeof toolchain === "string") console.log(`compile_test.ts: skipped in part, ${toolchain}`);

function testCompile(
  name: string,
  run: (toolchain: Toolchain, folder: string) => Promise<void>,
): void {
  Deno.test({
    name,
    ignore: typeof toolchain === "string",
    fn: async () => {
      if (typeof toolchain === "string") return;
      const folder = await Deno.makeTempDir({ prefix: "hearth_compile_" });
      try {
        await run(toolchain, folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

/** All files below a folder, with their sizes and times. */
async function list(folder: string, path: string = ""): Promise<string[]> {
  const lines: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(`${folder}${path}`)) {
    const { size, mtime } = await Deno.stat(`${folder}${path}/${name}`);
    if (isDirectory) lines.push(...await list(folder, `${path}/${name}`));
    else lines.push(`${path}/${name} ${size} ${mtime?.getTime()}`);
  }
  return lines.sort();
}

testCompile(
  "compile makes the same bytes from any folder, and no partial programs",
  async (toolchain, folder) => {
    const made = await runCompile(toolchain, { args: ["--dist", folder] });
    assert.equal(made.code, 0, made.stderr);
    assert.equal(made.stderr, "");
    const files = await list(folder);
    const target = Deno.build.target;
    assert.deepEqual(
      files.map((file) => file.split(" ")[0]),
      ["/SHA256SUMS", `/${target}/client`, `/${target}/server`],
    );
    const sums = await Deno.readTextFile(`${folder}/SHA256SUMS`);
    for (const program of PROGRAMS) {
      const bytes = await Deno.readFile(`${folder}/${target}/${program}`);
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      assert.ok(sums.includes(`${encodeHex(digest)}  ${target}/${program}\n`));
    }

    // One that cannot be replaced is named, and the sums are those of what is there.
    const blocked = `${folder}/${target}/client`;
    const client = await Deno.readFile(blocked);
    await Deno.remove(blocked);
    await Deno.mkdir(`${blocked}/something`, { recursive: true });
    const refused = await runCompile(toolchain, { args: ["--dist", folder] });
    assert.equal(refused.code, 1);
    assert.match(
      refused.stderr,
      /^compile: error: cannot put .*client in its place: .+\n.+hint.+\n$/,
    );
    assert.equal(await Deno.readTextFile(`${folder}/SHA256SUMS`), sums.replace(/.*client\n/, ""));
    await Deno.remove(blocked, { recursive: true });
    await Deno.writeFile(blocked, client, { mode: 0o755 });
    const restored = await list(folder);

    // Not quite a program may be written, so that it ends in the middle; what Deno caches is smaller.
    const blocks = Math.floor(0.9 * client.length / 512);
    const prefix = ["sh", "-c", `ulimit -f ${blocks}; exec "$@"`, "sh"];
    const cut = await runCompile(toolchain, { args: ["--dist", folder], prefix });
    assert.equal(cut.code, 1);
    assert.match(cut.stderr, /^compile: error: deno compile: .+\n$/);
    assert.deepEqual(await list(folder), restored);

    const again = await runCompile(toolchain, { args: ["--dist", folder] });
    assert.equal(again.code, 0, again.stderr);
    assert.equal(await Deno.readTextFile(`${folder}/SHA256SUMS`), sums);
  },
);

testCompile(
  "compile refuses what it cannot make with one line, and writes nothing",
  async (toolchain, folder) => {
    const file = `${folder}/file`;
    await Deno.writeTextFile(file, "");
    const cases: [
      args: string[],
      said: RegExp,
      options?: { env?: Record<string, string>; prefix?: string[] },
    ][] = [
      [["--target", "x86_64"], /x86_64 is no target\n.* the targets are .*x86_64-pc-windows-msvc/],
      [
        ["--target", "aarch64-apple-darwin"],
        /DENORT_BIN is for .*linux-gnu, not for aarch64-apple/,
      ],
      [["--all"], /DENORT_BIN is for .*linux-gnu, not for aarch64-apple-darwin/],
      [[], /DENORT_BIN is no program for /, { env: { DENORT_BIN: file } }],
      [[], /DENORT_BIN: No such file/, { env: { DENORT_BIN: `${folder}/none` } }],
      [[], /server was made, but does not start\n.* DENORT_BIN/, {
        env: { DENORT_BIN: "/bin/sh" },
      }],
      [[], /base program .* cannot be downloaded\n.* DENORT_BIN/, {
        prefix: ["env", "-u", "DENORT_BIN"],
        env: { HTTPS_PROXY: "http://127.0.0.1:1" },
      }],
      [["--dist", file], /cannot write to .*file: /],
      [["--dist", `${file}/dist`], /cannot write to .*file\/dist: /],
    ];
    for (const [args, said, options] of cases) {
      const dist = args.includes("--dist") ? [] : ["--dist", `${folder}/dist`];
      const { code, stdout, stderr } = await runCompile(toolchain, {
        args: [...args, ...dist],
        ...options,
      });
      assert.equal(code, 1, stderr);
      assert.match(stderr, said);
      assert.match(stderr, /^compile: error: .+\n(?:compile: hint: .+\n)*$/);
      assert.equal(stdout, "");
    }
    assert.deepEqual((await list(folder)).map((line) => line.split(" ")[0]), ["/file"]);
    const unknown = await runCompile(toolchain, { args: ["--everything"] });
    assert.equal(unknown.code, 2);
  },
);
