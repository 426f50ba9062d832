// @ts-check
/** What a text is made of, and what belongs together. Pure: knows no document, so that plain tests reach it. */

/** @typedef {{ kind: "text" | "code" | "block" | "link", text: string }} Part */

const PARTS =
  /```(?:[\w+-]*\n)?([\s\S]+?)```|`([^`\n]+)`|(https?:\/\/[^\s<>"'`\u200b-\u200f\u202a-\u202e\u2066-\u2069]+)/g;

/** Splits a text into plain text, code between backticks, and web addresses. @param {string} text @returns {Part[]} */
export function split(text) {
  /** @type {Part[]} */
  const parts = [];
  let at = 0;
  for (const match of text.matchAll(PARTS)) {
    let [whole, block, code, link] = match;
    if (link !== undefined) whole = link = trimLink(link);
    if (match.index > at) parts.push({ kind: "text", text: text.slice(at, match.index) });
    if (block !== undefined) {
      parts.push({ kind: "block", text: showTurns(block.replace(/\n$/, "")) });
    } else if (code !== undefined) parts.push({ kind: "code", text: showTurns(code) });
    else if (link !== undefined) parts.push({ kind: "link", text: link });
    at = match.index + whole.length;
  }
  if (at < text.length) parts.push({ kind: "text", text: text.slice(at) });
  return parts;
}

/** Code is run as it stands, not as characters that turn its direction let it look. @param {string} code */
function showTurns(code) {
  return code.replaceAll(
    /[\u202a-\u202e\u2066-\u2069]/g,
    (turn) => `⟨${turn.charCodeAt(0).toString(16).toUpperCase()}⟩`,
  );
}

/** The full stop after a sentence, and a bracket that it did not open, are not of the address. @param {string} link */
function trimLink(link) {
  for (;;) {
    const last = link.at(-1) ?? "";
    const unopened = last === ")" && !link.includes("(");
    if (!/[.,;:!?…'"]/.test(last) && !unopened) return link;
    link = link.slice(0, -1);
  }
}

/** One to three emoji and nothing else. @param {string} text */
export function isOnlyEmoji(text) {
  return /^(?:\s*(?:\p{RGI_Emoji})\s*){1,3}$/v.test(text);
}

const GROUP_MS = 5 * 60_000;

/** @typedef {{ type: string, from?: string, at: number, action?: boolean, late?: string, view?: string, hearsay?: string[], past?: string }} Said */

/** Whether a message stands under the same name as the one before. @param {Said | undefined} before @param {Said} entry */
export function continues(before, entry) {
  return before !== undefined && before.type !== "notice" && entry.type !== "notice" &&
    before.from === entry.from &&
    !before.hearsay && !entry.hearsay && before.past === entry.past && !before.action &&
    !entry.action && !entry.late &&
    entry.view !== "differs" &&
    entry.at - before.at < GROUP_MS &&
    isSameDay(before.at, entry.at);
}

/** @param {number} a @param {number} b */
export function isSameDay(a, b) {
  return new Date(a).toDateString() === new Date(b).toDateString();
}

/** @param {number} at @param {number} now */
export function dayName(at, now) {
  const days = Math.round((midnight(now) - midnight(at)) / 86_400_000);
  if (days === 0) return "Today";
  if (days === 1) return "Yesterday";
  return new Date(at).toLocaleDateString("en-GB", {
    weekday: "long",
    day: "numeric",
    month: "long",
  });
}

/** @param {number} at */
function midnight(at) {
  return new Date(at).setHours(0, 0, 0, 0);
}

/** A colour of their own, 0 to 359. @param {string} fingerprint */
export function hueOf(fingerprint) {
  let sum = 7;
  for (const char of fingerprint.slice(-12)) sum = (sum * 31 + char.charCodeAt(0)) % 9973;
  return (sum * 137) % 360;
}

/** Writes a number of bytes with a unit: `812 B`, `12.4 MB`. @param {number} count */
export function formatBytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; count >= 999.5 && unit < units.length - 1; unit++) count /= 1000;
  return `${count.toFixed(unit === 0 || count >= 99.95 ? 0 : 1)} ${units[unit]}`;
}

/** How long the rest of a file takes: `12 s`, `1:05`; empty if that cannot be said. @param {number} rest In bytes. @param {number} speed In bytes a second. */
export function timeLeft(rest, speed) {
  if (speed <= 0) return "";
  const seconds = Math.max(0, Math.ceil(rest / speed));
  if (seconds < 60) return `${seconds} s`;
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0
    ? `${hours}:${two(minutes)}:${two(seconds % 60)}`
    : `${minutes}:${two(seconds % 60)}`;
}

/** @param {number} number @param {string} one @param {string} many */
export function count(number, one, many) {
  return number === 1 ? `1 ${one}` : `${number} ${many}`;
}
