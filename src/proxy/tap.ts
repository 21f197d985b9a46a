import type { Wire } from "../wire/link.ts";
import type { SessionOpen } from "./entry.ts";
import { noTap } from "./session.ts";
import type { Direction, Tap } from "./session.ts";
import type { Spool } from "./spool.ts";
import type { Upstream } from "./upstreams.ts";

export interface SessionFacts {
  upstream: Upstream;
  wire: Wire;
  /** The caller's own key for its sessions, from `?session=`. */
  sessionKey?: string | undefined;
}

/** The tap that records a session into the spool, or one that looks at nothing where nothing is to be recorded. */
export function recordingTap(spool: Spool, facts: SessionFacts): Tap {
  return facts.upstream.record === "none" ? noTap : new SpoolTap(spool, facts);
}

/** A tap that counts what passes, in front of another. */
export function countingTap(tap: Tap, count: (direction: Direction, bytes: number) => void): Tap {
  return {
    frame(direction, text, pass) {
      count(direction, Buffer.byteLength(text));
      tap.frame(direction, text, pass);
    },
    closed: (reason) => tap.closed(reason),
  };
}

/** Writes one session's frames to the spool before they go on, and marks where it could not. */
class SpoolTap implements Tap {
  readonly #spool: Spool;
  readonly #open: SessionOpen;
  #opened = false;
  #sequence = 0;
  /** What could not be written since the last entry that was. */
  #lost = { frames: 0, bytes: 0, fromTime: 0 };

  constructor(spool: Spool, facts: SessionFacts) {
    this.#spool = spool;
    this.#open = {
      kind: "open",
      session: Bun.randomUUIDv7(),
      time: Date.now(),
      upstream: facts.upstream.name,
      record: facts.upstream.record,
      wire: facts.wire,
      ...(facts.sessionKey === undefined ? {} : { sessionKey: facts.sessionKey }),
    };
  }

  frame(direction: Direction, frame: string, pass: () => void): void {
    this.#begin();
    const time = Date.now();
    const entry = {
      kind: "frame",
      session: this.#open.session,
      sequence: this.#next(),
      direction,
      time,
      frame,
    } as const;
    this.#spool.append(entry, (written) => {
      pass();
      if (!written) this.#lose(frame, time);
      else if (this.#lost.frames > 0) this.#markGap(time);
    });
  }

  closed(reason: string): void {
    // A connection on which nothing was said is no session: health checks make them all the time.
    if (this.#sequence === 0) return;
    this.#spool.append(
      { kind: "close", session: this.#open.session, sequence: this.#next(), time: Date.now(), reason },
      () => {},
    );
  }

  /** The opening goes before the first frame, and again before the next while it could not be written. */
  #begin(): void {
    if (this.#opened) return;
    this.#opened = true;
    this.#spool.append(this.#open, (written) => (this.#opened = written));
  }

  #next(): number {
    this.#sequence += 1;
    return this.#sequence;
  }

  #lose(frame: string, time: number): void {
    const first = this.#lost.frames === 0;
    this.#lost = {
      frames: this.#lost.frames + 1,
      bytes: this.#lost.bytes + Buffer.byteLength(frame),
      fromTime: first ? time : this.#lost.fromTime,
    };
  }

  #markGap(time: number): void {
    const lost = this.#lost;
    this.#lost = { frames: 0, bytes: 0, fromTime: 0 };
    this.#spool.append({ kind: "gap", session: this.#open.session, sequence: this.#next(), time, ...lost }, () => {});
  }
}
