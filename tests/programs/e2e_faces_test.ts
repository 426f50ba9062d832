/** Conversations of real processes: the same in both faces on a terminal. */

import { FACES } from "../conversations/faces.ts";
import { READERS, Seat } from "../support/seat.ts";
import { tmuxMissing } from "../support/tmux.ts";

const missing = Deno.build.os === "windows" ? "no tmux on Windows" : await tmuxMissing();
if (missing !== undefined) console.log(`e2e_faces_test.ts: skipped, ${missing}`);

for (const [what, run] of FACES) {
  for (const [face, reader] of READERS) {
    Deno.test({
      name: `${face}: ${what}`,
      ignore: missing !== undefined,
      fn: async () => {
        await using anna = await Seat.take(reader);
        await run(anna);
      },
    });
  }
}
