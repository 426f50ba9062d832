import { deepEqual, equal, match, ok } from "node:assert/strict";
import { commandOf } from "../../../lib/base/command.ts";
import { baseOf, fetchLine, fetchLines, writePage } from "../../../lib/cli/share/page.ts";

const SUM = "ab".repeat(32);
const LINUX = {
  isWindows: false,
  path: "/linux-x86_64/client",
  name: "client",
  kind: "Linux, Intel or AMD",
  size: 93_802_155,
  sha256: SUM,
};
const WINDOWS = {
  ...LINUX,
  isWindows: true,
  path: "/windows-x86_64/client.exe",
  name: "client.exe",
  kind: "Windows",
};
const BASE = baseOf("192.168.1.20", 40680);
const INVITATION = `${commandOf("client")} --host 192.168.1.20 --fingerprint SHA256:x`;

Deno.test("fetchLine() fetches the program and joins with the invitation's options", () => {
  equal(
    fetchLine(LINUX, BASE, INVITATION),
    "curl -fO http://192.168.1.20:40680/linux-x86_64/client && chmod +x client && " +
      "./client --host 192.168.1.20 --fingerprint SHA256:x",
  );
  equal(
    fetchLine(WINDOWS, BASE, `${INVITATION} --room 'anna'\\''s'`),
    "curl.exe -fO http://192.168.1.20:40680/windows-x86_64/client.exe; if ($?) { " +
      ".\\client.exe --host 192.168.1.20 --fingerprint SHA256:x --room 'anna''s' }",
  );
  match(fetchLine(LINUX, baseOf("fd00::2", 1), INVITATION), /-fO 'http:\/\/\[fd00::2\]:1\/linux/);
});

Deno.test("fetchLines() gives each kind its line and checksum, but not of a file that is being changed", () => {
  deepEqual(fetchLines([LINUX, { ...WINDOWS, sha256: undefined }], BASE, INVITATION), [
    "Linux, Intel or AMD:",
    `    ${fetchLine(LINUX, BASE, INVITATION)}`,
    `    SHA-256 ${SUM}`,
  ]);
});

Deno.test("writePage() shows the lines and sums, escaped, or that the room is moving", () => {
  const page = writePage([LINUX, WINDOWS], BASE, `${INVITATION} --room '<b>&'`);
  for (
    const part of [
      "<span>--room</span> '&lt;b&gt;&amp;'</pre>",
      `<a href="/windows-x86_64/client.exe">client.exe</a>, 94 MB. SHA-256:<br><code>${SUM}</code>`,
      "if ($?)",
    ]
  ) ok(page.includes(part), part);
  ok(!/<script|<b>/.test(page));
  const moving = writePage([LINUX], BASE, undefined);
  ok(moving.includes("The room is moving, try again."));
  ok(moving.includes(SUM) && !moving.includes("--host"));
});
