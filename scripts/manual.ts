/**
 * `deno task man`: writes the man pages, man/server.1 and man/client.1, from the same tables as `--help`.
 *
 * @module
 */

import settings from "../deno.json" with { type: "json" };
import { helpLines } from "../lib/ui/commands.ts";
import { allOptions, type Option, type Program } from "../lib/cli/options.ts";
import { CLIENT_PROGRAM, SERVER_PROGRAM } from "../lib/cli/programs.ts";

/** What is not in the tables. */
interface Extra {
  /** Paragraphs. */
  readonly description: readonly string[];
  readonly files: readonly (readonly [name: string, text: string])[];
  readonly exits: readonly (readonly [code: string, text: string])[];
  /** Shown verbatim. */
  readonly chatCommands?: readonly string[];
}

const LINE_LENGTH = 78;

const STATE_FOLDER =
  "In the state folder: $HEARTH_HOME, else $XDG_CONFIG_HOME/hearth, else ~/.config/hearth (on Windows " +
  "%APPDATA%\\hearth). The empty .lock files there keep two programs from writing at once.";

const EXITS: Extra["exits"] = [
  ["0", "Success."],
  ["1", "Failure; standard error says why, and what to do."],
  ["2", "The command line is wrong."],
  ["130", "A second signal, at least half a second after the first, ended it at once."],
];

const BANS: [string, string] = [
  "bans",
  "Who may not join, one a line: fingerprint, until, by whom and since when. # begins a comment. With a line that is " +
  "not understood, or more than 256 bans, the program does not start.",
];

const SERVER_EXTRA: Extra = {
  description: [
    "At start it prints its fingerprint, its addresses, and the line to type on another computer; then who " +
    "joins and who leaves.",
    "SIGINT and SIGTERM end it cleanly, with exit status 0.",
  ],
  files: [["server.pem", "The server's private key, generated at the first start."], BANS],
  exits: EXITS,
};

const CLIENT_EXTRA: Extra = {
  description: [
    "In a terminal it is a chat. When standard input is not a terminal, it sends each line and prints what it " +
    "receives on standard output; at the end of input it waits until everybody has acknowledged what was for them.",
  ],
  files: [
    [
      "identity.pem",
      "Your private key, generated at the first start. Anybody who has it can act as you.",
    ],
    ["server.pem", "The key of the server that --serve starts."],
    BANS,
    [
      "known_servers",
      "The key of each server, by address; a server whose key has changed is refused. Here and in known_peers, a line " +
      "that is not understood is skipped with a warning, and kept.",
    ],
    [
      "known_peers",
      "The key of each person, the day you met, whether you have never dealt with them (known), have (met) or have " +
      "verified them, and their nicks. Of several lines with one key the last counts. At most 4096 people you have " +
      "never dealt with are kept; they are the first to be forgotten.",
    ],
    [
      "settings.json",
      "The last nick, and the settings of the chat. A damaged file is kept as settings.json.damaged.",
    ],
    [
      "recall",
      "The last 500 messages that you sent to rooms, for the line's arrow keys and Ctrl-R, only if the setting recall " +
      "is on: no commands, no private messages, and nothing that begins with a space.",
    ],
  ],
  exits: [
    ...EXITS.slice(0, 1),
    ["1", "Failure, or somebody has not received everything; standard error says why."],
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
    `.\\" Written by "deno task man" from lib/cli/programs.ts: make changes there.`,
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
    ...fill(STATE_FOLDER),
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

/** Fills lines of text; each sentence begins a new one, as is usual in mdoc. */
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

function showOption({ name, letter, value }: Option<string>): string {
  const both = letter === undefined ? `Fl -${name}` : `Fl -${name} , Fl ${letter}`;
  if (value === undefined) return both;
  return value.isOptional ? `${both} Ns Oo = Ns Ar ${value.name} Oc` : `${both} Ar ${value.name}`;
}

/** Escapes a line of text, so that troff reads no request in it. */
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
 * Finds the date of the version in deno.json.
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
