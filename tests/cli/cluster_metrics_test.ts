import assert from "node:assert/strict";
import { writeFamilies } from "../../lib/base/exposition.ts";
import { clusterFamilies } from "../../lib/cli/cluster_metrics.ts";

Deno.test("clusterFamilies() serves each number once", () => {
  const names = [
    ...["servers", "members", "rooms", "held", "sent", "received", "messages", "messagesOut"],
    ...["bytesIn", "bytesOut", "gaps", "malformed", "written", "conflict", "unknown", "fenced"],
    ...["alone"],
    ...["reconnects", "awaySeconds"],
  ];
  const numbers = Object.fromEntries(names.map((name, i) => [name, i + 1]));
  const text = writeFamilies(clusterFamilies(numbers), "prometheus");
  const values = [...text.matchAll(/^hearth_cluster_\w+ (\d+)$/gm)].map(([, value]) =>
    Number(value)
  );
  assert.deepEqual(values.toSorted((a, b) => a - b), names.map((_, i) => i + 1));
});
