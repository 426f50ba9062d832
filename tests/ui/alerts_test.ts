import assert from "node:assert/strict";
import { Alerts } from "../../lib/ui/alerts.ts";
import type { Conversation, FileEntry, MessageEntry } from "../../lib/ui/conversation.ts";
import { Conversations } from "../../lib/ui/conversations.ts";
import { type Settings, withDefaults } from "../../lib/ui/settings.ts";
import { terminalKind } from "../../lib/ui/terminal/alert.ts";
import { fileEntry } from "../support/entries.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** A client in a lobby, which is shown, in another room, and in talk with bob. */
function makeAlerts(settings: Settings = {}, { term = "xterm", showsAll = false } = {}) {
  const clock = new FakeClock();
  const model = new Conversations();
  const lobby = model.open("room:lobby", "lobby");
  const build = model.open("room:build", "build");
  const bob = model.open("person:SHA256:bob", "bob");
  model.show(lobby);
  const sent: string[] = [];
  const current = withDefaults(settings);
  const alerts = new Alerts({
    clock,
    model,
    settings: current,
    utf8: true,
    showsAll,
    kind: () => terminalKind((name) => name === "TERM" ? term : undefined, "linux"),
    send: (code) => sent.push(code),
  });
  alerts.renewTitle();
  return {
    clock,
    model,
    lobby,
    build,
    bob,
    alerts,
    settings: current,
    say(conversation: Conversation, text: string, some: Partial<MessageEntry> = {}) {
      model.add<MessageEntry>(conversation, {
        type: "message",
        id: "0".repeat(16),
        at: 0,
        from: "SHA256:bob",
        nick: "bob",
        trust: "known",
        own: false,
        via: "lobby",
        action: false,
        text,
        mention: text.includes("anna"),
        view: "same",
        reactions: new Map(),
        edited: false,
        retracted: false,
        ...some,
      });
    },
    /** What was told since the last call: `bell`, `title: …`, `notice: …`. */
    told(): string[] {
      return sent.splice(0).map((code) => {
        if (code === "\x07") return "bell";
        // deno-lint-ignore no-control-regex
        const [, number, text] = /^\x1b\](\d+);(.*)\x1b\\$/.exec(code)!;
        return `${number === "2" ? "title" : "notice"}: ${text}`;
      });
    },
  };
}

Deno.test("Alerts tells nothing of what the user sees", () => {
  const { told, say, lobby, alerts } = makeAlerts();
  assert.deepEqual(told(), ["title: Hearth"]);
  say(lobby, "hi anna");
  alerts.observe({ type: "focus", focused: true });
  say(lobby, "hi anna");
  assert.deepEqual(told(), []);
});

Deno.test("Alerts tells of mentions and private messages while the window has no focus", () => {
  const { told, say, lobby, bob, alerts } = makeAlerts();
  told();
  alerts.observe({ type: "focus", focused: false });
  say(lobby, "hello everybody");
  assert.deepEqual(told(), ["title: (1) Hearth"]);
  say(lobby, "hi anna");
  assert.deepEqual(told(), ["bell", "notice: Hearth: somebody names you", "title: (2) Hearth"]);
  say(bob, "psst");
  assert.deepEqual(told(), ["bell", "notice: Hearth: a private message", "title: (3) Hearth"]);
  alerts.observe({ type: "focus", focused: true });
  assert.deepEqual(told(), ["title: (1) Hearth"]);
});

Deno.test("Alerts tells of another conversation than the one that is shown", () => {
  const { told, say, build, bob, model } = makeAlerts();
  told();
  say(build, "hi anna");
  say(bob, "psst");
  assert.deepEqual(told().filter((text) => text === "bell"), ["bell", "bell"]);
  model.show(build);
  model.show(bob);
  assert.equal(told().at(-1), "title: Hearth");
});

Deno.test("Alerts tells of an offer as of a mention, and of no other file", () => {
  const { told, model, build } = makeAlerts();
  told();
  model.add<FileEntry>(build, fileEntry());
  assert.deepEqual(told(), ["bell", "notice: Hearth: a file is offered", "title: (1) Hearth"]);
  model.add<FileEntry>(build, fileEntry({ own: true }));
  model.add<FileEntry>(build, fileEntry({}, { state: "moving" }));
  assert.deepEqual(told(), []);
  const named = makeAlerts({ notices: "names" });
  named.told();
  named.model.add<FileEntry>(named.build, fileEntry());
  assert.equal(
    named.told()[1],
    "notice: Hearth: bob in build: offers “release-note.pdf”, 12.4 MB",
  );
});

Deno.test("Alerts goes by what a conversation is to tell of", () => {
  const { told, say, build, bob } = makeAlerts();
  told();
  build.notify = "all";
  bob.notify = "nothing";
  say(build, "hello");
  say(bob, "psst");
  assert.deepEqual(told(), ["notice: Hearth: a message", "title: (1) Hearth"]);
  build.notify = "nothing";
  say(build, "hi anna");
  assert.deepEqual(told(), ["title: Hearth"]);
});

