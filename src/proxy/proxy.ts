import { Client } from "../client.ts";
import type { Log } from "../log.ts";
import { Metrics } from "../metrics.ts";
import type { Link } from "../wire/link.ts";
import { Claims } from "./claims.ts";
import { ProxyListener } from "./listener.ts";
import type { ProxyListenerOptions } from "./listener.ts";
import { runSession } from "./session.ts";
import type { Tap } from "./session.ts";
import { Shipper } from "./shipper.ts";
import type { ShipperOptions } from "./shipper.ts";
import { countingTap, recordingTap } from "./tap.ts";
import type { SessionFacts } from "./tap.ts";
import { dialUpstream } from "./upstreams.ts";
import { UpstreamStates } from "./upstream-states.ts";
import type { Upstream } from "./upstreams.ts";

/** How long delivery may go on when the proxy stops; what is left waits on disk for the next one. */
const STOP_GRACE_MS = 3000;

export interface RecorderOptions {
  spool: Pick<ShipperOptions, "folder" | "limits" | "sync">;
  dewey: { url: string; token?: string | undefined };
  log: Log;
}

export interface ProxyOptions
  extends
    RecorderOptions,
    Pick<ProxyListenerOptions, "host" | "port" | "token" | "allowedOrigins" | "tls" | "upstreams"> {
  version: string;
}

export interface Proxy {
  port: number;
  url: string;
  stop(): Promise<void>;
}

/** Starts the recorder and the port on which clients reach their upstreams through it. */
export function startProxy(options: ProxyOptions): Proxy {
  const recorder = startRecorder(options);
  const { log } = options;
  const states = new UpstreamStates();
  const metrics = new Metrics();
  const tap = meteredTap(recorder, metrics);
  const listener = new ProxyListener({
    ...options,
    sawUpstream: (name, reason) => states.saw(name, reason),
    tap,
    metrics,
    run: (link, facts) => relaySession({ link, facts, tap: tap(facts), log, states }),
    health: () => ({
      version: options.version,
      sessions: listener.sessions(),
      upstreams: [...options.upstreams.byName.values()].map(({ name, wire, record }) => ({
        name,
        wire,
        record,
        ...states.of(name),
      })),
      recorder: recorder.shipper.health(),
    }),
  });
  metrics.gauge("dewey_proxy_sessions", "Open sessions of clients.", () => listener.sessions());
  return {
    port: listener.port,
    url: listener.url,
    async stop() {
      await listener.stop();
      await recorder.stop();
    },
  };
}

/** Relays one client that started this command, on its own stdin and stdout. Resolves when it has left. */
export async function runStdioSession(link: Link, upstream: Upstream, options: RecorderOptions): Promise<void> {
  const recorder = startRecorder(options);
  const facts = { upstream, wire: link.wire };
  const tap = recordingTap(recorder.shipper.spool, recorder.claims, facts);
  await relaySession({ link, facts, tap, log: options.log, states: new UpstreamStates() });
  await recorder.stop();
}

interface RunningRecorder {
  shipper: Shipper;
  claims: Claims;
  stop(): Promise<void>;
}

function startRecorder(options: RecorderOptions): RunningRecorder {
  const client = new Client(options.dewey);
  const shipper = new Shipper({ ...options.spool, client, log: options.log });
  shipper.start();
  return {
    shipper,
    claims: new Claims(options.spool.folder),
    async stop() {
      await shipper.stop(STOP_GRACE_MS);
      await client.close();
    },
  };
}

/** Taps that record, and count what passes by upstream and direction, with what the recorder counts itself. */
function meteredTap({ shipper, claims }: RunningRecorder, metrics: Metrics): (facts: SessionFacts) => Tap {
  const frames = metrics.counter("dewey_proxy_frames_total", "Frames relayed, by upstream and direction.");
  const bytes = metrics.counter("dewey_proxy_frame_bytes_total", "Bytes of frames relayed, by upstream and direction.");
  metrics.gauge("dewey_recorder_queued_bytes", "Bytes that wait for delivery.", () => shipper.health().queued_bytes);
  metrics.counted("dewey_recorder_messages_total", "Messages delivered.", () => shipper.health().delivered_messages);
  metrics.counted(
    "dewey_recorder_lost_frames_total",
    "Frames relayed and not recorded.",
    () => shipper.health().lost_frames,
  );
  metrics.counted(
    "dewey_recorder_set_aside_total",
    "Records that the store refused.",
    () => shipper.health().set_aside,
  );
  return (facts) =>
    countingTap(recordingTap(shipper.spool, claims, facts), (direction, size) => {
      const labels = { upstream: facts.upstream.name, direction };
      frames(labels);
      bytes(labels, size);
    });
}

interface RelayedSession {
  link: Link;
  facts: SessionFacts;
  tap: Tap;
  log: Log;
  states: UpstreamStates;
}

async function relaySession({ link, facts, tap, log, states }: RelayedSession): Promise<void> {
  const { upstream } = facts;
  const sessionLog = log.with({ upstream: upstream.name });
  await runSession({
    downstream: link,
    upstreamName: upstream.name,
    tap,
    dial: () => dialUpstream(upstream, sessionLog),
    onUpstream(reason) {
      states.saw(upstream.name, reason);
      if (reason !== undefined) sessionLog.warn("a session has no upstream", { reason });
    },
  });
}
