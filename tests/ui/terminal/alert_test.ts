import assert from "node:assert/strict";
import {
  desktopNotice,
  linked,
  TERMINAL_VARIABLES,
  terminalKind,
  windowTitle,
} from "../../../lib/ui/terminal/alert.ts";

type Variables = Readonly<Record<string, string>>;

function kindOf(variables: Variables, name?: string, os: typeof Deno.build.os = "linux") {
  return terminalKind(
    (variable) => {
      assert.ok((TERMINAL_VARIABLES as readonly string[]).includes(variable), variable);
      return variables[variable];
    },
    os,
    name,
  );
}

/** What a terminal gets for "hi". */
function noticeFor(variables: Variables, name?: string): string {
  const look = { kind: kindOf(variables, name), utf8: true };
  return desktopNotice({ program: "Hearth", text: "hi" }, look);
}

const OSC_9 = "\x1b]9;Hearth: hi\x1b\\";
const OSC_99 = "\x1b]99;i=hearth;Hearth: hi\x1b\\";
const OSC_777 = "\x1b]777;notify;Hearth;hi\x1b\\";

const NOTICES: [Variables, string | undefined, string][] = [
  [{ TERM: "xterm-256color" }, undefined, OSC_9],
  [{ TERM: "xterm-256color" }, "XTerm(379)", OSC_9],
  [{ TERM: "xterm-256color", TERM_PROGRAM: "iTerm.app" }, undefined, OSC_9],
  [{ TERM: "xterm-kitty" }, undefined, OSC_99],
  [{ TERM: "xterm-256color", KITTY_WINDOW_ID: "1" }, undefined, OSC_99],
  [{ TERM: "xterm-256color" }, "kitty(0.26.5)", OSC_99],
  [{ TERM: "xterm-256color", VTE_VERSION: "7002" }, undefined, OSC_777],
  [{ TERM: "xterm-256color" }, "VTE(7002)", OSC_777],
  [{ TERM: "foot" }, undefined, OSC_777],
  [{ TERM: "rxvt-unicode-256color" }, undefined, OSC_777],
  // These would print it.
  [{ TERM: "linux" }, undefined, ""],
  [{ TERM: "vt100" }, undefined, ""],
  [{ TERM: "dumb" }, undefined, ""],
  [{}, undefined, ""],
  [{ TERM: "screen-256color" }, undefined, ""],
];

Deno.test("desktopNotice() speaks the language of the terminal, and never prints", () => {
  for (const [variables, name, expected] of NOTICES) {
    assert.equal(noticeFor(variables, name), expected, JSON.stringify([variables, name]));
  }
  assert.equal(kindOf({}, "", "windows").notices, "9");
});

Deno.test("desktopNotice() is wrapped for the terminal around tmux", () => {
  const wrap = (code: string) => `\x1bPtmux;${code.replaceAll("\x1b", "\x1b\x1b")}\x1b\\`;
  const cases: [Variables, string | undefined, string][] = [
    [{ TERM: "screen-256color", TMUX: "/tmp/tmux,1,0" }, undefined, OSC_9],
    [{ TERM: "tmux-256color" }, undefined, OSC_9],
    [{ TERM: "xterm-256color" }, "tmux 3.3a", OSC_9],
    [{ TERM: "tmux-256color", KITTY_WINDOW_ID: "1" }, undefined, OSC_99],
    [{ TERM: "tmux-256color", VTE_VERSION: "7002" }, undefined, OSC_777],
  ];
  for (const [variables, name, expected] of cases) {
    assert.equal(noticeFor(variables, name), wrap(expected), JSON.stringify([variables, name]));
  }
});

Deno.test("notices and titles hold no control character, and are cut", () => {
  const hostile = "a\x1b]0;b\x07\x9c\x1b\\c\n;d\u202e" + "é".repeat(10_000);
  for (const [variables, utf8] of [[{ TERM: "foot" }, true], [{ TERM: "xterm" }, false]] as const) {
    const look = { kind: kindOf(variables), utf8 };
    const codes = [
      desktopNotice({ program: "Hearth", text: hostile }, look),
      windowTitle(hostile, look),
    ];
    for (const code of codes) {
      const inside = code.slice(2, -2);
      assert.doesNotMatch(inside, utf8 ? /[\p{C}]/u : /[^\x20-\x7e]/);
      assert.ok(inside.length < 1500, `${inside.length}`);
    }
    if (utf8) assert.equal(codes[0]!.split(";").length, 4, "no field of the sender's own");
  }
});

Deno.test("windowTitle() sets the title where there is one", () => {
  const title = (variables: Variables) =>
    windowTitle("(3) Hearth", { kind: kindOf(variables), utf8: true });
  assert.equal(title({ TERM: "xterm" }), "\x1b]2;(3) Hearth\x1b\\");
  assert.equal(title({ TERM: "tmux-256color", TMUX: "x" }), "\x1b]2;(3) Hearth\x1b\\");
  assert.equal(title({ TERM: "linux" }), "");
  assert.equal(title({ TERM: "vt220" }), "");
});

Deno.test("linked() makes an address one to click, where the codes are not printed", () => {
  const address = "http://127.0.0.1:1/#x";
  assert.equal(
    linked(address, kindOf({ TERM: "xterm-256color" })),
    `\x1b]8;;${address}\x1b\\${address}\x1b]8;;\x1b\\`,
  );
  for (const TERM of ["linux", "dumb", ""]) {
    assert.equal(linked(address, kindOf({ TERM })), address);
  }
});
