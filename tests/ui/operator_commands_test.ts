import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { type AdminRequest, encodeBans } from "../../lib/protocol/admin.ts";
import { STATUS } from "../../lib/protocol/frames.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import type { Person, Session, SessionEvent } from "../../lib/session/mod.ts";
import { RefusedCommand } from "../../lib/ui/command_row.ts";
import type { FaceContext } from "../../lib/ui/face.ts";
import { MessageLog } from "../../lib/ui/message_log.ts";
import { Requests } from "../../lib/ui/requests.ts";

const bytes = new Uint8Array(32).fill(1);
const BOB = encodeFingerprint(bytes);
const STRANGER = encodeFingerprint(new Uint8Array(32));
const YEAR = 365 * 24 * 3600;

type Result = { status: number; data: Uint8Array<ArrayBuffer> };

/** A server that answers with these, one after the other, and what it was asked. */
function makeRoom(
  answers: (Partial<Result> | undefined)[],
  { serving = false, silent = false, own, standing }: {
    own?: string;
    serving?: boolean;
    silent?: boolean;
    standing?: { host: string; own: "hosts" | "stands by" | "guest" };
  } = {},
) {
  const asked: AdminRequest[] = [];
  const bob = {
    nick: "bob",
    usedNick: "bob",
    fingerprint: BOB,
    fingerprintBytes: bytes,
  } as unknown as Person;
  const people = [bob];
  const session = {
    joined: true,
    motd: "",
    standing,
    people: () => people,
    find(name: string) {
      const person = people.find(({ nick }) => nick === name);
      if (person) return person;
      throw new UsageError(`nobody here is called ${name}`);
    },
    admin(request: AdminRequest) {
      asked.push(request);
      const answer = answers.shift();
      return Promise.resolve(answer && { status: 0, data: new Uint8Array(), ...answer });
    },
    wake: () => {},
    async until(condition: () => boolean) {
      await Promise.resolve();
      await Promise.resolve();
      return !silent && condition();
    },
  };
  const log = new MessageLog("SHA256:anna");
  const requests = new Requests({
    context: { session: session as unknown as Session, serving, fingerprint: own } as FaceContext,
    place: { log },
    quit: () => {},
  });
  const run = async (line: string) => await requests.take(line).later!;
  return { asked, people, log, session, run, requests };
}

Deno.test("/kick names somebody who is here, or a fingerprint", async () => {
  const { asked, run, requests } = makeRoom([{}, {}]);
  assert.deepEqual(await run("/kick bob"), {
    lines: "bob was removed",
    values: { status: 0, fingerprint: BOB },
    about: BOB,
  });
  assert.equal((await run(`/kick ${STRANGER}`)).lines, `${STRANGER} was removed`);
  assert.deepEqual(asked, [
    { verb: "kick", fingerprint: bytes },
    { verb: "kick", fingerprint: new Uint8Array(32) },
  ]);
  assert.throws(() => requests.take("/kick carol"), /nobody here is called carol/);
});

Deno.test("/ban means by nick who has written and left, unless somebody here has it", async () => {
  const { asked, people, log, run, requests } = makeRoom([{}, {}, {}]);
  const write = (nick: string, fingerprint: string) => {
    const message = { id: "0".repeat(16), nick, fingerprint, action: false, text: "x" };
    log.take({ event: "chat", private: false, ...message } as SessionEvent);
  };
  write("Carol", STRANGER);
  write("bob", STRANGER);
  assert.equal((await run("/ban carol")).lines, "Carol is banned for a year");
  assert.equal((await run("/ban bob")).values?.fingerprint, BOB);
  people.length = 0;
  assert.equal((await run("/ban bob")).values?.fingerprint, STRANGER);
  write("bob", BOB);
  assert.throws(() => requests.take("/ban bob"), /several people have written as bob/);
  assert.throws(() => requests.take("/ban dave"), /nobody here is called dave/);
  assert.equal(asked.length, 3);
});

Deno.test("/ban of oneself says so", async () => {
  const { run } = makeRoom([{ status: STATUS.NOT_ALLOWED }, {}], { own: BOB });
  await assert.rejects(run(`/ban ${BOB}`), { message: "you cannot remove yourself" });
});

