/**
 * The client once its arguments are known: identity, relay, session and face put together, and the exit code.
 *
 * With client.ts the only glue on the client's side; the order of things is here, their insides are elsewhere.
 *
 * @module
 */

import { Actions } from "../actions.ts";
import type { ClientOptions, ForgetRequest, JoinKeyRequest, PasswordSource } from "./arguments.ts";
import { UsageError } from "../base/errors.ts";
import { stateFolder } from "../base/files.ts";
import { loadIdentity } from "./key_file.ts";
import { isUtf8Locale } from "../ui/terminal/locale.ts";
import { nickFromLogin } from "../protocol/names.ts";
import { colorDepth } from "../ui/terminal/colors.ts";
import {
  describeError,
  dropPermissions,
  EXIT_FAILURE,
  onEndSignal,
  readPassphrase,
  readPassword,
} from "./process.ts";
import { derivePassword, encodeJoinKey } from "../protocol/password.ts";
import { DEFAULT_ROOM } from "./programs.ts";
import { findRelay, type Relay } from "./find_server.ts";
import { decodeFingerprint, encodeFingerprint, type PrivateKey } from "../protocol/identity.ts";
import { serverAddress, ServerBook } from "../session/known_servers.ts";
import { Session } from "../session/session.ts";
import { loadSettings, type Settings, SettingsKeeper } from "../ui/settings.ts";
import { alignCells } from "../ui/table.ts";
import { PeerBook } from "../session/known_peers.ts";
import { makeJsonUi, makePipeUi, type Ui } from "../ui/json.ts";

const SIGNAL_EXITS: Partial<Record<Deno.Signal, number>> = {
  SIGINT: 130,
  SIGTERM: 143,
  SIGHUP: 129,
};
const WEAK_BELOW_BITS = 2048;

const env = (name: string) => Deno.env.get(name);

/** Ends the program from outside its own course: a signal, a hang-up, `/quit`. */
class Ending {
  readonly asked: Promise<number>;
  /** There is a session, which says goodbye before the program ends. */
  isOrderly = false;
  #resolve: (code: number) => void;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.asked = promise;
    this.#resolve = resolve;
  }

  /** The first code counts. */
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
  const onTerminal = !options.json && Deno.stdin.isTerminal() && Deno.stdout.isTerminal();
  // On a terminal Ctrl-C is a key; a SIGINT from elsewhere ends the chat like /quit.
  onEndSignal(["SIGINT", "SIGTERM", "SIGHUP"], (signal) => {
    ending.end(onTerminal && signal === "SIGINT" ? 0 : SIGNAL_EXITS[signal]!);
  });
  // What the chat looks like is among the settings: until they are read, the terminal has a plain face.
  let ui = options.json ? makeJsonUi(options) : makePipeUi(options);
  try {
    if (onTerminal && options.to !== undefined) {
      throw new UsageError("--to is for a standard input that is no terminal", [
        "in the chat type /msg NICK text",
      ]);
    }
    const folder = stateFolder(env);
    const settings = await loadSettings(folder);
    // What cannot be kept is said; the chat goes on.
    const keeper = new SettingsKeeper(
      folder,
      (error) => ui.say(`this cannot be kept for the next time: ${describeError(error)}`),
    );
    if (onTerminal) ui = await makeChat(options, { settings, keeper, ending });
    endOnBug(ui);
    const conversation = converse(options, { ui, folder, settings, keeper, ending, onTerminal });
    // Before there is a session, questions and key making need not come to their end.
    const interrupted = ending.asked.then((code) => ending.isOrderly ? conversation : code);
    return await Promise.race([conversation, interrupted]);
  } catch (error) {
    ui.fail(error);
    return EXIT_FAILURE;
  } finally {
    ui.close();
  }
}

/** A bug ends the program at once, but not before everything is left as it was found. */
function endOnBug(ui: Ui): void {
  const end = (error: unknown) => {
    ui.fail(error);
    ui.close();
    Deno.exit(EXIT_FAILURE);
  };
  addEventListener("error", (event) => end(event.error));
  addEventListener("unhandledrejection", (event) => end(event.reason));
}

interface Frame {
  readonly ui: Ui;
  readonly folder: string;
  readonly settings: Settings;
  readonly keeper: SettingsKeeper;
  readonly ending: Ending;
  readonly onTerminal: boolean;
}

async function makeChat(
  options: ClientOptions,
  { settings, keeper, ending }: Pick<Frame, "settings" | "keeper" | "ending">,
): Promise<Ui> {
  const { makeChatUi } = await import("../ui/face.ts");
  return makeChatUi({
    color: colorDepth(env, true),
    utf8: isUtf8Locale(env, Deno.build.os),
    quiet: options.quiet,
    qr: options.qr,
    settings,
    save: (patch) => keeper.keep(patch),
    onQuit: () => ending.end(0),
    onHangup: () => ending.end(SIGNAL_EXITS.SIGHUP!),
    finished: ending.asked.then((code) => code === 0),
  });
}

