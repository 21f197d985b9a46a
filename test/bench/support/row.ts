/** One row of the table: a value of Dewey's and one of a peer or a bound, measured in alternation in the same run. */
export interface Row {
  what: string;
  unit: string;
  /** One value per round. */
  dewey: number[];
  /** The reference that Dewey is compared with, and its values by round. */
  against: string;
  other: number[];
  /** The bar applies to Dewey's value divided by the other's, or to the difference. */
  compare: "ratio" | "difference";
  /** The bar for that, or for Dewey's own value (`within`); absent when a value is only reported. */
  bar?: { atLeast: number } | { atMost: number } | { within: number };
}

/** A row with its result over all rounds. */
export interface Judged extends Row {
  /** Median of the comparisons by round, so that slow moments of the machine affect both sides. */
  result: number;
  least: number;
  most: number;
  met?: boolean;
}

export function judge(row: Row): Judged {
  const results = row.dewey.map((value, round) => {
    const other = row.other[round] ?? row.other[0] ?? Number.NaN;
    return row.compare === "ratio" ? value / other : value - other;
  });
  const result = median(results);
  const judged = { ...row, result, least: Math.min(...results), most: Math.max(...results) };
  if (row.bar === undefined) return judged;
  return { ...judged, met: meets(row.bar, result, median(row.dewey)) };
}

function meets(bar: NonNullable<Row["bar"]>, result: number, dewey: number): boolean {
  if ("within" in bar) return dewey <= bar.within;
  return "atLeast" in bar ? result >= bar.atLeast : result <= bar.atMost;
}

/** A value of Dewey's with a fixed limit. */
export function withinLimit(what: string, unit: string, dewey: number[], most: number): Row {
  return { what, unit, dewey, against: "limit", other: [most], compare: "ratio", bar: { atMost: 1 } };
}

/** A value without a reference. */
export function told(what: string, unit: string, dewey: number[]): Row {
  return { what, unit, dewey, against: "", other: [], compare: "ratio" };
}

/** A Markdown table. */
export function table(rows: Judged[]): string {
  const head = ["what", "Dewey", "against", "", "ratio", "bar", "met"];
  const lines = rows.map((row) => [
    row.what,
    values(row.dewey, row.unit),
    row.against,
    row.other.length === 0 ? "" : values(row.other, row.unit),
    row.other.length === 0 ? "" : compared(row),
    barText(row),
    row.met === undefined ? "" : row.met ? "yes" : "NO",
  ]);
  const all = [head, ...lines];
  const widths = head.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0)));
  const print = (line: string[]) => `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [print(head), print(widths.map((width) => "-".repeat(width))), ...lines.map(print)].join("\n");
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}

/** The median, then minimum and maximum in parentheses. */
function values(rounds: number[], unit: string): string {
  const spread = rounds.length > 1 ? ` (${number(Math.min(...rounds))}–${number(Math.max(...rounds))})` : "";
  return `${number(median(rounds))} ${unit}${spread}`;
}

function compared(row: Judged): string {
  const sign = row.compare === "difference" ? ` ${row.unit}` : "";
  const spread = row.dewey.length > 1 ? ` (${number(row.least)}–${number(row.most)})` : "";
  return `${number(row.result)}${sign}${spread}`;
}

function barText({ bar, compare, unit, against }: Row): string {
  if (bar === undefined) return "";
  const sign = compare === "difference" ? ` ${unit}` : "";
  if ("within" in bar) return `at most ${bar.within} ${unit}`;
  if (against === "limit") return "at most 1";
  return "atLeast" in bar ? `at least ${number(bar.atLeast)}${sign}` : `at most ${number(bar.atMost)}${sign}`;
}

function number(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return Number(value.toPrecision(3)).toString();
}
