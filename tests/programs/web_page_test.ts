/** The page in a browser, with people behind it who exist nowhere: what it shows, and whom it lets in. */

import { deepEqual, equal, ok } from "node:assert/strict";
import type { Page } from "../support/browser.ts";
import { poll } from "../support/program.ts";
import { PAGE_FILES } from "../../lib/ui/web/page_files.ts";
import { hasText, press, ROWS, test, TEXT } from "../support/web_page.ts";

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
