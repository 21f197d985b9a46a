import { createLog } from "../../src/log.ts";
import type { Log } from "../../src/log.ts";

/** A log that writes nothing. */
export const quiet: Log = createLog({ level: "error", format: "text", write: () => {} });
