/** The page in a browser, with people behind it who exist nowhere: what it shows, whom it lets in, and how it can be used. */

import axe from "npm:axe-core@4.14.1";
import { deepEqual, equal, ok } from "node:assert/strict";
import { Browser, findBrowser, type Page, type PageOptions } from "../support/browser.ts";
import { poll } from "../support/program.ts";
import { PAGE_FILES } from "../../lib/ui/web/page_files.ts";
import { WebDemo } from "../support/web_demo.ts";

const program = await findBrowser();
if (program === undefined) console.log("web_page_test.ts: skipped, no Chromium");

const TEXT = "document.getElementById('text')";
const ROWS = "document.querySelectorAll('#log > li').length";
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** @param run Gets a page that shows the lobby. */
function test(
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

async function press(page: Page, text: string): Promise<void> {
  await page.eval(`${TEXT}.focus()`);
  await page.type(text);
  await page.press("Enter");
}

const hasText = (text: string) =>
  `document.getElementById('log').textContent.includes(${JSON.stringify(text)})`;

test("hostile texts are shown as they are, and ask for nothing", async (page, demo) => {
  const { length } = page.requests;
  demo.attack();
  await page.until(hasText("<script>document.title=1</script>"));
  await page.until(hasText("gnp.exe"));
  deepEqual(page.requests.slice(length), []);
  equal(await page.eval("document.title"), "lobby – Hearth");
  equal(await page.eval("document.querySelectorAll('#log img, #log script').length"), 0);
  const links = "[...document.querySelectorAll('#log a')].at(-1).href";
  equal(await page.eval(links), "https://example.org/");
  deepEqual(page.problems, []);
});

test("nothing from elsewhere is run, fetched or shown in it", async (page) => {
  const thrown = (code: string) =>
    page.eval<string>(`(async () => { ${code}; return "done"; })().catch(({ name }) => name)`);
  equal(await thrown("document.body.innerHTML = '<b>x</b>'"), "TypeError");
  equal(await thrown("await fetch('https://example.org/')"), "TypeError");
  const image = `await new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = resolve;
    image.onerror = () => reject(new RangeError());
    image.src = "http://127.0.0.1:1/x.png";
  })`;
  equal(await thrown(image), "RangeError");
  equal(await thrown("new WebSocket('ws://127.0.0.1:1/')"), "done");
  await page.eval(`(() => {
    const script = document.createElement("script");
    try {
      script.textContent = "document.title = 'inline'";
    } catch {
      return;
    }
    document.body.append(script);
  })()`);
  ok(!(await page.eval<string>("document.title")).includes("inline"));
});

test(
  "a page of another port, and one under another name, get nothing",
  async (page, demo, browser) => {
    await using other = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () =>
        new Response("<!doctype html><title>other</title>", {
          headers: { "content-type": "text/html" },
        }),
    );
    const { origin } = demo.web;
    const attacker = await browser.open(`http://127.0.0.1:${other.addr.port}/`);
    await attacker.until("document.title === 'other'");
    const tries = await attacker.eval(`(async () => {
    const origin = ${JSON.stringify(origin)};
    const load = (name, properties) => new Promise((resolve) => {
      const element = Object.assign(document.createElement(name), properties);
      element.onload = () => resolve("loaded");
      element.onerror = () => resolve("refused");
      document.head.append(element);
    });
    const name = ({ name }) => name;
    return {
      fetch: await fetch(origin).then(() => "read", name),
      opaque: await fetch(origin + "/page.js", { mode: "no-cors" }).then(() => "read", name),
      script: await load("script", { src: origin + "/text.js", type: "module" }),
      style: await load("link", { href: origin + "/page.css", rel: "stylesheet" }),
      image: await load("img", { src: origin + "/icon.svg" }),
      socket: await new Promise((resolve) => {
        const socket = new WebSocket(origin.replace("http", "ws") + "/socket");
        socket.onopen = () => resolve("open");
        socket.onerror = () => resolve("refused");
      }),
      frame: await new Promise((resolve) => {
        const frame = document.createElement("iframe");
        frame.src = origin;
        frame.onload = () => resolve(frame.contentDocument === null ? "refused" : "shown");
        document.body.append(frame);
      }),
    };
  })()`);
    deepEqual(tries, {
      fetch: "TypeError",
      opaque: "TypeError",
      script: "refused",
      style: "refused",
      image: "refused",
      socket: "refused",
      frame: "refused",
    });
    const renamed = await browser.open(`${origin.replace("127.0.0.1", "localhost")}/`);
    await renamed.until("document.readyState === 'complete' && location.hostname === 'localhost'");
    equal(await renamed.eval("document.getElementById('app')"), null);
    ok(await page.eval("document.getElementById('strip').hidden"));
  },
);

