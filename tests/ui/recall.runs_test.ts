/** What was sent in one run is recalled in the next, if the user wants it; with either face. */

import { Chats, enter } from "../support/chats.ts";
import { tmuxMissing } from "../support/tmux.ts";

const missing = Deno.build.os === "windows" ? "no tmux on Windows" : await tmuxMissing();
if (missing !== undefined) console.log(`recall.runs_test.ts: skipped, ${missing}`);

for (
  const [face, isFull, prompt] of [["plain", false, "anna> "], ["full", true, "lobby ›"]] as const
) {
  Deno.test({
    name: `${face}: /set recall on keeps what was sent, but nothing private`,
    ignore: missing !== undefined,
    fn: async () => {
      await using chats = await Chats.open();
      await chats.world.server();
      const bob = await chats.world.client("bob");
      const open = async () => {
        const settings = JSON.parse(
          await Deno.readTextFile(chats.world.path("anna/settings.json")).catch(() => "{}"),
        );
        const anna = await chats.start("anna", { isFull, settings });
        await anna.waitFor((rows) => rows.at(-1)?.startsWith(prompt) === true, prompt);
        return anna;
      };
      const first = await open();
      await bob.waitFor("joined", { nick: "anna" });
      await enter(first, "/set recall on");
      await first.waitFor((rows) => rows.join("\n").includes("recall"), "the answer");
      await enter(first, "hello everybody");
      await bob.waitFor("chat", { text: "hello everybody" });
      await enter(first, "/msg bob between us");
      await bob.waitFor("chat", { text: "between us", private: true });
      await first.press("C-d");
      await bob.waitFor("left", { nick: "anna" });
      const second = await open();
      await second.press("Up");
      await second.waitFor((rows) => rows.at(-1)!.endsWith("hello everybody‸"), "what was sent");
    },
  });
}
