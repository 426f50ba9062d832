/**
 * `deno task man`: writes the man pages, man/server.1 and man/client.1, from the same tables as `--help`.
 *
 * @module
 */

import settings from "../deno.json" with { type: "json" };
import { helpLines } from "../lib/ui/commands.ts";
import { allOptions, type Option, type Program } from "../lib/cli/options.ts";
import { CLIENT_PROGRAM, SERVER_PROGRAM } from "../lib/cli/programs.ts";

/** What the tables do not say. */
interface Extra {
  /** Paragraphs. */
  readonly description: readonly string[];
  readonly files: readonly (readonly [name: string, text: string])[];
  readonly exits: readonly (readonly [code: string, text: string])[];
  /** Shown as they are. */
  readonly chatCommands?: readonly string[];
}

const LINE_LENGTH = 78;

const EXITS: Extra["exits"] = [
  ["0", "It ended as asked."],
  ["1", "It failed; standard error says why, and what helps."],
  ["2", "The command line means nothing."],
  ["130", "A second signal ended it at once."],
];

const SERVER_EXTRA: Extra = {
  description: [
    "At its start it prints its fingerprint, the addresses it can be reached at, and the line to type on " +
    "another computer; then who joins and who leaves.",
    "SIGINT and SIGTERM end it in order.",
  ],
  files: [["server.pem", "The server's private key, made at the first start."]],
  exits: EXITS,
};

const CLIENT_EXTRA: Extra = {
  description: [
    "On a terminal it is a chat. When standard input is no terminal, every line of it is sent, and what is " +
    "received goes to standard output; at the end it waits until everyone present has acknowledged.",
  ],
  files: [
    ["identity.pem", "Your private key, made at the first start: who has it is you."],
    ["server.pem", "The key of the server that --serve starts."],
    ["known_servers", "Keys of servers, one a row; a changed one is refused."],
    ["known_peers", "Keys of people, and whom you have verified."],
    ["settings.json", "The nick of the last time, and what the chat remembers."],
  ],
  exits: [
    ...EXITS.slice(0, 1),
    ["1", "It failed, or somebody has not received everything; standard error says why."],
    ...EXITS.slice(2, 3),
    ["129, 130, 143", "SIGHUP, SIGINT or SIGTERM ended it."],
  ],
  chatCommands: helpLines(),
};

/**
 * Writes a man page in mdoc.
 *
 * @param date The day of the version, as `2026-01-31`.
 */
function writePage(program: Program<string>, extra: Extra, date: string): string {
  const { name, summary, subcommands } = program;
  return [
    `.\\" Written by "deno task man" from lib/programs.ts: make changes there.`,
    `.Dd ${mdocDate(date)}`,
    `.Dt ${name.toUpperCase()} 1`,
    ".Os",
    ".Sh NAME",
    `.Nm ${name}`,
    `.Nd ${escape(summary.replace(/\.$/, ""))}`,
    ".Sh SYNOPSIS",
    ...synopsis(program),
    ".Sh DESCRIPTION",
    ...fill(summary),
    ...extra.description.flatMap((text) => [".Pp", ...fill(text)]),
    ".Pp",
    "The options:",
    ...list(allOptions(program).map((option) => [showOption(option), option.help])),
    ...subcommands.length === 0 ? [] : [
      ".Pp",
      "The commands:",
      ...list(subcommands.map((word) => [
        `Ic ${word.name}${word.argument === "" ? "" : ` Ar ${word.argument}`}`,
        word.help,
      ])),
    ],
    ...extra.chatCommands === undefined ? [] : [
      ".Ss Chat commands",
      ".Bd -literal",
      ...extra.chatCommands.map(escape),
      ".Ed",
    ],
    ".Sh ENVIRONMENT",
    ...list(program.environment.map(([name, help]) => [`Ev ${name}`, help])),
    ".Sh FILES",
    "In the state folder:",
    ...list(extra.files.map(([file, text]) => [`Pa ${file}`, text])),
    ".Sh EXIT STATUS",
    ...list(extra.exits.map(([code, text]) => [`Li ${code}`, text])),
    ".Sh EXAMPLES",
    ...program.examples.flatMap(([line, help]) => [
      `${escape(help[0]!.toUpperCase() + help.slice(1))}:`,
      `.Dl ${escape(line)}`,
      ".Pp",
    ]).slice(0, -1),
    ".Sh SEE ALSO",
    `.Xr ${name === "server" ? "client" : "server"} 1`,
    "",
  ].join("\n");
}

function synopsis({ options, exclusive, subcommands }: Program<string>): string[] {
  const lines = [".Nm"];
  for (const { name } of options) {
    const group = exclusive.find((group) => group.includes(name)) ?? [name];
    if (group[0] !== name) continue;
    const members = options.filter(({ name }) => group.includes(name));
    lines.push(`.Op ${members.map(showOption).join(" | ")}`);
  }
  for (const { name, argument } of subcommands) {
    lines.push(".Nm", `.Ic ${name}`, ...(argument === "" ? [] : [`.Ar ${argument}`]));
  }
  return lines;
}

function list(rows: readonly (readonly [head: string, text: string])[]): string[] {
  return [
    ".Bl -tag -width Ds",
    ...rows.flatMap(([head, text]) => [`.It ${head}`, ...fill(text)]),
    ".El",
  ];
}

/** Lines of text, short as mdoc wants them: a sentence begins a new one. */
function fill(text: string): string[] {
  return text.split(/(?<=[.?!]) /).flatMap((sentence) => {
    const lines = [""];
    for (const word of sentence.split(" ")) {
      const line = `${lines.at(-1)} ${word}`.trimStart();
      if (line.length <= LINE_LENGTH) lines[lines.length - 1] = line;
      else lines.push(word);
    }
    return lines.map(escape);
  });
}

function showOption({ name, value }: Option<string>): string {
  return value === undefined ? `Fl -${name}` : `Fl -${name} Ar ${value.name}`;
}

/** A line of text: what troff would read as a command of its own is none. */
function escape(text: string): string {
  return text.replaceAll("\\", "\\e").replace(/^(?=[.'])/, "\\&");
}

function mdocDate(date: string): string {
  const [year, month, day] = date.split("-");
  const months =
    "January February March April May June July August September October November December";
  return `${months.split(" ")[Number(month) - 1]} ${Number(day)}, ${year}`;
}

/**
 * Finds in the changelog the day of the version that deno.json names.
 *
 * @throws {Error} When it is not there.
 */
export function versionDate(changelog: string): string {
  const heading = `## [${settings.version}] - `;
  const line = changelog.split("\n").find((line) => line.startsWith(heading));
  if (line === undefined) throw new Error(`CHANGELOG.md has no line "${heading}YYYY-MM-DD"`);
  return line.slice(heading.length);
}

/**
 * Writes both pages.
 *
 * @param changelog The text of CHANGELOG.md.
 * @returns File name and text of each.
 */
export function manualPages(changelog: string): [name: string, text: string][] {
  const date = versionDate(changelog);
  return [
    ["server.1", writePage(SERVER_PROGRAM, SERVER_EXTRA, date)],
    ["client.1", writePage(CLIENT_PROGRAM, CLIENT_EXTRA, date)],
  ];
}

if (import.meta.main) {
  const root = new URL("../", import.meta.url);
  await Deno.mkdir(new URL("man", root), { recursive: true });
  for (const [name, text] of manualPages(await Deno.readTextFile(new URL("CHANGELOG.md", root)))) {
    await Deno.writeTextFile(new URL(`man/${name}`, root), text);
  }
}
