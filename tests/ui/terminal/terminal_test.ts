import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { columns } from "../../../lib/base/text.ts";
import { poll } from "../../support/program.ts";
import { Tmux, tmuxMissing } from "../../support/tmux.ts";

const missing = Deno.build.os === "windows" ? "no tmux on Windows" : await tmuxMissing();
if (missing !== undefined) console.log(`terminal_test.ts: skipped, ${missing}`);

const DEMO = fileURLToPath(new URL("../../support/terminal_demo.ts", import.meta.url));
const DENO = [Deno.execPath(), "run", "--no-prompt", "--allow-env", "--allow-run=kill,ps", DEMO];
const UTF8 = { LC_ALL: "C.UTF-8", NO_COLOR: "1" };
const C = { LC_ALL: "C", NO_COLOR: "1" };

interface Setup {
  columns?: number;
  rows?: number;
  env?: Record<string, string>;
  command?: readonly string[];
}

/** Runs a test in a terminal where the demo awaits its first line. */
function inTerminal(name: string, setup: Setup, test: (tmux: Tmux) => Promise<void>): void {
  Deno.test({
    name,
    ignore: missing !== undefined,
    fn: async () => {
      const { columns = 80, rows = 24, env = UTF8, command = DENO } = setup;
      const tmux = await Tmux.start(command, { columns, rows, env });
      try {
        if (command === DENO) await tmux.expect("me> ‸");
        await test(tmux);
      } finally {
        await tmux.close();
      }
    },
  });
}

inTerminal("Terminal keeps the line at the bottom while rows are printed", {}, async (tmux) => {
  const pid = await tmux.pid();
  await tmux.type("hello");
  await tmux.expect("me> hello‸");
  Deno.kill(pid, "SIGUSR2");
  await tmux.expect("row 1", "me> hello‸");
  await tmux.press("Left", "Left");
  Deno.kill(pid, "SIGUSR2");
  await tmux.expect("row 1", "row 2", "me> hel‸lo");
  await tmux.press("Enter");
  await tmux.expect("row 1", "row 2", '"hello"', "me> ‸");
});

inTerminal("Terminal scrolls a burst of 500 rows like a log while typing", {}, async (tmux) => {
  const pid = await tmux.pid();
  await tmux.type("abc");
  Deno.kill(pid, "SIGALRM");
  await tmux.type("def");
  await tmux.waitFor(
    (rows) => rows.at(-1) === "me> abcdef‸" && rows.at(-2) === "row 500",
    "row 500",
  );
  const rows = Array.from({ length: 500 }, (_, i) => `row ${i + 1}`);
  assert.deepEqual(await tmux.scrollback(), [...rows, "me> abcdef"]);
});

inTerminal("Terminal edits wide, combining and joined characters as a whole", {}, async (tmux) => {
  // Terminals differ about the columns of joined emoji, so here they are typed and deleted again.
  await tmux.type("日本e\u0301👍x👩\u200d👩\u200d👧👍🏽");
  await tmux.press("BSpace", "BSpace");
  await tmux.expect("me> 日本e\u0301👍x‸");
  await tmux.press("Left", "Left");
  await tmux.expect("me> 日本e\u0301‸👍x");
  await tmux.press("BSpace");
  await tmux.expect("me> 日本‸👍x");
  await tmux.press("DC");
  await tmux.expect("me> 日本‸x");
  await tmux.press("Home", "Right");
  await tmux.type("ö");
  await tmux.expect("me> 日ö‸本x");
  await tmux.press("Enter");
  await tmux.expect('"日ö本x"', "me> ‸");
});

inTerminal(
  "Terminal keeps characters of disputed width within their rows",
  { columns: 20, rows: 10 },
  async (tmux) => {
    // U+3248 is of ambiguous width; the GNU C library gives it two columns.
    await tmux.type(`/say ${"㉈".repeat(16)}12:04 carol: forged`);
    await tmux.press("Enter");
    const rows = await tmux.waitFor(
      (screen) => screen.at(-1) === "me> ‸" && screen.join().includes("forged"),
      "the message",
    );
    for (const row of rows.slice(0, -1)) assert.match(row, /^(bob∙: | {6}|$)/);
  },
);

