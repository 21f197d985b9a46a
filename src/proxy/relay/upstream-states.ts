/** Whether an upstream worked when a session last used it. */
export interface UpstreamState {
  state: "unused" | "up" | "down";
  /** When the state last changed, ISO 8601; null while unused. */
  since: string | null;
  last_error: string | null;
  /** Why its stream of messages outside of requests cannot be opened for now; absent when it can, or has none. */
  stream_error?: string;
}

/** The state of each upstream as sessions have seen it, for the health endpoint. */
export class UpstreamStates {
  readonly #states = new Map<string, UpstreamState>();
  readonly #streamErrors = new Map<string, string>();

  /** Notes that an upstream is up (`reason` undefined) or down, with the reason. */
  saw(name: string, reason: string | undefined): void {
    const before = this.of(name);
    const state = reason === undefined ? "up" : "down";
    this.#states.set(name, {
      state,
      since: before.state === state ? before.since : new Date().toISOString(),
      last_error: reason ?? before.last_error,
    });
  }

  /** Notes that a session's stream of messages cannot be opened, with the reason, or (undefined) that it can. */
  sawStream(name: string, reason: string | undefined): void {
    if (reason === undefined) this.#streamErrors.delete(name);
    else this.#streamErrors.set(name, reason);
  }

  of(name: string): UpstreamState {
    const state = this.#states.get(name) ?? { state: "unused", since: null, last_error: null };
    const stream_error = this.#streamErrors.get(name);
    return stream_error === undefined ? state : { ...state, stream_error };
  }
}
