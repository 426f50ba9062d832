/**
 * Invitations: the line that a server and `/invite` show, and what `--fingerprint` makes of the first contact.
 */
import assert from "node:assert/strict";
import { UsageError } from "../lib/errors.ts";
import { inviteTo } from "../lib/host.ts";
import { encodeFingerprint } from "../lib/rsa.ts";
import { ServerBook } from "../lib/servers.ts";
import {
  type Conversation,
  fingerprintOf,
  testConversations,
  type World,
} from "./support/programs.ts";

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
    /^\.\/client --host \S+ --fingerprint SHA256:[A-Za-z0-9+/]{43}$/,
  );
  assert.ok(String(text).endsWith(` ${fingerprint}`));
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
