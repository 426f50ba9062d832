/** The real client that fills a terminal, among real servers and clients. */
import assert from "node:assert/strict";
import { Chats, enter, see } from "../../support/chats.ts";
import { tmuxMissing } from "../../support/tmux.ts";

const missing = Deno.build.os === "windows" ? "no tmux on Windows" : await tmuxMissing();
if (missing !== undefined) console.log(`full_test.ts: skipped, ${missing}`);

Deno.test("a conversation on the full screen", { ignore: missing !== undefined }, async () => {
  await using chats = await Chats.open();
  const { world } = chats;
  await world.server();
  const anna = await chats.start("anna", {
    isFull: true,
    shell: "CLIENT; echo ended $?; stty -a | grep -ow -e -echo -e echo; sleep 60",
  });
  await see(anna, /you are in lobby/);
  const bob = await world.client("bob");
  await bob.waitFor("joined");
  await see(anna, /^ lobby {10,}2 here$/);

  await enter(anna, "hello");
  await bob.waitFor("chat", { text: "hello" });
  await see(anna, /anna {2}hello ✓$/);
  await bob.chat("anna, look");
  await see(anna, /^▌ +bob◦ anna, look$/);

  // A private message opens a conversation, and changes nothing of where the line goes.
  await anna.type("for all");
  await bob.say({ type: "private", to: "anna", text: "psst" });
  await see(anna, /2 bob◦ !1/);
  await anna.press("Enter");
  await bob.waitFor("chat", { text: "for all", private: false });
  await anna.press("M-a");
  await see(anna, /^ bob◦ {2}only the two of you read this/);
  await enter(anna, "what?");
  await bob.waitFor("chat", { text: "what?", private: true });
  await see(anna, /^to bob◦ › ‸$/);

  // A reply, a change and a reaction by Alt-R.
  await anna.press("M-1");
  await see(anna, /^lobby › ‸$/);
  await anna.press("M-r", "Up");
  await anna.type("+");
  await see(anna, /reacts to bob: anna, look/);
  await enter(anna, "👍");
  await bob.waitFor("note", { what: "reaction", text: "👍" });
  await see(anna, /╰ 👍 anna/);
  await anna.press("M-r");
  await anna.type("e");
  await see(anna, /changes anna: for all/);
  await enter(anna, ", really");
  await bob.waitFor("note", { what: "edit", text: "for all, really" });
  await see(anna, /for all, really \(edited\)/);

  // On its own screen, what stands there is selected without breaks.
  await enter(anna, "/page");
  await see(anna, /bob◦: anna, look$/);
  assert.equal(await anna.query("#{alternate_on}"), "0");
  await anna.press("Enter");
  await see(anna, /^lobby › ‸$/);
  await enter(anna, "/invite");
  await see(anna, /^ invitation, c copies it/);
  await anna.press("Escape");
  await see(anna, /^lobby › ‸$/);

  await enter(anna, "/names");
  await see(anna, /^ lobby: who is here/);
  await see(anna, /^ bob +◦ new +[\w+/]{8}/);
  await anna.press("Escape");
  await see(anna, /^lobby › ‸$/);

  await anna.press("C-d");
  await see(anna, /^ended 0$/);
  await see(anna, /^echo/);
  assert.equal(await anna.query("#{alternate_on} #{cursor_flag} #{wrap_flag}"), "0 1 1");
});

Deno.test(
  "a password is asked for in place of the line",
  { ignore: missing !== undefined },
  async () => {
    await using chats = await Chats.open();
    const { world } = chats;
    const file = `${await world.home("secret")}/password`;
    await Deno.writeTextFile(file, "between friends\n");
    await world.server(["--password-file", file]);
    const anna = await chats.start("anna", { isFull: true, columns: 40, rows: 15 });
    await see(anna, /^The server needs a password: ‸$/);
    await enter(anna, "between friends");
    await see(anna, /you are in lobby/);
    assert.ok(!(await anna.screen()).join("\n").includes("friends"));
  },
);
