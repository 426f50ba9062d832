/**
 * What holds for the repository as a whole: who may import whom, what is written down where, and that PROTOCOL.md,
 * README.md and the code say the same.
 */
import { deepEqual, equal, ok } from "node:assert/strict";

const ROOT = new URL("../", import.meta.url);
const THIS_FILE = "tests/repo_test.ts";

/**
 * The ranks of the modules, from those that stand alone to those that know everything below them; an import goes to a
 * strictly lower rank. A new module is put into the lowest row that its job fits.
 */
const RANKS: readonly (readonly string[])[] = [
  // words, numbers and pure functions that need nothing
  "target errors clock limits events std.d forge.d dns.d version address nearest links firewalls " +
  "output",
  // one step up: time shared out, text measured, what is kept for whom
  "std text allowance group line stream host outbox pem",
  // bytes; the parts of a screen
  "bytes options palette wrap paste editor notices",
  // hashes and points, names, files
  "aead hash transport_frame x25519 oaep nick files programs locale completions presence receipts " +
  "standing mdns qr reach",
  // cipher, keys, messages, and what is remembered
  "cipher rsa message room safety password entries commands screen responder browse multicast",
  // handshake and frames; trust; arguments; keys pressed
  "handshake frame identity reasons allow servers trust settings arguments lines input tty render " +
  "announcer discovery",
  // a peer channel; what waits to be written; the terminal
  "channel queue cli terminal table",
  // the handshakes of a peer; a connection's records
  "pairing link secret nearby checks",
  // a peer; a connection from its handshake on
  "peer connection",
  // who is in the room
  "roster",
  // what is seen of the room; a member of the relay's; who is listening there
  "view member probe keeping",
  // what people do and write; a visitor of the relay's
  "people writer visitor network_checks server_checks",
  // the relay; one's own membership
  "relay membership doctor",
  // a relay on this computer; a session
  "hosting session",
  // what a command does; what a server says
  "actions log",
  // the faces of the client; the server
  "chat pipe server",
  // which face, which relay, and the client itself
  "ui",
  "chat_ui",
  "relays",
  "client",
].map((row) => row.split(" "));

/** The only modules that may name a package. */
const PACKAGE_OWNERS: readonly { package: RegExp; owners: readonly string[] }[] = [
  { package: /^@std\//, owners: ["lib/std.ts"] },
  { package: /^node-forge$/, owners: ["lib/pem.ts"] },
  { package: /^sshpk$/, owners: ["lib/pem.ts"] },
  { package: /^libsodium-wrappers$/, owners: ["lib/aead.ts"] },
  { package: /^dns-packet$/, owners: ["lib/mdns.ts"] },
  { package: /^uqr$/, owners: ["lib/qr.ts"] },
  { package: /^get-east-asian-width$/, owners: ["lib/nick.ts", "lib/text.ts"] },
];

const MAX_LINES = 350;

async function listFiles(folder = ""): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    if ([".git", "node_modules", "dist", "__pycache__"].includes(name)) continue;
    if (isDirectory) files.push(...await listFiles(`${folder}${name}/`));
    else files.push(folder + name);
  }
  return files.sort();
}

function readText(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, ROOT));
}

const paths = await listFiles();
const texts = new Map<string, string>();
for (const path of paths) {
  if (/\.(ts|md|py|json|sh|yml)$|^\.ci\//.test(path)) texts.set(path, await readText(path));
}
const library = [...texts].filter(([path]) => /^lib\/[^/]+\.ts$/.test(path));
const programs = [...texts].filter(([path]) => /^(lib\/)?[^/]+\.ts$/.test(path));
const protocol = await readText("PROTOCOL.md");

/** The module specifiers of a file: `from "x"`, `import "x"`, `import("x")`. */
function importsOf(text: string): string[] {
  return [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"([^"]+)"/g)].map((match) => match[1]!);
}

/** The modules of lib that a file imports, by name. */
function modulesOf(text: string): string[] {
  return importsOf(text).flatMap((specifier) => {
    const match = /^\.\/(?:lib\/)?([^/]+)\.ts$/.exec(specifier);
    return match ? [match[1]!] : [];
  });
}

const graph = new Map(library.map(([path, text]) => [path.slice(4, -3), modulesOf(text)]));

/** A module and everything it comes to import. */
function reach(name: string): Set<string> {
  const reached = new Set([name]);
  for (const module of reached) for (const next of graph.get(module) ?? []) reached.add(next);
  return reached;
}

