/**
 * Invitations: the line that a server and `/invite` show, and what `--fingerprint` makes of the first contact.
 */
import assert from "node:assert/strict";
import decodeQr from "npm:qr@0.7.0/decode.js";
import { UsageError } from "../../lib/base/errors.ts";
import { inviteTo } from "../../lib/cli/server_address.ts";
import { drawQr } from "../../lib/ui/terminal/qr.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { ServerBook } from "../../lib/session/known_servers.ts";
import {
  type Conversation,
  fingerprintOf,
  FROM_SOURCE,
  testConversations,
  World,
} from "../support/programs.ts";
import { Tmux, tmuxMissing } from "../support/tmux.ts";

const FIRST = encodeFingerprint(new Uint8Array(32).fill(1));
const SECOND = encodeFingerprint(new Uint8Array(32).fill(2));

Deno.test("inviteTo() writes what a friend types, with the fingerprint where it is known", () => {
  for (
    const [host, port, place] of [
      ["192.168.1.20", 40623, "192.168.1.20"],
      ["192.168.1.20", 7, "192.168.1.20:7"],
      ["fd00::1", 40623, "fd00::1"],
      ["fd00::1", 7, "[fd00::1]:7"],
    ] as const
  ) {
    assert.equal(inviteTo(host, port), `./client --host ${place}`);
    assert.equal(inviteTo(host, port, FIRST), `./client --host ${place} --fingerprint ${FIRST}`);
  }
});

Deno.test("ServerBook.expect() makes a key known, and refuses any other", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const book = await ServerBook.load(folder);
    book.expect("a:1", { start: FIRST, source: "invitation" });
    assert.equal(book.judge("a:1", FIRST), "known");
    assert.equal(book.judge("a:1", SECOND), "changed");
    assert.equal(book.judge("b:1", FIRST), "new");
    await assert.rejects(book.pin("a:1", SECOND), UsageError);
    const { message, hints } = book.changedKey("a:1", SECOND);
    for (const part of ["a:1", FIRST, SECOND, "invitation"]) assert.ok(message.includes(part));
    assert.ok(hints.length > 0 && !hints.join().includes("forget"));
    await book.pin("a:1", FIRST);
    assert.equal((await ServerBook.load(folder)).find("a:1")?.fingerprint, FIRST);

    // The start of one, as it is announced, makes no key known.
    book.expect("c:1", { start: SECOND.slice(0, 23), source: "announcement" });
    assert.equal(book.judge("c:1", SECOND), "new");
    assert.equal(book.judge("c:1", FIRST), "changed");

    // What is pinned already stays so.
    book.expect("a:1", { start: SECOND, source: "invitation" });
    assert.equal(book.judge("a:1", SECOND), "changed");
    assert.match(book.changedKey("a:1", SECOND).message, /line 2/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("ServerBook.knows() goes by the key, not by the address", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const book = await ServerBook.load(folder);
    assert.equal(book.knows(FIRST), false);
    await book.pin("a:1", FIRST);
    for (const start of [FIRST, FIRST.slice(0, 23)]) assert.equal(book.knows(start), true);
    assert.equal(book.knows(SECOND.slice(0, 23)), false);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** What a camera sees: pixels of 4 bytes, `scale` in each direction for a module. */
function photograph(rows: readonly string[], { isInverted }: { isInverted: boolean }) {
  const scale = 4;
  const width = rows[0]!.length * scale;
  const height = rows.length * 2 * scale;
  const data = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const half = Math.floor(y / scale);
      const character = rows[half >> 1]![Math.floor(x / scale)]!;
      const isInk = character === "█" || character === (half % 2 === 0 ? "▀" : "▄");
      data.fill(isInk === isInverted ? 255 : 0, (y * width + x) * 4, (y * width + x) * 4 + 3);
    }
  }
  return { width, height, data };
}

const LONGEST = inviteTo("fd00:1234:5678:9abc:def0:1234:5678:9abc", 40624, FIRST);

Deno.test("drawQr() draws what another program reads as the same text", async () => {
  for (const text of [inviteTo("192.168.1.20", 40623, FIRST), LONGEST, "ä"]) {
    const plain = await drawQr(text, { columns: 80, color: "none" });
    assert.equal(decodeQr(photograph(plain, { isInverted: true })), text);
    assert.ok(plain.every((row) => /^[█▀▄ ]+$/.test(row)));

    const colored = await drawQr(text, { columns: 80, color: "256" });
    const [before, after] = ["\x1b[30;107m", "\x1b[0m"];
    assert.ok(colored.every((row) => row.startsWith(before) && row.endsWith(after)));
    const bare = colored.map((row) => row.slice(before.length, -after.length));
    assert.equal(decodeQr(photograph(bare, { isInverted: false })), text);
  }
});

Deno.test("drawQr() draws nothing where there is not room enough", async () => {
  const text = inviteTo("192.168.1.20", 40623, FIRST);
  const [row] = await drawQr(text, { columns: 80, color: "none" });
  const columns = row!.length;
  assert.ok(columns <= 45 && (await drawQr(LONGEST, { columns: 80, color: "none" })).length <= 24);
  assert.ok((await drawQr(text, { columns, color: "none" })).length > 0);
  assert.deepEqual(await drawQr(text, { columns: columns - 1, color: "none" }), []);
});

const LINE = /^ {4}\S*client --host (\S+) --fingerprint (SHA256:\S+)( --password)?$/m;

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
    /^\.\/client --host \S+ --fingerprint SHA256:[A-Za-z0-9+/]{43} --password$/,
  );
  assert.ok(String(text).endsWith(` ${fingerprint} --password`));
  assert.equal(await ann.leave(), 0);
  assert.ok(!ann.stdout.includes(secret));
  const pins = await Deno.readTextFile(world.path("ann/known_servers"));
  assert.ok(pins.includes(`\n127.0.0.1:${port} ${fingerprint}\n`));
}

