/**
 * Runs the chat: puts identity, server, session and face together, ends them in order, and gives the exit code.
 *
 * @module
 */

import {
  type Face,
  type FaceContext,
  loadSettings,
  makeJsonFace,
  makePipeFace,
  RecallFile,
  RECAP_ON,
  type Settings,
  SettingsKeeper,
} from "../ui/mod.ts";
import type { ClientOptions } from "./arguments.ts";
import { systemClock } from "../base/clock.ts";
import { reachableAddresses } from "../base/interfaces.ts";
import { describeError, UsageError } from "../base/errors.ts";
import { stateFolder } from "../base/files.ts";
import { flushOutput, LineOutput } from "../base/output.ts";
import { loadKey } from "./key_file.ts";
import {
  colorDepth,
  isUtf8Locale,
  linked,
  TERMINAL_VARIABLES,
  terminalKind,
} from "../ui/terminal/mod.ts";
import { nickFromLogin } from "../protocol/names.ts";
import { dropPermissions, EXIT_FAILURE, onEndSignal } from "./process.ts";
import { DEFAULT_ROOM } from "./programs.ts";
import { readInTurns } from "./dial.ts";
import { FileTransfers } from "./file_transfers.ts";
import { type ChosenServer, findServer } from "./find_server.ts";
import { encodeFingerprint, type PrivateKey } from "../protocol/identity.ts";
import { Histories } from "./histories.ts";
import { network } from "./network.ts";
import {
  addHome,
  Guesses,
  KnownPeers,
  KnownServers,
  LastLists,
  Password,
  Session,
} from "../session/mod.ts";
import { askOpenly, askSecretly, readPassword } from "./secrets.ts";
import { inviteTo, isThisComputer, parseHost } from "./server_address.ts";
import type { Share, ShareOptions } from "./share/share.ts";
import { Sessions } from "./sessions.ts";
import { WEAK_BELOW_BITS } from "../protocol/limits.ts";
import { prepareRoomTag } from "../protocol/rooms.ts";

const SIGNAL_EXITS: Partial<Record<Deno.Signal, number>> = {
  SIGINT: 130,
  SIGTERM: 143,
  SIGHUP: 129,
};

const MAX_PASSWORD_QUESTIONS = 3;
/** How long the terminal is kept while the end waits for a server that does not answer. */
const FAREWELL_MS = 250;

const env = (name: string) => Deno.env.get(name);

/** An end asked for from outside: a signal, a hang-up, `/quit`. */
class Ending {
  readonly asked: Promise<number>;
  /** There is a session, which leaves properly before the program ends. */
  isOrderly = false;
  #resolve: (code: number) => void;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.asked = promise;
    this.#resolve = resolve;
  }

  /** Only the first code counts. */
  end(code: number): void {
    this.#resolve(code);
  }
}

/**
 * Runs the client.
 *
 * @returns The exit code.
 */
export async function runClient(options: ClientOptions): Promise<number> {
  const ending = new Ending();
  const onTerminal = !options.json && !options.stay && Deno.stdin.isTerminal() &&
    Deno.stdout.isTerminal();
  const isPage = options.web !== undefined;
  // On a terminal Ctrl-C is a key; a SIGINT from elsewhere ends the chat like /quit.
  onEndSignal(["SIGINT", "SIGTERM", "SIGHUP"], (signal) => {
    ending.end((onTerminal || isPage) && signal === "SIGINT" ? 0 : SIGNAL_EXITS[signal]!);
  });
  // The look of the chat is a setting: until the settings are loaded, the terminal gets a plain face.
  let ui = await makeFace(options, onTerminal);
  try {
    if (onTerminal && options.to !== undefined && !options.task) {
      throw new UsageError("--to needs a standard input that is not a terminal", [
        "in the chat, type /msg NICK text",
      ]);
    }
    const folder = stateFolder(env);
    const { settings, warning } = await loadSettings(folder);
    const keeper = new SettingsKeeper(
      folder,
      (error) => ui.say(`settings cannot be saved: ${describeError(error)}`),
    );
    const recall = new RecallFile(
      folder,
      settings.recall ?? false,
      (error) => ui.say(`what was sent cannot be recalled: ${describeError(error)}`),
    );
    if (isPage) ui = await makePage(options, { folder, settings, keeper, ending, onTerminal });
    else if (onTerminal && !options.task) {
      ui = await makeChat(options, { settings, keeper, recall, ending });
    }
    if (warning !== undefined) ui.say(warning);
    endOnBug(ui);
    if (onTerminal) {
      void ending.asked.then(() => systemClock.after(FAREWELL_MS, () => void ui.close()));
    }
    const parts = { ui, folder, settings, keeper, recall, ending, onTerminal };
    const conversation = converse(options, parts);
    // Before there is a session, questions and key generation can simply be abandoned.
    const interrupted = ending.asked.then((code) => ending.isOrderly ? conversation : code);
    return await Promise.race([conversation, interrupted]);
  } catch (error) {
    ui.fail(error);
    return EXIT_FAILURE;
  } finally {
    await ui.close();
  }
}