function rankOf(name: string): number {
  return RANKS.findIndex((row) => row.includes(name));
}

Deno.test("RANKS names every module of lib exactly once, and no other", () => {
  deepEqual(RANKS.flat().toSorted(), [...graph.keys()].toSorted());
});

Deno.test("RANKS holds: every module imports only from strictly lower ranks", () => {
  const wrong: string[] = [];
  let edges = 0;
  for (const [name, modules] of graph) {
    for (const module of modules) {
      edges++;
      if (rankOf(module) < rankOf(name)) continue;
      wrong.push(`${name} (${rankOf(name)}) imports ${module} (${rankOf(module)})`);
    }
  }
  deepEqual(wrong, []);
  ok(edges > 100, `only ${edges} imports were found`);
});

Deno.test("relay.ts never comes to import peer, session or what belongs to them", () => {
  const reached = reach("relay");
  ok(reached.has("member"));
  for (const name of ["peer", "session", "channel", "membership", "outbox", "people"]) {
    ok(!reached.has(name), `relay comes to import ${name}`);
  }
});

Deno.test("relay.ts and its parts never import text or nick", () => {
  for (const name of ["relay", "visitor", "member", "connection", "link", "queue"]) {
    for (const never of ["text", "nick"]) {
      ok(!graph.get(name)!.includes(never), `${name}: ${never}`);
    }
  }
});

Deno.test("session.ts never comes to import the relay or a terminal", () => {
  const reached = reach("session");
  ok(reached.has("membership"));
  for (const name of ["relay", "member", "visitor", "hosting", "terminal", "screen", "render"]) {
    ok(!reached.has(name), `session comes to import ${name}`);
  }
});

Deno.test("terminal.ts never comes to import network or cryptography", () => {
  const reached = reach("terminal");
  ok(reached.has("screen"));
  const never = /^(node:(crypto|net|http|dgram)|libsodium-wrappers|node-forge|sshpk)$/;
  for (const name of reached) {
    const text = texts.get(`lib/${name}.ts`)!;
    deepEqual(importsOf(text).filter((specifier) => never.test(specifier)), [], name);
    ok(!/Deno\.(connect|listen)|crypto\.subtle/.test(text), name);
  }
});

Deno.test("packages are named only by the modules that stand for them", () => {
  for (const { package: name, owners } of PACKAGE_OWNERS) {
    const found = programs.filter(([, text]) => importsOf(text).some((from) => name.test(from)))
      .map(([path]) => path);
    deepEqual(found, owners);
  }
  const forge = programs.filter(([, text]) => /\bforge\b/i.test(text)).map(([path]) => path);
  const allowed = ["lib/forge.d.ts", "lib/oaep.ts", "lib/pem.ts", "lib/rsa.ts"];
  deepEqual(forge.filter((path) => !allowed.includes(path)), []);
});

Deno.test("every export of lib has a docstring, and every module a header", () => {
  const bare: string[] = [];
  let count = 0;
  const declaration =
    /^export (?:declare )?(?:async )?(?:abstract )?(?:function\*?|class|const|let|interface|type|enum) (\w+)/;
  for (const [path, text] of programs) {
    if (path.endsWith(".d.ts")) continue; // other people's exports
    if (!/^\/\*\*[^]*?@module\n \*\/\n/.test(text)) bare.push(path);
    const lines = text.split("\n");
    for (const [i, line] of lines.entries()) {
      const name = declaration.exec(line)?.[1];
      if (name === undefined) continue;
      count++;
      let before = i - 1;
      while (/^(\/\/ deno-lint-ignore|@)/.test(lines[before] ?? "")) before--;
      if (!/\*\/$/.test(lines[before] ?? "")) bare.push(`${path}:${i + 1} ${name}`);
    }
  }
  deepEqual(bare, []);
  ok(count > 200, `only ${count} exports were found`);
});

Deno.test("no module of lib is over 350 lines", () => {
  const long = library.map(([path, text]) => ({ path, lines: text.split("\n").length - 1 }));
  deepEqual(long.filter(({ lines }) => lines > MAX_LINES), []);
});

// --- PROTOCOL.md ---

