/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// @ts-check
/** Notifications and sounds: only after a click that asked for them, and only while nobody looks. */

import { h } from "./dom.js";

/** @typedef {import("./parts.js").Page} Page */

/** What tells of messages while one looks elsewhere. @param {Page} page */
export function makeAlerts(page) {
  let isOn = globalThis.Notification?.permission === "granted";
  /** @type {AudioContext | undefined} */
  let audio;

  /** Two soft tones. @param {AudioContext} context */
  function ring(context) {
    for (const [delay, pitch] of [[0, 660], [0.14, 880]]) {
      const at = context.currentTime + (delay ?? 0);
      const [tone, volume] = [context.createOscillator(), context.createGain()];
      tone.frequency.value = pitch ?? 0;
      volume.gain.setValueAtTime(0.0001, at);
      volume.gain.exponentialRampToValueAtTime(0.08, at + 0.02);
      volume.gain.exponentialRampToValueAtTime(0.0001, at + 0.3);
      tone.connect(volume).connect(context.destination);
      tone.start(at);
      tone.stop(at + 0.32);
    }
  }

  /** Browsers of phones have them, and let only a service worker show them. @param {string} words @param {string} tag */
  function tryToShow(words, tag) {
    try {
      return new Notification(words, { tag });
    } catch {
      return undefined;
    }
  }

  /** @param {string} name @param {string} label @param {boolean} checked @param {boolean} disabled @param {(input: HTMLInputElement) => void} change */
  const choice = (name, label, checked, disabled, change) =>
    h(
      "label.choice",
      {},
      h("input", {
        type: "checkbox",
        name,
        checked,
        disabled,
        change: (/** @type {any} */ event) => change(event.target),
      }),
      label,
    );

  return {
    /** @param {import("./state.js").Conversation} conversation @param {import("./state.js").Entry} entry */
    tell({ id, kind, title, notify }, entry) {
      if (entry.type === "notice" || entry.own || document.hasFocus()) return;
      if (notify === "nothing" || page.state.self.quiet) return;
      if (entry.type === "message" && (entry.hearsay || entry.past !== undefined)) return; // no news
      const isForUser = kind === "person" || entry.type === "file" || entry.mention;
      if (notify === "mentions" && !isForUser) return;
      if (audio) ring(audio);
      if (!isOn || globalThis.Notification?.permission !== "granted") return;
      const words = kind === "room" ? `${entry.nick} in ${title}` : entry.nick;
      const shown = tryToShow(words, id);
      if (!shown) return;
      shown.onclick = () => {
        focus();
        page.go(id);
        shown.close();
      };
    },

    /** What is clicked to ask for them. */
    controls() {
      const permission = globalThis.Notification?.permission ?? "denied";
      return h(
        "div.choices",
        {},
        choice(
          "notifications",
          permission === "denied"
            ? "Notifications (this browser does not allow them)"
            : "Notifications, without text",
          isOn && permission === "granted",
          permission === "denied",
          async (input) => {
            isOn = input.checked && await Notification.requestPermission() === "granted";
            input.checked = isOn;
          },
        ),
        choice("sound", "Sound", audio !== undefined, false, (input) => {
          audio?.close();
          audio = input.checked ? new AudioContext() : undefined;
          if (audio) ring(audio);
        }),
        choice("quiet", "Do not disturb", page.state.self.quiet, false, () => page.command("/dnd")),
      );
    },
  };
}