/** Makes the face that needs no screen. */
async function makeFace(options: ClientOptions, onTerminal: boolean): Promise<Face> {
  const { task } = options;
  if (options.stay) {
    const { makeStayFace }: typeof import("../ui/stay.ts") = await import(
      "../ui/stay.ts" as string
    );
    return makeStayFace(options);
  }
  if (task === undefined) return options.json ? makeJsonFace(options) : makePipeFace(options);
  const ask = askOn(onTerminal);
  if (task.type === "send") {
    const { makeSendFace }: typeof import("../ui/send.ts") = await import(
      "../ui/send.ts" as string
    );
    return makeSendFace({ ...options, ...task, ask });
  }
  const { makeReceiveFace }: typeof import("../ui/receive.ts") = await import(
    "../ui/receive.ts" as string
  );
  return makeReceiveFace({ ...options, ...task, ask });
}

/** Asks questions for a face without a line of its own. */
function askOn(onTerminal: boolean): Face["ask"] {
  if (!onTerminal) return () => Promise.resolve(undefined);
  return (question, { secret }) => secret ? askSecretly(question) : askOpenly(question);
}

async function makePage(
  options: ClientOptions,
  { folder, settings, keeper, ending, onTerminal }: Pick<
    ClientParts,
    "folder" | "settings" | "keeper" | "ending" | "onTerminal"
  >,
): Promise<Face> {
  const { WebFace }: typeof import("../ui/web/face.ts") = await import(
    "../ui/web/face.ts" as string
  );
  const output = new LineOutput(Deno.stdout);
  return new WebFace({
    clock: systemClock,
    quiet: options.quiet,
    port: options.web!,
    stateFolder: folder,
    settings,
    save: (patch) => keeper.keep(patch),
    ask: askOn(onTerminal),
    print: (line) => output.writeLine(line),
    linked: (address) =>
      Deno.stdout.isTerminal() ? linked(address, terminalKind(env, Deno.build.os)) : address,
    onQuit: () => ending.end(0),
    finished: ending.asked.then((code) => code === 0),
  });
}

/** A bug ends the program at once, but restores the terminal first. */
function endOnBug(ui: Face): void {
  let isEnding = false;
  const end = async (event: Event, error: unknown) => {
    event.preventDefault(); // it would end the program here and now
    if (isEnding) return;
    isEnding = true;
    ui.fail(error);
    await ui.close();
    await flushOutput();
    Deno.exit(EXIT_FAILURE);
  };
  addEventListener("error", (event) => void end(event, event.error));
  addEventListener("unhandledrejection", (event) => void end(event, event.reason));
}

interface ClientParts {
  readonly ui: Face;
  readonly folder: string;
  readonly settings: Settings;
  readonly keeper: SettingsKeeper;
  readonly recall: RecallFile;
  readonly ending: Ending;
  readonly onTerminal: boolean;
}

/** What is written to standard input is sent, and the program ends with it. */
function isPipe({ json, stay, web }: ClientOptions, onTerminal: boolean): boolean {
  return !onTerminal && !json && !stay && web === undefined;
}

