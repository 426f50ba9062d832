/**
 * Bad input: one clear line, a hint if the user can fix it, the right exit code, no stack trace, and no loss of accepted
 * input.
 *
 * @module
 */

import assert from "node:assert/strict";
import { MAX_LINE_BYTES } from "../../lib/ui/standard_input.ts";
import {
  type Conversation,
  fingerprintOf,
  freePort,
  type Program,
  type World,
} from "../support/programs.ts";

type Which = "client" | "server";

/** A command line that must fail. */
interface Mistake {
  readonly which: Which;
  readonly args: readonly string[];
  /** 2 if the command line is not understood; else 1. */
  readonly code?: 1 | 2;
  readonly message: RegExp;
  /** undefined: any hints, or none. */
  readonly hint?: RegExp;
  readonly env?: Readonly<Record<string, string>>;
  /** The state folder; one with keys in it by default. */
  readonly home?: string;
}

const wrongLine = (
  which: Which,
  args: readonly string[],
  message: RegExp,
  hint?: RegExp,
): Mistake => ({ which, args, code: 2, message, ...(hint && { hint }) });

const WRONG_LINES: readonly Mistake[] = [
  wrongLine("client", ["--hots", "x"], /unknown option "--hots"/, /did you mean --host\?/),
  wrongLine(
    "client",
    ["-x"],
    /unknown option "-x"/,
    /^client: hint: try "(\.\/|(npx --yes deno@\S+|deno) task )client --help"$/,
  ),
  wrongLine("server", ["--serve"], /unknown option "--serve"/, /--help/),
  wrongLine("client", ["somewhere"], /unexpected argument "somewhere"/, /--host ADDRESS/),
  wrongLine("server", ["somewhere"], /unexpected argument "somewhere"/, /--help/),
  wrongLine("client", ["--host"], /--host needs a value/, /--host/),
  wrongLine("client", ["--host", "a", "--host", "b"], /--host is given twice/),
  wrongLine("client", ["--port", "70000"], /"70000" is not a number from 0 to 65535/),
  wrongLine("client", ["--port", "-1"], /--port/),
  wrongLine("client", ["--port", "0"], /"0" is not a number from 1 to 65535/, /--serve/),
  wrongLine(
    "client",
    ["--host", "a:1", "--port", "2"],
    /both --host and --port give a port/,
    /leave one/,
  ),
  wrongLine("client", ["--host", "a:99999"], /port must be a number from 1 to 65535/, /name:40623/),
  wrongLine("client", ["--key-bits", "2049"], /one of 1024, 2048, 3072, 4096/),
  wrongLine("client", ["--wait", "soon"], /number of seconds/),
  wrongLine("client", ["--json=yes"], /--json takes no value/, /--help/),
  wrongLine("client", ["--password", "secret"], /--password takes no value/, /--help/),
  wrongLine("client", ["--nick", "two words"], /nick/),
  wrongLine("client", ["--nick", "a\u0430"], /nick|script|letters/),
  wrongLine("client", ["--nick", "\u202ebob"], /nick|⟨202E⟩/),
  wrongLine("client", ["--nick", "x".repeat(25)], /24 columns/),
  wrongLine("client", ["--to", "ann", "--json"], /--to and --json/, /"type":"private"/),
  wrongLine("client", ["--room", "x".repeat(65)], /room/),
  wrongLine("client", ["forget"], /forget needs an argument/, /forget HOST/),
  wrongLine("client", ["join-key", "SHA256:short"], /not a fingerprint/, /43 characters/),
  wrongLine("server", ["--room-capacity", "257"], /from 1 to 256/),
  wrongLine("server", ["--room-capacity", "0"], /from 1 to 256/),
  wrongLine("server", ["--host", "a:1"], /no port/, /--port/),
  wrongLine(
    "server",
    ["--password", "--password-file", "f"],
    /--password and --password-file cannot be used together/,
  ),
];

