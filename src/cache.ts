/** A map of limited size: an entry that is new takes the place of the one that was not used for the longest time. */
export class Cache<Value> {
  readonly #most: number;
  /** In the order of their last use. */
  readonly #kept = new Map<string, Value>();

  /** `most` is the number of entries. */
  constructor(most: number) {
    this.#most = most;
  }

  get(key: string): Value | undefined {
    const value = this.#kept.get(key);
    if (value !== undefined) this.set(key, value);
    return value;
  }

  set(key: string, value: Value): void {
    this.#kept.delete(key);
    this.#kept.set(key, value);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > this.#most && oldest !== undefined) this.#kept.delete(oldest);
  }
}
