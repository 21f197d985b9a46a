import type { FrameView, ViewedFrame } from "../../wire/frame.ts";
import type { Wire } from "../../wire/link.ts";
import type { Claims } from "./claims.ts";
import type { FrameEntry, SessionOpen } from "./entry.ts";
import { noTap } from "../relay/tap.ts";
import type { Direction, Tap } from "../relay/tap.ts";
import type { Spool } from "./spool.ts";
import type { Upstream } from "../relay/upstreams.ts";

export interface SessionFacts {
  upstream: Upstream;
  wire: Wire;
  /** The caller's own key for its sessions, from `?session=`. */
  sessionKey?: string | undefined;
}

/** The tap that records a session into the spool; `noTap` for an upstream that is not recorded. */
export function recordingTap(spool: Spool, claims: Claims, facts: RecordedFacts): Tap {
  if (facts.upstream.record === "none") return noTap;
  return new SpoolTap(spool, claims, opening(facts));
}

/** The facts of a session, with the id under which it is recorded. */
export type RecordedFacts = SessionFacts & { session: string };

/** Records HTTP requests that belong to no session as one. */
export interface RecordingGroup {
  /** The tap of the next request. Its end ends nothing. */
  request(): Tap;
  closed(reason: string): void;
}

/** Like `recordingTap`, for requests of which each has its own ids. */
export function recordingGroup(spool: Spool, claims: Claims, facts: RecordedFacts): RecordingGroup {
  if (facts.upstream.record === "none") return { request: () => noTap, closed: () => {} };
  const tap = new SpoolTap(spool, claims, opening(facts));
  let requests = 0;
  return {
    request() {
      requests += 1;
      const exchange = requests;
      return { frame: (direction, frame, pass) => tap.frame(direction, frame, pass, exchange), closed: () => {} };
    },
    closed: (reason) => tap.closed(reason),
  };
}

function opening({ upstream, wire, sessionKey, session }: RecordedFacts): SessionOpen {
  return {
    kind: "open",
    session,
    time: Date.now(),
    upstream: upstream.name,
    record: upstream.record,
    wire,
    ...(sessionKey === undefined ? {} : { sessionKey }),
  };
}

/** Writes one session's frames to the spool before they go on. */
class SpoolTap implements Tap {
  readonly #spool: Spool;
  readonly #claims: Claims;
  readonly #open: SessionOpen;
  #sequence = 0;
  #isClosed = false;

  constructor(spool: Spool, claims: Claims, open: SessionOpen) {
    this.#spool = spool;
    this.#claims = claims;
    this.#open = open;
  }

  frame(direction: Direction, { text, view }: ViewedFrame, pass: () => void, exchange?: number): void {
    // Frames that a server sends after its client left reach no client, and are not part of the session.
    if (this.#isClosed) return pass();
    const { session } = this.#open;
    const entry: FrameEntry = {
      kind: "frame",
      session,
      sequence: this.#next(),
      direction,
      time: Date.now(),
      frame: text,
    };
    if (this.#isClaimed(direction, view)) entry.claimed = true;
    if (exchange !== undefined) entry.exchange = exchange;
    this.#spool.append({ open: this.#open, entry, view, pass });
  }

  /** Whether a hook records this call. With `"record": "all"` every frame is recorded regardless. */
  #isClaimed(direction: Direction, view: FrameView): boolean {
    return direction === "up" && this.#open.record === "calls" && this.#claims.covers(view);
  }

  closed(reason: string): void {
    // A connection without frames is not a session: health checks make many.
    if (this.#isClosed || this.#sequence === 0) return;
    this.#isClosed = true;
    const { session } = this.#open;
    const entry = { kind: "close", session, sequence: this.#next(), time: Date.now(), reason } as const;
    this.#spool.append({ open: this.#open, entry, pass: () => {} });
  }

  #next(): number {
    this.#sequence += 1;
    return this.#sequence;
  }
}
