import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { allOptions, Given, parseOptions, type Program, usage } from "../../lib/cli/options.ts";
import { CLIENT_PROGRAM, SERVER_PROGRAM } from "../../lib/cli/programs.ts";

type Name = "name" | "count" | "size" | "time" | "loud" | "ask" | "file" | "to";

const PROGRAM: Program<Name> = {
  name: "program",
  summary: "Does nothing.",
  options: [
    { name: "name", value: { type: "text", name: "NAME" }, help: "a name" },
    { name: "count", value: { type: "integer", name: "N", min: 2, max: 30 }, help: "a count" },
    { name: "size", value: { type: "choice", name: "N", choices: [10, 200] }, help: "a size" },
    { name: "time", value: { type: "seconds", name: "SECONDS", max: 60 }, help: "a time" },
    { name: "loud", help: "make noise" },
    { name: "ask", help: "ask" },
    { name: "file", value: { type: "file", name: "FILE" }, help: "do not ask" },
    {
      name: "to",
      value: { type: "file", name: "FOLDER", isOptional: true },
      help: "where to",
    },
  ],
  exclusive: [["ask", "file"]],
  subcommands: [
    { name: "drop", argument: "THING", help: "drop it", options: [] },
    { name: "show", argument: "THING", help: "show it", options: ["ask", "name"] },
  ],
  wordHint: "a name is given as --name",
  environment: [],
  examples: [["program --loud", "make noise"]],
};

function parse(...args: string[]): Given<Name> {
  const given = parseOptions(PROGRAM, args);
  assert.ok(given instanceof Given);
  return given;
}

function refuse(args: string[], message: string, hint?: string) {
  assert.throws(() => parseOptions(PROGRAM, args), (error) => {
    assert.ok(error instanceof UsageError, JSON.stringify(args));
    assert.equal(error.message, message);
    if (hint !== undefined) assert.ok(error.hints.join("\n").includes(hint), error.hints.join());
    return true;
  });
}

Deno.test("parseOptions() takes values after a space or an equals sign, unchanged", () => {
  for (const value of ["x", "true", "false", "0", "007", "1e3", "a=b", "a b", "é", "a\nb", "no"]) {
    assert.equal(parse("--name", value).text("name"), value);
    assert.equal(parse(`--name=${value}`).text("name"), value);
  }
  for (const value of ["-", "-x", "--loud", "--", "=", "=x"]) {
    assert.equal(parse(`--name=${value}`).text("name"), value);
  }
  assert.equal(parse("--name", "=x").text("name"), "=x");
});

Deno.test("parseOptions() takes an optional value after an equals sign only", () => {
  assert.equal(parse("--to").text("to"), "");
  assert.equal(parse("--to", "--loud").text("to"), "");
  assert.equal(parse("--to=a b").text("to"), "a b");
  assert.equal(parse().has("to"), false);
  refuse(["--to="], "--to needs a value", "use --to, or --to=FOLDER");
  refuse(["--to", "x"], 'unexpected argument "x"');
  refuse(["--to", "--to=x"], "--to is given twice");
  assert.ok(usage(PROGRAM).includes("--to[=FOLDER]   where to"));
});

Deno.test("parseOptions() distinguishes given options from others", () => {
  const given = parse("--loud", "--count", "7", "--time=0.25");
  assert.ok(given.has("loud") && given.has("count") && !given.has("ask") && !given.has("name"));
  assert.equal(given.number("count"), 7);
  assert.equal(given.number("time"), 0.25);
  assert.equal(given.number("size"), undefined);
  assert.equal(given.text("name"), undefined);
  assert.equal(given.subcommand, undefined);
  assert.equal(parse().has("loud"), false);
  assert.ok(parse("--loud", "--loud").has("loud"));
});

