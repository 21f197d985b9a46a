import { createRedactor, noRedactor } from "../redact/redact.ts";
import type { Redactor } from "../redact/redact.ts";
import { make } from "./works.ts";
import type { Given, WorkName } from "./works.ts";

/** The thread of the workshop: the first message says how to redact, and each further one is a work. */

/** What the workshop sends first: the added patterns, or undefined to store everything unchanged. */
export interface Opening {
  added: Record<string, RegExp> | undefined;
}

export interface Order {
  name: WorkName;
  /** The values, or their JSON. */
  given: unknown[] | string;
}

/** What has become of a work, and the patterns that were ended meanwhile. */
export interface Reply {
  made?: unknown;
  /** The message of an error that the work threw. */
  failure?: string;
  ended: string[];
}

declare const self: Worker;

let redactor: Redactor | undefined;
let ended: string[] = [];

self.addEventListener("message", (event: MessageEvent<Opening | Order>) => {
  const { data } = event;
  if ("added" in data) {
    redactor = data.added === undefined ? noRedactor : createRedactor(data.added, (kind) => ended.push(kind));
  } else if (redactor !== undefined) {
    self.postMessage(replyTo(redactor, data));
  }
});

function replyTo(redactor: Redactor, { name, given }: Order): Reply {
  ended = [];
  try {
    const values: unknown = typeof given === "string" ? JSON.parse(given) : given;
    return { made: make(redactor, name, values as Given<WorkName>), ended };
  } catch (error) {
    return { failure: error instanceof Error ? error.message : String(error), ended };
  }
}
