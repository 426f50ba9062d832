/**
 * Commands about people: who is here, who they are, and the user.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { encodeFingerprint } from "../protocol/identity.ts";
import { foldNick } from "../protocol/names.ts";
import { safetyNumber, showSafetyNumbers } from "../protocol/safety_number.ts";
import type { Person } from "../session/mod.ts";
import {
  type Answer,
  type CommandContext,
  nothing,
  oneWord,
  type Row,
  row,
  splitWord,
} from "./command_row.ts";
import type { FaceContext } from "./face.ts";
import { clockTime } from "./moment.ts";
import { alignCells } from "./table.ts";

export const PEOPLE_COMMANDS: Readonly<Record<string, Row>> = {
  names: row({
    usage: "",
    summary: "list who is here",
    details: [
      "Shows each person's fingerprint and how far their key is trusted.",
      "Below are those whose connection was lost: what is written is kept for them for a while.",
    ],
    parse: nothing,
    run(_, { chat, session, fingerprint, screen }) {
      const people = sortByNick(session.people());
      const lines = [
        ...chat?.names() ?? people.map(({ nick, fingerprint }) => `${nick} ${fingerprint}`),
        ...describeLost(session),
        ...describeHosts({ session, fingerprint }),
      ];
      const values = { people: [...countPlaces(people), ...lostPeople(session)] };
      if (screen?.showNames === undefined) return { lines, values };
      screen.showNames(lines);
      return { values };
    },
  }),
  nick: row({
    usage: "NAME",
    summary: "change your nick",
    details: [
      "Letters of one script, digits, dots, underscores and hyphens. It is kept for the next time.",
    ],
    parse: oneWord,
    run(nick, { session, sessions, keepNick }) {
      for (const each of sessions) each.setNick(nick);
      keepNick(session.nick);
      return { lines: `you are now ${session.nick}`, values: { nick: session.nick } };
    },
  }),
  ignore: row({
    usage: "NICK",
    summary: "hide someone's messages",
    details: ["Applies to their key, whatever nick they use, until you leave."],
    parse: oneWord,
    run(name, { find, ignored, emit }) {
      const { nick, fingerprint } = find(name);
      const values = { fingerprint, nick, ignored: true };
      ignored.set(fingerprint, nick);
      emit({ event: "ignored", ...values });
      const lines = `messages from ${nick} are hidden until you leave`;
      return { lines, values, about: fingerprint };
    },
  }),
  unignore: row({
    usage: "NICK",
    summary: "show their messages again",
    parse: oneWord,
    run(name, context) {
      const { nick, fingerprint } = findIgnored(name, context);
      const values = { fingerprint, nick, ignored: false };
      context.ignored.delete(fingerprint);
      context.emit({ event: "ignored", ...values });
      return { lines: `messages from ${nick} are shown again`, values, about: fingerprint };
    },
  }),
  verify: row({
    usage: "NICK [yes]",
    summary: "compare digits to be sure who someone is",
    details: [
      "Shows 30 + 30 digits. Compare them in another way: face to face or on the phone.",
      "If they are the same on both sides: /verify NICK yes",
    ],
    parse(rest) {
      const [nick, answer] = splitWord(rest);
      if (nick === "" || !/^(?:yes\s*)?$/i.test(answer)) return undefined;
      return { nick, yes: answer !== "" };
    },
    run({ nick, yes }, context) {
      const person = context.find(nick);
      const { fingerprint } = person;
      const compared = context.compared.get(foldNick(nick));
      if (!yes) {
        context.compared.set(foldNick(nick), fingerprint);
        return { ...compareDigits(person, context), about: fingerprint };
      }
      if (compared !== undefined && compared !== fingerprint) {
        throw new UsageError(`${nick} is somebody else now than when you compared digits`, [
          `compare again: /verify ${nick}`,
        ]);
      }
      const { knownPeers } = context;
      knownPeers.verify(fingerprint);
      const others = sharedWith(person, knownPeers);
      if (others.length > 0) knownPeers.share(fingerprint, person.usedNick);
      else knownPeers.accept(fingerprint, person.usedNick);
      for (const session of context.sessions) session.reportTrust();
      const done = `${person.nick} is now verified`;
      return {
        lines: others.length === 0 ? done : [
          done,
          `the nick still belongs to ${others.join(", ")} too, which you have verified`,
          `if only this key is theirs now: /trust ${fingerprint} only`,
        ],
        values: { nick: person.nick, fingerprint, trust: "verified" },
        about: fingerprint,
      };
    },
  }),
  trust: row({
    usage: "NICK [yes|only]",
    summary: "accept someone's changed or second key",
    details: [
      "Ask them first: the new key may be someone else's. /verify makes sure.",
      "If both keys are verified, it asks: yes keeps both, only takes the nick from the other.",
    ],
    parse(rest) {
      const [nick, answer] = splitWord(rest);
      if (nick === "" || !/^(?:(?:yes|only)\s*)?$/i.test(answer)) return undefined;
      return { nick, answer: answer.trimEnd().toLowerCase() };
    },
    run({ nick: name, answer }, { find, sessions, knownPeers }) {
      const person = find(name);
      const { nick, usedNick, fingerprint } = person;
      const others = sharedWith(person, knownPeers);
      if (others.length > 0 && answer === "") {
        return {
          lines: [
            `the nick belongs to another key that you have verified: ${others.join(", ")}`,
            `if both keys are of one person: /trust ${nick} yes`,
            `if only this key is theirs now: /trust ${nick} only`,
          ],
          values: { nick, fingerprint, trust: person.trust },
          about: fingerprint,
        };
      }
      if (others.length > 0 && answer === "yes") knownPeers.share(fingerprint, usedNick);
      else knownPeers.accept(fingerprint, usedNick);
      for (const session of sessions) session.reportTrust();
      const { trust } = find(fingerprint);
      return {
        lines: `${nick} now has the key ${fingerprint}`,
        values: { nick, fingerprint, trust },
        about: fingerprint,
      };
    },
  }),
  away: row({
    usage: "[text]",
    summary: "say that you are away; alone: show it",
    parse: (text) => text,
    run(text, { session, sessions }) {
      if (text !== "") { for (const each of sessions) each.setAway(text); }
      const { away } = session;
      const hint = text === "" ? "; /back when you return" : "";
      return {
        lines: away === "" ? "you are not away" : `you are away: ${away}${hint}`,
        values: { away },
      };
    },
  }),
  back: row({
    usage: "",
    summary: "say that you are back",
    parse: nothing,
    run(_, { session, sessions }) {
      const wasAway = session.away !== "";
      if (wasAway) { for (const each of sessions) each.setAway(""); }
      return { lines: wasAway ? "you are back" : "you are not away", values: { away: "" } };
    },
  }),
};

/** Finds someone who is ignored; they may have left since, and have the nick under which they were ignored. */
function findIgnored(
  name: string,
  { find, ignored }: CommandContext,
): Pick<Person, "nick" | "fingerprint"> {
  for (const [fingerprint, nick] of ignored) {
    if (name === nick || name === fingerprint) return { nick, fingerprint };
  }
  const person = find(name);
  if (!ignored.has(person.fingerprint)) throw new UsageError(`${person.nick} is not ignored`);
  return person;
}