test(
  "a page without the link's secret says what to do, and so does a fifth page",
  async (_page, demo, browser) => {
    const gate = "document.getElementById('gate')";
    const bare = await browser.open(`${demo.web.origin}/`);
    await bare.until(`!${gate}.hidden && ${gate}.textContent.includes('with the link')`);
    const old = await browser.open(`${demo.web.origin}/#old`);
    await old.until(`!${gate}.hidden && ${gate}.textContent.includes('earlier start')`);
    for (let n = 0; n < 3; n++) await (await browser.open(demo.link)).until(`${ROWS} > 5`);
    const fifth = await browser.open(demo.link);
    await fifth.until(`${gate}.textContent.includes('Four pages')`);
  },
);

test("a browser that lacks what the page needs is told so", async (_page, demo, browser) => {
  const text =
    "[...document.body.children].map((e) => e.checkVisibility() ? e.innerText : '').join('')";
  // One that is too old cannot even read the scripts.
  await using old = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => {
      const file = PAGE_FILES.get(new URL(request.url).pathname);
      if (file === undefined) return new Response(null, { status: 404 });
      const isScript = file.type.startsWith("text/javascript");
      const body = isScript ? "new syntax!" : file.text.replaceAll("light-dark(", "unknown(");
      return new Response(body, { headers: { "content-type": file.type } });
    },
  );
  const first = await browser.open(`http://127.0.0.1:${old.addr.port}/`);
  await first.until(`(${text}).includes("too old")`);
  const second = await browser.open("about:blank");
  const source = `Object.defineProperty(window, "localStorage", {
    get() {
      throw new DOMException("", "SecurityError");
    },
  })`;
  await second.send("Page.addScriptToEvaluateOnNewDocument", { source });
  await second.send("Page.navigate", { url: demo.link });
  await second.until(`(${text}).includes("keeps nothing")`);
  ok(!(await second.eval<string>(text)).includes("too old"));
  deepEqual(second.problems, []);
});

test("what comes never turns it elsewhere, nor changes what is written", async (page, demo) => {
  await page.eval(`${TEXT}.focus()`);
  await page.type("for the room");
  demo.bob("psst", true);
  await page.until("document.querySelector('.row.fresh .count.calls')");
  equal(await page.eval("document.querySelector('[aria-current]').dataset.place"), "room:lobby");
  equal(await page.eval(`${TEXT}.value`), "for the room");
  await page.press("Enter");
  await page.until(hasText("for the room"));
  const said = demo.asked.filter(({ type }) => type === "say");
  deepEqual(said.map(({ conversation, text }) => [conversation, text]), [
    ["room:lobby", "for the room"],
  ]);
  // A private message is begun by turning to its person, before Enter.
  await page.type("/msg carl ");
  await page.until("document.querySelector('[aria-current]').dataset.place.startsWith('person:')");
  equal(await page.eval(`${TEXT}.placeholder`), "Message to carl alone");
  equal(await page.eval(`${TEXT}.value`), "");
});

test("the line New stands above what came unseen, and only there", async (page, demo) => {
  demo.bob("seen at once");
  await page.until(hasText("seen at once"));
  equal(await page.eval("document.querySelectorAll('.new').length"), 0);
  await page.eval("dispatchEvent(new Event('blur'))");
  await page.send("Emulation.setFocusEmulationEnabled", { enabled: false });
  demo.model.look(false);
  demo.bob("came unseen");
  await page.until(hasText("came unseen"));
  const after = "document.querySelector('.new').nextElementSibling.textContent";
  ok((await page.eval<string>(after)).includes("came unseen"));
});

