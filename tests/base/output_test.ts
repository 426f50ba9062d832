import assert from "node:assert/strict";
import { writeOutput } from "../../lib/base/output.ts";

/** Calls `action` with another standard output. */
function withOutput(writeSync: (bytes: Uint8Array) => number, action: () => void): void {
  const original = Deno.stdout.writeSync;
  Deno.stdout.writeSync = writeSync;
  try {
    action();
  } finally {
    Deno.stdout.writeSync = original;
  }
}

Deno.test("writeOutput() writes all, however little is taken at once and however often nothing", () => {
  const taken: number[] = [];
  let calls = 0;
  withOutput((bytes) => {
    if (calls++ % 2 === 0) throw new Deno.errors.WouldBlock();
    taken.push(...bytes.subarray(0, 3));
    return Math.min(3, bytes.length);
  }, () => writeOutput("grüße 日本"));
  assert.equal(new TextDecoder().decode(Uint8Array.from(taken)), "grüße 日本");
});

Deno.test("writeOutput() writes in pieces that a pipe takes whole or not at all", () => {
  const pieces: number[] = [];
  const taking = (bytes: Uint8Array) => {
    pieces.push(bytes.length);
    return bytes.length;
  };
  withOutput(taking, () => writeOutput("x".repeat(8193)));
  assert.deepEqual(pieces, [4096, 4096, 1]);
});

Deno.test("writeOutput() throws when nobody reads any more", () => {
  const broken = () => {
    throw new Deno.errors.BrokenPipe();
  };
  withOutput(broken, () => assert.throws(() => writeOutput("x"), Deno.errors.BrokenPipe));
});
