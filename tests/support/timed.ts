/**
 * Properties that are tried for some time instead of a number of times.
 *
 * @module
 */

import fc from "npm:fast-check@4.10.2";

/** Seconds that the environment asks for in FUZZ_SECONDS, or else `usual`. */
export function fuzzSeconds(usual: number): number {
  return Number(Deno.env.get("FUZZ_SECONDS") ?? usual);
}

/**
 * Tries a property for `ms` milliseconds of real time. fast-check leaves a case that is under way then; here it is
 * waited for, so that nothing of it goes on behind the end of the test.
 */
export async function assertTimed<T>(
  values: fc.Arbitrary<T>,
  check: (value: T) => Promise<void>,
  ms: number,
): Promise<void> {
  let last: Promise<void> = Promise.resolve();
  await fc.assert(
    fc.asyncProperty(values, (value) => last = check(value)),
    { numRuns: 100_000_000, interruptAfterTimeLimit: ms },
  );
  await last;
}
