/**
 * What the user wrote, as it is kept until everybody has it.
 *
 * @module
 */

/** What every message of ours has. */
interface Written {
  /** Its place in the order of everything that was written. */
  readonly serial: number;
  /** The clock's time at which it was written. */
  readonly writtenAt: number;
  readonly private: boolean;
  readonly text: string;
  /** Bytes of the text in UTF-8. */
  readonly bytes: number;
}

/** A CHAT that the user wrote. */
export interface OutgoingChat extends Written {
  readonly type: "chat";
  /** 16 hex digits, the same for all recipients. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly action: boolean;
  /** The reference of the message that it answers, 16 hex digits. */
  readonly reply: string | undefined;
}

/** A NOTE that the user made. */
interface OutgoingNote extends Written {
  readonly type: "note";
  /** The reference of the message that it is about, 16 hex digits. */
  readonly ref: string;
  readonly what: number;
}

export type Outgoing = OutgoingChat | OutgoingNote;
