/**
 * What the two programs are asked to do: their command lines, parsed and typed.
 *
 * Knows nothing of terminals, files and the environment: an option that names a file only names it.
 *
 * @module
 */

import { FINGERPRINT_PATTERN } from "../entries.ts";
import { UsageError } from "../base/errors.ts";
import { DEFAULT_PORT, MAX_PORT, parseHost } from "./server_address.ts";
import { checkNick, normalizeRoom } from "../protocol/names.ts";
import { type Given, parseOptions } from "./options.ts";
import {
  CLIENT_PROGRAM,
  type ClientOptionName,
  DEFAULT_KEY_BITS,
  DEFAULT_MAX_CLIENTS,
  DEFAULT_MIN_KEY_BITS,
  DEFAULT_ROOM,
  DEFAULT_ROOM_CAPACITY,
  DEFAULT_WAIT_SECONDS,
  SERVER_PROGRAM,
  type SharedOptionName,
  SHELLS,
} from "./programs.ts";

/** Where the password comes from. */
export type PasswordSource =
  | { readonly from: "prompt" }
  | { readonly from: "file"; readonly path: string };

/** The program is only asked about itself. */
export interface AboutRequest {
  readonly type: "help" | "version";
}

/** What both programs have. */
export interface SharedOptions {
  /** A private key; none: the one of the state folder. */
  readonly key: string | undefined;
  readonly keyBits: number;
  readonly minKeyBits: number;
  /** A server that is started can be found by others. */
  readonly announce: boolean;
  /** Invitations are shown as QR codes, too. */
  readonly qr: boolean;
  readonly json: boolean;
  readonly quiet: boolean;
}

/** What `server` is to do. */
export interface ServerOptions extends SharedOptions {
  readonly type: "serve";
  /** The address to listen on; none: all. */
  readonly host: string | undefined;
  /** 0: a free one. */
  readonly port: number;
  readonly password:
    | PasswordSource
    | { readonly from: "join-key-file"; readonly path: string }
    | undefined;
  readonly allow: string | undefined;
  readonly roomCapacity: number;
  readonly maxClients: number;
  readonly verbose: boolean;
}

/** What `client` is to do without a subcommand. */
export interface ClientOptions extends SharedOptions {
  readonly type: "chat";
  readonly host: string | undefined;
  /** Never 0 unless this program is to serve. */
  readonly port: number;
  /** `SHA256:…`, of the key that the server must have. */
  readonly fingerprint: string | undefined;
  readonly serve: boolean;
  /** One that §9 allows. */
  readonly nick: string | undefined;
  /** Normalized, §5. */
  readonly room: string;
  readonly password: PasswordSource | undefined;
  readonly to: string | undefined;
  readonly strict: boolean;
  readonly waitMs: number;
}

/** `client forget`. */
export interface ForgetRequest {
  readonly type: "forget";
  readonly host: string;
  readonly port: number;
}

/** `client join-key`. */
export interface JoinKeyRequest {
  readonly type: "join-key";
  /** `SHA256:…`. */
  readonly fingerprint: string;
  /** None: the environment's, else ask. */
  readonly password: PasswordSource | undefined;
}

/** `client --list`. */
export interface ListRequest {
  readonly type: "list";
  readonly json: boolean;
}

/** `doctor`. */
export interface DoctorRequest {
  readonly type: "doctor";
  readonly program: "client" | "server";
  /** The server to talk to, or the address to listen on. */
  readonly host: string | undefined;
  readonly port: number;
  /** `SHA256:…`, of the key that the server must have. */
  readonly fingerprint: string | undefined;
  /** None: the environment's, if it has one. */
  readonly password: PasswordSource | undefined;
  readonly key: string | undefined;
  readonly json: boolean;
}

/** `completions SHELL`. */
export interface CompletionsRequest {
  readonly type: "completions";
  readonly shell: typeof SHELLS[number];
}

/** Everything `client` can be asked to do. */
export type ClientRequest =
  | ClientOptions
  | ListRequest
  | ForgetRequest
  | JoinKeyRequest
  | DoctorRequest
  | CompletionsRequest
  | AboutRequest;

/** Everything `server` can be asked to do. */
export type ServerRequest = ServerOptions | DoctorRequest | CompletionsRequest | AboutRequest;

/**
 * Parses the arguments of `server`.
 *
 * @throws {UsageError} When they mean nothing.
 */
export function parseServerArguments(args: readonly string[]): ServerRequest {
  const given = parseOptions(SERVER_PROGRAM, args);
  if (given === "help" || given === "version") return { type: given };
  if (given.subcommand?.name === "doctor") {
    return {
      type: "doctor",
      program: "server",
      host: readListenHost(given.text("host")),
      port: readFixedPort(given.number("port")),
      fingerprint: undefined,
      password: undefined,
      key: given.text("key"),
      json: given.has("json"),
    };
  }
  if (given.subcommand) return readShell(given.subcommand.argument);
  const joinKeyFile = given.text("join-key-file");
  return {
    type: "serve",
    host: readListenHost(given.text("host")),
    port: given.number("port") ?? DEFAULT_PORT,
    password: joinKeyFile === undefined
      ? readPassword(given)
      : { from: "join-key-file", path: joinKeyFile },
    allow: given.text("allow"),
    roomCapacity: given.number("room-capacity") ?? DEFAULT_ROOM_CAPACITY,
    maxClients: given.number("max-clients") ?? DEFAULT_MAX_CLIENTS,
    verbose: given.has("verbose"),
    ...readShared(given),
  };
}

