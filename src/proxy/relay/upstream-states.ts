/** How an upstream was when a session last connected to it, or lost it. */
export interface UpstreamState {
  state: "unused" | "up" | "down";
  /** ISO 8601; null while it is unused. */
  since: string | null;
  last_error: string | null;
}

/** What the sessions have seen of their upstreams, for whoever asks how the proxy is. */
export class UpstreamStates {
  readonly #states = new Map<string, UpstreamState>();

  /** Takes note: `reason` says why it is not there, and is undefined when it is. */
  saw(name: string, reason: string | undefined): void {
    const before = this.of(name);
    const state = reason === undefined ? "up" : "down";
    this.#states.set(name, {
      state,
      since: before.state === state ? before.since : new Date().toISOString(),
      last_error: reason ?? before.last_error,
    });
  }

  of(name: string): UpstreamState {
    return this.#states.get(name) ?? { state: "unused", since: null, last_error: null };
  }
}
