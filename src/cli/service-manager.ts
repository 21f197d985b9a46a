import { asDeweyError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Invocation } from "./command.ts";
import type { DatagramSocket } from "./datagram.ts";

/** What a service tells the manager that started it, such as systemd (sd_notify(3)). Without one it tells nobody. */
export interface ServiceManager {
  /** It serves from now on. Then its event loop shows that it turns, in time for the unit's `WatchdogSec`. */
  ready(): void;
  /** It is about to end. */
  stopping(): void;
}

const nobody: ServiceManager = { ready: () => {}, stopping: () => {} };

/** Signs of life within the manager's limit: half of it, as sd_watchdog_enabled(3) advises. */
const SIGNS_PER_LIMIT = 2;
const MICROSECONDS_PER_MS = 1000;

/**
 * The manager that the environment names. Its variables are removed: a program that this one starts, such as a server behind
 * the proxy, must not speak for the service.
 */
export async function serviceManager(env: Invocation["env"], log: Log): Promise<ServiceManager> {
  const { NOTIFY_SOCKET: path, WATCHDOG_USEC: limit, WATCHDOG_PID: pid } = env;
  for (const name of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete env[name];
  if (!path || process.platform !== "linux") return nobody;
  let socket: DatagramSocket;
  try {
    // Loaded only here: no other command needs the C library.
    socket = (await import("./datagram.ts")).datagramsTo(path);
  } catch (error) {
    log.warn("the service manager cannot be told that Dewey is ready", { error: asDeweyError(error).message });
    return nobody;
  }
  const isWatched = pid === undefined || pid === `${process.pid}`;
  const signMs = isWatched ? Number(limit) / MICROSECONDS_PER_MS / SIGNS_PER_LIMIT : Number.NaN;
  let signs: ReturnType<typeof setInterval> | undefined;
  return {
    ready() {
      if (!socket.send("READY=1\n")) log.warn("the service manager did not take the message that Dewey is ready");
      if (!(signMs >= 1)) return;
      signs = setInterval(() => void socket.send("WATCHDOG=1\n"), signMs);
      signs.unref();
    },
    stopping() {
      clearInterval(signs);
      socket.send("STOPPING=1\n");
    },
  };
}
