import { asDeweyError, jsonRpcCode } from "../errors.ts";
import { errorFrame, viewFrame } from "../wire/frame.ts";
import type { FrameView } from "../wire/frame.ts";
import type { Link } from "../wire/link.ts";

/** Which way a frame goes: up to the server, or down to the client. */
export type Direction = "up" | "down";

/** What sees a session's frames on their way. It may take a moment over each, and never changes or drops one. */
export interface Tap {
  /** Calls `pass` when the frame may go on, in the order in which frames came. */
  frame(direction: Direction, text: string, pass: () => void): void;
  closed(reason: string): void;
}

/** A tap that looks at nothing. */
export const noTap: Tap = { frame: (_direction, _text, pass) => pass(), closed: () => {} };

export interface SessionOptions {
  downstream: Link;
  /** Connects to the upstream; what it throws is told to the client. */
  dial(): Promise<Link>;
  tap: Tap;
}

/**
 * Joins a client's link with a link to its server and relays every frame both ways, as it came. Resolves when the session
 * is over. The downstream link delivers nothing before the upstream is there, so no frame has to be kept.
 */
export async function runSession(options: SessionOptions): Promise<void> {
  const { downstream, tap } = options;
  let upstream: Link;
  try {
    upstream = await options.dial();
  } catch (error) {
    await refuse(downstream, error);
    return;
  }
  await relay(downstream, upstream, tap);
}

/** Answers whatever a client asks with the reason why its upstream is not there, until it leaves. */
function refuse(downstream: Link, error: unknown): Promise<void> {
  const { code, message } = asDeweyError(error);
  return new Promise((resolve) => {
    downstream.open({
      frame(text) {
        for (const id of requestIds(viewFrame(text))) downstream.send(errorFrame(id, jsonRpcCode(code), message));
      },
      drained: () => {},
      closed: () => resolve(),
    });
  });
}

function relay(downstream: Link, upstream: Link, tap: Tap): Promise<void> {
  const open = new OpenRequests();
  return new Promise((resolve) => {
    let over = false;
    const end = (reason: string) => {
      if (over) return;
      over = true;
      tap.closed(reason);
      downstream.close(reason);
      upstream.close(reason);
      resolve();
    };
    upstream.open({
      frame: (text) =>
        tap.frame("down", text, () => {
          // A peer that reads slower than the other sends pauses the other.
          if (!downstream.send(text)) upstream.pause();
          open.answered(text);
        }),
      drained: () => downstream.resume(),
      closed(reason) {
        // Nobody else will answer what the client waits for.
        for (const id of open.ids())
          downstream.send(errorFrame(id, jsonRpcCode("unavailable"), `the upstream is gone: ${reason}`));
        end(`the upstream is gone: ${reason}`);
      },
    });
    downstream.open({
      frame: (text) =>
        tap.frame("up", text, () => {
          if (!upstream.send(text)) downstream.pause();
          open.asked(text);
        }),
      drained: () => upstream.resume(),
      closed: (reason) => end(`the client has left: ${reason}`),
    });
  });
}

/** The client's requests that its server has not answered yet. */
class OpenRequests {
  readonly #ids = new Map<string, unknown>();

  asked(text: string): void {
    for (const id of requestIds(viewFrame(text))) this.#ids.set(JSON.stringify(id), id);
  }

  answered(text: string): void {
    if (this.#ids.size === 0) return;
    const view = viewFrame(text);
    for (const each of view.kind === "batch" ? view.messages : [view]) {
      if (each.kind === "response") this.#ids.delete(JSON.stringify(each.id));
    }
  }

  ids(): Iterable<unknown> {
    return this.#ids.values();
  }
}

function requestIds(view: FrameView): unknown[] {
  if (view.kind === "batch") return view.messages.flatMap(requestIds);
  return view.kind === "request" ? [view.id] : [];
}
