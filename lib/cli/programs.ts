/**
 * The command lines of the two programs as data: options with ranges, defaults and help texts, and commands.
 *
 * @module
 */

import { commandOf } from "../base/command.ts";
import { DEFAULT_PORT, MAX_PORT } from "./server_address.ts";
import type { Option, Program, Subcommand } from "./options.ts";
import settings from "../../deno.json" with { type: "json" };
import {
  DEFAULT_KEY_BITS,
  KEY_BITS,
  MAX_CAPACITY,
  MAX_CLIENTS,
  MAX_ROOM_MEMBERS,
  WEAK_BELOW_BITS,
} from "../protocol/limits.ts";

/** Default room, §5. */
export const DEFAULT_ROOM = "lobby";
/** Default port of `--share`. */
export const DEFAULT_SHARE_PORT = 40680;
/** How long a pipe waits for acknowledgements at its end. */
export const DEFAULT_WAIT_SECONDS = 10;

/** The port of the page: a browser keeps what one has allowed there for it. */
export const DEFAULT_WEB_PORT = 40_624;

/** For how long a history is kept. */
export const DEFAULT_HISTORY_DAYS = 30;

const MAX_HISTORY_DAYS = 3650;
const LARGEST_MAX_CLIENTS = 65_535;
const MAX_WAIT_SECONDS = 86_400;

export type SharedOptionName =
  | "host"
  | "port"
  | "password"
  | "password-file"
  | "key"
  | "key-bits"
  | "min-key-bits"
  | "no-announce"
  | "qr"
  | "share"
  | "share-port"
  | "json"
  | "quiet";
type ServerOptionName =
  | SharedOptionName
  | "join-key-file"
  | "allow"
  | "operators"
  | "motd"
  | "metrics"
  | "cluster"
  | "cluster-creds"
  | "cluster-ca"
  | "room-capacity"
  | "max-clients"
  | "verbose";
export type ClientOptionName =
  | SharedOptionName
  | "fingerprint"
  | "list"
  | "serve"
  | "no-stand-by"
  | "nick"
  | "room"
  | "to"
  | "strict"
  | "wait"
  | "plain"
  | "web"
  | "web-port"
  | "download"
  | "no-direct"
  | "no-files"
  | "no-own"
  | "stay"
  | "recap"
  | "history"
  | "history-private"
  | "history-days"
  | "search"
  | "since"
  | "forget"
  | "from"
  | "once"
  | "yes"
  | "exec";

const PASSWORD_FILE: Option<"password-file"> = {
  name: "password-file",
  value: { type: "file", name: "FILE" },
  help: "the password is the first line of this file",
};
const KEY: Option<"key"> = {
  name: "key",
  value: { type: "file", name: "FILE" },
  help: "private RSA key to use, OpenSSH or PEM (default: one in the state folder)",
};
const MADE_KEY_BITS: Option<"key-bits"> = {
  name: "key-bits",
  value: { type: "choice", name: "N", choices: KEY_BITS },
  help: `size of a new key, made at the first start (default ${DEFAULT_KEY_BITS})`,
};
const MIN_KEY_BITS: Option<"min-key-bits"> = {
  name: "min-key-bits",
  value: { type: "choice", name: "N", choices: KEY_BITS },
  help: `smallest key accepted from others (default ${WEAK_BELOW_BITS})`,
};
const NO_ANNOUNCE: Option<"no-announce"> = {
  name: "no-announce",
  help: "do not announce the server on the network: clients then need its address",
};
const QR: Option<"qr"> = {
  name: "qr",
  help: "show the invitation as a QR code when it starts, as /invite does",
};
const SHARE: Option<"share"> = {
  name: "share",
  value: { type: "file", name: "FOLDER", isOptional: true },
  help: "hand out standalone clients over HTTP, with a page that says what to type (default: its " +
    "own client, and those in dist)",
};
const SHARE_PORT: Option<"share-port"> = {
  name: "share-port",
  value: { type: "integer", name: "N", min: 0, max: MAX_PORT },
  help: `TCP port of --share (default ${DEFAULT_SHARE_PORT}; 0: a free one)`,
};
const ENVIRONMENT: Program<never>["environment"] = [
  ["HEARTH_HOME", "the state folder (default: ~/.config/hearth)"],
  ["HEARTH_PASSWORD", "the password, for scripts"],
  ["HEARTH_KEY_PASSPHRASE", "passphrase of an encrypted key, for scripts"],
];

/** Options by which `send` and `receive` find and join a server. */
const CONNECTING = [
  "host",
  "port",
  "fingerprint",
  "nick",
  "room",
  "password",
  "password-file",
  "strict",
  "key",
  "key-bits",
  "min-key-bits",
  "quiet",
] as const;

