/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// @ts-check
/** Files that are offered: their cards, and pictures that came over the socket. */

import { $, button, h, icon } from "./dom.js";
import { count, formatBytes, timeLeft } from "./text.js";

/** @typedef {import("./parts.js").Page} Page */
/** @typedef {import("./state.js").FileEntry} FileEntry */

/** Bytes of a picture that is shown. */
export const MAX_PICTURE = 8 * 1024 * 1024;
/** Pictures that are held. */
const MAX_PICTURES = 32;
const PICTURE = /\.(?:png|jpe?g|webp|gif)$/i;
/** What is shown as a picture, by its first bytes. */
export const TYPES = [
  { type: "image/png", start: [0x89, 0x50, 0x4e, 0x47] },
  { type: "image/jpeg", start: [0xff, 0xd8, 0xff] },
  { type: "image/gif", start: [0x47, 0x49, 0x46, 0x38] },
  { type: "image/webp", start: [0x52, 0x49, 0x46, 0x46] },
];

/** @param {Page} page @param {FileEntry} entry @returns {import("./dom.js").Child[]} */
export function fileCard(page, entry) {
  const { name, kind, size, own, transfers } = entry;
  const about = [
    kind === "folder" && `folder of ${count(entry.files, "file", "files")}`,
    size === null ? "size not known" : formatBytes(size),
    entry.executable && "a program",
  ].filter(Boolean).join(" · ");
  return [
    h(
      "span.file",
      {},
      h("span.sheet", {}, icon(kind === "folder" ? "folder" : "file")),
      h("span.who", {}, h("bdi.name", {}, name), h("small", {}, about)),
    ),
    picture(page, entry),
    ...(own ? transfers : transfers.slice(0, 1)).map((transfer) => progress(entry, transfer)),
    buttons(page, entry),
  ];
}

/** How far one transfer is. @param {FileEntry} entry @param {import("./state.js").Transfer} transfer */
function progress({ own, size, name }, { nick, state, moved, speed, note }) {
  const isOpen = state === "moving" || state === "paused" || state === "waiting";
  const left = size === null || state !== "moving" ? "" : timeLeft(size - moved, speed);
  const rate = state === "moving" && size
    ? [`${Math.floor(100 * moved / size)} %`, `${formatBytes(speed)}/s`, left && `${left} left`]
    : [own ? TO[state] : FROM[state]];
  const isHad = own && state === "done"; // the note says so again
  const words = [...rate, !isHad && note].filter(Boolean).join(" · ");
  return h(
    `div.transfer.${state}`,
    {},
    own && h("bdi.name", {}, nick),
    words && h("small", { dir: "auto" }, words),
    isOpen && size !== null &&
      h("progress", {
        max: size || 1,
        value: moved,
        "aria-label": own ? `${name} to ${nick}` : name,
      }),
  );
}

const TO = {
  offered: "has not answered",
  waiting: "waits",
  moving: "is receiving it",
  paused: "paused",
  done: "has it",
  declined: "declined",
  failed: "failed",
};
const FROM = {
  offered: "",
  waiting: "waits",
  moving: "begins",
  paused: "paused",
  done: "",
  declined: "declined",
  failed: "failed",
};

/** @param {Page} page @param {FileEntry} entry */
function buttons(page, entry) {
  const { own, transfers } = entry;
  const isOffered = !own && transfers[0]?.state === "offered";
  const isOpen = transfers.some(({ state }) =>
    state === "moving" || state === "paused" || state === "waiting" || own && state === "offered"
  );
  if (!isOffered && !isOpen) return false;
  /** @param {string} answer @param {string} label @param {string} kind */
  const answer = (answer, label, kind) => {
    const element = button(label, () => page.ask("file", entry, { answer }), kind);
    element.setAttribute("data-does", answer);
    return element;
  };
  return h(
    "span.buttons",
    {},
    isOffered && answer("decline", "Decline", "quiet"),
    isOffered && answer("accept", "Accept", "main"),
    isOpen && answer("cancel", "Cancel", "quiet"),
  );
}

