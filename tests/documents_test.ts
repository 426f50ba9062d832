/** What is written down: that PROTOCOL.md, README.md, deno.json and the code say the same. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { allOptions } from "../lib/cli/options.ts";
import { CLIENT_PROGRAM, SERVER_PROGRAM } from "../lib/cli/programs.ts";
import { helpLines } from "../lib/ui/commands.ts";
import { FILES as texts, PATHS as paths, readProject } from "./support/project.ts";

const ROOT = new URL("../", import.meta.url);
const THIS_FILE = "tests/documents_test.ts";
const library = [...texts].filter(([path]) => /^lib\/.+\.ts$/.test(path));
const protocol = await readProject("PROTOCOL.md");

// --- PROTOCOL.md ---

/** The headings under each section, by the section's number. */
const sections = new Map<number, string[]>();
for (const [, level, title] of protocol.matchAll(/^(##+) (.+)$/gm)) {
  const number = /^(\d+)\. /.exec(title!)?.[1];
  if (level === "##" && number !== undefined) sections.set(Number(number), []);
  else [...sections.values()].at(-1)?.push(title!);
}

Deno.test("PROTOCOL.md has the sections 1 to 17, in order", () => {
  deepEqual([...sections.keys()], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]);
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

/** The value of an exported constant of lib/, wherever it is. */
async function readConstant(name: string): Promise<unknown> {
  const found = library.filter(([, text]) =>
    new RegExp(`^export const ${name}\\b`, "m").test(text)
  );
  deepEqual(found.length, 1, `${name} is exported by ${found.map(([path]) => path)}`);
  const module: Record<string, unknown> = await import(new URL(found[0]![0], ROOT).href);
  return module[name];
}

Deno.test("PROTOCOL.md §10 gives every limit the value of the constant of that name", async () => {
  const rows = tableRows(10).filter(([name]) => /^[A-Z][A-Z0-9_]+$/.test(name!));
  for (const [name, value] of rows) {
    const constant = await readConstant(name!);
    // One number, or one for each mode of the handshake.
    const values = typeof constant === "number" ? [constant] : Object.values(constant as object);
    const parts = values.length > 1 ? value!.split(", ") : [value!];
    deepEqual(parts.map((part) => Number(/^\d+/.exec(part)![0])), values, name);
  }
  equal(rows.length, 52 + 62);
});

Deno.test("PROTOCOL.md §5 and §6 list the types, reasons, verbs and notes that the code knows", async () => {
  const values = async (name: string) => Object.values(await readConstant(name) as object);
  const byName = (rows: string[][], base: number) =>
    Object.fromEntries(rows.map(([number, name]) => [name!, parseInt(number!, base)]));
  const isFrame = ([number, name]: string[]) =>
    /^[0-9a-f]{2}$/.test(number!) && /^[A-Z]+$/.test(name!);
  deepEqual(byName(tableRows(5).filter(isFrame), 16), { ...await readConstant("FRAME") as object });
  const { FIRST_EXTENSION, LAST_EXTENSION, ...messages } = await readConstant("MESSAGE") as Record<
    string,
    number
  >;
  const ofFiles = await readConstant("FILE_MESSAGE") as object;
  deepEqual(byName(tableRows(6).filter(isFrame), 16), { ...messages, ...ofFiles });
  deepEqual(byName(tableRows(15).filter(isFrame), 16), {
    ...await readConstant("FILE_FRAME") as object,
  });
  deepEqual(
    tableRows(15).filter(([number]) => /^\d$/.test(number!)).map(([, name]) => name),
    (await values("STOP_CODES")).slice(1),
  );
  ok(
    tableRows(6).some(([number]) =>
      number === `${FIRST_EXTENSION!.toString(16)}-${LAST_EXTENSION!.toString(16)}`
    ),
  );
  const numbered = (section: number, width: number) =>
    tableRows(section).filter((row) => row.length === width && /^\d$|^1[01]$/.test(row[0]!));
  const numbers = (rows: string[][]) => rows.map(([number]) => Number(number));
  deepEqual(numbers(numbered(5, 3)), await values("REASON"));
  const [, , , record] = await values("KIND");
  deepEqual(numbers(numbered(5, 2)), [...await values("WHY"), record, ...await values("STATUS")]);
  const verbs = numbered(5, 4).filter((row) => !isFrame(row));
  deepEqual(byName(verbs, 10), { ...await readConstant("VERB") as object });
  deepEqual(numbers(numbered(6, 3)), await values("NOTE"));
});

const kat = JSON.parse(texts.get("tests/vectors/kat.json")!);

Deno.test("PROTOCOL.md §11 describes every part of kat.json", () => {
  const parts = tableRows(11).map(([name]) => name!).slice(2);
  deepEqual(parts, Object.keys(kat).filter((name) => name !== "comment"));
});

// --- CONTRIBUTING.md ---

Deno.test("CONTRIBUTING.md names files that exist, and what to find in them", () => {
  const contributing = texts.get("CONTRIBUTING.md")!;
  const named = [...contributing.matchAll(/`((?:lib|tests)\/[\w./]+\.\w+)`/g)].map(([, path]) =>
    path!
  );
  ok(named.length > 20);
  deepEqual(named.filter((path) => !texts.has(path)), []);
  for (const [, path, name] of contributing.matchAll(/\| `(lib\/.+)` +\| `(\w+)` +\|$/gm)) {
    ok(new RegExp(`\\b${name}\\b`).test(texts.get(path!)!), `${path}: ${name}`);
  }
});

// --- README.md, docs/ and settings ---

const readme = texts.get("README.md")!;
const settings = JSON.parse(texts.get("deno.json")!) as {
  tasks: Record<string, string>;
  imports: Record<string, string>;
};
/** The documents that tell people what to type. */
const guides = [...texts].filter(([path]) =>
  /^(?:README|CONTRIBUTING|(?:docs|tests)\/.+)\.md$/.test(path)
);

Deno.test("README.md and docs/ name only options that a program has", () => {
  // Of npx, "task compile", firewall-cmd, ncat and the bench.
  const others = ["yes", "offline", "all", "add-port", "ssl", "only", "keep", "rounds"];
  const known = [CLIENT_PROGRAM, SERVER_PROGRAM].flatMap((it) => allOptions<string>(it))
    .map(({ name }) => name);
  for (const [path, text] of guides) {
    if (path.startsWith("tests/") || path === "CONTRIBUTING.md") continue;
    for (const [option, name] of text.matchAll(/(?<![-\w])--([a-z][a-z-]*)/g)) {
      ok([...known, ...others].includes(name!), `${path}: ${option}`);
    }
  }
});

Deno.test("the man pages describe every option", () => {
  for (const program of [CLIENT_PROGRAM, SERVER_PROGRAM]) {
    const page = Deno.readTextFileSync(new URL(`man/${program.name}.1`, ROOT));
    for (const { name } of allOptions<string>(program)) {
      ok(new RegExp(`^\\.It Fl -${name}\\b`, "m").test(page), `${program.name} --${name}`);
    }
  }
});

Deno.test("README.md lists the chat's commands with their arguments", () => {
  const table = readme.slice(readme.indexOf("## Commands"), readme.indexOf("## Scripts"));
  const rows = table.split("\n").filter((line) => line.startsWith("|"));
  const listed = rows.flatMap((row) => [...row.matchAll(/`(\/[^`]+)`/g)])
    .map(([, usage]) => usage!.replaceAll("\\|", "|"));
  const commands = helpLines().filter((line) => line.startsWith("/"))
    .map((line) => line.split("  ", 1)[0]!);
  deepEqual(listed.toSorted(), commands.toSorted());
});

Deno.test("docs/scripts.md lists the events of client --json", () => {
  const listed = /client's events are([^]*?);/.exec(texts.get("docs/scripts.md")!)![1]!;
  const sources = ["lib/session/events.ts", "lib/session/files/file_events.ts"];
  const events = sources.flatMap((path) =>
    Array.from(texts.get(path)!.matchAll(/^ {2}(?:readonly )?event: "(\w+)";$/gm))
  );
  deepEqual(
    [...listed.matchAll(/`(\w+)`/g)].map(([, name]) => name),
    [...events].map(([, name]) => name),
  );
});

Deno.test("docs/troubleshooting.md quotes messages that the programs print", () => {
  const sources = library.map(([, text]) => text).join("\n");
  const heads = texts.get("docs/troubleshooting.md")!.matchAll(/^- ((?:`[^`]+`,? ?)+):/gm);
  const messages = [...heads].flatMap(([, head]) =>
    [...head!.matchAll(/`([^`]+)`/g)].map((it) => it[1]!)
  );
  ok(messages.length > 8);
  deepEqual(messages.filter((message) => !sources.includes(message)), []);
});

Deno.test("documents name tasks and files that exist", () => {
  for (const [path, text] of texts) {
    if (!path.endsWith(".md")) continue;
    const folder = new URL(path, ROOT);
    for (const [, target] of text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)) {
      const file = new URL(target!, folder).href.slice(ROOT.href.length);
      ok(paths.some((it) => it === file || it.startsWith(`${file}/`)), `${path}: ${target}`);
    }
  }
  for (const [path, text] of guides) {
    for (const [, task] of text.matchAll(/\btask (?:-q )?([a-z]+)/g)) {
      ok(task! in settings.tasks, `${path}: task ${task}`);
    }
  }
});

Deno.test("deno.json and inline imports pin exact versions", () => {
  const exact = /^(?:npm|jsr):(?:@[^/]+\/)?[^/@]+@\d+\.\d+\.\d+(?:\/.+)?$/;
  const inline = [...texts].filter(([path]) => path.endsWith(".ts") && path !== THIS_FILE)
    .flatMap(([, text]) => [...text.matchAll(/"((?:npm|jsr):[^"]+)"/g)].map((match) => match[1]!));
  ok(inline.length > 0);
  for (const specifier of [...Object.values(settings.imports), ...inline]) {
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
