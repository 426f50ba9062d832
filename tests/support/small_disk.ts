/**
 * A disk of a few KiB that can be filled, where the system lets the tests mount one.
 *
 * @module
 */

import { FROM_SOURCE, World } from "./programs.ts";

const KIB = 1024;
const DISK_KIB = 64;

/** Whether a program does what it is asked. */
export async function isRun(program: string, ...args: string[]): Promise<boolean> {
  const { success } = await new Deno.Command(program, { args, stdout: "null", stderr: "null" })
    .output().catch(() => ({ success: false }));
  return success;
}

/** Mounts one on a folder of the world. */
async function mountDisk(world: World, name: string): Promise<string | undefined> {
  const path = await world.emptyHome(name);
  const size = `size=${DISK_KIB * KIB},mode=700`;
  return await isRun("mount", "-t", "tmpfs", "-o", size, "tmpfs", path) ? path : undefined;
}

/** Whether disks can be mounted here. */
export const canMount = Deno.build.os !== "windows" && Deno.uid() === 0 && await (async () => {
  await using world = await World.open(FROM_SOURCE);
  const path = await mountDisk(world, "trial");
  return path !== undefined && await isRun("umount", path);
})();
if (!canMount) console.log("full disks: tests skipped, they need the right to mount");

/** Runs a test with a disk that is mounted on the folder `disk` of its world. */
export async function withDisk(
  test: (world: World, disk: string) => Promise<void>,
): Promise<void> {
  await using world = await World.open(FROM_SOURCE);
  const disk = (await mountDisk(world, "disk"))!;
  try {
    await test(world, disk);
  } finally {
    await isRun("umount", "-l", disk);
  }
}

/** Fills a disk, with a file that can be removed. */
export async function fill(disk: string): Promise<void> {
  using file = await Deno.open(`${disk}/filler`, { write: true, create: true, append: true });
  const bytes = new Uint8Array(KIB);
  try {
    for (;;) await file.write(bytes);
  } catch {
    // It is full.
  }
}