/** Runs it and checks all of its output. */
async function makeMistake(world: World, mistake: Mistake): Promise<void> {
  const { which, args, code = 1, message, hint, env = {}, home = "me" } = mistake;
  const outcome = await world.run(which, { args, home: await world.emptyHome(home), env });
  const what = `${which} ${args.join(" ")}\n${outcome.stderr}`;
  assert.equal(outcome.code, code, what);
  assert.equal(outcome.stdout, "", what);
  const lines = outcome.stderr.trimEnd().split("\n");
  const [error, ...hints] = lines;
  assert.ok(error!.startsWith(`${which}: error: `), what);
  assert.match(error!, message, what);
  for (const line of hints) assert.ok(line.startsWith(`${which}: hint: `), what);
  if (hint) assert.match(hints.join("\n"), hint, what);
  assert.ok(lines.every((line) => !/\.$|[A-Z][a-z]+Error|ext:|file:\/\//.test(line)), what);
}

async function makeMistakes(world: World, mistakes: readonly Mistake[]): Promise<void> {
  const waiting = [...mistakes];
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await makeMistake(world, next);
  };
  await Promise.all([work(), work(), work(), work()]);
}

async function typeNonsense(world: World): Promise<void> {
  await makeMistakes(world, WRONG_LINES);
}

async function nameWrongFiles(world: World): Promise<void> {
  await world.home("me");
  await world.home("me", { file: "server.pem" });
  const pem = await Deno.readTextFile(`${world.path("me")}/identity.pem`);
  const missing = world.path("missing");
  const open = await world.file("open.pem", pem);
  await Deno.chmod(open, 0o644);
  const noKey = await world.file("no.pem", "not a key\n");
  const damaged = await world.file("damaged.pem", pem.slice(0, 500) + pem.slice(600));
  const vectors = new URL("../vectors/keys/", import.meta.url);
  const locked = await world.file(
    "locked.pem",
    await Deno.readTextFile(new URL("pbes2_pbkdf2.pem", vectors)),
  );
  const curve = await world.file(
    "curve.pem",
    await Deno.readTextFile(new URL("ed25519.pem", vectors)),
  );
  const empty = await world.file("empty", "");
  const badList = await world.file("list", `${await fingerprintOf("me")}\nsomebody\n`);
  const openState = await world.home("open_state");
  await Deno.chmod(`${openState}/identity.pem`, 0o640);
  const host = ["--host", "127.0.0.1", "--port", "1"];
  const key = (path: string) => ({ which: "client" as const, args: [...host, "--key", path] });
  const server = (...args: string[]) => ({
    which: "server" as const,
    args: ["--port", "0", ...args],
  });
  await makeMistakes(world, [
    { ...key(missing), message: /missing: no such file/, hint: /leave --key out/ },
    { ...key(open), message: /open\.pem: readable by others than its owner/, hint: /chmod 600 / },
    { ...key(noKey), message: /no\.pem: / },
    { ...key(damaged), message: /damaged\.pem: / },
    { ...key(curve), message: /curve\.pem: .*not an RSA key/ },
    { ...key(world.path("me")), message: /a folder, not a file/ },
    { ...key(locked), message: /locked\.pem: .*passphrase/, hint: /HEARTH_KEY_PASSPHRASE/ },
    {
      ...key(locked),
      env: { HEARTH_KEY_PASSPHRASE: "wrong" },
      message: /locked\.pem: .*passphrase/,
      hint: /passphrase is right/,
    },
    {
      which: "client",
      args: host,
      home: "open_state",
      message: /identity\.pem: readable by others than its owner/,
      hint: /chmod 600 /,
    },
    ...["client", "server"].map((which) => ({
      which: which as Which,
      args: ["--port", "1"],
      env: { HEARTH_HOME: noKey },
      message: /no\.pem\/(settings\.json|server\.pem): cannot be read: .*[Nn]ot a directory/,
      hint: /HEARTH_HOME/,
    })),
    {
      which: "client",
      args: [...host, "--password-file", missing],
      message: /missing: no such file/,
    },
    { which: "client", args: [...host, "--password-file", empty], message: /first line is empty/ },
    {
      which: "client",
      args: [
        ...host,
        "--password-file",
        await world.file("latin1", new Uint8Array([0x70, 0xe4, 0x0a])),
      ],
      message: /latin1: not UTF-8 text/,
    },
    {
      which: "client",
      args: [...host, "--password-file", world.path("me")],
      message: /me: a folder, not a file/,
    },
    ...Deno.build.os === "linux"
      ? ["--password-file", "--key"].map((option): Mistake => ({
        which: "client",
        args: [...host, option, "/dev/fd/0"],
        message: /\/dev\/fd\/0: cannot be read: it is not a regular file/,
      }))
      : [],
    {
      which: "client",
      args: [...host, "--password"],
      message: /cannot ask for the password/,
      hint: /--password-file/,
    },
    {
      which: "client",
      args: ["join-key", await fingerprintOf("me")],
      message: /cannot ask for the password: no terminal/,
      hint: /HEARTH_PASSWORD/,
    },
    { ...server("--password-file", missing), message: /missing: no such file/ },
    { ...server("--password"), message: /cannot ask for the password/, hint: /--password-file/ },
    { ...server("--join-key-file", noKey), message: /no\.pem: not a join key/ },
    {
      ...server("--join-key-file", missing),
      message: /^[^:]+: error: [^:]+: no such file$/,
    },
    { ...server("--allow", missing), message: /missing: no such file/ },
    { ...server("--allow", badList), message: /list.* line 2/ },
    { ...server("--key", open), message: /readable by others than its owner/, hint: /chmod 600 / },
    {
      ...server("--host", "192.0.2.1"),
      message: /192\.0\.2\.1 is not an address of this computer/,
      hint: /--host/,
    },
  ]);
}

async function goNowhere(world: World): Promise<void> {
  await world.home("me");
  await world.home("me", { file: "server.pem" });
  const server = await world.server();
  const port = String(server.port);
  using stranger = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const greeting = greetAll(stranger);
  const [other, nobody] = [String(stranger.addr.port), String(freePort())];
  const key = (await fingerprintOf("server")).replaceAll("+", "\\+");
  await makeMistakes(world, [
    {
      which: "client",
      args: ["--host", "127.0.0.1", "--port", nobody],
      message: new RegExp(`127\\.0\\.0\\.1:${nobody}: nothing is listening there`),
      hint: /start the server/,
    },
    {
      which: "client",
      args: ["--host", `[::1]:${nobody}`],
      message: /cannot connect to \[::1\]:/,
      hint: /./,
    },
    ...Deno.build.os === "linux"
      ? [{
        which: "client" as const,
        args: ["--host", "fe80::1"],
        message: /cannot connect to \[fe80::1\]:\d+: .* needs the network interface/,
        hint: /fe80::1%eth0/,
      }]
      : [],
    {
      which: "client",
      args: ["--host", "no-such-host.invalid"],
      message: /no computer of that name was found/,
      hint: /address/,
    },
    {
      which: "client",
      args: ["forget", `127.0.0.1:${nobody}`],
      message: /no key is known for 127\.0\.0\.1:/,
      hint: /known_servers/,
    },
    {
      which: "server",
      args: ["--port", port],
      message: new RegExp(`port ${port} is taken by a HEARTH server \\(${key}\\)`),
      hint: /client --host.*\n.*--port/,
    },
    {
      which: "server",
      args: ["--host", "127.0.0.1", "--port", other],
      message: new RegExp(`port ${other} is taken by another program`),
      hint: /--port 0/,
    },
    {
      which: "client",
      args: ["--serve", "--port", other],
      message: new RegExp(`port ${other} is taken by another program`),
      hint: /--port/,
    },
  ]);
  stranger.close();
  await greeting;
}

/** Another program's server: sends something and closes the connection. */
async function greetAll(listener: Deno.Listener): Promise<void> {
  try {
    for await (const connection of listener) {
      await connection.write(
        new TextEncoder().encode("220 mail.example ESMTP ready, who is there?\r\n"),
      );
      connection.close();
    }
  } catch {
    // Closed: the test is over.
  }
}

/** Invalid lines of `--json`, and the errors they cause. */
const BAD_LINES: readonly (readonly [line: string, message: RegExp, ref?: string])[] = [
  ["hello", /not JSON/],
  ["", /not JSON/],
  ['"text"', /not a JSON object/],
  ['{"text":"x","ref":"a"}', /"type" must be/, "a"],
  ['{"type":"shout","text":"x","ref":"b"}', /"type" must be/, "b"],
  ['{"type":"chat","ref":"c"}', /"text" must be a string/, "c"],
  ['{"type":"chat","text":7,"ref":"d"}', /"text" must be a string/, "d"],
  ['{"type":"private","text":"x","ref":"e"}', /"to" must be a string/, "e"],
  ['{"type":"private","to":"nobody","text":"x","ref":"f"}', /nobody here is called nobody/, "f"],
  ['{"type":"chat","text":" \\n ","ref":"g"}', /white space/, "g"],
  [JSON.stringify({ type: "chat", text: "x".repeat(8193), ref: "h" }), /8192 bytes.*8193/, "h"],
  [JSON.stringify({ type: "chat", text: "ä".repeat(4097), ref: "i" }), /8192 bytes.*8194/, "i"],
  ['{"type":"command","text":"/nick two words","ref":"j"}', /./, "j"],
  ['{"type":"command","text":"/nick -dash","ref":"k"}', /./, "k"],
  ['{"type":"command","text":"/shout","ref":"l"}', /shout/, "l"],
  ['{"type":"command","text":"hello","ref":"m"}', /slash/, "m"],
  ['{"type":"command","text":"/clear","ref":"n"}', /terminal/, "n"],
  ['{"type":"command","text":"/msg nobody hi","ref":"o"}', /nobody here/, "o"],
  ['{"type":"command","text":"/reply hi","ref":"p"}', /nobody has sent/, "p"],
  ['{"type":"chat","text":"\\ud800","ref":"q"}', /"text" contains a lone surrogate/, "q"],
  ['{"type":"chat","text":"x","ref":7}', /"ref" must be a string/],
  ["x".repeat(MAX_LINE_BYTES + 1), /too long/],
];

async function writeBadLines(world: World): Promise<void> {
  await world.server();
  const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
  await ann.chat("before");
  for (const [line] of BAD_LINES) await ann.write(line + "\n");
  await ann.write(new Uint8Array([0x7b, 0xff, 0x7d, 0x0a]));
  await ann.say({ type: "chat", text: "x".repeat(8192) });
  await ann.say({ type: "chat", text: "after", ref: "last" });
  await bob.waitFor("chat", { text: "after" });
  await ann.waitFor("sent", { ref: "last" }); // all before it has been printed
  const errors = ann.all("error");
  assert.equal(errors.length, BAD_LINES.length + 1);
  for (const [i, [line, message, ref]] of BAD_LINES.entries()) {
    assert.match(String(errors[i]!.message), message, line.slice(0, 100));
    assert.equal(errors[i]!.ref, ref, line.slice(0, 100));
  }
  assert.match(String(errors.at(-1)!.message), /not UTF-8/);
  assert.equal(ann.all("sent").length, 3);
  assert.deepEqual(bob.all("chat").map(({ text }) => String(text).length), [6, 8192, 5]);
  await ann.waitFor("delivered", {}, { count: 3 });
  assert.equal(ann.stderr, "");
  assert.equal(await ann.leave(), 0);
}

async function failInJson(world: World): Promise<void> {
  const { code, stdout, stderr } = await world.run("client", {
    args: ["--key", world.path("missing"), "--json"],
    home: await world.emptyHome("me"),
  });
  assert.equal(code, 1);
  const [error, bye, ...more] = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  const { message, hint, ...rest } = error;
  assert.deepEqual(rest, { event: "error", code: "fatal" });
  assert.deepEqual(bye, { event: "bye" });
  assert.deepEqual(more, []);
  assert.equal(stderr, `client: error: ${message}\nclient: hint: ${hint}\n`);
}

async function answerQuestions(world: World): Promise<void> {
  const home = await world.emptyHome("me");
  for (const which of ["client", "server"] as const) {
    for (const flag of ["--help", "-h", "help", "--version", "-V"]) {
      const { code, stdout, stderr } = await world.run(which, { args: [flag], home });
      assert.equal(code, 0);
      assert.equal(stderr, "");
      assert.match(stdout, /h/.test(flag) ? /^Usage: / : /^\S+ \d+\.\d+\.\d+/);
    }
  }
  assert.deepEqual([...Deno.readDirSync(home)], []); // created nothing
}

export const ERRORS: readonly Conversation[] = [
  [
    "a command line that is not understood gives one line, perhaps a hint, and exit code 2",
    typeNonsense,
  ],
  [
    "a file that is missing, readable by others or damaged gives one line and exit code 1",
    nameWrongFiles,
  ],
  ["a missing server or a taken port gives one line and exit code 1", goNowhere],
  ["a bad line of JSON gives an error event, and nothing else happens", writeBadLines],
  ["--json has the final error among its events, too", failInJson],
  ["--help and --version print to standard output and touch nothing", answerQuestions],
];
