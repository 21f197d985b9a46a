import type { ListenConfig } from "../config.ts";
import { DeweyError } from "../errors.ts";
import { readPlainFile } from "../plain-file.ts";
import { settings } from "../settings.ts";

/**
 * The options that both listeners share. The files are read here, so that a bad one is reported at start. Throws `invalid`
 * for one that cannot be read.
 */
export function listenOptions(config: ListenConfig) {
  const { host, port, allowedOrigins, allowedHosts, token, tls } = config;
  return {
    host,
    port,
    allowedOrigins,
    allowedHosts,
    ...(token === undefined ? {} : { token }),
    ...(tls === undefined
      ? {}
      : { tls: { cert: readPem(settings.tlsCert.env, tls.certFile), key: readPem(settings.tlsKey.env, tls.keyFile) } }),
  };
}

function readPem(name: string, file: string): string {
  try {
    return readPlainFile(file);
  } catch (cause) {
    throw new DeweyError("invalid", `${name} should be a readable regular file, not ${JSON.stringify(file)}`, {
      cause,
    });
  }
}
