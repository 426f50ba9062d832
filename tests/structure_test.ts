/**
 * The structure of lib/: who may import whom, doors, circles, docstrings, and that tests mirror the folders.
 *
 * The table is the one in CONTRIBUTING.md. Each rule is a function of the sources, so that a planted fault shows that
 * it is refused, and by what name.
 */
import { deepEqual, ok } from "node:assert/strict";
import { dirname, join } from "node:path/posix";
import { FILES, readProject } from "./support/project.ts";

/** A row of CONTRIBUTING.md's table of folders. */
interface Folder {
  /** The folders it may import besides itself. */
  readonly imports: readonly string[];
  /** Whether others import its mod.ts alone. */
  readonly hasDoor: boolean;
}

/** An import as it stands in a file. */
interface Import {
  readonly line: number;
  /** The path of the imported file, or the name of a package. */
  readonly target: string;
  /** Whether it is `import("x")`, evaluated when it is reached. */
  readonly isLate: boolean;
  readonly isTypeOnly: boolean;
  /** The names imported or re-exported. */
  readonly names: readonly string[];
}

/** File texts by path. */
type Sources = ReadonlyMap<string, string>;

const SOURCES: Sources = new Map(
  [...FILES].filter(([path]) => path.endsWith(".ts") || /^lib\/.*\.js$/.test(path)),
);
const FOLDERS = readFolders(await readProject("CONTRIBUTING.md"));

/** The doors of a folder: what others may import of it, at once and once a client is connected. */
const DOORS = /\/(?:mod|late)\.ts$/;

