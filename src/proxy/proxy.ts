import { Client } from "../client.ts";
import type { Log } from "../log.ts";
import type { Link } from "../wire/link.ts";
import { ProxyListener } from "./listener.ts";
import type { ProxyListenerOptions } from "./listener.ts";
import { runSession } from "./session.ts";
import { Shipper } from "./shipper.ts";
import { recordingTap } from "./tap.ts";
import type { SessionFacts } from "./tap.ts";
import { dialUpstream } from "./upstreams.ts";
import { UpstreamStates } from "./upstream-states.ts";
import type { Upstream } from "./upstreams.ts";

/** How long delivery may go on when the proxy stops; what is left waits on disk for the next one. */
const STOP_GRACE_MS = 3000;

export interface RecorderOptions {
  spoolDir: string;
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
  const listener = new ProxyListener({
    ...options,
    sawUpstream: (name, reason) => states.saw(name, reason),
    tap: (facts) => recordingTap(recorder.shipper.spool, facts),
    run: (link, facts) => relaySession(link, facts, recorder.shipper, log, states),
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
  await relaySession(link, { upstream, wire: link.wire }, recorder.shipper, options.log, new UpstreamStates());
  await recorder.stop();
}

function startRecorder(options: RecorderOptions): { shipper: Shipper; stop(): Promise<void> } {
  const client = new Client(options.dewey);
  const shipper = new Shipper({ folder: options.spoolDir, client, log: options.log });
  shipper.start();
  return {
    shipper,
    async stop() {
      await shipper.stop(STOP_GRACE_MS);
      await client.close();
    },
  };
}

async function relaySession(
  link: Link,
  facts: SessionFacts,
  shipper: Shipper,
  log: Log,
  states: UpstreamStates,
): Promise<void> {
  const { upstream } = facts;
  const sessionLog = log.with({ upstream: upstream.name });
  await runSession({
    downstream: link,
    upstreamName: upstream.name,
    tap: recordingTap(shipper.spool, facts),
    dial: () => dialUpstream(upstream, sessionLog),
    onUpstream(reason) {
      states.saw(upstream.name, reason);
      if (reason !== undefined) sessionLog.warn("a session has no upstream", { reason });
    },
  });
}
