import { accessSync, constants, existsSync, statfsSync } from "node:fs";
import { dirname, join } from "node:path";
import { serveConfig } from "../../config.ts";
import { earlierPlaces, placesIn } from "../../store/engine/engine.ts";
import type { Invocation } from "../command.ts";
import { bytesText } from "../terminal.ts";
import { fault, note, ok } from "./finding.ts";
import type { Finding } from "./finding.ts";

/** Less free space than this is a fault: the database and its write-ahead log need some to continue at all. */
const LEAST_FREE_BYTES = 1_000_000_000;

export async function engine(invocation: Invocation): Promise<Finding> {
  const { database, dataDir } = serveConfig(invocation);
  if (database.kind === "server") return note("not used: a database is configured");
  const folder = join(dataDir, "postgres");
  if (!existsSync(folder)) return note(`${folder} is created when a server first starts`);
  accessSync(folder, constants.R_OK | constants.X_OK);
  const places = placesIn(folder);
  const earlier = earlierPlaces(folder, places);
  if (earlier) return ok(`${earlier.cluster} is upgraded when a server next starts`);
  return existsSync(places.cluster)
    ? ok(places.cluster)
    : note(`${places.cluster} is created when a server first starts`);
}

export async function disk(invocation: Invocation): Promise<Finding> {
  const { dataDir } = serveConfig(invocation);
  const { bavail, bsize } = statfsSync(existing(dataDir));
  const free = `${bytesText(bavail * bsize)} free for ${dataDir}`;
  if (bavail * bsize >= LEAST_FREE_BYTES) return ok(free);
  return fault(free, "free some space, or set DEWEY_DATA_DIR to a folder on another disk");
}

function existing(folder: string): string {
  return existsSync(folder) ? folder : existing(dirname(folder));
}
