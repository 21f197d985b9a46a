/** Limits on what a client can replay after its stream broke: enough for a short outage. */
const MAX_EVENTS = 1000;
const MAX_CHARACTERS = 16_000_000;

export interface ReplayEvent {
  stream: string;
  number: number;
  frame: string;
}

/** The latest events of one HTTP session, for clients that reconnect with `Last-Event-ID`. The oldest are evicted first. */
export class Replay {
  #events: ReplayEvent[] = [];
  #characters = 0;
  /** The number of the latest event. Events are numbered through the session, across all its streams. */
  last = 0;

  add(stream: string, frame: string): ReplayEvent {
    const event = { stream, number: this.last + 1, frame };
    this.last += 1;
    this.#events.push(event);
    this.#characters += frame.length;
    // The latest event stays, however large: it may be the response that the client reconnects for.
    while (this.#events.length > MAX_EVENTS || (this.#characters > MAX_CHARACTERS && this.#events.length > 1)) {
      this.#characters -= this.#events.shift()?.frame.length ?? 0;
    }
    return event;
  }

  /** A stream's events after a number. */
  after(stream: string, number: number): ReplayEvent[] {
    return this.#events.filter((event) => event.stream === stream && event.number > number);
  }
}
