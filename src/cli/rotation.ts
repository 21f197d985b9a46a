import { obeyed, serveConfig } from "../config.ts";
import type { ServeConfig } from "../config.ts";
import { DeweyError } from "../errors.ts";
import { settings } from "../settings.ts";
import type { Log } from "../log.ts";
import { readPlainFile } from "../plain-file.ts";
import { pause } from "../pause.ts";
import type { Invocation } from "./command.ts";
import { listenOptions } from "./listen.ts";
import type { RunningServer } from "./server.ts";
import { onHangUp } from "./signals.ts";

/** Interval between looks at the files. Folders of secrets are replaced as a whole, which notifications of one file miss. */
const LOOK_INTERVAL_MS = 10_000;

/**
 * Reads the files of the token, of the certificates and of the database's password again at SIGHUP, and when one has changed,
 * until the signal aborts. A mistake in them is logged, and what was read before stays. `config` is what the server began with.
 */
export async function keepRotating(
  running: RunningServer,
  invocation: Invocation,
  { config, log, signal }: { config: ServeConfig; log: Log; signal: AbortSignal },
): Promise<void> {
  const files = secretFiles(config, invocation.env);
  let seen = contents(files);
  let { token } = config;
  const rotate = () => {
    seen = contents(files);
    try {
      const read = serveConfig(invocation);
      // One that is being written is empty for a moment, and would count as not set: that must open the server to nobody.
      if (token !== undefined && read.token === undefined)
        throw new DeweyError("invalid", `${settings.token.env}_FILE is empty; write the token into it`);
      running.rotate(listenOptions(read));
      token = read.token;
      log.info("read the files of tokens, passwords and certificates again");
    } catch (error) {
      log.error("the files of tokens, passwords and certificates are wrong; what was read before stays", { error });
    }
  };
  onHangUp(rotate);
  for (; !signal.aborted; await pause(LOOK_INTERVAL_MS, signal)) if (contents(files) !== seen) rotate();
}

/** The files that may change while a server runs. */
function secretFiles({ tls, database, readReplica }: ServeConfig, env: Invocation["env"]): string[] {
  const variables = obeyed.serve.flatMap((name) => ("secret" in settings[name] ? [`${settings[name].env}_FILE`] : []));
  const databases = [database.kind === "server" ? database.tls : undefined, readReplica?.tls];
  return [
    ...variables.map((variable) => env[variable]),
    tls?.certFile,
    tls?.keyFile,
    ...databases.flatMap((each) => [each?.rootCert, each?.cert, each?.key]),
  ].filter((file): file is string => Boolean(file) && file !== "system");
}

function contents(files: string[]): string {
  return JSON.stringify(
    files.map((file) => {
      try {
        return readPlainFile(file);
      } catch {
        return null;
      }
    }),
  );
}
