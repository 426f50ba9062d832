/**
 * `client history`, `client export` and `client history --forget`: one's own history without a chat.
 *
 * @module
 */

import { decodeHex, encodeHex } from "../base/bytes.ts";
import { UsageError } from "../base/errors.ts";
import { stateFolder } from "../base/files.ts";
import { cleanLine, escapeJson } from "../base/text.ts";
import { systemClock } from "../base/clock.ts";
import { ENTRY } from "../protocol/history_entry.ts";
import { decodeFingerprint } from "../protocol/identity.ts";
import { roomTag } from "../protocol/rooms.ts";
import {
  findHistoryKey,
  forgetHistory,
  parseQuery,
  readLogs,
  search,
  toEvents,
} from "../session/history/mod.ts";
import type { RoomHome } from "../session/mod.ts";
import { historyLines } from "../ui/late.ts";
import { loadSettings, saveSettings } from "../ui/mod.ts";
import type { ForgetHistoryRequest, HistoryRequest } from "./arguments.ts";
import { loadKey } from "./key_file.ts";
import { askSecretly } from "./secrets.ts";

const env = (name: string) => Deno.env.get(name);

/** Prints what was kept of a room. @throws {UsageError} Nothing was, or it cannot be read. */
export async function printHistory(request: HistoryRequest): Promise<void> {
  const { room, json } = request;
  const folder = stateFolder(env);
  const [identity, homes] = await Promise.all([
    loadIdentity(folder, request),
    homesOf(folder, room),
  ]);
  const key = await findHistoryKey(folder, identity);
  if (!key || homes.length === 0) throw nothingKept(room);
  const query = parseQuery(request.search, systemClock.wallTime());
  for (const { home, room: tag } of homes) {
    const all = await readLogs(key.roomFolder(decodeFingerprint(home), decodeHex(tag)), key.key);
    const found = request.search === ""
      ? all.filter(({ type }) => type === ENTRY.MESSAGE)
      : search(all, query, Infinity);
    const events = toEvents(found, all, identity.publicKey.fingerprint);
    if (json) { for (const event of events) console.log(escapeJson(event)); }
    else {
      if (homes.length > 1) console.log(`${room}, first met at ${home}:`);
      for (const line of historyLines(events, (person) => person)) console.log(cleanLine(line));
    }
  }
}

/** Removes the history of a room, or all histories and their key. @throws {UsageError} There is none. */
export async function removeHistory(request: ForgetHistoryRequest): Promise<void> {
  const { room } = request;
  const folder = stateFolder(env);
  const identity = await loadIdentity(folder, request);
  const { settings: { history = [] } } = await loadSettings(folder);
  if (room === undefined) {
    await saveSettings(folder, { history: [] });
    if (!await forgetHistory(folder, identity.publicKey.fingerprint)) throw nothingKept();
    console.log("all histories are forgotten");
    return;
  }
  const tag = encodeHex(roomTag(room));
  const key = await findHistoryKey(folder, identity);
  const gone = history.filter((each) => each.room === tag);
  if (!key || gone.length === 0) throw nothingKept(room);
  await saveSettings(folder, { history: history.filter((each) => each.room !== tag) });
  for (const { home } of gone) {
    const path = key.roomFolder(decodeFingerprint(home), decodeHex(tag));
    await Deno.remove(path, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
  console.log(`the history of ${room} is forgotten`);
}

async function homesOf(folder: string, room: string): Promise<RoomHome[]> {
  const { settings: { history = [] } } = await loadSettings(folder);
  const tag = encodeHex(roomTag(room));
  return history.filter((each) => each.room === tag);
}

function loadIdentity(folder: string, { key }: { readonly key: string | undefined }) {
  return loadKey({ folder, name: "identity.pem", keyFile: key, ask: askSecretly });
}

function nothingKept(room?: string): UsageError {
  return new UsageError(
    room === undefined ? "no history is kept" : `no history of ${room} is kept`,
    [
      "client --history keeps one from now on",
    ],
  );
}
