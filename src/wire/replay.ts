/** What a client may have missed when its stream broke: enough for a short break, bounded for a long one. */
const MAX_EVENTS = 1000;
const MAX_CHARACTERS = 16_000_000;

export interface ReplayEvent {
  stream: string;
  number: number;
  frame: string;
}

/** The last events of one HTTP session, for clients that come back with `Last-Event-ID`. The oldest go first. */
export class Replay {
  #events: ReplayEvent[] = [];
  #characters = 0;
  /** The number of the last event; numbers grow through the session, over all its streams. */
  last = 0;

  add(stream: string, frame: string): ReplayEvent {
    const event = { stream, number: this.last + 1, frame };
    this.last += 1;
    this.#events.push(event);
    this.#characters += frame.length;
    // The last one stays however large it is: it may be the answer that its client comes back for.
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
