/**
 * Process-level matters of both programs: exit codes, signals, dropping permissions.
 *
 * @module
 */

/** The command line was not understood. */
export const EXIT_USAGE = 2;
/** Any other failure. */
export const EXIT_FAILURE = 1;
/** A second signal ended the program before it could finish in order. */
const EXIT_AT_ONCE = 130;
/** `deno task` forwards a signal that the terminal has sent already: within this time it is the same one. */
const SAME_SIGNAL_MS = 500;

/**
 * Handles the signals that end a program.
 *
 * @param onEnd Called for the first signal; another one ends the process at once.
 */
export function onEndSignal(
  signals: readonly Deno.Signal[],
  onEnd: (signal: Deno.Signal) => void,
): void {
  let firstAt: number | undefined;
  for (const signal of signals) {
    if (Deno.build.os === "windows" && signal !== "SIGINT" && signal !== "SIGBREAK") continue;
    Deno.addSignalListener(signal, () => {
      const now = performance.now();
      if (firstAt === undefined) {
        firstAt = now;
        onEnd(signal);
      } else if (now - firstAt > SAME_SIGNAL_MS) Deno.exit(EXIT_AT_ONCE);
    });
  }
}

/** Gives up permissions for the rest of the run, whether they were granted or not. */
export async function dropPermissions(
  ...names: readonly Deno.PermissionDescriptor["name"][]
): Promise<void> {
  for (const name of names) await Deno.permissions.revoke({ name });
}
