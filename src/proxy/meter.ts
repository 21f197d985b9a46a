import type { Metrics } from "../metrics.ts";
import { CallWatch, callOutcomes } from "./relay/call-watch.ts";
import { countingTap } from "./relay/tap.ts";
import type { Direction, Tap } from "./relay/tap.ts";
import type { RecorderHealth } from "./delivery/shipper.ts";

/** The proxy's metrics of its sessions. Upstream names are the only labels with open values. */
export class Meter {
  readonly #watches = new Set<CallWatch>();
  readonly #sessions: ReturnType<Metrics["counter"]>;
  readonly #frames: ReturnType<Metrics["counter"]>;
  readonly #bytes: ReturnType<Metrics["counter"]>;
  readonly #calls: ReturnType<Metrics["durations"]>;

  constructor(metrics: Metrics) {
    this.#sessions = metrics.counter("dewey_proxy_sessions_total", "Sessions begun, by upstream.");
    this.#frames = metrics.counter("dewey_proxy_frames_total", "Frames relayed, by upstream and direction.");
    this.#bytes = metrics.counter(
      "dewey_proxy_frame_bytes_total",
      "Bytes of frames relayed, by upstream and direction.",
    );
    this.#calls = metrics.durations(
      "dewey_proxy_call_duration_seconds",
      "Duration of tool calls, by upstream and outcome.",
    );
  }

  /** Shows an upstream's counters at zero before its first session. */
  expect(upstream: string): void {
    this.#sessions({ upstream });
    for (const outcome of callOutcomes) this.#calls({ upstream, outcome });
    for (const direction of ["up", "down"]) {
      this.#frames({ upstream, direction });
      this.#bytes({ upstream, direction });
    }
  }

  /** Requests in flight, over all sessions. */
  get openRequests(): number {
    return [...this.#watches].reduce((sum, watch) => sum + watch.size, 0);
  }

  /** Counts a new session. Returns its watch, and its tap with counting in front. */
  session(upstream: string, tap: Tap): { watch: CallWatch; tap: Tap } {
    this.#sessions({ upstream })(1);
    const durations = new Map(callOutcomes.map((outcome) => [outcome, this.#calls({ upstream, outcome })]));
    const watch = new CallWatch((outcome, ms) => durations.get(outcome)?.(ms));
    this.#watches.add(watch);
    const counters = (direction: Direction) => ({
      frames: this.#frames({ upstream, direction }),
      bytes: this.#bytes({ upstream, direction }),
    });
    const ways = { up: counters("up"), down: counters("down") };
    const counting = countingTap(tap, (direction, bytes) => {
      ways[direction].frames(1);
      ways[direction].bytes(bytes);
    });
    return {
      watch,
      tap: {
        frame: (direction, frame, pass) => counting.frame(direction, frame, pass),
        closed: (reason) => {
          watch.close();
          this.#watches.delete(watch);
          counting.closed(reason);
        },
      },
    };
  }
}

/** Metrics of the recorder, read from its health on each request. */
export function meterRecorder(metrics: Metrics, health: () => RecorderHealth): void {
  const gauge = (name: string, help: string, read: (health: RecorderHealth) => number) =>
    metrics.gauge(`dewey_recorder_${name}`, help, () => read(health()));
  const counted = (name: string, help: string, read: (health: RecorderHealth) => number) =>
    metrics.counted(`dewey_recorder_${name}`, help, () => read(health()));
  gauge("recording", "1 while frames are recorded, 0 while they cannot be.", (is) => Number(is.recording));
  gauge("queued_records", "Undelivered entries in the spool.", (is) => is.queued_records);
  gauge("queued_bytes", "Undelivered bytes in the spool.", (is) => is.queued_bytes);
  gauge("oldest_age_seconds", "Age of the oldest undelivered entry.", (is) => is.oldest_age_seconds ?? 0);
  gauge("last_delivery_timestamp_seconds", "Time of the last delivery; 0 before the first.", (is) =>
    is.last_delivery === null ? 0 : Date.parse(is.last_delivery) / 1000,
  );
  counted("delivered_messages_total", "Messages delivered to the store.", (is) => is.delivered_messages);
  counted("redeliveries_total", "Times that the last minutes were delivered again.", (is) => is.redeliveries);
  counted("lost_frames_total", "Frames relayed without being recorded.", (is) => is.lost_frames);
  counted("lost_frame_bytes_total", "Bytes of frames relayed without being recorded.", (is) => is.lost_bytes);
  counted("damaged_bytes_total", "Unreadable bytes in the spool.", (is) => is.damaged_bytes);
  counted("dropped_records_total", "Records of permanently deleted conversations.", (is) => is.dropped_records);
  counted("set_aside_records_total", "Records that the store refused, set aside in a file.", (is) => is.set_aside);
}