test("a text that is refused comes back, and why is said", async (page) => {
  await press(page, "/unheard of");
  await page.until(hasText("/unheard is not part of the demo"));
  equal(await page.eval(`${TEXT}.value`), "/unheard of");
  // An answer is shown where there is one, and an empty one is not.
  await page.eval(`${TEXT}.value = ""`);
  await press(page, "/topic tea");
  await page.until("document.querySelector('#bar .sub').textContent.includes('tea')");
  await press(page, "/names");
  await page.until("document.querySelector('.notice.lines')");
  equal(await page.eval("document.querySelectorAll('.notice.answer').length"), 1);
});

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

test("a text that no message can hold is refused, and comes back", async (page) => {
  await page.eval(`${TEXT}.value = "x".repeat(70_000)`);
  await page.eval(`${TEXT}.focus()`);
  await page.press("Enter");
  await page.until(hasText("too long"));
  equal(await page.eval(`${TEXT}.value.length`), 70_000);
  await page.eval(`${TEXT}.value = ""`);
  await press(page, "short");
  await page.until(hasText("short"));
  deepEqual(page.problems, []);
});

test("a command that was taken is no draft any more", async (page, demo) => {
  await page.eval(`${TEXT}.focus()`);
  await page.type("/topic tea");
  await poll(() => demo.lobby.draft.text === "/topic tea", () => "the draft");
  await page.press("Enter");
  await page.until("document.querySelector('#bar .sub').textContent.includes('tea')");
  await poll(() => demo.lobby.draft.text === "", () => "no draft");
});

/** Turns notifications on, and lets `rung` say which there were; then looks away. */
async function askForNotifications(page: Page): Promise<void> {
  await page.eval(`(() => {
    globalThis.rung = [];
    globalThis.Notification = class {
      static permission = "granted";
      static requestPermission = () => Promise.resolve("granted");
      constructor(words) {
        rung.push(words);
      }
    };
  })()`);
  await page.click(".self");
  await page.eval("document.querySelector('dialog input[type=checkbox]').click()");
  await page.click("dialog .shut");
  await page.eval("document.hasFocus = () => false; 0");
}

test(
  "a browser that lets only a service worker notify shows what comes all the same",
  async (page, demo) => {
    await askForNotifications(page);
    await page.eval(`(() => {
    globalThis.Notification = class {
      static permission = "granted";
      constructor() {
        throw new TypeError("Illegal constructor");
      }
    };
  })()`);
    for (const text of ["anna, one", "anna, two"]) {
      demo.bob(text);
      await page.until(hasText(text));
    }
    deepEqual(page.problems, []);
  },
);

test("a message that cannot be shown holds up no other", async (page, demo) => {
  await page.eval(`(() => {
    const { createElement } = document;
    document.createElement = (...name) => {
      document.createElement = createElement;
      throw new Error("once");
    };
  })()`);
  demo.bob("not shown");
  await poll(
    () => page.problems.some((problem) => problem.includes("once")) || undefined,
    () => "it",
  );
  demo.bob("the next");
  await page.until(hasText("the next"));
  equal(page.problems.length, 1);
});

test("nothing rings while one is not to be disturbed", async (page, demo) => {
  await askForNotifications(page);
  demo.bob("one", true);
  await page.until("rung.length === 1");
  await press(page, "/dnd");
  await page.until("document.querySelector('.self').textContent.includes('not to be disturbed')");
  demo.bob("two", true);
  await page.until("document.querySelector('.row .count')?.textContent.startsWith('2')");
  await page.click(".self");
  await page.eval("document.querySelector('dialog [name=quiet]').click()");
  await page.until("!document.querySelector('.self').textContent.includes('disturbed')");
  demo.bob("three", true);
  await page.until("document.querySelector('.row .count')?.textContent.startsWith('3')");
  deepEqual(await page.eval("rung"), ["bob", "bob"]);
});

