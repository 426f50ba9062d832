/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// @ts-check
/** The page: what the program tells becomes elements, what is done to them is told to the program. */

import { makeAlerts } from "./alerts.js";
import { makeBar } from "./bar.js";
import { makeCards } from "./cards.js";
import { makeComposer } from "./compose.js";
import { $ } from "./dom.js";
import { fetchCut, forgetComing, takeBytes } from "./files.js";
import { makeList } from "./list.js";
import { makeLog } from "./log.js";
import { makeSearch } from "./search.js";
import { Socket, takeSecret } from "./socket.js";
import { fingerprintOf, State } from "./state.js";
import { makeUploads } from "./uploads.js";

/** Changes are shown at most so often, in ms. */
const SHOW_MS = 30;
/** An entry has been seen after so long on the screen, in ms. */
const SEEN_MS = 2000;

const app = $("app");
const state = new State();
/** @type {Socket} */
let socket;

/** @type {import("./parts.js").Page} */
const page = {
  state,
  get socket() {
    return socket;
  },

  /** Asks the program for something. @param {Record<string, unknown>} message @returns {Promise<any>} */
  request: (message) => socket.ask(message),

  /** Does something to an entry of the conversation that is shown. @param {string} type @param {{ seq?: number }} entry @param {Record<string, unknown>} more */
  async ask(type, { seq: entry }, more) {
    const conversation = state.place;
    page.told(await socket.ask({ type, conversation, entry, ...more }), conversation);
  },

  /** @param {string} line @returns {Promise<any>} */
  command: (line) => socket.ask({ type: "command", conversation: state.place, line }),

  /** What was refused is said where it was asked. @param {any} result */
  told({ ok, message, hint }, where = state.place) {
    if (!ok && where === state.place) log.tell("error", message, hint);
  },

  /** Runs a command, and shows what it answers. @param {string} line */
  async run(line) {
    const { place } = state;
    const result = await page.command(line);
    if (result.ok) page.answered(result, place);
    else page.told(result, place);
  },

  /** Shows the answer to a command where it was typed. @param {any} result @param {string} where */
  answered({ lines, command, room, conversation }, where) {
    if (where !== state.place) return;
    const turned = conversation ?? (command === "join" && room ? `room:${room}` : undefined);
    if (turned !== undefined) page.go(turned);
    else if (lines?.length > 0) page.say(lines);
  },

  /** @param {string | string[]} lines */
  say: (lines) => log.tell("answer", [lines].flat().join("\n")),

  /** Turns to a conversation. @param {string} id */
  async go(id) {
    compose.keepDraft();
    state.place = id;
    search.hide();
    app.classList.add("in");
    showPlace();
    if (matchMedia("(hover: hover)").matches) compose.focus();
    if (!state.open.includes(id) && fingerprintOf(id)) {
      page.told(await page.command(`/query ${fingerprintOf(id)}`), id);
    }
    if (state.place === id) socket.ask({ type: "show", conversation: id });
  },

  soon,
  follow: () => log.follow(),
  chooseMessage: () => log.choose(-1),
  /** @param {number} seq */
  goTo: (seq) => log.goTo(seq),
  /** @param {import("./state.js").Quote} quote */
  goToQuoted({ id, of, own }) {
    const entry = state.here.entries.findLast((entry) =>
      entry.type === "message" && entry.id === id &&
      (of !== undefined ? entry.from === of : entry.own === own)
    );
    if (entry?.seq !== undefined) log.goTo(entry.seq);
    else log.tell("info", "That message is further up: search finds it.");
  },
  /** @param {"quote" | "edit"} type @param {import("./state.js").MessageEntry} entry */
  turn: (type, entry) => compose.about(type, entry),
  focusText: () => compose.focus(),
  showSend: () => compose.showSend(),
  openSearch: () => search.open(),
  showList() {
    app.classList.remove("in");
    list.focus();
  },

  /** @param {string} fingerprint */
  showPerson: (fingerprint) => cards.showPerson(fingerprint),
  /** @param {import("./state.js").Person} person */
  verify: (person) => cards.verify(person),
  invite: () => cards.invite(),
  join: () => cards.join(),
  showSelf: () => cards.showSelf(),
  showPlaceCard: () => cards.showPlace(),

  theme: () => localStorage.getItem("theme") ?? "system",
  /** @param {string} theme */
  setTheme(theme) {
    if (theme === "light" || theme === "dark") localStorage.setItem("theme", theme);
    else localStorage.removeItem("theme");
    showTheme();
  },

  get alerts() {
    return alerts;
  },
  get uploads() {
    return uploads;
  },
};

const alerts = makeAlerts(page);
const uploads = makeUploads(page);
const compose = makeComposer(page);
const cards = makeCards(page);
const search = makeSearch(page);
const list = makeList(page);
const bar = makeBar(page);
const log = makeLog(page);

// What the program tells.

/** @param {any} message */
function take(message) {
  if (message.type === "took") return uploads.took(message);
  const change = state.take(message);
  switch (change?.type) {
    case "ready":
      if (state.isLive) beLive(); // what it missed follows
      return;
    case "live":
      showPlace();
      return beLive();
    case "closed":
      if (state.isLive) page.go(state.open.at(-1) ?? "client");
      return;
    case "log":
      if (state.isLive && change.id === state.place) log.showAll();
      return soon();
    case "entry":
      takeEntry(change);
      return soon();
    case "people":
    case "heads":
      return soon();
  }
}

/** The program is told what is seen here, and what was written without it. */
function beLive() {
  socket.ask({ type: "show", conversation: state.place });
  look();
  compose.tellDrafts();
}

