import type { EventStore } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";

/** Limit on events kept for replay: enough for a short interruption, bounded for a long one. */
const MAX_EVENTS = 1000;
const MAX_BYTES = 16 * 1024 * 1024;

interface StoredEvent {
  id: string;
  stream: string;
  message: JSONRPCMessage;
  bytes: number;
}

/** The latest events of one HTTP session, for clients that resume with `Last-Event-ID`. The oldest are evicted first. */
export class ReplayStore implements EventStore {
  #events: StoredEvent[] = [];
  #bytes = 0;
  #next = 1;

  storeEvent(stream: string, message: JSONRPCMessage): Promise<string> {
    const event = { id: `${stream}/${this.#next}`, stream, message, bytes: JSON.stringify(message).length };
    this.#next += 1;
    this.#events.push(event);
    this.#bytes += event.bytes;
    while (this.#events.length > MAX_EVENTS || (this.#bytes > MAX_BYTES && this.#events.length > 1)) {
      this.#bytes -= this.#events.shift()?.bytes ?? 0;
    }
    return Promise.resolve(event.id);
  }

  getStreamIdForEventId(id: string): Promise<string | undefined> {
    const end = id.lastIndexOf("/");
    return Promise.resolve(end === -1 ? undefined : id.slice(0, end));
  }

  async replayEventsAfter(
    lastId: string,
    { send }: { send: (id: string, message: JSONRPCMessage) => Promise<void> },
  ): Promise<string> {
    const stream = (await this.getStreamIdForEventId(lastId)) ?? "";
    const last = Number(lastId.slice(stream.length + 1));
    for (const event of this.#events) {
      const number = Number(event.id.slice(event.stream.length + 1));
      if (event.stream === stream && number > last && !isPriming(event.message)) await send(event.id, event.message);
    }
    return stream;
  }
}

/** The SDK stores an empty event at the start of a stream, only to obtain an id. */
function isPriming(message: JSONRPCMessage): boolean {
  return Object.keys(message).length === 0;
}