async function converse(options: ClientOptions, frame: Frame): Promise<number> {
  const { ui, folder, settings, keeper, ending, onTerminal } = frame;
  const [servers, book, key] = await Promise.all([
    ServerBook.load(folder),
    PeerBook.load(
      folder,
      (error) => ui.say(`people cannot be remembered: ${describeError(error)}`),
    ),
    loadKey(options, frame),
  ]);
  const password = await readPassword({
    source: options.password,
    ask: (question) => ui.ask(question, { secret: true }),
  });
  const found = await findRelay(options, { key, ui, folder, password, servers });
  const relay = inviteHere(found, { room: options.room, locked: password !== "" });
  const nick = options.nick ?? settings.nick ?? nickFromLogin(loginName());
  if (nick !== settings.nick) keeper.keep({ nick });
  const session = new Session({
    key,
    nick,
    room: options.room,
    password,
    strict: options.strict,
    minKeyBits: options.minKeyBits,
    address: relay.address,
    servers,
    book,
    dial: relay.dial,
    emit: (event) => ui.emit(event),
  });
  const fingerprint = encodeFingerprint(key.publicKey.fingerprint);
  const actions = new Actions({
    session,
    book,
    key: key.publicKey,
    invitation: () => relay.invitation(servers.find(relay.address)?.fingerprint),
    keepNick: (changed) => keeper.keep({ nick: changed }),
    info: () => describe(session, { relay, servers, fingerprint, room: options.room }),
  });
  const { strict } = options;
  ui.attach({ session, actions, fingerprint, serving: relay.serving, strict });
  // Whoever should get hold of the running client finds as little as can be; `run` is for Ctrl-Z.
  await dropPermissions("env", ...(onTerminal ? [] : ["run"] as const));
  greet(ui, { nick, fingerprint, relay, key });
  try {
    return await hold(session, ui, ending);
  } finally {
    await relay.stop();
    await Promise.all([keeper.flush(), book.flush()]);
  }
}

/** Lets the session and the person run until either has finished. */
async function hold(session: Session, ui: Ui, ending: Ending): Promise<number> {
  ending.isOrderly = true;
  const running = session.run();
  const finished = ui.run().then((good) => good ? 0 : EXIT_FAILURE);
  try {
    return await Promise.race([running.then(() => 0), finished, ending.asked]);
  } finally {
    await session.stop();
    // Whichever of them failed first has been told; that the other ends with it is no news.
    await Promise.allSettled([running]);
    finished.catch(() => {});
  }
}

async function loadKey(options: ClientOptions, { ui, folder }: Frame): Promise<PrivateKey> {
  try {
    return await loadIdentity({
      folder,
      name: "identity.pem",
      keyFile: options.key,
      bits: options.keyBits,
      onMaking: (path, bits) => ui.progress(`making your key of ${bits} bits: ${path}`),
      askPassphrase: (path) =>
        readPassphrase(path, (question) => ui.ask(question, { secret: true })),
    });
  } finally {
    ui.progress("");
  }
}

function loginName(): string | undefined {
  return env("USER") ?? env("LOGNAME") ?? env("USERNAME");
}

function greet(
  ui: Ui,
  { nick, fingerprint, relay, key }: {
    nick: string;
    fingerprint: string;
    relay: Relay;
    key: PrivateKey;
  },
): void {
  ui.greet(`you are ${nick}, key ${fingerprint}`);
  const { bits } = key.publicKey;
  if (bits < WEAK_BELOW_BITS) {
    ui.say(`your key has only ${bits} bits: many refuse it, and nobody should trust it`);
  }
  const line = relay.invitation();
  if (relay.serving) ui.say(`this computer is the server; on others type: ${line}`);
  else ui.greet(`to join from another computer: ${line}`);
  ui.greet("/help lists the commands, Tab completes, Ctrl-D leaves");
}

/** An invitation leads to this room, and says that a password is needed. */
function inviteHere(relay: Relay, { room, locked }: { room: string; locked: boolean }): Relay {
  const word = /^[\w.-]+$/.test(room) ? room : `'${room.replaceAll("'", `'\\''`)}'`;
  const rest = (room === DEFAULT_ROOM ? "" : ` --room ${word}`) + (locked ? " --password" : "");
  return { ...relay, invitation: (fingerprint) => relay.invitation(fingerprint) + rest };
}

function describe(
  session: Session,
  { relay, servers, fingerprint, room }: {
    relay: Relay;
    servers: ServerBook;
    fingerprint: string;
    room: string;
  },
): string[] {
  const { membership } = session;
  const pinned = servers.find(relay.address)?.fingerprint;
  const state = membership.joined
    ? `connected, ${countOthers(membership.people().length)}`
    : "not connected";
  return alignCells([
    ["server", `${relay.address}${relay.serving ? " (this program)" : ""}, ${state}`],
    ["its key", pinned ?? "not known yet"],
    ["room", room],
    ["you", membership.nick],
    ["your key", fingerprint],
    ["invite", relay.invitation(pinned)],
  ]);
}

function countOthers(count: number): string {
  return count === 1 ? "one person besides you" : `${count} people besides you`;
}

/** `client forget HOST[:PORT]`: removes that server's pin. */
export async function forgetServer({ host, port }: ForgetRequest): Promise<number> {
  const address = serverAddress(host, port);
  const servers = await ServerBook.load(stateFolder(env));
  if (!await servers.forget(address)) {
    throw new UsageError(`no key is known for ${address}`, [
      `the known ones are in ${servers.path}`,
    ]);
  }
  console.log(`the key of ${address} is forgotten`);
  return 0;
}

/** `client join-key FINGERPRINT`: what a server that must not know the password is given. */
export async function printJoinKey(request: JoinKeyRequest): Promise<number> {
  const { askSecretly } = await import("../ui/terminal/ask_secretly.ts");
  const password = await readPassword({
    source: request.password ?? unlessSet(),
    ask: askSecretly,
  });
  if (password === "") throw new UsageError("an empty password is none");
  const { joinKey } = await derivePassword(password, decodeFingerprint(request.fingerprint));
  console.log(encodeJoinKey(joinKey));
  return 0;
}

function unlessSet(): PasswordSource | undefined {
  return env("HEARTH_PASSWORD") ? undefined : { from: "prompt" };
}
