/**
 * Properties checked for some time instead of some number of cases, if FUZZ_SECONDS says so.
 *
 * @module
 */

import fc from "npm:fast-check@4.10.2";

const MAX_CASES = 100_000_000;

/** How far a property is checked. */
interface FuzzLimits {
  readonly numRuns: number;
  /** In milliseconds of real time. */
  readonly interruptAfterTimeLimit?: number;
}

/** The limit of a property that is one of `targets`: some cases, or its share of the time. */
export function fuzzLimits(cases: number, targets: number): FuzzLimits {
  const seconds = Deno.env.get("FUZZ_SECONDS");
  if (seconds === undefined) return { numRuns: cases };
  return { numRuns: MAX_CASES, interruptAfterTimeLimit: Number(seconds) * 1000 / targets };
}

/**
 * Checks a property up to a limit. Unlike fast-check alone, waits for the last case, so that nothing goes on after the
 * test.
 */
export async function assertTimed<T>(
  values: fc.Arbitrary<T>,
  check: (value: T) => Promise<void>,
  limits: fc.Parameters<[T]>,
): Promise<void> {
  let last: Promise<void> = Promise.resolve();
  await fc.assert(
    fc.asyncProperty(values, (value) => last = check(value)),
    limits,
  );
  await last;
}
