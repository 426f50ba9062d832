/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// @ts-check
/** What one writes, to whom, and what it answers. */

import { $, h, icon, iconButton } from "./dom.js";
import { fingerprintOf, personId } from "./state.js";

/** @typedef {import("./parts.js").Page} Page */
/** @typedef {import("./state.js").MessageEntry} MessageEntry */

/** A draft is told to the program at most so often, in ms. */
const DRAFT_MS = 300;

const ACTION = /^\/me\s/i;

/** @param {string} text */
const isCommand = (text) => /^\/(?!\/)/.test(text) && !ACTION.test(text);

/** The field that is written in. @param {Page} page */
export function makeComposer(page) {
  const [form, text, about] = [$("compose"), $("text"), $("about")];
  /** What the next text answers or replaces. @type {{ type: "quote" | "edit", entry: MessageEntry, draft: string } | undefined} */
  let subject;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  /** Drafts that the program may not have yet, by their conversations. @type {Map<string, import("./state.js").Draft>} */
  const drafts = new Map();
  /** The conversation that the field belongs to. */
  let place = "";

  /** The program keeps what is being written: a reload loses nothing. */
  function keepDraft() {
    clearTimeout(timer);
    const isEdit = subject?.type === "edit";
    if (!isEdit && page.state.here.draft.text !== text.value) {
      setDraft({ text: text.value, cursor: text.selectionStart });
    }
  }

  /** @param {import("./state.js").Draft} draft */
  function setDraft(draft) {
    page.state.here.draft = draft;
    drafts.set(page.state.place, draft);
    tellDrafts();
  }

  /** What was written without a connection is told when there is one again. */
  function tellDrafts() {
    if (!page.socket.isReady || !page.state.isLive) return;
    for (const [conversation, draft] of drafts) {
      if (!page.state.open.includes(conversation)) continue; // it would be opened again
      page.state.of(conversation).draft = draft;
      page.request({ type: "draft", conversation, ...draft }).then(({ ref }) => {
        if (ref && drafts.get(conversation) === draft) drafts.delete(conversation);
      });
    }
  }

  function showAbout() {
    about.hidden = subject === undefined;
    if (!subject) return;
    const { type, entry } = subject;
    about.replaceChildren(
      icon(type === "edit" ? "edit" : "reply"),
      h(
        "span",
        { dir: "auto" },
        type === "edit"
          ? "Edit: "
          : ["Reply to ", h("bdi", {}, entry.own ? "yourself" : entry.nick), ": "],
        entry.text.slice(0, 120),
      ),
      iconButton("close", type === "edit" ? "Do not edit" : "Do not reply", drop),
    );
  }

  function drop() {
    if (subject?.type === "edit") text.value = subject.draft;
    subject = undefined;
    showAbout();
    resize();
    text.focus();
  }

  // Firefox has no field that grows with its text.
  const isSized = CSS.supports("field-sizing: content");
  function resize() {
    showSend();
    if (isSized) return;
    text.style.height = "auto";
    text.style.height = `${text.scrollHeight}px`;
  }

  function showSend() {
    const isEmpty = text.value.trim() === "" && !page.uploads.isReady;
    $("send").setAttribute("aria-disabled", String(isEmpty || text.disabled));
  }

  /** `/msg NICK ` and `/reply ` turn to that person as their space is typed: Enter comes after. */
  function turnToWhom() {
    const [, nick] = /^\/msg\s+(\S+)\s$/i.exec(text.value) ?? [];
    const isReply = /^\/reply\s$/i.test(text.value);
    if (nick === undefined && !isReply) return;
    const id = isReply ? lastPrivate() : idOf(nick ?? "");
    if (id === undefined) return;
    text.value = "";
    page.go(id);
  }

  /** @param {string} nick */
  function idOf(nick) {
    const isMeant = (/** @type {import("./state.js").Person} */ person) =>
      person.trust !== "self" && [person.nick, person.fingerprint].includes(nick);
    const all = page.state.list.flatMap(({ people }) => people.filter(isMeant));
    const [one, ...others] = new Set(all.map(({ fingerprint }) => fingerprint));
    return one !== undefined && others.length === 0 ? personId(one) : undefined;
  }

  function lastPrivate() {
    let found;
    for (const { id, kind, entries } of page.state.list) {
      if (kind !== "person") continue;
      const { seq = 0 } = entries.findLast((entry) => entry.type === "message" && !entry.own) ?? {};
      if (seq > (found?.seq ?? 0)) found = { id, seq };
    }
    return found?.id;
  }

  async function submit() {
    const value = text.value;
    const where = page.state.place; // whatever comes now, it goes there
    if (!page.socket.isReady || text.disabled) return; // the strip says why
    page.uploads.send(where);
    if (value.trim() === "") return;
    const { type, entry } = subject ?? {};
    const draft = subject?.draft ?? "";
    text.value = type === "edit" ? draft : "";
    clearTimeout(timer);
    drafts.delete(where);
    if (isCommand(value) && type !== "edit") setDraft({ text: "", cursor: 0 });
    else if (type !== "edit") page.state.here.draft = { text: "", cursor: 0 };
    subject = undefined;
    showAbout();
    resize();
    const result = await send(where, value, type, entry);
    if (result.ok) return page.answered(result, where);
    if (page.state.place === where && text.value === "") {
      text.value = value; // to be sent again
      keepDraft();
    }
    resize();
    page.told(result, where);
  }

  /** @param {string} conversation @param {string} value @param {"quote" | "edit"} [type] @param {MessageEntry} [entry] */
  function send(conversation, value, type, entry) {
    if (type === "edit") {
      return page.request({ type, conversation, entry: entry?.seq, text: value });
    }
    const isAction = ACTION.test(value);
    if (isCommand(value)) {
      return page.request({ type: "command", conversation, line: value });
    }
    return page.request({
      type: "say",
      conversation,
      text: isAction ? value.slice(4) : value.replace(/^\/\//, "/"),
      ...(isAction ? { action: true } : {}),
      ...(entry ? { quote: entry.seq } : {}),
    });
  }

  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    submit();
  });
  text.addEventListener("input", () => {
    turnToWhom();
    resize();
    clearTimeout(timer);
    timer = setTimeout(keepDraft, DRAFT_MS);
  });
  text.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      form.requestSubmit();
    } else if (event.key === "ArrowUp" && text.value === "" && !event.altKey) {
      event.preventDefault();
      page.chooseMessage();
    } else if (event.key === "Escape" && subject) drop();
  });
  text.addEventListener("paste", (/** @type {ClipboardEvent} */ event) => {
    const files = event.clipboardData?.files ?? [];
    if (files.length === 0) return;
    event.preventDefault();
    page.uploads.add(files);
  });
  $("send").append(icon("send", "Send"));
  $("picker").addEventListener("change", () => {
    page.uploads.add($("picker").files);
    $("picker").value = "";
    text.focus();
  });
  $("attach").append(icon("clip", "Send a file"));
  $("attach").addEventListener("click", () => $("picker").click());

  return {
    keepDraft,
    tellDrafts,
    showSend,
    /** Takes the draft of the conversation that is shown now; where one writes already, nothing changes. */
    turn() {
      if (place === page.state.place) return;
      place = page.state.place;
      subject = undefined;
      showAbout();
      text.value = page.state.here.draft.text;
      resize();
    },
    /** @param {"quote" | "edit"} type @param {MessageEntry} entry */
    about(type, entry) {
      if (subject?.type === "edit") text.value = subject.draft;
      subject = { type, entry, draft: text.value };
      if (type === "edit") text.value = entry.text;
      showAbout();
      resize();
      text.focus();
    },
    /** Says whom a text goes to, or why nothing can be written. */
    show() {
      const { id, kind, title, connection } = page.state.here;
      const person = page.state.person(fingerprintOf(id) ?? "");
      const problem = kind === "client"
        ? "Commands can be typed here"
        : connection === "left"
        ? "You are not in this room any more"
        : kind !== "person"
        ? ""
        : person?.trust === "conflict"
        ? "Compare the digits first"
        : !person?.here && !person?.lost
        ? `${title} is not here`
        : "";
      text.placeholder = problem ||
        (kind === "person" ? `Message to ${title} alone` : `Message to ${title}`);
      text.setAttribute("aria-label", text.placeholder);
      text.disabled = problem !== "" && kind !== "client";
      $("attach").disabled = text.disabled || kind === "client";
      showSend();
    },
    focus() {
      text.focus();
    },
  };
}
