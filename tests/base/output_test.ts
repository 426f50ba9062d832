import assert from "node:assert/strict";
import { flushOutput, LineOutput, type OutputStream, writeText } from "../../lib/base/output.ts";

/** A stream whose writes a test lets through or fails. */
class SlowStream implements OutputStream {
  text = "";
  isHeld = false;
  error: Error | undefined;
  #waiting: (() => void)[] = [];

  async write(bytes: Uint8Array): Promise<number> {
    if (this.isHeld) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.error) throw this.error;
    this.text += new TextDecoder().decode(bytes);
    return bytes.length;
  }

  release(): void {
    this.isHeld = false;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

Deno.test("writeText() writes all of a text in spite of short and blocked writes", async () => {
  const taken: number[] = [];
  let calls = 0;
  await writeText({
    write(bytes) {
      if (calls++ % 2 === 0) return Promise.reject(new Deno.errors.WouldBlock());
      taken.push(...bytes.subarray(0, 3));
      return Promise.resolve(Math.min(3, bytes.length));
    },
  }, "grüße 日本");
  assert.equal(new TextDecoder().decode(Uint8Array.from(taken)), "grüße 日本");
});

Deno.test("writeText() throws when nobody reads any more", async () => {
  const broken = { write: () => Promise.reject(new Deno.errors.BrokenPipe()) };
  await assert.rejects(writeText(broken, "x"), Deno.errors.BrokenPipe);
});

Deno.test("LineOutput leaves lines out while nobody reads, and says how many, in their place", async () => {
  const stream = new SlowStream();
  const output = new LineOutput(stream);
  stream.isHeld = true;
  const count = 12_000;
  const line = (i: number) => `${String(i).padStart(6)} ${"x".repeat(992)}`;
  for (let i = 0; i < count; i++) output.writeLine(line(i));
  stream.release();
  await flushOutput();
  output.writeLine("later");
  await flushOutput();
  const lines = stream.text.split("\n").slice(0, -1);
  const kept = lines.length - 2;
  assert.ok(kept > 4100 && kept < 4200, String(kept));
  assert.deepEqual(lines.slice(0, kept), Array.from({ length: kept }, (_, i) => line(i)));
  assert.deepEqual(lines.slice(kept), [`… ${count - kept} lines left out`, "later"]);
});

Deno.test("LineOutput says that lines are left out once for many of them", async () => {
  const stream = new SlowStream();
  const output = new LineOutput(stream, { describeGap: (lines) => JSON.stringify({ lines }) });
  let sent = 0;
  for (let round = 0; round < 20; round++) {
    stream.isHeld = true;
    for (let i = 0; i < 800; i++, sent++) output.writeLine("x".repeat(9999));
    stream.release();
    await flushOutput();
  }
  const lines = stream.text.split("\n").slice(0, -1);
  const gaps = lines.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line).lines);
  assert.equal(gaps.length, 20);
  assert.equal(lines.length - gaps.length + gaps.reduce((sum, gap) => sum + gap), sent);
});

Deno.test("LineOutput reports a fault once, and counts the lines lost by it", async () => {
  const stream = new SlowStream();
  const faults: unknown[] = [];
  const output = new LineOutput(stream, { onFault: (error) => faults.push(error) });
  stream.error = new Error("the disk is full");
  for (let i = 0; i < 3; i++) {
    output.writeLine("lost");
    output.writeLine("lost");
    await flushOutput();
  }
  stream.error = undefined;
  output.writeLine("kept");
  await flushOutput();
  assert.equal(faults.length, 1);
  assert.equal(stream.text, "… 6 lines left out\nkept\n");
});

Deno.test("flushOutput() waits a second at most", async () => {
  const stream = new SlowStream();
  stream.isHeld = true;
  new LineOutput(stream).writeLine("nobody reads this");
  const start = performance.now();
  await flushOutput();
  assert.ok(performance.now() - start >= 900);
  stream.release();
  await flushOutput();
  assert.equal(stream.text, "nobody reads this\n");
});
