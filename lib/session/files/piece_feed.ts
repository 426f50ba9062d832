/**
 * What comes through the relay on its way to the Worker: what comes during one call goes with the next one.
 *
 * @module
 */

import type { FileFrame } from "../../protocol/file_frames.ts";
import { MAX_FILE_WINDOW_BYTES } from "./window.ts";

/** Of the present way and of the one before: nobody has more under way, §15. */
export const MAX_WAITING_BYTES: number = 2 * MAX_FILE_WINDOW_BYTES;
/** What a frame without DATA counts. */
const FRAME_BYTES = 64;

export class PieceFeed {
  readonly #take: (frames: readonly FileFrame[]) => Promise<void>;
  #waiting: FileFrame[] = [];
  #bytes = 0;
  #isTaking = false;

  /** @param take Resolves once the frames are on the disk. */
  constructor(take: (frames: readonly FileFrame[]) => Promise<void>) {
    this.#take = take;
  }

  /** @returns Whether there was room for it: else the sender does not keep to the window. */
  add(frame: FileFrame): boolean {
    this.#bytes += FRAME_BYTES + (frame.type === "data" ? frame.data.length : 0);
    if (this.#bytes > MAX_WAITING_BYTES) return false;
    this.#waiting.push(frame);
    if (!this.#isTaking) void this.#run();
    return true;
  }

  async #run(): Promise<void> {
    this.#isTaking = true;
    while (this.#waiting.length > 0) {
      const frames = this.#waiting;
      this.#waiting = [];
      this.#bytes = 0;
      await this.#take(frames);
    }
    this.#isTaking = false;
  }
}
