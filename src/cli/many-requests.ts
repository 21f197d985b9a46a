import { dlopen, ptr } from "bun:ffi";
import type { Pointer } from "bun:ffi";
import { binaryPath } from "./self.ts";

/** Bun reads it when the process starts: `fetch` lets further requests wait while so many are open. */
const LIMIT_VARIABLE = "BUN_CONFIG_MAX_HTTP_REQUESTS";
/** Bun's own limit is 256. Each session over HTTP has a stream open, besides its calls, and there may be 10,000 sessions. */
const LIMIT = "30000";

/**
 * Raises the number of requests that this process can have open, by starting this program over in its place: with the same
 * process id, arguments and open files. To be called before anything has begun. Linux only: elsewhere, and where it cannot be
 * done, the process goes on with Bun's limit. Without effect when the variable is set.
 */
export function allowManyRequests(env: Record<string, string | undefined>): void {
  if (process.platform !== "linux" || env[LIMIT_VARIABLE] !== undefined) return;
  const program = binaryPath();
  const args = program === undefined ? [...process.execArgv, ...process.argv.slice(1)] : process.argv.slice(2);
  const variables = Object.entries({ ...env, [LIMIT_VARIABLE]: LIMIT }).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${value}`],
  );
  try {
    const { symbols } = dlopen("libc.so.6", { execve: { args: ["ptr", "ptr", "ptr"], returns: "i32" } });
    const texts = [process.execPath, process.argv0, ...args, ...variables].map((text) => `${text}\0`);
    // One block, which is in use until the call: the collector must not take a text away before.
    const block = Buffer.from(texts.join(""));
    let address = ptr(block);
    const [, ...pointers] = texts.map((text) => {
      const own = address;
      address = (address + Buffer.byteLength(text)) as Pointer;
      return own;
    });
    const argv = addresses(pointers.slice(0, 1 + args.length));
    const envp = addresses(pointers.slice(1 + args.length));
    // Returns only when it has failed. The path is the first text of the block.
    symbols.execve(block, argv, envp);
  } catch {
    // There is no such library; few need more.
  }
}

/** The environment without what was added here: it is not meant for the programs that this one starts. */
export function withoutAdded(env: Record<string, string | undefined>): Record<string, string | undefined> {
  const { [LIMIT_VARIABLE]: limit, ...rest } = env;
  return limit === LIMIT ? rest : env;
}

/** A list of addresses as C has it: a zero ends it. */
function addresses(pointers: number[]): BigUint64Array {
  return BigUint64Array.from([...pointers, 0], (pointer) => BigInt(pointer));
}
