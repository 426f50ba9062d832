/**
 * The events of `--json`, as the user manual lists them.
 *
 * @module
 */

import type { Event } from "./program.ts";

type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === "string";
const count: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const flag: Check = (value) => typeof value === "boolean";
const fingerprint = pattern(/^SHA256:[A-Za-z0-9+/]{43}$/);
const fingerprints: Check = (value) => Array.isArray(value) && value.every(fingerprint);
const id = pattern(/^[0-9a-f]{16}$/);
const fileId = pattern(/^[0-9a-f]{32}$/);
const time = pattern(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const seconds: Check = (value) => typeof value === "number" && value > 0 && value <= 30;

function pattern(expression: RegExp): Check {
  return (value) => typeof value === "string" && expression.test(value);
}

function oneOf(...values: readonly string[]): Check {
  return (value) => values.includes(value as string);
}

function orNull(check: Check): Check {
  return (value) => value === null || check(value);
}

const TRUST = oneOf("new", "known", "verified", "conflict");
const ABOUT_TRANSFER: Readonly<Record<string, Check>> = {
  number: count,
  id: fileId,
  fingerprint,
  name: text,
  bytes: count,
};
const WHY = oneOf("left", "lost", "replaced", "removed");

/** The fields of each event after `event`; `?` marks optional ones. */
const CLIENT_EVENTS: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  moved: {
    address: text,
    fingerprint,
    host: orNull(fingerprint),
    by: orNull(fingerprint),
    own: flag,
  },
  searching: { host: orNull(fingerprint), active: flag },
  connected: { address: text, fingerprint, server: oneOf("new", "known") },
  welcome: { room: text, members: count, authenticated: oneOf("password", "key", "none") },
  joined: {
    nick: text,
    fingerprint,
    trust: TRUST,
    weak: flag,
  },
  left: { nick: text, fingerprint, why: WHY },
  chat: {
    id,
    nick: text,
    fingerprint,
    sent: time,
    private: flag,
    action: flag,
    late: flag,
    view: oneOf("same", "differs"),
    "reply?": id,
    "of?": fingerprint,
    text,
    "history?": flag,
    "missed?": flag,
    "hearsay?": fingerprints,
    "at?": time,
    "own?": flag,
    "to?": fingerprints,
  },
  sent: {
    id,
    "ref?": text,
    text,
    private: flag,
    action: flag,
    to: fingerprints,
    "reply?": id,
    "of?": fingerprint,
  },
  note: {
    ref: id,
    "of?": fingerprint,
    what: oneOf("reaction", "unreaction", "edit", "retraction"),
    nick: text,
    fingerprint,
    private: flag,
    text,
    "history?": flag,
    "missed?": flag,
    "own?": flag,
    "to?": fingerprints,
  },
  missed: { from: oneOf("own", "hearsay"), by: fingerprints, count, seconds: count },
  read: { private: orNull(fingerprint), id, "of?": fingerprint },
  topic: { text },
  server: { what: oneOf("motd", "announcement"), text },
  delivered: { id, to: fingerprints },
  undelivered: { id, to: fingerprints },
  history: { "ref?": text, entries: Array.isArray },
  kept: { id, to: fingerprints, until: time },
  nick: { from: text, nick: text, fingerprint },
  lost: { nick: text, fingerprint, count },
  away: { nick: text, fingerprint, text },
  disconnected: { reason: text },
  reconnecting: { seconds },
  self: { nick: text, away: text },
  trust: { fingerprint, nick: text, trust: TRUST },
  ignored: { fingerprint, nick: text, ignored: flag },
  offered: {
    number: count,
    id: fileId,
    "ref?": text,
    name: text,
    size: orNull(count),
    files: count,
    to: fingerprints,
    room: flag,
    leftOut: count,
  },
  offer: {
    number: count,
    id: fileId,
    nick: text,
    fingerprint,
    trust: TRUST,
    room: flag,
    private: flag,
    kind: oneOf("file", "folder"),
    name: text,
    size: orNull(count),
    files: count,
    executable: flag,
  },
  transfer: {
    ...ABOUT_TRANSFER,
    direction: oneOf("in", "out"),
    state: oneOf("waiting", "checking", "direct", "relayed", "paused"),
    size: orNull(count),
    rate: count,
  },
  received: { ...ABOUT_TRANSFER, path: text, took: count, skipped: count },
  sentfile: { ...ABOUT_TRANSFER, took: count, skipped: count },
  transferfailed: {
    ...ABOUT_TRANSFER,
    direction: oneOf("in", "out"),
    code: text,
    message: text,
    hint: text,
  },
  notice: { text, "about?": fingerprint },
  error: { code: text, message: text, hint: text, "ref?": text, "id?": id },
  bye: {},
};

