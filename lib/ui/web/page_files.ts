/**
 * The files of the page, as they are in the repository: nothing builds them, and they are part of the program.
 *
 * @module
 */
/// <reference lib="deno.ns" />

import html from "./page/index.html" with { type: "text" };
import cardsCss from "./page/cards.css" with { type: "text" };
import composeCss from "./page/compose.css" with { type: "text" };
import logCss from "./page/log.css" with { type: "text" };
import pageCss from "./page/page.css" with { type: "text" };
import svg from "./page/icon.svg" with { type: "text" };
import alerts from "./page/alerts.js" with { type: "text" };
import bar from "./page/bar.js" with { type: "text" };
import cards from "./page/cards.js" with { type: "text" };
import compose from "./page/compose.js" with { type: "text" };
import dom from "./page/dom.js" with { type: "text" };
import files from "./page/files.js" with { type: "text" };
import history from "./page/history.js" with { type: "text" };
import list from "./page/list.js" with { type: "text" };
import log from "./page/log.js" with { type: "text" };
import message from "./page/message.js" with { type: "text" };
import page from "./page/page.js" with { type: "text" };
import parts from "./page/parts.js" with { type: "text" };
import search from "./page/search.js" with { type: "text" };
import socket from "./page/socket.js" with { type: "text" };
import state from "./page/state.js" with { type: "text" };
import text from "./page/text.js" with { type: "text" };
import uploads from "./page/uploads.js" with { type: "text" };

/** A file, and its media type. */
export interface PageFile {
  readonly text: string;
  readonly type: string;
}

const script = (text: string): PageFile => ({ text, type: "text/javascript; charset=utf-8" });

const style = (text: string): PageFile => ({ text, type: "text/css; charset=utf-8" });

/** By their paths on the server. */
export const PAGE_FILES: ReadonlyMap<string, PageFile> = new Map([
  ["/", { text: html, type: "text/html; charset=utf-8" }],
  ["/cards.css", style(cardsCss)],
  ["/compose.css", style(composeCss)],
  ["/log.css", style(logCss)],
  ["/page.css", style(pageCss)],
  ["/icon.svg", { text: svg, type: "image/svg+xml" }],
  ["/alerts.js", script(alerts)],
  ["/bar.js", script(bar)],
  ["/cards.js", script(cards)],
  ["/compose.js", script(compose)],
  ["/dom.js", script(dom)],
  ["/files.js", script(files)],
  ["/history.js", script(history)],
  ["/list.js", script(list)],
  ["/log.js", script(log)],
  ["/message.js", script(message)],
  ["/page.js", script(page)],
  ["/parts.js", script(parts)],
  ["/search.js", script(search)],
  ["/socket.js", script(socket)],
  ["/state.js", script(state)],
  ["/text.js", script(text)],
  ["/uploads.js", script(uploads)],
]);
