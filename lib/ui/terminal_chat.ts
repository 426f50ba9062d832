/**
 * What both faces on a terminal have in common: the client behind them, questions, alerts, and the end.
 *
 * @module
 */

import type { Clock } from "../base/clock.ts";
import { printDiagnostic, reportError } from "../base/errors.ts";
import type { SessionEvent } from "../session/mod.ts";
import { Alerts } from "./alerts.ts";
import { ChatClient } from "./chat_client.ts";
import type { Screen } from "./command_row.ts";
import type { Conversation } from "./conversation.ts";
import type { Face, FaceContext } from "./face.ts";
import { unfinishedFiles } from "./file_progress.ts";
import type { RecallFile } from "./recall.ts";
import { Reading } from "./reading.ts";
import { type ScreenSettings, type Settings, withDefaults } from "./settings.ts";
import { type ColorDepth, type InputLine, SentLines, type TerminalKind } from "./terminal/mod.ts";

/** Options of a chat on a terminal. */
export interface TerminalChatOptions {
  readonly clock: Clock;
  readonly color: ColorDepth;
  readonly utf8: boolean;
  /** What the terminal understands, by its own name: empty if it has not told. */
  kindOf(name: string): TerminalKind;
  /** Show only messages, answers, warnings and errors. */
  readonly quiet: boolean;
  /** Show the invitation with its QR code at the start. */
  readonly qr?: boolean;
  readonly settings: Settings;
  readonly recall: RecallFile;
  /** Saves changed settings. */
  save(patch: Settings): void;
  /** The user leaves. */
  onQuit(): void;
  /** The terminal is gone. */
  onHangup(): void;
  /** Resolves when the chat is over; see {@linkcode Face.run}. */
  readonly finished: Promise<boolean>;
}

/** The terminal that a face has opened. */
interface Device {
  /** Writes what shows nothing on the screen. */
  send(code: string): void;
  /** Gives it back as it was. */
  close(): Promise<void>;
}

/** What a face does itself of {@linkcode Screen}. */
export type OwnScreen = Omit<Screen, "settings" | "utf8" | "isFull" | "set" | "turnQuiet">;

/** The events after which a password is no longer being checked. */
const SETTLES: ReadonlySet<string> = new Set(["welcome", "disconnected", "reconnecting"]);

/** A chat on a terminal; it can ask questions before there is a session. */
export abstract class TerminalChat implements Face {
  protected readonly options: TerminalChatOptions;
  protected readonly settings: ScreenSettings;
  protected readonly client: ChatClient;
  /** What was sent, in earlier runs too. */
  protected readonly sent: SentLines = new SentLines();
  protected readonly alerts: Alerts;
  /** What is known of the terminal now. */
  protected kind: TerminalKind;
  /** Whether an activity is shown. */
  protected isInProgress = false;
  readonly #errors: unknown[] = [];
  readonly #reading: Reading | undefined;
  /** The invitation that `--qr` asks for was shown. */
  #isInvited = false;
  #closing: Promise<void> | undefined;

  /** Touches no terminal; the face opens its {@linkcode device} at the end of its own constructor. */
  protected constructor(options: TerminalChatOptions, { isFull }: { isFull: boolean }) {
    const { clock, utf8, quiet, settings, recall, kindOf } = options;
    this.options = options;
    this.settings = withDefaults(settings);
    this.kind = kindOf("");
    void recall.load(this.sent);
    this.client = new ChatClient({
      clock,
      screen: {
        ...this.makeScreen(),
        settings: this.settings,
        utf8,
        isFull,
        set: (patch) => {
          Object.assign(this.settings, patch);
          options.save(patch);
        },
        turnQuiet: (minutes) => this.alerts.turnQuiet(minutes),
      },
      quiet,
      isBusy: (room) => this.isBusy(room),
      taken: (event) => this.taken(event),
      quit: () => options.onQuit(),
    });
    this.alerts = new Alerts({
      clock,
      model: this.client.conversations,
      settings: this.settings,
      utf8,
      showsAll: !isFull,
      kind: () => this.kind,
      send: (code) => this.device.send(code),
      touched: () => this.#reading?.touch(),
    });
    this.#reading = new Reading({
      clock,
      model: this.client.conversations,
      read: (conversation, entry) => this.client.markRead(conversation, entry),
    });
  }

  protected abstract readonly device: Device;
  /** Takes answers to questions. */
  protected abstract readonly input: Pick<InputLine, "ask" | "hold" | "release">;
  /** Called before the fields of the face are set. */
  protected abstract makeScreen(): OwnScreen;
  /** See {@linkcode ChatClient.resume}. */
  protected abstract isBusy(room: Conversation): boolean;
  /** Shows an activity in the status row; an empty text ends it. */
  protected abstract showProgress(text: string): void;

  attach(context: FaceContext): void {
    this.client.attach(context);
  }

  emit(event: SessionEvent, room: string): Promise<void> | undefined {
    return this.client.emit(event, room);
  }

  finish(): Promise<void> {
    return this.client.finish();
  }

  /** An event of a session was shown. */
  protected taken({ event }: SessionEvent): void {
    if (SETTLES.has(event)) this.input.release();
    if (event !== "welcome" || !this.options.qr || this.#isInvited) return;
    this.#isInvited = true;
    this.client.submit(this.client.conversations.shown, "/invite");
  }

  say(text: string): void {
    this.client.say(text);
  }

  greet(text: string): void {
    this.say(text);
  }

  progress(text: string): void {
    this.isInProgress = text !== "";
    this.showProgress(text);
  }

  async ask(
    question: string,
    { secret, meanwhile }: { secret: boolean; meanwhile?: string },
  ): Promise<string> {
    const answer = await this.input.ask(question, { secret });
    if (answer !== undefined) {
      if (meanwhile !== undefined) this.input.hold(meanwhile);
      return answer;
    }
    // Ctrl-C and Ctrl-D leave here too; whatever needs the answer must not go on without it.
    this.options.onQuit();
    return await new Promise(() => {});
  }

  run(): Promise<boolean> {
    return this.options.finished;
  }

  fail(error: unknown): void {
    this.#errors.push(error);
  }

  async close(): Promise<void> {
    await (this.#closing ??= this.#giveBack());
    for (const error of this.#errors.splice(0)) reportError("client", error);
  }

  async #giveBack(): Promise<void> {
    this.alerts.close();
    this.#reading?.close();
    this.client.flush();
    await this.device.close();
    for (const error of this.lastErrors()) reportError("client", error);
    for (const line of unfinishedFiles(this.client.conversations.list)) {
      printDiagnostic(`client: ${line}`);
    }
  }

  /** What the user must know at the end, though it was on the screen. */
  protected lastErrors(): unknown[] {
    return [];
  }
}