inTerminal("Terminal wraps a line of several rows", { columns: 20, rows: 10 }, async (tmux) => {
  const pid = await tmux.pid();
  await tmux.type("0123456789abcdef");
  await tmux.expect("me> 0123456789abcdef", "‸");
  await tmux.type("日本ghijklmnopqrst語");
  await tmux.expect("me> 0123456789abcdef", "日本ghijklmnopqrst語", "‸");
  Deno.kill(pid, "SIGUSR2");
  await tmux.expect("row 1", "me> 0123456789abcdef", "日本ghijklmnopqrst語", "‸");
  // The input stays at the bottom when it shrinks, and the next rows fill the gap.
  await tmux.press("Left", "Left");
  await tmux.expect("row 1", "", "me> 0123456789abcdef", "日本ghijklmnopqrs‸t語");
  await tmux.press("C-u");
  await tmux.expect("row 1", "", "", "me> ‸t語");
  await tmux.press("C-c");
  await tmux.expect("row 1", "", "", "me> ‸");
  Deno.kill(pid, "SIGUSR2");
  await tmux.expect("row 1", "row 2", "", "me> ‸");
  Deno.kill(pid, "SIGALRM");
  const rows = Array.from({ length: 502 }, (_, i) => `row ${i + 1}`);
  await tmux.expect(...rows.slice(-9), "me> ‸");
  assert.deepEqual(await tmux.scrollback(), [...rows, "me>"]);
});

inTerminal(
  "Terminal shows the rows around the cursor of a line higher than half the screen",
  { columns: 20, rows: 10 },
  async (tmux) => {
    const rows = ["b", "c", "d", "e"].map((letter) => letter.repeat(20));
    await tmux.type("a".repeat(16) + rows.join("") + "f");
    await tmux.expect(...rows.slice(1), "f‸");
    await tmux.press("Home");
    await tmux.expect("me> ‸" + "a".repeat(16), ...rows.slice(0, 3));
    await tmux.press("C-c");
    await tmux.expect("me> ‸");
    assert.deepEqual(await tmux.scrollback(), ["me>"]);
  },
);

inTerminal("Terminal redraws a line of several rows at each width", {}, async (tmux) => {
  const pid = await tmux.pid();
  await tmux.resize(200, 24);
  Deno.kill(pid, "SIGUSR2");
  const text = "日本 " + Array.from({ length: 30 }, (_, i) => `w${i}`).join(" ");
  await tmux.type(text);
  for (const width of [200, 20, 200, 40, 80, 41, 27, 60, 33, 200]) {
    await redrawn(tmux, width, () => tmux.resize(width, 24));
    const rows = wrapped(`me> ${text}`, width);
    await tmux.expect("row 1", ...rows.slice(0, -1), `${rows.at(-1)}‸`);
    assert.deepEqual(await tmux.scrollback(), ["row 1", ...rows]);
  }
  await tmux.press("Enter");
  await tmux.waitFor((screen) => screen.at(-1) === "me> ‸", "the line sent");
  Deno.kill(pid, "SIGALRM");
  await tmux.waitFor((screen) => screen.at(-2) === "row 501", "row 501");
  const log = Array.from({ length: 501 }, (_, i) => `row ${i + 1}`);
  log.splice(1, 0, JSON.stringify(text));
  assert.deepEqual(await tmux.scrollback(), [...log, "me>"]);
});

