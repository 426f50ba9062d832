import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { UsageError } from "../../lib/base/errors.ts";
import { commandNames, helpLines, parseInput } from "../../lib/ui/commands.ts";

/** Every command, in the order of `/help`. */
const NAMES = commandNames("full");

/** The error that `run` throws: message, and hint. */
function refusal(run: () => unknown): { message: string; hint: string } {
  try {
    run();
  } catch (error) {
    assert(error instanceof UsageError);
    return { message: error.message, hint: error.hints.join() };
  }
  throw new Error("not refused");
}

Deno.test("parseInput() takes a line without a slash as text, unchanged", () => {
  for (const text of ["hello", " /quit", "a\n/quit", "  indented ", "http://x/", ":-/"]) {
    assert.deepEqual(parseInput(text), { type: "text", text });
  }
  for (const blank of ["", " ", "\t", "\n \n", "\u3000"]) {
    assert.deepEqual(parseInput(blank), { type: "nothing" });
  }
});

Deno.test("parseInput() turns two slashes into a text with one", () => {
  assert.deepEqual(parseInput("//quit"), { type: "text", text: "/quit" });
  assert.deepEqual(parseInput("//"), { type: "text", text: "/" });
  assert.deepEqual(parseInput("///x"), { type: "text", text: "//x" });
});

Deno.test("parseInput() understands every command", () => {
  const table: [line: string, name: string, args: unknown][] = [
    ["/help", "help", ""],
    ["/help msg", "help", "msg"],
    ["/help /Msg ", "help", "/Msg"],
    ["/names", "names", ""],
    ["/NAMES  ", "names", ""],
    ["/msg bob hi there", "msg", { nick: "bob", text: "hi there" }],
    ["/msg  bob#QFhv  two\nlines ", "msg", { nick: "bob#QFhv", text: "two\nlines " }],
    ["/msg bob /quit", "msg", { nick: "bob", text: "/quit" }],
    ["/reply yes", "reply", "yes"],
    ["/me waves", "me", "waves"],
    ["/react 👍", "react", { which: "", text: "👍" }],
    ["/react 12 👍", "react", { which: "12", text: "👍" }],
    ["/react 00112233aabbccdd 👍", "react", { which: "00112233aabbccdd", text: "👍" }],
    ["/quote yes, both", "quote", { which: "", text: "yes, both" }],
    ["/quote 2 2 is right", "quote", { which: "2", text: "2 is right" }],
    ["/edit two\nlines ", "edit", "two\nlines "],
    ["/retract", "retract", ""],
    ["/history", "history", { count: 50 }],
    ["/history 7", "history", { count: 7 }],
    ["/recap", "recap", ""],
    ["/recap  ON ", "recap", "on"],
    ["/recap off", "recap", "off"],
    ["/history ON  private", "history", { turn: "private" }],
    ["/history off", "history", { turn: "off" }],
    ["/search from:bob build", "search", "from:bob build"],
    ["/topic", "topic", ""],
    ["/topic the weather", "topic", "the weather"],
    ["/nick Zoë", "nick", "Zoë"],
    ["/ignore ?QFhv", "ignore", "?QFhv"],
    ["/unignore bob ", "unignore", "bob"],
    ["/verify bob", "verify", { nick: "bob", yes: false }],
    ["/verify bob yes", "verify", { nick: "bob", yes: true }],
    ["/verify bob YES ", "verify", { nick: "bob", yes: true }],
    ["/trust bob", "trust", { nick: "bob", answer: "" }],
    ["/trust bob YES ", "trust", { nick: "bob", answer: "yes" }],
    ["/trust bob only", "trust", { nick: "bob", answer: "only" }],
    ["/away", "away", ""],
    ["/away at lunch", "away", "at lunch"],
    ["/back", "back", ""],
    ["/bell", "bell", ""],
    ["/timestamp", "timestamp", ""],
    ["/bell off", "bell", "off"],
    ["/bell private", "bell", "private"],
    ["/bell Mention ", "bell", "mention"],
    ["/bell all", "bell", "all"],
    ["/quiet", "quiet", ""],
    ["/timestamp off", "timestamp", "off"],
    ["/timestamp time", "timestamp", "time"],
    ["/timestamp date", "timestamp", "date"],
    ["/join #Build ", "join", "build"],
    ["/part", "part", ""],
    ["/part Build", "part", "build"],
    ["/list", "list", ""],
    ["/query bob", "query", "bob"],
    ["/close", "close", ""],
    ["/notify", "notify", ""],
    ["/notify Mentions", "notify", "mentions"],
    ["/set", "set", ["", ""]],
    ["/set bell off ", "set", ["bell", "off"]],
    ["/set rooms lobby, build", "set", ["rooms", "lobby, build"]],
    ["/dnd", "dnd", ""],
    ["/dnd 30", "dnd", "30"],
    ["/page 20", "page", "20"],
    ["/find two words", "find", "two words"],
    ["/invite bob", "invite", "bob"],
    ["/info", "info", ""],
    ["/invite", "invite", ""],
    ["/kick bob", "kick", "bob"],
    ["/ban bob", "ban", { name: "bob", seconds: 31_536_000 }],
    ["/ban bob 30m ", "ban", { name: "bob", seconds: 1800 }],
    ["/ban bob 2D", "ban", { name: "bob", seconds: 172_800 }],
    ["/unban bob", "unban", "bob"],
    ["/bans", "bans", ""],
    ["/announce closing at ten", "announce", "closing at ten"],
    ["/motd -", "motd", "-"],
    ["/motd be kind", "motd", "be kind"],
    ["/clear", "clear", ""],
    ["/show", "show", ""],
    ["/show 12 ", "show", "12"],
    ["/send bob 'a b.txt' ", "send", "bob 'a b.txt' "],
    ["/accept", "accept", { number: undefined, executable: false, as: undefined }],
    ["/accept 3", "accept", { number: 3, executable: false, as: undefined }],
    ["/accept +x", "accept", { number: undefined, executable: true, as: undefined }],
    ["/accept 3 +x as a b", "accept", { number: 3, executable: true, as: "a b" }],
    ["/accept as 'c d' ", "accept", { number: undefined, executable: false, as: "c d" }],
    ["/decline", "decline", { number: undefined }],
    ["/decline 12 ", "decline", { number: 12 }],
    ["/cancel 4", "cancel", 4],
    ["/files", "files", ""],
    ["/quit", "quit", ""],
  ];
  for (const [line, name, args] of table) {
    assert.deepEqual(parseInput(line), { type: "command", name, args }, line);
  }
  assert.deepEqual(new Set(table.map(([, name]) => name)), new Set(NAMES));
});

