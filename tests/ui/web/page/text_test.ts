import { deepEqual, equal, ok } from "node:assert/strict";
import {
  continues,
  count,
  dayName,
  formatBytes,
  hueOf,
  isOnlyEmoji,
  isSameDay,
  split,
  timeLeft,
} from "../../../../lib/ui/web/page/text.js";
import * as words from "../../../../lib/ui/file_words.ts";

/** The parts of a text, shortly: `kind text`. */
const parts = (text: string) => split(text).map(({ kind, text }) => `${kind} ${text}`);

Deno.test("split() finds web addresses, without what ends the sentence or closes a bracket", () => {
  deepEqual(parts("see https://a.example/x. Or (http://b.example/y)?"), [
    "text see ",
    "link https://a.example/x",
    "text . Or (",
    "link http://b.example/y",
    "text )?",
  ]);
  deepEqual(parts("https://a.example/x_(y)"), ["link https://a.example/x_(y)"]);
  deepEqual(parts("<https://a.example/>"), ["text <", "link https://a.example/", "text >"]);
});

Deno.test("split() takes nothing but http and https for an address", () => {
  for (
    const text of ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "www.a.example"]
  ) {
    deepEqual(parts(text), [`text ${text}`]);
  }
});

Deno.test("split() ends an address at characters that turn the direction of a text", () => {
  deepEqual(parts("https://a.example/\u202Egpj.exe"), [
    "link https://a.example/",
    "text \u202Egpj.exe",
  ]);
});

Deno.test("split() finds code, and leaves what is in it alone", () => {
  deepEqual(parts("run `a https://b.example` now"), [
    "text run ",
    "code a https://b.example",
    "text  now",
  ]);
  deepEqual(parts("```sh\na `b`\nc\n```\nend"), ["block a `b`\nc", "text \nend"]);
  deepEqual(parts("``` not closed"), ["text ``` not closed"]);
  deepEqual(parts(""), []);
});

Deno.test("split() shows what would let code look other than it is", () => {
  deepEqual(split("`a\u202Eb` \u202Ec\n```\nif (x /*\u2066 y\u2069*/)\n```"), [
    { kind: "code", text: "a⟨202E⟩b" },
    { kind: "text", text: " \u202Ec\n" },
    { kind: "block", text: "if (x /*⟨2066⟩ y⟨2069⟩*/)" },
  ]);
});

Deno.test("split() loses no character of a text without code", () => {
  const text = 'a http://b.example/(c), <d> & "e"\n\u2066f\u2069 https://g.example!';
  equal(split(text).map(({ text }) => text).join(""), text);
});

Deno.test("split() takes time that grows with the text alone", () => {
  equal(split("`".repeat(20_000)).map(({ text }) => text).join("").length > 0, true);
  ok(split(`http://${")".repeat(20_000)}`).length >= 1);
});

Deno.test("isOnlyEmoji() is true for one to three emoji", () => {
  for (const text of ["👍", " 👋 🎉 ", "👩‍👩‍👧", "❤️🇨🇿👍🏽"]) ok(isOnlyEmoji(text), text);
  for (const text of ["", "a", "👍a", "1", "👍👍👍👍"]) ok(!isOnlyEmoji(text), text);
});

Deno.test("continues() groups the messages of one person within five minutes of a day", () => {
  const at = new Date(2026, 10, 29, 12, 0).getTime();
  const said = { type: "message", from: "a", at };
  const next = { ...said, at: at + 60_000 };
  ok(continues(said, next));
  ok(continues(said, { ...next, type: "file" }));
  ok(!continues(undefined, next));
  ok(!continues(said, { ...next, from: "b" }));
  ok(!continues(said, { ...next, at: at + 5 * 60_000 }));
  ok(!continues(said, { ...next, action: true }));
  ok(!continues(said, { ...next, late: "2026-11-29T11:00:00Z" }));
  ok(!continues(said, { ...next, view: "differs" }));
  ok(!continues(said, { ...next, hearsay: ["anna"] }));
  ok(!continues({ ...said, hearsay: ["anna"] }, next));
  ok(!continues({ type: "notice", at }, next));
  const midnight = new Date(2026, 10, 30).getTime();
  ok(!continues({ ...said, at: midnight - 1000 }, { ...said, at: midnight + 1000 }));
});

Deno.test("dayName() counts days, also over a change of the clocks", () => {
  const noon = (month: number, day: number) => new Date(2026, month, day, 12).getTime();
  equal(dayName(noon(10, 29), noon(10, 29)), "Today");
  equal(dayName(noon(10, 28), noon(10, 29)), "Yesterday");
  equal(dayName(noon(9, 24), noon(9, 25)), "Yesterday");
  equal(dayName(noon(2, 28), noon(2, 29)), "Yesterday");
  equal(dayName(noon(10, 27), noon(10, 29)), "Friday 27 November");
  ok(isSameDay(new Date(2026, 9, 25, 0, 5).getTime(), new Date(2026, 9, 25, 23, 55).getTime()));
});

Deno.test("bytes and times are written as on a terminal", () => {
  for (const bytes of [0, 1, 999, 1000, 1234, 99_949, 99_950, 999_499, 999_500, 12.4e6, 3e13]) {
    equal(formatBytes(bytes), words.formatBytes(bytes));
  }
  for (const [rest, speed] of [[0, 1], [10, 0], [119, 2], [120, 2], [7200, 1], [3_725, 1]]) {
    equal(timeLeft(rest!, speed!), words.timeLeft({ moved: 0, speed: speed! }, rest!));
  }
  equal(count(1, "file", "files"), "1 file");
  equal(count(2, "file", "files"), "2 files");
});

Deno.test("hueOf() is the same for the same key, and from 0 to 359", () => {
  equal(hueOf("SHA256:abc"), hueOf("SHA256:abc"));
  for (const letter of "abcdefghij") {
    const hue = hueOf(`SHA256:${letter.repeat(43)}`);
    ok(hue >= 0 && hue < 360);
  }
});
