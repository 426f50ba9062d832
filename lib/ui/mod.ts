/**
 * The faces of the client. The chat (`chat.ts`) is imported late: a pipe never loads it.
 *
 * @module
 */

export type { Face, FaceContext, HistoryControls } from "./face.ts";
export { RECAP_ON } from "./history_commands.ts";
export { historyLines } from "./history_words.ts";
export { makeJsonFace } from "./json.ts";
export { makePipeFace } from "./pipe.ts";
export { RecallFile } from "./recall.ts";
export {
  loadSettings,
  MAX_ROOMS,
  saveSettings,
  type Settings,
  SettingsKeeper,
} from "./settings.ts";
