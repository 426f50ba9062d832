/** A server and clients that hand out clients: `--share`. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { Browser, findBrowser } from "../support/browser.ts";
import { fingerprintOf, FROM_SOURCE, poll, type Program, World } from "../support/programs.ts";
import { writeFakeClient } from "../support/shared_folder.ts";

const X64 = "x86_64-unknown-linux-gnu";
const PATH = "/linux-x86_64/client";
const SIZE = 5_000_000;

/** Makes a folder with two programs. @returns The arguments that share it. */
async function sharing(world: World): Promise<{ args: string[]; bytes: Uint8Array }> {
  const folder = world.path("shared");
  await writeFakeClient(folder, "aarch64-unknown-linux-gnu", 5000);
  const bytes = await writeFakeClient(folder, X64, SIZE);
  return { args: [`--share=${folder}`, "--share-port", "0"], bytes };
}

/** The page's address on the loopback interface. */
function pageOf(shown: string): string {
  return `http://127.0.0.1:${new URL(shown).port}`;
}

Deno.test("server --share serves the clients, and a flood of requests does not disturb the chat", async () => {
  await using world = await World.open(FROM_SOURCE);
  const { args, bytes } = await sharing(world);
  const server = await world.server(args);
  const page = pageOf(String(server.first("listening").share));
  const [ann, bob] = await world.gather("ann", "bob") as [Program, Program];
  // One who does not read, and many at once.
  const { hostname, port } = new URL(page);
  using slow = await Deno.connect({ hostname, port: Number(port) });
  await slow.write(new TextEncoder().encode(`GET ${PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n`));
  const flood = Promise.all(
    Array.from({ length: 1000 }, async () => await (await fetch(page)).text()),
  );
  await ann.say({ type: "chat", text: "still here" });
  await bob.waitFor("chat", { text: "still here" });
  const pages = await flood;
  deepEqual(new Set(pages).size, 1);
  const key = await fingerprintOf("server");
  ok(pages[0]!.includes(`:${server.port} <span>--fingerprint</span> ${key}</pre>`));
  deepEqual(new Uint8Array(await (await fetch(page + PATH)).arrayBuffer()), bytes);
  equal(await server.kill("SIGTERM"), 0);
  equal(server.stderr, "");
});

Deno.test("server --share prints the line for each kind of computer, and its checksum", async () => {
  await using world = await World.open(FROM_SOURCE);
  const { args } = await sharing(world);
  const server = world.start("server", {
    args: ["--port", "0", ...args],
    home: await world.home("server", { file: "server.pem" }),
  });
  await server.waitForText(
    "stdout",
    /^Linux, ARM:\n {4}curl -fO http:[^ ]+:\d+\/linux-arm64\/client &&/m,
  );
  await server.waitForText(
    "stdout",
    /^Linux, Intel or AMD:\n.*&& \.\/client --host .* --fingerprint SHA256:.{43}\n {4}SHA-256 [0-9a-f]{64}\n/m,
  );
  equal(await server.kill("SIGTERM"), 0);
});

Deno.test("server --share says once that what it hands out is gone, and when it is there again", async () => {
  await using world = await World.open(FROM_SOURCE);
  const { args, bytes } = await sharing(world);
  const server = world.start("server", {
    args: ["--port", "0", ...args],
    home: await world.home("server", { file: "server.pem" }),
  });
  const [, shown] = await server.waitForText("stdout", /open (http:\S+)[^]*SHA-256[^]*SHA-256/);
  const url = pageOf(shown!) + PATH;
  const ask = async () => {
    const response = await fetch(url);
    await response.body?.cancel();
    return response.status;
  };
  await Deno.rename(world.path("shared"), world.path("elsewhere"));
  equal(await ask(), 404);
  await server.waitForText("stdout", /shared\/x86_64\S+\/client has gone/);
  equal(await ask(), 404);
  await Deno.rename(world.path("elsewhere"), world.path("shared"));
  await poll(async () => await ask() === 200, () => "that it is handed out again");
  await server.waitForText("stdout", /client has changed: .* SHA-256 [0-9a-f]{64}\n/);
  deepEqual(new Uint8Array(await (await fetch(url)).arrayBuffer()), bytes);
  equal(await server.kill("SIGTERM"), 0);
  equal(server.stdout.match(/client has/g)?.length, 2);
});

Deno.test("--share without programs, or with a port that is taken, is one clear error", async () => {
  await using world = await World.open(FROM_SOURCE);
  const { args } = await sharing(world);
  using taken = Deno.listen({ hostname: "0.0.0.0", port: 0 });
  const cases: [args: string[], said: RegExp][] = [
    [[`--share=${world.path("missing")}`], /--share: no client is in /],
    [[args[0]!, "--share-port", String(taken.addr.port)], /--share: port \d+ is taken by another/],
  ];
  const home = await world.home("server", { file: "server.pem" });
  for (const [args, said] of cases) {
    const { code, stderr } = await world.run("server", { args: ["--port", "0", ...args], home });
    equal(code, 1);
    match(stderr, said);
    equal(stderr.match(/error:/g)?.length, 1);
  }
});

Deno.test("client --serve --share shows the lines with /invite, and the page names the host", async () => {
  await using world = await World.open(FROM_SOURCE);
  const { args } = await sharing(world);
  await world.home("ann", { file: "server.pem" });
  const ann = world.start("client", {
    args: ["--serve", "--port", "0", "--nick", "ann", "--json", ...args],
    home: await world.home("ann"),
  });
  await ann.waitFor("welcome");
  await ann.command("/invite");
  const { line, share } = await ann.waitFor("result", { command: "invite" });
  ok(Array.isArray(share) && share.length === 7);
  const [, url] = /(http:[^ ]+)\/linux-arm64/.exec(share[2])!;
  const options = String(line).replace(/.*client /, "");
  ok(share[2].endsWith(`./client ${options}`));
  const text = (await (await fetch(pageOf(url!))).text()).replaceAll(/<\/?span>/g, "");
  ok(text.includes(`./client ${options}</pre>`));
  equal(await ann.leave(), 0);
});

const browser = await findBrowser();

Deno.test({
  name: "a browser shows the page of --share",
  ignore: browser === undefined,
  async fn() {
    await using world = await World.open(FROM_SOURCE);
    const { args } = await sharing(world);
    const server = await world.server(args);
    const address = pageOf(String(server.first("listening").share));
    await using running = await Browser.start(browser!);
    for (const [width, dark] of [[1180, false], [360, true]] as const) {
      const page = await running.open(address, { width, dark, touch: width < 500 });
      await page.until("document.querySelectorAll('pre').length === 2");
      const shown = await page.eval<string>("document.querySelector('pre').innerText");
      match(shown, /^curl -fO http:\/\/127\.0\.0\.1:\d+\/linux-arm64\/client && /);
      ok(shown.endsWith(await fingerprintOf("server")) && !shown.includes("\n"));
      equal(await page.eval("document.documentElement.scrollWidth"), width);
      const [colour] = await page.eval<string[]>(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g)",
      );
      equal(Number(colour) < 128, dark);
      deepEqual(page.problems, []);
      deepEqual(new Set(page.requests), new Set([`${address}/`]));
    }
  },
});
