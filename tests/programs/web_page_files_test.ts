/** Files on the page: offered, shown, and fetched when they are looked at. */

import { deepEqual, equal, ok } from "node:assert/strict";
import { poll } from "../support/program.ts";
import { test, TEXT } from "../support/web_page.ts";

test("a pasted file waits for Enter, too", async (page, demo) => {
  await page.eval(`(() => {
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File(["hello"], "pasted.txt"));
    const event = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true });
    ${TEXT}.dispatchEvent(event);
  })()`);
  await page.until("document.getElementById('tray').textContent.includes('pasted.txt')");
  equal(demo.asked.filter(({ type }) => type === "send").length, 0);
  await page.eval(`${TEXT}.focus()`);
  await page.press("Enter");
  await poll(
    () =>
      demo.asked.some(({ type, name }) => type === "send" && name === "pasted.txt") || undefined,
    () => "an upload",
  );
  // Refused, it stays here with why, to be sent again.
  await page.until("document.querySelector('#tray .failed .quiet')");
});

test("a file is shown before it is sent, and may stay here", async (page, demo) => {
  await page.eval(`(() => {
    const files = new DataTransfer();
    files.items.add(new File(["hello"], "notes.txt"));
    dispatchEvent(new DragEvent("dragenter", { dataTransfer: files }));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true }));
  })()`);
  await page.until("document.getElementById('tray').textContent.includes('notes.txt')");
  equal(demo.asked.filter(({ type }) => type === "send").length, 0);
  await page.click("#tray .plain");
  await page.until("document.getElementById('tray').hidden");
  await page.click("[data-does=accept]");
  await page.until("!document.querySelector('[data-does=accept]')");
});

test("of many pictures those are fetched that are looked at", async (page, demo) => {
  const state = "done";
  for (let n = 0; n < 200; n++) demo.offer({ name: `${n}.png`, size: 70 }, { state });
  await page.until("document.querySelectorAll('.card').length >= 200");
  await poll(() => demo.pictures.length > 0 || undefined, () => "a picture");
  await page.until("[...document.querySelectorAll('.picture img')].at(-1)?.naturalWidth === 1");
  ok(demo.pictures.length < 64, `${demo.pictures.length} asked for`);
  const asked = demo.pictures.length;
  await poll(async () => {
    // Again, since the log stays at its end while a picture that comes makes it longer.
    await page.eval("document.querySelector('.card').scrollIntoView()");
    return demo.pictures.length > asked || undefined;
  }, () => "more of them");
  await page.press("End");
  deepEqual(page.problems, []);
});
