/**
 * The full-screen chat: the face on a terminal, and the client behind it.
 *
 * @module
 */

import { encodeBase64 } from "../../base/std.ts";
import { encodeUtf8 } from "../../base/bytes.ts";
import type { Timer } from "../../base/clock.ts";
import { UsageError } from "../../base/errors.ts";
import { cleanLine } from "../../base/text.ts";
import { MAX_TEXT_BYTES } from "../../protocol/messages.ts";
import type { Conversation, MessageEntry } from "../conversation.ts";
import { type OwnScreen, TerminalChat, type TerminalChatOptions } from "../terminal_chat.ts";
import { Fullscreen, type InputLine, RING, type Row } from "../terminal/mod.ts";
import { FullFace } from "./full_face.ts";

const SPINNER = ["|", "/", "-", "\\"];
const SPINNER_MS = 100;
const COUNTDOWN_MS = 1000;
/** Stands below a conversation as plain text. */
const PAGE_END = "Enter goes back to the chat.";
/** Messages named at the end that were not received, and characters of each. */
const MAX_UNRECEIVED = 5;
const UNRECEIVED_LENGTH = 60;

/** Opens the terminal at once, so that questions can be asked before there is a session. */
export class FullChat extends TerminalChat {
  protected override readonly device: Fullscreen;
  readonly #face: FullFace;
  #spinner: Timer | undefined;
  #countdown: Timer | undefined;

  constructor(options: TerminalChatOptions) {
    super(options, { isFull: true });
    const { client, alerts, settings, sent } = this;
    const { clock, color, utf8, recall, kindOf, onQuit, onHangup } = options;
    const face: FullFace = new FullFace({
      client,
      clock,
      color,
      utf8,
      settings,
      maxBytes: MAX_TEXT_BYTES,
      sent,
      isQuiet: () => alerts.isQuiet,
      submitted: (line, { kind }) => recall.keep(line, kind === "person"),
      redraw: () => this.device.redraw(),
      changed: () => this.#changed(),
      bell: () => this.device.send(RING),
      copy: (text) => this.#copy(text),
      stop: () => void this.#stop(),
      quit: () => onQuit(),
    });
    this.#face = face;
    this.device = new Fullscreen({
      clock,
      utf8,
      simple: this.kind.isSimple,
      frame: (size) => {
        const frame = face.frame(size);
        client.resume();
        return frame;
      },
      onInput: (input) => {
        alerts.observe(input);
        face.take(input);
      },
      onOpen: () => alerts.renewTitle(),
      onWidths: (widths) => face.widths = widths,
      onBackground: (background) => face.background = background,
      onName: (name) => this.kind = kindOf(name),
      onHangup: () => onHangup(),
    });
    this.device.open();
  }

  protected override get input(): InputLine {
    return this.#face.input;
  }

  protected override isBusy(room: Conversation): boolean {
    return this.#face.isBusy(room);
  }

  protected override showProgress(text: string): void {
    this.options.clock.cancel(this.#spinner);
    this.#spinner = undefined;
    if (text !== "") this.#spin(text);
    else this.#face.progress = "";
  }

  #spin(text: string, turn = 0): void {
    this.#face.progress = `${SPINNER[turn]} ${text}`;
    const next = (turn + 1) % SPINNER.length;
    this.#spinner = this.options.clock.after(SPINNER_MS, () => this.#spin(text, next));
  }

  override async close(): Promise<void> {
    this.options.clock.cancel(this.#spinner);
    this.options.clock.cancel(this.#countdown);
    this.#face.input.close();
    await super.close();
  }

  /** What the user must know of messages that nobody can see any more. */
  protected override lastErrors(): UsageError[] {
    const messages = this.client.conversations.list.flatMap(({ entries }) => entries)
      .filter((entry): entry is MessageEntry => entry.type === "message" && entry.own);
    const lines = messages.flatMap(({ delivery, text }) => {
      const quoted = cleanLine(text.slice(0, UNRECEIVED_LENGTH).replaceAll("\n", " "));
      if (delivery?.state === "waiting") return [`not sent: ${quoted}`];
      if (delivery?.state !== "failed") return [];
      const whom = delivery.missing.join(", ") || "anybody";
      return [`not received by ${cleanLine(whom)}: ${quoted}`];
    });
    const more = lines.length - MAX_UNRECEIVED;
    const shown = more > 0 ? [...lines.slice(-MAX_UNRECEIVED), `and ${more} more`] : lines;
    return shown.map((line) => new UsageError(line));
  }

  #changed(): void {
    this.device.schedule();
    const { connection, retryAt } = this.client.conversations.shown;
    if (connection !== "offline" || retryAt === undefined) return;
    this.#countdown ??= this.options.clock.after(COUNTDOWN_MS, () => {
      this.#countdown = undefined;
      this.#changed();
    });
  }

  #copy(text: string): void {
    if (!this.kind.isSimple) {
      this.device.send(`\x1b]52;c;${encodeBase64(encodeUtf8(text))}\x1b\\`);
    }
  }

  async #stop(): Promise<void> {
    if (await this.device.stop()) return;
    this.#face.hint = "Ctrl-Z stops nothing here: no shell could continue it";
  }

  protected override makeScreen(): OwnScreen {
    return {
      clear: () => this.device.redraw(),
      show: (seq) => this.#face.showWhole(seq),
      showKeys: () => {
        this.#face.showKeys();
        return [];
      },
      showNames: (lines) => this.#face.showNames(lines),
      showCommands: (rows) => this.#face.showCommands(rows),
      showInvitation: (...shown) => void this.#showInvitation(...shown),
      page: (last) => void this.device.page([...this.#face.transcript(last), PAGE_END]),
      find: (text) => this.#face.find(text),
    };
  }

  async #showInvitation(line: string, where: string, shared: readonly string[]): Promise<void> {
    const { utf8, color } = this.options;
    const { makeQr } = await import("../terminal/qr.ts");
    const code = utf8 ? await makeQr(line, { isDark: color !== "none" }) : [];
    const style = color === "none" ? "" : "30;107";
    const title = "invitation, c copies it";
    this.#face.show(title, (width, { text, theme }): Row[] => {
      const shown = [{ text: text.cleanLine(line), style: theme.strong }];
      const fits = code.length > 0 && code[0]!.length <= width;
      return [
        text.segments(`${where}:`),
        ...text.wrap(shown, { room: width }).rows,
        ...shared.flatMap((row) => text.wrap([{ text: row, style: "" }], { room: width }).rows),
        ...(fits ? code.map((row) => text.segments(row, style)) : []),
      ];
    }, line);
  }
}
