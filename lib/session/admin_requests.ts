/**
 * Requests to the relay that only its operators may make, until they are answered (PROTOCOL.md §5, "Operators").
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import { UsageError } from "../base/errors.ts";
import { type AdminRequest, encodeAdmin } from "../protocol/admin.ts";
import { encodeFrame } from "../protocol/frames.ts";

/** Requests that wait for their answers. */
const MAX_REQUESTS = 64;

/** What the relay answered to a request. */
export interface AdminResult {
  /** A status of RESULT, §5. */
  readonly status: number;
  readonly data: Bytes;
}

/** Pairs requests with answers. */
export class AdminRequests {
  readonly #waiting = new Map<string, (result: AdminResult | undefined) => void>();
  #count = 0;

  /**
   * Sends a request.
   *
   * @returns The answer; undefined if the connection ended before.
   * @throws {UsageError} When too many wait.
   */
  send(
    request: AdminRequest,
    send: (frame: Uint8Array) => void,
  ): Promise<AdminResult | undefined> {
    if (this.#waiting.size >= MAX_REQUESTS) throw new UsageError("too many requests at once");
    const id = (this.#count++ % 2 ** 32).toString(16).padStart(8, "0");
    send(encodeFrame({ type: "admin", request: id, ...encodeAdmin(request) }));
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  /** RESULT; one of an unknown request is ignored. */
  take(request: string, result: AdminResult): void {
    this.#waiting.get(request)?.(result);
    this.#waiting.delete(request);
  }

  /** The connection is gone. */
  abandon(): void {
    for (const resolve of this.#waiting.values()) resolve(undefined);
    this.#waiting.clear();
  }
}
