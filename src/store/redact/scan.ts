import { Runs } from "./alphabets.ts";
import { Cuts } from "./cuts.ts";
import type { SecretName } from "./names.ts";

/** A value in a text: its bounds, and whether it stands in quotes. */
export interface Value {
  start: number;
  end: number;
  isQuoted: boolean;
}

/** Characters between the two fields of a pair, at most. */
export const MAX_PAIR_DISTANCE = 200;

/** One text while its secrets are looked for. What the finders remember keeps each from reading the same part twice. */
export class Scan {
  readonly text: string;
  readonly runs: Runs;
  readonly cuts = new Cuts();
  /** Ends of the parts that were read as lists of cookies, as lists or objects, and as keys. */
  cookiesEnd = 0;
  containerEnd = 0;
  /** Ends of the last line that was read as the head of a table, and of the rows that were read. */
  headEnd = 0;
  tableEnd = 0;
  /** Where the text says that it shows a Secret of Kubernetes; found when it is first asked. */
  secretKinds: number[] | undefined;
  keyEnd = 0;
  /** The last bare value: where it was looked for from, where it ends, and how often a part of it was judged. */
  bare = { start: -1, end: -1, judged: 0 };
  /** Where the last run ends of which each maker's prefix was judged. */
  readonly makerEnds = new Map<object, number>();
  /** The last field `name` whose value names a secret: `{"name": "password", "value": "…"}`. */
  pairName: { name: SecretName; end: number; isAbove?: boolean } | undefined;
  /** The last field `value`, for pairs that give it first. */
  pairValue: Value | undefined;

  constructor(text: string) {
    this.text = text;
    this.runs = new Runs(text);
  }
}
