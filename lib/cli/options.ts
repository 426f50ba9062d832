/**
 * Parses a command line by a table of options, and writes `--help` from it; the tables are in programs.ts.
 *
 * Strict: an option that is unknown, given twice, empty or out of range is an error; nothing is guessed.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { closestWord } from "../base/closest.ts";
import { parseArgs } from "../base/std.ts";
import { cleanLine } from "../base/text.ts";

/** The value of an option. */
export type ValueKind =
  | { readonly type: "text" | "file" | "host" }
  /** A whole number. */
  | { readonly type: "integer"; readonly min: number; readonly max: number }
  /** One of a few whole numbers. */
  | { readonly type: "choice"; readonly choices: readonly number[] }
  /** A number of seconds; decimals are allowed. */
  | { readonly type: "seconds"; readonly max: number };

/** An option; without a value it is a flag. */
export interface Option<Name extends string> {
  /** Without the two hyphens. */
  readonly name: Name;
  /** One letter that stands for it after one hyphen. */
  readonly letter?: string;
  readonly value?: ValueKind & {
    readonly name: string;
    /** It may be left out, and else follows after `=`: a word of its own would be taken for it. */
    readonly isOptional?: true;
  };
  readonly help: string;
}

export interface Subcommand<Name extends string> {
  readonly name: string;
  /**
   * The name of its one argument, or its choices as `a|b|c`; in brackets if it may be left out, `NAME...` for several;
   * empty if it takes none.
   */
  readonly argument: string;
  readonly help: string;
  /** The options it allows. */
  readonly options: readonly Name[];
}

/** The command line of a program. */
export interface Program<Name extends string> {
  readonly name: string;
  /** What people type to start it, if not its name. */
  readonly command?: string;
  /** One sentence. */
  readonly summary: string;
  readonly options: readonly Option<Name>[];
  /** Groups of which at most one option can be given. */
  readonly exclusive: readonly (readonly Name[])[];
  readonly subcommands: readonly Subcommand<Name>[];
  /** The hint for a word that is not a subcommand. */
  readonly wordHint?: string;
  readonly environment: readonly (readonly [name: string, help: string])[];
  readonly examples: readonly (readonly [line: string, help: string])[];
}

type CommonOption = "help" | "version";

const COMMON_OPTIONS: readonly Option<CommonOption>[] = [
  { name: "help", letter: "h", help: "print this help and exit" },
  { name: "version", letter: "V", help: "print the version and exit" },
];

/** As a first word, the same as `--help`. */
const HELP_WORD = "help";

/** In place of `=` and an optional value that was left out; no argument contains a zero byte. */
const NO_VALUE = "=\0";

/** All options of a program, with `--help` and `--version` at the end. */
export function allOptions<Name extends string>(
  program: Program<Name>,
): readonly Option<Name | CommonOption>[] {
  return [...program.options, ...COMMON_OPTIONS];
}

/** A parsed command line. */
export class Given<Name extends string> {
  /** The subcommand and its argument. */
  readonly subcommand:
    | { readonly name: string; readonly argument: string; readonly arguments: readonly string[] }
    | undefined;
  readonly #values: ReadonlyMap<Name, string>;

  /** @param values Checked; any text for a flag. */
  constructor(values: ReadonlyMap<Name, string>, subcommand: Given<Name>["subcommand"]) {
    this.#values = values;
    this.subcommand = subcommand;
  }

  has(name: Name): boolean {
    return this.#values.has(name);
  }

  /** The value of an option; empty only if it is optional and was left out. */
  text(name: Name): string | undefined {
    return this.#values.get(name);
  }

  /** The value of an option that takes a number, within its range. */
  number(name: Name): number | undefined {
    const text = this.#values.get(name);
    return text === undefined ? undefined : Number(text);
  }
}

/**
 * Parses a command line.
 *
 * @returns What was given; "help" or "version" if that option is in it, whatever else is.
 * @throws {UsageError} When the table does not allow it.
 */
