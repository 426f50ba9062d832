/**
 * Command lines: a program's options as a table, from which they are parsed and its `--help` is
 * written.
 *
 * Strict: what is not in the table, given twice, empty or out of range is the user's mistake and
 * nothing is guessed. Knows no option by name; the tables are in arguments.ts.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { nearest } from "../base/closest.ts";
import { parseArgs } from "../base/std.ts";
import { cleanLine } from "../base/text.ts";

/** What may follow an option. */
export type ValueKind =
  | { readonly type: "text" | "file" | "host" }
  /** A whole number. */
  | { readonly type: "integer"; readonly min: number; readonly max: number }
  /** A whole number out of a few. */
  | { readonly type: "choice"; readonly choices: readonly number[] }
  /** Seconds, perhaps with decimals. */
  | { readonly type: "seconds"; readonly max: number };

/** One option; without a value it is a flag. */
export interface Option<Name extends string> {
  /** Without the two hyphens. */
  readonly name: Name;
  readonly value?: ValueKind & { readonly name: string };
  /** What it does, in a few words. */
  readonly help: string;
}

/** A word that makes the program do something else. */
export interface Subcommand<Name extends string> {
  readonly name: string;
  /** The name of the one argument it takes; empty: it takes none. */
  readonly argument: string;
  readonly help: string;
  /** The options that go with it. */
  readonly options: readonly Name[];
}

/** Everything a program's command line can be. */
export interface Program<Name extends string> {
  readonly name: string;
  /** What it does, in one sentence. */
  readonly summary: string;
  readonly options: readonly Option<Name>[];
  /** Of each group at most one can be given. */
  readonly exclusive: readonly (readonly Name[])[];
  readonly subcommands: readonly Subcommand<Name>[];
  /** What to tell somebody who gives a word that is no subcommand. */
  readonly wordHint?: string;
  /** Environment variables and what they do. */
  readonly environment: readonly (readonly [name: string, help: string])[];
  /** Command lines and what they are for. */
  readonly examples: readonly (readonly [line: string, help: string])[];
}

/** The options that every program has. */
export type CommonOption = "help" | "version";

const COMMON_OPTIONS: readonly Option<CommonOption>[] = [
  { name: "help", help: "print this and end" },
  { name: "version", help: "print the version and end" },
];

/** All options of a program, those that every program has at the end. */
export function allOptions<Name extends string>(
  program: Program<Name>,
): readonly Option<Name | CommonOption>[] {
  return [...program.options, ...COMMON_OPTIONS];
}

/** What was given. */
export class Given<Name extends string> {
  /** The subcommand and its argument. */
  readonly subcommand: { readonly name: string; readonly argument: string } | undefined;
  readonly #values: ReadonlyMap<Name, string>;

  /** @param values Checked; of a flag any text. */
  constructor(values: ReadonlyMap<Name, string>, subcommand: Given<Name>["subcommand"]) {
    this.#values = values;
    this.subcommand = subcommand;
  }

  /** Tells whether an option was given. */
  has(name: Name): boolean {
    return this.#values.has(name);
  }

  /** The value of an option, never empty. */
  text(name: Name): string | undefined {
    return this.#values.get(name);
  }

  /** The value of an option that takes a number, in its range. */
  number(name: Name): number | undefined {
    const text = this.#values.get(name);
    return text === undefined ? undefined : Number(text);
  }
}

/**
 * Parses a command line.
 *
 * @returns What was given; or that `--help` or `--version` is in it, whatever else is.
 * @throws {UsageError} When the table does not allow it; says which part of it.
 */
export function parseOptions<Name extends string>(
  program: Program<Name>,
  args: readonly string[],
): Given<Name> | CommonOption {
  const end = args.indexOf("--");
  const words = args.slice(0, end < 0 ? undefined : end);
  for (const { name } of COMMON_OPTIONS) {
    if (words.includes(`--${name}`)) return name;
  }
  refuseFlagValues(program, words);
  const names = program.options.map(({ name }) => name);
  const unknown: string[] = [];
  const parsed = parseArgs(args, {
    string: [...program.options.filter(({ value }) => value).map(({ name }) => name), "_"],
    boolean: program.options.filter(({ value }) => !value).map(({ name }) => name),
    collect: names,
    unknown: (arg, key) => {
      if (key !== undefined) unknown.push(arg);
      return key === undefined;
    },
  });
  const values = new Map<Name, string>();
  for (const option of program.options) {
    const [value, ...more] = parsed[option.name] as (string | boolean)[];
    if (value === undefined) continue;
    if (option.value !== undefined) {
      checkValue(option, option.value, String(value));
      if (more.length > 0) throw new UsageError(`--${option.name} is given twice`);
    }
    values.set(option.name, String(value));
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
 * The parser takes `--flag=x` and `--flag true` without a word. What follows may be a password:
 * it is not repeated.
 */
function refuseFlagValues<Name extends string>(program: Program<Name>, words: readonly string[]) {
  const flags = allOptions(program).filter(({ value }) => !value).map(({ name }) => String(name));
  const subcommands = program.subcommands.map(({ name }) => name);
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
  const names = allOptions(program).map(({ name }) => `--${name}`);
  return new UsageError(`unknown option ${quote(typed)}`, [
    `did you mean ${nearest(typed, names)}? ${helpHint(program)}`,
  ]);
}

function helpHint<Name extends string>(program: Program<Name>): string {
  return `try "${program.name} --help"`;
}

function checkValue<Name extends string>(
  option: Option<Name>,
  kind: NonNullable<Option<Name>["value"]>,
  text: string,
): void {
  const { name } = option;
  if (text === "") {
    throw new UsageError(`--${name} needs a value`, [
      `it is used as --${name} ${kind.name}, with a value that begins with a hyphen as ` +
      `--${name}=${kind.name}`,
    ]);
  }
  const rule = brokenRule(kind, text);
  if (rule !== undefined) throw new UsageError(`--${name}: ${quote(text)} is not ${rule}`);
}

/** Names what a value had to be, if it is not. */
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
  if (stray !== undefined) throw new UsageError(`--${stray} does not go with ${name}`);
  if (subcommand.argument === "") {
    if (argument !== undefined) throw unexpected(program, argument);
    return { name, argument: "" };
  }
  if (!argument) {
    throw new UsageError(`${name} needs to know what`, [
      `it is used as ${program.name} ${name} ${subcommand.argument}`,
    ]);
  }
  if (more !== undefined) throw unexpected(program, more);
  return { name, argument };
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

/** Writes what `--help` prints, with a newline at its end. */
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
  for (const [line, help] of program.examples) lines.push(`  ${line}`, `      ${help}`);
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

function showOption<Name extends string>({ name, value }: Option<Name>): string {
  return value === undefined ? `--${name}` : `--${name} ${value.name}`;
}

/** Sets words behind a start, and on further lines behind as many spaces as `indent` says. */
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
