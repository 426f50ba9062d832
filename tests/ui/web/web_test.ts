/** Who may have the page and its socket. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { systemClock } from "../../../lib/base/clock.ts";
import { PAGE_FILES } from "../../../lib/ui/web/page_files.ts";
import {
  BUFFERED_MS,
  CLOSE,
  MAX_ASKED,
  MAX_BUFFERED,
  MAX_BYTES_MESSAGE,
  MAX_MESSAGE_LENGTH,
  MAX_PAGES,
  MAX_PROOF_LENGTH,
  MAX_UNPROVEN,
  MAX_UNREAD,
  type Page,
  PROOF_MS,
  STOP_MS,
  Web,
} from "../../../lib/ui/web/web.ts";
import { FakeClock, until } from "../../support/fake_clock.ts";
import { PATHS, readProject } from "../../support/project.ts";
import { makeMac, type Message, type Told, WebClient } from "../../support/web_client.ts";

/** As a last resort against hanging. */
const LIMIT_MS = 60_000;

interface Rig extends AsyncDisposable {
  readonly web: Web;
  readonly clock: FakeClock;
  readonly secret: string;
  /** What pages have asked, and their bytes. */
  readonly asked: unknown[];
  /** What is told, a message at a time. */
  readonly news: Told[];
  readonly pages: Set<Page>;
  /** How many messages each page was told. */
  readonly told: Map<Page, number>;
  /** Lets requests wait for their answers until it is called. */
  answer: (() => void) | undefined;
  open(): WebClient;
  prove(options?: { have?: unknown }): Promise<WebClient>;
}

function start({ port = 0 } = {}): Rig {
  const clock = new FakeClock();
  const asked: unknown[] = [];
  const news: Told[] = [];
  const pages = new Set<Page>();
  const told = new Map<Page, number>();
  const clients: WebClient[] = [];
  const held = Promise.withResolvers<void>();
  let isHeld = false;
  const web = new Web({
    clock,
    port,
    greet(page, have) {
      pages.add(page);
      let place = 0;
      const next = () => {
        told.set(page, place);
        return news[place++] ?? (place--, undefined);
      };
      return { ready: { have }, next };
    },
    async take(message) {
      asked.push(message);
      if (isHeld) await held.promise;
      return { ok: true, text: message.type === "much" ? "x".repeat(256 * 1024) : undefined };
    },
    takeBytes: (bytes) => void asked.push(bytes),
    left: (page) => void pages.delete(page),
  });
  const open = () => {
    const client = new WebClient(web.link);
    clients.push(client);
    return client;
  };
  return {
    ...{ web, clock, asked, news, pages, told, open },
    secret: new URL(web.link).hash.slice(1),
    get answer() {
      isHeld = true;
      return () => held.resolve();
    },
    async prove(options) {
      const client = open();
      await client.prove(options);
      return client;
    },
    async [Symbol.asyncDispose]() {
      held.resolve();
      const stopped = web.stop();
      await Promise.all(clients.map((client) => client.close()));
      await clock.advance(STOP_MS);
      await stopped;
    },
  };
}

/** A request as it stands on the wire: `fetch` sets these headers itself. */
async function request(
  web: Web,
  lines: readonly string[],
): Promise<{ status: number; head: string; body: string }> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: web.port });
  const text = [...lines, "connection: close", "", ""].join("\r\n");
  await connection.write(new TextEncoder().encode(text));
  const answer = await new Response(connection.readable).text();
  const [head = "", body = ""] = answer.split("\r\n\r\n", 2);
  return { status: Number(head.split(" ")[1]), head, body };
}

const upgrade = (origin: string) => [
  `origin: ${origin}`,
  "upgrade: websocket",
  "connection: upgrade",
  "sec-websocket-version: 13",
  "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
];