export function parseOptions<Name extends string>(
  program: Program<Name>,
  args: readonly string[],
): Given<Name> | CommonOption {
  const end = args.indexOf("--");
  const words = args.slice(0, end < 0 ? undefined : end);
  for (const { name, letter } of COMMON_OPTIONS) {
    if (words.includes(`--${name}`) || words.includes(`-${letter}`)) return name;
  }
  refuseFlagValues(program, words);
  const names = program.options.map(({ name }) => name);
  const unknown: string[] = [];
  const optional = program.options.filter(({ value }) => value?.isOptional);
  const named = args.map((arg, i) =>
    i < words.length && optional.some(({ name }) => arg === `--${name}`) ? arg + NO_VALUE : arg
  );
  const parsed = parseArgs(named, {
    string: [...program.options.filter(({ value }) => value).map(({ name }) => name), "_"],
    boolean: program.options.filter(({ value }) => !value).map(({ name }) => name),
    collect: names,
    unknown: (arg, key) => {
      if (key !== undefined) unknown.push(arg);
      return key === undefined;
    },
  });
  if (parsed._[0] === HELP_WORD) return "help";
  const values = new Map<Name, string>();
  for (const option of program.options) {
    const [value, ...more] = parsed[option.name] as (string | boolean)[];
    if (value === undefined) continue;
    if (option.value !== undefined) {
      if (`=${value}` !== NO_VALUE) checkValue(option, option.value, String(value));
      if (more.length > 0) throw new UsageError(`--${option.name} is given twice`);
    }
    values.set(option.name, `=${value}` === NO_VALUE ? "" : String(value));
  }
  if (unknown[0] !== undefined) throw unknownOption(program, unknown[0]);
  for (const group of program.exclusive) {
    const [first, second] = group.filter((name) => values.has(name));
    if (second !== undefined) {
      throw new UsageError(`--${first} and --${second} cannot be used together`);
    }
  }
  return new Given(values, findSubcommand(program, values, parsed._.map(String)));
}

/**
 * Refuses `--flag=x` and `--flag true`, which the parser accepts. The value may be a password, so
 * the error does not repeat it.
 */
function refuseFlagValues<Name extends string>(program: Program<Name>, words: readonly string[]) {
  const flags = allOptions(program).filter(({ value }) => !value).map(({ name }) => String(name));
  const subcommands = [HELP_WORD, ...program.subcommands.map(({ name }) => name)];
  for (const [i, word] of words.entries()) {
    const [, name = "", value] = /^--([^=]+)(=)?/.exec(word) ?? [];
    if (!flags.includes(name)) continue;
    const next = words[i + 1] ?? "-";
    const isWord = !next.startsWith("-") &&
      !words.slice(0, i + 2).some((word) => subcommands.includes(word));
    if (value !== undefined || isWord || next === "true" || next === "false") {
      throw new UsageError(`--${name} takes no value`, [helpHint(program)]);
    }
  }
}

function unknownOption<Name extends string>(program: Program<Name>, arg: string): UsageError {
  const typed = arg.replace(/=.*/s, "");
  const names = allOptions(program).map(({ name }) => String(name));
  const closest = closestWord(typed.replace(/^-+(?:no-)?/, ""), names);
  const guess = closest === undefined ? "" : `did you mean --${closest}? `;
  return new UsageError(`unknown option ${quote(typed)}`, [guess + helpHint(program)]);
}

function commandOf<Name extends string>({ name, command = name }: Program<Name>): string {
  return command;
}

function helpHint<Name extends string>(program: Program<Name>): string {
  return `try "${commandOf(program)} --help"`;
}

function checkValue<Name extends string>(
  option: Option<Name>,
  kind: NonNullable<Option<Name>["value"]>,
  text: string,
): void {
  const { name } = option;
  if (text === "") {
    const whole = `--${name}=${kind.name}`;
    throw new UsageError(`--${name} needs a value`, [
      kind.isOptional
        ? `use --${name}, or ${whole}`
        : `use --${name} ${kind.name}, or ${whole} if the value begins with a hyphen`,
    ]);
  }
  const rule = brokenRule(kind, text);
  if (rule !== undefined) throw new UsageError(`--${name}: ${quote(text)} is not ${rule}`);
}

/** What the value should be; undefined if it is. */
function brokenRule(kind: ValueKind, text: string): string | undefined {
  const whole = /^(?:0|[1-9]\d{0,9})$/.test(text);
  switch (kind.type) {
    case "integer":
      if (whole && Number(text) >= kind.min && Number(text) <= kind.max) return undefined;
      return `a number from ${kind.min} to ${kind.max}`;
    case "choice":
      if (whole && kind.choices.includes(Number(text))) return undefined;
      return `one of ${kind.choices.join(", ")}`;
    case "seconds":
      if (/^\d{1,10}(?:\.\d{1,10})?$/.test(text) && Number(text) <= kind.max) return undefined;
      return `a number of seconds from 0 to ${kind.max}`;
    default:
      return undefined;
  }
}

