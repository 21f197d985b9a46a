/**
 * Heights of the rows of a long list, measured or estimated, and where each row begins. Changing a height, finding where a row
 * begins and finding the row at a place each take a time that grows with the logarithm of the number of rows (a Fenwick tree).
 */
export class Heights {
  readonly #heights: Float64Array;
  readonly #sums: Float64Array;
  readonly #isMeasured: Uint8Array;

  constructor(count: number, estimate: (index: number) => number) {
    this.#heights = Float64Array.from({ length: count }, (_, index) => estimate(index));
    this.#isMeasured = new Uint8Array(count);
    this.#sums = new Float64Array(count + 1);
    for (let at = 1; at <= count; at += 1) {
      this.#sums[at] = (this.#sums[at] ?? 0) + (this.#heights[at - 1] ?? 0);
      const parent = at + (at & -at);
      if (parent <= count) this.#sums[parent] = (this.#sums[parent] ?? 0) + (this.#sums[at] ?? 0);
    }
  }

  get count(): number {
    return this.#heights.length;
  }

  get total(): number {
    return this.startOf(this.count);
  }

  /** The sum of the heights before a row. */
  startOf(index: number): number {
    let sum = 0;
    for (let at = Math.min(index, this.count); at > 0; at -= at & -at) sum += this.#sums[at] ?? 0;
    return sum;
  }

  heightOf(index: number): number {
    return this.#heights[index] ?? 0;
  }

  /** The row at a distance from the top of the first; the last row beyond the end. */
  rowAt(offset: number): number {
    let at = 0;
    let left = offset;
    for (let step = 2 ** Math.floor(Math.log2(Math.max(1, this.count))); step > 0; step = Math.floor(step / 2)) {
      const sum = this.#sums[at + step];
      if (at + step <= this.count && sum !== undefined && sum <= left) {
        at += step;
        left -= sum;
      }
    }
    return Math.max(0, Math.min(at, this.count - 1));
  }

  /** Notes a measured height. Returns whether it differs from what was known. */
  measure(index: number, height: number): boolean {
    if (index >= this.count) return false;
    this.#isMeasured[index] = 1;
    const change = height - this.heightOf(index);
    if (Math.abs(change) < 0.5) return false;
    this.#heights[index] = height;
    for (let at = index + 1; at <= this.count; at += at & -at) this.#sums[at] = (this.#sums[at] ?? 0) + change;
    return true;
  }

  /** The same rows with others before or after them: measured heights stay, found by `from`. */
  resized(count: number, from: (index: number) => number | undefined, estimate: (index: number) => number): Heights {
    const measured = (index: number) => {
      const old = from(index);
      return old !== undefined && this.#isMeasured[old] === 1 ? old : undefined;
    };
    const resized = new Heights(count, (index) => {
      const old = measured(index);
      return old === undefined ? estimate(index) : this.heightOf(old);
    });
    for (let index = 0; index < count; index += 1) if (measured(index) !== undefined) resized.#isMeasured[index] = 1;
    return resized;
  }
}
