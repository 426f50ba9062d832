/**
 * Commands about files: offering, accepting, declining, and what goes on.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import type { FileRow, Person, Transfers } from "../session/mod.ts";
import {
  type Answer,
  type CommandContext,
  nothing,
  oneWord,
  type Row,
  row,
  splitWord,
} from "./command_row.ts";
import { isOpenOffer, personOf } from "./conversation.ts";
import { formatBytes, percent } from "./file_words.ts";
import { alignCells } from "./table.ts";

export const FILE_COMMANDS: Readonly<Record<string, Row>> = {
  send: row({
    usage: "[NICK] FILE",
    summary: "offer a file or folder",
    details: [
      "Without a nick it is offered to whom a text would go. Put a name with spaces in quotes.",
      "Nothing is sent before it is accepted.",
    ],
    parse: (rest) => rest === "" ? undefined : rest,
    run(rest, context) {
      const { to, path } = readSend(rest, context);
      return later(context, async (transfers) => {
        await transfers.offer(path, { to });
        return {};
      });
    },
  }),
  accept: row({
    usage: "[N] [+x] [as NAME]",
    summary: "take a file that is offered",
    details: [
      "N is the number of the offer; by default the newest one in this conversation.",
      "+x lets a program be one here, too. With as NAME it is kept under that name.",
    ],
    parse: readAccept,
    run({ number, executable, as }, context) {
      return answer(number, context, (transfers, number) => {
        transfers.accept(number, { executable, as });
      });
    },
  }),
  decline: row({
    usage: "[N]",
    summary: "do not take it",
    parse: readOptionalNumber,
    run({ number }, context) {
      return answer(number, context, (transfers, number) => transfers.decline(number));
    },
  }),
  cancel: row({
    usage: "N",
    summary: "end a transfer, or take an offer back",
    parse(rest) {
      const word = oneWord(rest);
      return word === undefined ? undefined : readNumber(word);
    },
    run(number, context) {
      return answer(number, context, (transfers, number) => transfers.cancel(number!));
    },
  }),
  files: row({
    usage: "",
    summary: "list what is offered and on its way",
    parse: nothing,
    run(_, context) {
      return later(context, async () => {
        const rows = (await allTransfers(context)).flatMap((transfers) => transfers.rows());
        if (rows.length === 0) return { lines: "nothing is offered, and nothing on its way" };
        const nickOf = (person: string) => context.findKey(person)?.nick ?? person;
        return { lines: fileTable(rows, nickOf), values: { files: rows } };
      });
    },
  }),
};

/** Runs with the transfers of the room, which may have to be loaded. */
function later(
  { session }: Pick<CommandContext, "session">,
  act: (transfers: Transfers) => Answer | Promise<Answer>,
): Answer {
  const { files } = session;
  if (files === undefined) throw new UsageError("files are turned off by --no-files");
  return { later: files.transfers().then(act) };
}

/** The transfers of all rooms, that of the present one first. */
async function allTransfers({ session, sessions }: CommandContext): Promise<Transfers[]> {
  const others = sessions.filter((other) => other !== session);
  const all = [session, ...others].flatMap(({ files }) => files?.transfers() ?? []);
  return await Promise.all(all);
}

/** Does something with a transfer, of whichever room; by default with the newest offer in the conversation. */
function answer(
  number: number | undefined,
  context: CommandContext,
  act: (transfers: Transfers, number: number | undefined) => void,
): Answer {
  const chosen = number ?? newestOffer(context.chat);
  return later(context, async (own) => {
    const has = (transfers: Transfers) => transfers.rows().some((row) => row.number === chosen);
    act((await allTransfers(context)).find(has) ?? own, chosen);
    return {};
  });
}

/** @throws {UsageError} Nothing is offered in the conversation. */
function newestOffer(chat: CommandContext["chat"]): number | undefined {
  if (chat === undefined) return undefined;
  const offer = chat.conversation.entries.findLast(isOpenOffer);
  if (offer !== undefined) return offer.number;
  throw new UsageError("nothing is offered here", ["/files lists what is offered anywhere"]);
}

/** Reads `[NICK] FILE`: the first word is a nick if somebody here has it and more follows. */
function readSend(rest: string, context: CommandContext): { to: string | undefined; path: string } {
  const [word, more] = splitWord(rest);
  const person = more.trim() === "" ? undefined : tryFind(word, context);
  const path = unquote((person === undefined ? rest : more).trim());
  if (path === "") throw new UsageError("/send needs a file");
  const to = person?.fingerprint ?? (context.chat && personOf(context.chat.conversation));
  return { to, path: context.resolvePath(path) };
}

function tryFind(name: string, context: CommandContext): Person | undefined {
  try {
    return context.find(name);
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

/** Takes the quotes of a shell off: `"a b"`, `'a b'`, `a\ b`. */
function unquote(text: string): string {
  const quoted = /^(["'])(.*)\1$/s.exec(text);
  return quoted ? quoted[2]! : text.replace(/\\(.)/gs, Deno.build.os === "windows" ? "\\$1" : "$1");
}

interface Accept {
  readonly number: number | undefined;
  readonly executable: boolean;
  readonly as: string | undefined;
}

function readAccept(rest: string): Accept | undefined {
  const match = /^(?:(\d{1,9})(?:\s+|$))?(\+x(?:\s+|$))?(?:as\s+(.+))?$/s.exec(rest);
  if (match === null) return undefined;
  const [, number, executable, as] = match;
  return {
    number: number === undefined ? undefined : Number(number),
    executable: executable !== undefined,
    as: as === undefined ? undefined : unquote(as.trim()),
  };
}

function readOptionalNumber(rest: string): { number: number | undefined } | undefined {
  if (rest === "") return { number: undefined };
  const number = readNumber(rest.trimEnd());
  return number === undefined ? undefined : { number };
}

function readNumber(word: string): number | undefined {
  return /^\d{1,9}$/.test(word) ? Number(word) : undefined;
}

/** The lines of `/files`. */
function fileTable(rows: readonly FileRow[], nickOf: (person: string) => string): string[] {
  return alignCells(rows.map(({ number, direction, person, name, size, bytes, rate, state }) => [
    String(number),
    `${direction === "out" ? "to" : "from"} ${nickOf(person)}`,
    name,
    size === null ? "" : formatBytes(size),
    stateWords({ state, direction, number, size, bytes, rate }),
  ]));
}

function stateWords(
  { state, direction, number, size, bytes, rate }: Pick<
    FileRow,
    "state" | "direction" | "number" | "size" | "bytes" | "rate"
  >,
): string {
  if (state === "asked") return direction === "in" ? `/accept ${number}` : "offered";
  const done = size === null ? formatBytes(bytes) : `${percent(bytes, size)} %`;
  const speed = state === "direct" || state === "relayed" ? `  ${formatBytes(rate)}/s` : "";
  return `${done}${speed}  ${state}`;
}
