import assert from "node:assert/strict";
import { completions } from "../../lib/cli/completions.ts";
import type { Program } from "../../lib/cli/options.ts";
import { CLIENT_PROGRAM, SERVER_PROGRAM, type SHELLS } from "../../lib/cli/programs.ts";

type Shell = typeof SHELLS[number];
import { Tmux, tmuxMissing } from "../support/tmux.ts";

const PROGRAM: Program<"bits" | "file" | "ask" | "host" | "name" | "odd"> = {
  name: "hearth-test",
  summary: "Does nothing.",
  options: [
    { name: "bits", value: { type: "choice", name: "N", choices: [1024, 2048] }, help: "a size" },
    { name: "file", value: { type: "file", name: "FILE" }, help: "a file" },
    { name: "ask", help: "ask" },
    { name: "host", value: { type: "host", name: "HOST[:PORT]" }, help: "a host" },
    { name: "name", value: { type: "text", name: "NAME" }, help: "a name" },
    { name: "odd", help: `it's [odd]: "$(false)" \`false\` \\ %d; & | < > # * ? ~` },
  ],
  exclusive: [["file", "ask"]],
  subcommands: [
    { name: "drop", argument: "THING[:PART]", help: `drop it: it's (in) "pieces"`, options: [] },
    { name: "show", argument: "one|two", help: "show it", options: ["file", "ask"] },
  ],
  environment: [],
  examples: [],
};
const ODD = PROGRAM.options[5]!;
const DROP = PROGRAM.subcommands[0]!;
const OPTIONS = "--bits --file --ask --host --name --odd --help --version".split(" ");

/** What is typed, and the words that are offered next. */
const CASES: [typed: string, words: string[]][] = [
  ["--b", ["--bits"]],
  ["--", OPTIONS],
  ["s", ["show"]],
  ["--bits ", ["1024", "2048"]],
  ["--bits 2", ["2048"]],
  ["--name ", []],
  ["--name x --od", ["--odd"]],
  ["--ask --f", []],
  ["--file x --a", []],
  ["show t", ["two"]],
  ["show --", ["--file", "--ask"]],
  ["show one --ask --f", []],
  ["drop --", []],
  ["--nothing", []],
];

async function missing(shell: Shell): Promise<string | undefined> {
  if (Deno.build.os === "windows") return "no shells on Windows";
  try {
    const { success } = await new Deno.Command(shell, { args: ["--version"] }).output();
    if (!success) return `${shell} does not start`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return `${shell} is not installed`;
    throw error;
  }
  return shell === "zsh" ? await tmuxMissing() : undefined;
}

async function run(shell: Shell, script: string, ...args: string[]): Promise<string> {
  const name = shell === "fish" ? [] : [shell];
  const command = new Deno.Command(shell, {
    args: ["-c", script, ...name, ...args],
    stdin: "null",
  });
  const { stdout, stderr } = await command.output();
  assert.equal(new TextDecoder().decode(stderr), "", `${script} ${args}`);
  return new TextDecoder().decode(stdout);
}

