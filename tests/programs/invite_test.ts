/**
 * Invitations: the line that a server and `/invite` show, and the first contact with `--fingerprint`.
 */
import assert from "node:assert/strict";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import {
  type Conversation,
  fingerprintOf,
  FROM_SOURCE,
  testConversations,
  World,
} from "../support/programs.ts";
import { readQr } from "../support/qr.ts";
import { Tmux, tmuxMissing } from "../support/tmux.ts";

const OTHER = encodeFingerprint(new Uint8Array(32).fill(1));

const LINE = /^ {4}.*client --host (\S+) --fingerprint (SHA256:\S+)( --password)?$/m;

async function acceptAnInvitation(world: World): Promise<void> {
  const secret = "nobody says this aloud";
  const server = world.start("server", {
    args: ["--port", "0", "--password-file", await world.file("password", `${secret}\n`)],
    home: await world.home("server", { file: "server.pem" }),
  });
  const [, port] = await server.waitForText("stdout", /^listening on port (\d+): \S/m);
  const [, place, fingerprint, password] = await server.waitForText("stdout", LINE);
  assert.ok(place!.endsWith(`:${port}`));
  assert.equal(fingerprint, await fingerprintOf("server"));
  assert.equal(password, " --password");
  assert.ok(!server.stdout.includes(secret));

  const env = { HEARTH_PASSWORD: secret };
  const ann = await world.client("ann", {
    args: ["--fingerprint", fingerprint!],
    port: Number(port),
    env,
  });
  await ann.waitFor("welcome");
  assert.equal(ann.first("connected").server, "known");
  await ann.command("/invite");
  const { text } = await ann.waitFor("notice");
  assert.match(
    String(text),
    /^.*client --host \S+ --fingerprint SHA256:[A-Za-z0-9+/]{43} --password$/,
  );
  assert.ok(String(text).endsWith(` ${fingerprint} --password`));
  assert.equal(await ann.leave(), 0);
  assert.ok(!ann.stdout.includes(secret));
  const pins = await Deno.readTextFile(world.path("ann/known_servers"));
  assert.ok(pins.includes(`\n127.0.0.1:${port} ${fingerprint}\n`));
}

/** A server that listens on loopback alone is not offered to other computers. */
async function inviteToLoopback(world: World): Promise<void> {
  const server = world.start("server", {
    args: ["--port", "0", "--host", "127.0.0.1"],
    home: await world.home("server", { file: "server.pem" }),
  });
  const [, port] = await server.waitForText("stdout", /^listening on port (\d+): 127\.0\.0\.1$/m);
  await server.waitForText("stdout", /^on this computer, type:$/m);
  const [, place] = await server.waitForText("stdout", LINE);
  assert.equal(place, `127.0.0.1:${port}`);
  const ann = await world.client("ann", { port: Number(port) });
  await ann.waitFor("welcome");
  await ann.command("/invite");
  const { line } = await ann.waitFor("result");
  assert.match(String(line), new RegExp(`client --host 127\\.0\\.0\\.1:${port} `));
}

async function refuseAnother(world: World): Promise<void> {
  const server = await world.server();
  const ann = await world.client("ann", { args: ["--fingerprint", OTHER] });
  assert.equal(await ann.ended(), 1, ann.describe());
  assert.equal(ann.all("connected").length, 0);
  const { message } = ann.first("error", { code: "fatal" });
  for (const part of [OTHER, await fingerprintOf("server"), "invitation"]) {
    assert.ok(String(message).includes(part), part);
  }
  assert.deepEqual(server.all("joined"), []);
  await assert.rejects(Deno.stat(world.path("ann/known_servers")), Deno.errors.NotFound);
}

const CONVERSATIONS: readonly Conversation[] = [
  ["--fingerprint from the server's line authenticates the first contact", acceptAnInvitation],
  ["a server that listens on loopback only is not offered to other computers", inviteToLoopback],
  ["--fingerprint refuses any other server and does not pin it", refuseAnother],
];

testConversations(CONVERSATIONS);

// --- on a terminal ---

const missing = await tmuxMissing();
if (missing !== undefined) console.log(`no terminal to test in: ${missing}`);

/** Starts a program in a terminal. */
async function withTerminal(
  world: World,
  command: readonly string[],
  { home, columns, act }: { home: string; columns: number; act: (tmux: Tmux) => Promise<void> },
): Promise<void> {
  const env = { HEARTH_HOME: await world.home(home), LC_ALL: "C.UTF-8", USER: home };
  const tmux = await Tmux.start(command, { columns, rows: 60, env });
  try {
    await act(tmux);
  } finally {
    await tmux.close();
  }
}

function codeOf(rows: readonly string[]): string[] {
  return rows.filter((row) => /[█▀▄]/.test(row));
}

Deno.test("an invitation is shown as a QR code on request, if there is room", {
  ignore: missing !== undefined,
}, async () => {
  await using world = await World.open(FROM_SOURCE);
  await world.home("server", { file: "server.pem" });
  const start = [...FROM_SOURCE.server, "--port", "0", "--no-announce"];
  for (
    const [columns, more, hasCode] of [
      [80, ["--qr"], true],
      [30, ["--qr"], false],
      [80, [], false],
    ] as const
  ) {
    await withTerminal(world, [...start, ...more], {
      home: "server",
      columns,
      async act(tmux) {
        const rows = await tmux.waitFor(
          (rows) => rows.join("").includes("--fingerprint"),
          "the invitation",
        );
        if (!hasCode) return assert.deepEqual(codeOf(rows), []);
        const read = readQr(codeOf(rows), { isInverted: true });
        const lines = (await tmux.joinedScreen()).map((row) => row.trim());
        assert.ok(lines.includes(read) && read.includes(" --fingerprint SHA256:"), read);
      },
    });
  }

  const server = await world.server();
  const address = ["--host", "127.0.0.1", "--port", String(server.port)];
  await withTerminal(world, [...FROM_SOURCE.client, "--plain", ...address], {
    home: "ann",
    columns: 120,
    async act(tmux) {
      await tmux.waitFor((rows) => rows.join("").includes("you are in lobby"), "the room");
      await tmux.type("/invite");
      await tmux.press("Enter");
      const rows = await tmux.waitFor((rows) => codeOf(rows).length > 18, "the code");
      // The light edge is not on the screen as text.
      const code = codeOf(rows);
      const width = Math.max(...code.map((row) => row.length)) + 2;
      const framed = ["", ...code, ""].map((row) => row.padEnd(width));
      const read = readQr(framed, { isInverted: false });
      assert.ok(rows.includes(read) && read.includes(" --fingerprint SHA256:"), read);
    },
  });
});
