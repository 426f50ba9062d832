/** A page that is cut off its program, and comes back: nothing is lost, and nothing is done twice. */

import { deepEqual, equal, ok } from "node:assert/strict";
import type { Page } from "../support/browser.ts";
import { poll } from "../support/program.ts";
import { hasText, press, test, TEXT } from "../support/web_page.ts";

/** Cuts a page off its program. @returns What brings it back. */
async function cutOff(page: Page): Promise<() => Promise<void>> {
  await page.eval(`(() => {
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function (data) {
      WebSocket.prototype.send = send;
      send.call(this, data);
      globalThis.real = WebSocket;
      globalThis.WebSocket = class {
        constructor() {
          globalThis.cut = this;
        }
      };
      this.close();
    };
    dispatchEvent(new Event("focus"));
  })()`);
  await page.until("globalThis.cut");
  return async () => {
    await page.eval("WebSocket = real; cut.onclose({ code: 1006 }); 0");
    await page.until("document.getElementById('strip').hidden");
  };
}

test(
  "what is written without the program stays, and it is told when that is back",
  async (page, demo) => {
    await page.eval(`${TEXT}.focus()`);
    await page.type("before ");
    const mend = await cutOff(page);
    await page.type("and after");
    await page.click('[data-place="room:release"]');
    await page.type("for the other room");
    await page.eval("document.getElementById('scroll').scrollTop = 0");
    await mend();
    const isTold = (id: string, text: string) =>
      demo.asked.some((asked) =>
        asked.type === "draft" && asked.conversation === id && asked.text === text
      );
    await page.until(`${TEXT}.value === "for the other room"`);
    await poll(
      () =>
        isTold("room:lobby", "before and after") && isTold("room:release", "for the other room"),
      () => JSON.stringify(demo.asked),
    );
    await page.click('[data-place="room:lobby"]');
    await page.until(`${TEXT}.value === "before and after"`);
    deepEqual(page.problems, []);
  },
);

test("a socket that is cut behind any message loses nothing", async (_page, demo, browser) => {
  const page = await browser.open("about:blank");
  await page.send("Page.addScriptToEvaluateOnNewDocument", {
    source: `(() => {
      const { setTimeout, WebSocket } = globalThis;
      globalThis.setTimeout = (run, delay) => setTimeout(run, delay === 1000 ? 0 : delay);
      globalThis.cuts = 0;
      globalThis.WebSocket = class extends WebSocket {
        constructor(address) {
          super(address);
          let left = ++cuts; // the first connection brings one message, the next two ...
          this.addEventListener("message", () => left-- === 0 && cuts <= 40 && this.close());
        }
      };
    })()`,
  });
  await page.send("Page.navigate", { url: demo.link });
  await poll(
    async () => {
      demo.bob(`among the cuts ${demo.model.list[0]!.entries.length}`);
      return await page.eval<number>("cuts").catch(() => 0) > 40 || undefined;
    },
    () => "40 cuts",
  );
  demo.bob("the last");
  await page.until(hasText("the last"));
  const found = await page.eval<number[]>(
    "[...document.querySelectorAll('#log .bubble')].map(({ dataset }) => Number(dataset.seq))",
  );
  const kept = demo.lobby.entries.filter(({ type }) => type !== "notice").map(({ seq }) => seq);
  deepEqual(found, kept.slice(-found.length));
  ok(found.length >= Math.min(50, kept.length));
  ok(await page.eval("document.getElementById('strip').hidden"));
});

test(
  "a page that has missed very much stays where it was, with what is written",
  async (page, demo) => {
    await page.click('[data-place="room:release"]');
    await page.eval(`${TEXT}.focus()`);
    await page.type("half a sen");
    const mend = await cutOff(page);
    demo.model.show(demo.lobby);
    for (let n = 0; n <= 2000; n++) demo.bob(`missed ${n}`);
    await mend();
    await page.until("document.getElementById('side').textContent.includes('missed 2000')");
    equal(
      await page.eval("document.querySelector('[aria-current]').dataset.place"),
      "room:release",
    );
    equal(await page.eval(`${TEXT}.value`), "half a sen");
  },
);

test("what may not have been sent is shown when a new start refuses the page", async (page) => {
  await page.eval(`(() => {
    WebSocket.prototype.send = function () {
      globalThis.deaf = this;
    };
  })()`);
  await press(page, "was it sent?");
  await page.until("globalThis.deaf && " + `${TEXT}.value === ""`);
  await page.eval("deaf.onclose({ code: 4001 })");
  await page.until("!document.getElementById('lost').hidden");
  equal(await page.eval("document.querySelector('#lost pre').textContent"), "was it sent?");
  equal(await page.eval("document.getElementById('app').hidden"), true);
});