Deno.test("/motd without a text shows the present one", () => {
  const { requests, session } = makeRoom([]);
  assert.equal(requests.take("/motd").lines, "the server has no message of the day");
  session.motd = "be kind\nbob: \u202e x";
  assert.deepEqual(requests.take("/motd").lines, [
    "the server says:",
    "  be kind",
    "  bob: ⟨202E⟩ x",
  ]);
});

Deno.test("/ban says once what a ban is worth", async () => {
  const { run, asked } = makeRoom([{}, {}]);
  const first = await run("/ban bob");
  assert.equal(first.lines, "bob is banned for a year");
  assert.match(first.hint!, /a new key is made in a second: .*--password.*--allow FILE/);
  assert.deepEqual(first.values, { status: 0, fingerprint: BOB, seconds: YEAR });
  assert.equal((await run("/ban bob 30m")).hint, undefined);
  assert.deepEqual(asked, [
    { verb: "ban", fingerprint: bytes, seconds: YEAR },
    { verb: "ban", fingerprint: bytes, seconds: 1800 },
  ]);
  const serving = makeRoom([{}], { serving: true });
  const { hint } = await serving.run("/ban bob");
  assert.doesNotMatch(hint!, /--allow/);
  assert.match(
    hint!,
    /the ban holds while this computer hosts: for a ban that stays run a server$/,
  );
});

Deno.test("/ban takes a time of at most a year", async () => {
  const table: [time: string, words: string][] = [
    ["30m", "30 minutes"],
    ["1h", "1 hour"],
    ["90m", "90 minutes"],
    ["2d", "2 days"],
    ["48h", "2 days"],
    ["3w", "3 weeks"],
    ["365d", "a year"],
    ["1s", "1 second"],
  ];
  const { run, requests } = makeRoom(table.map(() => ({})));
  for (const [time, words] of table) {
    assert.equal((await run(`/ban bob ${time}`)).lines, `bob is banned for ${words}`);
  }
  for (const time of ["0s", "366d", "999999999w"]) {
    assert.throws(() => requests.take(`/ban bob ${time}`), /at most a year/);
  }
});

Deno.test("/unban knows the nicks of those banned in this run", async () => {
  const { asked, people, run, requests } = makeRoom([{}, {}, {}]);
  await run("/ban bob");
  people.length = 0;
  assert.equal((await run("/unban Bob")).lines, "bob may join again");
  assert.deepEqual(asked[1], { verb: "unban", fingerprint: bytes });
  assert.equal((await run(`/unban ${STRANGER}`)).lines, `${STRANGER} may join again`);
  assert.throws(() => requests.take("/unban carol"), /nobody here is called carol/);
});

Deno.test("/bans lists them", async () => {
  const ban = { fingerprint: bytes, seconds: 7200 };
  const { run } = makeRoom([{}, { data: encodeBans([ban]) }, {}]);
  await run("/ban bob 2h");
  const { lines, values } = await run("/bans");
  assert.deepEqual(lines, [`${BOB}  2 hours left  bob`]);
  assert.deepEqual(values, { status: 0, bans: [{ fingerprint: BOB, seconds: 7200 }] });
  assert.equal((await run("/bans")).lines, "nobody is banned");
});

Deno.test("/announce and /motd pass on a text of at most 1024 bytes", async () => {
  const { asked, run, requests } = makeRoom([{}, {}, {}]);
  assert.equal((await run("/announce closing")).lines, "announced to everybody on the server");
  await run("/motd be kind");
  assert.equal((await run("/motd -")).lines, "the message of the day was removed");
  assert.deepEqual(asked, [
    { verb: "announce", text: "closing" },
    { verb: "motd", text: "be kind" },
    { verb: "motd", text: "" },
  ]);
  for (const command of ["announce", "motd"]) {
    assert.throws(() => requests.take(`/${command} ${"é".repeat(513)}`), /at most 1024 bytes/);
  }
});

/** The error that a promise is rejected with. */
async function refusal(promise: Promise<unknown>): Promise<UsageError> {
  try {
    await promise;
  } catch (error) {
    assert(error instanceof UsageError);
    return error;
  }
  throw new Error("not refused");
}

