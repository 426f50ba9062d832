import assert from "node:assert/strict";
import { parseClientArguments, parseServerArguments } from "../../lib/cli/arguments.ts";
import { UsageError } from "../../lib/base/errors.ts";
import { CLIENT_PROGRAM, SERVER_PROGRAM } from "../../lib/cli/programs.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { KEY_BITS } from "../../lib/protocol/limits.ts";

const FINGERPRINT = encodeFingerprint(new Uint8Array(32).fill(7));

const SERVER_DEFAULTS = {
  type: "serve",
  host: undefined,
  port: 40623,
  password: undefined,
  allow: undefined,
  operators: undefined,
  metrics: undefined,
  cluster: undefined,
  motd: undefined,
  roomCapacity: 64,
  maxClients: 1024,
  key: undefined,
  keyBits: 3072,
  minKeyBits: 2048,
  announce: true,
  qr: false,
  share: undefined,
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
  standBy: true,
  nick: undefined,
  room: "lobby",
  password: undefined,
  to: undefined,
  strict: false,
  key: undefined,
  keyBits: 3072,
  minKeyBits: 2048,
  announce: true,
  qr: false,
  share: undefined,
  waitMs: 10_000,
  plain: false,
  web: undefined,
  own: true,
  stay: false,
  recap: false,
  files: true,
  direct: true,
  download: undefined,
  task: undefined,
  json: false,
  quiet: false,
  history: undefined,
  historyDays: 30,
};

Deno.test("parseServerArguments() gives defaults and given values", () => {
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
      ["--operators o --motd m", { operators: "o", motd: "m" }],
      ["--metrics 0", { metrics: { host: "127.0.0.1", port: 0 } }],
      ["--metrics [::1]:9464", { metrics: { host: "::1", port: 9464 } }],
      ["--room-capacity 1 --max-clients 1", { roomCapacity: 1, maxClients: 1 }],
      ["--room-capacity 256 --max-clients 65535", { roomCapacity: 256, maxClients: 65535 }],
      ["--key k --key-bits 1024 --min-key-bits 4096", {
        key: "k",
        keyBits: 1024,
        minKeyBits: 4096,
      }],
      ["--json --quiet --verbose", { json: true, quiet: true, verbose: true }],
      ["--no-announce --qr", { announce: false, qr: true }],
      ["--share", { share: { folder: undefined, port: 40680 } }],
      ["--share=f --share-port 0 --json", { share: { folder: "f", port: 0 }, json: true }],
    ] as const
  ) {
    const args = line.split(" ").filter(Boolean);
    assert.deepEqual(parseServerArguments(args), { ...SERVER_DEFAULTS, ...changes }, line);
  }
  assert.deepEqual(parseServerArguments(["--help"]), { type: "help" });
  assert.deepEqual(parseServerArguments(["--version"]), { type: "version" });
});

Deno.test("parseServerArguments() refuses invalid command lines", () => {
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
      "--share=",
      "--share f",
      "--share --share-port 65536",
      "--share-port 1",
      "--share --share",
      "--fingerprint x",
      "--list",
      "completions tcsh",
      "forget a",
    ]
  ) assert.throws(() => parseServerArguments(line.split(" ")), UsageError, line);
});