/**
 * Parses the arguments of `client`.
 *
 * @throws {UsageError} When they mean nothing.
 */
export function parseClientArguments(args: readonly string[]): ClientRequest {
  const given = parseOptions(CLIENT_PROGRAM, args);
  if (given === "help" || given === "version") return { type: given };
  if (given.subcommand?.name === "forget") {
    const { host, port = DEFAULT_PORT } = parseHost(given.subcommand.argument);
    return { type: "forget", host, port };
  }
  if (given.subcommand?.name === "join-key") {
    const fingerprint = readFingerprint(given.subcommand.argument);
    return { type: "join-key", fingerprint, password: readPassword(given) };
  }
  if (given.subcommand?.name === "completions") return readShell(given.subcommand.argument);
  if (given.subcommand?.name === "doctor") {
    return {
      type: "doctor",
      program: "client",
      ...readServer(given),
      fingerprint: readOwnFingerprint(given),
      password: readPassword(given),
      key: given.text("key"),
      json: given.has("json"),
    };
  }
  if (given.has("list")) return readList(given);
  const nick = given.text("nick");
  const fingerprint = readOwnFingerprint(given);
  if (fingerprint !== undefined && given.has("serve")) {
    throw new UsageError("--fingerprint and --serve cannot be used together", [
      "--fingerprint names the key of somebody else's server",
    ]);
  }
  // Else what is meant for one person would go to all.
  if (given.has("to") && given.has("json")) {
    throw new UsageError("--to and --json cannot be used together", [
      'with --json each line names its addressee: {"type":"private","to":NICK,"text":…}',
    ]);
  }
  return {
    type: "chat",
    ...readServer(given),
    fingerprint,
    serve: given.has("serve"),
    // Some keyboards and file names give decomposed letters.
    nick: nick === undefined ? undefined : checkNick(nick.normalize("NFC")),
    room: normalizeRoom(given.text("room") ?? DEFAULT_ROOM),
    password: readPassword(given),
    to: given.text("to"),
    strict: given.has("strict"),
    waitMs: (given.number("wait") ?? DEFAULT_WAIT_SECONDS) * 1000,
    ...readShared(given),
  };
}

function readList(given: Given<ClientOptionName>): ListRequest {
  const stray = CLIENT_PROGRAM.options.find(({ name }) =>
    given.has(name) && name !== "list" && name !== "json"
  );
  if (stray !== undefined) {
    throw new UsageError(`--${stray.name} and --list cannot be used together`);
  }
  return { type: "list", json: given.has("json") };
}

function readServer(given: Given<ClientOptionName>): Pick<ClientOptions, "host" | "port"> {
  const text = given.text("host");
  const { host, port: ownPort } = text === undefined ? {} : parseHost(text);
  if (ownPort !== undefined && given.has("port")) {
    throw new UsageError("a port is in --host and in --port", ["leave one of them out"]);
  }
  const port = ownPort ?? given.number("port") ?? DEFAULT_PORT;
  if (port === 0 && (host !== undefined || !given.has("serve"))) {
    throw new UsageError(`--port: "0" is not a number from 1 to ${MAX_PORT}`, [
      "only with --serve it stands for a free one",
    ]);
  }
  return { host, port };
}

function readShell(text: string): CompletionsRequest {
  const shell = SHELLS.find((name) => name === text);
  if (shell !== undefined) return { type: "completions", shell };
  throw new UsageError(`completions are for ${SHELLS.join(", ")}`);
}

function readListenHost(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const { host, port } = parseHost(text);
  if (port !== undefined) throw new UsageError("--host takes no port here", ["use --port"]);
  return host;
}

/** Nothing can be said about a port that is not known yet. */
function readFixedPort(port: number = DEFAULT_PORT): number {
  if (port !== 0) return port;
  throw new UsageError(`--port: "0" is not a number from 1 to ${MAX_PORT}`);
}

function readOwnFingerprint(given: Pick<Given<ClientOptionName>, "text">): string | undefined {
  const text = given.text("fingerprint");
  return text === undefined ? undefined : readFingerprint(text);
}

function readFingerprint(text: string): string {
  if (new RegExp(`^${FINGERPRINT_PATTERN}$`).test(text)) return text;
  throw new UsageError("this is no fingerprint", [
    `it is "SHA256:" and 43 characters; the server prints its own when it starts`,
  ]);
}

function readPassword(
  given: Pick<Given<"password" | "password-file">, "has" | "text">,
): PasswordSource | undefined {
  const path = given.text("password-file");
  if (path !== undefined) return { from: "file", path };
  return given.has("password") ? { from: "prompt" } : undefined;
}

function readShared(
  given: Pick<Given<SharedOptionName>, "has" | "text" | "number">,
): SharedOptions {
  return {
    key: given.text("key"),
    keyBits: given.number("key-bits") ?? DEFAULT_KEY_BITS,
    minKeyBits: given.number("min-key-bits") ?? DEFAULT_MIN_KEY_BITS,
    announce: !given.has("no-announce"),
    qr: !given.has("no-qr"),
    json: given.has("json"),
    quiet: given.has("quiet"),
  };
}
