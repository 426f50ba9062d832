/**
 * The face of the client on a terminal: the chat. Loaded only where there is one.
 *
 * @module
 */

import { Chat, type ChatOptions } from "./chat.ts";
import { reportError } from "../cli/process.ts";
import type { Ui } from "./json.ts";

const SPINNER = ["|", "/", "-", "\\"];
const SPINNER_MS = 100;

/** The chat on a terminal. */
export function makeChatUi(options: ChatOptions & { finished: Promise<boolean> }): Ui {
  const chat = new Chat(options);
  chat.terminal.open();
  const errors: unknown[] = [];
  let spinner: ReturnType<typeof setInterval> | undefined;
  return {
    emit: (event) => chat.show(event),
    say: (text) => chat.say(text),
    greet: (text) => chat.say(text),
    progress(text) {
      clearInterval(spinner);
      if (text === "") return chat.terminal.setStatus("");
      let turn = 0;
      const show = () => chat.terminal.setStatus(`${SPINNER[turn++ % SPINNER.length]} ${text}`);
      show();
      spinner = setInterval(show, SPINNER_MS);
    },
    async ask(question, { secret }) {
      const { terminal } = chat;
      const answer = await (secret ? terminal.askSecret(question) : terminal.ask(question));
      if (answer !== undefined) return answer;
      // Ctrl-C and Ctrl-D leave, as everywhere in the chat; nothing goes on that hangs on the answer.
      options.onQuit();
      return await new Promise(() => {});
    },
    attach: (attachment) => chat.attach(attachment),
    run: () => options.finished,
    fail: (error) => void errors.push(error),
    close() {
      clearInterval(spinner);
      chat.close();
      for (const error of errors) reportError("client", error);
    },
  };
}
