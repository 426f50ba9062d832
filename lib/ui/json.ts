/**
 * The faces of the client without a terminal, lines of text and lines of JSON; and the interface of all faces, for
 * what the program itself has to say and ask before and after the session. The chat on a terminal is in chat_ui.ts.
 *
 * @module
 */

import type { Attachment } from "./chat.ts";
import { UsageError } from "../base/errors.ts";
import type { SessionEvent } from "../session/events.ts";
import { noticeOf } from "./notices.ts";
import { writeOutput } from "../base/output.ts";
import { runJson, runPipe } from "./pipe.ts";
import { describeError, reportError } from "../cli/process.ts";
import { renderPlain } from "./render.ts";
import { cleanLine, escapeJson } from "../base/text.ts";

/** A face of the client. */
export interface Ui {
  /** Shows an event. */
  emit(event: SessionEvent): void;
  /** Says something that is worth a line unless `--quiet`. */
  say(text: string): void;
  /** Says something that only a person at a terminal wants to know. */
  greet(text: string): void;
  /** Shows that something is going on, until it is called with an empty text. */
  progress(text: string): void;
  /** Asks; undefined when there is nobody to ask, or they gave up. */
  ask(question: string, options: { secret: boolean }): Promise<string | undefined>;
  /** The session begins. */
  attach(attachment: Attachment): void;
  /**
   * Takes what the person says until they have finished.
   *
   * @returns Whether all of it arrived.
   */
  run(): Promise<boolean>;
  /** Says why the program ends. */
  fail(error: unknown): void;
  /** The last thing: leaves everything as it was found. */
  close(): void;
}

/** Standard output, line by line, for as long as it takes them. */
class Output {
  /**
   * Resolves to `false` when nobody reads any more, as behind `| head`; rejects when the lines cannot be kept, as on a
   * full disk.
   */
  readonly closed: Promise<false>;
  #close: (value: false | Promise<never>) => void;
  #isOpen = true;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<false>();
    this.closed = promise;
    this.closed.catch(() => {}); // perhaps nobody waits for it yet
    this.#close = resolve;
  }

  /** Writes a line; nothing once that has failed. Never throws: who has sent it must not be taken for the cause. */
  writeLine(text: string): void {
    if (!this.#isOpen) return;
    try {
      writeOutput(text + "\n");
    } catch (error) {
      this.#isOpen = false;
      if (error instanceof Deno.errors.BrokenPipe) return this.#close(false);
      const why = `standard output cannot be written: ${describeError(error)}`;
      this.#close(Promise.reject(new UsageError(why)));
    }
  }
}

/** What the faces without a terminal need to know. */
export interface PlainOptions {
  readonly quiet: boolean;
  readonly waitMs: number;
  /** Send everything to this person alone. */
  readonly to: string | undefined;
}

const read = (into: Uint8Array) => Deno.stdin.read(into);
const nobody = () => Promise.resolve(undefined);

/** Lines of JSON, both ways. */
export function makeJsonUi({ waitMs }: PlainOptions): Ui {
  let attached: Attachment | undefined;
  const output = new Output();
  const emit = (event: SessionEvent) => {
    if (attached?.actions.observe(event) ?? true) output.writeLine(escapeJson(event));
  };
  return {
    emit,
    say: (text) => emit({ event: "notice", text }),
    greet: () => {},
    progress: () => {},
    ask: nobody,
    attach: (attachment) => attached = attachment,
    run: () => Promise.race([runJson({ ...attached!, read, emit, waitMs }), output.closed]),
    fail(error) {
      const hint = error instanceof UsageError ? error.hints.join("; ") : "";
      const message = error instanceof Error ? error.message : String(error);
      emit({ event: "error", code: "fatal", message, hint });
      reportError("client", error);
    },
    close: () => emit({ event: "bye" }),
  };
}

/** Text lines in, messages out; everything else on standard error. */
export function makePipeUi({ quiet, waitMs, to }: PlainOptions): Ui {
  let attached: Attachment | undefined;
  const nicks = new Map<string, string>();
  const output = new Output();
  const emit = (event: SessionEvent) => {
    if (event.event === "joined" || event.event === "nick") {
      nicks.set(event.fingerprint, event.nick);
    }
    if (event.event === "chat") return output.writeLine(renderPlain(event)!);
    if (event.event === "error") {
      return reportError("client", new UsageError(event.message, event.hint ? [event.hint] : []));
    }
    const notice = noticeOf(event, {
      nickOf: (fingerprint) => nicks.get(fingerprint) ?? fingerprint,
      ownText: () => undefined,
    });
    if (!notice || event.event === "delivered") return;
    if (quiet && notice.level !== "warning" && notice.level !== "error") return;
    console.error(`client: ${cleanLine(notice.text)}`);
    if (notice.hint !== "") console.error(`client: hint: ${cleanLine(notice.hint)}`);
  };
  const say = (text: string) => quiet || console.error(`client: ${cleanLine(text)}`);
  return {
    emit,
    say,
    greet: () => {},
    progress: (text) => text === "" || say(text),
    ask: nobody,
    attach: (attachment) => attached = attachment,
    run: () => Promise.race([runPipe({ ...attached!, read, emit, waitMs, to }), output.closed]),
    fail: (error) => reportError("client", error),
    close: () => {},
  };
}