/** Makes a folder with `completions` in it, and two files to complete. */
async function inFolder(program: Program<string>, shell: Shell, use: (folder: string) => unknown) {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/completions`, completions(program, shell));
    await Deno.writeTextFile(`${folder}/a key.pem`, "");
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function inShell(shell: Shell, name: string, test: () => Promise<void>): void {
  Deno.test({ name, ignore: reasons[shell] !== undefined, fn: test });
}

const reasons: Partial<Record<Shell, string>> = {};
for (const shell of ["bash", "zsh", "fish"] as const) {
  const reason = await missing(shell);
  if (reason === undefined) continue;
  reasons[shell] = reason;
  console.log(`completions_test.ts: ${shell} skipped, ${reason}`);
}

const SOURCE = {
  bash: `. "$1"`,
  zsh: `compdef() { typeset -f $1 }; . "$1"`, // a shell that is on no terminal completes nothing
  fish: "source $argv[1]",
};

for (const shell of ["bash", "zsh", "fish"] as const) {
  inShell(shell, `completions() of both programs are valid in ${shell}`, async () => {
    for (const program of [SERVER_PROGRAM, CLIENT_PROGRAM] as Program<string>[]) {
      await inFolder(
        program,
        shell,
        (folder) => run(shell, SOURCE[shell], `${folder}/completions`),
      );
    }
  });
}

// --- bash ---

/** Completes as bash does on Tab. */
const BASH = `. "$1"; shift
COMP_WORDS=(hearth-test "$@") COMP_CWORD=$#
"$(complete -p hearth-test | sed 's/.*-F \\([^ ]*\\) .*/\\1/')"
printf '%s\\n' "\${COMPREPLY[@]}"`;

async function askBash(folder: string, ...words: string[]): Promise<string[]> {
  const said = await run("bash", BASH, `${folder}/completions`, ...words);
  return said.split("\n").filter((line) => line !== "");
}

inShell(
  "bash",
  "completions() in bash offer the possible next words",
  () =>
    inFolder(PROGRAM, "bash", async (folder) => {
      for (const [typed, words] of CASES) {
        assert.deepEqual(await askBash(folder, ...typed.split(" ")), words, typed);
      }
      const all = await askBash(folder, "");
      assert.deepEqual(all, ["drop", "show", ...OPTIONS]);
    }),
);

inShell(
  "bash",
  "completions() in bash offer a value after an equals sign",
  () =>
    inFolder(PROGRAM, "bash", async (folder) => {
      assert.deepEqual(await askBash(folder, "--bits", "="), ["1024", "2048"]);
      assert.deepEqual(await askBash(folder, "--bits", "=", "2"), ["2048"]);
      assert.deepEqual(await askBash(folder, "--bits", "=", "2048", "--b"), []);
    }),
);

inShell(
  "bash",
  "completions() in bash offer files, also with a space in the name",
  () =>
    inFolder(PROGRAM, "bash", async (folder) => {
      assert.deepEqual(await askBash(folder, "--file", `${folder}/a`), [`${folder}/a key.pem`]);
    }),
);

// --- fish ---

async function askFish(folder: string, typed: string): Promise<string[]> {
  const script = `${SOURCE.fish}; complete -C "hearth-test $argv[2]"`;
  const said = await run("fish", script, `${folder}/completions`, typed);
  return said.split("\n").filter((line) => line !== "");
}

inShell(
  "fish",
  "completions() in fish offer the possible next words with descriptions",
  () =>
    inFolder(PROGRAM, "fish", async (folder) => {
      // fish offers an option that was given already once more.
      for (const [typed, words] of CASES) {
        const lines = await askFish(folder, typed);
        assert.deepEqual(
          lines.map((line) => line.split("\t")[0]!).sort(),
          [...words].sort(),
          typed,
        );
      }
      for (const [typed, { name, help }] of [["--o", ODD], ["d", DROP]] as const) {
        assert.deepEqual(await askFish(folder, typed), [
          `${typed === "d" ? "" : "--"}${name}\t${help}`,
        ]);
      }
      const [file] = await askFish(folder, `--file ${folder}/a`);
      assert.equal(file, `${folder}/a key.pem`);
    }),
);

// --- zsh, which needs a terminal to complete ---

/** Lists the possible next words on Ctrl-T, and then creates a file to report that it has. */
const ZSH = `PS1='%% '; autoload -U compinit; compinit -u -D
zstyle ':completion:*' verbose no; LISTMAX=0
. ./completions
list() { zle list-choices; zle -R; print >> listed }
zle -N list; bindkey '^T' list; bindkey '^U' kill-whole-line; clear`;

inShell(
  "zsh",
  "completions() in zsh offer the possible next words",
  () =>
    inFolder(PROGRAM, "zsh", async (folder) => {
      await Deno.writeTextFile(`${folder}/.zshrc`, ZSH);
      const env = { ZDOTDIR: folder, LC_ALL: "C.UTF-8" };
      const command = ["sh", "-c", `cd '${folder}' && exec zsh -d -i`];
      const tmux = await Tmux.start(command, { columns: 80, rows: 24, env });
      try {
        await tmux.expect("% ‸");
        for (const [typed, words] of CASES) {
          await Deno.writeTextFile(`${folder}/listed`, "");
          await tmux.type(`hearth-test ${typed}`);
          await tmux.press("C-t");
          await tmux.waitFor(
            () => Deno.statSync(`${folder}/listed`).size > 0,
            `the list of ${typed}`,
          );
          await tmux.waitFor(
            ([, ...rows]) => rows.join(" ").split(/\s+/).sort().join() === [...words].sort().join(),
            `after ${typed}: ${words.join()}`,
          );
          await tmux.press("C-u");
          await tmux.expect("% ‸");
        }
      } finally {
        await tmux.close();
      }
    }),
);
