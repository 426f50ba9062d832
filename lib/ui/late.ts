/**
 * What the program needs of the faces of the client once it has one.
 *
 * @module
 */

export { RECAP_ON } from "./history_commands.ts";
export { historyLines } from "./history_words.ts";
export { RecallFile } from "./recall.ts";
