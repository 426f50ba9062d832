import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import {
  type CommandName,
  complete,
  helpLines,
  type Input,
  parseInput,
} from "../../lib/ui/commands.ts";

/** Every command as the design lists it. */
const NAMES: readonly CommandName[] = [
  ..."help names msg reply me nick ignore unignore verify trust".split(" "),
  ..."away bell quiet timestamp info invite clear quit".split(" "),
] as CommandName[];

function error(input: Input): { message: string; hint: string } {
  assert.equal(input.type, "error");
  return input as { message: string; hint: string };
}

Deno.test("parseInput() takes what begins without a slash as text, exactly", () => {
  for (const text of ["hello", " /quit", "a\n/quit", "  indented ", "http://x/", ":-/"]) {
    assert.deepEqual(parseInput(text), { type: "text", text });
  }
  for (const blank of ["", " ", "\t", "\n \n", "\u3000"]) {
    assert.deepEqual(parseInput(blank), { type: "nothing" });
  }
});

Deno.test("parseInput() sends one slash for two", () => {
  assert.deepEqual(parseInput("//quit"), { type: "text", text: "/quit" });
  assert.deepEqual(parseInput("//"), { type: "text", text: "/" });
  assert.deepEqual(parseInput("///x"), { type: "text", text: "//x" });
});

Deno.test("parseInput() understands every command", () => {
  const table: [line: string, command: Record<string, unknown>][] = [
    ["/help", { name: "help", topic: undefined }],
    ["/help msg", { name: "help", topic: "msg" }],
    ["/help /Msg ", { name: "help", topic: "msg" }],
    ["/names", { name: "names" }],
    ["/NAMES  ", { name: "names" }],
    ["/msg bob hi there", { name: "msg", nick: "bob", text: "hi there" }],
    ["/msg  bob#QFhv  two\nlines ", { name: "msg", nick: "bob#QFhv", text: "two\nlines " }],
    ["/msg bob /quit", { name: "msg", nick: "bob", text: "/quit" }],
    ["/reply yes", { name: "reply", text: "yes" }],
    ["/me waves", { name: "me", text: "waves" }],
    ["/nick Zoë", { name: "nick", nick: "Zoë" }],
    ["/ignore ?QFhv", { name: "ignore", nick: "?QFhv" }],
    ["/unignore bob ", { name: "unignore", nick: "bob" }],
    ["/verify bob", { name: "verify", nick: "bob", yes: false }],
    ["/verify bob yes", { name: "verify", nick: "bob", yes: true }],
    ["/verify bob YES ", { name: "verify", nick: "bob", yes: true }],
    ["/trust bob", { name: "trust", nick: "bob" }],
    ["/away", { name: "away", text: "" }],
    ["/away at lunch", { name: "away", text: "at lunch" }],
    ["/bell off", { name: "bell", mode: "off" }],
    ["/bell private", { name: "bell", mode: "private" }],
    ["/bell Mention ", { name: "bell", mode: "mention" }],
    ["/bell all", { name: "bell", mode: "all" }],
    ["/quiet", { name: "quiet" }],
    ["/timestamp off", { name: "timestamp", mode: "off" }],
    ["/timestamp time", { name: "timestamp", mode: "time" }],
    ["/timestamp date", { name: "timestamp", mode: "date" }],
    ["/info", { name: "info" }],
    ["/invite", { name: "invite" }],
    ["/clear", { name: "clear" }],
    ["/quit", { name: "quit" }],
  ];
  for (const [line, command] of table) {
    assert.deepEqual(parseInput(line), { type: "command", ...command }, line);
  }
  assert.deepEqual(new Set(table.map(([, { name }]) => name)), new Set(NAMES));
});

Deno.test("parseInput() answers missing and wrong arguments with the usage", () => {
  const table: [line: string, message: string, usage: string][] = [
    ["/msg", "/msg needs to know more", "/msg NICK text"],
    ["/msg bob", "/msg cannot be used like that", "/msg NICK text"],
    ["/msg bob  ", "/msg cannot be used like that", "/msg NICK text"],
    ["/reply", "/reply needs to know more", "/reply text"],
    ["/me  ", "/me needs to know more", "/me text"],
    ["/nick", "/nick needs to know more", "/nick NAME"],
    ["/nick a b", "/nick cannot be used like that", "/nick NAME"],
    ["/ignore", "/ignore needs to know more", "/ignore NICK"],
    ["/unignore a b", "/unignore cannot be used like that", "/unignore NICK"],
    ["/verify", "/verify needs to know more", "/verify NICK [yes]"],
    ["/verify bob no", "/verify cannot be used like that", "/verify NICK [yes]"],
    ["/verify bob yes yes", "/verify cannot be used like that", "/verify NICK [yes]"],
    ["/trust", "/trust needs to know more", "/trust NICK"],
    ["/bell", "/bell needs to know more", "/bell off|private|mention|all"],
    ["/bell loud", "/bell cannot be used like that", "/bell off|private|mention|all"],
    ["/timestamp", "/timestamp needs to know more", "/timestamp off|time|date"],
    ["/help a b", "/help cannot be used like that", "/help [command]"],
    ...["names", "quiet", "info", "invite", "clear", "quit"].map((
      name,
    ): [string, string, string] => [`/${name} x`, `/${name} takes no arguments`, `/${name}`]),
  ];
  for (const [line, message, usage] of table) {
    assert.deepEqual(parseInput(line), { type: "error", message, hint: `usage: ${usage}` }, line);
  }
});