inTerminal("Terminal lays the log out again at each width", { columns: 60 }, async (tmux) => {
  const pid = await tmux.pid();
  const texts = [
    "one two three four five six seven eight nine ten",
    "eleven twelve ".repeat(9).trim(),
    "short",
  ];
  for (const [i, text] of texts.entries()) {
    await tmux.paste(`/say ${text}`);
    await tmux.press("Enter");
    // An empty line alone may be that of before: then two pastes in one read would be one.
    await tmux.expect(...texts.slice(0, i + 1).flatMap((text) => said(text, 60)), "me> ‸");
  }
  for (const [width, height] of [[30, 24], [24, 30], [60, 24], [33, 24], [60, 12], [60, 24]]) {
    await redrawn(tmux, width!, () => tmux.resize(width!, height!));
    const rows = texts.flatMap((text) => said(text, width!));
    await tmux.expect(...rows, "me> ‸");
    assert.deepEqual(await tmux.scrollback(), [...rows, "me>"]);
  }
  Deno.kill(pid, "SIGUSR2");
  await tmux.expect(...texts.flatMap((text) => said(text, 60)), "row 1", "me> ‸");
});

inTerminal(
  "Terminal lays out again what is on a full screen, and leaves no blank rows",
  { columns: 60, rows: 12 },
  async (tmux) => {
    const texts = Array.from({ length: 12 }, (_, i) => `${i}: one two three four five six seven`);
    for (const text of texts) {
      await tmux.type(`/say ${text}`);
      await tmux.waitFor((screen) => screen.at(-1) === `me> /say ${text}‸`, "the line typed");
      await tmux.press("Enter");
      await tmux.waitFor((screen) => screen.at(-1) === "me> ‸", "the line sent");
    }
    for (const width of [30, 22, 45, 60, 25, 60, 30]) {
      await redrawn(tmux, width, () => tmux.resize(width, 12));
      const seen = await tmux.waitFor((screen) => screen.at(-1) === "me> ‸", "the line");
      // Above are perhaps messages whose beginning had left the screen, as the terminal has wrapped them.
      const rows = said(texts.at(-1)!, width);
      assert.deepEqual(seen.slice(-1 - rows.length, -1), rows, `at ${width}`);
      const all = await tmux.scrollback();
      assert.ok(!all.includes(""), all.join("\n"));
      for (const text of texts) {
        const [number] = text.split(" ");
        assert.equal(
          all.filter((row) => row.includes(`: ${number} `)).length,
          1,
          `${number} at ${width}\n${all.join("\n")}`,
        );
      }
    }
  },
);

inTerminal("Terminal redraws with the cursor anywhere in the line", {}, async (tmux) => {
  const pid = await tmux.pid();
  Deno.kill(pid, "SIGUSR2");
  const text = "0123456789".repeat(12);
  await tmux.type(text);
  const cases = [[0, 62], [1, 80], [5, 31], [0, 124], [39, 40], [20, 20], [0, 200]] as const;
  for (const [left, width] of cases) {
    const [before, after] = [text.slice(0, text.length - left), text.slice(text.length - left)];
    const line = `me> ${before}‸${after}`;
    await tmux.press(...new Array<string>(left).fill("Left"));
    await tmux.waitFor((rows) => rows.join("").includes(line), "the cursor at its place");
    await redrawn(tmux, width, () => tmux.resize(width, 24));
    await tmux.waitFor((rows) => {
      const [first, ...rest] = rows.filter((row) => row !== "");
      return first === "row 1" && rest.join("\n") === wrapped(line, width).join("\n");
    }, line);
    await tmux.press("End");
    await tmux.waitFor((rows) => rows.join("").includes(`${text}‸`), "the cursor at the end");
  }
  assert.deepEqual((await tmux.scrollback()).filter((row) => row !== ""), ["row 1", `me> ${text}`]);
});

inTerminal("Terminal leaves no fragments when a full screen is resized", {}, async (tmux) => {
  const pid = await tmux.pid();
  Deno.kill(pid, "SIGALRM");
  await tmux.waitFor((rows) => rows.at(-2) === "row 500", "row 500");
  await tmux.type("0123456789".repeat(9));
  let last = 500;
  for (const [width, height] of [[40, 24], [200, 24], [20, 10], [80, 24], [20, 24], [80, 10]]) {
    await redrawn(tmux, width!, () => tmux.resize(width!, height!));
    Deno.kill(pid, "SIGUSR2");
    const row = `row ${++last}`;
    await tmux.waitFor((rows) => rows.includes(row), row);
  }
  await tmux.press("C-c");
  await tmux.waitFor((rows) => rows.at(-1) === "me> ‸", "an empty line");
  const rows = Array.from({ length: 506 }, (_, i) => `row ${i + 1}`);
  assert.deepEqual((await tmux.scrollback()).filter((row) => row !== ""), [...rows, "me>"]);
});