Deno.test("the page is for one origin, for reading, and from nowhere else", async () => {
  await using rig = start();
  const { web } = rig;
  const own = `127.0.0.1:${web.port}`;
  const host = `host: ${own}`;
  const cases: readonly [status: number, line: string, ...headers: string[]][] = [
    [200, "GET /", host],
    [200, "GET /page.js", host, "sec-fetch-site: same-origin"],
    [200, "GET /", host, "sec-fetch-site: none"],
    [200, "GET /", host, "sec-fetch-site: cross-site", "sec-fetch-mode: navigate"],
    [421, "GET /", `host: localhost:${web.port}`],
    [421, "GET /", `host: evil.example:${web.port}`],
    [421, "GET /", "host: 127.0.0.1"],
    [421, "GET /", `host: 127.0.0.1:${web.port}.evil.example`],
    [405, "POST /", host],
    [405, "HEAD /", host],
    [405, "OPTIONS /socket", host],
    [403, "GET /", host, "sec-fetch-site: cross-site", "sec-fetch-mode: no-cors"],
    [403, "GET /", host, "sec-fetch-site: same-site", "sec-fetch-mode: cors"],
    [403, "GET /page.js", host, "sec-fetch-site: same-site", "sec-fetch-mode: navigate"],
    [403, "GET /socket", host],
    [403, "GET /socket", host, ...upgrade("null")],
    [403, "GET /socket", host, ...upgrade(`http://localhost:${web.port}`)],
    [403, "GET /socket", host, ...upgrade("http://127.0.0.1:1")],
    [403, "GET /socket", host, ...upgrade(`https://${own}`)],
    [426, "GET /socket", host, `origin: http://${own}`],
    [426, "GET /socket", host, ...upgrade(`http://${own}`).slice(0, -1)],
    [426, "GET /socket", host, ...upgrade(`http://${own}`).toSpliced(2, 1)],
    [404, "GET /socket.ts", host],
    [404, "GET /../face.ts", host],
    [404, "GET /__proto__", host],
  ];
  for (const [status, line, ...headers] of cases) {
    const { status: found, body } = await request(web, [`${line} HTTP/1.1`, ...headers]);
    const name = [line, ...headers].join(", ");
    equal(found, status, name);
    if (status !== 200) equal(body.replaceAll(/^0\r\n|\r\n/g, ""), "", name);
  }
});

Deno.test("every answer forbids what the page does not need", async () => {
  await using rig = start();
  const { web } = rig;
  for (const [path, status] of [["/", 200], ["/nothing", 404]] as const) {
    const response = await fetch(web.origin + path);
    await response.body?.cancel();
    equal(response.status, status);
    const expected = {
      "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; " +
        `img-src 'self' blob:; connect-src ws://127.0.0.1:${web.port}; base-uri 'none'; ` +
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; " +
        "trusted-types 'none'",
      "x-frame-options": "DENY",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cache-control": "no-store",
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
      "permissions-policy": "camera=(), microphone=(), geolocation=(), usb=(), serial=(), hid=()",
    };
    const found = Object.keys(expected).map((name) => [name, response.headers.get(name)]);
    deepEqual(Object.fromEntries(found), expected);
    equal(response.headers.get("set-cookie"), null);
    equal(response.headers.get("access-control-allow-origin"), null);
  }
});

Deno.test("the files of the page are those of the project, all of them", async () => {
  const folder = "lib/ui/web/page/";
  const paths = PATHS.filter((path) => path.startsWith(folder));
  const served = [...PAGE_FILES].map(([path]) =>
    folder + (path === "/" ? "index.html" : path.slice(1))
  );
  deepEqual(served.toSorted(), paths);
  for (const [path, { text, type }] of PAGE_FILES) {
    const name = path === "/" ? "index.html" : path.slice(1);
    equal(text, await readProject(folder + name));
    match(type, name.endsWith(".js") ? /^text\/javascript/ : /^(text\/(html|css)|image\/svg)/);
  }
});

