import { deepEqual, equal } from "node:assert/strict";
import { Choice, Find, Overlay } from "../../../lib/ui/full/modes.ts";
import { DemoChat, SCENES } from "../../support/demo_chat.ts";

function lobby() {
  const chat = new DemoChat(() => {});
  SCENES["chat"]!(chat, undefined!);
  return chat.lobby;
}

Deno.test("an overlay scrolls within its rows", () => {
  const rows = Array.from({ length: 10 }, () => []);
  const overlay = new Overlay("title", () => rows);
  const top = () => rows.indexOf(overlay.visible(80, 4)[0] as never[]);
  equal(top(), 0);
  equal(overlay.hasMore, true);
  for (
    const [key, expected] of [["up", 0], ["down", 1], ["pagedown", 4], ["end", 6], ["down", 6], [
      "pageup",
      3,
    ], ["home", 0]] as const
  ) {
    equal(overlay.press(key), true);
    equal(top(), expected, key);
  }
  equal(overlay.press("x"), false);
});

Deno.test("an overlay that fits does not scroll", () => {
  const overlay = new Overlay("title", () => [[], []]);
  overlay.visible(80, 4);
  overlay.press("down");
  equal(overlay.visible(80, 4).length, 2);
  equal(overlay.hasMore, false);
});

Deno.test("a search begins with the newest, and stops at both ends", () => {
  const find = new Find(lobby(), "THE");
  const { length } = find.matches;
  equal(find.at, length - 1);
  find.step(1);
  equal(find.at, length - 1);
  for (let i = 0; i < 99; i++) find.step(-1);
  equal(find.found, find.matches[0]);
  find.buffer.set("");
  find.search();
  deepEqual([find.found, find.matches.length], [undefined, 0]);
});

Deno.test("only messages are chosen, none that was taken back", () => {
  const conversation = lobby();
  const choice = Choice.open(conversation)!;
  const texts = [choice.entry!.text];
  for (let i = 0; i < 99; i++) {
    choice.step(-1);
    texts.push(choice.entry!.text);
  }
  const expected = conversation.entries
    .filter((entry) => entry.type === "message" && !entry.retracted).map(({ text }) => text);
  deepEqual([...new Set(texts)], expected.toReversed());
  conversation.entries.length = 0;
  equal(choice.entry, undefined);
  equal(Choice.open(conversation), undefined);
});

Deno.test("only a second d in a row takes an own message back", () => {
  const choice = Choice.open(lobby())!;
  const press = (text: string) => choice.take({ type: "text", text });
  deepEqual([press("d"), choice.hint], ["goes on", "d again takes it back"]);
  deepEqual([press("k"), press("j"), press("d")], ["goes on", "goes on", "goes on"]);
  equal(press("d"), "takes back");
  while (choice.entry!.own) press("k");
  deepEqual([press("d"), press("d")], ["goes on", "goes on"]);
  deepEqual([press("e"), choice.hint], ["goes on", "only your own messages can be changed"]);
});

Deno.test("a letter that chooses nothing ends the choice, other keys mean what they do without", () => {
  const choice = Choice.open(lobby())!;
  equal(choice.take({ type: "text", text: "x" }), "ends");
  equal(choice.take({ type: "key", name: "M-1" }), "ends for another");
  equal(choice.take({ type: "key", name: "C-l" }), "other");
});
