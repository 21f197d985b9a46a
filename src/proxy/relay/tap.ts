import type { ViewedFrame } from "../../wire/frame.ts";

/** Where a frame goes: up to the server, or down to the client. */
export type Direction = "up" | "down";

/** Observes a session's frames on their way. It may hold each for a moment, and never changes or drops one. */
export interface Tap {
  /** Calls `pass` when the frame may go on. Frames keep their order. */
  frame(direction: Direction, frame: ViewedFrame, pass: () => void): void;
  closed(reason: string): void;
}

/** Observes an HTTP request, and the session that it may begin. */
export interface RequestTap extends Tap {
  /** The request was answered, and began no session. */
  answered(): void;
}

/** Passes every frame at once and records nothing. */
export const noTap: Tap = { frame: (_direction, _frame, pass) => pass(), closed: () => {} };

/** Counts frames and bytes in front of another tap. */
export function countingTap(tap: Tap, count: (direction: Direction, bytes: number) => void): Tap {
  return {
    frame(direction, frame, pass) {
      count(direction, Buffer.byteLength(frame.text));
      tap.frame(direction, frame, pass);
    },
    closed: (reason) => tap.closed(reason),
  };
}
