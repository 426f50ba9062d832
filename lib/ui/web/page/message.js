/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// @ts-check
/** One message, notice or file as elements, and what can be done to it. */

import { button, face, h, icon, iconButton, sign } from "./dom.js";
import { fileCard } from "./files.js";
import { isOnlyEmoji, split } from "./text.js";

/** @typedef {import("./parts.js").Page} Page */
/** @typedef {import("./state.js").Entry} Entry */
/** @typedef {import("./state.js").MessageEntry} MessageEntry */

// Made once: asking for the language each time costs more than the rest of a message.
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const SHORT = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const EMOJI = ["👍", "❤️", "😂", "🎉", "👀", "✅"];
/** UTF-16 units of a reaction that is typed. */
const MAX_REACTION = 32;

/** @param {number} at */
export function clock(at) {
  return h(
    "time",
    { datetime: new Date(at).toISOString(), title: WHOLE.format(at) },
    SHORT.format(at),
  );
}

/** What stands between the bubbles. @param {import("./state.js").NoticeEntry} entry */
export function notice({ seq, level, text, hint }) {
  return h(
    `li.notice.${level}${text.includes("\n") ? ".lines" : ""}`,
    { "data-seq": seq },
    h("span", { dir: "ltr" }, text), // English with a nick in it, which must not turn it round
    hint && h("span.hint", {}, hint),
  );
}

/** The first of somebody's messages, under their name. @param {Page} page @param {Exclude<Entry, { type: "notice" }>} entry */
export function group(page, entry) {
  const time = clock(entry.at);
  if (entry.type === "message" && entry.action && !entry.retracted) {
    return h("li.action", {}, h("div.bubbles", {}, bubble(page, entry)), time);
  }
  if (entry.own) {
    return h(
      "li.group.own",
      {},
      h("p.meta", {}, h("span.sr", {}, "You, "), proof(entry), time),
      h("div.bubbles", {}, bubble(page, entry)),
    );
  }
  return h(
    "li.group",
    {},
    face(entry.from, entry.nick),
    h(
      "p.head",
      {},
      h(
        "button.name",
        { type: "button", "aria-haspopup": "dialog", click: () => page.showPerson(entry.from) },
        h("bdi", {}, entry.nick),
      ),
      proof(entry),
      time,
    ),
    h("div.bubbles", {}, bubble(page, entry)),
  );
}

/** How sure it is who has written it: the sign of their key, or who says that they have. @param {Exclude<Entry, { type: "notice" }>} entry @param {boolean} [isSigned] Whether there is room for a sign. */
export function proof(entry, isSigned = true) {
  const nicks = entry.type === "message" && entry.hearsay;
  if (!nicks) return isSigned && sign(entry.trust);
  const names = nicks.flatMap((nick, i) => [i > 0 && " and ", h("bdi", {}, nick)]);
  return h("span.remark", {}, "told by ", names);
}

/** @param {Page} page @param {Exclude<Entry, { type: "notice" }>} entry */
export function bubble(page, entry) {
  if (entry.type === "file") {
    return h("div.bubble.card", { "data-seq": entry.seq, tabindex: -1 }, fileCard(page, entry));
  }
  const { seq, retracted, edited, quote, text, action, nick, late, view, past, replaced } = entry;
  const isBig = !retracted && !action && !quote && isOnlyEmoji(text);
  const remarks = [
    past,
    edited && !retracted && "edited",
    late && `written ${WHOLE.format(new Date(late))}`,
  ].filter(Boolean);
  return h(
    `div.bubble${isBig ? ".big" : ""}${retracted || replaced ? ".retracted" : ""}${
      entry.mention ? ".calls" : ""
    }${past === undefined ? "" : ".past"}`,
    { dir: "auto", "data-seq": seq, tabindex: -1, title: WHOLE.format(entry.at) },
    quote && !retracted && quoted(page, quote),
    action && !retracted && [h("bdi.name", {}, nick), " "],
    retracted ? "taken back" : replaced ? "has come from its author since" : content(text),
    action && proof(entry, false),
    remarks.length > 0 && h("small.remark.calm", {}, remarks.join(" · ")),
    view === "differs" && h("small.remark", {}, "they may see another room than you"),
    entry.reactions.length > 0 && reactions(page, entry),
  );
}

/** @param {Page} page @param {import("./state.js").Quote} quote */
function quoted(page, quote) {
  const isGone = quote.nick === "" && quote.text === "";
  return h(
    "button.quote",
    { type: "button", dir: "auto", "data-does": "quoted", click: () => page.goToQuoted(quote) },
    isGone
      ? "a message that is not here any more"
      : [h("bdi", {}, quote.own ? "You" : quote.nick), ": ", quote.text || "taken back"],
  );
}

