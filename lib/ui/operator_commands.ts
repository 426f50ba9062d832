/**
 * Commands that a server obeys if its operators give them (PROTOCOL.md §5).
 *
 * @module
 */

import { type Bytes, encodeUtf8 } from "../base/bytes.ts";
import { cleanLine } from "../base/text.ts";
import { UsageError } from "../base/errors.ts";
import { type AdminRequest, decodeBans, MAX_BAN_SECONDS, MAX_BANS } from "../protocol/admin.ts";
import { MAX_NOTICE_BYTES, STATUS } from "../protocol/frames.ts";
import { decodeFingerprint, encodeFingerprint, FINGERPRINT_PATTERN } from "../protocol/identity.ts";
import { ADMIN_PER_MINUTE } from "../protocol/limits.ts";
import { foldNick } from "../protocol/names.ts";
import type { Session } from "../session/mod.ts";
import {
  type Answer,
  type CommandContext,
  nothing,
  oneWord,
  RefusedCommand,
  type Row,
  row,
  someText,
  splitWord,
} from "./command_row.ts";
import { isHosting } from "./people_commands.ts";
import { alignCells } from "./table.ts";

/** How long to wait for the server's answer. */
const ANSWER_MS = 10_000;

const FINGERPRINT = new RegExp(`^${FINGERPRINT_PATTERN}$`);

/** Units of time, in seconds, the longest first. */
const UNITS = [
  { letter: "w", name: "week", seconds: 7 * 24 * 3600 },
  { letter: "d", name: "day", seconds: 24 * 3600 },
  { letter: "h", name: "hour", seconds: 3600 },
  { letter: "m", name: "minute", seconds: 60 },
  { letter: "s", name: "second", seconds: 1 },
] as const;

export const OPERATOR_COMMANDS: Readonly<Record<string, Row>> = {
  kick: row({
    usage: "NICK",
    summary: "remove somebody (operators only)",
    details: ["They may join again. A fingerprint works in place of the nick."],
    parse: oneWord,
    run(name, context) {
      const target = findTarget(name, context);
      return later(async () => {
        const { fingerprint: about, bytes: fingerprint } = target;
        const { status } = await ask({ verb: "kick", fingerprint }, target, context);
        return {
          lines: `${target.name} was removed`,
          values: { status, fingerprint: about },
          about,
        };
      });
    },
  }),
  ban: row({
    usage: "NICK [TIME]",
    summary: "remove and keep out (operators only)",
    details: [
      "TIME is 30m, 12h, 2d, 3w; without it the ban lasts a year.",
      "Somebody who has left is meant by the nick under which they wrote here, or by fingerprint.",
    ],
    parse(rest) {
      const [name, time] = splitWord(rest);
      const seconds = parseTime(time.trimEnd());
      return name === "" || seconds === undefined ? undefined : { name, seconds };
    },
    run({ name, seconds }, context) {
      if (seconds < 1 || seconds > MAX_BAN_SECONDS) {
        throw new UsageError("a ban lasts at least a second and at most a year");
      }
      const target = findWithGone(name, context);
      return later(async () => {
        const { fingerprint: about, bytes: fingerprint } = target;
        const { status } = await ask({ verb: "ban", fingerprint, seconds }, target, context);
        const isFirst = context.banned.size === 0;
        context.banned.set(about, target.name);
        return {
          lines: `${target.name} is banned for ${duration(seconds)}`,
          ...(isFirst && { hint: banWarning(context) }),
          values: { status, fingerprint: about, seconds },
          about,
        };
      });
    },
  }),
  unban: row({
    usage: "NICK",
    summary: "end a ban (operators only)",
    details: ["A nick works if you banned it in this run, otherwise the fingerprint: /bans"],
    parse: oneWord,
    run(name, context) {
      const target = findBanned(name, context) ?? findTarget(name, context);
      return later(async () => {
        const { fingerprint: about, bytes: fingerprint } = target;
        const { status } = await ask({ verb: "unban", fingerprint }, target, context);
        return {
          lines: `${target.name} may join again`,
          values: { status, fingerprint: about },
          about,
        };
      });
    },
  }),
  bans: row({
    usage: "",
    summary: "list the bans (operators only)",
    parse: nothing,
    run: (_, context) =>
      later(async () => {
        const { status, data } = await ask({ verb: "bans" }, undefined, context);
        const bans = decodeBans(data).map(({ fingerprint, seconds }) => ({
          fingerprint: encodeFingerprint(fingerprint),
          seconds,
        }));
        const rows = bans.map(({ fingerprint, seconds }) => [
          fingerprint,
          `${duration(seconds)} left`,
          context.banned.get(fingerprint) ?? "",
        ]);
        return {
          lines: bans.length === 0 ? "nobody is banned" : alignCells(rows),
          values: { status, bans },
        };
      }),
  }),
  announce: row({
    usage: "text",
    summary: "tell all rooms (operators only)",
    parse: someText,
    run(text, context) {
      checkNotice("an announcement", text);
      return later(async () => {
        const { status } = await ask({ verb: "announce", text }, undefined, context);
        return { lines: "announced to everybody on the server", values: { status } };
      });
    },
  }),
  motd: row({
    usage: "[text]",
    summary: "show or set the greeting (operators only)",
    details: ["Everybody who joins is shown it. A hyphen removes it: /motd -"],
    parse: (text) => text,
    run(given, context) {
      if (given === "") return showMotd(context.session.motd);
      const text = given.trim() === "-" ? "" : given;
      checkNotice("a message of the day", text);
      return later(async () => {
        const { status } = await ask({ verb: "motd", text }, undefined, context);
        const lines = text === ""
          ? "the message of the day was removed"
          : "everybody who joins is shown this message of the day";
        return { lines, values: { status } };
      });
    },
  }),
};

