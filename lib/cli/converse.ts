/**
 * The chat itself: puts session, files, history and face together, ends them in order, and gives the exit code.
 *
 * @module
 */

import { systemClock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import { reachableAddresses } from "../base/interfaces.ts";
import { encodeFingerprint, type PrivateKey } from "../protocol/identity.ts";
import { WEAK_BELOW_BITS } from "../protocol/limits.ts";
import { nickFromLogin } from "../protocol/names.ts";
import { addHome, Guesses, KnownPeers, LastLists, Session } from "../session/late.ts";
import type { HeadStart } from "../session/mod.ts";
import { RECAP_ON } from "../ui/late.ts";
import type { Face, FaceContext } from "../ui/mod.ts";
import type { ClientOptions } from "./arguments.ts";
import type { ChosenServer } from "./chosen_server.ts";
import { type ClientParts, type ConnectedParts, env, isPipe } from "./client_parts.ts";
import { readInTurns } from "./dial.ts";
import { FileTransfers } from "./file_transfers.ts";
import { Histories } from "./histories.ts";
import { network } from "./network.ts";
import { dropPermissions, EXIT_FAILURE } from "./process.ts";
import { DEFAULT_ROOM } from "./programs.ts";
import { inviteTo, isThisComputer, parseHost } from "./server_address.ts";
import { Sessions } from "./sessions.ts";
import type { Share, ShareOptions } from "./share/share.ts";

const MAX_PASSWORD_QUESTIONS = 3;

/** Runs the chat from its connection on. @returns The exit code. */
export async function converse(options: ClientOptions, parts: ConnectedParts): Promise<number> {
  const { ui, folder, settings, keeper, recall, ending, onTerminal } = parts;
  const { key, knownServers, password, hasPassword, server: found } = parts;
  const [lastLists, knownPeers] = await Promise.all([
    LastLists.load(folder),
    KnownPeers.load(
      folder,
      (error) => ui.say(`keys of people cannot be saved: ${describeError(error)}`),
    ),
    found.look(),
  ]);
  if (knownPeers.warning !== undefined) ui.say(knownPeers.warning);
  const questions = new PasswordQuestions(ui, options.password?.from === "prompt" ? 1 : 0);
  const isLocked = () => hasPassword || questions.isAnswered;
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
  const shared = { password, guesses: new Guesses(systemClock) };
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
  let headStart: HeadStart | undefined = parts.headStart;
  const makeSession = (room: string) => {
    if (!headStart) server.openRoom(room);
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
      headStart,
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
    headStart = undefined; // it is of the first session alone
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
  await ui.attach(openRoom(options.room));
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
    await Promise.all([keeper.flush(), recall?.flush(), knownPeers.flush(), lastLists.flush()]);
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
