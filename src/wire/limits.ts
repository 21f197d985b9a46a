import { MAX_FRAME_BYTES } from "./frame.ts";

// Limits that hold on more than one wire.

/** Time limit for connecting to a server. */
export const DIAL_DEADLINE_MS = 10_000;
/** From here on a link reports backpressure. */
export const HIGH_WATER_BYTES = 1024 * 1024;
/**
 * Largest queue for one client: room for two of the largest frames. A client that exceeds it, although its source is paused,
 * is disconnected.
 */
export const MAX_QUEUE_BYTES = 2 * MAX_FRAME_BYTES;
/** A client that reads nothing for this long with data queued is disconnected; checked once per interval. */
export const STALL_LIMIT_MS = 60_000;
/** After a close, a peer that takes nothing of what was sent before it for this long is given up; checked once per interval. */
export const FAREWELL_STALL_MS = 3000;
/** An HTTP session ends after this long without a request or an open stream: some clients never send DELETE. */
export const IDLE_LIMIT_MS = 30 * 60_000;
export const IDLE_CHECK_MS = 60_000;
/** Limit on open HTTP sessions; only a client that opens one for each request reaches it. Then the longest unused ends. */
export const MAX_SESSIONS = 10_000;
/** A request whose headers or body stop arriving for this long is cut off; a slow network pauses for seconds at most. */
export const BODY_IDLE_SECONDS = 30;
/** Time limit for a whole body: the largest needs 1 MB/s, and one that arrives a byte at a time does not stay. */
export const BODY_DEADLINE_MS = 2 * 60_000;
