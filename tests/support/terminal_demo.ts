/**
 * Drives a Terminal without a network, for tests/ui/terminal/terminal_test.ts.
 *
 * Prints typed lines as JSON; some are commands. SIGUSR2 prints the next numbered row, SIGALRM the next 500, like
 * messages of others. With the argument `ask` it only asks questions.
 */

import { colorDepth } from "../../lib/ui/terminal/colors.ts";
import { isUtf8Locale } from "../../lib/base/locale.ts";
import { renderMessage } from "../../lib/ui/render.ts";
import { Terminal, type TerminalOptions } from "../../lib/ui/terminal/terminal.ts";
import { openTty } from "../../lib/ui/terminal/tty.ts";
import { messageEntry } from "./entries.ts";

const NAMES = ["/help", "/names", "/nick", "alice", "albert", "zoe"];
const utf8 = isUtf8Locale((name) => Deno.env.get(name), Deno.build.os);
const color = colorDepth((name) => Deno.env.get(name), Deno.stdout.isTerminal());

const device = openTty();
/** Writes the process id and the width last drawn into the window title. */
const tty = {
  ...device,
  write: (text: string) => device.write(`${text}\x1b]2;${Deno.pid} ${device.size().columns}\x07`),
};

let row = 0;
const nextRows = (count: number): string[] => Array.from({ length: count }, () => `row ${++row}`);

const options: TerminalOptions = {
  prompt: "me> ",
  color,
  utf8,
  simple: false,
  maxBytes: 8192,
  complete(line, cursor) {
    const start = line.lastIndexOf(" ", cursor - 1) + 1;
    const typed = line.slice(start, cursor);
    return { start, end: cursor, candidates: NAMES.filter((name) => name.startsWith(typed)) };
  },
  onLine,
  onInterrupt: () => void leave("interrupt", 0),
  onEnd: () => void leave("end", 0),
  onHangup: () => Deno.exit(129),
  tty,
};
const terminal = new Terminal(options);

async function leave(why: string, code: number): Promise<void> {
  terminal.print([`left: ${why}`]);
  await terminal.close();
  Deno.exit(code);
}

async function fail(event: Event, error: unknown): Promise<void> {
  event.preventDefault();
  await terminal.close();
  console.error(error);
  Deno.exit(1);
}

function onLine(text: string): boolean | void {
  const [command, ...words] = text.split(" ");
  const argument = words.join(" ");
  switch (command) {
    case "/clear":
      return terminal.clear();
    case "/prompt":
      return terminal.setPrompt(`${argument}> `);
    case "/status":
      return terminal.setStatus(argument);
    case "/keep":
      terminal.print(["kept"]);
      return false;
    case "/say":
      return terminal.print((columns) => say(argument, columns));
    case "/ask":
      terminal.ask("Really? ", { secret: false }).then(report);
      return;
    case "/secret":
      terminal.ask("Password: ", { secret: true }).then(report)
        .then(() => terminal.ask("Again: ", { secret: true })).then(report);
      return;
    case "/throw":
      throw new Error("thrown on purpose");
    case "/reject":
      Promise.reject(new Error("rejected on purpose"));
      return;
    case "/quit":
      return void leave("quit", 0);
  }
  terminal.print([JSON.stringify(text)]);
}

/** Asks like a program without a chat. */
async function askOnce(question: string): Promise<string | undefined> {
  const asking = new Terminal({ ...options, prompt: "" });
  asking.open();
  const answer = await asking.ask(question, { secret: true });
  await asking.close();
  return answer;
}

function report(answer: string | undefined): void {
  terminal.print([`answer: ${JSON.stringify(answer)}`]);
}

function say(text: string, columns: number): string[] {
  return renderMessage(messageEntry({ text }), {
    columns,
    color,
    utf8,
    ownNick: "me",
    timestamps: "off",
    now: new Date(),
  });
}

Deno.addSignalListener("SIGTERM", () => leave("SIGTERM", 143));
Deno.addSignalListener("SIGHUP", () => leave("SIGHUP", 129));
Deno.addSignalListener("SIGUSR2", () => terminal.print(nextRows(1)));
Deno.addSignalListener("SIGALRM", () => nextRows(500).forEach((text) => terminal.print([text])));
addEventListener("error", (event) => void fail(event, event.error));
addEventListener("unhandledrejection", (event) => void fail(event, event.reason));
if (Deno.args[0] === "ask") {
  console.log(await askOnce("1? "), await askOnce("2? "));
  Deno.exit();
}
terminal.open();
