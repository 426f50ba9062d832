import { deepEqual, equal, match, ok } from "node:assert/strict";
import { FullFace } from "../../../lib/ui/full/full_face.ts";
import { type ScreenSettings, withDefaults } from "../../../lib/ui/settings.ts";
import { Painter } from "../../../lib/ui/terminal/painter.ts";
import { type Row, widthOf } from "../../../lib/ui/terminal/rows.ts";
import { DemoChat, SCENES } from "../../support/demo_chat.ts";
import { settle } from "../../support/fake_clock.ts";
import { makeFullFace } from "../../support/full_face.ts";

const SIZES = [[80, 24], [120, 40], [40, 15], [28, 8], [20, 5], [10, 3], [3, 2], [1, 1], [
  300,
  100,
]];

function written(rows: readonly Row[]): string[] {
  return rows.map((row) => row.map(({ text }) => text).join("").replaceAll("\u200e", "").trimEnd());
}

interface Setup {
  scene?: string;
  columns?: number;
  rows?: number;
  utf8?: boolean;
  settings?: Partial<ScreenSettings>;
}

/** A face on a chat of the demo. */
function rig({ scene = "chat", columns = 80, rows = 24, utf8 = true, settings = {} }: Setup = {}) {
  const did: string[] = [];
  const chat = new DemoChat(() => did.push("quit"));
  const face: FullFace = new FullFace({
    client: chat,
    clock: chat.clock,
    color: "none",
    utf8,
    settings: { ...withDefaults({}), ...settings },
    maxBytes: 8192,
    redraw: () => did.push("redraw"),
    changed: () => {},
    bell: () => did.push("bell"),
    copy: (text) => did.push(`copy ${text}`),
    stop: () => did.push("stop"),
    quit: () => did.push("quit"),
  });
  SCENES[scene]!(chat, face);
  const size = { columns, rows };
  const frame = () => face.frame(size);
  const screen = () => written(frame().rows);
  frame();
  return {
    chat,
    face,
    did,
    size,
    frame,
    screen,
    /** The last row, and the one above it. */
    line: () => screen().at(-1)!,
    status: () => screen().at(-2)!,
    /** Types `<names>` of keys and texts. */
    press(keys: string) {
      for (const [, name, text] of keys.matchAll(/<([^>]+)>|([^<]+)/g)) {
        face.take(name === undefined ? { type: "text", text: text! } : { type: "key", name });
        frame();
      }
    },
  };
}

for (const scene of Object.keys(SCENES)) {
  Deno.test(`every size shows as many rows as there are, and none too wide: ${scene}`, () => {
    for (const utf8 of [true, false]) {
      for (const [columns, rows] of SIZES) {
        const { frame, press } = rig({ scene, columns: columns!, rows: rows!, utf8 });
        for (const keys of ["", "some text", "<C-j>more", "<pageup>", "<f1>", "<escape>"]) {
          press(keys);
          const { rows: shown, cursor } = frame();
          equal(shown.length, rows, `${columns}x${rows}`);
          // The painter cuts what is wider than a tiny window.
          const widest = Math.max(columns!, 8);
          for (const row of shown) ok(widthOf(row) <= widest, `${columns}x${rows}`);
          if (!utf8) { for (const row of written(shown)) match(row, /^[\x20-\x7e]*$/); }
          ok(cursor === undefined || cursor.row < rows! && cursor.column < columns!);
        }
      }
    }
  });
}

Deno.test("a room at 80 columns", () => {
  const rows = rig().screen();
  equal(rows[0], " lobby  Stand-up at ten · the release goes out on Friday     7 here, 2 verified");
  equal(rows.at(-3), "12:09   anna  Reading it now, thank you. 4/6");
  equal(
    rows.at(-2),
    "▸1 lobby  2 build 3  3 bob✓ !1                                  F1 keys · /help",
  );
  equal(rows.at(-1), "lobby ›");
});

Deno.test("the status row shows the user's nick, and that they are away or told of nothing", () => {
  const { chat, status } = rig();
  const session = { nick: "דורה", away: "" };
  Object.assign(chat, { context: { session } });
  chat.conversations.list.slice(1).forEach((it) => chat.conversations.close(it));
  match(status(), /^ דורה +F1 keys/);
  session.away = "lunch";
  match(status(), /^ דורה +away$/);
});

Deno.test("a wide window has the side column, and Alt-S takes it away", () => {
  const { screen, press } = rig({ columns: 120, rows: 40 });
  const side = () => screen().slice(1, 13).map((row) => /^.*│/.exec(row)![0]);
  deepEqual(side(), [
    "▸1 lobby             │",
    " 2 build           3 │",
    " 3 bob✓           !1 │",
    "                     │",
    " 7 here              │",
    "  anna               │",
    "  bob✓               │",
    "  carl∙              │",
    "  dora◦              │",
    "  jiří∙              │",
    "  maximilian-the-se… │",
    "  春香✓              │",
  ]);
  match(screen().at(-2)!, /^ anna .*help$/);
  press("<M-s>");
  ok(!screen().some((row) => row.includes("│")));
  press("<M-s>");
  equal(side()[0], "▸1 lobby             │");
});

