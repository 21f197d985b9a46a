import { ToolClient } from "../tool-client.ts";
import type { Log } from "../log.ts";
import { Metrics } from "../metrics.ts";
import { meterProcess } from "../process-metrics.ts";
import { Watchdog } from "../watchdog.ts";
import type { Link } from "../wire/link.ts";
import { Claims } from "./spool/claims.ts";
import { watchingTap } from "./relay/call-watch.ts";
import { Children } from "./relay/children.ts";
import { ProxyListener } from "./listener.ts";
import type { ProxyListenerOptions } from "./listener.ts";
import { Meter, meterRecorder } from "./meter.ts";
import { RelayedSession } from "./relay/relayed-session.ts";
import type { FailedStart } from "./relay/session.ts";
import { Shipper } from "./delivery/shipper.ts";
import type { ShipperOptions } from "./delivery/shipper.ts";
import { StatelessSessions } from "./spool/stateless.ts";
import { recordingTap } from "./spool/tap.ts";
import type { RequestTap } from "./relay/tap.ts";
import type { SessionFacts } from "./spool/tap.ts";
import { UpstreamStates } from "./relay/upstream-states.ts";
import type { Upstream, Upstreams } from "./relay/upstreams.ts";

/** How long calls in flight may take when the proxy stops, and the poll interval. */
const CALL_GRACE_MS = 10_000;
const CALL_POLL_MS = 10;
/** The same for a client that started us as its server, and the time for the rest: together less than two seconds. */
const STDIO_CALL_GRACE_MS = 1200;
const STDIO_STOP_GRACE_MS = 500;
/** Time for the last answers to be sent. */
const ANSWER_GRACE_MS = 50;
/** How long delivery may go on when the proxy stops. The rest waits on disk for the next proxy. */
const STOP_GRACE_MS = 3000;

export interface RecorderOptions {
  spool: Pick<ShipperOptions, "folder" | "limits" | "sync">;
  dewey: { url: string; token?: string | undefined };
  log: Log;
}

export interface ProxyOptions
  extends
    RecorderOptions,
    Pick<ProxyListenerOptions, "host" | "port" | "token" | "allowedOrigins" | "allowedHosts" | "tls"> {
  version: string;
  upstreams: Upstreams;
}

export interface Proxy {
  port: number;
  url: string;
  /** Replaces the upstreams. Sessions of changed ones reconnect as soon as they have no request in flight. */
  configure(upstreams: Upstreams): void;
  /** Keeps the upstreams, and shows in the health why they were not replaced. */
  keepConfiguration(reason: string): void;
  /** Refuses new sessions, waits for calls in flight, and leaves undelivered entries to the next proxy. */
  stop(): Promise<void>;
}

/** Starts the recorder, and the port on which clients reach their upstreams. */
export function startProxy(options: ProxyOptions): Proxy {
  const { log, version } = options;
  const recorder = startRecorder(options);
  const states = new UpstreamStates();
  const metrics = new Metrics();
  meterProcess(metrics, version);
  const watchdog = new Watchdog(log, metrics);
  const meter = new Meter(metrics);
  for (const name of options.upstreams.byName.keys()) meter.expect(name);
  const open = new Set<RelayedSession>();
  const children = new Children();
  let { upstreams } = options;
  let configuration = readNow(upstreams);
  let status: "ok" | "stopping" = "ok";
  const upstreamHealth = () => [
    ...[...upstreams.byName.values()].map(({ name, wire, record }) => ({ name, wire, record, ...states.of(name) })),
    ...[...(upstreams.wrong ?? [])].map(([name, last_error]) => ({
      name,
      wire: null,
      record: null,
      state: "wrong" as const,
      since: null,
      last_error,
    })),
  ];
  const listener = new ProxyListener({
    ...options,
    upstreams: () => upstreams,
    refused: ({ status, address, count }) => {
      const outcome = status === 401 ? "unauthorized" : "forbidden";
      log.info("audit", { action: "request.refused", outcome, address, count });
    },
    sawUpstream: (name, reason) => states.saw(name, reason),
    sawStream: (name, reason) => states.sawStream(name, reason),
    metrics,
    tap: (facts, peer) => meteredRequest(recorder.stateless.tap(facts, peer), { meter, upstream: facts.upstream.name }),
    async run(link, facts) {
      const session = new RelayedSession({
        ...begun(facts, { recorder, meter, log }),
        link,
        upstream: () => upstreams.byName.get(facts.upstream.name) ?? facts.upstream,
        states,
        children,
      });
      open.add(session);
      await session.run();
      open.delete(session);
    },
    health: () => ({
      status: upstreams.byName.size === 0 ? "no upstream is configured" : status,
      version,
      sessions: listener.sessions(),
      configuration,
      upstreams: upstreamHealth(),
      recorder: recorder.shipper.health(),
    }),
  });
  metrics.gauge("dewey_proxy_sessions", "Open sessions of clients.", () => listener.sessions());
  metrics.gauge("dewey_proxy_open_requests", "Requests in flight.", () => meter.openRequests);
  metrics.gauge("dewey_proxy_upstream_up", "1 if an upstream worked when it was last used, else 0.", () =>
    upstreamHealth()
      .filter(({ state }) => state !== "unused")
      .map(({ name, state }) => [{ upstream: name }, Number(state === "up")]),
  );
  meterRecorder(metrics, () => recorder.shipper.health());
  return {
    port: listener.port,
    url: listener.url,
    configure(changed) {
      upstreams = changed;
      for (const name of changed.byName.keys()) meter.expect(name);
      configuration = readNow(changed);
      for (const session of open) void session.refresh();
    },
    keepConfiguration(reason) {
      configuration = { ...configuration, error: reason };
    },
    async stop() {
      status = "stopping";
      listener.refuseSessions();
      await settled(() => meter.openRequests, CALL_GRACE_MS);
      await listener.stop();
      await recorder.stop();
      watchdog.stop();
    },
  };
}

