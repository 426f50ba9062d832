/**
 * Asking for a secret on a terminal outside of the chat.
 *
 * @module
 */

import { isUtf8Locale } from "./locale.ts";
import { Terminal } from "./terminal.ts";

/**
 * Asks without showing what is typed.
 *
 * @returns Undefined when there is no terminal, or on Ctrl-C.
 */
export async function askSecretly(question: string): Promise<string | undefined> {
  if (!Deno.stdin.isTerminal() || !Deno.stdout.isTerminal()) return undefined;
  const terminal = new Terminal({
    prompt: "",
    color: "none",
    utf8: isUtf8Locale((name) => Deno.env.get(name), Deno.build.os),
    maxBytes: 4096,
    complete: (_line, cursor) => ({ start: cursor, end: cursor, candidates: [] }),
    onLine: () => {},
    onInterrupt: () => {},
    onEnd: () => {},
    onHangup: () => Deno.exit(129),
  });
  terminal.open();
  try {
    return await terminal.askSecret(question);
  } finally {
    terminal.close();
  }
}
