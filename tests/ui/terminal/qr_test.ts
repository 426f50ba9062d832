import assert from "node:assert/strict";
import { drawQr } from "../../../lib/ui/terminal/qr.ts";
import { readQr } from "../../support/qr.ts";

const LINE = `client --host 192.168.1.20 --fingerprint SHA256:${"x".repeat(43)}`;
const LONGEST = `npx --yes deno@2.9.6 task ${LINE}`.replace(
  "192.168.1.20",
  "[fd00:1234:5678:9abc:def0:1234:5678:9abc]:40624",
);

Deno.test("drawQr() draws a code that another program reads as the same text", async () => {
  for (const text of [LINE, LONGEST, "ä"]) {
    const plain = await drawQr(text, { columns: 80, color: "none" });
    assert.equal(readQr(plain, { isInverted: true }), text);
    assert.ok(plain.every((row) => /^[█▀▄ ]+$/.test(row)));

    const colored = await drawQr(text, { columns: 80, color: "256" });
    const [before, after] = ["\x1b[30;107m", "\x1b[0m"];
    assert.ok(colored.every((row) => row.startsWith(before) && row.endsWith(after)));
    const bare = colored.map((row) => row.slice(before.length, -after.length));
    assert.equal(readQr(bare, { isInverted: false }), text);
  }
});

Deno.test("drawQr() draws nothing if there is not enough room", async () => {
  const text = LINE;
  const [row] = await drawQr(text, { columns: 80, color: "none" });
  const columns = row!.length;
  assert.ok(columns <= 53 && (await drawQr(LONGEST, { columns: 80, color: "none" })).length <= 28);
  assert.ok((await drawQr(text, { columns, color: "none" })).length > 0);
  assert.deepEqual(await drawQr(text, { columns: columns - 1, color: "none" }), []);
});
