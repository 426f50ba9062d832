/**
 * What the parts of the client share from its start to its end.
 *
 * @module
 */

import type { PrivateKey } from "../protocol/identity.ts";
import type { HeadStart, KnownServers, Password } from "../session/mod.ts";
import type { Face, RecallFile, Settings, SettingsKeeper } from "../ui/mod.ts";
import type { ClientOptions } from "./arguments.ts";
import type { ChosenServer } from "./chosen_server.ts";

export const SIGNAL_EXITS: Partial<Record<Deno.Signal, number>> = {
  SIGINT: 130,
  SIGTERM: 143,
  SIGHUP: 129,
};

/** Reads an environment variable; not once the client is connected. */
export const env = (name: string): string | undefined => Deno.env.get(name);

/** An end asked for from outside: a signal, a hang-up, `/quit`. */
export class Ending {
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

/** What there is before there is a connection. */
export interface ClientParts {
  readonly ui: Face;
  readonly folder: string;
  readonly settings: Settings;
  readonly keeper: SettingsKeeper;
  /** What was typed, where there is a terminal. */
  readonly recall: RecallFile | undefined;
  readonly ending: Ending;
  readonly onTerminal: boolean;
}

/** What there is with the connection. */
export interface ConnectedParts extends ClientParts {
  readonly key: PrivateKey;
  readonly knownServers: KnownServers;
  readonly password: Password;
  /** One was given at the start. */
  readonly hasPassword: boolean;
  readonly server: ChosenServer;
  readonly headStart: HeadStart;
}

/** What is written to standard input is sent, and the program ends with it. */
export function isPipe({ json, stay, web }: ClientOptions, onTerminal: boolean): boolean {
  return !onTerminal && !json && !stay && web === undefined;
}
