/**
 * A question on the terminal of a program that has no chat.
 *
 * @module
 */

import { UsageError } from "../../base/errors.ts";
import { isUtf8Locale } from "../../base/locale.ts";
import { Terminal } from "./terminal.ts";
import { openTty } from "./tty.ts";

/**
 * Asks for a secret on the terminal; on standard error if standard output is redirected.
 *
 * @returns The answer; undefined when there is no terminal.
 * @throws {UsageError} On Ctrl-C and Ctrl-D.
 */
export async function askSecretly(question: string): Promise<string | undefined> {
  const screen = [Deno.stdout, Deno.stderr].find((stream) => stream.isTerminal());
  if (!Deno.stdin.isTerminal() || screen === undefined) return undefined;
  const terminal = new Terminal({
    tty: openTty(screen),
    prompt: "",
    color: "none",
    utf8: isUtf8Locale((name) => Deno.env.get(name), Deno.build.os),
    simple: true,
    maxBytes: 4096,
    complete: (_line, cursor) => ({ start: cursor, end: cursor, candidates: [] }),
    onLine: () => {},
    onInterrupt: () => {},
    onEnd: () => {},
    onHangup: () => Deno.exit(129),
  });
  terminal.open();
  try {
    const answer = await terminal.ask(question, { secret: true });
    if (answer === undefined) throw new UsageError("the question was not answered");
    return answer;
  } finally {
    await terminal.close();
  }
}