/** The fields of `result` beside `ref`, `command` and `ok`: of a refused command, and of each command. */
const REFUSED: typeof CLIENT_EVENTS[string] = { "status?": count, message: text, hint: text };
const done: Check = (value) => value === 0;
const RESULTS: typeof CLIENT_EVENTS = {
  help: { commands: Array.isArray },
  history: { "entries?": Array.isArray, "history?": oneOf("off", "on", "private") },
  search: { entries: Array.isArray },
  recap: { recap: flag },
  names: { people: Array.isArray },
  msg: { id, to: fingerprints },
  reply: { id, to: fingerprints },
  me: { id },
  react: { id, of: fingerprint, what: oneOf("reaction", "unreaction"), text },
  quote: { id, reply: id, of: fingerprint, "to?": fingerprints },
  edit: { id, text },
  retract: { id },
  topic: { topic: text },
  nick: { nick: text },
  ignore: { nick: text, fingerprint, ignored: flag },
  unignore: { nick: text, fingerprint, ignored: flag },
  verify: { nick: text, fingerprint, "halves?": Array.isArray, "trust?": TRUST },
  trust: { nick: text, fingerprint, trust: TRUST },
  away: { away: text },
  back: { away: text },
  info: {
    address: text,
    serving: flag,
    connected: flag,
    "server?": fingerprint,
    room: text,
    topic: text,
    nick: text,
    fingerprint,
    line: text,
  },
  invite: { "line?": text, "share?": Array.isArray, "id?": id, "to?": fingerprints },
  join: { room: text },
  part: { room: text },
  list: { rooms: Array.isArray },
  send: {},
  accept: {},
  decline: {},
  cancel: {},
  files: { "files?": Array.isArray },
  kick: { status: done, fingerprint },
  ban: { status: done, fingerprint, seconds: count },
  unban: { status: done, fingerprint },
  bans: { status: done, bans: Array.isArray },
  announce: { status: done },
  motd: { status: done },
  quit: {},
};

/** The server's events: the fields after `time` and `event`. */
const CLUSTER_NUMBERS = [
  ...["servers", "members", "rooms", "held", "sent", "received", "messages", "messagesOut"],
  ...["gaps", "malformed", "written", "conflict", "unknown", "fenced", "alone"],
  ...["bytesIn", "bytesOut", "reconnects", "awaySeconds"],
];

const SERVER_EVENTS: typeof CLIENT_EVENTS = {
  listening: {
    port: count,
    addresses: Array.isArray,
    fingerprint,
    "metrics?": text,
    "share?": text,
  },
  joined: { fingerprint, address: text },
  left: { fingerprint, address: text, why: WHY },
  refused: { fingerprint, address: text, reason: text },
  closed: { "fingerprint?": fingerprint, address: text, cause: text },
  kicked: { fingerprint, operator: fingerprint },
  banned: { fingerprint, seconds: count, operator: fingerprint },
  unbanned: { fingerprint, operator: fingerprint },
  announced: { operator: fingerprint },
  motd: { operator: fingerprint },
  cluster: {
    what: oneOf(
      ...["bus-up", "bus-down", "relay-alive", "relay-dead", "fenced", "alone", "rejoined"],
      "numbers",
    ),
    "relay?": text,
    ...Object.fromEntries(CLUSTER_NUMBERS.map((name) => [`${name}?`, count])),
  },
  omitted: { lines: count, "of?": text, "why?": WHY, "reason?": text, "cause?": text },
  stopping: {},
};

/** Characters that must be escaped. */
const UNSAFE = /[[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]--\u200D]/v;

/**
 * Reads a line of `--json`.
 *
 * @throws {Error} When it is not a listed event with exactly its fields.
 */
export function checkJsonLine(line: string): Event {
  if (UNSAFE.test(line)) throw new Error("unsafe characters");
  const event: Record<string, unknown> = JSON.parse(line);
  const ofServer = Object.keys(event)[0] === "time";
  const { time: at, event: name, ...fields } = event;
  if (ofServer ? !time(at) : at !== undefined) throw new Error("a wrong time");
  if (Object.keys(event)[ofServer ? 1 : 0] !== "event") throw new Error("event is not first");
  const shape = ofServer
    ? SERVER_EVENTS[String(name)]
    : name === "result"
    ? resultShape(event)
    : inRoom(CLIENT_EVENTS[String(name)]);
  if (!shape) throw new Error("an unknown event");
  checkFields(fields, shape);
  return event as Event;
}

function resultShape({ command, ok }: Readonly<Record<string, unknown>>) {
  const fields = ok ? RESULTS[String(command)] : REFUSED;
  return inRoom(fields && { "ref?": text, command: text, ok: flag, ...fields });
}

/** Every event of a client says its room once there was more than one. */
function inRoom(shape: Record<string, Check> | undefined) {
  return shape && { ...(shape.room === undefined && { "room?": text }), ...shape };
}

function checkFields(fields: Readonly<Record<string, unknown>>, shape: Record<string, Check>) {
  const rest = { ...fields };
  for (const [field, check] of Object.entries(shape)) {
    const name = field.replace("?", "");
    const isMissing = !(name in rest);
    if (isMissing && name !== field) continue;
    if (isMissing || !check(rest[name])) throw new Error(`a wrong ${name}`);
    delete rest[name];
  }
  const [surplus] = Object.keys(rest);
  if (surplus !== undefined) throw new Error(`an unexpected ${surplus}`);
}
