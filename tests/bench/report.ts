/**
 * From measurements to a table, a comparison with targets and with what was kept.
 *
 * @module
 */

import type { Values } from "./forward.ts";
import { METRICS, type Target, TARGETS } from "./metrics.ts";

/** All that a run found out; what is written to the JSON file. */
export interface Results {
  readonly machine: string;
  readonly deno: string;
  readonly date: string;
  readonly scale: Readonly<Record<string, unknown>>;
  /** What was set, by server. */
  readonly settings: Record<string, string>;
  /** What could not be measured, and why. */
  readonly missing: string[];
  /** By server: one set of values for each round. */
  readonly rounds: Record<string, Values[]>;
}

/** The relay's name among the servers. */
export const OWN = "hearth";
/** How much worse than what was kept a ratio may be. */
const TOLERANCE = 1.5;

/** Lowest and middle one of several values. */
export interface Summary {
  readonly min: number;
  readonly median: number;
}

function summarize(values: readonly number[]): Summary | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  return { min: sorted[0]!, median: sorted[sorted.length >> 1]! };
}

const isNumber = (value: number | undefined): value is number => Number.isFinite(value);

/** All rounds of one measurement of one server. */
export function valueOf(results: Results, server: string, metric: string): Summary | undefined {
  return summarize((results.rounds[server] ?? []).map((values) => values[metric]).filter(isNumber));
}

/** The ratio of the relay's value to another of the same round. */
export function ratioOf(results: Results, { metric, of }: Target): Summary | undefined {
  const own = results.rounds[OWN] ?? [];
  const others = of && "server" in of ? results.rounds[of.server] ?? [] : own;
  const key = of && "metric" in of ? of.metric : metric;
  const ratios = own.map((values, round) => {
    const value = values[metric];
    if (!of) return value;
    const other = others[round]?.[key];
    return isNumber(value) && isNumber(other) ? value / other : undefined;
  });
  return summarize(ratios.filter(isNumber));
}

/** A number with about three digits. */
export function digits(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 || value === 0 ? 0 : size >= 10 ? 1 : 2);
}

const show = ({ median, min }: Summary) => `${digits(median)} (${digits(min)})`;

/** The table of all measurements: a row for each, a column for each server; Markdown. */
export function makeTable(results: Results): string {
  const servers = Object.keys(results.rounds);
  const rows = [["median (min), then the relay's ratio to it", ...servers]];
  for (const [metric, { title, unit }] of Object.entries(METRICS)) {
    const cells = servers.map((server) => {
      const value = valueOf(results, server, metric);
      if (!value) return "";
      const ratio = server === OWN
        ? undefined
        : ratioOf(results, { metric, of: { server }, atMost: Infinity });
      return ratio ? `${show(value)} ×${digits(ratio.median)}` : show(value);
    });
    if (cells.some(Boolean)) rows.push([`${title}${unit && `, ${unit}`}`, ...cells]);
  }
  return alignRows(rows);
}

/** The targets and what became of them; Markdown. @param all Also those that were not measured. */
export function makeTargetTable(results: Results, { all = true } = {}): string {
  const rows = [["target", "at most", "median (min)", ""]];
  for (const target of TARGETS) {
    const ratio = ratioOf(results, target);
    if (!ratio && !all) continue;
    const { title } = METRICS[target.metric]!;
    const met = ratio ? (ratio.median <= target.atMost ? "met" : "missed") : "not measured";
    rows.push([`${title}${describe(target)}`, `${target.atMost}`, ratio ? show(ratio) : "", met]);
  }
  return alignRows(rows);
}

function describe({ metric, of }: Target): string {
  if (!of) return `, ${METRICS[metric]!.unit}`;
  return " / " + ("server" in of ? of.server : METRICS[of.metric]!.title);
}

/** A table of Markdown. */
export function alignRows(rows: readonly string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`;
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [line(rows[0]!), rule, ...rows.slice(1).map(line)].join("\n");
}

/** What a server lost, by the group of measurements that it makes worthless. */
const LOST = /^(\w+)\.lost$/;

/**
 * Takes out what a server did while it lost messages.
 *
 * @returns A line about each such group.
 */
export function dropLost(server: string, values: Values): string[] {
  const lines: string[] = [];
  for (const [key, lost] of Object.entries(values)) {
    const group = LOST.exec(key)?.[1];
    if (group === undefined || lost === 0) continue;
    for (const name of Object.keys(values)) if (name.startsWith(`${group}.`)) delete values[name];
    lines.push(`${server}, ${group}: lost ${lost}`);
  }
  return lines;
}

/** The ratios that `--check` compares: name to median. */
export type Baseline = Record<string, number>;

const nameOf = (target: Target) => `${target.metric}${describe(target)}`;

/** The names of all that can be kept. */
export function targetNames(): string[] {
  return TARGETS.map(nameOf);
}

/** What is kept of a run. */
export function makeBaseline(results: Results): Baseline {
  const baseline: Baseline = {};
  for (const target of TARGETS) {
    const ratio = ratioOf(results, target);
    if (ratio) {
      baseline[nameOf(target)] = Number(ratio.median.toPrecision(3));
    }
  }
  return baseline;
}

/** Names every ratio that is much worse than the one kept. */
export function findRegressions(results: Results, baseline: Baseline): string[] {
  return Object.entries(makeBaseline(results)).flatMap(([name, ratio]) => {
    const kept = baseline[name];
    return kept !== undefined && ratio > kept * TOLERANCE
      ? [`${name}: ${digits(ratio)}, was ${digits(kept)}`]
      : [];
  });
}
