/** Another program that opens the part of a file in a folder: says under which name, and holds it until its input ends. */
import { realDisk } from "../../lib/session/files/disk.ts";
import { Part, type PartHead } from "../../lib/session/files/part.ts";

/** What is being received. */
export const HEAD: PartHead = {
  id: "ab".repeat(16),
  from: "SHA256:anna",
  name: "film.bin",
  kind: "file",
  size: 1000,
  mtime: 1,
  listing: "00".repeat(32),
  executable: false,
};

if (import.meta.main) {
  const part = await Part.open(realDisk, Deno.args[0]!, HEAD);
  console.log(part.path);
  await Deno.stdin.read(new Uint8Array(1));
  part.close();
}
