import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { get } from "node:http";
import type { WebReply, WebRequest } from "../../../lib/base/web_server.ts";
import { findPrograms } from "../../../lib/cli/share/programs.ts";
import {
  makeHandler,
  MAX_DOWNLOADS,
  MAX_DOWNLOADS_OF_ONE,
  startShare,
} from "../../../lib/cli/share/share.ts";
import { writeFakeClient } from "../../support/shared_folder.ts";

const PATH = "/linux-x86_64/client";
const SIZE = 5000;

const say = () => {};

interface Shared {
  readonly bytes: Uint8Array;
  ask(
    path: string,
    headers?: Record<string, string>,
    more?: Partial<WebRequest>,
  ): Promise<WebReply>;
}

async function withShared(run: (shared: Shared) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "hearth_share_" });
  try {
    const bytes = await writeFakeClient(folder, "x86_64-unknown-linux-gnu", SIZE);
    const handle = makeHandler(await findPrograms(folder), {
      invitation: () => "client --host x",
      say,
    });
    await run({
      bytes,
      ask: async (path, headers = {}, more = {}) =>
        await handle({
          isHead: false,
          path,
          headers: new Map(Object.entries({ host: "10.0.0.1:1", ...headers })),
          address: "192.0.2.1",
          ...more,
        }),
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What a reply sends; ends it. */
async function bytesOf({ body, done }: WebReply): Promise<Uint8Array> {
  ok(typeof body === "object");
  const chunks = await Array.fromAsync(body.chunks);
  done?.();
  const bytes = Uint8Array.from(Buffer.concat(chunks));
  equal(bytes.length, body.length);
  return bytes;
}

Deno.test("a download is whole, or the range that is asked for", async () => {
  await withShared(async ({ bytes, ask }) => {
    const whole = await ask(PATH);
    deepEqual([whole.status, await bytesOf(whole)], [200, bytes]);
    const { etag } = whole.headers!;
    const ranges: [range: string, start: number, end: number][] = [
      ["bytes=0-0", 0, 1],
      ["bytes=10-19", 10, 20],
      ["bytes=4990-", 4990, SIZE],
      ["bytes=4990-9999", 4990, SIZE],
      ["bytes=-10", 4990, SIZE],
      ["bytes=-9999", 0, SIZE],
    ];
    for (const [range, start, end] of ranges) {
      const reply = await ask(PATH, { range, "if-range": etag! });
      deepEqual([reply.status, await bytesOf(reply)], [206, bytes.subarray(start, end)], range);
      equal(reply.headers!["content-range"], `bytes ${start}-${end - 1}/${SIZE}`);
    }
    for (const range of ["bytes=5000-", "bytes=-0", "bytes=9999-10000"]) {
      const reply = await ask(PATH, { range });
      deepEqual([reply.status, reply.headers!["content-range"]], [416, `bytes */${SIZE}`], range);
      reply.done!();
    }
    for (const range of ["bytes=0-1,3-4", "lines=1-2", "bytes=-", "bytes=5-2", "bytes=a-b"]) {
      equal((await bytesOf(await ask(PATH, { range }))).length, SIZE, range);
    }
    equal(
      (await bytesOf(await ask(PATH, { range: "bytes=0-0", "if-range": '"old"' }))).length,
      SIZE,
    );
    const same = await ask(PATH, { "if-none-match": etag! });
    deepEqual([same.status, same.body], [304, undefined]);
    same.done!();
  });
});

Deno.test("there is the page, the listed files, and nothing else", async () => {
  await withShared(async ({ ask }) => {
    const page = await ask("/");
    deepEqual([page.status, page.headers!["cache-control"]], [200, "no-store"]);
    match(String(page.body), /curl -fO http:\/\/10\.0\.0\.1:1\/linux-x86_64\/client /);
    const wrong = [
      ...["/linux-x86_64", "/linux-x86_64/", "/linux-x86_64/server", "/linux-arm64/client"],
      ...[
        "/x86_64-unknown-linux-gnu/client",
        "/linux-x86_64/../linux-x86_64/client",
        "/../../etc/passwd",
      ],
      ...["/%2e%2e/etc/passwd", "/linux-x86_64%2fclient", "//linux-x86_64/client", "/index.html"],
    ];
    for (const path of wrong) equal((await ask(path)).status, 404, path);
  });
});

Deno.test("only so many download at a time, HEAD and page apart", async () => {
  await withShared(async ({ ask }) => {
    const from = (address: string, isHead = false) => ask(PATH, {}, { address, isHead });
    const replies: WebReply[] = [];
    for (let i = 0; i < MAX_DOWNLOADS; i++) {
      replies.push(await from(`192.0.2.${Math.floor(i / MAX_DOWNLOADS_OF_ONE)}`));
    }
    deepEqual(replies.map(({ status }) => status), Array(MAX_DOWNLOADS).fill(200));
    const refused = await from("192.0.2.9");
    deepEqual([refused.status, refused.headers!["retry-after"]], [503, "5"]);
    for (let i = 0; i < 3; i++) {
      const head = await from("192.0.2.9", true);
      equal(head.status, 200);
      head.done!();
    }
    equal((await ask("/")).status, 200);
    replies.shift()!.done!();
    const another = await from("192.0.2.1");
    equal(another.status, 503, "one address has two");
    const next = await from("192.0.2.0");
    equal(next.status, 200);
    for (const { done } of [...replies, next]) done!();
  });
});

Deno.test("one computer with many IPv6 addresses is one", async () => {
  await withShared(async ({ ask }) => {
    const from = (address: string) => ask(PATH, {}, { address });
    const replies = [await from("fd00::1"), await from("fd00::2"), await from("fd00::3")];
    deepEqual(replies.map(({ status }) => status), [200, 200, 503]);
    for (const { done } of replies) done?.();
  });
});

Deno.test("startShare() serves what an HTTP client asks for, and says when its port is taken", async () => {
  const folder = await Deno.makeTempDir({ prefix: "hearth_share_" });
  try {
    const bytes = await writeFakeClient(folder, "x86_64-unknown-linux-gnu", 300_000);
    const share = await startShare({ folder, port: 0, invitation: () => undefined, say });
    const base = share.addressOn("127.0.0.1");
    try {
      const response = await fetch(base + PATH);
      deepEqual(new Uint8Array(await response.arrayBuffer()), bytes);
      equal(response.headers.get("content-length"), "300000");
      match(await (await fetch(base)).text(), /The room is moving, try again\./);
      const posted = await fetch(base, { method: "POST", body: "x" });
      deepEqual([posted.status, await posted.text()], [405, ""]);
      equal(await statusFor(base, "evil.example"), 421);
      const { port } = new URL(base);
      await rejects(
        startShare({ folder, port: Number(port), invitation: () => undefined, say }),
        /--share: port \d+ is taken by another program/,
      );
    } finally {
      share.stop();
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** The status that a client gets who thinks that it talks to another host. */
function statusFor(base: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    get(base, { headers: { host } }, (reply) => {
      reply.resume();
      reply.on("end", () => resolve(reply.statusCode));
    }).on("error", reject);
  });
}
