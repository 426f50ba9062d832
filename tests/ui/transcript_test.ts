import assert from "node:assert/strict";
import type { Entry } from "../../lib/ui/conversation.ts";
import { Typesetter } from "../../lib/ui/terminal/mod.ts";
import { transcript } from "../../lib/ui/transcript.ts";
import { messageEntry } from "../support/entries.ts";

const NOON = new Date(2026, 0, 2, 12, 4).getTime();
const TEXT = new Typesetter({ utf8: true });

const notice = (some: Partial<Entry & { type: "notice" }>): Entry => (
  { type: "notice", seq: 1, version: 0, at: NOON, level: "info", text: "hm", hint: "", ...some }
);
const message = (some: Parameters<typeof messageEntry>[0]) => messageEntry({ at: NOON, ...some });

Deno.test("transcript() writes each entry in one line, however long", () => {
  const long = "x ".repeat(200).trim();
  assert.deepEqual(
    transcript([
      message({ text: long }),
      message({ nick: "anna", trust: "self", own: true, text: "two\nlines" }),
      message({ action: true, text: "waves" }),
      message({ text: "", retracted: true }),
      notice({}),
      notice({ level: "warning", text: "careful", hint: "do this" }),
    ], TEXT),
    [
      `12:04 bob∙: ${long}`,
      "12:04 anna: two",
      "      lines",
      "12:04 * bob∙ waves",
      "12:04 bob∙: (taken back)",
      "12:04 -- hm",
      "12:04 !! careful",
      "      do this",
    ],
  );
});

Deno.test("transcript() of the last messages has what stands between and after them", () => {
  const entries = [
    message({ text: "1" }),
    message({ text: "2" }),
    notice({}),
    message({ text: "3" }),
    notice({}),
  ];
  const words = (last: number) =>
    transcript(entries, TEXT, { last }).map((line) => line.split(" ").at(-1));
  assert.deepEqual(words(2), ["2", "hm", "3", "hm"]);
  assert.deepEqual(words(0), []);
  assert.deepEqual(words(99).length, 5);
});

Deno.test("transcript() cleans what others wrote", () => {
  const [line] = transcript([message({ text: "\x1b[2J\u202e" })], TEXT);
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(line!, /[\x1b\u202e]/);
});

Deno.test("transcript() says who vouches for hearsay", () => {
  const hearsay = ["anna", "ca\x1brl"];
  assert.deepEqual(
    transcript([
      message({ hearsay, text: "hi" }),
      message({ hearsay, text: "waves", action: true }),
      message({ hearsay, text: "hi", replaced: true }),
    ], TEXT),
    [
      "12:04 bob? (told by anna and ca⟨001B⟩rl): hi",
      "12:04 * bob? (told by anna and ca⟨001B⟩rl) waves",
      "12:04 bob? (told by anna and ca⟨001B⟩rl): has come from its author since",
    ],
  );
});
