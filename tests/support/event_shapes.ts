/**
 * The events of `--json` as the user manual lists them: what may stand on a line of standard output.
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
const time = pattern(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const seconds: Check = (value) => typeof value === "number" && value > 0 && value <= 30;

function pattern(expression: RegExp): Check {
  return (value) => typeof value === "string" && expression.test(value);
}

function oneOf(...values: readonly string[]): Check {
  return (value) => values.includes(value as string);
}

const WHY = oneOf("left", "lost", "replaced", "removed");

/** Each event's fields behind `event`; a `?` marks one that may be missing. */
const CLIENT_EVENTS: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  connected: { address: text, fingerprint, server: oneOf("new", "known") },
  welcome: { room: text, members: count },
  joined: {
    nick: text,
    fingerprint,
    trust: oneOf("new", "known", "verified", "conflict"),
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
    text,
  },
  sent: { id, "ref?": text },
  delivered: { id, to: fingerprints },
  undelivered: { id, to: fingerprints },
  nick: { from: text, nick: text, fingerprint },
  lost: { nick: text, fingerprint, count },
  away: { nick: text, fingerprint, text },
  disconnected: { reason: text },
  reconnecting: { seconds },
  notice: { text },
  error: { code: text, message: text, hint: text, "ref?": text },
  bye: {},
};

/** The same of the server, behind `time` and `event`. */
const SERVER_EVENTS: typeof CLIENT_EVENTS = {
  listening: { port: count, addresses: Array.isArray, fingerprint },
  joined: { fingerprint, address: text },
  left: { fingerprint, address: text, why: WHY },
  refused: { fingerprint, address: text, reason: text },
  closed: { "fingerprint?": fingerprint, address: text, cause: text },
  stopping: {},
};

/** What may only be written as an escape. */
const UNSAFE = /[[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]--\u200D]/v;

/**
 * Reads a line of `--json`.
 *
 * @throws {Error} When it is none of the events, with these fields and no other.
 */
export function checkJsonLine(line: string): Event {
  if (UNSAFE.test(line)) throw new Error("unsafe characters");
  const event: Record<string, unknown> = JSON.parse(line);
  const ofServer = Object.keys(event)[0] === "time";
  const { time: at, event: name, ...fields } = event;
  if (ofServer ? !time(at) : at !== undefined) throw new Error("a wrong time");
  if (Object.keys(event)[ofServer ? 1 : 0] !== "event") throw new Error("event is not first");
  const shape = (ofServer ? SERVER_EVENTS : CLIENT_EVENTS)[String(name)];
  if (!shape) throw new Error("an unknown event");
  checkFields(fields, shape);
  return event as Event;
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
  if (surplus !== undefined) throw new Error(`a surplus ${surplus}`);
}