inTerminal("Terminal sends nothing for Enter on blanks, and clears them", {}, async (tmux) => {
  await tmux.press("Enter");
  await tmux.type("  ");
  await tmux.press("Enter");
  await tmux.type("x");
  await tmux.expect("me> x‸");
  await tmux.press("Enter");
  await tmux.expect('"x"', "me> ‸");
});

inTerminal("Terminal recalls messages, also of several lines", {}, async (tmux) => {
  const preview = ["me> two", "lines‸", "2 lines — Enter sends, Ctrl-C drops"];
  await tmux.type("first");
  await tmux.press("Enter");
  // What comes in one read counts as one paste.
  await tmux.expect('"first"', "me> ‸");
  await tmux.paste("two\nlines");
  await tmux.expect('"first"', ...preview);
  await tmux.press("Enter");
  const log = ['"first"', '"two\\nlines"'];
  await tmux.expect(...log, "", "me> ‸");
  await tmux.press("Up");
  await tmux.expect(...log, ...preview);
  await tmux.press("Up", "Up");
  await tmux.expect(...log, "", "", "me> first‸");
  await tmux.press("Down", "Down");
  await tmux.expect(...log, "", "", "me> ‸");
});

inTerminal("Terminal previews a paste of several lines and sends it as one", {}, async (tmux) => {
  await tmux.type("ab");
  await tmux.press("Left");
  await tmux.paste("one\ntwo\n\nthree\n");
  const preview = "4 lines — Enter sends, Ctrl-C drops";
  await tmux.expect("me> aone", "two", "", "three‸b", preview);
  await tmux.press("C-c");
  await tmux.expect("me> ‸");
  await tmux.paste("one line\n");
  await tmux.expect("me> one line‸");
  await tmux.press("C-u");
  await tmux.paste("\ttab\nünd\n");
  await tmux.press("Enter");
  await tmux.expect('"\\ttab\\nünd"', "", "", "", "me> ‸");
});

inTerminal("Terminal turns escape sequences in a paste into plain text", {}, async (tmux) => {
  await tmux.paste("a\x1b[2J\x1b]0;x\x07b\x1b[201~c\n/quit\n");
  await tmux.expect("me> a[2J]0;xbc", "/quit‸", "2 lines — Enter sends, Ctrl-C drops");
});

inTerminal("Terminal treats several lines in one read as a paste", {}, async (tmux) => {
  await tmux.typeBytes(new TextEncoder().encode("one\rtwo\r"));
  await tmux.expect("me> one", "two‸", "2 lines — Enter sends, Ctrl-C drops");
  await tmux.press("C-c");
  await tmux.expect("me> ‸");
  await tmux.typeBytes(new TextEncoder().encode("one\r"));
  await tmux.expect('"one"', "", "me> ‸");
});

inTerminal("Terminal types nothing of answers, reports and unknown keys", {}, async (tmux) => {
  const sequences = [
    ...["\x1b]11;rgb:ffff/ffff/ffff\x1b\\", "\x1b[<0;10;20M", "\x1b[57399u", "\x1b[?64;1;2c"],
    ...["\x1bP>|XTerm(379)\x1b\\", "\x1b[I", "\x1b[24;5~", "\x1b_Gi=1;OK\x1b\\"],
  ];
  const encoder = new TextEncoder();
  await tmux.type("a");
  for (const sequence of sequences) await tmux.typeBytes(encoder.encode(sequence));
  await tmux.type("b");
  for (const piece of ["\x1b]1", "1;rgb:0", "0/00/00\x1b", "\\\x1b[<6", "5;1;1M"]) {
    await tmux.typeBytes(encoder.encode(piece));
  }
  await tmux.type("c");
  await tmux.expect("me> abc‸");
});