Deno.test("operators' commands say why the server refuses them, with its status", async () => {
  const table: [status: number, line: string, message: RegExp][] = [
    [STATUS.NOT_ALLOWED, "/bans", /^you are not an operator of this server$/],
    [STATUS.UNKNOWN_VERB, "/bans", /does not know this command/],
    [STATUS.BAD_ARGUMENT, "/bans", /refused the command/],
    [STATUS.NOT_FOUND, "/kick bob", /^bob is not on the server$/],
    [STATUS.NOT_FOUND, "/unban bob", /^bob is not banned$/],
    [STATUS.TOO_MUCH, "/ban bob", /too much for the server/],
    [99, "/bans", /refused the command/],
  ];
  for (const [status, line, message] of table) {
    const error = await refusal(makeRoom([{ status }]).run(line));
    assert(error instanceof RefusedCommand);
    assert.match(error.message, message);
    assert.equal(error.status, status);
  }
});

Deno.test("/kick tells a user who is no operator from a target who is one", async () => {
  const refused = { status: STATUS.NOT_ALLOWED };
  const user = await refusal(makeRoom([refused, refused]).run("/kick bob"));
  assert.equal(user.message, "you are not an operator of this server");
  assert.match(user.hints.join(), /server --operators FILE/);
  const target = await refusal(makeRoom([refused, {}]).run("/kick bob"));
  assert.equal(target.message, "bob is an operator, too, and cannot be removed");
});

Deno.test("operators' commands end with the connection, or when the server does not answer", async () => {
  const ended = await refusal(makeRoom([undefined]).run("/bans"));
  assert.match(ended.message, /the connection ended before the server answered/);
  const silent = await refusal(makeRoom([{}], { silent: true }).run("/bans"));
  assert.match(silent.message, /the server has not answered/);
});

Deno.test("who does not host is told who can", async () => {
  const refused = () => [{ status: STATUS.NOT_ALLOWED }, { status: STATUS.NOT_ALLOWED }];
  for (const own of ["stands by", "guest"] as const) {
    const { run } = makeRoom(refused(), { standing: { host: BOB, own } });
    await assert.rejects(run("/ban bob"), (error) => {
      assert.ok(error instanceof RefusedCommand);
      assert.equal(error.message, "you are not an operator of this server");
      assert.deepEqual(error.hints, ["only bob can, who hosts"]);
      return true;
    });
  }
  const gone = makeRoom(refused(), { standing: { host: STRANGER, own: "guest" } });
  await assert.rejects(gone.run("/bans"), (error) => {
    assert.deepEqual((error as UsageError).hints, [`only ${STRANGER} can, who hosts`]);
    return true;
  });
});

Deno.test("/help shows the commands of operators to operators", async () => {
  const shows = async ({ requests }: ReturnType<typeof makeRoom>) => {
    const answer = requests.take("/help");
    const { lines, values } = await answer.later ?? answer;
    const isThere = (lines as string[]).some((line) => line.startsWith("/ban NICK"));
    const commands = values!.commands as { name: string }[];
    assert.equal(commands.some(({ name }) => name === "ban"), isThere);
    return isThere;
  };
  assert.equal(await shows(makeRoom([{ data: encodeBans([]) }])), true);
  assert.equal(await shows(makeRoom([{ status: STATUS.NOT_ALLOWED }])), false);
  assert.equal(await shows(makeRoom([undefined])), false, "the connection was lost");
  assert.equal(await shows(makeRoom([{}], { silent: true })), false);
  const asksNobody: [options: Parameters<typeof makeRoom>[1], isThere: boolean][] = [
    [{ serving: true }, true],
    [{ standing: { host: STRANGER, own: "hosts" } }, true],
    [{ serving: true, standing: { host: BOB, own: "stands by" } }, false],
  ];
  for (const [options, isThere] of asksNobody) {
    const room = makeRoom([], options);
    assert.equal(await shows(room), isThere);
    assert.deepEqual(room.asked, []);
  }
  const { lines } = makeRoom([]).requests.take("/help ban");
  assert.equal((lines as string[])[0], "/ban NICK [TIME]");
});
