/**
 * The face that is a page in a browser on this computer. Every page is a view of the one model behind them; the
 * terminal shows the link, and asks what has to be asked before there is a session.
 *
 * @module
 */
/// <reference lib="deno.ns" />

import { BoundedMap } from "../../base/bounded_map.ts";
import type { Clock } from "../../base/clock.ts";
import { printDiagnostic, reportError, UsageError } from "../../base/errors.ts";
import { cleanLine } from "../../base/text.ts";
import type { SessionEvent } from "../../session/mod.ts";
import { ChatClient } from "../chat_client.ts";
import type { Face, FaceContext } from "../face.ts";
import { unfinishedFiles } from "../file_progress.ts";
import { Quiet } from "../quiet.ts";
import { type Settings, withDefaults } from "../settings.ts";
import { PageBytes } from "./bytes.ts";
import {
  conversationOf,
  type Fields,
  fileOf,
  ONCE,
  perform,
  RefusedLine,
  uploadOf,
} from "./page_requests.ts";
import { Sync } from "./sync.ts";
import { type Asked, type Page, Web } from "./web.ts";

/** Requests whose results are remembered, and UTF-16 units of one as JSON. */
export const MAX_REFS = 1024;
export const MAX_RESULT_LENGTH = 16 * 1024;

export interface WebFaceOptions {
  readonly clock: Clock;
  /** Show only messages, answers, warnings and errors. */
  readonly quiet: boolean;
  /** Where the page is served; 0: a free port. */
  readonly port: number;
  readonly settings: Settings;
  readonly stateFolder: string;
  /** Saves changed settings. */
  save(patch: Settings): void;
  /** See {@linkcode Face.ask}; on the terminal. */
  ask: Face["ask"];
  /** Prints a line on standard output. */
  print(line: string): void;
  /** Makes an address in a line one that can be clicked, where that is possible. */
  linked(address: string): string;
  /** The user leaves. */
  onQuit(): void;
  /** Resolves when the chat is over; see {@linkcode Face.run}. */
  readonly finished: Promise<boolean>;
}

/** What a page shows. */
interface View {
  shown: string;
  isLooking: boolean;
}

/** The client behind the pages. */
export class WebFace implements Face {
  readonly #options: WebFaceOptions;
  readonly #client: ChatClient;
  readonly #quiet: Quiet;
  readonly #sync: Sync;
  readonly #bytes: PageBytes;
  #web: Web | undefined;
  readonly #views = new Map<Page, View>();
  /** The page that looked last stands for the user. */
  #last: Page | undefined;
  readonly #done = new BoundedMap<string, Promise<Fields>>(MAX_REFS);