Deno.test("Alerts tells of a conversation once in 3 s, and counts the others together", async () => {
  const { told, say, bob, build, clock, model } = makeAlerts({ bell: "off" });
  told();
  const notices = () => told().filter((text) => text.startsWith("notice"));
  for (let i = 0; i < 5; i++) say(bob, "psst");
  say(build, "hi anna");
  assert.deepEqual(notices(), [
    "notice: Hearth: a private message",
    "notice: Hearth: somebody names you",
  ]);
  await clock.advance(2999);
  assert.deepEqual(notices(), []);
  await clock.advance(1);
  assert.deepEqual(notices(), ["notice: Hearth: 4 private messages"]);
  say(bob, "psst");
  say(build, "hi anna");
  say(build, "hi anna");
  assert.deepEqual(notices(), ["notice: Hearth: somebody names you"]);
  model.show(bob); // what is seen is not told later
  await clock.advance(3000);
  assert.deepEqual(notices(), ["notice: Hearth: somebody names you"]);
  await clock.advance(3000);
  assert.deepEqual(notices(), []);
});

Deno.test("Alerts names nobody unless it is asked to, and in the title never", async () => {
  for (const notices of ["off", "on", "names"] as const) {
    const { told, say, bob, build, clock } = makeAlerts({ notices });
    say(bob, "the secret\nplan");
    say(build, "anna: the secret plan", { nick: "carl" });
    say(build, "anna: hm", { nick: "carl" });
    await clock.advance(3000);
    const codes = told();
    if (notices === "names") {
      assert.deepEqual(codes.filter((text) => text.startsWith("notice")), [
        "notice: Hearth: bob: the secret⟨000A⟩plan",
        "notice: Hearth: carl in build: anna: the secret plan",
        "notice: Hearth: carl in build: anna: hm",
      ]);
    } else assert.doesNotMatch(codes.join(), /bob|carl|build|secret/);
    assert.equal(codes.some((text) => text.startsWith("notice")), notices !== "off");
    assert.doesNotMatch(codes.filter((text) => text.startsWith("title")).join(), /bob|carl|build/);
  }
});

Deno.test("Alerts rings by the setting of the bell", () => {
  const cases = [["off", 0], ["private", 1], ["mention", 2], ["all", 3]] as const;
  for (const [bell, rings] of cases) {
    const { told, say, build, bob } = makeAlerts({ bell });
    say(build, "hello");
    say(build, "hi anna");
    say(bob, "psst");
    assert.equal(told().filter((text) => text === "bell").length, rings, bell);
  }
});

Deno.test("Alerts tells nothing of one's own messages, nor while nothing is to disturb", async () => {
  const { told, say, bob, alerts, clock } = makeAlerts();
  told();
  say(bob, "mine", { own: true });
  alerts.turnQuiet(10);
  say(bob, "psst");
  assert.deepEqual(told(), ["title: (1) Hearth"]);
  await clock.advance(10 * 60_000);
  assert.equal(alerts.isQuiet, false);
  say(bob, "psst");
  assert.equal(told()[0], "bell");
  alerts.turnQuiet();
  await clock.advance(24 * 60 * 60_000);
  assert.equal(alerts.isQuiet, true);
  alerts.turnQuiet();
  say(bob, "psst");
  assert.ok(told().includes("bell"));
});

Deno.test("Alerts takes a key for a sign that somebody looks where the focus is not told", async () => {
  const { told, say, lobby, alerts, clock, model } = makeAlerts();
  told();
  await clock.advance(4 * 60_000);
  alerts.observe({ type: "key", name: "left" });
  await clock.advance(4 * 60_000);
  say(lobby, "hi anna");
  assert.deepEqual(told(), []);
  await clock.advance(60_000);
  say(lobby, "hi anna");
  assert.equal(told()[0], "bell");
  alerts.observe({ type: "key", name: "left" });
  assert.equal(model.isLooking, true);
  alerts.observe({ type: "focus", focused: true }); // from now on it is told
  await clock.advance(60 * 60_000);
  assert.equal(model.isLooking, true);
  alerts.close();
  assert.equal(clock.timers, 0);
});

Deno.test("Alerts rings and does nothing else on a terminal that would print it", () => {
  for (const term of ["linux", "vt100"]) {
    const { told, say, bob } = makeAlerts({}, { term });
    say(bob, "psst");
    assert.deepEqual(told(), ["bell"]);
  }
});

Deno.test("Alerts tells nothing to one who looks at a log of all conversations", () => {
  const { told, say, lobby, build, bob, alerts } = makeAlerts({ bell: "all" }, { showsAll: true });
  told();
  for (const conversation of [lobby, build, bob]) say(conversation, "hi anna");
  assert.deepEqual(told(), []);
  alerts.observe({ type: "focus", focused: false });
  say(lobby, "hi anna");
  say(bob, "psst");
  assert.deepEqual(told(), [
    "bell",
    "notice: Hearth: somebody names you",
    "title: (1) Hearth",
    "bell",
    "notice: Hearth: a private message",
    "title: (2) Hearth",
  ]);
  alerts.observe({ type: "focus", focused: true });
  assert.deepEqual(told(), ["title: Hearth"]);
});

Deno.test("Alerts sets the title again when the terminal was given to others meanwhile", () => {
  const { told, say, bob, alerts } = makeAlerts({ bell: "off", notices: "off" });
  say(bob, "psst");
  told();
  alerts.renewTitle();
  assert.deepEqual(told(), ["title: (1) Hearth"]);
});

Deno.test("Alerts: hearsay rings nothing and gives no notice", () => {
  const { model, build, say, told } = makeAlerts({ bell: "all", notices: "names" });
  model.look(false);
  told();
  say(build, "anna!", { hearsay: ["carl"] });
  assert.deepEqual(told().filter((line) => !line.startsWith("title")), []);
});
