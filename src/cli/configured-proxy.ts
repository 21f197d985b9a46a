import { readFileSync } from "node:fs";
import { foreignEnvironment } from "../config.ts";
import type { ProxyConfig } from "../config.ts";
import { DeweyError, asDeweyError } from "../errors.ts";
import { stderrLog } from "../log.ts";
import type { Log, LogLevel } from "../log.ts";
import { startProxy } from "../proxy/proxy.ts";
import type { Proxy } from "../proxy/proxy.ts";
import { defaultUpstreams, parseUpstreams } from "../proxy/relay/upstreams.ts";
import type { UpstreamContext, Upstreams } from "../proxy/relay/upstreams.ts";
import { createRedactor } from "../store/redact/redact.ts";
import type { Invocation } from "./command.ts";
import { deliverLeft } from "./hook-delivery.ts";
import { listenOptions } from "./listen.ts";
import { onHangUp } from "./signals.ts";

/** A log without secrets: what the servers behind the proxy print on stderr goes there, and errors in their words. */
export function relayingLog(level: LogLevel): Log {
  const redactor = createRedactor();
  return stderrLog(level, (text) => redactor.text(text, {}));
}

export interface ConfiguredProxy {
  config: ProxyConfig;
  env: Invocation["env"];
  log: Log;
  version: string;
}

/** Starts the proxy with the upstreams of its configuration, which it reads again when it is told so. */
export function startConfiguredProxy({ config, env, log, version }: ConfiguredProxy): Proxy {
  deliverLeft({ ...config, spoolDir: config.spool.folder }, env, log);
  const running = startProxy({
    ...listenOptions(config),
    upstreams: readUpstreams(config, env),
    spool: config.spool,
    dewey: { url: config.url, token: config.token },
    log,
    version,
  });
  onHangUp(() => {
    try {
      running.configure(readUpstreams(config, env));
      log.info("the configuration was read again", { file: config.configFile });
    } catch (error) {
      const reason = asDeweyError(error).message;
      running.keepConfiguration(reason);
      log.error("the configuration is as it was: what was read again is wrong", { reason });
    }
  });
  return running;
}

/** The upstreams that are configured. Throws `invalid` and names what is wrong. */
export function readUpstreams(config: ProxyConfig, env: Invocation["env"]): Upstreams {
  const context = contextOf(config, env);
  const { configFile } = config;
  if (configFile === undefined) return defaultUpstreams(context);
  let text: string;
  try {
    text = readFileSync(configFile, "utf8");
  } catch (cause) {
    throw new DeweyError(
      "invalid",
      `DEWEY_PROXY_CONFIG should be a file that can be read, not ${JSON.stringify(configFile)}`,
      {
        cause,
      },
    );
  }
  return parseUpstreams(text, configFile, context);
}

export function contextOf(config: ProxyConfig, env: Invocation["env"]): UpstreamContext {
  return { env: foreignEnvironment(env), dewey: { url: config.url, token: config.token } };
}
