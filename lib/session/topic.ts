/**
 * The topic of the room, which any member may set (PROTOCOL.md §6, "Topic").
 *
 * @module
 */

import { compareBytes, encodeUtf8 } from "../base/bytes.ts";
import { UsageError } from "../base/errors.ts";
import { MAX_TOPIC_BYTES } from "../protocol/messages.ts";

/** A topic that claims to be set later than this from now is ignored, §6. */
const MAX_AHEAD_MS = 24 * 3600 * 1000;

export interface TopicMessage {
  readonly type: "topic";
  /** Milliseconds since 1970, as its setter claims. */
  readonly time: number;
  /** Empty for none. */
  readonly text: string;
}

/** The greatest topic: by time, then by text. */
export class Topic {
  /** Undefined before anybody has set one. */
  known: TopicMessage | undefined;

  /**
   * Sets the topic.
   *
   * @param now Milliseconds since 1970.
   * @throws {UsageError} When the text is too long.
   */
  set(text: string, now: number): TopicMessage {
    if (encodeUtf8(text).length > MAX_TOPIC_BYTES) {
      throw new UsageError(`a topic has at most ${MAX_TOPIC_BYTES} bytes`);
    }
    const time = Math.max(0, now, (this.known?.time ?? -1) + 1);
    return this.known = { type: "topic", time, text };
  }

  /** Tells whether a topic of a member would replace ours. @param now Milliseconds since 1970. */
  isNewer(topic: TopicMessage, now: number): boolean {
    return topic.time <= now + MAX_AHEAD_MS && isGreater(topic, this.known);
  }
}

/** Tells whether a topic is greater than another, §6. */
export function isGreater(topic: TopicMessage, other: TopicMessage | undefined): boolean {
  if (!other || topic.time !== other.time) return topic.time > (other?.time ?? -1);
  return compareBytes(encodeUtf8(topic.text), encodeUtf8(other.text)) > 0;
}