/** Text, with code and web addresses in it. @param {string} whole */
export function content(whole) {
  return split(whole).map(({ kind, text }) => {
    if (kind === "block") return block(text);
    if (kind === "code") return h("code", { dir: "ltr" }, text);
    if (kind !== "link") return text;
    const link = { href: text, target: "_blank", rel: "noopener noreferrer" };
    return h("a", link, h("bdi", {}, text));
  });
}

/** @param {string} text */
function block(text) {
  return h(
    "div.block",
    {},
    h("pre", { tabindex: 0, dir: "ltr" }, h("code", {}, text)),
    copyButton("Copy", text),
  );
}

/** @param {string} label @param {string} text @param {string} [kind] */
export function copyButton(label, text, kind = "copy") {
  const copy = h(`button.${kind}`, {
    type: "button",
    click: async () => {
      await navigator.clipboard.writeText(text);
      copy.textContent = "Copied";
      setTimeout(() => copy.textContent = label, 2000);
    },
  }, label);
  return copy;
}

/** @param {Page} page @param {MessageEntry} entry */
function reactions(page, entry) {
  return h(
    "span.reactions",
    {},
    entry.reactions.map(([emoji, by]) => {
      const isOwn = by.some(({ fingerprint }) => fingerprint === page.state.self.fingerprint);
      const names = by.map(({ nick }) => nick).join(", ");
      return h(
        "button",
        {
          type: "button",
          "data-does": `react ${emoji}`,
          title: names,
          "aria-pressed": String(isOwn),
          click: () => page.ask("react", entry, { text: isOwn ? "" : emoji }),
        },
        h("bdi", {}, emoji),
        ` ${by.length}`,
        h("span.sr", {}, ` of ${names}`),
      );
    }),
  );
}

/** The menu of a message; undefined if nothing can be done with it. @param {Page} page @param {Entry | undefined} entry */
export function acts(page, entry) {
  if (entry?.type !== "message" || entry.retracted || entry.hearsay) return undefined;
  if (entry.past !== undefined || entry.seq === undefined) return undefined;
  /** @param {string} does @param {import("./dom.js").Icon} name @param {string} label @param {() => void} click */
  const act = (does, name, label, click) => iconButton(name, label, click, { "data-does": does });
  const menu = h("span.acts", {
    dir: "ltr",
    role: "group",
    "aria-label": "What to do with this message",
  });
  /** The message keeps the focus, and with it the menu stays. @param {(Node | string)[]} content */
  const show = (...content) => {
    /** @type {HTMLElement | null} */ (menu.closest(".bubble"))?.focus({ preventScroll: true });
    menu.replaceChildren(...content);
  };
  const first = [
    act("quote", "reply", "Reply", () => page.turn("quote", entry)),
    act("react", "smile", "React", () => {
      menu.classList.add("picking");
      /** @type {any} */
      const input = h("input", {
        "aria-label": "Another reaction",
        placeholder: "…",
        maxlength: MAX_REACTION,
        autocomplete: "off",
        spellcheck: "false",
        change: () => react(input.value.trim()),
      });
      show(
        ...EMOJI.map((emoji) => button(emoji, () => react(emoji), "emoji")),
        input,
      );
      menu.querySelector("button")?.focus();
    }),
    act("copy", "copy", "Copy", () => navigator.clipboard.writeText(entry.text)),
    ...entry.own
      ? [
        act("edit", "edit", "Edit", () => page.turn("edit", entry)),
        act("retract", "retract", "Take back", () => page.ask("retract", entry, { text: "" })),
      ]
      : [],
  ];
  /** @param {string} text */
  const react = (text) => {
    menu.classList.remove("picking");
    show(...first);
    if (text !== "") page.ask("react", entry, { text });
  };
  menu.append(...first);
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.classList.contains("picking")) return;
    event.stopPropagation();
    react("");
    menu.querySelector("button")?.focus();
  });
  return menu;
}

/** What became of a message of one's own; undefined if that goes without saying. @param {MessageEntry} entry @param {boolean} isRoom */
export function receipt({ delivery, at }, isRoom) {
  /** @param {import("./dom.js").Icon} name @param {string} words */
  const line = (name, words) =>
    h(`p.receipt.${delivery?.state}`, {}, icon(name), h("span", {}, words));
  switch (delivery?.state) {
    case "waiting":
      return line("clock", "Waits for the connection");
    case "sent":
      if (Date.now() - at < SLOW_MS) return undefined;
      return line("clock", isRoom ? `${delivery.have} of ${delivery.of} have it` : "Not there yet");
    case "received":
      return line("sent", isRoom ? "Received by everyone" : "Received");
    case "failed": {
      const { missing } = delivery;
      return line(
        "conflict",
        missing.length > 0
          ? `Not delivered to ${missing.join(", ")}`
          : "Nobody was here to receive it",
      );
    }
  }
}

/** A message that is not received for so long has its receivers counted. */
export const SLOW_MS = 3000;
