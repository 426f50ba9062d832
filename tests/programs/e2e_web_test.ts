/** `client --web` in a browser, with somebody else at `client --json`. */

import { deepEqual, equal, ok } from "node:assert/strict";
import { hostWithStandBy } from "../conversations/operators.ts";
import { Browser, findBrowser, type Page } from "../support/browser.ts";
import { fingerprintOf, FROM_SOURCE, type Program, World } from "../support/programs.ts";

const program = await findBrowser();
if (program === undefined) console.log("e2e_web_test.ts: skipped, no Chromium");

const TEXT = "document.getElementById('text')";
const LAST_OWN = "[...document.querySelectorAll('.own .bubble')].at(-1)";

/** A picture of one pixel. */
const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/** Whether the log has a text. */
const hasText = (text: string) =>
  `document.getElementById('log').textContent.includes(${JSON.stringify(text)})`;

/** Chooses a message, and something of its menu. */
async function act(page: Page, bubble: string, does: string): Promise<void> {
  await page.eval(`${bubble}.focus()`);
  await page.eval(`${bubble}.querySelector("[data-does=${does}]").click()`);
}

/** anna on a page, bob at a program, and their server. */
class Pair implements AsyncDisposable {
  readonly world: World;
  readonly browser: Browser;
  readonly client: Program;
  readonly bob: Program;
  readonly link: string;
  readonly page: Page;

  private constructor(
    parts: Pick<Pair, "world" | "browser" | "client" | "bob" | "link" | "page">,
  ) {
    ({
      world: this.world,
      browser: this.browser,
      client: this.client,
      bob: this.bob,
      link: this.link,
      page: this.page,
    } = parts);
  }

