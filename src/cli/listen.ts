import type { ListenConfig } from "../config.ts";
import { readPlainFile } from "../plain-file.ts";

/** The options that both listeners share. The files are read here, so that a bad one is reported at start. */
export function listenOptions(config: ListenConfig) {
  return {
    host: config.host,
    port: config.port,
    allowedOrigins: config.allowedOrigins,
    allowedHosts: config.allowedHosts,
    ...(config.token === undefined ? {} : { token: config.token }),
    ...(config.tls === undefined
      ? {}
      : { tls: { cert: readPlainFile(config.tls.certFile), key: readPlainFile(config.tls.keyFile) } }),
  };
}
