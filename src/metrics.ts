type Labels = Record<string, string>;

interface Family {
  name: string;
  help: string;
  type: "counter" | "gauge" | "histogram";
  /** The suffix and labels that follow the name on each line, and the value. */
  samples: () => Iterable<[string, number]>;
}

/** Durations with the same labels: a count per bucket; the last bucket has no upper bound. */
interface Series {
  labels: Labels;
  counts: number[];
  sum: number;
}

/** One number, or several with labels. */
type Reading = number | [Labels, number][];

/**
 * Upper bounds of the duration histogram's buckets, in seconds: from a fast call to longer than anyone waits, each about
 * three times the one before.
 */
const DURATION_BOUNDS_SECONDS = [0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 1, 2.5, 10, 30, 120];

/**
 * Metrics in Prometheus' text format (version 0.0.4). Label values come from sets that configuration bounds, never from
 * callers' input.
 */
export class Metrics {
  readonly #families: Family[] = [];

  /**
   * A counter that is kept here. Calling the result with labels returns a function that adds; frequent callers keep it. From
   * then on the response has these labels, at zero: a counter that appears with its first event shows no increase.
   */
  counter(name: string, help: string): (labels?: Labels) => (by: number) => void {
    const counts = new Map<string, { value: number }>();
    const samples = () => [...counts].map(([labels, { value }]): [string, number] => [labels, value]);
    this.#families.push({ name, help, type: "counter", samples });
    return (labels = {}) => {
      const key = labelText(labels);
      const count = counts.get(key) ?? { value: 0 };
      counts.set(key, count);
      return (by) => void (count.value += by);
    };
  }

  /** A histogram. Calling the result with labels, which then show at zero, returns a function that adds milliseconds. */
  durations(name: string, help: string): (labels?: Labels) => (ms: number) => void {
    const series = new Map<string, Series>();
    this.#families.push({
      name,
      help,
      type: "histogram",
      samples: () => [...series.values()].flatMap(histogram),
    });
    return (labels = {}) => {
      const key = labelText(labels);
      const one = series.get(key) ?? { labels, counts: [...DURATION_BOUNDS_SECONDS, Infinity].map(() => 0), sum: 0 };
      series.set(key, one);
      return (ms) => {
        const seconds = ms / 1000;
        one.sum += seconds;
        const bound = DURATION_BOUNDS_SECONDS.findIndex((each) => seconds <= each);
        const at = bound === -1 ? DURATION_BOUNDS_SECONDS.length : bound;
        one.counts[at] = (one.counts[at] ?? 0) + 1;
      };
    };
  }

  /** A counter that is kept elsewhere; `read` is called for each response. */
  counted(name: string, help: string, read: () => Reading): void {
    this.#families.push({ name, help, type: "counter", samples: () => readings(read()) });
  }

  /** A gauge; `read` is called for each response. */
  gauge(name: string, help: string, read: () => Reading): void {
    this.#families.push({ name, help, type: "gauge", samples: () => readings(read()) });
  }

  /** The response to `/metrics`. */
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

function histogram({ labels, counts, sum }: Series): [string, number][] {
  const bucket = (le: string, value: number): [string, number] => [`_bucket${labelText({ ...labels, le })}`, value];
  let count = 0;
  const buckets = counts.map((more, index) => {
    count += more;
    return bucket(index < DURATION_BOUNDS_SECONDS.length ? String(DURATION_BOUNDS_SECONDS[index]) : "+Inf", count);
  });
  return [...buckets, [`_sum${labelText(labels)}`, sum], [`_count${labelText(labels)}`, count]];
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/[\\"\n]/g, (sign) => (sign === "\n" ? "\\n" : `\\${sign}`))}"`,
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
