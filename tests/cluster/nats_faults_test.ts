import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { checkServer, natsError } from "../../lib/cluster/nats_faults.ts";

Deno.test("checkServer() wants a version whose compare-and-set is exact, and room for a roster", () => {
  const check = (version: string, cluster?: string, max_payload = 1_048_576) =>
    checkServer({ version, max_payload, cluster }, "127.0.0.1:4222");
  for (const version of ["2.9.0", "2.9.10", "2.10.1", "2.15.3", "3.0.0", "v2.11.0-RC.1"]) {
    check(version);
  }
  for (const version of ["2.10.20", "2.10.21", "2.11.0", "3.0.0-dev"]) check(version, "C1");
  for (const version of ["2.8.99", "1.20.30", "", "dev"]) {
    assert.throws(() => check(version), /too old/);
  }
  for (const version of ["2.9.25", "2.10.19"]) {
    assert.throws(
      () => check(version, "C1"),
      (error) => error instanceof UsageError && error.hints[0]!.startsWith("use 2.10.20"),
    );
  }
  assert.throws(() => check("2.15.3", undefined, 65_536), /65536 bytes at most/);
});

Deno.test("natsError() leaves a bug as it is", () => {
  const bug = new TypeError("x");
  assert.throws(() => natsError(bug, { servers: ["nats://127.0.0.1"] }), bug);
});
