/**
 * What `client send` and `client receive` have in common: words on standard error, and events about files.
 *
 * @module
 */

import { BoundedMap } from "../base/bounded_map.ts";
import { printDiagnostic, reportError } from "../base/errors.ts";
import { cleanLine } from "../base/text.ts";
import type { FileEvent, SessionEvent } from "../session/mod.ts";
import type { Face, FaceContext } from "./face.ts";
import { reportErrorEvent } from "./notices.ts";

/** People whose nicks are remembered after they have left. */
const MAX_NICKS = 1024;

interface FileFaceOptions {
  readonly quiet: boolean;
  readonly ask: Face["ask"];
  /** Takes what happens to files. */
  take(event: FileEvent, tools: FileFaceTools): void;
  /** See {@linkcode Face.run}. */
  run(context: FaceContext, tools: FileFaceTools): Promise<boolean>;
}

/** What such a face may use. */
export interface FileFaceTools {
  /** Says a line, unless `--quiet`. */
  say(text: string): void;
  /** The shown nick of someone who is or was here, else the fingerprint. */
  nickOf(fingerprint: string): string;
}

/** Makes such a face. */
export function makeFileFace({ quiet, ask, take, run }: FileFaceOptions): Face {
  let context: FaceContext | undefined;
  const say = (text: string) => void (quiet || printDiagnostic(`client: ${cleanLine(text)}`));
  const nicks = new BoundedMap<string, string>(MAX_NICKS);
  const nickOf = (person: string) =>
    context?.session.people().find(({ fingerprint }) => fingerprint === person)?.nick ??
      nicks.get(person) ?? person;
  const tools = { say, nickOf };
  return {
    emit(event: SessionEvent) {
      if (event.event === "joined") nicks.renew(event.fingerprint, event.nick);
      if (event.event === "error") reportErrorEvent(event);
      else if (isFileEvent(event)) take(event, tools);
    },
    say,
    greet: () => {},
    progress: (text) => text === "" || say(text),
    ask,
    attach(attached) {
      context = attached;
    },
    run: () => run(context!, tools),
    fail: (error) => reportError("client", error),
    close: () => {},
  };
}

const FILE_EVENTS: ReadonlySet<string> = new Set<FileEvent["event"]>([
  "offered",
  "offer",
  "transfer",
  "received",
  "sentfile",
  "transferfailed",
]);

function isFileEvent(event: SessionEvent): event is FileEvent {
  return FILE_EVENTS.has(event.event);
}