Deno.test("the link is on 127.0.0.1, has 192 random bits, and another one at each start", async () => {
  await using one = start();
  await using two = start();
  match(one.web.link, /^http:\/\/127\.0\.0\.1:\d+\/#[\w-]{32}$/);
  ok(one.secret !== two.secret);
});

Deno.test("another port is used if the one that is wanted is taken", async () => {
  await using one = start();
  await using two = start({ port: one.web.port });
  deepEqual([one.web.isElsewhere, two.web.isElsewhere], [false, true]);
  ok(one.web.port !== two.web.port);
});

Deno.test("both sides prove that they know the secret before anything is told", async () => {
  await using rig = start();
  rig.news.push({ type: "live", rev: 1 });
  const client = rig.open();
  const { type, nonce } = await client.receive();
  equal(type, "challenge");
  client.send({
    type: "proof",
    nonce: "own",
    mac: await makeMac(rig.secret, `page ${nonce} own`),
    have: 7,
  });
  deepEqual(await client.receive(), {
    type: "ready",
    mac: await makeMac(rig.secret, `program ${nonce} own`),
    have: 7,
  });
  deepEqual(await client.receive(), { type: "live", rev: 1 });
});

Deno.test("a wrong, absent or malformed proof closes the socket, and nothing was told", async () => {
  await using rig = start();
  rig.news.push({ type: "live", rev: 1 });
  const { secret } = rig;
  const proofs: readonly [code: number, make: (nonce: string) => Promise<string> | string][] = [
    [CLOSE.unproven, async (nonce) => proof({ mac: await makeMac("x", `page ${nonce} own`) })],
    [CLOSE.unproven, async (nonce) => proof({ mac: await makeMac(secret, `page ${nonce} other`) })],
    [
      CLOSE.unproven,
      async (nonce) => proof({ mac: await makeMac(secret, `program ${nonce} own`) }),
    ],
    [
      CLOSE.unproven,
      async (nonce) => proof({ type: "say", mac: await makeMac(secret, `page ${nonce} own`) }),
    ],
    [CLOSE.unproven, () => proof({ mac: "zz" })],
    [CLOSE.unproven, () => proof({ mac: 7 })],
    [CLOSE.unproven, () => proof({})],
    [CLOSE.unproven, () => proof({ nonce: undefined })],
    [CLOSE.unproven, () => "{}"],
    [CLOSE.malformed, () => "[]"],
    [CLOSE.malformed, () => "null"],
    [CLOSE.malformed, () => "{"],
    [CLOSE.tooLong, () => `{"type":"proof","x":"${"x".repeat(MAX_PROOF_LENGTH)}"}`],
  ];
  for (const [code, make] of proofs) {
    const client = rig.open();
    const { nonce } = await client.receive();
    client.sendText(await make(String(nonce)));
    equal(await client.closed, code, String(make));
    equal(client.waiting, 0);
  }
  const client = rig.open();
  await client.receive();
  client.sendBytes(new Uint8Array(8));
  equal(await client.closed, CLOSE.unproven, "bytes");
  equal(rig.pages.size, 0);
});

function proof(fields: Message): string {
  return JSON.stringify({ type: "proof", nonce: "own", have: 0, ...fields });
}

Deno.test("a socket without a proof is closed after PROOF_MS", async () => {
  await using rig = start();
  const client = rig.open();
  await client.receive();
  await rig.clock.advance(PROOF_MS - 1);
  equal(client.isOpen, true);
  await rig.clock.advance(1);
  equal(await client.closed, CLOSE.unproven);
});

Deno.test("of too many unproven sockets the oldest goes", async () => {
  await using rig = start();
  const clients: WebClient[] = [];
  for (let i = 0; i <= MAX_UNPROVEN; i++) {
    clients.push(rig.open());
    await clients[i]!.receive();
  }
  equal(await clients[0]!.closed, CLOSE.unproven);
  ok(clients.slice(1).every(({ isOpen }) => isOpen));
});

Deno.test("of many sockets that come at once no more stay", async () => {
  await using rig = start();
  const clients = Array.from({ length: 5 * MAX_UNPROVEN }, () => rig.open());
  let closed = 0;
  for (const client of clients) client.closed.then(() => closed++);
  const open = () => clients.filter(({ isOpen }) => isOpen);
  await until(() => closed === 4 * MAX_UNPROVEN && open().length === MAX_UNPROVEN, LIMIT_MS);
  equal((await open()[0]!.prove()).type, "ready");
});

Deno.test("a page too many is closed with a code of its own, and has room when another one goes", async () => {
  await using rig = start();
  const clients: WebClient[] = [];
  for (let i = 0; i < MAX_PAGES; i++) clients.push(await rig.prove());
  const extra = rig.open();
  await extra.sendProof();
  equal(await extra.closed, CLOSE.full);
  await clients[0]!.close();
  await until(() => rig.pages.size === MAX_PAGES - 1, LIMIT_MS);
  await rig.prove();
});

Deno.test("`have` is a number, or counts as none", async () => {
  await using rig = start();
  for (const [have, taken] of [[3, 3], ["3", 0], [1.5, 0], [null, 0], [{}, 0]] as const) {
    const client = rig.open();
    equal((await client.prove({ have })).have, taken);
    await client.close();
    await until(() => rig.pages.size === 0, LIMIT_MS);
  }
});

const REF = "0123456789abcdef";

Deno.test("each request has one result with its ref", async () => {
  await using rig = start();
  const client = await rig.prove();
  client.send({ type: "anything", ref: REF, more: 1 });
  deepEqual(await client.receive(), { ok: true, type: "result", ref: REF });
  deepEqual(rig.asked, [{ type: "anything", ref: REF, more: 1 }]);
});

Deno.test("a malformed or too long message closes the socket of a page", async () => {
  await using rig = start();
  const cases: readonly [code: number, data: string | Uint8Array<ArrayBuffer>][] = [
    [CLOSE.malformed, "{"],
    [CLOSE.malformed, "7"],
    [CLOSE.malformed, `{"type":"x"}`],
    [CLOSE.malformed, `{"type":"x","ref":"0123"}`],
    [CLOSE.malformed, `{"type":7,"ref":"${REF}"}`],
    [CLOSE.tooLong, "x".repeat(MAX_MESSAGE_LENGTH + 1)],
    [CLOSE.tooLong, new Uint8Array(MAX_BYTES_MESSAGE + 1)],
  ];
  for (const [code, data] of cases) {
    const client = await rig.prove();
    if (typeof data === "string") client.sendText(data);
    else client.sendBytes(data);
    equal(await client.closed, code, String(data).slice(0, 40));
  }
  deepEqual(rig.asked, []);
});

Deno.test("a message of the greatest length is taken", async () => {
  await using rig = start();
  const client = await rig.prove();
  const start_ = `{"type":"x","ref":"${REF}","x":"`;
  client.sendText(`${start_}${"x".repeat(MAX_MESSAGE_LENGTH - start_.length - 2)}"}`);
  equal((await client.receive()).ok, true);
  client.sendBytes(new Uint8Array(MAX_BYTES_MESSAGE));
  await until(() => rig.asked.length === 2, LIMIT_MS);
});

Deno.test("a page with too many unanswered requests is closed", async () => {
  await using rig = start();
  const { answer } = rig;
  const client = await rig.prove();
  const ask = (n: number) => client.send({ type: "x", ref: n.toString(16).padStart(16, "0") });
  for (let n = 0; n < MAX_ASKED; n++) ask(n);
  await until(() => rig.asked.length === MAX_ASKED, LIMIT_MS);
  equal(client.isOpen, true);
  ask(MAX_ASKED);
  equal(await client.closed, CLOSE.refused);
  equal(rig.asked.length, MAX_ASKED);
  answer?.();
});

Deno.test("news goes to every page when they are woken", async () => {
  await using rig = start();
  const clients = [await rig.prove(), await rig.prove()];
  rig.news.push({ type: "x", rev: 1 });
  rig.web.wake();
  rig.web.wake();
  for (const client of clients) deepEqual(await client.receive(), { type: "x", rev: 1 });
});

/** A page that proves itself and then reads nothing until it is told to. */
async function openDeaf({ web, secret }: Rig): Promise<Deno.TcpConn> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port: web.port });
  const own = `127.0.0.1:${web.port}`;
  const lines = ["GET /socket HTTP/1.1", `host: ${own}`, ...upgrade(`http://${own}`), "", ""];
  await connection.write(new TextEncoder().encode(lines.join("\r\n")));
  const buffer = new Uint8Array(4096);
  let read = "";
  while (!/\}/.test(read)) {
    read += new TextDecoder("latin1").decode(buffer.subarray(0, (await connection.read(buffer))!));
  }
  const { nonce } = JSON.parse(/\{.*\}/.exec(read)![0]);
  const mac = await makeMac(secret, `page ${nonce} own`);
  await connection.write(frame(proof({ mac })));
  return connection;
}