inTerminal("Terminal takes a paste without an end marker", {}, async (tmux) => {
  await tmux.typeBytes(new TextEncoder().encode("\x1b[20"));
  await tmux.typeBytes(new TextEncoder().encode("0~one\rtwo"));
  await tmux.expect("me> one", "two‸", "2 lines — Enter sends, Ctrl-C drops");
});

inTerminal("Terminal does not send more than 8192 bytes, and keeps them", {}, async (tmux) => {
  const line = "é".repeat(4096);
  await tmux.paste(line);
  await tmux.waitFor((rows) => rows.at(-1)!.endsWith("é‸"), "the text without a hint");
  await tmux.type("x");
  const hint = "8193 bytes: at most 8192 can be sent, Ctrl-C drops";
  await tmux.waitFor((rows) => rows.at(-2)!.endsWith("éx‸") && rows.at(-1) === hint, hint);
  await tmux.press("Enter");
  await tmux.press("BSpace");
  await tmux.waitFor((rows) => rows.at(-1)!.endsWith("é‸"), "the text without a hint");
  await tmux.press("Enter");
  await tmux.waitFor((rows) => rows.at(-1) === "me> ‸", "the empty line");
  assert.equal((await tmux.scrollback()).filter((row) => row !== "").join(""), `"${line}"me>`);
});

inTerminal("Terminal completes, and lists candidates", {}, async (tmux) => {
  await tmux.type("/n");
  await tmux.press("Tab");
  await tmux.expect("me> /n‸", "/names  /nick");
  await tmux.type("i");
  await tmux.expect("me> /ni‸");
  await tmux.press("Tab");
  await tmux.type(" a");
  await tmux.press("Tab");
  await tmux.expect("me> /nick al‸");
  await tmux.press("Tab");
  await tmux.expect("me> /nick al‸", "alice   albert");
  Deno.kill(await tmux.pid(), "SIGUSR2");
  await tmux.expect("row 1", "me> /nick al‸", "alice   albert");
  await tmux.press("C-u");
  await tmux.expect("row 1", "", "me> ‸");
});

inTerminal(
  "Terminal chooses candidates by Tab, and finds what was sent by Ctrl-R",
  {},
  async (tmux) => {
    await tmux.type("/n");
    await tmux.press("Tab", "Tab", "Tab");
    await tmux.expect("me> /nick‸", "/names  /nick");
    await tmux.press("Escape");
    await tmux.expect("me> /n‸");
    await tmux.press("C-u");
    // What comes in one read counts as one paste.
    await tmux.expect("me> ‸");
    await tmux.type("hello there");
    await tmux.expect("me> hello there‸");
    await tmux.press("Enter");
    await tmux.waitFor((rows) => rows.at(-1) === "me> ‸", "the line sent");
    await tmux.press("C-r");
    await tmux.waitFor((rows) => rows.at(-1)!.startsWith("sent before:"), "the search");
    await tmux.type("LLO");
    await tmux.expect('"hello there"', "sent before: LLO‸", "hello there");
    await tmux.press("Enter");
    await tmux.expect('"hello there"', "", "me> hello there‸");
  },
);

