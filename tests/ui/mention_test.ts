import assert from "node:assert/strict";
import { mentionPattern, mentions } from "../../lib/ui/mention.ts";

const MENTIONS: [string, boolean][] = [
  ["bob", true],
  ["hi bob", true],
  ["BOB: look", true],
  ["@bob!", true],
  ["it is bob.", true],
  ["bob's", true],
  ["(bob)", true],
  ["bob-", true],
  ["bobby", false],
  ["abob", false],
  ["bob2", false],
  ["bob_", false],
  ["bob-2", false],
  ["x.bob", false],
  ["böb", false],
  ["bob\u0301", false],
  ["", false],
];

Deno.test("mentions() finds whole words without case", () => {
  for (const [text, expected] of MENTIONS) assert.equal(mentions(text, "bob"), expected, text);
  assert.equal(mentions("Grüße an JÖRG.", "jörg"), true);
  assert.equal(mentions("axb", "a.b"), false);
  assert.equal(mentions("a.b", "a.b"), true);
});

Deno.test("mentions() takes every nick literally", () => {
  for (const nick of ["jean-luc", "a.b-c_d", "bob#a1b2", "?a+/b", "j<F6>rg", "日本-2"]) {
    assert.equal(mentions(`hi ${nick}, look`, nick), true, nick);
    assert.equal(mentions("hi there", nick), false, nick);
    const [match] = `hi ${nick}`.matchAll(mentionPattern(nick));
    assert.equal(match?.index, 3);
  }
});
