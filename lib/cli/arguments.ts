/**
 * Turns the command lines of the two programs into typed requests; reads no files and no environment variables.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { LOOPBACK } from "../base/ip.ts";
import { type ClusterRequest, readCluster } from "./cluster_options.ts";
import { DEFAULT_PORT, MAX_PORT, parseHost } from "./server_address.ts";
import { checkNick, parseRoom } from "../protocol/names.ts";
import { type Given, parseOptions } from "./options.ts";
import {
  CLIENT_PROGRAM,
  type ClientOptionName,
  DEFAULT_HISTORY_DAYS,
  DEFAULT_ROOM,
  DEFAULT_SHARE_PORT,
  DEFAULT_WAIT_SECONDS,
  DEFAULT_WEB_PORT,
  SERVER_PROGRAM,
  type SharedOptionName,
  SHELLS,
} from "./programs.ts";
import { FINGERPRINT_PATTERN } from "../protocol/identity.ts";
import {
  DEFAULT_KEY_BITS,
  MAX_CLIENTS,
  MAX_ROOM_MEMBERS,
  WEAK_BELOW_BITS,
} from "../protocol/limits.ts";

/** Where the password comes from. */
export type PasswordSource =
  | { readonly from: "prompt" }
  | { readonly from: "file"; readonly path: string };

/** `--help` and `--version`. */
interface AboutRequest {
  readonly type: "help" | "version";
}

/** Options of both programs. */
interface SharedOptions {
  /** A private key file; undefined: the one in the state folder. */
  readonly key: string | undefined;
  readonly keyBits: number;
  readonly minKeyBits: number;
  /** Announce a server that is started on the network. */
  readonly announce: boolean;
  /** Show the invitation as a QR code at the start. */
  readonly qr: boolean;
  /** Hand out clients; folder undefined: the usual ones; port 0: a free one. */
  readonly share: { readonly folder: string | undefined; readonly port: number } | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
}

/** `server` without a subcommand. */
export interface ServerOptions extends SharedOptions {
  readonly type: "serve";
  /** The address to listen on; undefined: all. */
  readonly host: string | undefined;
  /** 0: a free one. */
  readonly port: number;
  readonly password:
    | PasswordSource
    | { readonly from: "join-key-file"; readonly path: string }
    | undefined;
  readonly allow: string | undefined;
  readonly operators: string | undefined;
  readonly motd: string | undefined;
  /** Where to serve metrics; port 0: a free one. */
  readonly metrics: { readonly host: string; readonly port: number } | undefined;
  /** The cluster that it is one of. */
  readonly cluster: ClusterRequest | undefined;
  readonly roomCapacity: number;
  readonly maxClients: number;
  readonly verbose: boolean;
}

/** `client` without a subcommand. */
export interface ClientOptions extends SharedOptions {
  readonly type: "chat";
  readonly host: string | undefined;
  /** 0 only with `serve`. */
  readonly port: number;
  /** `SHA256:…` of the key that the server must have. */
  readonly fingerprint: string | undefined;
  readonly serve: boolean;
  /** With `serve`: carries on when the host is gone, and names others who do. */
  readonly standBy: boolean;
  /** Valid by §9. */
  readonly nick: string | undefined;
  /** Normalized, §5. */
  readonly room: string;
  readonly password: PasswordSource | undefined;
  readonly to: string | undefined;
  readonly strict: boolean;
  readonly waitMs: number;
  /** On a terminal, not the whole screen. */
  readonly plain: boolean;
  /** The port of a page in place of the terminal, 0: a free one; undefined: no page. */
  readonly web: number | undefined;
  /** Other terminals of the user's own are told what this one knows, and asked. */
  readonly own: boolean;
  /** What the user writes may be handed on to people who come later. */
  readonly recap: boolean;
  /** Nothing is shown and no input taken: it is there for the user's other terminals. */
  readonly stay: boolean;
  /** Files may be sent and taken. */
  readonly files: boolean;
  /** They may go straight to another computer. */
  readonly direct: boolean;
  /** Where they are kept; undefined: the folder for downloads. */
  readonly download: string | undefined;
  /** Switches on the histories of the rooms that are joined. */
  readonly history: "on" | "private" | undefined;
  readonly historyDays: number;
  /** What to do in place of a chat. */
  readonly task: SendTask | ReceiveTask | undefined;
}

/** `client send`. */
interface SendTask {
  readonly type: "send";
  readonly paths: readonly string[];
}

/** `client receive`. */
interface ReceiveTask {
  readonly type: "receive";
  readonly from: string | undefined;
  readonly once: boolean;
  readonly yes: boolean;
  readonly exec: boolean;
}

export interface ForgetRequest {
  readonly type: "forget";
  readonly host: string;
  readonly port: number;
}

/** `client history` and `client export`. */
export interface HistoryRequest {
  readonly type: "history";
  /** Normalized, §5. */
  readonly room: string;
  /** As `/search` takes it. */
  readonly search: string;
  /** As events, one a line. */
  readonly json: boolean;
  readonly key: string | undefined;
}

