/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// @ts-check
/** What has been said in the conversation that is shown. */

import { $, button, clean, h, icon } from "./dom.js";
import { acts, bubble, group, notice, receipt, SLOW_MS } from "./message.js";
import { fingerprintOf } from "./state.js";
import { continues, count, dayName, isSameDay } from "./text.js";

/** @typedef {import("./parts.js").Page} Page */
/** @typedef {import("./state.js").Entry} Entry */

/** Entries that are shown at once. */
const MAX_SHOWN = 300;
/** Entries before one that was looked for. */
const SHOWN_BEFORE = 30;
/** Pixels from the end at which one still follows. */
const NEAR = 40;

/** The log of messages. @param {Page} page */
export function makeLog(page) {
  const [log, scroll, jump] = [$("log"), $("scroll"), $("jump")];
  /** Entries that are shown, from the newest. */
  let shown = MAX_SHOWN;
  /** Entries that are in the document. */
  let rows = 0;
  /** There are newer ones: everything is shown anew, with those. */
  let isBehind = false;
  let isFollowing = true;
  /** The entry shown last, under which a next one may go. @type {Entry | undefined} */
  let last;
  /** Whether the line "New" stands in the log. */
  let isMarked = false;
  /** When the entry shown last was. @type {number | undefined} */
  let day;
  /** The place of the view was taken at: only who scrolls changes whether one follows, not what grows or shrinks. */
  let size = "";

  function showAll() {
    scroll.setAttribute("aria-live", "off"); // what was there before is not news
    const focused = document.activeElement?.closest("#log [data-seq]")?.getAttribute("data-seq");
    log.replaceChildren();
    last = day = undefined;
    isMarked = isBehind = false;
    rows = 0;
    const { here } = page.state;
    if (here.entries.length > shown || page.state.hasEarlier(here)) {
      log.append(h("li.nothing.earlier", {}, button("Earlier messages", earlier)));
    }
    for (const entry of here.entries.slice(-shown)) append(entry);
    showNothing();
    showReceipts();
    follow();
    if (focused) bubbleOf(focused)?.focus({ preventScroll: true });
    requestAnimationFrame(() => scroll.setAttribute("aria-live", "polite"));
  }

  /** Asks for entries before those that are held. @param {string} id @returns {Promise<boolean>} Whether there were some. */
  async function fetchEarlier(id) {
    const before = page.state.of(id).entries[0]?.seq;
    if (before === undefined) return false;
    const { ok, entries } = await page.request({ type: "entries", conversation: id, before });
    if (!ok || entries.length === 0) return false;
    page.state.takeEarlier(id, entries);
    return true;
  }

  /** More of what was said before; the program is asked for what is not here. */
  async function earlier() {
    const { id, entries } = page.state.here;
    if (entries.length <= shown && !await fetchEarlier(id)) return;
    shown += MAX_SHOWN;
    if (id !== page.state.place) return;
    const fromEnd = scroll.scrollHeight - scroll.scrollTop;
    isFollowing = false;
    showAll();
    scroll.scrollTop = scroll.scrollHeight - fromEnd;
  }

  const isAlone = () => {
    const { kind, connection, people } = page.state.here;
    return kind === "room" && connection === "online" && people.length <= 1;
  };

  /** What there is to say, at the end, where nobody has said anything; people come and go. */
  function showNothing() {
    const isSaid = page.state.here.entries.some(({ type }) => type !== "notice");
    const fresh = rows === 0 || isAlone() && !isSaid ? nothing() : undefined;
    const old = log.querySelector(".nothing:not(.earlier)");
    if (old === null ? !fresh : !old.nextSibling && old.textContent === fresh?.textContent) return;
    old?.remove();
    if (fresh) log.append(fresh);
  }

  function nothing() {
    const person = page.state.person(fingerprintOf(page.state.place) ?? "");
    if (!person) {
      const words = isAlone() ? "You are alone here." : "Nothing has been said yet.";
      return h(
        "li.nothing",
        {},
        h("p", {}, words),
        isAlone() && button("Invite somebody", page.invite, "main"),
      );
    }
    const name = h("bdi", {}, person.nick);
    if (person.trust !== "conflict") {
      const words = [
        "Only you and ",
        name,
        " can read what is written here.",
      ];
      return h("li.nothing", {}, icon("lock"), h("p", {}, words));
    }
    return h(
      "li.nothing",
      {},
      icon("conflict"),
      h(
        "p",
        {},
        "You know somebody called ",
        name,
        ", but with another key. Nothing private is sent until you have compared the digits.",
      ),
      button("Compare digits", () => page.verify(person), "main"),
    );
  }

  /** @param {Entry} entry */
  function append(entry) {
    if (day === undefined) log.querySelector("li.nothing:not(.earlier)")?.remove();
    if (day === undefined || !isSameDay(day, entry.at)) {
      last = undefined;
      day = entry.at;
      log.append(h("li.day", {}, dayName(entry.at, Date.now())));
    }
    const isPast = entry.type === "message" && entry.past !== undefined;
    const isOthers = entry.type !== "notice" && !entry.own && !isPast;
    if (isOthers && !isMarked && (entry.seq ?? 0) > page.state.here.readUpTo) {
      isMarked = true;
      log.append(h("li.new", {}, h("span", {}, "New")));
      last = undefined;
    }
    if (entry.type === "notice") log.append(notice(entry));
    else if (continues(last, entry)) {
      log.lastElementChild.querySelector(".bubbles").append(bubble(page, entry));
    } else log.append(group(page, entry));
    last = entry;
    rows++;
  }

  /** @param {Entry} entry */
  function add(entry) {
    if (entry.type === "message" && entry.own) isFollowing = true;
    // So much is in the document at once; who has scrolled up can have more.
    isBehind ||= isFollowing && rows >= 2 * MAX_SHOWN;
    if (!isBehind) append(entry);
  }

  /** @param {string | number | undefined} seq @returns {HTMLElement | null} */
  const bubbleOf = (seq) => log.querySelector(`[data-seq="${seq}"]`);

  /** Gives a message its menu, once it is pointed at or chosen. @param {Element | null | undefined} element */
  function giveActs(element) {
    if (!element || element.querySelector(":scope > .acts")) return;
    const seq = Number(element.getAttribute("data-seq"));
    const menu = acts(page, page.state.here.entries.find((entry) => entry.seq === seq));
    if (menu) element.append(menu);
  }
  for (const type of ["pointerover", "focusin"]) {
    log.addEventListener(type, (/** @type {Event} */ { target }) => {
      giveActs(/** @type {Element} */ (target).closest(".bubble"));
    });
  }

  /** Shows an entry as it is now. @param {Entry} entry */
  function change(entry) {
    const old = bubbleOf(entry.seq);
    if (!old || entry.type === "notice") return;
    const { activeElement } = document;
    const focused = old.contains(activeElement) && activeElement?.getAttribute("data-does");
    const fresh = bubble(page, entry);
    const wasFocused = activeElement === old;
    old.replaceWith(fresh);
    if (last?.seq === entry.seq) last = entry;
    if (wasFocused) fresh.focus();
    if (!focused) return;
    giveActs(fresh);
    /** @type {HTMLElement | null} */
    const same = fresh.querySelector(`[data-does="${CSS.escape(focused)}"]`);
    same?.focus();
  }

  /** What became of one's own messages. */
  function showReceipts() {
    const { here } = page.state;
    const old = new Map();
    for (const element of log.querySelectorAll(".receipt")) {
      old.set(element.getAttribute("data-of"), element);
    }
    for (const entry of here.entries.slice(-shown)) {
      if (entry.type !== "message" || !entry.own || !entry.delivery) continue;
      const age = Date.now() - entry.at;
      if (entry.delivery.state === "sent" && age < SLOW_MS) {
        setTimeout(page.soon, SLOW_MS + 50 - age);
      }
      const fresh = receipt(entry, here.kind === "room");
      if (!fresh) continue;
      const of = String(entry.seq);
      const before = old.get(of);
      old.delete(of);
      if (before && before.getAttribute("data-words") === fresh.textContent) continue;
      before?.remove();
      fresh.setAttribute("data-of", of);
      fresh.setAttribute("data-words", fresh.textContent ?? "");
      if (entry.delivery.state === "sent" && here.kind === "room") askWhoOn(fresh, entry);
      bubbleOf(of)?.after(fresh);
    }
    for (const element of old.values()) element.remove();
  }

  /** Who has not received it is said to whom it interests. @param {HTMLElement} element @param {Entry} entry */
  function askWhoOn(element, entry) {
    element.tabIndex = 0;
    const ask = async () => {
      const conversation = page.state.place;
      const asked = { type: "missing", conversation, entry: entry.seq };
      const { ok, missing } = await page.request(asked);
      if (!ok || missing.length === 0) return;
      const words = element.querySelector("span");
      if (words) words.textContent = `Not yet received by ${missing.join(", ")}`;
    };
    for (const type of ["mouseenter", "focus", "click"]) element.addEventListener(type, ask);
  }

  // Where one looks.

  function follow() {
    if (isFollowing) scroll.scrollTop = scroll.scrollHeight;
    size = `${scroll.clientHeight} ${scroll.scrollHeight}`;
    showJump();
  }

  function showJump() {
    const { unread } = page.state.here;
    jump.hidden = isFollowing;
    jump.textContent = unread > 0
      ? `${count(unread, "new message", "new messages")} ↓`
      : "Latest ↓";
  }

  scroll.addEventListener("scroll", () => {
    if (size !== `${scroll.clientHeight} ${scroll.scrollHeight}`) return follow();
    isFollowing = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR;
    showJump();
  });
  jump.addEventListener("click", () => {
    isFollowing = true;
    if (shown > MAX_SHOWN) {
      shown = MAX_SHOWN;
      showAll();
    } else follow();
  });
  new ResizeObserver(follow).observe(scroll);

  /** Chooses the message above or below the one that is chosen. @param {number} by */
  function choose(by) {
    const all = [...log.querySelectorAll(".bubble")];
    const chosen = document.activeElement?.closest(".bubble");
    const at = chosen ? all.indexOf(chosen) + by : all.length - 1;
    if (at >= all.length) return page.focusText();
    all[Math.max(0, at)]?.focus();
  }
  log.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (!target.matches(".bubble, .bubble *") || target.matches("input")) return;
    if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      event.preventDefault();
      choose(event.key === "ArrowUp" ? -1 : 1);
    } else if (event.key === "Escape") page.focusText();
    else if (event.key === "Enter" && target.matches(".bubble")) {
      event.preventDefault();
      /** @type {HTMLElement | null} */
      const first = target.querySelector(".acts button") ?? target.querySelector("button");
      first?.focus();
    }
  });

  return {
    showAll,
    add,
    change,
    choose,
    follow,
    /** Shows what changed here and there at once. */
    refresh() {
      if (isBehind) return showAll();
      showNothing();
      showReceipts();
      follow();
    },
    /** Shows another conversation, from its end. */
    turn() {
      shown = MAX_SHOWN;
      isFollowing = true;
      showAll();
    },
    get isFollowing() {
      return isFollowing;
    },
    /** Shows an entry that is perhaps not here yet. @param {number} seq */
    async goTo(seq) {
      const { place } = page.state;
      while ((page.state.of(place).entries[0]?.seq ?? 0) > seq && await fetchEarlier(place));
      if (page.state.place !== place) return;
      const { entries } = page.state.here;
      const fromEnd = entries.length - entries.findIndex((entry) => (entry.seq ?? 0) >= seq);
      isFollowing = false;
      if (fromEnd + SHOWN_BEFORE > shown) shown = fromEnd + SHOWN_BEFORE;
      showAll();
      const found = bubbleOf(seq);
      found?.scrollIntoView({ block: "center" });
      found?.classList.add("found");
      found?.focus({ preventScroll: true });
      setTimeout(() => found?.classList.remove("found"), 2000);
    },
    /** What was refused is said where it was asked. @param {string} level @param {string} words @param {string} [hint] */
    tell(level, words, hint) {
      const kind = words.includes("\n") ? ".lines" : "";
      const said = clean([h("span", { dir: "auto" }, words), hint && h("span.hint", {}, hint)]);
      log.append(h(`li.notice.${level}${kind}`, { role: "status" }, ...said));
      last = undefined;
      isFollowing = true;
      follow();
    },
  };
}
