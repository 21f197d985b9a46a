type Labels = Record<string, string>;

interface Family {
  name: string;
  help: string;
  type: "counter" | "gauge" | "histogram";
  /** What stands behind the name on each line. */
  samples: () => Iterable<[string, number]>;
}

/** A number that is kept elsewhere, or several with their labels. */
type Reading = number | [Labels, number][];

/**
 * The upper bounds of a histogram of durations, in seconds: from what a quick call takes to what a person hardly waits
 * for, about threefold each.
 */
const DURATION_BOUNDS_SECONDS = [0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 1, 2.5, 10, 30, 120];

/**
 * Counts for a Prometheus server, in its text format (version 0.0.4). Labels take values from sets that configuration
 * bounds, never from what callers send.
 */
export class Metrics {
  readonly #families: Family[] = [];

  /** A count that only grows; the answer adds to it. */
  counter(name: string, help: string): (labels?: Labels, by?: number) => void {
    const counts = new Map<string, number>();
    this.#families.push({ name, help, type: "counter", samples: () => counts });
    return (labels = {}, by = 1) => {
      const key = labelText(labels);
      counts.set(key, (counts.get(key) ?? 0) + by);
    };
  }

  /** Durations by how long they were; the answer takes one, in milliseconds. */
  durations(name: string, help: string): (labels: Labels, ms: number) => void {
    const series = new Map<string, { labels: Labels; buckets: number[]; sum: number; count: number }>();
    this.#families.push({ name, help, type: "histogram", samples: () => [...series.values()].flatMap(histogram) });
    return (labels, ms) => {
      const key = labelText(labels);
      const one = series.get(key) ?? { labels, buckets: DURATION_BOUNDS_SECONDS.map(() => 0), sum: 0, count: 0 };
      series.set(key, one);
      const seconds = ms / 1000;
      one.sum += seconds;
      one.count += 1;
      one.buckets = one.buckets.map((n, index) => (seconds <= (DURATION_BOUNDS_SECONDS[index] ?? 0) ? n + 1 : n));
    };
  }

  /** A count that is kept elsewhere, read when it is asked for. */
  counted(name: string, help: string, read: () => Reading): void {
    this.#families.push({ name, help, type: "counter", samples: () => readings(read()) });
  }

  /** A number that goes up and down, read when it is asked for. */
  gauge(name: string, help: string, read: () => Reading): void {
    this.#families.push({ name, help, type: "gauge", samples: () => readings(read()) });
  }

  /** What `/metrics` answers. */
  response(): Response {
    const text = this.#families.map(
      ({ name, help, type, samples }) =>
        `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${[...samples()].map(([behind, value]) => `${name}${behind} ${value}\n`).join("")}`,
    );
    return new Response(text.join(""), { headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" } });
  }
}

function readings(reading: Reading): [string, number][] {
  if (typeof reading === "number") return [["", reading]];
  return reading.map(([labels, value]) => [labelText(labels), value]);
}

function histogram(series: { labels: Labels; buckets: number[]; sum: number; count: number }): [string, number][] {
  const { labels, buckets, sum, count } = series;
  const bucket = (le: string, value: number): [string, number] => [`_bucket${labelText({ ...labels, le })}`, value];
  return [
    ...buckets.map((value, index) => bucket(String(DURATION_BOUNDS_SECONDS[index]), value)),
    bucket("+Inf", count),
    [`_sum${labelText(labels)}`, sum],
    [`_count${labelText(labels)}`, count],
  ];
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/[\\"\n]/g, (sign) => (sign === "\n" ? "\\n" : `\\${sign}`))}"`,
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