Deno.test("parseInput() refuses missing and wrong arguments with the usage", () => {
  const table: [line: string, message: string, usage: string][] = [
    ["/msg", "/msg needs an argument", "/msg NICK text"],
    ["/msg bob", "/msg cannot be used like that", "/msg NICK text"],
    ["/msg bob  ", "/msg cannot be used like that", "/msg NICK text"],
    ["/reply", "/reply needs an argument", "/reply text"],
    ["/me  ", "/me needs an argument", "/me text"],
    ["/nick", "/nick needs an argument", "/nick NAME"],
    ["/react", "/react needs an argument", "/react [N|id] EMOJI"],
    ["/quote 2", "/quote cannot be used like that", "/quote [N|id] text"],
    ["/retract 2", "/retract takes no arguments", "/retract"],
    ["/ban bob soon", "/ban cannot be used like that", "/ban NICK [TIME]"],
    ["/ban bob 2", "/ban cannot be used like that", "/ban NICK [TIME]"],
    ["/bans bob", "/bans takes no arguments", "/bans"],
    ["/nick a b", "/nick cannot be used like that", "/nick NAME"],
    ["/ignore", "/ignore needs an argument", "/ignore NICK"],
    ["/unignore a b", "/unignore cannot be used like that", "/unignore NICK"],
    ["/verify", "/verify needs an argument", "/verify NICK [yes]"],
    ["/verify bob no", "/verify cannot be used like that", "/verify NICK [yes]"],
    ["/verify bob yes yes", "/verify cannot be used like that", "/verify NICK [yes]"],
    ["/trust", "/trust needs an argument", "/trust NICK [yes|only]"],
    ["/trust bob no", "/trust cannot be used like that", "/trust NICK [yes|only]"],
    ["/bell loud", "/bell cannot be used like that", "/bell [off|private|mention|all]"],
    ["/join", "/join needs an argument", "/join ROOM"],
    ["/dnd 0", "/dnd cannot be used like that", "/dnd [MINUTES]"],
    ["/query a b", "/query cannot be used like that", "/query NICK"],
    ["/show x", "/show cannot be used like that", "/show [N]"],
    ["/timestamp x", "/timestamp cannot be used like that", "/timestamp [off|time|date]"],
    ["/help a b", "/help cannot be used like that", "/help [command|keys]"],
    ...["names", "quiet", "info", "list", "close", "clear", "quit"].map((
      name,
    ): [string, string, string] => [`/${name} x`, `/${name} takes no arguments`, `/${name}`]),
  ];
  for (const [line, message, usage] of table) {
    assert.deepEqual(refusal(() => parseInput(line)), { message, hint: `usage: ${usage}` }, line);
  }
});

