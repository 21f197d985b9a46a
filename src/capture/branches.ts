/** Rows of one conversation whose branches are followed. Beyond that, later rewinds stay unmarked. */
const MAX_ROWS = 200_000;

interface Row {
  parent: string | null | undefined;
  /** Whether a person's prompt: only these begin a branch, since calls made at once also have siblings. */
  isPrompt: boolean;
  messages: string[];
  children: string[];
  abandoned: boolean;
}

/** Messages that have become abandoned, or current again. */
export interface Turned {
  abandoned: string[];
  current: string[];
}

/**
 * Follows a conversation that may be wound back: rows name their parents, and a second prompt under one parent abandons
 * the first with everything under it. Each row is marked once, so the work is linear in the rows.
 */
export class Branches {
  readonly #rows = new Map<string, Row>();
  /** The latest prompt under each parent. */
  readonly #prompts = new Map<string, string>();

  has(id: string): boolean {
    return this.#rows.has(id);
  }

  /**
   * Takes a row. Returns the messages whose branch has changed by it, if any. A row without a parent begins a tree of its own
   * and abandons nothing: sessions that go on elsewhere, and rows whose parent was never written, look the same.
   */
  add(id: string, parent: string | null | undefined, isPrompt: boolean, messages: string[]): Turned | undefined {
    if (this.#rows.size >= MAX_ROWS || this.#rows.has(id)) return undefined;
    const above = typeof parent === "string" ? this.#rows.get(parent) : undefined;
    above?.children.push(id);
    this.#rows.set(id, { parent, isPrompt, messages, children: [], abandoned: false });
    const turned: Turned = { abandoned: [], current: [] };
    if (above?.abandoned && parent) this.#return(parent, turned);
    if (isPrompt && above && parent) this.#turn(id, parent, turned);
    return turned.abandoned.length + turned.current.length > 0 ? turned : undefined;
  }

  /** Makes a prompt the current one under its parent. */
  #turn(id: string, parent: string, turned: Turned): void {
    const before = this.#prompts.get(parent);
    this.#prompts.set(parent, id);
    if (before === undefined || before === id) return;
    const waiting = [before];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const row = this.#rows.get(next);
      if (!row || row.abandoned) continue;
      row.abandoned = true;
      turned.abandoned.push(...row.messages);
      waiting.push(...row.children);
    }
  }

  /** The conversation goes on under a row that was abandoned: its ancestors are current again. */
  #return(from: string, turned: Turned): void {
    for (let id: string | null | undefined = from; typeof id === "string";) {
      const row = this.#rows.get(id);
      if (!row?.abandoned) return;
      row.abandoned = false;
      turned.current.push(...row.messages);
      if (row.isPrompt && row.parent) this.#turn(id, row.parent, turned);
      id = row.parent;
    }
  }
}
