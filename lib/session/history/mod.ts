/**
 * One's own history: a sealed log of each room (PROTOCOL.md §16).
 *
 * @module
 */

export { parseQuery, search, toEvents } from "./history_events.ts";
export { findHistoryKey, forgetHistory, type HistoryKey, openHistoryKey } from "./history_key.ts";
export { Homes } from "./homes.ts";
export { readLogs } from "./log_files.ts";
export { RoomHistory } from "./room_history.ts";