  constructor(options: WebFaceOptions) {
    const { clock, quiet } = this.#options = options;
    const settings = withDefaults(options.settings);
    this.#quiet = new Quiet(clock, () => this.#sync.compareSelf());
    this.#client = new ChatClient({
      clock,
      screen: {
        settings,
        utf8: true,
        isFull: true,
        isPage: true,
        set: (patch) => {
          Object.assign(settings, patch);
          options.save(patch);
        },
        clear: () => {},
        show: () => {},
        showKeys: () => [],
        turnQuiet: (minutes) => this.#quiet.turn(minutes),
      },
      quiet,
      isBusy: () => false,
      taken: () => this.#sync.compareSelf(),
      quit: () => options.onQuit(),
    });
    const client = this.#client;
    const { conversations } = client;
    this.#bytes = new PageBytes({
      clock,
      stateFolder: options.stateFolder,
      offer: (conversation, path, offer) => client.offer(conversation, path, offer),
      fail: (conversation, text) => client.complain(conversation, text),
    });
    conversations.listen((change) => this.#bytes.observe(change));
    conversations.look(false); // nobody does before there is a page
    this.#sync = new Sync(conversations, () => this.#self(), () => this.#web?.wake());
  }

  /** Opens the page, and shows its link. */
  attach(context: FaceContext): void {
    this.#client.attach(context);
    this.#sync.compareSelf();
    const { clock, port, print, linked } = this.#options;
    const web = this.#web = new Web({
      clock,
      port,
      greet: (page, have) => this.#greet(page, have),
      take: (asked, page) => this.#take(asked, page),
      takeBytes: (bytes, page) => this.#bytes.take(bytes, page),
      left: (page) => this.#forget(page),
    });
    if (web.isElsewhere) print(`port ${port} is taken: the page is on port ${web.port}`);
    print(`open in a browser on this computer: ${linked(web.link)}`);
    print(`from elsewhere: ssh -L ${web.port}:127.0.0.1:${web.port} THIS-COMPUTER, then the same`);
  }

  emit(event: SessionEvent, room: string): Promise<void> | undefined {
    if (event.event === "offered") this.#bytes.offered(event.ref, event.number);
    return this.#client.emit(event, room);
  }

  say(text: string): void {
    if (this.#client.context !== undefined) this.#client.say(text);
    else if (!this.#options.quiet) printDiagnostic(`client: ${cleanLine(text)}`);
  }

  /** On the terminal, which has the link: what was said stands on the page, and who one is on its cards. */
  greet(text: string): void {
    if (!this.#options.quiet) this.#options.print(cleanLine(text));
  }

  progress(text: string): void {
    if (text !== "" && !this.#options.quiet) printDiagnostic(`client: ${cleanLine(text)} ...`);
  }

  ask(question: string, options: { secret: boolean }): Promise<string | undefined> {
    return this.#options.ask(question, options);
  }

  run(): Promise<boolean> {
    return this.#options.finished;
  }

  finish(): Promise<void> {
    return this.#client.finish();
  }

  fail(error: unknown): void {
    reportError("client", error);
  }

  async close(): Promise<void> {
    this.#quiet.close();
    this.#bytes.close();
    this.#client.flush();
    const web = this.#web;
    this.#web = undefined;
    if (web === undefined) return;
    await web.stop();
    for (const line of unfinishedFiles(this.#client.conversations.list)) {
      printDiagnostic(`client: ${line}`);
    }
  }

  #self(): Fields {
    const { context } = this.#client;
    const { nick = "", away = "" } = context?.session ?? {};
    return { fingerprint: context?.fingerprint ?? "", nick, away, quiet: this.#quiet.isOn };
  }

  // Pages.

  #greet(page: Page, have: number) {
    const shown = this.#client.conversations.shown.id;
    this.#views.set(page, { shown, isLooking: false });
    const { fresh, next } = this.#sync.follow(have);
    return { ready: { rev: this.#sync.rev, fresh, shown }, next };
  }

  #forget(page: Page): void {
    this.#views.delete(page);
    this.#bytes.forget(page);
    if (this.#last === page) this.#last = undefined;
    this.#look();
  }

  /** Whether the user looks is whether any page does; what they see is what the last such page shows. */
  #look(): void {
    const views = [...this.#views.values()];
    this.#client.conversations.look(views.some(({ isLooking }) => isLooking));
  }

  /** A page looks, or looks away. */
  #takeLook(page: Page, isLooking: boolean): void {
    const view = this.#views.get(page);
    if (view === undefined) return;
    view.isLooking = isLooking;
    if (isLooking) {
      this.#last = page;
      this.#show(view);
    }
    this.#look();
  }

  #takeShow(page: Page, shown: string): void {
    const view = this.#views.get(page);
    if (view === undefined) return;
    view.shown = shown;
    if (this.#last === page || this.#last === undefined) this.#show(view);
  }

  #show({ shown }: View): void {
    const { conversations } = this.#client;
    const conversation = conversations.list.find(({ id }) => id === shown);
    if (conversation !== undefined) conversations.show(conversation);
  }

  // Requests.

  /** Answers a request; one that was asked before is answered as then. */
  #take(asked: Asked, page: Page): Promise<Fields> {
    if (!ONCE.has(asked.type)) return this.#perform(asked, page);
    const known = this.#done.get(asked.ref);
    if (known !== undefined) return known;
    const result = this.#perform(asked, page);
    this.#done.set(asked.ref, result.then(shorten));
    return result;
  }

  async #perform(asked: Asked, page: Page): Promise<Fields> {
    try {
      const fields = await this.#performHere(asked, page) ?? await perform(asked, this.#client);
      if (fields === undefined) throw new UsageError("this Hearth does not know that request");
      this.#sync.compareSelf();
      return { ...fields, ok: true };
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      const { message, hints } = error;
      const fields = error instanceof RefusedLine ? error.fields : {};
      return { ...fields, ok: false, code: "refused", message, hint: hints.join("; ") };
    }
  }

  /** What is about the page that asks. */
  #performHere(asked: Asked, page: Page): Fields | Promise<Fields> | undefined {
    switch (asked.type) {
      case "show":
        this.#takeShow(page, conversationOf(asked, this.#client).id);
        return {};
      case "look":
        if (typeof asked.looking !== "boolean") {
          throw new UsageError('"looking" must be true or false');
        }
        this.#takeLook(page, asked.looking);
        return {};
      case "send":
        return this.#bytes.begin(page, uploadOf(asked, this.#client)).then((n) => ({ n }));
      case "picture":
        return this.#bytes.show(page, fileOf(asked, this.#client));
      default:
        return undefined;
    }
  }
}

/** What is remembered of a result: of a long one only whether it is one. */
function shorten(result: Fields): Fields {
  if (JSON.stringify(result).length <= MAX_RESULT_LENGTH) return result;
  return { ok: result.ok, command: result.command };
}