test("hearsay says who tells it, whatever its shape, and is no news", async (page, demo) => {
  const told = { hearsay: ["carl", "\u05d3\u05e0\u05d4"] };
  const own = demo.lobby.people.find(({ trust }) => trust === "self")!;
  const bob = demo.lobby.people.find(({ nick }) => nick === "bob")!;
  await askForNotifications(page);
  demo.say(bob, "hearsay by bob", told);
  demo.say(bob, "is hearsay", { ...told, action: true });
  demo.say(own, "hearsay by anna", { ...told, delivery: { state: "received", of: 1 } });
  demo.bob("said by bob to anna");
  await page.until(hasText("said by bob"));
  const marks = await page.eval(
    "[...document.querySelectorAll('#log > li')].slice(-4).map((li) => li.querySelector('.remark')?.textContent ?? '')",
  );
  const words = "told by carl and \u05d3\u05e0\u05d4";
  deepEqual(marks, [words, words, words, ""]);
  equal(await page.eval("document.querySelectorAll('#log .remark bdi').length"), 6);
  deepEqual(await page.eval("rung"), ["bob in lobby"]);
  await page.press("f", 2);
  await page.type("hearsay by bob");
  await page.until("document.querySelectorAll('.hits li').length === 1");
  equal(await page.eval("document.querySelector('.hits .remark').textContent"), words);
  deepEqual(page.problems, []);
});

test("all is done by keys", async (page, demo) => {
  equal(await page.eval("document.querySelectorAll('.acts').length"), 0); // no stop of Tab in each
  await page.eval(`${TEXT}.focus()`);
  await page.press("ArrowUp");
  await page.until("document.activeElement.classList.contains('bubble')");
  const first = await page.eval("document.activeElement.dataset.seq");
  await page.press("ArrowUp");
  ok(Number(await page.eval("document.activeElement.dataset.seq")) < Number(first));
  await page.press("ArrowDown");
  await page.press("Enter");
  await page.until(
    "document.activeElement.closest('.acts') && document.activeElement.dataset.does === 'quote'",
  );
  await page.press("Tab");
  await page.press("Enter");
  await page.until("document.activeElement.matches('.picking button')");
  await page.press("Escape");
  await page.until("document.activeElement.dataset.does === 'quote'");
  await page.press("Escape");
  equal(await page.eval("document.activeElement.id"), "text");
  await page.press("ArrowDown", 1);
  await page.until("document.querySelector('[aria-current]').dataset.place === 'room:release'");
  await page.press("ArrowUp", 1);
  await page.until("document.querySelector('[aria-current]').dataset.place === 'room:lobby'");
  await page.press("Tab");
  equal(await page.eval("document.activeElement.id"), "send");
  await page.eval("document.querySelector('[data-place]').focus()");
  await page.send("Input.dispatchKeyEvent", { type: "keyDown", key: "h", text: "h" });
  await page.until(`document.activeElement.id === 'text' && ${TEXT}.value === 'h'`);
  await page.press("f", 2);
  await page.until("document.activeElement.type === 'search'");
  await page.type("clock");
  await page.until("document.querySelectorAll('.hits li').length === 1");
  await page.click(".hits li:last-child .quiet");
  await page.until("document.activeElement.textContent.includes('the second machine')");
  deepEqual(page.problems, []);
  ok(demo.asked.some(({ type, find }) => type === "entries" && find === "clock"));
});

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

