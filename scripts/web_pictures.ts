/**
 * Makes the pictures of the page, docs/web-*.png, with people who exist nowhere; needs Chromium.
 *
 * `deno run -A scripts/web_pictures.ts`
 *
 * @module
 */

import { Browser, findBrowser, type Page, type PageOptions } from "../tests/support/browser.ts";
import { WebDemo } from "../tests/support/web_demo.ts";

/** What is done on the page before its picture is made. */
interface Picture extends PageOptions {
  readonly name: string;
  show?(page: Page, demo: WebDemo): Promise<void>;
}

const DORA = '[data-place^="person:SHA256:DDD"]';
const MIRA = '[data-place^="person:SHA256:FFF"]';
const LOBBY = '[data-place="room:lobby"]';

async function showDigits(page: Page): Promise<void> {
  await page.click(MIRA);
  await page.click("#bar .quiet");
  await page.until("document.querySelector('.digits')");
}

const PHONE = { touch: true, scale: 2 } as const;
const PICTURES: readonly Picture[] = [
  { name: "room" },
  { name: "digits", dark: true, show: showDigits },
  { name: "wide", width: 1600, height: 900, dark: true },
  {
    name: "other-key",
    show: async (page) => {
      await page.click(DORA);
      await page.until("document.getElementById('text').disabled");
    },
  },
  {
    name: "no-connection",
    show: async (page, { model, lobby, now }) => {
      Object.assign(lobby, { connection: "offline", retryAt: Date.now() + 7000 });
      model.changedList();
      model.addNotice(lobby, { level: "warning", text: "connection lost", hint: "" }, now);
      await page.until("!document.getElementById('strip').hidden");
    },
  },
  { name: "phone-list", width: 390, height: 760, ...PHONE },
  {
    name: "phone-room",
    ...{ width: 390, height: 760, dark: true, ...PHONE },
    show: (page) => page.click(LOBBY),
  },
  { name: "small-digits", width: 320, height: 640, ...PHONE, show: showDigits },
];

const program = await findBrowser();
if (program === undefined) throw new Error("there is no Chromium");
await using browser = await Browser.start(program);
for (const { name, show, ...options } of PICTURES) {
  await using demo = new WebDemo().fill();
  demo.now = Date.now();
  demo.bob("lunch at one? 🍜", true);
  const page = await browser.open(demo.link, options);
  await page.until("document.querySelectorAll('#log > li').length > 5");
  await show?.(page, demo);
  await page.eval("document.fonts.ready");
  await page.eval("Promise.allSettled(document.getAnimations().map(({ finished }) => finished))");
  await Deno.writeFile(new URL(`../docs/web-${name}.png`, import.meta.url), await page.picture());
}
