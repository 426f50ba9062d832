import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { UsageError } from "../../lib/base/errors.ts";
import { MAX_PORT, parseHost } from "../../lib/cli/server_address.ts";
import { serverAddress } from "../../lib/session/known_servers.ts";

Deno.test("parseHost() reads names and addresses, with and without a port", () => {
  for (
    const [text, host, port] of [
      ["localhost", "localhost"],
      ["Chat.Example.org.", "Chat.Example.org."],
      ["a", "a"],
      ["my_host-1.local", "my_host-1.local"],
      ["käse.example", "käse.example"],
      ["1password.com", "1password.com"],
      ["a".repeat(253), "a".repeat(253)],
      ["192.168.1.20", "192.168.1.20"],
      ["0.0.0.0", "0.0.0.0"],
      ["255.255.255.255", "255.255.255.255"],
      ["::", "::"],
      ["::1", "::1"],
      ["[::1]", "::1"],
      ["fe80::1%eth0", "fe80::1%eth0"],
      ["[fe80::1%eth0.100]", "fe80::1%eth0.100"],
      ["::ffff:192.168.1.20", "::ffff:192.168.1.20"],
      ["2001:DB8:0:0:0:0:0:1", "2001:DB8:0:0:0:0:0:1"],
      // Eight groups: what looks like a port is the last one.
      ["1:2:3:4:5:6:7:8080", "1:2:3:4:5:6:7:8080"],
      ["localhost:1", "localhost", 1],
      ["192.168.1.20:40623", "192.168.1.20", 40623],
      ["[::1]:65535", "::1", 65535],
      ["[fe80::1%3]:22", "fe80::1%3", 22],
    ] as [string, string, number?][]
  ) {
    assert.deepEqual(parseHost(text), port === undefined ? { host } : { host, port }, text);
  }
});

Deno.test("parseHost() refuses everything else", () => {
  const bad = [
    "",
    " ",
    ":1",
    "a b",
    " a",
    "a ",
    "a\n",
    "a\u0000",
    "a\u202e",
    "a\u00a0b",
    "-a",
    "a..b",
    ".a",
    ".",
    "a..",
    "a/b",
    "http://a",
    "user@a",
    "#a",
    "a%b",
    "a\\b",
    "a".repeat(254),
    "256.0.0.1",
    "1.2.3",
    "1.2.3.4.5",
    "10.1",
    "01.2.3.4",
    "1234",
    "1.2.3.4.",
    "a:",
    "a:0",
    "a:65536",
    "a:080",
    "a:+1",
    "a:1e3",
    "a: 1",
    "a:1 ",
    "a:１",
    "a:0x10",
    "[]",
    "[]:1",
    "[::1",
    "::1]",
    "[::1]1",
    "[::1]:",
    "[::1]:0",
    "[::1]:65536",
    "[[::1]]",
    "[a]:1",
    "[192.168.1.20]:1",
    "::1::",
    "1:2:3",
    "1:2:3:4:5:6:7:8:9",
    "12345::",
    "::1%",
    "::1%a%b",
    "::1%a b",
    "::1%e\nth0",
    "::1/64",
    "[::1]:1:2",
  ];
  for (const text of bad) assert.throws(() => parseHost(text), UsageError, JSON.stringify(text));
});

Deno.test("parseHost() knows the bounds of a port", () => {
  for (const port of [1, MAX_PORT - 1, MAX_PORT]) assert.equal(parseHost(`a:${port}`).port, port);
  for (const port of [0, MAX_PORT + 1, 100_000]) {
    assert.throws(() => parseHost(`a:${port}`), UsageError);
  }
});

Deno.test("parseHost() throws only UsageError, and what it lets through makes an address", () => {
  const part = fc.constantFrom(
    ..."[ ] : % . - _ # 0 1 9 255 65536 a Z é fe80 ::".split(" "),
    "\n",
    " ",
    "\u202e",
  );
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.array(part).map((p) => p.join(""))), (
      text,
    ) => {
      let parsed;
      try {
        parsed = parseHost(text);
      } catch (error) {
        assert.ok(error instanceof UsageError);
        return;
      }
      const address = serverAddress(parsed.host, parsed.port ?? 40623);
      const again = parseHost(address);
      assert.equal(serverAddress(again.host, again.port!), address);
    }),
    { numRuns: 2000 },
  );
});
