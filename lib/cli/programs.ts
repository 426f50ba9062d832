/**
 * The options of the two programs, as data: what there is, its range, its default, and the words
 * of `--help`.
 *
 * Knows nothing of what becomes of them.
 *
 * @module
 */

import { DEFAULT_PORT, MAX_PORT } from "./server_address.ts";
import type { Option, Program, Subcommand } from "./options.ts";

/** Members of a room if the operator does not say otherwise, §10. */
export const DEFAULT_ROOM_CAPACITY = 64;
/** Members of a room at most, §5. */
export const MAX_ROOM_CAPACITY = 256;
/** Clients of a relay if the operator does not say otherwise, §10. */
export const DEFAULT_MAX_CLIENTS = 1024;
/** Bits of a key that is made, §1. */
export const DEFAULT_KEY_BITS = 3072;
/** Bits of the smallest key accepted from others, §1. */
export const DEFAULT_MIN_KEY_BITS = 2048;
/** The room if nobody says otherwise, §5. */
export const DEFAULT_ROOM = "lobby";
/** Seconds a pipe waits for acknowledgements. */
export const DEFAULT_WAIT_SECONDS = 10;

const KEY_BITS = [1024, 2048, 3072, 4096];
const MAX_CLIENTS = 65_535;
const MAX_WAIT_SECONDS = 86_400;

/** The options that both programs have. */
export type SharedOptionName =
  | "host"
  | "port"
  | "password"
  | "password-file"
  | "key"
  | "key-bits"
  | "min-key-bits"
  | "no-announce"
  | "no-qr"
  | "json"
  | "quiet";
/** The options of `server`. */
export type ServerOptionName =
  | SharedOptionName
  | "join-key-file"
  | "allow"
  | "room-capacity"
  | "max-clients"
  | "verbose";
/** The options of `client`. */
export type ClientOptionName =
  | SharedOptionName
  | "fingerprint"
  | "list"
  | "serve"
  | "nick"
  | "room"
  | "to"
  | "strict"
  | "wait";

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
  help: `size of the key that is made at the first start (default ${DEFAULT_KEY_BITS})`,
};
const MIN_KEY_BITS: Option<"min-key-bits"> = {
  name: "min-key-bits",
  value: { type: "choice", name: "N", choices: KEY_BITS },
  help: `smallest key accepted from others (default ${DEFAULT_MIN_KEY_BITS})`,
};
const NO_ANNOUNCE: Option<"no-announce"> = {
  name: "no-announce",
  help: "do not announce the server on the network: only who knows its address finds it",
};
const NO_QR: Option<"no-qr"> = {
  name: "no-qr",
  help: "show an invitation as a line only, without its QR code",
};
const ENVIRONMENT: Program<never>["environment"] = [
  ["HEARTH_HOME", "the state folder (default: ~/.config/hearth)"],
  ["HEARTH_PASSWORD", "the password, for scripts"],
  ["HEARTH_KEY_PASSPHRASE", "passphrase of an encrypted key, for scripts"],
];

