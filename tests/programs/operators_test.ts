/** A real server with operators, a message of the day and a password, spoken to by clients that this test makes. */
import assert from "node:assert/strict";
import type { Bytes } from "../../lib/base/bytes.ts";
import { decodeBans, encodeAdmin } from "../../lib/protocol/admin.ts";
import { decodeFrame, encodeFrame, type Frame, REASON, STATUS } from "../../lib/protocol/frames.ts";
import { encodeFingerprint, generateKey, type PrivateKey } from "../../lib/protocol/identity.ts";
import { checkProof, derivePassword, startJoin } from "../../lib/protocol/password.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";
import { systemRandom } from "../../lib/base/clock.ts";
import { type Connection, type End, openConnection } from "../../lib/transport/mod.ts";
import { FROM_SOURCE, poll, type Program, World } from "../support/programs.ts";

const PASSWORD = "between friends";

/** A client and what it was told. */
interface Client {
  readonly connection: Connection;
  readonly frames: Frame[];
  readonly ends: End[];
}

let joinKey: Promise<Bytes> | undefined;

/** Joins a server, which must show that it knows the password if this client does. */
async function join(server: Program, key: PrivateKey, { knows = true } = {}): Promise<Client> {
  const frames: Frame[] = [];
  const ends: End[] = [];
  const opened = Promise.withResolvers<Connection>();
  let exchange: Awaited<ReturnType<typeof startJoin>> | undefined;
  let answer: Uint8Array | undefined;
  const stream = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  const { connection } = await openConnection(stream, {
    key,
    async join({ relay, th3 }) {
      if (knows) {
        joinKey ??= derivePassword(PASSWORD, relay.fingerprint).then((keys) => keys.joinKey);
        const client = key.publicKey.fingerprint;
        const place = { client, relay: relay.fingerprint, th3 };
        exchange = await startJoin("client", { joinKey: await joinKey, ...place });
      }
      return encodeFrame({
        type: "join",
        share: exchange?.share ?? new Uint8Array(32),
        room: roomTag("lobby"),
        instance: systemRandom(16),
      });
    },
    handlers: {
      onFrame(type, body) {
        const frame = decodeFrame(type, body.slice());
        frames.push(frame);
        if (frame.type === "proof") assert.ok(checkProof(frame.proof, answer!));
        if (frame.type !== "share") return;
        const made = exchange!.finish(frame.share);
        answer = made.answer;
        const proof = encodeFrame({ type: "proof", proof: made.proof });
        void opened.promise.then((connection) => connection.send(proof));
      },
      onEnd: (end) => ends.push(end),
    },
  });
  opened.resolve(connection);
  await poll(
    () => frames.some(({ type }) => type === "welcome") || ends.length > 0,
    () => `an answer to JOIN`,
  );
  return { connection, frames, ends };
}

let requests = 0;

/** Asks for something, and waits for the RESULT. */
async function ask({ connection, frames }: Client, request: Parameters<typeof encodeAdmin>[0]) {
  const number = (++requests).toString(16).padStart(8, "0");
  connection.send(encodeFrame({ type: "admin", request: number, ...encodeAdmin(request) }));
  const find = () => frames.find((frame) => frame.type === "result" && frame.request === number);
  await poll(() => find() !== undefined, () => `the RESULT of ${request.verb}`);
  return find() as Extract<Frame, { type: "result" }>;
}

/** The NOTICEs a client received. */
function notices({ frames }: Client): string[] {
  return frames.flatMap((frame) => frame.type === "notice" ? [frame.text] : []);
}

function reason({ ends }: Client): number | undefined {
  return ends[0]?.type === "closed" ? ends[0].reason : undefined;
}

