/**
 * The face of `--stay`: takes no input and shows no message; says on standard error how the connection is, and what
 * goes wrong.
 *
 * @module
 */

import { systemClock } from "../base/clock.ts";
import { printDiagnostic, reportError } from "../base/errors.ts";
import { cleanLine } from "../base/text.ts";
import { ConnectionStatus } from "./connection_status.ts";
import type { Face } from "./face.ts";
import { type Notice, noticeOf, reportErrorEvent } from "./notices.ts";
import { ServerWords } from "./server_words.ts";

/** Makes the face of a terminal that stays. @param options.quiet Say only what goes wrong. */
export function makeStayFace({ quiet }: { readonly quiet: boolean }): Face {
  let status: ConnectionStatus | undefined;
  // Nobody's nick is written to a log of the computer.
  const nickOf = () => "somebody";
  const names = { nickOf, ownText: () => undefined };
  const print = ({ level, text }: Notice) => {
    const isBad = level === "warning" || level === "error";
    if (isBad || !quiet) printDiagnostic(`client: ${cleanLine(text.replaceAll("\n", " "))}`);
  };
  const say = (text: string) => quiet || printDiagnostic(`client: ${cleanLine(text)}`);
  return {
    emit(event) {
      if (status?.take(event)) return;
      if (event.event === "error") return reportErrorEvent(event);
      const notice = event.event === "notice" ? noticeOf(event, names) : undefined;
      if (notice) print(notice);
    },
    say,
    greet: () => {},
    progress: (text) => text === "" || say(text),
    ask: () => Promise.resolve(undefined),
    attach({ fingerprint, serving }) {
      const words = new ServerWords(systemClock);
      status = new ConnectionStatus({ serving, nickOf, fingerprint, words, print });
    },
    run: () => new Promise(() => {}),
    fail: (error) => reportError("client", error),
    close: () => {},
  };
}
