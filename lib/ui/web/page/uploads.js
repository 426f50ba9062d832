/// <reference no-default-lib="true" />
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />
/// <reference lib="esnext" />
// @ts-check
/** Files on their way from this page to the program. */

import { $, button, clean, h, icon, iconButton } from "./dom.js";
import { MAX_PICTURE, TYPES } from "./files.js";
import { MAX_PART } from "./socket.js";
import { formatBytes } from "./text.js";

/** @typedef {import("./parts.js").Page} Page */

/** Files that are sent at once. */
const MAX_UPLOADS = 4;
/** Files that wait to be sent. */
const MAX_ATTACHED = 16;
/** Bytes of an upload that the program has not taken yet. */
const MAX_AHEAD = 1024 * 1024;

/**
 * @typedef {object} Upload
 * @property {File} file
 * @property {string} place The conversation that it was dropped into.
 * @property {string} [address] Of its picture.
 * @property {"ready" | "moving" | "failed"} state
 * @property {number} taken Bytes that the program has.
 * @property {string} problem
 * @property {() => void} [wake] Called when the program has taken more, or the socket has gone.
 * @property {number} [n] What the program calls it.
 * @property {boolean} [isWanted] Enter was pressed.
 */

/** What is dropped, pasted or picked, until the program has it. @param {Page} page */
export function makeUploads(page) {
  const tray = $("tray");
  /** @type {Upload[]} */
  let uploads = [];

  /** @param {Upload} upload */
  const remove = (upload) => {
    uploads = uploads.filter((one) => one !== upload);
    if (upload.address) URL.revokeObjectURL(upload.address);
    show();
  };

  function show() {
    const here = uploads.filter(({ place }) => place === page.state.place);
    tray.hidden = here.length === 0;
    tray.replaceChildren(...here.map((upload) => {
      const { file, address, state, taken, problem } = upload;
      const words = state === "failed"
        ? problem
        : state === "moving"
        ? `${Math.floor(100 * taken / (file.size || 1))} %`
        : formatBytes(file.size);
      return h(
        `li.chip.${state}`,
        {},
        address ? h("img", { src: address, alt: "" }) : h("span.sheet", {}, icon("file")),
        h("span.who", {}, h("bdi.name", {}, file.name), h("small", {}, words)),
        ...clean([
          state === "failed" && button("Send again", () => send(upload)),
          state !== "moving" &&
          iconButton("close", `Do not send ${file.name}`, () => remove(upload)),
        ]),
      );
    }));
    page.showSend();
  }

  /** @param {Upload} upload */
  async function send(upload) {
    const { file, place } = upload;
    Object.assign(upload, { state: "moving", taken: 0, problem: "" });
    show();
    const { name, size, lastModified: mtime } = file;
    const result = await page.request({ type: "send", conversation: place, name, size, mtime });
    upload.n = result.n;
    const problem = result.ok ? await sendBytes(upload) : result.message;
    delete upload.n;
    if (problem === undefined) remove(upload);
    else {
      Object.assign(upload, { state: "failed", problem });
      show();
    }
    next();
  }

  /** @param {Upload} upload @returns {Promise<string | undefined>} Why it failed. */
  async function sendBytes(upload) {
    const { file, n } = upload;
    const { socket } = page;
    const connection = socket.connection;
    const wait = () => new Promise((resolve) => upload.wake = () => resolve(undefined));
    for (let at = 0; upload.taken < file.size;) {
      if (!socket.isReady || socket.connection !== connection) return "the connection was cut";
      if (upload.problem !== "") return upload.problem;
      if (at >= file.size || at - upload.taken >= MAX_AHEAD) {
        await wait();
        continue;
      }
      let bytes;
      try {
        bytes = new Uint8Array(await file.slice(at, at + MAX_PART).arrayBuffer());
      } catch {
        return "it cannot be read any more";
      }
      if (bytes.length === 0) return "it has become shorter";
      if (!socket.isReady || socket.connection !== connection) return "the connection was cut";
      socket.sendBytes(/** @type {number} */ (n), bytes);
      at += bytes.length;
    }
    return upload.problem === "" ? undefined : upload.problem;
  }

  function next() {
    for (const upload of uploads) {
      if (uploads.filter(({ state }) => state === "moving").length >= MAX_UPLOADS) return;
      if (upload.state === "ready" && upload.isWanted) send(upload);
    }
  }

  return {
    show,
    /** Shows what would be sent to the conversation that is shown. @param {Iterable<File>} files */
    add(files) {
      for (const file of files) {
        if (uploads.length >= MAX_ATTACHED) break;
        const isPicture = TYPES.some(({ type }) => type === file.type) && file.size <= MAX_PICTURE;
        const address = isPicture ? { address: URL.createObjectURL(file) } : {};
        const state = /** @type {const} */ ("ready");
        uploads.push({ file, place: page.state.place, state, taken: 0, problem: "", ...address });
      }
      show();
    },
    /** Whether something waits for Enter here. */
    get isReady() {
      return uploads.some(({ place, state }) => place === page.state.place && state === "ready");
    },
    /** Sends what waits in a conversation. @param {string} where */
    send(where) {
      for (const upload of uploads) {
        if (upload.place === where) upload.isWanted = true;
      }
      next();
    },
    /** @param {{ n: number, bytes: number, problem?: string }} message */
    took({ n, bytes, problem = "" }) {
      const upload = uploads.find((upload) => upload.n === n);
      if (!upload) return;
      upload.taken = bytes;
      upload.problem = problem;
      upload.wake?.();
      if (upload.place === page.state.place) show();
    },
    /** The socket has gone: nothing more is taken. */
    cut() {
      for (const { wake } of uploads) wake?.();
    },
  };
}