/** The headings under each section, by the section's number. */
const sections = new Map<number, string[]>();
for (const [, level, title] of protocol.matchAll(/^(##+) (.+)$/gm)) {
  const number = /^(\d+)\. /.exec(title!)?.[1];
  if (level === "##" && number !== undefined) sections.set(Number(number), []);
  else [...sections.values()].at(-1)?.push(title!);
}

Deno.test("PROTOCOL.md has the sections 1 to 12, in order", () => {
  deepEqual([...sections.keys()], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
});

Deno.test("§ references name sections of PROTOCOL.md that exist, and headings that stand in them", () => {
  const wrong: string[] = [];
  let count = 0;
  // A § of an RFC is its own affair.
  const reference = /(RFC \d+,? )?§\s*(\d+)(?:(?:\.\d+)+|, "([^"]+)")?/g;
  for (const [path, text] of texts) {
    if (path === THIS_FILE) continue;
    for (const [whole, rfc, number, heading] of text.matchAll(reference)) {
      if (rfc !== undefined) continue;
      count++;
      const headings = sections.get(Number(number));
      const exists = headings && (heading === undefined || headings.includes(heading));
      if (!exists || /\.\d/.test(whole)) wrong.push(`${path}: ${whole}`);
    }
  }
  deepEqual(wrong, []);
  ok(count > 200, `only ${count} references were found`);
});

/** The rows of all tables below a heading `## n.`, as trimmed cells. */
function tableRows(section: number): string[][] {
  const start = protocol.indexOf(`\n## ${section}. `);
  const end = protocol.indexOf("\n## ", start + 1);
  return protocol.slice(start, end < 0 ? undefined : end).split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) => line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim()));
}

/** The value of an exported constant; the file is searched for where it is not given. */
async function readConstant(name: string, file?: string): Promise<unknown> {
  const found = library.filter(([path, text]) =>
    (file === undefined || path === `lib/${file}`) &&
    new RegExp(`^export const ${name}\\b`, "m").test(text)
  );
  deepEqual(found.length, 1, `${name} is exported by ${found.map(([path]) => path)}`);
  const module: Record<string, unknown> = await import(new URL(found[0]![0], ROOT).href);
  return module[name];
}

Deno.test("PROTOCOL.md §10 gives every limit the value of the constant of that name", async () => {
  const rows = tableRows(10).filter(([name]) => /^[A-Z][A-Z0-9_]+$/.test(name!));
  for (const [name, value, third, file] of rows) {
    if (file !== undefined) ok(/^§\d+$/.test(third!), `${name} has no section`);
    equal(Number(/^\d+/.exec(value!)![0]), await readConstant(name!, file), name);
  }
  equal(rows.length, 14 + 23);
});

Deno.test("PROTOCOL.md §5 and §6 list the types, reasons and kinds that the code knows", async () => {
  const byName = (rows: string[][], base: number) =>
    Object.fromEntries(rows.map(([number, name]) => [name!, parseInt(number!, base)]));
  const isFrame = ([number, name]: string[]) =>
    /^[0-9a-f]{2}$/.test(number!) && /^[A-Z]+$/.test(name!);
  deepEqual(byName(tableRows(5).filter(isFrame), 16), { ...await readConstant("FRAME") as object });
  const { FIRST_EXTENSION, LAST_EXTENSION, ...messages } = await readConstant("MESSAGE") as Record<
    string,
    number
  >;
  deepEqual(byName(tableRows(6).filter(isFrame), 16), messages);
  ok(
    tableRows(6).some(([number]) =>
      number === `${FIRST_EXTENSION!.toString(16)}-${LAST_EXTENSION!.toString(16)}`
    ),
  );
  const numbers = (width: number) =>
    tableRows(5).filter((row) => row.length === width && /^\d+$/.test(row[0]!))
      .map(([number]) => Number(number));
  deepEqual(numbers(3), Object.values(await readConstant("REASON") as object));
  deepEqual(numbers(2).slice(0, 4), Object.values(await readConstant("WHY") as object));
});

Deno.test("PROTOCOL.md names only modules that exist", () => {
  const names = [...protocol.matchAll(/\b([a-z0-9]+\.ts)\b/g)].map((match) => match[1]!);
  ok(names.length > 20);
  deepEqual(names.filter((name) => !texts.has(`lib/${name}`)), []);
});

/** Byte strings by their names, in the fenced block ```kat INFO. */
function katBlock(info: string): Record<string, string> {
  const block = new RegExp("^```kat " + info + "\n([^`]*)^```$", "m").exec(protocol)?.[1];
  ok(block, `no block ${info}`);
  const values: Record<string, string> = {};
  let name = "";
  for (const line of block.trimEnd().split("\n")) {
    if (line.startsWith("  ")) values[name] += line.trim();
    else values[name = line] = "";
  }
  return values;
}

