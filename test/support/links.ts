import type { Link } from "../../src/wire/link.ts";
import { until } from "./rpc.ts";

/** Collects everything a link delivers. */
export interface Listening {
  frames: string[];
  drained: number;
  closed: string | undefined;
  /** Waits for this many frames. */
  count(number: number): Promise<string[]>;
  end(): Promise<string>;
}

export function listen(link: Link): Listening {
  const listening: Listening = {
    frames: [],
    drained: 0,
    closed: undefined,
    count: (number) => until(`${number} frames`, () => listening.frames.length >= number && listening.frames),
    end: () => until("the end of the link", () => listening.closed),
  };
  link.open({
    frame: (text) => listening.frames.push(text),
    drained: () => (listening.drained += 1),
    closed: (reason) => (listening.closed = reason),
  });
  return listening;
}
