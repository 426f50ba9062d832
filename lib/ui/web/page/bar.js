/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// @ts-check
/** The line above the messages: where one is, and the strip below them: what is wrong. */

import { $, clean, face, h, icon, iconButton, sign } from "./dom.js";
import { fingerprintOf } from "./state.js";

/** @typedef {import("./parts.js").Page} Page */

/** Of somebody who is lost. */
export const LOST = "Not here: what you write waits for them";

/** @param {Page} page */
export function makeBar(page) {
  const [bar, strip] = [$("bar"), $("strip")];
  /** What the bar shows: it is made anew only when that changes, so that a button in it keeps the focus. */
  let shown = "";
  let hasProgram = true;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  /** @param {import("./state.js").Person | undefined} person */
  function subtitle(person) {
    const { kind, topic, connection, people } = page.state.here;
    /** @param {string} words @param {string} [as] */
    const sub = (words, as = "span.sub") => h(as, { dir: "auto" }, words);
    switch (connection) {
      case "offline":
        return sub("No connection", "span.sub.bad");
      case "searching":
        return sub("Its host is gone: looking for the next one", "span.sub.bad");
      case "connecting":
        return sub("Connecting…");
      case "left":
        return sub("You are not in this room any more");
    }
    if (kind === "client") return sub("What this program has to say");
    if (kind === "person") {
      if (person?.trust === "conflict") return sub("Another key than before", "span.sub.bad");
      if (!person?.here) return sub(person?.lost ? LOST : "Not here");
      return sub(person.away ? `Away: ${person.away}` : "Only the two of you can read this");
    }
    const others = people.filter(({ here, trust }) => here && trust !== "self").length;
    const words = others === 0
      ? "Only you so far"
      : others === 1
      ? "You and one other"
      : `You and ${others} others`;
    return h("span.sub", {}, words, topic && h("bdi", {}, ` · ${topic}`));
  }

  function showBar() {
    const { state } = page;
    const { id, kind, title, topic, connection, people } = state.here;
    const person = state.person(fingerprintOf(id) ?? "");
    const now = JSON.stringify([id, title, topic, connection, person, people]);
    if (now === shown) return;
    shown = now;
    const isConflict = person?.trust === "conflict";
    bar.replaceChildren(...clean([
      iconButton("back", "All conversations", page.showList, { "class": "plain back" }),
      h(
        "button.title",
        {
          type: "button",
          "aria-haspopup": "dialog",
          disabled: kind === "client",
          click: page.showPlaceCard,
        },
        person && face(person.fingerprint, person.nick),
        h(
          "span.who",
          {},
          h("span.line", {}, h("h2", {}, h("bdi", {}, title)), person && sign(person.trust)),
          subtitle(person),
        ),
      ),
      iconButton("search", "Search", page.openSearch),
      person?.here && person.trust !== "self" && h(
        `button.quiet${isConflict ? ".bad" : ""}`,
        { type: "button", click: () => page.verify(person) },
        icon(isConflict ? "conflict" : "shield"),
        h("span.label", {}, person.trust === "verified" ? "Verified" : "Compare digits"),
      ),
      kind === "room" &&
      (connection === "left"
        ? h("button.quiet", {
          type: "button",
          click: () => page.run(`/join ${title}`),
        }, "Join again")
        : h(
          "button.quiet",
          { type: "button", click: page.invite },
          icon("invite"),
          h("span.label", {}, "Invite"),
        )),
      kind === "room" && iconButton("more", "Topic, people, notifications", page.showPlaceCard),
    ]));
  }

  function showStrip() {
    clearTimeout(timer);
    const { connection, retryAt } = page.state.here;
    const seconds = Math.max(0, Math.ceil(((retryAt ?? 0) - Date.now()) / 1000));
    const words = !hasProgram
      ? "Hearth has ended on this computer, or does not answer. Start it again, and open the link that it shows."
      : connection === "searching"
      ? "The computer that hosted this room is gone. Its next host is looked for. What you write waits."
      : connection === "offline"
      ? `No connection${seconds > 0 ? `, again in ${seconds} s` : ""}. What you write waits.`
      : "";
    strip.hidden = words === "";
    if (strip.textContent !== words) strip.textContent = words;
    if (connection === "offline" && seconds > 0) timer = setTimeout(showStrip, 1000);
  }

  return {
    show() {
      showBar();
      showStrip();
    },
    /** Whether the program answers. @param {boolean} does */
    setProgram(does) {
      hasProgram = does;
      showStrip();
    },
  };
}