Deno.test("20x5 shows three rows of talk, and below four rows there is no status", () => {
  const small = rig({ columns: 20, rows: 5 }).screen();
  deepEqual(small.slice(-2), ["▸1 lobby  2 build 3", "lobby ›"]);
  equal(small[2], " thank you. 4/6");
  deepEqual(rig({ columns: 20, rows: 3 }).screen().slice(-2), [" thank you. 4/6", "lobby ›"]);
});

Deno.test("a private conversation says so in its head and prompt", () => {
  const { chat, screen, line } = rig({ scene: "private" });
  equal(
    screen()[0],
    " bob✓  only the two of you read this                            here · verified",
  );
  equal(line(), "to bob✓ ›");
  const [bob] = chat.bob.people;
  chat.conversations.setPeople(chat.bob, [{ ...bob!, here: false }]);
  match(screen()[0]!, /not here · verified$/);
  chat.conversations.setPeople(chat.bob, [{ ...bob!, here: false, lost: true }]);
  match(screen()[0]!, /gets it later · verified$/);
  const conflict = rig({ scene: "conflict" });
  match(conflict.screen()[0]!, /here · ANOTHER KEY than before$/);
  equal(conflict.line(), "to bob✗ ›");
});

Deno.test("the states of the connection", () => {
  const { chat, status } = rig({ scene: "offline" });
  match(status(), /offline, again in 7 s$/);
  chat.at += 3000;
  match(status(), /offline, again in 4 s$/);
  chat.at += 60_000;
  match(status(), /offline$/);
  chat.lobby.connection = "searching";
  match(status(), /looking for the host$/);
  chat.lobby.connection = "connecting";
  match(status(), /connecting$/);
});

Deno.test("what was not received is said behind it", () => {
  equal(
    rig({ scene: "failed" }).screen().at(-3),
    "12:09         the key is under the mat ✗ not received by jiří, carl",
  );
});

Deno.test("alone in a room, the head says so", () => {
  match(rig({ scene: "alone" }).screen()[0]!, /alone so far$/);
});

Deno.test("questions stand in place of the line, secrets are not shown", async () => {
  const first = rig({ scene: "first" });
  equal(first.screen()[0], " Hearth");
  first.press("yes");
  equal(first.line(), "Start one here, so that others can join you? [Y/n] yes");
  const { face, line, press } = rig();
  const answer = face.input.ask("Password: ", { secret: true });
  press("secret");
  equal(line(), "Password:");
  press("<enter>");
  equal(await answer, "secret");
});

Deno.test("a message is sent to the conversation of the prompt, and each keeps its draft", () => {
  const { chat, line, press } = rig();
  press("for all<M-3>for bob");
  equal(line(), "to bob✓ › for bob");
  press("<enter>");
  equal(chat.bob.entries.at(-1)!.text, "for bob");
  press("<M-1>");
  equal(line(), "lobby › for all");
  press("<enter>");
  equal(chat.lobby.entries.at(-1)!.text, "for all");
});

Deno.test("nothing that arrives changes where a message goes", () => {
  const { chat, line, press } = rig();
  press("for all");
  const eva = { fingerprint: "SHA256:eva", nick: "lobby" };
  chat.say(chat.bob, { ...eva, trust: "new", away: "", here: true, ignored: false }, "anna!");
  chat.conversations.open(`person:${eva.fingerprint}`, eva.nick);
  equal(line(), "lobby › for all");
  press("<enter>");
  equal(chat.lobby.entries.at(-1)!.text, "for all");
});

Deno.test("keys turn to other conversations", () => {
  const { chat, press } = rig();
  const { conversations, lobby, build, bob } = chat;
  const cases: [string, unknown][] = [
    ["<M-2>", build],
    ["<M-down>", bob],
    ["<M-down>", lobby],
    ["<M-up>", bob],
    ["<M-9>", bob],
  ];
  for (const [keys, expected] of cases) {
    press(keys);
    equal(conversations.shown, expected, keys);
  }
});

Deno.test("Alt-A turns to what is unread, urgent first, and back", () => {
  const { chat, press } = rig();
  const seen = ["", "<M-a>", "<M-a>", "<M-a>"].map((keys) => {
    press(keys);
    return chat.conversations.shown.title;
  });
  deepEqual(seen, ["lobby", "bob", "build", "lobby"]);
});

