/** The page in a browser, with people behind it who exist nowhere. */

import { Browser, findBrowser, type Page, type PageOptions } from "./browser.ts";
import { WebDemo } from "./web_demo.ts";

const program = await findBrowser();
if (program === undefined) console.log("tests of the page: skipped, no Chromium");

/** The field in which one types. */
export const TEXT = "document.getElementById('text')";
/** How many rows the conversation has that is shown. */
export const ROWS = "document.querySelectorAll('#log > li').length";

/** @param run Gets a page that shows the lobby. */
export function test(
  name: string,
  run: (page: Page, demo: WebDemo, browser: Browser) => Promise<void>,
  options: PageOptions = {},
): void {
  Deno.test({
    name: `the page: ${name}`,
    ignore: program === undefined,
    fn: async () => {
      await using demo = new WebDemo().fill();
      await using browser = await Browser.start(program!);
      const page = await browser.open(demo.link, options);
      await page.until(`${ROWS} > 5`);
      await run(page, demo, browser);
    },
  });
}

/** Types a text or a command, and Enter. */
export async function press(page: Page, text: string): Promise<void> {
  await page.eval(`${TEXT}.focus()`);
  await page.type(text);
  await page.press("Enter");
}

/** Whether the conversation that is shown has a text. */
export const hasText = (text: string): string =>
  `document.getElementById('log').textContent.includes(${JSON.stringify(text)})`;