inTerminal("Terminal asks questions, without echo for secrets", {}, async (tmux) => {
  await tmux.type("/ask");
  await tmux.press("Enter");
  await tmux.expect("Really? ‸");
  await tmux.type("yes");
  await tmux.expect("Really? yes‸");
  await tmux.press("Enter");
  await tmux.expect("Really? yes", 'answer: "yes"', "me> ‸");
  await tmux.type("/secret");
  await tmux.press("Enter");
  const log = ["Really? yes", 'answer: "yes"'];
  await tmux.expect(...log, "Password: ‸");
  await tmux.type("päß👍x");
  await tmux.press("BSpace", "BSpace");
  Deno.kill(await tmux.pid(), "SIGUSR2");
  await tmux.expect(...log, "row 1", "Password: ‸");
  await tmux.press("Enter");
  log.push("row 1", 'answer: "päß"');
  await tmux.expect(...log, "Again: ‸");
  await tmux.type("x");
  await tmux.press("C-c");
  log.push("answer: undefined");
  await tmux.expect(...log, "me> ‸");
  await tmux.press("Up");
  await tmux.expect(...log, "me> /secret‸");
  assert.ok(!(await tmux.scrollback()).join("").includes("pä👍"));
});

inTerminal("Terminal passes keys typed ahead to the next question only", {}, async (tmux) => {
  await tmux.type("/secret");
  await tmux.press("Enter");
  await tmux.expect("Password: ‸");
  await tmux.typeBytes(new TextEncoder().encode("one\rtwo\rthree\r"));
  await tmux.expect('answer: "one"', 'answer: "two"', "me> ‸");
});

inTerminal("Terminal clears the screen except for the line", {}, async (tmux) => {
  const pid = await tmux.pid();
  Deno.kill(pid, "SIGUSR2");
  await tmux.type("abc");
  await tmux.expect("row 1", "me> abc‸");
  await tmux.press("C-l");
  await tmux.expect("me> abc‸");
  Deno.kill(pid, "SIGUSR2");
  await tmux.expect("row 2", "me> abc‸");
  assert.ok(!(await tmux.scrollback()).slice(0, -1).some((row) => row.includes("me>")));
});

inTerminal("Terminal shows a changed prompt and a status", {}, async (tmux) => {
  await enter(tmux, "/prompt 日本");
  await tmux.expect("日本> ‸");
  await enter(tmux, "/status working");
  await tmux.expect("working", "日本> ‸");
  await tmux.type("x");
  await tmux.expect("working", "日本> x‸");
  Deno.kill(await tmux.pid(), "SIGUSR2");
  await tmux.expect("row 1", "working", "日本> x‸");
});

inTerminal("Terminal keeps the text in the line when it is not accepted", {}, async (tmux) => {
  await enter(tmux, "/keep this");
  await tmux.expect("kept", "me> /keep this‸");
});

inTerminal("Terminal shows hostile text harmlessly", { columns: 30 }, async (tmux) => {
  await tmux.paste("/say a\u202eb\u200bc\u0301\u0301\u0301\u0301\u0301\u0301 d\u2028-- e");
  await tmux.press("Enter");
  await tmux.expect(
    "bob∙: a⟨202E⟩b⟨200B⟩c\u0301\u0301\u0301\u0301",
    "      d⟨2028⟩-- e",
    "me> ‸",
  );
});

inTerminal(
  "Terminal writes ASCII only in the C locale",
  { columns: 20, rows: 10, env: C },
  async (tmux) => {
    await tmux.type("ü日");
    await tmux.expect("me> <FC><65E5>‸");
    await tmux.press("Left");
    await tmux.expect("me> <FC>‸<65E5>");
    await tmux.press("C-u", "C-e", "C-u");
    await tmux.paste("a\nb");
    await tmux.expect("me> a", "b‸", "2 lines - Enter", "sends, Ctrl-C drops");
    await tmux.press("C-c");
    await tmux.type("/say grüße an alle hier");
    await tmux.press("Enter");
    await tmux.expect("bob=: gr<FC><DF>e an", "      alle hier", "", "me> ‸");
  },
);

/** What ends the program, its exit code, and the last row it prints. */
const ENDINGS: [string, number, string, (tmux: Tmux, pid: number) => Promise<void>][] = [
  ["Ctrl-C", 0, "left: interrupt", (tmux) => tmux.press("C-c")],
  ["Ctrl-D", 0, "left: end", (tmux) => tmux.press("C-d")],
  ["a command", 0, "left: quit", (tmux) => enter(tmux, "/quit")],
  ["SIGTERM", 143, "left: SIGTERM", (tmux, pid) => typeAndKill(tmux, pid, "SIGTERM")],
  ["SIGHUP", 129, "left: SIGHUP", (tmux, pid) => typeAndKill(tmux, pid, "SIGHUP")],
  ["an error", 1, "on purpose", (tmux) => enter(tmux, "/throw")],
  ["a rejection", 1, "on purpose", (tmux) => enter(tmux, "/reject")],
];