Deno.test("scrolled, the status counts what comes, and Esc follows again", () => {
  const { chat, status, press, screen } = rig();
  press("<pageup>");
  match(status(), /↓ Esc to the newest$/);
  const before = screen().slice(1, -2);
  chat.say(chat.lobby, chat.bob.people[0]!, "one");
  chat.say(chat.lobby, chat.bob.people[0]!, "two");
  match(status(), /↓ 2 new below · Esc$/);
  deepEqual(screen().slice(1, -2), before);
  press("<escape>");
  match(status(), /F1 keys · \/help$/);
  match(screen().at(-3)!, /two$/);
});

Deno.test("sending follows again", () => {
  const { press, status } = rig();
  press("<pageup>a<enter>");
  match(status(), /help$/);
});

Deno.test("Alt-Home and Alt-End, Ctrl-Home and Ctrl-End on an empty line", () => {
  for (const [start, end] of [["<M-home>", "<M-end>"], ["<C-home>", "<C-end>"]]) {
    const { press, screen } = rig();
    press(start!);
    match(screen()[1]!, /Saturday, 28 November/);
    press(end!);
    match(screen().at(-3)!, /thank you/);
  }
});

Deno.test("Ctrl-F finds, goes on, and back", () => {
  const { press, status, line, screen } = rig();
  press("<C-f>clock");
  equal(line(), "find clock");
  match(status(), /^ 1 of 1 /);
  ok(screen().some((row) => row.includes("It was the clock")));
  press("<C-u>the");
  match(status(), /^ (\d+) of \1 /);
  press("<up><up>");
  ok(!/^ (\d+) of \1 /.test(status()));
  press("<C-u>nowhere");
  match(status(), /^ not found/);
  press("<escape>");
  equal(line(), "lobby ›");
});

Deno.test("Alt-U goes to the first message that is new, or nowhere", () => {
  const { chat, press, screen } = rig();
  chat.conversations.look(false);
  for (let i = 1; i <= 50; i++) chat.say(chat.lobby, { ...chat.lobby.people[1]! }, `news ${i}`);
  chat.conversations.look(true);
  press("<M-u>");
  match(screen()[1]!, /^─+ new ─+$/);
  match(screen()[2]!, /news 1$/);
  press("<escape>");
  match(screen().at(-3)!, /news 50$/);
  chat.conversations.look(false);
  chat.conversations.look(true);
  press("<M-u>");
  match(screen().at(-3)!, /news 50$/);
});

Deno.test("Ctrl-F inside of the text goes to the right", () => {
  const { press, line, frame } = rig();
  press("ab<home><C-f>");
  equal(line(), "lobby › ab");
  equal(frame().cursor!.column, 9);
});

Deno.test("Alt-R answers the message that is chosen", () => {
  const { chat, press, status, screen, frame } = rig();
  press("<M-r>");
  equal(frame().cursor, undefined);
  match(status(), /^ Enter answers, \+ reacts, e changes, d takes back, c copies, Esc back$/);
  press("<up><up><enter>");
  match(screen().at(-3)!, /╭ answers jiří: goes for lunch .*Esc drops$/);
  press("bon appétit<enter>");
  const { quote, text } = chat.lobby.entries.at(-1) as { quote: { nick: string }; text: string };
  deepEqual([quote.nick, text], ["jiří", "bon appétit"]);
  ok(!screen().some((row) => row.includes("Esc drops")));
});

Deno.test("an answer is dropped by Esc or Ctrl-C before the text is", () => {
  for (const key of ["<escape>", "<C-c>"]) {
    const { press, screen, line } = rig();
    press(`<M-r>rtext${key}`);
    ok(!screen().some((row) => row.includes("answers")));
    equal(line(), "lobby › text");
  }
});

Deno.test("a message is changed, taken back after a second d, copied", () => {
  const { chat, press, line, screen, status, did } = rig();
  const noted: unknown[] = [];
  chat.note = (...args: unknown[]) => noted.push(args.slice(1)) > 0;
  const own = chat.lobby.entries.at(-1);
  press("<M-r>e");
  equal(line(), "lobby › Reading it now, thank you.");
  press("!<enter>");
  deepEqual(noted.pop(), [own, "edit", "Reading it now, thank you.!"]);
  press("<M-r>d");
  equal(noted.length, 0);
  match(status(), /d again takes it back/);
  press("d");
  deepEqual(noted.pop(), [own, "retraction", ""]);
  press("<M-r>+👍<enter>");
  deepEqual(noted.pop(), [own, "reaction", "👍"]);
  press("<M-r>+");
  ok(screen().some((row) => /👍.*🎉/.test(row)), "what most people react with");
  press("<tab><tab><enter><enter>");
  deepEqual(noted.pop(), [own, "reaction", "❤️"]);
  press("<M-r>c");
  deepEqual(did, ["copy Reading it now, thank you."]);
  press("<M-r><up><up>e");
  match(status(), /only your own messages can be changed/);
});

