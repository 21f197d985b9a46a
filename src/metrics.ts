type Labels = Record<string, string>;

interface Family {
  name: string;
  help: string;
  type: "counter" | "gauge";
  samples: () => Iterable<[string, number]>;
}

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

  /** A count that is kept elsewhere, read when it is asked for. */
  counted(name: string, help: string, read: () => number): void {
    this.#families.push({ name, help, type: "counter", samples: () => [["", read()]] });
  }

  /** A number that goes up and down, read when it is asked for. */
  gauge(name: string, help: string, read: () => number): void {
    this.#families.push({ name, help, type: "gauge", samples: () => [["", read()]] });
  }

  /** What `/metrics` answers. */
  response(): Response {
    const text = this.#families.map(
      ({ name, help, type, samples }) =>
        `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${[...samples()].map(([labels, value]) => `${name}${labels} ${value}\n`).join("")}`,
    );
    return new Response(text.join(""), { headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" } });
  }
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${value.replace(/[\\"\n]/g, (sign) => (sign === "\n" ? "\\n" : `\\${sign}`))}"`,
  );
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}