/** Whether the chat is a log with a line below, in place of the whole screen. */
function isPlain({ plain }: ClientOptions, { face }: Settings): boolean {
  const term = env("TERM") ?? "";
  return plain || face === "plain" || term === "dumb" || term === "" && Deno.build.os !== "windows";
}

async function makeChat(
  options: ClientOptions,
  { settings, keeper, recall, ending }: Pick<
    ClientParts,
    "settings" | "keeper" | "recall" | "ending"
  >,
): Promise<Face> {
  // The environment cannot be read later on.
  const variables = new Map(TERMINAL_VARIABLES.map((name) => [name as string, env(name)]));
  const parts = {
    clock: systemClock,
    color: colorDepth(env, true),
    utf8: isUtf8Locale(env, Deno.build.os),
    kindOf: (name: string) =>
      terminalKind((variable) => variables.get(variable), Deno.build.os, name),
    quiet: options.quiet,
    qr: options.qr,
    settings,
    recall,
    save(patch: Settings) {
      keeper.keep(patch);
      if (patch.recall !== undefined) recall.turn(patch.recall);
    },
    onQuit: () => ending.end(0),
    onHangup: () => ending.end(SIGNAL_EXITS.SIGHUP!),
    finished: ending.asked.then((code) => code === 0),
  };
  if (isPlain(options, settings)) {
    const { Chat }: typeof import("../ui/chat.ts") = await import("../ui/chat.ts" as string);
    const { Terminal }: typeof import("../ui/terminal/terminal.ts") = await import(
      "../ui/terminal/terminal.ts" as string
    );
    return new Chat({
      ...parts,
      openTerminal: (terminalOptions) => new Terminal(terminalOptions),
    });
  }
  const { FullChat }: typeof import("../ui/full/full.ts") = await import(
    "../ui/full/full.ts" as string
  );
  return new FullChat(parts);
}

