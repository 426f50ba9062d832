/**
 * The Worker in which the disk and the direct connections of transfers are: they never delay the chat (PROTOCOL.md
 * §15). The main module of the program starts it, and loads this one when its `self.name` is {@linkcode WORKER_NAME}.
 *
 * @module
 */

import { systemClock } from "../../base/clock.ts";
import { cipherReady } from "../../protocol/records.ts";
import { realDisk } from "./disk.ts";
import { JobHost } from "./job_host.ts";
import { realNetwork } from "./real_network.ts";
import type { Call, Reply } from "./worker_host.ts";

/** Serves the calls of the main thread. */
export async function serveJobs(): Promise<void> {
  await cipherReady();
  const scope = self as unknown as {
    postMessage(reply: Reply, transfer?: Transferable[]): void;
    onmessage: ((event: MessageEvent<Call>) => void) | null;
  };
  const host = new JobHost({
    clock: systemClock,
    disk: realDisk,
    network: realNetwork,
    readInput: (into) => Deno.stdin.read(into),
    report(job, report) {
      const memory = "frames" in report ? report.frames.map(({ buffer }) => buffer) : [];
      scope.postMessage({ type: "report", job, report }, memory);
    },
  });
  scope.onmessage = async ({ data: { number, name, args } }) => {
    try {
      const method = host[name] as (...args: readonly unknown[]) => unknown;
      scope.postMessage({ type: "result", number, result: await method.call(host, ...args) });
    } catch (error) {
      scope.postMessage({
        type: "error",
        number,
        message: error instanceof Error ? error.message : "",
      });
    }
  };
  scope.postMessage({ type: "ready" });
}
