/**
 * The JSON face: one event or request a line, both ways. What is asked of rooms is loaded with the session.
 *
 * @module
 */

import { reportError, UsageError } from "../base/errors.ts";
import { leftOutText } from "../base/output.ts";
import { escapeJson } from "../base/text.ts";
import type { SessionEvent } from "../session/mod.ts";
import type { Face, FaceContext } from "./face.ts";
import type { JsonEvent, JsonRooms } from "./json_rooms.ts";
import { Output } from "./standard_output.ts";

/** Makes the face of `--json`. */
export function makeJsonFace({ waitMs }: { readonly waitMs: number }): Face {
  return new JsonFace(waitMs);
}

class JsonFace implements Face {
  readonly #waitMs: number;
  readonly #output = new Output((count) =>
    escapeJson({ event: "notice", text: leftOutText(count) })
  );
  #rooms: JsonRooms | undefined;

  constructor(waitMs: number) {
    this.#waitMs = waitMs;
  }

  emit(event: SessionEvent, room: string): void {
    if (this.#rooms) this.#rooms.emit(event, room);
    else this.#write(event);
  }

  /** @param room Named where there was more than one; undefined if the event is about no room. */
  #write(event: JsonEvent, room?: string): void {
    const { event: type, ...fields } = event;
    const where = room === undefined ? {} : { room };
    this.#output.writeLine(escapeJson({ event: type, ...where, ...fields, ...where }));
  }

  say(text: string): void {
    this.#write({ event: "notice", text });
  }

  greet(): void {}

  progress(): void {}

  ask(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async attach(context: FaceContext): Promise<void> {
    const { JsonRooms }: typeof import("./json_rooms.ts") = await import(
      "./json_rooms.ts" as string
    );
    this.#rooms = new JsonRooms(context, (event, room) => this.#write(event, room));
  }

  run(): Promise<boolean> {
    return Promise.race([this.#rooms!.takeInput(this.#waitMs), this.#output.closed]);
  }

  fail(error: unknown): void {
    const hint = error instanceof UsageError ? error.hints.join("; ") : "";
    const message = error instanceof Error ? error.message : String(error);
    this.#write({ event: "error", code: "fatal", message, hint });
    reportError("client", error);
  }

  close(): void {
    this.#write({ event: "bye" });
  }
}