Deno.test("parseInput() names the nearest command for an unknown one", () => {
  const table: [line: string, nearest: string][] = [
    ["/hlep", "/help"],
    ["/mgs bob hi", "/msg"],
    ["/exit", "/quit"],
    ["/nicks", "/nick"],
    ["/help verfy", "/verify"],
    ["/tim", "/timestamp"],
    ["/usr/bin/env", ""],
  ];
  for (const [line, nearest] of table) {
    const { message, hint } = error(parseInput(line));
    assert.match(message, /^there is no command \/\S/);
    assert(hint.startsWith(`did you mean ${nearest}`), hint);
    assert.match(hint, /\/\/ at the start sends a slash/);
  }
  for (const line of ["/", "/ quit"]) {
    const { message, hint } = error(parseInput(line));
    assert.equal(message, "there is no command /");
    assert.match(hint, /^\/help lists/);
  }
  // What is no command of the table is none, whatever objects have.
  for (const line of ["/constructor", "/__proto__", "/toString"]) error(parseInput(line));
});

Deno.test("parseInput() shows an unknown name cleaned and cut", () => {
  assert.equal(error(parseInput("/\x1b[31m")).message, "there is no command /⟨001B⟩[31m");
  assert.equal(error(parseInput("/" + "x".repeat(8192))).message.length, 21 + 24);
});

Deno.test("parseInput() takes any line without throwing", () => {
  fc.assert(fc.property(
    fc.constantFrom("", "/", ...NAMES.map((name) => `/${name} `)),
    fc.string({ unit: "binary" }),
    (start, rest) => {
      const input = parseInput(start + rest);
      assert(["nothing", "text", "command", "error"].includes(input.type));
    },
  ));
});

Deno.test("helpLines() lists every command on a line of its own that fits 80 columns with room before it", () => {
  const lines = helpLines();
  assert.equal(lines.length, NAMES.length + 1);
  NAMES.forEach((name, i) => assert.match(lines[i]!, new RegExp(`^/${name}( .*)?  [a-z]`)));
  for (const line of lines) assert(line.length <= 76, line);
});

Deno.test("helpLines() tells usage, summary and details of one command", () => {
  assert.deepEqual(helpLines("reply"), ["/reply text", "  answer the last private message"]);
  assert.equal(helpLines("verify")[0], "/verify NICK [yes]");
  for (const name of NAMES) {
    const lines = helpLines(name);
    assert(lines.length >= 2);
    assert.equal(lines[0]!.split(" ")[0], `/${name}`);
    for (const line of lines) assert(line.length <= 100, line);
  }
});

Deno.test("complete() offers commands, nicks and arguments", () => {
  const nicks = ["bob", "Anna", "anne", "Zoë"];
  const all = NAMES.map((name) => name as string);
  // The cursor stands at the bar.
  const table: [line: string, replaced: string, candidates: string[]][] = [
    ["/he|", "/he", ["/help "]],
    ["/HE|", "/HE", ["/help "]],
    ["/m|", "/m", ["/msg ", "/me "]],
    ["/qui|", "/qui", ["/quiet", "/quit"]],
    ["/x|", "/x", []],
    ["|", "", ["bob: ", "Anna: ", "anne: ", "Zoë: "]],
    ["b|", "b", ["bob: "]],
    ["an|", "an", ["Anna: ", "anne: "]],
    ["zo|", "zo", ["Zoë: "]],
    ["ZOË|", "ZOË", ["Zoë: "]],
    ["x|", "x", []],
    ["hi b|", "b", ["bob "]],
    ["hi b| there", "b ", ["bob "]],
    ["hi an| there", "an", ["Anna ", "anne "]],
    ["hi b|\nthere", "b", ["bob "]],
    ["hi bo|b", "bo", ["bob "]],
    [" b|", "b", ["bob "]],
    ["//b|", "//b", []],
    ["//x b|", "b", ["bob "]],
    ["/msg b|", "b", ["bob "]],
    ["/msg |", "", ["bob ", "Anna ", "anne ", "Zoë "]],
    ["/msg  b|", "b", ["bob "]],
    ["/msg b|  hi", "b ", ["bob "]],
    ["/msg bob hi an|", "an", ["Anna ", "anne "]],
    ["/me hugs b|", "b", ["bob "]],
    ["/away with b|", "b", ["bob "]],
    ["/verify b|", "b", ["bob "]],
    ["/verify bob |", "", ["yes"]],
    ["/verify bob yes |", "", []],
    ["/ignore bob a|", "a", []],
    ["/nick b|", "b", []],
    ["/names b|", "b", []],
    ["/bell |", "", ["off", "private", "mention", "all"]],
    ["/bell M|", "M", ["mention"]],
    ["/bell off |", "", []],
    ["/timestamp d|", "d", ["date"]],
    ["/help ve|", "ve", ["verify"]],
    ["/help |", "", all],
    ["/nothing b|", "b", []],
    ["/ b|", "b", []],
  ];
  for (const [marked, replaced, candidates] of table) {
    const cursor = marked.indexOf("|");
    const line = marked.replace("|", "");
    const { start, end, candidates: got } = complete(line, cursor, { nicks });
    assert.deepEqual(got, candidates, marked);
    assert.equal(line.slice(start, end), replaced, marked);
  }
  assert.deepEqual(
    complete("/", 1, { nicks }).candidates.map((name) => name.trim()),
    all.map((name) => `/${name}`),
  );
});

Deno.test("complete() leads to lines that parseInput() understands", () => {
  for (const name of NAMES) {
    const { candidates } = complete(`/${name}`, name.length + 1, { nicks: [] });
    assert(candidates.some((candidate) => candidate.trim() === `/${name}`));
    const input = parseInput(`/${name}`);
    if (input.type === "error") assert.match(input.hint, /^usage: /);
    else assert.equal(input.type, "command");
  }
});
