import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { readCluster } from "../../lib/cli/cluster_options.ts";

function read(cluster?: string, more: Readonly<Record<string, string>> = {}) {
  const given: Readonly<Record<string, string | undefined>> = { cluster, ...more };
  return readCluster({ text: (name) => given[name] });
}

Deno.test("readCluster() reads one address or several, and adds the port", () => {
  assert.equal(read(), undefined);
  for (
    const [text, servers] of [
      ["nats://127.0.0.1", ["nats://127.0.0.1:4222"]],
      ["tls://nats.example:4333/", ["tls://nats.example:4333"]],
      ["nats://[::1]:7, nats://b", ["nats://[::1]:7", "nats://b:4222"]],
    ] as const
  ) assert.deepEqual(read(text), { servers, creds: undefined, ca: undefined });
  assert.deepEqual(read("nats://a", { "cluster-creds": "c", "cluster-ca": "d" }), {
    servers: ["nats://a:4222"],
    creds: "c",
    ca: "d",
  });
});

Deno.test("readCluster() says what is wrong", () => {
  const faults: readonly (readonly [string, RegExp])[] = [
    ["", /not the address of a NATS server/],
    ["127.0.0.1", /not the address of a NATS server/],
    ["http://127.0.0.1", /not the address of a NATS server/],
    ["nats://a/b", /not the address of a NATS server/],
    ["nats://a,", /not the address of a NATS server/],
    ["nats://ann:secret@a", /no user or password may stand/],
    ["nats://a:0", /the port must be a number from 1 to 65535/],
    ["nats://a b", /not a host name/],
    [Array(17).fill("nats://a").join(","), /more than 16/],
  ];
  for (const [text, fault] of faults) {
    assert.throws(
      () => read(text),
      (error) => error instanceof UsageError && fault.test(error.message) && error.hints.length > 0,
      text,
    );
  }
  assert.throws(() => read(undefined, { "cluster-creds": "c" }), /--cluster-creds needs --cluster/);
  assert.throws(() => read(undefined, { "cluster-ca": "c" }), /--cluster-ca needs --cluster/);
});