function findSubcommand<Name extends string>(
  program: Program<Name>,
  values: ReadonlyMap<Name, string>,
  words: readonly string[],
): Given<Name>["subcommand"] {
  const [name, argument, more] = words;
  if (name === undefined) return undefined;
  const subcommand = program.subcommands.find((subcommand) => subcommand.name === name);
  if (subcommand === undefined) throw unexpected(program, name);
  const { options } = subcommand;
  const stray = [...values.keys()].find((option) => !options.includes(option));
  if (stray !== undefined) throw new UsageError(`--${stray} cannot be used with ${name}`);
  if (subcommand.argument === "") {
    if (argument !== undefined) throw unexpected(program, argument);
    return { name, argument: "", arguments: [] };
  }
  if (!argument) {
    if (subcommand.argument.startsWith("[")) return { name, argument: "", arguments: [] };
    throw new UsageError(`${name} needs an argument`, [
      `use ${program.name} ${name} ${subcommand.argument}`,
    ]);
  }
  const all = words.slice(1);
  if (more !== undefined && !subcommand.argument.endsWith("...")) throw unexpected(program, more);
  return { name, argument, arguments: all };
}

function unexpected<Name extends string>(program: Program<Name>, word: string): UsageError {
  const { wordHint } = program;
  return new UsageError(`unexpected argument ${quote(word)}`, [
    ...(wordHint === undefined ? [] : [wordHint]),
    helpHint(program),
  ]);
}

function quote(text: string): string {
  return `"${cleanLine(text)}"`;
}

/** Columns of `--help`. */
const WIDTH = 80;

/** The text of `--help`, with a newline at its end. */
export function usage<Name extends string>(program: Program<Name>): string {
  const sections: [title: string, rows: (readonly [left: string, right: string])[]][] = [
    [
      "Commands",
      program.subcommands.map((word) => [`${word.name} ${word.argument}`.trimEnd(), word.help]),
    ],
    ["Options", allOptions(program).map((option) => [showOption(option), option.help])],
    ["Environment", [...program.environment]],
  ];
  const lefts = sections.flatMap(([, rows]) => rows.map(([left]) => left.length));
  const indent = 4 + Math.max(...lefts);
  const lines = [...synopsis(program), "", ...wrap("", program.summary.split(" "), 0)];
  for (const [title, rows] of sections) {
    if (rows.length === 0) continue;
    lines.push("", `${title}:`);
    for (const [left, right] of rows) {
      lines.push(...wrap(`  ${left}`.padEnd(indent), right.split(" "), indent));
    }
  }
  lines.push("", "Examples:");
  for (const [line, help] of program.examples) {
    lines.push(`  ${line.replace(program.name, commandOf(program))}`, `      ${help}`);
  }
  return lines.join("\n") + "\n";
}

function synopsis<Name extends string>(program: Program<Name>): string[] {
  const parts: string[] = [];
  for (const option of program.options) {
    const group = program.exclusive.find((group) => group.includes(option.name)) ?? [option.name];
    if (group[0] !== option.name) continue;
    const members = program.options.filter(({ name }) => group.includes(name));
    parts.push(`[${members.map(showOption).join(" | ")}]`);
  }
  const start = `Usage: ${program.name} `;
  return [
    ...wrap(start, parts, start.length),
    ...program.subcommands.map((word) =>
      `       ${program.name} ${word.name} ${word.argument}`.trimEnd()
    ),
  ];
}

function showOption<Name extends string>({ name, letter, value }: Option<Name>): string {
  const start = letter === undefined ? "" : `-${letter}, `;
  if (value === undefined) return `${start}--${name}`;
  return value.isOptional ? `${start}--${name}[=${value.name}]` : `${start}--${name} ${value.name}`;
}

/** Fills lines with words after `start`; further lines are indented. */
function wrap(start: string, words: readonly string[], indent: number): string[] {
  const lines: string[] = [];
  let line = start;
  let isEmpty = true;
  for (const word of words) {
    if (!isEmpty && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = " ".repeat(indent);
      isEmpty = true;
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...lines, line];
}
