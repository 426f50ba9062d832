import assert from "node:assert/strict";
import { network, placeAddresses } from "../../lib/cli/network.ts";
import { isLoopback } from "../../lib/base/ip.ts";
import { freePort } from "../support/programs.ts";

Deno.test("placeAddresses() gives addresses without zone, loopback only by itself", () => {
  const addresses = placeAddresses();
  assert.ok(addresses.length > 0);
  assert.equal(new Set(addresses).size, addresses.length);
  assert.ok(addresses.every((it) => /^[\da-f.:]+$/.test(it)), addresses.join(" "));
  if (addresses.some(isLoopback)) assert.deepEqual(addresses, ["127.0.0.1"]);
});

Deno.test("network connects, and tells a refused connection from others", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepting = listener.accept();
  const target = { address: "127.0.0.1", port: listener.addr.port, from: undefined };
  const { signal } = new AbortController();
  const stream = await network.dial(target, signal);
  assert.equal(stream.localAddr?.hostname, "127.0.0.1");
  (await accepting).close();
  stream.close();
  listener.close();
  const nobody = { ...target, port: freePort() };
  await assert.rejects(network.dial(nobody, signal), Deno.errors.ConnectionRefused);
  const stopped = AbortSignal.abort(new Error("stopped"));
  await assert.rejects(network.dial(nobody, stopped), { message: "stopped" });
});

Deno.test("network tries a link-local address on every link, and fails where there is none", async () => {
  const target = { address: "fe80::dead:beef", port: freePort(), from: undefined };
  await assert.rejects(network.dial(target, AbortSignal.timeout(200)));
});