export interface ForgetHistoryRequest {
  readonly type: "forget-history";
  /** Undefined for all. */
  readonly room: string | undefined;
  readonly key: string | undefined;
}

export interface JoinKeyRequest {
  readonly type: "join-key";
  /** `SHA256:…`. */
  readonly fingerprint: string;
  /** undefined: from the environment, else asked for. */
  readonly password: PasswordSource | undefined;
}

export interface ListRequest {
  readonly type: "list";
  readonly json: boolean;
}

export interface DoctorRequest {
  readonly type: "doctor";
  readonly program: "client" | "server";
  /** The server to talk to, or the address to listen on. */
  readonly host: string | undefined;
  readonly port: number;
  /** `SHA256:…` of the key that the server must have. */
  readonly fingerprint: string | undefined;
  /** undefined: from the environment, if it is set there. */
  readonly password: PasswordSource | undefined;
  readonly key: string | undefined;
  /** The cluster to look at. */
  readonly cluster: ClusterRequest | undefined;
  readonly json: boolean;
}

interface CompletionsRequest {
  readonly type: "completions";
  readonly shell: typeof SHELLS[number];
}

const RECEIVE_OPTIONS = ["from", "once", "yes", "exec"] as const;
const NOT_WITH_WEB = ["json", "to", "plain"] as const;
/** What `--stay` cannot be used with. */
const NOT_WITH_STAY: readonly ClientOptionName[] = ["json", "to", "plain", "web", "no-own"];
const HISTORY_OPTIONS = ["search", "since", "forget"] as const;
/** How long `send` waits for an answer, and `receive` for the person that it names. */
const FILE_WAIT_SECONDS = 300;

/** What both programs can be asked to do. */
export type CommonRequest = AboutRequest | DoctorRequest | CompletionsRequest;

/** What `client` can be asked to do. */
export type ClientRequest =
  | ClientOptions
  | ListRequest
  | ForgetRequest
  | HistoryRequest
  | ForgetHistoryRequest
  | JoinKeyRequest
  | CommonRequest;

/** What `server` can be asked to do. */
type ServerRequest = ServerOptions | CommonRequest;

/**
 * Parses the arguments of `server`.
 *
 * @throws {UsageError} When they are not understood.
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
      cluster: readCluster(given),
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
    operators: given.text("operators"),
    motd: given.text("motd"),
    metrics: readMetrics(given.text("metrics")),
    cluster: readCluster(given),
    roomCapacity: given.number("room-capacity") ?? MAX_ROOM_MEMBERS,
    maxClients: given.number("max-clients") ?? MAX_CLIENTS,
    verbose: given.has("verbose"),
    ...readShared(given),
  };
}

/**
 * Parses the arguments of `client`.
 *
 * @throws {UsageError} When they are not understood.
 */
export function parseClientArguments(args: readonly string[]): ClientRequest {
  const given = parseOptions(CLIENT_PROGRAM, args);
  if (given === "help" || given === "version") return { type: given };
  if (given.subcommand?.name === "forget") {
    const { host, port = DEFAULT_PORT } = parseHost(given.subcommand.argument);
    return { type: "forget", host, port };
  }
  if (given.subcommand?.name === "history" || given.subcommand?.name === "export") {
    const since = given.text("since");
    const room = given.text("room");
    if (given.has("forget")) {
      const named = room === undefined ? undefined : readRoom(room);
      return { type: "forget-history", room: named, key: given.text("key") };
    }
    return {
      type: "history",
      room: readRoom(room ?? DEFAULT_ROOM),
      search: [given.text("search"), since && `since:${since}`].filter(Boolean).join(" "),
      json: given.has("json") || given.subcommand.name === "export",
      key: given.text("key"),
    };
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
      cluster: undefined,
      json: given.has("json"),
    };
  }
  if (given.has("list")) return readList(given);
  const nick = given.text("nick");
  const fingerprint = readOwnFingerprint(given);
  if (fingerprint !== undefined && given.has("serve") && !given.has("host")) {
    throw new UsageError("--fingerprint and --serve cannot be used together", [
      "--fingerprint names the key of another server: add --host",
    ]);
  }
  if (given.has("share") && !given.has("serve")) {
    throw new UsageError("--share needs --serve");
  }
  // Otherwise what is meant for one person would go to everybody.
  if (given.has("to") && given.has("json")) {
    throw new UsageError("--to and --json cannot be used together", [
      'with --json each line names its recipient: {"type":"private","to":NICK,"text":…}',
    ]);
  }
  refuseBeside("stay", NOT_WITH_STAY, given);
  refuseBeside("recap", ["strict"], given);
  const task = readTask(given);
  return {
    type: "chat",
    ...readServer(given),
    fingerprint,
    serve: given.has("serve"),
    standBy: !given.has("no-stand-by"),
    // Some keyboards produce decomposed letters.
    nick: nick === undefined ? undefined : checkNick(nick.normalize("NFC")),
    room: readRoom(given.text("room") ?? DEFAULT_ROOM),
    password: readPassword(given),
    to: given.text("to"),
    strict: given.has("strict"),
    waitMs: (given.number("wait") ?? (task ? FILE_WAIT_SECONDS : DEFAULT_WAIT_SECONDS)) * 1000,
    plain: given.has("plain"),
    web: readWeb(given),
    files: !given.has("no-files"),
    own: !given.has("no-own"),
    recap: given.has("recap"),
    stay: given.has("stay"),
    direct: !given.has("no-direct"),
    history: given.has("history-private") ? "private" : given.has("history") ? "on" : undefined,
    historyDays: given.number("history-days") ?? DEFAULT_HISTORY_DAYS,
    download: task?.type === "receive" ? given.subcommand!.argument || "." : given.text("download"),
    task,
    ...readShared(given),
  };
}

