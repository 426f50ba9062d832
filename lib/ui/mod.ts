/**
 * What the program needs of the faces of the client before it has one; each is loaded late.
 *
 * @module
 */

export type { Face, FaceContext, HistoryControls } from "./face.ts";
export type { RecallFile } from "./recall.ts";
export {
  loadSettings,
  MAX_ROOMS,
  saveSettings,
  type Settings,
  SettingsKeeper,
} from "./settings.ts";
