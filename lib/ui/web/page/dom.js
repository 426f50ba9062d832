/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// @ts-check
/** Makes elements; text only ever becomes text. */

import { hueOf } from "./text.js";

/** @typedef {Node | string | false | undefined | null} Child */

/**
 * @param {string} name `tag.class.class`
 * @param {Record<string, unknown>} [props] Functions become listeners, the rest attributes; false and undefined: none.
 * @param {...(Child | Child[])} children
 */
export function h(name, props = {}, ...children) {
  const [tag = "div", ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === false) continue;
    if (typeof value === "function") {
      element.addEventListener(key, /** @type {EventListener} */ (value));
    } else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...clean(children.flat()));
  return element;
}

/** @param {Child[]} children @returns {(Node | string)[]} */
export function clean(children) {
  return /** @type {(Node | string)[]} */ (children.filter((c) => c || c === ""));
}

const ICONS = {
  verified:
    "M8 .8l1.900 1.500 2.400-.1.700 2.300 2 1.300-.8 2.200.8 2.300-2 1.300-.7 2.300-2.400-.1L8 15.200l-1.900-1.400-2.400.1-.7-2.300-2-1.300.8-2.300L1 5.800l2-1.300.7-2.300 2.400.1zM7.200 10.900l4.100-4.300-1-1-3.100 3.300-1.500-1.500-1 1z",
  known: "M8 11.200a3.200 3.200 0 1 0 0-6.400 3.200 3.200 0 0 0 0 6.400z",
  new:
    "M8 12.200a4.200 4.200 0 1 0 0-8.400 4.200 4.200 0 0 0 0 8.400zm0-1.500a2.700 2.700 0 1 1 0-5.400 2.700 2.700 0 0 1 0 5.400z",
  conflict:
    "M5.100 1h5.800L15 5.100v5.800L10.900 15H5.100L1 10.900V5.100zM7.200 4v5h1.600V4zm0 6.200v1.700h1.600v-1.700z",
  send: "M8 14V4.500M3.500 8.500L8 4l4.500 4.500",
  back: "M10 3L5 8l5 5",
  plus: "M8 3v10M3 8h10",
  moon: "M13.200 9.600A5.600 5.600 0 0 1 6.400 2.800a5.600 5.600 0 1 0 6.800 6.800z",
  invite:
    "M6.500 8a2.800 2.800 0 1 0 0-5.600 2.800 2.800 0 0 0 0 5.600zM1.500 14c.3-2.700 2.300-4 5-4s4.700 1.300 5 4M12.500 5v5M10 7.500h5",
  shield:
    "M8 1.500l5.500 2v4.200c0 3.200-2.200 5.600-5.500 6.800-3.300-1.200-5.500-3.600-5.500-6.800V3.500zM5.500 8l1.800 1.800 3.200-3.600",
  lock: "M4 7.200h8v6H4zM5.500 7V5a2.500 2.500 0 0 1 5 0v2",
  bell: "M3.500 11.500h9l-1-1.800V7a3.500 3.500 0 0 0-7 0v2.700zM6.700 13.500h2.600",
  file: "M4 1.800h5l3.200 3.200v9.200H4zM9 2v3h3",
  sent: "M3.500 8.500l3 3 6-7",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.600 10.600L14 14",
  more: "M3.500 8h.01M8 8h.01M12.500 8h.01",
  clip:
    "M13 7.200l-5.300 5.300a3 3 0 0 1-4.200-4.200l5.600-5.600a2 2 0 0 1 2.800 2.800l-5.500 5.500a1 1 0 0 1-1.400-1.400l5-5",
  close: "M4 4l8 8M12 4l-8 8",
  gear:
    "M8 10.200a2.200 2.200 0 1 0 0-4.400 2.200 2.200 0 0 0 0 4.400zM8 1.800v1.700M8 12.500v1.700M3.600 3.600l1.200 1.200M11.200 11.200l1.200 1.200M1.800 8h1.700M12.500 8h1.700M3.600 12.400l1.200-1.200M11.200 4.800l1.200-1.200",
  reply: "M6.500 4L2.500 8l4 4M2.500 8h6.500a4.500 4.500 0 0 1 4.500 4.500",
  smile:
    "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM5.500 9.500c1.200 1.700 3.800 1.700 5 0M6 6.300h.01M10 6.300h.01",
  copy: "M5.500 5.500h8v8h-8zM10.500 5.500v-3h-8v8h3",
  edit: "M3 13l.6-2.900L10.800 3l2.200 2.200-7.200 7.200z",
  retract: "M3 4.500h10M6.500 4.500v-2h3v2M4.500 4.500l.6 9h5.800l.6-9",
  folder: "M2 12.800V3.500h4l1.500 1.700H14v7.600z",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.800V8l2.200 1.600",
};
/** @typedef {keyof typeof ICONS} Icon */
const FILLED = new Set(["verified", "known", "new", "conflict"]);

/** @param {Icon} name @param {string} [label] Read out; without it the icon is for the eye only. */
export function icon(name, label) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", `icon i-${name} ${FILLED.has(name) ? "filled" : "lined"}`);
  if (label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
    const title = document.createElementNS(ns, "title");
    title.textContent = label;
    svg.append(title);
  } else svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(ns, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A QR code as one path. @param {string[]} rows Of `0` and `1`. @param {string} label */
export function qr(rows, label) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("viewBox", `0 0 ${rows.length} ${rows.length}`);
  svg.setAttribute("class", "qr");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  const path = document.createElementNS(ns, "path");
  let d = "";
  rows.forEach((row, y) =>
    [...row].forEach((bit, x) => bit === "1" && (d += `M${x} ${y}h1v1h-1z`))
  );
  path.setAttribute("d", d);
  svg.append(path);
  return svg;
}

/** A button with a picture alone. @param {Icon} name @param {string} label @param {(event: MouseEvent) => void} click @param {Record<string, unknown>} [props] */
export function iconButton(name, label, click, props = {}) {
  return h(
    "button.plain",
    { type: "button", title: label, "aria-label": label, click, ...props },
    icon(name),
  );
}

/** A button with words. @param {string} label @param {() => unknown} click @param {string} [kind] Its class. */
export function button(label, click, kind = "quiet") {
  return h(`button.${kind}`, { type: "button", click }, label);
}

/** The sign of how well somebody's key is known. @param {import("./state.js").Trust} trust */
export function sign(trust) {
  return trust !== "self" && icon(trust, TRUST[trust]);
}

const TRUST = {
  new: "new: met today for the first time",
  known: "known: the same key as before",
  verified: "verified: you have compared the digits",
  conflict: "another key than before: gets nothing private until you accept it",
};

/** A picture for a person: their first letter on a colour of their own. @param {string} fingerprint @param {string} nick */
export function face(fingerprint, nick) {
  const element = h("span.face", { "aria-hidden": "true" }, [...nick][0]?.toUpperCase() ?? "?");
  element.style.setProperty("--hue", String(hueOf(fingerprint)));
  return element;
}

/** @param {string} id @returns {any} */
export const $ = (id) => document.getElementById(id);
