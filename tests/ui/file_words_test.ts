import assert from "node:assert/strict";
import type { FileEvent } from "../../lib/session/mod.ts";
import {
  describeOffer,
  failureWords,
  fileNotice,
  formatBytes,
  formatDuration,
} from "../../lib/ui/file_words.ts";

const BOB = "SHA256:bob";
const names = { nickOf: (person: string) => person === BOB ? "bob" : person };
const textOf = (event: FileEvent) => fileNotice(event, names)?.text;
const common = { number: 3, id: "aa".repeat(16), fingerprint: BOB, name: "photos" };

Deno.test("formatBytes() gives three digits at most, and never 1000 of a unit", () => {
  const rows: [number, string][] = [
    [0, "0 B"],
    [812, "812 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [99_949, "99.9 kB"],
    [99_950, "100 kB"],
    [999_499, "999 kB"],
    [999_500, "1.0 MB"],
    [2_300_000, "2.3 MB"],
    [1_200_000_000, "1.2 GB"],
    [5e12, "5.0 TB"],
    [2 ** 53 - 1, "9007 TB"],
  ];
  for (const [bytes, text] of rows) assert.equal(formatBytes(bytes), text);
});

Deno.test("formatDuration() writes seconds, minutes and hours", () => {
  const rows: [number, string][] = [
    [0, "0.0 s"],
    [130, "0.1 s"],
    [9_949, "9.9 s"],
    [9_950, "10 s"],
    [59_400, "59 s"],
    [59_600, "1:00"],
    [125_000, "2:05"],
    [3_600_000, "1:00:00"],
  ];
  for (const [ms, text] of rows) assert.equal(formatDuration(ms), text);
});

Deno.test("an offer says what it is, and how to take it", () => {
  const offer = {
    event: "offer",
    number: 3,
    id: common.id,
    nick: "bob",
    fingerprint: BOB,
    trust: "known",
    room: true,
    private: false,
    kind: "folder",
    name: "photos",
    size: 1_200_000_000,
    files: 118,
    executable: false,
  } as const;
  assert.deepEqual(fileNotice(offer, names), {
    level: "answer",
    text: "bob offers the room (3): “photos”, a folder of 118 entries, 1.2 GB",
    hint: "/accept 3, or /decline 3",
  });
  const program = {
    name: "setup.exe",
    kind: "file",
    size: null,
    files: 1,
    executable: true,
  } as const;
  assert.equal(describeOffer(program), "“setup.exe”, of unknown size, a program");
});

Deno.test("what was sent and received says whose it is, how much, and what is missing", () => {
  const done = { ...common, bytes: 2_300_000, took: 130, skipped: 0 };
  assert.equal(textOf({ event: "sentfile", ...done }), "bob has photos (3): 2.3 MB in 0.1 s");
  assert.equal(
    textOf({ event: "received", ...done, skipped: 2, path: "/in/photos" }),
    "received from bob (3): /in/photos, 2.3 MB in 0.1 s; 2 entries could not be read there",
  );
  assert.equal(
    textOf({
      event: "offered",
      number: 1,
      id: common.id,
      name: "a",
      size: 5,
      files: 1,
      to: [BOB],
      room: false,
      leftOut: 1,
    }),
    "offered to bob (1): a, 5 B; 1 link or device is left out",
  );
});

Deno.test("of progress only a detour and a pause are told", () => {
  const moving = {
    event: "transfer",
    ...common,
    direction: "out",
    bytes: 1,
    size: 2,
    rate: 1,
  } as const;
  for (const state of ["waiting", "checking", "direct"] as const) {
    assert.equal(fileNotice({ ...moving, state }, names), undefined);
  }
  assert.match(
    textOf({ ...moving, state: "relayed" })!,
    /no way straight to bob.*through the server/,
  );
  assert.match(
    textOf({ ...moving, direction: "in", state: "paused" })!,
    /from bob.*when bob is back/,
  );
});

Deno.test("failureWords() has a sentence for each reason and each side", () => {
  const codes = [
    "declined",
    "cancelled",
    "busy",
    "disk-full",
    "changed",
    "unreadable",
    "name",
    "protocol",
    "lost",
  ] as const;
  const sentences = new Set<string>();
  for (const code of codes) {
    for (const direction of ["in", "out"] as const) {
      const failed = { ...common, code, direction, detail: "", missing: 3_100_000_000 };
      const { message } = failureWords(failed, "bob");
      assert.ok(message.length > 10 && !message.endsWith("."));
      sentences.add(message);
    }
  }
  assert.equal(sentences.size, 13);
  const full = {
    ...common,
    code: "disk-full",
    direction: "in",
    detail: "",
    missing: 3_100_000_000,
  } as const;
  assert.deepEqual(failureWords(full, "bob"), {
    message: "photos (3) is paused: the disk is full: 3.1 GB more are needed",
    hint: "then /accept 3",
  });
});