async function converse(options: ClientOptions, parts: ClientParts): Promise<number> {
  const { ui, folder, settings, keeper, recall, ending, onTerminal } = parts;
  const ask = (question: string) => ui.ask(question, { secret: true });
  const [knownServers, lastLists, knownPeers, key] = await Promise.all([
    KnownServers.load(folder),
    LastLists.load(folder),
    KnownPeers.load(
      folder,
      (error) => ui.say(`keys of people cannot be saved: ${describeError(error)}`),
    ),
    loadKey({
      folder,
      name: "identity.pem",
      keyFile: options.key,
      bits: options.keyBits,
      progress: (text) => ui.progress(text),
      ask,
    }).finally(() => ui.progress("")),
    prepareRoomTag(options.room),
  ]);
  for (const { warning } of [knownServers, knownPeers]) {
    if (warning !== undefined) ui.say(warning);
  }
  const password = await readPassword({ source: options.password, ask });
  const found = await findServer(options, {
    ...{ key, ui, folder, password, knownServers, lastLists, onTerminal },
  });
  const questions = new PasswordQuestions(ui, options.password?.from === "prompt" ? 1 : 0);
  const isLocked = () => password !== "" || questions.isAnswered;
  const server = inviteHere(found, { room: options.room, isLocked });
  let isInvited = server.serving;
  /** Not before the first welcome: only then it is known whether friends need a password. */
  const invite = () => {
    const isDue = questions.isNew || !isInvited;
    isInvited = true;
    if (isDue) ui.greet(joinLine(server));
  };
  let nick = options.nick ?? settings.nick ?? nickFromLogin(loginName());
  if (nick !== settings.nick) keeper.keep({ nick });
  const files = options.files
    ? new FileTransfers({
      stateFolder: folder,
      download: options.download,
      isDirect: options.direct,
      strict: options.strict,
      isOnThisComputer: () => server.serving || isThisComputer(parseHost(server.address).host),
      warn: (text) => ui.say(text),
      env,
    })
    : undefined;
  const shared = { password: new Password(password), guesses: new Guesses(systemClock) };
  const histories = new Histories({
    clock: systemClock,
    folder,
    identity: key,
    rooms: settings.history ?? [],
    save: (home) => keeper.keep(({ history = [] }) => ({ history: addHome(history, home) })),
    turnsOn: options.task ? undefined : options.history,
    days: options.historyDays,
    say: (text) => ui.say(text),
  });
  const historyOf = new Map<string, ReturnType<Histories["of"]>>();
  const makeSession = (room: string) => {
    server.openRoom(room);
    const history = histories.of(room, {
      emit(event) {
        if (event.event === "welcome") invite();
        return ui.emit(event, room);
      },
      list: () => session.succession?.list?.entries.map(({ relay }) => relay),
    });
    historyOf.set(room, history);
    const session: Session = new Session({
      ...shared,
      files: files?.of(room, { session: () => session, emit: (event) => ui.emit(event, room) }),
      key,
      nick,
      room,
      keepsTrying: room !== options.room,
      askPassword: onTerminal ? (missing) => questions.ask(missing) : undefined,
      strict: options.strict,
      minKeyBits: options.minKeyBits,
      address: server.address,
      knownServers,
      knownPeers,
      dial: async (signal) => readInTurns(await server.dial(signal, room)),
      succession: {
        network,
        own: server.own,
        hosts: server.serving,
        names: options.standBy,
        lastLists,
        lookAgain: room === options.room ? server.lookAgain : undefined,
      },
      ...(options.task ? {} : { recorder: history }),
      // What ends with its input has missed nothing.
      keepsApart: !options.own || options.task !== undefined || isPipe(options, onTerminal),
      recap: options.recap,
      // A program that reads JSON must know what hearsay is before it gets any.
      asksOthers: !options.stay && options.task === undefined && !isPipe(options, onTerminal) &&
        (!options.json || options.recap),
      emit: (event) => history.show(event),
    });
    return session;
  };
  const sessions = new Sessions({
    clock: systemClock,
    make: makeSession,
    onRefused(room, { message, hints }) {
      ui.emit({ event: "error", code: "ended", message, hint: hints.join("; ") }, room);
    },
  });
  const fingerprint = encodeFingerprint(key.publicKey.fingerprint);
  const serverFingerprint = () => knownServers.find(server.address)?.fingerprint;
  /** The line for a friend: to where the room is at this moment. */
  const invitationTo = (room: string) => {
    const { isFirst = true, place } = sessions.find(room)?.standing ?? {};
    if (isFirst) return inviteHere(found, { room, isLocked }).invitation(serverFingerprint());
    const { address, port, fingerprint } = place!;
    const present = { ...found, invitation: () => inviteTo(address, port, fingerprint) };
    return inviteHere(present, { room, isLocked }).invitation();
  };
  const share = options.share && await beginSharing(options.share, {
    invitation: () => sessions.find(options.room)?.joined ? invitationTo(options.room) : undefined,
    say: (text) => ui.say(text),
  });
  const openRoom = (room: string): FaceContext => {
    const session = sessions.open(room);
    return {
      session,
      knownPeers,
      key: key.publicKey,
      fingerprint,
      serving: server.serving,
      strict: options.strict,
      address: server.address,
      room,
      history: historyOf.get(room)!,
      openRoom(another) {
        const context = openRoom(another);
        sessions.start(another);
        return context;
      },
      leave: () => void sessions.leave(room),
      serverFingerprint,
      resolvePath: (path) => files?.resolve(path) ?? path,
      listPaths: (path) => files?.list(path) ?? [],
      get fileFolder() {
        return files?.shorten(files.folder) ?? "";
      },
      showPath: (path) => files?.shorten(path) ?? path,
      invitation: () => invitationTo(room),
      sharedLines: () => share?.lines(reachableAddresses()[0]!, invitationTo(room)) ?? [],
      isOnlyHere: () => server.isOnlyHere(),
      keepNick(changed) {
        nick = changed;
        keeper.keep({ nick });
      },
    };
  };
  ui.attach(openRoom(options.room));
  // Limits the damage of a compromise; `run` is needed for Ctrl-Z.
  await dropPermissions("env", ...(onTerminal ? [] : ["run"] as const));
  greet(ui, {
    nick,
    fingerprint,
    server,
    key,
    isPage: options.web !== undefined,
    recap: options.recap,
  });
  if (share) {
    const page = share.addressOn(reachableAddresses()[0]!);
    ui.say(`friends without the program find it at ${page}; /invite shows the lines to type`);
  }
  try {
    return await hold(sessions, options.room, { ui, ending });
  } finally {
    await files?.stop();
    await histories.stop();
    share?.stop();
    await server.stop();
    await Promise.all([keeper.flush(), recall.flush(), knownPeers.flush(), lastLists.flush()]);
  }
}