const kat = JSON.parse(texts.get("tests/vectors/kat.json")!);

Deno.test("PROTOCOL.md §11 prints transport-small as kat.json has it", () => {
  const handshake = kat.transport.cases.find((it: { name: string }) =>
    it.name === "transport-small"
  );
  const printed = katBlock("transport-small");
  for (const [name, hex] of Object.entries(printed)) equal(hex, handshake[name], name);
  // What is missing is said in words beside it.
  equal(handshake.prologue, "");
  equal(handshake.psk, "0".repeat(64));
  equal(handshake.ct2, handshake.M2.slice(2 * 34));
  equal(handshake.ct3, handshake.M3.slice(2 * 2));
  const inWords = ["name", "mode", "initiator", "responder", "prologue", "psk", "ct2", "ct3"];
  deepEqual([...Object.keys(printed), ...inWords].toSorted(), Object.keys(handshake).toSorted());
});

Deno.test("PROTOCOL.md §11 prints the first records as kat.json has them", () => {
  equal(kat.records.handshake, "transport-3072");
  equal(kat.records.first.length, 2);
  for (const { direction, plaintext, tcp } of kat.records.first) {
    const { ck, key } = kat.records.keys.find((it: { direction: string; j: number }) =>
      it.direction === direction && it.j === 0
    );
    deepEqual(katBlock(`records ${direction}`), { ck, key, plaintext, tcp });
  }
});

Deno.test("PROTOCOL.md §11 describes every part of kat.json", () => {
  const parts = tableRows(11).map(([name]) => name!).slice(2);
  deepEqual(parts, Object.keys(kat).filter((name) => name !== "comment"));
});

// --- README.md and settings ---

const readme = texts.get("README.md");
if (readme === undefined) console.log("README.md is missing: its usage texts are not checked");

for (const program of ["server", "client"]) {
  Deno.test({
    name: `README.md shows ${program} --help as it is`,
    ignore: readme === undefined,
    fn: async () => {
      const { code, stdout } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "--no-prompt", `${program}.ts`, "--help"],
        cwd: ROOT,
        env: { NO_COLOR: "1" },
      }).output();
      equal(code, 0);
      const help = new TextDecoder().decode(stdout).trimEnd();
      const first = help.split("\n", 1)[0]!.split(" ").slice(0, 2).join(" ");
      const blocks = [...readme!.matchAll(/^```text\n([^]*?)\n```$/gm)].map((match) => match[1]!);
      deepEqual(blocks.filter((block) => block.startsWith(first)), [help]);
    },
  });
}

Deno.test("deno.json and inline imports pin exact versions", () => {
  const exact = /^(?:npm|jsr):(?:@[^/]+\/)?[^/@]+@\d+\.\d+\.\d+(?:\/.+)?$/;
  const { imports } = JSON.parse(texts.get("deno.json")!) as { imports: Record<string, string> };
  const inline = [...texts].filter(([path]) => path.endsWith(".ts") && path !== THIS_FILE)
    .flatMap(([, text]) => [...text.matchAll(/"((?:npm|jsr):[^"]+)"/g)].map((match) => match[1]!));
  ok(inline.length > 0);
  for (const specifier of [...Object.values(imports), ...inline]) {
    ok(exact.test(specifier), specifier);
  }
});

Deno.test("no file names a path of one machine, a registry's host or a document that is not here", () => {
  const paths = /(?<![\w.~$}])\/(?:work|root|home\/\w{2,}|Users\/\w{2,}|tmp\/\w+)\//;
  const hosts = /\b(?:registry|artifactory|nexus|npm|proxy)\.[\w-]+\.\w+|\b(?:npm\.)?jsr\.io\b/;
  const wrong: string[] = [];
  for (const [path, text] of texts) {
    if (path === THIS_FILE || path.startsWith("tests/vectors/") && path.endsWith(".json")) continue;
    for (const [i, line] of text.split("\n").entries()) {
      const missing = [...line.matchAll(/\b([A-Za-z]+\.md)\b(?!\.)/g)].map((match) => match[1]!)
        .filter((name) => !pathsNamed(name));
      if (paths.test(line) || hosts.test(line) || missing.length > 0) {
        wrong.push(`${path}:${i + 1}`);
      }
    }
  }
  deepEqual(wrong, []);
});

function pathsNamed(name: string): boolean {
  return name === "README.md" || paths.some((path) => path === name || path.endsWith(`/${name}`));
}
