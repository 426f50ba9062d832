import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { Clock } from "../../lib/base/clock.ts";
import { poll } from "../support/program.ts";
import { FakeClock, until } from "../support/fake_clock.ts";
import { MAX_WEB_CONNECTIONS, type WebRequest, WebServer } from "../../lib/base/web_server.ts";

/** A server on a free port that answers with the path, and what it was asked. */
function start(clock?: Clock) {
  const asked: WebRequest[] = [];
  const server = new WebServer([Deno.listen({ hostname: "127.0.0.1", port: 0 })], (request) => {
    asked.push(request);
    if (request.path === "/bug") throw new Error("secret");
    return { status: 200, body: `here is ${request.path}` };
  }, clock);
  return { asked, server, [Symbol.dispose]: () => server.stop() };
}

/** Sends bytes on a connection of its own, and reads what comes until its end. */
async function send(port: number, text: string): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode(text));
  return await new Response(connection.readable).text();
}

const GET = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;

Deno.test("WebServer answers GET and HEAD, and closes the connection", async () => {
  using it = start();
  const { port } = it.server;
  equal(
    await send(port, GET("/a?b", "X-One:  two \r\n")),
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 10\r\n" +
      "x-content-type-options: nosniff\r\nconnection: close\r\n\r\nhere is /a",
  );
  const [request] = it.asked;
  deepEqual([request!.path, request!.address, request!.headers.get("x-one")], [
    "/a",
    "127.0.0.1",
    "two",
  ]);
  match(await send(port, GET("/a").replace("GET", "HEAD")), /length: 10\r\n[^]*\r\n\r\n$/);
  match(await send(port, GET("/a").replace("GET", "POST") + "x".repeat(9000)), /^HTTP\/1\.1 405 /);
});

Deno.test("WebServer refuses what is no plain request for this computer", async () => {
  using it = start();
  const { port } = it.server;
  const cases: [text: string, reply: RegExp][] = [
    ["hello\r\n\r\n", /^HTTP\/1\.1 400 /],
    [GET("http://localhost/a"), /^HTTP\/1\.1 400 /],
    [GET("/a b"), /^HTTP\/1\.1 400 /],
    [GET("/a\x00"), /^HTTP\/1\.1 400 /],
    [GET("/a", "Host: localhost\r\n"), /^HTTP\/1\.1 400 /],
    [GET("/a", " folded\r\n"), /^HTTP\/1\.1 400 /],
    [GET("/a").replace("localhost", "evil.example"), /^HTTP\/1\.1 421 /],
    [GET("/a").replace("Host: localhost\r\n", ""), /^HTTP\/1\.1 421 /],
    [GET(`/${"a".repeat(9000)}`), /^HTTP\/1\.1 400 /],
  ];
  for (const [text, reply] of cases) match(await send(port, text), reply, text.slice(0, 40));
  equal(it.asked.length, 0);
  const bug = await send(port, GET("/bug"));
  match(bug, /^HTTP\/1\.1 500 /);
  ok(!bug.includes("secret"));
});

Deno.test("WebServer answers a thousand requests that come at once, and goes on beside idle connections", async () => {
  using it = start();
  const { port } = it.server;
  const idle = await Promise.all(
    Array.from(
      { length: MAX_WEB_CONNECTIONS - 1 },
      () => Deno.connect({ hostname: "127.0.0.1", port }),
    ),
  );
  const replies = await Promise.all(
    Array.from({ length: 1000 }, (_, i) => send(port, GET(`/${i}`))),
  );
  for (const [i, reply] of replies.entries()) ok(reply.endsWith(`here is /${i}`));
  for (const connection of idle) connection.close();
});

Deno.test("WebServer cuts who says nothing for a second, where others wait for the place", async () => {
  const clock = new FakeClock();
  using it = start(clock);
  const { port } = it.server;
  const silent = await Promise.all(
    Array.from(
      { length: MAX_WEB_CONNECTIONS },
      () => Deno.connect({ hostname: "127.0.0.1", port }),
    ),
  );
  // One timer for each of them, and one of who waits.
  await until(() => clock.timers > MAX_WEB_CONNECTIONS, 60_000);
  const asking = send(port, GET("/late"));
  await clock.advance(999);
  equal(clock.timers, MAX_WEB_CONNECTIONS + 1);
  await clock.advance(1);
  ok((await asking).endsWith("here is /late"));
  for (const connection of silent) connection.close();
});

Deno.test("WebServer cuts a request that does not end within 10 s", async () => {
  const clock = new FakeClock();
  using it = start(clock);
  const { port } = it.server;
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  await connection.write(new TextEncoder().encode("GET / HTTP/1.1\r\n"));
  await until(() => clock.timers > 0, 60_000);
  await clock.advance(9999);
  await until(() => clock.timers > 0, 60_000);
  await clock.advance(1);
  equal(await connection.read(new Uint8Array(1)), null);
});

Deno.test("WebServer cuts a reply of which nothing is read for 30 s", async () => {
  const clock = new FakeClock();
  const chunk = new Uint8Array(1 << 20);
  let sent = 0;
  let isDone = false;
  const server = new WebServer([Deno.listen({ hostname: "127.0.0.1", port: 0 })], () => ({
    status: 200,
    body: {
      length: Number.MAX_SAFE_INTEGER,
      chunks: (async function* () {
        for (;; sent++) yield await Promise.resolve(chunk);
      })(),
    },
    done: () => isDone = true,
  }), clock);
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
  await connection.write(new TextEncoder().encode(GET("/")));
  let before = -1;
  // It has filled what the system keeps when nothing more is taken.
  await poll(() => {
    const isStuck = sent > 0 && sent === before;
    before = sent;
    return isStuck;
  }, () => "a stuck reply");
  await clock.advance(29_000);
  await poll(async () => {
    await clock.advance(1000);
    return isDone;
  }, () => "the end of the reply");
  server.stop();
});
