/**
 * SHA-256 of what is already there when a transfer goes on, and of a folder's listing (PROTOCOL.md §15).
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { Bytes } from "../base/bytes.ts";

/** SHA-256 of bytes that come piece by piece. */
export class FileHash {
  readonly #hash = createHash("sha256");

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  /** @returns 32 bytes; call it once. */
  digest(): Bytes {
    return new Uint8Array(this.#hash.digest());
  }
}
