/**
 * Drives a Terminal without any network, for tests/terminal_test.ts.
 *
 * Lines that are typed are printed as JSON; some are commands. SIGUSR2 prints the next numbered row,
 * SIGALRM prints 500 of them, as messages of others would. With the argument `ask` it only asks.
 */

import { colorDepth } from "../../lib/ui/terminal/colors.ts";
import { isUtf8Locale } from "../../lib/ui/terminal/locale.ts";
import { renderEvent } from "../../lib/ui/render.ts";
import { Terminal, type TerminalOptions } from "../../lib/ui/terminal/terminal.ts";
import { openTty } from "../../lib/ui/terminal/tty.ts";

const NAMES = ["/help", "/names", "/nick", "alice", "albert", "zoe"];
const utf8 = isUtf8Locale((name) => Deno.env.get(name), Deno.build.os);
const color = colorDepth((name) => Deno.env.get(name), Deno.stdout.isTerminal());

const device = openTty();
/** Tells in the window's title who draws, and for which width it did last. */
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
  maxBytes: 8192,
  complete(line, cursor) {
    const start = line.lastIndexOf(" ", cursor - 1) + 1;
    const typed = line.slice(start, cursor);
    return { start, end: cursor, candidates: NAMES.filter((name) => name.startsWith(typed)) };
  },
  onLine,
  onInterrupt: () => leave("interrupt", 0),
  onEnd: () => leave("end", 0),
  onHangup: () => Deno.exit(129),
  tty,
};
const terminal = new Terminal(options);

function leave(why: string, code: number): void {
  terminal.print([`left: ${why}`]);
  terminal.close();
  Deno.exit(code);
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
      return terminal.print(say(argument));
    case "/ask":
      terminal.ask("Really? ").then(report);
      return;
    case "/secret":
      terminal.askSecret("Password: ").then(report).then(() => terminal.askSecret("Again: "))
        .then(report);
      return;
    case "/throw":
      throw new Error("thrown on purpose");
    case "/reject":
      Promise.reject(new Error("rejected on purpose"));
      return;
    case "/quit":
      return leave("quit", 0);
  }
  terminal.print([JSON.stringify(text)]);
}

/** Asks as a program without a chat does. */
async function askOnce(question: string): Promise<string | undefined> {
  const asking = new Terminal({ ...options, prompt: "" });
  asking.open();
  const answer = await asking.askSecret(question);
  asking.close();
  return answer;
}

function report(answer: string | undefined): void {
  terminal.print([`answer: ${JSON.stringify(answer)}`]);
}

function say(text: string): string[] {
  return renderEvent({
    event: "chat",
    id: "0000000000000000",
    nick: "bob",
    fingerprint: "SHA256:bob",
    sent: "2025-01-02T03:04:05.000Z",
    private: false,
    action: false,
    late: false,
    view: "same",
    text,
  }, {
    columns: terminal.columns,
    color,
    utf8,
    ownNick: "me",
    timestamps: "off",
    now: new Date(),
    quiet: "off",
    trust: () => "known",
    nickOf: () => "bob",
    ownText: () => undefined,
  });
}

Deno.addSignalListener("SIGTERM", () => leave("SIGTERM", 143));
Deno.addSignalListener("SIGHUP", () => leave("SIGHUP", 129));
Deno.addSignalListener("SIGUSR2", () => terminal.print(nextRows(1)));
Deno.addSignalListener("SIGALRM", () => nextRows(500).forEach((text) => terminal.print([text])));
addEventListener("error", () => terminal.close());
addEventListener("unhandledrejection", () => terminal.close());
if (Deno.args[0] === "ask") {
  console.log(await askOnce("1? "), await askOnce("2? "));
  Deno.exit();
}
terminal.open();
