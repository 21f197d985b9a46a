/** Requests that were refused alike. */
export interface Refused {
  status: 401 | 403;
  /** The network address that they came from; null for those of addresses beyond `MOST_KINDS`. */
  address: string | null;
  count: number;
}

/** A first refusal is told at once; those like it within this time, together at its end. */
const WINDOW_MS = 60_000;
/** Kinds told apart within a window. A flood from many addresses must not become a flood of lines. */
const MOST_KINDS = 100;

/** Tells of refused requests, at most `2 * MOST_KINDS + 4` times a minute however many there are. */
export class Refusals {
  readonly #tell: (refused: Refused) => void;
  readonly #windowMs: number;
  /** What was refused after the first, by kind. */
  #more = new Map<string, Refused>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(tell: (refused: Refused) => void, windowMs = WINDOW_MS) {
    this.#tell = tell;
    this.#windowMs = windowMs;
  }

  count(status: Refused["status"], address: string | undefined): void {
    const kind = `${status} ${address}`;
    const isKnown = this.#more.has(kind);
    const key = isKnown || this.#more.size < MOST_KINDS ? kind : `${status}`;
    const known = this.#more.get(key);
    if (known) {
      known.count += 1;
      return;
    }
    const refused = { status, address: key === kind ? (address ?? null) : null };
    this.#more.set(key, { ...refused, count: 0 });
    this.#timer ??= setTimeout(() => this.stop(), this.#windowMs);
    this.#timer.unref();
    this.#tell({ ...refused, count: 1 });
  }

  /** Tells what has been counted and not told. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const counted = [...this.#more.values()];
    this.#more = new Map();
    for (const refused of counted) if (refused.count > 0) this.#tell(refused);
  }
}
