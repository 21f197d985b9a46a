/** Whether an upstream worked when a session last used it. */
export interface UpstreamState {
  state: "unused" | "up" | "down";
  /** When the state last changed, ISO 8601; null while unused. */
  since: string | null;
  last_error: string | null;
}

/** The state of each upstream as sessions have seen it, for the health endpoint. */
export class UpstreamStates {
  readonly #states = new Map<string, UpstreamState>();

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

  of(name: string): UpstreamState {
    return this.#states.get(name) ?? { state: "unused", since: null, last_error: null };
  }
}