async function refuseAnother(world: World): Promise<void> {
  const server = await world.server();
  const ann = await world.client("ann", { args: ["--fingerprint", FIRST] });
  assert.equal(await ann.ended(), 1, ann.describe());
  assert.equal(ann.all("connected").length, 0);
  const { message } = ann.first("error", { code: "fatal" });
  for (const part of [FIRST, await fingerprintOf("server"), "invitation"]) {
    assert.ok(String(message).includes(part), part);
  }
  assert.deepEqual(server.all("joined"), []);
  await assert.rejects(Deno.stat(world.path("ann/known_servers")), Deno.errors.NotFound);
}

const CONVERSATIONS: readonly Conversation[] = [
  ["--fingerprint from the line of a server makes the first contact sure", acceptAnInvitation],
  ["--fingerprint refuses any other server, and remembers nothing of it", refuseAnother],
];

testConversations(CONVERSATIONS);

// --- on a terminal ---

const missing = await tmuxMissing();
if (missing !== undefined) console.log(`no terminal to test in: ${missing}`);

/** Starts a program in a terminal; it shows what the function waits for. */
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

Deno.test("an invitation is shown as a QR code where there is room, unless --no-qr", {
  ignore: missing !== undefined,
}, async () => {
  await using world = await World.open(FROM_SOURCE);
  await world.home("server", { file: "server.pem" });
  const start = [...FROM_SOURCE.server, "--port", "0", "--no-announce"];
  for (const [columns, more, count] of [[80, [], 1], [30, [], 0], [80, ["--no-qr"], 0]] as const) {
    await withTerminal(world, [...start, ...more], {
      home: "server",
      columns,
      async act(tmux) {
        const rows = await tmux.waitFor(
          (rows) =>
            rows.join("").includes("--fingerprint") && (count === 0 || /^█+$/.test(rows.at(-2)!)),
          "the invitation",
        );
        if (count === 0) return assert.deepEqual(codeOf(rows), []);
        const read = decodeQr(photograph(codeOf(rows), { isInverted: true }));
        const lines = (await tmux.joinedScreen()).map((row) => row.trim());
        assert.ok(lines.includes(read) && read.includes(" --fingerprint SHA256:"), read);
      },
    });
  }

  const server = await world.server();
  const address = ["--host", "127.0.0.1", "--port", String(server.port)];
  await withTerminal(world, [...FROM_SOURCE.client, ...address], {
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
      const read = decodeQr(photograph(framed, { isInverted: false }));
      assert.ok(rows.includes(read) && read.includes(" --fingerprint SHA256:"), read);
    },
  });
});
