import assert from "node:assert/strict";
import { parseClientArguments, parseServerArguments } from "../../lib/cli/arguments.ts";
import { UsageError } from "../../lib/base/errors.ts";
import { CLIENT_PROGRAM, SERVER_PROGRAM } from "../../lib/cli/programs.ts";
import { encodeFingerprint, KEY_BITS } from "../../lib/protocol/identity.ts";

const FINGERPRINT = encodeFingerprint(new Uint8Array(32).fill(7));

const SERVER_DEFAULTS = {
  type: "serve",
  host: undefined,
  port: 40623,
  password: undefined,
  allow: undefined,
  roomCapacity: 64,
  maxClients: 1024,
  key: undefined,
  keyBits: 3072,
  minKeyBits: 2048,
  announce: true,
  qr: true,
  json: false,
  quiet: false,
  verbose: false,
};

const CLIENT_DEFAULTS = {
  type: "chat",
  host: undefined,
  port: 40623,
  fingerprint: undefined,
  serve: false,
  nick: undefined,
  room: "lobby",
  password: undefined,
  to: undefined,
  strict: false,
  key: undefined,
  keyBits: 3072,
  minKeyBits: 2048,
  announce: true,
  qr: true,
  waitMs: 10_000,
  json: false,
  quiet: false,
};

Deno.test("parseServerArguments() gives defaults and what was given", () => {
  for (
    const [line, changes] of [
      ["", {}],
      ["--host 192.168.1.20 --port 0", { host: "192.168.1.20", port: 0 }],
      ["--host ::1", { host: "::1" }],
      ["--host [::1]", { host: "::1" }],
      ["--port 65535", { port: 65535 }],
      ["--password", { password: { from: "prompt" } }],
      ["--password-file p", { password: { from: "file", path: "p" } }],
      ["--join-key-file j", { password: { from: "join-key-file", path: "j" } }],
      ["--allow a", { allow: "a" }],
      ["--room-capacity 1 --max-clients 1", { roomCapacity: 1, maxClients: 1 }],
      ["--room-capacity 256 --max-clients 65535", { roomCapacity: 256, maxClients: 65535 }],
      ["--key k --key-bits 1024 --min-key-bits 4096", {
        key: "k",
        keyBits: 1024,
        minKeyBits: 4096,
      }],
      ["--json --quiet --verbose", { json: true, quiet: true, verbose: true }],
      ["--no-announce --no-qr", { announce: false, qr: false }],
    ] as const
  ) {
    const args = line.split(" ").filter(Boolean);
    assert.deepEqual(parseServerArguments(args), { ...SERVER_DEFAULTS, ...changes }, line);
  }
  assert.deepEqual(parseServerArguments(["--help"]), { type: "help" });
  assert.deepEqual(parseServerArguments(["--version"]), { type: "version" });
});

Deno.test("parseServerArguments() refuses what means nothing", () => {
  for (
    const line of [
      "--host",
      "--host a:1",
      "--host [::1]:1",
      "--host a/b",
      "--port 65536",
      "--port -1",
      "--port=",
      "--password x",
      "--password --password-file p",
      "--password --join-key-file p",
      "--password-file p --join-key-file p",
      "--room-capacity 0",
      "--room-capacity 257",
      "--max-clients 0",
      "--max-clients 65536",
      "--key-bits 512",
      "--min-key-bits 3000",
      "--nick x",
      "--serve",
      "--fingerprint x",
      "--list",
      "completions tcsh",
      "forget a",
    ]
  ) assert.throws(() => parseServerArguments(line.split(" ")), UsageError, line);
});

Deno.test("parseClientArguments() gives defaults and what was given", () => {
  for (
    const [line, changes] of [
      ["", {}],
      ["--host a", { host: "a" }],
      ["--host a:1", { host: "a", port: 1 }],
      ["--host a --port 65535", { host: "a", port: 65535 }],
      ["--host [fe80::1%eth0]:7", { host: "fe80::1%eth0", port: 7 }],
      ["--serve", { serve: true }],
      ["--serve --no-announce", { serve: true, announce: false }],
      ["--no-qr", { qr: false }],
      ["--serve --port 0", { serve: true, port: 0 }],
      ["--serve --host a", { serve: true, host: "a" }],
      [`--host a --fingerprint ${FINGERPRINT}`, { host: "a", fingerprint: FINGERPRINT }],
      ["--nick alice", { nick: "alice" }],
      ["--nick Ka\u0308the", { nick: "K\u00e4the" }],
      ["--room Kitchen", { room: "kitchen" }],
      ["--password", { password: { from: "prompt" } }],
      ["--password-file=-", { password: { from: "file", path: "-" } }],
      ["--to bob#a1b2 --strict", { to: "bob#a1b2", strict: true }],
      ["--wait 0", { waitMs: 0 }],
      ["--wait 0.25", { waitMs: 250 }],
      ["--wait 86400", { waitMs: 86_400_000 }],
      ["--key k --key-bits 4096 --min-key-bits 1024", {
        key: "k",
        keyBits: 4096,
        minKeyBits: 1024,
      }],
      ["--json --quiet", { json: true, quiet: true }],
    ] as const
  ) {
    const args = line.split(" ").filter(Boolean);
    assert.deepEqual(parseClientArguments(args), { ...CLIENT_DEFAULTS, ...changes }, line);
  }
  assert.deepEqual(parseClientArguments(["--list"]), { type: "list", json: false });
  assert.deepEqual(parseClientArguments(["--list", "--json"]), { type: "list", json: true });
  assert.deepEqual(parseClientArguments(["forget", "--help"]), { type: "help" });
  assert.deepEqual(parseClientArguments(["--version"]), { type: "version" });
});