test("the newest of many messages are shown, and earlier ones on demand", async (page, demo) => {
  demo.now = Date.now();
  // Groups grow, too: of one person much more than of several.
  for (let n = 0; n < 5000; n++) demo.say(demo.lobby.people[1 + n % 400 % 3]!, `message ${n}`);
  await page.until(hasText("message 4999"));
  const count = "document.querySelectorAll('#log .bubble').length";
  ok(await page.eval(count) <= 600);
  ok(
    await page.eval("document.querySelector('#log .nothing button')"),
    "earlier ones can be asked for",
  );
  await page.send("Page.reload");
  await page.until(hasText("message 4999"));
  equal(await page.eval(count), 100);
  await page.click("#log .nothing button");
  await page.until(`${count} === 200`);
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

test("an open card is as its person is, and keeps the focus", async (page, demo) => {
  const { lobby, model } = demo;
  const card = "document.getElementById('dialog').textContent";
  await page.click('[data-place^="person:SHA256:CCC"]');
  await page.click("#bar .title");
  await page.until(`${card}.includes('Away: lunch until one') && ${card}.includes('Ban for')`);
  await page.eval(
    "[...document.querySelectorAll('dialog button')].find((b) => b.textContent === 'Ignore').focus()",
  );
  model.setPeople(
    lobby,
    lobby.people.map((one) => one.nick === "carl" ? { ...one, away: "" } : one),
  );
  const release = model.list.find(({ title }) => title === "release")!;
  const carls = [release, ...model.list.filter(({ kind }) => kind === "person")];
  for (const each of carls) {
    model.setPeople(
      each,
      lobby.people.filter(({ nick }) => nick === "carl"),
    );
  }
  await page.until(`${card}.includes('Here now')`);
  equal(await page.eval("document.activeElement.textContent"), "Ignore");
  const gone = { ...lobby.people.find(({ nick }) => nick === "carl")!, here: false };
  for (const each of [lobby, release]) {
    model.setPeople(each, each.people.filter(({ nick }) => nick !== "carl"));
  }
  for (const each of carls.slice(1)) model.setPeople(each, [gone]);
  await page.until(
    `${card}.includes('Not here') && !${card}.includes('Ban for')`,
  );
  equal(await page.eval(`${TEXT}.disabled`), true);
  for (const each of carls.slice(1)) model.setPeople(each, [{ ...gone, lost: true }]);
  await page.until(`${card}.includes('waits for them') && !${TEXT}.disabled`);
  await page.click("dialog .shut");

  await page.click('[data-place="room:lobby"]');
  await page.click("#bar .title");
  const rows = "document.querySelectorAll('dialog .here li').length";
  await page.until(`${rows} === 5`);
  await page.eval("document.querySelector('dialog input').focus()");
  await page.type("half a topic");
  model.setPeople(lobby, lobby.people.slice(0, 2));
  await page.until(`${rows} === 2`);
  ok((await page.eval<string>("document.activeElement.value")).includes("half a topic"));
  ok((await page.eval<string>(card)).includes("Message of the day"));
  deepEqual(page.problems, []);
});

test("what is kept here and in the history is found once", async (page) => {
  const found = "[...document.querySelectorAll('.hits .text')].map((text) => text.textContent)";
  await page.press("f", 2);
  await page.type("clock");
  await page.click(".further button");
  await page.until(`${found}.length === 2`);
  deepEqual(await page.eval(found), [
    "It was the clock of the second machine.",
    "clock, a week ago",
  ]);
  ok((await page.eval<string>("document.querySelector('.status').textContent")).startsWith("2 "));
});

test(
  "where nobody is one may invite, and a room one is no more in can be joined again",
  async (page, demo) => {
    const { lobby, model } = demo;
    const release = model.list.find(({ title }) => title === "release")!;
    model.setPeople(release, release.people.slice(0, 1));
    model.addNotice(release, { level: "info", text: "you are in release", hint: "" }, demo.now);
    await page.click('[data-place="room:release"]');
    await page.until(hasText("You are alone here"));
    model.addNotice(release, { level: "info", text: "something is said", hint: "" }, demo.now);
    await page.until("document.querySelector('#log > :last-child .main')");
    await page.click("#log .main");
    await page.until("document.querySelector('dialog .qr')");
    await page.click("dialog .shut");
    model.setPeople(release, lobby.people.slice(0, 2));
    await page.until(`!${hasText("You are alone here")}`);
    release.connection = "left";
    model.changedList();
    await page.until(`${TEXT}.disabled`);
    await page.eval(
      "[...document.querySelectorAll('#bar button')].find((b) => b.textContent === 'Join again').click()",
    );
    await poll(
      () => demo.asked.some(({ line }) => line === "/join release") || undefined,
      () => "/join",
    );
  },
);

// Whoever sees, hears or touches it.

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
