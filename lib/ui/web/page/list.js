/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// @ts-check
/** The list beside the conversation: rooms, private conversations, and who else is here. */

import { $, face, h, icon, iconButton, sign } from "./dom.js";
import { fingerprintOf, personId } from "./state.js";

/** @typedef {import("./parts.js").Page} Page */
/** @typedef {import("./state.js").Conversation} Conversation */
/** @typedef {import("./state.js").Person} Person */

/** UTF-16 units of what was said last. */
const MAX_PREVIEW = 80;

/** The list of conversations. @param {Page} page */
export function makeList(page) {
  const side = $("side");
  /** Whose people are shown while a private conversation is. */
  let room = "";

  /** @param {string} id @param {import("./dom.js").Child[]} content @param {string} [kind] Its classes. */
  const row = (id, content, kind = "") => {
    const { unread, urgent } = page.state.of(id);
    return h(
      "li",
      {},
      h(
        `button.row${kind}${unread > 0 ? ".fresh" : ""}`,
        {
          type: "button",
          "data-place": id,
          "aria-current": id === page.state.place ? "page" : undefined,
          click: () => page.go(id),
        },
        content,
        unread > 0 && h(
          `span.count${urgent > 0 ? ".calls" : ""}`,
          {},
          unread > 999 ? "999+" : String(unread),
          h("span.sr", {}, " unread"),
        ),
      ),
    );
  };

  /** @param {Conversation} conversation */
  const roomRow = ({ id, title, entries, kind, connection }) =>
    row(id, [
      kind === "room"
        ? h("span.hash", { "aria-hidden": "true" }, "#")
        : h("span.hash", {}, icon("bell")),
      h(
        "span.who",
        {},
        h("bdi.name", {}, title),
        connection === "online"
          ? preview(entries, true)
          : h("span.away.bad", {}, CONNECTIONS[connection]),
      ),
    ]);

  /** @param {Person} person */
  const personRow = ({ fingerprint, nick, trust, away, here, ignored }) => {
    const id = personId(fingerprint);
    const remark = ignored ? "ignored" : !here ? "not here" : away;
    return row(
      id,
      [
        face(fingerprint, nick),
        h(
          "span.who",
          {},
          h("span.line", {}, h("bdi.name", {}, nick), sign(trust)),
          remark && page.state.of(id).unread === 0
            ? h("span.away", { dir: "auto" }, remark)
            : preview(page.state.of(id).entries, false),
        ),
      ],
      !here ? ".gone" : away ? ".idle" : "",
    );
  };

  /** @param {string} title @param {Element[]} rows @param {import("./dom.js").Child} [beside] */
  const section = (title, rows, beside) => [
    h("div.heading", {}, h("h2", {}, title), beside),
    rows.length > 0 && h("ul", {}, rows),
  ];

  return {
    show() {
      const { state } = page;
      const focused = document.activeElement?.getAttribute("data-place");
      const scrolled = side.querySelector(".lists")?.scrollTop ?? 0;
      if (state.here.kind === "room" || !state.open.includes(room)) {
        room = [state.place, ...state.open].find((id) => id.startsWith("room:")) ?? "";
      }
      const open = state.list;
      const isPrivate = new Set(
        open.map(({ id }) => fingerprintOf(id)).filter((id) => id !== undefined),
      );
      const shown = fingerprintOf(state.place);
      if (shown !== undefined) isPrivate.add(shown);
      const others = state.of(room).people.filter(({ fingerprint, trust }) =>
        trust !== "self" && !isPrivate.has(fingerprint)
      );
      const alone = others.length + isPrivate.size === 0;
      side.replaceChildren(
        h("p.brand", {}, h("img", { src: "/icon.svg", alt: "", width: 22, height: 22 }), "Hearth"),
        h(
          "div.lists",
          {},
          section(
            "Rooms",
            open.filter(({ kind }) => kind === "room").map(roomRow),
            iconButton("plus", "Join a room", page.join),
          ),
          isPrivate.size > 0 && section(
            "Private",
            [...isPrivate].map((fingerprint) =>
              personRow(
                state.person(fingerprint) ?? {
                  fingerprint,
                  nick: state.of(personId(fingerprint)).title,
                  trust: "known",
                  away: "",
                  here: false,
                  ignored: false,
                },
              )
            ),
          ),
          others.length > 0 &&
            section(isPrivate.size > 0 ? "Also here" : "Here", others.map(personRow)),
          alone && h("p.empty", {}, "Nobody else yet"),
          open.some(({ kind }) => kind === "client") && section(
            "This program",
            open.filter(({ kind }) => kind === "client").map(roomRow),
          ),
        ),
        h(
          "footer",
          {},
          h(
            "button.self",
            { type: "button", "aria-haspopup": "dialog", click: page.showSelf },
            face(state.self.fingerprint, state.self.nick),
            h(
              "span.who",
              {},
              h("bdi.name", {}, state.self.nick),
              state.self.away && h("span.away", { dir: "auto" }, `away: ${state.self.away}`),
              state.self.quiet && h("span.away", {}, "not to be disturbed"),
            ),
            h("span.sr", {}, ": your name, notifications, light or dark"),
            icon("gear"),
          ),
        ),
      );
      side.querySelector(".lists").scrollTop = scrolled;
      if (focused) side.querySelector(`[data-place="${CSS.escape(focused)}"]`)?.focus();
    },

    /** Turns to a conversation above or below. @param {number} by */
    step(by) {
      const places = [...side.querySelectorAll("[data-place]")].map((row) => row.dataset.place);
      page.go(places[(places.indexOf(page.state.place) + by + places.length) % places.length]);
    },

    focus() {
      side.querySelector('[aria-current="page"]')?.focus();
    },
  };
}

const CONNECTIONS = {
  connecting: "connecting…",
  offline: "no connection",
  searching: "looking for its host…",
  left: "you are not in it any more",
};

/** What was said last. @param {import("./state.js").Entry[]} entries @param {boolean} isNamed */
function preview(entries, isNamed) {
  const entry = entries.findLast((entry) =>
    entry.type === "file" || entry.type === "message" && !entry.hearsay
  );
  if (!entry || entry.type === "notice") return false;
  const by = entry.own ? "You: " : isNamed ? `${entry.nick}: ` : "";
  const words = entry.type === "file" ? entry.name : entry.retracted ? "taken back" : entry.text;
  return h(
    "span.away",
    {},
    h("bdi", {}, by),
    h("bdi", {}, words.slice(0, MAX_PREVIEW).replaceAll(/[\s`]+/g, " ")),
  );
}
