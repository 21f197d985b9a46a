/** Which turns a conversation has: rows are numbered from 0 without gaps, and turns are not. */
export class Turns {
  readonly #stretches: { first: number; last: number; row: number }[] = [];
  #count = 0;

  constructor(stretches: [first: number, last: number][]) {
    for (const [first, last] of stretches) {
      this.#stretches.push({ first, last, row: this.#count });
      this.#count += last - first + 1;
    }
  }

  /** Of turns in their order. */
  static of(turns: readonly number[]): Turns {
    const stretches: [first: number, last: number][] = [];
    for (const turn of turns) {
      const latest = stretches.at(-1);
      if (latest !== undefined && latest[1] === turn - 1) latest[1] = turn;
      else stretches.push([turn, turn]);
    }
    return new Turns(stretches);
  }

  get count(): number {
    return this.#count;
  }

  get last(): number | undefined {
    return this.#stretches.at(-1)?.last;
  }

  /** The turn in a row. */
  turnAt(row: number): number | undefined {
    const stretch = this.#stretches[this.#latest((each) => each.row <= row)];
    return stretch === undefined || row >= this.#count ? undefined : stretch.first + row - stretch.row;
  }

  /** The row of a turn; of the nearest one before it, when the conversation does not show it. */
  rowOf(turn: number): number {
    const stretch = this.#stretches[this.#latest((each) => each.first <= turn)];
    return stretch === undefined ? 0 : stretch.row + Math.min(turn, stretch.last) - stretch.first;
  }

  /** The last stretch that meets a condition which all before it meet, too. */
  #latest(meets: (stretch: { first: number; row: number }) => boolean): number {
    let [low, high] = [0, this.#stretches.length];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const stretch = this.#stretches[middle];
      if (stretch !== undefined && meets(stretch)) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
