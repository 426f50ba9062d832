/** The page in Firefox, with people behind it who exist nowhere. */

import { deepEqual, equal, ok } from "node:assert/strict";
import { findFirefox, Firefox } from "../support/firefox.ts";
import { WebDemo } from "../support/web_demo.ts";

const program = await findFirefox();
if (program === undefined) console.log("web_firefox_test.ts: skipped, no Firefox");

const [ENTER, UP] = ["\uE007", "\uE013"];
const TEXT = "document.getElementById('text')";
const hasText = (text: string) =>
  `document.getElementById('log').textContent.includes(${JSON.stringify(text)})`;

Deno.test({
  name: "the page in Firefox: what is said, chosen, verified, hostile, shown and loaded again",
  ignore: program === undefined,
  fn: async () => {
    await using demo = new WebDemo().fill();
    await using firefox = await Firefox.start(program!);
    await firefox.open(demo.link);
    await firefox.until(hasText("On it."));
    equal(await firefox.eval("location.hash"), "");

    await firefox.eval(`${TEXT}.focus()`);
    await firefox.type(`from Firefox${ENTER}`);
    await firefox.until(`${hasText("from Firefox")} && ${TEXT}.value === ""`);
    await firefox.type(`${UP}${ENTER}`);
    await firefox.until("document.activeElement.dataset.does === 'quote'");
    await firefox.type(ENTER);
    await firefox.until("!document.getElementById('about').hidden");
    await firefox.type(`an answer${ENTER}`);
    await firefox.until("document.querySelector('.own:last-of-type .quote')");

    await firefox.eval(`document.querySelector('[data-place^="person:SHA256:FFF"]').click()`);
    await firefox.until("document.querySelector('#bar .quiet')");
    await firefox.eval("document.querySelector('#bar .quiet').click()");
    await firefox.until("document.querySelectorAll('.digits span').length === 12");
    await firefox.eval("document.querySelector('dialog .main').click()");
    await firefox.until("document.querySelector('#bar .i-verified')");
    await firefox.eval(`document.querySelector('[data-place="room:lobby"]').click()`);

    demo.attack();
    await firefox.until(hasText("<script>document.title=1</script>"));
    equal(await firefox.eval("document.querySelectorAll('#log img, #log script').length"), 0);
    deepEqual(firefox.problems, []);
    // Where there are no Trusted Types, the policy of the page still refuses the script.
    await firefox.eval(`(() => {
      try {
        document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='document.title=1'>");
      } catch {}
    })()`);
    demo.offer({ name: "dot.png", size: 70 }, { state: "done" });
    await firefox.until("document.querySelector('.picture img')?.naturalWidth === 1");
    ok((await firefox.eval<string>("document.title")).includes("lobby"));

    await firefox.eval("location.reload()").catch(() => {});
    await firefox.until(`${hasText("an answer")} && ${hasText("from Firefox")}`);
    ok(await firefox.eval("document.documentElement.scrollWidth <= innerWidth"));
  },
});
