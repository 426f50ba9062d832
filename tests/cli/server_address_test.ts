import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { commandOf } from "../../lib/base/command.ts";
import { UsageError } from "../../lib/base/errors.ts";
import { inviteTo, MAX_PORT, parseHost, serverAddress } from "../../lib/cli/server_address.ts";

/** 253 characters. */
const LONGEST = [63, 63, 63, 61].map((length) => "a".repeat(length)).join(".");

Deno.test("parseHost() reads names and addresses, with and without a port", () => {
  for (
    const [text, host, port] of [
      ["localhost", "localhost"],
      ["Chat.Example.org.", "Chat.Example.org."],
      ["a", "a"],
      ["my_host-1.local", "my_host-1.local"],
      ["käse.example", "xn--kse-qla.example"],
      ["BÜCHER.test", "xn--bcher-kva.test"],
      ["bu\u0308cher.test", "xn--bcher-kva.test"],
      ["straße.de:7", "xn--strae-oqa.de", 7],
      // Multicast DNS has names in UTF-8.
      ["ka\u0308se.local", "käse.local"],
      ["1password.com", "1password.com"],
      [LONGEST, LONGEST],
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
    `a${LONGEST}`,
    "a".repeat(64),
    "256.0.0.1",
    "１0.1", // digits of another width
    "０.1.2",
    "ü".repeat(64) + ".test",
    "ü".repeat(250),
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

Deno.test("parseHost() checks the range of a port", () => {
  for (const port of [1, MAX_PORT - 1, MAX_PORT]) assert.equal(parseHost(`a:${port}`).port, port);
  for (const port of [0, MAX_PORT + 1, 100_000]) {
    assert.throws(() => parseHost(`a:${port}`), UsageError);
  }
});

Deno.test("parseHost() throws only UsageError, and what it accepts makes an address", () => {
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

Deno.test("inviteTo() writes the command line to join, with the fingerprint if it is given", () => {
  const command = commandOf("client");
  const key = "SHA256:key";
  for (
    const [host, port, place] of [
      ["192.168.1.20", 40623, "192.168.1.20"],
      ["192.168.1.20", 7, "192.168.1.20:7"],
      ["fd00::1", 40623, "fd00::1"],
      ["fd00::1", 7, "[fd00::1]:7"],
    ] as const
  ) {
    assert.equal(inviteTo(host, port), `${command} --host ${place}`);
    assert.equal(inviteTo(host, port, key), `${command} --host ${place} --fingerprint ${key}`);
  }
});

Deno.test("serverAddress() writes addresses as §8 says", () => {
  for (
    const [host, port, address] of [
      ["localhost", 40623, "localhost:40623"],
      ["Chat.Example.ORG.", 1, "chat.example.org:1"],
      ["192.168.1.20", 65535, "192.168.1.20:65535"],
      ["::1", 40623, "[::1]:40623"],
      ["FE80::1%eth0", 40623, "[fe80::1%eth0]:40623"],
      ["KÄSE.example", 7, "käse.example:7"],
    ] as const
  ) assert.equal(serverAddress(host, port), address);
});

Deno.test("serverAddress() makes no address that could end its line or begin a comment", () => {
  for (const host of ["", ".", "a b", "a\nb", "a\tb", "#a", "a\u202eb", "a\u2028b", "[::1]"]) {
    assert.throws(() => serverAddress(host, 1), RangeError, JSON.stringify(host));
  }
});
