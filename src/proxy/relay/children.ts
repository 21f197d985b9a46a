import { DeweyError } from "../../errors.ts";

/** A session that runs a command as its upstream. */
export interface ChildOwner {
  upstreamName: string;
  /** When its client last sent or got a frame, by `performance.now()`. */
  usedMs: number;
  /** Whether a request is in flight. */
  isBusy: boolean;
  /** Ends the command. The next frame of the client starts it again. */
  rest(): void;
}

/** Limits on commands that run at once: one takes 50 to 100 MB, and some clients open sessions without ever ending them. */
const MAX_CHILDREN_PER_UPSTREAM = 32;
const MAX_CHILDREN = 96;

/** The commands that run for sessions. When there are too many, the one that was idle for longest ends. */
export class Children {
  readonly #owners = new Set<ChildOwner>();
  readonly #limits: { perUpstream: number; all: number };

  constructor(limits = { perUpstream: MAX_CHILDREN_PER_UPSTREAM, all: MAX_CHILDREN }) {
    this.#limits = limits;
  }

  /** Makes room for a command of this session. Throws `unavailable` when all are in use. */
  admit(owner: ChildOwner): void {
    this.#owners.delete(owner);
    const { perUpstream, all } = this.#limits;
    const { upstreamName } = owner;
    this.#makeRoom(perUpstream, `of ${upstreamName}`, (each) => each.upstreamName === upstreamName);
    this.#makeRoom(all, "of all upstreams", () => true);
    this.#owners.add(owner);
  }

  /** The session's command has ended, or will not start again. */
  release(owner: ChildOwner): void {
    this.#owners.delete(owner);
  }

  #makeRoom(limit: number, which: string, counts: (owner: ChildOwner) => boolean): void {
    const owners = [...this.#owners].filter(counts);
    if (owners.length < limit) return;
    const [longestIdle] = owners.filter((each) => !each.isBusy).toSorted((a, b) => a.usedMs - b.usedMs);
    if (!longestIdle) {
      const message = `${limit} commands ${which} run already, and all have calls in flight; try again later`;
      throw new DeweyError("unavailable", message);
    }
    this.#owners.delete(longestIdle);
    longestIdle.rest();
  }
}