for (const [what, code, last, end] of ENDINGS) {
  const script = `before=$(stty -g); ${DENO.join(" ")} 2>/dev/null; echo "exit $?"
    [ "$before" = "$(stty -g)" ] && echo restored; cat -v`;
  const setup = { columns: 120, command: ["sh", "-c", script] };
  inTerminal(`Terminal restores everything after ${what}`, setup, async (tmux) => {
    await tmux.expect("me> ‸");
    await end(tmux, await demoPid(tmux));
    const rows = last.startsWith("left") ? [last] : [];
    await tmux.expect(...rows, `exit ${code}`, "restored", "‸");
    // Echo is on, bracketed paste is off, and colours are reset.
    await tmux.paste("pasted\n");
    await tmux.expect(...rows, `exit ${code}`, "restored", "pasted", "pasted", "‸");
    assert.equal(await tmux.query("#{cursor_flag}"), "1");
    assert.deepEqual((await tmux.coloredScreen()).slice(-2), ["pasted", "pasted"]);
  });
}

const SHELL = {
  columns: 40,
  env: { ...UTF8, PS1: "$ " },
  command: ["bash", "--norc", "--noprofile", "-i"],
};

inTerminal("Terminal stops on Ctrl-Z and continues on fg", SHELL, async (tmux) => {
  await tmux.expect("$ ‸");
  await enter(tmux, `demo() { ${DENO.join(" ")}; }; clear`);
  await tmux.expect("$ ‸");
  await enter(tmux, "clear; demo");
  await tmux.waitFor((rows) => rows.at(-1) === "me> ‸", "the prompt");
  await tmux.type("half a l");
  await tmux.waitFor((rows) => rows.at(-1) === "me> half a l‸", "the line");
  const pid = await demoPid(tmux);
  await tmux.press("C-z");
  await tmux.waitFor((rows) => rows.at(-1) === "$ ‸", "the shell");
  await enter(tmux, "stty -a | grep -ow -e -echo -e echo");
  await tmux.waitFor((rows) => rows.at(-1) === "$ ‸" && rows.at(-2) === "echo", "the echo");
  assert.ok(!(await tmux.scrollback()).some((row) => row.includes("half")));
  Deno.kill(pid, "SIGUSR2");
  await enter(tmux, "fg");
  await tmux.waitFor((rows) => rows.slice(-2).join() === "row 1,me> half a l‸", "the line");
  await tmux.type("ine");
  await tmux.press("Enter");
  await tmux.waitFor((rows) => rows.slice(-2).join() === '"half a line",me> ‸', "the line sent");
  await tmux.press("C-d");
  await tmux.waitFor((rows) => rows.slice(-2).join() === "left: end,$ ‸", "the shell");
});

inTerminal("Terminal asks at the cursor when there is no chat", SHELL, async (tmux) => {
  await tmux.expect("$ ‸");
  await enter(tmux, `demo() { ${DENO.join(" ")} ask; }; clear`);
  await enter(tmux, "clear; demo");
  await tmux.expect("1? ‸");
  await tmux.type("one");
  await tmux.press("Enter");
  await tmux.expect("2? ‸");
  // A second Terminal has been opened: no key is lost in between.
  await tmux.type("two");
  await tmux.press("Enter");
  await tmux.expect("one two", "$ ‸");
});

const NO_SHELL = "Ctrl-Z stops nothing here: no shell could continue it";

inTerminal("Terminal does not stop on Ctrl-Z without a shell", {}, async (tmux) => {
  await tmux.type("abc");
  await tmux.press("C-z");
  await tmux.expect("me> abc‸", NO_SHELL);
  await tmux.type("d");
  await tmux.expect("me> abcd‸");
});