Deno.test("what was typed before a message is changed or reacted to comes back behind it", () => {
  const { chat, press, line } = rig();
  chat.note = () => true;
  for (const keys of ["e!<enter>", "e<escape>", "+👍<enter>", "+<escape><escape>"]) {
    press(`a dra<M-r>${keys}`);
    equal(line(), "lobby › a dra", keys);
    press("<C-_>");
    equal(line(), "lobby ›", keys);
  }
});

Deno.test("candidates stand above the status, the chosen one in the line", () => {
  const { press, screen, line } = rig();
  press("/<tab>");
  deepEqual(screen().slice(-5, -3), [
    "  /away    /close   /find    /help    /ignore  /info    /invite  /join",
    "  /list    /me      /msg     /names   /nick    /page    /part    /query",
  ]);
  press("<tab><tab>");
  equal(line(), "lobby › /close");
  press("<escape>");
  equal(line(), "lobby › /");
});

Deno.test("the help about keys covers everything, scrolls, and closes", () => {
  const { press, screen, line } = rig({ rows: 12 });
  press("<f1>");
  const first = screen();
  match(first[0]!, /^ keys .*PgDn for more, Esc closes$/);
  equal(first.length, 12);
  press("<pagedown>");
  equal(screen()[1], first.at(-1));
  press("<escape>");
  equal(line(), "lobby ›");
  press("<f1>q");
  equal(line(), "lobby ›");
  press("<f1>x");
  equal(line(), "lobby › x");
});

Deno.test("the help about commands has a column for what is typed, where there is room", () => {
  const wide = rig();
  wide.face.showCommands([["/me text", "say what you do"], ["", "Tab completes."]]);
  deepEqual(wide.screen().slice(1, 4), ["   /me text  say what you do", "", " Tab completes."]);
  const narrow = rig({ columns: 28, rows: 8 });
  narrow.face.showCommands([["/me text", "say what you do"]]);
  deepEqual(narrow.screen().slice(1, 3), ["   /me text", "     say what you do"]);
});

Deno.test("what is shown without a key asks for a frame: answers may come late", () => {
  const chat = new DemoChat(() => {});
  let isAsked = false;
  const face = makeFullFace({ client: chat, clock: chat.clock, changed: () => isAsked = true });
  const actions = [
    () => face.showCommands([["/me text", "say what you do"]]),
    () => face.showNames(["anna"]),
    () => face.hint = "a hint",
    () => face.progress = "an activity",
  ];
  for (const act of actions) {
    isAsked = false;
    act();
    ok(isAsked, `${act}`);
  }
});

Deno.test("a cut message is shown whole, the newest or by its number", () => {
  const { chat, face, screen, press } = rig();
  const entry = chat.say(chat.lobby, chat.bob.people[0]!, "word ".repeat(900));
  match(screen().at(-3)!, new RegExp(`… .* kB more, /show ${entry.seq}$`));
  for (const seq of [undefined, entry.seq]) {
    face.showWhole(seq);
    match(screen()[0]!, /^ message of bob .*PgDn for more/);
    press("<end>");
    match(screen().at(-1)!, /^ {15}word/);
    press("<escape>");
  }
});

Deno.test("Ctrl-C, Ctrl-D, Ctrl-L and Ctrl-Z", () => {
  const { press, did, line } = rig();
  press("a<C-c>");
  equal(line(), "lobby ›");
  press("<C-l><C-z><C-d><C-c>");
  deepEqual(did, ["redraw", "stop", "quit", "quit"]);
});

Deno.test("times are left out where the setting says so", () => {
  equal(
    rig({ settings: { timestamp: "off" } }).screen().at(-3),
    "   anna  Reading it now, thank you. 4/6",
  );
});

Deno.test("a line that is too long shows the rows around the cursor", () => {
  const { press, frame, screen } = rig({ rows: 12, columns: 40 });
  press("word ".repeat(2000));
  const { cursor } = frame();
  ok(cursor!.row === 11);
  equal(screen().length, 12);
  press("<C-home>");
  match(screen().find((row) => row.startsWith("lobby"))!, /^lobby › word/);
});

Deno.test("a frame after many changes is painted like a first one", async () => {
  const { chat, press, frame, size } = rig();
  const painter = new Painter({ sync: false, links: false });
  for (const keys of ["a", "<pageup>", "<escape>", "/<tab>", "<escape><C-c>", "<M-2>", "<M-1>"]) {
    press(keys);
    chat.say(chat.lobby, chat.bob.people[0]!, "日本語 👍 text");
    painter.paint(frame(), size.columns);
  }
  await settle();
  equal(painter.paint(frame(), size.columns), "");
});
