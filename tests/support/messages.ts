/**
 * Messages for the tests of channels and peers.
 *
 * @module
 */

import type { SentMessage } from "../../lib/protocol/messages.ts";

export const INSTANCE = "02".repeat(16);

export const HELLO: SentMessage = { type: "hello", features: 0, instance: INSTANCE, nick: "Anna" };

export function chat(seq: number, text: string): SentMessage {
  return {
    type: "chat",
    seq,
    id: seq.toString(16).padStart(16, "0"),
    time: 0,
    action: false,
    private: false,
    late: false,
    view: new Uint8Array(32),
    reply: undefined,
    text,
  };
}