/** Shells with completions. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

const COMPLETIONS: Subcommand<never> = {
  name: "completions",
  argument: SHELLS.join("|"),
  help: "print the script that completes commands and options in that shell",
  options: [],
};

export const SERVER_PROGRAM: Program<ServerOptionName> = {
  name: "server",
  command: commandOf("server"),
  summary:
    "Forwards the messages of a HEARTH chat on the local network, without being able to read them.",
  options: [
    {
      name: "host",
      value: { type: "host", name: "ADDRESS" },
      help: "listen on this address only (default: all, IPv4 and IPv6)",
    },
    {
      name: "port",
      value: { type: "integer", name: "N", min: 0, max: MAX_PORT },
      help: `TCP port (default ${DEFAULT_PORT}; 0: a free one)`,
    },
    {
      name: "password",
      help: "ask for a password that clients must know; press Enter to generate one",
    },
    PASSWORD_FILE,
    {
      name: "join-key-file",
      value: { type: "file", name: "FILE" },
      help:
        `its first line is the output of "client join-key"; the server never knows the password`,
    },
    {
      name: "allow",
      value: { type: "file", name: "FILE" },
      help: "who may join: one fingerprint or ssh-rsa key per line, with or without a name " +
        "after it; read again on SIGHUP",
    },
    {
      name: "operators",
      value: { type: "file", name: "FILE" },
      help: "who may kick, ban and announce: lines as for --allow; read again on SIGHUP",
    },
    {
      name: "motd",
      value: { type: "file", name: "FILE" },
      help: "a message of the day for everyone who joins; read again on SIGHUP",
    },
    {
      name: "metrics",
      value: { type: "host", name: "[ADDRESS:]PORT" },
      help: "serve /metrics for Prometheus and /health over HTTP (default address: 127.0.0.1)",
    },
    {
      name: "cluster",
      value: { type: "text", name: "URL[,URL]" },
      help:
        "be one server with others of the same server.pem, over NATS: nats://HOST[:PORT] or tls://…",
    },
    {
      name: "cluster-creds",
      value: { type: "file", name: "FILE" },
      help: "credentials for NATS: a .creds file, or the seed of a user (SU…)",
    },
    {
      name: "cluster-ca",
      value: { type: "file", name: "FILE" },
      help: "certificates to trust for NATS, in PEM; then nothing is sent to it without TLS",
    },
    {
      name: "room-capacity",
      value: { type: "integer", name: "N", min: 1, max: MAX_CAPACITY },
      help: `maximum number of members of a room (default ${MAX_ROOM_MEMBERS})`,
    },
    {
      name: "max-clients",
      value: { type: "integer", name: "N", min: 1, max: LARGEST_MAX_CLIENTS },
      help: `maximum number of clients (default ${MAX_CLIENTS})`,
    },
    KEY,
    MADE_KEY_BITS,
    MIN_KEY_BITS,
    NO_ANNOUNCE,
    QR,
    SHARE,
    SHARE_PORT,
    { name: "json", help: "print one JSON object per line" },
    { name: "quiet", help: "print errors only" },
    { name: "verbose", help: "print more of what happens" },
  ],
  exclusive: [["password", "password-file", "join-key-file"]],
  subcommands: [
    {
      name: "doctor",
      argument: "",
      help: "look for what may prevent connections to the server, and say what to do",
      options: ["host", "port", "key", "cluster", "cluster-creds", "cluster-ca", "json"],
    },
    COMPLETIONS,
  ],
  environment: ENVIRONMENT,
  examples: [
    ["server", "serve the local network; prints what to type on other computers"],
    ["server --password", "accept only clients that know a password"],
  ],
};

export const CLIENT_PROGRAM: Program<ClientOptionName> = {
  name: "client",
  command: commandOf("client"),
  summary: "End-to-end encrypted chat over a HEARTH server on the local network.",
  options: [
    {
      name: "host",
      value: { type: "host", name: "ADDRESS[:PORT]" },
      help: "the server (default: one on this computer, else one found on the network)",
    },
    {
      name: "port",
      value: { type: "integer", name: "N", min: 0, max: MAX_PORT },
      help: `its TCP port (default ${DEFAULT_PORT})`,
    },
    {
      name: "fingerprint",
      value: { type: "text", name: "FINGERPRINT" },
      help: "the server's key, from an invitation; no other key is accepted",
    },
    { name: "list", help: "list the servers found on the network, and exit" },
    {
      name: "serve",
      help: "join who has the room, and carry on if that computer goes; else start the room here",
    },
    { name: "no-stand-by", help: "with --serve: carry on for nobody, and let nobody carry on" },
    {
      name: "nick",
      value: { type: "text", name: "NAME" },
      help: "your name in the chat (default: the last one used, else the login name)",
    },
    {
      name: "room",
      value: { type: "text", name: "NAME" },
      help: `the room to join (default ${DEFAULT_ROOM})`,
    },
    { name: "password", help: "ask for the server's password" },
    PASSWORD_FILE,
    {
      name: "to",
      value: { type: "text", name: "NICK" },
      help: "if standard input is not a terminal: send everything to this person only",
    },
    { name: "strict", help: "send only to people whose digits you have compared" },
    KEY,
    MADE_KEY_BITS,
    MIN_KEY_BITS,
    NO_ANNOUNCE,
    QR,
    SHARE,
    SHARE_PORT,
    {
      name: "wait",
      value: { type: "seconds", name: "SECONDS", max: MAX_WAIT_SECONDS },
      help: "if standard input is not a terminal: how long to wait for acknowledgements at its " +
        `end (default ${DEFAULT_WAIT_SECONDS})`,
    },
    { name: "plain", help: "on a terminal: a log with a line below, in place of the whole screen" },
    { name: "web", help: "chat on a page in a browser on this computer, in place of the terminal" },
    {
      name: "web-port",
      value: { type: "integer", name: "N", min: 0, max: MAX_PORT },
      help: `its port (default ${DEFAULT_WEB_PORT}, or a free one if that is taken; 0: a free one)`,
    },
    {
      name: "download",
      value: { type: "file", name: "FOLDER" },
      help: "where files are kept that you accept (default: ~/Downloads, else this folder)",
    },
    {
      name: "no-direct",
      help: "send files through the server: others do not learn this computer's addresses",
    },
    { name: "no-files", help: "neither send nor take files" },
    {
      name: "stay",
      help: "no terminal and no input: be there, and tell your other terminals what they missed",
    },
    { name: "no-own", help: "tell other terminals with your key nothing, and ask them nothing" },
    {
      name: "recap",
      help: "let what you write be handed on to people who come later, and hand on what others let",
    },
    { name: "history", help: "keep what is said in the rooms that you join, as /history on does" },
    { name: "history-private", help: "the same, and private messages" },
    {
      name: "history-days",
      value: { type: "integer", name: "N", min: 1, max: MAX_HISTORY_DAYS },
      help: `for how many days a history is kept (default ${DEFAULT_HISTORY_DAYS})`,
    },
    {
      name: "search",
      value: { type: "text", name: "WORDS" },
      help: "history: only messages with all of these words",
    },
    {
      name: "since",
      value: { type: "text", name: "TIME" },
      help: "history: only those of the last 30m, 12h or 2d",
    },
    { name: "forget", help: "history: remove it; without --room that of all rooms, and their key" },
    {
      name: "from",
      value: { type: "text", name: "NICK" },
      help: "receive: only what this person offers",
    },
    { name: "once", help: "receive: end after the first file" },
    { name: "yes", help: "receive: take it without a question; needs --from or --strict" },
    { name: "exec", help: "receive: let programs be programs here, too" },
    { name: "json", help: "read and print one JSON object per line" },
    { name: "quiet", help: "print messages and errors only" },
  ],
  exclusive: [["password", "password-file"]],
  subcommands: [
    {
      name: "send",
      argument: "FILE...",
      help:
        "offer files and folders to everybody there, or --to NICK; end when they have them; - is standard input",
      options: ["to", "wait", "no-direct", ...CONNECTING],
    },
    {
      name: "receive",
      argument: "[FOLDER]",
      help: "take files that are offered, and keep them in FOLDER (default: this one)",
      options: ["from", "once", "yes", "exec", "wait", "no-direct", ...CONNECTING],
    },
    {
      name: "history",
      argument: "",
      help: "print what was kept of --room; with --json as events",
      options: ["room", "search", "since", "forget", "json", "key"],
    },
    {
      name: "export",
      argument: "",
      help: "print all that was kept of --room, one JSON object a line",
      options: ["room", "key"],
    },
    {
      name: "forget",
      argument: "HOST[:PORT]",
      help: "forget the key of that server, so that a new one is accepted",
      options: [],
    },
    {
      name: "join-key",
      argument: "FINGERPRINT",
      help: "print the join key for the server with that fingerprint; asks for the password",
      options: ["password", "password-file"],
    },
    {
      name: "doctor",
      argument: "",
      help: "look for what may prevent a connection, and say what to do",
      options: ["host", "port", "fingerprint", "password", "password-file", "key", "json"],
    },
    COMPLETIONS,
  ],
  wordHint: "to name a server, use --host ADDRESS",
  environment: [...ENVIRONMENT, ["NO_COLOR", "if set, no colours"]],
  examples: [
    ["client --serve", "start a chat on this computer"],
    ["client --host 192.168.1.20 --nick alice", "join it from another computer"],
    ["uptime | client --host 192.168.1.20", "send the output of a program"],
  ],
};

/** One line: program, version, Deno version, target. */
export function version(program: string): string {
  return `${program} ${settings.version} (Deno ${Deno.version.deno}, ${Deno.build.target})`;
}
