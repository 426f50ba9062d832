/**
 * The page of `client --web` in a headless browser: until it is there, and from one page to another.
 *
 * @module
 */

import { Browser, findBrowser, type Page } from "../support/browser.ts";
import { makeHome, type ProductOptions, startHearth } from "./product.ts";
import { readLatency } from "./load.ts";

const TEXTS = 40;
/** Between two texts, so that each comes alone. */
const PAUSE_MS = 100;
const TEXT = "document.getElementById('text')";
const PAINT = "performance.getEntriesByName('first-contentful-paint')[0]";

/** When the page's first paint was, and a text was entered or shown; milliseconds since 1970. */
const WATCH = `
  globalThis.at = { entered: [], shown: [] };
  const now = () => performance.timeOrigin + performance.now();
  document.addEventListener("keydown", ({ key }) => {
    if (key === "Enter") at.entered.push(now());
  }, true);
  new MutationObserver(() => {
    const count = document.getElementById("log").textContent.split("ping-").length - 1;
    requestAnimationFrame(() => {
      while (at.shown.length < count) at.shown.push(now());
    });
  }).observe(document.getElementById("log"), { childList: true, subtree: true });`;

/**
 * Two clients with a page each: `web.paint_ms`, from the start of a program to the page's first paint, and
 * `web.p50_ms` and `web.max_ms`, from Enter on one page to the frame that shows the text on the other.
 *
 * @throws {Error} When there is no browser here.
 */
export async function measureWeb({ server, values, folder, keys }: ProductOptions): Promise<void> {
  const program = await findBrowser();
  if (program === undefined) throw new Error("chromium-headless-shell is not installed");
  const homes = [
    await makeHome(folder, "ann", keys[0]!),
    await makeHome(folder, "ben", keys[1]!),
  ] as const;
  await using browser = await Browser.start(program);
  const ann = await openPage(browser, { server, home: homes[0], nick: "ann" });
  const ben = await openPage(browser, { server, home: homes[1], nick: "ben" });
  try {
    values["web.paint_ms"] = ben.paintMs;
    await chat(ann.page, ben.page);
    const { entered } = await ann.page.eval<Times>("at");
    const { shown } = await ben.page.eval<Times>("at");
    const { p50, max } = readLatency(shown.map((time, i) => time - entered[i]!));
    values["web.p50_ms"] = p50;
    values["web.max_ms"] = max;
  } finally {
    await Promise.all([ann.client.stop(), ben.client.stop()]);
  }
}

interface Times {
  readonly entered: number[];
  readonly shown: number[];
}

async function openPage(
  browser: Browser,
  { server, home, nick }: { server: ProductOptions["server"]; home: string; nick: string },
) {
  const page = await browser.open("about:blank");
  const start = performance.timeOrigin + performance.now();
  const client = startHearth(server, home, ["--web", "--web-port", "0", "--nick", nick]);
  const line = await client.until("http://127.0.0.1:");
  await page.send("Page.navigate", { url: /http:\S+/.exec(line)![0] });
  await page.until(PAINT);
  const painted = await page.eval<number>(`performance.timeOrigin + ${PAINT}.startTime`);
  return { client, page, paintMs: painted - start };
}

/** ann writes, ben sees it. */
async function chat(ann: Page, ben: Page): Promise<void> {
  await ann.until("document.getElementById('log').textContent.includes('ben')");
  await ann.eval(WATCH);
  await ben.eval(WATCH);
  await ann.until(`!${TEXT}.disabled`);
  await ann.eval(`${TEXT}.focus()`);
  for (let i = 0; i < TEXTS; i++) {
    await ann.type(`ping-${i}`);
    await ann.press("Enter");
    await ben.until(`at.shown.length > ${i}`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