Deno.test("parseInput() suggests the closest command for an unknown one", () => {
  const table: [line: string, closest: string][] = [
    ["/hlep", "/help"],
    ["/mgs bob hi", "/msg"],
    ["/verfiy", "/verify"],
    ["/nicks", "/nick"],
    ["/tim", "/timestamp"],
  ];
  for (const [line, closest] of table) {
    const { message, hint } = refusal(() => parseInput(line));
    assert.match(message, /^there is no command \/\S/);
    assert(hint.startsWith(`did you mean ${closest}`), hint);
    assert.match(hint, /\/\/ at the start sends a slash/);
  }
  for (const line of ["/usr/bin/env", "/xyzzy", "/7", "/connected"]) {
    assert.doesNotMatch(refusal(() => parseInput(line)).hint, /did you mean/, line);
  }
  for (const line of ["/", "/ quit"]) {
    const { message, hint } = refusal(() => parseInput(line));
    assert.equal(message, "there is no command /");
    assert.match(hint, /^\/help lists/);
  }
  // Names that every object has are no commands.
  for (const line of ["/constructor", "/__proto__", "/toString"]) refusal(() => parseInput(line));
});

Deno.test("parseInput() cleans and cuts an unknown name in the error", () => {
  assert.equal(refusal(() => parseInput("/\x1b[31m")).message, "there is no command /⟨001B⟩[31m");
  assert.equal(refusal(() => parseInput("/" + "x".repeat(8192))).message.length, 21 + 24);
});

Deno.test("parseInput() throws nothing but UsageError, whatever the line", () => {
  fc.assert(fc.property(
    fc.constantFrom("", "/", ...NAMES.map((name) => `/${name} `)),
    fc.string({ unit: "binary" }),
    (start, rest) => {
      try {
        assert(["nothing", "text", "command"].includes(parseInput(start + rest).type));
      } catch (error) {
        assert(error instanceof UsageError);
      }
    },
  ));
});

Deno.test("helpLines() lists every command on its own line, at most 76 columns wide", () => {
  const lines = helpLines();
  assert.equal(lines.length, NAMES.length + 1);
  NAMES.forEach((name, i) => assert.match(lines[i]!, new RegExp(`^/${name}( .*)?  [a-z]`)));
  for (const line of lines) assert(line.length <= 76, line);
});

Deno.test("helpLines() gives usage, summary and details of one command", () => {
  assert.deepEqual(helpLines("me"), ["/me text", "  say what you do: /me waves"]);
  assert.equal(helpLines("verify")[0], "/verify NICK [yes]");
  for (const name of NAMES) {
    const lines = helpLines(name);
    assert(lines.length >= 2);
    assert.equal(lines[0]!.split(" ")[0], `/${name}`);
    for (const line of lines) assert(line.length <= 100, line);
  }
  assert.match(refusal(() => helpLines("verfy")).hint, /^did you mean \/verify\?/);
});

Deno.test("parseInput() names the right command for what people know from elsewhere", () => {
  const table: [line: string, names: RegExp][] = [
    ["/who", /^\/names /],
    ["/WHO bob", /^\/names /],
    ["/users", /^\/names /],
    ["/whois bob", /\/verify NICK/],
    ["/w bob hi", /\/names .*\/msg NICK text/],
    ["/pm bob", /^\/msg NICK text .*\/query NICK/],
    ["/exit", /^\/quit /],
    ["/leave lobby", /^\/part .*\/quit /],
    ["/j lobby", /^\/join ROOM/],
    ["/rooms", /^\/list /],
    ["/servers", /client --list/],
    ["/settings", /^\/set /],
  ];
  for (const [line, names] of table) {
    const { hint } = refusal(() => parseInput(line));
    assert.match(hint, names, line);
    assert.match(hint, /\/help lists the commands, \/\/ at the start sends a slash$/);
  }
});