  static async open(): Promise<Pair> {
    const world = await World.open(FROM_SOURCE);
    const browser = await Browser.start(program!);
    const operators = await world.file("operators", `${await fingerprintOf("anna")}\n`);
    await world.server(["--operators", operators]);
    const keep = ["--download", await world.emptyHome("downloads")];
    const client = await world.pipe("anna", { args: ["--web", "--web-port", "0", ...keep] });
    const [link] = await client.waitForText("stdout", /http:\/\/127\.0\.0\.1:\d+\/#\S+/);
    const bob = await world.client("bob", { args: keep });
    await bob.waitFor("joined");
    const page = await browser.open(link);
    await page.until("!document.getElementById('app').hidden");
    return new Pair({ world, browser, client, bob, link, page });
  }

  /** anna types a line on a page. */
  async say(text: string, page = this.page): Promise<void> {
    await page.until(`!${TEXT}.disabled`);
    await page.eval(`${TEXT}.focus()`);
    await page.type(text);
    await page.press("Enter");
  }

  /** Reloads the page, and waits until it is whole. */
  async reload(): Promise<void> {
    await this.page.send("Page.reload");
    await this.page.until("document.querySelectorAll('#log > li').length > 0");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.browser[Symbol.asyncDispose]();
    await this.world[Symbol.asyncDispose]();
  }
}

/** @param run Gets the two people, and ends when everything was seen. */
function test(name: string, run: (pair: Pair) => Promise<void>): void {
  Deno.test({
    name: `--web: ${name}`,
    ignore: program === undefined,
    fn: async () => {
      await using pair = await Pair.open();
      await run(pair);
      const isExpected = /WebSocket|ERR_CONNECTION/;
      deepEqual(pair.page.problems.filter((problem) => !isExpected.test(problem)), []);
    },
  });
}

test("a conversation in a room, with a reply, reactions, an edit, a retraction and reloads", async (pair) => {
  const { page, bob } = pair;
  equal(await page.eval("location.hash"), "");
  await pair.say("hello from the page");
  const hello = await bob.waitFor("chat", { text: "hello from the page" });
  await page.until("document.querySelector('.receipt.received')");

  await bob.chat("hello <b>back</b>");
  await page.until(hasText("<b>back</b>"));
  await bob.say({ type: "chat", text: "quoted", reply: hello.id });
  await page.until("document.querySelector('.group:not(.own) .quote')");

  await act(page, "[...document.querySelectorAll('.group:not(.own) .bubble')].at(-1)", "quote");
  await pair.say("an answer");
  const answer = await bob.waitFor("chat", { text: "an answer" });
  ok(answer.reply !== undefined);

  await bob.say({ type: "note", ref: answer.id, what: "reaction", text: "👍" });
  await page.until(`${LAST_OWN}.querySelector('.reactions')`);
  await page.eval(`${LAST_OWN}.querySelector('.reactions button').click()`);
  await bob.waitFor("note", { what: "reaction", ref: answer.id });
  await pair.reload();
  await page.until(`${LAST_OWN}.querySelector('.reactions button[aria-pressed="true"]')`);

  await act(page, LAST_OWN, "edit");
  await pair.say(", changed");
  await bob.waitFor("note", { what: "edit", text: "an answer, changed" });
  await page.until(`${LAST_OWN}.textContent.includes('edited')`);
  await act(page, LAST_OWN, "retract");
  await bob.waitFor("note", { what: "retraction" });
  await pair.reload();
  await page.until(`${LAST_OWN}.textContent === 'taken back'`);
  await page.until(hasText("hello from the page"));
});

test("a private conversation holds its person, and digits make them verified", async (pair) => {
  const { page, bob } = pair;
  await pair.say("for the room");
  await bob.waitFor("chat", { text: "for the room", private: false });
  await page.eval(`${TEXT}.focus()`);
  await page.type("still for the room");
  await bob.say({ type: "private", to: "anna", text: "psst" });
  await page.until("document.querySelector('.row .count.calls')");
  await page.until("document.title.startsWith('(1)')");
  await page.press("Enter");
  await bob.waitFor("chat", { text: "still for the room", private: false });

  await page.click(`[data-place="person:${await fingerprintOf("bob")}"]`);
  await page.until(hasText("psst"));
  await page.until("!document.querySelector('.row .count')");
  await pair.say("only for you");
  await bob.waitFor("chat", { text: "only for you", private: true });

  await page.click("#bar .quiet");
  await page.until("document.querySelectorAll('.digits span').length === 12");
  const digits = await page.eval<string>(
    "[...document.querySelectorAll('.digits span')].map((e) => e.textContent).join(' ')",
  );
  await bob.say({ type: "command", ref: "digits", text: "/verify anna" });
  const { halves } = await bob.waitFor("result", { ref: "digits" });
  equal((halves as string[]).join(" "), digits);
  await page.click("dialog .main");
  await page.until("document.querySelector('#bar .i-verified')");
});

test("a draft and two pages live through a reload, and what is said during a cut goes once", async (pair) => {
  const { page, bob } = pair;
  await page.eval(`${TEXT}.focus()`);
  await page.type("half a sen");
  await pair.reload();
  await page.until(`${TEXT}.value === 'half a sen'`);
  const second = await pair.browser.open(pair.link);
  await second.until("!document.getElementById('app').hidden");
  await pair.say("tence");
  await second.until(hasText("half a sentence"));
  equal(await page.eval(`${TEXT}.value`), "");

  await page.eval(`(() => {
    const { send } = WebSocket.prototype;
    WebSocket.prototype.send = function (data) {
      send.call(this, data);
      if (!String(data).includes('"say"')) return;
      WebSocket.prototype.send = send;
      this.close();
    };
  })()`);
  await pair.say("only once");
  await bob.waitFor("chat", { text: "only once" });
  await bob.chat("meanwhile");
  await page.until(`${hasText("only once")} && ${hasText("meanwhile")}`);
  await pair.say("afterwards");
  await bob.waitFor("chat", { text: "afterwards" });
  equal(bob.all("chat", { text: "only once" }).length, 1);
  const count =
    "[...document.querySelectorAll('.bubble')].filter((b) => b.textContent === 'only once').length";
  equal(await page.eval(count), 1);
});

test("a second program of the same person has a page of its own, and both work", async (pair) => {
  const { page, bob, world, browser, client, link } = pair;
  const port = new URL(link).port;
  const other = await world.pipe("anna", { args: ["--web", "--web-port", port] });
  await other.waitForText("stdout", new RegExp(`port ${port} is taken: the page is on port`));
  const [second] = await other.waitForText("stdout", /http:\/\/127\.0\.0\.1:\d+\/#\S+/);
  // The secret of one program opens no page of the other.
  const wrong = await browser.open(new URL(second).origin + "/" + new URL(link).hash);
  await wrong.until("document.getElementById('gate').textContent.includes('earlier start')");
  const elsewhere = await browser.open(second);
  await elsewhere.until("!document.getElementById('app').hidden");
  await pair.say("from the first");
  await elsewhere.until(`${hasText("from the first")} && document.querySelector(".own .bubble")`);
  await pair.say("from the second", elsewhere);
  await page.until(hasText("from the second"));
  await bob.say({ type: "private", to: "anna", text: "for both" });
  const row = `[data-place="person:${await fingerprintOf("bob")}"]`;
  for (const each of [page, elsewhere]) {
    await each.click(row);
    await each.until(hasText("for both"));
  }
  for (const text of ["from the first", "from the second"]) {
    equal(bob.all("chat", { text }).length, 1);
  }
  await other.kill("SIGINT");
  await elsewhere.until("document.getElementById('strip').textContent.includes('has ended')");
  await page.click('[data-place="room:lobby"]');
  await pair.say("the first goes on");
  await bob.waitFor("chat", { text: "the first goes on" });
  equal(client.running, true);
});

test("files go both ways, and pictures are shown once they are here", async (pair) => {
  const { page, bob, world } = pair;
  const drop = (name: string) =>
    page.eval(`(() => {
      const bytes = Uint8Array.from(atob("${PNG}"), (char) => char.charCodeAt(0));
      const files = new DataTransfer();
      files.items.add(new File([bytes], "${name}", { type: "image/png" }));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true }));
    })()`);
  await drop("dot.png");
  await page.until("document.querySelector('#tray img')");
  deepEqual(bob.all("offer"), []);
  await page.eval(`${TEXT}.focus()`);
  await page.press("Enter");
  const offer = await bob.waitFor("offer", { name: "dot.png" });
  await page.until("document.getElementById('tray').hidden");
  await bob.say({ type: "accept", id: offer.id });
  await bob.waitFor("received");
  await page.until("document.querySelector('.own .transfer.done')");
  equal(
    await page.eval("document.querySelector('.own .transfer.done').textContent"),
    "bobhas it",
  );

  const path = await world.file("from bob.png", Uint8Array.from(atob(PNG), (c) => c.charCodeAt(0)));
  await bob.say({ type: "send", path });
  await page.click("[data-does=accept]");
  await page.until("document.querySelector('.group:not(.own) .picture img')?.naturalWidth === 1");
  await pair.reload();
  await page.until("document.querySelector('.group:not(.own) .picture img')?.naturalWidth === 1");
});

test("two rooms, and the ends of the server and of the program are shown", async (pair) => {
  const { page, bob, world, client } = pair;
  await pair.say("/join garden");
  await page.until("document.querySelector('[aria-current]').dataset.place === 'room:garden'");
  await page.click('[data-place="room:lobby"]');
  await pair.say("back in the lobby");
  await bob.waitFor("chat", { text: "back in the lobby" });
  await page.click('[data-place="room:garden"]');
  await page.until("document.getElementById('bar').textContent.includes('garden')");
  await page.click("#bar .title");
  await page.click("dialog .quiet.bad");
  await page.until("!document.querySelector('[data-place=\"room:garden\"]')");

  await world.stopServer();
  await page.until("!document.getElementById('strip').hidden");
  await pair.say("waits");
  await page.until("document.querySelector('.receipt.waiting')");
  await client.kill("SIGINT");
  await page.until("document.getElementById('strip').textContent.includes('has ended')");
});

test("an operator removes and bans somebody by their card, and sees its commands", async (pair) => {
  const { page, bob, world } = pair;
  const person = `[data-place="person:${await fingerprintOf("bob")}"]`;
  const order = async (words: string, from: Program) => {
    await page.until(`document.querySelector('${person}')`);
    await page.click(person);
    await page.until(`!${TEXT}.disabled`); // they are here
    await page.click("#bar .title");
    const button =
      `[...document.querySelectorAll("dialog button")].find((b) => b.textContent === "${words}")`;
    await page.until(button);
    await page.eval(`${button}.click()`);
    equal(await from.ended(), 1);
    equal(from.all("disconnected").at(-1)?.reason, "removed");
    await page.click('[data-place="room:lobby"]');
  };
  await order("Remove", bob);
  await page.until(hasText("was removed by the server's operator"));
  const again = await world.client("bob");
  await again.waitFor("joined");
  await order("Ban for an hour", again);
  const refused = await world.client("bob");
  equal(await refused.ended(), 1);
  equal(refused.all("disconnected").at(-1)?.reason, "not allowed");

  await pair.say("/bans");
  await page.until(hasText(await fingerprintOf("bob")));
  await pair.say("/help");
  await page.until(hasText("/unban"));
});

Deno.test({
  name: "--web: a room goes on at another computer when its host goes",
  ignore: program === undefined,
  fn: async () => {
    await using world = await World.open(FROM_SOURCE);
    await using browser = await Browser.start(program!);
    const [ann, bob, , port] = await hostWithStandBy(world);
    const client = await world.pipe("anna", { args: ["--web", "--web-port", "0"], port });
    const [link] = await client.waitForText("stdout", /http:\/\/127\.0\.0\.1:\d+\/#\S+/);
    const page = await browser.open(link);
    const say = async (text: string) => {
      await page.eval(`${TEXT}.focus()`);
      await page.type(text);
      await page.press("Enter");
    };
    await page.until("!document.getElementById('app').hidden");
    await page.until("document.querySelector('[aria-current]').dataset.place === 'room:lobby'");
    await say("before");
    await bob.waitFor("chat", { text: "before" });
    await ann.leave();
    await say("while it moves");
    await bob.waitFor("moved", { own: true });
    await bob.chat("after");
    await page.until(hasText("after"));
    await bob.waitFor("chat", { text: "while it moves" });
    await page.until(
      `document.getElementById("strip").hidden && ${hasText("bob's computer")}`,
    );
    await say("still here");
    await bob.waitFor("chat", { text: "still here" });
    deepEqual(page.problems, []);
  },
});
