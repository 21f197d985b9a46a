import { clients, hooks } from "./checks/clients.ts";
import { database, replica, search } from "./checks/database.ts";
import { disk, engine } from "./checks/engine.ts";
import type { Check } from "./checks/finding.ts";
import { meaning } from "./checks/meaning.ts";
import { spool, upstreams } from "./checks/proxy.ts";
import { configuration, server, versions } from "./checks/server.ts";

/** Every check of `dewey doctor` by its name, in the order in which they are reported. */
export const checks: Record<string, Check> = {
  configuration,
  versions,
  server,
  database,
  replica,
  search,
  meaning,
  engine,
  disk,
  spool,
  upstreams,
  clients,
  hooks,
};