const SCRIPT = { ...SHELL, command: ["sh", "-c", `${DENO.join(" ")}; echo ended`] };

inTerminal("Terminal does not stop on Ctrl-Z in a script without a shell", SCRIPT, async (tmux) => {
  await tmux.expect("me> ‸");
  await tmux.press("C-z");
  await tmux.expect("me> ‸", "Ctrl-Z stops nothing here: no shell", "could continue it");
});

inTerminal("Terminal stops under a task runner, and continues", SHELL, async (tmux) => {
  const folder = await Deno.makeTempDir();
  const [deno, ...args] = DENO;
  const task = { tasks: { demo: ["deno", ...args].join(" ") } };
  await Deno.writeTextFile(`${folder}/deno.json`, JSON.stringify(task));
  try {
    await tmux.expect("$ ‸");
    await enter(tmux, `demo() { ${deno} task -q --cwd ${folder} demo; }; clear`);
    await enter(tmux, "clear; demo");
    for (const _ of [1, 2]) {
      await tmux.waitFor((rows) => rows.at(-1) === "me> ‸", "the prompt");
      await tmux.press("C-z");
      await tmux.waitFor((rows) => rows.at(-1) === "$ ‸", "the shell");
      await enter(tmux, "stty -a | grep -ow -e -echo -e echo");
      await tmux.waitFor((rows) => rows.slice(-2).join() === "echo,$ ‸", "the echo");
      await enter(tmux, "fg");
    }
    await tmux.type("x");
    await tmux.waitFor((rows) => rows.at(-1) === "me> x‸", "the line");
    await tmux.press("C-c", "C-d");
    await tmux.waitFor((rows) => rows.slice(-2).join() === "left: end,$ ‸", "the shell");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

inTerminal(
  "Terminal continues after Ctrl-Z where the kill program is missing",
  {
    command: [Deno.execPath(), "run", "--allow-all", DEMO],
    env: { ...UTF8, PATH: "/nonexistent" },
  },
  async (tmux) => {
    await tmux.expect("me> ‸");
    await tmux.press("C-z");
    await tmux.expect("me> ‸", NO_SHELL);
  },
);

async function enter(tmux: Tmux, text: string): Promise<void> {
  await tmux.type(text);
  await tmux.press("Enter");
}

async function typeAndKill(tmux: Tmux, pid: number, signal: Deno.Signal): Promise<void> {
  await tmux.type("not sent");
  await tmux.expect("me> not sent‸");
  Deno.kill(pid, signal);
}

async function demoPid(tmux: Tmux): Promise<number> {
  return Number((await tmux.query("#{pane_title}")).split(" ")[0]);
}

/** Resizes, and waits until the demo has drawn at that width, which it shows in the title. */
async function redrawn(tmux: Tmux, width: number, resize: () => Promise<void>): Promise<void> {
  await resize();
  const isDrawn = async () => (await tmux.query("#{pane_title}")).endsWith(` ${width}`);
  await poll(isDrawn, () => `drawn at ${width} columns`);
}

/** The rows of `/say` as they are laid out: wrapped at words below their own text. */
function said(text: string, width: number): string[] {
  const rows = ["bob∙:"];
  for (const word of text.split(" ")) {
    if (`${rows.at(-1)!} ${word}`.length > width) rows.push(`      ${word}`);
    else rows[rows.length - 1] += ` ${word}`;
  }
  return rows;
}

/** Wraps a row as the input line does: at the last column; `‸` takes none. */
function wrapped(line: string, width: number): string[] {
  const rows = [""];
  let used = 0;
  for (const character of line) {
    const needed = character === "‸" ? 0 : columns(character);
    if (used + needed > width || (character === "‸" && used === width)) {
      rows.push("");
      used = 0;
    }
    rows[rows.length - 1] += character;
    used += needed;
  }
  return rows.map((row) => row.trimEnd());
}