/** A masked frame with a text of 126 to 65535 bytes; the mask is zero. */
function frame(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(text.padEnd(126));
  return Uint8Array.of(0x81, 0xfe, bytes.length >> 8, bytes.length, 0, 0, 0, 0, ...bytes);
}

Deno.test("a page that does not read is told no more than MAX_BUFFERED, and delays no other", async () => {
  await using rig = start();
  using deaf = await openDeaf(rig);
  await until(() => rig.pages.size === 1, LIMIT_MS);
  const [page] = rig.pages;
  const reader = await rig.prove();
  const [count, length] = [1000, 64 * 1024];
  for (let rev = 0; rev < count; rev++) rig.news.push({ type: "x", rev, text: "x".repeat(length) });
  rig.web.wake();
  const received = (async () => {
    for (let rev = 0; rev < count; rev++) equal((await reader.receive()).rev, rev);
    return true;
  })();
  let isOver = false;
  void received.then(() => isOver = true);
  const pass = () => rig.clock.advance(BUFFERED_MS);
  const passUntil = async (isDue: () => boolean) => {
    await until(() => (void pass(), isDue()), LIMIT_MS);
  };
  await passUntil(() => isOver);
  for (let n = 0; n < 50; n++) await pass();
  // Beside the socket's own buffer, the system has some at either end.
  const told = rig.told.get(page!)! * length;
  ok(told >= MAX_BUFFERED && told <= MAX_BUFFERED + 24 * 1024 * 1024, `${told}`);
  equal(page!.isReady, false);
  const { readable } = deaf;
  let bytes = 0;
  void readable.pipeTo(new WritableStream({ write: (part) => void (bytes += part.length) })).catch(
    () => {},
  );
  await passUntil(() => bytes >= count * length);
  equal(rig.told.get(page!), count);
  equal(page!.isReady, true);
});