Deno.test("server does what its operators ask, logs it, and reads its files again on SIGHUP", async () => {
  await using world = await World.open(FROM_SOURCE);
  const [ann, bob] = [await generateKey(2048), await generateKey(2048)];
  const [operator, victim] = [ann, bob].map((key) => encodeFingerprint(key.publicKey.fingerprint));
  const operators = await world.file("operators", `# me\n${operator}\n`);
  const motd = await world.file("motd", "\n  be kind\r\nto each other \n");
  const password = await world.file("password", PASSWORD);
  const files = ["--operators", operators, "--motd", motd, "--password-file", password];
  const server = await world.server(files);
  const anna = await join(server, ann);
  await poll(() => notices(anna).length > 0, () => "the message of the day");
  assert.deepEqual(notices(anna), ["be kind\nto each other"]);
  assert.equal(reason(await join(server, bob, { knows: false })), REASON.PASSWORD);

  const bert = await join(server, bob);
  assert.equal((await ask(bert, { verb: "bans" })).status, STATUS.NOT_ALLOWED);
  assert.equal((await ask(anna, { verb: "announce", text: "hello" })).status, STATUS.DONE);
  await poll(() => notices(bert).includes("hello"), () => "the announcement");
  const { fingerprint } = bob.publicKey;
  assert.equal((await ask(anna, { verb: "kick", fingerprint })).status, STATUS.DONE);
  await poll(() => reason(bert) === REASON.REMOVED, () => "CLOSE(8)");
  const ban = await ask(anna, { verb: "ban", fingerprint, seconds: 3600 });
  assert.equal(ban.status, STATUS.DONE);
  assert.equal(reason(await join(server, bob)), REASON.NOT_ALLOWED);
  const bans = decodeBans((await ask(anna, { verb: "bans" })).data);
  assert.deepEqual(bans.map((ban) => encodeFingerprint(ban.fingerprint)), [victim]);
  assert.ok(bans[0]!.seconds > 3500 && bans[0]!.seconds <= 3600);
  assert.equal((await ask(anna, { verb: "unban", fingerprint })).status, STATUS.DONE);
  assert.equal((await ask(anna, { verb: "motd", text: "of an operator" })).status, STATUS.DONE);
  for (
    const event of [
      { event: "announced", operator },
      { event: "kicked", fingerprint: victim, operator },
      { event: "banned", fingerprint: victim, seconds: 3600, operator },
      { event: "unbanned", fingerprint: victim, operator },
      { event: "motd", operator },
    ]
  ) {
    const { time: _time, ...fields } = await server.waitFor(event.event);
    assert.deepEqual(fields, event);
  }
  const again = await join(server, bob);
  await poll(() => notices(again).length > 0, () => "the message of the day");
  assert.deepEqual(notices(again), ["of an operator"]);

  if (Deno.build.os !== "windows") {
    await world.file("operators", `${victim}\n`);
    await world.file("motd", "read again\n");
    server.signal("SIGHUP");
    await poll(
      async () => (await ask(again, { verb: "bans" })).status === STATUS.DONE,
      () => "the new list of operators",
    );
    assert.equal((await ask(anna, { verb: "bans" })).status, STATUS.NOT_ALLOWED);
    await poll(async () => {
      const late = await join(server, bob);
      await poll(() => notices(late).length > 0, () => "the message of the day");
      late.connection.abort();
      return notices(late)[0] === "read again";
    }, () => "the new message of the day");
    await world.file("motd", "x".repeat(1025));
    server.signal("SIGHUP");
    await server.waitForText("stderr", /motd: a message of the day has at most 1024 bytes/);
  }
  assert.equal(await server.kill("SIGTERM"), 0);
});

Deno.test("server keeps bans over a kill, reads them again on SIGHUP, and names a bad line", async () => {
  await using world = await World.open(FROM_SOURCE);
  const [ann, bob, eve] = [
    await generateKey(2048),
    await generateKey(2048),
    await generateKey(2048),
  ];
  const [operator, victim, other] = [ann, bob, eve].map((key) =>
    encodeFingerprint(key.publicKey.fingerprint)
  );
  const operators = await world.file("operators", `${operator}\n`);
  const first = await world.server(["--operators", operators]);
  const file = `${await world.home("server", { file: "server.pem" })}/bans`;
  const read = () => Deno.readTextFile(file).catch(() => "");
  const anna = await join(first, ann, { knows: false });
  const { fingerprint } = bob.publicKey;
  await ask(anna, { verb: "ban", fingerprint, seconds: 3600 });
  await poll(async () => (await read()).includes(victim!), () => "the ban in the file");
  await first.kill("SIGKILL");

  const server = await world.server(["--operators", operators]);
  const again = await join(server, ann, { knows: false });
  assert.equal(reason(await join(server, bob, { knows: false })), REASON.NOT_ALLOWED);
  await ask(again, { verb: "ban", fingerprint: eve.publicKey.fingerprint, seconds: 60 });
  await ask(again, { verb: "unban", fingerprint });
  const bert = await join(server, bob, { knows: false });
  assert.equal(reason(bert), undefined);
  await poll(
    async () => (await read()).includes(other!) && !(await read()).includes(victim!),
    () => "the changes in the file",
  );
  const text = await read();
  if (Deno.build.os !== "windows") {
    await Deno.writeTextFile(file, text.replaceAll(other!, victim!));
    server.signal("SIGHUP");
    await poll(() => reason(bert) === REASON.REMOVED, () => "CLOSE(8) to whom the file bans");
    assert.equal(reason(await join(server, eve, { knows: false })), undefined);
    await Deno.writeTextFile(file, "# ours\nbob\n");
    server.signal("SIGHUP");
    await server.waitForText("stderr", /bans, line 2: not a ban/);
    assert.equal(reason(await join(server, bob, { knows: false })), REASON.NOT_ALLOWED);
  }
  assert.equal(await server.kill("SIGTERM"), 0);

  await Deno.writeTextFile(file, "# ours\nbob\n");
  const { code, stdout, stderr } = await world.run("server", {
    args: ["--port", "0"],
    home: await world.home("server", { file: "server.pem" }),
  });
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /^server: error: .*bans, line 2: not a ban\nserver: hint: .*\n$/);
});
