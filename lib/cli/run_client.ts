/**
 * Runs the client from its start to its exit code: face and identity, the server, the connection to it, and what is
 * loaded once that is on its way.
 *
 * @module
 */

import { systemClock, systemRandom } from "../base/clock.ts";
import { describeError, reportError, UsageError } from "../base/errors.ts";
import { stateFolder } from "../base/files.ts";
import { flushOutput } from "../base/output.ts";
import { prepareRoomTag, roomTag } from "../protocol/rooms.ts";
import { HeadStart, KnownServers, Password } from "../session/mod.ts";
import { type Face, loadSettings, type RecallFile, SettingsKeeper } from "../ui/mod.ts";
import type { ClientOptions } from "./arguments.ts";
import { type ChosenServer, namedServer } from "./chosen_server.ts";
import {
  type ClientParts,
  type ConnectedParts,
  Ending,
  env,
  SIGNAL_EXITS,
} from "./client_parts.ts";
import { readInTurns } from "./dial.ts";
import { makeFace } from "./faces.ts";
import { loadKey } from "./key_file.ts";
import { EXIT_FAILURE, onEndSignal } from "./process.ts";
import { readPassword } from "./secrets.ts";

/** How long the terminal is kept while the end waits for a server that does not answer. */
const FAREWELL_MS = 250;

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
  const hasScreen = isPage || onTerminal && !options.task;
  // The look of a screen is a setting: until the settings are loaded, there is none.
  let ui = hasScreen ? undefined : await makeFace(options, onTerminal);
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
      (error) => ui?.say(`settings cannot be saved: ${describeError(error)}`),
    );
    let recall: RecallFile | undefined;
    if (!ui) {
      const { makeChat, makePage }: typeof import("./screens.ts") = await import(
        "./screens.ts" as string
      );
      const parts = { folder, settings, keeper, ending, onTerminal };
      if (isPage) ui = await makePage(options, parts);
      else ({ face: ui, recall } = await makeChat(options, parts));
    }
    const face = ui;
    if (warning !== undefined) face.say(warning);
    endOnBug(face);
    if (onTerminal) {
      void ending.asked.then(() => systemClock.after(FAREWELL_MS, () => void face.close()));
    }
    const parts = { ui: face, folder, settings, keeper, recall, ending, onTerminal };
    const conversation = connect(options, parts);
    // Before there is a session, questions and key generation can simply be abandoned.
    const interrupted = ending.asked.then((code) => ending.isOrderly ? conversation : code);
    return await Promise.race([conversation, interrupted]);
  } catch (error) {
    if (ui) ui.fail(error);
    else reportError("client", error);
    return EXIT_FAILURE;
  } finally {
    await ui?.close();
  }
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

/** Connects, and goes on with what is loaded meanwhile. */
async function connect(options: ClientOptions, parts: ClientParts): Promise<number> {
  const { ui, folder } = parts;
  const { room, minKeyBits } = options;
  const ask = (question: string) => ui.ask(question, { secret: true });
  const [knownServers, key] = await Promise.all([
    KnownServers.load(folder),
    loadKey({
      folder,
      name: "identity.pem",
      keyFile: options.key,
      bits: options.keyBits,
      progress: (text) => ui.progress(text),
      ask,
    }).finally(() => ui.progress("")),
    prepareRoomTag(room),
  ]);
  if (knownServers.warning !== undefined) ui.say(knownServers.warning);
  const given = await readPassword({ source: options.password, ask });
  const server = await chooseServer(options, { ...parts, key, password: given, knownServers });
  server.openRoom(room);
  const password = new Password(given);
  const headStart = new HeadStart({
    key,
    room: roomTag(room),
    password,
    minKeyBits,
    knownServers,
    clock: systemClock,
    random: systemRandom,
    address: server.address,
    dial: async (signal) => readInTurns(await server.dial(signal, room)),
  });
  try {
    // Other faces show nothing before they are attached.
    const isJson = options.json && !options.stay && !options.task;
    if (isJson) await headStart.tell((event) => void ui.emit(event, room));
    const { converse }: typeof import("./converse.ts") = await import("./converse.ts" as string);
    const hasPassword = given !== "";
    return await converse(options, {
      ...parts,
      key,
      knownServers,
      server,
      password,
      hasPassword,
      headStart,
    });
  } finally {
    await headStart.stop();
  }
}

/** The server that is named needs no search. */
async function chooseServer(
  options: ClientOptions,
  find: ClientParts & Pick<ConnectedParts, "key" | "knownServers"> & { readonly password: string },
): Promise<ChosenServer> {
  const { host, port, fingerprint, serve } = options;
  if (host !== undefined && !serve) {
    return namedServer({ host, port, fingerprint }, find.knownServers);
  }
  const { findServer }: typeof import("./find_server.ts") = await import(
    "./find_server.ts" as string
  );
  return await findServer(options, find);
}