/** Runs the sessions, beginning with that of a room, and the face until either has finished. */
async function hold(
  sessions: Sessions<Session>,
  room: string,
  { ui, ending }: Pick<ClientParts, "ui" | "ending">,
): Promise<number> {
  ending.isOrderly = true;
  sessions.start(room);
  const finished = ui.run().then((good) => good ? 0 : EXIT_FAILURE);
  try {
    return await Promise.race([sessions.ended.then(() => 0), finished, ending.asked]);
  } finally {
    await ui.finish?.();
    await sessions.stop();
    // The first failure is reported; that the other one then fails, too, is not.
    sessions.ended.catch(() => {});
    finished.catch(() => {});
  }
}

/** Hands out clients. @throws {UsageError} When there are none, or the port is taken. */
async function beginSharing(
  share: NonNullable<ClientOptions["share"]>,
  told: Pick<ShareOptions, "invitation" | "say">,
): Promise<Share> {
  const { startShare }: typeof import("./share/share.ts") = await import(
    "./share/share.ts" as string
  );
  return await startShare({ ...share, ...told });
}

function loginName(): string | undefined {
  return env("USER") ?? env("LOGNAME") ?? env("USERNAME");
}

function greet(
  ui: Face,
  { nick, fingerprint, server, key, isPage, recap }: {
    nick: string;
    fingerprint: string;
    server: ChosenServer;
    key: PrivateKey;
    isPage: boolean;
    recap: boolean;
  },
): void {
  ui.greet(`you are ${nick}, key ${fingerprint}`);
  const { bits } = key.publicKey;
  if (bits < WEAK_BELOW_BITS) {
    ui.say(`your key has only ${bits} bits: it is weak, and many will refuse it`);
  }
  if (server.serving) {
    const others = server.isOnlyHere() ? ", without a network; on it, type" : "; on others, type";
    ui.say(`this computer is the server${others}: ${server.invitation()}`);
  }
  if (recap) ui.say(RECAP_ON);
  if (!isPage) ui.greet("/help lists the commands, Tab completes, Ctrl-D leaves");
}

function joinLine(server: ChosenServer): string {
  const where = server.isOnlyHere() ? "this" : "another";
  return `to join from ${where} computer: ${server.invitation()}`;
}

/** Asks for the server's password, up to three times. */
class PasswordQuestions {
  readonly #ui: Face;
  #asked: number;
  #isAnswered = false;
  #isNew = false;

  /** @param asked How often it was asked for before. */
  constructor(ui: Face, asked: number) {
    this.#ui = ui;
    this.#asked = asked;
  }

  /** A password was typed, so that the server has one. */
  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  /** That has become known since the last look. */
  get isNew(): boolean {
    const isNew = this.#isNew;
    this.#isNew = false;
    return isNew;
  }

  async ask(missing: boolean): Promise<string | undefined> {
    if (this.#asked++ >= MAX_PASSWORD_QUESTIONS) return undefined;
    const question = missing ? "The server needs a password: " : "Wrong password, try again: ";
    const answer = await this.#ui.ask(question, {
      secret: true,
      meanwhile: "Checking the password ",
    });
    this.#isAnswered = this.#isNew = answer !== undefined;
    return answer;
  }
}

/** Adds the room, and that a password is needed, to the invitations. */
function inviteHere(
  server: ChosenServer,
  { room, isLocked }: { room: string; isLocked: () => boolean },
): ChosenServer {
  const word = /^[\w.-]+$/.test(room) ? room : `'${room.replaceAll("'", `'\\''`)}'`;
  const rest = room === DEFAULT_ROOM ? "" : ` --room ${word}`;
  return {
    ...server,
    invitation: (fingerprint) =>
      server.invitation(fingerprint) + rest + (isLocked() ? " --password" : ""),
  };
}