Deno.test("parseOptions() refuses unknown options and suggests a similar one", () => {
  for (
    const [arg, shown, meant] of [
      ["--nam", "--nam", "--name"],
      ["--cuont=5", "--cuont", "--count"],
      ["--versoin", "--versoin", "--version"],
      ["--Name", "--Name", "--name"],
      ["--no-loud", "--no-loud", "--loud"],
      ["--name.x", "--name.x", "--name"],
      ["--name.x=1", "--name.x", "--name"],
      ["--__proto__=1", "--__proto__", ""],
      ["--constructor", "--constructor", ""],
      ["---name=x", "---name", "--name"],
      ["--=x", "--", ""],
      ["-n", "-n", "--name"],
      ["-abc", "-abc", ""],
      ["-7", "-7", ""],
      ["--join", "--join", ""],
      ["--x\u202ey", "--x⟨202E⟩y", ""],
    ] as const
  ) {
    refuse([arg], `unknown option "${shown}"`, meant && `did you mean ${meant}? `);
    if (meant === "") {
      assert.throws(() => parseOptions(PROGRAM, [arg]), (error: UsageError) => {
        return !error.hints.join().includes("did you mean");
      });
    }
    refuse(["--loud", arg, "value"], `unknown option "${shown}"`, `try "program --help"`);
  }
});

Deno.test("parseOptions() refuses a missing or empty value, and one that looks like an option", () => {
  for (
    const args of [
      ["--name"],
      ["--name", ""],
      ["--name="],
      ["--name", "-x"],
      ["--name", "--loud"],
      ["--name", "--other"],
      ["--name", "-"],
      ["--name", "--", "x"],
    ]
  ) refuse(args, "--name needs a value", "--name=NAME");
});

Deno.test("parseOptions() refuses a value for a flag, and does not repeat it", () => {
  for (
    const args of [
      ["--ask=secret"],
      ["--ask="],
      ["--ask=true"],
      ["--ask", "secret"],
      ["--ask", "true"],
      ["--ask", "false"],
      ["show", "it", "--ask", "true"],
      ["--ask", ""],
    ]
  ) refuse(args, "--ask takes no value");
  refuse(["--help=x"], "--help takes no value");
});

Deno.test("parseOptions() refuses an option given twice, even with the same value", () => {
  refuse(["--name", "a", "--name", "a"], "--name is given twice");
  refuse(["--count=3", "--loud", "--count", "4"], "--count is given twice");
});

Deno.test("parseOptions() refuses mutually exclusive options", () => {
  refuse(["--ask", "--file", "x"], "--ask and --file cannot be used together");
  refuse(["--file=x", "--ask"], "--ask and --file cannot be used together");
});

Deno.test("parseOptions() checks the format and range of numbers", () => {
  for (const [text, value] of [["2", 2], ["3", 3], ["29", 29], ["30", 30]] as const) {
    assert.equal(parse("--count", text).number("count"), value);
  }
  const noCount = ["1", "31", "0", "03", "+3", "3.0", "3e0", "0x3", " 3", "3 ", "٣", "99999999999"];
  for (const text of [...noCount, "three", "true", "Infinity", "NaN"]) {
    refuse([`--count=${text}`], `--count: "${text}" is not a number from 2 to 30`);
  }
  refuse(["--count=-3"], `--count: "-3" is not a number from 2 to 30`);
  for (const text of ["10", "200"]) assert.equal(parse("--size", text).number("size"), +text);
  for (const text of ["11", "010", "20", "1020", "10,200"]) {
    refuse(["--size", text], `--size: "${text}" is not one of 10, 200`);
  }
  for (const text of ["0", "0.5", "59.999", "60", "60.0", "05"]) {
    assert.equal(parse("--time", text).number("time"), Number(text));
  }
  for (const text of ["60.1", "61", ".5", "5.", "1e1", "1_0", "5s", "", "٣"].filter(Boolean)) {
    refuse(["--time", text], `--time: "${text}" is not a number of seconds from 0 to 60`);
  }
});