/** Indented, since another server's text may look like anything. */
function showMotd(motd: string): Answer {
  const lines = motd === ""
    ? "the server has no message of the day"
    : ["the server says:", ...motd.split("\n").map((line) => `  ${cleanLine(line)}`)];
  return { lines, values: { text: motd } };
}

function later(answer: () => Promise<Answer>): Answer {
  return { later: answer() };
}

/** Whom a command is about. */
interface Target {
  /** The nick, or the fingerprint of somebody who is not here. */
  readonly name: string;
  readonly fingerprint: string;
  readonly bytes: Bytes;
}

/** @throws {UsageError} If the name is no fingerprint, and means nobody or more than one person. */
function findTarget(name: string, { find, findKey }: CommandContext): Target {
  const person = findKey(name);
  if (person === undefined && FINGERPRINT.test(name)) {
    return { name, fingerprint: name, bytes: decodeFingerprint(name) };
  }
  const { nick, fingerprint, fingerprintBytes } = person ?? find(name);
  return { name: nick, fingerprint, bytes: fingerprintBytes };
}

/**
 * Like {@linkcode findTarget}, and where nobody here is meant, finds who has written under that nick and left.
 *
 * @throws {UsageError} If it means nobody or more than one person.
 */
function findWithGone(name: string, context: CommandContext): Target {
  try {
    return findTarget(name, context);
  } catch (error) {
    const isCalledSo = ({ nick }: { nick: string }) => foldNick(nick) === foldNick(name);
    if (context.session.people().some(isCalledSo)) throw error;
    const writers = new Map<string, string>();
    for (let i = 1, message; (message = context.log.back(i)) !== undefined; i++) {
      if (!message.isOwn && isCalledSo(message)) writers.set(message.of, message.nick);
    }
    const [writer, ...others] = writers;
    if (writer === undefined) throw error;
    if (others.length > 0) {
      throw new UsageError(`several people have written as ${name}`, [...writers.keys()]);
    }
    const [fingerprint, nick] = writer;
    return { name: nick, fingerprint, bytes: decodeFingerprint(fingerprint) };
  }
}

/** Finds somebody who was banned in this run under this nick, and is probably not here. */
function findBanned(name: string, { banned }: CommandContext): Target | undefined {
  const found = [...banned].findLast(([, nick]) => foldNick(nick) === foldNick(name));
  if (found === undefined) return undefined;
  const [fingerprint, nick] = found;
  return { name: nick, fingerprint, bytes: decodeFingerprint(fingerprint) };
}

/**
 * Asks the server.
 *
 * @throws {RefusedCommand} If it refuses.
 * @throws {UsageError} If it does not answer.
 */
