// @ts-check
/** One's own history, as the program gives it: messages, and what was done to them. Pure. */

/**
 * @typedef {object} Chat
 * @property {"chat"} event
 * @property {string} id
 * @property {string} nick
 * @property {string} fingerprint
 * @property {string} sent ISO 8601.
 * @property {string} [at] When it was shown, ISO 8601.
 * @property {boolean} action
 * @property {"same" | "differs"} view
 * @property {string} text
 * @property {boolean} [own]
 */
/**
 * @typedef {object} Note
 * @property {"note"} event
 * @property {"reaction" | "unreaction" | "edit" | "retraction"} what
 * @property {string} ref The id of the message.
 * @property {string} [of] Whose message that is; their own by default.
 * @property {string} nick
 * @property {string} fingerprint
 * @property {string} text
 */
/** @typedef {import("./state.js").MessageEntry} MessageEntry */

/** The messages of a history, the newest first. @param {(Chat | Note)[]} events @returns {MessageEntry[]} */
export function entriesOf(events) {
  /** @type {MessageEntry[]} */
  const entries = [];
  for (const event of events) {
    if (event.event === "chat") entries.unshift(entryOf(event));
    else {
      const { ref, of = event.fingerprint } = event;
      const entry = entries.find(({ id, from }) => id === ref && from === of);
      if (entry) apply(event, entry);
    }
  }
  return entries;
}

/** @param {Chat} chat @returns {MessageEntry} */
function entryOf({ id, nick, fingerprint, sent, at = sent, action, view, text, own = false }) {
  return {
    type: "message",
    id,
    from: fingerprint,
    nick,
    trust: own ? "self" : "known",
    own,
    at: Date.parse(at),
    action,
    text,
    mention: false,
    view,
    reactions: [],
    edited: false,
    retracted: false,
  };
}

/** @param {Note} note @param {MessageEntry} entry */
function apply({ what, fingerprint, nick, text }, entry) {
  if (what === "edit") Object.assign(entry, { text, edited: true });
  else if (what === "retraction") {
    Object.assign(entry, { text: "", retracted: true, reactions: [] });
  } else {
    const by = { fingerprint, nick };
    for (const [, reactors] of entry.reactions) {
      const at = reactors.findIndex((reactor) => reactor.fingerprint === fingerprint);
      if (at >= 0) reactors.splice(at, 1);
    }
    if (what === "reaction") {
      const same = entry.reactions.find(([emoji]) => emoji === text);
      if (same) same[1].push(by);
      else entry.reactions.push([text, [by]]);
    }
    entry.reactions = entry.reactions.filter(([, reactors]) => reactors.length > 0);
  }
}