/** The pictures that are here, by `seq`, those seen last at the end. @type {Map<number, { loading: Promise<string | undefined>, frame: HTMLElement }>} */
const pictures = new Map();
/** What is coming, by its number. @type {Map<number, { parts: Uint8Array<ArrayBuffer>[], left: number, done(bytes: Blob): void }>} */
const coming = new Map();

/** Shows a picture, by its frame. @type {WeakMap<Element, () => void>} */
const shows = new WeakMap();
/** Those that an outage has cut. @type {Set<Element>} */
const cut = new Set();
/** Only what is looked at, or will be soon, is fetched. @type {IntersectionObserver | undefined} */
let watcher;
function watch() {
  return watcher ??= new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) if (isIntersecting) shows.get(target)?.();
  }, { root: $("scroll"), rootMargin: "600px" });
}

/** @param {Page} page @param {FileEntry} entry */
function picture(page, { seq, name, size, own, kind, transfers }) {
  const isHere = own || transfers[0]?.state === "done";
  if (seq === undefined || !isHere || size === null || size === 0 || size > MAX_PICTURE) return;
  if (kind !== "file" || !PICTURE.test(name)) return;
  const conversation = page.state.place;
  const image = h("img", { alt: name, hidden: true });
  const frame = h("a.picture.coming", { target: "_blank", rel: "noopener" }, image);
  shows.set(frame, async () => {
    const { loading } = pictures.get(seq) ?? { loading: load(page, conversation, seq) };
    pictures.delete(seq);
    pictures.set(seq, { loading, frame });
    forgetOldest();
    const address = await loading;
    if (!address) pictures.delete(seq);
    if (address === undefined) return frame.remove();
    if (address === "") return cut.add(frame);
    if (pictures.get(seq)?.frame !== frame || frame.getAttribute("href") === address) return;
    image.addEventListener("load", () => {
      image.hidden = false;
      frame.classList.remove("coming");
      page.follow();
    });
    image.setAttribute("src", address);
    frame.setAttribute("href", address);
  });
  watch().observe(frame);
  return frame;
}

/** What is seen again is fetched again. */
async function forgetOldest() {
  if (pictures.size <= MAX_PICTURES) return;
  const [seq, { loading, frame }] = /** @type {any} */ (pictures.entries().next().value);
  pictures.delete(seq);
  frame.removeAttribute("href");
  const address = await loading;
  if (address) URL.revokeObjectURL(address);
}

/**
 * @param {Page} page
 * @param {string} conversation
 * @param {number} seq
 * @returns {Promise<string | undefined>} Its address; empty if the connection was cut, undefined if it is no picture.
 */
async function load(page, conversation, seq) {
  const { ok, code, n, size } = await page.request({ type: "picture", conversation, entry: seq });
  if (!ok) return code === undefined ? "" : undefined;
  /** @type {Blob} */
  const blob = await new Promise((done) => coming.set(n, { parts: [], left: size, done }));
  if (blob.size === 0) return "";
  const start = new Uint8Array(await blob.slice(0, 16).arrayBuffer());
  const found = TYPES.find((type) => type.start.every((byte, i) => start[i] === byte));
  return found && URL.createObjectURL(blob.slice(0, blob.size, found.type));
}

/** Takes a part of a picture. @param {number} n @param {Uint8Array<ArrayBuffer>} bytes */
export function takeBytes(n, bytes) {
  const one = coming.get(n);
  if (!one) return;
  one.parts.push(bytes);
  one.left -= bytes.length;
  if (one.left > 0) return;
  coming.delete(n);
  one.done(new Blob(one.parts));
}

/** The connection is cut: nothing more comes of what was coming. */
export function forgetComing() {
  for (const { done } of coming.values()) done(new Blob());
  coming.clear();
}

/** There is a connection again. */
export function fetchCut() {
  for (const frame of cut) {
    watch().unobserve(frame);
    watch().observe(frame); // looks at once whether it is seen
  }
  cut.clear();
}
