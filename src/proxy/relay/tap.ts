import type { ViewedFrame } from "../../wire/frame.ts";

/** Which way a frame goes: up to the server, or down to the client. */
export type Direction = "up" | "down";

/** What sees a session's frames on their way. It may take a moment over each, and never changes or drops one. */
export interface Tap {
  /** Calls `pass` when the frame may go on, in the order in which frames came. */
  frame(direction: Direction, frame: ViewedFrame, pass: () => void): void;
  closed(reason: string): void;
}

/** A tap that looks at nothing. */
export const noTap: Tap = { frame: (_direction, _frame, pass) => pass(), closed: () => {} };

/** A tap that counts what passes, in front of another. */
export function countingTap(tap: Tap, count: (direction: Direction, bytes: number) => void): Tap {
  return {
    frame(direction, frame, pass) {
      count(direction, Buffer.byteLength(frame.text));
      tap.frame(direction, frame, pass);
    },
    closed: (reason) => tap.closed(reason),
  };
}