/** The health of a configuration that was just read; its error names the entries that are wrong. */
function readNow({ mistakes }: Upstreams): { read: string; error: string | null } {
  return { read: new Date().toISOString(), error: mistakes ?? null };
}

/**
 * Relays the client that started this command, over stdin and stdout. Resolves when it has left, or with the failure of a
 * command that did not start. Once `stopping` resolves it is over within two seconds: clients then kill what they started.
 */
export async function runStdioSession(
  link: Link,
  upstream: Upstream,
  options: RecorderOptions & { stopping: Promise<void>; stderr: (chunk: Uint8Array) => Promise<void> },
): Promise<FailedStart | undefined> {
  const recorder = startRecorder(options);
  const watchdog = new Watchdog(options.log);
  const facts = { upstream, wire: link.wire };
  const meter = new Meter(new Metrics());
  const hurry = options.stopping.then(() => settled(() => meter.openRequests, STDIO_CALL_GRACE_MS));
  const session = new RelayedSession({
    ...begun(facts, { recorder, meter, log: options.log }),
    link,
    upstream: () => upstream,
    states: new UpstreamStates(),
    standIn: { stderr: options.stderr, hurry },
  });
  const late = hurry.then(() => Bun.sleep(STDIO_STOP_GRACE_MS));
  const failed = (await Promise.race([session.run(), late])) ?? undefined;
  await Promise.race([recorder.stop(), failed ? Bun.sleep(STDIO_STOP_GRACE_MS) : late]);
  watchdog.stop();
  return failed;
}

/** Counts a request, and the session that it may begin. */
function meteredRequest(recording: RequestTap, { meter, upstream }: { meter: Meter; upstream: string }): RequestTap {
  let isAnswered = false;
  const { watch, tap } = meter.session(upstream, {
    frame: (direction, frame, pass) => recording.frame(direction, frame, pass),
    closed: (reason) => (isAnswered ? recording.answered() : recording.closed(reason)),
  });
  const watched = watchingTap(tap, watch);
  return {
    ...watched,
    answered() {
      isAnswered = true;
      watched.closed("the request was answered");
    },
  };
}

interface RunningRecorder {
  shipper: Shipper;
  stateless: StatelessSessions;
  claims: Claims;
  stop(): Promise<void>;
}

function startRecorder(options: RecorderOptions): RunningRecorder {
  const client = new ToolClient(options.dewey);
  const shipper = new Shipper({ ...options.spool, client, log: options.log });
  shipper.start();
  const claims = new Claims(options.spool.folder);
  const stateless = new StatelessSessions({ spool: shipper.spool, claims });
  return {
    shipper,
    claims,
    stateless,
    async stop() {
      stateless.stop();
      await shipper.stop(STOP_GRACE_MS);
      await client.close();
    },
  };
}

/** Prepares a new session: its id, which log and conversation share, its tap and its watch. */
function begun(facts: SessionFacts, { recorder, meter, log }: { recorder: RunningRecorder; meter: Meter; log: Log }) {
  const session = Bun.randomUUIDv7();
  const { name, record } = facts.upstream;
  return {
    log: log.with({ session, ...(record === "none" ? {} : { conversation: session }), upstream: name }),
    ...meter.session(name, recordingTap(recorder.shipper.spool, recorder.claims, { ...facts, session })),
  };
}

/** Resolves once no request is in flight and the last answers were sent, or after the grace. */
async function settled(openRequests: () => number, graceMs: number): Promise<void> {
  const deadlineMs = performance.now() + graceMs;
  while (openRequests() > 0 && performance.now() < deadlineMs) await Bun.sleep(CALL_POLL_MS);
  await Bun.sleep(ANSWER_GRACE_MS);
}