async function ask(
  request: AdminRequest,
  target: Target | undefined,
  context: CommandContext,
): Promise<{ status: number; data: Bytes }> {
  const { session } = context;
  const result = await waitForResult(session, request);
  const { status } = result;
  if (status === STATUS.DONE) return result;
  // The same status may mean the target: operators do not remove each other.
  throw status === STATUS.NOT_ALLOWED && target !== undefined && await obeys(session)
    ? new RefusedCommand(
      status,
      target.fingerprint === context.fingerprint
        ? "you cannot remove yourself"
        : `${target.name} is an operator, too, and cannot be removed`,
      [],
    )
    : refusal(status, request, target, context);
}

async function waitForResult(session: Session, request: AdminRequest) {
  const answer = session.admin(request);
  let isThere = false;
  void answer.then(() => {
    isThere = true;
    session.wake();
  });
  if (!await session.until(() => isThere, ANSWER_MS)) {
    throw new UsageError("the server has not answered");
  }
  const result = await answer;
  if (result !== undefined) return result;
  throw new UsageError("the connection ended before the server answered");
}

function refusal(
  status: number,
  { verb }: AdminRequest,
  target: Target | undefined,
  context: CommandContext,
): RefusedCommand {
  const refused = (message: string, ...hints: string[]) =>
    new RefusedCommand(status, message, hints);
  switch (status) {
    case STATUS.NOT_ALLOWED:
      return refused("you are not an operator of this server", whoIs(context));
    case STATUS.UNKNOWN_VERB:
      return refused("the server does not know this command", "it may be an older version");
    case STATUS.NOT_FOUND:
      return refused(`${target?.name} is not ${verb === "unban" ? "banned" : "on the server"}`);
    case STATUS.TOO_MUCH:
      return refused(
        "that is too much for the server",
        `it takes ${ADMIN_PER_MINUTE} commands a minute, and keeps ${MAX_BANS} bans`,
      );
    default:
      return refused("the server refused the command");
  }
}

/** Who the operators are, for somebody who is none. */
function whoIs({ session }: CommandContext): string {
  const host = session.standing?.host;
  if (host === undefined) return "whoever runs it names them: server --operators FILE";
  const person = session.people().find(({ fingerprint }) => fingerprint === host);
  return `only ${person?.nick ?? host} can, who hosts`;
}

/** What a ban is worth: somebody may make a new key, and the next host does not know it. */
function banWarning(context: CommandContext): string {
  const key = "a new key is made in a second: a new --password";
  return isHosting(context)
    ? `${key} keeps them out for sure; the ban holds while this computer hosts: ` +
      "for a ban that stays run a server"
    : `${key}, or --allow FILE, keeps them out for sure`;
}

/** Whether the server takes this person's commands; it is asked where that is not known. */
export function isOperator(context: CommandContext): boolean | Promise<boolean> {
  const { session } = context;
  if (isHosting(context)) return true;
  if (session.standing || !session.joined) return false;
  return obeys(session).catch((error) => {
    if (error instanceof UsageError) return false;
    throw error;
  });
}

async function obeys(session: Session): Promise<boolean> {
  return (await waitForResult(session, { verb: "bans" })).status === STATUS.DONE;
}

/** @throws {UsageError} If the text is too long for a NOTICE. */
function checkNotice(what: string, text: string): void {
  const { length } = encodeUtf8(text);
  if (length <= MAX_NOTICE_BYTES) return;
  throw new UsageError(`${what} has at most ${MAX_NOTICE_BYTES} bytes, this one has ${length}`);
}

/** The seconds of `30m` or `2d`; a year if it is empty, undefined if it is malformed. */
function parseTime(text: string): number | undefined {
  if (text === "") return MAX_BAN_SECONDS;
  const [, count, letter] = /^(\d{1,9})([smhdw])$/i.exec(text) ?? [];
  if (count === undefined) return undefined;
  const unit = UNITS.find((unit) => unit.letter === letter!.toLowerCase())!;
  return Number(count) * unit.seconds;
}

/** Seconds in words: in the longest unit of which there are two, or that fits exactly. */
function duration(seconds: number): string {
  if (seconds === MAX_BAN_SECONDS) return "a year";
  const unit = UNITS.find((unit) => seconds >= 2 * unit.seconds || seconds === unit.seconds) ??
    UNITS.at(-1)!;
  const count = Math.round(seconds / unit.seconds);
  return `${count} ${unit.name}${count === 1 ? "" : "s"}`;
}
