import { withoutAdded } from "./many-requests.ts";
import { foreignEnvironment } from "../config.ts";
import type { ProxyConfig } from "../config.ts";
import { DeweyError, asDeweyError } from "../errors.ts";
import { stderrLog } from "../log.ts";
import type { Log, LogLevel } from "../log.ts";
import { NotAFile, readPlainFile } from "../plain-file.ts";
import { startProxy } from "../proxy/proxy.ts";
import type { Proxy } from "../proxy/proxy.ts";
import { defaultUpstreams, parseUpstreams } from "../proxy/relay/upstreams.ts";
import type { UpstreamContext, Upstreams } from "../proxy/relay/upstreams.ts";
import { systemReason } from "../system-error.ts";
import { createRedactor, redactBesideLinks } from "../store/redact/redact.ts";
import type { Invocation } from "./command.ts";
import { deliverLeft } from "./hook-delivery.ts";
import { listenOptions } from "./listen.ts";
import { onHangUp } from "./signals.ts";

/**
 * A log with secrets removed: it contains the stderr and the error messages of the servers behind the proxy. With
 * `showLinks`, for a person at a terminal, links stay whole: signing in needs the token in them.
 */
export function relayingLog(level: LogLevel, showLinks: boolean): Log {
  const redactor = createRedactor();
  return stderrLog(level, (text) => (showLinks ? redactBesideLinks(redactor, text) : redactor.text(text, {})));
}

export interface ConfiguredProxy {
  config: ProxyConfig;
  env: Invocation["env"];
  log: Log;
  version: string;
}

/** Starts the proxy with the upstreams of its configuration, which SIGHUP reloads. */
export function startConfiguredProxy({ config, env, log, version }: ConfiguredProxy): Proxy {
  deliverLeft({ ...config, spoolDir: config.spool.folder }, env, log);
  const read = () => reported(readUpstreams(config, env), log);
  const running = startProxy({
    ...listenOptions(config),
    upstreams: read(),
    spool: config.spool,
    dewey: { url: config.url, token: config.token },
    log,
    version,
  });
  onHangUp(() => {
    try {
      running.configure(read());
      log.info("reloaded the configuration", { file: config.configFile });
    } catch (error) {
      const reason = asDeweyError(error).message;
      running.keepConfiguration(reason);
      log.error("kept the old configuration because the new one is wrong", { reason });
    }
  });
  return running;
}

/** Logs what is wrong with some upstreams, and what was ignored. */
function reported(upstreams: Upstreams, log: Log): Upstreams {
  const { mistakes, warnings = [] } = upstreams;
  if (mistakes !== undefined) log.error("some upstreams are left out because their entries are wrong", { mistakes });
  for (const warning of warnings) log.warn("a part of the configuration is ignored", { warning });
  return upstreams;
}

/** Reads the configured upstreams. Throws `invalid` and names the mistakes when none can be used. */
export function readUpstreams(config: ProxyConfig, env: Invocation["env"]): Upstreams {
  const context = contextOf(config, env);
  const { configFile } = config;
  if (configFile === undefined) return defaultUpstreams(context);
  let text: string;
  try {
    text = readPlainFile(configFile);
  } catch (cause) {
    const reason = cause instanceof NotAFile ? "it is no regular file" : systemReason(cause);
    const name = JSON.stringify(configFile);
    throw new DeweyError("invalid", `the file of --config (DEWEY_PROXY_CONFIG), ${name}, cannot be read: ${reason}`, {
      cause,
    });
  }
  return parseUpstreams(text, configFile, context);
}

export function contextOf(config: ProxyConfig, env: Invocation["env"]): UpstreamContext {
  return { env: foreignEnvironment(withoutAdded(env)), dewey: { url: config.url, token: config.token } };
}