/** The only files that may name a package. */
const PACKAGE_OWNERS: readonly { package: RegExp; owners: readonly string[] }[] = [
  { package: /^@std\//, owners: ["lib/base/std.ts"] },
  { package: /^@nats-io\//, owners: ["lib/cluster/nats_core.ts"] },
  { package: /^node-forge$/, owners: ["lib/protocol/crypto/rsa.ts"] },
  { package: /^sshpk$/, owners: ["lib/protocol/crypto/rsa.ts"] },
  { package: /^@noble\/curves\//, owners: ["lib/protocol/crypto/cpace.ts"] },
  { package: /^@noble\/post-quantum\//, owners: ["lib/protocol/crypto/ml_kem.ts"] },
  { package: /^libsodium-wrappers$/, owners: ["lib/protocol/crypto/aead.ts"] },
  { package: /^uqr$/, owners: ["lib/ui/terminal/qr.ts"] },
  { package: /^get-east-asian-width$/, owners: ["lib/base/text.ts", "lib/protocol/names.ts"] },
];

/** A server that has dropped the permission to read loads only what Deno has read before. */
const LATE_AFTER_READ: ReadonlySet<string> = new Set(["lib/cli/serve.ts", "lib/cli/server_log.ts"]);

function readFolders(contributing: string): Map<string, Folder> {
  const rows = [...contributing.matchAll(/^\| `lib\/([a-z/]+)`\s*\|(.*)\|(.*)\|(.*)\|$/gm)];
  const all = rows.map(([, name]) => name!);
  return new Map(rows.map(([, name, , imports, door]) => {
    const named = [...imports!.matchAll(/`([a-z/]+)`/g)].map((match) => match[1]!);
    return [name!, {
      imports: imports!.trim() === "all" ? all : named,
      hasDoor: door!.trim() === "yes",
    }];
  }));
}

function isProgram(path: string): boolean {
  return path.startsWith("lib/") || path === "server.ts" || path === "client.ts";
}

/** The folder of a file of lib/ as the table names it; undefined for the programs. */
function folderOf(path: string): string | undefined {
  return /^lib\/(.+)\/[^/]+$/.exec(path)?.[1];
}

function importsOf(path: string, text: string): Import[] {
  const statement =
    /(?<![\w.])(?:(import|export)\s+(type\s+)?(?:(\{[^}]*\}|\*(?:\s+as\s+\w+)?|\w+)\s+from\s+)?|import(\())"([^"]+)"/g;
  return [...text.matchAll(statement)].map((match) => {
    const [, , type, clause = "", late, from] = match;
    const words = clause.replace(/[{}]/g, "").split(",").map((word) => word.trim()).filter(Boolean);
    return {
      line: text.slice(0, match.index).split("\n").length,
      target: from!.startsWith(".") ? join(dirname(path), from!) : from!,
      isLate: late !== undefined,
      isTypeOnly: type !== undefined ||
        words.length > 0 && words.every((word) => word.startsWith("type ")),
      names: words.map((word) => word.replace(/^type /, "").split(" as ")[0]!),
    };
  });
}

/** Imports that the table forbids, and those past a door. */
function findForbidden(sources: Sources): string[] {
  const found: string[] = [];
  for (const [path, text] of sources) {
    if (!isProgram(path)) continue;
    const from = folderOf(path);
    for (const { line, target, isLate } of importsOf(path, text)) {
      const to = folderOf(target);
      if (to === undefined || to === from) continue;
      const isAllowed = from === undefined || FOLDERS.get(from)?.imports.includes(to);
      const isPastDoor = FOLDERS.get(to)?.hasDoor && !isLate && !DOORS.test(target) &&
        !from?.startsWith(`${to}/`);
      if (!isAllowed) found.push(`${path}:${line} imports ${target}: ${from} may not import ${to}`);
      else if (isPastDoor) found.push(`${path}:${line} imports ${target}, past lib/${to}/mod.ts`);
    }
  }
  return found;
}

/** Circles among the nodes of a graph, each as its nodes in order. */
function findCircles(graph: ReadonlyMap<string, ReadonlySet<string>>): string[] {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (node: string, way: readonly string[]) => {
    const start = way.indexOf(node);
    if (start >= 0) circles.push([...way.slice(start), node].join(" → "));
    if (start >= 0 || done.has(node)) return;
    for (const next of graph.get(node) ?? []) visit(next, [...way, node]);
    done.add(node);
  };
  for (const node of graph.keys()) visit(node, []);
  return circles;
}

function fileGraph(sources: Sources): Map<string, Set<string>> {
  const files = [...sources].filter(([path]) => isProgram(path));
  return new Map(
    files.map(([path, text]) => [path, new Set(importsOf(path, text).map(({ target }) => target))]),
  );
}

/** Folders and whom they import; cli and the folders in it count as one. */
function folderGraph(sources: Sources): Map<string, Set<string>> {
  const graph = new Map<string, Set<string>>();
  const name = (path: string) => folderOf(path)?.replace(/^cli\/.+/, "cli");
  for (const [path, targets] of fileGraph(sources)) {
    const from = name(path);
    if (from === undefined) continue;
    const row = graph.get(from) ?? new Set();
    graph.set(from, row);
    for (const target of targets) {
      const to = name(target);
      if (to !== undefined && to !== from) row.add(to);
    }
  }
  return graph;
}

/** Tests in a folder that mirrors one of lib/, whose file there is gone. */
function findOrphanedTests(sources: Sources): string[] {
  return [...sources.keys()].flatMap((path) => {
    const [, folder, name] = /^tests\/(.+)\/([^/]+)\.ts$/.exec(path) ?? [];
    if (folder === undefined || !FOLDERS.has(folder)) return [];
    const [, tested] = /^([a-z0-9_]+)(?:\.[a-z0-9_]+)?_test$/.exec(name!) ?? [];
    if (tested === undefined) return [`${path} is not named FILE_test.ts or FILE.TOPIC_test.ts`];
    const file = `lib/${folder}/${tested}`;
    if (sources.has(`${file}.ts`) || sources.has(`${file}.js`)) return [];
    return [`${path} tests ${file}.ts, which does not exist`];
  });
}

/** Doors that do more than re-export names. */
function findBadDoors(sources: Sources): string[] {
  const found: string[] = [];
  for (const [folder, { hasDoor }] of FOLDERS) {
    const path = `lib/${folder}/mod.ts`;
    const text = sources.get(path);
    if (!hasDoor && text === undefined) continue;
    if (!hasDoor || text === undefined) {
      found.push(`${path} ${text === undefined ? "is missing" : "is no door of the table"}`);
      continue;
    }
    const all = text + (sources.get(`lib/${folder}/late.ts`) ?? "");
    const rest = all.replace(/\/\*\*[^]*?\*\/|^\/\/.*$/gm, "")
      .replace(/export (?:type )?\{[^}]*\} from "\.\/[^"]+";/g, "");
    if (rest.trim() !== "") found.push(`${path}: ${rest.trim().split("\n", 1)[0]}`);
  }
  return found;
}

/** Functions and classes that another folder imports and that have no docstring; files without a header. */
function findUndocumented(sources: Sources): string[] {
  const used = new Set<string>(); // "path name"
  const use = (target: string, name: string): void => {
    used.add(`${target} ${name}`);
    if (!DOORS.test(target)) return;
    for (const { target: behind, names } of importsOf(target, sources.get(target) ?? "")) {
      if (names.includes(name)) use(behind, name);
    }
  };
  for (const [path, text] of sources) {
    if (!isProgram(path)) continue;
    for (const { target, names } of importsOf(path, text)) {
      if (folderOf(target) === folderOf(path)) continue;
      for (const name of names) use(target, name);
    }
  }
  const found: string[] = [];
  const declaration = /^export (?:declare )?(?:async )?(?:abstract )?(?:function\*?|class) (\w+)/;
  for (const [path, text] of sources) {
    if (!isProgram(path) || path.endsWith(".d.ts") || path.endsWith(".js")) continue;
    if (!/^\/\*\*[^]*?@module\n \*\/\n/.test(text)) found.push(`${path} has no header`);
    const lines = text.split("\n");
    for (const [i, line] of lines.entries()) {
      const name = declaration.exec(line)?.[1];
      if (name === undefined || !used.has(`${path} ${name}`)) continue;
      let before = i - 1;
      while (/^(\/\/ deno-lint-ignore|@)/.test(lines[before] ?? "")) before--;
      if (!/\*\/$/.test(lines[before] ?? "")) found.push(`${path}:${i + 1} ${name}`);
    }
  }
  return found;
}

/** The project's sources with one file added, or replaced. */
function plant(path: string, text: string): Sources {
  return new Map([...SOURCES, [path, text]]);
}

const HEADER = "/**\n * A file.\n *\n * @module\n */\n";

Deno.test("CONTRIBUTING.md's table names every folder of lib/, and no other", () => {
  const folders = new Set([...SOURCES.keys()].flatMap((path) => folderOf(path) ?? []));
  deepEqual([...FOLDERS.keys()].toSorted(), [...folders].toSorted());
  ok(FOLDERS.size >= 10);
});

Deno.test("every import is one that the table allows, and goes through the door", () => {
  deepEqual(findForbidden(SOURCES), []);
  const count = [...SOURCES].filter(([path]) => isProgram(path))
    .reduce((sum, [path, text]) => sum + importsOf(path, text).length, 0);
  ok(count > 400, `only ${count} imports were found`);
});

Deno.test("an import that the table forbids is named with its line", () => {
  const planted = plant("lib/relay/planted.ts", `${HEADER}\nimport "../session/mod.ts";\n`);
  deepEqual(findForbidden(planted), [
    "lib/relay/planted.ts:7 imports lib/session/mod.ts: relay may not import session",
  ]);
  const late = plant("lib/base/planted.ts", `export const a = () => import("../ui/chat.ts");\n`);
  deepEqual(findForbidden(late), [
    "lib/base/planted.ts:1 imports lib/ui/chat.ts: base may not import ui",
  ]);
});

Deno.test("no files and no folders import each other in a circle", () => {
  deepEqual(findCircles(fileGraph(SOURCES)), []);
  deepEqual(findCircles(folderGraph(SOURCES)), []);
});

Deno.test("a circle is named with its files", () => {
  const planted = new Map([
    ...plant("lib/base/planted_a.ts", `export * from "./planted_b.ts";\n`),
    ["lib/base/planted_b.ts", `import { a } from "./planted_a.ts";\n`],
  ]);
  deepEqual(findCircles(fileGraph(planted)), [
    "lib/base/planted_a.ts → lib/base/planted_b.ts → lib/base/planted_a.ts",
  ]);
});

Deno.test("every test in a folder of lib/'s name tests a file that exists there", () => {
  deepEqual(findOrphanedTests(SOURCES), []);
});

Deno.test("a test whose file is gone is named with that file", () => {
  deepEqual(findOrphanedTests(plant("tests/base/planted_test.ts", "")), [
    "tests/base/planted_test.ts tests lib/base/planted.ts, which does not exist",
  ]);
  deepEqual(findOrphanedTests(plant("tests/base/planted.ts", "")), [
    "tests/base/planted.ts is not named FILE_test.ts or FILE.TOPIC_test.ts",
  ]);
});

Deno.test("an import past a door is named with its line", () => {
  const planted = plant("lib/ui/planted.ts", `import type { A } from "../session/peer.ts";\n`);
  deepEqual(findForbidden(planted), [
    "lib/ui/planted.ts:1 imports lib/session/peer.ts, past lib/session/mod.ts",
  ]);
  // A folder is behind the door of the one that it is in.
  deepEqual(findForbidden(plant("lib/ui/full/planted.ts", `import "../chat_client.ts";\n`)), []);
});

Deno.test("a door lists names and does nothing else", () => {
  deepEqual(findBadDoors(SOURCES), []);
  const planted = plant("lib/relay/mod.ts", `${HEADER}\nexport * from "./relay.ts";\n`);
  deepEqual(findBadDoors(planted), [`lib/relay/mod.ts: export * from "./relay.ts";`]);
});

Deno.test("functions and classes that another folder imports have a docstring, and files a header", () => {
  deepEqual(findUndocumented(SOURCES), []);
  const planted = new Map([
    ...plant("lib/base/planted.ts", `${HEADER}\nexport function bare() {}\n`),
    ["lib/ui/planted.ts", `import { bare } from "../base/planted.ts";\n`],
  ]);
  deepEqual(findUndocumented(planted), [
    "lib/base/planted.ts:7 bare",
    "lib/ui/planted.ts has no header",
  ]);
});

Deno.test("packages are named only by the files that stand for them", () => {
  for (const { package: name, owners } of PACKAGE_OWNERS) {
    const found = [...SOURCES].filter(([path, text]) =>
      isProgram(path) && importsOf(path, text).some(({ target }) => name.test(target))
    ).map(([path]) => path);
    deepEqual(found.toSorted(), owners);
  }
});

/** Late imports that Deno reads before the start all the same, and those that have another type than they load. */
function findReadBefore(sources: Sources): string[] {
  const found: string[] = [];
  for (const [path, text] of sources) {
    if (!/^(?:client|server|lib\/cli\/.+)\.ts$/.test(path) || LATE_AFTER_READ.has(path)) continue;
    const types = [...text.matchAll(/typeof import\("(\.[^"]+)"\)/g)].map(([, name]) => name!);
    for (
      const [, name, hidden] of text.matchAll(/(?<!typeof )import\(\s*"(\.[^"]+)"( as string)?/g)
    ) {
      if (!hidden) found.push(`${path} imports ${name} late, without \`as string\``);
      else if (!types.includes(name!)) found.push(`${path} imports ${name} late, without its type`);
    }
  }
  return found;
}

Deno.test("what is imported late is not read before the start", () => {
  deepEqual(findReadBefore(SOURCES), []);
  const planted = new Map([
    ["lib/cli/planted.ts", `await import("./a.ts");\nawait import(\n  "./b.ts" as string\n);\n`],
  ]);
  deepEqual(findReadBefore(planted), [
    "lib/cli/planted.ts imports ./a.ts late, without `as string`",
    "lib/cli/planted.ts imports ./b.ts late, without its type",
  ]);
});

Deno.test("what only some runs need is imported late", () => {
  const graph = new Map(
    [...SOURCES].filter(([path]) => isProgram(path)).map((
      [path, text],
    ) => [path, importsOf(path, text).filter(({ isLate, isTypeOnly }) => !isLate && !isTypeOnly)]),
  );
  const reach = (...starts: string[]) => {
    const reached = new Set(starts);
    for (const path of reached) for (const { target } of graph.get(path) ?? []) reached.add(target);
    return reached;
  };
  const start = reach("client.ts", "server.ts");
  const running = reach("lib/cli/run_client.ts", "lib/cli/converse.ts", "lib/cli/run_server.ts");
  ok(running.has("lib/session/session.ts") && start.has("lib/cli/arguments.ts"));
  for (const path of ["lib/session/session.ts", "lib/relay/relay.ts"]) ok(!start.has(path), path);
  for (const name of ["announcer", "browse", "multicast", "dns", "responder"]) {
    ok(SOURCES.has(`lib/discovery/${name}.ts`), name);
    ok(!running.has(`lib/discovery/${name}.ts`), name);
  }
  // What a client with --json and --host loads before it is connected, each file some 0.15 ms of CPU.
  const connecting = reach("client.ts", "lib/cli/run_client.ts", "lib/ui/json.ts");
  deepEqual([...connecting].filter((path) => path.startsWith("node:")), []);
  const inFolder = (name: string) => [...connecting].filter((path) => folderOf(path) === name);
  const folders = [...FOLDERS.keys()].filter((name) => inFolder(name).length > 0);
  deepEqual(folders, [
    ...["base", "protocol/crypto", "protocol", "transport"],
    ...["session/files", "session", "ui", "cli"],
  ]);
  const names = (folder: string) =>
    inFolder(folder).map((path) => path.split("/").at(-1)!).toSorted();
  deepEqual(names("session/files"), ["worker_host.ts"]);
  deepEqual(names("session"), [
    ...["head_start.ts", "join.ts", "known_file.ts", "known_servers.ts", "link.ts", "mod.ts"],
    "password.ts",
  ]);
  deepEqual(names("ui"), [
    ...["json.ts", "mod.ts", "settings.ts", "standard_output.ts"],
  ]);
  ok(connecting.size <= 80, `${connecting.size} modules`);
  const packages = PACKAGE_OWNERS.filter(({ package: name }) =>
    [...connecting].some((target) => name.test(target))
  );
  deepEqual(packages.map(({ package: { source } }) => source), [
    "^@std\\/",
    "^get-east-asian-width$",
  ]);
});