/** The shells that there are completions for. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

const COMPLETIONS: Subcommand<never> = {
  name: "completions",
  argument: SHELLS.join("|"),
  help: "print what that shell needs to complete commands and options",
  options: [],
};

/** The command line of `server`. */
export const SERVER_PROGRAM: Program<ServerOptionName> = {
  name: "server",
  summary: "Carries the messages of a HEARTH chat on the local network, and can read none of them.",
  options: [
    {
      name: "host",
      value: { type: "host", name: "ADDRESS" },
      help: "listen on this address only (default: on all, IPv4 and IPv6)",
    },
    {
      name: "port",
      value: { type: "integer", name: "N", min: 0, max: MAX_PORT },
      help: `TCP port (default ${DEFAULT_PORT}; 0: a free one)`,
    },
    {
      name: "password",
      help: "ask for a password that members need; on an empty one it makes one",
    },
    PASSWORD_FILE,
    {
      name: "join-key-file",
      value: { type: "file", name: "FILE" },
      help: `its first line is what "client join-key" prints: the password stays unknown here`,
    },
    {
      name: "allow",
      value: { type: "file", name: "FILE" },
      help: "who may join: a fingerprint or ssh-rsa line a row; read again on SIGHUP",
    },
    {
      name: "room-capacity",
      value: { type: "integer", name: "N", min: 1, max: MAX_ROOM_CAPACITY },
      help: `members of a room at most (default ${DEFAULT_ROOM_CAPACITY})`,
    },
    {
      name: "max-clients",
      value: { type: "integer", name: "N", min: 1, max: MAX_CLIENTS },
      help: `clients in all at most (default ${DEFAULT_MAX_CLIENTS})`,
    },
    KEY,
    MADE_KEY_BITS,
    MIN_KEY_BITS,
    NO_ANNOUNCE,
    NO_QR,
    { name: "json", help: "one JSON object a line on standard output" },
    { name: "quiet", help: "print errors only" },
    { name: "verbose", help: "print more of what happens" },
  ],
  exclusive: [["password", "password-file", "join-key-file"]],
  subcommands: [
    {
      name: "doctor",
      argument: "",
      help: "look for what may keep others from the server, and say what to do",
      options: ["host", "port", "key", "json"],
    },
    COMPLETIONS,
  ],
  environment: ENVIRONMENT,
  examples: [
    ["server", "serve the local network; prints the line to type on the other computers"],
    ["server --password", "let in only those who know a password"],
  ],
};

/** The command line of `client`. */
export const CLIENT_PROGRAM: Program<ClientOptionName> = {
  name: "client",
  summary: "Chats end-to-end encrypted over a HEARTH server on the local network.",
  options: [
    {
      name: "host",
      value: { type: "host", name: "ADDRESS[:PORT]" },
      help: "the server (default: one on this computer, else one that is found)",
    },
    {
      name: "port",
      value: { type: "integer", name: "N", min: 0, max: MAX_PORT },
      help: `its TCP port (default ${DEFAULT_PORT})`,
    },
    {
      name: "fingerprint",
      value: { type: "text", name: "FINGERPRINT" },
      help: "the server's key, from an invitation: no other one is accepted",
    },
    { name: "list", help: "list the servers that are found on the network, and end" },
    { name: "serve", help: "be the server too, if there is none on this computer yet" },
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
      help: "when standard input is no terminal: send everything to this person alone",
    },
    { name: "strict", help: "send only to people whose digits you have compared" },
    KEY,
    MADE_KEY_BITS,
    MIN_KEY_BITS,
    NO_ANNOUNCE,
    NO_QR,
    {
      name: "wait",
      value: { type: "seconds", name: "SECONDS", max: MAX_WAIT_SECONDS },
      help: "when standard input is no terminal: how long to wait for acknowledgements at its " +
        `end (default ${DEFAULT_WAIT_SECONDS})`,
    },
    { name: "json", help: "one JSON object a line on standard input and output" },
    { name: "quiet", help: "only messages and errors" },
  ],
  exclusive: [["password", "password-file"]],
  subcommands: [
    {
      name: "forget",
      argument: "HOST[:PORT]",
      help: "forget the key of that server, so that a new one is accepted",
      options: [],
    },
    {
      name: "join-key",
      argument: "FINGERPRINT",
      help: "print the join key of the server with that fingerprint; asks for the password",
      options: ["password", "password-file"],
    },
    {
      name: "doctor",
      argument: "",
      help: "look for what may keep one from talking, and say what to do",
      options: ["host", "port", "fingerprint", "password", "password-file", "key", "json"],
    },
    COMPLETIONS,
  ],
  wordHint: "a server is named as --host ADDRESS",
  environment: [...ENVIRONMENT, ["NO_COLOR", "if set, no colours"]],
  examples: [
    ["client --serve", "start a chat on this computer"],
    ["client --host 192.168.1.20 --nick alice", "join it from another one"],
    ["uptime | client --host 192.168.1.20", "send the output of a program"],
  ],
};
