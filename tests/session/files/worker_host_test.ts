import assert from "node:assert/strict";
import type { JobReport } from "../../../lib/session/files/jobs.ts";
import { FileWorker } from "../../../lib/session/files/worker_host.ts";

/** A Worker that answers with the name of the call, throws in `listen`, and dies in `pull`. */
const MODULE = `data:application/javascript,${
  encodeURIComponent(`
  self.onmessage = ({ data: { number, name } }) => {
    if (name === "pull") throw new Error("dead");
    self.postMessage(
      name === "listen" || name === "stop"
        ? { type: "error", number, message: "no" }
        : { type: "result", number, result: name });
  };
  self.postMessage({ type: "ready" });
`)
}`;
const OFFERED = {} as never;
const HAVE = {} as never;

Deno.test("a call that fails ends its job, and a Worker that dies those that are in it", async () => {
  const reports: [number, JobReport][] = [];
  const worker = new FileWorker(MODULE, (job, report) => reports.push([job, report]));
  const { calls } = worker;
  try {
    assert.equal(await calls.describe("x") as unknown, "describe");
    await calls.send(1, OFFERED, HAVE);
    assert.equal(await calls.listen(2, "", new Uint8Array()), 0);
    assert.equal(reports.length, 0, "the job has not begun");
    assert.equal(await calls.listen(1, "", new Uint8Array()), 0);
    const stopped = (text: string) => ({
      type: "stopped",
      failure: { code: "unreadable", text },
      byOther: false,
    });
    assert.deepEqual(reports.splice(0), [[1, stopped("no")]]);
    for (const job of [3, 4, 5]) await calls.receive(job, {} as never);
    await calls.drop(5);
    const both = await Promise.all([calls.pull(3, 1), calls.connect(4, new Uint8Array(), [])]);
    assert.deepEqual(both, [undefined, false]);
    assert.deepEqual(reports.map(([job]) => job), [3, 4]);
    assert.match(JSON.stringify(reports[0]), /dead/);
    assert.equal(await calls.describe("x") as unknown, "describe", "the next call starts another");
  } finally {
    worker.end();
  }
});

Deno.test("a module that cannot be loaded fails each call", async () => {
  const worker = new FileWorker("data:application/javascript,throw new Error('no')", () => {});
  for (let i = 0; i < 2; i++) {
    const { failure } = await worker.calls.describe("x") as { failure: { text: string } };
    assert.match(failure.text, /no/);
  }
  worker.end();
});