Deno.test("parseClientArguments() gives defaults and given values", () => {
  for (
    const [line, changes] of [
      ["", {}],
      ["--host a", { host: "a" }],
      ["--host a:1", { host: "a", port: 1 }],
      ["--host a --port 65535", { host: "a", port: 65535 }],
      ["--host [fe80::1%eth0]:7", { host: "fe80::1%eth0", port: 7 }],
      ["--serve", { serve: true }],
      ["--serve --share", { serve: true, share: { folder: undefined, port: 40680 } }],
      ["--serve --no-announce", { serve: true, announce: false }],
      ["--qr", { qr: true }],
      ["--serve --port 0", { serve: true, port: 0 }],
      ["--serve --host a", { serve: true, host: "a" }],
      ["--serve --no-stand-by", { serve: true, standBy: false }],
      [`--host a --fingerprint ${FINGERPRINT}`, { host: "a", fingerprint: FINGERPRINT }],
      ["--nick alice", { nick: "alice" }],
      ["--nick Ka\u0308the", { nick: "K\u00e4the" }],
      ["--room Kitchen", { room: "kitchen" }],
      ["--room #Lobby", { room: "lobby" }],
      ["--room ##c#", { room: "c#" }],
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
      ["--plain", { plain: true }],
      ["--history", { history: "on" }],
      ["--history-private --history-days 3650", { history: "private", historyDays: 3650 }],
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

Deno.test("parseClientArguments() parses history and export", () => {
  const history = { type: "history", room: "lobby", search: "", json: false, key: undefined };
  for (
    const [line, expected] of [
      ["history", history],
      ["history --json --room Attic", { ...history, room: "attic", json: true }],
      ["history --search red --since 2d", { ...history, search: "red since:2d" }],
      ["export --key k", { ...history, json: true, key: "k" }],
      ["history --forget", { type: "forget-history", room: undefined, key: undefined }],
      ["history --forget --room a", { type: "forget-history", room: "a", key: undefined }],
    ] as const
  ) assert.deepEqual(parseClientArguments(line.split(" ")), expected, line);
  for (const line of ["--search x", "--forget", "--history-days 0", "export --search x"]) {
    assert.throws(() => parseClientArguments(line.split(" ")), UsageError, line);
  }
});

Deno.test("parseClientArguments() refuses what --stay and --web cannot be used with", () => {
  const lines = ["--stay --json", "--stay --to bob", "--stay --no-own", "--web --plain"];
  for (const line of [...lines, "--recap --strict"]) {
    assert.throws(() => parseClientArguments(line.split(" ")), /cannot be used together/, line);
  }
});

Deno.test("parseClientArguments() parses send and receive", () => {
  const receive = { type: "receive", from: undefined, once: false, yes: false, exec: false };
  for (
    const [args, changes] of [
      [["--no-own"], { own: false }],
      [["--recap", "--stay"], { recap: true, stay: true }],
      [["--json", "--no-own"], { json: true, own: false }],
      [["--plain", "--to", "bob"], { plain: true, to: "bob" }],
      [["--stay", "--serve"], { stay: true, serve: true }],
      [["--no-files", "--no-direct", "--download", "d"], {
        files: false,
        direct: false,
        download: "d",
      }],
      [["send", "a", "b c", "--to", "bob", "--host", "h"], {
        host: "h",
        to: "bob",
        waitMs: 300_000,
        task: { type: "send", paths: ["a", "b c"] },
      }],
      [["send", "a", "--wait", "5", "--no-direct"], {
        direct: false,
        waitMs: 5000,
        task: { type: "send", paths: ["a"] },
      }],
      [["receive"], { download: ".", waitMs: 300_000, task: receive }],
      [["receive", "in", "--from", "bob", "--yes", "--once", "--exec"], {
        download: "in",
        waitMs: 300_000,
        task: { ...receive, from: "bob", once: true, yes: true, exec: true },
      }],
      [["receive", "--yes", "--strict"], {
        download: ".",
        strict: true,
        waitMs: 300_000,
        task: { ...receive, yes: true },
      }],
    ] as const
  ) {
    assert.deepEqual(parseClientArguments(args), { ...CLIENT_DEFAULTS, ...changes });
  }
  assert.throws(() => parseClientArguments(["send"]), /send needs an argument/);
  const piped = parseClientArguments(["send", "-", "a", "--to", "bob"]);
  assert.deepEqual("task" in piped && piped.task, { type: "send", paths: ["-", "a"] });
  for (const args of [["send", "-"], ["send", "-", "-", "--to", "bob"]]) {
    assert.throws(() => parseClientArguments(args), /standard input can be read only once/);
  }
  assert.throws(() => parseClientArguments(["receive", "a", "b"]), /unexpected argument/);
  assert.throws(() => parseClientArguments(["receive", "--yes"]), /--yes needs --from or --strict/);
  assert.throws(() => parseClientArguments(["--once"]), /--once is an option of receive/);
  assert.throws(() => parseClientArguments(["send", "a", "--json"]), /cannot be used with send/);
});

Deno.test("parseClientArguments() and parseServerArguments() parse doctor", () => {
  const asked = {
    type: "doctor",
    program: "client",
    host: undefined,
    port: 40623,
    fingerprint: undefined,
    password: undefined,
    cluster: undefined,
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

Deno.test("parseClientArguments() parses forget and join-key", () => {
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

Deno.test("parseClientArguments() refuses invalid command lines", () => {
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

Deno.test("parseClientArguments() never repeats a possible password", () => {
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

Deno.test("SERVER_PROGRAM and CLIENT_PROGRAM offer the supported key sizes", () => {
  let count = 0;
  for (const { value } of [...SERVER_PROGRAM.options, ...CLIENT_PROGRAM.options]) {
    if (value?.type !== "choice") continue;
    assert.deepEqual(value.choices, KEY_BITS);
    count++;
  }
  assert.equal(count, 4);
});
