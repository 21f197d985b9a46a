import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { codexServers } from "../clients/codex-config.ts";
import { DEWEY, isProxied } from "../clients/mcp-servers.ts";
import type { Servers } from "../clients/mcp-servers.ts";
import { isObject } from "../wire/frame.ts";
import type { ClientKind } from "./client-kind.ts";

// A client reads the user's configuration and the one of the folder that it runs in. Where both name a server, the folder's
// entry counts, whatever the other says.

/** A server that both scopes name. */
export interface Conflict {
  server: string;
  /** The file of the other scope. */
  file: string;
  /** Whether the entry in that file is the one that counts in this folder. */
  counts: boolean;
  /** Whether the entry that counts here goes through the proxy, or is Dewey's own. */
  isRecorded: boolean;
}

/** The servers that this configuration, as it will be, shares with the client's other scope. */
export function conflictsOf(kind: ClientKind, text: string): Conflict[] {
  const { otherScope: file } = kind;
  if (file === undefined) return [];
  const [ours, theirs] = [serversHere(text, kind), serversHere(read(file), kind)];
  const counts = !kind.isShared;
  return Object.keys(ours)
    .filter((server) => server in theirs)
    .map((server) => ({ server, file, counts, isRecorded: isRecorded(server, (counts ? theirs : ours)[server]) }));
}

/** A conflict in a person's words. */
export function conflictText({ server, file, counts, isRecorded }: Conflict): string {
  if (server === DEWEY)
    return `Dewey is connected in ${file}, too: its hooks run twice, and sessions here get their startup context twice. Keep one of the two.`;
  const whose = counts ? "whose entry counts in this folder" : "but this folder's entry counts here";
  return `${server} is in ${file}, too, ${whose}${isRecorded ? "" : ", and does not go through the proxy"}.`;
}

function isRecorded(server: string, entry: unknown): boolean {
  return server === DEWEY || (isObject(entry) && isProxied(entry));
}

/** The servers that hold in the current folder; none for a file that cannot be read, which is the client's affair. */
function serversHere(text: string, { form }: Pick<ClientKind, "form">): Servers {
  try {
    if (form === "toml") return codexServers(text, "");
    const config: unknown = JSON.parse(text);
    if (!isObject(config)) return {};
    const projects = isObject(config["projects"]) ? config["projects"] : {};
    const project = projects[resolve(".")];
    return Object.assign(
      {},
      ...[config, project].map((place) => (isObject(place) ? place["mcpServers"] : undefined)),
    ) as Servers;
  } catch {
    return {};
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
