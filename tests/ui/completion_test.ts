import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { commandNames, parseInput } from "../../lib/ui/commands.ts";
import { complete, type CompletionContext, REACTIONS } from "../../lib/ui/completion.ts";

const CONTEXT: CompletionContext = {
  nicks: [],
  rooms: ["lobby", "build"],
  face: "full",
  paths: () => [],
};

Deno.test("complete() offers commands, nicks and arguments", () => {
  const nicks = ["bob", "Anna", "anne", "Zoë"];
  const all = commandNames("full");
  // The bar is the cursor.
  const table: [line: string, replaced: string, candidates: string[]][] = [
    ["/he|", "/he", ["/help "]],
    ["/HE|", "/HE", ["/help "]],
    ["/m|", "/m", ["/msg ", "/me ", "/motd "]],
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
    ["/react |", "", [...REACTIONS]],
    ["/react 2 👍|", "👍", ["👍"]],
    ["/quote 2 an|", "an", ["Anna ", "anne "]],
    ["/ban b|", "b", ["bob "]],
    ["/ban bob |", "", []],
    ["/names b|", "b", []],
    ["/bell |", "", ["off", "private", "mention", "all"]],
    ["/bell M|", "M", ["mention"]],
    ["/bell off |", "", []],
    ["/timestamp d|", "d", ["date"]],
    ["/help ve|", "ve", ["verify"]],
    ["/help |", "", [...all, "keys"]],
    ["/help k|", "k", ["kick", "keys"]],
    ["/query b|", "b", ["bob "]],
    ["/invite b|", "b", ["bob "]],
    ["@an|", "@an", ["@Anna: ", "@anne: "]],
    ["hi @b|", "@b", ["@bob "]],
    ["/join |", "", ["lobby", "build"]],
    ["/part b|", "b", ["build"]],
    ["/notify m|", "m", ["mentions"]],
    ["/set b|", "b", ["bell"]],
    ["/set bell |", "", ["off", "private", "mention", "all"]],
    ["/set quiet o|", "o", ["off", "on"]],
    ["/set rooms |", "", []],
    ["/set nothing |", "", []],
    ["/nothing b|", "b", []],
    ["/ b|", "b", []],
  ];
  for (const [marked, replaced, candidates] of table) {
    const cursor = marked.indexOf("|");
    const line = marked.replace("|", "");
    const { start, end, candidates: got } = complete(line, cursor, { ...CONTEXT, nicks });
    assert.deepEqual(got, candidates, marked);
    assert.equal(line.slice(start, end), replaced, marked);
  }
  assert.deepEqual(
    complete("/", 1, { ...CONTEXT, nicks }).candidates.map((name) => name.trim()),
    all.map((name) => `/${name}`),
  );
});

Deno.test("complete() completes to lines that parseInput() understands", () => {
  for (const name of commandNames("full")) {
    const { candidates } = complete(`/${name}`, name.length + 1, CONTEXT);
    assert(candidates.some((candidate) => candidate.trim() === `/${name}`));
    try {
      assert.equal(parseInput(`/${name}`).type, "command");
    } catch (error) {
      assert(error instanceof UsageError);
      assert.match(error.hints.join(), /^usage: /);
    }
  }
});

Deno.test("complete() offers only commands that work in the face", () => {
  const offers = (start: string, face: CompletionContext["face"]) =>
    complete(start, start.length, { ...CONTEXT, face }).candidates;
  assert.deepEqual(offers("/fi", "full"), ["/files", "/find "]);
  assert.deepEqual(offers("/fi", "plain"), ["/files"]);
  assert.deepEqual(offers("/dn", "plain"), ["/dnd "]);
});

Deno.test("complete() completes the nick and the path of /send", () => {
  const files = ["film.mkv", "films/", "my film.mkv", "~/film.mkv"];
  const paths = (path: string) => files.filter((name) => name.startsWith(path));
  const table: [line: string, candidates: string[]][] = [
    ["/send fi", ["film.mkv", "films/"]],
    ["/send b", ["bob "]],
    ["/send bob fi", ["film.mkv", "films/"]],
    ["/send bob my", ["my\\ film.mkv"]],
    ["/send my\\ fi", ["my\\ film.mkv"]],
    ["/send ~/", ["~/film.mkv"]],
    ["/send carl fi", []],
  ];
  for (const [line, candidates] of table) {
    const context = { ...CONTEXT, nicks: ["bob"], paths };
    assert.deepEqual(complete(line, line.length, context).candidates, candidates, line);
  }
  const { start, end } = complete("/send bob my\\ fi", 16, { ...CONTEXT, nicks: ["bob"], paths });
  assert.deepEqual([start, end], [10, 16]);
});
