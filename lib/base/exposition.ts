/**
 * Counters, gauges and histograms as text: the Prometheus format 0.0.4, and OpenMetrics 1.0.
 *
 * @module
 */

/** The type of the answer in each of the formats. */
export const CONTENT_TYPE = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
} as const;

/** One value. */
export interface Sample {
  /** Follows the family's name. */
  readonly suffix?: "_total" | "_bucket" | "_sum" | "_count";
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What is measured, and its values. */
export interface Family {
  /** Without suffix. */
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly samples: readonly Sample[];
}

/** Writes families in one of the two formats. */
export function writeFamilies(
  families: readonly Family[],
  format: keyof typeof CONTENT_TYPE,
): string {
  const isOpen = format === "openMetrics";
  const lines: string[] = [];
  for (const { name, help, type, samples } of families) {
    const family = type === "counter" && !isOpen ? `${name}_total` : name;
    lines.push(`# HELP ${family} ${escape(help)}`, `# TYPE ${family} ${type}`);
    for (const { suffix = "", labels = {}, value } of samples) {
      const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escape(text)}"`);
      lines.push(`${name}${suffix}${pairs.length > 0 ? `{${pairs}}` : ""} ${value}`);
    }
  }
  return [...lines, ...(isOpen ? ["# EOF"] : []), ""].join("\n");
}

function escape(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

/** A number that goes up and down. */
export function gauge(name: string, help: string, value: number): Family {
  return { name, help, type: "gauge", samples: [{ value }] };
}

/** A number that only grows. */
export function counter(name: string, help: string, value: number): Family {
  return { name, help, type: "counter", samples: [{ suffix: "_total", value }] };
}

/** Numbers that grow, by the value of a label, of which there are few. */
export class Counts {
  readonly #counts = new Map<string, number>();

  add(value: string): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + 1);
  }

  family(name: string, help: string, label: string): Family {
    const samples = [...this.#counts].map(([text, value]) => (
      { suffix: "_total", labels: { [label]: text }, value } as const
    ));
    return { name, help, type: "counter", samples };
  }
}

/** How many of the observed values were at most each of some bounds. */
export class Histogram {
  readonly #bounds: readonly number[];
  /** By the smallest bound that holds; the last is for what is above all. */
  readonly #counts: number[];
  #sum = 0;

  /** @param bounds In ascending order. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = Array(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const index = this.#bounds.findIndex((bound) => value <= bound);
    this.#counts[index < 0 ? this.#bounds.length : index]! += 1;
    this.#sum += value;
  }

  family(name: string, help: string): Family {
    let count = 0;
    const buckets = this.#counts.map((more, index) => {
      count += more;
      const le = index < this.#bounds.length ? String(this.#bounds[index]) : "+Inf";
      return { suffix: "_bucket", labels: { le }, value: count } as const;
    });
    const samples: Sample[] = [
      ...buckets,
      { suffix: "_sum", value: this.#sum },
      { suffix: "_count", value: count },
    ];
    return { name, help, type: "histogram", samples };
  }
}
