import assert from "node:assert/strict";
import { encodeUtf8 } from "../../lib/base/bytes.ts";
import { UsageError } from "../../lib/base/errors.ts";
import { probePort } from "../../lib/cli/probe.ts";
import { PortTakenError, type RunningRelay, startRelay } from "../../lib/cli/serve.ts";
import { encodeFingerprint, generateKey } from "../../lib/protocol/identity.ts";
import { freePort } from "../support/programs.ts";
import { answerTo, readExactly } from "../support/raw_client.ts";

const KEY = await generateKey(1024);
const FINGERPRINT = encodeFingerprint(KEY.publicKey.fingerprint);

async function withRelay(
  options: Partial<Parameters<typeof startRelay>[0]>,
  use: (relay: RunningRelay) => Promise<void>,
): Promise<void> {
  const relay = await startRelay({ key: KEY, port: 0, minKeyBits: 2048, ...options });
  try {
    await use(relay);
  } finally {
    await relay.stop();
  }
}

Deno.test("startRelay() listens on every address, IPv4 and IPv6, and proves its key", async () => {
  const hasIpv6 = Deno.networkInterfaces().some(({ address }) => address === "::1");
  await withRelay({}, async (relay) => {
    assert.equal(relay.fingerprint, FINGERPRINT);
    assert.ok(relay.addresses.length > 0);
    assert.ok(relay.addresses.every((address) => !/^(127\.|::1$|fe80:)/.test(address)));
    const families = hasIpv6 ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
    for (const hostname of families) {
      assert.equal(await answerTo(hostname, relay.port, "HEARTH/3 or so"), "HEARTH/?");
      assert.deepEqual(await probePort(hostname, { port: relay.port, key: KEY }), {
        type: "hearth",
        hostname,
        fingerprint: FINGERPRINT,
      });
    }
  });
});

Deno.test("startRelay() listens on one address if it is given", async () => {
  await withRelay({ hostname: "127.0.0.1" }, async (relay) => {
    assert.deepEqual(relay.addresses, ["127.0.0.1"]);
    assert.equal(await answerTo("127.0.0.1", relay.port, "HEARTH/3"), "HEARTH/?");
  });
});

Deno.test("startRelay() reports that a port is taken, and by what", async () => {
  await withRelay({}, async ({ port }) => {
    await assert.rejects(withRelay({ port }, async () => {}), (error) => {
      assert.ok(error instanceof PortTakenError);
      assert.deepEqual(error.user, {
        type: "hearth",
        hostname: "127.0.0.1",
        fingerprint: FINGERPRINT,
      });
      assert.match(error.message, /^port \d+ is taken by a HEARTH server \(SHA256:/);
      assert.match(error.hints[0]!, new RegExp(`client --host localhost --port ${port}$`));
      return true;
    });
  });
  for (const [answer, type] of [["HEARTH/?", "hearth"], ["220 mail", "other"], ["", "other"]]) {
    using listener = Deno.listen({ hostname: "0.0.0.0", port: 0 });
    const { port } = listener.addr;
    const serving = (async () => {
      using connection = await listener.accept();
      if (answer) await connection.write(encodeUtf8(answer));
      await readExactly(connection, 40);
    })();
    await assert.rejects(withRelay({ port }, async () => {}), (error) => {
      assert.ok(error instanceof PortTakenError);
      assert.deepEqual(error.user, type === "hearth" ? { type, hostname: "127.0.0.1" } : { type });
      return true;
    });
    await serving;
  }
});

Deno.test("startRelay() can use the port of a stopped relay at once", async () => {
  const port = freePort();
  for (let i = 0; i < 3; i++) {
    await withRelay({ port }, async () => {
      assert.equal(await answerTo("127.0.0.1", port, "HEARTH/3"), "HEARTH/?");
    });
  }
});

Deno.test("startRelay() refuses an address of another computer, and an unknown name", async () => {
  for (const hostname of ["192.0.2.254", "no-such-name.invalid"]) {
    await assert.rejects(withRelay({ hostname }, async () => {}), (error) => {
      assert.ok(error instanceof UsageError, String(error));
      assert.ok(error.message.includes(hostname) && error.hints.length > 0);
      return true;
    });
  }
});
