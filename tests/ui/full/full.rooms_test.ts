import assert from "node:assert/strict";
import { Chats, enter } from "../../support/chats.ts";
import { tmuxMissing } from "../../support/tmux.ts";

const missing = Deno.build.os === "windows" ? "no tmux on Windows" : await tmuxMissing();
if (missing !== undefined) console.log(`full.rooms_test.ts: skipped, ${missing}`);

Deno.test({
  name: "The full screen shows rooms and people side by side, and turns to them",
  ignore: missing !== undefined,
  fn: async () => {
    await using chats = await Chats.open();
    await chats.world.server();
    const bob = await chats.world.client("bob");
    const carl = await chats.world.client("carl", { args: ["--room", "build"] });
    await carl.waitFor("welcome");
    const anna = await chats.start("anna", { columns: 110, isFull: true });
    await bob.waitFor("joined", { nick: "anna" });
    /** Waits for the prompt, and for rows that begin like that. */
    const expect = async (prompt: string, ...starts: string[]) => {
      await anna.waitFor((rows) =>
        rows.at(-1) === `${prompt} › ‸` &&
        starts.every((start) => rows.some((row) => row.startsWith(start))), `${prompt} ${starts}`);
    };

    await enter(anna, "/join build");
    await carl.waitFor("joined", { nick: "anna" });
    await expect("build", " build ", " 1 lobby", "▸2 build");
    await bob.chat("anna, look");
    await bob.say({ type: "private", to: "anna", text: "psst" });
    await expect("build", " 1 lobby          !1", " 3 bob◦           !1");
    await enter(anna, "/query bob");
    await expect("to bob◦", " bob◦  only the two of you read this", "▸3 bob◦");
    await enter(anna, "yes?");
    await bob.waitFor("chat", { text: "yes?", private: true });

    await enter(anna, "/page 2");
    await anna.waitFor((rows) => rows.includes("Enter goes back to the chat."), "plain text");
    const page = await anna.screen();
    assert.match(page.join("\n"), /\d bob◦: psst\n.*\d anna: yes\?\nEnter/);
    await anna.press("Enter");
    await expect("to bob◦", "▸3 bob◦");

    await enter(anna, "/close");
    await expect("build", "▸2 build");
    await enter(anna, "/part");
    await carl.waitFor("left", { nick: "anna", why: "left" });
    await expect("lobby", "▸1 lobby");
    assert.equal(carl.all("chat").length, 0);
  },
});