function compareDigits(person: Person, { key }: CommandContext): Answer {
  const own = safetyNumber(key.id);
  const { nick, fingerprint } = person;
  const halves = showSafetyNumbers(key, { id: person.id, fingerprint: person.fingerprintBytes });
  // Both people see the halves in the same order (§8), so each half says whose it is.
  const lines = halves.flatMap((half) => [
    half === own ? `yours, ${encodeFingerprint(key.fingerprint)}:` : `theirs, ${fingerprint}:`,
    `    ${half}`,
  ]);
  return {
    lines: [
      `compare these digits with ${nick} face to face or on the phone, not here:`,
      ...lines,
      `if both screens show the same digits: /verify ${nick} yes`,
      "if not, someone may be intercepting your messages, or a key has changed",
    ],
    values: { nick, fingerprint, halves },
  };
}

/** Sorts people by the nicks that they are shown with, ignoring case. */
export function sortByNick<T extends { readonly nick: string }>(people: readonly T[]): T[] {
  const keyed = people.map((person) => ({ person, key: foldNick(person.nick) }));
  keyed.sort((a, b) => a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
  return keyed.map(({ person }) => person);
}

/** Whether this program is the server now. */
export function isHosting({ session, serving }: Pick<FaceContext, "session" | "serving">): boolean {
  return session.standing ? session.standing.own === "hosts" : serving;
}

/** Who hosts, and who stands by to carry on, where the room may move to another computer. */
export function describeHosts(
  { session, fingerprint }: Pick<FaceContext, "session" | "fingerprint">,
): string[] {
  const { standing } = session;
  if (!standing?.host) return [];
  // One person may be here with several programs.
  const nameOf = (person: string, what: "hosts" | "stands by") => {
    if (person === fingerprint) {
      return standing.own === what ? "this computer" : "your other client";
    }
    return session.people().find((it) => it.fingerprint === person)?.nick ?? person;
  };
  const next = standing.standBys.map((person) => `${nameOf(person, "stands by")} stands by`);
  return [[`${nameOf(standing.host, "hosts")} hosts`, ...next].join(", ")];
}

/** The people who are lost, and until when they get what is written here. */
function describeLost(session: FaceContext["session"]): string[] {
  const time = (text: string) => clockTime(new Date(text));
  return alignCells(
    sortByNick(session.lost()).map(({ nick, since, until }) => [
      nick,
      `lost since ${time(since)}, gets what is written here until ${time(until)}`,
    ]),
  );
}

/** The same for `/names` in JSON. */
function lostPeople(session: FaceContext["session"]) {
  return sortByNick(session.lost()).map(({ until, ...person }) => ({
    ...person,
    away: "",
    places: 0,
    kept: until,
  }));
}

/** The people of `/names`: each once, with the number of their clients that are here. */
function countPlaces(people: readonly Person[]) {
  const places = Map.groupBy(people, ({ fingerprint }) => fingerprint);
  return [...places.values()].map((clients) => {
    const { nick, fingerprint, trust, away } = clients[0]!;
    const since = clients.map(({ since }) => since).toSorted()[0];
    const recap = clients.some(({ recap }) => recap) && { recap: true };
    return { nick, fingerprint, trust, away, since, places: clients.length, ...recap };
  });
}

/** The other keys that may share a person's nick, since all of them are verified: of one person, perhaps. */
function sharedWith(
  { usedNick, fingerprint }: Person,
  knownPeers: FaceContext["knownPeers"],
): string[] {
  const others = knownPeers.owners(usedNick).filter((owner) => owner !== fingerprint);
  const canShare = [fingerprint, ...others].every((key) => knownPeers.isVerified(key));
  return canShare ? others : [];
}