Deno.test("parseOptions() accepts subcommands with their argument and their own options only", () => {
  assert.deepEqual(parse("drop", "it").subcommand, {
    name: "drop",
    argument: "it",
    arguments: ["it"],
  });
  assert.deepEqual(parse("drop", "7").subcommand, {
    name: "drop",
    argument: "7",
    arguments: ["7"],
  });
  assert.deepEqual(parse("drop", "--", "-x").subcommand, {
    name: "drop",
    argument: "-x",
    arguments: ["-x"],
  });
  const given = parse("show", "--ask", "it", "--name", "n");
  assert.deepEqual(given.subcommand, { name: "show", argument: "it", arguments: ["it"] });
  assert.ok(given.has("ask"));
  assert.deepEqual(parse("--ask", "show", "it").subcommand, {
    name: "show",
    argument: "it",
    arguments: ["it"],
  });
  refuse(["drop"], "drop needs an argument", "program drop THING");
  refuse(["drop", ""], "drop needs an argument");
  refuse(["drop", "it", "now"], `unexpected argument "now"`);
  refuse(["drop", "it", "--loud"], "--loud cannot be used with drop");
  refuse(["show", "it", "--count", "3"], "--count cannot be used with show");
  for (const args of [["it"], ["--", "it"], ["it", "--loud"], ["--name", "x", "it"]]) {
    refuse(args, `unexpected argument "it"`, "a name is given as --name");
  }
  refuse([""], `unexpected argument ""`);
  refuse(["-"], `unexpected argument "-"`);
  refuse(["--", "--loud"], `unexpected argument "--loud"`);
  refuse(["\u001b[2J"], `unexpected argument "⟨001B⟩[2J"`);
});

Deno.test("parseOptions() sees --help and --version despite other mistakes, but not after --", () => {
  assert.equal(parseOptions(PROGRAM, ["--help"]), "help");
  assert.equal(parseOptions(PROGRAM, ["--version"]), "version");
  assert.equal(parseOptions(PROGRAM, ["--version", "--help"]), "help");
  assert.equal(parseOptions(PROGRAM, ["--bogus", "--name", "--help", "x"]), "help");
  assert.equal(parse("--name=--help").text("name"), "--help");
  refuse(["--", "--help"], `unexpected argument "--help"`);
});

Deno.test("usage() shows every option and subcommand in 80 columns", () => {
  for (const program of [PROGRAM, SERVER_PROGRAM, CLIENT_PROGRAM] as Program<string>[]) {
    const text = usage(program);
    assert.ok(text.endsWith("\n") && !text.endsWith("\n\n"));
    for (const line of text.split("\n")) {
      assert.ok(line.length <= 80, line);
      assert.equal(line, line.trimEnd());
    }
    for (const { name, letter, value } of allOptions(program)) {
      const start = letter === undefined ? "" : `-${letter}, `;
      const optional = value?.isOptional && `[=${value.name}]`;
      const shown = optional ?? (value ? ` ${value.name}` : "");
      assert.ok(text.includes(`\n  ${start}--${name}${shown}  `), name);
    }
    for (const { name, argument } of program.subcommands) {
      assert.ok(text.includes(`\n       ${`${program.name} ${name} ${argument}`.trimEnd()}\n`));
    }
  }
  assert.equal(
    usage(PROGRAM),
    `Usage: program [--name NAME] [--count N] [--size N] [--time SECONDS] [--loud]
               [--ask | --file FILE] [--to[=FOLDER]]
       program drop THING
       program show THING

Does nothing.

Commands:
  drop THING      drop it
  show THING      show it

Options:
  --name NAME     a name
  --count N       a count
  --size N        a size
  --time SECONDS  a time
  --loud          make noise
  --ask           ask
  --file FILE     do not ask
  --to[=FOLDER]   where to
  -h, --help      print this help and exit
  -V, --version   print the version and exit

Examples:
  program --loud
      make noise
`,
  );
});

Deno.test("parseOptions() understands -h, -V and help as people expect", () => {
  for (const args of [["-h"], ["help"], ["help", "drop"], ["--loud", "help"], ["drop", "-h"]]) {
    assert.equal(parseOptions(PROGRAM, args), "help", args.join(" "));
  }
  assert.equal(parseOptions(PROGRAM, ["help", "--nonsense", "--count", "x"]), "help");
  assert.equal(parseOptions(PROGRAM, ["-V"]), "version");
  assert.equal(parse("--name", "help").text("name"), "help");
  assert.equal(parse("--", "drop", "help").subcommand?.argument, "help");
  assert.equal(parse("--name=-h").text("name"), "-h");
  assert.match(usage(PROGRAM), /^ {2}-h, --help .*\n {2}-V, --version /m);
});
