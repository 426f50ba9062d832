import assert from "node:assert/strict";
import {
  counter,
  Counts,
  type Family,
  gauge,
  Histogram,
  writeFamilies,
} from "../../lib/base/exposition.ts";

function families(): Family[] {
  const counts = new Counts();
  counts.add("plain");
  counts.add('"quoted"\\\n');
  counts.add("plain");
  const histogram = new Histogram([0.1, 1]);
  for (const value of [0.05, 0.1, 0.5, 7]) histogram.observe(value);
  return [
    gauge("size", "How large.", 3.5),
    counter("seen", "A\nline.", 7),
    counts.family("kinds", "Of each kind.", "kind"),
    histogram.family("took_seconds", "How long."),
  ];
}

const SAMPLES = String.raw`
kinds_total{kind="plain"} 2
kinds_total{kind="\"quoted\"\\\n"} 1
# HELP took_seconds How long.
# TYPE took_seconds histogram
took_seconds_bucket{le="0.1"} 2
took_seconds_bucket{le="1"} 3
took_seconds_bucket{le="+Inf"} 4
took_seconds_sum 7.65
took_seconds_count 4
`;

Deno.test("writeFamilies() writes the Prometheus format, in which a counter's name has its suffix", () => {
  assert.equal(
    writeFamilies(families(), "prometheus"),
    String.raw`# HELP size How large.
# TYPE size gauge
size 3.5
# HELP seen_total A\nline.
# TYPE seen_total counter
seen_total 7
# HELP kinds_total Of each kind.
# TYPE kinds_total counter` + SAMPLES,
  );
});

Deno.test("writeFamilies() writes OpenMetrics, which ends with EOF", () => {
  assert.equal(
    writeFamilies(families(), "openMetrics"),
    String.raw`# HELP size How large.
# TYPE size gauge
size 3.5
# HELP seen A\nline.
# TYPE seen counter
seen_total 7
# HELP kinds Of each kind.
# TYPE kinds counter` + SAMPLES + "# EOF\n",
  );
});
