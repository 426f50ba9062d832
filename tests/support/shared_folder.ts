/**
 * A folder with programs that only look like some, as `--share` hands them out.
 *
 * @module
 */

import type { Target } from "../../lib/base/targets.ts";

/** The first bytes by which programs for Linux are recognized. */
const MACHINES: Partial<Record<Target, number>> = {
  "x86_64-unknown-linux-gnu": 0x3e,
  "aarch64-unknown-linux-gnu": 0xb7,
};

/** The bytes of something that looks like a program for Linux. */
export function fakeProgram(target: Target, size: number): Uint8Array<ArrayBuffer> {
  const bytes = Uint8Array.from({ length: size }, (_, i) => i % 251);
  bytes.set([0x7f, 0x45, 0x4c, 0x46]);
  bytes.set([MACHINES[target]!, 0], 18);
  return bytes;
}

/** Writes one as `deno task compile` names it. @returns Its bytes. */
export async function writeFakeClient(
  folder: string,
  target: Target,
  size: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = fakeProgram(target, size);
  await Deno.mkdir(`${folder}/${target}`, { recursive: true });
  await Deno.writeFile(`${folder}/${target}/client`, bytes);
  return bytes;
}
