/**
 * Finds the user's nick in a text.
 *
 * @module
 */

/** Whether `text` contains `nick` as a whole word, ignoring case. */
export function mentions(text: string, nick: string): boolean {
  return mentionPattern(nick).test(text);
}

/** The last pattern made: nearly always that of the user's own nick. */
let pattern: { readonly nick: string; readonly regExp: RegExp } | undefined;

/** Finds a nick as a whole word, ignoring case; every time from the start of a text. */
export function mentionPattern(nick: string): RegExp {
  if (pattern?.nick !== nick) pattern = { nick, regExp: makeMentionPattern(nick) };
  pattern.regExp.lastIndex = 0;
  return pattern.regExp;
}

function makeMentionPattern(nick: string): RegExp {
  // A nick may contain `.` and `-`, but they may also end a sentence.
  const before = String.raw`(?<![\p{L}\p{M}\p{N}_]|[\p{L}\p{M}\p{N}_][.\-])`;
  const after = String.raw`(?![\p{L}\p{M}\p{N}_]|[.\-][\p{L}\p{M}\p{N}_])`;
  // With the flag u, escaping any other character (such as `-`) is a syntax error.
  return new RegExp(before + nick.replace(/[\^$\\.*+?()[\]{}|/]/g, "\\$&") + after, "giu");
}
