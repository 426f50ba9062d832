/**
 * The pipe: lines of text in, messages out, everything else on standard error.
 *
 * @module
 */

import { systemClock } from "../base/clock.ts";
import { printDiagnostic, reportError, UsageError } from "../base/errors.ts";
import { cleanLine } from "../base/text.ts";
import type { NoteEvent, Session, SessionEvent } from "../session/mod.ts";
import { ConnectionStatus } from "./connection_status.ts";
import type { Face } from "./face.ts";
import { MessageLog } from "./message_log.ts";
import { noteNotice, type Notice, noticeOf, reportErrorEvent } from "./notices.ts";
import { Presence } from "./presence.ts";
import { renderPlain } from "./render.ts";
import { ServerWords } from "./server_words.ts";
import {
  awaitConnection,
  awaitPerson,
  drain,
  forEachLine,
  type InputOptions,
  LineMerger,
} from "./standard_input.ts";
import { Output } from "./standard_output.ts";

/** Messages read ahead of what the session has accepted. */
const MAX_AHEAD = 16;

interface PipeOptions {
  /** Show only messages, warnings and errors. */
  readonly quiet: boolean;
  /** How long to wait at the end for acknowledgements. */
  readonly waitMs: number;
  /** Send everything to this person alone, once they are there. */
  readonly to: string | undefined;
}

/** Makes the face for a standard input or output that is no terminal. */
export function makePipeFace({ quiet, waitMs, to }: PipeOptions): Face {
  let attached:
    | {
      session: Session;
      presence: Presence;
      status: ConnectionStatus;
      log: MessageLog;
      fingerprint: string;
    }
    | undefined;
  const output = new Output();
  const print = ({ level, text, hint }: Notice) => {
    if (quiet && level !== "warning" && level !== "error") return false;
    printDiagnostic(`client: ${cleanLine(text.replaceAll("\n", " "))}`);
    if (hint !== "") printDiagnostic(`client: hint: ${cleanLine(hint)}`);
    return true;
  };
  const names = {
    nickOf: (fingerprint: string) => attached?.presence.nickOf(fingerprint) ?? fingerprint,
    ownText: (id: string) => attached?.log.find({ id, of: attached.fingerprint })?.text,
  };
  const say = (text: string) => quiet || printDiagnostic(`client: ${cleanLine(text)}`);
  const trustOf = (fingerprint: string) => attached?.presence.trustOf(fingerprint) ?? "new";
  /** An edited message is written like a new one. */
  const takeNote = (event: NoteEvent) => {
    const message = attached?.log.find({ id: event.ref, of: event.of });
    const notice = noteNotice(event, message);
    if (notice) return print(notice);
    const isPrivate = message?.other !== undefined;
    const edited = { ...event, private: isPrivate, action: false, view: "same" } as const;
    output.writeLine(renderPlain(edited, trustOf(event.fingerprint), { ...names, isEdit: true }));
  };
  const show = (event: SessionEvent) => {
    switch (event.event) {
      case "chat":
        return output.writeLine(renderPlain(event, trustOf(event.fingerprint), names));
      case "note":
        return takeNote(event);
      case "error":
        return reportErrorEvent(event);
      case "delivered":
        return;
      default: {
        const notice = noticeOf(event, names);
        if (notice) print(notice);
      }
    }
  };
  return {
    emit(event: SessionEvent) {
      const isPresence = attached?.presence.take(event);
      if (attached?.status.take(event) || isPresence) return;
      show(event);
      attached?.log.take(event);
    },
    say,
    greet: () => {},
    progress: (text) => text === "" || say(text),
    ask: () => Promise.resolve(undefined),
    attach({ session, fingerprint, serving, knownPeers }) {
      const people = () => session.people();
      const own = () => session.nick;
      const host = () => session.standing?.host;
      const clock = systemClock;
      const judge = (person: string, nick: string) => knownPeers.judge(person, nick);
      const options = { clock, fingerprint, names, host, people, judge, own, print };
      const presence = new Presence(options);
      const words = new ServerWords(clock);
      const nickOf = (person: string) => presence.nickOf(person);
      const status = new ConnectionStatus({ serving, nickOf, fingerprint, words, print });
      attached = { session, presence, status, log: new MessageLog(fingerprint), fingerprint };
    },
    run: () => Promise.race([sendInput(attached!.session, { waitMs, to }), output.closed]),
    fail: (error) => reportError("client", error),
    close: () => {},
  };
}

/**
 * Sends standard input as text.
 *
 * @returns Whether every line was accepted, and received by everyone present.
 */
async function sendInput(
  session: Session,
  { waitMs, to }: Pick<PipeOptions, "waitMs" | "to">,
): Promise<boolean> {
  const input: InputOptions = { session, read: (into) => Deno.stdin.read(into), waitMs };
  let good = true;
  const refuse = (error: unknown) => {
    if (!(error instanceof UsageError)) throw error;
    good = false;
    reportError("client", error);
  };
  const texts: string[] = [];
  const merger = new LineMerger(systemClock, (text) => {
    texts.push(text);
    session.wake();
  });
  let ended = false;
  const read = await awaitConnection(input);
  if (read === undefined) return true;
  // From here on it is this key that gets everything, whatever anybody calls themselves.
  const person = to === undefined ? undefined : await awaitPerson(session, to, waitMs);
  const send = async () => {
    while (await session.until(() => (texts.length > 0 && !session.blocked) || ended)) {
      const text = texts.shift();
      if (text === undefined) return;
      try {
        if (person === undefined) session.say(text);
        else session.sendPrivate(person, text);
      } catch (error) {
        refuse(error);
      }
      await session.until(() => !session.blocked);
    }
  };
  const sent = send();
  await forEachLine(read, async (line) => {
    if ("error" in line) refuse(new UsageError(line.error));
    else merger.add(line.text, line);
    await session.until(() => texts.length < MAX_AHEAD);
  }, { cuts: true });
  merger.flush();
  ended = true;
  session.wake();
  await sent;
  return await drain(input) && good;
}
