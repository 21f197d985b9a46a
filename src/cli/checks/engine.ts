import { accessSync, constants, existsSync, statfsSync } from "node:fs";
import { dirname, join } from "node:path";
import { serveConfig } from "../../config.ts";
import { earlierPlaces, placesIn } from "../../store/engine/engine.ts";
import type { Invocation } from "../command.ts";
import { bytesText } from "../terminal.ts";
import { fault, note, ok } from "./finding.ts";
import type { Finding } from "./finding.ts";

/** Less room than this is a fault: a store and its log need some to go on at all. */
const LEAST_FREE_BYTES = 1_000_000_000;

export async function engine(invocation: Invocation): Promise<Finding> {
  const { database, dataDir } = serveConfig(invocation);
  if (database.kind === "server") return note("not used: a database is configured");
  const folder = join(dataDir, "postgres");
  if (!existsSync(folder)) return note(`${folder} is made at the first start of a server`);
  accessSync(folder, constants.R_OK | constants.X_OK);
  const places = placesIn(folder);
  const earlier = earlierPlaces(folder, places);
  if (earlier) return ok(`${earlier.cluster} is carried over at the next start`);
  return existsSync(places.cluster)
    ? ok(places.cluster)
    : note(`${places.cluster} is made at the first start of a server`);
}

export async function disk(invocation: Invocation): Promise<Finding> {
  const { dataDir } = serveConfig(invocation);
  const { bavail, bsize } = statfsSync(existing(dataDir));
  const free = `${bytesText(bavail * bsize)} free for ${dataDir}`;
  if (bavail * bsize >= LEAST_FREE_BYTES) return ok(free);
  return fault(free, "make room, or set DEWEY_DATA_DIR to a folder where there is some");
}

function existing(folder: string): string {
  return existsSync(folder) ? folder : existing(dirname(folder));
}
