import assert from "node:assert/strict";
import { isLocalWebHost } from "../../lib/base/web_host.ts";

Deno.test("isLocalWebHost() takes what nobody on the Internet can own", () => {
  const local = [
    ...["127.0.0.1", "192.168.1.20:9464", "[::1]", "[fe80::1]:9464"],
    ...["localhost", "LOCALHOST:1", "hearth:9464", "anna.local", "anna.local.:80"],
    ...["Anna.Example.org", "anna.example.org:9464"],
  ];
  for (const header of local) assert.ok(isLocalWebHost(header, "anna.example.org"), header);
  const foreign = [
    ...[undefined, "", ":80", "evil.example", "evil.example:9464", "127.0.0.1.evil.example"],
    ...["local.evil", "user@localhost", "localhost/evil", "a b", "[evil]", "1.2.3.4:evil"],
    ...["xanna.example.org", "127.1"],
  ];
  for (const header of foreign) assert.ok(!isLocalWebHost(header, "anna.example.org"), header);
});
