/** The page for whoever sees, hears or touches it. */

import axe from "npm:axe-core@4.14.1";
import { deepEqual } from "node:assert/strict";
import { hasText, test, TEXT } from "../support/web_page.ts";

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

for (const dark of [false, true]) {
  for (const width of [1180, 390]) {
    const name = `axe finds nothing, ${dark ? "dark" : "light"}, ${width} pixels`;
    test(name, async (page, demo) => {
      const found: string[] = [];
      const check = async (view: string) => {
        await page.eval(
          "Promise.allSettled(document.getAnimations().map(({ finished }) => finished))",
        );
        await page.eval(`${axe.source}; 0`);
        const violations = await page.eval<string[]>(
          `axe.run(document, { runOnly: ${JSON.stringify(RULES)} }).then(({ violations }) =>
            violations.map(({ id, nodes }) => id + " " + nodes[0].html.slice(0, 120) + " " + nodes[0].failureSummary))`,
        );
        found.push(...violations.map((violation) => `${view}: ${violation}`));
      };
      const close = () => page.click("dialog .shut");
      await check("at first");
      await page.click('[data-place="room:lobby"]');
      demo.attack();
      await page.until(hasText("gnp.exe"));
      await page.eval("document.querySelector('.group:not(.own) .bubble').focus()");
      await check("room");
      await page.eval(`(() => {
        const own = [...document.querySelectorAll(".own .bubble")].at(-1);
        own.focus();
        own.querySelector("[data-does=react]").click();
      })()`);
      await check("reactions");
      Object.assign(demo.lobby, { connection: "offline", retryAt: Date.now() + 60_000 });
      demo.model.changedList();
      await page.until("!document.getElementById('strip').hidden");
      await page.eval(`(() => {
        const files = new DataTransfer();
        files.items.add(new File(["x"], "x.txt"));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true }));
      })()`);
      await page.until("document.querySelector('#tray .chip')");
      await check("no connection, and a file to send");
      Object.assign(demo.lobby, { connection: "online", retryAt: undefined });
      demo.model.changedList();
      const release = demo.model.list.find(({ title }) => title === "release")!;
      demo.model.setPeople(release, release.people.slice(0, 1));
      await page.until("document.getElementById('strip').hidden");
      await page.click('[data-place="room:release"]');
      await page.until("document.querySelector('#log .nothing .main')");
      await check("alone");
      release.connection = "left";
      demo.model.changedList();
      await page.until(`${TEXT}.disabled`);
      await check("left");
      await page.click('[data-place="room:lobby"]');
      for (const button of ["#bar .quiet", "#bar .title"]) {
        await page.click(button);
        await page.until("document.querySelector('dialog').open");
        await check(button);
        await close();
      }
      await page.click(".self");
      await check("oneself");
      await close();
      await page.eval("document.querySelector('[aria-label=Search]').click()");
      await page.type("the");
      await page.until("document.querySelector('.hits a')");
      await check("search");
      await page.eval("document.querySelector('#search .plain').click()");
      await page.click('[data-place^="person:SHA256:DDD"]');
      await page.until(`${TEXT}.disabled`);
      await check("another key");
      await page.click('[data-place^="person:SHA256:CCC"]');
      await page.click("#bar .quiet");
      await page.until("document.querySelector('.digits')");
      await check("digits");
      await close();
      await page.click("#bar .title");
      await page.until("document.querySelector('dialog .quiet.bad')");
      await check("person");
      await close();
      await page.eval("sessionStorage.setItem('secret', 'old')");
      await page.send("Page.reload");
      await page.until("!document.getElementById('gate').hidden");
      await check("gate");
      deepEqual(found, []);
    }, { dark, width, touch: width < 700 });
  }
}

for (const size of ["100%", "200%"]) {
  test(`at 320 pixels and text of ${size} nothing is cut off`, async (page) => {
    await page.eval(`document.documentElement.style.fontSize = "${size}"`);
    const wide = `[...document.querySelectorAll("button, input, textarea, select, .bubble, .name")]
      .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
      .map((element) => element.outerHTML.slice(0, 90))
      .concat(document.documentElement.scrollWidth > innerWidth ? ["the page"] : [])`;
    deepEqual(await page.eval(wide), []);
    await page.click('[data-place="room:lobby"]');
    await page.until("document.getElementById('app').classList.contains('in')");
    deepEqual(await page.eval(wide), []);
    await page.click("#bar .title");
    await page.until("document.querySelector('dialog').open");
    deepEqual(await page.eval(wide), []);
  }, { width: 320, height: 640, touch: true });
}
