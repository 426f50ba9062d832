import assert from "node:assert/strict";
import { readInTurns } from "../../lib/cli/dial.ts";

Deno.test("readInTurns() lets timers fire while there is always something to read", async () => {
  const stream = readInTurns({
    read: () => Promise.resolve(1),
    write: (bytes) => Promise.resolve(bytes.length),
    closeWrite: () => Promise.resolve(),
    close: () => {},
  });
  let fired = false;
  setTimeout(() => fired = true, 1);
  const start = performance.now();
  while (!fired && performance.now() - start < 10_000) await stream.read(new Uint8Array(1));
  assert.ok(fired, "without pauses nothing but reading would ever happen");
});
