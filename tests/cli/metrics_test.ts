import assert from "node:assert/strict";
import { writeFamilies } from "../../lib/base/exposition.ts";
import { clusterFamilies } from "../../lib/cli/cluster_metrics.ts";
import { ServerMetrics } from "../../lib/cli/metrics.ts";
import { REASON, WHY } from "../../lib/protocol/frames.ts";
import { STATE } from "../../lib/protocol/succession.ts";
import type { RelayState } from "../../lib/relay/relay_state.ts";
import { readProject } from "../support/project.ts";

const WHO = { fingerprint: "SHA256:abc", address: "192.0.2.1" };
const STATE_NOW: RelayState = {
  members: 3,
  rooms: 2,
  pending: 4,
  seekers: 5,
  queuedBytes: 6,
  stalled: 7,
  held: 8,
  traffic: { bytesIn: 9, bytesOut: 10, framesIn: 11, framesOut: 12 },
};

/** What is served after some events. */
function served(): string {
  const metrics = new ServerMetrics();
  try {
    metrics.event({ event: "joined", ...WHO });
    for (const why of Object.values(WHY)) metrics.event({ event: "left", ...WHO, why });
    for (const reason of Object.values(REASON)) metrics.event({ event: "refused", ...WHO, reason });
    metrics.event({ event: "closed", ...WHO, cause: "too slow" });
    metrics.event({ event: "closed", ...WHO, cause: "internal error: at /home/anna\n" });
    metrics.event({ event: "kicked", fingerprint: WHO.fingerprint, operator: WHO.fingerprint });
    for (const state of Object.values(STATE)) metrics.place(state);
    metrics.handshake(20);
    metrics.join(3000);
    return writeFamilies(
      metrics.families({ state: () => STATE_NOW, overloads: () => 13 }),
      "prometheus",
    );
  } finally {
    metrics.stop();
  }
}

Deno.test("ServerMetrics counts what a relay reports, and names nobody", () => {
  const lines = served().split("\n");
  for (
    const line of [
      "hearth_members 3",
      "hearth_rooms 2",
      "hearth_connections 12",
      "hearth_joins_total 1",
      'hearth_leaves_total{why="removed"} 1',
      'hearth_refusals_total{reason="wrong password"} 1',
      'hearth_closes_total{cause="too slow"} 1',
      'hearth_closes_total{cause="internal error"} 1',
      'hearth_operations_total{what="kicked"} 1',
      'hearth_places_total{state="elsewhere"} 1',
      'hearth_frames_total{direction="in"} 11',
      'hearth_bytes_total{direction="out"} 10',
      "hearth_queued_bytes 6",
      "hearth_stalled_receivers 7",
      "hearth_held_senders 8",
      'hearth_handshake_seconds_bucket{le="0.01"} 0',
      'hearth_handshake_seconds_bucket{le="0.025"} 1',
      "hearth_join_seconds_sum 3",
      "hearth_multicast_overloads_total 13",
    ]
  ) assert.ok(lines.includes(line), `${line} in\n${lines.join("\n")}`);
  assert.doesNotMatch(served(), /SHA256|192\.0\.2|home|undefined|NaN/);
});

/** A panel of the dashboard; a row has others in it. */
interface Panel {
  readonly targets?: { readonly expr: string }[];
  readonly panels?: Panel[];
}

Deno.test("a server has the metrics that the dashboard uses, and no others", async () => {
  const dashboard = JSON.parse(await readProject("packaging/grafana.json")) as { panels: Panel[] };
  const panels = dashboard.panels.flatMap((panel) => [panel, ...panel.panels ?? []]);
  const used = new Set(
    panels.flatMap(({ targets = [] }) =>
      targets.flatMap(({ expr }) => expr.match(/\b(?:hearth|process)_\w+/g) ?? [])
    ).map((name) => name.replace(/_bucket$/, "")),
  );
  const cluster = clusterFamilies(new Proxy({}, { get: () => 1 }));
  const all = served() + writeFamilies(cluster, "prometheus");
  const known = [...all.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!);
  assert.deepEqual([...used].toSorted(), known.toSorted());
});

const hasPromtool = await (async () => {
  try {
    return (await new Deno.Command("promtool", { args: ["--version"] }).output()).success;
  } catch {
    return false;
  }
})();

Deno.test({
  name: "promtool finds no fault in what is served",
  ignore: !hasPromtool,
  async fn() {
    const child = new Deno.Command("promtool", {
      args: ["check", "metrics"],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(served()));
    await writer.close();
    const { success, stdout, stderr } = await child.output();
    const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.deepEqual([success, said], [true, ""]);
  },
});
