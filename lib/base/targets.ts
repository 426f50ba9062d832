/**
 * The targets of compiled programs, and how to recognize a program of each by its first bytes.
 *
 * @module
 */

/** All targets of `deno compile`, by its names. */
export const TARGETS = [
  "aarch64-apple-darwin",
  "x86_64-apple-darwin",
  "aarch64-unknown-linux-gnu",
  "x86_64-unknown-linux-gnu",
  "x86_64-pc-windows-msvc",
] as const;

export type Target = typeof TARGETS[number];

/** How many bytes of a file {@linkcode identify} needs. */
export const HEADER_BYTES = 4096;

/** Whether it is one of {@linkcode TARGETS}. */
export function isTarget(name: string): name is Target {
  return TARGETS.some((target) => target === name);
}

/** The name of a program's file. */
export function fileName(program: string, target: Target): string {
  return target.includes("windows") ? `${program}.exe` : program;
}

/**
 * Finds the target of a program.
 *
 * @param header The first {@linkcode HEADER_BYTES} bytes of its file, or all of a shorter one.
 * @returns `undefined` when it is not a program of any of {@linkcode TARGETS}.
 */
export function identify(header: Uint8Array): Target | undefined {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const u16 = (offset: number) => offset + 2 <= view.byteLength ? view.getUint16(offset, true) : 0;
  const u32 = (offset: number) => offset + 4 <= view.byteLength ? view.getUint32(offset, true) : 0;
  if (u32(0) === 0x464c457f) { // ELF: "\x7fELF", e_machine at 18
    if (u16(18) === 0x3e) return "x86_64-unknown-linux-gnu";
    if (u16(18) === 0xb7) return "aarch64-unknown-linux-gnu";
  } else if (u32(0) === 0xfeedfacf) { // Mach-O of 64 bits: cputype at 4
    if (u32(4) === 0x01000007) return "x86_64-apple-darwin";
    if (u32(4) === 0x0100000c) return "aarch64-apple-darwin";
  } else if (u16(0) === 0x5a4d) { // "MZ"; at 60 the offset of "PE\0\0", which the machine follows
    const pe = u32(60);
    if (u32(pe) === 0x4550 && u16(pe + 4) === 0x8664) return "x86_64-pc-windows-msvc";
  }
  return undefined;
}

/** Finds the target of a program file. */
export async function identifyFile(path: string): Promise<Target | undefined> {
  using file = await Deno.open(path);
  const header = new Uint8Array(HEADER_BYTES);
  let length = 0;
  for (;;) {
    const count = await file.read(header.subarray(length));
    if (!count) return identify(header.subarray(0, length));
    length += count;
  }
}
