import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { dial, readInTurns } from "../../lib/cli/dial.ts";
import { orderForRoom } from "../../lib/cli/name_addresses.ts";
import { roomTag } from "../../lib/protocol/rooms.ts";

Deno.test("readInTurns() lets timers fire while there is always something to read", async () => {
  const stream = readInTurns({
    read: () => Promise.resolve(1),
    write: (bytes) => Promise.resolve(bytes.length),
    closeWrite: () => Promise.resolve(),
    close: () => {},
  });
  let fired = false;
  setTimeout(() => fired = true, 1);
  const start = performance.now();
  while (!fired && performance.now() - start < 10_000) await stream.read(new Uint8Array(1));
  assert.ok(fired, "without pauses nothing but reading would ever happen");
});

/** Listens on an address of this computer; `port` 0 takes a free one. */
function listen(hostname: string, port = 0) {
  const listener = Deno.listen({ hostname, port });
  return {
    port: listener.addr.port,
    [Symbol.dispose]: () => listener.close(),
  };
}

const isLinux = Deno.build.os === "linux"; // elsewhere 127.0.0.2 is nobody's

Deno.test(
  "dial() tries all addresses of a name, in the order of the room",
  { ignore: !isLinux },
  async () => {
    const addresses = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];
    const resolve = () => Promise.resolve(addresses);
    const connect = async (port: number, room: Uint8Array) => {
      const { connection, hostname } = await dial("chat.example", port, { room, resolve });
      assert.equal(connection.remoteAddr.hostname, hostname);
      connection.close();
      return hostname;
    };
    using first = listen(addresses[0]!);
    const { port } = first;
    const second = listen(addresses[1]!, port);
    const rooms = Array.from({ length: 20 }, (_, i) => roomTag(`room-${i}`));
    const firstAmong = (some: readonly string[], room: Uint8Array) =>
      orderForRoom(addresses, room).find((address) => some.includes(address))!;
    for (const room of rooms) {
      assert.equal(await connect(port, room), firstAmong(addresses.slice(0, 2), room));
    }
    second[Symbol.dispose]();
    for (const room of rooms) assert.equal(await connect(port, room), addresses[0]);
  },
);

Deno.test("dial() says what is wrong with a name, and stops when it is told", async () => {
  const unknown = () => Promise.reject(Object.assign(new Error("x"), { code: "ENOTFOUND" }));
  const never = () => new Promise<string[]>(() => {});
  await assert.rejects(
    dial("chat.example", 1, { resolve: unknown }),
    (error) => error instanceof UsageError && /no computer of that name/.test(error.message),
  );
  const stop = new AbortController();
  const dialing = dial("chat.example", 1, { resolve: never, signal: stop.signal });
  stop.abort(new Error("enough"));
  await assert.rejects(dialing, /enough/);
  await assert.rejects(
    dial("chat.example", 1, { resolve: never, signal: stop.signal }),
    /enough/,
  );
});
