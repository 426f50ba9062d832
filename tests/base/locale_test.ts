import assert from "node:assert/strict";
import { isUtf8Locale, toAscii } from "../../lib/base/locale.ts";

const LOCALES: [Record<string, string>, typeof Deno.build.os, boolean][] = [
  [{ LANG: "de_DE.UTF-8" }, "linux", true],
  [{ LANG: "C.utf8" }, "linux", true],
  [{ LANG: "C" }, "linux", false],
  [{ LANG: "de_DE" }, "linux", false],
  [{ LANG: "de_DE.UTF-8", LC_ALL: "C" }, "linux", false],
  [{ LANG: "C", LC_CTYPE: "en_US.UTF-8" }, "linux", true],
  [{ LANG: "C", LC_ALL: "", LC_CTYPE: "en_US.UTF-8" }, "linux", true],
  [{}, "linux", false],
  [{}, "darwin", true],
  [{}, "windows", true],
];

Deno.test("isUtf8Locale() reads LC_ALL before LC_CTYPE before LANG", () => {
  for (const [env, os, expected] of LOCALES) {
    assert.equal(isUtf8Locale((name) => env[name], os), expected, JSON.stringify(env));
  }
});

Deno.test("toAscii() keeps different texts different", () => {
  assert.equal(toAscii("plain\ntext\t~"), "plain\ntext\t~");
  assert.equal(toAscii("josé jose\u0301"), "jos<E9> jose<301>");
  assert.equal(toAscii("⟨202E⟩ “a — b…” 👍"), '<202E> "a - b..." <1F44D>');
});
