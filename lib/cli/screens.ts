/**
 * The faces that have a screen: a page in a browser, or the terminal for themselves.
 *
 * @module
 */

import { systemClock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import { isUtf8Locale } from "../base/locale.ts";
import { LineOutput } from "../base/output.ts";
import { RecallFile } from "../ui/late.ts";
import type { Face, Settings } from "../ui/mod.ts";
import { colorDepth, linked, TERMINAL_VARIABLES, terminalKind } from "../ui/terminal/mod.ts";
import type { ClientOptions } from "./arguments.ts";
import { type ClientParts, env, SIGNAL_EXITS } from "./client_parts.ts";
import { askOn } from "./faces.ts";

type ChatParts = ConstructorParameters<typeof import("../ui/chat.ts").Chat>[0];
type FullParts = ConstructorParameters<typeof import("../ui/full/full.ts").FullChat>[0];

/** Makes the face that is a page in a browser. */
export async function makePage(
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

/** Whether the chat is a log with a line below, in place of the whole screen. */
function isPlain({ plain }: ClientOptions, { face }: Settings): boolean {
  const term = env("TERM") ?? "";
  return plain || face === "plain" || term === "dumb" || term === "" && Deno.build.os !== "windows";
}

/** Makes the face that has the terminal for itself. @returns It, and what was typed in it. */
export async function makeChat(
  options: ClientOptions,
  { folder, settings, keeper, ending }: Pick<
    ClientParts,
    "folder" | "settings" | "keeper" | "ending"
  >,
): Promise<{ face: Face; recall: RecallFile }> {
  const recall = new RecallFile(
    folder,
    settings.recall ?? false,
    (error) => face.say(`what was sent cannot be recalled: ${describeError(error)}`),
  );
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
  const face: Face = await (isPlain(options, settings) ? makePlain(parts) : makeFull(parts));
  return { face, recall };
}

async function makePlain(parts: Omit<ChatParts, "openTerminal">): Promise<Face> {
  const { Chat }: typeof import("../ui/chat.ts") = await import("../ui/chat.ts" as string);
  const { Terminal }: typeof import("../ui/terminal/terminal.ts") = await import(
    "../ui/terminal/terminal.ts" as string
  );
  return new Chat({ ...parts, openTerminal: (options) => new Terminal(options) });
}

async function makeFull(parts: FullParts): Promise<Face> {
  const { FullChat }: typeof import("../ui/full/full.ts") = await import(
    "../ui/full/full.ts" as string
  );
  return new FullChat(parts);
}
