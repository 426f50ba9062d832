/**
 * A sentence for the user, and what is looked up to write one.
 *
 * @module
 */

/** A sentence for the user, in lower case and without a full stop. */
export interface Notice {
  /**
   * `presence`: people come and go; `server`: the server's own word; `answer`: to a command. Answers, warnings and
   * errors cannot be turned off.
   */
  level: "presence" | "info" | "server" | "answer" | "warning" | "error";
  text: string;
  /** What to do about it; may be empty. */
  hint: string;
}

/** Looks up what the words need. */
export interface Names {
  /** The shown nick of someone who is or was here. */
  nickOf(fingerprint: string): string;
  /** The text of a message of the user's own. */
  ownText(id: string): string | undefined;
}
