import assert from "node:assert/strict";
import type { Screen } from "../../lib/ui/command_row.ts";
import { MessageLog } from "../../lib/ui/message_log.ts";
import { Requests } from "../../lib/ui/requests.ts";
import { withDefaults } from "../../lib/ui/settings.ts";
import { ANNA, FakeServer } from "../support/fake_rooms.ts";

/** A screen that records what commands do to it. */
function makeScreen({ isFull = true } = {}) {
  const done: unknown[] = [];
  const settings = withDefaults({});
  let isQuiet = false;
  const screen: Screen = {
    settings,
    utf8: true,
    isFull,
    set(patch) {
      Object.assign(settings, patch);
      done.push(patch);
    },
    clear: () => {},
    show: (number) => done.push(["show", number]),
    showKeys: () => ["Enter  send"],
    showInvitation: () => {},
    turnQuiet(minutes) {
      isQuiet = minutes !== undefined || !isQuiet;
      return isQuiet;
    },
    page: (count) => done.push(["page", count]),
    find: (text) => done.push(["find", text]),
  };
  const requests = new Requests({
    context: new FakeServer().open("lobby"),
    place: { log: new MessageLog(ANNA) },
    screen,
    quit: () => {},
  });
  return { done, take: (line: string) => requests.take(line) };
}

Deno.test("/set shows one setting or all, and changes one", () => {
  const { done, take } = makeScreen();
  const all = take("/set").lines as string[];
  for (const name of ["bell", "face", "rooms", "theme"]) {
    assert.ok(all.some((line) => line.startsWith(`${name} `)), name);
  }
  assert.equal((take("/set bell").lines as string[]).length, 1);
  assert.match((take("/set Bell OFF").lines as string[])[0]!, /^bell +off /);
  assert.match((take("/set rooms #Build attic").lines as string[])[0]!, /build attic/);
  take("/set quiet on");
  assert.deepEqual(done, [{ bell: "off" }, { rooms: ["build", "attic"] }, { quiet: true }]);
  assert.throws(() => take("/set colour red"), /no setting is called colour/);
  assert.throws(() => take("/set nothing"), /no setting is called nothing/);
  assert.throws(() => take("/set bell loud"), /bell can be off, private, mention, all/);
});

Deno.test("/dnd lets nothing ring for a time, or until it is given again", () => {
  const { take } = makeScreen();
  const lines = ["/dnd", "/dnd", "/dnd 30", "/dnd"].map((line) => take(line).lines);
  assert.deepEqual(lines, [
    "nothing rings and nothing is told: /dnd ends it",
    "you are told again",
    "nothing rings and nothing is told: for 30 minutes",
    "you are told again",
  ]);
});

Deno.test("/page, /find, /show and /help keys do what the screen can", () => {
  const { done, take } = makeScreen();
  for (const line of ["/page", "/page 20", "/find two words ", "/show 3"]) take(line);
  assert.deepEqual(done, [
    ["page", undefined],
    ["page", 20],
    ["find", "two words"],
    ["show", 3],
  ]);
  assert.deepEqual(take("/help keys").lines, ["Enter  send"]);
});

Deno.test("/help and commands of the full screen are for it alone", async () => {
  const plain = makeScreen({ isFull: false });
  for (const line of ["/page", "/find x"]) {
    assert.throws(() => plain.take(line), /this command is for the full-screen chat/);
  }
  const names = async ({ take }: ReturnType<typeof makeScreen>) => {
    const { lines } = await take("/help").later!;
    return (lines as string[]).map((line) => line.split(" ")[0]);
  };
  assert.ok(!(await names(plain)).includes("/find"));
  assert.ok((await names(plain)).includes("/dnd"));
  assert.ok((await names(makeScreen())).includes("/find"));
});