Deno.test("a page that asks and does not read is closed", async () => {
  await using rig = start();
  using deaf = await openDeaf(rig);
  await until(() => rig.pages.size === 1, LIMIT_MS);
  const most = 4 * MAX_UNREAD / (256 * 1024);
  for (let n = 0; n < most && rig.pages.size > 0; n++) {
    const ref = n.toString(16).padStart(16, "0");
    await deaf.write(frame(JSON.stringify({ type: "much", ref })));
    await until(() => rig.asked.length > n || rig.pages.size === 0, LIMIT_MS);
  }
  equal(rig.pages.size, 0);
  ok(rig.asked.length * 256 * 1024 > MAX_UNREAD);
});

Deno.test("a page that is gone is said to have left, once", async () => {
  await using rig = start();
  const client = await rig.prove();
  equal(rig.pages.size, 1);
  await client.close();
  await until(() => rig.pages.size === 0, LIMIT_MS);
});

Deno.test("the end closes pages and what has not proven itself", async () => {
  const rig = start();
  const page = await rig.prove();
  const other = rig.open();
  await other.receive();
  await rig[Symbol.asyncDispose]();
  deepEqual(await Promise.all([page.closed, other.closed]), [CLOSE.ended, CLOSE.ended]);
});

Deno.test("the real clock is one, too", async () => {
  const web = new Web({
    clock: systemClock,
    port: 0,
    greet: () => ({ ready: {}, next: () => undefined }),
    take: () => Promise.resolve({}),
    takeBytes: () => {},
    left: () => {},
  });
  await web.stop();
});
