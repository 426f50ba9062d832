/**
 * The plot, docs/bench.svg: bars of the relay and its rivals, as one SVG that fits light and dark pages.
 *
 * @module
 */

import { METRICS } from "./metrics.ts";
import { digits, OWN, type Results, valueOf } from "./report.ts";

const SHOWN = ["flood.cpu_us", "paced.cpu_us", "latency.p99_ms", "connect.one_cpu_ms"];
const WIDTH = 760;
const NAME_WIDTH = 120;
const VALUE_WIDTH = 60;
const ROW_HEIGHT = 20;
const TITLE_HEIGHT = 34;

/** Draws one group of bars for each of the main measurements; a logarithm would hide what a factor is, so none. */
export function makePlot(results: Results): string {
  const parts: string[] = [];
  let y = 0;
  for (const metric of SHOWN) {
    const bars = Object.keys(results.rounds).flatMap((server) => {
      const value = valueOf(results, server, metric);
      return value ? [{ server, value: value.median }] : [];
    });
    if (bars.length === 0) continue;
    const { title, unit } = METRICS[metric]!;
    parts.push(`<text class="title" x="0" y="${y + 22}">${title}, ${unit} (less is better)</text>`);
    y += TITLE_HEIGHT;
    const most = Math.max(...bars.map(({ value }) => value));
    for (const { server, value } of bars) {
      const length = (WIDTH - NAME_WIDTH - VALUE_WIDTH) * value / most;
      const kind = server === OWN ? "own" : "other";
      parts.push(
        `<text class="name" x="${NAME_WIDTH - 8}" y="${y + 14}">${server}</text>`,
        `<rect class="${kind}" x="${NAME_WIDTH}" y="${y + 3}" width="${
          length.toFixed(1)
        }" height="14"/>`,
        `<text x="${(NAME_WIDTH + length + 6).toFixed(1)}" y="${y + 14}">${digits(value)}</text>`,
      );
      y += ROW_HEIGHT;
    }
    y += 8;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img">
<title>Hearth's relay beside other chat servers</title>
<style>
text { font: 12px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 13px }
.name { text-anchor: end }
.own { fill: #d9480f }
.other { fill: #adb5bd }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .other { fill: #6e7681 } }
</style>
${parts.join("\n")}
</svg>
`;
}