Deno.test("parseClientArguments() and parseServerArguments() know doctor", () => {
  const asked = {
    type: "doctor",
    program: "client",
    host: undefined,
    port: 40623,
    fingerprint: undefined,
    password: undefined,
    key: undefined,
    json: false,
  };
  for (
    const [line, changes] of [
      ["doctor", {}],
      ["doctor --host a:7 --json", { host: "a", port: 7, json: true }],
      [`doctor --fingerprint ${FINGERPRINT}`, { fingerprint: FINGERPRINT }],
      ["doctor --password-file p --key k", { password: { from: "file", path: "p" }, key: "k" }],
    ] as const
  ) assert.deepEqual(parseClientArguments(line.split(" ")), { ...asked, ...changes }, line);
  for (
    const [line, changes] of [
      ["doctor", {}],
      ["doctor --host ::1 --port 7 --key k --json", { host: "::1", port: 7, key: "k", json: true }],
    ] as const
  ) {
    const expected = { ...asked, program: "server", ...changes };
    assert.deepEqual(parseServerArguments(line.split(" ")), expected, line);
  }
  for (const line of ["doctor a", "doctor --port 0", "doctor --quiet", "doctor --no-announce"]) {
    for (const parse of [parseClientArguments, parseServerArguments]) {
      assert.throws(() => parse(line.split(" ")), UsageError, line);
    }
  }
});

Deno.test("parseClientArguments() knows forget and join-key", () => {
  for (
    const [host, parsed] of [
      ["a", { host: "a", port: 40623 }],
      ["a:7", { host: "a", port: 7 }],
      ["::1", { host: "::1", port: 40623 }],
      ["[::1]:7", { host: "::1", port: 7 }],
    ] as const
  ) assert.deepEqual(parseClientArguments(["forget", host]), { type: "forget", ...parsed });
  const joinKey = { type: "join-key", fingerprint: FINGERPRINT };
  assert.deepEqual(parseClientArguments(["join-key", FINGERPRINT]), {
    ...joinKey,
    password: undefined,
  });
  assert.deepEqual(parseClientArguments(["join-key", FINGERPRINT, "--password-file", "p"]), {
    ...joinKey,
    password: { from: "file", path: "p" },
  });
});

Deno.test("parseClientArguments() refuses what means nothing", () => {
  for (
    const line of [
      "--host",
      "--host a:0",
      "--host a:1 --port 1",
      "--host [::1]:1 --port 2",
      "--port 0",
      "--port 0 --host a",
      "--port 0 --host a --serve",
      "--port 65536",
      "--nick -x",
      "--nick=-x",
      "--nick a/b",
      "--nick ＠",
      "--room=\u202e",
      `--room=${"r".repeat(65)}`,
      "--wait 86400.1",
      "--wait -1",
      "--password --password-file p",
      "--join-key-file j",
      "--verbose",
      "--list --host a",
      "--list --quiet",
      "--fingerprint x",
      `--fingerprint ${FINGERPRINT} --serve`,
      "completions tcsh",
      "192.168.1.20",
      "forget",
      "forget a b",
      "forget a:0",
      "forget a --quiet",
      "forget a --port 1",
      "join-key",
      `join-key ${FINGERPRINT.slice(0, -1)}`,
      `join-key ${FINGERPRINT.slice(0, -1)}d`,
      `join-key ${FINGERPRINT} --nick a`,
    ]
  ) assert.throws(() => parseClientArguments(line.split(" ")), UsageError, line);
});

Deno.test("parseClientArguments() never repeats what may be a password", () => {
  for (const args of [["--password", "hunter2"], ["join-key", "--password", "hunter2"]]) {
    for (const given of [args, [...args, "--json"], [...args, FINGERPRINT]]) {
      assert.throws(() => parseClientArguments(given), (error) => {
        assert.ok(error instanceof UsageError);
        assert.ok(!`${error.message} ${error.hints}`.includes("hunter2"), error.message);
        return true;
      });
    }
  }
});

Deno.test("SERVER_PROGRAM and CLIENT_PROGRAM offer the key sizes there are", () => {
  let count = 0;
  for (const { value } of [...SERVER_PROGRAM.options, ...CLIENT_PROGRAM.options]) {
    if (value?.type !== "choice") continue;
    assert.deepEqual(value.choices, KEY_BITS);
    count++;
  }
  assert.equal(count, 4);
});