/** @throws {UsageError} An option is given beside one that it cannot be used with. */
function refuseBeside(
  option: ClientOptionName,
  others: readonly ClientOptionName[],
  given: Given<ClientOptionName>,
): void {
  const other = given.has(option) ? others.find((name) => given.has(name)) : undefined;
  if (other === undefined) return;
  throw new UsageError(`--${option} and --${other} cannot be used together`);
}

function readWeb(given: Given<ClientOptionName>): ClientOptions["web"] {
  if (!given.has("web")) {
    if (given.has("web-port")) throw new UsageError("--web-port needs --web");
    return undefined;
  }
  refuseBeside("web", NOT_WITH_WEB, given);
  return given.number("web-port") ?? DEFAULT_WEB_PORT;
}

function readTask(given: Given<ClientOptionName>): ClientOptions["task"] {
  if (given.subcommand?.name === "send") {
    const paths = given.subcommand.arguments;
    const piped = paths.filter((path) => path === "-").length;
    if (piped > 1 || (piped > 0 && !given.has("to"))) {
      throw new UsageError("standard input can be read only once", [
        "send - to one person: --to NICK",
      ]);
    }
    return { type: "send", paths };
  }
  if (given.subcommand?.name === "receive") {
    if (given.has("yes") && !given.has("from") && !given.has("strict")) {
      throw new UsageError("--yes needs --from or --strict", [
        "otherwise anybody could put files here: --yes --from NICK",
      ]);
    }
    return {
      type: "receive",
      from: given.text("from"),
      once: given.has("once"),
      yes: given.has("yes"),
      exec: given.has("exec"),
    };
  }
  const stray = RECEIVE_OPTIONS.find((name) => given.has(name));
  if (stray !== undefined) throw new UsageError(`--${stray} is an option of receive`);
  const ofHistory = HISTORY_OPTIONS.find((name) => given.has(name));
  if (ofHistory !== undefined) throw new UsageError(`--${ofHistory} is an option of history`);
  return undefined;
}

/** Elsewhere a room is written with a `#` before its name; here that is not part of the name. */
function readRoom(text: string): string {
  return parseRoom(text);
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
    throw new UsageError("both --host and --port give a port", ["leave one of them out"]);
  }
  const port = ownPort ?? given.number("port") ?? DEFAULT_PORT;
  if (port === 0 && (host !== undefined || !given.has("serve"))) {
    throw new UsageError(`--port: "0" is not a number from 1 to ${MAX_PORT}`, [
      "0 means a free port, with --serve only",
    ]);
  }
  return { host, port };
}

function readShell(text: string): CompletionsRequest {
  const shell = SHELLS.find((name) => name === text);
  if (shell !== undefined) return { type: "completions", shell };
  throw new UsageError(`completions: the shells are ${SHELLS.join(", ")}`);
}

function readListenHost(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const { host, port } = parseHost(text);
  if (port !== undefined) throw new UsageError("--host takes no port here", ["use --port"]);
  return host;
}

/** `PORT` or `ADDRESS:PORT`. */
function readMetrics(text: string | undefined): ServerOptions["metrics"] {
  if (text === undefined) return undefined;
  const isPort = /^\d+$/.test(text);
  const { host = LOOPBACK, port } = isPort ? { port: Number(text) } : parseHost(text);
  if (port !== undefined && port <= MAX_PORT) return { host, port };
  throw new UsageError(`--metrics needs a port from 0 to ${MAX_PORT}`, [
    "9464, 192.168.1.20:9464 or [::1]:9464; 0 means a free port",
  ]);
}

/** 0, a free port, gives `doctor` nothing to check. */
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
  throw new UsageError("not a fingerprint", [
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
    minKeyBits: given.number("min-key-bits") ?? WEAK_BELOW_BITS,
    announce: !given.has("no-announce"),
    qr: given.has("qr"),
    share: readShare(given),
    json: given.has("json"),
    quiet: given.has("quiet"),
  };
}

function readShare(given: Pick<Given<SharedOptionName>, "has" | "text" | "number">) {
  const port = given.number("share-port");
  if (given.has("share")) {
    return { folder: given.text("share") || undefined, port: port ?? DEFAULT_SHARE_PORT };
  }
  if (port !== undefined) throw new UsageError("--share-port needs --share");
  return undefined;
}