/** @param {Extract<import("./state.js").Change, { type: "entry" }>} change */
function takeEntry({ id, entry, how }) {
  if (!state.isLive) return;
  if (id === state.place) {
    if (how === "changed") log.change(entry);
    else if (how === "new") log.add(entry);
    else log.showAll();
    newestAt = Date.now();
  }
  if (how !== "changed") alerts.tell(state.of(id), entry);
}

let isDue = false;
/** What many messages at once change is shown once. */
function soon() {
  if (isDue || !state.isLive) return;
  isDue = true;
  setTimeout(() => {
    isDue = false;
    bar.show();
    compose.show();
    log.refresh();
    list.show();
    cards.refresh();
    showTitle();
  }, SHOW_MS);
}

function showPlace() {
  app.hidden = false;
  $("gate").hidden = true;
  bar.show();
  compose.turn();
  compose.show();
  uploads.show();
  log.turn();
  list.show();
  showTitle();
  newestAt = Date.now();
}

function showTitle() {
  const unread = state.list.reduce((sum, { unread }) => sum + unread, 0);
  document.title = (unread > 0 ? `(${unread}) ` : "") + `${state.here.title} – Hearth`;
}

/** Whether the person looks: the program keeps what is unread. */
function look() {
  if (state.isLive) socket.ask({ type: "look", looking: document.hasFocus() });
}

/** When the newest entry came onto the screen, in ms since 1970. */
let newestAt = 0;
/** The newest entry that the program was told of as read. */
let read = 0;
/** What was on the screen for a while, and then something was done, has been read. */
function tellRead() {
  if (!state.isLive || !document.hasFocus() || !log.isFollowing) return;
  const entry = state.here.entries.findLast((entry) =>
    entry.type === "message" && !entry.own && !entry.hearsay && entry.past === undefined
  );
  if (!entry?.seq || entry.seq <= read || Date.now() - newestAt < SEEN_MS) return;
  read = entry.seq;
  socket.ask({ type: "read", conversation: state.place, entry: read });
}

// What one does.

addEventListener("focus", look);
addEventListener("blur", look);
document.addEventListener("pointerdown", tellRead);
addEventListener("pagehide", () => state.isLive && compose.keepDraft());
document.addEventListener("keydown", (event) => {
  tellRead();
  const { key, altKey, ctrlKey, metaKey, target } = event;
  if (app.hidden || cards.isOpen) return;
  if (altKey && (key === "ArrowDown" || key === "ArrowUp")) {
    event.preventDefault();
    return list.step(key === "ArrowDown" ? 1 : -1);
  }
  if ((ctrlKey || metaKey) && key === "f" && !search.isOpen) {
    event.preventDefault();
    return search.open();
  }
  const isTyping = key.length === 1 && key !== " " && !ctrlKey && !metaKey && !altKey;
  if (isTyping && !(/** @type {Element} */ (target)).closest("input, textarea, select")) {
    compose.focus();
  }
});

// Files that are dragged here: they are shown, and sent only on Enter.
const drop = $("drop");
/** Elements that are dragged over. */
let depth = 0;
const canDrop = () => !app.hidden && !$("attach").disabled && !cards.isOpen;
document.addEventListener("dragenter", (event) => {
  if (!event.dataTransfer?.types.includes("Files") || !canDrop()) return;
  depth++;
  drop.hidden = false;
  const { kind, title } = state.here;
  drop.firstElementChild.textContent = kind === "person"
    ? `For ${title} alone`
    : `For everybody in ${title}`;
});
document.addEventListener("dragleave", () => {
  depth = Math.max(0, depth - 1);
  drop.hidden = depth === 0;
});
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault(); // else the browser would leave the chat and show the file
  depth = 0;
  drop.hidden = true;
  if (!canDrop()) return;
  uploads.add(event.dataTransfer?.files ?? []);
  compose.focus();
});

// The beginning.

function showTheme() {
  const theme = page.theme();
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

/** Says why there is no chat. @param {string} words @param {string[]} [lost] What may not have been sent. */
function gate(words, lost = []) {
  app.hidden = true;
  $("gate").hidden = false;
  $("gate").querySelector("p").textContent = words;
  const texts = $("lost");
  texts.hidden = lost.length === 0;
  texts.querySelector("pre").textContent = lost.join("\n");
}

/** @param {"open" | "closed" | "refused" | "full"} how */
function showSocket(how) {
  bar.setProgram(how === "open");
  if (how === "open") fetchCut();
  else {
    uploads.cut();
    forgetComing();
  }
  cards.forgetServers();
  if (how === "refused") {
    const lost = socket.unanswered.map(({ text, line }) => text ?? line).filter(Boolean);
    gate(
      "This link is of an earlier start of Hearth. Open the one that it shows now in its terminal.",
      lost,
    );
  } else if (how === "full") {
    gate("Four pages of Hearth are open already. Close one of them and load this one again.");
  }
}

/** Whether the browser keeps anything for a page. */
function canKeep() {
  try {
    return Boolean(localStorage && sessionStorage);
  } catch {
    return false;
  }
}

function start() {
  if (getComputedStyle($("old")).display !== "none") return; // it says why
  if (!canKeep()) {
    return gate(
      "This browser keeps nothing for any page, which this one needs for its link. Allow it for 127.0.0.1, then open the link again.",
    );
  }
  showTheme();
  const secret = takeSecret();
  if (secret === null) {
    return gate(
      "Open this page with the link that Hearth shows in its terminal: it lets only you in.",
    );
  }
  socket = new Socket(secret, {
    have: () => state.have,
    message: take,
    bytes: takeBytes,
    state: showSocket,
  });
}

start();
