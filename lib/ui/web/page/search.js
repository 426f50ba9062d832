/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// @ts-check
/** Looking for something that was said: in what the program keeps, then in one's own history. */

import { $, button, face, h, iconButton } from "./dom.js";
import { entriesOf } from "./history.js";
import { clock, content, proof } from "./message.js";
import { dayName } from "./text.js";

/** @typedef {import("./parts.js").Page} Page */
/** @typedef {import("./state.js").Entry} Entry */

/** A search begins so long after the last key, in ms. */
const TYPING_MS = 200;

/** @param {Page} page */
export function makeSearch(page) {
  const box = $("search");
  /** @type {any} */
  const input = h("input", {
    type: "search",
    "aria-label": "Search in this conversation",
    placeholder: "Search in this conversation",
    autocomplete: "off",
    spellcheck: "false",
  });
  const found = h("ol.hits", {});
  const status = h("p.status", { role: "status" });
  box.append(
    h("div.line", {}, input, iconButton("close", "End the search", close)),
    status,
    found,
  );
  /** The messages that were found. @type {Set<string>} */
  const names = new Set();
  /** Rises with every search: an answer to an earlier one is dropped. */
  let turn = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  function hide() {
    clear();
    box.hidden = true;
  }

  function close() {
    hide();
    page.focusText();
  }

  /** @param {Entry} entry */
  function hit(entry) {
    const { seq } = entry;
    const nick = entry.type === "notice" ? "Hearth" : entry.nick;
    const words = entry.type === "file" ? [entry.name] : content(entry.text);
    const text = h("span.text", { dir: "auto" }, words);
    for (const element of text.querySelectorAll("button")) element.remove();
    return h(
      "li",
      {},
      face(entry.type === "notice" ? "" : entry.from, nick),
      h(
        "div.who",
        {},
        h(
          "p.head",
          {},
          h("bdi.name", {}, nick),
          entry.type !== "notice" && proof(entry, false),
          h("span.when", {}, dayName(entry.at, Date.now())),
          clock(entry.at),
        ),
        text,
      ),
      seq !== undefined
        ? button("Show", () => {
          box.hidden = true;
          page.goTo(seq);
        })
        : entry.type === "message" && button("Show", () => {
          clear();
          found.append(hit(entry));
          const conversation = page.state.place;
          more({ type: "history", conversation, before: entry.id });
        }),
    );
  }

  /** @param {Record<string, unknown>} request */
  async function more(request) {
    const mine = turn;
    const result = await page.request(request);
    if (mine !== turn) return;
    if (!result.ok) {
      status.textContent = result.message;
      return;
    }
    const isHistory = request.type === "history";
    /** @type {Entry[]} */
    const entries = isHistory ? entriesOf(result.entries) : result.entries;
    for (const entry of entries) {
      const name = entry.type === "message" ? `${entry.from} ${entry.id}` : undefined;
      if (name !== undefined && names.has(name)) continue; // the history has what is kept, too
      if (name !== undefined) names.add(name);
      found.append(hit(entry));
    }
    const count = found.childElementCount;
    status.textContent = count === 0 ? "Nothing was found." : `${count} found`;
    box.querySelector(".further")?.remove();
    const last = entries.at(-1);
    if (result.more && last) {
      const before = last.type === "message" && isHistory ? last.id : last.seq;
      offer("Earlier ones", () => more({ ...request, before }));
    } else if (!isHistory) {
      const { find: search, conversation } = request;
      offer("Look in the history, too", () => more({ type: "history", conversation, search }));
    }
  }

  /** What can be looked for after what was found. @param {string} label @param {() => void} click */
  function offer(label, click) {
    found.after(h("p.further", {}, button(label, click)));
  }

  function clear() {
    turn++;
    names.clear();
    found.replaceChildren();
    box.querySelector(".further")?.remove();
    status.textContent = "";
  }

  function start() {
    clear();
    const find = input.value.trim();
    if (find !== "") more({ type: "entries", conversation: page.state.place, find });
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(start, TYPING_MS);
  });
  box.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape") close();
  });

  return {
    hide,
    open() {
      box.hidden = false;
      input.select();
      start();
    },
    get isOpen() {
      return !box.hidden;
    },
  };
}
